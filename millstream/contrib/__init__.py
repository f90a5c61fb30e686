"""`tf.contrib`: what TensorFlow 1.x kept apart from its core."""
