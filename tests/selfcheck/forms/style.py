"""A style: the forms that one author writes, and the model of a network in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from harness import Subject
from reference import Network
from tests.selfcheck.forms.activations import ACTIVATIONS, DECLARED, Act
from tests.selfcheck.forms.affine import AFFINE, Affine, bmm, broadcast, einsum, linear, matmul
from tests.selfcheck.forms.sequences import SEQUENCES
from tests.selfcheck.forms.shells import COMPILERS, ONE_OR_TUPLE, OUTPUTS, SHELLS, WITHIN, list_all
from tests.selfcheck.forms.storage import STORAGE, Linears, Named, Transposed

SIMPLE = (linear, matmul, einsum, broadcast, bmm)  # every way of calling takes them
ACTS = ("relu", "tanh", "logistic", "identity")
JOINED = ("nothing", "inputs", "heads")


class Style(Protocol):
    """A style of models."""

    @property
    def name(self) -> str:
        """Its forms in words."""

    @property
    def most(self) -> int:
        """On how many networks it may be judged at most: compilers take long."""

    def network(self, rng: np.random.Generator) -> Network:
        """Draw a network that can be written so."""

    def subject(self, network: Network) -> Subject:
        """Return the model of a network, with what its author declares."""


@dataclass(frozen=True)
class Forms:
    """A style of five choices.

    `act` numbers the form of each activation. `joined` says what is put side by side before it is
    multiplied: "nothing", "inputs", or "heads" too. `declared` is a form of an activation whose
    contract its author declares.
    """

    affine: Affine
    act: int
    storage: type[Named]
    shell: str = "plain"
    outputs: Callable[[Sequence[Tensor]], Any] = OUTPUTS[0]
    joined: str = "inputs"
    declared: Act | None = None

    @property
    def name(self) -> str:
        parts = [self.affine.__name__, self.storage.__name__, self.shell, self.outputs.__name__]
        parts.append(f"{self.joined} joined")
        acts = (self.activation(name) for name in ACTS)
        parts.append("/".join(getattr(act, "__name__", repr(act)) for act in acts))
        return ", ".join(parts)

    @property
    def most(self) -> int:
        return 2 if self.shell == "compiled" else 10**9

    def activation(self, name: str) -> Act:
        """Return its form of an activation."""
        if self.declared is not None and DECLARED[self.declared].activation == name:
            return self.declared
        forms = ACTIVATIONS[name]
        return forms[self.act % len(forms)]

    def network(self, rng: np.random.Generator) -> Network:
        return random_network(rng)

    def subject(self, network: Network) -> Subject:
        make = self.model_class()
        contract = DECLARED[self.declared].arguments if self.declared is not None else {}
        meaning = make(network).meaning
        if self.shell == "function":
            return self._function(make(network))
        if self.shell in WITHIN:
            meaning = inside_model(meaning, network)
        build = {**SHELLS, **COMPILERS}[self.shell](lambda: make(network))
        return Subject(build, name=self.name, parameters=meaning, **contract)

    def _function(self, module: Named) -> Subject:
        """Return a function of inputs and parameters."""
        shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}

        def call(*xs: Tensor, **parameters: Tensor) -> Any:
            return torch.func.functional_call(module, parameters, xs)

        return Subject(call, name=self.name, shapes=shapes, parameters=module.meaning)

    def model_class(self) -> type[Named]:
        """Return the class of its models."""
        style = self

        class Model(self.storage):
            def forward(self, *xs: Tensor) -> Any:
                return style.outputs(style.heads(self.network, self.blocks(), xs))

        return Model

    def heads(
        self, network: Network, p: Mapping[str, Tensor], xs: Sequence[Tensor]
    ) -> list[Tensor]:
        """Return the outputs, head by head."""
        hidden = []
        if network.hidden:
            into = [(x, p[f"{letter}1"]) for x, letter in zip(xs, "WV", strict=False)]
            hidden.append(self.activation(network.activation)(self.total(into, p["b"])))
        sums = []  # of each head: what it reads and with what weights, and its bias
        for letter, _ in zip("WV", network.outputs, strict=False):
            read = [(h, p[f"{letter}2"]) for h in hidden]
            if network.has_skip:
                skips = (p[f"S{group + 1}_{letter.lower()}"] for group in range(len(xs)))
                read += zip(xs, skips, strict=True)
            sums.append((read, p[f"b_{letter.lower()}"]))
        f = self.activation(network.output)
        if self.joined != "heads":
            return [f(self.total(read, b)) for read, b in sums]
        read = []
        for of_heads in zip(*(read for read, _ in sums), strict=True):
            read.append((of_heads[0][0], torch.cat([W for _, W in of_heads])))
        o = f(self.total(read, torch.cat([b for _, b in sums])))
        return list(o.split(network.outputs, 1))

    def total(self, read: Sequence[tuple[Tensor, Tensor]], b: Tensor) -> Tensor:
        """Return the sum of several inputs (R, I) times their weights (O, I), and a bias."""
        if self.joined != "nothing":
            W = torch.cat([W for _, W in read], 1)
            return self.affine(torch.cat([x for x, _ in read], 1), W, b)
        (x, W), *others = read
        z = self.affine(x, W, b)
        for x, W in others:
            z = z + self.affine(x, W, torch.zeros_like(b))
        return z


@dataclass(frozen=True)
class InSequence:
    """A style of PyTorch's own layers in sequence."""

    build: Callable[[Network], nn.Module]

    @property
    def name(self) -> str:
        return f"layers {self.build.__name__}"

    @property
    def most(self) -> int:
        return 10**9

    def network(self, rng: np.random.Generator) -> Network:
        # of widths that differ, so that shapes tell the parameters
        inputs, hidden, outputs = (int(width) for width in rng.permutation(9)[:3] + 1)
        return Network(inputs, hidden, outputs, *_activations(rng))

    def subject(self, network: Network) -> Subject:
        meaning = None
        if self.build.__name__ == "convolved":  # kernels (O, I, 1)
            meaning = {"W1": "1.weight[:, :, 0]", "W2": "3.weight[:, :, 0]"}
        return Subject(lambda: self.build(network), name=self.name, parameters=meaning)


def inside_model(meaning: Any, network: Network) -> Any:
    """Return what parameters mean if all their names begin with "model."."""
    if callable(meaning):
        return lambda own: meaning({k.removeprefix("model."): v for k, v in own.items()})
    words = {block.name: block.name for block in network.layout.blocks} | (meaning or {})
    return {block: f"model.{said}" for block, said in words.items()}


def _activations(rng: np.random.Generator) -> tuple[str, str]:
    return ACTS[rng.integers(3)], ACTS[rng.choice([0, 1, 2, 3, 3, 3])]


def random_network(rng: np.random.Generator) -> Network:
    """Draw a network of one or two groups and heads, some with skip connections."""
    groups, heads = (tuple(int(w) for w in rng.integers(1, 7, rng.integers(1, 3))) for _ in "io")
    skip, hidden = bool(rng.random() < 0.3), int(rng.integers(0, 13))
    return Network(groups, hidden, heads, *_activations(rng), skip=skip)


SPECIAL: tuple[Style, ...] = (
    Forms(linear, 0, Named, "compiled"),
    Forms(matmul, 1, Linears, "compiled", joined="nothing"),
    Forms(linear, 0, Linears, "traced"),
    Forms(einsum, 1, Transposed, "traced", joined="nothing"),
    *(Forms(form, 2, STORAGE[3 * n], "function", list_all) for n, form in enumerate(SIMPLE)),
    *map(InSequence, SEQUENCES),
)


def choose_styles(count: int) -> list[Style]:
    """Return so many styles: the special ones, and combinations of forms.

    The first combinations have every form once.
    """
    rng = np.random.default_rng(0)
    found: dict[str, Style] = {style.name: style for style in SPECIAL}
    turn = 0
    while len(found) < count:
        shell = list(SHELLS)[turn % len(SHELLS)]
        affine = _choose(AFFINE, turn, rng)
        storage = _choose(STORAGE, turn, rng)
        outputs = OUTPUTS[int(rng.integers(len(OUTPUTS)))]
        act = turn if turn < 12 else int(rng.integers(1000))
        if shell in ONE_OR_TUPLE:
            outputs = OUTPUTS[0]
        if shell == "RowsMapped":
            affine, act = SIMPLE[turn % len(SIMPLE)], 0
        joined = JOINED[int(rng.integers(len(JOINED)))]
        style = Forms(affine, act, storage, shell, outputs, joined)
        found[style.name] = style
        turn += 1
    return list(found.values())[:count]


def _choose(forms: Sequence[Any], turn: int, rng: np.random.Generator) -> Any:
    return forms[turn] if turn < len(forms) else forms[int(rng.integers(len(forms)))]


def declared() -> list[Style]:
    """Return the styles that are red unless their author declares a contract."""
    return [Forms(linear, 0, Linears, declared=form) for form in DECLARED]
