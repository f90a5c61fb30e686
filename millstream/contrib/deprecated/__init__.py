"""`tf.contrib.deprecated`: the summaries of TensorFlow before 1.0, whose tags are given as they are to appear."""
