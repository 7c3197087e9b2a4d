"""Another layout in which a model may store its tensors: the same shapes, and numbers at other
places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.layouts.parts import Part, Parts, replaced


@dataclass(frozen=True, eq=False)
class Layout:
    """A layout of some of the reference's tensors (`theirs`: expressions to put in their place), or
    of some of the subject's (`ours`: functions of the expression in the usual layout).

    `said` says in words where numbers stand, with {ours} and {theirs} in place of the models'
    names. `assumed` says that the layout is one of a known framework, and may be assumed where no
    name contradicts it. Another layout is only a hint. `named` says that names of tensors tell it.
    """

    said: str
    theirs: Mapping[str, Part] = field(default_factory=dict)
    ours: Mapping[str, Callable[[Part], Part]] = field(default_factory=dict)
    assumed: bool = True
    named: bool = False

    def describe(self, ours: str, theirs: str) -> str:
        """Return the layout in words, with the names of the models."""
        return self.said.format(ours=ours, theirs=theirs)

    def apply(self, parts: Parts) -> Parts:
        """Return expressions of the subject's tensors in this layout, given those in the usual
        one.
        """
        return {name: self._apply_to(name, part) for name, part in parts.items()}

    def _apply_to(self, name: str, part: Part) -> Part:
        part = replaced(part, self.theirs)
        return self.ours[name](part) if name in self.ours else part

    def list_clashes(self, parts: Parts) -> list[str]:
        """Return the expressions by which a tensor in this layout comes from a tensor of the same
        name in the usual layout: names then say that no layout differs.
        """
        return [
            f"{name} = {part.text}"
            for name, part in parts.items()
            if name in self.ours or {*part.sources} & {*self.theirs}
            if any(_name_layer(name) == _name_layer(source) for source in part.sources)
        ]


def _name_layer(name: str) -> str:
    """Return the last part of a tensor's name, without the number of a layer of torch's LSTM; where
    it is "weight" or "bias", with the part before.
    """
    parts = name.split(".")
    leaf = parts[-1].partition("_l0")[0]
    return ".".join(parts[-2:]) if leaf in ("weight", "bias") else leaf
