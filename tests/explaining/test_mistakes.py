"""Mistakes that people make, in real modules: a failing trial names each."""

import pytest

from tests.conftest import Approved
from tests.selfcheck.mistaken.nets import SPECS
from tests.selfcheck.mistaken.strangers import STRANGERS
from tests.selfcheck.mistakes import LISTED, judge

NAMED = (
    ("both activations left out", "logistic 3-5-1", "float32"),
    ("a sigmoid too many", "sine 1-4-1", "float64"),
    ("activation of the wrong layer", "relu 3-4-2, mean", "float32"),
    ("output activation left out", "softmax 4-6-3", "float64"),
    ("columns sorted by another order", "binary 4-5-1", "float32"),
    ("first head used twice", "two heads, tanh", "float32"),
    ("inputs centred by the batch", "sine 1-4-1", "float64"),
    ("inputs standardised by the batch", "sine 1-4-1", "float64"),
    ("layers in a plain list", "sine 1-4-1", "float64"),
    ("another number of hidden units", "sine 1-4-1", "float64"),
    ("all biases unused", "sine 1-4-1", "float64"),
    ("computed in float32", "sine 1-4-1", "float64"),
    ("second head detached from the hidden layer", "two heads, tanh", "float64"),
    ("mean L1", "sine 1-4-1", "float32"),
    ("heads weigh 0.3 and 0.7", "two heads, tanh", "float64"),
    ("sign of the update", "sine 1-4-1", "float64"),
    ("second head not trained", "two heads, tanh", "float32"),
    ("one half (reference)", "sine 1-4-1", "float64"),
)


@pytest.mark.parametrize(("mistake", "network", "dtype"), NAMED)
def test_a_mistake_is_named(mistake: str, network: str, dtype: str, approved: Approved) -> None:
    """Its first failing trial says it, and nothing else."""
    one = next(each for each in LISTED if each.name == mistake)
    spec = next(each for each in SPECS if each.name == network)
    outcome = judge(one, spec, dtype)
    assert outcome.named
    assert outcome.wrong == []
    approved(outcome.said.rpartition("\n")[2], mask_figures=True)


@pytest.mark.parametrize("name", ["units clamped", "log cosh", "sign of the gradient"])
def test_a_stranger_is_offered_nothing(name: str) -> None:
    """A mistake that nobody lists is caught and not named."""
    stranger = next(each for each in STRANGERS if each.name == name)
    outcome = judge(stranger, SPECS[0], "float64")
    assert outcome.caught
    assert outcome.wrong == []
