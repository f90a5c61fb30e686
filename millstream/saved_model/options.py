"""`SaveOptions` and `LoadOptions`: what `tf.saved_model.save` and `load` may be told."""
from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

from millstream.core.export import export, export_value


class VariablePolicy(enum.Enum):
    """What is said about variables that live on devices or in several replicas.

    `SAVE_VARIABLE_DEVICES` also saves on which devices variables are; `EXPAND_DISTRIBUTED_VARIABLES` besides saves each
    replica of a variable.
    """

    NONE = None
    SAVE_VARIABLE_DEVICES = "save_variable_devices"
    EXPAND_DISTRIBUTED_VARIABLES = "expand_distributed_variables"

    @staticmethod
    def from_obj(obj: Any) -> VariablePolicy:
        """The policy itself, that of a name, or `NONE` for None.

        Raises:
          ValueError: there is no such policy.
        """
        if obj is None or isinstance(obj, VariablePolicy):
            return obj or VariablePolicy.NONE
        name = str(obj).lower()
        for policy in VariablePolicy:
            if policy.value == name:
                return policy
        raise ValueError(f"Received invalid VariablePolicy value: {obj}.")

    def saves_devices(self) -> bool:
        """Whether the devices of variables are saved."""
        return self is not VariablePolicy.NONE


export_value(__name__, "VariablePolicy", v2=["saved_model.experimental.VariablePolicy"])


@export(v2=["saved_model.SaveOptions"])
class SaveOptions:
    """How a model is saved.

    Args:
      namespace_whitelist: a list of namespaces of operations; kept, and of no effect: all that are defined are saved.
      save_debug_info, experimental_debug_stripper, experimental_io_device, experimental_image_format,
        experimental_sharding_callback: kept for compatibility, of no effect.
      function_aliases: names for functions, by which other programs find them in the file.
      experimental_variable_policy: a `VariablePolicy` or its name.
      experimental_custom_gradients: whether the gradients of `tf.custom_gradient` are saved.
      experimental_skip_saver: leaves the operations out by which programs of TensorFlow 1 save and restore.
      extra_tags: tags of the graph besides `serve`.

    Raises:
      TypeError, ValueError: `namespace_whitelist` is no list of strings, or there is no such policy.
    """

    def __init__(
        self,
        namespace_whitelist: list[str] | None = None,
        save_debug_info: bool = False,
        function_aliases: Mapping[str, Any] | None = None,
        experimental_debug_stripper: bool = False,
        experimental_io_device: str | None = None,
        experimental_variable_policy: Any = None,
        experimental_custom_gradients: bool = True,
        experimental_image_format: bool = False,
        experimental_skip_saver: bool = False,
        experimental_sharding_callback: Any = None,
        extra_tags: Sequence[str] | None = None,
    ) -> None:
        self.namespace_whitelist = _validated_namespaces(namespace_whitelist)
        self.save_debug_info = save_debug_info
        self.function_aliases = {} if function_aliases is None else dict(function_aliases)
        self.experimental_debug_stripper = experimental_debug_stripper
        self.experimental_io_device = experimental_io_device
        self.experimental_variable_policy = VariablePolicy.from_obj(experimental_variable_policy)
        self.experimental_custom_gradients = experimental_custom_gradients
        self.experimental_image_format = experimental_image_format
        self.experimental_skip_saver = experimental_skip_saver
        self.experimental_sharding_callback = experimental_sharding_callback
        self.extra_tags = extra_tags


def _validated_namespaces(namespaces: Any) -> list[str] | None:
    if namespaces is None:
        return None
    if not isinstance(namespaces, list):
        raise TypeError(
            f"`namespace_whitelist` must be a list of strings. Got: {namespaces} with type {type(namespaces)}."
        )
    for item in namespaces:
        if not isinstance(item, str):
            raise ValueError(f"Whitelisted namespace must be a string. Got: {item} of type {type(item)}.")
    return namespaces


@export(v2=["saved_model.LoadOptions"])
class LoadOptions:
    """How a model is loaded.

    Args:
      allow_partial_checkpoint: whether variables may be missing in the checkpoint; they keep zeros.
      experimental_io_device: kept for compatibility, of no effect.
      experimental_skip_checkpoint: leaves the variables at zeros.
      experimental_variable_policy: a `VariablePolicy` or its name: makes variables on the devices in the file.
      experimental_load_function_aliases: gives the loaded object an attribute `function_aliases`: functions by alias.
    """

    def __init__(
        self,
        allow_partial_checkpoint: bool = False,
        experimental_io_device: str | None = None,
        experimental_skip_checkpoint: bool = False,
        experimental_variable_policy: Any = None,
        experimental_load_function_aliases: bool = False,
    ) -> None:
        self.allow_partial_checkpoint = allow_partial_checkpoint
        self.experimental_io_device = experimental_io_device
        self.experimental_skip_checkpoint = experimental_skip_checkpoint
        self.experimental_variable_policy = VariablePolicy.from_obj(experimental_variable_policy)
        self.experimental_load_function_aliases = experimental_load_function_aliases
