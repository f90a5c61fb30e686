"""Device names and the JAX devices that they stand for."""
from __future__ import annotations

import functools
import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from millstream.core import config_state, context, device, dtypes, errors
from millstream.core.operation import Operation
from millstream.runtime import backend

_LOCAL = "/job:localhost/replica:0/task:0"


class DeviceAttributes:
    """A device of a session, as `Session.list_devices` gives it.

    Attributes:
      name: the full name, such as `/job:localhost/replica:0/task:0/device:CPU:0`.
      device_type: `CPU`, `GPU` or `TPU`.
      memory_limit_bytes: the memory that programs may use; 0 where it is not known.
    """

    def __init__(self, name: str, device_type: str, memory_limit_bytes: int) -> None:
        self.name = name
        self.device_type = device_type
        self.memory_limit_bytes = memory_limit_bytes
        self.incarnation = 0

    def __repr__(self) -> str:
        return f"_DeviceAttributes({self.name}, {self.device_type}, {self.memory_limit_bytes}, {self.incarnation})"


def jax_devices() -> dict[str, Any]:
    """`CPU:0`, `GPU:0`, … → JAX device, of this process."""
    jax = backend.jax()
    found: dict[str, Any] = {}
    names = {"cpu": "CPU", "gpu": "GPU", "cuda": "GPU", "rocm": "GPU", "tpu": "TPU"}
    for item in (*jax.local_devices(), *jax.local_devices(backend="cpu")):
        kind = names.get(item.platform, item.platform.upper())
        if item not in found.values():
            index = sum(name.startswith(kind + ":") for name in found)
            found[f"{kind}:{index}"] = item
    return found


class Placer:
    """Decides on which device each operation of a session runs.

    Args:
      soft: whether an operation whose device is missing, or has no kernel for it, runs elsewhere.
      log_placement: whether to print a line for each operation.
    """

    def __init__(self, soft: bool, log_placement: bool) -> None:
        self._soft = soft
        self._log = log_placement
        self._placed: dict[Operation, str] = {}

    def __call__(self, op: Operation) -> str:
        """The device of `op` as `CPU:0`, or the empty string for the default device.

        Raises:
          InvalidArgumentError: the device does not exist and soft placement is off.
        """
        found = self._placed.get(op)
        if found is None:
            found = self._placed[op] = self._place(op)
            if self._log:
                where = found or ("CPU:0" if op.definition.host else default_name())
                print(f"{op.name}: ({op.type}): {_LOCAL}/device:{where}")
        return found

    def _place(self, op: Operation) -> str:
        if not op.device:
            return ""
        wanted = device.parse(op.device)
        kind = (wanted.device_type or "CPU").upper()
        name = f"{kind}:{wanted.device_index or 0}"
        if name == "CPU:0" and wanted.job in (None, "localhost"):
            return "" if default_name() == name else name
        known = jax_devices()
        if name in known and wanted.job in (None, "localhost"):
            return name
        if self._soft:
            return ""
        available = ", ".join(f"{_LOCAL}/device:{item}" for item in known)
        message = errors.format_message(
            f"Cannot assign a device for operation {op.name}: {{{{node {op.name}}}}} was explicitly assigned to "
            f"{op.device} but available devices are [ {available} ]. Make sure the device specification refers to a "
            "valid device.",
            defined_at=op.defined_at,
            hint="Set `allow_soft_placement=True` in the session's ConfigProto to run it elsewhere.",
        )
        raise errors.InvalidArgumentError(None, op, message)


def default_name() -> str:
    """The device that operations run on which ask for none, as `CPU:0`. Asks JAX only where it may know of others."""
    if not backend.is_loaded() and not may_have_accelerators():
        return "CPU:0"
    return next(iter(jax_devices()))


def running_on(name: str) -> AbstractContextManager[Any]:
    """Has programs run on a device, given as `CPU:0`, within a `with` block; empty: on the default device."""
    return backend.jax().default_device(jax_devices()[name]) if name else nullcontext()


def list_devices() -> list[DeviceAttributes]:
    """All devices of this process."""
    found = []
    for name, item in jax_devices().items():
        stats = item.memory_stats() if hasattr(item, "memory_stats") else None
        limit = int((stats or {}).get("bytes_limit", 0))
        found.append(DeviceAttributes(f"{_LOCAL}/device:{name}", name.split(":")[0], limit))
    return found


# --- Eager execution --------------------------------------------------------------------------------------------------

_resolved: dict[tuple[str | None, ...], str | None] = {}


def device_of(tensor: Any) -> str:
    """The full name of the device that holds an eager tensor's value."""
    on_host = tensor.dtype in (dtypes.string, dtypes.resource, dtypes.variant)
    jax = backend.jax() if not on_host and (backend.is_loaded() or may_have_accelerators()) else None
    if jax is None:
        return f"{_LOCAL}/device:CPU:0"
    value = tensor._value
    if isinstance(value, jax.Array):
        where = next(iter(value.devices()))
        name = next((name for name, item in jax_devices().items() if item == where), "CPU:0")
        return f"{_LOCAL}/device:{name}"
    return f"{_LOCAL}/device:{default_name()}"


def may_have_accelerators() -> bool:
    """Whether JAX could find anything but CPUs: a plugin for another kind of device is installed."""
    return _has_plugins() and os.environ.get("JAX_PLATFORMS", "") != "cpu"


@functools.cache
def _has_plugins() -> bool:
    """Whether a plugin for JAX is installed; finding out reads the metadata of all packages."""
    from importlib.metadata import entry_points

    return bool(entry_points(group="jax_plugins"))


def eager_device_name() -> str | None:
    """The full name of the device that the device scopes in force ask for; None: the default one."""
    scopes = context.current.devices
    if scopes not in _resolved:
        _resolved[scopes] = _resolve(scopes)
    return _resolved[scopes]


def _resolve(scopes: tuple[str | None, ...]) -> str | None:
    wanted = ""
    for scope in scopes:
        wanted = "" if scope is None else device.merge(scope, wanted) if not wanted else device.merge(wanted, scope)
    parts = device.parse(wanted)
    if parts.device_type is None:
        return None
    name = f"{parts.device_type.upper()}:{parts.device_index or 0}"
    local = parts.job in (None, "localhost")
    if local and (name == "CPU:0" or name in jax_devices()):
        return f"{_LOCAL}/device:{name}"
    if config_state.soft_placement:
        return None
    available = ", ".join(f"{_LOCAL}/device:{item}" for item in jax_devices())
    raise errors.InvalidArgumentError(
        None, None, f"Could not satisfy device specification '{wanted}'. All available devices [{available}]."
    )


def eager_device() -> Any:
    """The JAX device that the device scopes in force ask for; None: the default one."""
    name = eager_device_name()
    return None if name is None else jax_devices()[name.rpartition("device:")[2]]
