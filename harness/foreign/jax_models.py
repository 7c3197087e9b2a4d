"""A model in JAX: a function of a tree of parameters and of the inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.foreign.computed import Computed
from harness.text.harmless import class_name

EXP_ULP = 4.0  # of XLA's exp and tanh on a CPU: docs/foreign.md says what was measured


def jax_model(
    apply: Callable[..., Any],
    params: Any,
    name: str = "",
    loss: Callable[..., Any] | None = None,
    jit: bool = True,
    **declared: Any,
) -> Computed:
    """Return a JAX model as a subject or a reference.

    `apply(params, x)` returns the outputs (R, width), or a tuple of them; several groups of inputs
    are several arguments. `params` is a tree of arrays (dicts, lists, tuples, as Flax and others
    have them) that shows the names and shapes of the parameters; its numbers are not used. The name
    of a parameter is its path, as "hidden.kernel" or "0.w".

    With `loss(outputs, targets)`, both of one head or lists of several, the loss and all gradients
    are judged too, by `jax.value_and_grad`. `jit=False` does not use `jax.jit`. `declared` are
    further arguments of Computed, such as `parameters` and `relu_at_zero`.

    Raises ImportError without JAX, and TypeError for a parameter that is no array or an `apply`
    that is no function.
    """
    import jax

    if not callable(apply):
        raise TypeError(
            f"jax_model(apply, params): apply is a {class_name(apply)}, expected a function of"
            " params and inputs"
        )

    leaves, tree = jax.tree_util.tree_flatten_with_path(params)
    shapes = {}
    for path, leaf in leaves:
        called = ".".join(_name_of(key) for key in path) or "params"
        if not hasattr(leaf, "shape"):
            raise TypeError(
                f"{name or class_name(apply)}: parameter {called} is a {class_name(leaf)},"
                " expected an array"
            )
        shapes[called] = tuple(leaf.shape)

    def to_tree(blocks: Any) -> Any:
        return tree.unflatten([jax.numpy.asarray(blocks[each]) for each in shapes])

    compiled = jax.jit(apply) if jit else apply

    def answer(blocks: Any, *inputs: Any) -> Any:
        return compiled(to_tree(blocks), *map(jax.numpy.asarray, inputs))

    return Computed(
        answer,
        name or getattr(apply, "__name__", class_name(apply)),
        None if loss is None else _make_slopes(apply, loss, to_tree, list(shapes), jit),
        shapes=shapes,
        **{"exp_ulp": EXP_ULP, "made_with": {"JAX": jax.__version__}, **declared},
    )


def _name_of(key: Any) -> str:
    """Return one step of a path in a tree as text: a dict's key, an attribute or a position."""
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _make_slopes(
    apply: Callable[..., Any],
    loss: Callable[..., Any],
    to_tree: Callable[[Any], Any],
    names: list[str],
    jit: bool,
) -> Callable[..., Any]:
    """Return a function of the blocks, inputs and targets that returns the loss and its gradients.

    `to_tree` makes a tree of parameters from the blocks, and `names` are the blocks' names in the
    tree's order.
    """
    import jax

    def compute(tree: Any, inputs: Any, targets: Any) -> Any:
        outputs = apply(tree, *inputs)
        if len(targets) == 1:
            given = outputs[0] if isinstance(outputs, tuple | list) else outputs
            return loss(given, targets[0])
        return loss(list(outputs), list(targets))

    differentiate = jax.value_and_grad(compute, argnums=(0, 1))
    if jit:
        differentiate = jax.jit(differentiate)
    counts: dict[Any, int] = {}  # of inputs, by the shapes of the data

    def slopes(blocks: Any, *data: Any) -> Any:
        arrays = [jax.numpy.asarray(each) for each in data]
        params = to_tree(blocks)
        shapes = tuple(each.shape for each in arrays)
        if shapes not in counts:  # it takes as long as many evaluations
            counts[shapes] = _count_inputs(apply, params, arrays)
        groups = counts[shapes]
        value, (by_tree, by_inputs) = differentiate(params, arrays[:groups], arrays[groups:])
        gradients = dict(zip(names, jax.tree_util.tree_leaves(by_tree), strict=True))
        return value, (gradients, *by_inputs)

    return slopes


def _count_inputs(apply: Callable[..., Any], params: Any, arrays: list[Any]) -> int:
    """Return how many of the arrays, which are inputs followed by targets, are inputs.

    It is the number for which `apply` returns as many outputs as arrays are left. Raises ValueError
    if there is none.
    """
    import jax

    for count in range(1, len(arrays)):
        try:
            outputs = jax.eval_shape(apply, params, *arrays[:count])
        except TypeError:  # it takes another number of arguments
            continue
        heads = len(outputs) if isinstance(outputs, tuple | list) else 1
        if heads == len(arrays) - count:
            return count
    raise ValueError(f"{len(arrays)} inputs and targets do not fit the model's outputs")
