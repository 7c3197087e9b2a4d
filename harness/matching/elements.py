"""Chooses the numbers by which an answer is judged: a sum of all its elements, and single
elements.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from harness.rules.registry import flatten, list_largest
from harness.shadow.adjoint import draw_signs

NOISE = 2.0**-49  # of the largest element: smaller differences of one element are not looked into
LEAST = 5e-324  # makes 0 / 0 a share of 0
# Of the largest element: smaller differences are of second order in float64's roundoff, whose
# square is 2^-106, and bounds are of first order.
SECOND_ORDER = 2.0**-100
SMALL = 2.0**-30  # of an element itself: smaller differences of small elements are not looked into


@dataclass(frozen=True, eq=False)
class Question:
    """A weighted sum of an answer's elements, by which two models are compared.

    `name` is the answer's name. `where` is the index of the only element with a weight, if there is
    only one. `of_run` says that this element was chosen by the answer of a run without recording.
    """

    name: str
    weights: Tensor
    where: tuple[int, ...] = ()
    of_run: bool = False


def list_questions(
    answers: Mapping[str, tuple[Tensor, Tensor]], generator: torch.Generator
) -> list[Question]:
    """Return the weighted sums by which answers are compared; each is given by its name, as the
    reference's and the subject's numbers.

    For each answer they are a random weighted sum of all elements, the element that differs most,
    and the element that differs most relative to its size. The latter two are left out if they
    differ only by a few roundings.
    """
    if not answers:
        return []
    expected, actual = (flatten(side) for side in zip(*answers.values(), strict=True))
    size, difference = abs(expected), abs(actual - expected)
    share = difference / (size + abs(actual) + LEAST)
    lengths = [each.numel() for each, _ in answers.values()]
    signs = draw_signs(expected, generator).split_with_sizes(lengths)
    figures = torch.stack([size, difference, share])
    largest = zip(*list_largest(figures, lengths), strict=True)
    questions = []
    for (name, (like, _)), weights, (_, apart, shares), (most, most_apart, most_share) in zip(
        answers.items(), signs, figures.split_with_sizes(lengths, 1), largest, strict=True
    ):
        questions.append(Question(name, weights.reshape(like.shape)))
        if like.numel() == 1:
            continue
        places = [int(apart.argmax())] if most_apart > NOISE * most else []
        if most_share > SMALL:
            shares = torch.where(apart > SECOND_ORDER * most, shares, 0.0)
            if shares.max() > SMALL:
                places.append(int(shares.argmax()))
        questions += [ask_element(name, like, place) for place in dict.fromkeys(places)]
    return questions


def ask_element(name: str, like: Tensor, place: int, of_run: bool = False) -> Question:
    """Return the weighted sum that has only one element, given its position in the flattened
    answer.
    """
    weights = torch.zeros(like.shape, dtype=like.dtype, device=like.device)  # in order, as `place`
    weights.view(-1)[place] = 1.0
    indices = np.unravel_index(place, like.shape)
    return Question(name, weights, tuple(int(each) for each in indices), of_run)


def is_finite(tensor: Tensor) -> bool:
    """Are all numbers of an answer finite? An answer whose sum overflows does not count as
    finite.
    """
    return math.isfinite(tensor.sum().item())


def have_same_infinities(one: Tensor, other: Tensor) -> bool:
    """Do two answers have infinities and NaN in the same elements?"""
    return torch.equal(_blank_finite(one), _blank_finite(other))


def _blank_finite(tensor: Tensor) -> Tensor:
    """Return a copy of a tensor in which finite elements are 0, NaN is 2, and infinities are 1 or
    -1.
    """
    sign = torch.where(torch.isinf(tensor), torch.sign(tensor), 0.0)
    return torch.where(torch.isnan(tensor), 2.0, sign)
