"""`Session`: runs parts of a graph."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from millstream.core import errors, nest, session_stack, shapes
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.log import millstream_logger
from millstream.core.opdef import DEAD
from millstream.core.tensor import Tensor
from millstream.runtime import devices, feeds, host
from millstream.runtime.fetches import FetchMap, cache_key, expand_feeds
from millstream.runtime.file_names import check_file_names, users_of_files
from millstream.runtime.interpreter import renewed
from millstream.runtime.lowering import flattened
from millstream.runtime.plan import Plan, make_plan
from millstream.runtime.state import Overlay, State
from millstream.runtime.trace import RunTrace
from millstream.runtime.variables import uninitialized


class _Runner:
    """A plan in one session: feeds in, values of the fetched tensors out."""

    def __init__(self, plan: Plan, fed: list[Tensor], state: State) -> None:
        self._plan = plan
        self._fed = fed
        self._state = state
        self._steps = [host.ready(step, state) for step in plan.steps]
        self._converters = [feeds.converter_for(tensor) for tensor in fed]
        self._final = plan.final_reads
        written = {handle for step in plan.steps for handle in step.writes}
        self._needed = [(tensor, handle) for tensor, handle in self._final.items() if handle and handle not in written]

    def run(self, fed_values: list[Any], trace: RunTrace | None = None, timeout: float | None = None) -> list[Any]:
        """Runs the plan.

        Args:
          fed_values: one value for each fed tensor.
          trace: records the times of the steps.
          timeout: the seconds that it may wait for queues.

        Raises:
          OpError, TypeError, ValueError: something failed; no variable was changed.
        """
        values: dict[Tensor, Any] = {
            tensor: convert(value)
            for tensor, convert, value in zip(self._fed, self._converters, fed_values, strict=True)
        }
        state = self._state
        with state.lock:
            for tensor, handle in self._needed:  # known beforehand, so that a run that fails has changed nothing
                if state.values.get(handle.key) is None:
                    raise uninitialized(handle, tensor.op)
            overlay = Overlay(state.values, None if timeout is None else time.monotonic() + timeout)
            for step in self._steps:
                if trace is None:
                    step.run(values, overlay)
                else:
                    with trace.step(step.stage):
                        step.run(values, overlay)
            state.commit(overlay)
            final = {
                tensor: self._final_value(tensor, handle, overlay, values.get(tensor))
                for tensor, handle in self._final.items()
                if values.get(tensor) is not DEAD
            }
        results = [
            final[tensor] if tensor in final else self._value(tensor, values) for tensor in self._plan.fetches
        ]
        for pending in overlay.pending:  # from here on the caller may overwrite what he fed
            pending.block_until_ready()
        return results

    @staticmethod
    def _final_value(tensor: Tensor, handle: Any, overlay: Overlay, before: Any) -> Any:
        """A fetched variable, copied while no other run can take its array over; `before`: what was read of it."""
        value = overlay.get(handle.key)
        if value is None:
            raise uninitialized(handle, tensor.op)
        return feeds.to_user(value if before is None else renewed(before, value), tensor)

    @staticmethod
    def _value(tensor: Tensor, values: dict[Tensor, Any]) -> Any:
        if tensor not in values:
            message = f"Cannot fetch {tensor.name}: it is a handle, not a value. Of a variable fetch what reads it."
            raise errors.InvalidArgumentError(None, tensor.op, message)
        value = values[tensor]
        if value is DEAD:
            raise errors.InvalidArgumentError(
                None, tensor.op, f"Retval[0] does not have value: {tensor.name} is on the branch that was not taken."
            )
        return feeds.to_user(value, tensor)


class BaseSession:
    """What `Session` and `InteractiveSession` share."""

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        if graph is not None and not isinstance(graph, Graph):
            raise TypeError(f"graph must be a tf.Graph, but got {type(graph)}")
        if isinstance(target, bytes):
            target = target.decode()
        if not isinstance(target, str):
            raise TypeError(f"target must be a string, but got {type(target)}")
        if target not in ("", "local"):
            raise errors.UnimplementedError(
                None, None, f"Sessions on a remote target ({target!r}) are not supported; leave the target empty."
            )
        if config is not None and type(config).__name__ != "ConfigProto":
            raise TypeError(f"config must be a tf.ConfigProto, but got {type(config)}")
        self._graph = get_default_graph() if graph is None else graph
        self._target = target
        self._config = config
        self._closed = False
        if config is not None:
            from millstream.runtime import device_settings

            device_settings.take_config(config)
        milliseconds = config.operation_timeout_in_ms if config is not None else 0
        self._timeout = milliseconds / 1000 if milliseconds > 0 else None
        self._state = State()
        self._lock = threading.Lock()
        self._runners: dict[Any, tuple[FetchMap, _Runner]] = {}
        soft = bool(config is not None and config.allow_soft_placement)
        self._placer = devices.Placer(soft, bool(config is not None and config.log_device_placement))
        self._compiled: dict[Any, _Runner] = {}

    @property
    def graph(self) -> Graph:
        """The graph that this session runs."""
        return self._graph

    @property
    def graph_def(self) -> Any:
        """The graph as a `GraphDef` protocol buffer."""
        return self._graph.as_graph_def()

    @property
    def sess_str(self) -> bytes:
        """The target."""
        return self._target.encode()

    def list_devices(self) -> list[devices.DeviceAttributes]:
        """The devices of this session."""
        return devices.list_devices()

    def close(self) -> None:
        """Frees the variables and queues. A closed session cannot run; runs that wait for a queue are cancelled."""
        self._closed = True
        self._runners.clear()
        self._state.close()

    def as_default(self) -> AbstractContextManager[Any]:
        """Makes this the default session within a `with` block; does not close it."""
        return session_stack.default_session(self)

    # --- Running ----------------------------------------------------------------------------------------------------

    def run(
        self, fetches: Any, feed_dict: Mapping[Any, Any] | None = None, options: Any = None, run_metadata: Any = None
    ) -> Any:
        """Runs what `fetches` needs, and gives the values.

        Args:
          fetches: a tensor, operation, variable or name, or a nested list, tuple, dict or named tuple of these. Values
            come back in the same structure: NumPy arrays (scalars for rank 0), None for operations.
          feed_dict: values for tensors, usually placeholders; converted to the tensor's dtype.
          options: a `RunOptions`; `trace_level=FULL_TRACE` fills `run_metadata`, `timeout_in_ms` ends what waits.
          run_metadata: a `RunMetadata` that receives the times of the run's stages.

        Raises:
          RuntimeError: the session is closed, or the graph is empty.
          TypeError, ValueError: a fetch or a feed does not suit the graph.
          OpError: an operation failed; variables are as they were before.

        Example:
          >>> x = tf.placeholder(tf.float32, [2])
          >>> with tf.Session() as sess:
          ...   sess.run(x + 1., {x: [1., 2.]})
          array([2., 3.], dtype=float32)
        """
        graph = self._graph
        try:
            fed = feed_dict.keys() if feed_dict else ()
            key = (cache_key(fetches), graph._structure_version, *fed)
            found = self._runners.get(key)
        except (TypeError, AttributeError):  # something that cannot be hashed, or is no feed dictionary
            found = None
        if found is not None:
            fetch_map, runner = found
            values = list(feed_dict.values()) if feed_dict else []
        else:
            fetch_map, runner, values = self._prepare(fetches, feed_dict or {})
        if run_metadata is None and options is None:
            return fetch_map.rebuild(runner.run(values, timeout=self._timeout))
        return fetch_map.rebuild(self._run_traced(runner, values, options, run_metadata))

    def _prepare(self, fetches: Any, feed_dict: Mapping[Any, Any]) -> tuple[FetchMap, _Runner, list[Any]]:
        """Plans a run that is not in the cache; gives the fed values in the plan's order."""
        if self._closed:
            raise RuntimeError("Attempted to use a closed Session.")
        graph = self._graph
        if graph.version == 0:
            raise RuntimeError("The Session graph is empty.  Add operations to the graph before calling run().")
        if not isinstance(feed_dict, Mapping):
            raise TypeError(f"input must be a dictionary. feed_dict maps tensors to values, received {feed_dict!r}.")
        pairs = expand_feeds(feed_dict)
        tensors = [feeds.feed_tensor(graph, key) for key, _ in pairs]
        if len(set(tensors)) != len(tensors):
            raise ValueError("A tensor is fed twice: " + ", ".join(tensor.name for tensor in tensors))
        version = graph._structure_version  # new operations do not change what a plan needs
        fetch_map = FetchMap(graph, fetches)
        runner = self._runner(fetch_map, tensors, version)
        if len(pairs) == len(feed_dict) and not any(map(nest.is_nested, feed_dict)):
            try:
                key = (cache_key(fetches), version, *feed_dict)
                with self._lock:
                    self._runners[key] = (fetch_map, runner)
            except TypeError:
                pass  # something that cannot be hashed: planned anew each time
        return fetch_map, runner, [value for _, value in pairs]

    def _runner(self, fetch_map: FetchMap, fed: list[Tensor], version: int) -> _Runner:
        key = (tuple(fetch_map.tensors), tuple(fetch_map.targets), tuple(fed), version)
        with self._lock:
            found = self._compiled.get(key)
            if found is None:
                part = flattened(self._graph, fetch_map.tensors, fetch_map.targets, fed)
                plan = make_plan(part.graph, part.fetches, part.targets, part.fed, self._placer)
                _check_fed(plan)
                check_file_names(users_of_files(plan.steps), frozenset(part.fed))
                found = self._compiled[key] = _Runner(plan, part.fed, self._state)
        return found

    def _run_traced(self, runner: _Runner, fed_values: list[Any], options: Any, run_metadata: Any) -> list[Any]:
        milliseconds = options.timeout_in_ms if options is not None else 0
        timeout = milliseconds / 1000 if milliseconds > 0 else self._timeout
        if run_metadata is not None:
            run_metadata.Clear()
        wanted = options is not None and options.trace_level > 0 and run_metadata is not None
        if not wanted:
            return runner.run(fed_values, timeout=timeout)
        trace = RunTrace(time.time())
        try:
            return runner.run(fed_values, trace, timeout)
        finally:
            trace.write(run_metadata)

    def make_callable(
        self, fetches: Any, feed_list: list[Any] | None = None, accept_options: bool = False
    ) -> Callable[..., Any]:
        """A function that runs `fetches`, with the values of `feed_list` as positional arguments.

        Args:
          fetches: as for `run`.
          feed_list: the tensors to feed.
          accept_options: the function takes keyword arguments `options` and `run_metadata`.
        """
        if feed_list is not None and not isinstance(feed_list, (list, tuple)):
            raise TypeError("`feed_list` must be a list or tuple.")
        fed = [feeds.feed_tensor(self._graph, key) for key in feed_list or ()]
        fetch_map = FetchMap(self._graph, fetches)
        runner = self._runner(fetch_map, fed, self._graph._structure_version)

        def call(*args: Any, options: Any = None, run_metadata: Any = None) -> Any:
            if self._closed:
                raise RuntimeError("Attempted to use a closed Session.")
            if len(args) != len(fed):
                raise TypeError(f"Expected {len(fed)} arguments, got {len(args)}.")
            return fetch_map.rebuild(self._run_traced(runner, list(args), options, run_metadata))

        if accept_options:
            return call
        return lambda *args: call(*args)

    def partial_run_setup(self, fetches: Any, feeds: Any = None) -> Any:
        """Not supported: run the parts with `run`, feeding what the first gave to the second."""
        raise NotImplementedError("Session.partial_run is not supported; call Session.run for each part.")

    partial_run = partial_run_setup


def _check_fed(plan: Plan) -> None:
    """Refuses a plan that needs a placeholder which is not fed."""
    for step in plan.steps:
        for op in step.ops:
            if op.definition.must_be_fed:
                tensor = op.outputs[0]
                shape = tensor._shape
                shown = "" if shape is None else f" and shape {shapes.format_shape(shape)}"
                sentence = (
                    f"You must feed a value for placeholder tensor '{op.name}' with dtype "
                    f"{tensor.dtype.short_name}{shown}\n\t [[node {op.name}]]"
                )
                message = errors.format_message(
                    sentence, defined_at=op.defined_at, hint="Pass it in `feed_dict` of Session.run."
                )
                raise errors.InvalidArgumentError(None, op, message)


@export(v1=["Session"])
class Session(BaseSession):
    """Runs operations of a graph and holds the values of its variables.

    Args:
      target: the execution engine; only this process (`""`).
      graph: the graph; default: the default graph.
      config: a `ConfigProto`. `allow_soft_placement`, `log_device_placement` and `operation_timeout_in_ms` hold for
        this session; the numbers of threads, `device_count` and `gpu_options` hold for the process, where they come
        before its first operation.

    As a context manager it is the default session and its graph the default graph; it closes at the end.

    Example:
      >>> with tf.Session() as sess:
      ...   sess.run(tf.constant(1) + 2)
      3
    """

    _graph_context: AbstractContextManager[Graph] | None = None

    def __enter__(self) -> Session:
        if self._graph_context is not None:
            raise RuntimeError(
                "Session context managers are not re-entrant. Use `Session.as_default()` if you want to enter a "
                "session multiple times."
            )
        self._graph_context = self._graph.as_default()
        self._graph_context.__enter__()
        session_stack.push(self)
        return self

    def __exit__(self, *error: Any) -> None:
        session_stack.remove(self)
        context, self._graph_context = self._graph_context, None
        if context is not None:
            context.__exit__(*error)
        self.close()

    @staticmethod
    def reset(target: str, containers: Any = None, config: Any = None) -> None:
        """Clears the variables of a remote target; sessions of this process hold their own."""


@export(v1=["InteractiveSession"])
class InteractiveSession(BaseSession):
    """A session that is the default one from its construction until `close`.

    Example:
      >>> sess = tf.InteractiveSession()
      >>> (tf.constant(5.0) * 6.0).eval()
      30.0
      >>> sess.close()
    """

    _active = 0
    _count_lock = threading.Lock()

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        super().__init__(target, graph, config)
        with InteractiveSession._count_lock:
            if InteractiveSession._active > 0:
                millstream_logger().warning(
                    "An interactive session is already active. This can cause out-of-memory errors in some cases. "
                    "You must explicitly call `InteractiveSession.close()` to release resources held by the other "
                    "session(s)."
                )
            InteractiveSession._active += 1
        self._graph_context = None
        if graph is not None:
            self._graph_context = graph.as_default()
            self._graph_context.__enter__()
        session_stack.push(self)

    def close(self) -> None:
        """Frees the variables; the session is no longer the default one."""
        if not self._closed:
            with InteractiveSession._count_lock:
                InteractiveSession._active -= 1
            session_stack.remove(self)
            if self._graph_context is not None:
                self._graph_context.__exit__(None, None, None)
        super().close()


