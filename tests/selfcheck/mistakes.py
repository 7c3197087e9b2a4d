"""Mistakes that people make, in real PyTorch modules: is each caught, and is it named?

usage: python -m tests.selfcheck.mistakes [--only TEXT] [--network TEXT] [--told]

Each mistake of `tests.selfcheck.mistaken` is judged by a case, as a user's model is, on every
network that it fits and in both dtypes. It is named if a hint (or the reason) of its first failing
trial says it; an offer is a hint that states a cause, and is wrong if it says something else.
Mistakes that nobody lists are counted too: every offer for one is wrong.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import process_time

import torch

from harness import Case, Verdict
from harness.core.finding import HintKind
from harness.judging.cache import Cache
from harness.reporting.environment import limit_threads
from harness.running.trial import run
from reference import numpy_net, probes
from tests.selfcheck.mistaken.backwards import BACKWARDS
from tests.selfcheck.mistaken.forwards import FORWARDS
from tests.selfcheck.mistaken.losses import LOSSES
from tests.selfcheck.mistaken.mistake import Mistake, in_reference
from tests.selfcheck.mistaken.nets import SPECS, Net, Spec, subject_of
from tests.selfcheck.mistaken.strangers import STRANGERS
from tests.selfcheck.mistaken.updates import UPDATES, population_of

REFERENCES = (
    "both activations left out",
    "two outputs exchanged",
    "one half",
    "mean",
    "L1",
    "loss of the first head only",
    "hidden bias unused",
    "hidden layer detached",
)
LISTED = (
    *FORWARDS,
    *BACKWARDS,
    *LOSSES,
    *UPDATES,
    *(in_reference(each) for each in (*FORWARDS, *BACKWARDS, *LOSSES) if each.name in REFERENCES),
)
DRAWS, ROWS = 8, 5
# by the bounds of that loss, and by asking again with other rows
PROVED = ("the case has the model's loss", "the outputs of a row change with the other rows")
CAUSES = (HintKind.LIKELY, HintKind.VANISHES)


@dataclass
class Outcome:
    """What a case said of one mistake in one network and dtype."""

    caught: bool = False
    named: bool = False
    offers: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    said: str = ""


@dataclass
class Count:
    """The outcomes of one mistake, or of all."""

    judged: int = 0
    caught: int = 0
    named: int = 0
    offers: int = 0
    wrong: int = 0

    def add(self, outcome: Outcome) -> None:
        self.judged += 1
        self.caught += outcome.caught
        self.named += outcome.named
        self.offers += bool(outcome.offers)
        self.wrong += bool(outcome.wrong)


def judge(mistake: Mistake, spec: Spec, dtype: str) -> Outcome:
    """Judge a mistake in a network by a case, trial by trial, up to the first one that fails."""
    outcome = Outcome()
    for verdict in _verdicts(mistake, spec, dtype):
        if not verdict.status.fails:
            continue
        outcome.caught = True
        _read(outcome, mistake, verdict)
        break
    return outcome


def _verdicts(mistake: Mistake, spec: Spec, dtype: str) -> Iterator[Verdict]:
    problems = probes(seed=1, draws=DRAWS, rows=ROWS, loss=spec.loss)
    made, against = mistake.make(spec), numpy_net
    if mistake.of_reference:
        against = replace(made, name="Wrong")
        made = subject_of(spec, Net, spec.own_loss)
    case = Case(
        "port",
        spec.network,
        [made],
        [against],
        population_of(spec) if mistake.checks else problems,
        dtypes=[dtype],
        checks=mistake.checks,
    )
    cache = Cache(case)
    for trial in case.trials():
        yield run(trial, cache)


def _read(outcome: Outcome, mistake: Mistake, verdict: Verdict) -> None:
    finding = verdict.finding
    hints = finding.hints if finding else ()
    outcome.offers = [f"{hint.cause} {hint.write}".strip() for hint in hints if hint.kind in CAUSES]
    reasons = [f"{hint.cause} {hint.write}" for hint in hints]
    if finding is None or finding.first_outside is None:
        reasons.append(verdict.why)
    outcome.said = " | ".join(outcome.offers or reasons) or "nothing is offered"
    if not mistake.says:
        outcome.wrong = [each for each in outcome.offers if not each.startswith(PROVED)]
        return
    outcome.named = any(re.search(mistake.says, each) for each in reasons)
    outcome.wrong = [
        each
        for each in outcome.offers
        if not re.search(mistake.says, each) and not each.startswith(PROVED)
    ]


def main() -> None:
    """Print for every mistake how often it was caught, named and wrongly named, and the totals."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="a part of the names of mistakes")
    parser.add_argument("--network", default="", help="a part of the names of networks")
    parser.add_argument("--told", action="store_true", help="print each sentence")
    asked = parser.parse_args()
    limit_threads()
    torch.set_num_threads(1)
    began = process_time()
    specs = [spec for spec in SPECS if asked.network in spec.name]
    listed, others = Count(), Count()
    for mistakes, total in ((LISTED, listed), (STRANGERS, others)):
        print(f"{'mistake':44} judged caught  named  wrong")
        for mistake in mistakes:
            if asked.only in mistake.name:
                _count(mistake, specs, total, asked.told)
    _print_totals(listed, others, process_time() - began)


def _count(mistake: Mistake, specs: Sequence[Spec], total: Count, told: bool) -> None:
    """Judge a mistake on every network that it fits, and print a line."""
    count, said = Count(), defaultdict(list)
    for spec in specs:
        if not mistake.fits(spec):
            continue
        for dtype in mistake.dtypes:
            outcome = judge(mistake, spec, dtype)
            count.add(outcome)
            total.add(outcome)
            ok = outcome.caught and (outcome.named or not mistake.says) and not outcome.wrong
            if told or not ok:
                said[outcome.said].append(f"{spec.name} {dtype}")
    print(
        f"{mistake.name:44} {count.judged:6} {count.caught:6} {count.named:6} {count.wrong:6}",
        flush=True,
    )
    for sentence, where in said.items():
        print(f"    {', '.join(where)}: {sentence[:300]}", flush=True)


def _print_totals(listed: Count, others: Count, seconds: float) -> None:
    for name, count in (("listed", listed), ("listed by nobody", others)):
        shares = [100 * each / max(1, count.judged) for each in (count.caught, count.named)]
        wrong = 100 * count.wrong / max(1, count.judged)
        print(
            f"{name}: {count.judged:,} judged, {shares[0]:.1f} % caught, {shares[1]:.1f} % named,"
            f" {wrong:.2f} % wrongly named"
        )
    judged, wrong = listed.judged + others.judged, listed.wrong + others.wrong
    print(f"wrong offers: {wrong} of {judged:,} ({100 * wrong / max(1, judged):.2f} %)")
    print(f"{seconds:.0f} CPU-s")


if __name__ == "__main__":
    main()
