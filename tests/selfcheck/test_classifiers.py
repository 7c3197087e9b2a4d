"""The audit of classifiers: it has no false alarm, meets its options, and can fail."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from harness.core.contract import Contract
from harness.core.implementation import Observation
from harness.core.problem import Problem
from reference import r_nnet
from tests.selfcheck.classifier_balls import check, shorten
from tests.selfcheck.classifier_nets import EXCLUDED, OPTIONS, draw_net, list_pairs
from tests.selfcheck.classifiers import Audit, check_net, report

NETS = 40


def test_correct_classifiers_raise_no_alarm(live_r: None) -> None:
    """In NumPy, live R, and torch in two dtypes; nearly all of their tensors are judged."""
    audit = Audit()
    for number in range(NETS):
        check_net(audit, draw_net(7, number), number)
    assert len(audit.accounts) == 9
    for name, account in audit.accounts.items():
        assert account.alarms == [], name
        assert 0.01 < np.median(account.shares) < 0.7
    accounts = audit.accounts.values()
    vacuous = sum(account.vacuous for account in accounts)
    assert vacuous < 0.05 * sum(account.tensors for account in accounts)
    assert "ALARM" not in report(audit, 1.0)
    assert audit.met.total() == NETS * len(OPTIONS)


def test_a_gradient_that_is_off_by_little_is_an_alarm(
    live_r: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousandth of a millionth of R's gradients is seen in most nets that R answers."""
    observe = type(r_nnet).observe

    def changed(self: object, problem: Problem) -> Observation:
        found = observe(r_nnet, problem)
        values = dict(found.values)
        if "gradient" in values:
            values["gradient"] = values["gradient"] * (1 + 1e-9)
        return Observation(values, found.missing)

    monkeypatch.setattr(type(r_nnet), "observe", changed)
    audit = Audit()
    for number in range(20):
        check_net(audit, draw_net(7, number), number)
    account = audit.accounts["NumPy against live R"]
    assert len(account.alarms) > account.nets / 2


def test_the_oracle_is_enclosed_by_balls() -> None:
    """Its answers, under the exact contract and under nnet's, at 400 bits."""
    for number in range(6):
        problem = shorten(draw_net(7, number).problem)
        for contract in (Contract(), r_nnet.contract()):
            compared, outside = check(problem, contract)
            assert compared > 20
            assert outside == 0


def test_the_same_number_draws_the_same_net() -> None:
    """An alarm can be looked at again."""
    assert draw_net(3, 5).problem.key == draw_net(3, 5).problem.key
    assert draw_net(3, 5).problem.key != draw_net(3, 6).problem.key


def test_pairs_that_cannot_be_are_never_drawn() -> None:
    """No net has two values that do not go together; 200 nets have most of the other pairs."""
    known, met = set(list_pairs()), set()
    for number in range(200):
        names = [f"{name}: {value}" for name, value in draw_net(7, number).options.items()]
        met |= set(combinations(names, 2))
    for first, option, values in EXCLUDED:
        for value in values:
            second = f"{option}: {value}"
            assert not met & {(first, second), (second, first)}
    assert len(known & met) > 0.9 * len(known)
