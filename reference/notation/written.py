"""The text of a network with one hidden layer, as a function in NumPy."""

from collections.abc import Sequence

from harness.core.layout import Block

# activations in NumPy; of complex numbers too, whose imaginary parts carry a derivative
WRITTEN = {
    "identity": "",
    "relu": "def relu(z):\n    return np.where(z.real > 0, z, 0)\n\n",
    "tanh": "tanh = np.tanh\n\n",
    "logistic": (
        """\
def logistic(z):
    e = np.exp(np.where(z.real > 0, -z, z))  # of what is not positive: it does not overflow
    return np.where(z.real > 0, 1, e) / (1 + e)

"""
    ),
    "softmax": (
        """\
def softmax(z):
    e = np.exp(z - z.real.max(axis=-1, keepdims=True))  # does not overflow
    return e / e.sum(axis=-1, keepdims=True)

"""
    ),
}


def write_network(
    blocks: Sequence[Block], groups: int, activation: str, outputs: Sequence[str]
) -> str:
    """Return Python text that defines `network`, which returns the outputs by head.

    It takes the blocks of parameters and the groups of inputs, real or complex. `activation` is
    that of the hidden units, and `outputs` has that of each head.
    """
    x = [f"x{group + 1}" for group in range(groups)]
    hidden: list[str] = []
    heads: list[list[str]] = [[] for _ in outputs]
    for block in blocks:
        terms = hidden if block.head is None else heads[block.head]
        if block.role == "bias":
            terms.append(block.name)
        else:
            factor = "h" if block.group is None else x[block.group]
            terms.append(f"{factor} @ {block.name}.T")
    returned = [_activated(*each) for each in zip(outputs, heads, strict=True)]
    names = [block.name for block in blocks]
    lines = [f"def network({', '.join([*names, *x])}):"]
    if hidden:
        lines.append(f"    h = {_activated(activation, hidden)}")
    lines.append(f"    return [{', '.join(returned)}]")
    used = dict.fromkeys([activation, *outputs])
    return "".join(WRITTEN[name] for name in used) + "\n".join(lines)


def _activated(name: str, terms: Sequence[str]) -> str:
    total = " + ".join(terms)
    return total if name == "identity" else f"{name}({total})"
