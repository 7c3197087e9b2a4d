"""The pages of docs are true: blocks of Python are run or say why not; links lead somewhere."""

import re
import textwrap
from pathlib import Path

import pytest

from nnet_parity import PUBLIC
from tests.project.test_tutorials import NOT_RUN, blocks, followed, programs

__all__ = ["programs"]
ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
RUN_BY = {  # the test that runs the blocks of a page, in tests/project
    "cases.md": "test_pages.py",
    "foreign.md": "test_tutorials.py",
    "from-numpy.md": "test_tutorials.py",
    "from-r.md": "test_tutorials.py",
    "judging.md": "test_pages.py",
    "options.md": "test_pages.py",
    "python.md": "test_python_page.py",
    "references.md": "test_references.py",
    "same.md": "test_same_page.py",
    "speed.md": "test_pages.py",
    "trainer.md": "test_pages.py",
    "training.md": "test_pages.py",
}
TWICE = "self[0].bias.register_hook(lambda gradient: 2 * gradient)"
FIRST = "super().__init__(nn.Linear(1, 4), nn.Sigmoid(), nn.Linear(4, 1))\n"


def find_indented_python(text: str) -> list[str]:
    """Return the indented blocks of a page, outside of fences, that are Python."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    found = []
    for block in re.findall(r"(?:^\n)((?:^    .*\n)+)", outside, re.MULTILINE):
        code = textwrap.dedent(block)
        try:
            compile(code, "block", "exec")
        except SyntaxError:
            continue
        found.append(code)
    return found


def find_unrun(page: str) -> list[str]:
    """Return the blocks of Python of a page that no test runs, and that do not say why."""
    text = (DOCS / page).read_text(encoding="utf-8")
    unrun = find_indented_python(text)
    if page not in RUN_BY:
        unrun += [code for language, before, code in blocks(page) if is_unrun(language, before)]
    return unrun


def is_unrun(language: str, before: str) -> bool:
    """Is a fenced block Python that does not say why it is not run?"""
    return language == "python" and not before.startswith(NOT_RUN)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_python_is_run_or_says_why_not(page: str) -> None:
    """By the test that stands in the table."""
    assert find_unrun(page) == []


def test_a_block_that_nobody_runs_is_seen() -> None:
    """The wall can fail: an indented block of Python, and a fenced one without a reason."""
    assert find_indented_python("so:\n\n    x = f(1)\n    y = 2\n\nend\n") == ["x = f(1)\ny = 2\n"]
    assert find_indented_python("so:\n\n    python3 run.py verify\n\nend\n") == []
    assert is_unrun("python", "so:")
    assert not is_unrun("python", "<!-- not run: a part of a case -->")


@pytest.mark.parametrize(("page", "test"), RUN_BY.items())
def test_the_test_of_a_page_names_it(page: str, test: str) -> None:
    """So that the table is no promise."""
    assert page in (ROOT / "tests" / "project" / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_links_to_is_there(page: str) -> None:
    """Files, and headings of pages."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, heading = target.partition("#")
        if path.startswith("http"):
            continue
        linked = (DOCS / path).resolve() if path else DOCS / page
        assert linked.exists(), target
        if heading:
            assert heading in list_anchors(linked), target


def list_anchors(page: Path) -> list[str]:
    """Return the anchors of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_cases(tmp_path: Path, programs: Path, live_r: None) -> None:
    """The case passes, and the failure is the one that the page shows."""
    twice = ("test_mine.py", FIRST, f"{FIRST}        {TWICE}\n")
    followed("cases.md", tmp_path, programs, {1: [twice]})


def test_training(tmp_path: Path, programs: Path, live_r: None) -> None:
    """The claims of both cases show: Adam, and a loop by hand, end higher than nnet."""
    followed("training.md", tmp_path, programs, {})


def test_trainer(tmp_path: Path, programs: Path) -> None:
    """The trainer fits somebody's own problem, and a module takes its weights."""
    followed("trainer.md", tmp_path, programs, {})


def test_options(tmp_path: Path, programs: Path) -> None:
    """The commands that judge a model without a test file, and write one."""
    followed("options.md", tmp_path, programs, {})


def test_speed(tmp_path: Path, programs: Path, live_r: None) -> None:
    """A model races against nnet, and its checkout against itself."""
    followed("speed.md", tmp_path, programs, {})


def test_judging(tmp_path: Path, programs: Path) -> None:
    """The bounds that the page derives are those that the code computes."""
    followed("judging.md", tmp_path, programs, {})


def test_every_public_name_is_on_the_page_of_the_api() -> None:
    """With a heading of its own, so that the site's search finds it."""
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"(?:heading: |^### )(\w+)$", page, re.MULTILINE))
    public = {name for names in PUBLIC.values() for name in names}
    assert public - headings == {"r_nnet", "numpy_net"}  # the page says what they are
    assert all(f"`{name}` is" in page for name in ("r_nnet", "numpy_net"))


def test_every_page_is_in_the_navigation() -> None:
    """Of the site that mkdocs builds."""
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page for page in PAGES if f": {page}\n" not in site] == []


def test_every_option_is_on_the_page() -> None:
    """Of pytest, and its keys of the ini file; the commands too."""
    page = (DOCS / "options.md").read_text(encoding="utf-8")
    source = (ROOT / "nnet_parity" / "options.py").read_text(encoding="utf-8")
    options = set(re.findall(r'"(--parity-[a-z-]+)"', source))
    keys = set(re.findall(r'addini\(\s*"(parity_\w+)"', source))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    verbs = re.findall(r'^(\w+) = "reference\.commands', project, re.MULTILINE)
    assert len(options) > 8
    assert len(verbs) > 6
    missing = [word for word in options | keys if word not in page]
    missing += [verb for verb in [*verbs, "compare", "race"] if f"`nnet-parity {verb}" not in page]
    assert missing == []
