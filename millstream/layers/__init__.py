"""`tf.layers`: layers of networks that make their variables with `tf.get_variable`."""
