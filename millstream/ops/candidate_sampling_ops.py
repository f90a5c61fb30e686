"""Drawing some classes of many: what `nce_loss` and `sampled_softmax_loss` compare the true classes with."""
from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from millstream.core import errors, shapes
from millstream.core.export import export
from millstream.core.opdef import OpDef, op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops import candidate_samplers as samplers
from millstream.ops.random_ops import seed_attrs

_ARGUMENTS = "num_true: int>=1, num_sampled: int>=1, unique: bool"
_SEEDS = "seed: int = 0, seed2: int = 0"
_OUTPUTS = "sampled_candidates: int64, true_expected_count: float, sampled_expected_count: float"
_BLOCKS_PER_SAMPLE = 512
_LOWEST = -np.finfo(np.float32).max  # what a logit gets added to drop out of a softmax

Sampled = tuple[Tensor, Tensor, Tensor]


# --- Operations -------------------------------------------------------------------------------------------------------


def _sampled_shapes(c: ShapeContext) -> list[Any]:
    batch, _ = shapes.with_rank(c.shape(0), 2)
    sampled = (c.attr("num_sampled"),)
    return [sampled, (batch, c.attr("num_true")), sampled]


def _candidate_sampler(name: str, extra: str = "range_max: int>=1, ", **flags: Any) -> Callable[..., OpDef]:
    """Declares a kernel of this family."""
    return op(
        f"{name}(true_classes: int64, *, {_ARGUMENTS}, {extra}{_SEEDS}) -> {_OUTPUTS}",
        shape=_sampled_shapes, stateful=True, host=True, **flags,
    )  # fmt: skip


def _draw(
    sampler: samplers.Sampler, true_classes: Any, num_true: int, num_sampled: int, unique: bool, stream: Any,
    seed: int, seed2: int,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """What a kernel gives for a sampler."""
    _check_true_classes(true_classes, num_true, sampler.range)
    key, counter = stream(seed, seed2, _BLOCKS_PER_SAMPLE * num_sampled)
    return samplers.draw(sampler, samplers.Draws(key, counter), num_sampled, unique, true_classes)


def _check_true_classes(true_classes: Any, num_true: int, range_: int) -> None:
    if true_classes.ndim != 2:
        raise ValueError("true_classes must be a matrix")
    if true_classes.shape[1] != num_true:
        raise ValueError(
            f"true_classes must have num_true columns, expected: {true_classes.shape[1]} was: {num_true}"
        )
    outside = true_classes[(true_classes < 0) | (true_classes >= range_)]
    if outside.size:
        raise ValueError(f"`true_candidate` out of range [0, {range_}), received {outside[0]}")


@_candidate_sampler("UniformCandidateSampler")
def uniform_op(xp, true_classes, *, num_true, num_sampled, unique, range_max, seed, seed2, stream):
    return _draw(samplers.uniform(range_max), true_classes, num_true, num_sampled, unique, stream, seed, seed2)


@_candidate_sampler("LogUniformCandidateSampler")
def log_uniform_op(xp, true_classes, *, num_true, num_sampled, unique, range_max, seed, seed2, stream):
    return _draw(samplers.log_uniform(range_max), true_classes, num_true, num_sampled, unique, stream, seed, seed2)


def _learned(name: str) -> OpDef:
    @_candidate_sampler(name)
    def kernel(
        xp, true_classes, *, num_true, num_sampled, unique, range_max, seed, seed2, stream, resource, node
    ):  # fmt: skip
        # The key says that it lasts as long as the random streams do.
        learned = resource(("random", name, node.name), lambda: samplers.Learned(range_max))
        drawn = _draw(learned.sampler(), true_classes, num_true, num_sampled, unique, stream, seed, seed2)
        learned.see(true_classes)
        return drawn

    return kernel


learned_unigram_op = _learned("LearnedUnigramCandidateSampler")
thread_unsafe_unigram_op = _learned("ThreadUnsafeUnigramCandidateSampler")


@_candidate_sampler(
    "FixedUnigramCandidateSampler",
    'range_max: int>=1, vocab_file: string = "", distortion: float = 1.0, num_reserved_ids: int = 0, '
    "num_shards: int>=1 = 1, shard: int>=0 = 0, unigrams: list(float) = [], ",
)
def fixed_unigram_op(
    xp, true_classes, *, num_true, num_sampled, unique, range_max, vocab_file, distortion, num_reserved_ids, num_shards,
    shard, unigrams, seed, seed2, stream, resource,
):  # fmt: skip
    description = (vocab_file, distortion, num_reserved_ids, num_shards, shard, unigrams)
    sampler = resource(("FixedUnigram", *description), lambda: _fixed_unigram(*description))
    if sampler.range != range_max:
        raise ValueError(f"range is {range_max} must be equal to weights size  {sampler.range}")
    return _draw(sampler, true_classes, num_true, num_sampled, unique, stream, seed, seed2)


def _fixed_unigram(vocab_file: str, distortion: float, num_reserved_ids: int, *rest: Any) -> samplers.Sampler:
    num_shards, shard, unigrams = rest
    if vocab_file and unigrams:
        raise ValueError("Must only provide one of vocab_file and unigrams.")
    if not vocab_file and not unigrams:
        raise ValueError("Must provide either vocab_file or unigrams.")
    if vocab_file:
        try:
            with open(vocab_file, encoding="utf-8") as file:
                unigrams = samplers.read_unigrams(file)
        except FileNotFoundError:
            raise errors.NotFoundError(None, None, f"{vocab_file}; No such file or directory") from None
    return samplers.weighted(
        samplers.unigram_weights(unigrams, distortion, num_reserved_ids, num_shards, shard)
    )


@_candidate_sampler("AllCandidateSampler", "")
def all_op(xp, true_classes, *, num_true, num_sampled):
    _check_true_classes(true_classes, num_true, num_sampled)
    return xp.arange(num_sampled), xp.ones(true_classes.shape, xp.float32), xp.ones(num_sampled, xp.float32)


def _hits_shapes(c: ShapeContext) -> list[Any]:
    true = shapes.with_rank(c.shape(0), 2)
    shapes.with_rank(c.shape(1), 1)
    if true[1] not in (None, c.attr("num_true")):
        raise ValueError(f"Dimension must be {c.attr('num_true')} but is {true[1]}")
    return [(None,), (None,), (None,)]


@op(
    f"ComputeAccidentalHits(true_classes: int64, sampled_candidates: int64, *, num_true: int, {_SEEDS})"
    " -> indices: int32, ids: int64, weights: float",
    shape=_hits_shapes, host=True,
)  # fmt: skip
def accidental_hits_op(xp, true_classes, sampled_candidates, *, num_true):
    if true_classes.ndim != 2 or true_classes.shape[1] != num_true:
        raise ValueError("true_candidates must be a batch_size * num_true matrix")
    if sampled_candidates.ndim != 1:
        raise ValueError("sampled_candidates must be a vector, which is typically an output from CandidateSampler")
    places: dict[Hashable, int] = {candidate: i for i, candidate in enumerate(sampled_candidates.tolist())}
    hits = [(row, places[id_]) for row, ids in enumerate(true_classes.tolist()) for id_ in ids if id_ in places]
    rows, found = xp.array(hits, xp.int64).reshape(-1, 2).T
    return rows.astype(xp.int32), found, xp.full(len(hits), _LOWEST, xp.float32)


for _definition in (
    uniform_op, log_uniform_op, learned_unigram_op, thread_unsafe_unigram_op, fixed_unigram_op, all_op,
    accidental_hits_op,
):  # fmt: skip
    _definition.no_gradient("classes are not differentiable")


# --- Endpoints --------------------------------------------------------------------------------------------------------


def _exported(name: str) -> Callable[[Any], Any]:
    return export(f"random.{name}", f"nn.{name}")


@export("random.uniform_candidate_sampler", v1=["nn.uniform_candidate_sampler"])
def uniform_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, seed: int | None = None,
    name: str | None = None,
) -> Sampled:  # fmt: skip
    """Draws classes of which all are equally likely.

    Args:
      true_classes: int64 [batch, num_true].
      num_true: how many true classes an example has.
      num_sampled: how many classes to draw, for all examples together.
      unique: whether a class is drawn at most once; then `num_sampled` must not exceed `range_max`.
      range_max: the number of classes.
      seed: with the global seed, makes the classes repeatable.
      name: the operation's name.

    Returns:
      (sampled_candidates int64 [num_sampled], true_expected_count float32 [batch, num_true], sampled_expected_count
      float32 [num_sampled]): the classes, and how often each class is expected among `num_sampled` drawn ones.

    Raises:
      InvalidArgumentError: more classes are to be drawn than there are, or a true class is out of range.
    """
    return uniform_op(
        true_classes, num_true=num_true, num_sampled=num_sampled, unique=unique, range_max=range_max,
        **seed_attrs(seed), name=name,
    )  # fmt: skip


@export("random.log_uniform_candidate_sampler", v1=["nn.log_uniform_candidate_sampler"])
def log_uniform_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, seed: int | None = None,
    name: str | None = None,
) -> Sampled:  # fmt: skip
    """Draws classes with P(class) = log((class + 2) / (class + 1)) / log(range_max + 1).

    That suits words numbered from the most frequent one on. See `tf.random.uniform_candidate_sampler` for arguments
    and results.
    """
    return log_uniform_op(
        true_classes, num_true=num_true, num_sampled=num_sampled, unique=unique, range_max=range_max,
        **seed_attrs(seed), name=name,
    )  # fmt: skip


@_exported("learned_unigram_candidate_sampler")
def learned_unigram_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, seed: int | None = None,
    name: str | None = None,
) -> Sampled:  # fmt: skip
    """Draws classes as often as they were true classes in earlier runs, plus one.

    See `tf.random.uniform_candidate_sampler` for arguments and results.
    """
    return learned_unigram_op(
        true_classes, num_true=num_true, num_sampled=num_sampled, unique=unique, range_max=range_max,
        **seed_attrs(seed), name=name,
    )  # fmt: skip


@_exported("fixed_unigram_candidate_sampler")
def fixed_unigram_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, vocab_file: str = "",
    distortion: float = 1.0, num_reserved_ids: int = 0, num_shards: int = 1, shard: int = 0,
    unigrams: Sequence[float] = (), seed: int | None = None, name: str | None = None,
) -> Sampled:  # fmt: skip
    """Draws classes with given weights.

    Args:
      true_classes, num_true, num_sampled, unique, range_max, seed, name: as for `uniform_candidate_sampler`.
      vocab_file: a file with a line for each class, of which the last column (after a comma) is the weight.
      distortion: the power that weights are raised to: 1 as they are, 0 all equal.
      num_reserved_ids: classes before the first weight, which are never drawn.
      num_shards, shard: draw only from classes with `class % num_shards == shard`.
      unigrams: the weights, in place of `vocab_file`.

    Raises:
      InvalidArgumentError: not one of `vocab_file` and `unigrams` is given, or `range_max` is not their number.
    """
    return fixed_unigram_op(
        true_classes, num_true=num_true, num_sampled=num_sampled, unique=unique, range_max=range_max,
        vocab_file=vocab_file, distortion=distortion, num_reserved_ids=num_reserved_ids, num_shards=num_shards,
        shard=shard, unigrams=list(unigrams), **seed_attrs(seed), name=name,
    )  # fmt: skip


@_exported("all_candidate_sampler")
def all_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, seed: int | None = None, name: str | None = None
) -> Sampled:
    """Gives all classes 0, …, `num_sampled` - 1, for tests: a sampled loss is the exact one then.

    See `tf.random.uniform_candidate_sampler` for arguments and results.
    """
    return all_op(
        true_classes, num_true=num_true, num_sampled=num_sampled, unique=unique, **seed_attrs(seed), name=name
    )


@export("nn.compute_accidental_hits")
def compute_accidental_hits(
    true_classes: Any, sampled_candidates: Any, num_true: int, seed: int | None = None, name: str | None = None
) -> Sampled:
    """Finds the drawn classes that are true ones, to keep them from counting as false ones.

    Args:
      true_classes: int64 [batch, num_true].
      sampled_candidates: int64 [num_sampled], from a candidate sampler.
      num_true: how many true classes an example has.
      seed, name: the operation's.

    Returns:
      (indices int32, ids int64, weights float32), one entry a hit: the example, the place in `sampled_candidates`,
      and the lowest float, which added to a logit takes the class out of a softmax.
    """
    return accidental_hits_op(
        true_classes, sampled_candidates, num_true=num_true, **seed_attrs(seed), name=name
    )  # fmt: skip
