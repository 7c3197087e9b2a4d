"""The recipe of a training: its optimiser, the optimiser's settings, and when it stops."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Literal

from harness.text.harmless import shown

Optimiser = Literal["sgd", "adam", "adamw", "rmsprop", "lbfgs"]
SGD = {"lr": 1e-3, "momentum": 0.0, "weight_decay": 0.0, "dampening": 0.0, "nesterov": False}
ADAM = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
ADAMW = ADAM | {"weight_decay": 0.01}
RMSPROP = {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0}
LBFGS = {
    "lr": 1.0,
    "max_iter": 20,
    "history_size": 100,
    "tolerance_grad": 1e-7,
    "tolerance_change": 1e-9,
}
OPTIMISERS: dict[Optimiser, dict[str, float]] = {
    "sgd": SGD,
    "adam": ADAM,
    "adamw": ADAMW,
    "rmsprop": RMSPROP,
    "lbfgs": LBFGS,
}


@dataclass(frozen=True)
class Recipe:
    """An optimiser of torch.optim with its settings by PyTorch's names, and when it stops.

    `optimiser` is one of five. "sgd" has lr, momentum, weight_decay, dampening and nesterov. "adam"
    and "adamw" have lr, beta1, beta2, eps and weight_decay. "rmsprop" has lr, alpha, eps and
    weight_decay. "lbfgs" has lr, max_iter, history_size, tolerance_grad, tolerance_change, and a
    strong Wolfe line search. Training stops after `steps` steps. It stops earlier, after a step, if
    the loss before that step is at most `until`. Raises ValueError for another optimiser or
    setting.
    """

    optimiser: Optimiser
    steps: int
    settings: Mapping[str, float] = field(default_factory=dict)
    until: float = -inf

    def __post_init__(self) -> None:
        if self.optimiser not in OPTIMISERS:
            raise ValueError(
                f"optimiser {self.optimiser!r} is not known, expected one of"
                f" {', '.join(OPTIMISERS)}; by another, Trained(..., loop=f) ends are judged, with"
                " checks=['final', 'fit']"
            )
        if not isinstance(self.settings, Mapping):
            found = f"settings are {shown(self.settings, 40)}"
            raise TypeError(f'{found}, expected a dict: Recipe("adam", 50, {{"lr": 0.01}})')
        if unknown := sorted(set(self.settings) - set(OPTIMISERS[self.optimiser])):
            known = ", ".join(OPTIMISERS[self.optimiser])
            raise ValueError(
                f"{self.optimiser} has no setting {unknown[0]!r}, expected some of {known}"
            )
        for name, value in self.settings.items():
            if not isinstance(value, int | float):
                raise TypeError(
                    f"{self.optimiser} has {name}={shown(value, 40)}, expected a number"
                )
        for share in ("beta1", "beta2", "alpha"):
            if not 0.5 <= self.settings.get(share, 0.9) < 1:
                raise ValueError(
                    f"{self.optimiser} has {share}={self.settings[share]:g}, expected a number from"
                    " 1/2 up to 1: bounds hold for these"
                )
        if self.settings.get("nesterov") and not (
            self.setting("momentum") > 0 and not self.setting("dampening")
        ):
            raise ValueError("sgd has nesterov, expected a momentum and no dampening beside it")
        if not isinstance(self.steps, int) or self.steps < 1:
            raise ValueError(
                f"{shown(self.steps, 40)} steps were asked for, expected a whole number, at"
                " least one"
            )

    def setting(self, name: str) -> float:
        """Return the setting of this name, or PyTorch's default if it is not given."""
        return self.settings.get(name, OPTIMISERS[self.optimiser][name])
