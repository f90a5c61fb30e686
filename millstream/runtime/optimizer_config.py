"""Settings of TensorFlow's own runtime, which a program may make and read back: XLA does what they are about."""
from __future__ import annotations

from typing import Any

from millstream.core.export import export

_OPTIONS = (
    "layout_optimizer constant_folding shape_optimization remapping arithmetic_optimization dependency_optimization "
    "loop_optimization function_optimization debug_stripper disable_model_pruning scoped_allocator_optimization "
    "pin_to_host_optimization implementation_selector auto_mixed_precision auto_mixed_precision_onednn_bfloat16 "
    "auto_mixed_precision_mkl disable_meta_optimizer min_graph_nodes auto_parallel use_plugin_optimizers"
).split()
_DEVICE_POLICIES = ("explicit", "warn", "silent", "silent_for_int32")

_options: dict[str, Any] = {"disable_model_pruning": False, "disable_meta_optimizer": False}
_state: dict[str, Any] = {"jit": False, "device_policy": "silent", "synchronous": True}


@export(v2=["config.optimizer.get_jit"])
def get_jit() -> str:
    """`"autoclustering"` if `set_jit` was called so, else the empty string. Millstream always compiles."""
    return "autoclustering" if _state["jit"] else ""


@export(v1=["config.optimizer.get_jit"])
def get_jit_v1() -> bool:
    """Whether `set_jit` was called so. Millstream always compiles."""
    return bool(_state["jit"])


@export("config.optimizer.set_jit")
def set_jit(enabled: bool | str) -> None:
    """Accepted for compatibility: Millstream always compiles with XLA.

    Args:
      enabled: True or `"autoclustering"`; False or the empty string.
    """
    _state["jit"] = enabled in (True, "autoclustering")


@export("config.optimizer.get_experimental_options")
def get_experimental_options() -> dict[str, Any]:
    """The options that `set_experimental_options` was given."""
    return {name: _options[name] for name in _OPTIONS if name in _options}


@export("config.optimizer.set_experimental_options")
def set_experimental_options(options: dict[str, Any]) -> None:
    """Accepted for compatibility: XLA rewrites the programs. Options that TensorFlow does not know are ignored.

    Args:
      options: `constant_folding`, `auto_mixed_precision`, `min_graph_nodes` and others to their values.
    """
    _options.update({name: value for name, value in options.items() if name in _OPTIONS})


@export("config.experimental.get_device_policy")
def get_device_policy() -> str:
    """What `set_device_policy` was given: `"silent"` by default."""
    return str(_state["device_policy"])


@export("config.experimental.set_device_policy")
def set_device_policy(device_policy: str | None) -> None:
    """Accepted for compatibility: a tensor on another device than the operation's is copied.

    Args:
      device_policy: `"silent"` (also for None), `"silent_for_int32"`, `"warn"` or `"explicit"`.

    Raises:
      ValueError: it is none of these.
    """
    policy = "silent" if device_policy is None else device_policy
    if policy not in _DEVICE_POLICIES:
        valid = ", ".join(_DEVICE_POLICIES)
        raise ValueError(f"Invalid argument `device_policy`: {device_policy!r}. Please choose one of {valid}.")
    _state["device_policy"] = policy


@export("config.experimental.get_synchronous_execution")
def get_synchronous_execution() -> bool:
    """What `set_synchronous_execution` was given."""
    return bool(_state["synchronous"])


@export("config.experimental.set_synchronous_execution")
def set_synchronous_execution(enable: bool) -> None:
    """Accepted for compatibility: results are waited for where they are needed."""
    _state["synchronous"] = enable


@export(v2=["config.experimental.enable_mlir_bridge"])
def enable_mlir_bridge() -> None:
    """Accepted for compatibility."""


@export(v2=["config.experimental.disable_mlir_bridge"])
def disable_mlir_bridge() -> None:
    """Accepted for compatibility."""
