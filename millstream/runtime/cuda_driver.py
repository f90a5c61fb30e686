"""What NVIDIA's driver knows of the GPUs, asked without taking memory on them, as JAX would."""
from __future__ import annotations

import ctypes
import functools
from typing import Any, NamedTuple

# Attributes of a device, numbered as in CUdevice_attribute.
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
_LONGEST_NAME = 256


class Gpu(NamedTuple):
    """One GPU."""

    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int


@functools.cache
def gpus() -> tuple[Gpu, ...]:
    """The GPUs that CUDA programs of this process see, in their order; none where there is no driver."""
    driver = _load()
    if driver is None:
        return ()
    count = ctypes.c_int()
    if driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return ()
    return tuple(_describe(driver, index) for index in range(count.value))


def _load() -> Any:
    """The driver's library, ready for use; None if there is none, or no GPU."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        return driver if driver.cuInit(0) == 0 else None
    except (OSError, AttributeError):
        return None


def _describe(driver: Any, index: int) -> Gpu:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    memory, name = ctypes.c_size_t(), ctypes.create_string_buffer(_LONGEST_NAME)
    driver.cuDeviceGet(ctypes.byref(device), index)
    driver.cuDeviceGetName(name, _LONGEST_NAME, device)
    driver.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, device)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    return Gpu(name.value.decode(), (major.value, minor.value), memory.value)
