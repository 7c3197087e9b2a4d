"""Lets modes of torch run without torch._dynamo, which takes longer to import than torch."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

DYNAMO = "torch._dynamo"
# the attribute of a function in which torch/_compile.py keeps what torch._dynamo has made of it
WRAPPED_BY_DYNAMO = "__dynamo_disable"


def import_dynamo_late(mode: Any) -> Any:
    """Return a class of modes whose operations do not import torch._dynamo.

    torch wraps a mode's __torch_dispatch__ for torch.compile, and the wrapper imports torch._dynamo
    at its first call. Here it does so only once something else has imported it; without it nothing
    is compiled.
    """
    inside = getattr(mode.__torch_dispatch__, "__wrapped__", None)
    if inside is None:  # before torch 2.6
        return mode

    def call(*given: Any, **named: Any) -> Any:
        if DYNAMO in sys.modules:
            delattr(inside, WRAPPED_BY_DYNAMO)
        return inside(*given, **named)

    setattr(inside, WRAPPED_BY_DYNAMO, call)
    return mode


def uncompiled() -> AbstractContextManager[Any]:
    """Return a context in which functions compiled by torch.compile run without compilation."""
    import torch

    stance = getattr(torch.compiler, "set_stance", None)  # since torch 2.6
    if stance is None or DYNAMO not in sys.modules:
        return nullcontext()
    context: AbstractContextManager[Any] = stance("force_eager")
    return context
