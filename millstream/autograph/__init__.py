"""AutoGraph: Python's `if`, `while` and `for` over tensors become operations while a `tf.function` is traced.

`diastatic-malt`, which is loaded when the first function is converted, rewrites a function's source: each statement
becomes a call of an operator. The operators stand here. They do what Python does, unless a tensor decides.
"""
