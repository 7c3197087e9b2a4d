"""Runs trials and collects their findings."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from harness.core.implementation import Missing
from harness.core.numpy_errors import ours
from harness.core.report import Cost
from harness.core.verdict import Status, Verdict
from harness.diagnosis.following import EarlierFailures, Failures, find_cause
from harness.fits.ahead import FitsAhead, FittingFork, can_fork, list_needed
from harness.fits.ends import get_ends
from harness.fits.summary import answer, fit, points, table
from harness.judging.cache import STARTS, Cache
from harness.judging.case import Trial
from harness.judging.comparison import blank, failure, missing
from harness.judging.store import Store
from harness.model.devices import kind_of, lacking
from harness.model.errors import at, raised
from harness.model.logs import quiet_torch
from harness.running.asked import collect_asked
from harness.running.findings import CaseCount, Findings, KnownFailure, merge
from harness.running.trial import run
from harness.waiting.progress import Pace, Say, silent
from harness.words.wording import follow

MANY_DRAWS = 1_000  # stacks this large tell what a problem costs


@dataclass(frozen=True)
class Gone:
    """The reason why a subject is not evaluated any more, and the id of the trial in which it ended
    its process.
    """

    trial: str
    why: str


class Runner:
    """Runs the trials of one process, case by case.

    `found` has the findings since the last call of `hand_over`. `unusable` has by device the reason
    why it is not used any more; `gone` has by case, subject and device the reason why the subject
    is not evaluated any more.
    """

    def __init__(
        self,
        starts: int = STARTS,
        say: Say = silent,
        scripts: Path | None = None,
        start: Path | None = None,
    ) -> None:
        """Prepare to run trials.

        Scripts of failures are written into the folder `scripts`, relative to the folder `start`,
        which is the working folder by default; without `scripts` none is written. `starts` is the
        number of times that each trainer trains; `say` gets progress messages.
        """
        self.starts, self.say = starts, say
        self.scripts, self.start = scripts, start or Path.cwd()
        self.found = Findings()
        self.unusable: dict[str, str] = {}
        self.gone: dict[tuple[str, str, str], Gone] = {}
        # by case, the test and the trials that can never be judged, until they have verdicts
        self._impossible: dict[str, tuple[str, list[Trial]]] = {}
        self._cache: Cache | None = None
        self._across_cases = Store()

    def note(self, part: Findings) -> None:
        """Add findings to those of this process."""
        self.found = merge(self.found, part)

    def collect(self, test: str, trials: Sequence[Trial]) -> None:
        """Store the trials of a case that a test is about to judge.

        Trials that cannot be judged on any machine get their verdicts together with the first
        judged trial, or by `note_impossible`. Raises ValueError if another test has a case of the
        same name, since a case's name identifies its verdicts.
        """
        name = trials[0].case.name
        for other, case in self.found.cases.items():
            if case.name == name and other != test:
                raise ValueError(
                    f"{test} has a case called {name!r}, and so has {other}: expected a name for"
                    " each (name=)"
                )
        known: dict[tuple[str, str], KnownFailure] = {}
        possible = [trial for trial in trials if not trial.impossible]
        self._impossible[name] = test, [trial for trial in trials if trial.impossible]
        for trial in possible:
            if trial.known:
                key = test, trial.subject.name
                before = known[key].trials if key in known else 0
                known[key] = KnownFailure(trial.known, before + 1)
        self.note(Findings(cases={test: CaseCount(name, len(possible))}, known=known))

    def fit_ahead(
        self, trials: Iterable[Trial], prepare: Callable[[], None], models: bool = False
    ) -> None:
        """Let a fork of this process make fits that these trials need, if there can be one.

        Those of PyTorch models are made there only with `models`. `prepare` is called in the fork
        first.
        """
        needed = list_needed(trials, models)
        if needed and can_fork():
            with suppress(OSError):
                fork = FittingFork(needed, self.starts, prepare)
                self._across_cases.put(FitsAhead(), fork)

    def end_ahead(self) -> None:
        """End the fork that makes fits."""
        if fork := self._across_cases.get(FitsAhead()):
            fork.end()

    def leave_out_impossible(self, name: str) -> None:
        """Forget those trials of a case that cannot be judged on any machine. This is called if
        only a part of the case was chosen.
        """
        self._impossible.pop(name, None)

    def note_impossible(self, name: str) -> list[Verdict]:
        """Return and store the verdicts on those trials of a case that cannot be judged on any
        machine.
        """
        test, trials = self._impossible.pop(name, ("", []))
        found: dict[str, Verdict] = {}
        for trial in trials:
            verdict = blank(trial, Status.ABSENT, trial.impossible)
            found[f"{test}[{trial.id}]"] = replace(verdict, applicable=False)
        self.note(Findings(never=found))
        return list(found.values())

    def judge_case(self, test: str, trials: Sequence[Trial], again: str = "") -> list[Verdict]:
        """Judge all trials of a case at once, except those that cannot be judged on any machine;
        return the verdicts.

        They are stored under `test`. `again` is the command line that runs the trials again.
        """
        possible = [trial for trial in trials if not trial.impossible]
        self.note(Findings(called=len(possible)))
        self.note_impossible(trials[0].case.name)
        verdicts, pace = [], Pace(len(possible))
        for number, trial in enumerate(possible, 1):
            left = pace.describe_left(number - 1)
            self.say(f"{test}: trial {number} of {len(possible)}{left}, {trial.id}")
            verdicts.append(self.judge(f"{test}[{trial.id}]", trial, again))
        return verdicts

    def judge(self, name: str, trial: Trial, again: str) -> Verdict:
        """Return the verdict of a trial, and store it under `name`, pytest's id of the trial.

        `again` is the command line that runs the trial again. An error that spoils a device ends
        the trials on this device, not the run.
        """
        self.note_impossible(trial.case.name)
        if trial.device in self.unusable:
            verdict = blank(trial, Status.NOT_RUN, self.unusable[trial.device])
        elif gone := self.gone.get((trial.case.name, trial.subject.name, trial.device)):
            verdict = failure(trial, Status.BROKEN, gone.why, again)
            verdict = follow(verdict, gone.trial, gone.why)
        else:
            verdict = self._run(trial, again)
            broken = verdict.finding if verdict.status is Status.BROKEN else None
            if broken and kind_of(trial.device).is_spoiled_by(broken.reason):
                self.unusable[trial.device] = (
                    f"{trial.device} cannot be used any more after an error in {trial.id}"
                )
        device = trial.device
        self.note(Findings(verdicts={name: verdict}, devices={device: lacking(device)}))
        return verdict

    def _run(self, trial: Trial, again: str) -> Verdict:
        try:
            with quiet_torch():
                verdict = run(trial, self._get_cache(trial), again, self.scripts, self.start)
            self._note_contracts(trial)
            return verdict
        except KeyboardInterrupt:
            # pytest cannot show a frame that was interrupted between two lines
            raise KeyboardInterrupt from None
        # a model may call sys.exit(), a user's own reference raise anywhere
        except BaseException as error:
            why = f"{raised(error)}{at(error)}"
            verdict = missing(trial, Missing(Status.BROKEN, why), trial.check, again)
            return find_cause(trial, self._get_cache(trial), verdict)

    def _get_cache(self, trial: Trial) -> Cache:
        """Return the cache of the trial's case; the cache of an earlier case is dropped."""
        if self._cache is None or self._cache.case is not trial.case:
            self.close_case()
            self._cache = Cache(trial.case, self.starts, self.say, self._across_cases)
            self._cache.put(EarlierFailures(), Failures())
        return self._cache

    def _note_contracts(self, trial: Trial) -> None:
        """Store the contracts (properties of the arithmetic) and the versions of the subject and
        the reference.
        """
        subject, reference = trial.subject, trial.reference
        contracts = {
            f"{subject.name} {trial.dtype}": subject.contract(trial.dtype).sentence(),
            reference.title(): reference.contract(trial.dtype).sentence(),
        }
        self.note(Findings(contracts=contracts))
        for one in (subject, reference):
            versions: dict[str, str] = getattr(one, "versions", dict)()
            self.note(Findings(versions=tuple(versions.items())))

    def close_case(self) -> None:
        """Store the trained networks, the inputs tried, and the time per problem of the case that
        has just ended; drop its cache.
        """
        cache, self._cache = self._cache, None
        if cache is None:
            return
        try:
            with ours():
                self._note_fits(cache)
                if asked := collect_asked(cache):
                    self.note(Findings(asked={cache.case.name: asked}))
        except KeyboardInterrupt:
            raise
        # a user's data or floor may raise when they are asked once more
        except BaseException as error:
            lost = f"the fits of {cache.case.name}: collecting them {raised(error)}"
            self.note(Findings(lost=(lost,)))
        timing = cache.timing
        if timing.most_draws >= MANY_DRAWS:
            case = cache.case.name
            seconds = timing.subject_seconds / timing.problems
            cost = Cost(case, timing.most_draws, timing.overhead, seconds)
            self.note(Findings(costs={case: cost}))

    def _note_fits(self, cache: Cache) -> None:
        """Store the trained networks of a case, those of references first, and its rows, answer and
        data for the report.
        """
        case = cache.case
        references = [reference.name for reference in case.references]
        ends = get_ends(cache)
        references_first = sorted(ends, key=lambda ended: ended.trainer.name not in references)
        for ended in references_first:
            key = case.name, f"{ended.trainer.name} {ended.dtype} {ended.device}"
            self.note(Findings(fits={key: fit(cache, ended)}))
        if ends:
            rows = table(cache)
            self.note(Findings(rows=tuple(rows)))
            if said := answer(cache, rows):
                self.note(Findings(answers={case.question: said}))
            self.note(Findings(points=points(cache)))

    def hand_over(self) -> Findings:
        """Return the findings since the last call, and start anew."""
        found = self.found
        self.found = Findings(collected=found.collected)
        return found
