"""Losses as lines of a script, in PyTorch and in NumPy.

The lines read lists of heads, `outputs`, and their targets, `t`. In NumPy numbers may be complex:
the imaginary parts then hold a derivative, computed by a complex step.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.core.loss import Loss
from harness.core.problem import Problem
from harness.text.python import Code

# of a head's outputs o and targets t, from logits and from probabilities
IN_TORCH = {
    "squares": ("(o - t) ** 2", "(o - t) ** 2"),
    "bce": (
        "torch.nn.functional.binary_cross_entropy_with_logits(o, t, reduction='none')",
        "torch.nn.functional.binary_cross_entropy(o, t, reduction='none')",
    ),
    "softmax": (
        "-(t * o.log_softmax(-1)).sum(-1, keepdim=True)",
        "-(t * torch.where(t > 0, o, 1).log()).sum(-1, keepdim=True)",
    ),
    "censored": (
        "o.logsumexp(-1, keepdim=True)"
        " - o.masked_fill(t != 1, -torch.inf).logsumexp(-1, keepdim=True)",
        "-(o * (t == 1)).sum(-1, keepdim=True).log()",
    ),
}
IN_NUMPY = {
    "squares": ("(o - t) ** 2", "(o - t) ** 2"),
    "bce": (
        "t * softplus(-o) + (1 - t) * softplus(o)",
        "-t * np.log(np.where(t != 0, o, 1)) - (1 - t) * np.log(np.where(t != 1, 1 - o, 1))",
    ),
    "softmax": (
        "-(t * (o - logsumexp(o))).sum(-1, keepdims=True)",
        "-(t * np.log(np.where(t > 0, o, 1))).sum(-1, keepdims=True)",
    ),
    "censored": (
        "logsumexp(o) - logsumexp(np.where(t == 1, o, -1e300))",
        "-np.log((o * (t == 1)).sum(-1, keepdims=True))",
    ),
}
# errors that are others less the targets' own entropy: which, and that entropy
LESS_OWN = {
    "entropy": (
        "bce",
        "torch.xlogy(t, t) + torch.xlogy(1 - t, 1 - t)",
        "xlogx(t) + xlogx(1 - t)",
    ),
    "kl": ("softmax", "torch.xlogy(t, t).sum(-1, keepdim=True)", "xlogx(t).sum(-1, keepdims=True)"),
}
FUNCTIONS = """\
def softplus(z):
    return np.where(z.real > 0, z, 0) + np.log1p(np.exp(np.where(z.real > 0, -z, z)))


def logsumexp(z):
    most = z.real.max(axis=-1, keepdims=True)
    return most + np.log(np.exp(z - most).sum(axis=-1, keepdims=True))


def xlogx(t):
    return t * np.log(np.where(t > 0, t, 1))
"""


def is_plain(loss: Loss) -> bool:
    """Is a loss the sum or mean of squares over all rows and units, without factors?"""
    return loss.is_squares and loss.factor == 1 and loss.reduction != "mean_of_rows"


def write_loss(problem: Problem) -> dict[str, Any]:
    """Return the variables of the script's template that describe the loss, by name.

    `decay` is the factor of weight decay. If single weights or blocks have factors of their own,
    `decays` and `own_decays` are lists of them, for the network's blocks and for the model's
    parameters. `weights` are those of the rows. `in_torch` and `in_numpy` are lines that compute
    the errors; empty for a plain sum or mean of squares.
    """
    loss, formulation = problem.loss, problem.formulation
    written: dict[str, Any] = {"decay": 0.0, "decays": None, "own_decays": None, "weights": None}
    written |= {"in_torch": [], "in_numpy": [], "functions": Code(FUNCTIONS)}
    if not is_plain(loss):
        written["in_torch"] = write_errors(problem, "torch")
        written["in_numpy"] = write_errors(problem, "NumPy")
    if loss.row_weights is not None:
        written["weights"] = Code(loss.row_weights[:, None].tolist())
    if loss.one_decay is not None:
        written["decay"] = loss.one_decay
    elif loss.has_decay:
        blocks = formulation.network.layout.blocks
        own = formulation.own.blocks
        written["decays"] = Code([block.of(problem.decays).tolist() for block in blocks])
        written["own_decays"] = Code([block.of(problem.own_decays).tolist() for block in own])
    return written


def write_arguments(problem: Problem, flat: bool) -> Code:
    """Return the code of the arguments of a user's own loss: outputs and targets, which are lists
    if there are several heads.

    Targets that are labels are the numbers of the classes. Both are (R,) if the model is `flat`: it
    returns (R,) instead of (R, 1). R counts rows.
    """
    heads = len(problem.network.outputs)
    targets = []
    for head, error in enumerate(problem.loss.errors(heads)):
        is_label = problem.loss.targets == "labels" and error == "softmax"
        targets.append(f"t[{head}].argmax(-1)" if is_label else f"t[{head}]")
    if heads > 1:
        is_labels = problem.loss.targets == "labels"
        return Code(f"outputs, [{', '.join(targets)}]" if is_labels else "outputs, t")
    end = ".squeeze(-1)" if flat else ""
    return Code(f"outputs[0]{end}, {targets[0]}{end}")


def write_errors(problem: Problem, language: str) -> list[str]:
    """Return the lines of code that compute `loss` in a `language`, "torch" or "NumPy", without
    weight decay.
    """
    loss, widths = problem.loss, problem.network.outputs
    errors, logits = loss.errors(len(widths)), loss.logits(len(widths))
    shares = np.broadcast_to(problem.shares, problem.targets.shape)[0]
    lines = [*_write_changes(loss, language), "loss = 0"]
    start = 0
    for head, width in enumerate(widths):
        lines.append(f"o, t = outputs[{head}], targets[{head}]")
        error = _write_error(errors[head], logits[head], language)
        of_head = shares[:, start : start + width]
        lines.append(f"loss = loss + ({_write_share(of_head, language)} * ({error})).sum()")
        start += width
    return lines


def _write_error(error: str, from_logits: bool, language: str) -> str:
    """Return the expression that computes a head's errors.

    `error` is their kind, such as "softmax"; `from_logits` says that the outputs are logits.
    """
    known = IN_TORCH if language == "torch" else IN_NUMPY
    if error not in LESS_OWN:
        return known[error][0 if from_logits else 1]
    as_it_is, in_torch, in_numpy = LESS_OWN[error]
    own = in_torch if language == "torch" else in_numpy
    return f"{known[as_it_is][0 if from_logits else 1]} + {own}"


def _write_share(shares: Array, language: str) -> str:
    """Return the weight of each error (R, K) of a head (an output tensor) as code: one number, or
    one for each row.

    R counts rows.
    """
    if (shares == shares[0, 0]).all():
        return repr(float(shares[0, 0]))
    rows = shares[:, :1].tolist()
    if language == "torch":
        return f"torch.tensor({rows}, dtype=o.dtype, device=o.device)"
    return f"np.array({rows})"


def _write_changes(loss: Loss, language: str) -> Sequence[str]:
    """Return the lines of code that compute `targets` from the given targets `t`, by label
    smoothing and class weights.
    """
    lines = ["targets = t"]
    if loss.label_smoothing:
        share = loss.label_smoothing
        lines.append(
            f"targets = [(1 - {share!r}) * each + {share!r} / each.shape[-1] for each in targets]"
        )
    if loss.class_weights is not None:
        weights = list(np.array(loss.class_weights).tolist())
        text = f"np.array({weights})"
        if language == "torch":
            text = f"torch.tensor({weights}, dtype=t[0].dtype, device=t[0].device)"
        lines.append(f"targets = [each * {text} for each in targets]")
    return lines
