"""The runner of mutants, on files small enough to know all of theirs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Approved
from tests.mutation.mutation import Plan, good, mutants

ROOT = Path(__file__).parents[2]


def changes(source: str) -> list[str]:
    """What can be changed in a file."""
    return [mutant.change for mutant in mutants("made_up.py", source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", ["a < b -> a <= b", "a < b -> a >= b"]),
        ("a == b", ["a == b -> a != b"]),
        ("x = a - b", ["a - b -> a + b"]),
        ("x = a and b", ["a and b -> a or b"]),
        ("x = not a", ["x = not a -> x = a"]),
        ("x = -a", ["x = -a -> x = a"]),
        ("x = 0.5", ["x = 0.5 -> x = 1.0"]),
        ("x = 0.0", ["x = 0.0 -> x = 1.0"]),
        ("x = 3", ["x = 3 -> x = 4"]),
        ("x = True", ["x = True -> x = False"]),
        ("x = 'a'", ["x = 'a' -> x = 'a, mutated'"]),
        ("x = a[0]", ["x = a[0] -> x = a[1]"]),
        ("x = np.maximum(a, b)", ["np.maximum(a, b) -> np.minimum(a, b)"]),
        ("x = a.any()", ["a.any() -> a.all()"]),
        ("x = abs(a)", ["abs(a) -> a"]),
        ("x = a if c else b", ["a if c else b -> b if c else a"]),
        ("x = [a for a in b if a]", ["x = [a for a in b if a] -> x = [a for a in b if not a]"]),
        ("if a:\n    b", ["if a -> if not a"]),
        ("a += b", ["a += b -> pass", "a += b -> a -= b"]),
        ("f()", ["f() -> pass"]),
        ("raise a", ["raise a -> pass"]),
        ("x = a\nx = b", ["x = b -> pass"]),
        ("def f():\n    return a", ["return a -> return None"]),
        ("def f():\n    return", []),
        ("def f():\n    return None", []),
        (
            "def f(a: T | None = 1) -> T | None: ...",
            ["def f(a: T | None=1) -> T | None -> def f(a: T | None=2) -> T | None"],
        ),
        ("@f(frozen=True)\nclass A:\n    '''Says 1.'''", []),
        ("x = f'{a + 1}'", []),
    ],
)
def test_what_is_changed(source: str, expected: list[str]) -> None:
    """One thing at a time, and no docstring, annotation, decorator or sentence with figures in
    it.
    """
    assert changes(source) == expected


def test_a_change_is_called_by_its_function_and_its_number() -> None:
    """Not by its line: however far down it moves in its file, its name stays."""
    source = "class A:\n    def f(self):\n        return a + b, a + b"
    for text in (source, "\n\n" + source):
        found = [(mutant.function, mutant.change) for mutant in mutants("made_up.py", text)]
        assert found[1:] == [("A.f", "a + b -> a - b"), ("A.f", "a + b -> a - b (2)")]


def test_every_reason_is_of_a_mutant_that_there_is() -> None:
    """Where the code has changed, a reason why a mutant may survive says nothing."""
    plan = Plan.read(ROOT / "tests/mutation/mutation.toml")
    for file in plan.tests:
        there = {
            (file, mutant.function, mutant.change)
            for mutant in mutants(file, (ROOT / file).read_text("utf-8"))
        }
        assert [key for key in plan.reasons if key[0] == file and key not in there] == []
    assert {file for file, _, _ in plan.reasons} <= set(plan.tests)
    assert all(reason.strip() for reason in plan.reasons.values())


FILE = """\
LIMIT = 3


def within(x):
    if x < 0:
        return False
    return abs(x) <= LIMIT
"""
TEST = "from judging import within\n\ndef test():\n    assert "
WELL = f"{TEST}[within(x) for x in (-1, 0, 3, 4)] == [False, True, True, False]\n"
BADLY = f"{TEST}within(2)\n"
ONE_SURVIVES = """
[[survivors]]
file = "judging.py"
function = "within"
changes = ["abs(x) -> x"]
reason = "x is not negative there"
"""


def run(
    folder: Path, test: str, survivors: str = "", *arguments: str
) -> subprocess.CompletedProcess[str]:
    """The runner in a folder with one file and one test."""
    (folder / "tests/mutation").mkdir(parents=True, exist_ok=True)
    (folder / "judging.py").write_text(FILE)
    (folder / "tests/test_judging.py").write_text(test)
    (folder / "tests/mutation/mutation.toml").write_text(
        'libraries = []\n[tests]\n"judging.py" = ["tests/test_judging.py"]\n' + survivors
    )
    command = [sys.executable, str(ROOT / "tests/mutation/mutation.py"), "--jobs", "2", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


SLACK = "abs(x) -> x"


def results(folder: Path) -> dict[str, Any]:
    """What the runner wrote of the file."""
    found: dict[str, Any] = json.loads((folder / "build/mutation.json").read_text())["files"][
        "judging.py"
    ]
    return found


def test_what_every_test_notices_is_killed(tmp_path: Path, approved: Approved) -> None:
    """All but one, which has a reason: the run ends with 0, and the file stays as it is."""
    ran = run(tmp_path, WELL, ONE_SURVIVES)
    found = results(tmp_path)
    assert (tmp_path / "judging.py").read_text() == FILE
    assert [each["change"] for each in found["survived"]] == [SLACK]
    assert found["survived"][0]["reason"] == "x is not negative there"
    assert found["killed"] == found["mutants"] - 1 == 10
    start, *rest = ran.stdout.splitlines()
    approved(start, mask_figures=True)
    approved(rest)
    assert (ran.returncode, ran.stderr) == (0, "")
    again = run(
        tmp_path,
        WELL.replace("4", "-4, 4").replace("True, False]", "True, False, False]"),
        "",
        "--again",
    )
    assert " 1 " in again.stdout.splitlines()[0]
    assert (again.returncode, results(tmp_path)) == (1, found)  # -4 is negative: still the same


def test_a_sample_is_a_part_of_the_mutants(tmp_path: Path, approved: Approved) -> None:
    """So many; what survives without a reason is told with its line, its function and the change,
    and ends with 1.
    """
    ran = run(tmp_path, BADLY, ONE_SURVIVES, "--sample", "8", "--files", "judging.py")
    found = results(tmp_path)
    assert found["mutants"] == 8
    told = [line for line in ran.stdout.splitlines() if line.startswith("  judging.py:")]
    approved(sorted(told))  # two processes try them
    left = [each for each in found["survived"] if not each["reason"]]
    assert len(left) >= 2
    for each in left:
        start = f"  judging.py:{each['line']} {each['function']}: {each['change']}: "
        assert any(line.startswith(start) for line in told)
    assert not any(
        line.startswith("  judging.py:5 within: if x < 0 -> if not x < 0: ") for line in told
    )
    assert (ran.returncode, found["stale"]) == (1, [])


ALL_WELL = {"mutants": 10, "killed": 9, "survived": [{"reason": "the same"}], "stale": []}


@pytest.mark.parametrize(
    "wrong",
    [
        {"killed": 8},
        {"survived": [{"reason": "the same"}, {"reason": None}]},
        {"stale": [("f", "a -> b")]},
    ],
)
def test_what_is_not_good(wrong: dict[str, Any]) -> None:
    """Fewer than 90 %, one without a reason, or a reason for nothing."""
    assert good(ALL_WELL)
    assert not good(ALL_WELL | wrong)


def test_a_reason_for_nothing_is_told(tmp_path: Path, approved: Approved) -> None:
    """What is killed needs none, and what is not there has none; the run ends with 1."""
    ran = run(
        tmp_path,
        WELL,
        ONE_SURVIVES.replace(json.dumps(SLACK), f'"{SLACK}", "x < 0 -> x <= 0", "x < 9 -> x <= 9"'),
    )
    approved(
        line for line in ran.stdout.splitlines() if line.strip().startswith("judging.py within: ")
    )
    assert ran.returncode == 1


@pytest.mark.parametrize(
    ("test", "arguments"),
    [(BADLY.replace("2", "9"), ()), (WELL, ("--files", "other.py"))],
    ids=["a test that fails", "another file"],
)
def test_where_nothing_can_be_told_it_says_so(
    tmp_path: Path, test: str, arguments: tuple[str, ...], approved: Approved
) -> None:
    """In a sentence, and ends with 2."""
    ran = run(tmp_path, test, "", *arguments)
    assert ran.returncode == 2
    approved(ran.stderr)
