"""Runs a model while every operation is recorded, and names its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from harness.shadow.layers import Layers
from harness.shadow.recording import Place, Recorder, Run
from harness.shadow.unfused import unfused

Answers = Mapping[str, Tensor]  # by name, as "output", "loss", "gradient of fc.weight"


@dataclass(frozen=True, eq=False)
class Watched:
    """A recorded run, and the places of its answers and of what each layer returned.

    `layers` holds the first tensor that each call of a module returned, in the order in which the
    calls ended.
    """

    run: Run
    answers: Mapping[str, Place]
    layers: Mapping[str, Place]

    def observed(self, name: str) -> Tensor:
        """Return an answer as it was observed."""
        return self.run.read(self.answers[name])


def watch(call: Callable[[], Answers], module: Any = None) -> Watched:
    """Run `call`, which returns answers by name, and record every operation.

    The layers are those of `module`. Fused kernels are switched off, so that their steps are seen;
    random numbers are drawn from the generator as it stands.

    Raises Unwatched if a tensor is sparse, nested or complex, and whatever `call` raises.
    """
    layers = Layers()
    recorder = Recorder(layers.find)
    with ExitStack() as stack:
        stack.enter_context(unfused())
        if module is not None:
            stack.enter_context(layers.follow(module))
        stack.enter_context(recorder)
        answers = call()
    places = {name: recorder.place(tensor) for name, tensor in answers.items()}
    returned = {}
    for name, output in layers.outputs.items():
        found = _find_tensor(output)
        if found is not None:
            returned[name] = recorder.place(found)
    return Watched(recorder.run, places, returned)


def _find_tensor(output: Any) -> Tensor | None:
    """Return the first tensor of a layer's output; None if there is none."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, tuple | list):
        for each in output:
            found = _find_tensor(each)
            if found is not None:
                return found
    return None
