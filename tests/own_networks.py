"""Networks of one's own for the tests: each written once as equations, and in PyTorch in several
styles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from reference import Equations

Model = Callable[..., Any]


def two_hidden(g: str = "tanh") -> Equations:
    """Two hidden layers."""

    def forward(m: Any, p: Any, x: Any) -> Any:
        h1 = m.act(g, m.affine(x, p["W1"], p["b1"]))
        h2 = m.act(g, m.affine(h1, p["W2"], p["b2"]))
        return m.affine(h2, p["W3"], p["b3"])

    shapes = {"W1": (8, 3), "b1": (8,), "W2": (6, 8), "b2": (6,), "W3": (2, 6), "b3": (2,)}
    return Equations("two hidden layers", 3, 2, shapes, forward)


def skipping(g: str = "tanh") -> Equations:
    """Each layer adds to what it was given, and the inputs reach the outputs directly."""

    def forward(m: Any, p: Any, x: Any) -> Any:
        h0 = m.affine(x, p["W0"], p["b0"])
        h1 = m.add(h0, m.affine(m.act(g, m.affine(h0, p["W1"], p["b1"])), p["V1"]))
        h2 = m.sub(h1, m.scale(m.act(g, m.affine(h1, p["W2"], p["b2"])), 0.3))
        return m.add(m.affine(h2, p["W3"], p["b3"]), m.affine(x, p["W4"]))

    shapes = {
        "W0": (5, 3),
        "b0": (5,),
        "W1": (7, 5),
        "b1": (7,),
        "V1": (5, 7),
        "W2": (5, 5),
        "b2": (5,),
    }
    return Equations(
        "a residual network", 3, 2, {**shapes, "W3": (2, 5), "b3": (2,), "W4": (2, 3)}, forward
    )


def tied(g: str = "tanh") -> Equations:
    """An autoencoder whose decoder is its encoder transposed, run twice."""

    def forward(m: Any, p: Any, x: Any) -> Any:
        once = m.affine(m.act(g, m.affine(x, p["W"], p["b"])), m.transpose(p["W"]), p["c"])
        return m.affine(m.act(g, m.affine(once, p["W"], p["b"])), m.transpose(p["W"]), p["c"])

    return Equations("a tied autoencoder", 4, 4, {"W": (6, 4), "b": (6,), "c": (4,)}, forward)


def gated(g: str = "tanh") -> Equations:
    """Two groups of inputs, two heads: gates cut out of one layer, side by side with an input,
    scaled by a row.
    """

    def forward(m: Any, p: Any, x1: Any, x2: Any) -> Any:
        z = m.add(m.affine(x1, p["W"], p["b"]), m.affine(x2, p["V"]))
        h = m.mul(m.act("logistic", m.columns(z, 0, 4)), m.act(g, m.columns(z, 2, 6)))
        both = m.beside(m.mul(h, p["s"]), x2)
        return m.affine(both, p["A"], p["a"]), m.act(
            "logistic", m.affine(m.columns(both, 1, 5), p["B"])
        )

    shapes = {"W": (6, 3), "b": (6,), "V": (6, 2), "s": (4,), "A": (2, 6), "a": (2,), "B": (3, 4)}
    return Equations("a gated network", (3, 2), (2, 3), shapes, forward)


NETWORKS = {"two hidden": two_hidden, "skipping": skipping, "tied": tied, "gated": gated}
ACTS = {"relu": torch.relu, "tanh": torch.tanh, "logistic": torch.sigmoid}


def by_matmul(x: Any, W: Any, b: Any = 0) -> Any:
    return x @ W.T + b


def by_addmm(x: Any, W: Any, b: Any = None) -> Any:
    return x @ W.T if b is None else torch.addmm(b, x, W.T)


def by_einsum(x: Any, W: Any, b: Any = 0) -> Any:
    return b + torch.einsum("ri,oi->ro", x, W)


def by_terms(x: Any, W: Any, b: Any = 0) -> Any:
    """Products added one after the other, the last first."""
    total = torch.zeros(len(x), len(W), dtype=x.dtype)
    for i in reversed(range(W.shape[1])):
        total = total + x[:, i, None] * W[None, :, i]
    return total + b


def by_sorting(x: Any, W: Any, b: Any = None) -> Any:
    """Products and bias sorted by size before they are added."""
    products = x[:, None, :] * W[None]
    if b is not None:
        products = torch.cat([products, b.expand(len(x), -1)[..., None]], -1)
    order = products.abs().sort(-1, descending=True).indices
    return torch.gather(products, -1, order).cumsum(-1)[..., -1]


STYLES = {f.__name__: f for f in (by_matmul, by_addmm, by_einsum, by_terms, by_sorting)}


def in_torch(name: str, g: str, linear: Model) -> Model:
    """One of the networks as a function of PyTorch."""
    act = ACTS[g]

    def two_hidden(x: Any, W1: Any, b1: Any, W2: Any, b2: Any, W3: Any, b3: Any) -> Any:
        return linear(act(linear(act(linear(x, W1, b1)), W2, b2)), W3, b3)

    def skipping(
        x: Any,
        W0: Any,
        b0: Any,
        W1: Any,
        b1: Any,
        V1: Any,
        W2: Any,
        b2: Any,
        W3: Any,
        b3: Any,
        W4: Any,
    ) -> Any:
        h0 = linear(x, W0, b0)
        h1 = linear(act(linear(h0, W1, b1)), V1) + h0
        h2 = h1 - 0.3 * act(linear(h1, W2, b2))
        return linear(torch.cat([h2, x], 1), torch.cat([W3, W4], 1), b3)

    def tied(x: Any, W: Any, b: Any, c: Any) -> Any:
        for _ in range(2):
            x = linear(act(linear(x, W, b)), W.T, c)
        return x

    def gated(x1: Any, x2: Any, W: Any, b: Any, V: Any, s: Any, A: Any, a: Any, B: Any) -> Any:
        z = linear(torch.cat([x2, x1], 1), torch.cat([V, W], 1), b)
        both = torch.cat([s * torch.sigmoid(z[:, :4]) * act(z[:, 2:]), x2], 1)
        return linear(both, A, a), torch.sigmoid(linear(both[:, 1:5], B))

    return {"two hidden": two_hidden, "skipping": skipping, "tied": tied, "gated": gated}[name]
