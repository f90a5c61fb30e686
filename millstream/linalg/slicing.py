"""Taking some operators out of a batch: the same indices on all that an operator is made of."""

from __future__ import annotations

from typing import Any

from millstream.linalg.dimensions import Dims, as_vector, dims_of
from millstream.linalg.linear_operator import LinearOperator
from millstream.ops.fill_ops import zeros


def batch_slice(operator: Any, slices: Any) -> Any:
    """The operators that `slices` takes out of the batch.

    Args:
      operator: an operator; its class says in `_BATCHED` which arguments have batch dimensions.
      slices: what stands between brackets: integers, slices, `...` and `tf.newaxis`.

    Raises:
      NotImplementedError: nothing is known about the arguments.
    """
    if not operator._BATCHED:
        raise NotImplementedError(f"Indexing is not implemented for {type(operator).__name__}.")
    slices = slices if isinstance(slices, tuple) else (slices,)
    rank = len(dims_of(operator)) - 2
    changed = {}
    for name, event in operator._BATCHED.items():
        value = operator.parameters.get(name)
        if value is not None:
            changed[name] = _sliced(getattr(operator, f"_{name}", value), slices, rank, event)
    return type(operator)(**{**operator.parameters, **changed})


def _sliced(value: Any, slices: tuple[Any, ...], rank: int, event: int) -> Any:
    """An argument, or the list of arguments, indexed; `rank` is that of the whole operator's batch."""
    if isinstance(value, (list, tuple)):
        element = event if isinstance(value[0], LinearOperator) else event - 1
        return [_sliced(each, slices, rank, element) for each in value]
    own = dims_of(value)
    own = own[: len(own) - (2 if isinstance(value, LinearOperator) else event)]
    places = _for_broadcast(_expanded(slices, rank), own, rank)
    if isinstance(value, LinearOperator):
        return value[places] if places else value
    return value[(*places, *(slice(None),) * event)]


def _expanded(slices: tuple[Any, ...], rank: int) -> list[Any]:
    """One entry for each batch dimension, and `None` for each new one."""
    used = sum(1 for entry in slices if entry is not None and entry is not Ellipsis)
    if used > rank:
        raise IndexError(f"too many indices for an operator of {rank} batch dimensions: {used}")
    found = []
    for entry in slices if any(entry is Ellipsis for entry in slices) else (*slices, Ellipsis):
        found += [slice(None)] * (rank - used) if entry is Ellipsis else [entry]
    return found


def _for_broadcast(entries: list[Any], own: Dims, rank: int) -> tuple[Any, ...]:
    """The entries for an argument of fewer dimensions, or with dimensions of 1 that are stretched."""
    places, axis = [], len(own) - rank
    for entry in entries:
        if entry is None:
            if axis > 0 or len(own) == rank:
                places.append(None)
            continue
        if axis >= 0:
            stretched = isinstance(own[axis], int) and own[axis] == 1
            places.append((slice(None) if isinstance(entry, slice) else 0) if stretched else entry)
        axis += 1
    return tuple(places)


def sliced_dims(batch: Dims, slices: Any) -> Dims:
    """What indexing makes of batch dimensions."""
    entries = _expanded(slices if isinstance(slices, tuple) else (slices,), len(batch))
    return dims_of(zeros(as_vector(batch))[tuple(entries)]) if entries else []
