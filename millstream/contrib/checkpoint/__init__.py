"""`tf.contrib.checkpoint`: containers and helpers for `tf.train.Checkpoint`."""
