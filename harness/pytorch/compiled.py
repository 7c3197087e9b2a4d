"""What torch.compile makes of a model: whether what ran was compiled, and no code that is left from
another dtype.
"""

import sys
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from harness.core.text import class_name

# A model is asked with gradients and without, on inputs that need them and that do not, in train()
# and in eval(), on stacks of 1, 4, 5 and 67 rows and of a user's own: all are compiled anew where
# nothing is taken for variable. Torch's own limit, after which a function runs uncompiled, is 8.
LIMIT = 32
LIMITS = ("recompile_limit", "cache_size_limit")  # what it is called since torch 2.7, and before
FAILS = ("fail_on_recompile_limit_hit", "fail_on_cache_limit_hit")
REACHED = (
    "FailOnRecompileLimitHit",
    "FailOnCacheLimitHit",
    "RecompileLimitExceeded",
    "CacheLimitExceeded",
)


class Compiler:
    """Notes of torch.compile, for one model at a time in one dtype on one device."""

    def __init__(self) -> None:
        self.who: Hashable = None
        self.tried = self.compiled = self.breaks = 0

    @contextmanager
    def asking(self, who: Hashable) -> Iterator[None]:
        """While a model is asked: its own compiled code is new, and counted; the limit of that
        raises.
        """
        if who != self.who:
            self.who, self.tried, self.compiled, self.breaks = who, 0, 0, 0
            if dynamo := sys.modules.get("torch._dynamo"):
                dynamo.reset()
        before = _counted()
        try:
            with limited():
                yield
        finally:
            tried, compiled, breaks = (
                now - then for now, then in zip(_counted(), before, strict=True)
            )
            self.tried, self.compiled, self.breaks = (
                self.tried + tried,
                self.compiled + compiled,
                self.breaks + breaks,
            )

    def says(self, model: Any) -> str:
        """How the model that was asked last ran; "" for one that nobody compiles."""
        if self.compiled:
            return "compiled in part" if self.breaks or self.tried > self.compiled else "compiled"
        return "eager" if self.tried or is_compiled(model) else ""


COMPILER = Compiler()  # of this process: torch.compile's caches are too


@contextmanager
def limited() -> Iterator[None]:
    """While this lasts a function may be compiled LIMIT times, and then raises in place of running
    uncompiled.
    """
    if (config := getattr(sys.modules.get("torch._dynamo"), "config", None)) is None:
        yield
        return
    limit, fails = (
        next(name for name in names if hasattr(config, name)) for names in (LIMITS, FAILS)
    )
    silent = config.suppress_errors  # torch does not let both be
    with config.patch({limit: max(LIMIT, getattr(config, limit)), fails: not silent}):
        yield


def limit_reached(error: BaseException) -> str:
    """What is said where a function was compiled as often as is allowed; "" for another error."""
    if class_name(error) not in REACHED:
        return ""
    return (
        f"was compiled anew {LIMIT} times by torch.compile, which then goes on uncompiled, expected"
        " fewer: TORCH_LOGS=recompiles says what differs from call to call"
    )


def is_compiled(model: Any) -> bool:
    """Is a model, a part of it, its forward or a function that it holds, meant to be compiled?"""
    call = getattr(model, "call", model)
    modules = getattr(call, "modules", lambda: [call])()
    held = (
        thing
        for module in modules
        for thing in (
            module,
            getattr(module, "forward", None),
            *getattr(module, "__dict__", {}).values(),
        )
    )
    return any("_torchdynamo_orig_callable" in getattr(thing, "__dict__", {}) for thing in held)


def _counted() -> tuple[int, int, int]:
    """The frames that torch.compile has tried, and compiled, and at how many places it has left
    one.
    """
    if "torch._dynamo" not in sys.modules:
        return 0, 0, 0
    from torch._dynamo.utils import counters

    frames = counters["frames"]
    return frames["total"], frames["ok"], sum(counters["graph_break"].values())
