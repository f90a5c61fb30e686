"""`tf.contrib.training`: what loops that train and evaluate share."""
