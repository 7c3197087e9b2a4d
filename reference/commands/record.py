"""The command `nnet-parity record`: makes all calls to R that the cases of test files need, and
stores the answers.
"""

import io
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs

from harness.core.contract import Array
from harness.core.implementation import Missing
from harness.core.numpy_errors import ours
from harness.fits.ends import train
from harness.fits.verdicts import predictions
from harness.judging.cache import STARTS, Cache
from harness.judging.case import ENDS, Case, Trial
from harness.model.errors import at, raised, words_of
from harness.model.settings import hold_settings
from harness.reporting.environment import find_version, limit_threads
from harness.text.harmless import one_line, printable
from harness.training.trained import Trained
from reference.fitted.object import FittedObject, answers_path
from reference.fitted.stored import write as write_answers
from reference.r.nnet_reference import LIVE
from reference.r.preflight import RUnavailable
from reference.r.recorded import Recorded, Recorder, place
from reference.r.recording import CODE, Ask, Facts, Recording, read, write
from reference.r.session import RError

INTENTS = ("create", "fix", "trim")


def record(parser: ArgumentParser) -> Callable[[Namespace], int]:
    """record what R answers to the cases of test files, so that they are judged without R too

    Writes one file a case into the folder `recordings` beside the test file; pytest --parity-r
    recorded, and pytest where R is not, judge by it. Nothing is judged here. The intents:
      create   record what was not recorded; what was stays as it is
      fix      record again, and say what has changed
      trim     leave out what the cases do not ask any more, and change no answer; takes no R

    Exit code: 0; 1 where a case could not be recorded; 2 where a file holds no case, or R is not
    here.
    """
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="a test file, or a test in it, as pytest takes it"
    )
    parser.add_argument(
        "--intent", choices=INTENTS, default=INTENTS[0], help="default: %(default)s"
    )
    parser.add_argument(
        "--reason", default="", metavar="TEXT", help="why, for whoever reads the recording later"
    )
    starts = f"how many starts a population has (default: {STARTS})"
    parser.add_argument("--starts", type=int, default=STARTS, metavar="N", help=starts)
    return _record


def _record(given: Namespace) -> int:
    cases = _cases(given.files, "auto" if given.intent == "trim" else "live")
    if isinstance(cases, str):
        print(cases, file=sys.stderr)
        return 2
    failed = False
    for case, file in cases:
        name = one_line(case.name)
        if sys.stdout.isatty():
            print(f"\r\x1b[K{name} ...", end="", flush=True)
        try:
            said = _record_case(case, file, given)
        except (ValueError, TypeError, OSError, RError, RUnavailable) as error:
            failed, said = True, f"not recorded: {words_of(error)}"
        except KeyboardInterrupt:
            print(f"\n{name}: interrupted; what is recorded is whole", file=sys.stderr)
            return 130
        except BaseException as error:  # whatever a user's problems or models raise
            failed, said = True, f"not recorded: {raised(error)}{at(error)}"
        if sys.stdout.isatty():
            print("\r\x1b[K", end="")
        print(printable(f"{name}: {said}"), flush=True)
    return int(failed)


def _cases(files: list[str], mode: str) -> list[tuple[Case, str]] | str:
    """Return the cases that pytest collects from these files, each with its file, or pytest's
    output if it finds none.
    """
    import pytest

    from harness.plugin.plugin import TrialItem

    class Collector:
        """A pytest plugin that stores the cases of the collected items."""

        def __init__(self) -> None:
            self.verifications: dict[int, Any] = {}

        def pytest_collection_finish(self, session: pytest.Session) -> None:
            for item in session.items:
                if isinstance(item, TrialItem):
                    self.verifications[id(item.verification)] = item.verification

    collector, output = Collector(), io.StringIO()
    options = ["--collect-only", "-q", "--assert=plain", "--parity-r", mode]
    with redirect_stdout(output):
        code = pytest.main([*files, *options], plugins=[collector])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        return output.getvalue()
    cases = [(each.case, each.file) for each in collector.verifications.values()]
    return cases or f"{output.getvalue()}no case was found: give test files"


def _record_case(case: Case, file: str, given: Namespace) -> str:
    """Record R's answers for a case, and return a sentence about the result.

    Raises ValueError, RError or RUnavailable if the case cannot be recorded.
    """
    if isinstance(case.problems, FittedObject):
        return _record_fitted(case.problems, answers_path(file, case.name), given)
    path, old = place(file, case.name), None
    if path.exists() and given.intent == "create":
        raise ValueError(
            f"it was, in {path.name}: --intent fix records it again, trim drops what is not asked"
            " any more"
        )
    if not path.exists() and given.intent != "create":
        raise ValueError("it never was: leave --intent out")
    try:
        old = read(path, case.name) if path.exists() else None
        unread = ""
    except ValueError as error:
        if given.intent == "trim":
            raise
        unread = f"; what was there, {error}"
    if given.intent == "trim" and old:  # no answer changes, so the date does not either
        recorder = Recorder(Recorded(old, path, file))
        facts = structs.replace(old.facts, intent="trim", reason=given.reason)
    else:
        recorder = Recorder(LIVE)
        now = datetime.now(UTC).date().isoformat()
        ours = find_version("nnet-parity"), given.starts, CODE
        versions = recorder.versions() | {"numpy": np.__version__}
        facts = Facts(case.name, given.intent, given.reason, now, *ours, versions)
    with hold_settings(case.settings):
        _ask(case.answering(file, recorder), recorder, facts.starts)
    if not recorder.noted:
        return "asks R nothing that a recording can hold"
    write(path, Recording(facts, list(recorder.noted.values())))
    changed = f"; {_describe_changes(old, recorder.noted)}" if old else unread
    return (
        f"{len(recorder.noted)} asks, {path.stat().st_size / 1000:.0f} kB in {path.name}{changed}"
    )


def _record_fitted(fitted: FittedObject, path: Path, given: Namespace) -> str:
    """Write R's answers about a fitted object to a file, and return a sentence about the result.

    Raises ValueError if the file exists and the intent is not to renew it.
    """
    if fitted.path.suffix == ".json":
        return "holds R's answers itself"
    if given.intent == "trim":
        return "has nothing to trim"
    if path.exists() and given.intent == "create":
        raise ValueError(f"it was, in {path.name}: --intent fix records it again")
    stored = fitted.record()
    write_answers(path, stored)
    size = f"{path.stat().st_size / 1000:.0f} kB"
    return f"R's predictions for {len(stored.predictions)} rows, {size} in {path.name}"


@ours()
def _ask(case: Case, recorder: Recorder, starts: int) -> None:
    """Make all calls to R that judging the case needs; the recorder stores R's answers. Raises
    RError if R fails.
    """
    limit_threads()
    cache = Cache(case, starts)
    for trial in case.trials():
        network = case.network if case.contrast else trial.subject.network or case.network
        for one in (trial.subject, trial.reference):
            if getattr(one, "source", "") != recorder.source:
                continue
            if one.cannot_answer(network, trial.check, trial.dtype, "cpu"):
                continue
            for answer in _list_answers(case, cache, trial, one):
                if isinstance(answer, Missing) and answer.status.fails:
                    raise RError(answer.why)


def _list_answers(case: Case, cache: Cache, trial: Trial, one: Any) -> list[Any]:
    """Return the answers of `one`, the subject or the reference of a trial, to all problems of the
    trial.
    """
    if trial.check in ENDS:
        ended = train(cache, one, trial.dtype, "cpu")
        if isinstance(ended, Missing):
            return [ended]
        return [predictions(cache, ended)] if ended.fitted.end else []
    if isinstance(trial.subject, Trained):  # a recording does not hold the states of training
        return []
    problems = cache.problems(cache.own_formulation()) if case.contrast else cache.stacks(trial)
    return [cache.reference(one, problem, trial.dtype).missing for problem in problems]


def _describe_changes(old: Recording, new: Mapping[str, Ask]) -> str:
    """Return a sentence on how the calls and answers of a new recording differ from the
    old one's.
    """
    common = [key for key in new if key in old.answers]
    changes = [_find_change(old.answers[key].answer, new[key].answer) for key in common]
    differ = [change for change in changes if change]
    ulps = ""
    if differ:
        most = f"{max(differ):.3g}"
        ulps = f", by at most {most} units in the last place of their largest number"
    of = (
        f"of {len(old.answers)} before {len(common)} are asked still, {len(differ)} answers"
        f" differ{ulps}"
    )
    return f"{of}; {len(new) - len(common)} are new"


def _find_change(before: Mapping[str, Array], now: Mapping[str, Array]) -> float:
    """Return the largest difference between two answers, in units in the last place of each array's
    largest number.
    """
    changes = []
    for name, array in now.items():
        unit = np.spacing(abs(before[name]).max())
        changes.append(float(np.max(abs(before[name] - array) / unit)))
    return max(changes)
