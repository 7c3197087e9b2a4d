"""The certificate of a port: what was compared, with whom, how near, and on which data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from harness.core.contract import NNET_CLIP, Array, Bounded, Contract
from harness.core.formulation import Formulation
from harness.core.judge import Judgement, Side, judge
from harness.core.naming import tensors
from harness.core.problem import Problem
from harness.text.harmless import one_line
from reference.porting.port import BY
from reference.r.nnet_reference import network_of
from reference.rds.fit import FittedNet

SCALING = (
    "scaling not judged: a change of the data before nnet() was called is not in the object;"
    " scale() inside the formula is"
)


@dataclass(frozen=True)
class Compared:
    """How near the predictions of a port are.

    `status` is that of a verdict. `share` is the share of the rounding bound that the worst number
    uses, `difference` the largest difference. `rows` were compared; `missing` more have a missing
    value, and `missing_agree` says that they are NaN on both sides. `clipped` is the share of
    hidden units, over all rows, whose argument lies beyond nnet's clip.
    """

    status: str
    share: float
    difference: float
    rows: int
    missing: int
    missing_agree: bool
    clipped: float

    @property
    def passes(self) -> bool:
        return self.status == "PASS" and self.missing_agree


def compare(
    net: FittedNet, inputs: Array, port: Array, theirs: Array | None, smooth: bool
) -> Compared:
    """Compare a port's predictions (R, O) with R's, or with nnet's equations if R's are None.

    `inputs` (R, I) enter the net. Raises ValueError if every row has a missing value.
    """
    whole = np.atleast_1d(np.isfinite(inputs).all(axis=1))
    if not whole.any():
        raise ValueError("no row is without a missing value: nothing can be compared")
    network = network_of(net.topology)
    x, rows = inputs[whole][None], int(whole.sum())
    targets = np.zeros((1, rows, net.topology.outputs))
    problem = Problem("fit", Formulation.identity(network), net.wts[None], x, targets)
    clipped = Contract(logistic_clip=NNET_CLIP)
    of_nnet = network.oracle(problem, clipped)["forward"]
    of_port = network.oracle(problem, Contract())["forward"] if smooth else of_nnet
    reference = Side(of_nnet.value, Bounded(of_nnet.value, np.zeros_like(of_nnet.error)))
    if theirs is not None:
        reference = Side(theirs[whole][None], of_nnet)
    subject = Side(port[whole][None], of_port)
    owners = [tensors(problem, "forward")[1]]
    found: Judgement = judge([subject], [reference], owners, clipped.largest)
    return Compared(
        status=found.status.name,
        share=found.budget_used,
        difference=float(abs(subject.answer - reference.answer).max()),
        rows=rows,
        missing=len(whole) - rows,
        missing_agree=bool(np.isnan(port[~whole]).all()),
        clipped=_clipped(net, x[0]),
    )


def _clipped(net: FittedNet, inputs: Array) -> float:
    """Return the share of hidden units, over all rows, beyond the clip."""
    top = net.topology
    if not top.hidden:
        return 0.0
    weights = net.wts[: top.hidden * (1 + top.inputs)].reshape(top.hidden, -1)
    return float((abs(inputs @ weights[:, 1:].T + weights[:, 0]) > NNET_CLIP).mean())


@dataclass(frozen=True)
class Certificate:
    """What a port is certified for; every field is a sentence or a number for the reader."""

    fit: str
    digest: str
    call: str
    net: str
    compared: str
    witness: str
    data: str
    result: Compared
    caveats: tuple[str, ...]
    versions: Mapping[str, str]
    date: str

    def to_json(self, files: Mapping[str, str]) -> str:
        """Return the certificate as JSON, with the SHA-256 of each file of the port by its name."""
        held = {"written_by": BY, "passes": self.result.passes, **asdict(self)}
        return json.dumps({**held, "files": dict(files)}, indent=1) + "\n"

    def to_markdown(self) -> str:
        """Return the certificate as Markdown."""
        result = self.result
        lines = [f"# {self.headline()}", "", f"Written by {BY} on {self.date}.", ""]
        rows = f"{result.rows}"
        if result.missing:
            same = "NaN on both sides" if result.missing_agree else "NOT all NaN in the port"
            rows += f", and {result.missing} with a missing value: {same}"
        versions = ", ".join(f"{name} {value}" for name, value in self.versions.items())
        facts = {
            "fit": f"{self.fit}, SHA-256 {self.digest}",
            "call": self.call,
            "net": self.net,
            "compared": self.compared,
            "with": self.witness,
            "on": self.data,
            "rows": rows,
            "largest difference": f"{result.difference:.3g}",
            "share of the rounding bound": f"{100 * result.share:.2g} % (mismatch: above 100 %)",
            "hidden units beyond the clip": f"{100 * result.clipped:.3g} %",
            "versions": versions,
        }
        lines += [f"- {name}: {one_line(text)}" for name, text in facts.items()]
        return "\n".join(
            [*lines, "", "Not said by this:", ""] + [f"- {c}" for c in self.caveats] + [""]
        )

    def headline(self) -> str:
        """Return the result in one sentence."""
        result = self.result
        if result.passes:
            return (
                f"The port predicts what {self.witness} predicts: the worst number uses"
                f" {100 * result.share:.2g} % of its rounding bound"
            )
        if result.status in ("PASS", "FAIL"):
            return f"The port does NOT predict what {self.witness} predicts"
        return (
            f"Nothing could be judged ({result.status}): all predictions are 0, or the bounds are"
            " too wide for these data"
        )
