"""`tf.train.Scaffold`: the operations that a training program needs beside its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.log import tensorflow_logger
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.core.variable_lists import global_variables
from millstream.ops import resources
from millstream.ops.control_flow_ops import group
from millstream.ops.join_ops import concat
from millstream.ops.lookup_ops import tables_initializer
from millstream.ops.variable_ops import (
    global_variables_initializer,
    local_variables_initializer,
    report_uninitialized_variables,
)
from millstream.summary.summary import merge_all
from millstream.train.saver import Saver


@export(v1=["train.Scaffold"])
class Scaffold:
    """The operations that initialise a model, say that it is ready, summarise and save it.

    `finalize` makes those that were not given, unless the graph's collections have them, and puts them there.

    Args:
      init_op: initialises the model, where it is not restored; default: all global variables and shared resources.
      init_feed_dict: what is fed to `init_op`.
      init_fn: called with the scaffold and the session after `init_op`.
      ready_op: a string vector, which is empty when all is initialised; default: the names of the variables and
        resources that are not.
      ready_for_local_init_op: the same for `local_init_op`; default: only global variables and shared resources.
      local_init_op: runs after the model was initialised or restored; default: initialises local variables, tables and
        local resources.
      summary_op: gives the summaries; default: all in `GraphKeys.SUMMARIES`, merged.
      saver: saves and restores; default: the one in `GraphKeys.SAVERS`, else one of all variables.
      copy_from_scaffold: another scaffold, whose values stand where none was given.

    Raises:
      TypeError: `copy_from_scaffold` is no `Scaffold`.

    Example:
      >>> scaffold = tf.train.Scaffold(saver=tf.train.Saver(max_to_keep=2))
      >>> with tf.train.MonitoredTrainingSession(checkpoint_dir="model", scaffold=scaffold) as sess:
      ...   sess.run(train_op)
    """

    def __init__(
        self,
        init_op: Any = None,
        init_feed_dict: Mapping[Any, Any] | None = None,
        init_fn: Callable[[Scaffold, Any], Any] | None = None,
        ready_op: Any = None,
        ready_for_local_init_op: Any = None,
        local_init_op: Any = None,
        summary_op: Any = None,
        saver: Saver | None = None,
        copy_from_scaffold: Scaffold | None = None,
    ) -> None:
        other = copy_from_scaffold
        if other is not None and not isinstance(other, Scaffold):
            raise TypeError("copy_from_scaffold is not a Scaffold instance.")

        def choose(given: Any, name: str) -> Any:
            return getattr(other, name) if given is None and other is not None else given

        self._init_op = choose(init_op, "init_op")
        self._init_feed_dict = choose(init_feed_dict, "init_feed_dict")
        self._user_init_fn = choose(init_fn, "_user_init_fn")
        self._ready_op = choose(ready_op, "ready_op")
        self._ready_for_local_init_op = choose(ready_for_local_init_op, "ready_for_local_init_op")
        self._local_init_op = choose(local_init_op, "local_init_op")
        self._summary_op = choose(summary_op, "summary_op")
        self._saver = choose(saver, "saver")

    def finalize(self) -> Scaffold:
        """Makes what is missing, and the default graph read-only."""
        if self._init_op is None:
            self._init_op = self.get_or_default("init_op", GraphKeys.INIT_OP, _default_init_op)
        if self._ready_op is None:
            self._ready_op = self.get_or_default("ready_op", GraphKeys.READY_OP, _default_ready_op)
        if self._ready_for_local_init_op is None:
            self._ready_for_local_init_op = self.get_or_default(
                "ready_for_local_init_op", GraphKeys.READY_FOR_LOCAL_INIT_OP, _default_ready_for_local_init_op
            )
        if self._local_init_op is None:
            self._local_init_op = self.get_or_default(
                "local_init_op", GraphKeys.LOCAL_INIT_OP, Scaffold.default_local_init_op
            )
        if self._summary_op is None:
            self._summary_op = self.get_or_default("summary_op", GraphKeys.SUMMARY_OP, merge_all)
        if self._saver is None:
            self._saver = _saver_or_default()
        self._saver.build()
        get_default_graph().finalize()
        tensorflow_logger().info("Graph was finalized.")
        return self

    @property
    def init_op(self) -> Any:
        """Initialises the model."""
        return self._init_op

    @property
    def init_feed_dict(self) -> Mapping[Any, Any] | None:
        """What is fed to `init_op`."""
        return self._init_feed_dict

    @property
    def init_fn(self) -> Callable[[Any], Any] | None:
        """A function of the session, called after `init_op`; None if there is none."""
        user_fn = self._user_init_fn
        return None if user_fn is None else lambda session: user_fn(self, session)

    @property
    def ready_op(self) -> Any:
        """A string vector, which is empty when all is initialised."""
        return self._ready_op

    @property
    def ready_for_local_init_op(self) -> Any:
        """A string vector, which is empty when `local_init_op` can run."""
        return self._ready_for_local_init_op

    @property
    def local_init_op(self) -> Any:
        """Runs after the model was initialised or restored."""
        return self._local_init_op

    @property
    def summary_op(self) -> Any:
        """The summaries; None if there are none."""
        return self._summary_op

    @property
    def saver(self) -> Any:
        """Saves and restores the model."""
        return self._saver

    @staticmethod
    def get_or_default(arg_name: str, collection_key: str, default_constructor: Callable[[], Any]) -> Any:
        """What a collection of the default graph has, else what `default_constructor` makes, which is put there.

        Raises:
          RuntimeError: the collection has several; `arg_name` is what to give to the scaffold then.
        """
        graph = get_default_graph()
        found = graph.get_collection(collection_key)
        if len(found) > 1:
            raise RuntimeError(
                f'More than one item in the collection "{collection_key}". Please indicate which one to use by passing '
                f"it to the tf.Scaffold constructor as:  tf.Scaffold({arg_name}=item to use)"
            )
        if found:
            return found[0]
        made = default_constructor()
        if made is not None:
            graph.add_to_collection(collection_key, made)
        return made

    @staticmethod
    def default_local_init_op() -> Operation:
        """An operation that initialises local variables, tables and local resources."""
        return group(
            local_variables_initializer(),
            tables_initializer(),
            resources.initialize_resources(resources.local_resources()),
        )


def _default_init_op() -> Operation:
    return group(
        global_variables_initializer(),
        resources.initialize_resources(resources.shared_resources()),
    )


def _default_ready_op() -> Tensor:
    return concat([report_uninitialized_variables(), resources.report_uninitialized_resources()], 0)


def _default_ready_for_local_init_op() -> Tensor:
    return concat(
        [
            report_uninitialized_variables(global_variables()),
            resources.report_uninitialized_resources(resources.shared_resources()),
        ],
        0,
    )


def _saver_or_default() -> Saver:
    """The saver in the collection, else a new one, which is put there."""
    graph = get_default_graph()
    found = graph.get_collection(GraphKeys.SAVERS)
    if len(found) > 1:
        raise RuntimeError(
            f"More than one item in collection {GraphKeys.SAVERS}. Please indicate which one to use by passing it to "
            "the constructor."
        )
    if found:
        return found[0]
    saver = Saver(sharded=True, allow_empty=True)
    graph.add_to_collection(GraphKeys.SAVERS, saver)
    return saver
