"""Reproducers: a failing trial, made small, fails again as a script of its own."""

import os
import re
import subprocess
import sys
import textwrap
import tokenize
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from harness import Case, Computed, Loss, Problem, Status, Subject
from harness.comparing.judge import Judgement
from harness.judging.cache import Cache
from harness.judging.case import Trial
from harness.judging.comparison import Comparison
from harness.reproduce import script as writer
from harness.reproduce.names import file_name
from harness.reproduce.reduce import CLEAR, Reduced, shrink
from harness.reproduce.source import Source, Unwritten
from harness.running.trial import run
from harness.words.naming import tensors
from reference import Equations, Network, Stated, numpy_net, probes, r_nnet
from tests.conftest import Approved, Mine, masked
from tests.judging.test_wrong_ports import PORTS
from tests.selfcheck.alone import again, ended, scripts

SINE = Network(1, 4, 1, "logistic")


def asked(
    subject: Any, network: Network, check: str, problems: Any = None, dtype: str = "float64"
) -> Comparison:
    """One trial against NumPy, ready to be judged."""
    case = Case(
        "port",
        network,
        [subject],
        [numpy_net],
        problems or probes(seed=0, draws=4),
        checks=[check],
        dtypes=[dtype],
    )
    cache, (trial,) = Cache(case), case.trials()
    return Comparison(trial, cache, cache.stacks(trial), check)


# How a problem is made small.

WRONG: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "no bias": lambda m, x: m.out(torch.tanh(x @ m.hidden.weight.T)),
    "scaled": lambda m, x: 1.001 * m.out(torch.tanh(m.hidden(x))),
    "one weight": lambda m, x: m.out(torch.tanh(m.hidden(x))) + 1e-9 * m.hidden.weight[0, 0],
    "rows coupled": lambda m, x: m.out(torch.tanh(m.hidden(x))) + 0.01 * x.mean(),
    "cut off": lambda m, x: m.out(torch.tanh(m.hidden(x)).clamp(max=0.9)),
}


MEANS = {"W1": "hidden.weight", "b": "hidden.bias", "W2": "out.weight", "b_w": "out.bias"}


class Wrong(nn.Module):
    def __init__(self, network: Network, how: str) -> None:
        super().__init__()
        self.hidden = nn.Linear(*network.inputs, network.hidden)
        self.out = nn.Linear(network.hidden, *network.outputs)
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        return WRONG[self.how](self, x)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(list(WRONG)),
    st.sampled_from(["forward", "loss", "gradient", "input_gradient"]),
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3)),
    st.sampled_from(["float64", "float32"]),
    st.integers(0, 99),
)
def test_what_is_left_fails_as_the_whole_did(
    how: str, check: str, widths: tuple[int, int, int], dtype: str, seed: int
) -> None:
    """In the same tensor, as clearly, and in nothing that is computed before; it is no larger, and
    one draw.
    """
    network = Network(*widths, "tanh")
    subject = Subject(lambda: Wrong(network, how), "Wrong", MEANS)
    whole = asked(subject, network, check, probes(seed, draws=2), dtype)
    failed = whole.judged(check)
    assert isinstance(failed, Judgement)
    if failed.status is not Status.FAIL:
        return
    small = shrink(whole, failed)
    assert small is not None
    before = whole.problems[failed.stack].part(slice(failed.index[0], failed.index[0] + 1))
    after = small.problem
    assert after.draws == 1
    assert after.rows <= before.rows
    assert all(
        np.count_nonzero(getattr(after, n)) <= np.count_nonzero(getattr(before, n))
        for n in ("own", "targets")
    )
    judged = Comparison(whole.trial, Cache(whole.trial.case), [after], check).judged(check)
    assert isinstance(judged, Judgement)
    assert judged == small.judgement
    assert judged.status is Status.FAIL
    assert abs(judged.actual - judged.expected) > judged.allowed
    alone = Comparison(whole.trial, Cache(whole.trial.case), [before], check)
    first = alone.judged(check)
    assert isinstance(first, Judgement)
    assert judged.budget_used >= min(first.budget_used, CLEAR)
    place = [tensors(p, check)[1][j.index[1:]] for p, j in ((before, first), (after, judged))]
    assert place[0] == place[1]
    if check == "gradient":
        for earlier in ("forward", "loss"):
            was, is_now = (
                Comparison(whole.trial, Cache(whole.trial.case), [p], check).judged(earlier)
                for p in (before, after)
            )
            assert isinstance(was, Judgement)
            assert isinstance(is_now, Judgement)
            assert is_now.status is not Status.FAIL or was.status is Status.FAIL


def small_of(subject: Any, network: Network, check: str, **rest: Any) -> Reduced:
    """The trial made small."""
    whole = asked(subject, network, check, **rest)
    failed = whole.judged(check)
    assert isinstance(failed, Judgement)
    found = shrink(whole, failed)
    assert found is not None
    return found


def test_rows_units_and_digits_that_do_not_matter_are_gone() -> None:
    """Of a bias that is not added what is left is one row, one bias and one weight, whole
    numbers.
    """
    network = Network(3, 5, 2, "tanh")
    problem = small_of(
        Subject(lambda: Wrong(network, "no bias"), "Wrong"), network, "forward"
    ).problem
    assert problem.rows == 1
    assert np.count_nonzero(problem.own) == 2
    assert not problem.inputs.any()
    assert not (problem.own % 0.25).any()


def test_what_two_rows_make_keeps_two() -> None:
    """A mean in place of the sum needs rows."""
    mean = Subject(
        lambda: Wrong(SINE_TANH, "right"), "Mean", loss=lambda o, t: ((o - t) ** 2).mean()
    )
    assert small_of(mean, SINE_TANH, "loss").problem.rows == 2


SINE_TANH = Network(1, 4, 1, "tanh")
WRONG["right"] = lambda m, x: m.out(torch.tanh(m.hidden(x)))


def test_without_steps_the_worst_draw_is_left_as_it_is() -> None:
    """Then nothing else was tried."""
    whole = asked(Subject(lambda: Wrong(SINE_TANH, "scaled"), "Wrong"), SINE_TANH, "forward")
    failed = whole.judged("forward")
    assert isinstance(failed, Judgement)
    found = shrink(whole, failed, steps=0)
    assert found is not None
    draw = failed.index[0]
    assert (found.problem.own == whole.problems[failed.stack].own[draw : draw + 1]).all()
    assert found.judgement.index[1:] == failed.index[1:]


def test_a_busy_machine_makes_the_same_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is a hundred times as slow between two steps changes nothing."""
    network = Network(1, 64, 1, "logistic")
    subject = Subject(lambda: Wrong(network, "scaled"), "Wrong")
    quiet = small_of(subject, network, "gradient")
    hours = count(step=0.1)
    monkeypatch.setattr("harness.reproduce.reduce.perf_counter", lambda: next(hours))
    busy = small_of(subject, network, "gradient")
    assert (busy.problem.own == quiet.problem.own).all()
    assert (busy.problem.inputs == quiet.problem.inputs).all()
    assert busy.judgement == quiet.judgement


# How it is told.


def comments(path: Path) -> list[str]:
    """What a script says of itself, and what it prints."""
    with tokenize.open(path) as file:
        words = [
            token.string
            for token in tokenize.generate_tokens(file.readline)
            if token.type == tokenize.COMMENT
        ]
    return words + [line for line in path.read_text().split("\n") if line.startswith("print(")]


def case_of(subject: Any, network: Any = SINE, **rest: Any) -> Case:
    """A case of few draws against NumPy."""
    given = {
        "references": [numpy_net],
        "problems": probes(seed=0, draws=4),
        "dtypes": ["float64"],
    } | rest
    return Case("port", network, [subject], **given)


def test_wrong_ports_fail_again_on_their_own(tmp_path: Path, approved: Approved) -> None:
    """Each of them, with nothing but torch and NumPy."""
    paths: dict[str, Path] = {}
    for number, (subject, network, problems, check) in enumerate(PORTS):
        for dtype, checks in (("float64", None), ("float32", [check])):
            given = {
                "problems": problems or probes(seed=0, draws=4),
                "checks": checks,
                "dtypes": [dtype],
            }
            made = scripts(case_of(subject, network, **given), tmp_path / f"{number} {dtype}")
            assert all(made.values()), made
            paths |= {f"{number} {name}": path for name, path in made.items() if path}
    codes = dict(zip(paths, (code for code, _ in ended(list(paths.values()))), strict=True))
    assert len(paths) > 50
    assert all(code == 1 for code in codes.values()), codes
    said = {masked(line, {}, figures=True) for path in paths.values() for line in comments(path)}
    # of titles figures decide
    approved(sorted(line for line in said if not line.startswith(("# port: ", "print("))))


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Writes files of a user's, by name, and imports the last of them."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(**files: str) -> Any:
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
        return import_module(list(files)[-1])

    yield write
    for name in set(sys.modules) - before:
        if (
            getattr(sys.modules[name], "__file__", "")
            and Path(str(sys.modules[name].__file__)).parent == tmp_path
        ):
            del sys.modules[name]


HEAD = """\
from functools import partial

import numpy as np
import torch
from torch import nn

from harness import Subject
from reference import Network

SHIFT = np.array([0.5])
SIZES = {"inputs": 1, "hidden": 4}
NETWORK = Network(1, 4, 1, "logistic")
Activation = nn.Sigmoid


def squashed(z, how=torch.sigmoid):
    return how(z) + offset()


def offset():
    return torch.tensor(SHIFT[0] / 8)


class Net(nn.Module):
    def __init__(self, inputs: int, hidden: int = 4, act=squashed) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(inputs, hidden), nn.Linear(hidden, 1)
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.act(self.hidden(x)))


"""
WAYS = {  # how a model may be written: what follows the file's head, and what the script has of it
    "a class": (
        "class Mine(Net):\n    def __init__(self):\n        super().__init__(**SIZES)\nmine = Mine",
        "BUILD = Mine\n",
    ),
    "a lambda": (
        "mine = [lambda: 5, lambda: Net(SIZES['inputs'])][1]",
        "BUILD = (lambda: Net(SIZES['inputs']))\n",
    ),
    "a partial": (
        "mine = partial(Net, 1, hidden=4)",
        "BUILD = functools.partial(Net, 1, hidden=4)\n",
    ),
    "a network's sizes": (
        "mine = lambda: Net(NETWORK.inputs[0], NETWORK.hidden)",
        "NETWORK = types.SimpleNamespace(",
    ),
    "a function in a function": (
        "def make(size, act):\n    def build():\n        return nn.Sequential("
        "nn.Linear(1, size), act(), nn.Linear(size, 1), nn.ELU())\n"
        "    return build\nmine = make(4, Activation)",
        "size = 4",
    ),
    "defaults of a lambda": (
        "mine = [lambda size=size: nn.Sequential(nn.Linear(1, size), nn.Linear(size, 1)) "
        "for size in (4,)][0]",
        "(lambda size=size: ",
    ),
    "a class in a function": (
        "def make(shift):\n    class Inner(Net):\n        def forward(self, x):\n"
        "            return super().forward(x) + shift\n"
        "    return lambda: Inner(1)\nmine = make(0.25)",
        "shift = 0.25",
    ),
    "a loss of one's own": (
        "def loss(o, t):\n    return ((o - t) ** 2).sum() / FACTOR\nFACTOR = 2.0\n"
        "mine = Subject(lambda: Net(1, 4, torch.sigmoid), 'Mine', loss=loss)",
        "LOSS = loss\n",
    ),
    "a function of tensors": (
        "def f(x, W1, b, W2, b_w):\n    return squashed(x @ W1.T + b) @ W2.T + b_w\n"
        "mine = Subject(f, 'Mine', shapes={'W1': (4, 1), 'b': (4,), 'W2': (1, 4), 'b_w': (1,)})",
        "BUILD(*x, **dict(zip(['W1', 'b', 'W2', 'b_w'], parameters)))",
    ),
    "a lazy layer": (
        "mine = lambda: nn.Sequential(nn.LazyLinear(4), nn.Tanh(), nn.Linear(4, 1))",
        "torch.zeros(1, ",
    ),
    "a bias left out": (
        "mine = lambda: nn.Sequential(nn.Linear(1, 4, bias=False), nn.Sigmoid(), nn.Linear(4, 1))",
        "parameters += [",
    ),
    "names of the script's own": (
        "got = x = model = network = SIZES\nmine = lambda: Net(x['inputs'], network['hidden'])",
        "got = x = model = ",
    ),
    "a settings object": (
        "from dataclasses import dataclass\n@dataclass\nclass Sizes:\n    hidden: int = 3\n"
        "mine = (lambda sizes: lambda: Net(1, sizes.hidden))(Sizes(4))",
        "sizes = Sizes(hidden=4)",
    ),
    "a tensor in the file": (
        "RAMP = torch.linspace(0, 1, 4)\nmine = lambda: Net(1, act=lambda z: z * RAMP.to(z))",
        "RAMP = torch.linspace",
    ),
}


def test_a_model_is_copied_as_it_is_written(written: Callable[..., Any], tmp_path: Path) -> None:
    """With all that it needs of its file, however it is written, and fails again without the
    file.
    """
    paths: dict[str, Path] = {}
    for number, (way, (text, has)) in enumerate(WAYS.items()):
        mine = Subject.of(written(**{f"mine{number}": HEAD + text}).mine)
        few = probes(seed=0, draws=4, kinds=["few-term", "random"])
        case = case_of(mine, checks=["loss", "gradient"], problems=few)
        made = scripts(case, tmp_path / str(number))
        assert made, way
        for name, path in made.items():
            assert path is not None, (way, name)
            assert has in path.read_text(), (way, path.read_text())
            paths[f"{way} {name}"] = path
    found = dict(zip(paths, ended(list(paths.values())), strict=True))
    assert {name: code for name, (code, _) in found.items()} == dict.fromkeys(found, 1), found


def test_a_model_of_several_files_is_copied(written: Callable[..., Any], tmp_path: Path) -> None:
    """Whether its names are imported from the other file, or that file is."""
    files = {
        "layers": "import torch\nGAIN = 1.01\ndef act(z):\n    return GAIN * torch.sigmoid(z)\n",
        "models": (
            """
            import layers as own
            from torch import nn
            from layers import act as activation
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.hidden, self.out = nn.Linear(1, 4), nn.Linear(4, 1)
                def forward(self, x):
                    return self.out(own.GAIN * activation(self.hidden(x)))
            """
        ),
        "mine": "import models\nfrom models import Net\nfirst, second = Net, lambda: models.Net()",
    }
    module = written(**files)
    made = [
        scripts(case_of(Subject(build, name), checks=["forward"]), tmp_path)
        for build, name in ((module.first, "First"), (module.second, "Second"))
    ]
    paths = [path for found in made for path in found.values() if path]
    assert [code for code, _ in ended(paths)] == [1, 1]


def test_what_cannot_be_copied_is_imported(
    written: Callable[..., Any], tmp_path: Path, approved: Approved
) -> None:
    """From its author's file, and the script says so; then it needs nnet-parity too."""
    text = """
        from torch import nn
        from harness import Case, Subject, verify
        from reference import Network, numpy_net, probes
        class Counter:
            number = 0
        def made(counter):
            def build():
                return nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1 + counter.number))
            return Subject(build, "Kept")
        network = Network(1, 4, 1, "logistic")
        test_mine = verify(Case("port", network, [made(Counter())], [numpy_net], probes(seed=0)))
        """
    (subject,) = written(mine=text).test_mine.case.subjects
    (path,) = scripts(case_of(subject, checks=["loss"]), tmp_path / "out").values()
    assert path is not None
    approved(comments(path), mask_figures=True)
    (told,) = ended([path])
    assert "harness is not installed here" in str(told[0])  # as tests/selfcheck/alone.py plays it
    assert again(case_of(subject, checks=["loss"]), absent=()) == {
        "Kept-cpu-float64-loss-vs-numpy_net": True
    }


def test_what_torch_was_told_as_a_whole_is_told_in_the_script(
    written: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    warm_python: str,
) -> None:
    """A script that fails where a file has set torch's dtype fails on its own too, in a process
    that nobody has set.
    """
    text = (
        HEAD + "class Mine(Net):\n    def forward(self, x):\n        return"
        " self.out(torch.sigmoid(self.hidden(x)) "
    )
    text += "* (1.01 if torch.zeros(1).dtype is torch.float64 else 1))\nmine = lambda: Mine(1)"
    dtype, precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_float32_matmul_precision("high")
        found = scripts(case_of(written(told=text).mine, checks=["forward"]), tmp_path)
    finally:
        torch.set_default_dtype(dtype)
        torch.set_float32_matmul_precision(precision)
    [path] = found.values()
    assert path is not None
    assert (
        "torch.set_default_dtype(torch.float64)\ntorch.set_float32_matmul_precision('high')\n"
        in path.read_text()
    )
    assert subprocess.run([warm_python, str(path)], check=False).returncode == 1


@pytest.mark.parametrize("dtype", ["tf32", "bfloat16", "float16"])
def test_a_narrow_dtype_fails_again(dtype: str, tmp_path: Path, approved: Approved) -> None:
    """A script asks PyTorch in the dtype that it has: of TF32 that is float32."""
    subject = Subject(lambda: Wrong(SINE_TANH, "no bias"), "Wrong")
    case = Case(
        "port",
        SINE_TANH,
        [subject],
        [numpy_net],
        probes(draws=2),
        checks=["forward"],
        dtypes=[dtype],
    )
    (path,) = scripts(case, tmp_path).values()
    assert path is not None
    assert [code for code, _ in ended([path])] == [1]
    if dtype == "bfloat16":  # of wider ones an earlier layer may have rounded nothing
        approved(comments(path), mask_figures=True)


def test_a_mended_model_exits_with_0(
    written: Callable[..., Any], tmp_path: Path, approved: Approved
) -> None:
    """And says so; before, it says both numbers and what they may differ by."""
    mine = written(mine=HEAD + "mine = lambda: Net(1)").mine
    made = scripts(case_of(Subject(mine, "Mine"), dtypes=["float64", "float32"]), tmp_path)
    paths = [path for path in made.values() if path]
    approved(comments(paths[0]), mask_figures=True)
    before = ended(paths)
    assert {code for code, _ in before} == {1}
    # which gradient is worst, figures decide
    approved((said for _, said in before[:2]), mask_figures=True)
    assert all(said.count("\n") == 2 for _, said in before)
    for path in made.values():
        assert path is not None
        path.write_text(path.read_text().replace("how(z) + offset()", "how(z)"))
    after = ended(paths)
    assert {code for code, _ in after} == {0}
    approved({said.split("\n")[1] for _, said in after})


def two_layers() -> Equations:
    """A network of one's own."""

    def forward(m: Any, p: Any, x: Any) -> Any:
        return m.affine(m.act("tanh", m.affine(x, p["W1"], p["b"])), p["W2"], p["b_w"])

    return Equations("mine", 1, 1, {"W1": (4, 1), "b": (4,), "W2": (1, 4), "b_w": (1,)}, forward)


def by_hand(p: dict[str, Any], x: Any) -> Any:
    return np.tanh(x @ p["W1"].T + p["b"]) @ p["W2"].T + p["b_w"]


class Plain(nn.Module):
    """A port of a network of tanh units that forgets its hidden bias."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(1, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(x @ self.hidden.weight.T))


OTHERS = {
    "NumPy": (two_layers(), numpy_net),
    "hand (float64)": (SINE_TANH, Computed(by_hand, "hand", dtype="float64")),
    "hand (stated, within 1e-09)": (
        SINE_TANH,
        Stated("hand", by_hand, budget=1e-9, why="it says so"),
    ),
    "Right on the CPU": (SINE_TANH, Subject(lambda: Wrong(SINE_TANH, "right"), "Right")),
}


def said_by(path: Path) -> str:
    """The line of a script that holds what another gave, and whose it is."""
    (line,) = (
        line
        for line in path.read_text().split("\n")
        if re.match(r"    return -?[\d.e-]+  # ", line)
    )
    return line


def test_what_another_said_is_a_number(tmp_path: Path, approved: Approved) -> None:
    """Of a network or a reference of one's own the script holds what it gave, and whose it is."""
    paths = []
    for number, (who, (network, reference)) in enumerate(OTHERS.items()):
        case = case_of(Plain, network, references=[reference], checks=["forward"])
        (path,) = scripts(case, tmp_path / str(number)).values()
        assert path is not None
        approved(said_by(path), mask_figures=True)
        assert f"'{who}" in said_by(path)
        paths.append(path)
    assert [code for code, _ in ended(paths)] == [1] * 4


@dataclass(frozen=True)
class Recorded:
    """NumPy that was asked once, of whole stacks, as a recording of R was."""

    name, source = "recorded", "recorded"
    known: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return getattr(numpy_net, name)

    def observe(self, problem: Problem, dtype: str, device: str) -> Any:
        return self.known[problem.key]

    def script(self, problem: Problem) -> None:
        """None, as of R where R does not answer."""


def test_what_was_recorded_is_a_number_too(tmp_path: Path, approved: Approved) -> None:
    """A recording knows its own problems: the script has the worst draw as it is."""
    whole = asked(Plain, SINE_TANH, "gradient")
    known = {problem.key: numpy_net.observe(problem) for problem in whole.problems}
    case = case_of(Plain, SINE_TANH, references=[Recorded(known)], checks=["gradient"])
    (path,) = scripts(case, tmp_path).values()
    assert path is not None
    approved(said_by(path), mask_figures=True)
    assert ended([path])[0][0] == 1


def test_r_is_asked_anew(live_r: None, tmp_path: Path, approved: Approved) -> None:
    """Where R is the witness the script has R's own lines: outputs, loss and gradient of nnet's
    engine.
    """
    paths: list[Path] = []
    several, loss = ["forward", "gradient"], ["loss", "gradient"]
    # one input, several, own loss, decay
    for number, checks in {0: None, 3: several, 7: loss, 8: loss}.items():
        subject, network, problems, _ = PORTS[number]
        given = {
            "problems": problems or probes(seed=0, draws=4),
            "references": [r_nnet],
            "checks": checks,
        }
        made = scripts(case_of(subject, network, **given), tmp_path / str(number))
        assert all(made.values())
        paths += filter(None, made.values())
    assert all('["Rscript", "-e", R]' in path.read_text() for path in paths)
    approved(comments(paths[0]), mask_figures=True)
    assert [code for code, _ in ended(paths)] == [1] * len(paths)


def test_r_is_asked_for_tanh_through_its_logistic(live_r: None, tmp_path: Path) -> None:
    """By the weights that express it, and the gradient goes back by what they mean."""
    made = scripts(case_of(Plain, SINE_TANH, references=[r_nnet]), tmp_path)
    paths = [path for path in made.values() if path]
    assert [code for code, _ in ended(paths)] == [1] * 3
    for path in paths:
        path.write_text(path.read_text().replace("x @ self.hidden.weight.T", "self.hidden(x)"))
    assert [code for code, _ in ended(paths)] == [0] * 3


def test_a_draw_in_which_nnet_clips_is_left_for_another(live_r: None, tmp_path: Path) -> None:
    """Where the worst draw's numbers differ by less than the contracts declare, another tells it
    more plainly.
    """
    network = Network(2, 3, 2, "logistic")
    steep = Subject(lambda: Steep(network), "Steep", MEANS)
    mean = probes(seed=4, draws=4, loss=Loss("mean"))
    (path,) = scripts(
        case_of(steep, network, problems=mean, references=[r_nnet], checks=["gradient"]), tmp_path
    ).values()
    assert path is not None
    assert ended([path])[0][0] == 1


class Steep(Wrong):
    def __init__(self, network: Network) -> None:
        super().__init__(network, "right")

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.sigmoid(1.001 * self.hidden(x)))


# What is said of it.


class Counting(nn.Module):
    """It answers otherwise from its 20th call on."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(1, 4), nn.Linear(4, 1)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.out(torch.tanh(self.hidden(x))) + (self.calls > 20)


def test_what_does_not_fail_on_its_own_has_no_script(tmp_path: Path, approved: Approved) -> None:
    """And that is said."""
    case = case_of(Counting, SINE_TANH, checks=["forward"])
    verdict = run(case.trials()[0], Cache(case), "pytest again", tmp_path / "out")
    approved(verdict.why.split("\n")[-2:])
    assert verdict.alone == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error",
    [ValueError("so\nthere"), SystemExit(3), pytest.skip.Exception("no")],
    ids=lambda error: type(error).__name__,
)
def test_what_goes_wrong_there_spoils_no_verdict(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """It is told in a line, and the verdict is what it was."""

    def reducing(*given: Any) -> None:
        raise error

    case = case_of(Plain, SINE_TANH, checks=["forward"])
    before = run(case.trials()[0], Cache(case))
    monkeypatch.setattr(writer, "shrink", reducing)
    after = run(case.trials()[0], Cache(case), folder=tmp_path)
    assert after.why.startswith(before.why)
    approved(after.why.removeprefix(before.why))
    assert (after.status, after.budget_used, after.where) == (
        before.status,
        before.budget_used,
        before.where,
    )


@pytest.mark.parametrize("text", ["sys.exit(0)", "sys.exit(1)", "print('fails again')"])
def test_a_script_that_does_not_fail_is_not_kept(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """No script is claimed that was not seen to fail: a model's file may end a program with 1
    too.
    """
    made = [(f"import sys\n{text}\n", "")]
    monkeypatch.setattr(writer, "scripts", lambda *given: iter(made))
    case = case_of(Plain, SINE_TANH, checks=["forward"])
    verdict = run(case.trials()[0], Cache(case), folder=tmp_path)
    approved(verdict.why.split("\n")[-1])
    assert not list(tmp_path.iterdir())


def test_what_fails_by_what_this_process_has_patched_has_no_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """A script is run by a Python that nobody has patched, as its reader will run it."""
    monkeypatch.setattr(torch, "tanh", torch.sigmoid)
    case = case_of(lambda: Wrong(SINE_TANH, "right"), SINE_TANH, checks=["forward"])
    verdict = run(case.trials()[0], Cache(case), folder=tmp_path)
    assert verdict.status is Status.FAIL
    approved(verdict.why.split("\n")[-1])


@given(st.text(max_size=400), st.text(max_size=400))
def test_a_script_is_called_by_letters(case: str, subject: str) -> None:
    """However long the names are and whatever they hold, and by other letters for other names."""
    one, other = (
        file_name(
            Trial(case_of(Plain), Subject(Plain, name or "x"), numpy_net, "cpu", "float64", "loss")
        )
        for name in (subject, case + subject)
    )
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,100}\.py", one)
    assert (one == other) == ((subject or "x") == (case + subject or "x"))


def test_what_cannot_be_written_down_is_refused(approved: Approved) -> None:
    """With what it is."""
    for thing in (object(), numpy_net.observe):
        with approved.raises(Unwritten):
            Source().expression(thing)


class Text(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "print('PWNED')"


def test_a_name_is_no_code() -> None:
    """What a function or a keyword is called, and what an object says of itself, never stands in a
    script as it is.
    """

    def build(**given: Any) -> nn.Module:
        return Plain()

    build.__name__ = "print('PWNED')"
    dtype = type("dtype", (), {"__repr__": lambda self: "print('PWNED')"})
    module = types.ModuleType("print('PWNED')")
    module.__file__ = "/site-packages/x.py"
    things = [
        build,
        partial(Plain, **{"x=1, **print('PWNED')": 1}),
        partial(Plain, **{"class": 1}),
        dtype(),
        Text("x"),
    ]
    things += [
        {Text("x"): 1},
        [Text("x")],
        np.ones(2).view(type("Array", (np.ndarray,), {"tolist": lambda a: Text("x")})),
    ]
    for thing in things:
        with pytest.raises(Unwritten):
            Source().expression(thing)
    with pytest.raises(Unwritten, match="is no name of a variable"):
        Source()._import("module", module)


def test_other_names_have_another_script() -> None:
    """Where they are joined they are told apart."""
    names = {
        file_name(
            Trial(
                replace(case_of(Plain), name=case),
                Subject(Plain, name),
                numpy_net,
                "cpu",
                "float64",
                "loss",
            )
        )
        for case, name in (
            ("a", "b-c-d"),
            ("a-b", "c-d"),
            ("a-b-c", "d"),
            ("a", "b\ud800"),
            ("a", "b\\ud800"),
        )
    }
    assert len(names) == 5


def test_values_are_written_down() -> None:
    """They are read back as they were."""
    values = [
        None,
        True,
        3,
        2.5,
        float("inf"),
        "a'b",
        (1, (2,)),
        [1, "x"],
        {"a": (1,)},
        {4},
        torch.float32,
        torch.relu,
    ]
    source = Source()
    written = [source.expression(value) for value in values]
    found: dict[str, Any] = {"np": np, "torch": torch}
    exec(source.text(), found)
    assert [eval(text, found) for text in written] == values
    array = np.array([[1, 2], [3, 4]])
    assert (eval(source.expression(array), found) == array).all()


# In a run.

WRONG_SINE = "return self.output(torch.sigmoid(x @ self.hidden.weight.T))"


def test_scripts_lie_beside_the_report(mine: Mine) -> None:
    """One for each cause, none of a reference that does not answer; the line stands before that
    which runs it again, and in the report.
    """
    mine.write_sine(
        WRONG_SINE,
        checks='["forward", "loss"]',
        references="[numpy_net, Computed(print, 'p', dtype='float64')]",
        before="from harness import Computed\n",
    )
    result = mine.pytest()
    name = "build/report/reproducers/sine-1-4-1-forward.py"
    assert [path.name for path in (mine.pytester.path / name).parent.iterdir()] == [Path(name).name]
    lines = [line.strip() for line in result.outlines]
    (at,) = [number for number, line in enumerate(lines) if line.endswith(f" {name}")]
    assert " pytest " in lines[at + 1]
    scripts = {verdict["alone"] for verdict in mine.results()["verdicts"]}
    assert scripts == {name, ""}
    assert f" {name}\n" in mine.markdown()


def test_old_scripts_are_removed(mine: Mine) -> None:
    """When a report is written, but for what nobody of ours has written."""
    mine.write_sine(WRONG_SINE, checks='["forward"]')
    mine.pytest()
    folder = mine.pytester.path / "build/report/reproducers"
    (folder / "notes.py").write_text("print('mine, about nnet-parity')\n")
    (script,) = folder.glob("sine*")
    mine.write_sine()
    mine.pytest()
    assert script.exists()
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    mine.pytest()
    assert [path.name for path in folder.iterdir()] == ["notes.py"]


def test_processes_of_xdist_write_them_too(
    mine: Mine, warm_python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever judges writes, and the report knows them."""
    pytest.importorskip("xdist")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    mine.write_sine(WRONG_SINE, checks='["forward"]', dtypes='["float64"]')
    mine.pytest_apart(warm_python, "-p", "nnet_parity.plugin", processes=1)
    (failed,) = [v for v in mine.results()["verdicts"] if v["status"] == "FAIL"]
    assert (mine.pytester.path / failed["alone"]).is_file()


def test_a_trial_does_not_count_what_its_script_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a verdict took, and the cost of a case, are of judging."""
    monkeypatch.setattr("harness.running.trial.reproduce", lambda *given: (sleep(2), ("", ""))[1])
    case = case_of(Plain, SINE_TANH, checks=["forward"])
    cache = Cache(case)
    run(case.trials()[0], cache)
    before = cache.timing.seconds
    assert run(case.trials()[0], cache, folder=tmp_path).seconds < 2
    assert cache.timing.seconds - before < 2
