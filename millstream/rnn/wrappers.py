"""Cells around a cell: its inputs, outputs and states are changed, or it runs on a certain device."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core import nest
from millstream.core.export import export
from millstream.core.scopes import device, name_scope
from millstream.core.trackable import Trackable
from millstream.rnn.cell import RNNCell, check_is_cell


class CellWrapper(RNNCell):
    """A cell around another one, whose variables and variable scopes it leaves alone.

    Args:
      cell: the cell.

    Raises:
      TypeError: it is none.
    """

    def __init__(self, cell: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_is_cell("cell", cell)
        self.cell = self._track_trackable(cell, "cell") if isinstance(cell, Trackable) else cell

    @property
    def state_size(self) -> Any:
        """That of the cell."""
        return self.cell.state_size

    @property
    def output_size(self) -> Any:
        """That of the cell."""
        return self.cell.output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """A state of zeros; see `RNNCell.zero_state`."""
        with name_scope(f"{type(self).__name__}ZeroState", None, [batch_size]):
            return self.cell.zero_state(batch_size, dtype)

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> Any:
        """Computes one step; see `RNNCell.__call__`. `scope` is for the cell."""
        return self._call_wrapped_cell(inputs, state, self.cell.__call__, scope=scope)

    def _call_wrapped_cell(self, inputs: Any, state: Any, cell_call_fn: Callable[..., Any], **kwargs: Any) -> Any:
        """Computes one step by `cell_call_fn(inputs, state, **kwargs)`, and changes what it takes and gives."""
        return cell_call_fn(inputs, state, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor as plain data."""
        cell = {"class_name": type(self.cell).__name__, "config": self.cell.get_config()}
        base = super().get_config()
        head = {key: base.pop(key) for key in ("name", "trainable", "dtype")}
        return head | {"cell": cell} | base

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """A wrapper as `get_config` describes it, with the cell itself in place of its description.

        Raises:
          ValueError: the cell is described only.
        """
        if isinstance(config.get("cell"), dict):
            raise ValueError(
                "RNNCellWrapper cannot reconstruct the wrapped cell. Please overwrite the cell in the config with a "
                "RNNCell instance."
            )
        return cls(**config)


@export(v1=["nn.rnn_cell.ResidualWrapper", "contrib.rnn.ResidualWrapper"])
class ResidualWrapper(CellWrapper):
    """Adds a cell's inputs to its outputs, as Wu et al. 2016 do (https://arxiv.org/abs/1609.08144).

    Args:
      cell: the cell; its output has the shape of its input.
      residual_fn: a function of inputs and outputs that gives what to give; default: their sum.
      **kwargs: as of `RNNCell`.

    Raises:
      ValueError: when it is called: inputs and outputs have different shapes or structures.

    Example:
      >>> cell = tf.nn.rnn_cell.ResidualWrapper(tf.nn.rnn_cell.GRUCell(2))
    """

    def __init__(self, cell: Any, residual_fn: Callable[..., Any] | None = None, **kwargs: Any) -> None:
        super().__init__(cell, **kwargs)
        self._residual_fn = residual_fn

    def _call_wrapped_cell(self, inputs: Any, state: Any, cell_call_fn: Callable[..., Any], **kwargs: Any) -> Any:
        outputs, state = cell_call_fn(inputs, state, **kwargs)
        return (self._residual_fn or _sum_of_same_shape)(inputs, outputs), state

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor; a `residual_fn` as it is."""
        config = super().get_config()
        return config if self._residual_fn is None else config | {"residual_fn": self._residual_fn}


def _sum_of_same_shape(inputs: Any, outputs: Any) -> Any:
    nest.assert_same_structure(inputs, outputs)
    nest.map_structure(lambda x, y: x.shape.assert_is_compatible_with(y.shape), inputs, outputs)
    return nest.map_structure(lambda x, y: x + y, inputs, outputs)


@export(v1=["nn.rnn_cell.DeviceWrapper", "contrib.rnn.DeviceWrapper"])
class DeviceWrapper(CellWrapper):
    """Runs a cell on a certain device.

    Args:
      cell: the cell.
      device: the device, as `tf.device` takes it.
      **kwargs: as of `RNNCell`.

    Example:
      >>> cell = tf.nn.rnn_cell.DeviceWrapper(tf.nn.rnn_cell.GRUCell(2), "/gpu:0")
    """

    _settings = ("_device",)

    def __init__(self, cell: Any, device: Any, **kwargs: Any) -> None:
        super().__init__(cell, **kwargs)
        self._device = device

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """A state of zeros on the device; see `RNNCell.zero_state`."""
        with device(self._device):
            return super().zero_state(batch_size, dtype)

    def _call_wrapped_cell(self, inputs: Any, state: Any, cell_call_fn: Callable[..., Any], **kwargs: Any) -> Any:
        with device(self._device):
            return cell_call_fn(inputs, state, **kwargs)
