"""Gates of an LSTM or GRU that have tensors of their own: which gate a name means.

The names are those of tutorials and books: W_f, U_f, W_xf, Wf, forget_gate, W_hf.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from harness.evaluating.state import Shape
from harness.layouts.gates import USUAL
from harness.layouts.parts import Named, Part

LETTER = re.compile(r"[wubv]?[xhi]?([ifgcorzun])")
WORDS = {
    "input": "i",
    "forget": "f",
    "cell": "g",
    "candidate": "g",
    "output": "o",
    "reset": "r",
    "update": "z",
    "new": "n",
}
CALLED = {"c": "g", "u": "z"}  # other letters for a gate
ROWS = re.compile(r"\[(\d+):(\d+)\]")
TORCHS = re.compile(r"(weight|bias)_[ih]h(_l\d+)?(_reverse)?")


def order_by_gates(names: Sequence[Named]) -> list[Named]:
    """Return tensors with those of an LSTM's or GRU's gates in the usual order of gates: all input
    weights, all recurrent weights and so on. Other tensors keep their places.
    """
    groups = list_groups([name for name, _ in names])
    shapes = dict(names)
    ordered: dict[str, None] = {}
    for name, _ in names:
        group = next((each for each in groups if name in each), [name])
        ordered |= dict.fromkeys(group)
    return [(name, shapes[name]) for name in ordered]


def list_groups(names: Sequence[str]) -> list[list[str]]:
    """Return groups of names that differ in their gate only, each with all gates of an LSTM, or of
    a GRU, in the usual order.
    """
    kinds: dict[str, dict[str, str]] = {}
    for name in names:
        for pattern, gate in _read_gates(name):
            kinds.setdefault(pattern, {})[gate] = name
    groups = []
    for found in kinds.values():
        for usual in USUAL.values():
            if set(found) == set(usual):
                groups.append([found[gate] for gate in usual])
    return groups


def _read_gates(name: str) -> Iterator[tuple[str, str]]:
    """Yield a name with "#" in place of what may mean a gate, and the gate."""
    for match in re.finditer(r"[A-Za-z]+", name):
        word = match[0].lower()
        letter = LETTER.fullmatch(word)
        gate = WORDS.get(word) or (letter and CALLED.get(letter[1], letter[1]))
        if gate:
            before = match[0][:-1] if letter else ""
            yield f"{name[: match.start()]}{before}#{name[match.end() :]}", gate


def list_gate_clashes(parts: Mapping[str, Part], theirs: Mapping[str, Shape]) -> Iterator[str]:
    """Yield expressions that take a gate from another gate, by the names of both models' tensors;
    `theirs` has the shapes of the reference's.

    In a tensor that is called as torch's LSTM calls it, gates have torch's order.
    """
    mine, others = _name_gates(list(parts)), _name_gates(list(theirs))
    for name, part in parts.items():
        gates = [others[source] for source in part.sources if source in others]
        if name in mine:
            gates = gates or list(_read_rows(part, theirs))
            wrong = bool({*gates} - {mine[name]})
        else:
            usual = USUAL.get(len(gates), "") if TORCHS.search(name) else ""
            wrong = bool(usual) and "".join(gates) != usual
        if wrong:
            yield f"{name} = {part.text}"


def _name_gates(names: Sequence[str]) -> dict[str, str]:
    """Return the gate of each name that means one."""
    gates: dict[str, str] = {}
    for group in list_groups(names):
        gates |= dict(zip(group, USUAL[len(group)], strict=True))
    return gates


def _read_rows(part: Part, theirs: Mapping[str, Shape]) -> Iterator[str]:
    """Yield the gates whose rows an expression takes from tensors that are called as torch's."""
    if not part.sources or not all(TORCHS.search(source) for source in part.sources):
        return
    for first, last in ROWS.findall(part.text):
        size = int(last) - int(first)
        usual = USUAL.get(theirs[part.sources[0]][0] // size, "")
        yield usual[int(first) // size] if usual else "?"
