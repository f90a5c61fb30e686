"""Fetch structures: what the user asked for, and its values in the same shape."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from millstream.core import nest
from millstream.core.graph import Graph
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.operation import Operation
from millstream.core.sparse_tensor import SparseTensor, SparseTensorValue
from millstream.core.tensor import Tensor

Rebuild = Callable[[list[Any]], Any]
Expand = Callable[[Any], tuple[list[Any], Rebuild]]
ExpandFeed = Callable[[Any, Any], list[tuple[Any, Any]]]
Expansion = tuple[Expand, ExpandFeed | None]

_expansions: list[tuple[type, Expansion]] = []


def register_expansion(
    kind: type,
    fetch: Expand,
    feed: ExpandFeed | None = None,
) -> None:
    """Registers how objects of `kind` are fetched (parts, and how values are put together) and fed."""
    _expansions.insert(0, (kind, (fetch, feed)))


class FetchMap:
    """A fetch structure taken apart.

    Attributes:
      tensors: the distinct tensors whose values are needed.
      targets: the operations that must run.
    """

    def __init__(self, graph: Graph, fetches: Any) -> None:
        self._graph = graph
        self._index: dict[Tensor, int] = {}
        self._targets: dict[Operation, None] = {}
        self._rebuild = self._visit(fetches)
        self.tensors = list(self._index)
        self.targets = list(self._targets)

    def rebuild(self, values: list[Any]) -> Any:
        """The values, in the order of `tensors`, in the shape of the fetch structure."""
        return self._rebuild(values)

    def _visit(self, fetch: Any) -> Rebuild:
        if fetch is None:
            raise TypeError("Fetch argument None has invalid type <class 'NoneType'>")
        if isinstance(fetch, (list, tuple)):
            return self._visit_sequence(fetch)
        if isinstance(fetch, Mapping):
            keys, kind = list(fetch), cast(Any, type(fetch))
            parts = [self._visit(fetch[key]) for key in keys]

            def build_mapping(values: list[Any]) -> Any:
                pairs = [(key, part(values)) for key, part in zip(keys, parts, strict=True)]
                return kind(pairs) if kind is not dict else dict(pairs)

            return build_mapping
        for kind, (expand, _) in _expansions:
            if isinstance(fetch, kind):
                elements, contract = expand(fetch)
                inner = [self._visit(element) for element in elements]
                return lambda values: contract([part(values) for part in inner])
        return self._visit_element(fetch)

    def _visit_sequence(self, fetch: Sequence[Any]) -> Rebuild:
        parts = [self._visit(item) for item in fetch]
        if hasattr(fetch, "_fields"):
            kind: Any = type(fetch)
            return lambda values: kind(*[part(values) for part in parts])
        if isinstance(fetch, tuple):
            return lambda values: tuple([part(values) for part in parts])
        return lambda values: [part(values) for part in parts]

    def _visit_element(self, fetch: Any) -> Rebuild:
        try:
            element = self._graph.as_graph_element(fetch)
        except TypeError as error:
            raise TypeError(
                f"Fetch argument {fetch!r} has invalid type {type(fetch)}, must be a string or Tensor. ({error})"
            ) from None
        except ValueError as error:
            raise ValueError(f"Fetch argument {fetch!r} cannot be interpreted as a Tensor. ({error})") from None
        except KeyError as error:
            raise ValueError(f"Fetch argument {fetch!r} cannot be interpreted as a Tensor. ({error})") from None
        if not self._graph.is_fetchable(element):
            raise ValueError(
                f"Operation {_operation_name(element)!r} has been marked as not fetchable. Typically this happens when "
                "it is defined in another function or code block. Use return values, explicit Python locals or "
                "TensorFlow collections to access it."
            )
        if isinstance(element, Operation):
            self._targets[element] = None
            return _nothing
        index = self._index.setdefault(element, len(self._index))
        return lambda values: values[index]


def _operation_name(element: Tensor | Operation) -> str:
    return element.op.name if isinstance(element, Tensor) else element.name


def _nothing(values: list[Any]) -> None:
    return None


def _fetch_indexed_slices(fetch: IndexedSlices) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    parts = [fetch.values, fetch.indices] + ([] if fetch.dense_shape is None else [fetch.dense_shape])
    return parts, lambda values: IndexedSlicesValue(*values)


class IndexedSlicesValue(tuple[Any, ...]):
    """The value of a fetched `IndexedSlices`: values, indices and dense_shape as NumPy arrays."""

    __slots__ = ()
    _fields = ("values", "indices", "dense_shape")

    def __new__(cls, values: Any, indices: Any, dense_shape: Any = None) -> IndexedSlicesValue:
        return super().__new__(cls, (values, indices, dense_shape))

    values = property(lambda self: self[0])
    indices = property(lambda self: self[1])
    dense_shape = property(lambda self: self[2])

    def __repr__(self) -> str:
        return f"IndexedSlicesValue(values={self[0]!r}, indices={self[1]!r}, dense_shape={self[2]!r})"


def _feed_indexed_slices(fed: IndexedSlices, value: Any) -> list[tuple[Any, Any]]:
    pairs = [(fed.values, value[0]), (fed.indices, value[1])]
    return pairs if fed.dense_shape is None else [*pairs, (fed.dense_shape, value[2])]


register_expansion(IndexedSlices, _fetch_indexed_slices, _feed_indexed_slices)
register_expansion(
    SparseTensor,
    lambda fetch: ([fetch.indices, fetch.values, fetch.dense_shape], lambda values: SparseTensorValue(*values)),
    lambda fed, value: list(zip((fed.indices, fed.values, fed.dense_shape), value, strict=True)),
)


def expand_feeds(feed_dict: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    """The pairs of a feed dictionary, with structures and composite keys taken apart."""
    pairs: list[tuple[Any, Any]] = []
    for key, value in nest.flatten_dict_items(feed_dict).items():
        for kind, (_, feed) in _expansions:
            if feed is not None and isinstance(key, kind):
                pairs.extend(feed(key, value))
                break
        else:
            pairs.append((key, value))
    return pairs


def cache_key(fetches: Any) -> Any:
    """A hashable stand-in for a fetch structure, equal for structures of the same elements and form."""
    kind = type(fetches)
    if kind is list or kind is tuple:
        return (kind, *map(cache_key, fetches))
    if isinstance(fetches, (list, tuple)):
        return (kind, *map(cache_key, fetches))
    if isinstance(fetches, Mapping):
        return (kind, tuple(fetches), *map(cache_key, fetches.values()))
    return fetches
