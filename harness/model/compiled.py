"""Counts how much torch.compile compiles for a model, and limits how often it compiles."""

import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from harness.text.harmless import class_name

# A model is asked with gradients and without, on inputs that need them and that do not, in train()
# and in eval(), on stacks of some 14 numbers of rows and of a user's own: all are compiled anew
# where nothing is taken for variable. Torch's own limit, after which a function runs uncompiled,
# is 8.
LIMIT = 32
LIMITS = ("recompile_limit", "cache_size_limit")  # its name since torch 2.7, and before
FAILS = ("fail_on_recompile_limit_hit", "fail_on_cache_limit_hit")
REACHED = (
    "FailOnRecompileLimitHit",
    "FailOnCacheLimitHit",
    "RecompileLimitExceeded",
    "CacheLimitExceeded",
)


class Counts(NamedTuple):
    """Counts of torch.compile's work.

    `tried` counts the frames (functions, or parts of functions) that it tried to compile,
    `compiled` the frames that it compiled, and `breaks` the graph breaks (places at which it split
    a function).
    """

    tried: int = 0
    compiled: int = 0
    breaks: int = 0


class Compiler:
    """Counts the compilations by torch.compile for one model at a time, in one dtype on
    one device.
    """

    def __init__(self) -> None:
        self.who: Hashable = None
        self.counts = Counts()

    @contextmanager
    def asking(self, who: Hashable) -> Iterator[None]:
        """Count torch.compile's compilations inside this context, and limit them as `limited` does.

        `who` identifies the model, dtype and device. If it differs from the last one, compiled code
        is dropped and the counts start at 0.
        """
        if who != self.who:
            self.who = who
            self.counts = Counts()
            if dynamo := sys.modules.get("torch._dynamo"):
                dynamo.reset()
        before = _read_counts()
        try:
            with limited():
                yield
        finally:
            now = _read_counts()
            self.counts = Counts(
                self.counts.tried + now.tried - before.tried,
                self.counts.compiled + now.compiled - before.compiled,
                self.counts.breaks + now.breaks - before.breaks,
            )

    def says(self, model: Any) -> str:
        """Return how the last model was run: "compiled", "compiled in part" or "eager" (not
        compiled).

        Return "" for a model that does not use torch.compile.
        """
        tried, compiled, breaks = self.counts
        if compiled:
            return "compiled in part" if breaks or tried > compiled else "compiled"
        return "eager" if tried or is_compiled(model) else ""


COMPILER = Compiler()  # of this process: torch.compile's caches are too


@contextmanager
def limited() -> Iterator[None]:
    """Let torch.compile compile each function at most LIMIT times in this context.

    One more compilation raises an error; without this context torch would then run the function
    uncompiled.
    """
    config = getattr(sys.modules.get("torch._dynamo"), "config", None)
    if config is None:
        yield
        return
    limit, fails = _find_option(config, LIMITS), _find_option(config, FAILS)
    silent = config.suppress_errors  # torch does not let both be
    with config.patch({limit: max(LIMIT, getattr(config, limit)), fails: not silent}):
        yield


def _find_option(config: Any, names: Sequence[str]) -> str:
    """Return the name that the installed torch uses for an option; `names` are its names in all
    versions.
    """
    return next(name for name in names if hasattr(config, name))


def limit_reached(error: BaseException) -> str:
    """Return a description of the error that torch raises at the limit set by `limited`; "" for any
    other error.
    """
    if class_name(error) not in REACHED:
        return ""
    return (
        f"was compiled anew {LIMIT} times by torch.compile, which then goes on uncompiled, expected"
        " fewer: TORCH_LOGS=recompiles says what differs from call to call"
    )


def is_compiled(model: Any) -> bool:
    """Was the model, one of its modules, or a function that these hold passed to torch.compile?"""
    if "torch._dynamo" not in sys.modules:  # nothing was
        return False
    call = getattr(model, "call", model)
    if not hasattr(call, "modules"):
        return _holds_compiled(call)
    return any(_holds_compiled(module) for module in call.modules())


def _holds_compiled(module: Any) -> bool:
    """Was this function or module, its forward, or one of its attributes passed to torch.compile?

    The submodules of a module are not searched.
    """
    candidates = [module, getattr(module, "forward", None), *_attributes(module).values()]
    return any("_torchdynamo_orig_callable" in _attributes(thing) for thing in candidates)


def _attributes(thing: Any) -> Mapping[str, Any]:
    return getattr(thing, "__dict__", {})


def _read_counts() -> Counts:
    """Read torch.compile's counts for the whole process, since it started."""
    if "torch._dynamo" not in sys.modules:
        return Counts()
    from torch._dynamo.utils import counters

    frames = counters["frames"]
    return Counts(frames["total"], frames["ok"], sum(counters["graph_break"].values()))
