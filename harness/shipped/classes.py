"""Compares the classes that a port gives to rows with those of the fitted object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.core.contract import Array, Indices
from harness.core.implementation import Missing
from harness.model.errors import WrongAnswer
from harness.shipped.truth import Table, Truth
from harness.text.harmless import shown


def ask_classes(module: Any, given: Sequence[Any], names: Sequence[str]) -> Indices | None:
    """Return the numbers of the classes (R,) from a module's own classes(); None if it has no such
    method.

    The method must return a name for each row, or the number of a class. Raises WrongAnswer for
    anything else.
    """
    classes = getattr(module, "classes", None)
    if not callable(classes):
        return None
    answer = classes(*given)
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu().numpy()
    given_classes = np.asarray(answer)
    rows = len(given[0])
    if given_classes.shape != (rows,):
        raise WrongAnswer(
            f"has a classes() that gave an answer of shape {given_classes.shape}, expected"
            f" {rows} names"
        )
    if given_classes.dtype.kind in "iu":
        return given_classes.astype(np.intp)
    places = {name: place for place, name in enumerate(names)}
    unknown = [name for name in given_classes.tolist() if name not in places]
    if unknown:
        raise WrongAnswer(
            f"has a classes() that gave {shown(unknown[0], 40)}, expected one of {', '.join(names)}"
        )
    return np.array([places[name] for name in given_classes.tolist()], dtype=np.intp)


def most_probable(outputs: Array) -> Indices:
    """Return the number of the most probable class of each row (R,); 0 or 1 if there is one
    output.
    """
    if outputs.shape[1] == 1:
        return np.asarray(outputs[:, 0] > 0.5, np.intp)
    return np.asarray(np.nan_to_num(outputs, nan=-np.inf).argmax(axis=1), np.intp)


def find_wrong_class(
    truth: Truth, table: Table, outputs: Array, classes: Indices | Missing | None
) -> str:
    """Return a sentence on the first row for which a port (a PyTorch model) predicts another class
    than R; "" if there is none.

    `classes` are the results of the port's own classes() for the rows without a tie. If it has no
    such method (None), the most probable classes count.
    """
    if table.classes is None or isinstance(classes, Missing):
        return ""
    rows = np.flatnonzero(table.classes >= 0)
    expected = table.classes[rows]
    mine = most_probable(outputs)[rows] if classes is None else classes
    wrong = np.flatnonzero(mine != expected)
    if not len(wrong):
        return ""
    first = wrong[0]
    got = mine[first]
    named = truth.classes[got] if 0 <= got < len(truth.classes) else str(got)
    where = f"row {table.places[rows[first]]} ({table.name})"
    by = "the largest output" if classes is None else "classes()"
    sentence = (
        f"{where} is of class {named} by {by}, R says {truth.classes[expected[first]]};"
        f" {len(wrong)} of {len(rows)} rows differ"
    )
    if mine.max() == len(truth.classes) and (mine == expected + 1).all():
        return f"{sentence}. Its numbers are R's plus 1: the number of {truth.classes[0]} is 0 here"
    order = _find_order(truth, mine, expected)
    return f"{sentence}. Its classes are R's in another order: {order}" if order else sentence


def _find_order(truth: Truth, mine: Indices, expected: Indices) -> str:
    """Return in words which class of R each of the port's classes is, if the port (a PyTorch model)
    only numbers them differently; else "".

    `mine` and `expected` are the port's and R's number of the class of each row.
    """
    pairs = sorted(set(zip(mine.tolist(), expected.tolist(), strict=True)))
    first, second = {one for one, _ in pairs}, {other for _, other in pairs}
    if len(pairs) < 2 or len(first) != len(pairs) or len(second) != len(pairs):
        return ""
    if not all(0 <= one < len(truth.classes) for one in first):
        return ""
    return ", ".join(f"its {truth.classes[a]} is R's {truth.classes[b]}" for a, b in pairs)


def describe_classes(truth: Truth) -> str:
    """Return a sentence on the rows whose classes were compared; "" if there are no classes."""
    known = [table.classes for table in truth.tables if table.classes is not None]
    if not known:
        return ""
    every = np.concatenate(known)
    ties = int((every < 0).sum())
    sentence = f"; of R's class in {len(every) - ties} rows"
    if ties:
        sentence += f" ({ties} have a tie within 1e-5, in which R draws the class)"
    return f"{sentence}. {truth.class_note}" if truth.class_note else sentence
