"""`tf.linalg.LinearOperator*`: matrices given by what they do, and what can be solved with them alone."""
