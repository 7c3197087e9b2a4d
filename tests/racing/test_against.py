"""Two checkouts race in turns; a slow-down counts only where a second measurement repeats it."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.racing import against
from harness.racing.against import Compared, compare, take_turns
from harness.racing.command import describe, summarise
from harness.racing.decision import MARGIN, Measurement, is_faster, is_slower
from tests.conftest import Approved

Race = Callable[..., tuple[int, str]]
PROJECT = """
import torch
from torch import nn

from nnet_parity import Case, Entry, Network, Population, Recipe, Trained, numpy_net, probes
from nnet_parity import nnet_gradients, starts


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.output = nn.Linear(1, 4), nn.Linear(4, 1)

    def forward(self, x):
        for _ in range({times}):
            y = self.output(torch.sigmoid(self.hidden(x)))
        return y


def data(count):
    x = torch.linspace(0, 1, 20, dtype=torch.float64).reshape(1, -1, 1).repeat(count, 1, 1).numpy()
    return x, x


NET = Network(inputs=1, hidden=4, outputs=1, activation="logistic")
CASE = Case("before", NET, [Net], [numpy_net], probes(seed=0, draws=3))
RACES = [
    Entry(name, Trained(Net, Recipe("sgd", 3), "Net", start=starts.uniform()), CASE,
          Population(data, grid=[[0.5]]), nnet_gradients, fits=name == "fit")
    for name in {names}
]
"""


def test_turns_alternate() -> None:
    """Each takes one in every round, and another one begins each round."""
    order: list[str] = []

    def take(who: str) -> float:
        order.append(who)
        return len(order)

    times = take_turns([lambda: take("a"), lambda: take("b")], 3)
    assert "".join(order) == "abbaab"
    assert times == [[1, 4, 5], [2, 3, 6]]


def test_the_shortest_turns_decide() -> None:
    """A disturbed turn changes nothing; the margin lies between nothing and 30 %."""
    assert 1 < MARGIN < 1.3
    assert Measurement([1.0, 9.0], [1.3, 9.0]).ratio == 1.3
    assert is_slower(Measurement([1.0, 9.0], [1.3, 1.4]))
    assert not is_slower(Measurement([1.0, 9.0], [9.0, 1.1]))
    assert is_faster(Measurement([1.3, 1.4], [1.0, 9.0]))


class Given:
    """A runner whose turns take given times, in every race."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.begun = seconds, 0

    def ask(self, request: str, *arguments: Any) -> Any:
        self.begun += request == "begin"
        return 7 if request == "begin" else self.seconds


@pytest.mark.parametrize(("again", "slower"), [(1.0, False), (1.3, True)])
def test_slower_is_what_two_measurements_say(again: float, slower: bool) -> None:
    """The second one is made in new processes, and only of races that looked slower."""
    started: list[list[Given]] = []

    @contextmanager
    def start() -> Iterator[Any]:
        started.append([Given(1.0), Given(again)])
        yield started[-1]

    races = [against.RaceId("one", "float64"), against.RaceId("other", "float64")]
    first: Any = [Given(1.0), Given(1.3)]
    found = list(compare(first, start, races, 3))
    assert [each.is_slower for each in found] == [slower, slower]
    assert [[one.begun for one in some] for some in started] == [[2, 2]]
    even: Any = [Given(1.0), Given(1.1)]
    assert not any(each.is_slower or each.second for each in compare(even, start, races, 3))
    assert len(started) == 1


def test_each_result_has_its_words(approved: Approved) -> None:
    """Slower twice, slower once only, faster, and neither."""
    slower, faster, alike = (Measurement([1.0], [ratio]) for ratio in (1.3, 0.7, 1.0))
    race = against.RaceId("sine: Net", "float64")
    pairs = [(slower, slower), (slower, alike), (faster, None), (alike, None)]
    results = [Compared(race, *pair) for pair in pairs]
    approved([*map(describe, results), summarise(results)])


def make_checkout(folder: Path, python: str, times: int, names: list[str]) -> Path:
    """A project whose model computes its answer so many times, with a Python of its own."""
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to(python)
    (folder / "races.py").write_text(PROJECT.format(times=times, names=names))
    return folder


@pytest.fixture
def race(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Race:
    """`nnet-parity race` in a checkout: its exit code, and what it says."""

    def run(head: Path, *arguments: str) -> tuple[int, str]:
        monkeypatch.chdir(head)
        monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
        code = main(["race", *arguments])
        said = capsys.readouterr()
        text = said.err if code == 2 else said.out
        return code, text.replace(str(head.parent), "<folder>")

    return run


def test_a_checkout_that_became_slower_fails(
    tmp_path: Path, warm_python: str, race: Race, approved: Approved
) -> None:
    """Its model does its work fifty times; races that one checkout lacks are named, and the results
    are written with the machine.
    """
    make_checkout(tmp_path / "base", warm_python, 1, ["gradient", "old"])
    head = make_checkout(tmp_path / "head", warm_python, 50, ["gradient", "new"])
    arguments = ["--against", "../base", "--rounds", "1", "--out", "out/race.json"]
    code, said = race(head, "races.py", *arguments)
    assert code == 1
    approved(said, mask_figures=True)
    found = json.loads((head / "out/race.json").read_text())
    assert [(one["name"], one["verdict"]) for one in found["races"]] == [
        ("gradient: Net", "slower")
    ]
    assert {"cpu", "commit", "torch"} <= set(found["head"]) & set(found["base"])


def test_fits_and_what_became_faster_pass(tmp_path: Path, warm_python: str, race: Race) -> None:
    """A fit of the whole recipe needs no R."""
    make_checkout(tmp_path / "base", warm_python, 50, ["fit", "gradient"])
    head = make_checkout(tmp_path / "head", warm_python, 1, ["fit", "gradient"])
    code, said = race(head, "races.py", "--against", "../base", "--rounds", "3", "--only", "fit")
    assert code == 0
    assert "fit: Net, float64" in said
    assert "1 race: 0 slower, 1 faster" in said


def test_code_of_the_other_checkout_is_refused(
    tmp_path: Path,
    warm_python: str,
    race: Race,
    approved: Approved,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a package that is installed from the head, where the base has no copy installed."""
    base, head = (
        make_checkout(tmp_path / name, warm_python, 1, ["one"]) for name in ("base", "head")
    )
    (head / "src").mkdir()
    (head / "src/my_package.py").write_text("")
    for checkout in (base, head):
        with (checkout / "races.py").open("a") as file:
            file.write("import my_package\n")
    monkeypatch.setenv("PYTHONPATH", str(head / "src"), prepend=os.pathsep)
    code, said = race(head, "races.py", "--against", "../base", "--rounds", "1")
    assert code == 2
    approved(said)


def test_what_cannot_be_raced_says_so(
    tmp_path: Path, warm_python: str, race: Race, approved: Approved
) -> None:
    """No such file, no race in both, a file that cannot be imported, two races of one name, an
    unknown device, a Python that ends at once: exit code 2.
    """
    base = make_checkout(tmp_path / "base", warm_python, 1, ["old"])
    head = make_checkout(tmp_path / "head", warm_python, 1, ["new"])
    (base / "wrong.py").write_text("import nowhere_to_be_found")
    (head / "wrong.py").write_text("")
    for folder in (base, head):
        (folder / "twice.py").write_text(PROJECT.format(times=1, names=["one", "one"]))
    files = ("no.py", "races.py", "wrong.py", "twice.py")
    said = [race(head, file, "--against", "../base") for file in files]
    said.append(race(head, "races.py", "--against", "../base", "--device", "tpu"))
    older = tmp_path / "base/.venv/bin/python"
    older.unlink()
    older.write_text("#!/bin/sh\nexit 3\n")
    older.chmod(0o755)
    said.append(race(head, "races.py", "--against", "../base"))
    assert [code for code, _ in said] == [2] * 6
    approved("".join(text for _, text in said))
