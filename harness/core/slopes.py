"""Reads the slopes of an affine function of a vector into a sparse matrix, from values of the
function.

The function maps P own parameters (a model's own tensors, flattened) to theta, the T parameters of
a network. The image of a vector is the function's value there. Places are positions in the vector
of own parameters.
"""

from collections.abc import Callable, Iterator
from math import isqrt

import numpy as np
from scipy import sparse

from harness.core.contract import Array, Indices
from harness.core.layout import Layout
from harness.core.linear import LinearMap
from harness.waiting.progress import Say

Image = Callable[[Array], Array]
Entries = tuple[Indices, Indices, Array]  # rows, columns, slopes
# beside a number as large as this a constant is lost in rounding, so that slopes come out exact
UNIT = 2.0**200
# relative: what a few roundings change, sixteen at most, on a number's way through the function
SAME = 2.0**-49
MOST_ENTRIES = 10_000_000  # of a map: it takes 0.9 GB, and 10 s to read
MOST_WORK = 2**33  # numbers in all images of a block: 4 to 10 ns each, a minute or so


class NotAffine(ValueError):
    """Raised if the function is not an affine map."""

    def __init__(self) -> None:
        super().__init__(
            "the meaning of the parameters is not an affine map: use sums, slices and constants"
            " only"
        )


class TooLarge(ValueError):
    """Raised if a map has too many entries, or takes too much time to read."""


def read_slopes(own: Layout, image: Image, constant: Array, say: Say) -> sparse.csr_array:
    """Return the matrix N (T, P) of the affine function `image`: own parameters (P,) to N own +
    constant (T,).

    `own` is the layout of own parameters. The columns of several parameters of a block are read
    together if no two of these parameters enter the same entry of an image. Two images are enough
    for such a group. With ones in these places, the image gives the slopes; with numbers that all
    differ, it shows the parameter of each slope. `say` gets progress messages. No dense matrix is
    made. Raises TooLarge, and NotAffine if an image is not finite.
    """
    _expect_parameters(own)
    reader = _Reader(own, image, constant, say)
    for block in own.blocks:
        reader.read(block.places[block.places >= 0].ravel())
    return reader.matrix()


def read_picks(own: Layout, image: Image, constant: Array) -> LinearMap:
    """Return the linear map N (T, P) of a function `image` whose every entry is one own parameter
    or a constant.

    One image shows it: that of the numbers 1 to P. Raises TooLarge, and NotAffine if an image is
    not finite.
    """
    _expect_parameters(own)
    numbers = image(np.arange(1.0, own.size + 1)) - constant
    if not np.isfinite(numbers).all():
        raise NotAffine
    picked = numbers != 0
    _expect_entries(int(picked.sum()))
    columns = numbers[picked].astype(np.intp) - 1
    starts = np.concatenate([[0], np.cumsum(picked)])
    return LinearMap(np.ones(columns.size), columns, starts, (constant.size, own.size))


def _expect_parameters(own: Layout) -> None:
    if not own.size:
        raise ValueError("there are no parameters, expected at least one")


def _expect_entries(count: int) -> None:
    """Raise TooLarge if a map has so many entries."""
    if count > MOST_ENTRIES:
        raise TooLarge(
            f"the map from the parameters to the network's has more than {MOST_ENTRIES:,} factors,"
            " as where a full matrix multiplies the weights: apply that matrix to the data instead,"
            " or use a smaller network"
        )


class _Reader:
    """Reads the entries of the matrix, block by block."""

    def __init__(self, own: Layout, image: Image, constant: Array, say: Say) -> None:
        self.own, self.image, self.constant, self.say = own, image, constant, say
        self.numbers = np.random.default_rng(0).uniform(1, 2, own.size)
        self.found: list[Entries] = []
        self.read_so_far = 0

    def read(self, places: Indices) -> None:
        """Read the columns of the parameters in these places, in as few groups as possible.

        No two parameters of a group may enter the same entry of an image.
        """
        for count in group_counts(places.size):
            images = count if count == places.size else 2 * count
            if images * (self.own.size + self.constant.size) > MOST_WORK:
                raise TooLarge(
                    f"{self.own.size:,} parameters are too many to read one by one what they mean,"
                    " which long sums of weights make necessary: apply such sums to the data"
                    " instead, or use a smaller network"
                )
            groups: list[Entries] = []
            for first in range(count):
                if (entries := self.group(places[first::count])) is None:
                    break
                groups.append(entries)
                self.refuse_many(groups)
                done = (self.read_so_far + places.size * (first + 1) / count) / self.own.size
                self.say(f"reading what the parameters mean: {done:.0%}")
            else:
                self.found += groups
                self.read_so_far += places.size
                return

    def group(self, places: Indices) -> Entries | None:
        """Read the columns of one group of parameters, from two images.

        Return the rows, columns and slopes of all entries; None if two of the columns have an entry
        in the same row.
        """
        slopes = self.slopes(places, np.ones(places.size))
        if places.size == 1:
            rows = np.flatnonzero(slopes)
            return rows, np.full(rows.size, places[0]), slopes[rows]
        numbers = self.numbers[places]
        numbered = self.slopes(places, numbers)
        rows = np.flatnonzero((slopes != 0) | (numbered != 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            quotients = numbered[rows] / slopes[rows]
        order = np.argsort(numbers)
        above = np.clip(np.searchsorted(numbers[order], quotients), 1, places.size - 1)
        nearer = quotients - numbers[order][above - 1] < numbers[order][above] - quotients
        which = order[above - nearer]
        if not (abs(numbers[which] - quotients) <= SAME * quotients).all():  # false for NaN too
            return None
        return rows, places[which], slopes[rows]

    def slopes(self, places: Indices, numbers: Array) -> Array:
        """Return the slopes (T,) of the function along a vector of own parameters.

        The vector has the given numbers in the given places, and 0 elsewhere.
        """
        vector = np.zeros(self.own.size)
        vector[places] = numbers * UNIT
        slopes = (self.image(vector) - self.constant) / UNIT
        if not np.isfinite(slopes).all():
            raise NotAffine
        return slopes

    def refuse_many(self, entries: list[Entries]) -> None:
        """Raise TooLarge if these entries, together with all entries that were read before, are too
        many.
        """
        _expect_entries(sum(rows.size for rows, _, _ in [*self.found, *entries]))

    def matrix(self) -> sparse.csr_array:
        """Return the matrix (T, P) of all entries that were read."""
        rows, columns, slopes = (np.concatenate(part) for part in zip(*self.found, strict=True))
        shape = self.constant.size, self.own.size
        return sparse.csr_array(sparse.coo_array((slopes, (rows, columns)), shape=shape))


def group_counts(size: int) -> Iterator[int]:
    """Yield numbers of groups to try for `size` parameters: 1, then primes that grow by a half each
    time, and `size` at last.

    With n groups, parameters n places apart are in the same group. Suppose that the function adds
    up numbers along one axis of a tensor. The summands are in different groups if n is a prime, is
    at least the number of summands, and does not divide the product of the lengths of the later
    axes.
    """
    count = 1
    while count < size:
        yield count
        count += count // 2 + 1
        while any(count % divisor == 0 for divisor in range(2, isqrt(count) + 1)):
            count += 1
    yield size
