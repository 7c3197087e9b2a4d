"""The interface of implementations, subjects and references alike, and the answers that they give.

A subject is an implementation that is judged; a reference is compared with it. In shapes, D counts
draws (problems of a stack), R rows of data, I inputs of all groups, O outputs of all heads, and W
intermediate numbers of a row. T counts the network's parameters, which form the vector theta in the
order of R's nnet. P counts own parameters: the model's own tensors, flattened.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from harness.core.contract import Array, Contract
from harness.core.formulation import Family, Formulation
from harness.core.problem import Problem
from harness.core.verdict import Status
from harness.waiting.progress import Say


@dataclass(frozen=True)
class Missing:
    """The reason why an answer is missing, with the status that this gives the trial: BROKEN,
    ABSENT or FAIL.

    `of_subject` says that the missing answer is the subject's, not the reference's.
    """

    status: Status
    why: str
    of_subject: bool = False


@dataclass(frozen=True, eq=False)
class Observation:
    """The answers of an implementation to a stack of problems, by quantity, in float64.

    `values` holds forward (D, R, O), loss (D,), gradient and input_gradient (D, R, I). The gradient
    is by theta, the network's parameters (D, T). If `by_own` is set, it is by own parameters, the
    model's own tensors (D, P). `missing` is the reason why a quantity has no value.

    `seen` (D, R, W) are the model's intermediate numbers, W for each row. `others` are the model's
    answers under other conditions (under no_grad, in eval()), by condition and by quantity, if they
    differ from its answers in any bit. `ran` says how a model for torch.compile ran: compiled,
    compiled in part, or eager.

    `asked` names the modes and layouts in which the model was called. `conditions` tells which
    draws were called in another memory layout, or after an earlier call. Its keys are the kind of
    condition and then the number of the draw; its values are the end of the sentence that reports a
    wrong answer.
    """

    values: Mapping[str, Array]
    missing: Missing | None = None
    by_own: bool = False
    seen: Array | None = None
    others: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    ran: str = ""
    asked: frozenset[str] = frozenset()
    conditions: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    def answer(self, quantity: str) -> Array | Missing:
        if quantity in self.values:
            return self.values[quantity]
        return self.missing or Missing(Status.BROKEN, f"gave no {quantity}")


class Implementation(Protocol):
    """The interface of everything that answers problems: `r_nnet`, `numpy_net`, a PyTorch model, a
    user's function.

    A trial compares two implementations, its subject (which is judged) and its reference. A
    reference always computes on the CPU; if it has a dtype of its own, it ignores the trial's
    `dtype`.
    """

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> str:
        """The source of the answers: "live", "recorded", "stated" or "computed".

        It is "live" if R computes them in this run, "recorded" if R computed them earlier, "stated"
        if their bounds are stated and not derived, and "computed" otherwise.
        """

    def title(self) -> str:
        """Return the name and version of a reference, as a failure shows them."""

    def contract(self, dtype: str) -> Contract:
        """Return its contract in a dtype: the arithmetic and the accuracy that it promises."""

    def cannot_answer(self, network: Family, quantity: str, dtype: str, device: str) -> str | None:
        """Return why it cannot compute a quantity of a network; None if it can."""

    def as_evaluated(self, problem: Problem) -> Problem:
        """Return a copy of the problem for the network that it really evaluates.

        For example, R's nnet evaluates tanh as a logistic.
        """

    def observe(self, problem: Problem, dtype: str, device: str) -> Observation:
        """Return the answers to a problem at its `theta`, the network's parameters.

        The gradient is by theta too, unless the observation sets `by_own`.
        """


@runtime_checkable
class Limited(Protocol):
    """An implementation that never answers some questions, on any machine."""

    def lacks(self, network: Family, quantity: str, dtype: str, device: str) -> str | None:
        """Return why it never answers a quantity of a network; None if it may answer.

        It starts no process and reads no file, since it is called while pytest collects.
        """


@runtime_checkable
class Candidate(Implementation, Protocol):
    """An implementation that can be a subject: it has parameters of its own, and states their
    meaning.

    As a subject (the implementation that is judged) it is evaluated at its own parameters,
    `Problem.own`. `network` is the network that these parameters belong to, None for the case's.
    `known` is the reason why it is known to fail, if there is one.
    """

    @property
    def network(self) -> Family | None: ...

    @property
    def meaning_key(self) -> Hashable:
        """A key that is equal for candidates whose parameters are mapped to the network's in the
        same way.
        """

    def formulation(self, network: Family, say: Say) -> Formulation:
        """Return the map from its own parameters to the network's; `say` gets progress messages.

        Raises ValueError if the map cannot be determined.
        """
