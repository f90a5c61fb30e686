"""`tf.compat`."""
from __future__ import annotations

import pathlib

import numpy as np
import pytest

import millstream as tf


def test_text_and_bytes():
    compat = tf.compat
    assert compat.as_bytes("é") == compat.as_bytes(bytearray("é".encode())) == "é".encode()
    assert compat.as_text("é".encode()) == compat.as_str("é") == "é"
    assert compat.as_bytes("é", "latin-1") == b"\xe9"
    assert compat.as_str_any(3) == "3" and compat.as_str_any(b"x") == "x"
    assert compat.path_to_str(pathlib.Path("a")) == "a" and compat.path_to_str(b"a") == b"a"
    for convert in (compat.as_bytes, compat.as_text):
        with pytest.raises(TypeError, match="Expected binary or unicode string, got 3"):
            convert(3)


def test_groups_of_types():
    compat = tf.compat
    assert isinstance(np.int8(1), compat.integral_types) and not isinstance(np.float32(1), compat.integral_types)
    assert isinstance(1.5, compat.real_types) and not isinstance(1j, compat.real_types)
    assert isinstance(1j, compat.complex_types) and isinstance(b"", compat.bytes_or_text_types)


def test_forward_compatibility():
    assert tf.compat.forward_compatible(2019, 8, 1) and not tf.compat.forward_compatible(2999, 1, 1)
    with tf.compat.forward_compatibility_horizon(2018, 1, 1):
        assert not tf.compat.forward_compatible(2019, 8, 1)
    assert tf.compat.forward_compatible(2019, 8, 1)


def test_system_configuration():
    assert tf.sysconfig.get_lib() in tf.sysconfig.get_link_flags()[0]
    assert tf.sysconfig.get_compile_flags()[0] == f"-I{tf.sysconfig.get_include()}"
    assert {"is_cuda_build", "is_rocm_build", "is_tensorrt_build"} <= set(tf.sysconfig.get_build_info())
    assert tf.sysconfig.CXX_VERSION == 201703 and tf.version.VERSION.startswith("2.")
