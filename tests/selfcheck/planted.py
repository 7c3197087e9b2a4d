"""The catalogue's faults in real PyTorch modules: an ordinary forward pass and autograd, with one
mistake in them.

`Port` is the network as its author would write it. A mistake changes one thing that it does: how it
reads its parameters, its inputs or its targets, an activation, what it gives back, what goes back
through it, or its loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness import Loss, Problem, Status, Subject
from harness.core.contract import Array
from reference import Network
from reference.faults.kinds import Answer, Data, Fault, Hidden, Misread, Off, Posed, Slope, reading
from tests.selfcheck.corpus import Case, Stack
from tests.selfcheck.styles import ACTS

Pass = Callable[[Tensor], Tensor]
OwnLoss = Callable[[nn.Module, Tensor, Tensor, Loss], Tensor]


def as_it_is(x: Tensor) -> Tensor:
    """No mistake."""
    return x


@dataclass(frozen=True)
class Mistake:
    """What a port does otherwise: each part takes a tensor to another; without mistake as it is."""

    read: Pass = as_it_is  # all parameters, flat in the network's order
    asked: Pass = as_it_is  # all inputs, side by side
    act: Callable[[int, str, Tensor], Tensor] = lambda layer, name, z: ACTS[name](z)
    told: Pass = as_it_is  # all outputs, side by side
    loss: OwnLoss | None = None


RIGHT = Mistake()


class Port(nn.Module):
    """h = g(W1 x1 + V1 x2 + b), o1 = f(W2 h + b_w), o2 = f(V2 h + b_v), its parameters named as the
    blocks; o1 = f(W2 h + S1_w x1 + S2_w x2 + b_w) with skip connections.
    """

    def __init__(self, network: Network, mistake: Mistake) -> None:
        super().__init__()
        self.network, self.mistake = network, mistake
        for block in network.layout.blocks:
            self.register_parameter(block.name, nn.Parameter(torch.zeros(block.places.shape)))

    def blocks(self) -> dict[str, Tensor]:
        """The parameters by name as they are read: all of them through one flat vector, where there
        is a mistake.
        """
        own = dict(self.named_parameters())
        if self.mistake.read is as_it_is:
            return own
        layout = self.network.layout
        places = torch.as_tensor(np.concatenate([block.places.ravel() for block in layout.blocks]))
        flat = torch.cat([own[block.name].ravel() for block in layout.blocks])
        theta = self.mistake.read(torch.zeros_like(flat).index_copy(0, places, flat))
        return {block.name: theta[torch.as_tensor(block.places)] for block in layout.blocks}

    def forward(self, *xs: Tensor) -> Any:
        network, mistake, p = self.network, self.mistake, self.blocks()
        xs = mistake.asked(torch.cat(xs, 1)).split(network.inputs, 1)
        h = None
        if network.hidden:
            z = sum((x @ p[f"{letter}1"].T for x, letter in zip(xs, "WV", strict=False)), p["b"])
            h = mistake.act(0, network.activation, z)
        heads = []
        for letter, _ in zip("WV", network.outputs, strict=False):
            o = p[f"b_{letter.lower()}"]
            if h is not None:
                o = h @ p[f"{letter}2"].T + o
            if network.has_skip:
                skips = (p[f"S{group + 1}_{letter.lower()}"] for group in range(len(xs)))
                o = sum((x @ S.T for x, S in zip(xs, skips, strict=True)), o)
            heads.append(mistake.act(1, network.output, o))
        heads = list(mistake.told(torch.cat(heads, 1)).split(network.outputs, 1))
        return heads if len(heads) > 1 else heads[0]


class Through(torch.autograd.Function):
    """A tensor goes forward by one function of arrays and its gradient back by another, both in its
    dtype.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, there: Callable[[Array], Array], back: Callable[[Array], Array]
    ) -> Tensor:
        ctx.back = back
        return like(x, there(x.detach().numpy()))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return like(gradients[0], ctx.back(gradients[0].numpy())), None, None


def like(x: Tensor, array: Array) -> Tensor:
    """The array as a tensor of x's dtype, which shares nothing."""
    return torch.tensor(np.array(array), dtype=x.dtype)


def through(
    there: Callable[[Array], Array] = lambda x: x, back: Callable[[Array], Array] = lambda g: g
) -> Pass:
    """What goes forward, and what goes back."""
    return lambda x: Through.apply(x, there, back)


UNITS = 64  # of a linear map, that are mapped at once


def linear(change: Callable[[Array], Array]) -> Pass:
    """A linear map (R, I) -> (R, I) of arrays, performed and differentiated by torch."""

    @lru_cache
    def matrix(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        size = int(np.prod(shape))
        rows, columns, values = [], [], []
        for start in range(0, size, UNITS):  # all at once, they do not fit into caches
            unit = np.eye(min(UNITS, size - start), size, start).reshape(-1, *shape)
            changed = np.asarray(change(unit)).ravel()
            at = np.flatnonzero(changed != 0)  # of booleans, which takes a fraction of the time
            rows.append(at // size + start)
            columns.append(at % size)
            values.append(changed[at])
        places = torch.tensor(np.stack([np.concatenate(rows), np.concatenate(columns)]))
        found = torch.tensor(np.concatenate(values), dtype=dtype)
        return torch.sparse_coo_tensor(places, found, (size, size)).coalesce()

    return lambda x: (x.reshape(1, -1) @ matrix(tuple(x.shape), x.dtype)).reshape(x.shape)


# The kinds, one after the other: the mistake that is the fault.


def misread(fault: Fault, network: Network) -> Mistake:
    formulation = reading(network, fault.change)
    rows = formulation.matrix.matrix.tocoo()

    def read(theta: Tensor) -> Tensor:
        values = (
            torch.tensor(rows.data, dtype=theta.dtype)
            * theta[torch.as_tensor(rows.col.astype(np.int64))]
        )
        return like(theta, formulation.constant).index_add(
            0, torch.as_tensor(rows.row.astype(np.int64)), values
        )

    return Mistake(read=read)


def on_vectors(fault: Any, network: Network) -> Callable[[Array], Array]:
    """What it does to blocks, done to the whole vector (T,)."""
    return lambda vector: fault.changed(network.layout, vector[None])[0]


def off(fault: Fault, network: Network) -> Mistake:
    return Mistake(read=through(there=on_vectors(fault, network)))


def slope(fault: Fault, network: Network) -> Mistake:
    return Mistake(read=through(back=on_vectors(fault, network)))


def data(fault: Fault, network: Network) -> Mistake:
    if fault.part == "inputs":
        return Mistake(asked=linear(fault.change))
    return Mistake(
        loss=lambda module, o, t, loss: error_and_decay(
            module, o, like(t, fault.change(t.numpy()[None])[0]), loss
        )
    )


def hidden(fault: Hidden, network: Network | None = None) -> Mistake:
    def act(layer: int, name: str, z: Tensor) -> Tensor:
        if layer != fault.layer:
            return ACTS[name](z)
        slopes: list[Array] = []

        def there(at: Array) -> Array:
            given = torch.tensor(at, requires_grad=True)
            h = ACTS[name](given)
            with torch.enable_grad():
                (d,) = torch.autograd.grad(ACTS[name](given).sum(), given)
            with np.errstate(all="ignore"):
                value, slope = fault.change(at, h.detach().numpy(), d.numpy())
            slopes.append(np.ones_like(at) if slope is None else slope)
            return value

        return through(there, lambda g: g * slopes[-1])(z)

    return Mistake(act=act)


UNCHANGED = [hidden(Hidden("", "", lambda z, h, d: (h, d), layer=layer)) for layer in range(2)]


def squares(o: Tensor, t: Tensor, loss: Loss) -> Tensor:
    """Of the differences, times the weights of their rows, where there are any."""
    weights = (
        1.0 if loss.weights is None else torch.tensor(loss.row_weights, dtype=o.dtype)[:, None]
    )
    return weights * (o - t) ** 2


def error(o: Tensor, t: Tensor, loss: Loss) -> Tensor:
    return squares(o, t, loss).sum()


def decay(module: nn.Module, loss: Loss, some: Callable[[Tensor], bool] = lambda p: True) -> Any:
    """Decay times the squares of the parameters, or of some."""
    return (
        loss.one_decay * sum((p**2).sum() for p in module.parameters() if some(p))
        if loss.one_decay
        else 0.0
    )


def error_and_decay(module: nn.Module, o: Tensor, t: Tensor, loss: Loss) -> Tensor:
    """A user's own loss without mistake."""
    return error(o, t, loss) + decay(module, loss)


WITH_OWN_LOSS = Mistake(loss=error_and_decay)


def posed(fault: Fault, network: Network) -> Mistake:
    """Another loss; its `change` takes a problem, of which only the loss is asked."""

    def own(module: nn.Module, o: Tensor, t: Tensor, loss: Loss) -> Tensor:
        other = fault.change(Asked(loss)).loss
        return error(o, t, other) + decay(module, other)

    return Mistake(loss=own)


@dataclass(frozen=True)
class Asked:
    """Of a problem its loss."""

    loss: Loss


def scaled(there: float = 1.0, back: float = 1.0) -> Pass:
    return through(lambda x: x * there, lambda g: g * back)


def of_before() -> Callable[[Array], Array]:
    """What was given the last time; the first time, and where that had another shape, what is given
    now.
    """
    kept: list[Array] = []

    def given(x: Array) -> Array:
        kept.append(x.copy())
        last = kept.pop(0) if len(kept) > 1 else x
        return last if last.shape == x.shape else x

    return given


def clipped(g: Array) -> Array:
    return g / max(float(np.linalg.norm(g)), 1.0)


def own_loss(of: Callable[[Tensor], Tensor]) -> Callable[[float], Mistake]:
    """The error so computed from squares, with decay."""
    return lambda size: Mistake(
        loss=lambda module, o, t, loss: of(squares(o, t, loss)) + decay(module, loss)
    )


def on_loss(change: Callable[[float], Pass]) -> Callable[[float], Mistake]:
    """The error so changed, with decay."""
    return lambda size: Mistake(
        loss=lambda module, o, t, loss: change(size)(error(o, t, loss)) + decay(module, loss)
    )


ANSWERS: dict[str, Callable[[float], Mistake]] = {  # by name, of a size
    "mean_for_sum": own_loss(torch.mean),
    "half_square": own_loss(lambda of: 0.5 * of.sum()),
    "root_mean_square": own_loss(lambda of: of.mean().sqrt()),
    "last_row_dropped": own_loss(lambda of: of[:-1].sum() if len(of) > 1 else of.sum()),
    "biases_undecayed": lambda size: Mistake(
        loss=lambda module, o, t, loss: (
            error(o, t, loss) + decay(module, loss, lambda p: p.ndim > 1)
        )
    ),
    "gradient_halved": on_loss(lambda size: scaled(back=0.5)),
    "gradient_negated": on_loss(lambda size: scaled(back=-1.0)),
    "loss_off": on_loss(lambda size: scaled(there=1 + size)),
    "input_gradient_twice": lambda size: Mistake(asked=scaled(back=2.0)),
    "input_gradient_off": lambda size: Mistake(asked=scaled(back=1 + size)),
    "gradient_clipped": lambda size: Mistake(read=through(back=clipped)),
    "answers_in_float32": lambda size: Mistake(told=lambda o: o.float().to(o.dtype)),
    "gradient_stale": lambda size: Mistake(read=through(back=of_before())),
    "answers_stale": lambda size: Mistake(told=through(of_before())),
}
NOT_PLANTED = {
    "gradient_accumulated": (
        "gradients are not set to zero by a training loop, and a module alone has none"
    )
}


def answer(fault: Fault, network: Network) -> Mistake:
    name = fault.name if fault.size is None else fault.name.rpartition("_")[0]
    return ANSWERS[name](fault.size or 0.0)


KINDS: dict[type[Fault], Callable[[Any, Network], Mistake]] = {
    Misread: misread,
    Off: off,
    Slope: slope,
    Data: data,
    Hidden: hidden,
    Posed: posed,
    Answer: answer,
}


def plants(fault: Fault) -> bool:
    """Can it be planted in a module?"""
    return fault.name not in NOT_PLANTED


def planted(fault: Fault, network: Network) -> Mistake:
    """The mistake that is the fault, in a port of this network."""
    return KINDS[type(fault)](fault, network)


def subject(network: Network, loss: Loss, mistake: Mistake = RIGHT) -> Subject:
    """A port as its user hands it in, with its own loss where that is the mistake."""
    built: list[Port] = []

    def build() -> Port:
        built.append(Port(network, mistake))
        return built[-1]

    def own(outputs: Any, targets: Any) -> Tensor:
        o, t = (
            torch.cat(list(side), 1) if isinstance(side, list) else side
            for side in (outputs, targets)
        )
        return (mistake.loss or error_and_decay)(built[-1], o, t, loss)

    return Subject(build, loss=own if mistake.loss else None)


def answers(case: Case, dtype: str, mistake: Mistake = RIGHT) -> list[Stack]:
    """What a port answers to the case, the gradient by its own parameters; without what it refuses
    to answer.

    Raises AssertionError where the port breaks: that would be a mistake of ours.
    """
    problems = asked(case)
    found: list[Stack] = []
    ports = {
        loss: subject(case.network, loss, mistake)
        for loss in {problem.loss for problem in problems}
    }
    live = {loss: port.live(problems[0].formulation, dtype) for loss, port in ports.items()}
    for problem in problems:
        seen = ports[problem.loss].observe(problem, dtype, live=live[problem.loss])
        if seen.missing and seen.missing.status is not Status.FAIL:
            raise AssertionError(f"a port of {case.network.sentence()} broke: {seen.missing.why}")
        found.append(seen.values)
    return found


def unplanted(fault: Fault, mistake: Mistake) -> Mistake:
    """A port built in the same way, without the mistake: what it computes in another order is no
    fault.
    """
    if isinstance(fault, Hidden):
        return UNCHANGED[fault.layer]
    return WITH_OWN_LOSS if mistake.loss else RIGHT


@lru_cache(maxsize=8)
def right(case: Case, dtype: str, mistake: Mistake) -> list[Stack]:
    """The answers of a port without a mistake, asked once."""
    return answers(case, dtype, mistake)


@lru_cache(maxsize=8)
def asked(case: Case) -> list[Problem]:
    """Its problems in a port's own parameters."""
    return case.asked(subject(case.network, Loss()).formulation(case.network))
