"""The study of random recipes finds what it counts."""

import pytest

from reference.mathematics.optimisers import _RmsProp
from tests.selfcheck.recipes import KINDS, judge


def test_steps_of_torch_raise_no_alarm() -> None:
    """One recipe of each optimiser."""
    statuses, largest, alarms = judge(len(KINDS), seed=0)
    assert alarms == []
    assert statuses == {"PASS": 4 * len(KINDS)}
    assert 0 < largest <= 1


def test_a_wrong_rule_raises_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    """If RMSprop's derivation forgets its mean of squares, only its steps fail."""
    monkeypatch.setattr(_RmsProp, "average", lambda self, before, now, beta: now)
    _, _, alarms = judge(len(KINDS), seed=0)
    assert [line.partition(":")[0] for line in alarms] == ["3, rmsprop"] * 2
