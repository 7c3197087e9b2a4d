"""A PyTorch model together with a user's own function that trains it, from many starts at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from harness.core.contract import Array
from harness.core.formulation import Family
from harness.core.implementation import Missing
from harness.core.numpy_errors import users
from harness.core.problem import Problem
from harness.core.verdict import Status
from harness.model.devices import kind_of
from harness.model.errors import WrongAnswer, raised
from harness.model.tensors import describe_shape, make_tensors, to_array
from harness.pytorch.subject import Subject
from harness.text.harmless import class_name, exact, shown
from harness.training.model_trainer import ModelTrainer
from harness.training.trainer import Fitted, Floor, Start
from harness.waiting.progress import Say

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class TrainedBy(ModelTrainer):
    """A model and the function that trains it: your own optimiser as a subject.

    `train(inputs, targets, parameters)` trains copies of the model from D starts in one call. It
    gets a list of inputs (D, R, I), a list of targets (D, R, O), and the parameters at the starts
    by name (D, *shape). They are tensors of the trial's dtype on its device. It returns the final
    parameters by name, in the same shapes, and the losses (D,) at these parameters. It may also
    return the number of evaluations of the loss from each start (D,). No deadline ends it. With
    `until`, which a race sets, it gets that number as one more argument of this name: it ends a
    start whose loss is at most that.

    `start(formulation, D)` returns the starts (D, P). By default these are the model's own
    initialisation under torch's seeds 0, 1, ... `most` is the largest number of starts. `says`,
    `floor`, `source` and `comparison_offset` are those of Trained. The only checks are `final` and
    `fit`.

    D counts starts, P own parameters (a model's tensors, flattened), R rows, I inputs and O outputs
    of a head. Raises TypeError or ValueError for wrong arguments.
    """

    model: Any
    train: Callable[..., Any]
    name: str = ""
    says: str = ""
    start: Start | None = None
    most: int | None = None
    floor: Floor | None = None
    source: str = "computed"
    comparison_offset: float = 0.0
    until: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", Subject.of(self.model))
        if not callable(self.train):
            raise TypeError(
                f"{self.model.name}: train is {shown(self.train, 40)}, expected a function of"
                " inputs, targets and parameters"
            )
        name = self.name or f"{self.model.name}_{getattr(self.train, '__name__', 'trained')}"
        object.__setattr__(self, "name", exact(name) if isinstance(name, str) else name)
        self._validate()

    def cannot_answer(
        self, network: Family, quantity: str, dtype: str = "float64", device: str = "cpu"
    ) -> str | None:
        """Return a sentence for checks of single steps, and None for other checks."""
        if quantity in ("loss", "gradient", "step"):
            return f"{self.title()} shows no steps: choose checks=['final', 'fit']"
        return None

    def stopping_at(self, loss: float) -> Self:
        """Return a copy whose training ends, from each start, at a loss of at most `loss`."""
        return replace(self, until=loss)

    def fit(self, start: Problem, dtype: str, device: str, say: Say) -> Fitted | Missing:
        """Train from all starts in one call, and return the results.

        If the function raises an error or returns other types, names or shapes, return this as the
        reason for the missing fit.
        """
        say(f"trains {start.draws} starts in one call")
        how = {} if self.until is None else {"until": self.until}
        try:
            with kind_of(device).hold_precision(device, dtype), users():
                values, inputs, targets = make_tensors(start, dtype, device)
                names = [block.name for block in start.formulation.own.blocks]
                parameters = dict(zip(names, values, strict=True))
                kind_of(device).synchronize(device)
                began = perf_counter()
                found = self.train(inputs, targets, dict(parameters), **how)
                kind_of(device).synchronize(device)
                seconds = perf_counter() - began
            own, losses, counts = _read(found, parameters, start.draws)
        except Exception as error:  # whatever a user's function raises is its answer
            return Missing(Status.BROKEN, raised(error))
        finite = np.isfinite(own).all(axis=1) & np.isfinite(losses)
        ended = np.where(finite, "finished", "not finite").tolist()
        return Fitted.of(start, own, losses, ended, (), seconds, counts)


def _read(
    found: object, like: Mapping[str, "Tensor"], starts: int
) -> tuple[Array, Array, Sequence[int]]:
    """Return the final own parameters (D, P), the claimed losses (D,) and the counts of evaluations
    that a user's function found; `like` has the parameters at the starts.

    Raises WrongAnswer for other types, names or shapes.
    """
    if not isinstance(found, tuple | list) or len(found) not in (2, 3):
        raise WrongAnswer(f"gave {class_name(found)}, expected parameters by name, and losses")
    parameters, losses, *counts = found
    if not isinstance(parameters, Mapping) or set(parameters) != set(like):
        given = sorted(map(str, parameters)) if isinstance(parameters, Mapping) else parameters
        raise WrongAnswer(
            f"gave {shown(given, 80)} as parameters, expected tensors by name: {', '.join(like)}"
        )
    for name, before in like.items():
        _expect_shape(name, parameters[name], tuple(before.shape))
    for each in (losses, *counts):
        _expect_shape("losses" if each is losses else "evaluations", each, (starts,))
    own = to_array([parameters[name] for name in like], starts, -1)
    evaluations = [int(count) for of_starts in counts for count in of_starts]
    return own, to_array([losses], -1), evaluations


def _expect_shape(name: str, tensor: Any, shape: tuple[int, ...]) -> None:
    """Raise WrongAnswer unless this is a tensor of this shape."""
    import torch

    if not isinstance(tensor, torch.Tensor) or tuple(tensor.shape) != shape:
        found = f"a {class_name(tensor)}"
        if isinstance(tensor, torch.Tensor):
            found = f"a tensor of shape {describe_shape(tensor)}"
        raise WrongAnswer(f"gave {found} as {name}, expected a tensor of shape {shape}")
