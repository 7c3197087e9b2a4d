"""Runs a model while every operation is recorded, and names its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.shadow.layers import Layers
from harness.shadow.recording import Place, Recorder, Run

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


@contextmanager
def unfused() -> Iterator[None]:
    """Switch off kernels that compute several operations at once while the `with` block runs."""
    fast = torch.backends.mha.get_fastpath_enabled()
    mkldnn = torch.backends.mkldnn.set_flags(False)[0]  # type: ignore[no-untyped-call]
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch.backends.mkldnn.set_flags(mkldnn)  # type: ignore[no-untyped-call]


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
