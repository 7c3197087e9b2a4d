"""Classifiers against their bounds: live R, NumPy, and torch in two dtypes, on random networks.

usage: python -m tests.selfcheck.classifiers [--nets N] [--seed N] [--start N] [--balls N]

A net is a stack of draws with every option of a network and a loss drawn at random. It counts how
often each option, and each pair of options, was met; false alarms; the share of its bound that a
net's worst element used; and the tensors that were judged.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from time import process_time

import numpy as np

from harness.arithmetic.plain import Plain
from harness.comparing.judge import Side, judge
from harness.core.contract import Array, Bounds, Contract
from harness.core.problem import QUANTITIES, Problem
from harness.core.verdict import Status
from harness.reporting.environment import limit_threads
from harness.words.naming import tensors
from reference import r_nnet
from reference.mathematics.equations import evaluate
from tests.selfcheck.classifier_nets import OPTIONS, Net, draw_net, list_pairs

Answers = Mapping[str, Array]


@dataclass
class Account:
    """What a comparison of two implementations came to, over all nets."""

    nets: int = 0
    verdicts: int = 0
    tensors: int = 0
    vacuous: int = 0
    undefined: int = 0
    shares: list[float] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    def line(self, name: str) -> str:
        """Return one line of the table."""
        shares = np.array(self.shares or [np.nan])
        judged = 100 * (1 - self.vacuous / max(self.tensors, 1))
        return (
            f"{name:28s} {self.nets:6,d} {self.verdicts:8,d} {len(self.alarms):6,d}"
            f" {np.median(shares):8.3f} {shares.max():8.3f} {judged:7.2f} {self.undefined:8,d}"
        )


@dataclass
class Audit:
    """All comparisons, and the options that were met."""

    accounts: dict[str, Account] = field(default_factory=dict)
    met: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def note(self, net: Net) -> None:
        """Count the options of a net."""
        names = [f"{name}: {value}" for name, value in net.options.items()]
        self.met.update(names)
        self.pairs.update(combinations(names, 2))

    def compare(
        self, name: str, number: int, problem: Problem, mine: Bounded, theirs: Bounded
    ) -> None:
        """Judge all quantities that both sides have."""
        account = self.accounts.setdefault(name, Account())
        account.nets += 1
        worst = 0.0
        for quantity in QUANTITIES:
            if quantity not in mine.answers or quantity not in theirs.answers:
                continue
            owner = tensors(problem, quantity)[1]
            found = judge([mine.side(quantity)], [theirs.side(quantity)], [owner], mine.largest)
            account.verdicts += 1
            account.tensors += 1 + int(owner.max())
            account.vacuous += len(found.unseen) + len(found.too_wide)
            account.undefined += found.undefined
            if found.status is Status.FAIL:
                account.alarms.append(f"net {number}, {quantity}: {found}")
            worst = max(worst, found.budget_used)
        account.shares.append(worst)


@dataclass(frozen=True)
class Bounded:
    """An implementation's answers, and the oracle's under its contract."""

    answers: Answers
    bounds: Bounds
    largest: float

    def side(self, quantity: str) -> Side:
        return Side(np.asarray(self.answers[quantity]), self.bounds[quantity])


def check_net(audit: Audit, net: Net, number: int) -> None:
    """Judge all implementations on one net."""
    from tests.selfcheck import classifier_torch

    audit.note(net)
    problem, network = net.problem, net.network
    by_numpy = _in_numpy(problem)
    reference = by_numpy
    why = r_nnet.cannot_answer(network, "forward")
    if why is None:
        observed = r_nnet.observe(problem)
        why = observed.missing.why if observed.missing else None
        if observed.values:
            asked = r_nnet.as_evaluated(problem)
            of_r = asked.formulation.network.oracle(asked, r_nnet.contract())
            by_r = Bounded(observed.values, of_r, r_nnet.contract().largest)
            audit.compare("NumPy against live R", number, problem, by_numpy, by_r)
            reference = by_r
    if why is not None:
        audit.refused[why] += 1
    if not _is_for_torch(problem):
        return
    kind = net.options["loss of"]
    for dtype in ("float64", "float32"):
        rounded = problem
        if dtype == "float32":
            rounded = problem.rounded(Contract(dtype))
            reference = _in_numpy(rounded)
        for unfused in (False, True)[: 1 + (kind == "logits")]:
            contract = classifier_torch.contract_of(dtype, unfused)
            answers = classifier_torch.answer(rounded, dtype, unfused)
            mine = Bounded(answers, network.oracle(rounded, contract), contract.largest)
            name = f"torch {dtype}, {kind}{', unfused' if unfused else ''}"
            audit.compare(name, number, rounded, mine, reference)


def _in_numpy(problem: Problem) -> Bounded:
    contract = Contract()
    with np.errstate(all="ignore"):
        answers = evaluate(Plain(contract), problem)
    bounds = problem.formulation.network.oracle(problem, contract)
    return Bounded(answers, bounds, contract.largest)


def _is_for_torch(problem: Problem) -> bool:
    """Does torch define the loss of these targets? Its binary_cross_entropy raises for targets
    outside of 0 to 1; of an entropy of those, and of negative shares, it has another than nnet.
    """
    errors = set(problem.loss.errors(len(problem.formulation.network.outputs)))
    if errors & {"entropy", "bce"} and ((problem.targets < 0) | (problem.targets > 1)).any():
        return False
    return not errors & {"softmax", "kl"} or not (problem.targets < 0).any()


def report(audit: Audit, seconds: float) -> str:
    """Return the figures as text."""
    lines = [
        f"{'comparison':28s} {'nets':>6s} {'verdicts':>8s} {'alarms':>6s} {'median':>8s}"
        f" {'largest':>8s} {'judged%':>7s} {'draws -':>8s}"
    ]
    for name, account in sorted(audit.accounts.items()):
        lines.append(account.line(name))
    least = min(audit.met[f"{name}: {value}"] for name in OPTIONS for value in OPTIONS[name])
    pairs = list_pairs()
    unmet = [" + ".join(pair) for pair in pairs if not audit.pairs[pair]]
    rarest = min(audit.pairs[pair] for pair in pairs)
    lines.append(f"each option was met by {least:,} nets or more")
    lines.append(
        f"each of {len(pairs):,} pairs of options was met by {rarest:,} nets or more, but for"
        f" {len(unmet)}: {'; '.join(unmet)}"
    )
    for name, count in sorted(audit.met.items()):
        lines.append(f"  {name:32s} {count:7,d}")
    lines.append("live R answered not, or not all:")
    for why, count in audit.refused.most_common():
        lines.append(f"  {count:7,d} {why}")
    for name, account in audit.accounts.items():
        lines += [f"ALARM {name}: {alarm}" for alarm in account.alarms[:20]]
    lines.append(f"{seconds:.0f} CPU-s")
    return "\n".join(lines)


def main() -> int:
    """Run the audit; the exit code is 1 if there was a false alarm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--nets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="the number of the first net")
    given = parser.parse_args()
    limit_threads()
    audit, began = Audit(), process_time()
    for number in range(given.start, given.start + given.nets):
        check_net(audit, draw_net(given.seed, number), number)
    print(report(audit, process_time() - began))
    return int(any(account.alarms for account in audit.accounts.values()))


if __name__ == "__main__":
    raise SystemExit(main())
