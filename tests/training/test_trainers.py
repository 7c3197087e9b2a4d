"""R nnet's own fit, R's optim(), SciPy and gradient descent as trainers; R's random numbers;
starts.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cases.sine_training import (
    GRID,
    S1_START,
    from_r,
    line_through_origin,
    one_draw,
    random_points,
    sine_population,
)
from harness import Recipe, Status, Trained
from harness.core.formulation import Formulation
from harness.core.implementation import Missing
from harness.core.problem import Problem
from harness.core.recipe import ADAM, OPTIMISERS, SGD
from harness.training.trainer import Fitted
from reference import (
    Network,
    gradient_descent,
    least_squares,
    nnet_fit,
    numpy_net,
    optim_bfgs,
    runif,
    scipy_bfgs,
    scipy_lbfgsb,
    starts,
)
from reference.r.nnet_reference import LIVE
from tests.conftest import Approved

LOGISTIC = Network(1, 4, 1, "logistic")
POPULATION = sine_population(one_draw)


def fitted(trainer: Any, count: int = 2, network: Network = LOGISTIC) -> Fitted:
    """From so many starts on the points of S1."""
    found = trainer.fit(
        trainer.starting(network, POPULATION, count, "float64"), "float64", "cpu", lambda said: None
    )
    assert isinstance(found, Fitted), found
    return found


@pytest.mark.parametrize("seed", [0, 1, 2, 42, 2015, 2**31 - 1])
def test_runif_is_rs(live_r: None, seed: int) -> None:
    """To the last bit, past the first block of 624."""
    assert np.array_equal(runif(seed, 1300), LIVE.eval_text(f"set.seed({seed}); runif(1300)"))


def test_s1_is_as_written(live_r: None) -> None:
    """Points, start and fit are those of the seed question's own R code, to the last bit."""
    code = """
        set.seed(1); x <- sort(10*runif(50)); y <- sin(x); start <- seq(0, 1, by=1/12)
        net <- nnet::nnet(x, y, size=4, maxit=10000, linout=TRUE, abstol=1.0e-8, reltol=1.0e-9,
          Wts=start, trace=FALSE)
        c(x, y, start, net$wts, net$value)
    """
    x, y, start, weights, value = np.split(LIVE.eval_text(code), [50, 100, 113, 126])
    ours = fitted(nnet_fit(start=S1_START), 1)
    assert np.array_equal(x, from_r(1)[:, 0])
    assert np.array_equal(start, S1_START(Formulation.identity(LOGISTIC), 1)[0])
    assert ours.end is not None
    # R's sine is the C library's, NumPy's its own: they may differ in the last bit
    if np.array_equal(y, np.sin(x)):
        assert np.array_equal(weights, ours.end.own[0])
        assert value[0] == ours.claimed[0]
    assert value[0] < 1e-4
    assert ours.claimed[0] < 1e-4


def test_nnet_is_rs_optim(live_r: None) -> None:
    """nnet's own fit is vmmin on its own gradient, as R's optim(BFGS) is: they end at the same
    loss.
    """
    mine, theirs = fitted(nnet_fit()), fitted(optim_bfgs)
    assert np.array_equal(mine.claimed, theirs.claimed)


@pytest.mark.parametrize(
    "trainer",
    [scipy_bfgs, scipy_lbfgsb, least_squares, gradient_descent(1e-3, 50)],
    ids=lambda one: one.name,
)
def test_training_lowers_the_loss_and_claims_what_it_reached(trainer: Any) -> None:
    """From every start; the claim is NumPy's own loss at the final weights."""
    start = trainer.starting(LOGISTIC, POPULATION, 2, "float64")
    before, found = numpy_net.observe(start).values["loss"], fitted(trainer)
    assert found.end is not None
    after = numpy_net.observe(found.end).values["loss"]
    assert (after < before).all()
    assert np.allclose(found.claimed, after, rtol=1e-12)  # the same sums in another shape
    assert found.seconds > 0


def test_gradient_descent_that_diverges_names_the_step(approved: Approved) -> None:
    """And its end is no evidence."""
    found = fitted(gradient_descent(10.0, 500))
    assert not found.finite.any()
    assert found.end is None
    approved(found.ended[0], mask_figures=True)


def test_without_biases_they_stay_at_zero(live_r: None) -> None:
    """nnet's mask holds them, in every start."""
    found = fitted(nnet_fit(biases=False), 3)
    assert found.end is not None
    blocks = found.end.formulation.network.layout.split(found.end.own)
    assert (blocks["b"] == 0).all()
    assert (blocks["b_w"] == 0).all()
    assert (blocks["W1"] != 0).all()


def test_nnet_trains_a_tanh_network_as_the_logistic_one_that_it_is(live_r: None) -> None:
    """Its end is told in the weights that it really has, and the loss at its start is the tanh
    network's.
    """
    tanh = Network(1, 4, 1, "tanh")
    start = nnet_fit().starting(tanh, POPULATION, 1, "float64")
    assert start.formulation.network.activations == ("logistic", "identity")
    own = starts.uniform()(Formulation.identity(tanh), 1)
    x, y = one_draw(1)
    as_tanh = numpy_net.observe(Problem("start", Formulation.identity(tanh), own, x, y)).values[
        "loss"
    ]
    # tanh by another formula
    assert np.allclose(numpy_net.observe(start).values["loss"], as_tanh, rtol=1e-12)


def test_nnets_curve_ends_above_its_fit(live_r: None) -> None:
    """Losses by iteration, from repeated fits, never rise."""
    found = fitted(nnet_fit(), 1)
    losses = [loss for _, loss in found.curve]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] >= found.claimed[0]


def test_r_that_is_left_out_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """A trainer says why it is not to be had."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_mine.py").write_text("", encoding="utf-8")
    where = str(tmp_path / "test_mine.py"), "sine", False, "recorded"
    for trainer in (nnet_fit(), optim_bfgs):
        absent = trainer.answering(*where)
        approved([absent.title(), absent.cannot_answer(LOGISTIC, "fit")])
    assert scipy_bfgs.answering(*where) is scipy_bfgs
    assert scipy_bfgs.cannot_answer(LOGISTIC, "fit") is None


def test_r_that_raises_is_broken(live_r: None) -> None:
    """With R's own words: its integers end at 2^31."""
    start = nnet_fit().starting(LOGISTIC, POPULATION, 1, "float64")
    found = nnet_fit(maxit=10**12).fit(start, "float64", "cpu", lambda said: None)
    assert isinstance(found, Missing)
    assert found.status is Status.BROKEN
    assert found.why.startswith("R: NA")


@pytest.mark.parametrize(
    "start",
    [starts.uniform(), starts.normal(), starts.linear()],
    ids=["uniform", "normal", "linear"],
)
def test_a_start_is_the_same_however_many_are_asked_for(start: Any) -> None:
    """And no two are alike."""
    formulation = Formulation.identity(LOGISTIC)
    few, many = start(formulation, 2), start(formulation, 5)
    assert np.array_equal(few, many[:2])
    assert len(np.unique(many, axis=0)) == 5


def test_starts_like_nn_linear_stay_within_its_reach() -> None:
    """1 / sqrt(fan in): 1 for one input, 1/2 for four hidden units; and they use most of it."""
    layout = LOGISTIC.layout
    blocks = layout.split(starts.linear()(Formulation.identity(LOGISTIC), 200))
    for name, reach in (("W1", 1.0), ("b", 1.0), ("W2", 0.5), ("b_w", 0.5)):
        assert 0.95 * reach < abs(blocks[name]).max() <= reach


def test_the_best_line_is_the_floor() -> None:
    """Its bound encloses what least squares leave, for every draw."""
    x, y = random_points(3)
    floor = line_through_origin(x, y)
    for draw in range(3):
        slope = np.linalg.lstsq(x[draw], y[draw], rcond=None)[0]
        left = np.sum((y[draw] - x[draw] @ slope) ** 2)
        assert abs(left - floor.value[draw]) <= 2 * floor.error[draw]
        assert 0 < floor.error[draw] < 1e-8 * left


def test_pytorchs_defaults_are_ours() -> None:
    """A setting that is left out is what torch.optim takes."""
    import torch

    one = [torch.zeros(1, requires_grad=True)]
    sgd, adam, lbfgs = (
        kind(one).defaults for kind in (torch.optim.SGD, torch.optim.Adam, torch.optim.LBFGS)
    )
    assert {name: sgd[name] for name in SGD} == SGD
    assert {name: adam[name] for name in ("lr", "eps", "weight_decay")} == {
        n: ADAM[n] for n in ("lr", "eps", "weight_decay")
    }
    assert adam["betas"] == (ADAM["beta1"], ADAM["beta2"])
    assert all(lbfgs[name] == value for name, value in OPTIMISERS["lbfgs"].items())


def test_a_stack_cannot_have_what_only_a_module_has(approved: Approved) -> None:
    """Said when it is written."""
    with approved.raises(ValueError):
        Trained(object, Recipe("lbfgs", 1), stacked=lambda inputs, p: None)


def test_the_grid_is_s2s() -> None:
    """seq(0, 10, 0.1)."""
    assert GRID.shape == (101, 1)
    assert np.allclose(GRID[:, 0], np.arange(101) / 10)
