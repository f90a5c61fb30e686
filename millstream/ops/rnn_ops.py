"""Cells of recurrent networks as one operation a step, and an LSTM layer as one operation a sequence.

LSTM: S. Hochreiter, J. Schmidhuber: Long Short-Term Memory, Neural Computation 9(8), 1997; with peepholes as
F. Gers, N. Schraudolph, J. Schmidhuber: Learning Precise Timing with LSTM Recurrent Networks, JMLR 3, 2002.
GRU: K. Cho et al.: Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation, 2014.

Gradients come in through the cells' states and outputs only, as in TensorFlow: the gates are outputs too, kept for the
gradient, but nothing flows back through them. Clipping a cell's state does not stop its gradient.
"""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from millstream.core import errors
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.ops.bias_ops import bias_add_grad_op
from millstream.ops.join_ops import concat
from millstream.ops.matmul_ops import matmul
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.slice_ops import slice_

# In which order a matrix of weights has those of the input gate i, the new input c, the forget gate f and the output
# gate o.
_ORDER, _ORDER_V2 = "icfo", "ifco"


class _Step(NamedTuple):
    """What a step of an LSTM computes, each an array [batch, cells] (or [time, batch, cells] of several steps)."""

    i: Any  # the input gate
    cs: Any  # the cells' state
    f: Any  # the forget gate
    o: Any  # the output gate
    ci: Any  # the new input
    co: Any  # tanh of the state
    h: Any  # the output


class _Peepholes(NamedTuple):
    """Weights with which the gates see the state, vectors [cells]."""

    wci: Any
    wcf: Any
    wco: Any


class _Settings(NamedTuple):
    """What an operation's attributes say."""

    order: str
    forget_bias: float
    cell_clip: float  # the state is held within +- this, if it is positive


def _sigmoid(xp: Any, x: Any) -> Any:
    return 1 / (1 + xp.exp(-x))


def _products(xp: Any, a: Any, w: Any) -> Any:
    """`a @ w` for `a` of shape [..., rows of w]."""
    return xp.matmul(a.reshape(-1, a.shape[-1]), w).reshape(*a.shape[:-1], w.shape[1])


# --- One step of an LSTM ----------------------------------------------------------------------------------------------


def _lstm_forward(xp: Any, sums: Any, cs_prev: Any, peepholes: _Peepholes | None, settings: _Settings) -> _Step:
    """A step; `sums` [batch, 4 * cells] are the weighted inputs of the gates."""
    part = dict(zip(settings.order, xp.split(sums, 4, axis=-1), strict=True))
    i, f, o = part["i"], part["f"] + settings.forget_bias, part["o"]
    if peepholes is not None:
        i, f = i + cs_prev * peepholes.wci, f + cs_prev * peepholes.wcf
    i, f, ci = _sigmoid(xp, i), _sigmoid(xp, f), xp.tanh(part["c"])
    cs = ci * i + cs_prev * f
    if settings.cell_clip > 0:
        cs = xp.clip(cs, -settings.cell_clip, settings.cell_clip)
    if peepholes is not None:
        o = o + cs * peepholes.wco
    o, co = _sigmoid(xp, o), xp.tanh(cs)
    return _Step(i, cs, f, o, ci, co, o * co)


def _lstm_backward(
    xp: Any, kept: _Step, cs_prev: Any, peepholes: _Peepholes | None, order: str, cs_grad: Any, h_grad: Any
) -> tuple[Any, Any]:
    """The gradients by the gates' sums [batch, 4 * cells] and by the state before, of a step."""
    do = h_grad * kept.co * kept.o * (1 - kept.o)
    dcs = cs_grad + h_grad * kept.o * (1 - kept.co * kept.co)
    if peepholes is not None:
        dcs = dcs + do * peepholes.wco
    di = dcs * kept.ci * kept.i * (1 - kept.i)
    df = dcs * cs_prev * kept.f * (1 - kept.f)
    dc = dcs * kept.i * (1 - kept.ci * kept.ci)
    cs_prev_grad = dcs * kept.f
    if peepholes is not None:
        cs_prev_grad = cs_prev_grad + di * peepholes.wci + df * peepholes.wcf
    part = {"i": di, "c": dc, "f": df, "o": do}
    return xp.concatenate([part[gate] for gate in order], axis=-1), cs_prev_grad


def _peephole_gradients(
    xp: Any, sums_grad: Any, cs_prev: Any, cs: Any, peepholes: _Peepholes, used: bool, order: str
) -> _Peepholes:
    """The gradients by the peepholes' weights; zeros where they are not used."""
    if not used:
        return _Peepholes(*map(xp.zeros_like, peepholes))
    part = dict(zip(order, xp.split(sums_grad, 4, axis=-1), strict=True))
    axes = tuple(range(cs.ndim - 1))
    products = (part["i"] * cs_prev, part["f"] * cs_prev, part["o"] * cs)
    return _Peepholes(*(xp.sum(product, axis=axes, dtype=cs.dtype) for product in products))


def _check_size(name: str, value: Any, axis: int, wanted: int, meaning: str, method: str = "dim_size") -> None:
    if value.shape[axis] != wanted:
        raise ValueError(f"{name}.{method}({axis}) != {meaning}: {value.shape[axis]} vs. {wanted}")


def _check_lstm(
    x: Any, cs_prev: Any, h_prev: Any, w: Any, peepholes: _Peepholes, b: Any, use_peephole: bool
) -> _Peepholes | None:
    """Demands that sizes fit, and gives the peepholes if they are used."""
    cells = cs_prev.shape[1]
    for name, state in (("cs_prev", cs_prev), ("h_prev", h_prev)):
        _check_size(name, state, 0, x.shape[-2], "batch_size", "dims")
    _check_size("h_prev", h_prev, 1, cells, "cell_size", "dims")
    _check_size("w", w, 0, x.shape[-1] + cells, "input_size + cell_size")
    _check_size("w", w, 1, 4 * cells, "cell_size * 4")
    _check_size("b", b, 0, 4 * cells, "cell_size * 4")
    if not use_peephole:
        return None
    for name, weights in zip(_Peepholes._fields, peepholes, strict=True):
        _check_size(name, weights, 0, cells, "cell_size")
    return peepholes


def _cell_shape(outputs: int) -> Any:
    """The rule of a cell: every output is [batch, cells]."""

    def rule(c: ShapeContext) -> Any:
        return [(c.require_rank(0, 2)[0], c.require_rank(1, 2)[1])] * outputs

    return rule


@op(
    "LSTMBlockCell(x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T, *, forget_bias: float = 1.0,"
    " cell_clip: float = 3.0, use_peephole: bool = False) -> i: T, cs: T, f: T, o: T, ci: T, co: T, h: T",
    T="half float", shape=_cell_shape(7),
)  # fmt: skip
def lstm_block_cell_op(
    xp, x, cs_prev, h_prev, w, wci, wcf, wco, b, *, forget_bias, cell_clip, use_peephole
):  # fmt: skip
    """One step of an LSTM for `x` [batch, inputs] with weights `w` [inputs + cells, 4 * cells]."""
    peepholes = _check_lstm(x, cs_prev, h_prev, w, _Peepholes(wci, wcf, wco), b, use_peephole)
    sums = xp.matmul(xp.concatenate([x, h_prev], axis=1), w) + b
    return _lstm_forward(xp, sums, cs_prev, peepholes, _Settings(_ORDER, forget_bias, cell_clip))


@op(
    "LSTMBlockCellGrad(x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T, i: T, cs: T, f: T, o: T,"
    " ci: T, co: T, cs_grad: T, h_grad: T, *, use_peephole: bool)"
    " -> cs_prev_grad: T, dicfo: T, wci_grad: T, wcf_grad: T, wco_grad: T",
    T="half float",
    shape=lambda c: [c.shape(1), (c.require_rank(0, 2)[0], c.require_rank(3, 2)[1]), *map(c.shape, (4, 5, 6))],
)
def lstm_block_cell_grad_op(
    xp, x, cs_prev, h_prev, w, wci, wcf, wco, b, i, cs, f, o, ci, co, cs_grad, h_grad, *, use_peephole
):  # fmt: skip
    """Gradients of a step: by the state before, by the gates' sums, by the peepholes."""
    peepholes = _Peepholes(wci, wcf, wco)
    kept = _Step(i, cs, f, o, ci, co, h=None)
    used = peepholes if use_peephole else None
    dicfo, cs_prev_grad = _lstm_backward(xp, kept, cs_prev, used, _ORDER, cs_grad, h_grad)
    return cs_prev_grad, dicfo, *_peephole_gradients(xp, dicfo, cs_prev, cs, peepholes, use_peephole, _ORDER)


def _split_inputs(joined: Any, x: Any) -> tuple[Any, Any]:
    """`joined` [batch, inputs + cells] as the part of `x` [batch, inputs] and that of the output before."""
    inputs = x._shape[1] if x._shape is not None and x._shape[1] is not None else shape_of(x)[1]
    return slice_(joined, [0, 0], [-1, inputs]), slice_(joined, [0, inputs], [-1, -1])


@lstm_block_cell_op.gradient
def _(op, *grads):
    x, cs_prev, h_prev, w, *vectors = op.inputs
    *kept, _ = op.outputs
    cs_prev_grad, dicfo, *peepholes = lstm_block_cell_grad_op(
        x, cs_prev, h_prev, w, *vectors, *kept, grads[1], grads[6], use_peephole=op.attrs["use_peephole"]
    )
    joined = matmul(dicfo, w, transpose_b=True)
    x_grad, h_prev_grad = _split_inputs(joined, x)
    w_grad = matmul(concat([x, h_prev], 1), dicfo, transpose_a=True)
    return x_grad, cs_prev_grad, h_prev_grad, w_grad, *peepholes, bias_add_grad_op(dicfo)


# --- A sequence of steps of an LSTM -----------------------------------------------------------------------------------


def _sequence_shapes(c: ShapeContext) -> Any:
    time, batch, _ = c.require_rank(1, 3)
    (size,) = c.require_rank(8, 1)
    if size is not None and size % 4:
        raise ValueError(f"Dimension size must be evenly divisible by 4 but is {size}")
    return [(time, batch, None if size is None else size // 4)] * len(c.definition.outputs)


def _steps_in_use(xp: Any, x: Any, seq_len_max: Any, check: Any) -> Any:
    """For each step whether it is to be computed, an array [time, 1, 1]."""
    time = x.shape[0]
    message = "seq_len_max must be in [0, {}], but is {}"
    fits = (seq_len_max >= 0) & (seq_len_max <= time)
    check(fits, errors.InvalidArgumentError, message, np.int64(time), seq_len_max)
    return (xp.arange(time) < seq_len_max)[:, None, None]


def _block_lstm(
    xp: Any, seq_len_max: Any, x: Any, cs_prev: Any, h_prev: Any, w: Any, peepholes: Any, b: Any, settings: _Settings,
    use_peephole: bool, check: Any,
) -> _Step:  # fmt: skip
    """An LSTM over `x` [time, batch, inputs]; what it gives is 0 from step `seq_len_max` on."""
    from jax import lax

    used = _check_lstm(x, cs_prev, h_prev, w, peepholes, b, use_peephole)
    inputs = x.shape[2]
    of_inputs = _products(xp, x, w[:inputs]) + b  # one large product; only that with the output before is left

    def step(before: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], _Step]:
        (cs, h), (sums, in_use) = before, now
        found = _lstm_forward(xp, sums + xp.matmul(h, w[inputs:]), cs, used, settings)
        found = _Step(*(xp.where(in_use, value, 0) for value in found))
        return (found.cs, found.h), found

    steps = (of_inputs, _steps_in_use(xp, x, seq_len_max, check))
    return lax.scan(step, (cs_prev, h_prev), steps)[1]


def _block_lstm_gradients(
    xp: Any, seq_len_max: Any, x: Any, cs_prev: Any, h_prev: Any, w: Any, peepholes: Any, b: Any, kept: _Step,
    cs_grad: Any, h_grad: Any, use_peephole: bool, order: str, check: Any,
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients of `_block_lstm` by all inputs, back through time."""
    from jax import lax

    inputs, used = x.shape[2], peepholes if use_peephole else None
    in_use = _steps_in_use(xp, x, seq_len_max, check)
    states = xp.concatenate([cs_prev[None], kept.cs[:-1]])
    outputs = xp.concatenate([h_prev[None], kept.h[:-1]])

    def step(after: tuple[Any, Any], now: Any) -> tuple[tuple[Any, Any], Any]:
        values, state, dcs, dh, here = now
        sums_grad, dcs_prev = _lstm_backward(xp, _Step(*values), state, used, order, dcs + after[0], dh + after[1])
        sums_grad, dcs_prev = (xp.where(here, value, 0) for value in (sums_grad, dcs_prev))
        return (dcs_prev, xp.matmul(sums_grad, w[inputs:].T)), sums_grad

    end = (xp.zeros_like(cs_prev), xp.zeros_like(h_prev))
    (cs_prev_grad, h_prev_grad), sums_grad = lax.scan(
        step, end, (tuple(kept), states, cs_grad, h_grad, in_use), reverse=True
    )
    joined = xp.concatenate([x, outputs], axis=2)
    w_grad = xp.matmul(joined.reshape(-1, w.shape[0]).T, sums_grad.reshape(-1, w.shape[1]))
    by_peepholes = _peephole_gradients(xp, sums_grad, states, kept.cs, peepholes, use_peephole, order)
    b_grad = xp.sum(sums_grad, axis=(0, 1), dtype=b.dtype)
    return _products(xp, sums_grad, w[:inputs].T), cs_prev_grad, h_prev_grad, w_grad, *by_peepholes, b_grad


_SEQUENCE = "seq_len_max: int64, x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T"
_KEPT = "i: T, cs: T, f: T, o: T, ci: T, co: T, h: T"
_GRADIENTS = ", ".join(f"{name}_grad: T" for name in "x cs_prev h_prev w wci wcf wco b".split())


@op(
    f"BlockLSTM({_SEQUENCE}, *, forget_bias: float = 1.0, cell_clip: float = 3.0, use_peephole: bool = False)"
    f" -> {_KEPT}",
    T="half float", shape=_sequence_shapes, traced_only=True,
)  # fmt: skip
def block_lstm_op(
    xp, seq_len_max, x, cs_prev, h_prev, w, wci, wcf, wco, b, *, forget_bias, cell_clip, use_peephole, check
):  # fmt: skip
    """An LSTM layer; the weights of its gates are ordered i, c, f, o."""
    settings, peepholes = _Settings(_ORDER, forget_bias, cell_clip), _Peepholes(wci, wcf, wco)
    return _block_lstm(xp, seq_len_max, x, cs_prev, h_prev, w, peepholes, b, settings, use_peephole, check)


@op(
    f"BlockLSTMV2({_SEQUENCE}, *, cell_clip: float = 0.0, use_peephole: bool = False) -> {_KEPT}",
    T="half float", shape=_sequence_shapes, traced_only=True,
)  # fmt: skip
def block_lstm_v2_op(xp, seq_len_max, x, cs_prev, h_prev, w, wci, wcf, wco, b, *, cell_clip, use_peephole, check):
    """An LSTM layer; the weights of its gates are ordered i, f, c, o."""
    settings, peepholes = _Settings(_ORDER_V2, 0.0, cell_clip), _Peepholes(wci, wcf, wco)
    return _block_lstm(xp, seq_len_max, x, cs_prev, h_prev, w, peepholes, b, settings, use_peephole, check)


def _define_gradient(version: str, order: str) -> Any:
    @op(
        f"BlockLSTMGrad{version}({_SEQUENCE}, {_KEPT}, cs_grad: T, h_grad: T, *, use_peephole: bool) -> {_GRADIENTS}",
        T="half float", shape=lambda c: [c.shape(index) for index in range(1, 9)], traced_only=True,
    )  # fmt: skip
    def kernel(
        xp, seq_len_max, x, cs_prev, h_prev, w, wci, wcf, wco, b, i, cs, f, o, ci, co, h, cs_grad, h_grad, *,
        use_peephole, check,
    ):  # fmt: skip
        peepholes, kept = _Peepholes(wci, wcf, wco), _Step(i, cs, f, o, ci, co, h)
        return _block_lstm_gradients(
            xp, seq_len_max, x, cs_prev, h_prev, w, peepholes, b, kept, cs_grad, h_grad, use_peephole, order, check
        )

    return kernel


block_lstm_grad_op = _define_gradient("", _ORDER)
block_lstm_grad_v2_op = _define_gradient("V2", _ORDER_V2)


def _gradient_with(gradient_op: Any) -> Any:
    def gradient(op: Any, *grads: Any) -> Any:
        use_peephole = op.attrs["use_peephole"]
        return None, *gradient_op(*op.inputs, *op.outputs, grads[1], grads[6], use_peephole=use_peephole)

    return gradient


block_lstm_op.gradient(_gradient_with(block_lstm_grad_op))
block_lstm_v2_op.gradient(_gradient_with(block_lstm_grad_v2_op))


# --- One step of a GRU ------------------------------------------------------------------------------------------------


@op(
    "GRUBlockCell(x: T, h_prev: T, w_ru: T, w_c: T, b_ru: T, b_c: T) -> r: T, u: T, c: T, h: T",
    T="float", shape=_cell_shape(4),
)  # fmt: skip
def gru_block_cell_op(xp, x, h_prev, w_ru, w_c, b_ru, b_c):
    """One step of a GRU for `x` [batch, inputs], weights `w_ru` [inputs + cells, 2 * cells], `w_c` [..., cells]."""
    cells = h_prev.shape[1]
    _check_size("h_prev", h_prev, 0, x.shape[0], "batch_size", "dims")
    for name, w, b, gates in (("ru", w_ru, b_ru, 2), ("c", w_c, b_c, 1)):
        wanted = "cell_size * 2" if gates == 2 else "cell_size"
        _check_size(f"w_{name}", w, 0, x.shape[1] + cells, "input_size + cell_size")
        _check_size(f"w_{name}", w, 1, gates * cells, wanted)
        _check_size(f"b_{name}", b, 0, gates * cells, wanted)
    gates = _sigmoid(xp, xp.matmul(xp.concatenate([x, h_prev], axis=1), w_ru) + b_ru)
    r, u = xp.split(gates, 2, axis=1)
    c = xp.tanh(xp.matmul(xp.concatenate([x, h_prev * r], axis=1), w_c) + b_c)
    return r, u, c, u * h_prev + (1 - u) * c


@op(
    "GRUBlockCellGrad(x: T, h_prev: T, w_ru: T, w_c: T, b_ru: T, b_c: T, r: T, u: T, c: T, d_h: T)"
    " -> d_x: T, d_h_prev: T, d_c_bar: T, d_r_bar_u_bar: T",
    T="float",
    shape=lambda c: [c.shape(0), c.shape(1), c.shape(1), (c.require_rank(0, 2)[0], c.require_rank(2, 2)[1])],
)
def gru_block_cell_grad_op(xp, x, h_prev, w_ru, w_c, b_ru, b_c, r, u, c, d_h):
    """Gradients of a step: by its inputs, and by the sums that the new state and the gates are computed from."""
    inputs = x.shape[1]
    d_c_bar = d_h * (1 - u) * (1 - c * c)
    d_u_bar = d_h * (h_prev - c) * u * (1 - u)
    by_joined = xp.matmul(d_c_bar, w_c.T)
    d_reset = by_joined[:, inputs:]  # by h_prev * r
    d_gates = xp.concatenate([d_reset * h_prev * r * (1 - r), d_u_bar], axis=1)
    by_joined_gates = xp.matmul(d_gates, w_ru.T)
    d_x = by_joined[:, :inputs] + by_joined_gates[:, :inputs]
    return d_x, d_reset * r + by_joined_gates[:, inputs:] + d_h * u, d_c_bar, d_gates


@gru_block_cell_op.gradient
def _(op, *grads):
    x, h_prev = op.inputs[:2]
    d_x, d_h_prev, d_c_bar, d_gates = gru_block_cell_grad_op(*op.inputs, *op.outputs[:3], grads[3])
    by_w_ru = matmul(concat([x, h_prev], 1), d_gates, transpose_a=True)
    by_w_c = matmul(concat([x, h_prev * op.outputs[0]], 1), d_c_bar, transpose_a=True)
    return d_x, d_h_prev, by_w_ru, by_w_c, bias_add_grad_op(d_gates), bias_add_grad_op(d_c_bar)
