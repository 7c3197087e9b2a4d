"""Tensors that can show an error: grouped by owner, judged by their largest numbers and bounds."""

import numpy as np
import pytest

from harness.comparing.evidence import TOO_WIDE, Groups, find_evidence


def test_elements_are_grouped_by_tensor_in_any_order() -> None:
    """Only elements that are out of order are sorted."""
    mixed, sorted_ = (Groups.of(np.array(owner)) for owner in ([0, 1, 0, 1], [0, 0, 1, 1]))
    for groups in (mixed, sorted_):
        assert (groups.tensors.tolist(), groups.starts.tolist()) == ([0, 1], [0, 2])
    assert mixed.order is not None
    assert mixed.order.tolist() == [0, 2, 1, 3]
    assert sorted_.order is None


@pytest.mark.parametrize(
    ("owner", "sizes", "bounds", "narrow"),
    [
        ([0, 0], [0.0, 2.0], [0.1, 0.1], [True]),
        ([0, 0], [0.0, 2.0], [0.1, 0.5], [False]),
        ([0, 0, 1, 1], [0.0, 2.0, 3.0, 0.0], [0.1, 0.1, 0.1, 0.5], [True, False]),
        ([0, 1, 0, 1], [0.0, 3.0, 2.0, 0.0], [0.1, 0.1, 0.1, 0.5], [True, False]),
    ],
)
def test_a_tensor_is_judged_by_its_largest_number_and_its_widest_bound(
    owner: list[int], sizes: list[float], bounds: list[float], narrow: list[bool]
) -> None:
    """A bound is narrow up to a tenth of the tensor's largest number."""
    groups = Groups.of(np.array(owner))
    seen, judged = find_evidence(np.array([sizes]), np.array([bounds]), groups)
    assert seen.all()
    assert judged.tolist() == narrow


def test_a_tensor_of_zeros_shows_nothing() -> None:
    """Beside one that does."""
    groups = Groups.of(np.array([0, 0, 1]))
    seen, judged = find_evidence(np.array([[0.0, 0.0, 1.0]]), np.full((1, 3), 0.01), groups)
    assert (seen.tolist(), judged.tolist()) == ([False, True], [False, True])


def test_a_bound_that_is_narrow_in_one_draw_is_enough() -> None:
    """It is if it is a tenth of the size, and not if it is more."""
    groups, sizes = Groups.of(np.array([0])), np.array([[2.0], [2.0]])
    limit = TOO_WIDE * 2.0
    for second, narrow in ((limit, True), (np.nextafter(limit, 1), False)):
        _, judged = find_evidence(sizes, np.array([[1.0], [second]]), groups)
        assert judged.tolist() == [narrow]
