"""`tf.random.Generator`: random numbers from a state that the program holds in a variable."""
from __future__ import annotations

import threading
from typing import Any

import numpy as np

from millstream.core import context, dtypes, shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import OpDef
from millstream.core.scopes import init_scope, name_scope
from millstream.core.tensor import Tensor
from millstream.core.trackable import AutoTrackable
from millstream.core.variables import Variable
from millstream.ops import random_generator_ops as definitions
from millstream.ops.random_algorithms import algorithm_id
from millstream.ops.random_ops import scaled, shape_tensor, uniform_between
from millstream.ops.stateless_random_ops import PHILOX, THREEFRY

_STATE_SIZE = {THREEFRY: 2}  # of other algorithms: STATE_SIZE


def _state_size(alg: Any) -> int:
    return _STATE_SIZE.get(alg, definitions.STATE_SIZE)


@export(v1=["random.experimental.create_rng_state"])
def create_rng_state(seed: Any, algorithm: Any) -> Any:
    """The state of a generator from a seed, as a NumPy array; see `tf.random.Generator.from_seed`."""
    return _state_from_seed(seed, algorithm_id(algorithm))


@export(v2=["random.create_rng_state", "random.experimental.create_rng_state"])
def create_rng_state_v2(seed: Any, alg: Any) -> Tensor:
    """The state of a generator from a seed: an int64 vector, as `tf.random.Generator.from_state` takes it.

    Args:
      seed: an integer or a vector of integers.
      alg: the generator, see `tf.random.Algorithm`.
    """
    return to_tensor(_state_from_seed(seed, algorithm_id(alg)))


def _state_from_seed(seed: Any, alg: Any) -> Any:
    """The bits of a Python integer, the lowest first; or the numbers of anything else, after zeros."""
    size = _state_size(alg)
    if isinstance(seed, int):
        return np.array([_signed(seed >> 64 * i) for i in range(size)], np.int64)
    if isinstance(seed, Tensor):
        return _padded(seed, size)
    numbers = [_signed(int(number)) for number in np.asarray(seed, object).reshape(-1)[:size]]
    return np.array([0] * (size - len(numbers)) + numbers, np.int64)


def _padded(seed: Tensor, size: int) -> Tensor:
    from millstream.ops import arithmetic_ops, fill_ops, join_ops, math_ops, reshape_ops, shape_ops

    numbers = reshape_ops.reshape(math_ops.cast(seed, dtypes.int64), [-1])[:size]
    missing = arithmetic_ops.maximum(size - shape_ops.size(numbers), 0)
    state = join_ops.concat([fill_ops.zeros([missing], dtypes.int64), numbers], axis=0)
    state.set_shape([size])
    return state


def _signed(number: int) -> int:
    """The lowest 64 bits as a signed number."""
    return (number + 2**63) % 2**64 - 2**63


def _int64(value: Any) -> Any:
    """Numbers as int64, those from 2^63 on wrapped."""
    from millstream.ops.math_ops import cast

    if isinstance(value, (Tensor, Variable)):
        return cast(value, dtypes.int64)
    if isinstance(value, (int, list, tuple)):
        numbers = np.asarray(value, object)
        return np.array([_signed(int(number)) for number in numbers.flat], np.int64).reshape(numbers.shape)
    return np.asarray(value).astype(np.int64)


def _check_shape(value: Any, wanted: tuple[int, ...]) -> None:
    found = value._shape if isinstance(value, (Tensor, Variable)) else value.shape
    if not shapes.is_compatible(found, wanted):
        raise ValueError(f"Shapes {shapes.TensorShape(found)} and {list(wanted)} are incompatible")


def _from_key_counter(key: Any, counter: Any, alg: Any) -> Tensor:
    from millstream.ops import join_ops, reshape_ops

    key, counter = _int64(key), _int64(counter)
    _check_shape(key, ())
    _check_shape(counter, (_state_size(alg) - 1,))
    counter, key = to_tensor(counter), to_tensor(key)
    return join_ops.concat([counter, reshape_ops.reshape(key, [1])], axis=0)


@export("random.experimental.Generator", v2=["random.Generator"])
class Generator(AutoTrackable):
    """A random number generator whose state is a variable, which each call moves on.

    Args:
      copy_from: a generator to copy.
      state: without it, the state: an int64 vector, see `create_rng_state`.
      alg: with `state`, the algorithm; see `tf.random.Algorithm`.

    Raises:
      ValueError: neither or both of a generator and a state are given, or the state has a wrong shape.

    Example:
      >>> g = tf.random.Generator.from_seed(1)
      >>> g.normal([2])        # 0.43842274, -0.53439844
      >>> g.normal([2])        # others
    """

    def __init__(self, copy_from: Generator | None = None, state: Any = None, alg: Any = None) -> None:
        if copy_from is not None:
            if state is not None or alg is not None:
                raise ValueError("A Generator takes either `copy_from` or `state` and `alg`, not both.")
            state, alg = copy_from.state, copy_from.algorithm
        elif state is None or alg is None:
            raise ValueError("A Generator needs `state` and `alg`, or `copy_from`. See `Generator.from_seed`.")
        self._alg = algorithm_id(alg)
        state = _int64(state)
        _check_shape(state, (_state_size(self._alg),))
        if isinstance(state, np.ndarray):
            state = to_tensor(state)
        name = "StateVar" if context.eager_by_default() else None
        self._state_var = Variable(state, trainable=False, dtype=dtypes.int64, name=name)

    @classmethod
    def from_state(cls, state: Any, alg: Any) -> Generator:
        """A generator with this state (an int64 vector, see `create_rng_state`) and algorithm."""
        return cls(state=state, alg=alg)

    @classmethod
    def from_seed(cls, seed: Any, alg: Any = None) -> Generator:
        """A generator whose numbers follow from a seed, an integer or a vector of integers; by default Philox."""
        alg = PHILOX if alg is None else algorithm_id(alg)
        return cls(state=_state_from_seed(seed, alg), alg=alg)

    @classmethod
    def from_non_deterministic_state(cls, alg: Any = None) -> Generator:
        """A generator that gives other numbers in each program."""
        alg = PHILOX if alg is None else algorithm_id(alg)
        state = definitions.non_deterministic_ints_op(np.array([_state_size(alg)]), dtype=dtypes.int64)
        return cls(state=state, alg=alg)

    @classmethod
    def from_key_counter(cls, key: Any, counter: Any, alg: Any) -> Generator:
        """A generator with this key, a scalar, and counter: a vector, of length 2 for Philox."""
        alg = algorithm_id(alg)
        return cls(state=_from_key_counter(key, counter, alg), alg=alg)

    # --- The state ----------------------------------------------------------------------------------------------

    @property
    def state(self) -> Any:
        """The variable with the state: a counter, then the key."""
        return self._state_var

    @property
    def algorithm(self) -> Any:
        """The number of the algorithm, see `tf.random.Algorithm`."""
        return self._alg

    @property
    def key(self) -> Tensor:
        """The key, an int64 scalar."""
        return self._state_var[-1]

    def reset(self, state: Any) -> None:
        """Replaces the state by an int64 vector."""
        state = _int64(state)
        _check_shape(state, (_state_size(self._alg),))
        self._state_var.assign(state)

    def reset_from_seed(self, seed: Any) -> None:
        """Replaces the state by that of `from_seed`."""
        self.reset(_state_from_seed(seed, self._alg))

    def reset_from_key_counter(self, key: Any, counter: Any) -> None:
        """Replaces the state by a key, a scalar, and a counter, a vector."""
        self.reset(_from_key_counter(key, counter, self._alg))

    def skip(self, delta: Any) -> Tensor:
        """Moves on as far as drawing `delta` numbers would; gives the state of before."""
        from millstream.ops.math_ops import cast

        steps = cast(delta, dtypes.uint64)
        return definitions.rng_read_and_skip_op(self._state_var.handle, self._alg, steps)

    def make_seeds(self, count: Any = 1) -> Tensor:
        """Seeds for stateless functions: int64 of shape [2, count], one in each column."""
        from millstream.ops import fill_ops, join_ops

        keys = self.uniform_full_int([count], dtypes.int64)
        return join_ops.stack([keys, fill_ops.zeros_like(keys)])

    def split(self, count: int = 1) -> list[Generator]:
        """Independent generators, which start from numbers that this one draws."""
        keys = self.uniform_full_int([count], dtypes.int64)
        counter = np.zeros(_state_size(self._alg) - 1, np.int64)
        return [Generator.from_key_counter(keys[i], counter, self._alg) for i in range(int(count))]

    # --- Numbers ------------------------------------------------------------------------------------------------

    def _draw(self, definition: OpDef, *inputs: Any, **options: Any) -> Tensor:
        return definition(self._state_var.handle, self._alg, *inputs, **options)

    def normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = dtypes.float32, name: str | None = None
    ) -> Tensor:
        """Normal numbers; arguments as for `tf.random.normal`."""
        return scaled(
            lambda dims: self._draw(definitions.standard_normal_op, dims, dtype=dtypes.as_dtype(dtype)),
            "stateful_normal", shape, mean, stddev, dtype, name,
        )  # fmt: skip

    def truncated_normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = dtypes.float32, name: str | None = None
    ) -> Tensor:
        """Normal numbers at most two deviations from the mean; arguments as for `tf.random.truncated_normal`."""
        return scaled(
            lambda dims: self._draw(definitions.truncated_normal_op, dims, dtype=dtypes.as_dtype(dtype)),
            "truncated_normal", shape, mean, stddev, dtype, name,
        )  # fmt: skip

    def uniform(
        self, shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = dtypes.float32, name: str | None = None
    ) -> Tensor:
        """Uniform numbers in [minval, maxval); arguments as for `tf.random.uniform`.

        For integers both bounds can be None: then all values of the dtype are drawn.

        Raises:
          ValueError: for integers, only one of the bounds is None.
        """
        wanted = dtypes.as_dtype(dtype)
        if wanted.is_integer:
            if (minval is None) != (maxval is None):
                raise ValueError(
                    f"For integer dtype {wanted}, minval and maxval must be both `None` or both non-`None`; "
                    f"got minval={minval} and maxval={maxval}"
                )
            if minval is None:
                return self._full_int(shape, wanted, name, "stateful_uniform")
        return uniform_between(
            lambda *inputs, **options: self._draw(definitions.uniform_op, *inputs, **options),
            lambda *inputs, **options: self._draw(definitions.uniform_int_op, *inputs, **options),
            "stateful_uniform", shape, minval, maxval, wanted, name,
        )  # fmt: skip

    def uniform_full_int(self, shape: Any, dtype: Any = dtypes.uint64, name: str | None = None) -> Tensor:
        """Integers of which all are equally likely.

        Args:
          shape: the result's shape.
          dtype: int32, int64, uint32 or uint64.
          name: the name scope.
        """
        return self._full_int(shape, dtype, name, "stateful_uniform_full_int")

    def _full_int(self, shape: Any, dtype: Any, name: str | None, default_name: str) -> Tensor:
        with name_scope(name, default_name, [shape]) as scope:
            dims = shape_tensor(shape)
            return self._draw(definitions.full_int_op, dims, dtype=dtypes.as_dtype(dtype), name=scope)

    def binomial(
        self, shape: Any, counts: Any, probs: Any, dtype: Any = dtypes.int32, name: str | None = None
    ) -> Tensor:
        """Numbers of successes; arguments as for `tf.random.stateless_binomial`."""
        with name_scope(name, "binomial", [shape, counts, probs]) as scope:
            counts = to_tensor(counts, name="counts")
            probs = to_tensor(probs, name="probs")
            dims = shape_tensor(shape)
            return self._draw(
                definitions.binomial_op, dims, counts, probs, dtype=dtypes.as_dtype(dtype), name=scope
            )


_global_generator: Generator | None = None
_lock = threading.Lock()


@export("random.experimental.get_global_generator", v2=["random.get_global_generator"])
def get_global_generator() -> Generator:
    """The generator of the process: that of `set_global_generator`, or one with a state from the system."""
    global _global_generator
    with _lock:
        if _global_generator is None:
            with init_scope():
                _global_generator = Generator.from_non_deterministic_state()
        return _global_generator


@export("random.experimental.set_global_generator", v2=["random.set_global_generator"])
def set_global_generator(generator: Generator) -> None:
    """Makes a generator that of the process. Functions that were traced before go on with the old one."""
    global _global_generator
    _global_generator = generator
