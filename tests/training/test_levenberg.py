"""Levenberg-Marquardt of cases/: its derivatives, its steps, and its stack of starts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian, jacobian

from cases import levenberg, levenberg_numpy
from cases.levenberg import Lanes, Problems, begin, find_loss, linearise, pose, take_step
from cases.sine_training import from_r
from reference.r.nnet_reference import LIVE
from tests.conftest import Approved
from tests.selfcheck.trainer import write_in_r

KINDS = [(tanh, outputs) for tanh in (False, True) for outputs in (1, 2)]
INPUTS, HIDDEN, ROWS = 2, 3, 20
X = torch.tensor(from_r(1))
Y = X.sin()
# sums of at most 100 products of numbers of size 1 to 10 in float64: 100 roundings of 1e-16 each
ROUNDED = {"rtol": 1e-12, "atol": 1e-13}
# steps make a rounding grow: stacks of other widths, and NumPy, end up to 1e-8 apart
GROWN = {"rtol": 1e-7, "atol": 1e-9}


def make(count: int, outputs: int = 1, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Starts (count, T), inputs (R, I) and targets (R, O) of random numbers."""
    rng = np.random.default_rng(seed)
    weights = HIDDEN * (1 + INPUTS) + outputs * (1 + HIDDEN)
    shapes = (count, weights), (ROWS, INPUTS), (ROWS, outputs)
    theta, x, y = (torch.tensor(rng.standard_normal(shape)) for shape in shapes)
    return theta, x, y


def draw(count: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Starts (count, 13) of S1's network, as nnet draws them."""
    rng = np.random.default_rng(3)
    return torch.tensor(rng.uniform(-0.7, 0.7, (count, 13)), dtype=dtype)


def find_residuals(theta: Tensor, x: Tensor, y: Tensor, tanh: bool) -> Tensor:
    """The residuals (O R,) at weights (T,), as two Linear layers compute them."""
    tensors = levenberg.unpack(theta[None], x.shape[1], y.shape[1])
    W, b, V, c = (tensor[0] for tensor in tensors)
    z = nn.functional.linear(x, W, b)
    h = z.tanh() if tanh else z.sigmoid()
    return (nn.functional.linear(h, V, c) - y).T.flatten()


def differentiate_along(f: Tensor, weights: Tensor, along: Tensor) -> Tensor:
    """The derivative of f (N,) along a direction of the weights (T,), by autograd."""
    factors = torch.zeros_like(f, requires_grad=True)
    (slope,) = torch.autograd.grad(f, weights, factors, create_graph=True)
    return torch.autograd.grad(slope, factors, along, create_graph=True)[0]


@pytest.mark.parametrize(("tanh", "outputs"), KINDS)
def test_derivatives_are_autograds(tanh: bool, outputs: int) -> None:
    """Residuals, Jacobian and second derivatives along a direction."""
    theta, x, y = make(3, outputs)
    r, Jt, _, curve = linearise(theta, pose(x, y, theta, (0.1,), 0.0, tanh))
    along = torch.randn(theta.shape, dtype=theta.dtype, generator=torch.Generator().manual_seed(1))
    bent = curve(along)
    for lane in range(3):

        def f(weights: Tensor) -> Tensor:
            return find_residuals(weights, x, y, tanh)

        by_autograd = jacobian(f, theta[lane])

        weights = theta[lane].clone().requires_grad_()
        first = differentiate_along(f(weights), weights, along[lane])
        second = differentiate_along(first, weights, along[lane])
        torch.testing.assert_close(r[lane, :, 0], f(theta[lane]), **ROUNDED)
        torch.testing.assert_close(Jt[lane].T, by_autograd, **ROUNDED)
        torch.testing.assert_close(bent[lane, :, 0], second / 2, **ROUNDED)


def make_classes(error: str) -> tuple[Tensor, Tensor, Tensor]:
    """Starts (3, T), inputs (R, I), and shares of two classes (R, O)."""
    theta, x, y = make(3, outputs=2)
    return theta, x, y.softmax(1) if error == "softmax" else y.sigmoid()


@pytest.mark.parametrize("error", ["entropy", "softmax"])
def test_derivatives_of_classes_are_autograds(error: str) -> None:
    """Half the first and half the second derivatives of the error by the outputs."""
    theta, x, y = make_classes(error)
    at = pose(x, y, theta, (0.1,), 0.0, False, error)
    r, Jt, JtB, _ = linearise(theta, at)
    find = levenberg.find_entropy if error == "entropy" else levenberg.find_surprise
    for lane in range(3):
        f = find_residuals(theta[lane], x, torch.zeros_like(y), False)

        def loss(f: Tensor) -> Tensor:
            return find(f.reshape(1, 2, ROWS), at.targets[None]).sum()

        gradient, B = jacobian(loss, f) / 2, hessian(loss, f) / 2
        torch.testing.assert_close(r[lane, :, 0], gradient, **ROUNDED)
        torch.testing.assert_close(JtB[lane], Jt[lane] @ B, **ROUNDED)


@pytest.mark.parametrize("error", ["entropy", "softmax"])
def test_the_loss_of_classes_is_nnets(error: str) -> None:
    """As R's nnet computes it, with decay, at weights that it does not change (maxit = 0)."""
    theta, x, y = make_classes(error)
    loss = find_loss(theta, pose(x, y, theta, (0.1,), 0.01, False, error))
    x_r, y_r, weights = (write_in_r(each.numpy()) for each in (x, y, theta))
    code = f"""
        x <- {x_r}; y <- {y_r}; starts <- {weights}
        apply(starts, 1, function(start) nnet::nnet(x, y, size = {HIDDEN}, {error} = TRUE,
            Wts = start, maxit = 0, decay = 0.01, trace = FALSE)$value)
    """
    by_r = np.asarray(LIVE.eval_text(code)).tolist()
    # nnet adds 1e-80 to probabilities, and rounds them before it takes the logarithm
    assert loss.tolist() == pytest.approx(by_r, rel=1e-14)


@pytest.mark.parametrize("error", ["entropy", "softmax"])
def test_classes_are_learned(error: str) -> None:
    """Every start ends where the gradient is nearly 0, and the best one separates the classes."""
    x = torch.linspace(-2, 2, 24, dtype=torch.float64)[:, None]
    inside = (x.abs() < 1).double()
    y = torch.cat([inside, 1 - inside], dim=1) if error == "softmax" else inside
    starts = make(6, outputs=y.shape[1])[0][:, : HIDDEN * 2 + y.shape[1] * (1 + HIDDEN)]
    fits = levenberg.fit(starts, x, y, error=error, decay=1e-3, least_gain=1e-14)
    at = pose(x, y, starts, (0.1,), 1e-3, False, error)

    def find_slope(theta: Tensor) -> float:
        weights = theta.clone().requires_grad_()
        (slope,) = torch.autograd.grad(find_loss(weights, at).sum(), weights)
        return float(slope.abs().max())

    assert find_slope(fits.theta) < 1e-4 * find_slope(starts)
    assert fits.loss.min() < len(x) * np.log(2) / 8  # an eighth of the loss of 1/2 everywhere


@pytest.mark.parametrize(
    ("y", "error", "said"),
    [
        ([[2.0], [0.0]], "entropy", "from 0 to 2, expected 0 to 1"),
        ([[0.5, 0.2], [1, 0]], "softmax", "do not add up to 1"),
        ([[0.0], [1.0]], "hinge", "expected one of squares, entropy, softmax"),
    ],
)
def test_targets_that_are_no_classes_are_refused(y: Any, error: str, said: str) -> None:
    targets = torch.tensor(y)
    starts = torch.zeros(1, 3 * 2 + targets.shape[1] * 4)
    with pytest.raises(ValueError, match=said):
        levenberg.fit(starts, torch.zeros(2, 1), targets, error=error)


def differentiate_twice(
    weights: Tensor, direction: Tensor, x: Tensor, y: Tensor, tanh: bool
) -> np.ndarray:
    """The second derivatives of the residuals (O R,) along a direction (T,), by autograd."""

    def along(size: Tensor) -> Tensor:
        return find_residuals(weights + size * direction, x, y, tanh)

    zero = torch.zeros((), dtype=weights.dtype)
    return jacobian(lambda size: jacobian(along, size, create_graph=True), zero).numpy()


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(("tanh", "outputs"), KINDS)
def test_a_step_is_that_of_least_squares(tanh: bool, outputs: int, decay: float) -> None:
    """With J and f'' from autograd, and the damping as more rows of a least-squares problem."""
    theta, x, y = make(4, outputs)
    at = pose(x, y, theta, (0.01, 1.0), decay, tanh)
    lanes = begin(theta, at)
    after = take_step(lanes, at)
    taken = 0
    for lane in range(4):
        weights, S = theta[lane].numpy(), at.scale[lane].numpy()

        def f(weights: np.ndarray) -> np.ndarray:
            return find_residuals(torch.tensor(weights), x, y, tanh).numpy()

        def loss(weights: np.ndarray) -> float:
            return float(f(weights) @ f(weights) + decay * weights @ weights)

        of_f = jacobian(lambda w: find_residuals(w, x, y, tanh), theta[lane]).numpy()
        J = np.vstack([of_f, np.eye(len(S)) * decay**0.5])
        r = np.concatenate([f(weights), decay**0.5 * weights])
        rows = np.vstack([J, np.diag((levenberg.FIRST * S) ** 0.5)])

        def solve(right: np.ndarray, rows: np.ndarray = rows) -> np.ndarray:
            padded = np.concatenate([right, np.zeros(rows.shape[1])])
            return np.linalg.lstsq(rows, padded, rcond=None)[0]

        v = solve(-r)
        second = differentiate_twice(theta[lane], torch.tensor(v), x, y, tanh)
        a = solve(np.concatenate([-second / 2, np.zeros(len(S))]))
        step = v + a if (a * a) @ S <= levenberg.ACCELERATED**2 * (v * v) @ S else v
        linear = r + J @ v
        predicted = loss(weights) - linear @ linear
        ratio = (loss(weights) - loss(weights + step)) / predicted
        factor = max(1 / 3, 1 - (2 * ratio - 1) ** 3) if ratio > 0 else 2
        end = weights + step if ratio > 0 else weights
        taken += ratio > 0
        # the normal equations square the condition number of the rows, about 1e3 here
        assert np.allclose(after.theta[lane], end, **GROWN)
        assert np.isclose(after.loss[lane], loss(end), **GROWN)
        assert np.isclose(after.damping[lane], levenberg.FIRST * factor, **GROWN)
        assert np.isclose(after.gain[lane], predicted / loss(weights), rtol=1e-8)
    assert taken


def test_a_step_never_raises_the_loss() -> None:
    """And the loss it keeps is that of its weights."""
    theta, x, y = make(20)
    at = pose(x, y, theta, (0.01, 0.1, 1.0), 0.0, tanh=False)
    lanes = begin(theta, at)
    for _ in range(10):
        after = take_step(lanes, at)
        assert (after.loss <= lanes.loss).all()
        torch.testing.assert_close(after.loss, find_loss(after.theta, at), **ROUNDED)
        lanes = after


def test_a_start_fits_the_same_alone_as_in_a_stack() -> None:
    """Its neighbours change nothing but rounding, and its damping is the one of its turn."""
    starts = draw(6)
    together = levenberg.fit(starts, X, Y, steps=16)
    for number, output in enumerate((0.01, 0.1, 1.0)):
        alone = levenberg.fit(starts[number : number + 1], X, Y, steps=16, dampings=(output,))
        torch.testing.assert_close(together.theta[number], alone.theta[0], **GROWN)


def test_lanes_are_filled_again_and_no_start_is_lost() -> None:
    """Three lanes fit eleven starts as eleven lanes do, each start to its own end."""
    starts = draw(11)
    few, many = (levenberg.fit(starts, X, Y, until=1e-3, steps=40, width=n) for n in (3, 11))
    assert (few.steps > 0).all()
    assert torch.equal(few.steps, many.steps)
    assert len(few.steps.unique()) > 2
    torch.testing.assert_close(few.loss, many.loss, **GROWN)
    losses = find_loss(few.theta, pose(X, Y, starts, (1.0,), 0.0, tanh=False))
    torch.testing.assert_close(few.loss, losses, **ROUNDED)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_it_learns_the_sine(dtype: torch.dtype) -> None:
    """From most starts, by the loss of the returned weights in float64, and in its own dtype."""
    found = levenberg.fit(draw(12, dtype), X.to(dtype), Y.to(dtype), until=1e-3, steps=100)
    assert found.theta.dtype == found.loss.dtype == dtype
    starts = found.theta.double()
    losses = find_loss(starts, pose(X, Y, starts, (1.0,), 0.0, tanh=False))
    assert (losses <= 1e-3).sum() >= 8


def test_numpy_takes_the_same_steps() -> None:
    """From every start; the loss and the number of steps are the same too."""
    starts = draw(4)
    found = levenberg.fit(starts, X, Y, steps=16, dampings=(0.01,), decay=1e-3)
    for number, start in enumerate(starts.numpy()):
        theta, loss, steps = levenberg_numpy.fit(
            start, X.numpy(), Y.numpy()[:, 0], steps=16, decay=1e-3
        )
        assert np.allclose(found.theta[number], theta, **GROWN)
        assert np.isclose(found.loss[number], loss, rtol=1e-9)
        assert steps == found.steps[number] == 16


def test_both_forms_have_the_same_constants() -> None:
    """The file in NumPy has its own, so that it can be copied alone."""
    for name in ("ACCELERATED", "FIRST", "LAST"):
        assert getattr(levenberg, name) == getattr(levenberg_numpy, name)


@pytest.mark.parametrize(
    "wrong",
    [
        {"y": Y[:1]},
        {"x": X.squeeze(1)},
        {"x": X.float()},
        {"y": Y / 0},
        {"starts": torch.zeros(0, 13)},
        {"starts": draw(2)[:, 1:]},
        {"width": 0},
        {"steps": 0},
        {"decay": -1.0},
        {"dampings": 0.01},
        {"dampings": ()},
        {"x": X.numpy()},
        {"x": X.half(), "y": Y.half(), "starts": draw(2).half()},
    ],
    ids=lambda wrong: "-".join(wrong),
)
def test_data_that_do_not_fit_are_refused(wrong: dict[str, Any], approved: Approved) -> None:
    """A row too few would be broadcast, and fitted perfectly."""
    with approved.raises((ValueError, TypeError)):
        levenberg.fit(**{"starts": draw(2), "x": X, "y": Y, **wrong})


@pytest.mark.parametrize(
    "wrong",
    [{"y": Y}, {"x": X[:, 0]}, {"start": draw(1)}, {"start": draw(1)[0, 1:]}, {"y": Y[:, 0] / 0}],
    ids=["a column", "one axis", "starts", "weights", "infinite"],
)
def test_numpy_refuses_data_that_do_not_fit(wrong: dict[str, Any], approved: Approved) -> None:
    """A column of targets would be subtracted from a row of outputs."""
    given = {"start": draw(1)[0], "x": X, "y": Y[:, 0], **wrong}
    with approved.raises(ValueError):
        levenberg_numpy.fit(**{name: each.numpy() for name, each in given.items()})


@pytest.mark.filterwarnings("error")
def test_numpy_fits_from_saturated_units_without_a_warning() -> None:
    """Weights of 10,000: exp() overflows."""
    start = 1e4 * draw(1)[0].numpy()
    assert np.isfinite(levenberg_numpy.fit(start, X.numpy(), Y[:, 0].numpy(), steps=2)[1])


def test_one_start_alone_is_not_unpacked(approved: Approved) -> None:
    """It has no axis of starts."""
    with approved.raises(ValueError):
        levenberg.unpack(draw(1)[0], inputs=1, outputs=1)


def test_data_of_each_start_are_its_own() -> None:
    """A start on the second of two draws of x fits as it does on that draw alone."""
    starts, x = draw(2), torch.stack([X, torch.tensor(from_r(2))])
    both = levenberg.fit(starts, x, x.sin(), steps=16, dampings=(0.1,))
    alone = levenberg.fit(starts[1:], x[1], x[1].sin(), steps=16, dampings=(0.1,))
    torch.testing.assert_close(both.theta[1], alone.theta[0], **GROWN)


def test_it_ends_where_the_penalised_loss_is_flat() -> None:
    """With decay, two outputs and tanh: the gradient by autograd is nearly 0, far below the
    start's.
    """
    theta, x, y = make(3, outputs=2)
    found = levenberg.fit(theta, x, y, tanh=True, decay=0.1)
    slopes = []
    for weights in (theta, found.theta):
        weights = weights.clone().requires_grad_()
        residuals = torch.stack([find_residuals(each, x, y, tanh=True) for each in weights])
        loss = residuals.square().sum() + 0.1 * weights.square().sum()
        slopes.append(torch.autograd.grad(loss, weights)[0].abs().amax())
    assert slopes[1] < 1e-3 * slopes[0]


@pytest.mark.parametrize("kind", ["column of zeros", "equal columns", "equal units", "zeros"])
def test_a_singular_jacobian_stops_nobody(kind: str) -> None:
    """The damping makes it regular; every lane ends at a finite loss, no higher than before."""
    theta, x, y = make(3)
    if kind == "column of zeros":
        x[:, 1] = 0
    elif kind == "equal columns":
        x[:, 1] = x[:, 0]
    elif kind == "zeros":
        theta = 0 * theta
    else:
        theta[:, 3:6] = theta[:, :3]
        theta[:, 11] = theta[:, 10]
    before = find_loss(theta, pose(x, y, theta, (1.0,), 0.0, tanh=False))
    found = levenberg.fit(theta, x, y, steps=100)
    assert (found.loss < before).all()
    loss = levenberg_numpy.fit(theta[0].numpy(), x.numpy(), y.numpy()[:, 0], steps=100)[1]
    assert loss < before[0]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 1e200])
def test_a_lane_that_is_not_finite_ends_alone(bad: float) -> None:
    """At once, at its start; the others are not touched."""
    starts = draw(3)
    right = levenberg.fit(starts, X, Y, steps=16)
    starts[1, -1] = bad
    found = levenberg.fit(starts, X, Y, steps=16)
    assert found.steps.tolist() == [16, levenberg.LOOK, 16]
    assert not found.loss[1].isfinite()
    for lane in (0, 2):
        torch.testing.assert_close(found.theta[lane], right.theta[lane], **GROWN)


def test_linear_layers_go_in_and_out() -> None:
    """The weights of two Linear layers, packed and unpacked, are the same tensors, and theta is in
    nnet's order.
    """
    layers = [nn.Linear(2, 3), nn.Linear(3, 2)]
    tensors = [each.detach()[None] for layer in layers for each in (layer.weight, layer.bias)]
    theta = levenberg.pack(*tensors)
    for before, after in zip(tensors, levenberg.unpack(theta, 2, 2), strict=True):
        assert torch.equal(before, after)
    assert theta[0, 0] == layers[0].bias[0]
    assert theta[0, 9] == layers[1].bias[0]


def test_the_step_is_one_graph_for_torch_compile() -> None:
    """It has no break, so that torch.compile compiles all of it; fit takes it while lanes are
    full.
    """
    calls = []

    def count(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> torch.fx.GraphModule:
        calls.append(graph)
        return graph

    step = torch.compile(take_step, dynamic=False, fullgraph=True, backend=count)
    starts = draw(4)
    compiled = levenberg.fit(starts, X, Y, steps=8, width=2, step=step)
    eager = levenberg.fit(starts, X, Y, steps=8, width=2)
    assert torch.equal(compiled.theta, eager.theta)
    assert len(calls) == 1


def test_types_of_a_stack() -> None:
    """Lanes and Problems are plain tuples of tensors, which a user can build."""
    theta, x, y = make(2)
    at = Problems(*pose(x, y, theta, (1.0,), 0.0, tanh=False))
    assert take_step(Lanes(*begin(theta, at)), at).theta.shape == theta.shape


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_step_stays_on_its_device(outputs: int) -> None:
    """Shown on the meta device, which refuses operands of another one, as CUDA does."""
    theta, x, y = (each.to("meta") for each in make(3, outputs))
    at = pose(x, y, theta, (0.01, 0.1), 0.1, tanh=True)
    lanes = take_step(begin(theta, at), at)
    assert {each.device.type for each in (*lanes, at.of(torch.tensor([0, 2])).scale)} == {"meta"}
