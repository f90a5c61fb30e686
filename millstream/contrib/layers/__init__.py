"""`tf.contrib.layers`: initialisers, regularisers and layers."""
