"""The selfcheck in its short form: what is correct is not flagged, what is planted is caught and placed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import selfcheck

from reference import selfcheck as verb

SHORT = 20.0  # seconds, about


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What a short selfcheck has come to."""
    return selfcheck.check(SHORT, lambda said: None)


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
    assert rate([fault for fault in ones if fault["name"] in ("W1_off", "b_off", "W2_off", "b_w_off")]) == 1


def test_catches_name_the_right_tensor(found: dict[str, Any]) -> None:
    """The first quantity outside is the first that the fault changes, and only tensors that it changes are named."""
    assert rate(found["faults"], "caught", "located") >= 0.99


def test_rivals_judge_the_same_numbers(found: dict[str, Any]) -> None:
    """Each flags something that is correct, or misses faults that the judge catches."""
    ours = rate([f for f in found["faults"] if f["size"] is not None and f["size"] <= 1e-4 and f["dtype"] == "float64"])
    for rival in found["rivals"]:
        small = [caught for key, caught in rival["catch_rate"].items() if key.endswith("float64") and "e-" in key]
        assert rival["false_alarm_rate"] > 0 or min(small) < ours


def test_the_file_and_the_screen(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """What was found is written, and told in a few lines."""
    monkeypatch.setattr(selfcheck, "OPERATORS", selfcheck.OPERATORS[:3])
    assert selfcheck.main(["--seconds", "1", "--out", str(tmp_path / "made" / "found.json")]) == 0
    written = json.loads((tmp_path / "made" / "found.json").read_text())
    names = {"false_alarms", "element_verdicts", "network_verdicts", "seconds", "faults", "rivals", "delta95"}
    assert names <= set(written)
    assert set(written["faults"][0]) == {"name", "stage", "dtype", "size", "tried", "caught", "located"}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("0 false alarms in ")
    assert lines[-1] == f"written: {tmp_path / 'made' / 'found.json'}"


def test_readme_shows_sentences_of_the_screen(found: dict[str, Any]) -> None:
    """Its lines are those that the summary has, with figures of a longer run; styles and operators are as many."""
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("## How far the judge can be trusted")[2].partition("Of what is right")[0]

    def blank(text: str) -> str:
        return re.sub(r"\d[\d,.e-]*", "0", text.strip())

    told = {blank(line) for line in selfcheck.summary(found)}
    assert [line for line in shown.splitlines() if line.startswith("    ") and blank(line) not in told] == []
    assert f"in {len(selfcheck.STYLES)} styles and on {len(selfcheck.OPERATORS)} planted faults" in readme


def test_the_verb_needs_a_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installed copy has no tests; the verb says what it wants."""
    from harness.command import main

    monkeypatch.setattr(verb, "SCRIPT", tmp_path / "selfcheck.py")
    assert main(["selfcheck"]) == 2
