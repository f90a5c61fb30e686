"""Names of devices, "/job:worker/replica:0/task:1/device:GPU:0", each part of which may be left out."""
from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from millstream.core.export import export


class Parts(NamedTuple):
    """The parts of a device name; None for a part that is left out."""

    job: str | None = None
    replica: int | None = None
    task: int | None = None
    device_type: str | None = None
    device_index: int | None = None


@lru_cache(maxsize=4096)
def parse(name: str) -> Parts:
    """Takes a device name apart.

    Args:
      name: a full or partial name, also in the short form "/cpu:0"; an index may be "*" for any.

    Raises:
      ValueError: if it is not a device name.
    """
    found: dict[str, Any] = {}
    for part in name.split("/"):
        words = part.split(":")
        if len(words) == 2 and words[0] == "job":
            found["job"] = words[1]
        elif len(words) == 2 and words[0] in ("replica", "task"):
            found[words[0]] = int(words[1])
        elif part:
            if len(words) <= 2 and words[0].upper() in ("CPU", "GPU"):
                words = ["device", words[0], words[1] if len(words) == 2 else "*"]
            if len(words) != 3 or words[0] != "device":
                raise ValueError(f"Unknown attribute: '{words[0]}' in '{name}'")
            if "device_type" in found:
                raise ValueError(f"Cannot specify multiple device types: {name}")
            found["device_type"] = _standard_type(words[1])
            found["device_index"] = None if words[2] == "*" else int(words[2])
    return Parts(**found)


def _standard_type(device_type: str) -> str:
    upper = device_type.upper()
    return upper if upper in ("CPU", "GPU") else device_type


def format_parts(parts: Parts) -> str:
    """The device name with these parts; an index without a device type does not show."""
    name = "" if parts.job is None else f"/job:{parts.job}"
    if parts.replica is not None:
        name += f"/replica:{parts.replica}"
    if parts.task is not None:
        name += f"/task:{parts.task}"
    if parts.device_type is not None:
        name += f"/device:{parts.device_type}:{'*' if parts.device_index is None else parts.device_index}"
    return name


def merge_parts(outer: Parts, inner: Parts) -> Parts:
    """The parts of `inner`, and those of `outer` where `inner` leaves them out."""
    return Parts._make(y if x is None else x for x, y in zip(inner, outer, strict=True))


@lru_cache(maxsize=4096)
def _canonical_name(name: str) -> str:
    return format_parts(parse(name))


def canonical_name(device: Any) -> str:
    """The standard form of a device name.

    Args:
      device: a device name, a `DeviceSpec`, or None for the empty name.

    Raises:
      TypeError: if it is none of these.
      ValueError: if it is not a device name.

    Example:
      >>> canonical_name("/cpu:0")
      '/device:CPU:0'
    """
    if isinstance(device, str):
        return _canonical_name(device)
    if device is None:
        return ""
    if hasattr(device, "to_string"):
        return _canonical_name(device.to_string())
    raise TypeError(f"Expected a device name or DeviceSpec, got {device!r} of type {type(device).__name__}.")


@lru_cache(maxsize=4096)
def merge(outer: str, inner: str) -> str:
    """The device that nested `tf.device` scopes ask for: each part of the inner name overrides the outer.

    Example:
      >>> merge("/job:ps/task:1/cpu:0", "/task:2")
      '/job:ps/task:2/device:CPU:0'
    """
    return format_parts(merge_parts(parse(outer), parse(inner)))


def _part(name: str, doc: str) -> Any:
    """Makes the property of `DeviceSpec` that reads and replaces one part."""

    def get(self: DeviceSpec) -> Any:
        return getattr(self._parts, name)

    def replace(self: DeviceSpec, value: Any) -> None:
        self._parts = _checked(**{**self._parts._asdict(), name: value})

    return property(get, replace, doc=doc)


@export("DeviceSpec")
class DeviceSpec:
    """A possibly partial description of a device.

    Args:
      job: the name of the job, such as "worker".
      replica: the number of the replica.
      task: the number of the task.
      device_type: "CPU", "GPU" or another type.
      device_index: which device of this type; None for any.

    Example:
      >>> DeviceSpec(job="ps", device_type="cpu", device_index=0).to_string()
      '/job:ps/device:CPU:0'
    """

    __slots__ = ("_parts",)

    def __init__(
        self,
        job: str | None = None,
        replica: int | None = None,
        task: int | None = None,
        device_type: str | None = None,
        device_index: int | None = None,
    ) -> None:
        self._parts = _checked(job, replica, task, device_type, device_index)

    job = _part("job", "The name of the job, or None.")
    replica = _part("replica", "The number of the replica, or None.")
    task = _part("task", "The number of the task, or None.")
    device_type = _part("device_type", "The type of the device, or None.")
    device_index = _part("device_index", "Which device of its type, or None for any.")

    @classmethod
    def from_string(cls, spec: str | None) -> DeviceSpec:
        """The description that a device name gives; ValueError if it is not a device name."""
        return cls(*parse(spec or ""))

    def parse_from_string(self, spec: str | None) -> DeviceSpec:
        """Replaces this description by the one that a device name gives, and returns it."""
        self._parts = parse(spec or "")
        return self

    def to_string(self) -> str:
        """The device name "/job:<job>/replica:<n>/task:<n>/device:<type>:<n>", less what is not given."""
        return format_parts(self._parts)

    def merge_from(self, dev: DeviceSpec) -> None:
        """Takes over the parts that `dev` has."""
        self._parts = merge_parts(self._parts, dev._parts)

    def make_merged_spec(self, dev: DeviceSpec) -> DeviceSpec:
        """A new description with the parts of `dev`, and those of this one where `dev` has none."""
        return type(self)(*merge_parts(self._parts, dev._parts))

    def replace(self, **kwargs: Any) -> DeviceSpec:
        """A new description that has the given parts changed."""
        return type(self)(**{**self._parts._asdict(), **kwargs})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeviceSpec) and self.to_string() == other.to_string()

    def __hash__(self) -> int:
        return hash(self.to_string())

    def __repr__(self) -> str:
        return f"<DeviceSpec({', '.join(f'{key}={value}' for key, value in self._parts._asdict().items())})>"


def _checked(
    job: Any = None, replica: Any = None, task: Any = None, device_type: Any = None, device_index: Any = None
) -> Parts:
    """Makes parts of what a user gave, numbers also as strings."""
    return Parts(
        None if job is None else str(job),
        None if replica is None else int(replica),
        None if task is None else int(task),
        None if device_type is None else _standard_type(str(device_type)),
        None if device_index is None else int(device_index),
    )
