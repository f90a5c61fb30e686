"""Which devices a program uses and how: what `tf.config` sets before JAX is loaded, and hands to it then."""
from __future__ import annotations

import os
from types import ModuleType
from typing import Any, NamedTuple

from millstream.core import config_state, errors
from millstream.core.export import export
from millstream.native import threads
from millstream.runtime import backend, cuda_driver, devices


@export(v2=["config.PhysicalDevice"])
class PhysicalDevice(NamedTuple):
    """A device of the machine, from `tf.config.list_physical_devices`.

    Attributes:
      name: its name, `/physical_device:GPU:0`.
      device_type: `CPU`, `GPU` or `TPU`.
    """

    name: str
    device_type: str


@export(v2=["config.LogicalDevice"])
class LogicalDevice(NamedTuple):
    """A device that operations run on, from `tf.config.list_logical_devices`.

    Attributes:
      name: the name for `tf.device`, `/device:GPU:0`.
      device_type: `CPU`, `GPU` or `TPU`.
    """

    name: str
    device_type: str


@export(
    v1=["config.experimental.VirtualDeviceConfiguration"],
    v2=["config.LogicalDeviceConfiguration", "config.experimental.VirtualDeviceConfiguration"],
)
class LogicalDeviceConfiguration(NamedTuple):
    """How a logical device is made of a physical one.

    Attributes:
      memory_limit: the memory that it may take, in MiB; GPUs only. Default: most of the GPU's.
      experimental_priority, experimental_device_ordinal: accepted; without effect.
    """

    memory_limit: int | None = None
    experimental_priority: int | None = None
    experimental_device_ordinal: int | None = None


class Settings:
    """The devices, and what a program has set of them and of the threads.

    Attributes:
      visible: the physical devices that may be used.
      logical: how each physical device is divided, where the program said so.
      memory_growth: for each GPU whether its memory is taken as it is needed.
      memory_fraction: the part of each GPU's memory that may be taken; 0: the runtime's choice.
      threads: how many threads operations run on, "inter" and "intra"; 0: the runtime's choice.
      tensor_float_32: whether GPUs may round the operands of products of float32 to TensorFloat-32.
    """

    def __init__(self) -> None:
        self.physical = [PhysicalDevice("/physical_device:CPU:0", "CPU"), *_accelerators()]
        self.visible = list(self.physical)
        self.logical: dict[PhysicalDevice, list[LogicalDeviceConfiguration]] = {}
        self.memory_growth = {device: False for device in self.physical if device.device_type == "GPU"}
        self.memory_fraction = 0.0
        self.threads = {"inter": 0, "intra": 0}
        self.tensor_float_32 = True
        self._frozen = False

    def frozen(self) -> bool:
        """Whether it is too late for changes."""
        return self._frozen or backend.is_loaded()

    def freeze(self) -> None:
        """Keeps what is set now."""
        self._frozen = True

    def logical_devices(self) -> list[LogicalDevice]:
        """The devices that operations can run on, by the settings."""
        found: list[LogicalDevice] = []
        for device in self.visible:
            for _ in self.logical.get(device, [None]):
                index = sum(known.device_type == device.device_type for known in found)
                found.append(LogicalDevice(f"/device:{device.device_type}:{index}", device.device_type))
        return found

    def apply(self, jax: ModuleType) -> None:
        """Hands the settings to JAX, which reads them when it makes its devices."""
        cpu = self.physical[0]
        if len(self.logical.get(cpu, ())) > 1:
            jax.config.update("jax_num_cpu_devices", len(self.logical[cpu]))
        if self.threads["intra"]:
            threads.choose(self.threads["intra"])
        gpus = [device for device in self.physical if device.device_type == "GPU"]
        if gpus:
            self._apply_to_gpus(jax, gpus)

    def _apply_to_gpus(self, jax: ModuleType, gpus: list[PhysicalDevice]) -> None:
        used = [index for index, device in enumerate(gpus) if device in self.visible]
        if not used:
            jax.config.update("jax_platforms", "cpu")
            return
        if len(used) < len(gpus):
            jax.config.update("jax_cuda_visible_devices", ",".join(map(str, used)))
        if any(self.memory_growth[gpus[index]] for index in used):
            os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        fraction = min(self._memory_fraction(index, gpus[index]) for index in used)
        if fraction < 1:
            os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{fraction:.4f}"
        if not self.tensor_float_32:
            jax.config.update("jax_default_matmul_precision", "highest")
        if config_state.deterministic_ops:
            os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true"

    def _memory_fraction(self, index: int, gpu: PhysicalDevice) -> float:
        """The part of a GPU's memory that it may take: JAX has one for all GPUs."""
        limits = [part.memory_limit for part in self.logical.get(gpu, ()) if part.memory_limit is not None]
        known = cuda_driver.gpus()
        if limits and index < len(known):
            return sum(limits) * 2**20 / known[index].memory_bytes
        return self.memory_fraction or 1.0

    # --- What a session says ----------------------------------------------------------------------------------------

    def take(self, config: Any) -> None:
        """Takes over a session's `ConfigProto`. Threads and devices belong to the process: who comes first has them.

        Raises:
          InvalidArgumentError: `visible_device_list` names a GPU that is not there.
        """
        if self.frozen():
            return
        for kind in self.threads:
            self.threads[kind] = self.threads[kind] or max(getattr(config, f"{kind}_op_parallelism_threads"), 0)
        cpu = self.physical[0]
        cpus = config.device_count.get("CPU", 1)
        if cpus > 1:
            self.logical.setdefault(cpu, [LogicalDeviceConfiguration()] * cpus)
        if self.memory_growth:  # there are GPUs
            self._take_gpus(config)

    def _take_gpus(self, config: Any) -> None:
        options = config.gpu_options
        if options.visible_device_list:
            self._show_gpus(options.visible_device_list)
        visible = [device for device in self.visible if device.device_type == "GPU"]
        hidden = visible[config.device_count.get("GPU", len(visible)) :]
        self.visible = [device for device in self.visible if device not in hidden]
        if options.allow_growth:
            self.memory_growth = dict.fromkeys(self.memory_growth, True)
        self.memory_fraction = self.memory_fraction or options.per_process_gpu_memory_fraction

    def _show_gpus(self, indices: str) -> None:
        gpus = [device for device in self.physical if device.device_type == "GPU"]
        chosen = []
        for text in indices.split(","):
            if not text.strip().isdecimal() or int(text) >= len(gpus):
                raise errors.InvalidArgumentError(
                    None, None, f"'visible_device_list' listed an invalid Device id '{text}'; GPUs: {len(gpus)}"
                )
            chosen.append(gpus[int(text)])
        self.visible = [device for device in self.visible if device.device_type != "GPU"] + chosen


def _accelerators() -> list[PhysicalDevice]:
    """The devices that are no CPUs. JAX, which takes memory on them, is asked only where the driver cannot tell."""
    if not devices.may_have_accelerators():
        return []
    if _driver_tells():
        names = [f"GPU:{index}" for index in range(len(cuda_driver.gpus()))]
    else:
        names = [name for name in devices.jax_devices() if not name.startswith("CPU:")]
    return [PhysicalDevice(f"/physical_device:{name}", name.partition(":")[0]) for name in names]


def _driver_tells() -> bool:
    """Whether all accelerators that JAX could use are NVIDIA's, and it has not chosen among them yet."""
    from importlib.metadata import entry_points

    plugins = entry_points(group="jax_plugins")
    return not backend.is_loaded() and all(plugin.name.startswith("xla_cuda") for plugin in plugins)


_current: Settings | None = None


def settings() -> Settings:
    """The settings of this process."""
    global _current
    if _current is None:
        _current = Settings()
        backend.BEFORE_FIRST_USE.append(_current.apply)
    return _current


def take_config(config: Any) -> None:
    """Takes over what a session's `ConfigProto` says of threads and devices, if it says anything."""
    gpu = config.gpu_options
    if (
        config.intra_op_parallelism_threads or config.inter_op_parallelism_threads or config.device_count
        or gpu.allow_growth or gpu.per_process_gpu_memory_fraction or gpu.visible_device_list
    ):  # fmt: skip
        settings().take(config)
