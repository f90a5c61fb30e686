"""`tf.train.warm_start`: variables begin with the values of a checkpoint, also where a vocabulary has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from millstream.core.export import export
from millstream.core.log import tensorflow_logger
from millstream.core.variable_lists import global_variables, trainable_variables
from millstream.core.variables import Variable
from millstream.train.checkpoint_reader import checkpoint_prefix
from millstream.train.checkpoint_utils import init_from_checkpoint
from millstream.train.remapped_matrices import Axis, remapped_matrix
from millstream.train.saveables import saveables_of


class _VocabInfo(NamedTuple):
    new_vocab: str
    new_vocab_size: int
    num_oov_buckets: int
    old_vocab: str
    old_vocab_size: int = -1
    backup_initializer: Any = None
    axis: int = 0


@export(v1=["train.VocabInfo", "estimator.VocabInfo"])
class VocabInfo(_VocabInfo):
    """How a vocabulary has changed, for `tf.train.warm_start`.

    Args:
      new_vocab: the file of the new vocabulary, a word a line.
      new_vocab_size: how many of its words count.
      num_oov_buckets: how many rows follow in the variable for words that are not in it.
      old_vocab: the file of the vocabulary of the checkpoint.
      old_vocab_size: how many of its words count; -1: all.
      backup_initializer: gives the values for words that are new; default: zeros.
      axis: 0: the words are the rows of the variable; 1: its columns.

    Raises:
      ValueError: another axis.

    Example:
      >>> info = tf.train.VocabInfo("new.txt", 1000, num_oov_buckets=0, old_vocab="old.txt")
      >>> tf.train.warm_start("model", var_name_to_vocab_info={"embedding": info})
    """

    __slots__ = ()

    def __new__(
        cls,
        new_vocab: str,
        new_vocab_size: int,
        num_oov_buckets: int,
        old_vocab: str,
        old_vocab_size: int = -1,
        backup_initializer: Any = None,
        axis: int = 0,
    ) -> VocabInfo:
        if axis not in (0, 1):
            raise ValueError(f"The only supported values for the axis argument are 0 and 1.  Provided axis: {axis}")
        return super().__new__(
            cls, new_vocab, new_vocab_size, num_oov_buckets, old_vocab, old_vocab_size, backup_initializer, axis
        )


@export(v1=["train.warm_start"])
def warm_start(
    ckpt_to_initialize_from: str,
    vars_to_warm_start: str | Sequence[str] | Sequence[Variable] | None = ".*",
    var_name_to_vocab_info: Mapping[str, VocabInfo] | None = None,
    var_name_to_prev_var_name: Mapping[str, str] | None = None,
) -> None:
    """Makes the initializers of variables read their values from a checkpoint.

    Args:
      ckpt_to_initialize_from: the checkpoint's prefix, or a folder, of which the newest checkpoint is taken.
      vars_to_warm_start: which variables: a regular expression for the names of trainable ones (`re.match`); a list of
        such expressions for all global ones; a list of variables; None: trainable ones with a `VocabInfo` only.
      var_name_to_vocab_info: `VocabInfo`s by the names of variables, whose rows or columns belong to words.
      var_name_to_prev_var_name: the names that variables have in the checkpoint, where these are others.

    Raises:
      ValueError: the checkpoint lacks a variable, or has it in another shape; or a dictionary has the name of none.

    Example:
      >>> tf.train.warm_start("pretrained", vars_to_warm_start="encoder/")
      >>> sess.run(tf.global_variables_initializer())
    """
    vocabularies = dict(var_name_to_vocab_info or {})
    old_names = dict(var_name_to_prev_var_name or {})
    tensorflow_logger().info("Warm-starting from: %s", ckpt_to_initialize_from)
    grouped = _grouped(_chosen(vars_to_warm_start))
    prefix = checkpoint_prefix(ckpt_to_initialize_from)
    plain: dict[str, list[Variable] | Variable] = {}
    count = 0
    for name, parts in grouped.items():
        old_name = old_names.get(name, name)
        if name in vocabularies:
            for part in parts:
                _start_with_vocabulary(prefix, old_name, part, vocabularies[name])
        elif vars_to_warm_start is not None:
            plain[old_name] = parts if parts[0]._get_save_slice_info() is not None else parts[0]
        else:
            continue
        count += 1
    init_from_checkpoint(prefix, plain)
    tensorflow_logger().info("Warm-started %d variables.", count)
    _check_used("var_name_to_prev_var_name", old_names, grouped)
    _check_used("var_name_to_vocab_info", vocabularies, grouped)


def _chosen(which: Any) -> list[Variable]:
    """The variables that are meant."""
    if which is None or isinstance(which, str):
        tensorflow_logger().info("Warm-starting variables only in TRAINABLE_VARIABLES.")
        return trainable_variables(which)
    if not isinstance(which, list):
        raise ValueError(f"`vars_to_warm_start must be a `list` or `str`.  Given type is {type(which)}")
    if all(isinstance(item, str) for item in which):
        return [variable for pattern in which for variable in global_variables(pattern)]
    if all(isinstance(item, Variable) for item in which):
        return list(which)
    raise ValueError(
        "If `vars_to_warm_start` is a list, it must be all `Variable` or all `str`.  Given types are "
        f"{[type(item) for item in which]}"
    )


def _grouped(variables: Sequence[Variable]) -> dict[str, list[Variable]]:
    """Variables by name; those that are parts of one together."""
    groups: dict[str, list[Variable]] = {}
    for variable in variables:
        info = variable._get_save_slice_info()
        parts = groups.setdefault(variable.op.name if info is None else str(info.full_name), [])
        if not any(part is variable for part in parts):
            parts.append(variable)
    return groups


def _start_with_vocabulary(prefix: str, old_name: str, variable: Variable, info: VocabInfo) -> None:
    """Makes the initializer of a variable, or of a part of one, take over the rows or columns of known words."""
    slice_info = variable._get_save_slice_info()
    height, width = (int(size) for size in (variable.shape if slice_info is None else slice_info.full_shape))
    words = Axis(info.new_vocab_size, info.num_oov_buckets, info.new_vocab, info.old_vocab, info.old_vocab_size)
    rows, columns = (words, Axis(width)) if info.axis == 0 else (Axis(height), words)
    shape = tuple(int(size) for size in variable.shape)
    first_row = 0 if slice_info is None else int(slice_info.var_offset[0])
    value = remapped_matrix(prefix, old_name, rows, columns, info.backup_initializer, shape, first_row)
    (saveable,) = saveables_of({old_name: variable if slice_info is None else [variable]})
    restored = saveable.restore([value], None)
    variable._initializer_op = getattr(restored, "op", restored)
    variable._initial_value = value


def _check_used(argument: str, names: Mapping[str, Any], grouped: Mapping[str, Any]) -> None:
    unused = set(names) - set(grouped)
    if unused:
        raise ValueError(
            f"You provided the following variables in {argument} that were not used: {unused}.  Perhaps you misspelled "
            f"them?  Here is the list of viable variable names: {grouped.keys()}"
        )


class _WarmStartSettings(NamedTuple):
    ckpt_to_initialize_from: str
    vars_to_warm_start: Any = ".*"
    var_name_to_vocab_info: Mapping[str, VocabInfo] | None = None
    var_name_to_prev_var_name: Mapping[str, str] | None = None


@export(v1=["estimator.WarmStartSettings"])
class WarmStartSettings(_WarmStartSettings):
    """The arguments of `tf.train.warm_start` as one value.

    Raises:
      ValueError: there is no checkpoint.
    """

    __slots__ = ()

    def __new__(
        cls,
        ckpt_to_initialize_from: str,
        vars_to_warm_start: Any = ".*",
        var_name_to_vocab_info: Mapping[str, VocabInfo] | None = None,
        var_name_to_prev_var_name: Mapping[str, str] | None = None,
    ) -> WarmStartSettings:
        if not ckpt_to_initialize_from:
            raise ValueError("`ckpt_to_initialize_from` MUST be set in WarmStartSettings")
        return super().__new__(
            cls,
            ckpt_to_initialize_from,
            vars_to_warm_start,
            var_name_to_vocab_info or {},
            var_name_to_prev_var_name or {},
        )
