"""`nnet-parity doctor` tries what is here, and says what is missing and the exact line that mends
it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
import torch

from harness.model.devices import Device
from reference.commands import doctor
from reference.commands.doctor import SWITCH, Finding
from reference.r.nnet_reference import LIVE
from tests.conftest import Approved

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def looks_again() -> object:
    """What a test hid from R's session is not hidden from the next."""
    yield
    LIVE.close()


def said(*findings: Finding) -> list[str]:
    """As they are printed, without the spaces that align them."""
    return [re.sub(" {2,}", " ", str(finding)) for finding in findings]


def test_everything_is_looked_for(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    approved: Approved,
) -> None:
    """In one order, a line each, and then whether models can be judged; pytest as it starts in this
    folder.
    """
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
    monkeypatch.chdir(tmp_path)
    parser = ArgumentParser()
    asked = doctor.doctor(parser)
    assert asked(parser.parse_args([])) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    names = [line[:17].rstrip() for line in lines]
    approved(name for name in names if not {"R", "nnet", "rpy2"} & {*re.findall(r"\w+", name)})
    approved([line for line in lines if line.endswith("plugin.py")] + [last])


def test_what_is_needed_and_missing_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], approved: Approved
) -> None:
    """The exit code is 1 and the last line names it; --json prints the same as objects."""
    findings = [
        Finding("Python", "3.11"),
        Finding("torch", "2.1", "expected torch>=2.4", "pip install torch>=2.4"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda: iter(findings))
    parser = ArgumentParser()
    asked = doctor.doctor(parser)
    assert asked(parser.parse_args([])) == 1
    out = capsys.readouterr().out
    approved(out)
    assert out.splitlines()[-1].endswith(": torch")
    assert asked(parser.parse_args(["--json"])) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert first == {"name": "Python", "found": "3.11", "why": "", "mend": "", "lost": ""}
    assert second["mend"] == "pip install torch>=2.4"


def test_packages_are_those_of_the_project(
    monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """One that is missing or too old has the line that installs one that will do; extras are not
    needed.
    """
    needs = ["numpy>=1.26", "scipy>=99", "no-such-package>=1", "hypothesis>=99 ; extra == 'test'"]
    monkeypatch.setattr(metadata, "requires", lambda name: needs)
    approved(said(*doctor.packages()))


def test_a_line_that_mends_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python may lie in a folder with a space."""
    monkeypatch.setattr(metadata, "requires", lambda name: ["no-such-package>=1"])
    monkeypatch.setattr(sys, "executable", "/my own/python")
    [finding] = doctor.packages()
    assert finding.mend == "'/my own/python' -m pip install 'no-such-package>=1'"


def test_a_torch_that_cannot_be_loaded_is_named(
    monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """With what it raises, whatever that is."""

    def find_lack(device: Device, index: str) -> str:
        raise OSError("libtorch_cpu.so: cannot open shared object file")

    monkeypatch.setattr("harness.model.devices.Device.find_lack", find_lack)
    (finding,) = doctor.torch()
    assert finding.fails
    approved(said(finding))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_no_gpu_is_no_failure(approved: Approved) -> None:
    """What torch sees, and what is judged all the same."""
    (finding,) = doctor.torch()
    assert not finding.fails
    approved(said(finding))
    assert torch.__version__ in said(finding)[0]


@pytest.mark.usefixtures("live_r")
def test_r_is_started_and_asked() -> None:
    """The versions and the home are what R itself says."""
    versions, home = LIVE.versions(), LIVE.home()
    assert LIVE.eval_text("R.home()") == [home]
    assert said(*doctor.r()) == [
        f"R {versions['R']}, {home}",
        *(f"{name} {versions[name]}" for name in ("nnet", "rpy2")),
    ]


@pytest.mark.usefixtures("live_r")
def test_startup_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Those with settings, of the site and of the user, and the variables that change R."""
    for name in [*os.environ]:
        if name.startswith(("R_", "_R_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("R_PROFILE", str(tmp_path / "site.R"))
    monkeypatch.setenv("R_ENVIRON", str(tmp_path / "site.env"))
    monkeypatch.setenv("R_MAX_VSIZE", "1M")
    monkeypatch.setenv("R_LIBS", str(tmp_path))  # which is read
    (tmp_path / ".Renviron").write_text("# nothing\n\n")
    (tmp_path / ".Rprofile").write_text("# a guess\nsum <- function(...) 42\n")
    approved(said(*doctor.startup()))


def test_without_r_numpy_judges_alone(without_r: None, approved: Approved) -> None:
    """R is optional: the line that installs it is given, and nothing fails."""
    (finding,) = doctor.r()
    assert not finding.fails
    approved(said(finding))


def test_r_that_was_left_out_is_not_looked_for(
    monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Who left it out is told how to have it back."""
    monkeypatch.setenv(SWITCH, "recorded")
    approved(said(*doctor.r()))
    monkeypatch.delenv(SWITCH)


def test_r_without_nnet(without_nnet: None, approved: Approved) -> None:
    """R starts and has no such package."""
    approved(said(*doctor.r()))


def test_without_rpy2_and_make(
    without_rpy2: None, only: Callable[..., Path], approved: Approved
) -> None:
    """The line gets make first, which pip needs then."""
    only("R")
    approved(said(*doctor.r(), doctor.make()))


def test_the_compiler_is_that_of_torch(
    monkeypatch: pytest.MonkeyPatch, only: Callable[..., Path], approved: Approved
) -> None:
    """g++, or what CXX names; what needs one is said where there is none, or one that does not
    run.
    """
    mine = only() / "mine"
    monkeypatch.delenv("CXX", raising=False)
    said_without = said(doctor.compiler())
    approved(said_without)
    mine.write_text("#!/bin/sh\necho mine 1.0\n")
    mine.chmod(0o755)
    monkeypatch.setenv("CXX", "mine")
    approved(said(doctor.compiler()))
    mine.write_text("#!/bin/sh\nexit 1\n")
    assert said(doctor.compiler()) == said_without


def test_pytest_is_asked_for_the_plugin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, approved: Approved
) -> None:
    """As it starts in this folder; where it does not load the plugin, no model is judged."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    finding = doctor.plugin()
    assert finding.fails
    approved(said(finding))


def test_a_folder_that_cannot_be_written_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, approved: Approved
) -> None:
    """The screen tells all the same; where the report goes can be chosen."""
    monkeypatch.chdir(tmp_path)
    approved(said(doctor.folder()))
    assert not list(tmp_path.iterdir())
    (tmp_path / "build").write_text("a file where the folder should be")
    finding = doctor.folder()
    assert not finding.fails
    approved(re.sub(r"(Not a directory: ).+?;", r"\1<file>;", *said(finding)))  # a temporary one
