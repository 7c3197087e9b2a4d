"""The page: what it says, that it says it to everyone, that no name can change it, and what a
browser makes of it.
"""

from __future__ import annotations

import copy
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.core.report import Cost, Report
from harness.core.verdict import Status, Verdict
from harness.publishing.markdown import markdown
from harness.publishing.page import main
from harness.publishing.page import page as page_of
from harness.reporting.results import parse
from tests.conftest import Approved

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
NO_CUDA = "torch 2.13.0+cpu, built without CUDA, sees no CUDA device"
EVERY_SECTION = [
    "failures",
    "networks",
    "changes",
    "answers",
    "fits",
    "trials",
    "formulations",
    "races",
    "counts",
    "contracts",
    "environment",
]
HOSTILE = (
    "</td></script><script>alert(1)</script><img src=x onerror=alert(1)>\"'`{{ 7*7"
    " }}\x1b[31m\ud800../../etc" + "W" * 230
)
BLOCKS = ("W1", "b", "W2")
S4 = ("S4", "torch", "computed", 1, 1)
JSON = dict[str, Any]


def page(results: JSON) -> str:
    """The page of what a results.json holds."""
    return page_of(parse(json.dumps(results).encode()))


def verdict(
    subject: str, check: str = "forward", status: Status = Status.PASS, **given: Any
) -> Verdict:
    """A trial of one of two cases."""
    fixed = {
        "case": "sine",
        "reference": "r_nnet",
        "source": "live",
        "device": "cpu",
        "dtype": "float64",
    }
    what = (
        fixed
        | {
            "question": "Do they compute it?",
            "budget_used": 0.34 if status is Status.PASS else None,
        }
        | given
    )
    name = f"{subject}-{what['device']}-{what['dtype']}-{check}-vs-{what['reference']}"
    return Verdict(id=name, subject=subject, check=check, status=status, **what)


def small(**given: Any) -> JSON:
    """A parsed results.json with a verdict of every kind, and nothing trained."""
    report = Report(
        environment={"date": "2026-11-22", "platform": "Linux", "cores": 2},
        verdicts=[
            verdict("SineNet", where="o[0, 0]"),
            verdict("SineNet", "gradient", budget_used=0.9, where="b[2]"),
            verdict(
                "SineNet",
                reference="numpy_net",
                source="computed",
                dtype="float32",
                budget_used=0.05,
            ),
            verdict(
                "Wrong",
                "gradient",
                Status.FAIL,
                budget_used=865_900.0,
                why="sine: Wrong\nis outside\n  worst at b[2]",
            ),
            verdict("Dead", "forward", Status.BROKEN, why="sine: Dead\nraised ValueError"),
            verdict(
                "SineNet",
                "loss",
                Status.ABSENT,
                case="relu",
                why="nnet has no relu hidden units",
                applicable=False,
            ),
            verdict(
                "Halves",
                expect="differs",
                question="Is it the same?",
                why="o[0] is 0, and 1 by R nnet",
                where="o[0]",
            ),
        ],
        costs=[Cost("sine", 1024, 1e-4, 2e-4)],
        contracts={"SineNet float64": "float64, u = 2^-53"},
    )
    return json.loads(json.dumps(report.record() | given))


def fits() -> list[JSON]:
    """Sums of powers of x, fitted by least squares, stand for networks, and their number for
    iterations.

    S4 has no constant: its one power leaves exactly the floor of a line through the origin. The
    weights are drawn.
    """
    x, y, grid = np.array(data()["x"]), np.array(data()["y"]), np.linspace(0, 10, 101)
    names = [
        f"{block}[{'0, ' * (block == 'W2')}{i}{', 0' * (block == 'W1')}]"
        for block in BLOCKS
        for i in range(4)
    ]
    found = []
    for case, trainer, source, first, last in (
        ("S1", "R nnet", "live", 0, 11),
        ("S1", "torch", "computed", 0, 5),
        S4,
    ):
        curve, at_grid = [[0, float(y @ y)]], 0 * grid
        for number in range(first, last + 1):
            powers = [
                np.stack([(at / 10) ** power for power in range(first, number + 1)], 1)
                for at in (x, grid)
            ]
            sizes = np.linalg.lstsq(powers[0], y, rcond=None)[0]
            curve.append([number + 1 - first, float(np.sum((powers[0] @ sizes - y) ** 2))])
            at_grid = powers[1] @ sizes
        drawn = np.random.default_rng(last).standard_normal(13).tolist()
        fit = {
            "case": case,
            "trainer": trainer,
            "source": source,
            "starts": 20,
            "seconds": 0.5,
            "compared": f"{trainer} fits",
        }
        fit |= {
            "quality": 1e-3,
            "share": 0.7,
            "share_low": 0.5,
            "share_high": 0.9,
            "best": curve[-1][1],
            "median": 30.0,
        }
        fit |= {
            "floor": curve[-1][1] if case == "S4" else None,
            "curve": curve,
            "at": {"pi/2": float(at_grid[16])},
        }
        fit |= {"plot": {"x": grid.tolist(), "y": at_grid.tolist()}, "ended": {"converged": 20}}
        found.append(fit | {"weights": dict(zip([*names, "b_w[0]"], drawn, strict=True))})
    return found


def data() -> JSON:
    """The points of S1, in kind."""
    x = np.sort(10 * np.random.default_rng(0).random(50))
    return {"x": x.tolist(), "y": np.sin(x).tolist()}


def full(**given: Any) -> JSON:
    """A results.json with everything that a page can show."""
    change = {
        "direction": "from S4",
        "change": "biases",
        "median": 22.4,
        "low": 20.0,
        "high": 30.0,
        "starts": 40,
    }
    race = {
        "name": "gradient",
        "subject": "SineNet",
        "device": "cpu",
        "dtype": "float64",
        "ratio": 28.5,
        "quartiles": [26.0, 31.0],
    }
    race |= {"aa_ratio": 1.02, "share": None, "loss": None, "rounds": 30}
    rest = {
        "fits": fits(),
        "points": data(),
        "changes": [change, change | {"change": "tanh", "median": 7.3}],
        "races": [race],
    }
    return small(**rest | {"devices": {"cpu": "", "cuda": NO_CUDA}} | given)


@lru_cache(maxsize=1)
def whole() -> str:
    """The page of all that."""
    return page(full())


class Elements(HTMLParser):
    """What stands in a page: tags with their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.parts: dict[str, list[str]] = {}  # the words of each section
        self.skipping, self.section = False, ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.skipping = tag in ("style", "script")
        if tag == "section":
            self.section = dict(attrs)["id"] or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "section":
            self.section = ""

    def handle_data(self, data: str) -> None:
        if not self.skipping:
            self.words.append(data)
            self.parts.setdefault(self.section, []).append(data)

    @property
    def text(self) -> str:
        """As a person reads it."""
        return " ".join(" ".join(self.words).split())

    @property
    def lines(self) -> list[str]:
        """The same, each element's words on a line of their own."""
        return self.part(*self.parts)

    def part(self, *sections: str) -> list[str]:
        """The lines of some sections."""
        words = (word for name in sections for word in self.parts[name])
        return [" ".join(word.split()) for word in words if word.strip()]

    @property
    def labels(self) -> list[str]:
        """What figures say to those who listen."""
        return [each["aria-label"] for each in self.all("svg") if each.get("role") == "img"]

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of that name."""
        return [attributes for name, attributes in self.tags if name == tag]


def only_in(some: JSON, other: JSON) -> list[str]:
    """The lines of one page that another has not."""
    known = Elements(page(other)).lines
    return [line for line in Elements(page(some)).lines if line not in known]


def test_a_page_tells_what_a_run_found(approved: Approved) -> None:
    """The verdict first, then failures with their sentences, answers, and every check; a title
    that says how it went.
    """
    found = Elements(page(small()))
    approved(found.lines)
    assert [each.get("id") for each in found.all("details") if "open" in each] == ["f1", "f2"]


def test_sections_stand_in_order_and_only_where_there_is_something() -> None:
    """No heading without content, and no link to it."""
    ids = [attributes["id"] for attributes in Elements(whole()).all("section")]
    assert ids == EVERY_SECTION
    found = Elements(page(small(verdicts=[verdict("SineNet").record()])))
    ids = [attributes["id"] for attributes in found.all("section")]
    assert ids == ["answers", "trials", "counts", "contracts", "environment"]
    links = [attributes["href"] for attributes in found.all("a")]
    assert links == [*(f"#{name}" for name in ids), "#t1"]
    assert not found.all("svg")


def test_a_run_that_was_interrupted_says_so(approved: Approved) -> None:
    """In a banner and in the title."""
    approved(only_in(small(complete=False), small()))


def cells(text: str) -> list[tuple[str, str, str]]:
    """Class, link and text of the cells of summaries."""
    cell = r"<td(?: class=(\w+))?>(?:<a href=#(t\d+)>)?([^<]*)(?!</td>)"
    return re.findall(
        cell, "".join(re.findall(r'<table class="heat">.*?</table>', text, re.DOTALL))
    )


def rows(text: str) -> dict[str, list[str]]:
    """The texts of the cells of each row of a check, by the row's id."""
    found = {}
    for name, row in re.findall(r"<tr id=(t\d+)>(.*)", text):
        found[name] = [html.unescape(re.sub("<.*?>", "", each)) for each in row.split("<td")]
    return found


def test_a_summary_shows_the_share_of_the_bound_and_status_in_words(approved: Approved) -> None:
    """The worst of all quantities, as number and shade; what failed, differs or is absent by word
    or sign.
    """
    found = cells(page(small()))
    approved(f"{kind or '(empty)'}: {text}" for kind, _, text in found)
    kinds = ["u0", "u4", "", "fails", "", "fails", "", "none", "differs"]
    assert [kind for kind, *_ in found] == kinds


def test_a_cell_leads_to_the_check_that_decides_it() -> None:
    """Which has a row with its worst element, or the reason why there is none."""
    text = page(small())
    found, linked = rows(text), {text: link for _, link, text in cells(text) if link}
    assert "b[2]" in " ".join(found[linked["90 %"]])
    assert "nnet has no relu hidden units" in " ".join(found[linked["n/a"]])
    assert set(linked.values()) <= set(found)
    # each failure's row leads to its block
    blocks = re.findall(r'<tr id=t\d+>.*<a href="#(f\d)">why', text)
    assert blocks == ["f1", "f2"]


def test_markdown_has_the_same_cells_and_every_reason(approved: Approved) -> None:
    """A column for each device, reference and dtype; what gave no evidence whole, since there is no
    place beyond it.
    """
    reasons = [verdict(f"A{i}", status=Status.ABSENT, why=f"reason {i}").record() for i in range(9)]
    text = markdown(parse(json.dumps(small(verdicts=small()["verdicts"] + reasons)).encode()))
    approved(text)
    assert all(text.count(f"reason {i}") == 1 for i in range(9))
    more, known = markdown(parse(json.dumps(full()).encode())), text.split("\n")
    approved(line for line in more.split("\n") if line not in known)


def test_a_device_that_is_not_here_has_a_grey_column_that_says_why(approved: Approved) -> None:
    """Grey, never green, never hidden; where trials ran on it, it has theirs."""
    text = page(small(devices={"cpu": "", "cuda": NO_CUDA}))
    grey = [cell for cell in cells(text) if cell[2] == "not here"]
    assert grey == [("none", "", "not here")] * 5
    assert NO_CUDA in text
    for why in (NO_CUDA, ""):
        approved(only_in(small(devices={"cpu": "", "cuda": why}), small()))
    ran = small(
        verdicts=[verdict("A", device="cuda:0").record()],
        devices={"cpu": "not asked for", "cuda": ""},
    )
    assert [(kind, text) for kind, _, text in cells(page(ran))] == [
        ("none", "not here"),
        ("u1", "34 %"),
    ]


def test_what_equals_what_names_the_counterexample(approved: Approved) -> None:
    """For every model and question: equal, differs, or fails."""
    approved(Elements(page(small())).part("formulations"))


def test_a_live_counterexample_is_preferred() -> None:
    """R's before NumPy's, float64 before float32."""
    given = [("computed", "float64"), ("live", "float32"), ("live", "float64")]
    told = [
        verdict("A", expect="differs", source=s, dtype=d, why=f"by {s} in {d}").record()
        for s, d in given
    ]
    told.append(verdict("A", question="Another?").record())
    text = Elements(page(small(verdicts=told))).part("formulations")
    assert [line for line in text if line.startswith(": by ")] == [": by live in float64"]


def test_final_fits_are_drawn_and_told(approved: Approved) -> None:
    """Curves with R's for context, loss, network, weights; a caption says what each figure
    shows.
    """
    found = Elements(whole())
    approved(found.labels, mask_figures=True)
    assert len(found.labels) == 7
    lines = found.part("networks", "fits")
    approved((line for line in lines if not re.fullmatch(r"[\d.,e+−-]+", line)), mask_figures=True)
    assert "14 of 20 starts (50 to 90 %) reach 0.001" in found.text
    assert "converged: 20 of 20 starts" in found.text
    assert found.text.count("W1[0, 0]") >= 2


def test_networks_are_drawn_before_fits_spend_the_bytes(approved: Approved) -> None:
    """Fits of 25 cases with eight trainers each leave the room of the networks."""
    many = [
        fit | {"case": f"case {i}", "trainer": f"trainer {j}"}
        for i in range(25)
        for j in range(8)
        for fit in fits()[:1]
    ]
    found = page(full(fits=many))
    assert len(found.encode()) < 600 * 1024
    assert "the network that trainer 0 has fitted" in found
    left_out = re.findall(r'<p class="soft">(Curves[^<]*)</p>', found)
    approved(html.unescape(left_out[0]), mask_figures=True)


def test_a_network_is_drawn_once(approved: Approved) -> None:
    """Where other cases have the same weights, its caption names them."""
    same = [*fits(), fits()[0] | {"case": "S1 again"}]
    found = Elements(page(full(fits=same)))
    captions = [line for line in found.part("networks") if "The same in" in line]
    approved(captions)
    assert len(found.labels) == 7 + 2  # its curves and losses


def test_no_two_lines_of_a_figure_look_alike() -> None:
    """By colour and dash and marker, and by letter, however many there are."""
    from harness.drawing.style import draw_sample, make_style

    styles = [make_style(number) for number in range(100)]
    assert len({style._replace(letter="", colour=0) for style in styles[:35]}) == 35
    assert len({style._replace(letter="") for style in styles}) == 100
    assert len({style.letter for style in styles}) == 100
    assert len({draw_sample(number) for number in range(100)}) == 100


def test_the_style_sheet_has_the_dashes_and_colours_of_lines() -> None:
    """Which figures name by classes, and the key by its attributes."""
    from harness.drawing.style import DASHES, SERIES

    text = whole()
    for number, dashes in list(enumerate(DASHES))[1:]:
        assert f".d{number} {{ stroke-dasharray: {' '.join(map(str, dashes))}; }}" in text
    for number in range(SERIES):
        assert f".c{number} {{ stroke: var(--s{number}); }}" in text
    used = set(re.findall(r'class="(c\d [^"]*)"', text))
    assert {"c0 w5", "c1 w3 d1", "c0 w2"} <= used
    assert not re.search(r'style="[^"]*stroke:var\(--s', text)


def test_the_diagram_has_bias_nodes_and_signs_without_colour() -> None:
    """Two squares of 1; negative weights are dashed, positive ones are not, and widths tell
    sizes.
    """
    from harness.drawing.diagram import draw_network

    drawn = str(
        draw_network("label", {"W1[0, 0]": 2.0, "b[0]": -4.0, "W2[0, 0]": 1.0, "b_w[0]": -1.0})
    )
    assert sorted(re.findall(r">(\w+)</text>", drawn)) == ["1", "1", "h0", "o", "x"]
    assert drawn.count("<rect") == 2
    groups = dict(re.findall(r'<g class="(\w+)">(.*?)</g>', drawn))
    widths = {sign: re.findall(r'width="([\d.]+)"', group) for sign, group in groups.items()}
    assert widths == {"plus": ["5.5", "3.2"], "minus": ["10.0", "3.2"]}
    assert re.search(r"\.minus \{[^}]*stroke-dasharray", whole())
    assert not re.search(r"\.plus \{[^}]*dash", whole())
    assert draw_network("label", {"gamma[0]": 1.0}) is None
    two = str(
        draw_network("l", {"W1[0, 1]": 1.0, "V1[0, 0]": 1.0, "W2[0, 0]": 1.0, "V2[0, 0]": 1.0})
    )
    assert {"x1", "x2", "o1", "o2"} <= set(re.findall(r">(\w+)</text>", two))


def test_changes_and_races_are_told(approved: Approved) -> None:
    """With their figures; the device that did not race says why."""
    approved(Elements(whole()).part("changes", "races"))


def test_a_fit_that_diverged_is_drawn(approved: Approved) -> None:
    """Losses that are null or enormous, and a curve that leaves the picture."""
    given = fits()
    given[1] |= {
        "curve": [[0, 50.0], [1, 1e300], [2, None]],
        "plot": {"x": [0.0, 5.0, 10.0], "y": [0.0, 1e300, None]},
    }
    text = page(full(fits=given))
    approved(Elements(text).part("fits"), mask_figures=True)
    assert "nan" not in text
    assert "<svg" in page(
        full(fits=[given[0] | {"plot": {"x": [], "y": []}, "curve": []}], points={"x": [], "y": []})
    )
    assert "<svg" in page(full(fits=given, points=None))


def test_the_losses_of_all_starts_are_drawn(approved: Approved) -> None:
    """Sorted, with the limit of a good fit; a start that is not finite has none, and 0 and 1e300
    are drawn at the edge.
    """
    given = fits()
    given[0] |= {"losses": [0.5, 0.0, 1e300, None]}
    given[1] |= {"losses": [None, None], "quality": None}
    text = page(full(fits=given))
    found = Elements(text)
    told = [line for line in found.part("fits") if "edian" in line or "all" in line]
    approved([*found.labels, *told], mask_figures=True)
    assert "nan" not in text


def everywhere(value: Any, text: str, key: str = "") -> Any:
    """The same JSON with the text in place of every name and sentence."""
    if isinstance(value, dict):
        named = key in ("contracts", "devices", "environment", "ended", "at", "weights")
        return {
            text + name if named else name: everywhere(each, text, name)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [everywhere(each, text, key) for each in value]
    return (
        text + value
        if isinstance(value, str) and key not in ("schema", "status", "expect")
        else value
    )


def test_nothing_in_a_name_becomes_markup() -> None:
    """Markup, control characters, halves of characters, templates: shown as they are, or left
    out.
    """
    text = page(everywhere(full(), HOSTILE))
    found, plain = Elements(text), Elements(whole())
    assert {tag for tag, _ in found.tags} <= {tag for tag, _ in plain.tags}
    assert not [
        name for _, attributes in found.tags for name in attributes if name.startswith("on")
    ]
    assert len(found.all("script")) == 1
    assert not found.all("img")
    assert "\x1b" not in text
    assert "{{ 7*7 }}" in text
    assert len(text.encode()) < 600 * 1024


def test_a_page_is_one_file_that_asks_for_nothing() -> None:
    """No address, no import; and a policy that allows its own script alone, by its hash."""
    text = whole()
    assert not re.search(r"https?:|src=|@import|<link(?! rel=\"icon\" href=\"data:,\")", text)
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in text
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function\(", script
    )
    assert set(re.findall(r"url\((.)", text)) == {"#"}
    assert set(re.findall(r'href="?(data:,|#)?', text)) == {"data:,", "#"}
    assert "default-src 'none'" in text


def test_ids_are_unique_and_every_reference_is_kept() -> None:
    """Also among figures, which matplotlib numbers alike; and headings name their sections."""
    text = whole()
    ids = re.findall(r' id="?([^">]*)', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="?|url\(|labelledby=")#?([\w-]+)', text)) - {"data"} <= set(ids)


def test_every_figure_has_a_text_alternative() -> None:
    """Or is decoration beside its text, and hidden from those who listen."""
    for attributes in Elements(whole()).all("svg"):
        if attributes.get("aria-hidden") != "true":
            assert attributes["role"] == "img"
            assert len(attributes["aria-label"]) > 40
    assert all(
        each["tabindex"] == "0" and each["aria-label"]
        for each in Elements(whole()).all("div")
        if each.get("class") == "wide"
    )


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    """In another process with another hash seed, and whatever the user's matplotlibrc says."""
    (tmp_path / "in.json").write_text(json.dumps(full()))
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nlines.linewidth: 9\n")
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = os.environ | {
        "PYTHONHASHSEED": seed,
        "MPLCONFIGDIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "harness.publishing.page",
        "in.json",
        "out.html",
    ]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=120)
    assert (tmp_path / "out.html").read_text() == whole()


def test_a_large_run_stays_under_600_kib(approved: Approved) -> None:
    """Thousands of trials, hundreds of failures; what is left out is said."""
    names = [
        verdict(f"SubjectNumber{i}", dtype=d, reference=r)
        for i in range(900)
        for d in ("float32", "float64")
        for r in ("r_nnet", "numpy_net")
    ]
    failing = [
        verdict(f"Failing{i}", status=Status.FAIL, why="a sentence of it\n" * 9, case="other")
        for i in range(200)
    ]
    text = page(full(verdicts=[each.record() for each in names + failing]))
    assert len(text.encode()) < 600 * 1024
    left = re.compile(r"\d+ more (checks|failures)")
    approved(line for line in Elements(text).lines if left.search(line))


def colours(text: str) -> Iterator[dict[str, str]]:
    """The colours of the light and of the dark page."""
    for block in re.findall(r":root \{([^}]*)\}", text)[:2]:
        short = dict(re.findall(r"--([\w-]+): (#\w+);", block))
        yield {
            name: "#" + "".join(2 * c for c in code[1:]) if len(code) == 4 else code
            for name, code in short.items()
        }


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours."""

    def luminance(code: str) -> float:
        parts = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_light_and_dark_have_the_same_colours_with_contrast() -> None:
    """Text 4.5 to its ground, lines of figures 3; every colour that is used is there in both."""
    text = whole()
    assert "@media (prefers-color-scheme: dark)" in text
    light, dark = colours(text)
    assert set(light) == set(dark)
    assert set(re.findall(r"var\(--([\w-]+)\)", text)) <= set(light)
    assert not re.search(r"(?:fill|stroke): #", text)
    grounds = ["page", "card", "differs", "bad-soft", *(f"used{i}" for i in range(5))]
    pairs = [("ink", ground) for ground in grounds] + [
        ("soft", ground) for ground in ("page", "card", "none")
    ]
    pairs += [
        ("on-bad", "bad"),
        ("good", "card"),
        ("bad", "card"),
        ("link", "card"),
        ("link", "page"),
        ("plus", "card"),
        ("minus", "card"),
    ]
    for scheme in (light, dark):
        assert {
            pair: contrast(*map(scheme.get, pair))
            for pair in pairs
            if contrast(*map(scheme.get, pair)) < 4.5
        } == {}
        assert [i for i in range(8) if contrast(scheme[f"s{i}"], scheme["card"]) < 3] == []


def changed(path: str, value: Any) -> JSON:
    """A full results.json in which one place has another value; ... takes it away."""
    results = full()
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = results
    for part in way:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return results


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("verdicts", ..., id="no verdicts"),
        pytest.param("verdicts.0.subject", ..., id="no subject"),
        ("verdicts.0.status", "FINE"),
        ("verdicts.0.budget_used", None),
        ("verdicts.0.budget_used", True),
        pytest.param("verdicts", {}, id="verdicts by name"),
        ("schema", "other/1"),
        ("complete", 1),
        ("costs.0.harness", "fast"),
        pytest.param("fits.1.trainer", ..., id="no trainer"),
        ("fits.0.share", "0.7"),
        pytest.param("fits.0.curve.0", [1], id="half a point"),
        pytest.param("fits.0.plot.y", ..., id="half a plot"),
        ("fits.0.weights.b[0]", None),
        ("points.y.3", None),
        pytest.param("races.0.ratio", 10**400, id="huge"),
        ("changes.0.starts", 1.5),
        ("devices.cuda", None),
    ],
)
def test_what_is_missing_or_unreadable_is_named(path: str, value: Any, approved: Approved) -> None:
    """A ValueError that names the place; never half a page."""
    with approved.raises(ValueError):
        page(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("fits.0.weights.b[0]", float("nan")),
        ("fits.0.plot.x.3", 0.0),
        pytest.param("points.y", [1.0], id="points without y"),
    ],
)
def test_what_cannot_be_read_or_drawn_is_named(path: str, value: Any, approved: Approved) -> None:
    """Neither numbers that JSON lacks nor curves that are none are guessed at."""
    with approved.raises(ValueError):
        page(changed(path, value))


def test_fields_of_a_later_version_do_no_harm() -> None:
    """What the page does not know it leaves out; what it is given it leaves as it was."""
    given = full(later={"any": "thing"})
    given["verdicts"][0]["later"] = given["fits"][0]["later"] = 1
    before = copy.deepcopy(given)
    assert page(given) == whole()
    assert given == before


def test_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], approved: Approved
) -> None:
    """A page, or one line and 2."""
    (tmp_path / "results.json").write_text(json.dumps(small()))
    assert main([str(tmp_path / "results.json"), str(tmp_path / "index.html")]) == 0
    assert (tmp_path / "index.html").read_text() == page(small())
    (tmp_path / "other.json").write_text("[1]")
    others = [
        [str(tmp_path / name), "out.html"] for name in ("none.json", "index.html", "other.json")
    ]
    for arguments in (["only.json"], *others):
        assert main(arguments) == 2
        told = capsys.readouterr().err
        approved(told)
        assert told.count("\n") == 1


WATCH = """<script>
const seen = [];
addEventListener("error", event =>
    seen.push("error: " + (event.message || event.target.outerHTML)), true);
addEventListener("securitypolicyviolation", event => seen.push("forbidden: " + event.blockedURI));
addEventListener("load", () => {
  const out = [...document.querySelectorAll("body *")].filter(each =>
    each.getBoundingClientRect().right > innerWidth + 1
    && !each.parentElement.closest(".wide, svg"));
  for (const each of out) seen.push("overflows: " + each.outerHTML.slice(0, 80));
  if (document.documentElement.scrollWidth > innerWidth) seen.push("scrolls sideways");
  for (const each of performance.getEntriesByType("resource")) seen.push("fetched: " + each.name);
  parent.postMessage([innerWidth, getComputedStyle(document.body).backgroundColor, seen], "*");
});
</script>"""
HOST = """<!DOCTYPE html><body><pre id="told"></pre><script>
const told = [];
addEventListener("message", event => {
  told.push(event.data);
  told.sort((one, other) => one[0] - other[0]);
  if (told.length == 2)
    document.getElementById("told").textContent = "TOLD" + JSON.stringify(told) + "TOLD";
});
</script>
<iframe src="page.html" frameborder="0" width="390" height="900"></iframe>
<iframe src="page.html" frameborder="0" width="1280" height="900"></iframe>"""
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync
--disable-background-networking --disable-component-update --enable-logging=stderr --v=0
--virtual-time-budget=5000 --dump-dom"""


def browsed(text: str, folder: Path, dark: bool = False) -> tuple[list[Any], list[str]]:
    """What headless Chromium makes of a page at 390 and at 1280 pixels, and what its console
    says.
    """
    if not CHROMIUM:
        pytest.skip("no chromium here: apt-get install chromium")
    (folder / "page.html").write_text(text.replace("<head>", "<head>" + WATCH, 1))
    (folder / "host.html").write_text(HOST)
    flags = [
        *FLAGS.split(),
        f"--user-data-dir={folder}/profile",
        f"--blink-settings=preferredColorScheme={int(not dark)}",
    ]
    command = [CHROMIUM, *flags, f"file://{folder}/host.html"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, **pipes, start_new_session=True)
    try:
        dom, log = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return json.loads(html.unescape(dom).split("TOLD")[1]), [
        line for line in log.splitlines() if "CONSOLE" in line
    ]


@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_it_whole_on_a_phone_and_on_a_screen(tmp_path: Path, dark: bool) -> None:
    """Nothing overflows, nothing is fetched, nothing is logged; light or dark as the reader has
    it.
    """
    ground = "rgb(15, 18, 21)" if dark else "rgb(246, 247, 249)"
    assert browsed(whole(), tmp_path, dark) == ([[390, ground, []], [1280, ground, []]], [])


def test_a_browser_shows_hostile_names_whole(tmp_path: Path) -> None:
    """300 characters without a blank break, or scroll inside their own box."""
    (phone, screen), console = browsed(page(everywhere(full(), HOSTILE)), tmp_path)
    assert (phone[2], screen[2], console) == ([], [], [])


def test_a_browser_tells_what_is_wrong_with_a_page(tmp_path: Path) -> None:
    """The tests above can fail: a wide element, a picture from elsewhere, a script that fails are
    all seen.
    """
    bad = '<!DOCTYPE html><head></head><body><div style="width: 700px">wide</div><img src="no.png">'
    bad += '<script>console.error("x"); nope()</script>'
    (phone, screen), console = browsed(bad, tmp_path)
    told = " ".join(phone[2])
    assert all(
        word in told
        for word in ("overflows: <div", "scrolls sideways", "nope is not defined", "error: <img")
    )
    assert "overflows" not in " ".join(screen[2])
    assert len(console) >= 2
