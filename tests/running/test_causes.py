"""One mistake is one block and one script; the failures that follow from it are counted."""

import subprocess
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import RIGHT, Approved, Mine

BOTH = {"references": "[r_nnet, numpy_net]", "problems": "probes(seed=0, draws=3)"}
TWICE = "self.hidden.bias.register_hook(lambda g: 2 * g)"
MOST_LINES = 40


@dataclass(frozen=True)
class Planted:
    """A mistake: what is written, the first wrong quantity, and the causes that it is."""

    forward: str
    check: str
    causes: int = 1
    before: str = ""
    case: tuple[tuple[str, str], ...] = ()


TWO_HEADS = """
class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(2, 3)
        self.first, self.second = nn.Linear(3, 1), nn.Linear(3, 2)

    def forward(self, x):
        h = torch.sigmoid(self.hidden(x))
        return self.first(h), self.second(torch.tanh(h))


"""
HOOKED = """
class Hooked(SineNet):
    def __init__(self):
        super().__init__()
        {hook}


"""
MISTAKES = {
    "the bias's gradient twice": Planted(
        RIGHT,
        "gradient",
        before=HOOKED.format(hook=TWICE),
        case=(("subjects", "[Hooked]"),),
    ),
    "no activation": Planted("return self.output(self.hidden(x))", "forward"),
    "a weight transposed": Planted(
        "return self.output(torch.sigmoid(x * self.hidden.weight.flip(0).T + self.hidden.bias))",
        "forward",
    ),
    "a mean in place of a sum": Planted(
        RIGHT,
        "loss",
        before="Mean = Subject(SineNet, loss=lambda o, y: ((o - y) ** 2).mean())\n",
        case=(("subjects", "[Mean]"),),
    ),
    "float32 inside": Planted(
        "return self.output(torch.sigmoid(self.hidden(x)).float().to(x.dtype))", "forward"
    ),
    "one head wrong": Planted(
        RIGHT,
        "forward",
        before=TWO_HEADS,
        case=(
            ("subjects", "[TwoHeads]"),
            ("network", 'Network(2, 3, (1, 2), activation="logistic")'),
        ),
    ),
}


def count(mine: Mine, planted: Planted, *options: str) -> tuple[pytest.RunResult, int, int]:
    """Run pytest on a mistake: the result, the lines of the terminal, and the scripts."""
    mine.write_sine(planted.forward, planted.before, **{**BOTH, **dict(planted.case)})
    result = mine.pytest(*options)
    folder = mine.pytester.path / "build/report/reproducers"
    return result, len(result.outlines), len(list(folder.glob("*.py")))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_block_and_one_script(mine: Mine, live_r: None, name: str) -> None:
    """In at most 40 lines, however many trials fail; all others follow from the first."""
    planted = MISTAKES[name]
    result, lines, scripts = count(mine, planted)
    failed = [each for each in mine.results()["verdicts"] if each["status"] == "FAIL"]
    firsts = [each for each in failed if not each["follows"]]
    assert [each["check"] for each in firsts] == [planted.check]
    assert {each["follows"] for each in failed} == {"", firsts[0]["id"]}
    assert (result.ret, scripts) == (1, 1)
    assert lines <= MOST_LINES
    assert f"{len(failed) - 1} more of the same cause" in result.outlines[-1]
    assert "= 1 failed, " in result.outlines[-1]


def list_firsts(mine: Mine) -> list[str]:
    """The ids of the failures that follow from none."""
    failed = [each for each in mine.results()["verdicts"] if each["status"] in ("FAIL", "BROKEN")]
    return [each["id"] for each in failed if not each["follows"]]


ONE = {"references": "[numpy_net]"}


def test_a_second_mistake_is_a_second_cause(mine: Mine, approved: Approved) -> None:
    """A gradient that is not even that of the wrong loss is told with the tensor, though the
    outputs are wrong before it.
    """
    hooked = HOOKED.format(hook="self.output.bias.register_hook(lambda g: 3 * g)")
    forward = "return self.output(self.hidden(x))"
    mine.write_sine(forward, hooked, subjects="[Hooked]", **ONE)
    result = mine.pytest()
    first, second = list_firsts(mine)
    assert first == "Hooked-cpu-float64-forward-vs-numpy_net"
    assert second == "Hooked-cpu-float64-gradient-vs-numpy_net"
    approved([line for line in result.outlines if "a second mistake" in line])


def test_a_loss_and_a_gradient_are_two_mistakes(mine: Mine) -> None:
    """A loss that is half of it makes half the gradients; another factor in one is another
    mistake.
    """
    half = "half = Subject({}, loss=lambda o, y: ((o - y) ** 2).sum() / 2)\n"
    mine.write_sine(RIGHT, half.format("SineNet"), subjects="[half]", **ONE)
    mine.pytest()
    assert len(list_firsts(mine)) == 1
    hooked = HOOKED.format(hook="self.output.bias.register_hook(lambda g: 3 * g)")
    mine.write_sine(RIGHT, hooked + half.format("Hooked"), subjects="[half]", **ONE)
    mine.pytest()
    assert [first.split("-")[3] for first in list_firsts(mine)] == ["loss", "gradient"]


def test_a_mistake_of_one_dtype_is_another_cause(mine: Mine, approved: Approved) -> None:
    """Outputs that are off in float64 do not hide outputs that are off otherwise in float32."""
    forward = "return self.output(torch.sigmoid(self.hidden(x))) * (2 if x.dtype == {} else {})"
    mine.write_sine(forward.format("torch.float64", 2), checks="['forward']", **ONE)
    mine.pytest()
    assert len(list_firsts(mine)) == 1
    mine.write_sine(forward.format("torch.float64", 3), checks="['forward']", **ONE)
    result = mine.pytest()
    assert len(list_firsts(mine)) == 2
    approved([line for line in result.outlines if "a second mistake" in line])


def test_a_gradient_in_float32_does_not_follow_from_outputs_in_float64(mine: Mine) -> None:
    """The first wrong quantity is another one there."""
    hook = "self.output.bias.register_hook(lambda g: g if g.dtype == torch.float64 else 3 * g)"
    forward = "return self.output(torch.sigmoid(self.hidden(x))) * (1 + 1e-10)"
    mine.write_sine(forward, HOOKED.format(hook=hook), subjects="[Hooked]", **ONE)
    mine.pytest()
    assert [first.split("-")[2:4] for first in list_firsts(mine)] == [
        ["float64", "forward"],
        ["float32", "gradient"],
    ]


def test_a_model_that_raises_is_one_cause(mine: Mine) -> None:
    """The same error in every trial; another one is another cause."""
    mine.write_sine("raise RuntimeError('no luck')", **BOTH)
    mine.pytest()
    assert len(list_firsts(mine)) == 1


@pytest.mark.parametrize(
    "case",
    [
        {"network": 'Network(inputs=1, hidden=5, outputs=1, activation="logistic")'},
        {"subjects": "[lambda size: SineNet()]"},
        {"problems": "lambda formulation: 1 / 0"},
    ],
)
def test_a_model_that_does_not_fit_its_case_is_one_cause(
    mine: Mine, live_r: None, case: dict[str, str]
) -> None:
    """A number of units that is not the model's, a class with an argument, problems that cannot be
    made: one block, and no trial says where another one said it.
    """
    mine.write_sine(**{**BOTH, **case})
    result = mine.pytest()
    assert len(list_firsts(mine)) == 1
    assert "= 1 failed, " in result.outlines[-1]
    assert len(result.outlines) <= MOST_LINES


def test_it_holds_in_a_shared_run(mine: Mine, warm_python: str, approved: Approved) -> None:
    """In processes of xdist's a follower is counted apart too, and the run fails."""
    mine.write_sine("return self.output(self.hidden(x))", **ONE)
    result = mine.pytest_apart(warm_python, "-p", "nnet_parity.plugin", processes=1)
    assert result.ret == 1
    assert "= 1 failed, 7 more of the same cause in " in result.outlines[-1]
    assert len(list_firsts(mine)) == 1
    approved(result.outlines[-1].strip("= ").partition(" in ")[0], mask_figures=True)


def test_the_first_failure_may_end_the_run(mine: Mine) -> None:
    """With -x nothing follows."""
    mine.write_sine("return self.output(self.hidden(x))", **ONE)
    result = mine.pytest("-x")
    assert (result.ret, len(mine.results()["verdicts"])) == (1, 1)


def test_a_test_that_verifies_shows_each_cause_once(mine: Mine, approved: Approved) -> None:
    """With all trials of the cause."""
    mine.write_sine("return self.output(self.hidden(x))", **ONE)
    text = mine.text.replace("test_sine = verify(", "def test_sine():\n    verify(")
    (mine.pytester.path / "test_mine.py").write_text(text)
    result = mine.pytest("--tb=short")
    approved([line for line in result.outlines if line.startswith("E  ")], mask_figures=True)


FACTORS = (1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5)
TIMES = """
def times(factor):
    class Times(SineNet):
        def forward(self, x):
            return factor * super().forward(x)

    return Subject(Times, f"Times{factor}")


"""


def test_a_test_that_verifies_counts_the_causes_that_it_does_not_show(
    mine: Mine, approved: Approved
) -> None:
    """Of seven wrong models the first five are shown."""
    wrong = f"[times(factor) for factor in {FACTORS}]"
    mine.write_sine(before=TIMES, subjects=wrong, checks='["forward"]', **ONE)
    text = mine.text.replace("test_sine = verify(", "def test_sine():\n    verify(")
    (mine.pytester.path / "test_mine.py").write_text(text)
    result = mine.pytest("--tb=short")
    approved([line for line in result.outlines if "more causes" in line], mask_figures=True)


CHECKS = """
import sys
sys.argv = [""]
from nnet_parity import check
result = check({case}, reproducers="scripts", progress=False)
print(len(result.findings), len(result.verdicts))
print(result)
"""


def test_check_has_a_finding_for_each_cause(mine: Mine, warm_python: str) -> None:
    """And one script."""
    mine.write_sine("return self.output(self.hidden(x))", **ONE)
    text = mine.text.replace("test_sine = verify(", "case = (")
    path = mine.pytester.path / "mine.py"
    path.write_text(text + CHECKS.format(case="case"))
    ended = subprocess.run([warm_python, str(path)], capture_output=True, text=True)
    assert ended.stdout.startswith("1 8\n"), ended.stdout + ended.stderr
    assert ended.stdout.count("reproduce: ") == 1
    assert [each.name for each in Path("scripts").glob("*.py")] == ["sine-1-4-1-forward.py"]


def test_junit_has_the_reason(mine: Mine) -> None:
    """Of each failure; the line of a follower names the first."""
    mine.write_sine("return self.output(self.hidden(x))", **ONE)
    mine.pytest("--junitxml=junit.xml")
    messages = [each.get("message") for each in ET.parse("junit.xml").iter("failure")]
    assert len(messages) == 8
    first, *others = messages
    assert first is not None
    assert first.startswith("hidden activation left out; forward differs by ")
    for other in others:
        assert other is not None
        assert other.startswith("follows from SineNet-cpu-float64-forward-vs-numpy_net: forward ")


def test_github_shows_a_cause_once(mine: Mine, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its reason as the title."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    mine.write_sine("return self.output(self.hidden(x))", **ONE)
    lines = [line for line in mine.pytest().outlines if line.startswith("::error ")]
    assert len(lines) == 1
    assert "title=sine-1-4-1%3A hidden activation left out; forward differs by " in lines[0]


# Scripts


def test_a_script_keeps_its_name_and_outlives_the_next_report(mine: Mine) -> None:
    """A run that fails otherwise, or not at all, leaves it; one that fails as before writes it
    anew. Its line runs as it stands.
    """
    mine.write_sine("return self.output(self.hidden(x))", **ONE)
    lines = mine.pytest("-x").outlines
    [line] = [each.strip() for each in lines if each.startswith("  reproduce: ")]
    script = mine.pytester.path / "build/report/reproducers/sine-1-4-1-forward.py"
    assert line.endswith(" build/report/reproducers/sine-1-4-1-forward.py")
    ended = subprocess.run(
        ["bash", "-c", line.removeprefix("reproduce: ")], capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout.split("\n")[-2]) == (1, "fails again")
    before = script.read_text()
    mine.write_sine(**ONE)
    assert mine.pytest().ret == 0
    assert script.read_text() == before
    mine.write_sine("return self.output(torch.tanh(self.hidden(x)))", **ONE)
    mine.pytest("-x")
    assert "tanh" in script.read_text()
    assert [each.name for each in script.parent.iterdir()] == [script.name]


def test_a_file_that_cannot_be_imported_stands_beside_a_case(mine: Mine) -> None:
    """pytest says its own error of collection, and ends with its own exit code."""
    (mine.pytester.path / "test_absent.py").write_text("import nothing_here\n")
    mine.write_sine()
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*No module named 'nothing_here'*", "*1 error*"])
    assert "INTERNALERROR" not in result.stdout.str()
