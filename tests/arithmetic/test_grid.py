"""Grid arithmetic, each operation by itself: what it counts, and what it does not prove."""

from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from harness.arithmetic.grid import GridArithmetic, OnGrid
from harness.core.contract import Contract
from harness.core.linear import LinearMap

grid = GridArithmetic(Contract("float32"))


def linear(*rows: Sequence[float]) -> LinearMap:
    return LinearMap.of(sparse.csr_array(np.array(rows, dtype=float)))


def on(*values: float) -> OnGrid:
    """One draw of one row."""
    return grid.lift(np.array([[values]], dtype=float))


def counted(found: OnGrid, value: Any, quantum: int, quanta: Any, size: Any = None) -> None:
    """The values, on which grid, how many quanta were counted, and the sizes, by default those of
    the values.
    """
    np.testing.assert_array_equal(found.value.ravel(), np.ravel(value))
    assert found.quantum == quantum
    np.testing.assert_array_equal(found.quanta, quanta)
    np.testing.assert_array_equal(
        found.size.ravel(), np.ravel(abs(np.asarray(value, float)) if size is None else size)
    )


def test_the_coarsest_grid_is_found() -> None:
    """By the quantum 2^-q of the finest number, and the largest in quanta, of each draw."""
    counted(on(3.0, -8.0), [3, -8], 0, 8)
    counted(on(0.5, -3.0, 0.25), [0.5, -3, 0.25], 2, 12)
    counted(grid.lift(np.array([[1.0], [-2.5]])), [1, -2.5], 1, [2, 5])
    counted(on(2.0**-63), 2.0**-63, 63, 1)
    counted(on(-(2.0**-64)), -(2.0**-64), 0, inf)


def test_what_is_exact_in_so_many_bits() -> None:
    """A whole number of quanta up to 2^bits, draw by draw."""
    found = grid.lift(np.array([[2.0**24], [2.0**24 + 1], [2.0**53]]))
    assert found.exact(24).tolist() == [True, False, False]
    assert found.exact(53).tolist() == [True, True, True]
    assert not on(2.0**-64).exact(53).any()


def test_shapes_on_a_grid() -> None:
    """Ones in front are counted; side by side the finer grid and the larger count hold."""
    counted(grid.with_ones(on(0.25, -0.5)), [1, 0.25, -0.5], 2, 4)
    counted(grid.with_ones(on(8.0)), [1, 8], 0, 8)
    small, large = on(0.25), on(9.0)
    counted(grid.join(small, large), [0.25, 9], 2, 9)
    counted(grid.join(large, small), [9, 0.25], 2, 9)
    # two draws, three rows
    wide = OnGrid(np.ones((2, 3, 1)), 0, np.ones(2), np.full((2, 3, 1), 5.0))
    both = grid.join(wide, wide)
    assert both.value.shape == both.size.shape == (2, 3, 2)
    counted(grid.each(lambda a: a[..., ::-1], on(0.5, 2.0)), [2, 0.5], 1, 4)
    x = on(1.0)
    assert grid.stored(x) is x


def test_sums_on_a_grid() -> None:
    """The sizes of the terms are counted, though they cancel, on the finer of both grids; and what
    came before.
    """
    counted(grid.sub(on(3.0), on(2.5)), 0.5, 1, 11)
    counted(grid.sub(on(2.5), on(-3.0)), 5.5, 1, 11)
    many = OnGrid(np.ones((1, 1, 1)), 0, np.array([99.0]), np.ones((1, 1, 1)))
    for found in (grid.sub(on(1.0), many), grid.sub(many, on(1.0))):
        counted(found, 0, 0, 99)


def test_products_on_a_grid() -> None:
    """Their quanta multiply; so do sizes of what may never be formed."""
    counted(grid.mul(on(1.5), on(-0.25)), -0.375, 3, 3)  # 3 halves, 1 quarter
    x = on(1.0)
    assert grid.mul(x, None) is x


def test_sums_of_products_on_a_grid() -> None:
    """The sizes of the products and of what is added, on the finer of the grids; and what came
    before any of them.
    """
    a, b = on(1.5, -3.0), grid.lift(np.array([[[0.5], [0.25]]]))
    counted(grid.dot(a, b), 0, 3, 12)  # 0.75 + 0.75 in eighths
    counted(grid.dot(a, b, plus=on(2.0)), 2, 3, 28)
    counted(grid.dot(a, b, plus=on(-(2.0**-5))), -(2.0**-5), 5, 49)
    large, one = grid.lift(np.array([[[0.0, 99.0]]])), grid.lift(np.array([[[1.0], [0.0]]]))
    for found in (
        grid.dot(large, one),
        grid.dot(one, large),
        grid.dot(on(1.0), on(1.0), plus=grid.dot(large, one)),
    ):
        assert found.quanta == 99


def test_a_constant_on_a_grid() -> None:
    """A power of two moves the grid, the finest of several where they differ; another number leaves
    every grid.
    """
    counted(grid.scale(on(3.0, -1.0), 0.25), [0.75, -0.25], 2, 3)
    counted(grid.scale(on(3.0), -4.0), -12, -2, 3)
    counted(grid.scale(on(3.0, 1.0), np.array([0.5, -2.0])), [1.5, -2], 1, 4)
    counted(grid.scale(on(3.0, 1.0), np.array([0.5, 3.0])), [1.5, 3], 0, inf, [3, 1])
    counted(grid.with_ones(grid.scale(on(2.0), 4.0)), [1, 8], 0, 8)
    counted(grid.scale(on(3.0, 2.0), np.array([0.0, 4.0])), [0, 8], -2, 3)
    counted(grid.scale(on(3.0, 2.0), np.array([0.0, 0.25])), [0, 0.5], 2, 3)
    counted(grid.scale(on(3.0, 2.0), 0.0), [0, 0], 0, 3)
    counted(
        grid.scale(grid.dot(on(99.0, 0.0), grid.lift(np.array([[[0.0], [1.0]]]))), 0.5), 0, 1, 99
    )


def test_linear_maps_on_a_grid() -> None:
    """Entries and constants have a grid too; of several summands, which may never be added up, the
    sizes are kept.
    """
    x = grid.lift(np.array([[1.5, -1.0]]))
    counted(grid.linear(linear([2, 3], [0, 1]), x, 0.0, np.zeros(2)), [0, -1], 1, 12, [6, 1])
    counted(
        grid.linear(linear([-2, 0], [0, 1]), x, np.array([0.25, 0.0]), np.zeros(2)),
        [-2.75, -1],
        3,
        26,
        [3.25, 1],
    )
    counted(
        grid.linear(linear([-1, 0], [0, 0]), x, np.array([0.0, -4.0]), np.zeros(2)),
        [-1.5, -4],
        1,
        8,
    )
    counted(
        grid.linear(linear([1, 0], [0, 1]), x, np.array([0.0, 2.0**-64]), np.zeros(2)),
        [1.5, -1],
        1,
        inf,
        [1.5, inf],
    )


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_relu_on_a_grid(at_zero: float) -> None:
    """Is exact everywhere; its derivative is counted in halves, one of which it may be at 0."""
    z = grid.lift(np.array([[[-0.25, 0.0, 8.0]], [[-0.25, 0.0, 0.25]]]))
    h, slope = GridArithmetic(Contract(relu_at_zero=at_zero)).act("relu", z)
    assert slope is not None
    counted(h, [0, 0, 8, 0, 0, 0.25], 2, [32, 1])
    counted(slope, [0, at_zero, 1, 0, at_zero, 1], 1, [32, 2])


@pytest.mark.parametrize(
    ("name", "value", "slope", "quanta"),
    [("tanh", (0.0, 0), (1.0, 0), 1), ("logistic", (0.5, 1), (0.25, 2), 1)],
)
def test_what_is_exact_at_0_only(
    name: str, value: tuple[float, int], slope: tuple[float, int], quanta: int
) -> None:
    """In draws whose every z is 0, with what was counted before; elsewhere never."""
    z = OnGrid(
        np.array([[[0.0, 0.0]], [[0.0, 1.0]], [[0.0, 0.0]]]),
        3,
        np.array([0.0, 8.0, 99.0]),
        np.zeros((3, 1, 2)),
    )
    for found, (number, quantum) in zip(grid.act(name, z), (value, slope), strict=True):
        assert found is not None
        counted(found, np.full(6, number), quantum, [quanta, inf, 99])


def test_the_identity_on_a_grid() -> None:
    """Is the number itself."""
    z = on(3.0)
    assert grid.act("identity", z) == (z, None)
