"""`tf.contrib.slim`: so far its summaries."""
