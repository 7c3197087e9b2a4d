"""A linear map between parameter vectors, applied to stacks of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from harness.core.contract import Array, Indices, Mask, Number


@dataclass(frozen=True, eq=False)
class LinearMap:
    """The linear map y = matrix @ x, for arrays of vectors x (..., columns) of any dtype.

    The matrix (rows, columns) has this `shape`. As in a csr_array of scipy, the entries of row i
    are `data[starts[i]:starts[i + 1]]`, in the columns `columns[starts[i]:starts[i + 1]]`. Most
    maps only pick entries of x; these are applied by indexing, which costs less.
    """

    data: Array
    columns: Indices
    starts: Indices
    shape: tuple[int, int]

    @classmethod
    def of(cls, matrix: sparse.csr_array) -> Self:
        """Return the map of a matrix."""
        return cls(matrix.data, matrix.indices, matrix.indptr, matrix.shape)

    @cached_property
    def matrix(self) -> sparse.csr_array:
        """The matrix, for products. To make one takes long, and most maps need none."""
        return sparse.csr_array((self.data, self.columns, self.starts), shape=self.shape)

    def __call__(self, x: NDArray[Number]) -> NDArray[Number]:
        """Apply the map to vectors x (..., columns), and return (..., rows)."""
        if self._is_identity:
            return x
        if self._picks is not None:
            if self.entries.all():
                return np.take(x, self._picks, axis=-1)
            padded = np.concatenate([x, np.zeros((*x.shape[:-1], 1), x.dtype)], axis=-1)
            return np.take(padded, self._picks, axis=-1)
        return np.ascontiguousarray((self.matrix @ x.T).T)

    @property
    def rows(self) -> int:
        return self.shape[0]

    @cached_property
    def transpose(self) -> LinearMap:
        if self._picks is None:
            return LinearMap.of(sparse.csr_array(self.matrix.T))
        columns = self.shape[1]
        rows = np.argsort(self._picks, kind="stable")[: self.data.size]  # empty ones are last
        starts = np.concatenate([[0], np.cumsum(np.bincount(self._picks, minlength=columns))])
        return LinearMap(np.ones(rows.size), rows, starts[: columns + 1], (columns, self.rows))

    @cached_property
    def absolute(self) -> LinearMap:
        """The map whose matrix has the absolute values of all entries."""
        return self if (self.data >= 0).all() else replace(self, data=abs(self.data))

    @cached_property
    def entries(self) -> Indices:
        """The number of entries other than 0 in each row of the matrix (rows,)."""
        return np.diff(self.starts).astype(np.intp)

    @cached_property
    def powers_of_two(self) -> Mask:
        """For each row (rows,), whether all its entries are powers of two, so that products with
        them are exact.
        """
        if (self.data == 1).all():
            return np.ones(self.rows, dtype=bool)
        is_odd = np.frexp(abs(self.data))[0] != 0.5
        odd = sparse.csr_array((is_odd, self.columns, self.starts), shape=self.shape)
        even: Mask = np.asarray(odd.sum(axis=1)).ravel() == 0
        return even

    @cached_property
    def _picks(self) -> Indices | None:
        """For each row (rows,), the column of its only entry; None if an entry is not 1, or if a
        row has several.

        An empty row has the number of columns, which is one past the last column.
        """
        if (self.entries > 1).any() or (self.data != 1).any():
            return None
        picks = np.full(self.rows, self.shape[1], dtype=np.intp)
        picks[self.entries == 1] = self.columns
        return picks

    @cached_property
    def _is_identity(self) -> bool:
        rows, columns = self.shape
        return (
            self._picks is not None
            and rows == columns
            and bool((self._picks == np.arange(columns)).all())
        )
