"""What all layers of `tf.contrib.layers` share: their scopes, the names of their variables, and collections."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from millstream.contrib.framework.variables import model_variable
from millstream.core.partitioned_variable import PartitionedVariable
from millstream.core.scopes import add_to_collections, get_collection_ref
from millstream.core.variable_scope import variable_scope
from millstream.core.variable_settings import VariableAggregation, VariableSynchronization

Activation = Callable[[Any], Any] | None
Normalizer = Callable[..., Any] | None
Collections = Any  # one name, several names, or a mapping from kinds of variables to names

# --- Scopes ---------------------------------------------------------------------------------------------------------


def layer_scope(
    scope: Any, default_name: str, inputs: Any, reuse: Any, names: Mapping[str, str] | None = None
) -> variable_scope:
    """The variable scope of a layer, in which `tf.layers` makes variables of models.

    Args:
      scope: the user's name or scope; None: `default_name`, with a number where that is taken.
      default_name: the layer's name.
      inputs: the layer's inputs.
      reuse: whether the variables exist.
      names: how variables are called here: {"kernel": "weights"}; others keep their names.
    """
    getter = partial(_get_model_variable, names or {})
    return variable_scope(scope, default_name, [inputs], reuse=reuse, custom_getter=getter)


def _get_model_variable(
    names: Mapping[str, str],
    getter: Callable[..., Any],
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool | None = True,
    collections: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    use_resource: bool | None = None,
    synchronization: VariableSynchronization = VariableSynchronization.AUTO,
    aggregation: VariableAggregation = VariableAggregation.NONE,
    **_: Any,
) -> Any:
    """The custom getter of a layer's scope."""
    prefix, slash, leaf = name.rpartition("/")
    return model_variable(
        f"{prefix}{slash}{names.get(leaf, leaf)}",
        shape=shape,
        dtype=dtype,
        initializer=initializer,
        regularizer=regularizer,
        trainable=trainable,
        collections=collections,
        caching_device=caching_device,
        partitioner=partitioner,
        custom_getter=getter,
        use_resource=use_resource,
        synchronization=synchronization,
        aggregation=aggregation,
    )


# --- Collections ----------------------------------------------------------------------------------------------------


def collections_of(collections: Collections, kind: str) -> list[str]:
    """The collections for one kind of a layer's variables, such as "weights"."""
    wanted = collections.get(kind) if isinstance(collections, Mapping) else collections
    return [wanted] if isinstance(wanted, str) else list(wanted or ())


def collect_variable(variable: Any, collections: Collections, kind: str) -> None:
    """Adds a layer's variable, or the parts of one, to the collections for its kind; None is no variable."""
    if variable is None:
        return
    for part in variable if isinstance(variable, PartitionedVariable) else (variable,):
        add_to_collections(collections_of(collections, kind), part)


def collect_named_outputs(collections: Any, alias: str, outputs: Any) -> Any:
    """Adds a layer's outputs to collections, under the name of the layer, if there are any collections."""
    if collections:
        append_tensor_alias(outputs, alias)
        add_to_collections(collections, outputs)
    return outputs


def append_tensor_alias(tensor: Any, alias: str) -> Any:
    """Gives a tensor a further name by which `convert_collection_to_dict` calls it."""
    tensor.aliases = [*getattr(tensor, "aliases", ()), alias.rstrip("/")]
    return tensor


def gather_tensors_aliases(tensors: Iterable[Any]) -> list[str]:
    """All names of some tensors, in order."""
    return [alias for tensor in tensors for alias in get_tensor_aliases(tensor)]


def get_tensor_aliases(tensor: Any) -> list[str]:
    """The names that a tensor was given; where there are none its own, without the number of the output."""
    if hasattr(tensor, "aliases"):
        return tensor.aliases
    name = tensor.name.removesuffix(":0")
    return [name.replace(":", "_")]


def convert_collection_to_dict(collection: str, clear_collection: bool = False) -> dict[str, Any]:
    """The tensors of a collection by their names.

    Args:
      collection: its name.
      clear_collection: whether it is emptied.

    Example:
      >>> net = tf.contrib.layers.conv2d(images, 8, 3, outputs_collections="end_points")
      >>> convert_collection_to_dict("end_points")["Conv"]
    """
    there = get_collection_ref(collection)
    found = {alias: tensor for tensor in there for alias in get_tensor_aliases(tensor)}
    if clear_collection:
        there.clear()
    return found


# --- The end of a layer ---------------------------------------------------------------------------------------------


def finished(
    outputs: Any,
    activation_fn: Activation,
    collections: Any,
    alias: str,
    normalizer_fn: Normalizer = None,
    normalizer_params: Mapping[str, Any] | None = None,
) -> Any:
    """What a layer gives: its outputs normalised, through the activation, and collected."""
    if normalizer_fn is not None:
        outputs = normalizer_fn(outputs, **(normalizer_params or {}))
    if activation_fn is not None:
        outputs = activation_fn(outputs)
    return collect_named_outputs(collections, alias, outputs)
