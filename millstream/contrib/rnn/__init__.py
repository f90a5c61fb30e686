"""`tf.contrib.rnn`: recurrent cells from the literature, wrappers of cells, and layers of whole sequences."""
