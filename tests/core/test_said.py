"""Sentences that are said in no other test."""

from pathlib import Path

import pytest
from msgspec import structs

from harness.core.problem import STEP
from harness.publishing.beside import Beside
from harness.publishing.markdown import markdown
from harness.reproduce.users_file import find_subject
from harness.text.files import replace_whole
from reference import Network, r_nnet
from reference.r.recording import Recording, read, write
from tests.conftest import Approved, Mine
from tests.r.test_recording import FACTS, recording
from tests.reporting.test_trust import found as measured
from tests.reporting.test_trust import read_of, report


def test_headings_of_markdown(tmp_path: Path, approved: Approved) -> None:
    """Of a report of everything."""
    text = markdown(report(), Beside(trust=read_of(tmp_path, measured())))
    approved(line for line in text.split("\n") if line.startswith("#"))


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path, approved: Approved) -> None:
    """Nor a device."""
    (tmp_path / "here").mkdir()
    with approved.raises(OSError):
        replace_whole({tmp_path / "here": "text"})


def test_a_script_whose_subject_is_gone_says_so(tmp_path: Path, approved: Approved) -> None:
    """Renamed, say, since the script was written."""
    (tmp_path / "mine.py").write_text("def other(x): return x\n")
    with approved.raises(LookupError):
        find_subject(str(tmp_path / "mine.py"), "case", "SineNet")


@pytest.mark.parametrize("starts", ["0", "many"])
def test_a_number_of_starts_that_is_none_ends_the_run(
    mine: Mine, starts: str, approved: Approved
) -> None:
    """Before anything runs."""
    mine.write_sine()
    result = mine.pytest(f"--parity-starts={starts}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    approved(result.errlines)


def test_a_test_file_is_no_folder_of_kept_results(mine: Mine, approved: Approved) -> None:
    """--parity-keep takes a value, and would take the name of the tests for it."""
    mine.write_sine()
    result = mine.pytest("--parity-keep", "test_mine.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    approved(result.errlines)


def test_what_nnet_cannot_judge(approved: Approved) -> None:
    """Outputs that it does not have, and steps."""
    relu, tanh = Network(1, 4, 1, "logistic", "relu"), Network(1, 4, 1, "tanh")
    approved([r_nnet.cannot_answer(relu, "forward"), r_nnet.cannot_answer(tanh, STEP)])


def test_a_recording_of_unknown_versions_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Nobody could say which R it was."""
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path / "sine.recording",
        Recording(structs.replace(FACTS, versions={}), recording().asks),
    )
    with approved.raises(ValueError):
        read(tmp_path / "sine.recording", "sine")
