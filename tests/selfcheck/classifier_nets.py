"""Random networks, losses and data of classifiers, each with the options that it has.

In shapes, D counts draws (problems of a stack), R rows of data, I inputs and O outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.core.formulation import Formulation
from harness.core.loss import OF_A_ROW, Loss
from harness.core.problem import Problem
from reference import Network
from reference.mathematics.losses import ACTIVATION_OF

DRAWS = 4
# every option, and how often each of its values is drawn
OPTIONS: dict[str, dict[str, float]] = {
    "error": {
        "squares": 0.08,
        "entropy": 0.2,
        "bce": 0.15,
        "softmax": 0.27,
        "kl": 0.08,
        "censored": 0.12,
        "several": 0.1,
    },
    "loss of": {"probabilities": 0.5, "logits": 0.5},
    "heads": {"1": 0.65, "2": 0.2, "3": 0.15},
    "groups": {"1": 0.65, "2": 0.35},
    "hidden": {"0": 0.15, "1-3": 0.4, "4-8": 0.45},
    "activation": {"logistic": 0.65, "tanh": 0.35},
    "skip": {"none": 0.5, "all": 0.3, "masked": 0.2},
    "masks": {"none": 0.75, "sparse": 0.25},
    "decay": {"none": 0.5, "one": 0.2, "vector": 0.15, "blocks": 0.15},
    "row weights": {"none": 0.65, "given": 0.35},
    "reduction": {"sum": 0.5, "mean": 0.3, "mean_of_rows": 0.2},
    "factor": {"none": 0.6, "one": 0.2, "heads": 0.2},
    "targets": {"one-hot": 0.3, "soft": 0.2, "counts": 0.15, "sets": 0.2, "outside": 0.15},
    "changed": {"none": 0.31, "class weights": 0.23, "smoothing": 0.23, "both": 0.23},
    "rows": {"1": 0.15, "2-8": 0.5, "9-40": 0.35},
    "state": {"usual": 0.5, "saturated": 0.3, "tied": 0.2},
}
# values of two options that do not go together
EXCLUDED = (
    ("error: squares", "loss of", ("probabilities", "logits")),
    ("error: several", "heads", ("1",)),
    ("error: entropy", "targets", ("counts",)),
    ("error: bce", "targets", ("counts",)),
    ("heads: 1", "factor", ("heads",)),
    ("hidden: 0", "activation", ("logistic", "tanh")),
    ("hidden: 0", "skip", ("none",)),
    ("hidden: 0", "masks", ("sparse",)),
    ("row weights: given", "reduction", ("mean", "mean_of_rows")),
    *(
        (f"error: {error}", "changed", ("class weights", "smoothing", "both"))
        for error in ("squares", "entropy", "bce", "kl", "censored", "several")
    ),
)


def list_pairs() -> list[tuple[str, str]]:
    """Return all pairs of values of two options that a net may have."""
    excluded = set()
    for first, option, values in EXCLUDED:
        for value in values:
            excluded |= {(first, f"{option}: {value}"), (f"{option}: {value}", first)}
    pairs = []
    for first_option, second_option in combinations(OPTIONS, 2):
        for one, other in product(OPTIONS[first_option], OPTIONS[second_option]):
            pair = f"{first_option}: {one}", f"{second_option}: {other}"
            if pair not in excluded:
                pairs.append(pair)
    return pairs


@dataclass(frozen=True)
class Net:
    """A stack of draws, and the value of each option that it has."""

    problem: Problem
    options: dict[str, str]

    @property
    def network(self) -> Network:
        network = self.problem.formulation.network
        assert isinstance(network, Network)
        return network


def draw_net(seed: int, number: int) -> Net:
    """Return the net of a number: the same for the same seed."""
    return _Drawing(np.random.default_rng([seed, number])).net()


class _Drawing:
    """Draws the parts of one net, option by option."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.options: dict[str, str] = {}
        for name, shares in OPTIONS.items():
            values = list(shares)
            self.options[name] = values[int(rng.choice(len(values), p=list(shares.values())))]
        self._settle()

    def _settle(self) -> None:
        """Replace values of options that do not go together."""
        options = self.options
        if options["error"] == "several" and options["heads"] == "1":
            options["heads"] = "2"
        if options["hidden"] == "0":
            options["activation"] = "identity"
            if options["skip"] == "none":
                options["skip"] = "all"
        if options["row weights"] == "given":
            options["reduction"] = "sum"
        if options["factor"] == "heads" and options["heads"] == "1":
            options["factor"] = "one"
        if options["error"] != "softmax":
            options["changed"] = "none"
        if options["error"] == "squares":
            options["loss of"] = "outputs"
        if options["targets"] == "counts" and options["error"] in ("entropy", "bce"):
            options["targets"] = "sets"
        divides = options["reduction"] == "mean" and options["changed"] in ("class weights", "both")
        if divides and options["targets"] == "outside":  # by sums that may be 0
            options["targets"] = "counts"

    def net(self) -> Net:
        """Return the net."""
        self.errors = self._draw_errors()
        self.widths = self._draw_widths()
        network = self._draw_network()
        rows = self._between({"1": (1, 1), "2-8": (2, 8), "9-40": (9, 40)}[self.options["rows"]])
        formulation = Formulation.identity(network)
        own = self._draw_parameters(network)
        inputs = self.rng.normal(size=(DRAWS, rows, sum(network.inputs)))
        targets = np.concatenate(
            [
                self._draw_targets(error, rows, width)
                for error, width in zip(self.errors, self.widths, strict=True)
            ],
            axis=-1,
        )
        loss = self._draw_loss(network, rows)
        return Net(Problem("random", formulation, own, inputs, targets, loss), self.options)

    def _between(self, limits: tuple[int, int]) -> int:
        return int(self.rng.integers(limits[0], limits[1] + 1))

    def _draw_errors(self) -> tuple[str, ...]:
        """Return the error of each head."""
        heads, error = int(self.options["heads"]), self.options["error"]
        if error != "several":
            return (error,) * heads
        known = np.array(["squares", *ACTIVATION_OF])
        return tuple(self.rng.choice(known, heads, replace=False).tolist())

    def _draw_widths(self) -> tuple[int, ...]:
        """Return the width of each head: 5 outputs at most of one head, as many as needed of
        several.
        """
        if self.options["changed"] in ("class weights", "both"):
            return (self._between((2, 4)),) * len(self.errors)
        most = 5 if len(self.errors) == 1 else 3
        return tuple(self._between((2 if error in OF_A_ROW else 1, most)) for error in self.errors)

    def _draw_network(self) -> Network:
        hidden = self._between({"0": (0, 0), "1-3": (1, 3), "4-8": (4, 8)}[self.options["hidden"]])
        groups = int(self.options["groups"])
        inputs = [self._between((1, 6 // groups)) for _ in range(groups)]
        sources, sinks = sum(inputs), sum(self.widths)
        masks: dict[str, Any] = {"skip": self.options["skip"] == "all"}
        if self.options["skip"] == "masked":
            masks["skip"] = self._mask((sinks, sources))
        if self.options["masks"] == "sparse" and hidden:
            masks["to_hidden"] = self._mask((hidden, sources))
            masks["to_output"] = self._mask((sinks, hidden))
        else:
            self.options["masks"] = "none"
        activation = self.options["activation"]
        return Network(
            inputs,
            hidden,
            self.widths,
            "logistic" if activation == "identity" else activation,
            self._name_outputs(),
            **masks,
        )

    def _mask(self, shape: tuple[int, int]) -> Any:
        """Return a mask in which about a third is missing, but not everything."""
        mask = self.rng.random(shape) < 0.66
        mask[0, 0] = True
        return mask

    def _name_outputs(self) -> tuple[str, ...]:
        """Return the activation of each head's outputs."""
        of_squares = str(self.rng.choice(["identity", "logistic", "softmax"], p=[0.4, 0.4, 0.2]))
        names = []
        for error in self.errors:
            if error == "squares":
                names.append(of_squares)
            else:
                is_logits = self.options["loss of"] == "logits"
                names.append("identity" if is_logits else ACTIVATION_OF[error])
        return tuple(names)

    def _draw_parameters(self, network: Network) -> Array:
        """Return theta (D, T): the last draw is saturated, or its outputs are tied."""
        own = self.rng.normal(size=(DRAWS, network.layout.size))
        own *= np.array([[0.3], [1.0], [2.0], [1.0]])
        if self.options["state"] == "saturated":
            own[-1] *= float(self.rng.choice([15.0, 60.0, 400.0]))
        if self.options["state"] == "tied":
            of_outputs = [block.layer == 2 for block in network.layout.blocks]
            for block, is_of_output in zip(network.layout.blocks, of_outputs, strict=True):
                if is_of_output:  # every output has the weights of the first
                    places = block.places.reshape(len(block.places), -1)
                    for row in places[1:]:
                        both = (row >= 0) & (places[0] >= 0)
                        own[-1, row[both]] = own[-1, places[0][both]]
        return own

    def _draw_targets(self, error: str, rows: int, width: int) -> Array:
        """Return the targets (D, R, K) of one head."""
        rng, kind = self.rng, self.options["targets"]
        shape = DRAWS, rows, width
        chosen = rng.integers(width, size=(DRAWS, rows))
        one_hot: Array = np.eye(width)[chosen]
        if width == 1:
            one_hot = (rng.random(shape) < 0.5) * 1.0
        if kind == "one-hot":
            return one_hot
        if kind == "sets":
            return np.maximum(one_hot, rng.random(shape) < 0.3)
        if kind == "counts":
            return rng.poisson(0.8, shape) + one_hot
        if kind == "soft":
            soft: Array = (
                rng.dirichlet(np.ones(width), (DRAWS, rows)) if width > 1 else rng.random(shape)
            )
            if error == "censored":  # only the last draw has rows of no class
                soft[:-1] = np.where(one_hot[:-1] == 1, 1.0, soft[:-1])
            return soft
        outside: Array = rng.normal(0.5, 1.0, shape)
        if error == "censored":
            outside[:-1] = np.where(one_hot[:-1] == 1, 1.0, outside[:-1])
        return outside

    def _draw_loss(self, network: Network, rows: int) -> Loss:
        given: dict[str, Any] = {}
        options, rng = self.options, self.rng
        if options["decay"] == "one":
            given["decay"] = float(rng.choice([1e-3, 0.1]))
        if options["decay"] == "vector":
            given["decay"] = rng.random(network.layout.size) * (rng.random() < 0.9)
        if options["decay"] == "blocks":
            names = [block.name for block in network.layout.blocks]
            given["decay"] = {str(name): 0.1 for name in rng.choice(names, 1)}
        if options["row weights"] == "given":
            given["weights"] = rng.choice([0.0, 0.5, 1.0, 3.0], rows)
        if options["factor"] == "one":
            given["factor"] = float(rng.choice([0.5, 3.0, 0.3]))
        if options["factor"] == "heads":
            given["factor"] = tuple(rng.choice([0.5, 1.0, 2.0], len(self.errors)).tolist())
        if options["changed"] in ("class weights", "both"):
            given["class_weights"] = rng.random(self.widths[0]) + 0.1
        if options["changed"] in ("smoothing", "both"):
            given["label_smoothing"] = float(rng.choice([0.1, 0.25]))
        errors: str | Sequence[str] = self.errors
        if len(set(self.errors)) == 1:
            errors = self.errors[0]
        is_logits = options["loss of"] == "logits"
        return Loss(options["reduction"], error=errors, from_logits=is_logits, **given)
