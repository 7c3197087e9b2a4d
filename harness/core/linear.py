"""A linear map between parameter vectors, applied to stacks of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from harness.core.contract import Number


@dataclass(frozen=True, eq=False)
class LinearMap:
    """The linear map y = matrix @ x, for arrays of vectors x (..., columns) of any dtype.

    Most maps only pick entries of x; these are applied by indexing, which costs less.
    """

    matrix: sparse.csr_array

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
        return int(self.matrix.shape[0])

    @cached_property
    def transpose(self) -> LinearMap:
        if self._picks is None:
            return LinearMap(sparse.csr_array(self.matrix.T))
        columns = self.matrix.shape[1]
        rows = np.argsort(self._picks, kind="stable")[: self.matrix.nnz]  # empty ones are last
        starts = np.concatenate([[0], np.cumsum(np.bincount(self._picks, minlength=columns))])
        entries = np.ones(rows.size), rows, starts[: columns + 1]
        return LinearMap(sparse.csr_array(entries, shape=(columns, self.rows)))

    @cached_property
    def absolute(self) -> LinearMap:
        """The map whose matrix has the absolute values of all entries."""
        return self if (self.matrix.data >= 0).all() else LinearMap(abs(self.matrix))

    @cached_property
    def entries(self) -> NDArray[np.intp]:
        """The number of entries other than 0 in each row of the matrix (rows,)."""
        starts: NDArray[np.intp] = self.matrix.indptr.astype(np.intp)
        return starts[1:] - starts[:-1]

    @cached_property
    def powers_of_two(self) -> NDArray[np.bool_]:
        """For each row (rows,), whether all its entries are powers of two, so that products with
        them are exact.
        """
        m = self.matrix
        if (m.data == 1).all():
            return np.ones(self.rows, dtype=bool)
        odd = sparse.csr_array(
            (np.frexp(abs(m.data))[0] != 0.5, m.indices, m.indptr), shape=m.shape
        )
        even: NDArray[np.bool_] = np.asarray(odd.sum(axis=1)).ravel() == 0
        return even

    @cached_property
    def _picks(self) -> NDArray[np.intp] | None:
        """For each row (rows,), the column of its only entry; None if an entry is not 1, or if a
        row has several.

        An empty row has the number of columns, which is one past the last column.
        """
        if (self.entries > 1).any() or (self.matrix.data != 1).any():
            return None
        picks = np.full(self.rows, self.matrix.shape[1], dtype=np.intp)
        picks[self.entries == 1] = self.matrix.indices
        return picks

    @cached_property
    def _is_identity(self) -> bool:
        rows, columns = self.matrix.shape
        return (
            self._picks is not None
            and rows == columns
            and bool((self._picks == np.arange(columns)).all())
        )
