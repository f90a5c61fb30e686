"""Sums of lists of gradients, in the form that TensorFlow can compute.

Here the gradient of a read from a list is a list that is as long as it must be: a new one in which one element is set
(`ops/list_ops.py`). TensorFlow adds only lists of equal length, and its release 1.15 lists that do not grow. So where
such a list is added to a whole one, files have an addition to one element of that.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from millstream.core.dtypes import variant

GROWS = "resize_if_index_out_of_bounds"
# An attribute of reads from lists of gradients, and of writes that clear an element of one. Such a list may be shorter
# than the list that it belongs to: what is beyond its end counts as zeros.
OF_GRADIENTS = "_of_gradients"


def write_in_place(nodes: Any, in_function: bool = False, results: Iterable[str] = ()) -> None:
    """Rewrites the sums among the nodes of a graph or function.

    Args:
      nodes: the `NodeDef`s.
      in_function: whether inputs are called `node:output:index`, as in functions.
      results: the results of a function, called so.
    """
    if any(node.op == "TensorListSetItem" and _grows(node) for node in nodes):
        _Rewriter(nodes, in_function, set(map(_maker, results))).rewrite()


class _Rewriter:
    def __init__(self, nodes: Any, in_function: bool, results: set[str]) -> None:
        self._nodes = nodes
        self._results = results
        self._in_function = in_function
        self._by_name = {node.name: node for node in nodes}
        self._new: dict[str, list[Any]] = {}  # by the name of the sum before which they stand
        self._replaced: set[str] = set()

    def rewrite(self) -> None:
        for node in self._nodes:
            if node.op == "TensorListSetItem" and OF_GRADIENTS in node.attr:
                node.attr.pop(GROWS, None)
            if _is_sum(node):
                self._rewrite_sum(node)
        if self._new:
            nodes = [each for node in self._nodes for each in (*self._new.get(node.name, ()), node)]
            self._put(self._without_unused(nodes))

    def _rewrite_sum(self, node: Any) -> None:
        """Lets a sum of a list and of elements be the list with these elements added; it stays, of one summand."""
        added: list[Any] = []
        whole: list[str] = []
        controls = [edge for edge in node.input if edge.startswith("^")]
        for edge in node.input[: len(node.input) - len(controls)]:
            elements = self._elements(edge)
            added.extend(elements or ())
            if elements is None:
                whole.append(edge)
        if not added or not whole:
            return
        new: list[Any] = []
        self._new[node.name] = new
        total = whole[0] if len(whole) == 1 else self._sum(f"{node.name}/whole", whole, node.attr["T"], new)
        for element in added:
            total = self._with_element(total, element, new)
            self._replaced.add(element.name)
        del node.input[:]
        node.input.extend([total, *controls])
        node.attr["N"].i = 1

    def _elements(self, edge: str) -> list[Any] | None:
        """The nodes that set the elements of a list in which nothing else is; None for other lists."""
        node = self._by_name.get(_maker(edge))
        if node is None:
            return None
        if _is_sum(node) and not any(each.startswith("^") for each in node.input):
            parts = [self._elements(each) for each in node.input]
            found = None if None in parts else [element for part in parts for element in part or ()]
            if found:
                self._replaced.add(node.name)
            return found
        if node.op != "TensorListSetItem" or not _grows(node):
            return None
        start = self._by_name.get(_maker(node.input[0]))
        size = None if start is None or start.op != "TensorListReserve" else self._by_name.get(_maker(start.input[1]))
        return [node] if size is not None and size.op == "Const" and _is_zero(size.attr["value"].tensor) else None

    def _with_element(self, total: str, element: Any, new: list[Any]) -> str:
        """Adds nodes that add an element to a list; gives the new list."""
        handle, index, item = element.input[:3]
        shape, dtype = self._by_name[_maker(handle)].input[0], element.attr["element_dtype"]
        get = self._node(f"{element.name}/before", "TensorListGetItem", [total, index, shape], new)
        get.attr["element_dtype"].CopyFrom(dtype)
        together = self._sum(f"{element.name}/sum", [self._edge(get, "item"), item], dtype, new)
        put = self._node(f"{element.name}/after", "TensorListSetItem", [total, index, together], new)
        put.attr["element_dtype"].CopyFrom(dtype)
        return self._edge(put, "output_handle")

    def _sum(self, name: str, inputs: list[str], dtype: Any, new: list[Any]) -> str:
        node = self._node(name, "AddN", inputs, new)
        node.attr["T"].CopyFrom(dtype)
        node.attr["N"].i = len(inputs)
        return self._edge(node, "sum")

    def _node(self, name: str, op: str, inputs: list[str], new: list[Any]) -> Any:
        from millstream.io import proto

        while name in self._by_name:
            name += "_"
        node = self._by_name[name] = proto.NodeDef(name=name, op=op, input=inputs)
        new.append(node)
        return node

    def _edge(self, node: Any, output: str) -> str:
        return f"{node.name}:{output}:0" if self._in_function else node.name

    def _without_unused(self, nodes: list[Any]) -> list[Any]:
        """The nodes without the lists of one element that are not used any more, and what only these used."""
        unused = self._replaced - self._results
        while unused:
            used = {_maker(edge) for node in nodes if node.name not in unused for edge in node.input}
            unused -= used
            gone = [node for node in nodes if node.name in unused]
            nodes = [node for node in nodes if node.name not in unused]
            used = {_maker(edge) for node in nodes for edge in node.input}
            makers = {_maker(edge) for node in gone for edge in node.input} - used - self._results
            unused = {node.name for node in nodes if node.name in makers and node.op in ("TensorListReserve", "Const")}
        return nodes

    def _put(self, nodes: list[Any]) -> None:
        copies = []
        for node in nodes:
            copies.append(type(node)())
            copies[-1].CopyFrom(node)
        del self._nodes[:]
        self._nodes.extend(copies)


def _grows(node: Any) -> bool:
    return GROWS in node.attr and bool(node.attr[GROWS].b)


def _is_sum(node: Any) -> bool:
    return node.op == "AddN" and node.attr["T"].type == variant.as_datatype_enum


def _is_zero(tensor: Any) -> bool:
    return not any(tensor.int_val) and not any(tensor.tensor_content)


def _maker(edge: str) -> str:
    """The name of the node that an input comes from."""
    return edge.removeprefix("^").partition(":")[0]
