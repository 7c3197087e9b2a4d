"""The R reference: nnet's own forward pass, loss and back-propagation, live or recorded."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from harness.core.contract import NNET_CLIP, NNET_FLOOR, NNET_LOST, Contract
from harness.core.formulation import Family
from harness.core.implementation import Missing, Observation
from harness.core.loss import OF_A_ROW, Error
from harness.core.problem import STEP, Problem
from harness.core.verdict import Status
from reference.mathematics.network import Network
from reference.mathematics.questions import at_theta
from reference.nnet.losses import (
    find_decay,
    find_error,
    find_row_weights,
    find_targets,
    list_quantities,
    without_loss,
)
from reference.nnet.networks import as_logistic, cannot_compute
from reference.r.preflight import RUnavailable
from reference.r.recorded import choose_session
from reference.r.session import RCrashed, RError, RSession
from reference.r.topology import Topology

NNET = Contract(
    "float64",
    logistic_clip=NNET_CLIP,
    from_probabilities=True,
    log_floor=NNET_FLOOR,
    log_lost=NNET_LOST,
)
LIVE = RSession()  # the one R of this process, which the first ask starts


@dataclass(frozen=True)
class RNnet:
    """R's nnet as a reference.

    Its hidden units are logistic, or tanh computed as 2 logistic(2z) - 1; its outputs are linear,
    logistic or, with its own loss for them, a softmax. nnet clips its logistic function (it is
    exactly 0 or 1 beyond |z| = 15), and the contract declares this unless `declare_clip` is False.
    `r` is the session that answers for R: R itself, a recording of R, or a session that only states
    why neither can answer.
    """

    declare_clip: bool = True
    r: Any = field(default=LIVE, repr=False)

    @property
    def source(self) -> str:
        return str(self.r.source)

    @property
    def name(self) -> str:
        return "r_nnet" if self.declare_clip else "r_nnet_undeclared"

    def title(self) -> str:
        versions = self.versions()
        return f"R nnet {versions['nnet']} ({self.r.provenance})" if versions else "R nnet"

    def answering(self, file: str, case: str, states_only: bool, mode: Any) -> Self:
        """Return this reference with the session that answers for R in one case of a test file.

        `mode` chooses the session: "auto", "live" or "recorded", or a session itself. `states_only`
        says that the case is only judged at states of training runs, which no recording holds.

        Raises LookupError if R must be live and is not available, and ValueError if the case's
        recording is damaged.
        """
        session = choose_session(self.r, file, case, states_only, mode)
        return self if session is self.r else replace(self, r=session)

    def versions(self) -> dict[str, str]:
        """Return the versions of R and nnet for the report.

        If a recording answers instead of R, the dictionary holds its date too. It is empty if there
        is neither R nor a recording.
        """
        try:
            versions = self.r.versions()
        except (RUnavailable, RCrashed):
            return {}
        return {name: versions[name] for name in ("R", "nnet", "recorded") if name in versions}

    def wake(self) -> None:
        """Start R without waiting for it; starting takes half a second."""
        with suppress(RUnavailable):
            self.r.start()

    def lacks(
        self, network: Family, quantity: str, dtype: str = "float64", device: str = "cpu"
    ) -> str | None:
        if why := cannot_compute(network):
            return why
        if quantity == STEP:
            return "R nnet does not report optimiser steps"
        if quantity == "input_gradient":
            return "R nnet gives no gradient by the inputs"
        return None

    def cannot_answer(
        self, network: Family, quantity: str, dtype: str = "float64", device: str = "cpu"
    ) -> str | None:
        if why := self.lacks(network, quantity, dtype, device):
            return why
        try:
            self.r.versions()
        except RUnavailable as error:
            return str(error)
        return None

    def contract(self, dtype: str = "float64") -> Contract:
        """Return nnet's contract (the declared properties of its arithmetic). It is for float64 in
        trials of every dtype.
        """
        return self.real_contract() if self.declare_clip else replace(NNET, logistic_clip=None)

    def real_contract(self) -> Contract:
        """Return the contract (properties of the arithmetic) with nnet's clip of the logistic's
        argument, even if `contract` leaves the clip out.
        """
        return NNET

    def as_evaluated(self, problem: Problem) -> Problem:
        network: Any = problem.network
        if network.activation == "tanh":
            return problem.through(as_logistic(network))
        return problem

    def script(self, problem: Problem) -> tuple[str, str] | None:
        """Return "R" and the text of an R script that runs nnet's engine on a problem of one draw,
        see `engine`.

        Return None unless R itself answers.
        """
        if self.source != "live":
            return None
        return "R", engine(self.as_evaluated(at_theta(problem)))

    def observe(self, problem: Problem, dtype: str = "float64", device: str = "cpu") -> Observation:
        quantities, why = list_quantities(problem)
        missing = Missing(Status.ABSENT, why) if why else None
        if not quantities:
            return Observation({}, missing)
        question = self.as_evaluated(at_theta(problem))
        if quantities == ("forward",):
            question = without_loss(question)
        network: Any = question.formulation.network
        error = find_error(question)
        try:
            answer = self.r.evaluate(
                topology(network, error),
                question.theta,
                question.inputs,
                find_targets(question),
                find_row_weights(question),
                find_decay(question),
                are_logits(network, error),
            )
        except RUnavailable as reason:
            return Observation({}, Missing(Status.ABSENT, str(reason)))
        except (RCrashed, RError) as reason:
            return Observation({}, Missing(Status.BROKEN, f"R nnet: {reason}"))
        gradient = question.formulation.pull_back(answer.gradient)
        values = {"forward": answer.outputs, "loss": answer.value, "gradient": gradient}
        return Observation({name: values[name] for name in quantities}, missing)


@cache
def topology(network: Network, error: Error = "squares") -> Topology:
    """Return a network as lists of connections, in nnet's form, with an error that nnet supports.

    Its units are numbered in this order: 0 is the bias, then inputs, hidden units and outputs.
    """
    sources = sum(network.inputs)
    hidden = [(0, *(1 + np.flatnonzero(mask))) for mask in network.to_hidden]
    outputs = []
    for from_hidden, from_inputs in zip(network.to_output, network.skip, strict=True):
        hidden_units = 1 + sources + np.flatnonzero(from_hidden)
        outputs.append((0, *hidden_units, *(1 + np.flatnonzero(from_inputs))))
    connections = tuple(tuple(map(int, unit)) for unit in (*hidden, *outputs))
    linear = error in OF_A_ROW or (error == "squares" and network.output == "identity")
    return Topology(sources, network.hidden, sum(network.outputs), connections, linear, error)


def are_logits(network: Network, error: str) -> bool:
    """Are a network's outputs logits? nnet then computes the error from their probabilities."""
    return error != "squares" and network.output == "identity"


def network_of(topology: Topology) -> Network:
    """Return the network with this topology and logistic hidden units.

    Raises ValueError for connections that nnet() does not build, or lists in another order.
    """
    if not topology.is_dense:
        found = ""
        for unit, sources in enumerate(topology.connections, 1 + topology.inputs):
            found += f", unit {unit} from {', '.join(map(str, sources))}"
        raise ValueError(
            f"a net of {topology.inputs} inputs, {topology.hidden} hidden units and"
            f" {topology.outputs} outputs has connections{found[1:]}; expected those of nnet(),"
            " with skip or without, in its order: write Network(...) with masks, and its weights"
            " in that order"
        )
    return Network(
        topology.inputs,
        topology.hidden,
        topology.outputs,
        "logistic",
        topology.output,
        skip=topology.has_skip,
    )


def engine(problem: Problem) -> str:
    """Return the text of an R script that runs nnet's engine on a problem of one draw.

    The script prints the loss, its gradient by the weights, and the outputs.
    """
    network: Any = problem.network
    error = find_error(problem)
    n, nconn, conn, linear, flags = topology(network, error).engine
    data = [*problem.inputs[0].T.ravel(), *find_targets(problem)[0].T.ravel()]
    weights = find_row_weights(problem)
    share = np.ones(1) if weights is None else weights[0]
    if (share == share[0]).all():
        share = share[:1]
    arguments = {
        "n": n,
        "nconn": nconn,
        "conn": conn,
        "linear": linear,
        "flags": flags,
        "w": problem.theta[0],
        "data": data,
        "decay": np.atleast_1d(find_decay(problem)),
        "share": share,
        "logits": [are_logits(network, error)],
    }
    lines = []
    for name, numbers in arguments.items():
        texts = [f"{number:.17g}" for number in numbers]
        lines.append(f"{name} <- c({', '.join(texts)})\n")
    return "".join(lines) + Path(__file__).with_name("alone.R").read_text(encoding="utf-8")


r_nnet = RNnet()
