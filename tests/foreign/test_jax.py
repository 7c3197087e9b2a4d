"""Models in JAX against live R, NumPy and PyTorch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from torch import nn

from harness import Case, Status, Subject, Verdict, jax_model
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes, r_nnet
from tests.conftest import Approved

jax = pytest.importorskip("jax", reason="JAX is not installed: pip install nnet-parity[jax]")
jnp = jax.numpy
ONE = Network(3, 4, 2, "tanh")
TWO = Network((2, 3), 4, (1, 2), "relu")
PARAMS = {
    "hidden": {"kernel": np.zeros((3, 4)), "bias": np.zeros(4)},
    "out": {"kernel": np.zeros((4, 2)), "bias": np.zeros(2)},
}
HEADS = {
    "W1": np.zeros((2, 4)),
    "V1": np.zeros((3, 4)),
    "b": np.zeros(4),
    "heads": [(np.zeros((4, 1)), np.zeros(1)), (np.zeros((4, 2)), np.zeros(2))],
}
# JAX compiles anew for each number of rows: these have one
ONE_SIZE = probes(0, draws=6, kinds=["exact", "random", "saturated"])
WORDS = {"W2": "heads.0.0.T", "b_w": "heads.0.1", "V2": "heads.1.0.T", "b_v": "heads.1.1"}


@pytest.fixture(autouse=True)
def in_double() -> Iterator[None]:
    """JAX computes in float64 while a test runs."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def apply(params: Any, x: Any) -> Any:
    h = jnp.tanh(x @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    return h @ params["out"]["kernel"] + params["out"]["bias"]


def apply_heads(params: Any, x: Any, y: Any) -> Any:
    h = jax.nn.relu(x @ params["W1"] + y @ params["V1"] + params["b"])
    return tuple(h @ kernel + bias for kernel, bias in params["heads"])


def squares(outputs: Any, targets: Any) -> Any:
    return ((outputs - targets) ** 2).sum()


def squares_of_both(outputs: Any, targets: Any) -> Any:
    return sum(squares(o, t) for o, t in zip(outputs, targets, strict=True))


class Port(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def judge(case: Case) -> dict[str, Verdict]:
    """The verdicts of a case by trial."""
    cache = Cache(case)
    return {trial.id: run(trial, cache) for trial in case.trials()}


def expect_passes(found: dict[str, Verdict], count: int) -> None:
    """So many trials pass, and no other has figures."""
    statuses = [verdict.status for verdict in found.values()]
    assert set(statuses) <= {Status.PASS, Status.ABSENT}, [v.why for v in found.values()]
    assert statuses.count(Status.PASS) == count


def test_a_jitted_model_is_what_r_numpy_and_pytorch_compute(live_r: None) -> None:
    """Outputs, loss and jax.grad's gradients, in float64 and float32, in both directions."""
    model = jax_model(apply, PARAMS, loss=squares)
    references = [r_nnet, numpy_net, Subject(Port)]
    expect_passes(judge(Case("one", ONE, [model], references, probes(0, draws=6))), 22)
    expect_passes(judge(Case("back", ONE, [Port], [model], ONE_SIZE)), 8)


def test_two_groups_of_inputs_and_two_heads() -> None:
    """Several arguments, a tuple of outputs, and a tree of lists and tuples."""
    model = jax_model(apply_heads, HEADS, loss=squares_of_both, parameters=WORDS)
    expect_passes(judge(Case("two", TWO, [model], [numpy_net], ONE_SIZE)), 8)


def test_without_jit_they_are_the_same() -> None:
    """JAX compiles each operation by itself then."""
    model = jax_model(apply_heads, HEADS, loss=squares_of_both, parameters=WORDS, jit=False)
    expect_passes(judge(Case("two", TWO, [model], [numpy_net], ONE_SIZE)), 8)


def test_float32_in_place_of_float64_is_told(approved: Approved) -> None:
    """JAX's default, with the line that changes it."""
    jax.config.update("jax_enable_x64", False)
    model = jax_model(apply, PARAMS)
    case = Case("one", ONE, [model], [numpy_net], probes(0, draws=4), checks=["forward"])
    found = judge(case)
    assert [verdict.status for verdict in found.values()] == [Status.FAIL, Status.PASS]
    approved(next(iter(found.values())).why)


def test_weights_captured_by_jit_are_told(approved: Approved) -> None:
    """A closure over the parameters is traced once."""
    held: dict[str, Any] = {}

    def captured(params: Any, x: Any) -> Any:
        held.setdefault("params", jax.tree_util.tree_map(np.asarray, params))
        return apply(held["params"], x)

    model = jax_model(captured, PARAMS, "captured", jit=False)
    case = Case("one", ONE, [model], [numpy_net], probes(0, draws=4), checks=["forward"])
    verdict = next(iter(judge(case).values()))
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_the_derivative_of_maximum_at_zero_is_told(approved: Approved) -> None:
    """jnp.maximum has one half there, jax.nn.relu has 0: the line to write is offered."""

    def with_maximum(params: Any, x: Any) -> Any:
        return jnp.maximum(x @ params["W1"].T + params["b"], 0) @ params["W2"].T + params["b_w"]

    network = Network(1, 4, 1, "relu")
    kinks = probes(0, kinds=["unusual"])
    params = {block.name: np.zeros(block.places.shape) for block in network.layout.blocks}
    model = jax_model(with_maximum, params, loss=squares)
    checked = {"checks": ["gradient"], "dtypes": ["float64"]}
    case = Case("kinks", network, [model], [numpy_net], kinks, **checked)
    (verdict,) = judge(case).values()
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_what_is_no_array_is_refused(approved: Approved) -> None:
    """With the path of the leaf."""
    with approved.raises(TypeError):
        jax_model(apply, {"hidden": {"kernel": "no"}})


def test_xla_is_as_exact_as_its_contract() -> None:
    """exp, tanh and logistic are within 8 units of roundoff, which exp_ulp=4 allows, where neither
    overflows nor underflows.
    """
    x = np.random.default_rng(0).uniform(-30, 30, 200_000)
    functions = {
        "exp": (jnp.exp, np.exp),
        "tanh": (jnp.tanh, np.tanh),
        "logistic": (jax.nn.sigmoid, lambda z: 1 / (1 + np.exp(-z))),
    }
    for dtype in (np.float64, np.float32):
        given = x.astype(dtype)
        for name, (function, exact) in functions.items():
            found = np.asarray(jax.jit(function)(given)).astype(np.longdouble)
            wanted = exact(given.astype(np.longdouble))
            used = abs(found - wanted) / abs(wanted) / (np.finfo(dtype).eps / 2)
            assert used.max() < 8, name


def test_parameters_in_place_of_the_function_are_refused(approved: Approved) -> None:
    """As when the two are exchanged."""
    with approved.raises(TypeError):
        jax_model(PARAMS, PARAMS)  # type: ignore[arg-type]
