"""`tf.test`: what programs test themselves with."""
