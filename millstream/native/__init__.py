"""Kernels in C++ for the processor: oneDNN and our own, called by XLA through its foreign-function interface.

An operation's kernel is written with JAX; `@kernel` beside it names the native one that computes the same:

    @kernel("millstream_relu", results=lambda x: x)
    def relu(x): return jnp.maximum(x, 0)

On CPU the compiled program calls the native kernel, on other devices, where the library is missing, and for inputs that
the kernel does not serve it holds what the Python function traces.
"""
from millstream.native.kernel import Like, kernel, serves_floats
from millstream.native.library import available, why_not

__all__ = ["Like", "available", "kernel", "serves_floats", "why_not"]
