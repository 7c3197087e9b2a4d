"""Runs a model while every operation is recorded, and names its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from harness.shadow.functions import Function, Functions
from harness.shadow.layers import Layers
from harness.shadow.leaving import Leaving
from harness.shadow.places import Place
from harness.shadow.recording import Recorder, Run
from harness.shadow.unfused import unfused

Answers = Mapping[str, Tensor]  # by name, as "output", "loss", "gradient of fc.weight"


@dataclass(frozen=True, eq=False)
class Watched:
    """A recorded run, the places of its answers, and the calls of a user's own autograd
    Functions.
    """

    run: Run
    answers: Mapping[str, Place]
    functions: Sequence[Function] = ()

    def observed(self, name: str) -> Tensor:
        """Return an answer as it was observed."""
        return self.run.read(self.answers[name])


def watch(call: Callable[[], Answers], module: Any = None) -> Watched:
    """Run `call`, which returns answers by name, and record every operation.

    Layers are named after the submodules of `module`. Fused kernels are switched off, so that their
    steps are seen. Random numbers come from the present state of the generator. Raises Unwatched if
    a tensor is sparse, nested or complex, and all errors that `call` raises.
    """
    layers = Layers()
    recorder = Recorder(layers.find)
    functions = Functions(recorder)
    leaving = Leaving(recorder.run.read_numbers)
    with unfused(), layers.follow(module), functions.follow(), recorder, leaving:
        answers = call()
    places = {name: recorder.place(tensor) for name, tensor in answers.items()}
    return Watched(recorder.run, places, functions.calls)
