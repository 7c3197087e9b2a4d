"""Layers that torch does not find, and sizes that are not the network's, are told."""

import pytest
import torch
from torch import nn

from harness import Subject
from harness.pytorch.unregistered import describe_unregistered
from reference import Network
from tests.conftest import Approved


class Keeping(nn.Module):
    """Keeps something in an attribute."""

    def __init__(self, kept: object) -> None:
        super().__init__()
        self.kept = kept


def test_layers_and_parameters_in_plain_containers_are_told(approved: Approved) -> None:
    """A list, a tuple and a dict of layers, and a list of parameters; in a part of a model too."""
    layer, weight = nn.Linear(1, 2), nn.Parameter(torch.zeros(2))
    inner = nn.Sequential(Keeping([layer]))
    kept = [Keeping([layer]), Keeping((layer,)), Keeping({"a": layer}), Keeping([weight]), inner]
    approved(map(describe_unregistered, kept))


def test_what_is_registered_elsewhere_or_is_no_layer_is_not_told() -> None:
    """A list of layers that are attributes too is right, and so are constants."""
    both = Keeping([])
    both.first = nn.Linear(1, 2)
    both.kept = [both.first]
    for module in (both, Keeping([torch.zeros(2)]), Keeping([nn.Tanh()]), Keeping([1, "a"])):
        assert describe_unregistered(module) == ""


@pytest.mark.parametrize("network", [(1, 5, 1), (2, 4, 1), (1, 4, 2)], ids=str)
def test_another_size_is_told(network: tuple[int, int, int], approved: Approved) -> None:
    """The model's hidden units, inputs or outputs are not as many as the network's."""
    subject = Subject(lambda: nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 1)), name="Net")
    with approved.raises(ValueError):
        subject.formulation(Network(*network))
