"""`tf.contrib.framework`: default arguments by scope, variables of models, small helpers."""
