"""The updates of optimisers: operations that change a variable and its slots by a gradient.

Each rule is written once, as a pure function from old values to new ones. `_rule` makes from it the forms that
TensorFlow has: on 1.x variables and on resources, of whole variables (`ApplyAdagrad`) and of the rows that `indices`
names (`SparseApplyAdagrad`). The arithmetic goes in TensorFlow's order, so that results agree to rounding.

Rows of a sparse gradient that share an index are summed. `Optimizer` has done so before, but leaves the places of those
that it added to others, with zeros in them, so that shapes do not depend on data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core import shapes
from millstream.core.dtypes import INDICES, NUMERIC
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.ops.arguments import invalid, is_concrete
from millstream.ops.gather_ops import check_range
from millstream.ops.search_ops import first_places
from millstream.ops.state_ops import handle_attr, scatter_rows

Rule = Callable[..., Any]

_DENSE = ("Apply", "ResourceApply")
_SPARSE = ("SparseApply", "ResourceSparseApply")
_GRADIENTS = ("grad", "delta")


def _rule(name: str, states: int, forms: tuple[str, ...] = _DENSE + _SPARSE) -> Callable[[Rule], Rule]:
    """Defines the operations of an update rule.

    Decorates `rule(xp, *states, *inputs, *, attributes)`, whose parameters are named as the operations' inputs and
    attributes; the first `states` of them are the variables, of which it returns the new values.
    """

    def define(rule: Rule) -> Rule:
        for form in forms:
            _define(form, name, rule, states)
        return rule

    return define


def _define(form: str, name: str, rule: Rule, states: int) -> None:
    """Defines one form of a rule."""
    resource, sparse = form.startswith("Resource"), form in _SPARSE
    names = rule.__code__.co_varnames[1 : rule.__code__.co_argcount]
    attrs = rule.__kwdefaults__ or {}
    arguments = [f"{state}: {'resource' if resource else 'Ref(T)'}" for state in names[:states]]
    for item in names[states:]:
        if item in _GRADIENTS and sparse:
            arguments += ["grad: T", "indices: Tindices"]
        else:
            arguments.append(f"{item}: {'int64' if item == 'global_step' else 'T'}")
    settings = [f"{attr}: bool = {default}" for attr, default in {"use_locking": False, **attrs}.items()]
    definition = op(
        f"{form}{name}({', '.join(arguments)}, *, {', '.join(settings)}){'' if resource else ' -> out: Ref(T)'}",
        T=NUMERIC,
        shape=_shape_rule(states, resource),
        writes=names[:states],
        stateful=resource,
        **({"Tindices": INDICES} if sparse else {}),
    )((_sparse_kernel if sparse else _dense_kernel)(rule, states, tuple(attrs)))
    definition.no_gradient("it changes a variable")


def _shape_rule(states: int, resource: bool) -> Callable[[ShapeContext], Any]:
    """States and gradient have one shape (a sparse gradient: but for the first dimension); the rest are scalars."""

    def rule(c: ShapeContext) -> Any:
        shape = None
        for index in range(states):
            known = handle_attr(c.inputs[index], "shape") if resource else c.shape(index)
            shape = shapes.merge(shape, known)
        names = [spec.name for spec in c.definition.inputs]
        for index, item in enumerate(names[states:], states):
            given = c.shape(index)
            if item not in (*_GRADIENTS, "indices"):
                shapes.with_rank(given, 0)
            elif item == "indices":
                _merge_rows(shape, c.shape(index - 1), given)
            elif "indices" not in names:
                shape = shapes.merge(shape, given)
        return [] if resource else shape

    return rule


def _merge_rows(shape: Any, rows: Any, indices: Any) -> None:
    """Checks the rows of a sparse gradient: one for each index, and each like a row of the variable."""
    count = shapes.with_rank(indices, 1)
    if shape is not None:
        shapes.merge(rows, (*count, *shape[1:]))


def _dense_kernel(rule: Rule, states: int, attrs: tuple[str, ...]) -> Callable[..., Any]:
    names = rule.__code__.co_varnames[1 : rule.__code__.co_argcount]
    shaped = [*range(1, states), *(index for index, name in enumerate(names) if name in _GRADIENTS)]

    def kernel(xp: Any, *inputs: Any, state: Any, node: Any) -> Any:
        handles, others = inputs[:states], inputs[states:]
        values = [state.read(handle) for handle in handles]
        wanted = values[0].shape
        for index in shaped:
            found = (*values, *others)[index].shape
            if found != wanted:
                both = f"{shapes.format_shape(wanted)} {shapes.format_shape(found)}"
                raise invalid(f"var and {names[index]} do not have the same shape{both}")
        settings = {attr: node.attrs[attr] for attr in attrs}
        new = rule(xp, *values, *others, **settings)
        for handle, value in zip(handles, new if states > 1 else (new,), strict=True):
            state.assign(handle, value)
        return handles[0]

    return kernel


def _sparse_kernel(rule: Rule, states: int, attrs: tuple[str, ...]) -> Callable[..., Any]:
    def kernel(xp: Any, *inputs: Any, state: Any, check: Any, node: Any) -> Any:
        place = [spec.name for spec in node.definition.inputs].index("indices")
        handles, indices = inputs[:states], inputs[place]
        values = [state.read(handle) for handle in handles]
        check_range(check, xp, "indices", indices, values[0].shape[0])
        settings = {attr: node.attrs[attr] for attr in attrs}
        grad, is_first = _sum_repeated(xp, indices, inputs[place - 1])
        old = [value[indices] for value in values]
        new = rule(xp, *old, *inputs[states : place - 1], grad, *inputs[place + 1 :], **settings)
        for handle, value, rows in zip(handles, values, new if states > 1 else (new,), strict=True):
            rows = rows.astype(value.dtype)
            if is_concrete(value):
                state.assign_rows(handle, "set", indices[is_first], rows[is_first])
            else:  # what is out of range is dropped
                state.assign_rows(handle, "set", xp.where(is_first, indices, value.shape[0]), rows)
        return handles[0]

    return kernel


def _sum_repeated(xp: Any, indices: Any, rows: Any) -> tuple[Any, Any]:
    """Adds rows that share an index to the first of them; and which rows are the first with their index."""
    first = first_places(xp, indices)
    sums = scatter_rows(xp, "add", xp.zeros_like(rows), first, rows)
    return sums, first == xp.arange(indices.shape[0])


# --- Gradient descent, with and without momentum ---------------------------------------------------------------------


@_rule("GradientDescent", 1, forms=_DENSE)
def gradient_descent(xp, var, alpha, delta):
    return var - delta * alpha


@_rule("Momentum", 2)
def momentum(xp, var, accum, lr, grad, momentum, *, use_nesterov=False):
    accum = accum * momentum + grad
    if use_nesterov:
        return var - (grad * lr + accum * momentum * lr), accum
    return var - accum * lr, accum


@_rule("KerasMomentum", 2, forms=("ResourceApply", "ResourceSparseApply"))
def keras_momentum(xp, var, accum, lr, grad, momentum, *, use_nesterov=False):
    accum = accum * momentum - grad * lr
    if use_nesterov:
        return var + (accum * momentum - grad * lr), accum
    return var + accum, accum


@_rule("PowerSign", 2, forms=_DENSE)
def power_sign(xp, var, m, lr, logbase, sign_decay, beta, grad):
    m = m * beta + grad * (1 - beta)
    agreement = xp.sign(grad) * xp.sign(m)
    return var - lr * xp.exp(logbase * sign_decay * agreement) * grad, m


@_rule("AddSign", 2, forms=_DENSE)
def add_sign(xp, var, m, lr, alpha, sign_decay, beta, grad):
    m = m * beta + grad * (1 - beta)
    agreement = xp.sign(grad) * xp.sign(m)
    return var - lr * (alpha + sign_decay * agreement) * grad, m


# --- Adam and RMSProp: running means of the gradient and of its square -----------------------------------------------


def _adam_moments(xp, m, v, beta1_power, beta2_power, lr, beta1, beta2, grad):
    """The two means and the step size, which makes up for their start at zero."""
    m = m + (grad - m) * (1 - beta1)
    v = v + (xp.square(grad) - v) * (1 - beta2)
    return m, v, lr * xp.sqrt(1 - beta2_power) / (1 - beta1_power)


@_rule("Adam", 3, forms=_DENSE)
def adam(xp, var, m, v, beta1_power, beta2_power, lr, beta1, beta2, epsilon, grad, *, use_nesterov=False):
    m, v, alpha = _adam_moments(xp, m, v, beta1_power, beta2_power, lr, beta1, beta2, grad)
    direction = grad * (1 - beta1) + beta1 * m if use_nesterov else m
    return var - (direction * alpha) / (xp.sqrt(v) + epsilon), m, v


@_rule("AdamWithAmsgrad", 4, forms=("ResourceApply",))
def adam_with_amsgrad(xp, var, m, v, vhat, beta1_power, beta2_power, lr, beta1, beta2, epsilon, grad):
    m, v, alpha = _adam_moments(xp, m, v, beta1_power, beta2_power, lr, beta1, beta2, grad)
    vhat = xp.maximum(vhat, v)
    return var - (m * alpha) / (xp.sqrt(vhat) + epsilon), m, v, vhat


@_rule("AdaMax", 3, forms=_DENSE)
def ada_max(xp, var, m, v, beta1_power, lr, beta1, beta2, epsilon, grad):
    m = m + (grad - m) * (1 - beta1)
    v = xp.maximum(beta2 * v, xp.abs(grad))
    return var - lr / (1 - beta1_power) * (m / (v + epsilon)), m, v


@_rule("RMSProp", 3)
def rms_prop(xp, var, ms, mom, lr, rho, momentum, epsilon, grad):
    ms = ms + (xp.square(grad) - ms) * (1 - rho)
    mom = mom * momentum + (grad * lr) / xp.sqrt(ms + epsilon)
    return var - mom, ms, mom


@_rule("CenteredRMSProp", 4)
def centered_rms_prop(xp, var, mg, ms, mom, lr, rho, momentum, epsilon, grad):
    ms = ms + (xp.square(grad) - ms) * (1 - rho)
    mg = mg + (grad - mg) * (1 - rho)
    variance = (ms - xp.square(mg)) + epsilon
    mom = mom * momentum + (grad * lr) / xp.sqrt(variance)
    return var - mom, mg, ms, mom


# --- Adagrad and its relatives: sums of squared gradients ------------------------------------------------------------


@_rule("Adagrad", 2)
def adagrad(xp, var, accum, lr, grad, *, update_slots=True):
    if update_slots:
        accum = accum + xp.square(grad)
    return var - grad * lr / xp.sqrt(accum), accum


@_rule("AdagradV2", 2)
def adagrad_v2(xp, var, accum, lr, epsilon, grad, *, update_slots=True):
    if update_slots:
        accum = accum + xp.square(grad)
    return var - grad * lr / (xp.sqrt(accum) + epsilon), accum


@_rule("AdagradDA", 3)
def adagrad_da(xp, var, gradient_accumulator, gradient_squared_accumulator, grad, lr, l1, l2, global_step):
    total = gradient_accumulator + grad
    squares = gradient_squared_accumulator + xp.square(grad)
    step = xp.asarray(global_step, var.dtype)
    shrunk = _soft_threshold(xp, total, l1 * step)
    return -lr * shrunk / (l2 * step * lr + xp.sqrt(squares)), total, squares


@_rule("Adadelta", 3)
def adadelta(xp, var, accum, accum_update, lr, rho, epsilon, grad):
    accum = accum * rho + xp.square(grad) * (1 - rho)
    update = xp.sqrt(accum_update + epsilon) * (1 / xp.sqrt(accum + epsilon)) * grad
    return var - update * lr, accum, accum_update * rho + xp.square(update) * (1 - rho)


# --- Steps towards a sparse solution: L1 and L2 penalties ------------------------------------------------------------


def _soft_threshold(xp, x, threshold):
    """`x` moved towards zero by `threshold`, and not past it."""
    return xp.sign(x) * xp.maximum(xp.abs(x) - threshold, 0)


@_rule("ProximalGradientDescent", 1)
def proximal_gradient_descent(xp, var, alpha, l1, l2, delta):
    return _soft_threshold(xp, var - delta * alpha, alpha * l1) / (1 + l2 * alpha)


@_rule("ProximalAdagrad", 2)
def proximal_adagrad(xp, var, accum, lr, l1, l2, grad):
    accum = accum + xp.square(grad)
    rate = lr / xp.sqrt(accum)
    return _soft_threshold(xp, var - grad * rate, rate * l1) / (1 + l2 * rate), accum


def _follow_the_leader(xp, var, accum, linear, grad, shrunk_grad, lr, l1, l2, lr_power):
    """`shrunk_grad` takes the place of the gradient but for its square."""
    new_accum = accum + xp.square(grad)
    old_root, new_root = _negative_power(xp, accum, lr_power), _negative_power(xp, new_accum, lr_power)
    linear = linear + (shrunk_grad - (new_root - old_root) / lr * var)
    shrunk = l1 * xp.sign(linear) - linear
    var = xp.where(xp.abs(linear) > l1, shrunk / (new_root / lr + 2 * l2), 0)
    return var, new_accum, linear


def _negative_power(xp, x, power):
    """`x ** -power`; a square root where `power` is known to be -0.5, as it is by default."""
    if is_concrete(power) and power == -0.5:
        return xp.sqrt(x)
    return xp.power(x, -power)


@_rule("Ftrl", 3)
def ftrl(xp, var, accum, linear, grad, lr, l1, l2, lr_power):
    return _follow_the_leader(xp, var, accum, linear, grad, grad, lr, l1, l2, lr_power)


@_rule("FtrlV2", 3)
def ftrl_v2(xp, var, accum, linear, grad, lr, l1, l2, l2_shrinkage, lr_power):
    shrunk_grad = grad + 2 * l2_shrinkage * var
    return _follow_the_leader(xp, var, accum, linear, grad, shrunk_grad, lr, l1, l2, lr_power)
