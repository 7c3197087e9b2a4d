"""Data are taken as users have them: frames of pandas, labels, names of classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas
import pytest

from harness import Formulation, Loss
from reference import Network, OnData
from tests.conftest import Approved

IDENTITY = Formulation.identity(Network(inputs=2, hidden=3, outputs=3))
X = np.arange(12.0).reshape(6, 2)
LABELS = np.array([0, 1, 2, 0, 1, 2])
CLASSES = Loss("mean", error="softmax", from_logits=True)
WRONG: dict[str, Callable[[], OnData]] = {
    "labels, and squares as the loss": lambda: OnData(X, LABELS),
    "names of classes": lambda: OnData(X, pandas.Series(list("abcabc")).to_numpy(), loss=CLASSES),
}


def test_frames_are_taken_as_arrays_are() -> None:
    """A DataFrame of inputs, a Series of labels and dummies of pandas give what arrays give."""
    inputs = pandas.DataFrame(X, columns=["a", "b"])
    expected = OnData(X, LABELS, loss=CLASSES)(IDENTITY)[0]
    for targets in (pandas.Series(LABELS), pandas.get_dummies(LABELS)):
        found = OnData(inputs, targets, loss=CLASSES)(IDENTITY)[0]
        assert np.array_equal(found.targets, expected.targets)
        assert np.array_equal(found.inputs, expected.inputs)


def test_labels_that_do_not_fit_say_what_to_write(approved: Approved) -> None:
    """Labels without a loss of classes, and names of classes, are told so."""
    said = []
    for name, given in WRONG.items():
        with pytest.raises(ValueError, match="expected") as raised:
            given()(IDENTITY)
        said.append(f"{name}: {raised.value}")
    approved(said)
