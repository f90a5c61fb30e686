"""`tf.contrib.eager`: what 1.x had for eager execution before it was public."""
