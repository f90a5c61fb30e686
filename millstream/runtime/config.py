"""`tf.config`: devices and how they are used, threads, and how functions run."""
from __future__ import annotations

from typing import Any

from millstream.core import config_state, device
from millstream.core.export import export
from millstream.runtime import backend, cuda_driver, devices
from millstream.runtime.device_settings import LogicalDevice, LogicalDeviceConfiguration, PhysicalDevice, settings

# --- Devices ----------------------------------------------------------------------------------------------------------


@export("config.experimental.list_physical_devices", v2=["config.list_physical_devices"])
def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The devices of this machine, of one type or of all.

    Args:
      device_type: `"CPU"`, `"GPU"` or `"TPU"`.

    Example:
      >>> tf.config.list_physical_devices("CPU")
      [PhysicalDevice(name='/physical_device:CPU:0', device_type='CPU')]
    """
    return [item for item in settings().physical if device_type in (None, item.device_type)]


@export("config.experimental.get_visible_devices", v2=["config.get_visible_devices"])
def get_visible_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The physical devices that this process may use, of one type or of all."""
    return [item for item in settings().visible if device_type in (None, item.device_type)]


@export("config.experimental.set_visible_devices", v2=["config.set_visible_devices"])
def set_visible_devices(devices: Any, device_type: str | None = None) -> None:
    """Says which physical devices this process may use.

    Args:
      devices: one from `list_physical_devices`, or a list of them.
      device_type: the type for which the choice is made; default: all devices that are not in `devices` are hidden.

    Raises:
      ValueError: there is no such device, or it is of another type.
      RuntimeError: operations have run already.

    Example:
      >>> tf.config.set_visible_devices([], "GPU")  # run on CPUs
    """
    chosen = list(devices) if isinstance(devices, list) else [devices]
    for item in chosen:
        if _known(item).device_type != (device_type or item.device_type):
            raise ValueError(f"Unrecognized device: {item!r}")
    others = [] if device_type is None else [d for d in settings().visible if d.device_type != device_type]
    visible = others + chosen
    if set(visible) == set(settings().visible):
        return
    _refuse_if_frozen("Visible devices cannot be modified after being initialized")
    settings().visible = visible


@export(v2=["config.list_logical_devices", "config.experimental.list_logical_devices"])
def list_logical_devices(device_type: str | None = None) -> list[LogicalDevice]:
    """The devices that operations can run on, of one type or of all. What they are made of is settled by this call.

    Example:
      >>> tf.config.list_logical_devices("CPU")
      [LogicalDevice(name='/device:CPU:0', device_type='CPU')]
    """
    settings().freeze()
    return [item for item in settings().logical_devices() if device_type in (None, item.device_type)]


@export(v1=["config.experimental.list_logical_devices"])
def list_logical_devices_v1(device_type: str | None = None) -> list[LogicalDevice]:
    """The devices that operations can run on, with their full names, of one type or of all."""
    found = list_logical_devices(device_type)
    return [item._replace(name=f"/job:localhost/replica:0/task:0{item.name}") for item in found]


@export(v1=["config.experimental_list_devices"])
def list_devices() -> list[str]:
    """The full names of the devices that operations can run on."""
    return [item.name for item in list_logical_devices_v1()]


@export(
    "config.experimental.get_virtual_device_configuration", v2=["config.get_logical_device_configuration"]
)
def get_logical_device_configuration(device: PhysicalDevice) -> list[LogicalDeviceConfiguration] | None:
    """How a physical device is divided into logical ones; None unless it was said.

    Raises:
      ValueError: there is no such device.
    """
    return settings().logical.get(_known(device))


@export(v2=["config.set_logical_device_configuration", "config.experimental.set_virtual_device_configuration"])
def set_logical_device_configuration(
    device: PhysicalDevice, logical_devices: list[LogicalDeviceConfiguration] | None
) -> None:
    """Divides a physical device into logical ones.

    Args:
      device: a CPU, which can be several devices, or a GPU, whose memory can be limited.
      logical_devices: the logical devices; None: the physical device as it is.

    Raises:
      ValueError: there is no such device, or a CPU's memory is to be limited.
      NotImplementedError: a GPU is to be several devices.
      RuntimeError: operations have run already.

    Example:
      >>> cpu, = tf.config.list_physical_devices("CPU")
      >>> tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    """
    parts = None if logical_devices is None else list(logical_devices)
    if _known(device).device_type == "CPU":
        for part in parts or ():
            if part.memory_limit is not None:
                raise ValueError("Setting memory limit on CPU virtual devices is currently not supported")
            if part.experimental_priority is not None:
                raise ValueError("Setting experimental_priority on CPU virtual  devices is currently not supported")
    elif parts is not None and len(parts) > 1:
        raise NotImplementedError(f"{device} cannot be several devices: XLA has one device a {device.device_type}.")
    if parts == settings().logical.get(device):
        return
    _refuse_if_frozen("Virtual devices cannot be modified after being initialized")
    if parts is None:
        del settings().logical[device]
    else:
        settings().logical[device] = parts


@export(v1=["config.experimental.set_virtual_device_configuration"])
def set_virtual_device_configuration(
    device: PhysicalDevice, virtual_devices: list[LogicalDeviceConfiguration] | None
) -> None:
    """The older name of `tf.config.set_logical_device_configuration`."""
    set_logical_device_configuration(device, virtual_devices)


@export("config.experimental.get_memory_growth")
def get_memory_growth(device: PhysicalDevice) -> bool:
    """Whether a GPU's memory is taken as it is needed; otherwise most of it is taken at the start.

    Raises:
      ValueError: there is no such device.
      KeyError: it is no GPU.
    """
    return settings().memory_growth[_known(device)]


@export("config.experimental.set_memory_growth")
def set_memory_growth(device: PhysicalDevice, enable: bool) -> None:
    """Lets a GPU's memory be taken as it is needed; it holds for all GPUs if it is said of one.

    Raises:
      ValueError: it is no GPU, or `set_logical_device_configuration` has divided it.
      RuntimeError: operations have run already.
    """
    if _known(device) in settings().logical:
        raise ValueError("Cannot set memory growth on device when virtual devices configured")
    if device not in settings().memory_growth:
        raise ValueError("Cannot set memory growth on non-GPU and non-Pluggable devices")
    if settings().memory_growth[device] == enable:
        return
    _refuse_if_frozen("Physical devices cannot be modified after being initialized")
    settings().memory_growth[device] = enable


@export(v2=["config.experimental.get_device_details"])
def get_device_details(device: PhysicalDevice) -> dict[str, Any]:
    """What is known of a GPU: `device_name`, and `compute_capability` as a pair of numbers. Of a CPU, nothing.

    Raises:
      ValueError: it is no physical device of this machine.
    """
    if not isinstance(device, PhysicalDevice):
        raise ValueError(f"device must be a tf.config.PhysicalDevice, but got: {device}")
    if device not in settings().physical:
        raise ValueError(
            "The PhysicalDevice must be one obtained from calling `tf.config.list_physical_devices`, "
            f"but got: {device}"
        )
    known = cuda_driver.gpus()
    index = int(device.name.rpartition(":")[2])
    if device.device_type != "GPU" or index >= len(known):
        return {}
    return {"compute_capability": known[index].compute_capability, "device_name": known[index].name}


@export(v2=["config.experimental.get_memory_info"])
def get_memory_info(device: str) -> dict[str, int]:
    """The bytes of a device's memory that are in use now (`current`) and that were at most (`peak`); of a CPU zeros.

    Args:
      device: the name of a logical device, `"GPU:0"`.

    Raises:
      ValueError: it is no name of a device, or there is no such device.
    """
    name, stats = _memory_stats(device)
    found = {"current": int(stats.get("bytes_in_use", 0)), "peak": int(stats.get("peak_bytes_in_use", 0))}
    if found["peak"] == _peaks_at_reset.get(name):
        found["peak"] = found["current"]
    return found


@export(v2=["config.experimental.get_memory_usage"])
def get_memory_usage(device: str) -> int:
    """The bytes of a device's memory that are in use now; `get_memory_info` tells more."""
    return get_memory_info(device)["current"]


@export(v2=["config.experimental.reset_memory_stats"])
def reset_memory_stats(device: str) -> None:
    """Forgets the peak of a device's memory. Until the old peak is passed, the new one shows as what is in use.

    Raises:
      ValueError: it is no name of a device, or there is no such device.
    """
    name, stats = _memory_stats(device)
    _peaks_at_reset[name] = int(stats.get("peak_bytes_in_use", 0))


_peaks_at_reset: dict[str, int] = {}


def _memory_stats(name: str) -> tuple[str, dict[str, Any]]:
    """The device's name, as `GPU:0`, and what JAX says of its memory."""
    try:
        parts = device.parse(name)
    except ValueError:
        parts = device.Parts()
    if parts.device_type is None or parts.device_index is None:
        raise ValueError(
            f"Failed parsing device name: '{name}'. Note a valid device string should at least contain a device type "
            'and a device index, like "GPU:0".'
        )
    short = f"{parts.device_type}:{parts.device_index}"
    if parts.job not in (None, "localhost") or f"/device:{short}" not in [d.name for d in list_logical_devices()]:
        raise ValueError(f"No matching devices found for '{name}'")
    if parts.device_type == "CPU":
        return short, {}
    return short, devices.jax_devices()[short].memory_stats() or {}


def _known(item: Any) -> PhysicalDevice:
    if item not in settings().physical:
        raise ValueError(f"Unrecognized device: {item!r}")
    return item


def _refuse_if_frozen(message: str) -> None:
    if settings().frozen():
        raise RuntimeError(message)


@export("config.get_soft_device_placement")
def get_soft_device_placement() -> bool:
    """Whether operations whose device is not there run on another one."""
    return config_state.soft_placement


@export("config.set_soft_device_placement")
def set_soft_device_placement(enabled: bool) -> None:
    """Says whether operations whose device is not there run on another one; otherwise they are errors."""
    config_state.soft_placement = enabled


# --- Threads and precision --------------------------------------------------------------------------------------------


@export("config.threading.get_inter_op_parallelism_threads")
def get_inter_op_parallelism_threads() -> int:
    """The number of threads that was set for operations independent of each other; 0: the runtime's choice."""
    return settings().threads["inter"]


@export("config.threading.set_inter_op_parallelism_threads")
def set_inter_op_parallelism_threads(num_threads: int) -> None:
    """Sets the number of threads for operations independent of each other. XLA has one pool: see the other setter.

    Raises:
      RuntimeError: operations have run already.
    """
    _set_threads("inter", num_threads, "Inter op parallelism cannot be modified after initialization.")


@export("config.threading.get_intra_op_parallelism_threads")
def get_intra_op_parallelism_threads() -> int:
    """The number of threads that was set for one operation; 0: the runtime's choice."""
    return settings().threads["intra"]


@export("config.threading.set_intra_op_parallelism_threads")
def set_intra_op_parallelism_threads(num_threads: int) -> None:
    """Sets the number of threads that operations on the CPU share; 0: as many as it has cores.

    Raises:
      RuntimeError: operations have run already.
    """
    _set_threads("intra", num_threads, "Intra op parallelism cannot be modified after initialization.")


def _set_threads(kind: str, number: int, too_late: str) -> None:
    if settings().threads[kind] != number:
        _refuse_if_frozen(too_late)
        settings().threads[kind] = number


@export(v2=["config.experimental.tensor_float_32_execution_enabled"])
def tensor_float_32_execution_enabled() -> bool:
    """Whether GPUs may round the operands of products of float32 to TensorFloat-32, which has a mantissa of 10 bits."""
    return settings().tensor_float_32


@export(v2=["config.experimental.enable_tensor_float_32_execution"])
def enable_tensor_float_32_execution(enabled: bool) -> None:
    """Says whether GPUs may round the operands of products of float32 to TensorFloat-32. What is compiled stays."""
    settings().tensor_float_32 = enabled
    if backend.is_loaded():
        backend.jax().config.update("jax_default_matmul_precision", None if enabled else "highest")


@export(v2=["config.experimental.enable_op_determinism"])
def enable_op_determinism() -> None:
    """Has operations give the same results in every run; random ones then demand a seed, by `tf.random.set_seed`.

    On GPUs it must come before the first operation.
    """
    config_state.deterministic_ops = True


# --- How functions run ------------------------------------------------------------------------------------------------


@export(v2=["config.run_functions_eagerly"])
def run_functions_eagerly(run_eagerly: bool) -> None:
    """Says whether `tf.function` calls the Python functions, so that a debugger can step through them.

    Example:
      >>> tf.config.run_functions_eagerly(True)
    """
    config_state.functions_eagerly = bool(run_eagerly)


@export("config.experimental_run_functions_eagerly")
def experimental_run_functions_eagerly(run_eagerly: bool) -> None:
    """The older name of `tf.config.run_functions_eagerly`."""
    run_functions_eagerly(run_eagerly)


@export(v2=["config.functions_run_eagerly"])
def functions_run_eagerly() -> bool:
    """Whether `tf.function` calls the Python functions."""
    return config_state.functions_eagerly


@export(v2=["config.experimental_functions_run_eagerly"])
def experimental_functions_run_eagerly() -> bool:
    """The older name of `tf.config.functions_run_eagerly`."""
    return functions_run_eagerly()
