"""Finds the map from the reference's parameters to the subject's: as the user states, by name, or
by trying.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.layouts.parts import Parts
from harness.mapping.converter import WrongMap, map_by_function
from harness.mapping.mapping import KEPT, ParameterMap
from harness.mapping.named import find_by_name
from harness.mapping.otherwise import hint_at_mistakes
from harness.mapping.pair import BY_NAME, Pair, list_left, make_map
from harness.mapping.searching import Search
from harness.mapping.words import read_words
from harness.text.harmless import shown

AS_BUILT = "as built"  # what a user says so that both models keep their own numbers


def find_map(pair: Pair, said: Any) -> ParameterMap:
    """Return the map from the reference's tensors to the subject's.

    `said` is the user's argument `parameters`: None, a dict from names to expressions such as
    "net.0.weight.T", a function of the reference's tensors, or "as built". Raises WrongMap, with a
    sentence, if it does not fit, or if no map is found.
    """
    if callable(said):
        return map_by_function(said, pair.ours, pair.theirs)
    if isinstance(said, str) and said == AS_BUILT:
        return ParameterMap(
            lambda state: {},
            KEPT,
            differentiable=False,
        )
    if said is not None and not isinstance(said, Mapping):
        raise WrongMap(
            f"parameters is {shown(said, 40)}, expected a dict of names, a function of the"
            f" reference's tensors, or {AS_BUILT!r}"
        )
    words = read_words(said, pair.ours, pair.theirs) if said else {}
    named = find_by_name(pair.ours, pair.theirs, words)
    rest, rest_theirs = list_left(pair, {**words, **named})
    if not rest and (words or not rest_theirs):
        mapping = make_map(pair, words, {**words, **named}, _describe(words, named))
        return mapping if words else hint_at_mistakes(pair, mapping, named)
    return Search(pair, words, named).find()


def _describe(words: Parts, named: Parts) -> str:
    if not words:
        return BY_NAME
    return f"as you say, the rest {BY_NAME}" if named else "as you say"
