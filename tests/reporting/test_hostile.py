"""What others wrote, names and files, is told or refused, and never obeyed: on every screen, and
whatever it holds.
"""

from __future__ import annotations

import copy
import json
import os
import pickle
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html import unescape
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from harness import Case, Layout, Subject
from harness.core.report import MARK, Report
from harness.judging.cache import Cache
from harness.publishing.markdown import escape, markdown
from harness.publishing.page import page
from harness.reporting.results import parse, read
from harness.running.trial import run
from harness.screen.screen import make_screen
from harness.text.harmless import printable
from reference import Network, numpy_net, probes
from tests.conftest import IMPORTS, SINE_NET, Approved, Mine
from tests.reporting.test_baseline import ran
from tests.reporting.test_page import Elements, everywhere, full, small
from tests.selfcheck.alone import scripts as alone_scripts

ROOT = Path(__file__).parents[2]
JSON = dict[str, Any]
SCRIPT = (ROOT / "harness/publishing/page.js").read_text(encoding="utf-8")
FORWARD = {"dtypes": '["float64"]', "checks": '["forward"]'}
SEEN = "".join(
    map(chr, (0x61C, *range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
)
NAMES = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</td></table></style></title><iframe srcdoc=x>",
    "]]><!--&amp;&#60;b&#62;-->",
    "&lt;b&gt;",
    "a\x1b[31mred\x1b]0;title\x07\x9b2J\x7f",
    "\x00nul\ud800half\udfff",
    f"right{SEEN}left",
    "zero\u200bwidth\u200djoin\ufeff",
    "| a | b |",
    "`code` ``more`` ```",
    "*b* _i_ ~s~ **x** [l](javascript:alert(1)) ![i](x) <http://x>",
    "$x^2$ \\$ \\",
    "# heading",
    "- item",
    "> quote",
    "1. one",
    "    indented",
    "\ttab\t",
    "=cmd|' /C calc'!A0",
    "../../etc/passwd",
    "/etc/passwd",
    "%0A::error::%25",
    "::error file=x::owned",
    "  ::stop-commands::x",
    "##[add-mask]x ##[group]y",
    "{{ 7*7 }}{% raw %}{# x #}",
    "${HOME} $(id) `id` ; id",
    "--flag",
    "n" * 300,
    "long " * 2_000,
    "名前 имя اسم",
    # What Python reads in the first lines of a script, and what would end a text of it: the harness
    # runs scripts.
    """coding: unicode_escape W');import os;os.system("touch PWNED")#""",
    r"coding=raw_unicode_escape \u000aopen('PWNED','w')#",
    "-*- coding: utf-7 -*- +AAo-open('PWNED','w')#",
    "vim: set fileencoding=unicode_escape : \\nopen('PWNED','w')#",
    "# vim: set fenc=utf-16",
    "-*- mode: python; coding: rot13; eval: (delete-file) -*-",
    "PWNED",
    '"""+open("PWNED","w").name+"""',
    "');open('PWNED','w')#",
    '");open("PWNED","w")#',
    "{open('PWNED','w')}{0}{{x}}",
    "{{ cycler.__init__.__globals__.os.system('touch PWNED') }}",
    r"\N{LINE FEED}open('PWNED','w')\x0aopen('PWNED','w')\\",
    "ends in \\",
    "%s %(PWNED)s %n",
    "x = open('PWNED', 'w')",
    "-c import os;open('PWNED','w')",
    "@PWNED",
    "$(touch PWNED) `touch PWNED` ;touch PWNED; 'touch PWNED'",
    "ﬁ𝐱\ufe0f\u0301",
]
SCRIPTED = [
    *NAMES[NAMES.index("名前 имя اسم") :],
    "\"'><img src=x onerror=alert(1)>",
    f"right{SEEN}left",
    "\x00nul",
]


def cells(line: str) -> int:
    """How many cells a row of a Markdown table has."""
    return len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) - 1


def outside_code(text: str) -> str:
    """Markdown without what stands in code, where nothing is obeyed."""
    lines = [line for line in text.split("\n") if not line.startswith("      ")]
    return "\n".join(re.sub(r"^- `[^`]*`$", "", line) for line in lines)


def expect_harmless_markdown(text: str) -> None:
    """Tables keep their columns; no markup but our own headings, lists, tables and bold."""
    width = 0
    for line in text.split("\n"):
        if line.startswith("| "):
            width = width or cells(line)
            assert cells(line) == width, line[:200]
        elif not line.startswith("|"):
            width = 0
    # of an interrupted run
    text = re.sub(r"^\*\*[\w :.]+\*\*$", "", outside_code(text), count=1, flags=re.MULTILINE)
    left = re.sub(r"\\.", "", text)
    assert not re.search(r"[<>\[\]`~$&]", left)
    ours = r"#{1,2} .*|(?:  )?- .*|\|.*\||"
    assert not [line for line in text.split("\n") if not re.fullmatch(ours, line)]


def expect_harmless_page(text: str) -> None:
    """No element and no attribute that the page of a run without hostile names could not have."""
    found = Elements(text)
    known = (
        "html head meta title link style body header h1 h2 h3 h4 p nav a main section ul ol li sup"
        " b i span details "
    )
    known += "dl dt dd script label input fieldset legend output "
    known += (
        "summary pre div table thead tbody tr th td figure figcaption svg g path use defs clippath"
        " rect text tspan"
    )
    assert {tag for tag, _ in found.tags} <= set(known.split())
    attributes = {
        name
        for tag, names in found.tags
        for name in names
        if tag not in ("svg", "g", "path", "use", "text")
    }
    given = (
        "lang charset name content http-equiv rel href class id aria-label aria-hidden tabindex"
        " role scope colspan "
    )
    given += "rowspan title style open clip-path width height x y "
    given += "aria-labelledby type placeholder value checked hidden"
    assert attributes <= set(given.split())
    assert set(re.findall(r"(?s)<script>(.*?)</script>", text)) <= {SCRIPT}
    assert text.count("<script") == text.count("</script") <= 1
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


def expect_harmless_lines(text: str) -> None:
    """No control character, no turn of direction, and no line that GitHub's runner would obey."""
    assert not re.search(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{SEEN}]", text)
    assert "##[" not in text
    assert not [line for line in text.split("\n") if line.strip().startswith("::")]


# Names in a case

MODELS = """
class Wrong(SineNet):
    def forward(self, x):
        return 2 * super().forward(x)


class Raising(SineNet):
    def forward(self, x):
        raise RuntimeError(self.name)


class Named(nn.Module):
    def __init__(self, name):
        super().__init__()
        name = name.replace(".", "")
        self.hidden = nn.ParameterDict({name: torch.zeros(4, 1)})
        self.output = nn.Linear(4, 1)
        self.bias = nn.Parameter(torch.zeros(4))
        self.name = name

    def forward(self, x):
        return 2 * self.output(torch.sigmoid(x @ self.hidden[self.name].T + self.bias))


def raising(name):
    def build():
        net = Raising()
        net.name = name
        return net
    return build


def cases(name, number):
    gradient = {"checks": ["gradient"], "dtypes": ["float64"], "references": [numpy_net]}
    net = Network(inputs=1, hidden=4, outputs=1, activation="logistic")
    small = probes(seed=0, draws=1, rows=1, kinds=["random"])  # names are asked here, not numbers
    given = {"network": net, "problems": small, "question": f"{name} {number}"}
    subjects = [
        Subject(SineNet, name=name),
        Subject(lambda: Named(name), name=f"{name} wrong"),
        Subject(raising(name), name=f"{name} raises"),
    ]
    yield Case(f"{name} {number}", subjects=subjects, **gradient, **given)
    reference = Subject(SineNet, name=f"{name} reference")
    mine = {"subjects": [Subject(Wrong, name=name)], "references": [reference]}
    yield Case(f"{name} {number} differs", expect="differs", dtypes=["float64"], **mine, **given)


"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, warm_python: str) -> tuple[str, Path]:
    """What a real pytest says, as GitHub would run it, of cases in which every name is hostile, and
    where it wrote.
    """
    folder = tmp_path_factory.mktemp("hostile")
    text = (
        IMPORTS
        + SINE_NET.format(forward="return self.output(torch.sigmoid(self.hidden(x)))")
        + MODELS
    )
    for number, name in enumerate(NAMES):
        text += f"test_{number}, test_{number}_differs = map(verify, cases({name!r}, {number}))\n"
    (folder / "test_mine.py").write_text(text, encoding="utf-8")
    given = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GITHUB_", "PYTEST_"))
    }
    given |= {
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "NNET_PARITY_DEVICES": "cpu",
    }
    given |= {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    command = [
        warm_python,
        "-m",
        "pytest",
        "-p",
        "nnet_parity.plugin",
        "-p",
        "no:cacheprovider",
        "-v",
        "-rA",
    ]
    command += ["--junitxml=junit.xml"]
    done = subprocess.run(
        command, cwd=folder, env=given, capture_output=True, encoding="utf-8", timeout=300
    )
    assert (done.returncode, done.stderr) == (1, "")
    return done.stdout, folder


# of each name: right, wrong with a parameter of that name, raising; and one claimed to differ
TRIALS = 4 * len(NAMES)
FAILING = 2 * len(NAMES)


def test_every_trial_of_a_hostile_name_is_judged(told: tuple[str, Path]) -> None:
    """What is right passes, what is wrong fails, in every place that counts them."""
    out, folder = told
    assert f"{FAILING} failed, {TRIALS - FAILING} passed in " in out
    report = read(folder / "build/report/results.json")
    assert report.complete
    assert len(report.verdicts) == TRIALS
    assert len(report.failures()) == FAILING
    assert {verdict.case for verdict in report.verdicts if verdict.expect == "equal"} == {
        f"{name} {number}" for number, name in enumerate(NAMES)
    }
    counts = [result.get(name) for name in ("tests", "failures") for result in suites(folder)]
    assert counts == [str(TRIALS), str(FAILING)]


def suites(folder: Path) -> Iterator[ElementTree.Element]:
    """Those of junit.xml, which is XML."""
    yield from ElementTree.parse(folder / "junit.xml").iter("testsuite")


def test_a_terminal_is_told_every_name_and_driven_by_none(told: tuple[str, Path]) -> None:
    """Annotations of GitHub's are our own, one a cause; every other line is text."""
    lines = told[0].split("\n")
    ours = [line for line in lines if line.startswith("::")]
    assert len(ours) == FAILING
    form = re.compile(r"::error file=test_mine\.py,line=\d+,title=[^:,]*::[^\n]+")
    assert all(map(form.fullmatch, ours))
    expect_harmless_lines("\n".join(line for line in lines if line not in ours))
    assert all(printable(name)[:60] in told[0] for name in NAMES)


def test_a_page_shows_every_name_and_obeys_none(told: tuple[str, Path]) -> None:
    """As an HTML parser reads it."""
    text = (told[1] / "build/report/index.html").read_text(encoding="utf-8")
    expect_harmless_page(text)
    shown = " ".join(unescape(text).split())
    assert all(" ".join(printable(name).split()) in shown for name in NAMES)


def test_markdown_shows_every_name_and_obeys_none(told: tuple[str, Path]) -> None:
    """In the report, and in the summary that GitHub shows."""
    text = (told[1] / "build/report/report.md").read_text(encoding="utf-8")
    expect_harmless_markdown(text)
    assert (told[1] / "summary.md").read_text(encoding="utf-8") == text
    assert all(
        f"## {escape(name)} {number}" in text.split("\n") for number, name in enumerate(NAMES)
    )


def test_nothing_is_written_under_a_name(told: tuple[str, Path]) -> None:
    """However many parts of a path it has: scripts of failures lie in their folder, and are called
    by letters.
    """
    files = {path.relative_to(told[1]).as_posix() for path in told[1].rglob("*") if path.is_file()}
    report = {f"build/report/{name}" for name in ("index.html", "report.md", "results.json")}
    scripts = {
        name
        for name in files
        if re.fullmatch(r"build/report/reproducers/[\w-]{1,100}\.py", name, re.ASCII)
    }
    assert scripts
    found = {name for name in files - scripts if "__pycache__" not in name}
    assert found == report | {"test_mine.py", "junit.xml", "summary.md"}


def test_the_test_of_a_page_can_fail() -> None:
    """It sees an element and an attribute that do not belong."""
    for bad in ("<script>x</script>", "<p onclick=x>", "<img src=x>", "\x1b"):
        with pytest.raises(AssertionError):
            expect_harmless_page(f"<p>{bad}</p>")


def test_the_test_of_markdown_can_fail() -> None:
    """It sees a cell too many, markup, and a heading that is not ours."""
    for bad in (
        "| a |\n|---|\n| a | b |",
        "- <b>",
        "- [l](x)",
        "- `x",
        "- $x$",
        "plain",
        "### deep",
    ):
        with pytest.raises(AssertionError):
            expect_harmless_markdown(bad)


@pytest.mark.parametrize(
    "name",
    ["a\nb", "a\r\nb", "a\x0bb", "a\u2028b", "a\x85b", "", 5, None, b"a"],
    ids=["LF", "CR LF", "VT", "LS", "NEL", "empty", "number", "None", "bytes"],
)
@pytest.mark.parametrize("what", ["cases", "subjects", "references", "contrasts"])
def test_a_name_is_text_on_one_line(name: Any, what: str, approved: Approved) -> None:
    """Else it is refused before anything is asked."""
    from harness import Contrast, Subject

    if what == "subjects" and not name:
        return  # then it is called as its class
    subject = Subject(Plain, name="Plain")
    if what == "subjects":
        subject = Subject(Plain, name=name)
    other = [Subject(Plain, name="other")]
    if what == "references":
        object.__setattr__(other[0], "name", name)
    case = Case(
        name if what == "cases" else "case",
        Network(inputs=1, hidden=1, outputs=1, activation="logistic"),
        [subject],
        other,
        probes(seed=0, draws=2),
        contrast=Contrast(name, "", (1.0,)) if what == "contrasts" else None,
    )
    with approved.raises(TypeError):
        case.trials()


class Plain:
    """A class that is never built."""


def test_names_that_look_alike_are_one_name(approved: Approved) -> None:
    """What is left out on the screen does not tell two subjects apart."""
    from harness import Subject

    subjects = [Subject(Plain, name="net"), Subject(Plain, name="n\x1bet")]
    case = Case(
        "case", Network(1, 1, 1, "logistic"), subjects, [numpy_net], probes(seed=0, draws=2)
    )
    with approved.raises(ValueError):
        case.trials()


def test_a_question_is_text(approved: Approved) -> None:
    """It may have several lines; a number is none."""
    given: JSON = {"question": 5}
    case = Case(
        "case", Network(1, 1, 1, "logistic"), [Plain], [numpy_net], probes(seed=0, draws=2), **given
    )
    with approved.raises(TypeError):
        case.trials()


def test_a_parameter_is_named_on_one_line(mine: Mine, approved: Approved) -> None:
    """Else its trials are BROKEN, with a sentence."""
    with approved.raises(ValueError):
        Layout.of_shapes({"a\nb": (1,)})
    mine.write_sine(before="SineNet.name = property(lambda self: 0)\n", **FORWARD)
    text = mine.text.replace(
        "self.output =",
        "self.register_parameter('a\\n::error::b', nn.Parameter(torch.zeros(1)))\n       "
        " self.output =",
    )
    mine.write(text.removeprefix(IMPORTS))
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    [verdict] = mine.results()["verdicts"]
    assert verdict["status"] == "BROKEN"
    approved(verdict["why"])


# Files

VALUES = (
    None,
    True,
    -1,
    0.5,
    -1e308,
    1e308,
    5e-324,
    10**400,
    2**64,
    "",
    "PASS",
    [],
    [[]],
    {},
    {"x": 1},
    [1e308, None],
)


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a parsed JSON something stands; of a long list only the beginning."""
    if place:
        yield place
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(min(2, len(value))):
            yield from places(value[key], (*place, key))


def altered(draw: random.Random) -> Iterator[tuple[str, JSON]]:
    """A results.json with every section, in which one thing has another value: how it came about,
    and what it is.
    """
    whole = full()
    for place in places(whole):
        for value in draw.sample(VALUES, 2):
            other: Any = copy.deepcopy(whole)
            inner = other
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = value
            yield f"{place} is {value!r:.20}", other


def drawn(report: Report) -> str:
    """The screen of a report, with all that it can show."""
    return "\n".join(line.text for line in make_screen(report, 110, is_verbose=True))


def sentence(ask: Callable[[], Any]) -> str:
    """What is said where it is refused, or ""."""
    try:
        ask()
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.filterwarnings("error")
def test_whatever_a_report_holds_it_is_refused_or_shown() -> None:
    """Some 350 results.json with one wrong value: a sentence, or a screen, Markdown and a page that
    are harmless.
    """
    refused = shown = 0
    for number, (how, other) in enumerate(altered(random.Random(0))):
        if said := sentence(lambda other=other: parse(json.dumps(other).encode())):
            assert re.fullmatch(r".{1,300}", said), how
            refused += 1
            continue
        report = parse(json.dumps(other).encode())
        # drawing takes long
        if number % 40 == 0 and not (said := sentence(lambda report=report: page(report))):
            expect_harmless_page(page(report))
        assert "\n" not in said, how
        expect_harmless_lines(drawn(report))
        expect_harmless_markdown(markdown(report))
        shown += 1
    assert refused + shown >= 350
    assert min(refused, shown) >= 50


def test_names_in_a_file_are_as_harmless_as_names_in_a_case() -> None:
    """On the screen, in Markdown and on the page; every name, in every place of a report that holds
    one.
    """
    for name in [
        *NAMES,
        *(f"a{end}b" for end in ("\n", "\r", "\x0b", "\x85", "\u2028", "\n\n# ", "\n::")),
    ]:
        report = parse(json.dumps(everywhere(small(complete=False), name)).encode())
        expect_harmless_lines(drawn(report))
        expect_harmless_markdown(markdown(report))
        expect_harmless_page(page(report))


def test_a_report_that_is_cut_is_none(
    told: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], approved: Approved
) -> None:
    """A real one, at 200 places: refused, and `nnet-parity compare` ends with 2 and one line that
    names the file.
    """
    whole = told[1] / "build/report/results.json"
    data, cut = whole.read_bytes(), tmp_path / "cut.json"
    ends = [*range(0, len(data) - 1, len(data) // 190), *range(len(data) - 12, len(data) - 1)]
    assert len(ends) >= 200
    said = set()
    for number, end in enumerate(ends):
        said.add(sentence(lambda end=end: parse(data[:end])))
        if number % 10 == 0:
            cut.write_bytes(data[:end])
            for pair in ((cut, whole), (whole, cut)):
                assert ran("compare", *pair) == 2
                out, err = capsys.readouterr()
                assert (out, err.count("\n")) == ("", 1)
                said.add(err)
    approved(sorted({re.sub(r"\(.*\)", "(<what JSON lacks there>)", each) for each in said}))
    assert ran("compare", whole, whole) == 0
    expect_harmless_lines(capsys.readouterr().out)


class Payload:
    """What runs a command where it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_reading_a_file_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not what other formats would run, nor what cannot be read, nor other encodings of JSON."""
    ran_it, path = tmp_path / "ran", tmp_path / "hostile\n::error::x.json"
    text = json.dumps(full())
    code = f"__import__('pathlib').Path({str(ran_it)!r}).touch()"
    made = [pickle.dumps(Payload(ran_it), protocol) for protocol in range(6)]
    made += [
        code.encode(),
        json.dumps({"__reduce__": code, "py/object": code, "$type": code}).encode(),
    ]
    made += [f"!!python/object/apply:eval [{code!r}]".encode(), f"{{{{ {code} }}}}".encode()]
    made += [
        b"\xef\xbb\xbf" + text.encode(),
        *(text.encode(name) for name in ("utf-16", "utf-32-le", "cp037")),
    ]
    made += [
        b"PK\x03\x04",
        b"\x93NUMPY",
        b"\x00" * 100,
        b" \n",
        text.encode() + b"x",
        text.encode() * 2,
    ]
    for data in made:
        path.write_bytes(data)
        assert ran("compare", path, path) == 2, data[:20]
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1), data[:20]
        assert err.startswith(f"nnet-parity: {tmp_path}/hostile ::error::x.json "), err
    assert pickle.loads(made[0]) is None
    assert ran_it.exists()  # the payload would have done it


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="/proc is not here")
def test_a_file_that_cannot_be_read_is_a_sentence(approved: Approved) -> None:
    """What the system says, and what to do."""
    with approved.raises(ValueError):
        read(Path("/proc/self/mem"))


def test_no_baseline_makes_a_failure_a_pass(mine: Mine) -> None:
    """Whatever it claims: that the trial failed before, differed, was never asked, or nothing at
    all.
    """
    mine.write_sine("return 2 * self.output(torch.sigmoid(self.hidden(x)))", **FORWARD)
    assert mine.pytest("--parity-report-dir=old").ret == 1
    old = json.loads((mine.pytester.path / "old/results.json").read_text())
    passed = {"status": "PASS", "budget_used": 0.5}
    [verdict] = old["verdicts"]
    claims = [
        {**old, "verdicts": [{**verdict, **given}]} for given in ({}, passed, {"expect": "differs"})
    ]
    claims += [{**old, "verdicts": []}, {**old, "verdicts": [verdict, {**verdict, **passed}]}, {}]
    for claim in claims:
        (mine.pytester.path / "old/results.json").write_text(json.dumps(claim))
        result = mine.pytest("--parity-baseline=old/results.json", "-q")
        assert result.ret == 1, claim
        assert mine.results()["verdicts"][0]["status"] == "FAIL"


LEARNING = """
import numpy as np
from harness import Population, Recipe, Trained
from reference import scipy_bfgs


def data(draws):
    x = np.tile(np.linspace(0, 1, 19)[:, None], (draws, 1, 1))
    return x, np.sin(x)


"""


def test_a_grid_in_any_order_is_drawn(mine: Mine) -> None:
    """With points that stand in it twice: the report is written."""
    mine.write_sine(
        before=LEARNING,
        subjects="[Trained(SineNet, Recipe('adam', 3, {'lr': 0.01}), most=1)]",
        references="[scipy_bfgs]",
        problems="Population(data, quality=0.01, grid=np.array([0.5, 0, 1, 0.5])[:, None])",
        dtypes='["float64"]',
        checks='["final"]',
    )
    mine.pytest("--parity-starts=2")
    assert (mine.pytester.path / "build/report/index.html").exists()
    assert {tuple(fit["plot"]["x"]) for fit in mine.results()["fits"]} == {(0, 0.5, 1)}


# Names in a script, which Python runs

NAMED = """
import numpy as np
import torch
from torch import nn

from harness import Case, Computed, Subject
from reference import Equations, Network, numpy_net, probes

class Named(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.name, self.key = name, name.replace(".", "")
        self.hidden = nn.ParameterDict({self.key: torch.zeros(2, 1)})
        self.output = nn.Linear(2, 1)
        self.bias = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return {self.name: 2 * self.output(torch.sigmoid(x @ self.hidden[self.key].T + self.bias))}


class Single(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.all = nn.ParameterDict({name.replace(".", ""): torch.zeros(1, 1)})

    def forward(self, x):
        return 2 * x @ next(iter(self.all.values())).T


def kept(name):
    thing = object()  # what no script can write down: then it imports this file
    return lambda: (Named(name), thing)[0]


def cases(name):
    network = Network(inputs=1, hidden=2, outputs=1, activation="logistic")
    own = Equations(name, 1, 1, {name: (1, 1)}, lambda m, p, x: m.affine(x, p[name]))
    small = probes(seed=0, draws=1, rows=1, kinds=["random"])
    given = {"problems": small, "dtypes": ["float64"], "checks": ["forward"]}
    copied, imported = Subject(lambda: Named(name), name), Subject(kept(name), f"{name} kept")
    yield Case(name, network, [copied, imported], [numpy_net], **given)
    by_hand = Computed(lambda blocks, x: x @ blocks[name].T, name, dtype="float64")
    yield Case(f"{name} of its own", own, [Subject(lambda: Single(name), name)], [by_hand], **given)


found = [case for name in {names!a} for case in cases(name)]
globals().update({{f"case_{{number}}": case for number, case in enumerate(found)}})
"""
FORKED = """
import json, os, runpy, sys
# once: each script then runs in a process and an empty folder of its own
import torch, harness, reference

for number, script in enumerate(json.load(sys.stdin)):
    os.mkdir(str(number))
    if (child := os.fork()) == 0:
        os.chdir(str(number))
        os.dup2(os.open(f"../{number}.txt", os.O_WRONLY | os.O_CREAT), 1)
        os.dup2(1, 2)
        code = 9
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            code = end.code
        except BaseException as error:
            print(repr(error))
        sys.stdout.flush()
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([code, os.listdir(str(number)), open(f"{number}.txt").read()]), flush=True)
"""


def ran_alone(python: str, scripts: list[Path], folder: Path) -> list[tuple[int, list[str], str]]:
    """Exit code, files that were made, and what was said, of scripts: each has a process and an
    empty folder.
    """
    given = os.environ | {"PYTHONPATH": str(ROOT)}
    command, told = [python, "-c", FORKED], json.dumps(list(map(str, scripts)))
    done = subprocess.run(
        command, cwd=folder, env=given, input=told, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A script for each hostile name as that of a case, a subject, a reference, a parameter, an
    output, and a network; copied from a file whose own name and folder are hostile, or importing
    it.
    """
    folder = tmp_path_factory.mktemp("it's {a} '''named\"\"\" folder\\")
    file = folder / "coding: unicode_escape '''\"\"\" %s .py"
    text = NAMED.replace("{{", "{").replace("}}", "}").replace("{names!a}", ascii(SCRIPTED))
    file.write_text(text, encoding="utf-8")
    spec = spec_from_file_location("hostile_names", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["hostile_names"] = module
    spec.loader.exec_module(module)
    paths = [
        path
        for number, case in enumerate(module.found)
        for path in alone_scripts(case, folder / f"scripts {number}").values()
    ]
    del sys.modules["hostile_names"]
    assert all(paths)
    assert len(set(paths)) == 3 * len(SCRIPTED)
    return [path for path in paths if path]


def test_a_name_runs_no_code(written: list[Path], warm_python: str, tmp_path: Path) -> None:
    """Whatever it is called, a script fails again, exits with 1 and does nothing else."""
    for script, (code, made, said) in zip(
        written, ran_alone(warm_python, written, tmp_path), strict=True
    ):
        text = script.read_text(encoding="utf-8")
        assert (code, made) == (1, []), (said, text)
        assert said.endswith("\nfails again\n"), (said, text)


def test_a_script_holds_names_as_ascii_literals(written: list[Path]) -> None:
    """The first two lines and the last five are the same in all; no character drives an editor or a
    reader.
    """
    texts = [script.read_text(encoding="utf-8") for script in written]
    assert {tuple(text.split("\n")[:2]) for text in texts} == {
        ("# -*- coding: utf-8 -*-", f"# {MARK}")
    }
    ends = {
        tuple(line for line in text.split("\n")[-6:] if not line.startswith("got, wanted"))
        for text in texts
    }
    assert len(ends) == 1
    copied = {line for line in NAMED.split("\n") if line.strip()}
    assert all(
        line.isascii() and line.isprintable()
        for text in texts
        for line in set(text.split("\n")) - copied
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_a_script_of_a_hostile_name_runs_as_its_line_says(tmp_path: Path) -> None:
    """`reproduce:` is pasted into a shell, where the folder of reports begins like an option."""
    name = SCRIPTED[0]
    subject = Subject(lambda: Wrong(), name)
    case = Case(
        name,
        Network(1, 4, 1, "logistic"),
        [subject],
        [numpy_net],
        probes(draws=1),
        checks=["forward"],
    )
    folder = Path("-c 'x' \x1b\u2028 [reports]")
    [trial, *_] = case.trials()
    verdict = run(trial, Cache(case), folder=folder, start=tmp_path)
    line = printable(verdict.why.split("\n")[-1]).removeprefix("  reproduce: ")
    assert line.startswith(f"{sys.executable} $'./-c \\x27x\\x27 \\x1b\\xe2\\x80\\xa8 [reports]/")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith("\nfails again\n")


class Wrong(nn.Module):
    """A port of a network of logistic units that gives twice the outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(1, 4), nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * self.out(torch.sigmoid(self.hidden(x)))
