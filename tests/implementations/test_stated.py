"""A callable as a reference: its budget is stated, its answers are judged by it, and everything
says so.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness import Case, Contract, Subject
from harness.core.problem import QUANTITIES, STEP
from harness.core.verdict import Status, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Equations, Network, Stated, probes
from tests.conftest import Approved, Mine, screen_of, unfolded
from tests.own_networks import by_matmul, in_torch, two_hidden

WHY = "NumPy in float32"


def in_float32(p: dict[str, Any], x: Any) -> Any:
    """Two hidden layers in NumPy's float32."""
    p, x = {name: np.float32(block) for name, block in p.items()}, np.float32(x)
    h = np.tanh(np.tanh(x @ p["W1"].T + p["b1"]) @ p["W2"].T + p["b2"])
    return h @ p["W3"].T + p["b3"]


def verdict(answer: Callable[..., Any], budget: float = 1e-5, dtype: str = "float64") -> Verdict:
    """Of the network of two hidden layers in PyTorch against a callable."""
    network = two_hidden()
    shapes = {block.name: block.places.shape for block in network.layout.blocks}
    subjects = [Subject(in_torch("two hidden", "tanh", by_matmul), name="Mine", shapes=shapes)]
    references = [Stated("mine32", answer, budget=budget, why=WHY)]
    case = Case(
        "mine",
        network,
        subjects,
        references,
        probes(0, draws=5),
        checks=["forward"],
        dtypes=[dtype],
    )
    return run(case.trials()[0], Cache(case))


def test_what_is_inside_the_stated_budget_passes(approved: Approved) -> None:
    """float32 is within 1e-5 of each largest output, and the verdict says that this is stated."""
    found = verdict(in_float32)
    assert found.status is Status.PASS
    assert found.source == "stated"
    assert found.budget_used is not None
    assert 0.001 < found.budget_used < 1
    assert f"{100 * found.budget_used:.2g} %" in found.why
    approved(found.why, mask_figures=True)


def test_the_budget_is_a_share_of_the_largest_output_of_a_head_in_a_draw() -> None:
    """Off by as much as is stated passes, off by a thousandth more fails, in the head with the
    smaller outputs too.
    """

    def forward(m: Any, p: Any, x: Any) -> Any:
        return m.affine(x, p["W"]), m.scale(m.affine(x, p["V"]), 2.0**-20)

    network = Equations("two heads", 2, (1, 3), {"W": (1, 2), "V": (3, 2)}, forward)

    def model(x: Any, W: Any, V: Any) -> Any:
        return x @ W.T, 2.0**-20 * (x @ V.T)

    def off(share: float) -> Callable[..., Any]:
        def answer(p: Any, x: Any) -> Any:
            heads = [x @ p["W"].T, 2.0**-20 * (x @ p["V"].T)]
            heads[1][0, 0] += share * abs(heads[1]).max()
            return heads

        return answer

    for share, status in ((1e-4, Status.PASS), (1.001e-4, Status.FAIL)):
        references = [Stated("off", off(share * (1 - 1e-6)), budget=1e-4, why=WHY)]
        subjects = [Subject(model, shapes={"W": (1, 2), "V": (3, 2)})]
        case = Case(
            "heads",
            network,
            subjects,
            references,
            probes(1, draws=5),
            checks=["forward"],
            dtypes=["float64"],
        )
        found = run(case.trials()[0], Cache(case))
        assert found.status is status
        if status is Status.FAIL:
            assert "o2[row 0, 0]" in found.why


def test_a_failure_says_that_the_bound_is_stated(approved: Approved) -> None:
    """Who, by how much, and that he is outside what he states."""
    approved(verdict(lambda p, x: 1.01 * in_float32(p, x)).why, mask_figures=True)


@pytest.mark.parametrize("budget", [0.2, 5.0])
def test_a_budget_that_judges_nothing_is_vacuous(budget: float, approved: Approved) -> None:
    """More than a tenth of the largest output is no evidence, whatever was answered."""
    found = verdict(in_float32, budget)
    assert found.status is Status.VACUOUS
    approved(found.why)


def test_a_fault_within_a_vacuous_budget_does_not_pass() -> None:
    """Outputs that are off by a sixth."""
    assert verdict(lambda p, x: in_float32(p, x) * 7 / 6, 0.2).status is Status.VACUOUS


def nothing(p: Any, x: Any) -> Any:
    raise RuntimeError("no session")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (nothing, Status.BROKEN),
        (lambda p, x: p["W9"], Status.BROKEN),
        (lambda p, x: "words", Status.FAIL),
        (lambda p, x: 1j + in_float32(p, x), Status.FAIL),
        (lambda p, x: in_float32(p, x).T, Status.FAIL),
        (lambda p, x: in_float32(p, x)[0], Status.FAIL),
        (lambda p, x: [], Status.FAIL),
        (lambda p, x: None, Status.FAIL),
    ],
    ids=[
        "raises",
        "other blocks",
        "words",
        "complex",
        "transposed",
        "a row",
        "no heads",
        "nothing",
    ],
)
def test_what_is_no_answer_is_said(
    answer: Callable[..., Any], status: Status, approved: Approved
) -> None:
    """An exception breaks the trial, another shape fails it: in a sentence, and never a pass."""
    found = verdict(answer)
    assert found.status is status
    approved(found.why)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_fails(value: float, approved: Approved) -> None:
    """In one output of one draw, whatever the budget."""

    def answer(p: Any, x: Any) -> Any:
        outputs = in_float32(p, x)
        outputs[0, 0] = value
        return outputs

    for budget in (1e-5, 5.0):
        found = verdict(answer, budget)
        assert found.status is Status.FAIL
        approved(found.why, mask_figures=True)


def test_a_callable_cannot_change_what_others_are_asked() -> None:
    """It gets copies, and what it keeps and overwrites later is not its answer."""
    kept = np.empty((5, 2))

    def answer(p: Any, x: Any) -> Any:
        if len(x) != len(kept):
            return in_float32(p, x)
        kept[:] = in_float32(p, x)
        x += 1
        p["W1"] *= 2
        return kept

    assert verdict(answer).status is Status.PASS


def test_what_is_not_stated_is_absent(approved: Approved) -> None:
    """Only outputs are answered; each other quantity says who judges it."""
    one = Stated("onnx", in_float32, budget=1e-6, why=WHY)
    assert one.cannot_answer(two_hidden(), "forward") is None
    approved(one.cannot_answer(two_hidden(), quantity) for quantity in (*QUANTITIES[1:], STEP))


@pytest.mark.parametrize(
    "given",
    [
        {"budget": 0},
        {"budget": -1e-6},
        {"budget": np.inf},
        {"budget": np.nan},
        {"budget": None},
        {"why": " "},
        {"why": None},
        {"answer": 3},
    ],
    ids=str,
)
def test_a_budget_without_a_number_or_a_reason_is_refused(
    given: dict[str, Any], approved: Approved
) -> None:
    """In a sentence, where it is written."""
    with approved.raises(ValueError):
        Stated("onnx", **{"answer": in_float32, "budget": 1e-6, "why": WHY, **given})


def test_the_contract_in_words(approved: Approved) -> None:
    """What the report prints."""
    stated = Stated("onnx", in_float32, budget=1e-6, why=WHY).contract()
    approved(contract.sentence() for contract in (stated, Contract(), Contract(logistic_clip=15.0)))


BY_HAND = """
import numpy as np
from reference import Stated


def by_hand(p, x):
    h = 1 / (1 + np.exp(-(x @ p["W1"].T + p["b"])))
    return np.float32(h @ p["W2"].T + p["b_w"])


stated = Stated("hand", by_hand, budget=1e-6, why="stored in float32")
"""


def test_screen_and_report_say_stated(mine: Mine, approved: Approved) -> None:
    """Beside the name of the reference, in the counts, in the contracts, and of each verdict."""
    mine.write_sine(before=BY_HAND, references="[stated]", checks='["forward", "loss"]')
    mine.pytest().assert_outcomes(passed=2)
    approved(unfolded(screen_of(mine.pytest())), mask_figures=True)
    assert {found["source"] for found in mine.results()["verdicts"]} == {"stated"}
    contracts, lines = mine.results()["contracts"], mine.markdown().split("\n")
    approved(f"{name}: {contract}" for name, contract in contracts.items())
    for name, contract in contracts.items():
        assert name.split()[0] in lines[lines.index(f"- {contract}") + 1]
    approved(evidence(mine), mask_figures=True)


def evidence(mine: Mine) -> list[str]:
    """What the report says of each question's evidence."""
    return [line for line in mine.markdown().split("\n") if line.startswith("- Yes")]


def test_a_derived_bound_is_the_stronger_witness(mine: Mine, approved: Approved) -> None:
    """NumPy is named before what is stated."""
    mine.write_sine(before=BY_HAND, references="[stated, numpy_net]", checks='["forward"]')
    approved(unfolded(screen_of(mine.pytest())), mask_figures=True)
    approved(evidence(mine), mask_figures=True)


def test_a_network_with_one_hidden_layer_is_asked_too() -> None:
    """Blocks by nnet's names, groups of inputs one after the other, heads in a list."""
    network = Network((2, 3), 4, (1, 2), "relu")

    def model(
        x1: Any, x2: Any, W1: Any, V1: Any, b: Any, W2: Any, b_w: Any, V2: Any, b_v: Any
    ) -> Any:
        h = (x1 @ W1.T + x2 @ V1.T + b).relu()
        return h @ W2.T + b_w, h @ V2.T + b_v

    def answer(p: Any, x1: Any, x2: Any) -> Any:
        h = np.maximum(x1 @ p["W1"].T + x2 @ p["V1"].T + p["b"], 0)
        return [h @ p["W2"].T + p["b_w"], h @ p["V2"].T + p["b_v"]]

    shapes = {block.name: block.places.shape for block in network.layout.blocks}
    references = [Stated("double", answer, budget=1e-12, why="NumPy in float64")]
    case = Case(
        "heads",
        network,
        [Subject(model, shapes=shapes)],
        references,
        probes(2, draws=5),
        checks=["forward"],
    )
    cache = Cache(case)
    assert {run(trial, cache).status for trial in case.trials()} == {Status.PASS}
