"""What the golden tests share."""

from __future__ import annotations

import pytest

from millstream.runtime import backend


@pytest.fixture(autouse=True)
def quickly_compiled(monkeypatch):
    """Compiles thousands of small programs in half the time: LLVM does not optimise them. XLA does all the same."""
    given = backend.compiler_options
    monkeypatch.setattr(backend, "compiler_options", lambda jax: given(jax) | {"xla_backend_optimization_level": 0})
