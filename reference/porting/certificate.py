"""The certificate of a port: what was compared with what, how closely, and on which data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from harness.core.contract import NNET_CLIP, Array
from harness.core.verdict import Status, Verdict
from harness.text.harmless import one_line
from reference.porting.port import BY
from reference.rds.fit import FittedNet

SCALING = (
    "scaling not judged: a change of the data before nnet() was called is not in the object;"
    " scale() inside the formula is"
)


@dataclass(frozen=True)
class Certificate:
    """The certified facts about a port (a PyTorch module of a fitted network). Every text is for
    the reader.

    `verdicts` are those of the case in test_model.py. `clipped` is the share of hidden units, over
    all rows, whose argument lies beyond nnet's clip.
    """

    fit: str
    digest: str
    call: str
    net: str
    compared: str
    witness: str
    data: str
    verdicts: Sequence[Verdict]
    clipped: float
    caveats: tuple[str, ...]
    versions: Mapping[str, str]
    date: str

    @property
    def passes(self) -> bool:
        """Did every comparison pass?"""
        return all(verdict.status is Status.PASS for verdict in self.verdicts)

    def to_json(self, files: Mapping[str, str]) -> str:
        """Return the certificate as JSON, with the SHA-256 of each file of the port by its name."""
        data = asdict(self) | {"verdicts": [verdict.record() for verdict in self.verdicts]}
        whole = {"written_by": BY, "passes": self.passes, **data, "files": dict(files)}
        return json.dumps(whole, indent=1) + "\n"

    def to_markdown(self) -> str:
        """Return the certificate as Markdown."""
        facts = {
            "fit": f"{self.fit}, SHA-256 {self.digest}",
            "call": self.call,
            "net": self.net,
            "compared": self.compared,
            "with": self.witness,
            "on": self.data,
            "hidden units beyond the clip": f"{100 * self.clipped:.3g} %",
            "versions": ", ".join(f"{name} {value}" for name, value in self.versions.items()),
        }
        lines = [f"# {self.headline()}", "", f"Written by {BY} on {self.date}.", ""]
        lines += [f"- {name}: {one_line(text)}" for name, text in facts.items()]
        lines += ["", "Verdicts:", "", *map(_describe, self.verdicts)]
        return "\n".join(
            [*lines, "", "Not said by this:", "", *(f"- {c}" for c in self.caveats), ""]
        )

    def headline(self) -> str:
        """Return the result in one sentence."""
        if self.passes:
            share = max(verdict.budget_used or 0.0 for verdict in self.verdicts)
            return (
                f"The port predicts what {self.witness} predicts: the worst number uses"
                f" {100 * share:.2g} % of its rounding bound"
            )
        if any(verdict.status is Status.FAIL for verdict in self.verdicts):
            return f"The port does NOT predict what {self.witness} predicts"
        rest = [one for one in self.verdicts if one.status is not Status.PASS]
        open_ones = [f"{one.check} {one.status}" for one in rest]
        return f"Not everything could be judged: {', '.join(open_ones)}"


def _describe(verdict: Verdict) -> str:
    line = f"- {verdict.check}: {verdict.status}"
    if verdict.where is not None and verdict.actual is not None:
        line += f"; worst at {verdict.where}: {verdict.actual!r}, expected {verdict.expected!r}"
        line += f" within {verdict.allowed:.2g}"
    return line + (f" ({one_line(verdict.why)})" if verdict.why else "")


def clipped_share(net: FittedNet, inputs: Array) -> float:
    """Return the share of hidden units, over all rows of inputs (R, I), whose argument is beyond
    nnet's clip.

    R counts rows and I inputs.
    """
    top = net.topology
    whole = inputs[np.isfinite(inputs).all(axis=1)]
    if not top.hidden or not len(whole):
        return 0.0
    weights = net.wts[: top.hidden * (1 + top.inputs)].reshape(top.hidden, -1)
    return float((abs(whole @ weights[:, 1:].T + weights[:, 0]) > NNET_CLIP).mean())
