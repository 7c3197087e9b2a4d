"""Levenberg-Marquardt (Gauss-Newton for classes) for one hidden layer, from many starts at once.

The network is f = V [1, h], h = g(z), z = W [1, x]: hidden units g (logistic or tanh) and linear
outputs. Its weights theta stand in the order of R's nnet: the rows of W (H, 1 + I), each with its
bias first, and then the rows of V (O, 1 + H). The loss is nnet's: an error E of f and the targets
y, summed over rows and outputs, plus decay |theta|^2. E is (f - y)^2 ("squares"); or, for classes,
-y log(p / y) - (1 - y) log((1 - p) / (1 - y)) with the logistic p of f ("entropy"), or -y log(p)
with the softmax p of f ("softmax").

With x_0 = h_0 = 1 the Jacobian J of f is

    df_o / dW_jk = V_oj g'(z_j) x_k        df_o / dV_oj = h_j,

and the second derivative of f along a direction (dW, dV) is, with dz = dW [1, x],

    f''_o = sum over j of  2 dV_oj g'(z_j) dz_j + V_oj g''(z_j) dz_j^2.

Let r and B be half of E's first and second derivatives by f: f - y and 1 for squares, (p - y) / 2
and p (1 - p) / 2 for entropy, (p - y) / 2 and (diag(p) - p p') / 2 for softmax. Then J'BJ is half
of the Gauss-Newton matrix (Schraudolph 2002). With A = J'BJ + decay I + damping S, a step is v + a,
where A v = -(J'r + decay theta) and A a = -J'B f''/2 along v. Here a is the geodesic acceleration
(Transtrum and Sethna, arXiv:1201.5885), which is left out if it is not small beside v. A step that
does not lower the loss is not taken (Marquardt 1963). The damping follows the ratio of the gain to
what the quadratic model predicts.

The diagonal matrix S limits what a step changes in z: for W_jk it has the sum of x_k^2 over the
rows. The outputs are linear in V, so V may move nearly freely: its elements of S are the number of
rows times 0.01, 0.1 or 1. Which is best depends on the problem, so the starts take turns.

In shapes, N counts starts, D lanes (the starts that are being fitted), H hidden units, I inputs, O
outputs, R rows and T weights. Everything runs in the dtype and on the device of the starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

ERRORS = ("squares", "entropy", "softmax")
LOOK = 4  # steps between two looks at which lanes have ended
ACCELERATED = 0.75  # the largest length of an acceleration, relative to the step's, both by S
FIRST, LAST = 0.02, 1e16  # the damping at the start, and the one at which a lane has ended


class Problems(NamedTuple):
    """The problems of the lanes: inputs below a row of ones (D, 1 + I, R) and targets (D, O, R), or
    without D if all lanes share them; the diagonal of S (D, T); the decay; and the error.
    """

    inputs: Tensor
    targets: Tensor
    scale: Tensor
    decay: float = 0.0
    tanh: bool = False
    error: str = "squares"

    def of(self, lanes: Tensor) -> Problems:
        """Return the problems of these lanes only."""
        shared = self.inputs.ndim == 2
        data = self[:2] if shared else [each[lanes] for each in self[:2]]
        return Problems(*data, self.scale[lanes], *self[3:])

    def split(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return W (D, H, 1 + I) and V (D, O, 1 + H) of the weights (D, T)."""
        return split(theta, self.inputs.shape[-2], self.targets.shape[-2])


class Lanes(NamedTuple):
    """The weights (D, T) of each lane, its loss, its damping, and the gain relative to the loss
    that was predicted for its last step (D,).
    """

    theta: Tensor
    loss: Tensor
    damping: Tensor
    gain: Tensor


class Fits(NamedTuple):
    """The final weights (N, T), losses (N,) and numbers of steps (N,) of all starts."""

    theta: Tensor
    loss: Tensor
    steps: Tensor


def split(theta: Tensor, wide: int, outputs: int) -> tuple[Tensor, Tensor]:
    """Return W (D, H, wide) and V (D, outputs, 1 + H) of the weights (D, T), for wide = 1 + I."""
    hidden = (theta.shape[1] - outputs) // (wide + outputs)
    W, V = theta.split_with_sizes([hidden * wide, outputs * (1 + hidden)], dim=1)
    return W.reshape(-1, hidden, wide), V.reshape(-1, outputs, 1 + hidden)


def find_loss(theta: Tensor, at: Problems) -> Tensor:
    """Return the loss (D,) at the weights (D, T)."""
    W, V = at.split(theta)
    z = W @ at.inputs
    h = z.tanh() if at.tanh else z.sigmoid()
    y = at.targets
    if at.error == "squares":
        loss = torch.baddbmm(V[:, :, :1] - y, V[:, :, 1:], h).square().sum((1, 2))
    else:
        f = torch.baddbmm(V[:, :, :1], V[:, :, 1:], h)
        loss = (find_entropy(f, y) if at.error == "entropy" else find_surprise(f, y)).sum(1)
    return loss + at.decay * theta.square().sum(1) if at.decay else loss


def find_entropy(f: Tensor, y: Tensor) -> Tensor:
    """Return the entropy error (D, R) of outputs and targets (D, O, R)."""
    own = torch.xlogy(y, y) + torch.xlogy(1 - y, 1 - y)
    return (torch.logaddexp(f, torch.zeros_like(f)) - y * f + own).sum(1)


def find_surprise(f: Tensor, y: Tensor) -> Tensor:
    """Return the softmax error (D, R) of outputs and targets (D, O, R)."""
    return (y * (f.logsumexp(1, keepdim=True) - f)).sum(1)


def weigh(Jt: Tensor, p: Tensor, error: str) -> Tensor:
    """Return J'B (D, T, O R) of J' and the probabilities (D, O, R)."""
    if error == "entropy":
        return Jt * (p * (1 - p) / 2).flatten(1).unsqueeze(1)
    part = Jt.unflatten(2, p.shape[1:]) * p.unsqueeze(1)
    return ((part - part.sum(2, keepdim=True) * p.unsqueeze(1)) / 2).flatten(2)


def linearise(
    theta: Tensor, at: Problems
) -> tuple[Tensor, Tensor, Tensor, Callable[[Tensor], Tensor]]:
    """Return r (D, O R, 1), J' and J'B (D, T, O R) at the weights (D, T), and the function that
    returns f''/2 (D, O R, 1) along a direction (D, T).
    """
    W, V = at.split(theta)
    z = W @ at.inputs
    h = z.tanh() if at.tanh else z.sigmoid()
    slope = 1 - h * h if at.tanh else h * (1 - h)
    ones_h = torch.cat([torch.ones_like(h[:, :1]), h], dim=1)
    f = torch.bmm(V, ones_h)
    lanes, outputs, _ = f.shape
    V = V[:, :, 1:]

    def differentiate(output: int) -> Tensor:
        by_z = slope * V[:, output].unsqueeze(2)
        by_W = by_z.unsqueeze(2) * at.inputs.unsqueeze(-3)
        by_V = [ones_h if one == output else torch.zeros_like(ones_h) for one in range(outputs)]
        return torch.cat([by_W.flatten(1, 2), *by_V], dim=1)

    def curve(direction: Tensor) -> Tensor:
        dW, dV = at.split(direction)
        dz = dW @ at.inputs
        moved = slope * dz
        bend = -h if at.tanh else 0.5 - h  # g''/2 = bend g'
        f = torch.baddbmm(torch.bmm(dV[:, :, 1:], moved), V, bend * moved * dz)
        return f.reshape(lanes, -1, 1)

    of_outputs = [differentiate(output) for output in range(outputs)]
    Jt = torch.cat(of_outputs, dim=2) if outputs > 1 else of_outputs[0]
    if at.error == "squares":
        return (f - at.targets).reshape(lanes, -1, 1), Jt, Jt, curve
    p = f.sigmoid() if at.error == "entropy" else f.softmax(1)
    r = (p - at.targets) / 2
    return r.reshape(lanes, -1, 1), Jt, weigh(Jt, p, at.error), curve


def take_step(lanes: Lanes, at: Problems) -> Lanes:
    """Return the lanes after one step each: one evaluation of the Jacobian and one of the loss."""
    theta, loss, damping, _ = lanes
    r, Jt, JtB, curve = linearise(theta, at)
    slope = torch.bmm(Jt, r)
    if at.decay:
        slope = slope + at.decay * theta.unsqueeze(2)
    A = torch.bmm(JtB, Jt.mT)
    A.diagonal(dim1=1, dim2=2).add_(damping.unsqueeze(1) * at.scale).add_(at.decay)
    # cholesky_ex raises no error. Where it fails, the trial's loss is not lower, and damping grows.
    L = torch.linalg.cholesky_ex(A).L
    v = torch.cholesky_solve(slope, L)
    a = torch.cholesky_solve(torch.bmm(JtB, curve(v.squeeze(2))), L).squeeze(2)
    gain, v = (slope * v).sum((1, 2)), v.squeeze(2)
    length, bent = (v * v * at.scale).sum(1), (a * a * at.scale).sum(1)
    predicted = damping * length + gain
    small = (bent <= ACCELERATED**2 * length).unsqueeze(1)
    trial = theta - v - torch.where(small, a, 0)
    new = find_loss(trial, at)
    ratio = (loss - new) / predicted
    taken = new < loss
    factor = torch.where(taken, (1 - (2 * ratio - 1) ** 3).clamp(1 / 3), 2)  # Nielsen 1999
    return Lanes(
        torch.where(taken.unsqueeze(1), trial, theta),
        torch.where(taken, new, loss),
        damping * factor,
        predicted / loss,
    )


def pack(W: Tensor, b: Tensor, V: Tensor, c: Tensor) -> Tensor:
    """Return the weights (N, T) of two Linear layers: weight (N, H, I) and bias (N, H), weight (N,
    O, H) and bias (N, O).
    """
    rows = [torch.cat([bias.unsqueeze(2), weight], dim=2) for weight, bias in ((W, b), (V, c))]
    return torch.cat([each.flatten(1) for each in rows], dim=1)


def unpack(theta: Tensor, inputs: int, outputs: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the tensors of two Linear layers from the weights (N, T), as pack takes them."""
    if theta.ndim != 2 or (theta.shape[1] - outputs) % (1 + inputs + outputs):
        raise ValueError(
            f"theta is {tuple(theta.shape)}, expected (N, T) with T = H * {1 + inputs} + {outputs}"
            " * (1 + H): of a single start write theta[best][None]"
        )
    W, V = split(theta, 1 + inputs, outputs)
    return W[:, :, 1:], W[:, :, 0], V[:, :, 1:], V[:, :, 0]


def expect_data(x: Tensor, y: Tensor, starts: Tensor, error: str) -> None:
    """Raise TypeError or ValueError unless the data are as fit asks for."""
    for name, each in (("starts", starts), ("x", x), ("y", y)):
        if not isinstance(each, torch.Tensor):
            raise TypeError(
                f"{name} is a {type(each).__name__}, expected a tensor: torch.as_tensor({name})"
            )
    expected = "expected starts (N, T), x (R, I) and y (R, O), or (N, R, I) and (N, R, O)"
    shapes = " and ".join(str(tuple(each.shape)) for each in (starts, x, y))
    alike = x.shape[:-1] == y.shape[:-1] and x.ndim in (2, 3) and starts.ndim == 2
    if not alike or not len(starts) or (x.ndim == 3 and len(x) != len(starts)):
        raise ValueError(
            f"starts, x and y are {shapes}, {expected}: for a single column write y[:, None], for a"
            " single start starts[None]"
        )
    wide, outputs = 1 + x.shape[-1], y.shape[-1]
    if (starts.shape[1] - outputs) % (wide + outputs):
        raise ValueError(
            f"{starts.shape[1]} weights a start, expected H * {wide} + {outputs} * (1 + H) for H"
            " hidden units"
        )
    if not starts.dtype == x.dtype == y.dtype or x.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"starts, x and y are {starts.dtype}, {x.dtype}, {y.dtype}: expected one of"
            " torch.float32 and torch.float64 for all: y.to(x.dtype)"
        )
    if not (x.isfinite().all() and y.isfinite().all()):
        raise ValueError("x or y has a number that is not finite: leave such rows out")
    if error not in ERRORS:
        raise ValueError(f"error is {error!r}, expected one of {', '.join(ERRORS)}")
    if error != "squares" and not ((y >= 0) & (y <= 1)).all():
        raise ValueError(f"y of {error} lies from {y.min():g} to {y.max():g}, expected 0 to 1")
    rounding = y.shape[-1] * torch.finfo(y.dtype).eps
    if error == "softmax" and (y.sum(-1) - 1).abs().max() > rounding:
        raise ValueError("the rows of y do not add up to 1: softmax expects shares of classes")


def pose(
    x: Tensor,
    y: Tensor,
    starts: Tensor,
    dampings: Sequence[float],
    decay: float,
    tanh: bool,
    error: str = "squares",
) -> Problems:
    """Return the problems of all starts, see fit."""
    inputs = torch.cat([torch.ones_like(x[..., :1]), x], dim=-1).mT.contiguous()
    count, wide = y.shape[-1], inputs.shape[-2]
    hidden = (starts.shape[1] - count) // (wide + count)
    squares = inputs.square().sum(-1)
    squares = torch.where(squares > 0, squares, 1)  # a column of zeros
    of_W = squares.expand(len(starts), -1).repeat(1, hidden)
    turns = torch.arange(len(starts), device=starts.device) % len(dampings)
    of_V = y.shape[-2] * starts.new_tensor(dampings)[turns, None].expand(-1, count * (1 + hidden))
    scale = torch.cat([of_W, of_V], dim=1)
    return Problems(inputs, y.mT.contiguous(), scale, decay, tanh, error)


def begin(starts: Tensor, at: Problems) -> Lanes:
    """Return the lanes at their starts (D, T)."""
    loss = find_loss(starts, at)
    return Lanes(starts, loss, torch.full_like(loss, FIRST), torch.full_like(loss, torch.inf))


def fit(
    starts: Tensor,
    x: Tensor,
    y: Tensor,
    *,
    dampings: Sequence[float] = (0.01, 0.1, 1.0),
    decay: float = 0.0,
    tanh: bool = False,
    error: str = "squares",
    until: float = 0.0,
    least_gain: float = 1e-8,
    steps: int = 1000,
    width: int = 256,
    step: Callable[[Lanes, Problems], Lanes] = take_step,
) -> Fits:
    """Fit the network from all starts (N, T) to inputs x (R, I) and targets y (R, O), or to data of
    each start, (N, R, I) and (N, R, O). `error` is "squares", "entropy" (each output is yes or no)
    or "softmax" (a row has the shares of classes, which add up to 1).

    A start has ended if its loss is at most `until` or not finite, if a step is predicted to lower
    its loss by no more than `least_gain` of it, or after `steps` steps, which is looked at every
    LOOK steps. `dampings` are the
    elements of S for the output weights, divided by the number of rows: start i gets dampings[i %
    len(dampings)]. `width` starts are fitted at once; one that has ended makes room for the next.
    `step` may be torch.compile(take_step, dynamic=False): it is used while all lanes are full.
    """
    if width < 1 or steps < 1 or decay < 0:
        raise ValueError(
            f"width, steps and decay are {width}, {steps} and {decay}, expected at least 1, 1 and 0"
        )
    if not isinstance(dampings, Sequence) or not dampings or min(dampings) <= 0:
        raise ValueError(
            f"dampings is {dampings}, expected a sequence of positive numbers: dampings=(0.01,)"
        )
    expect_data(x, y, starts, error)
    with torch.inference_mode():
        everything = pose(x, y, starts, dampings, decay, tanh, error)
        numbers, waiting = torch.arange(len(starts), device=x.device).tensor_split([width])
        at, age = everything.of(numbers), torch.zeros_like(numbers)
        lanes = begin(starts[numbers], at)
        found = Fits(starts.clone(), starts[:, 0].clone(), torch.zeros_like(starts[:, 0]).long())
        while len(numbers):
            move = step if len(numbers) == width else take_step
            for _ in range(LOOK):
                lanes = move(lanes, at)
            age = age + LOOK
            ended = (lanes.loss <= until) | (lanes.gain <= least_gain) | (age >= steps)
            ended |= ~((lanes.loss < torch.inf) & (lanes.damping < LAST))
            if not ended.any():
                continue
            for all_of, of_lanes in zip(found, (lanes.theta, lanes.loss, age), strict=True):
                all_of[numbers[ended]] = of_lanes[ended]
            new, waiting = waiting.tensor_split([int(ended.sum())])
            fresh = begin(starts[new], everything.of(new))
            lanes = Lanes(*(torch.cat([a[~ended], b]) for a, b in zip(lanes, fresh, strict=True)))
            numbers = torch.cat([numbers[~ended], new])
            age = torch.cat([age[~ended], torch.zeros_like(new)])
            at = everything.of(numbers)
    return Fits(*(each.clone() for each in found))  # tensors that autograd may use
