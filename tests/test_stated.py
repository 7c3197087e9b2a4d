"""A callable as a reference: its budget is stated, its answers are judged by it, and everything says so."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import Mine, screen_of
from own_networks import by_matmul, in_torch, two_hidden

from harness import Case, Contract, Subject
from harness.memo import Memo
from harness.problem import QUANTITIES, STEP
from harness.trial import run
from harness.verdict import Status, Verdict
from reference import Equations, Network, Stated, probes

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
    case = Case("mine", network, subjects, references, probes(0, draws=5), checks=["forward"], dtypes=[dtype])
    return run(case.trials()[0], Memo(case))


def test_what_is_inside_the_stated_budget_passes() -> None:
    """float32 is within 1e-5 of each largest output, and the verdict says that this is stated."""
    found = verdict(in_float32)
    assert found.status is Status.PASS
    assert found.source == "stated"
    assert found.budget_used is not None
    assert 0.001 < found.budget_used < 1
    assert found.why == f"inside: {found.budget_used:.2g} of what float64 may differ by and its reference states"


def test_the_budget_is_a_share_of_the_largest_output_of_a_head_in_a_draw() -> None:
    """Off by as much as is stated passes, off by a thousandth more fails, in the head with the smaller outputs too."""

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
        case = Case("heads", network, subjects, references, probes(1, draws=5), checks=["forward"], dtypes=["float64"])
        found = run(case.trials()[0], Memo(case))
        assert found.status is status
        if status is Status.FAIL:
            assert "o2[row 0, 0]" in found.why


def test_a_failure_says_that_the_bound_is_stated() -> None:
    """Who, by how much, and that he is outside what he states."""
    lines = verdict(lambda p, x: 1.01 * in_float32(p, x)).why.split("\n")
    assert lines[0] == "mine: Mine (cpu, float64) against mine32 (stated, within 1e-05)"
    assert lines[1].startswith("forward is outside its rounding: ")
    assert lines[4] == "  by what it states, mine32 (stated, within 1e-05) is the one outside"


@pytest.mark.parametrize("budget", [0.2, 5.0])
def test_a_budget_that_judges_nothing_is_vacuous(budget: float) -> None:
    """More than a tenth of the largest output is no evidence, whatever was answered."""
    found = verdict(in_float32, budget)
    assert found.status is Status.VACUOUS
    assert found.why == "the bound of o exceeds a tenth of its largest value in every draw"


def test_a_fault_within_a_vacuous_budget_does_not_pass() -> None:
    """Outputs that are off by a sixth."""
    assert verdict(lambda p, x: in_float32(p, x) * 7 / 6, 0.2).status is Status.VACUOUS


def nothing(p: Any, x: Any) -> Any:
    raise RuntimeError("no session")


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (nothing, Status.BROKEN, "mine32 raised RuntimeError: no session (at test_stated.py:"),
        (lambda p, x: p["W9"], Status.BROKEN, "mine32 raised KeyError: 'W9' (at test_stated.py:"),
        (lambda p, x: "words", Status.FAIL, "mine32 gave outputs of <U5, expected real numbers"),
        (lambda p, x: 1j + in_float32(p, x), Status.FAIL, "mine32 gave outputs of complex64, expected real numbers"),
        (lambda p, x: in_float32(p, x).T, Status.FAIL, "mine32 gave outputs of shapes (2, 4), expected (4, 2)"),
        (lambda p, x: in_float32(p, x)[0], Status.FAIL, "mine32 gave outputs of shapes (2,), expected (4, 2)"),
        (lambda p, x: [], Status.FAIL, "mine32 gave outputs of shapes none, expected (4, 2)"),
        (lambda p, x: None, Status.FAIL, "mine32 gave outputs of shapes (), expected (4, 2)"),
    ],
    ids=["raises", "other blocks", "words", "complex", "transposed", "a row", "no heads", "nothing"],
)
def test_what_is_no_answer_is_said(answer: Callable[..., Any], status: Status, said: str) -> None:
    """An exception breaks the trial, another shape fails it: in a sentence, and never a pass."""
    found = verdict(answer)
    assert found.status is status
    first, second = found.why.split("\n")
    assert first == "mine: Mine (cpu, float64) against mine32 (stated, within 1e-05)"
    assert second.startswith(f"forward was not answered: {said}")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_fails(value: float) -> None:
    """In one output of one draw, whatever the budget."""

    def answer(p: Any, x: Any) -> Any:
        outputs = in_float32(p, x)
        outputs[0, 0] = value
        return outputs

    for budget in (1e-5, 5.0):
        found = verdict(answer, budget)
        assert found.status is Status.FAIL
        assert "forward is not finite where float64 should be" in found.why


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


def test_what_is_not_stated_is_absent() -> None:
    """Only outputs are answered; each other quantity says who judges it."""
    one = Stated("onnx", in_float32, budget=1e-6, why=WHY)
    said = [one.absent(two_hidden(), quantity) for quantity in (*QUANTITIES, STEP)]
    assert said == [
        None,
        "onnx states nothing of the loss: let NumPy judge it",
        "onnx states nothing of gradients: let NumPy judge them",
        "onnx states nothing of gradients by the inputs: let NumPy judge them",
        "onnx states nothing of steps: let NumPy judge them",
    ]


BUDGET = "expected a number above 0: the share of its largest output that it may be off by"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"budget": 0}, f"onnx states a budget of 0, {BUDGET}"),
        ({"budget": -1e-6}, f"onnx states a budget of -1e-06, {BUDGET}"),
        ({"budget": np.inf}, f"onnx states a budget of inf, {BUDGET}"),
        ({"budget": np.nan}, f"onnx states a budget of nan, {BUDGET}"),
        ({"budget": None}, f"onnx states a budget of None, {BUDGET}"),
        ({"why": " "}, "onnx says not why its budget of 1e-06 holds, expected a sentence"),
        ({"why": None}, "onnx says not why its budget of 1e-06 holds, expected a sentence"),
        ({"answer": 3}, "onnx is 3, expected a function of blocks and inputs"),
    ],
)
def test_a_budget_without_a_number_or_a_reason_is_refused(given: dict[str, Any], said: str) -> None:
    """In a sentence, where it is written."""
    with pytest.raises(ValueError, match=r"^onnx ") as caught:
        Stated("onnx", **{"answer": in_float32, "budget": 1e-6, "why": WHY, **given})
    assert str(caught.value) == said


def test_the_contract_in_words() -> None:
    """What the report prints."""
    assert Stated("onnx", in_float32, budget=1e-6, why=WHY).contract().sentence() == (
        "stated, not derived: within 1e-06 of a head's largest output in a draw (NumPy in float32)"
    )
    assert "stated" not in Contract().sentence()


BY_HAND = """
import numpy as np
from reference import Stated


def by_hand(p, x):
    h = 1 / (1 + np.exp(-(x @ p["W1"].T + p["b"])))
    return np.float32(h @ p["W2"].T + p["b_w"])


stated = Stated("hand", by_hand, budget=1e-6, why="stored in float32")
"""


def test_screen_and_report_say_stated(mine: Mine) -> None:
    """Beside the name of the reference, in the counts, in the contracts, and of each verdict."""
    mine.write_sine(before=BY_HAND, references="[stated]", checks='["forward", "loss"]')
    mine.pytest().assert_outcomes(passed=2, skipped=2)
    text = "\n".join(screen_of(mine.pytest()))
    assert "Yes, by 2 trials against hand (stated), at most 0." in text
    assert "2 ABSENT: hand states nothing of the loss: let NumPy judge it" in text
    assert "4 trials: 2 PASS, 2 ABSENT; 0 of the passes against live R, 2 against what is stated" in text
    assert {found["source"] for found in mine.results()["verdicts"]} == {"stated"}
    contract = "stated, not derived: within 1e-06 of a head's largest output in a draw (stored in float32)"
    assert mine.results()["contracts"]["hand (stated, within 1e-06)"] == contract
    assert f"- hand (stated, within 1e-06): {contract}" in mine.markdown()
    page = (mine.pytester.path / "build/report/index.html").read_text(encoding="utf-8")
    assert "of what may differ, by what is stated</td>" in page


def test_a_derived_bound_is_the_stronger_witness(mine: Mine) -> None:
    """NumPy is named before what is stated, and the page then does not say that its evidence is stated."""
    mine.write_sine(before=BY_HAND, references="[stated, numpy_net]", checks='["forward"]')
    text = "\n".join(screen_of(mine.pytest()))
    assert "Yes, by 4 trials against NumPy and hand (stated), at most 0." in text
    page = (mine.pytester.path / "build/report/index.html").read_text(encoding="utf-8")
    assert "by what is stated" not in page


def test_a_network_with_one_hidden_layer_is_asked_too() -> None:
    """Blocks by nnet's names, groups of inputs one after the other, heads in a list."""
    network = Network((2, 3), 4, (1, 2), "relu")

    def model(x1: Any, x2: Any, W1: Any, V1: Any, b: Any, W2: Any, b_w: Any, V2: Any, b_v: Any) -> Any:
        h = (x1 @ W1.T + x2 @ V1.T + b).relu()
        return h @ W2.T + b_w, h @ V2.T + b_v

    def answer(p: Any, x1: Any, x2: Any) -> Any:
        h = np.maximum(x1 @ p["W1"].T + x2 @ p["V1"].T + p["b"], 0)
        return [h @ p["W2"].T + p["b_w"], h @ p["V2"].T + p["b_v"]]

    shapes = {block.name: block.places.shape for block in network.layout.blocks}
    references = [Stated("double", answer, budget=1e-12, why="NumPy in float64")]
    case = Case("heads", network, [Subject(model, shapes=shapes)], references, probes(2, draws=5), checks=["forward"])
    memo = Memo(case)
    assert {run(trial, memo).status for trial in case.trials()} == {Status.PASS}
