"""How a PyTorch model is asked: right models of unusual make pass, models that are no function do
not.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness import Case, Contract, Loss, Status, Subject, Verdict
from harness.core.formulation import Formulation
from harness.core.problem import Problem
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes, r_nnet
from tests.conftest import Approved

SINE = Network(1, 4, 1, "tanh")


class Tanh(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))


def verdicts(
    subject: Any, network: Network = SINE, makers: Any = None, reference: Any = numpy_net
) -> list[Verdict]:
    case = Case("made", network, [subject], [reference], makers or probes(seed=1))
    cache = Cache(case)
    return [run(trial, cache) for trial in case.trials()]


def worst(found: list[Verdict]) -> Verdict:
    return min(found, key=lambda verdict: list(Status).index(verdict.status))


def two_biases(p: Any) -> Any:
    return {"W1": p["W1"], "b": p["b"] + p["c"], "W2": p["W2"], "b_w": p["b_w"]}


def constant_head(p: Any) -> Any:
    return {**{name: p[name] for name in ("W1", "b", "W2", "b_w")}, "V2": 0, "b_v": p["scale"][0]}


# Right models.


@pytest.mark.parametrize("mean", [0.5, 273.15, 101325.0])
def test_an_output_that_is_not_standardised_passes(mean: float) -> None:
    """y = std net(x) + mean is an affine meaning whose slopes are read off exactly beside a large
    constant.
    """

    class Unstandardised(Tanh):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return super().forward(x) * 0.5 + np.float32(mean).item()

    def means(p: Any) -> Any:
        constant = float(np.float32(mean))
        return {
            "W1": p["0.weight"],
            "b": p["0.bias"],
            "W2": 0.5 * p["2.weight"],
            "b_w": 0.5 * p["2.bias"] + constant,
        }

    assert worst(verdicts(Subject(Unstandardised, parameters=means))).status is Status.PASS


def test_an_output_that_is_a_view_of_a_parameter_passes() -> None:
    """A learnt constant head is not overwritten by the next draw's parameters."""

    def model(x, W1, b, W2, b_w, scale):  # type: ignore[no-untyped-def]
        return torch.tanh(x @ W1.T + b) @ W2.T + b_w, scale.expand(len(x), 1)

    network = Network(1, 4, (1, 1), "tanh")
    shapes = {"W1": (4, 1), "b": (4,), "W2": (1, 4), "b_w": (1,), "scale": (1, 1)}
    subject = Subject(model, shapes=shapes, parameters=constant_head)
    assert worst(verdicts(subject, network)).status is Status.PASS


def test_a_constant_that_float32_rounds_passes() -> None:
    """relu(8.23 x) in float32 carries the constant's own rounding."""
    network = Network(1, 1, 1, "relu")

    def model(x, w):  # type: ignore[no-untyped-def]
        return torch.relu(8.23 * x) * w

    subject = Subject(
        model,
        shapes={"w": (1,)},
        parameters=lambda p: {"W1": 8.23, "b": 0, "W2": p["w"][None], "b_w": 0},
    )
    assert worst(verdicts(subject, network)).status is Status.PASS


def test_a_weight_in_two_places_passes_when_its_gradient_is_one_long_sum() -> None:
    """A tied weight on rows that are added up one by one stays inside in float32."""

    class RowByRow(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):  # type: ignore[no-untyped-def]
            ctx.save_for_backward(x, w)
            return x * w

        @staticmethod
        def backward(ctx, g):  # type: ignore[no-untyped-def]
            x, w = ctx.saved_tensors
            total = torch.zeros_like(w)
            for row in (g * x).reshape(-1):
                total = total + row
            return g * w, total

    def model(x, w):  # type: ignore[no-untyped-def]
        return RowByRow.apply(x, w).sum(dim=1, keepdim=True)

    network = Network(2, 2, 1, "identity")

    def means(p: Any) -> Any:
        return {"W1": np.eye(2) * p["w"], "b": 0, "W2": np.ones((1, 2)), "b_w": 0}

    subject = Subject(model, shapes={"w": (1,)}, parameters=means)
    assert (
        worst(
            verdicts(subject, network, probes(seed=2, rows=300, draws=10, kinds=["random"]))
        ).status
        is Status.PASS
    )


def test_two_large_biases_that_cancel_pass() -> None:
    """Each rounding of the sum acts on the biases' sizes, not on what is left of them."""

    def model(x, W1, b, c, W2, b_w):  # type: ignore[no-untyped-def]
        return torch.tanh(x @ W1.T + b + c) @ W2.T + b_w

    def cancelling(formulation: Formulation) -> list[Problem]:
        rng = np.random.default_rng(0)
        own = np.round(rng.standard_normal((20, formulation.own.size)) * 64) / 64
        biases = formulation.own.split(own)["b"]
        own[:, 4:8], own[:, 8:12] = biases + 1024, 0.25 - 1024
        x = np.round(rng.standard_normal((20, 7, 1)) * 64) / 64
        return [Problem("cancelling", formulation, own, x, x)]

    shapes = {"W1": (4, 1), "b": (4,), "c": (4,), "W2": (1, 4), "b_w": (1,)}
    subject = Subject(model, shapes=shapes, parameters=two_biases)
    assert worst(verdicts(subject, makers=cancelling)).status is Status.PASS


# Models that are no function, or train otherwise than they differentiate.


def hooked() -> nn.Module:
    model = Tanh()

    def double(parameter):  # type: ignore[no-untyped-def]
        parameter.grad *= 2

    model[0].bias.register_post_accumulate_grad_hook(double)
    return model


def test_a_hook_that_doubles_grad_after_backward_is_caught() -> None:
    """The gradient is judged as a training loop reads it, too."""
    found = {v.check: v for v in verdicts(Subject(hooked, name="Hooked", parameters=by_position))}
    assert (found["forward"].status, found["gradient"].status) == (Status.PASS, Status.FAIL)


def by_position(p: Any) -> Any:
    return {"W1": p["0.weight"], "b": p["0.bias"], "W2": p["2.weight"], "b_w": p["2.bias"]}


class Detached(Tanh):
    def forward(self, x):  # type: ignore[no-untyped-def]
        h = self[1](self[0](x))
        return self[2](h if x.requires_grad else h.detach())


class OtherwiseWithoutGrad(Tanh):
    def forward(self, x):  # type: ignore[no-untyped-def]
        return super().forward(x) * (1.0 if torch.is_grad_enabled() else 1.5)


class OtherwiseInEval(Tanh):
    def forward(self, x):  # type: ignore[no-untyped-def]
        return super().forward(x) * (1.0 if self.training else 0.5)


class InPlace(Tanh):
    def forward(self, x):  # type: ignore[no-untyped-def]
        y = super().forward(x)
        with torch.no_grad():
            x.mul_(0)
        return y


class Drifting(Tanh):
    def forward(self, x):  # type: ignore[no-untyped-def]
        y = super().forward(x)
        with torch.no_grad():
            self[2].bias.mul_(0.99)
        return y


class Dropping(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(1, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 1))


@pytest.mark.parametrize(
    "model", [OtherwiseWithoutGrad, Dropping, OtherwiseInEval, InPlace, Drifting]
)
def test_a_model_that_is_no_function_fails_with_its_sentence(
    model: Any, approved: Approved
) -> None:
    """What a model does to inputs, parameters and its own later answers is judged."""
    found = worst(verdicts(model))
    assert found.status is Status.FAIL
    approved(found.why)


class RoundsOtherwise(Tanh):
    """As PyTorch does, which adds up some products in another order under no_grad()."""

    def forward(self, x: Any) -> Any:
        y = super().forward(x)
        return y if torch.is_grad_enabled() else torch.nextafter(y, torch.full_like(y, torch.inf))


def test_a_model_that_rounds_otherwise_without_gradients_is_right() -> None:
    """What differs by rounding is the same answer; where nothing may round it is another one."""
    for kind, status in (("random", Status.PASS), ("exact", Status.FAIL)):
        found = [
            v
            for v in verdicts(RoundsOtherwise, makers=probes(kinds=[kind]))
            if v.check == "forward"
        ]
        assert {verdict.status for verdict in found} == {status}


def test_a_layer_detached_where_inputs_need_no_gradient_is_caught() -> None:
    """Training calls a model with inputs that need no gradient."""
    found = {v.check: v.status for v in verdicts(Detached)}
    assert found["gradient"] is Status.FAIL


class ClampedInputs(Tanh):
    def forward(self, x):  # type: ignore[no-untyped-def]
        return super().forward(x.clamp(-5, 5))


class WrongForManyRows(Tanh):
    def forward(self, x):  # type: ignore[no-untyped-def]
        return (
            super().forward(x)
            if len(x) <= 8
            else super().forward(x[:8].repeat(len(x), 1)[: len(x)])
        )


class ZeroIsMissing(Tanh):
    def forward(self, x):  # type: ignore[no-untyped-def]
        return super().forward(torch.where(x == 0, 1.0, x))


class SmallIsZero(Tanh):
    def forward(self, x):  # type: ignore[no-untyped-def]
        return super().forward(torch.where(x.abs() < 9e-4, 0.0, x))


@pytest.mark.parametrize("model", [ClampedInputs, WrongForManyRows, ZeroIsMissing, SmallIsZero])
def test_the_default_probes_reach_unusual_data(model: Any) -> None:
    """Large and tiny inputs, zeros, and many rows are asked of every model."""
    assert worst(verdicts(model)).status is Status.FAIL


def test_a_model_built_for_evaluation_passes_with_its_dropout() -> None:
    """In eval() dropout does nothing."""
    means = {"W1": "0.weight", "b": "0.bias", "W2": "3.weight", "b_w": "3.bias"}
    subject = Subject(
        lambda: Dropping().eval(), "Evaluated", lambda p: {b: p[n] for b, n in means.items()}
    )
    assert worst(verdicts(subject)).status is Status.PASS


def test_outputs_of_a_narrower_dtype_are_named(approved: Approved) -> None:
    """A float32 inside a float64 model that reaches its output."""

    class Narrow(Tanh):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return super().forward(x).float()

    found = {v.dtype: v for v in verdicts(Narrow) if v.check == "forward"}
    assert found["float32"].status is Status.PASS
    approved(found["float64"].why)


def test_frozen_parameters_are_said_to_be_frozen(approved: Approved) -> None:
    """Their gradient cannot be judged; forward and loss can."""

    def frozen() -> nn.Module:
        model = Tanh()
        model[0].weight.requires_grad_(False)
        return model

    found = {v.check: v for v in verdicts(Subject(frozen, "Frozen", by_position))}
    assert (found["forward"].status, found["loss"].status) == (Status.PASS, Status.PASS)
    approved(found["gradient"].why)


def test_heads_in_another_order_are_called_that(approved: Approved) -> None:
    """Shapes that are those expected, exchanged."""

    class Exchanged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.h, self.one, self.two = nn.Linear(1, 4), nn.Linear(4, 2), nn.Linear(4, 3)

        def forward(self, x):  # type: ignore[no-untyped-def]
            h = torch.tanh(self.h(x))
            return self.two(h), self.one(h)

    approved(worst(verdicts(Exchanged, Network(1, 4, (2, 3), "tanh"))).why)


def test_a_name_tells_more_than_a_shape() -> None:
    """A parameter called W1 in the shape of W2 is a transposed W1."""

    class AtW(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.W1, self.b1 = nn.Parameter(torch.ones(3, 2)), nn.Parameter(torch.ones(2))
            self.W2, self.b2 = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tanh(x @ self.W1 + self.b1) @ self.W2 + self.b2

    assert worst(verdicts(AtW, Network(3, 2, 3))).status is Status.PASS


# What is refused, or said to be no evidence.


def test_a_draw_beyond_the_dtype_hides_no_failure() -> None:
    """One overflowing draw of several leaves a wrong model failed."""

    class Doubled(Tanh):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return 2 * super().forward(x)

    def makers(formulation: Formulation) -> list[Problem]:
        own = np.ones((3, formulation.own.size))
        own[1] = 1e38
        x = np.full((3, 2, 1), 8.0)
        return [Problem("large", formulation, own, x, x)]

    statuses = {(v.check, v.dtype): v.status for v in verdicts(Doubled, makers=makers)}
    assert statuses["forward", "float32"] is Status.FAIL


def test_decay_on_other_parameters_than_the_networks_is_refused(approved: Approved) -> None:
    """The oracle penalises theta; a formulation with two biases penalises something else."""

    def model(x, W1, b, c, W2, b_w):  # type: ignore[no-untyped-def]
        return torch.tanh(x @ W1.T + b + c) @ W2.T + b_w

    shapes = {"W1": (4, 1), "b": (4,), "c": (4,), "W2": (1, 4), "b_w": (1,)}
    subject = Subject(model, shapes=shapes, parameters=two_biases)
    found = worst(verdicts(subject, makers=probes(seed=1, loss=Loss(decay=0.1))))
    assert found.status is Status.BROKEN
    approved(found.why)


def test_decay_is_judged_where_parameters_are_only_renamed() -> None:
    """With decay a plain module agrees with NumPy."""
    assert worst(verdicts(Tanh, makers=probes(seed=1, loss=Loss(decay=0.1)))).status is Status.PASS


def test_nnet_is_no_witness_for_decay_on_tanh(approved: Approved) -> None:
    """nnet would penalise the weights through which it computes tanh."""
    if r_nnet.cannot_answer(SINE, "forward"):
        pytest.skip(str(r_nnet.cannot_answer(SINE, "forward")))
    found = verdicts(Tanh, makers=probes(seed=1, loss=Loss(decay=0.1)), reference=r_nnet)
    assert {v.status for v in found} == {Status.ABSENT}
    approved(f"{v.check} {v.dtype}: {v.why}" for v in found)


def test_nnet_is_no_witness_for_a_mean_over_heads_of_different_widths(
    live_r: None, approved: Approved
) -> None:
    """It weighs rows; the outputs it has."""

    def model(x, W1, b, W2, b_w, V2, b_v):  # type: ignore[no-untyped-def]
        h = torch.sigmoid(x @ W1.T + b)
        return h @ W2.T + b_w, h @ V2.T + b_v

    network = Network(1, 4, (1, 2), "logistic")
    subject = Subject(
        model, shapes={block.name: block.places.shape for block in network.layout.blocks}
    )
    found = verdicts(subject, network, probes(seed=1, loss=Loss("mean")), r_nnet)
    assert {v.status for v in found if v.check == "forward"} == {Status.PASS}
    others = [v for v in found if v.check != "forward"]
    assert {v.status for v in others} == {Status.ABSENT}
    approved({v.why for v in others if v.check != "input_gradient"})


def test_the_contract_of_a_subject_is_its_own() -> None:
    """dtype and convention at 0 come from the trial and the subject."""
    assert Subject(Tanh, relu_at_zero=1.0).contract("float32") == Contract(
        "float32", relu_at_zero=1.0, unfused_slope=True, log_least=-100.0
    )
    own = Subject(Tanh, loss=nn.BCELoss()).contract("float64")
    assert own == Contract("float64", own_loss=True)
