"""The selfcheck in its short form: what is correct is not flagged, what is planted is caught and
placed.
"""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from harness import Contract, Problem
from harness.reporting.selfcheck_result import read_beside
from reference import Network, probes
from reference.commands import selfcheck as verb
from reference.mistakes.catalogue import FAULTS
from tests.conftest import Approved
from tests.selfcheck import selfcheck
from tests.selfcheck.corpus import cases, wide
from tests.selfcheck.forms.activations import clamp
from tests.selfcheck.forms.affine import AFFINE
from tests.selfcheck.forms.shells import COMPILERS, SHELLS
from tests.selfcheck.forms.storage import STORAGE, Named
from tests.selfcheck.forms.style import Forms, choose_styles
from tests.selfcheck.module_styles import Judged, judge_styles
from tests.selfcheck.offers import Offers
from tests.selfcheck.reach import Port, Reach
from tests.selfcheck.reaching.effects import EFFECTS, where
from tests.selfcheck.reaching.generator import Conditional
from tests.selfcheck.reaching.port import Changes, plan_of
from tests.selfcheck.rivals import polygraphy
from tests.selfcheck.styles import in_threads
from tests.support import DTYPES

SHORT = 5.0  # seconds, about


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What a short selfcheck has come to."""
    return selfcheck.check(SHORT, lambda said: None)


@pytest.fixture
def known(found: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The program finds what the short selfcheck has come to, if it is asked for as short a one."""
    monkeypatch.setattr(selfcheck, "check", lambda seconds, say: {SHORT: found}[seconds])


def rate(faults: list[dict[str, Any]], of: str = "tried", what: str = "caught") -> float:
    """The share of the trials of these faults."""
    assert faults
    return float(sum(fault[what] for fault in faults) / sum(fault[of] for fault in faults))


def test_what_is_correct_is_not_flagged(found: dict[str, Any]) -> None:
    """No false alarm in thousands of verdicts on networks, hundreds of thousands on elements."""
    assert found["false_alarms"] == 0
    assert found["network_verdicts"] >= 2_000
    assert found["element_verdicts"] >= 200_000
    assert 0.1 < found["largest_budget_used"] <= 1


def test_structural_faults_are_caught_by_the_probes_of_one_case(found: dict[str, Any]) -> None:
    """All of them, in both dtypes, unless the dtype rounds them away."""
    assert rate([fault for fault in found["faults"] if fault["size"] is None]) == 1


@pytest.mark.parametrize(("dtype", "size"), [("float64", 1e-12), ("float32", 1e-5)])
def test_one_weight_off_is_caught(found: dict[str, Any], dtype: str, size: float) -> None:
    """From this size on, always."""
    ones = [f for f in found["faults"] if f["dtype"] == dtype and f["size"] and f["size"] >= size]
    assert (
        rate([fault for fault in ones if fault["name"] in ("W1_off", "b_off", "W2_off", "b_w_off")])
        == 1
    )


def test_catches_name_the_right_tensor(found: dict[str, Any]) -> None:
    """The first quantity outside is the first that the fault changes, and only tensors that it
    changes are named.

    But for what is within rounding there: it changes nothing that a correct implementation might
    not, before it shows.
    """
    both = [*found["faults"], *found["modules"]]
    assert rate(both, "caught", "located") >= 0.99
    assert all(fault["located"] + fault["within"] == fault["caught"] for fault in both)


def test_a_catch_that_names_another_tensor_is_not_counted() -> None:
    """The count can fail: only what the fault changes may be named, and what it changes first comes
    first.
    """
    case = next(cases(seed=1))
    right = [dict(answers) for answers in selfcheck.solved(case, "float64")]
    wrong = [{**answers, "gradient": 2 * answers["gradient"]} for answers in right]
    one = selfcheck.Caught("doubled", "gradient", "float64", None)
    assert one.judge(case.problems, right, wrong) == "gradient"
    assert (one.tried, one.caught, one.located, one.within) == (1, 1, 1, 0)
    blamed = [{**answers, "forward": answers["forward"] + 1} for answers in right]
    assert one.judge(
        case.problems,
        blamed,
        [{**b, "gradient": w["gradient"]} for b, w in zip(blamed, wrong, strict=True)],
    )
    assert (one.tried, one.caught, one.located, one.within) == (2, 2, 1, 0)
    assert one.judge(case.problems, right, right) == ""
    assert (one.tried, one.caught) == (2, 2)


def test_structural_faults_in_modules_are_caught(found: dict[str, Any]) -> None:
    """As users' models are judged; all kinds of faults, all but those that a module cannot have."""
    assert rate([fault for fault in found["modules"] if fault["size"] is None]) == 1
    named = {fault["name"] for fault in found["modules"]}
    assert not named & set(found["not_planted"])
    expected = {f["name"] for f in found["faults"] if f["size"] is None} - set(found["not_planted"])
    # in one dtype each: what it rounds away is inert
    assert len(named & expected) >= 0.95 * len(expected)


def test_what_is_offered_as_likely_is_right(found: dict[str, Any]) -> None:
    """At most one offer in a hundred is wrong, and for mistakes that nobody lists there is none."""
    offers = found["offers"]
    assert offers["made"] >= 100
    assert offers["wrong"] <= 0.01 * offers["made"]
    assert offers["strangers"]["tried"] >= 8
    assert offers["strangers"]["wrong"] == 0


def test_a_wrong_offer_is_counted() -> None:
    """The count can fail: what was observed is one fault's, what was planted is said to be
    another.
    """
    case, offers = next(cases(seed=1)), Offers()
    observed, other = (
        next(f for f in FAULTS if f.name == name) for name in ("mean_for_sum", "half_square")
    )
    seen = [observed.run(problem, Contract()) for problem in case.problems]
    offers.ask(case.problems, seen, "loss", observed, "float64")
    assert (offers.made, offers.wrong, offers.none) == (1, 0, 0)
    offers.ask(case.problems, seen, "loss", other, "float64")
    assert (offers.made, offers.wrong, offers.none) == (2, 1, 0)
    noise = [
        {name: value + np.cos(99 * value) for name, value in answers.items()} for answers in seen
    ]
    offers.ask(case.problems, noise, "forward", other, "float64")
    assert (offers.made, offers.wrong, offers.none) == (2, 1, 1)


def test_one_unit_in_the_last_place_is_caught_by_exact_probes(found: dict[str, Any]) -> None:
    """Of any weight whose tensor is seen, in both dtypes, where not every answer stays the same."""
    for dtype in DTYPES:
        count = found["one_ulp"][dtype]
        assert count["tried"] >= 50
        assert count["caught"] >= 0.99 * count["tried"]
        assert count["rounded_away"] <= 0.1 * count["tried"]


def test_costs_are_told(found: dict[str, Any]) -> None:
    """Seconds a case and a fault, and three shares that are all of it."""
    cost = found["cost"]
    assert cost["fault"] > 0
    assert cost["case"] > 0
    assert sum(cost[share] for share in ("oracle", "subject", "judge")) == pytest.approx(1, abs=0.2)


def test_threads_share_the_products_of_wide_networks(found: dict[str, Any]) -> None:
    """One and two, of torch and of NumPy's BLAS, are among the correct; afterwards there are as
    many as before.
    """
    assert found["wide_verdicts"] >= len(selfcheck.WIDE_STYLES) * len(DTYPES)
    seen: list[tuple[int, set[int]]] = []

    def threads(problem: Problem, dtype: str) -> dict[str, Any]:
        pools = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
        seen.append((torch.get_num_threads(), pools))
        return {}

    problem = next(wide(seed=0))
    threads(problem, "float64")
    in_threads(2, threads)(problem, "float64")
    in_threads(1, threads)(problem, "float64")
    threads(problem, "float64")
    assert [count for count, _ in seen[1:3]] == [2, 1]
    assert seen[2][1] == {1}
    assert seen[0] == seen[3]


def test_polygraphy_lets_pass_what_is_near_in_either_way() -> None:
    """An element is flagged where it exceeds both tolerances; one that should be 0 may be off by
    1e-5.
    """
    b = np.array([[0.0, 1e3], [0.0, 1e3]])
    a = b + np.array([[1e-6, 1e-3], [1e-4, 0.0]])
    assert polygraphy(a, b, b, "float64").tolist() == [False, True]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "tf32"])
def test_narrow_dtypes_are_judged_layer_by_layer(found: dict[str, Any], dtype: str) -> None:
    """Without a false alarm; every quantity is evidence, every number is seen, every structural
    fault is caught.
    """
    one = found["narrow"][dtype]
    assert (one["false"], one["evident"], one["seen"]) == (0, one["quantities"], one["numbers"])
    assert 0 < one["largest"] <= 1
    assert 0 < one["caught"] == one["tried"]


def test_scripts_of_failures_fail_again(found: dict[str, Any]) -> None:
    """On their own: at least 95 % of them."""
    assert found["reproducers"]["again"] >= 0.95 * found["reproducers"]["tried"] > 0


def test_right_modules_in_many_styles_are_not_red(found: dict[str, Any]) -> None:
    """Not one, of those that the default contract covers and of those that declare theirs."""
    styled = found["module_styles"]
    assert styled["red"] == []
    assert styled["models"] == styled["styles"] + styled["declared"] >= 12
    assert 0 < styled["declared"] <= 10
    assert 0 < styled["largest"] <= 1


def test_there_are_150_styles_of_modules() -> None:
    """All of them other ones, and the first have every form once."""
    styles = choose_styles(150)
    assert len({style.name for style in styles}) == 150
    forms = [style for style in styles if isinstance(style, Forms)]
    assert {style.affine for style in forms} == set(AFFINE)
    assert {style.storage for style in forms} == set(STORAGE)
    assert {style.shell for style in forms} == {*SHELLS, *COMPILERS, "function"}


def test_a_style_that_is_wrong_is_red() -> None:
    """The count can fail: a layer whose bias is left out for the last row, and a slope of ReLU that
    nobody declares.
    """

    def last_row_without_bias(x: torch.Tensor, W: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.cat([(x @ W.T + b)[:-1], (x @ W.T)[-1:]])

    wrong = Forms(last_row_without_bias, 0, Named)
    assert len(judge_styles([wrong], 1).red) == 1
    network, judged = Network(2, 3, 1, "relu", "identity"), Judged()
    declaring = Forms(AFFINE[0], 0, Named, declared=clamp).subject(network)
    judged.judge_subject(declaring, network, probes(seed=0, draws=6))
    assert judged.red == []
    undeclared = replace(declaring, relu_at_zero=0.0)
    judged.judge_subject(undeclared, network, probes(seed=0, draws=6))
    assert len(judged.red) == 1


def test_faults_inside_what_was_asked_are_caught(found: dict[str, Any]) -> None:
    """All that a short check plants; each acts only where a condition holds."""
    reached = found["reach"]
    assert reached["tried"] >= 3
    assert reached["caught"] == reached["tried"]
    assert reached["missed"] == []


def test_a_fault_outside_what_was_asked_is_missed() -> None:
    """The count can fail: from 5,000 rows on nobody asks, and witnesses do not show it."""
    network = Network(2, 3, 1, "tanh", "identity")
    port, found = Port(network, plan_of(network), 0, draws=3), Reach()
    change = where(lambda v, state: state.rows >= 5000, EFFECTS["twice"])
    fault = Conditional("rows >=", 5000, "o", "twice", Changes(there={"o": change}))
    assert not port.is_seen(fault)
    port.judge_faults([fault], found)
    assert (found.tried, found.caught, len(found.missed)) == ({"rows >=": 1}, {"rows >=": 0}, 1)
    change = where(lambda v, state: state.rows >= 5, EFFECTS["twice"])
    fault = Conditional("rows >=", 5, "o", "twice", Changes(there={"o": change}))
    assert port.is_seen(fault)
    port.judge_faults([fault], found)
    assert (found.tried, found.caught, len(found.missed)) == ({"rows >=": 2}, {"rows >=": 1}, 1)


def test_rivals_judge_the_same_numbers(found: dict[str, Any]) -> None:
    """Each flags something that is correct, or misses faults that the judge catches."""
    ours = rate(
        [
            f
            for f in found["faults"]
            if f["size"] is not None and f["size"] <= 1e-4 and f["dtype"] == "float64"
        ]
    )
    for rival in found["rivals"]:
        small = [
            caught
            for key, caught in rival["catch_rate"].items()
            if key.endswith("float64") and "e-" in key
        ]
        assert rival["false_alarm_rate"] > 0 or min(small) < ours


def test_the_file_and_the_screen(
    known: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], approved: Approved
) -> None:
    """What was found is written, and told in a few lines."""
    assert (
        selfcheck.main(["--seconds", str(SHORT), "--out", str(tmp_path / "made" / "found.json")])
        == 0
    )
    written = json.loads((tmp_path / "made" / "found.json").read_text())
    names = {
        "false_alarms",
        "element_verdicts",
        "network_verdicts",
        "seconds",
        "faults",
        "rivals",
        "delta95",
    }
    names |= {
        "date",
        "commit",
        "modules",
        "not_planted",
        "offers",
        "one_ulp",
        "cost",
        "rules",
        "wide_verdicts",
        "summary",
        "module_styles",
        "reach",
    }
    assert names <= set(written)
    fields = {"name", "stage", "dtype", "size", "tried", "caught", "located", "within"}
    assert set(written["faults"][0]) == set(written["modules"][0]) == fields
    assert [rule["rule"] for rule in written["rules"]] == ["nnet-parity", *selfcheck.RIVALS]
    lines = capsys.readouterr().out.splitlines()
    assert lines[:-1] == written["summary"]
    approved(lines[-1])
    assert "nnet-parity: " in (tmp_path / "made" / "found.svg").read_text()


def test_the_report_reads_what_is_written(known: None, tmp_path: Path) -> None:
    """Strictly, and it is of the commit that it was measured on."""
    assert selfcheck.main(["--seconds", str(SHORT), "--out", str(tmp_path / "selfcheck.json")]) == 0
    written = json.loads((tmp_path / "selfcheck.json").read_text())
    trust = read_beside(tmp_path / "report", written["commit"])
    assert trust is not None
    assert (trust.note, trust.date, list(trust.summary)) == (
        "",
        written["date"],
        written["summary"],
    )
    assert [vars(rule) for rule in trust.rules] == written["rules"]


def test_the_sentences_of_the_screen(found: dict[str, Any], approved: Approved) -> None:
    """What was counted, each in a line."""
    # which a short one reaches, time decides
    stages = {"forward float64": {"size": 1e-13, "bits": 9.8}}
    approved(selfcheck.summary({**found, "delta95": stages}), mask_figures=True)
    assert found["summary"] == selfcheck.summary(found)


def test_the_page_on_trust_has_as_many_styles_and_faults() -> None:
    """As the selfcheck has."""
    page = (Path(__file__).parents[2] / "docs" / "trust.md").read_text(encoding="utf-8")
    counts = f"in {len(selfcheck.STYLES)} styles and on {len(selfcheck.OPERATORS)} planted faults"
    assert counts in re.sub(r"\s+", " ", page)


def test_the_verb_needs_a_checkout(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    approved: Approved,
) -> None:
    """An installed copy has no tests; the verb says what it wants."""
    from harness.cli import main

    monkeypatch.setattr(verb, "SCRIPT", tmp_path / "selfcheck.py")
    assert main(["selfcheck"]) == 2
    approved(capsys.readouterr().err)
