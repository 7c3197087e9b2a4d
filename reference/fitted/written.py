"""Predictions that R's own pipeline has written into a csv file, with a limited number of
digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from os import PathLike
from pathlib import Path

import numpy as np

from harness.core.contract import Array
from reference.rds.rows import NA, is_number, read_table

EXACT = 17  # significant digits that carry every float64


@dataclass(frozen=True, eq=False)
class Written:
    """Predictions (R, O) as they were written, and the rounding error of each from keeping `digits`
    significant digits.

    NaN is a missing value. R counts rows and O outputs.
    """

    predictions: Array
    error: Array
    digits: int
    where: str


def read_predictions(given: object, rows: int, outputs: int) -> Written:
    """Return the predictions of a csv file with one column for each output, or of an array.

    A first column without a name (R's row names) is left out, and so is a first column of texts
    (the names of classes). Raises ValueError for another shape.
    """
    if not isinstance(given, str | PathLike):
        array = np.asarray(given, dtype=np.float64).reshape(-1, outputs)
        _expect(array.shape, rows, outputs, "predictions")
        return Written(array, np.zeros_like(array), EXACT, "predictions")
    path = Path(given)
    names, lines = read_table(path)
    is_more = len(names) == outputs + 1
    skipped = 1 if is_more and (names[0] == "" or not is_number(lines[0][0])) else 0
    texts = [line[skipped:] for line in lines]
    _expect((len(texts), len(names) - skipped), rows, outputs, str(path))
    try:
        numbers = [[_number(text) for text in line] for line in texts]
        array = np.array([[float(number) for number in line] for line in numbers])
    except (InvalidOperation, ValueError):
        raise ValueError(f"{path} holds what is no number, expected predictions of R") from None
    digits = max(len(number.as_tuple().digits) for line in numbers for number in line)
    if digits >= EXACT:
        return Written(array, np.zeros_like(array), EXACT, path.name)
    # half a unit of the last digit that is kept, or of the last decimal, whichever is coarser
    places = np.floor(np.log10(np.where(array == 0, 1.0, abs(array)))) + 1 - digits
    decimals = min(_exponent(number) for line in numbers for number in line)
    return Written(array, 0.5 * 10.0 ** np.maximum(places, decimals), digits, path.name)


def _exponent(number: Decimal) -> int:
    """Return the decimal exponent of a number's last digit: -2 for 1.25."""
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _number(text: str) -> Decimal:
    return Decimal("NaN" if text in (NA, "") else text)


def _expect(shape: tuple[int, ...], rows: int, outputs: int, where: str) -> None:
    if shape != (rows, outputs):
        raise ValueError(
            f"{where} has shape {shape}, expected {(rows, outputs)}: a prediction of each"
            " output for each row of x"
        )
