"""What is installed is pinned with hashes and listed with licences."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.project.supply import SBOM, read_pins

PROJECT = Path(__file__).resolve().parents[2]
# They come with torch's builds for CUDA alone, under NVIDIA's terms, which their metadata leaves
# out.
UNSAID = {"cuda-toolkit", "nvidia-cusparselt-cu13"}
# Copyleft: rpy2 (GPL) is optional and stays in a process of its own. The others are permissive, or
# bind only changes to their own files (MPL, LGPL).
GPL = re.compile(r"\bA?GPL", re.IGNORECASE)


@pytest.fixture(scope="module")
def pins() -> str:
    return (PROJECT / "requirements.txt").read_text(encoding="utf-8")


def test_every_package_that_we_name_is_pinned(pins: str) -> None:
    """Whatever pyproject.toml asks for stands in requirements.txt, with one exact version; but for
    other frameworks, which only `tox -e foreign` installs, and what `tox -e docs` builds with.
    """
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = list(project["dependencies"])
    for extra in extras.keys() - {"jax", "onnx", "docs"}:
        asked += extras[extra]
    names = {re.match(r"[\w-]+", requirement)[0].lower() for requirement in asked} - {"nnet-parity"}
    assert names <= set(read_pins(pins))


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-cpu.txt"])
def test_every_pin_has_hashes(file: str) -> None:
    """A line of a requirements file is a comment, a pin that goes on, or a SHA-256."""
    lines = (PROJECT / file).read_text(encoding="utf-8").splitlines()
    hash_ = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("#"):
            continue
        follows = before.endswith("\\")
        assert hash_.fullmatch(line) if follows else re.fullmatch(r"[\w.-]+==\S+ .*\\", line), line


def test_pip_finds_no_requirement_broken() -> None:
    """Since pip installs what is pinned without asking for more, nothing may be missing."""
    check = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, timeout=60
    )
    assert check.returncode == 0, check.stdout


def test_the_bill_of_materials_lists_every_pin(pins: str) -> None:
    """docs/sbom.json has the packages of requirements.txt, with the same versions."""
    components = json.loads(SBOM.read_text(encoding="utf-8"))["components"]
    listed = {component["name"]: component["version"] for component in components}
    assert listed == read_pins(pins)


def test_every_licence_is_known_and_only_rpy2_is_gpl() -> None:
    """Each package has a licence in the bill, two of CUDA's excepted; rpy2's three have the GPL."""
    of_gpl = set()
    for component in json.loads(SBOM.read_text(encoding="utf-8"))["components"]:
        licences = json.dumps(component["licenses"])
        assert component["licenses"] or component["name"] in UNSAID, component["name"]
        if GPL.search(licences):
            of_gpl.add(component["name"])
    assert of_gpl == {"rpy2", "rpy2-rinterface", "rpy2-robjects"}


def test_actions_are_named_by_digest() -> None:
    """A tag can be moved, a commit cannot: each action stands with its commit and its version."""
    text = (PROJECT / ".github" / "workflows" / "verify.yml").read_text(encoding="utf-8")
    uses = re.findall(r"uses: (.*)", text)
    assert len(uses) >= 6
    for action in uses:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_each_package_comes_from_one_index() -> None:
    """A second index for all names could put a package of its own in the place of another."""
    for file in (".github/workflows/verify.yml", "run.py", "tox.ini"):
        assert "extra-index" not in (PROJECT / file).read_text().lower().replace("_", "-")
