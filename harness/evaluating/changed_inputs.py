"""Finds the line at which a model writes into an input."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from harness.core.numpy_errors import users
from harness.evaluating.evaluation import Question, copy_batch
from harness.evaluating.using import list_arguments
from harness.shadow.layers import find_line


class Writing(TorchFunctionMode):
    """Notes the user's line that first changes one of some tensors."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__()
        self.tensors = [(tensor, tensor.clone()) for tensor in tensors]
        self.line = ""

    def __torch_function__(
        self, called: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        result = called(*args, **(kwargs or {}))
        if not self.line and any(not torch.equal(*each) for each in self.tensors):
            self.line = find_line(sys._getframe(1))
        return result


def find_writing(module: Any, question: Question) -> str:
    """Return the user's line that first changes an input of a module; "" if none is found."""
    batch = copy_batch(question.batch)
    writing = Writing(list(list_arguments((batch.args, dict(batch.kwargs)))))
    with suppress(Exception), torch.random.fork_rng(devices=[]), users(), writing:
        module(*batch.args, **batch.kwargs)
    return writing.line
