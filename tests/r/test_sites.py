"""R as a site sets it up: what the worker reads, what it does not, and what it says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reference.r import worker
from reference.r.preflight import RUnavailable
from reference.r.session import RError, RSession
from reference.r.startup import find_startup_files, split_variables
from tests.conftest import Approved


def test_an_r_without_its_library_is_a_sentence(
    tmp_path: Path, only: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """R_HOME and R on PATH are named with what they say; both lack libR."""
    program = only("make") / "R"
    program.write_text(f"#!/bin/sh\necho {tmp_path}\n")
    program.chmod(0o755)
    monkeypatch.setenv("R_HOME", str(tmp_path / "R"))
    with approved.raises(RUnavailable):
        RSession().versions()


@pytest.mark.usefixtures("live_r")
def test_an_error_without_a_message_is_a_sentence(approved: Approved) -> None:
    """A condition of a user's own class may have none."""
    session = RSession()
    with approved.raises(RError):
        session.eval_text("stop(structure(list(), class = c('mine', 'error', 'condition')))")
    session.close()


@pytest.mark.parametrize(
    "script",
    ["exec sleep 99", "echo closed; exit 3", "exit 3", "echo '<home>/elsewhere<nnet>/</nnet>'"],
    ids=["sleeps", "speaks", "is silent", "is another R"],
)
def test_the_sites_r_is_asked_with_a_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, approved: Approved
) -> None:
    """Where it names no library, what it said stands in its place."""
    monkeypatch.setattr(worker, "SITE_DEADLINE", 0.5)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "R").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "bin" / "R").chmod(0o755)
    library, said = worker.ask_site(str(tmp_path))
    assert library == ""
    approved(said)


def test_only_variables_that_say_where_r_is_reach_it() -> None:
    """Others of R's do not; those of other programs do."""
    given = {"R_HOME": "1", "R_LIBS_SITE": "2", "R_PROFILE": "3", "_R_CHECK_X_": "4", "HOME": "5"}
    kept, left_out = split_variables(given)
    assert kept == {"R_HOME": "1", "R_LIBS_SITE": "2", "HOME": "5"}
    assert left_out == {"R_PROFILE": "3", "_R_CHECK_X_": "4"}


def test_startup_files_without_settings_are_not_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comments set nothing; a file that a variable names is told in any case."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("R_PROFILE", "R_ENVIRON", "R_PROFILE_USER", "R_ENVIRON_USER"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "Rprofile.site").write_text("# welcome\n")
    (tmp_path / ".Renviron").write_text("R_LIBS=/nowhere\n")
    assert find_startup_files(str(tmp_path)) == [str(tmp_path / ".Renviron")]
    (tmp_path / ".Renviron").unlink()
    os.mkfifo(tmp_path / ".Renviron")  # named, and not waited for
    assert find_startup_files(str(tmp_path)) == [str(tmp_path / ".Renviron")]
    monkeypatch.setenv("R_PROFILE", os.devnull)
    assert len(find_startup_files("")) == 2
