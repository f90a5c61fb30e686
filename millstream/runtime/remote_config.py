"""`tf.config`'s functions for several machines, which Millstream does not have."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from millstream.core.export import export


@export(v2=["config.experimental.ClusterDeviceFilters"])
class ClusterDeviceFilters:
    """Which devices of other tasks each task of a cluster sees."""

    def __init__(self) -> None:
        self._filters: dict[str, dict[int, list[str]]] = {}

    def set_device_filters(self, job_name: str, task_index: int, device_filters: Sequence[str]) -> None:
        """Sets the devices that a task sees, such as `"/job:ps"`.

        Raises:
          TypeError: an argument is of another type.
        """
        if not all(isinstance(item, str) for item in (job_name, *device_filters)):
            raise TypeError("Device filters and the names of jobs must be strings.")
        self._filters.setdefault(job_name, {})[task_index] = list(device_filters)


@export(v1=["config.experimental_connect_to_cluster"])
def connect_to_cluster_v1(
    cluster_spec_or_resolver: Any, job_name: str = "localhost", task_index: int = 0, protocol: str | None = None
) -> NoReturn:
    """Not available: Millstream runs in one process.

    Raises:
      NotImplementedError: always.
    """
    raise _one_process()


@export(v2=["config.experimental_connect_to_cluster"])
def connect_to_cluster(
    cluster_spec_or_resolver: Any,
    job_name: str = "localhost",
    task_index: int = 0,
    protocol: str | None = None,
    make_master_device_default: bool = True,
    cluster_device_filters: ClusterDeviceFilters | None = None,
) -> NoReturn:
    """Not available: Millstream runs in one process.

    Raises:
      NotImplementedError: always.
    """
    raise _one_process()


@export("config.experimental_connect_to_host")
def connect_to_host(remote_host: Any = None, job_name: str = "worker") -> NoReturn:
    """Not available: Millstream runs in one process.

    Raises:
      ValueError: no host is given.
      NotImplementedError: one is given.
    """
    if not remote_host:
        raise ValueError("Must provide at least one remote_host")
    raise _one_process()


def _one_process() -> NotImplementedError:
    return NotImplementedError("Millstream runs in one process: there are no servers to connect to.")
