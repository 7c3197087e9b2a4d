"""What a person sees of a run of pytest: its items, its failures, its end screen and its report."""

import json
import re
import shlex
import tomllib
import warnings
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.core.report import Report
from harness.publishing.markdown import escape
from harness.publishing.page import page
from harness.reporting.selfcheck_result import Selfcheck
from tests.conftest import IMPORTS, RIGHT, Approved, Mine, screen_of, unfolded

ROOT = Path(__file__).parents[2]
CHECKS = ("forward", "loss", "gradient", "input_gradient")
BOTH = "[r_nnet, numpy_net]"
SINE = "test_mine.py::test_sine"
FLOAT64 = {"dtypes": '["float64"]'}
FORWARD = {**FLOAT64, "checks": '["forward"]'}
RELU = 'Network(inputs=1, hidden=4, outputs=1, activation="relu")'  # which R's nnet cannot judge


def failure(result: pytest.RunResult, trial: str) -> str:
    """What is printed of a failed trial, without its title."""
    lines = result.outlines
    start = next(
        number for number, line in enumerate(lines) if re.fullmatch(rf"_+ \S+\[{trial}\] _+", line)
    )
    end = next(
        number
        for number, line in enumerate(lines)
        if number > start and re.fullmatch(r"([_=])\1+ .+ \1+", line)
    )
    return "\n".join(lines[start + 1 : end])


def again(text: str) -> list[str]:
    """What pytest is given to run a failure again: its last line, without the two words that begin
    it.
    """
    return shlex.split(text.split("\n")[-1])[2:]


def statuses(mine: Mine) -> dict[str, set[str]]:
    """By check, the statuses of all its trials."""
    verdicts = mine.results()["verdicts"]
    return {check: {v["status"] for v in verdicts if v["check"] == check} for check in CHECKS}


# Items


def test_there_is_one_item_a_trial(mine: Mine) -> None:
    """Its id names subject, device, dtype, check and reference; trials that share work stand side
    by side.
    """
    mine.write_sine(references=BOTH)
    result = mine.pytest("--collect-only", "-q")
    expected = [
        f"{SINE}[SineNet-cpu-{dtype}-{check}-vs-{reference}]"
        for dtype in ("float64", "float32")
        for check in CHECKS
        for reference in ("r_nnet", "numpy_net")
        if (check, reference) != ("input_gradient", "r_nnet")  # which R never gives
    ]
    assert [line for line in result.outlines if "::" in line] == expected


def test_an_item_is_at_the_line_where_its_user_wrote_it(mine: Mine) -> None:
    """Editors and JUnit lead there, whether it passed or failed."""
    mine.write_sine(
        forward="return self.output(self.hidden(x))", network=RELU, references=BOTH, **FLOAT64
    )
    mine.pytest("--junitxml=junit.xml", "-o", "junit_family=xunit1")
    cases = list(ElementTree.parse(mine.pytester.path / "junit.xml").iter("testcase"))
    line = mine.line_of("test_sine =") - 1  # JUnit counts from 0
    assert len(cases) == 4
    assert {(case.get("file"), case.get("line")) for case in cases} == {("test_mine.py", str(line))}


def test_a_skip_is_at_the_line_where_its_user_wrote_it(
    mine: Mine, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """With its status and its reason."""
    monkeypatch.setenv("NNET_PARITY_R", "recorded")
    mine.write_sine(references="[r_nnet]", **FORWARD)
    result = mine.pytest("-rs")
    head = f"SKIPPED [1] test_mine.py:{mine.line_of('test_sine =')}: "
    approved(line.removeprefix(head) for line in result.outlines if line.startswith(head))


CANCELS = """
import numpy as np
from harness import Problem


def linear(x, W1, b, W2, b_w):
    return (x @ W1.T + b) @ W2.T + b_w


SHAPES = {"W1": (2, 1), "b": (2,), "W2": (1, 2), "b_w": (1,)}


def cancels(formulation):  # 1 + 1e8 - 1e8, which float32 cannot tell from 0
    own, one = np.array([[1, 1, 0, 0, 1e8, -1e8, 1]]), np.ones((1, 1, 1))
    return [Problem("mine", formulation, own, one, one)]


"""


def test_a_pass_that_would_prove_nothing_is_skipped(mine: Mine, approved: Approved) -> None:
    """VACUOUS where the bound is too wide, or a tensor is 0 in every draw."""
    subject = "Subject(linear, shapes=SHAPES)"
    case = {
        "network": 'Network(1, 2, 1, "identity")',
        "subjects": f"[{subject}]",
        "problems": "cancels",
    }
    mine.write(CANCELS, mine.case("test_linear", **case, checks='["forward", "loss"]'))
    mine.pytest().assert_outcomes(passed=1, skipped=3)
    found = {(v["dtype"], v["check"]): (v["status"], v["why"]) for v in mine.results()["verdicts"]}
    wide, unseen = found["float32", "forward"], found["float64", "loss"]
    assert (found["float64", "forward"][0], wide[0], unseen[0]) == ("PASS", "VACUOUS", "VACUOUS")
    approved([wide[1], unseen[1]])


def test_a_case_may_stand_in_a_class(mine: Mine) -> None:
    """As pytest's own tests do."""
    mine.write_sine(**FORWARD)
    head, _, case = mine.text.partition("test_sine =")
    mine.write(head.removeprefix(IMPORTS), f"class TestSine:\n    test_sine ={case}")
    result = mine.pytest("-v")
    result.assert_outcomes(passed=1)
    assert (
        "test_mine.py::TestSine::test_sine[SineNet-cpu-float64-forward-vs-numpy_net]"
        in result.stdout.str()
    )


def test_trials_are_chosen_by_words_and_by_id(mine: Mine) -> None:
    """-k takes any word of an id, and one id runs alone."""
    mine.write_sine()
    mine.pytest("-k", "sine and gradient and not input and float32").assert_outcomes(
        passed=1, deselected=7
    )
    mine.pytest(f"{SINE}[SineNet-cpu-float32-loss-vs-numpy_net]").assert_outcomes(passed=1)


def test_a_right_model_passes_against_numpy(mine: Mine) -> None:
    """In both dtypes, in every check."""
    mine.write_sine()
    result = mine.pytest()
    result.assert_outcomes(passed=8)
    assert result.ret == 0


@pytest.mark.usefixtures("live_r")
def test_a_right_model_passes_against_live_r(mine: Mine) -> None:
    """In both dtypes; what nnet cannot give is skipped, and the passes against R are counted."""
    mine.write_sine(references=BOTH)
    mine.pytest().assert_outcomes(passed=14)
    verdicts = mine.results()["verdicts"]
    assert {v["source"] for v in verdicts if v["reference"] == "r_nnet"} == {"live"}
    assert {v["source"] for v in verdicts if v["reference"] == "numpy_net"} == {"computed"}
    assert sum(v["status"] == "PASS" and v["source"] == "live" for v in verdicts) == 6


# Failures


TWICE = (
    "return self.output(torch.sigmoid(self.hidden(x) + self.hidden.bias -"
    " self.hidden.bias.detach()))"
)


def test_a_failure_says_how_far_where_in_what_order_and_why(mine: Mine, approved: Approved) -> None:
    """It names the worst element with both values, and ends with the line that runs it again, which
    fails again.
    """
    mine.write_sine(TWICE, dtypes='["float32"]')
    result = mine.pytest()
    result.assert_outcomes(passed=3, failed=1)
    trial = "SineNet-cpu-float32-gradient-vs-numpy_net"
    text = failure(result, trial)
    approved(text, mask_figures=True)
    verdict = next(v for v in mine.results()["verdicts"] if v["id"] == trial)
    assert verdict["actual"] == pytest.approx(2 * verdict["expected"], rel=1e-3)
    assert all(f"{verdict[number]:.5g}" in text for number in ("actual", "expected"))
    assert re.search(r"hidden\.bias\[(\d)\] = b\[\1\]", text)
    result = mine.pytest(*again(text))
    result.assert_outcomes(failed=1)
    assert failure(result, trial) == text


def test_the_line_that_runs_it_again_works_where_it_was_printed(
    mine: Mine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder below that of pytest's configuration too."""
    (mine.pytester.path / "pytest.ini").write_text("[pytest]\n")
    below = mine.pytester.mkdir("below")
    mine.write_sine("return self.output(torch.sigmoid(x @ self.hidden.weight.T))", **FORWARD)
    (mine.pytester.path / "test_mine.py").rename(below / "test_mine.py")
    monkeypatch.chdir(below)
    text = failure(mine.pytest(), "SineNet-cpu-float64-forward-vs-numpy_net")
    mine.pytest(*again(text)).assert_outcomes(failed=1)


def test_the_line_that_runs_it_again_may_be_pasted(mine: Mine) -> None:
    """Whatever the subject's name is."""
    name = 'a "$(date)" `id`'
    mine.write_sine(f"{RIGHT} + 1", subjects=f"[Subject(SineNet, name={name!r})]", **FORWARD)
    result = mine.pytest()
    last = mine.results()["verdicts"][0]["why"].split("\n")[-1]
    assert last in result.outlines
    assert again(last) == [f"{SINE}[{name}-cpu-float64-forward-vs-numpy_net]"]
    assert "'" in last


RELU_4 = """
class Square(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 4)
        self.output = nn.Linear(4, 1)

    def forward(self, x):
        return self.output({forward})


"""


@pytest.mark.parametrize(
    "forward",
    [
        "torch.sigmoid(x @ self.hidden.weight.T)",
        "torch.sigmoid(x @ self.hidden.weight + self.hidden.bias)",
        "torch.sigmoid(self.hidden(x)) * float('nan')",
        "1 / (0 * torch.sigmoid(self.hidden(x)))",
    ],
    ids=["bias missing", "weight transposed", "NaN", "infinite"],
)
def test_a_wrong_forward_is_explained(mine: Mine, forward: str, approved: Approved) -> None:
    """What is known to go wrong is named; what is not finite is said to be so."""
    network = 'Network(inputs=4, hidden=4, outputs=1, activation="logistic")'
    case = mine.case("test_square", network=network, subjects="[Square]", **FORWARD)
    mine.write(RELU_4.format(forward=forward), case)
    approved(failure(mine.pytest(), "Square-cpu-float64-forward-vs-numpy_net"), mask_figures=True)


def test_a_model_that_raises_is_broken(mine: Mine, approved: Approved) -> None:
    """The first line of what it raised is the reason, told once; the rest, and where it was, are
    not shown.
    """
    mine.write_sine("raise RuntimeError('no such layer\\nsecond line')", **FLOAT64)
    result = mine.pytest()
    result.assert_outcomes(failed=1)
    assert statuses(mine) == {key: {"BROKEN"} for key in CHECKS}
    approved(failure(result, "SineNet-cpu-float64-forward-vs-numpy_net"))
    approved([verdict["why"] for verdict in mine.results()["verdicts"] if verdict["follows"]])
    assert "second line" not in result.stdout.str()
    assert "subject.py" not in result.stdout.str()


@pytest.mark.parametrize(
    "forward",
    [
        f"{RIGHT}[:, 0][None]",
        f"{RIGHT}.T",
        f"{RIGHT.replace('return ', 'return (')}, x)",
        "return None",
    ],
    ids=["one row", "transposed", "two", "nothing"],
)
def test_outputs_of_another_shape_fail(mine: Mine, forward: str, approved: Approved) -> None:
    """Nothing is broadcast: the shapes found and expected are named, and it is a failure, not a
    breakdown.
    """
    mine.write_sine(
        forward, problems="probes(seed=0, draws=3, rows=5, kinds=['random'])", **FLOAT64
    )
    text = failure(mine.pytest(), "SineNet-cpu-float64-forward-vs-numpy_net")
    approved(text.split("\n")[1])
    assert statuses(mine) == {key: {"FAIL"} for key in CHECKS}


@pytest.mark.parametrize(
    "forward",
    [
        "return nn.functional.dropout(self.output(self.hidden(x)))",
        "return self.output(self.hidden(x.mul_(2)))",
        "self.hidden.bias.data += 1; return self.output(self.hidden(x))",
    ],
    ids=["random", "inputs changed", "parameters changed"],
)
def test_a_model_that_is_no_function_fails(mine: Mine, forward: str, approved: Approved) -> None:
    """Whatever its numbers are."""
    mine.write_sine(forward, **FORWARD)
    text = failure(mine.pytest(), "SineNet-cpu-float64-forward-vs-numpy_net")
    approved(text.split("\n")[1])
    assert mine.results()["verdicts"][0]["status"] == "FAIL"


def test_complex_outputs_do_not_pass(mine: Mine) -> None:
    """Though their real parts are right."""
    mine.write_sine(f"{RIGHT} + 1000j", **FORWARD)
    mine.pytest().assert_outcomes(failed=1)


ONE_WAY = """
class OneWay(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h):
        return h.clone()

    @staticmethod
    def backward(ctx, by_output):
        raise NotImplementedError("no way back")


"""


def test_a_model_that_raises_on_the_way_back_only(mine: Mine, approved: Approved) -> None:
    """Forward and loss are judged, and pass; the gradients are broken."""
    mine.write_sine(
        "return self.output(OneWay.apply(torch.sigmoid(self.hidden(x))))", ONE_WAY, **FLOAT64
    )
    text = failure(mine.pytest(), "SineNet-cpu-float64-gradient-vs-numpy_net")
    approved(text.split("\n")[1])
    passed, broken = {"PASS"}, {"BROKEN"}
    assert statuses(mine) == dict(zip(CHECKS, (passed, passed, broken, broken), strict=True))


def test_another_convention_of_relu_is_recognised(mine: Mine, approved: Approved) -> None:
    """The failure says which argument to write, and with it there is none."""
    forward = "return self.output(self.hidden(x).clamp(min=0))"
    mine.write_sine(forward, network=RELU, problems="probes(seed=0)", **FLOAT64)
    text = failure(mine.pytest(), "SineNet-cpu-float64-gradient-vs-numpy_net")
    approved(text, mask_figures=True)
    assert "Subject(SineNet, relu_at_zero=1)" in text
    told = {
        "subjects": "[Subject(SineNet, relu_at_zero=1)]",
        "network": RELU,
        "problems": "probes(seed=0)",
    }
    mine.write_sine(forward, **told, **FLOAT64)
    mine.pytest().assert_outcomes(passed=4)


# Claimed differences


def test_a_claimed_difference_passes_with_its_counterexample(
    mine: Mine, approved: Approved
) -> None:
    """Two numbers at the same parameters, shown as an answer, by name and place, nothing in red and
    nothing skipped.
    """
    wrong = "return self.output(torch.sigmoid(x @ self.hidden.weight.T))"
    mine.write_sine(wrong, expect='"differs"', question='"Is it the same without bias?"', **FLOAT64)
    result = mine.pytest()
    result.assert_outcomes(passed=1)
    approved(unfolded(screen_of(result)), mask_figures=True)


def test_a_claimed_difference_fails_where_there_is_none(mine: Mine, approved: Approved) -> None:
    """It says how near the nearest was."""
    mine.write_sine(expect='"differs"', **FLOAT64)
    result = mine.pytest()
    result.assert_outcomes(failed=1)
    approved(failure(result, "SineNet-cpu-float64-forward-vs-numpy_net"), mask_figures=True)
    assert 0 < mine.results()["verdicts"][0]["budget_used"] < 1


def test_what_is_not_finite_is_no_counterexample(mine: Mine, approved: Approved) -> None:
    """And it is said why."""
    mine.write_sine(f"{RIGHT} * float('nan')", expect='"differs"', **FLOAT64)
    approved(failure(mine.pytest(), "SineNet-cpu-float64-forward-vs-numpy_net"), mask_figures=True)


ADDITIVE = """
def additive(x1, x2, w, v, b, w2, b2):
    return torch.sigmoid(torch.cat([x1 * w, x2 * v], dim=1) + b) @ w2.T + b2


def joint(x1, x2, w, v, b, w2, b2):
    return torch.sigmoid(x1 * w + x2 * v + b) @ w2.T + b2


SHAPES = {"w": (1,), "v": (1,), "b": (2,), "w2": (1, 2), "b2": (1,)}
APART = Network((1, 1), 2, 1, "logistic", to_hidden=[[1, 0], [0, 1]])


def means(p):
    W1, V1 = [[p["w"][0]], [0]], [[0], [p["v"][0]]]
    return {"W1": W1, "V1": V1, "b": p["b"], "W2": p["w2"], "b_w": p["b2"]}


"""


def interaction(mine: Mine, model: str, network: str) -> None:
    """A case that claims that the model's inputs do not interact, and those of the network do."""
    subject = f"Subject({model}, shapes=SHAPES, parameters=means, network=APART)"
    contrast = 'Contrast("interaction", "interaction of the inputs", (1, -1, -1, 1))'
    case = {"name": '"sum"', "network": network, "subjects": f"[{subject}]", "contrast": contrast}
    mine.write(
        ADDITIVE,
        mine.case("test_sum", **case, problems="Crossed(seed=0)", expect='"differs"', **FLOAT64),
    )


def test_a_contrast_tells_two_families_apart(mine: Mine, approved: Approved) -> None:
    """0 for one at every draw, and a number beyond the bounds for the other."""
    interaction(mine, "additive", 'Network((1, 1), 2, 1, "logistic")')
    result = mine.pytest()
    result.assert_outcomes(passed=1)
    verdict = mine.results()["verdicts"][0]
    approved([*unfolded(screen_of(result)), verdict["where"]], mask_figures=True)
    assert abs(verdict["actual"]) <= verdict["allowed"] < abs(verdict["expected"])


def test_a_contrast_fails_where_the_model_has_it(mine: Mine, approved: Approved) -> None:
    """With the number that was claimed to be 0."""
    interaction(mine, "joint", 'Network((1, 1), 2, 1, "logistic")')
    approved(
        failure(mine.pytest(), "joint-cpu-float64-interaction-vs-numpy_net"), mask_figures=True
    )


def test_a_contrast_fails_where_the_network_lacks_it(mine: Mine, approved: Approved) -> None:
    """Then it shows nothing."""
    interaction(mine, "additive", "APART")
    approved(
        failure(mine.pytest(), "additive-cpu-float64-interaction-vs-numpy_net"), mask_figures=True
    )


# The end screen


@pytest.mark.usefixtures("live_r")
def test_the_end_screen_answers_first(mine: Mine, approved: Approved) -> None:
    """Then come what was skipped, by reason, and the counts; costs only for large stacks."""
    mine.write_sine(
        network=RELU, forward="return self.output(torch.relu(self.hidden(x)))", references=BOTH
    )
    answer, *rest = unfolded(screen_of(mine.pytest()))
    approved(answer, mask_figures=True)
    approved(rest)


# The report


FIELDS = {
    "id",
    "case",
    "subject",
    "reference",
    "source",
    "check",
    "device",
    "dtype",
    "status",
    "budget_used",
}
FIELDS |= {"where", "actual", "expected", "allowed", "why", "seconds"}
MACHINE = {
    "date",
    "platform",
    "python",
    "torch",
    "numpy",
    "scipy",
    "rpy2",
    "pytest",
    "blas",
    "threads",
    "device",
}
MACHINE |= {"commit"}


def test_results_json_holds_every_verdict(mine: Mine, approved: Approved) -> None:
    """With its schema, the machine, and all fields, whatever came of the trial."""
    mine.write_sine(TWICE, references=BOTH, **FLOAT64)
    mine.pytest()
    results = mine.results()
    assert results["schema"] == "nnet-parity/results/1"
    assert results["complete"] is True
    assert set(results["environment"]) >= MACHINE
    verdicts = {v["id"]: v for v in results["verdicts"]}
    assert len(verdicts) == len(results["verdicts"]) == 8
    assert all(set(v) >= FIELDS for v in verdicts.values())
    passed, failed, absent = (
        verdicts[f"SineNet-cpu-float64-{trial}"]
        for trial in ("forward-vs-numpy_net", "gradient-vs-numpy_net", "input_gradient-vs-r_nnet")
    )
    assert passed["status"] == "PASS"
    assert 0 < passed["budget_used"] < 1
    approved(passed["why"], mask_figures=True)
    assert f" {100 * passed['budget_used']:.2g} % " in passed["why"]
    assert abs(passed["actual"] - passed["expected"]) <= passed["allowed"]
    assert (failed["status"], failed["case"], failed["subject"]) == (
        "FAIL",
        "sine-1-4-1",
        "SineNet",
    )
    assert failed["where"].startswith("hidden.bias[")
    assert failed["seconds"] > 0
    assert (absent["status"], absent["budget_used"], absent["where"]) == ("ABSENT", None, None)
    assert absent["why"]


def test_ids_are_of_one_verdict_each(mine: Mine) -> None:
    """Two cases may ask the same subject."""
    mine.write_sine(**FORWARD)
    mine.write(mine.text.removeprefix(IMPORTS), mine.case("test_again", name='"again"', **FORWARD))
    mine.pytest().assert_outcomes(passed=2)
    first, second = mine.results()["verdicts"]
    assert (first["case"], first["id"]) != (second["case"], second["id"])


@pytest.mark.parametrize("factor", ["float('nan')", "float('inf')", "-1e200"])
def test_results_json_is_json_by_the_letter(mine: Mine, factor: str) -> None:
    """NaN and infinity, which it lacks, are null; nothing warns."""
    mine.write_sine(f"{RIGHT} * {factor}")
    (mine.pytester.path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error::RuntimeWarning\n"
    )
    mine.pytest().assert_outcomes(failed=1)
    verdicts = mine.results()["verdicts"]
    assert [v["status"] for v in verdicts] == ["FAIL"] * 8
    assert {v["actual"] for v in verdicts if v["check"] == "loss"} == {None}


def test_report_md_tells_the_same(mine: Mine, approved: Approved) -> None:
    """Answers, a table, failures in full with how to run them again, counts, contracts and the
    machine.
    """
    mine.write_sine(TWICE, problems="probes(seed=0, draws=3)", **FLOAT64)
    text = failure(mine.pytest(), "SineNet-cpu-float64-gradient-vs-numpy_net")
    said = mine.markdown().rpartition("\n## ")[0]  # without the machine
    approved(said, mask_figures=True)
    assert "\n".join(f"      {line}" for line in text.split("\n")) in said


def test_the_report_is_appended_to_the_summary_of_github(
    mine: Mine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where GITHUB_STEP_SUMMARY names a file, behind what others wrote there."""
    summary = mine.pytester.path / "summary.md"
    summary.write_text("Before.\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    mine.write_sine(**FORWARD)
    mine.pytest()
    assert summary.read_text() == "Before.\n" + mine.markdown()


def test_a_summary_that_cannot_be_written_is_named(
    mine: Mine, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """The report itself is there."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(mine.pytester.path / "nowhere" / "summary.md"))
    mine.write_sine(**FORWARD)
    result = mine.pytest()
    assert mine.results()["complete"]
    approved(line for line in result.outlines if line.startswith(("report", "summary")))


def test_the_report_goes_where_it_is_told(mine: Mine, approved: Approved) -> None:
    """By --parity-report-dir; folders on the way are made, and the end of the run says where it
    is.
    """
    mine.write_sine(**FORWARD)
    result = mine.pytest("--parity-report-dir", "a/b c")
    approved(line for line in result.outlines if line.startswith("report"))
    assert mine.results("a/b c")["verdicts"]
    assert not (mine.pytester.path / "build").exists()


def test_a_report_that_cannot_be_written_is_a_sentence(mine: Mine, approved: Approved) -> None:
    """The run fails, since nobody can read what it found."""
    (mine.pytester.path / "taken").write_text("a file where the folder should be")
    mine.write_sine(**FORWARD)
    result = mine.pytest("--parity-report-dir", "taken")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    approved(line for line in result.outlines if line.startswith("report"))
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_a_report_is_written_where_warnings_are_errors(
    mine: Mine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a library that draws it deprecates is not the user's fault."""

    def drawn(report: Report, trust: Selfcheck | None = None) -> str:
        warnings.warn("of matplotlib's, about pyparsing", DeprecationWarning, stacklevel=1)
        return page(report, trust)

    monkeypatch.setattr("harness.publishing.writing.page", drawn)
    mine.write_sine(**FORWARD)
    assert mine.pytest("-W", "error").ret == 0
    assert (mine.pytester.path / "build/report/index.html").exists()


def test_a_part_that_was_asked_for_is_not_called_interrupted(mine: Mine) -> None:
    """-k, or one id, is a complete run of what it names."""
    mine.write_sine(**FLOAT64)
    mine.pytest("-k", "gradient")
    assert mine.results()["complete"]
    assert mine.markdown().split("\n")[2].startswith("## ")


def test_a_run_that_ended_early_says_so(mine: Mine, approved: Approved) -> None:
    """Its report is there, and is not taken for all of it."""
    mine.write_sine("raise RuntimeError('nothing')")
    mine.pytest("-x")
    assert mine.results()["complete"] is False
    approved(mine.markdown().partition("\n## ")[0])


def test_junit_has_status_budget_and_place(mine: Mine) -> None:
    """As properties of the test case; a failure's text is its message."""
    mine.write_sine(TWICE, **FLOAT64)
    mine.pytest("--junitxml=junit.xml")
    cases = {
        case.get("name"): case
        for case in ElementTree.parse(mine.pytester.path / "junit.xml").iter("testcase")
    }
    case = cases["test_sine[SineNet-cpu-float64-gradient-vs-numpy_net]"]
    found = {each.get("name"): each.get("value") for each in case.iter("property")}
    assert set(found) == {"status", "budget_used", "where"}
    assert found["status"] == "FAIL"
    assert float(found["budget_used"] or 0) > 1e9
    assert (found["where"] or "").startswith("hidden.bias[")
    assert next(v["why"] for v in mine.results()["verdicts"] if v["status"] == "FAIL") in (
        next(case.iter("failure")).text or ""
    )


# Evidence


def test_a_case_without_a_pass_fails_the_run(
    mine: Mine, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Nothing failed, and nothing was shown either."""
    monkeypatch.setenv("NNET_PARITY_R", "recorded")
    mine.write_sine(references="[r_nnet]", checks='["forward", "loss", "gradient"]')
    result = mine.pytest()
    result.assert_outcomes(skipped=6)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    approved(unfolded(screen_of(result)))


def test_many_cases_without_a_pass_are_told_shortly(mine: Mine) -> None:
    """The end screen stays one screen."""
    absent = {"network": RELU, "subjects": "[SineNet]", "references": "[r_nnet]", **FORWARD}
    cases = [mine.case(f"test_{number}", name=f'"{number}"', **absent) for number in range(40)]
    mine.write_sine(**FORWARD)
    mine.write(mine.text.removeprefix(IMPORTS), *cases)
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert sum("nothing could be checked" in line for line in screen_of(result)) == 1


@pytest.mark.parametrize(
    "chosen",
    [["-k", "loss"], [f"{SINE}[SineNet-cpu-float32-loss-vs-r_nnet]"]],
    ids=["by words", "by id"],
)
def test_a_part_of_a_case_need_not_be_evidence(
    mine: Mine, chosen: list[str], monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Who asks for a part of it knows that it is one; a run in which nothing is judged fails all
    the same.
    """
    monkeypatch.setenv("NNET_PARITY_R", "recorded")
    mine.write_sine(references="[r_nnet]")
    result = mine.pytest(*chosen)
    assert result.ret == 1
    approved(unfolded(screen_of(result)))


def test_r_can_be_left_out(mine: Mine, monkeypatch: pytest.MonkeyPatch, approved: Approved) -> None:
    """Its trials are ABSENT and say how to get them back; NumPy's carry the run."""
    monkeypatch.setenv("NNET_PARITY_R", "recorded")
    mine.write_sine(references=BOTH)
    result = mine.pytest()
    result.assert_outcomes(passed=8, skipped=6)
    assert result.ret == 0
    answer, *rest = unfolded(screen_of(result))
    approved(answer, mask_figures=True)
    approved(rest)
    absent = [
        v
        for v in mine.results()["verdicts"]
        if v["reference"] == "r_nnet" and v["check"] != "input_gradient"
    ]
    assert {v["status"] for v in absent} == {"ABSENT"}
    (why,) = {v["why"] for v in absent}
    assert any(f"6 checks: {why}" in line for line in rest)


def test_a_run_without_a_case_is_left_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It prints nothing of ours, writes no report, and loads neither torch nor rpy2."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(
        "import sys\ndef test_it(): assert not {'torch', 'rpy2'} & set(sys.modules)"
    )
    result = pytester.runpytest_subprocess("-p", "nnet_parity.plugin")
    result.assert_outcomes(passed=1)
    assert "nnet-parity ==" not in result.stdout.str()
    assert not (pytester.path / "build").exists()


def test_pytest_tells_our_options(
    mine: Mine, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """In --help: those of the command line, and those of an ini file."""
    monkeypatch.setenv("COLUMNS", "110")
    lines = mine.pytest("--help").outlines
    start = next(number for number, line in enumerate(lines) if line.startswith("nnet-parity: "))
    approved(lines[start : lines.index("", start)])
    start = next(number for number, line in enumerate(lines) if line.startswith("  parity_devices"))
    end = next(
        number for number, line in enumerate(lines) if line.startswith("  nnet_parity_devices")
    )
    approved(lines[start : end + 2])


def test_the_plugin_is_found_where_it_is_installed() -> None:
    """By pytest itself: nobody writes -p."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"nnet_parity": "nnet_parity.plugin"}


# Names that would do something


NAUGHTY = "<b>*a*</b>|`x`\x1b[31m"


def test_what_a_name_says_is_not_obeyed(mine: Mine) -> None:
    """Neither markup in Markdown, nor control characters on the terminal."""
    mine.write_sine(name=repr(NAUGHTY), subjects=f"[Subject(SineNet, name={NAUGHTY!r})]", **FORWARD)
    result = mine.pytest()
    assert "\x1b" not in "\n".join(screen_of(result))
    cell = r"\<b\>\*a\*\</b\>\|\`x\`\[31m"
    assert escape(NAUGHTY) == cell
    assert f"| {cell} | {cell} | " in mine.markdown()
    assert "\x1b" not in mine.markdown()


def test_what_a_failure_says_is_not_obeyed(mine: Mine) -> None:
    """What the model raised is as harmless as its name, in the report and on the screen."""
    mine.write_sine(
        f"raise RuntimeError({NAUGHTY!r})",
        subjects=f"[Subject(SineNet, name={NAUGHTY!r})]",
        **FORWARD,
    )
    result = mine.pytest()
    assert "\x1b" not in "\n".join(screen_of(result))
    assert "\x1b" not in mine.markdown()


def test_the_terminal_is_not_driven_by_names(mine: Mine) -> None:
    """Nor anywhere else in what pytest prints."""
    mine.write_sine(
        f"raise RuntimeError({NAUGHTY!r})",
        subjects=f"[Subject(SineNet, name={NAUGHTY!r})]",
        **FORWARD,
    )
    assert "\x1b" not in mine.pytest("-v").stdout.str()


def test_a_question_begins_no_heading(mine: Mine) -> None:
    """Line breaks of every kind stay inside."""
    for break_ in ("\n", "\r"):
        mine.write_sine(f"{RIGHT} + 1", question=repr(f"x{break_}# owned"), **FORWARD)
        mine.pytest()
        assert not [line for line in mine.markdown().splitlines() if line.startswith("# owned")]


def test_a_report_is_written_whatever_a_model_raises(mine: Mine) -> None:
    """What is no UTF-8 does not end the run."""
    mine.write_sine("raise RuntimeError('\\udcff')", **FORWARD)
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert json.dumps(mine.results())
    assert "## Failures" in mine.markdown()


def test_a_user_needs_nothing_but_these_imports() -> None:
    """What the files of these tests import is public."""
    exec(IMPORTS, {})
