"""What the golden tests share."""

from __future__ import annotations

import os

import pytest

from millstream.runtime import backend


@pytest.fixture(autouse=True)
def quickly_compiled(monkeypatch):
    """Compiles thousands of small programs in half the time: LLVM does not optimise them. XLA does all the same.

    With MILLSTREAM_OPTIMIZED_GOLDENS=1 they are compiled as those of users are.
    """
    if os.environ.get("MILLSTREAM_OPTIMIZED_GOLDENS") == "1":
        return
    given = backend.compiler_options
    monkeypatch.setattr(backend, "compiler_options", lambda jax: given(jax) | {"xla_backend_optimization_level": 0})
