"""Follows calls of a user's own torch.autograd.Function: inputs, outputs, and the gradients of
both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from harness.shadow.places import Place
from harness.shadow.recording import Operation, Recorder


@dataclass(eq=False)
class Function:
    """One call of a user's own torch.autograd.Function, whose backward pass is written by hand.

    `inputs` and `outputs` are its tensors. `gradients_out` are the gradients by the outputs, which
    its backward gets. `gradients_in` are those by the inputs, which it returns (None if it returns
    none). Both are empty before the backward pass. `operations` are those of its forward pass.
    `leaves` says that numbers leave torch in it, for NumPy or Python.
    """

    name: str
    inputs: Sequence[Place]
    outputs: Sequence[Place]
    operations: Sequence[Operation]
    gradients_in: Sequence[Place | None] = ()
    gradients_out: Sequence[Place | None] = ()
    leaves: bool = False


@dataclass(eq=False)
class Functions:
    """The calls of a user's own autograd Functions while a recorder runs."""

    recorder: Recorder
    calls: list[Function] = field(default_factory=list)

    @contextmanager
    def follow(self) -> Iterator[None]:
        """Store every call of an autograd Function while the `with` block runs."""
        plain = torch.autograd.Function.__dict__["apply"]
        functions = self

        def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
            run = functions.recorder.run
            before, reads = len(run.operations), len(run.read_numbers)
            inputs = [functions.recorder.place(each) for each in args if isinstance(each, Tensor)]
            outputs = plain.__func__(cls, *args, **kwargs)
            leaves = len(run.read_numbers) > reads
            functions._note(cls.__name__, before, inputs, outputs, leaves)
            return outputs

        # mypy refuses a plain assignment to a method
        setattr(torch.autograd.Function, "apply", classmethod(apply))  # noqa: B010
        try:
            yield
        finally:
            setattr(torch.autograd.Function, "apply", plain)  # noqa: B010

    def _note(
        self, name: str, before: int, inputs: list[Place], outputs: Any, leaves: bool
    ) -> None:
        listed = outputs if isinstance(outputs, tuple) else (outputs,)
        tensors = [each for each in listed if isinstance(each, Tensor)]
        node = next((each.grad_fn for each in tensors if each.grad_fn is not None), None)
        if node is None:
            return
        operations = self.recorder.run.operations[before:]
        places = [self.recorder.place(each) for each in tensors]
        call = Function(name, inputs, places, operations, leaves=leaves)

        def note_gradients(of_inputs: Any, of_outputs: Any) -> None:
            call.gradients_in = [self._place(each) for each in of_inputs]
            call.gradients_out = [self._place(each) for each in of_outputs]

        node.register_hook(note_gradients)
        self.calls.append(call)

    def _place(self, tensor: Tensor | None) -> Place | None:
        return None if tensor is None else self.recorder.place(tensor)
