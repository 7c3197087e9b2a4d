"""Layer by layer: a model in a narrow dtype is judged from what it has itself computed on its
way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

from harness import Case, Contract, Loss, Subject
from harness.arithmetic.bounded import BoundedArithmetic
from harness.arithmetic.staged import StagedArithmetic
from harness.core.contract import PRECISION, Bounded
from harness.core.implementation import Observation
from harness.core.problem import QUANTITIES
from harness.core.verdict import Status, Verdict
from harness.judging.cache import Cache
from harness.judging.narrowing import narrow_problems
from harness.model.devices import held_in
from harness.model.intermediates import Stages
from harness.running.trial import run
from reference import Equations, Network, numpy_net, probes
from tests.conftest import Approved, Mine, at_collection

NARROW = ("bfloat16", "float16", "tf32")
ACTS: dict[str, Callable[[Any], Any]] = {
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "relu": torch.relu,
}


class Layers(nn.Module):
    """As torch's own layers compute it; `change` is done to the hidden units."""

    def __init__(self, act: str = "tanh", change: Callable[[Any], Any] = lambda h: h) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(5, 10), nn.Linear(10, 3)
        self.act, self.change = ACTS[act], change

    def forward(self, x: Any) -> Any:
        return self.output(self.change(self.act(self.hidden(x))))


def by_hand(
    x1: Any, x2: Any, W1: Any, V1: Any, b: Any, W2: Any, V2: Any, b_w: Any, b_v: Any
) -> tuple[Any, Any]:
    """Two inputs, two heads, a product at a time; the hidden units stand in columns."""
    h = torch.sigmoid(W1 @ x1.T + V1 @ x2.T + b[:, None])
    return (W2 @ h).T + b_w, (V2 @ h).T + b_v


BY_HAND = {
    "W1": (10, 2),
    "V1": (10, 3),
    "b": (10,),
    "W2": (3, 10),
    "V2": (2, 10),
    "b_w": (3,),
    "b_v": (2,),
}


def network(act: str = "tanh") -> Network:
    return Network(5, 10, 3, act)


def verdicts(subject: Any, dtype: str, of: Any = None, **more: Any) -> dict[str, Verdict]:
    """Of every quantity, against NumPy in float64."""
    case = Case(
        "narrow",
        of or network(),
        [subject],
        [numpy_net],
        probes(rows=4, draws=1, **more),
        dtypes=[dtype],
    )
    cache = Cache(case)
    return {trial.check: run(trial, cache) for trial in case.trials()}


def observed(
    subject: Subject, dtype: str, of: Any = None, **more: Any
) -> list[tuple[Any, Observation]]:
    """The problems as the dtype holds them, and what the subject answers."""
    case = Case(
        "narrow",
        of or network(),
        [subject],
        [numpy_net],
        probes(rows=4, draws=3, **more),
        dtypes=[dtype],
    )
    cache = Cache(case)
    problems = cache.problems(cache.formulation(subject), dtype)
    return [(problem, subject.observe(problem, dtype)) for problem in problems]


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("act", ACTS)
def test_a_right_model_of_torchs_layers_is_evidence(
    act: str, dtype: str, approved: Approved
) -> None:
    """Every quantity passes, layer by layer, and none of its bounds is too wide."""
    found = verdicts(Subject(lambda: Layers(act), name="Layers"), dtype, network(act))
    assert {quantity: verdict.status for quantity, verdict in found.items()} == dict.fromkeys(
        QUANTITIES, Status.PASS
    )
    approved(found["forward"].why, mask_figures=True)


@pytest.mark.parametrize("loss", [Loss(), Loss("mean"), Loss(decay=0.125)], ids=str)
@pytest.mark.parametrize("dtype", NARROW)
def test_a_right_model_by_hand_is_evidence_too(dtype: str, loss: Loss) -> None:
    """With several groups, heads, a loss with decay, units in columns, and each product stored."""
    of = Network((2, 3), 10, (3, 2), "logistic")
    found = verdicts(Subject(by_hand, shapes=BY_HAND), dtype, of, loss=loss)
    assert {verdict.status for verdict in found.values()} == {Status.PASS}


def test_of_a_network_of_ones_own_all_layers_are_seen(approved: Approved) -> None:
    """Two hidden layers, in bfloat16."""
    of = Equations(
        "deep",
        4,
        2,
        {"A": (6, 4), "B": (5, 6), "C": (2, 5)},
        lambda m, p, x: m.affine(
            m.act("tanh", m.affine(m.act("tanh", m.affine(x, p["A"])), p["B"])), p["C"]
        ),
    )
    deep = Subject(
        lambda x, A, B, C: torch.tanh(torch.tanh(x @ A.T) @ B.T) @ C.T,
        "deep",
        shapes={"A": (6, 4), "B": (5, 6), "C": (2, 5)},
    )
    found = verdicts(deep, "bfloat16", of)
    assert {verdict.status for verdict in found.values()} == {Status.PASS}
    approved(found["gradient"].why, mask_figures=True)


def deep(layers: int, width: int) -> tuple[Equations, Subject]:
    """So many square layers with tanh between them, as equations and as a model."""
    names = [f"A{number}" for number in range(layers)]

    def equations(m: Any, p: Any, x: Any) -> Any:
        for name in names[:-1]:
            x = m.act("tanh", m.affine(x, p[name]))
        return m.affine(x, p[names[-1]])

    def model(x: Any, **p: Any) -> Any:
        for name in names[:-1]:
            x = torch.tanh(x @ p[name].T)
        return x @ p[names[-1]].T

    shapes = dict.fromkeys(names, (width, width))
    return Equations("deep", width, width, shapes, equations), Subject(
        model, "deep", shapes=shapes, stagewise=True
    )


@pytest.mark.parametrize(
    ("layers", "dtype", "least"), [(2, "float32", 5), (3, "float32", 20), (3, "bfloat16", 100)]
)
def test_bounds_are_tighter_layer_by_layer(layers: int, dtype: str, least: float) -> None:
    """Those of the gradient, in the median, the more the deeper it is: nothing is carried from
    layer to layer.
    """
    of, subject = deep(layers, 16)
    contract = Contract(dtype)
    [problem] = probes(draws=2, rows=32, kinds=["random"])(subject.formulation(of))
    problem = problem.at(contract.rounded(problem.own / 4)).rounded(contract)
    seen = subject.observe(problem, dtype).seen
    whole, staged = (of.oracle(problem, contract, each)["gradient"].error for each in (None, seen))
    assert np.median(whole / staged) > least


@pytest.mark.parametrize("size", [1e-5, 1e-3, 0.1])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_layer_by_layer_what_is_outside_as_a_whole_does_not_pass(dtype: str, size: float) -> None:
    """Hidden units off by a size: where the whole is judged outside, so is it layer by layer."""
    wrong = [
        Subject(lambda: Layers(change=lambda h: h * (1 + size)), name="Wrong", stagewise=stagewise)
        for stagewise in (False, True)
    ]
    whole, staged = (verdicts(one, dtype) for one in wrong)
    for quantity in QUANTITIES:
        assert staged[quantity].status is Status.FAIL or whole[quantity].status is not Status.FAIL
    assert (staged["forward"].status is Status.FAIL) == (size > 2.0 ** -PRECISION[dtype][0])


def test_a_layer_that_is_wrong_is_named(approved: Approved) -> None:
    """The first activation that should be there and is not, and what the earlier layers have
    rounded.
    """

    def change(h: Any) -> Any:
        return torch.cat([h[:, :3], 1.5 * h[:, 3:4], h[:, 4:]], 1)

    class Wrong(Layers):
        def forward(self, x: Any) -> Any:
            return self.output(change(torch.tanh(self.hidden(x) + 0.5)))

    found = verdicts(Wrong, "bfloat16")["forward"].why
    assert "unit 0" in found
    approved(found, mask_figures=True)


def test_what_the_earlier_layers_have_rounded_is_told(approved: Approved) -> None:
    """Where it is most of what is allowed."""
    wrong = Subject(lambda: Layers(change=lambda h: 1.015 * h), name="Wrong")
    failed = [v for v in verdicts(wrong, "bfloat16").values() if v.status is Status.FAIL]
    shares = [v for v in failed if (v.contract_share or 0) > (v.allowed or 0) / 2]
    approved(shares[0].why.split("\n")[2].rpartition(", ")[2], mask_figures=True)


def test_where_everything_must_be_exact_the_whole_is_judged() -> None:
    """What is proved exact is not excused by a hidden unit that is as near as its rounding."""
    wrong = Subject(
        lambda: Layers("relu", lambda h: h * (1 + 2.0**-23)), name="Wrong", stagewise=True
    )
    found = verdicts(wrong, "float32", network("relu"), kinds=["exact"])
    assert found["forward"].status is Status.FAIL


def test_an_implementation_may_be_the_reference_of_another() -> None:
    """Both are judged layer by layer."""

    class ByHand(Layers):
        def forward(self, x: Any) -> Any:
            h = torch.tanh(
                torch.cat([x, torch.ones_like(x[:, :1])], 1)
                @ torch.cat([self.hidden.weight, self.hidden.bias[:, None]], 1).T
            )
            return h @ self.output.weight.T + self.output.bias

    other = Subject(ByHand)
    case = Case(
        "narrow", network(), [Layers], [other], probes(rows=4, draws=1), dtypes=["bfloat16"]
    )
    cache = Cache(case)
    assert {run(trial, cache).status for trial in case.trials()} == {Status.PASS}


def rounded(x: Any, bits: int) -> Any:
    """float32 with fewer bits, and the gradient of what is not rounded."""
    fraction, exponent = torch.frexp(x.detach())
    return x + (torch.ldexp((fraction * 2.0**bits).round(), exponent - bits) - x.detach())


class Factors(Layers):
    """As hardware multiplies that rounds the factors of products to so many bits."""

    bits = 11

    def forward(self, x: Any) -> Any:
        h = torch.tanh(
            rounded(x, self.bits) @ rounded(self.hidden.weight, self.bits).T + self.hidden.bias
        )
        return rounded(h, self.bits) @ rounded(self.output.weight, self.bits).T + self.output.bias


@pytest.mark.parametrize(
    ("bits", "dtype", "passes"), [(11, "tf32", True), (11, "float32", False), (8, "tf32", False)]
)
def test_tf32_is_factors_of_eleven_bits(bits: int, dtype: str, passes: bool) -> None:
    """A simulation of it passes as tf32, and not as float32; with fewer bits it does not."""
    made = type("Rounding", (Factors,), {"bits": bits})
    status = verdicts(made, dtype)["forward"].status
    assert status is (Status.PASS if passes else Status.FAIL)


# What is seen


def test_operations_that_change_from_draw_to_draw_are_not_taken() -> None:
    """Then there is nothing to see, and the whole is judged."""

    class Changing(Layers):
        def forward(self, x: Any) -> Any:
            return super().forward(x) if float(x.detach().sum()) > 0 else super().forward(x.clone())

    found = observed(Subject(Changing), "bfloat16")
    assert any(answers.seen is None for _, answers in found)
    assert verdicts(Changing, "bfloat16")["forward"].status is Status.PASS


def test_every_result_of_as_many_rows_is_seen_as_it_was() -> None:
    """Results in place before they change, matrices of which one side is as long, no integers, no
    sparse ones.
    """
    stages = Stages(3)
    with stages.record():
        a = torch.arange(6.0).reshape(3, 2) + 0
        a.mul_(2)
        torch.arange(3) + 1
        (torch.eye(3).to_sparse() * 2, torch.ones(1, 2, 3) * 5, torch.ones(4, 4) * 7)
    seen = stages.columns()
    assert seen is not None
    columns = {tuple(column) for column in seen[0].T}
    assert {(0, 2, 4), (1, 3, 5), (0, 4, 8), (2, 6, 10), (5, 5, 5)} <= columns
    assert not any(7 in column or (4 in column[1:2] and column[0] == 3) for column in columns)


class Compiled(Layers):
    """Run by `backend` when it is compiled, which it is not while it is watched."""

    def __init__(self, factor: float) -> None:
        super().__init__()

        def backend(graph: Any, example: Any) -> Any:
            return lambda *given: tuple(factor * out for out in graph(*given))

        self.compile(backend=backend)


@pytest.mark.parametrize(("factor", "status"), [(1.0, Status.PASS), (1.5, Status.FAIL)])
def test_what_is_judged_is_what_runs_unwatched(factor: float, status: Status) -> None:
    """torch.compile steps aside where operations are watched: its answers are its own all the
    same.
    """
    torch.compiler.reset()
    found = verdicts(
        Subject(lambda: Compiled(factor), name="Compiled"), "bfloat16", kinds=["random"]
    )
    assert found["forward"].status is status


def test_a_model_that_answers_otherwise_when_it_is_watched_is_judged_as_a_whole() -> None:
    """What is seen of it is not how it came to its answers."""

    class Otherwise(Layers):
        def forward(self, x: Any) -> Any:
            return super().forward(x) * (1 if _get_current_dispatch_mode() else 1 + 2.0**-7)

    assert all(answers.seen is None for _, answers in observed(Subject(Otherwise), "bfloat16"))


UNREADABLE: dict[str, Callable[[Any], Any]] = {
    "empty": lambda x: x[:, :0] * 2,
    "no rows": lambda x: x[:0] * 2,
    "nested": lambda x: torch.nested.nested_tensor([x]).clone(),
    "without data": lambda x: torch.ones(4, 3, device="meta") * 2,
    "negated lazily": lambda x: torch.complex(x.double(), x.double()).conj().imag,
    "transformed": torch.func.jacrev(torch.tanh),
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_spoils_nothing(what: str, approved: Approved) -> None:
    """A right model may compute it beside what is judged, and everything else is seen."""

    class Beside(Layers):
        def forward(self, x: Any) -> Any:
            UNREADABLE[what](x.detach())
            return super().forward(x)

    found = verdicts(Beside, "bfloat16", kinds=["random"])["forward"]
    assert found.status is Status.PASS
    approved(found.why, mask_figures=True)


def test_nothing_is_watched_unasked() -> None:
    """A model in float32 is asked as fast as ever."""
    assert all(answers.seen is None for _, answers in observed(Subject(Layers), "float32"))


def test_a_right_model_whose_slopes_underflow_is_inside() -> None:
    """In bfloat16 a subnormal number times a large input is no subnormal number any more."""

    def saturated(x: Any, W1: Any, b: Any, W2: Any, b_w: Any) -> Any:
        return torch.sigmoid(torch.relu((x @ W1.T + b).float()).to(x.dtype) @ W2.T + b_w)

    shapes = {"W1": (16, 8), "b": (16,), "W2": (64, 16), "b_w": (64,)}
    right = Subject(saturated, shapes=shapes, loss=lambda o, t: ((o - t) ** 2).mean(1).mean())
    case = Case(
        "narrow",
        Network(8, 16, 64, "relu", "logistic"),
        [right],
        [numpy_net],
        probes(seed=118533, rows=7, draws=5, kinds=["saturated"], loss=Loss("mean")),
        dtypes=["bfloat16"],
    )
    cache = Cache(case)
    assert Status.FAIL not in {run(trial, cache).status for trial in case.trials()}


# Narrow dtypes


@pytest.mark.parametrize("dtype", PRECISION)
def test_the_numbers_of_a_dtype_are_torchs(dtype: str) -> None:
    """Its roundoff, range and nearest numbers."""
    contract, info = Contract(dtype), torch.finfo(held_in(dtype))
    assert (contract.roundoff * 2, contract.tiny, contract.largest) == (
        info.eps,
        info.tiny,
        info.max,
    )
    numbers = np.random.default_rng(0).standard_normal(1000) * 2.0 ** np.arange(-13, 12).repeat(40)
    assert np.array_equal(
        contract.rounded(numbers), torch.tensor(numbers).to(held_in(dtype)).double().numpy()
    )


def test_draws_beyond_the_range_of_a_narrow_dtype_are_left_out() -> None:
    """Unless there are no others: then the trial is UNDEFINED, and says what to do."""
    [saturated] = probes(kinds=["saturated"], draws=30, rows=20)(
        Subject(Layers).formulation(network("relu"))
    )
    [kept] = narrow_problems([saturated], Contract("float16"))
    assert 0 < kept.draws < saturated.draws
    large = [saturated.at(2.0**10 * saturated.own)]
    assert [problem.draws for problem in narrow_problems(large, Contract("float16"))] == [
        saturated.draws
    ]


def test_data_beyond_the_range_are_told(mine: Mine, approved: Approved) -> None:
    """Before anything overflows: where, how large, and what to do."""
    mine.write_sine(dtypes='["float16"]', problems="OnData(np.full((2, 1), 1e6), np.zeros((2, 1)))")
    (mine.pytester.path / "test_mine.py").write_text(
        f"import numpy as np\nfrom reference import OnData\n{mine.text}"
    )
    assert mine.pytest().ret == 1
    approved(mine.results()["verdicts"][0]["why"])


@pytest.mark.parametrize("dtype", NARROW)
def test_the_contract_says_what_it_is(dtype: str, approved: Approved) -> None:
    """In the words of the report."""
    approved(Contract(dtype).sentence())


def test_training_and_contrasts_are_judged_in_float64_and_float32(
    mine: Mine, approved: Approved
) -> None:
    """And so are contrasts: a narrower dtype is refused for them."""
    mine.write_sine(
        dtypes='["bfloat16"]',
        contrast='Contrast("corners", "o", (1, -1, -1, 1))',
        expect='"differs"',
    )
    approved(at_collection(mine.pytest()))


def test_a_user_asks_in_bfloat16(mine: Mine) -> None:
    """By naming the dtype: trials, report and contract say so."""
    mine.write_sine(dtypes='["bfloat16"]')
    assert mine.pytest().ret == 0
    found = mine.results()
    assert {verdict["dtype"] for verdict in found["verdicts"]} == {"bfloat16"}
    assert Contract("bfloat16").sentence() in found["contracts"].values()


def test_the_gradient_of_a_fused_loss_is_not_taken_for_its_probabilities() -> None:
    """A mean over 5 rows has a fifth of the probabilities, which is within their wide bound."""
    z = Bounded(np.array([[[0.0, -180.0, -190.0]] * 5]), np.zeros((1, 5, 3)))
    contract = Contract("bfloat16")
    derived = BoundedArithmetic(contract, 1).softmax(z)
    arithmetic = StagedArithmetic(contract, 1, np.concatenate([z.value, derived.value / 5], -1))
    near = abs(derived.value / 5 - derived.value) <= derived.error
    assert near[..., 1:].all()
    assert np.array_equal(arithmetic.softmax(z).error, derived.error)


def test_a_right_classifier_of_many_units_passes_in_bfloat16() -> None:
    """Its loss is a mean of CrossEntropyLoss, and its rows are few."""
    loss = Loss("mean", error="softmax", from_logits=True, targets="labels")
    subject = Subject(
        lambda: nn.Sequential(nn.Linear(4, 60), nn.Tanh(), nn.Linear(60, 10)),
        "Wide",
        loss=nn.CrossEntropyLoss(),
    )
    kinds = ["exact", "few-term", "random", "saturated"]
    problems = probes(0, draws=4, kinds=kinds, loss=loss)
    network = Network(4, 60, 10, "tanh")
    how: dict[str, Any] = {"dtypes": ["bfloat16"], "checks": ["gradient"]}
    case = Case("wide", network, [subject], [numpy_net], problems, **how)
    cache = Cache(case)
    found = [run(trial, cache) for trial in case.trials()]
    assert {verdict.status for verdict in found} == {Status.PASS}, [each.why for each in found]
