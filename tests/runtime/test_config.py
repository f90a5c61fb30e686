"""`tf.config`. The expected results are those of TensorFlow 2.21."""
from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

import millstream as tf
from millstream.core import config_state
from millstream.native import threads
from millstream.runtime import backend, cuda_driver, device_settings, devices

CPU = tf.config.PhysicalDevice("/physical_device:CPU:0", "CPU")
GPUS = [tf.config.PhysicalDevice(f"/physical_device:GPU:{index}", "GPU") for index in range(2)]
DESCRIBED = (cuda_driver.Gpu("A", (9, 0), 80 * 2**30), cuda_driver.Gpu("B", (8, 6), 24 * 2**30))


def fresh(monkeypatch, gpus):
    """A process before its first operation."""
    monkeypatch.setattr(backend, "is_loaded", lambda: False)
    monkeypatch.setattr(devices, "may_have_accelerators", lambda: bool(gpus))
    monkeypatch.setattr(cuda_driver, "gpus", lambda: gpus)
    monkeypatch.setattr(device_settings, "_current", device_settings.Settings())
    monkeypatch.setattr(threads, "_chosen", 0)
    monkeypatch.setattr(threads, "tell_kernels", lambda: None)


@pytest.fixture
def cpu_only(monkeypatch):
    fresh(monkeypatch, ())


@pytest.fixture
def two_gpus(monkeypatch):
    fresh(monkeypatch, DESCRIBED)


def applied(monkeypatch):
    """What the settings do to JAX and to the environment."""
    config, environment = {}, {}
    monkeypatch.setattr(os, "environ", environment)
    device_settings.settings().apply(SimpleNamespace(config=SimpleNamespace(update=config.__setitem__)))
    return {**config, **environment}


def test_listing(cpu_only):
    assert tf.config.list_physical_devices() == tf.config.get_visible_devices() == [CPU]
    assert tf.config.list_physical_devices("GPU") == tf.config.list_logical_devices("GPU") == []
    assert repr(CPU) == "PhysicalDevice(name='/physical_device:CPU:0', device_type='CPU')"
    assert repr(tf.config.list_logical_devices()) == "[LogicalDevice(name='/device:CPU:0', device_type='CPU')]"
    assert tf.config.experimental.get_device_details(CPU) == {}
    v1 = tf.compat.v1.config
    assert v1.experimental_list_devices() == ["/job:localhost/replica:0/task:0/device:CPU:0"]


def test_unknown_devices(cpu_only):
    config = tf.config
    for call in (
        lambda: config.set_visible_devices("foo"),
        lambda: config.set_visible_devices(GPUS[0], "GPU"),
        lambda: config.set_visible_devices(CPU, "GPU"),
        lambda: config.get_logical_device_configuration(GPUS[0]),
        lambda: config.set_logical_device_configuration(GPUS[0], []),
        lambda: config.experimental.set_memory_growth(GPUS[0], True),
    ):
        with pytest.raises(ValueError, match="Unrecognized device: "):
            call()
    with pytest.raises(ValueError, match="must be a tf.config.PhysicalDevice, but got: foo"):
        config.experimental.get_device_details("foo")
    with pytest.raises(ValueError, match="must be one obtained from calling"):
        config.experimental.get_device_details(GPUS[0])


def test_logical_cpus(cpu_only, monkeypatch):
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    assert tf.config.get_logical_device_configuration(CPU) is None
    tf.config.set_logical_device_configuration(CPU, two)
    assert tf.config.experimental.get_virtual_device_configuration(CPU) == two
    assert [d.name for d in tf.config.list_logical_devices()] == ["/device:CPU:0", "/device:CPU:1"]
    assert applied(monkeypatch) == {"jax_num_cpu_devices": 2}
    with pytest.raises(ValueError, match="Setting memory limit on CPU virtual devices is currently not supported"):
        tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration(memory_limit=10)])
    with pytest.raises(ValueError, match="Cannot set memory growth on device when virtual devices configured"):
        tf.config.experimental.set_memory_growth(CPU, True)


def test_nothing_changes_after_the_start(two_gpus):
    tf.config.list_logical_devices()
    config = tf.config
    for change, message in (
        (lambda: config.set_visible_devices(CPU), "Visible devices cannot be modified after being initialized"),
        (
            lambda: config.set_logical_device_configuration(CPU, [config.LogicalDeviceConfiguration()] * 2),
            "Virtual devices cannot be modified after being initialized",
        ),
        (
            lambda: config.experimental.set_memory_growth(GPUS[0], True),
            "Physical devices cannot be modified after being initialized",
        ),
        (
            lambda: config.threading.set_inter_op_parallelism_threads(3),
            "Inter op parallelism cannot be modified after initialization.",
        ),
        (
            lambda: config.threading.set_intra_op_parallelism_threads(3),
            "Intra op parallelism cannot be modified after initialization.",
        ),
    ):
        with pytest.raises(RuntimeError, match=message):
            change()
    config.set_visible_devices([CPU, *GPUS])  # what is so already may be said again
    config.threading.set_inter_op_parallelism_threads(0)


def test_gpus_are_known_before_they_are_used(two_gpus):
    assert tf.config.list_physical_devices("GPU") == GPUS
    assert [d.name for d in tf.config.list_logical_devices("GPU")] == ["/device:GPU:0", "/device:GPU:1"]
    details = tf.config.experimental.get_device_details(GPUS[1])
    assert details == {"compute_capability": (8, 6), "device_name": "B"}
    assert tf.test.gpu_device_name() == "/device:GPU:0"
    assert tf.test.is_gpu_available(min_cuda_compute_capability=(9, 0))
    assert not tf.test.is_gpu_available(min_cuda_compute_capability=(10, 0))


def test_gpus_by_default(two_gpus, monkeypatch):
    assert applied(monkeypatch) == {}


def test_hidden_gpus(two_gpus, monkeypatch):
    tf.config.set_visible_devices(GPUS[1:], "GPU")
    assert tf.config.get_visible_devices() == [CPU, GPUS[1]]
    assert applied(monkeypatch) == {"jax_cuda_visible_devices": "1"}
    tf.config.set_visible_devices([], "GPU")
    assert applied(monkeypatch) == {"jax_platforms": "cpu"}


def test_memory_of_gpus(two_gpus, monkeypatch):
    growth = tf.config.experimental
    assert growth.get_memory_growth(GPUS[0]) is False
    growth.set_memory_growth(GPUS[0], True)
    assert growth.get_memory_growth(GPUS[0]) is True
    limit = tf.config.LogicalDeviceConfiguration(memory_limit=8 * 1024)
    tf.config.set_logical_device_configuration(GPUS[1], [limit])
    assert applied(monkeypatch) == {
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.3333",
    }
    with pytest.raises(ValueError, match="Cannot set memory growth on non-GPU and non-Pluggable devices"):
        growth.set_memory_growth(CPU, True)
    with pytest.raises(NotImplementedError, match="cannot be several devices"):
        tf.config.set_logical_device_configuration(GPUS[0], [limit, limit])


def test_precision_and_determinism(two_gpus, monkeypatch):
    monkeypatch.setattr(config_state, "deterministic_ops", False)
    assert tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    tf.config.experimental.enable_op_determinism()
    assert not tf.config.experimental.tensor_float_32_execution_enabled()
    assert applied(monkeypatch) == {
        "jax_default_matmul_precision": "highest",
        "XLA_FLAGS": " --xla_gpu_deterministic_ops=true",
    }


def test_determinism_demands_seeds(monkeypatch):
    monkeypatch.setattr(config_state, "deterministic_ops", True)
    tf.random.set_seed(None)
    with pytest.raises(RuntimeError, match="Random ops require a seed to be set when determinism is enabled."):
        tf.random.normal([2])
    tf.random.set_seed(1)
    assert tf.random.normal([2]).shape == [2]


def test_threads(cpu_only, monkeypatch):
    threading = tf.config.threading
    assert threading.get_intra_op_parallelism_threads() == threading.get_inter_op_parallelism_threads() == 0
    threading.set_intra_op_parallelism_threads(2)
    threading.set_inter_op_parallelism_threads(3)
    assert (threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()) == (2, 3)
    assert applied(monkeypatch) == {} and threads.count() == 2


# --- What sessions say ------------------------------------------------------------------------------------------------


def session_config(**options):
    """Opens a session with this `ConfigProto`."""
    v1 = tf.compat.v1
    config = v1.ConfigProto(gpu_options=v1.GPUOptions(**options.pop("gpu", {})), **options)
    v1.Session(graph=tf.Graph(), config=config).close()
    return config


def test_a_session_sets_the_threads(cpu_only, monkeypatch):
    session_config(allow_soft_placement=True)
    session_config(intra_op_parallelism_threads=2)
    session_config(intra_op_parallelism_threads=4, inter_op_parallelism_threads=3)  # the first one has them
    assert device_settings.settings().threads == {"intra": 2, "inter": 3}
    assert applied(monkeypatch) == {} and threads.count() == 2


def test_a_session_comes_too_late(two_gpus, monkeypatch):
    device_settings.settings().freeze()
    session_config(intra_op_parallelism_threads=2, device_count={"GPU": 0}, gpu={"allow_growth": True})
    assert applied(monkeypatch) == {} and threads.count() == threads.available()


def test_a_session_sets_the_number_of_cpus(cpu_only, monkeypatch):
    session_config(device_count={"CPU": 3})
    assert applied(monkeypatch) == {"jax_num_cpu_devices": 3}


def test_a_session_limits_gpus(two_gpus, monkeypatch):
    config = session_config(gpu={"allow_growth": True, "per_process_gpu_memory_fraction": 0.5})
    assert not config.device_count  # asking has not changed it
    assert applied(monkeypatch) == {
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.5000",
    }


@pytest.mark.parametrize("hidden", [{"device_count": {"GPU": 0}}, {"gpu": {"visible_device_list": "1"}}])
def test_a_session_hides_gpus(two_gpus, monkeypatch, hidden):
    session_config(**hidden)
    expected = {"jax_platforms": "cpu"} if "device_count" in hidden else {"jax_cuda_visible_devices": "1"}
    assert applied(monkeypatch) == expected


def test_a_session_asks_for_a_gpu_that_is_not_there(two_gpus):
    with pytest.raises(tf.errors.InvalidArgumentError, match="'visible_device_list' listed an invalid Device id '2'"):
        session_config(gpu={"visible_device_list": "0,2"})


def test_options_of_gpus_mean_nothing_without_them(cpu_only, monkeypatch):
    session_config(device_count={"GPU": 1}, gpu={"allow_growth": True, "visible_device_list": "7"})
    assert applied(monkeypatch) == {}


# --- What is known of devices -----------------------------------------------------------------------------------------


def test_memory_info(cpu_only):
    info = tf.config.experimental.get_memory_info
    assert info("CPU:0") == info("/device:cpu:0") == {"current": 0, "peak": 0}
    assert tf.config.experimental.get_memory_usage("CPU:0") == 0
    tf.config.experimental.reset_memory_stats("CPU:0")
    for name in ("GPU:0", "CPU:5", "/job:worker/device:CPU:0"):
        with pytest.raises(ValueError, match=f"No matching devices found for '{name}'"):
            info(name)
    for name in ("foo", "GPU", "/physical_device:GPU:0"):
        with pytest.raises(ValueError, match="Failed parsing device name"):
            info(name)


def test_memory_info_of_a_gpu(two_gpus, monkeypatch):
    stats = {"bytes_in_use": 5, "peak_bytes_in_use": 9}
    monkeypatch.setattr(devices, "jax_devices", lambda: {"GPU:0": SimpleNamespace(memory_stats=lambda: stats)})
    experimental = tf.config.experimental
    assert experimental.get_memory_info("GPU:0") == {"current": 5, "peak": 9}
    experimental.reset_memory_stats("GPU:0")
    assert experimental.get_memory_info("GPU:0") == {"current": 5, "peak": 5}
    stats["peak_bytes_in_use"] = 12
    assert experimental.get_memory_info("GPU:0")["peak"] == 12


def test_the_driver_is_asked(monkeypatch):
    answers = {75: 9, 76: 0}

    def write(value):
        def function(target, *_):
            getattr(target, "_obj", target).value = value
            return 0

        return function

    def attribute(target, number, device):
        target._obj.value = answers[number]

    driver = SimpleNamespace(
        cuInit=lambda flags: 0, cuDeviceGetCount=write(1), cuDeviceGet=write(0), cuDeviceGetName=write(b"A GPU"),
        cuDeviceGetAttribute=attribute, cuDeviceTotalMem_v2=write(2**36),
    )  # fmt: skip
    monkeypatch.setattr(cuda_driver.ctypes, "CDLL", lambda name: driver)
    assert cuda_driver.gpus.__wrapped__() == (cuda_driver.Gpu("A GPU", (9, 0), 2**36),)
    driver.cuInit = lambda flags: 100  # no device
    assert cuda_driver.gpus.__wrapped__() == ()


def test_placement_and_functions():
    config = tf.config
    assert config.get_soft_device_placement()
    config.set_soft_device_placement(False)
    assert not config.get_soft_device_placement()
    config.set_soft_device_placement(True)
    assert not config.functions_run_eagerly()
    config.run_functions_eagerly(True)
    assert config.experimental_functions_run_eagerly()
    config.experimental_run_functions_eagerly(False)
    assert not config.functions_run_eagerly()


def test_settings_without_effect():
    optimizer, experimental = tf.config.optimizer, tf.config.experimental
    assert optimizer.get_jit() == ""
    optimizer.set_jit(True)
    assert optimizer.get_jit() == "autoclustering" and tf.compat.v1.config.optimizer.get_jit() is True
    optimizer.set_jit(False)
    options = {"disable_model_pruning": False, "disable_meta_optimizer": False}
    assert optimizer.get_experimental_options() == options
    optimizer.set_experimental_options({"constant_folding": False, "foo": 1})
    assert optimizer.get_experimental_options() == {"constant_folding": False, **options}
    assert experimental.get_device_policy() == "silent" and experimental.get_synchronous_execution()
    with pytest.raises(ValueError, match="Invalid argument `device_policy`: 'foo'"):
        experimental.set_device_policy("foo")
    experimental.set_device_policy(None)
    experimental.set_synchronous_execution(True)
    experimental.enable_mlir_bridge()
    experimental.disable_mlir_bridge()


def test_one_process():
    with pytest.raises(ValueError, match="Must provide at least one remote_host"):
        tf.config.experimental_connect_to_host()
    for call in (tf.config.experimental_connect_to_host, tf.config.experimental_connect_to_cluster):
        with pytest.raises(NotImplementedError, match="runs in one process"):
            call("localhost:1")
    filters = tf.config.experimental.ClusterDeviceFilters()
    filters.set_device_filters("ps", 0, ["/job:worker"])
    with pytest.raises(TypeError):
        filters.set_device_filters("ps", 0, [1])


def test_scopes_of_execution():
    with tf.experimental.async_scope(), tf.experimental.function_executor_type("SINGLE_THREADED_EXECUTOR"):
        assert (tf.constant(1) + 1).numpy() == 2
    tf.experimental.async_clear_error()
    with pytest.raises(FileNotFoundError):
        tf.experimental.register_filesystem_plugin("/no/such/plugin.so")
    with pytest.raises(NotImplementedError, match="plugin for TensorFlow's C"):
        tf.experimental.register_filesystem_plugin(__file__)


PROGRAM = """
import sys
import millstream as tf
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
print(len(tf.config.list_logical_devices("CPU")), "jax" in sys.modules)
with tf.device("/CPU:1"):
    product = tf.ones([200, 200]) @ tf.ones([200, 200])
print(product.device)
"""


def test_in_a_process_of_its_own():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False", "/job:localhost/replica:0/task:0/device:CPU:1"]
