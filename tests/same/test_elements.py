"""Which elements of an answer are asked about, beside the sum of all."""

import pytest
import torch

from harness.matching.elements import list_questions


@pytest.mark.parametrize(
    ("small", "asked"),
    [(1e-20, [(), (1,)]), (1e-39, [()])],
)
def test_an_element_that_differs_relative_to_its_size_is_asked(
    small: float, asked: list[tuple[int, ...]]
) -> None:
    """Unless the difference is of second order in the roundoff of the largest element."""
    expected = torch.tensor([1.0, 0.0], dtype=torch.float64)
    actual = torch.tensor([1.0, small], dtype=torch.float64)
    found = list_questions({"output": (expected, actual)}, torch.Generator().manual_seed(0))
    assert [one.where for one in found] == asked
