"""PyTorch models in training: lockstep, final fits, and what goes wrong."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cases import stacks
from cases.sine_training import (
    LINEAR,
    RELU,
    SLOW,
    line_through_origin,
    one_draw,
    sine_population,
    update_by_hand,
)
from cases.test_sine import network, with_extra
from harness import Bounded, Case, Population, Recipe, Status, Subject, Trained, Verdict
from harness.core.implementation import Missing
from harness.core.loss import Loss
from harness.fits import summary
from harness.fits.ends import get_bounds_at_end, train
from harness.judging.cache import Cache
from harness.judging.store import Store
from harness.running.trial import run
from harness.training.clock import Clock
from harness.training.trainer import Ended, Fitted
from harness.waiting import deadlines
from harness.waiting.deadlines import Deadlines
from reference import Network, gradient_descent, nnet_fit, numpy_net, starts
from tests.conftest import Approved

POPULATION = sine_population(one_draw)
TANH, LOGISTIC = network("tanh"), network("logistic")
ADAM = Recipe("adam", 30, {"lr": 0.01})


class TanhNet(nn.Module):
    """A right model."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(1, 4), nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As the network."""
        result: torch.Tensor = self.output(torch.tanh(self.hidden(x)))
        return result


STACK = stacks.module(torch.tanh, "hidden", "output")


def asked(
    trained: Any, check: str, dtype: str = "float64", net: Network = TANH, **given: Any
) -> Verdict:
    """The verdict of one check, against NumPy."""
    given = {"references": [numpy_net], "problems": POPULATION} | given
    case = Case("training", net, [trained], checks=[check], dtypes=[dtype], **given)
    return run(case.trials()[0], Cache(case, starts=3), "pytest again")


def fitted(
    trained: Trained, count: int = 3, net: Network = TANH, dtype: str = "float64"
) -> Fitted | Missing:
    """What training came to on the points of S1."""
    return trained.fit(
        trained.starting(net, POPULATION, count, dtype), dtype, "cpu", lambda said: None
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("check", ["loss", "gradient", "step"])
def test_a_right_model_is_inside_along_its_training(check: str, dtype: str) -> None:
    """And so is the stack of it."""
    for trained in (Trained(TanhNet, ADAM), Trained(TanhNet, ADAM, stacked=STACK)):
        verdict = asked(trained, check, dtype)
        assert verdict.status is Status.PASS, verdict.why
        assert verdict.budget_used is not None
        assert verdict.budget_used > 0


def never_zeroed(loss: torch.Tensor, parameters: list[torch.Tensor]) -> None:
    """S8's planted fault: gradients pile up."""
    loss.backward()
    with torch.no_grad():
        for parameter in parameters:
            parameter -= 1e-5 * parameter.grad


def zeroed_before(loss: torch.Tensor, parameters: list[torch.Tensor]) -> None:
    """S8's planted fault: zeroed between backward() and the step."""
    loss.backward()
    with torch.no_grad():
        for parameter in parameters:
            parameter.grad.zero_()
            parameter -= 1e-5 * parameter.grad


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("iterate", "outside"),
    [(update_by_hand, None), (never_zeroed, "gradient"), (zeroed_before, "step")],
)
def test_what_zeroing_gradients_wrongly_does_is_seen(
    iterate: Callable[..., None], outside: str | None, dtype: str
) -> None:
    """Zeroed after the step: right. Never: the second gradient is outside. Before the step: there
    is no step.
    """
    trained = Trained(RELU, SLOW, "by_hand", iterate=iterate, start=starts.normal())
    verdicts = {
        check: asked(trained, check, dtype, network("relu"))
        for check in ("loss", "gradient", "step")
    }
    failed = [check for check, verdict in verdicts.items() if verdict.status is Status.FAIL]
    assert failed[:1] == ([outside] if outside else [])


def test_an_optimiser_of_the_first_start_alone_is_named(approved: Approved) -> None:
    """It is made once, and moves the parameters that it was made of."""
    made: list[Any] = []

    def iterate(loss: torch.Tensor, parameters: list[torch.Tensor]) -> None:
        if not made:
            made.append(torch.optim.SGD(parameters, lr=1e-5))
        made[0].zero_grad()
        loss.backward()
        made[0].step()

    trained = Trained(TanhNet, Recipe("sgd", 20, {"lr": 1e-5}), "kept", iterate=iterate)
    approved(asked(trained, "gradient").why, mask_figures=True)


def test_a_failure_of_a_step_names_step_start_and_element(approved: Approved) -> None:
    """And what before it is inside."""
    trained = Trained(RELU, SLOW, "by_hand", iterate=zeroed_before, start=starts.normal())
    approved(asked(trained, "step", net=network("relu")).why, mask_figures=True)


def test_the_extra_bias_is_learnt_twice_as_fast() -> None:
    """S7: under SGD the sum of both biases moves by twice the step of a single one; the weights by
    the same.
    """
    sgd = Recipe("sgd", 1, {"lr": 0.001})
    start = starts.linear(3)
    both, single = (
        Trained(replace(with_extra(True, extra), network=TANH), sgd, start=start, most=1)
        for extra in (True, False)
    )
    moved = []
    for trained in (both, single):
        begun = trained.starting(TANH, POPULATION, 1, "float64")
        ended = trained.fit(begun, "float64", "cpu", lambda said: None)
        assert isinstance(ended, Fitted)
        assert ended.end is not None
        moved.append(ended.end.theta[0] - begun.theta[0])
    doubled = np.array(
        [TANH.layout.blocks[owner].name in ("b", "b_w") for owner in TANH.layout.owners]
    )
    # differences of numbers near 1, each rounded a few times
    assert np.allclose(moved[0], np.where(doubled, 2, 1) * moved[1], rtol=0, atol=16 * 2.0**-53)


@pytest.mark.parametrize("stacked", [None, STACK], ids=["plain", "stack"])
def test_training_is_deterministic(stacked: Any, approved: Approved) -> None:
    """The same bits twice, and the user's random state is left alone."""
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, other = (fitted(Trained(TanhNet, ADAM, stacked=stacked)) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert isinstance(one, Fitted)
    assert isinstance(other, Fitted)
    assert np.array_equal(one.claimed, other.claimed)
    approved(one.ended)
    assert len(one.curve) == 31


@pytest.mark.parametrize("stacked", [None, STACK], ids=["plain", "stack"])
def test_a_fit_that_diverges_names_its_step_and_the_run_goes_on(
    stacked: Any, approved: Approved
) -> None:
    """Where every start does, it is a FAIL with that sentence; a start that does not is evidence
    all the same.
    """
    wild = Trained(TanhNet, Recipe("sgd", 400, {"lr": 1e3}), "wild", stacked=stacked)
    found = fitted(wild)
    assert isinstance(found, Fitted)
    assert not found.finite.any()
    approved(found.ended, mask_figures=True)
    verdict = asked(wild, "final", references=[gradient_descent(1e-3, 2)])
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


@pytest.mark.parametrize("stacked", [None, STACK], ids=["plain", "stack"])
@pytest.mark.parametrize(
    "recipe",
    [Recipe("sgd", 40, {"lr": 1e3}), Recipe("adam", 40, {"lr": 0.05}, until=23.5)],
    ids=["diverges", "good"],
)
def test_training_that_ends_early_is_judged_up_to_there(recipe: Recipe, stacked: Any) -> None:
    """In some starts sooner than in others: the states before are evidence, what leaves the range
    is none.
    """
    for check in ("loss", "gradient", "step"):
        for dtype in ("float64", "float32"):
            verdict = asked(Trained(TanhNet, recipe, stacked=stacked), check, dtype)
            assert verdict.status in (Status.PASS, Status.UNDEFINED), verdict.why
            assert recipe.until == -np.inf or verdict.status is Status.PASS


def test_nan_in_one_start_is_seen(approved: Approved) -> None:
    """Its loss is outside, and so is a claim that does not come where the weights give a loss."""

    class Nan(TanhNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = super().forward(x)
            return y * float("nan") if self.hidden.weight[0, 0] > 0.2 else y

    trained = Trained(Nan, replace(ADAM, settings={"lr": 1e-6}), "spoiled")
    found = fitted(trained)
    assert isinstance(found, Fitted)
    assert 0 < found.finite.sum() < 3
    verdict = asked(trained, "loss")
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)

    def mute(self: Any, *arguments: Any) -> Any:
        found = Trained.fit(self, *arguments)
        assert isinstance(found, Fitted)
        assert found.end is not None
        claims = np.where(np.arange(len(found.claimed)) == 1, np.nan, found.claimed)
        return Fitted.of(
            self.starting(TANH, POPULATION, 3, "float64"), found.end.own, claims, found.ended
        )

    silent = type("Silent", (Trained,), {"fit": mute})
    verdict = asked(silent(TanhNet, ADAM, "mute"), "final", references=[gradient_descent(1e-3, 2)])
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_a_gradient_in_two_parts_is_one() -> None:
    """What the optimiser is handed is what two backward() leave."""

    def halves(loss: torch.Tensor, parameters: list[torch.Tensor]) -> None:
        (0.5 * loss).backward(retain_graph=True)
        (0.5 * loss).backward()
        with torch.no_grad():
            for parameter in parameters:
                parameter -= 1e-3 * parameter.grad
                parameter.grad.zero_()

    trained = Trained(TanhNet, Recipe("sgd", 20, {"lr": 1e-3}), iterate=halves)
    for check in ("loss", "gradient", "step"):
        assert asked(trained, check).status is Status.PASS


def test_gradients_that_no_parameter_holds_are_seen() -> None:
    """By torch.autograd.grad."""

    def functional(loss: torch.Tensor, parameters: list[torch.Tensor]) -> None:
        slopes = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, slope in zip(parameters, slopes, strict=True):
                parameter -= 1e-3 * slope

    trained = Trained(TanhNet, Recipe("sgd", 20, {"lr": 1e-3}), iterate=functional)
    for check in ("loss", "gradient", "step"):
        assert asked(trained, check).status is Status.PASS


def test_training_whose_gradients_cannot_be_seen_says_so(approved: Approved) -> None:
    """An iteration without a gradient, and a parameter that is frozen."""

    def shrink(loss: torch.Tensor, parameters: list[torch.Tensor]) -> None:
        with torch.no_grad():
            for parameter in parameters:
                parameter *= 0.9

    verdict = asked(Trained(TanhNet, Recipe("sgd", 20), "shrinking", iterate=shrink), "step")
    assert verdict.status is Status.BROKEN
    approved(verdict.why)

    class Frozen(TanhNet):
        def __init__(self) -> None:
            super().__init__()
            self.output.bias.requires_grad_(False)

    verdict = asked(Trained(Frozen, ADAM, "frozen"), "step")
    assert verdict.status is Status.BROKEN
    approved(verdict.why)


def test_a_stack_has_the_decay_of_the_loss_and_no_loss_of_a_model(approved: Approved) -> None:
    """The penalty of each start is its own; a loss that would not be used is refused."""
    decayed = replace(POPULATION, loss=Loss(decay=0.1))
    for trained in (Trained(TanhNet, ADAM), Trained(TanhNet, ADAM, stacked=STACK)):
        for check in ("loss", "gradient"):
            verdict = asked(trained, check, problems=decayed)
            assert verdict.status is Status.PASS, verdict.why
    with approved.raises(ValueError):
        Trained(Subject(TanhNet, loss=nn.MSELoss()), ADAM, stacked=STACK)


def test_two_recipes_of_one_case_are_told_apart() -> None:
    """From the same starts one step of each hands on the same gradients; NumPy is asked for
    both.
    """
    one, other = (Trained(TanhNet, Recipe("sgd", 1, {"lr": lr}), f"lr {lr}") for lr in (0.01, 0.02))
    case = Case(
        "two", TANH, [one, other], [numpy_net], POPULATION, checks=["step"], dtypes=["float64"]
    )
    cache = Cache(case, starts=3)
    for trial in case.trials():
        verdict = run(trial, cache)
        assert verdict.status is Status.PASS, verdict.why


def test_one_trainer_of_two_networks_trains_both() -> None:
    """What a run knows of its fits in one network is not told of another, whose starts are the
    same.
    """
    trainer, known = gradient_descent(1e-3, 5), Store()
    claims = []
    for net in (TANH, LOGISTIC):
        case = Case(
            "one",
            net,
            [trainer],
            [gradient_descent(1e-3, 2, name="other")],
            POPULATION,
            dtypes=["float64"],
        )
        found = train(Cache(case, 3, across_cases=known), trainer, "float64", "cpu")
        assert isinstance(found, Ended)
        assert found.end.formulation.network is net
        claims.append(found.fitted.claimed)
    assert not np.array_equal(*claims)


def test_a_trainer_that_ends_on_other_data_fails(approved: Approved) -> None:
    """Its losses would say nothing of the data that it was given."""

    class Elsewhere(Trained):
        def fit(self, start: Any, *asked: Any) -> Any:
            return super().fit(replace(start, targets=0 * start.targets), *asked)

    verdict = asked(
        Elsewhere(TanhNet, ADAM, "elsewhere"), "final", references=[gradient_descent(1e-3, 2)]
    )
    assert verdict.status is Status.FAIL
    approved(verdict.why)


@pytest.mark.parametrize("expect", ["equal", "differs"])
@pytest.mark.parametrize("check", ["final", "fit", "gradient"])
def test_a_training_that_passes_its_deadline_is_broken(
    monkeypatch: pytest.MonkeyPatch, check: str, expect: str, approved: Approved
) -> None:
    """It is stopped at the first start that does so. What it reached is not judged: it would end
    higher than a reference that had the time, and a claim that it differs would pass.
    """
    monkeypatch.setattr(deadlines, "_chosen", [Deadlines(training=1e-9)])
    references = [numpy_net] if check == "gradient" else [gradient_descent(1e-3, 30)]
    verdict = asked(Trained(TanhNet, ADAM), check, expect=expect, references=references)
    assert verdict.status is Status.BROKEN
    approved(verdict.why, mask_figures=True)


def test_a_training_that_waits_ends_too(
    monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """A training that computes nothing ends by the clock, at ten times its deadline."""
    monkeypatch.setattr(deadlines, "_chosen", [Deadlines(training=0.01)])
    clock = Clock()
    assert clock.find_late() == ""
    time.sleep(0.12)
    assert clock.find_late() == ""  # an hour of sleep would count no more
    while not clock.find_late():
        time.sleep(0.01)
    approved(clock.find_late(), mask_figures=True)


def test_a_fit_stops_when_it_is_good(approved: Approved) -> None:
    """`until` is looked at with the loss of every iteration, whose step is made all the same."""
    found = fitted(Trained(TanhNet, Recipe("adam", 500, {"lr": 0.01}, until=20.0), most=1))
    assert isinstance(found, Fitted)
    approved(found.ended[0], mask_figures=True)
    assert found.claimed[0] <= 20


def test_a_model_that_raises_in_training_is_broken(approved: Approved) -> None:
    """With what it raised, and where."""

    class Dies(TanhNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("no more")

    for check, references in (("final", [gradient_descent(1e-3, 2)]), ("loss", [numpy_net])):
        verdict = asked(Trained(Dies, ADAM, "dies"), check, references=references)
        assert verdict.status is Status.BROKEN
        approved(verdict.why)


def test_lbfgs_fits_and_has_no_steps_of_its_own(approved: Approved) -> None:
    """Its final fit is judged; a step, which asks for several gradients, is not."""
    trained = Trained(TanhNet, Recipe("lbfgs", 5), "lbfgs")
    assert asked(trained, "final", references=[gradient_descent(1e-3, 2)]).status is Status.PASS
    verdict = asked(trained, "step")
    assert verdict.status is Status.BROKEN
    approved(verdict.why)


# Final fits


class Liar(Trained):
    """Claims a little less than it reached."""

    def fit(self, *asked: Any) -> Any:
        """As trained, but for the claim."""
        found = super().fit(*asked)
        assert isinstance(found, Fitted)
        return replace(found, claimed=found.claimed * (1 - 1e-9))


def test_a_claim_that_the_weights_do_not_bear_out_fails(approved: Approved) -> None:
    """A loss claimed 1e-9 too low is outside; the sentence has both numbers."""
    verdict = asked(Liar(TanhNet, ADAM, "liar"), "final", references=[gradient_descent(1e-3, 2)])
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)
    approved(verdict.question)


def test_nnet_may_move_its_weights_after_its_last_loss(live_r: None) -> None:
    """R's vmmin moves by less than it notices and keeps the loss before: a right claim, beyond the
    loss's rounding.
    """

    def ones(count: int) -> tuple[np.ndarray, np.ndarray]:
        x = np.tile(np.arange(20.0)[:, None], (count, 1, 1))
        return x, np.ones_like(x)

    trainer, population = nnet_fit(), replace(POPULATION, data=ones)
    case = Case(
        "ones",
        LOGISTIC,
        [trainer],
        [gradient_descent(1e-3, 2)],
        population,
        checks=["final"],
        dtypes=["float64"],
    )
    cache = Cache(case, starts=20)
    verdict = run(case.trials()[0], cache)
    assert verdict.status is Status.PASS, verdict.why
    ended = train(cache, trainer, "float64", "cpu")
    assert not isinstance(ended, Missing)
    loss = get_bounds_at_end(cache, ended)["loss"]
    assert (abs(ended.fitted.claimed - loss.value) > loss.error).any()


def test_a_wrong_prediction_fails_where_the_loss_is_right(approved: Approved) -> None:
    """A model that computes something else beyond its data is found at the marks and on the
    grid.
    """

    class Elsewhere(TanhNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + 1e-6 * (len(x) == 103)  # the marks and the grid

    verdict = asked(
        Trained(Elsewhere, ADAM, "elsewhere"), "final", references=[gradient_descent(1e-3, 2)]
    )
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_a_loss_that_rounding_cannot_judge_is_no_evidence(approved: Approved) -> None:
    """One of 0, say."""

    class Zero(TanhNet):
        def __init__(self) -> None:
            super().__init__()
            for parameter in self.parameters():
                nn.init.zeros_(parameter)

    zeros = replace(
        POPULATION, data=lambda count: (np.zeros((count, 5, 1)), np.zeros((count, 5, 1)))
    )
    verdict = asked(
        Trained(Zero, ADAM), "final", problems=zeros, references=[gradient_descent(1e-3, 2)]
    )
    assert verdict.status is Status.VACUOUS
    approved(verdict.why)


def test_an_answer_of_a_case_that_is_no_text_is_told(approved: Approved) -> None:
    """In its place."""
    trainers = {"subjects": [Trained(TanhNet, ADAM)], "references": [gradient_descent(1e-3, 2)]}
    case = Case(
        "said", TANH, problems=POPULATION, checks=["final"], answer=lambda rows: 3, **trainers
    )
    cache = Cache(case, starts=3)
    run(case.trials()[0], cache)
    approved(summary.answer(cache, []))


def test_a_model_alone_is_no_witness_for_steps(approved: Approved) -> None:
    """It takes none."""
    verdict = asked(Trained(TanhNet, ADAM), "step", references=[Subject(TanhNet)])
    assert verdict.status is Status.ABSENT
    approved(verdict.why)


def test_a_loss_below_its_floor_fails(approved: Approved) -> None:
    """The floor was stated for another network, or the data are others."""
    wrong = Trained(
        RELU,
        SLOW,
        "S4",
        start=starts.normal(),
        floor=lambda x, y: Bounded(np.full(len(x), 99.0), np.zeros(len(x))),
    )
    verdict = asked(wrong, "final", net=network("relu"), references=[gradient_descent(1e-5, 2)])
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)
    right = replace(wrong, floor=line_through_origin)
    assert (
        asked(right, "final", net=network("relu"), references=[gradient_descent(1e-5, 2)]).status
        is Status.PASS
    )


SMALL = sine_population(one_draw, quality=22.88)  # below every loss before training


def compared(mine: Any, theirs: Any, expect: str, count: int, **population: Any) -> Verdict:
    """The verdict of a `fit` check on so many starts."""
    case = Case(
        "fit",
        LOGISTIC,
        [mine],
        [theirs],
        replace(SMALL, **population),
        expect,
        checks=["fit"],
        dtypes=["float64"],
    )
    return run(case.trials()[0], Cache(case, starts=count))


FAR, NEAR = gradient_descent(1e-3, 100), gradient_descent(1e-6, 1, name="lazy", says="a lazy one")


def test_equal_trainers_are_equivalent(approved: Approved) -> None:
    """A trainer against itself: the p-value is the budget used, in shares of 5 %; power is told."""
    verdict = compared(FAR, replace(FAR, name="again"), "equal", 20)
    assert verdict.status is Status.PASS
    assert verdict.budget_used is not None
    assert 0 < verdict.budget_used < 1
    approved(verdict.why, mask_figures=True)


def test_unequal_trainers_differ(approved: Approved) -> None:
    """Where one never succeeds; claimed equal it fails, claimed to differ it passes."""
    verdict = compared(NEAR, FAR, "differs", 20)
    assert verdict.status is Status.PASS, verdict.why
    assert "0 of 20 starts (0% to 16%)" in verdict.why
    approved(verdict.why, mask_figures=True)
    failed = compared(NEAR, FAR, "equal", 20)
    assert failed.status is Status.FAIL
    approved(failed.why, mask_figures=True)


def test_a_claimed_difference_of_equal_trainers_fails(approved: Approved) -> None:
    """Equivalence refutes it."""
    verdict = compared(FAR, replace(FAR, name="again"), "differs", 20)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_a_claimed_difference_the_other_way_round_fails(approved: Approved) -> None:
    """Who was claimed not to fit as well, and fits better, was spoken of wrongly."""
    verdict = compared(FAR, NEAR, "differs", 20)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


@pytest.mark.parametrize("expect", ["equal", "differs"])
def test_a_quality_that_nobody_reaches_is_no_evidence(expect: str, approved: Approved) -> None:
    """0 of 20 against 0 of 20 says only that the quality is out of reach."""
    verdict = compared(FAR, NEAR, expect, 20, quality=1e-9)
    assert verdict.status is Status.VACUOUS
    approved(verdict.why, mask_figures=True)


def test_trainers_that_were_given_other_data_are_not_compared(approved: Approved) -> None:
    """data(D) that begins in another way for another D."""

    def drawn(count: int) -> Any:
        x = np.random.default_rng(count).uniform(0, 10, (count, 50, 1))
        return x, np.sin(x)

    verdict = compared(replace(NEAR, most=10), FAR, "differs", 20, data=drawn)
    assert verdict.status is Status.BROKEN
    approved(verdict.why)


def test_data_that_raise_are_broken(approved: Approved) -> None:
    """Whatever they raise."""

    def missing(count: int) -> Any:
        raise KeyError("points")

    verdict = compared(NEAR, FAR, "differs", 20, data=missing)
    assert verdict.status is Status.BROKEN
    approved(verdict.why)


def test_too_few_starts_cannot_tell(approved: Approved) -> None:
    """Neither pass nor failure, with the way to more."""
    verdict = compared(NEAR, FAR, "differs", 3)
    assert verdict.status is Status.VACUOUS
    approved(verdict.why, mask_figures=True)


# Cases of training that ask for what is not there


@pytest.mark.parametrize(
    "given",
    [
        {"problems": lambda f: []},
        {"subjects": [TanhNet]},
        {"checks": ["fit"]},
        {"checks": ["forward"]},
    ],
    ids=["problems", "subjects", "fit", "forward"],
)
def test_a_case_of_training_that_asks_for_what_is_not_there(
    given: dict[str, Any], approved: Approved
) -> None:
    """Said when it is collected."""
    right = {
        "subjects": [Trained(TanhNet, ADAM)],
        "references": [numpy_net],
        "problems": POPULATION,
        "checks": ["loss"],
    }
    with approved.raises((ValueError, TypeError)):
        Case("fit", TANH, **right | given).trials()


@pytest.mark.parametrize(
    "given",
    [
        {"grid": np.zeros(5)},
        {"grid": np.empty(0)},
        {"quality": "good"},
        {"margin": 1.0},
        {"margin": 0},
        {"ratio": 1},
        {"data": (np.zeros((5, 1)), np.zeros((5, 1)))},
        {"data": lambda: None},
        {"grid": "abc"},
    ],
    ids=["grid", "no grid", "quality", "margin", "no margin", "ratio", "data", "no draws", "text"],
)
def test_a_population_that_is_none_says_so(given: dict[str, Any], approved: Approved) -> None:
    """Said when it is written."""
    with approved.raises((ValueError, TypeError)):
        replace(POPULATION, **given)


def test_a_grid_may_be_a_list() -> None:
    """Rows of numbers are an array."""
    grid = Population(one_draw, grid=[[0.0], [2.5]]).grid
    assert grid.dtype == np.float64
    assert grid.tolist() == [[0.0], [2.5]]


def test_a_grid_of_another_width_is_seen_when_the_case_is_collected(approved: Approved) -> None:
    """With the width of the network's inputs."""
    case = Case(
        "fit",
        TANH,
        [Trained(TanhNet, ADAM)],
        [numpy_net],
        replace(POPULATION, grid=np.zeros((5, 2))),
    )
    with approved.raises(ValueError):
        case.trials()


def test_data_that_are_not_two_arrays_are_broken(approved: Approved) -> None:
    """With what was found."""
    verdict = asked(
        Trained(TanhNet, ADAM),
        "loss",
        problems=replace(POPULATION, data=lambda count: np.zeros((count, 5, 1))),
    )
    assert verdict.status is Status.BROKEN
    approved(verdict.why)


def test_data_of_one_start_alone_are_broken(approved: Approved) -> None:
    """With the line to write."""
    x = np.zeros((5, 1))
    population = replace(POPULATION, data=lambda draws: (x, x))
    verdict = asked(Trained(TanhNet, ADAM), "loss", problems=population)
    assert verdict.status is Status.BROKEN
    approved(verdict.why)


def test_a_recipe_is_no_text(approved: Approved) -> None:
    """Nor an optimiser."""
    recipe: Any = "adam"
    with approved.raises(TypeError):
        Trained(TanhNet, recipe)


def test_a_stack_of_another_shape_is_not_broadcast(approved: Approved) -> None:
    """(D, 1, R) in place of (D, R, 1) would be."""
    turned = Trained(TanhNet, ADAM, "turned", stacked=lambda inputs, p: STACK(inputs, p).mT)
    verdict = asked(turned, "loss")
    assert verdict.status is Status.BROKEN
    approved(verdict.why)


def test_a_setting_is_a_number(approved: Approved) -> None:
    """Not its text."""
    with approved.raises(TypeError):
        Recipe("adam", 1, {"lr": "0.01"})  # type: ignore[dict-item]


def test_a_function_needs_a_start(approved: Approved) -> None:
    """It has no initialisation of its own."""
    verdict = asked(Trained(RELU, SLOW, "by_hand"), "loss", net=network("relu"))
    assert verdict.status is Status.BROKEN
    approved(verdict.why)


def test_a_model_starts_as_it_is_built() -> None:
    """Under torch's seeds 0, 1, 2: what its user would get after torch.manual_seed."""
    own = Subject(TanhNet).initial(Subject(TanhNet).formulation(network("tanh")), 3)
    for seed in range(3):
        torch.manual_seed(seed)
        built = torch.cat([p.detach().double().ravel() for p in TanhNet().parameters()])
        assert np.array_equal(own[seed], built.numpy())


def test_progress_is_told(approved: Approved) -> None:
    """Every 250 steps, of how many."""
    told: list[str] = []
    trained = Trained(TanhNet, Recipe("sgd", 500), most=1)
    trained.fit(trained.starting(TANH, POPULATION, 1, "float64"), "float64", "cpu", told.append)
    approved(told)


def test_linear_starts_of_a_stack_are_those_of_the_module() -> None:
    """A stack and its plain module begin with the same numbers."""
    plain, stack = (
        Trained(TanhNet, ADAM, start=LINEAR, stacked=stacked) for stacked in (None, STACK)
    )
    one, other = (trained.starting(TANH, POPULATION, 3, "float32") for trained in (plain, stack))
    assert np.array_equal(one.own, other.own)
    assert np.array_equal(one.own, one.own.astype(np.float32))


@pytest.mark.parametrize("given", [{"start": np.zeros(13)}, {"most": 0}], ids=["start", "most"])
def test_a_training_that_is_none_says_so(given: dict[str, Any], approved: Approved) -> None:
    """What was found, what was expected, when it is written."""
    with approved.raises((ValueError, TypeError)):
        Trained(TanhNet, SLOW, **given)


@pytest.mark.parametrize(
    "start",
    [starts.uniform, lambda formulation, count: np.zeros(3)],
    ids=["without brackets", "another shape"],
)
def test_a_start_that_gives_none_says_so(start: Any, approved: Approved) -> None:
    """`starts.uniform` without its brackets, or an array of another shape."""
    verdict = asked(Trained(TanhNet, SLOW, start=start), "loss")
    assert verdict.status is Status.BROKEN
    approved(verdict.why)
