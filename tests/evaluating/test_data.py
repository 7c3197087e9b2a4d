"""Data of every form becomes batches; outputs of every form get names."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from harness.evaluating.data import make_batches, shift_rows
from harness.evaluating.draws import draw_around
from harness.evaluating.outputs import name_outputs
from harness.model.errors import WrongAnswer
from tests.conftest import Approved


def batches_of(data: Any, targets: Any = None) -> list[Any]:
    return make_batches(data, targets, torch.Generator().manual_seed(0))


def shapes_of(batch: Any) -> list[tuple[int, ...]]:
    return [tuple(tensor.shape) for tensor in batch.tensors()]


X = torch.zeros(3, 2)


@pytest.mark.parametrize(
    ("data", "shapes"),
    [
        (X, [[(3, 2)]]),
        ((3, 2), [[(3, 2)]]),
        ("(3, 2)", [[(3, 2)]]),
        ((X, (4, 5)), [[(3, 2), (4, 5)]]),
        ({"x": X, "mask": "booleans (3,)"}, [[(3, 2), (3,)]]),
        ([X, (X, X), {"x": (2, 2)}], [[(3, 2)], [(3, 2), (3, 2)], [(2, 2)]]),
        (lambda generator: torch.rand(2, 2, generator=generator), [[(2, 2)]]),
        (X.numpy(), [[(3, 2)]]),
    ],
)
def test_data_of_every_form(data: Any, shapes: Any) -> None:
    """A tensor, a shape, words, arguments by place and name, batches, a function, an array."""
    assert [shapes_of(batch) for batch in batches_of(data)] == shapes


def test_words_draw_what_they_say() -> None:
    """Whole numbers in a range, truth values, ones."""
    (batch,) = batches_of(("integers 3..5 (100,)", "booleans (100,)", "ones of (4,)", "zeros (2,)"))
    whole, truth, ones, zeros = batch.args
    assert set(whole.tolist()) == {3, 4, 5}
    assert truth.dtype is torch.bool
    assert (ones.tolist(), zeros.tolist()) == ([1.0] * 4, [0.0] * 2)


def test_targets_stand_beside_batches() -> None:
    """One for each batch, drawn like data."""
    found = batches_of([X, X], ["integers 0..1 (3,)", (3, 1)])
    assert [tuple(batch.targets.shape) for batch in found] == [(3,), (3, 1)]


def test_rows_are_shifted_together() -> None:
    """Inputs and targets alike; a batch without common rows is left alone."""
    x = torch.arange(3.0)
    (batch,) = batches_of(x, x * 2)
    shifted = shift_rows(batch)
    assert shifted is not None
    assert (shifted.args[0].tolist(), shifted.targets.tolist()) == ([2, 0, 1], [4, 0, 2])
    (batch,) = batches_of((x, torch.zeros(2)))
    assert shift_rows(batch) is None


@dataclass
class Output:
    logits: Tensor
    hidden: tuple[Tensor, ...]
    loss: float | None = None


class Named(NamedTuple):
    mean: Tensor
    spread: Tensor


@pytest.mark.parametrize(
    ("output", "names"),
    [
        (X, ["output"]),
        ((X, X), ["output 1", "output 2"]),
        ([X, (X, X)], ["output 1", "output 2.1", "output 2.2"]),
        (OrderedDict(logits=X, loss=None), ["output.logits"]),
        (
            Output(X, (X, X), 0.5),
            ["output.logits", "output.hidden.1", "output.hidden.2", "output.loss"],
        ),
        (Named(X, X), ["output.mean", "output.spread"]),
        ({"a": [X]}, ["output.a.1"]),
        (None, []),
    ],
)
def test_outputs_have_names(output: Any, names: list[str]) -> None:
    """Tensors, sequences, mappings, dataclasses, named tuples, and nests of these."""
    assert list(name_outputs(output)) == names


def test_an_output_of_another_kind_is_refused(approved: Approved) -> None:
    """In a sentence."""
    with approved.raises(WrongAnswer):
        name_outputs({1, 2})
    nest: Any = X
    for _ in range(12):
        nest = [nest]
    with approved.raises(WrongAnswer):
        name_outputs(nest)


def test_drawn_numbers_show_what_is_zero_as_built() -> None:
    """Zeros move, ones move and stay positive, numbers that are none stay."""
    generator = torch.Generator().manual_seed(0)
    assert bool((draw_around(torch.zeros(50), generator) != 0).all())
    ones = draw_around(torch.ones(50), generator)
    assert bool((ones > 0).all())
    assert len(set(ones.tolist())) == 50
    infinite = draw_around(torch.tensor([0.0, float("-inf")]), generator)
    assert infinite[1] == float("-inf")
    assert torch.equal(draw_around(torch.arange(3), generator), torch.arange(3))
