"""Blocks know their role in a network, whatever they are called."""

import numpy as np
import pytest
import torch
from torch import nn

from harness import Formulation, Subject
from harness.core.layout import Block, Layout
from harness.pytorch.checkpoint import weights
from reference import Network
from reference.faults.changes import B_V, B_W, V1, V2, W1, W2, B, Which
from tests.own_networks import two_hidden

NETWORK = Network((2, 3), 4, (1, 2))


def role_of(block: Block) -> tuple[object, ...]:
    return block.role, block.layer, block.group, block.head


def test_a_block_of_a_network_knows_what_it_joins() -> None:
    """Its role, its layer, the group of inputs that it weighs and the head that it gives."""
    assert {block.name: role_of(block) for block in NETWORK.layout.blocks} == {
        "W1": ("weight", 1, 0, None),
        "V1": ("weight", 1, 1, None),
        "b": ("bias", 1, None, None),
        "W2": ("weight", 2, None, 0),
        "b_w": ("bias", 2, None, 0),
        "V2": ("weight", 2, None, 1),
        "b_v": ("bias", 2, None, 1),
    }


@pytest.mark.parametrize("which", [W1, V1, B, W2, B_W, V2, B_V])
def test_a_fault_finds_its_block_by_role(which: Which) -> None:
    """The block that a fault's words name is the one that it changes."""
    assert which.among(NETWORK.layout.blocks).name == which.name


def test_a_fault_does_not_find_a_block_that_is_not_there() -> None:
    """A network with one head has no second one."""
    with pytest.raises(KeyError, match="V2"):
        V2.among(Network(2, 3, 1).layout.blocks)


def test_of_a_network_of_ones_own_vectors_are_biases() -> None:
    """And matrices are weights, whatever their names."""
    blocks = two_hidden().layout.blocks
    assert {block.name for block in blocks if block.role == "bias"} == {"b1", "b2", "b3"}
    assert {block.name for block in blocks if block.role == "weight"} == {"W1", "W2", "W3"}


def test_a_layout_grows_by_what_is_left_out() -> None:
    """At its end, with the shape of the bias that the model lacks."""
    own = Layout.of_shapes({"w": (2, 2)})
    biases = [block for block in NETWORK.layout.blocks if block.name in ("b", "b_v")]
    longer = own.with_left_out(biases)
    assert [(block.name, block.left_out) for block in longer.blocks] == [
        ("w", ""),
        ("b (left out)", "b"),
        ("b_v (left out)", "b_v"),
    ]
    assert [block.places.tolist() for block in longer.blocks[1:]] == [[4, 5, 6, 7], [8, 9]]
    assert longer.size == 10


class Oddly(nn.Module):
    """A model whose own parameter is called as one that is left out would be."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(2, 1)
        self.hidden = nn.Linear(1, 2, bias=False)
        self.register_parameter("b (left out)", nn.Parameter(torch.ones(2)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shift = self.get_parameter("b (left out)")
        return self.out(torch.tanh(self.hidden(x) + shift))


def test_a_checkpoint_gives_a_parameter_whatever_it_is_called() -> None:
    """A name alone does not make a parameter one that is left out."""
    means = {"W1": "hidden.weight", "b": "b (left out)", "W2": "out.weight", "b_w": "out.bias"}
    formulation = Subject(Oddly, parameters=means).formulation(Network(1, 2, 1))
    assert isinstance(formulation, Formulation)
    state = {name: torch.full_like(p, 3.0) for name, p in Oddly().state_dict().items()}
    assert np.array_equal(weights(state, formulation), np.full(7, 3.0))
