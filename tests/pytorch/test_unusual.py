"""Right models of unusual kinds: they pass in all modes that they support, and no mode that they do
not support is called asked.
"""

import threading
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.utils.checkpoint import checkpoint

from harness import Subject
from harness.core.implementation import Observation
from reference import Network, probes
from tests.conftest import Approved
from tests.pytorch.test_modes import ONE_HEAD, Regressor, passes

ALWAYS = {
    "torch.no_grad()",
    "torch.inference_mode()",
    "backward()",
    "gradient accumulation",
    "a frozen parameter",
    "inputs changed in place",
    "parameters changed in place",
    "outputs kept over later calls",
    "strided inputs",
    "transposed inputs",
    "expanded inputs",
    "a gradient of the outputs that is not contiguous",
}
OF_MODULES = {"eval()", "eval() with gradients", "a deep copy", "a state_dict that is loaded"}


def observe(subject: Any, network: Network = ONE_HEAD) -> list[Observation]:
    """A model's answers to small probes, all of one built model."""
    given = Subject.of(subject)
    formulation = given.formulation(network)
    live = given.live(formulation, "float64")
    return [
        given.observe(problem, "float64", live=live)
        for problem in probes(seed=0, draws=8)(formulation)
    ]


def list_asked(subject: Any, network: Network = ONE_HEAD) -> set[str]:
    """The modes and layouts in which a model was asked, over all stacks."""
    return set().union(*(observation.asked for observation in observe(subject, network)))


class Hooked(Regressor):
    """Forward and backward hooks that change nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.fc1.register_forward_hook(self.count)
        self.fc2.register_full_backward_hook(lambda module, before, after: None)

    def count(self, *given: Any) -> None:
        self.seen += 1


class Lambda(Regressor):
    """A lambda that holds the module itself: a deep copy calls the first module's layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = lambda x: torch.sigmoid(self.fc1(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.first(x))


class Locked(Regressor):
    """A lock, which cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def forward(self, x: Tensor) -> Tensor:
        with self.lock:
            return super().forward(x)


class NoLeaf(Regressor):
    """It keeps a tensor with a graph, which cannot be copied."""

    def forward(self, x: Tensor) -> Tensor:
        self.last = super().forward(x)
        return self.last * 1


class NoState(Regressor):
    def state_dict(self, *given: Any, **named: Any) -> Any:
        raise NotImplementedError


class OtherNames(Regressor):
    """Its state_dict has a prefix that loading does not know."""

    def state_dict(self, *given: Any, **named: Any) -> Any:
        return {f"model.{name}": value for name, value in super().state_dict().items()}


class Contiguous(Regressor):
    """It refuses inputs that are not contiguous."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.view(-1).view(len(x), 3))


class UnitStride(Regressor):
    """As kernels of one's own do that check what they are given."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.is_contiguous()
        return super().forward(x)


class OwnGradient(Regressor):
    """It differentiates while it computes, which inference mode does not allow."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            one = torch.ones((), dtype=x.dtype, requires_grad=True)
            (slope,) = torch.autograd.grad((one * one).sum() / 2, one)
        return super().forward(x) * slope


class Checkpointed(Regressor):
    def forward(self, x: Tensor) -> Tensor:
        h = checkpoint(lambda given: torch.sigmoid(self.fc1(given)), x, use_reentrant=False)
        return self.fc2(h)


class Counting(Regressor):
    """A buffer that counts calls, and has no effect."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1
        return super().forward(x)


class Cached(Regressor):
    """It keeps the turned weights as long as no parameter has changed."""

    def forward(self, x: Tensor) -> Tensor:
        key = (self.fc1.weight._version, torch.is_grad_enabled(), torch.is_inference_mode_enabled())
        if torch.is_grad_enabled() or getattr(self, "key", None) != key:
            self.key, self.turned = key, self.fc1.weight.t()
        return self.fc2(torch.sigmoid(x @ self.turned + self.fc1.bias))


class InPlace(Regressor):
    """In-place operations on what is its own."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.fc1(x).sigmoid_())


class PartlyEvaluated(Regressor):
    """A dropout that is always in eval(), within a module in train()."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Identity()
        self.rest = nn.Sequential(nn.BatchNorm1d(6, affine=False).eval())

    def forward(self, x: Tensor) -> Tensor:
        assert not self.rest[0].training
        return super().forward(x)


class Functional(Regressor):
    def forward(self, x: Tensor) -> Tensor:
        named = dict(self.fc1.named_parameters())
        h = torch.func.functional_call(self.fc1, named, (x,))
        return self.fc2(torch.sigmoid(h))


class Vmapped(Regressor):
    def forward(self, x: Tensor) -> Tensor:
        return torch.vmap(super().forward)(x)


class OncePerGraph(Function):
    """A backward that frees what it has saved, so that it runs once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.y = torch.sigmoid(x)
        return ctx.y.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        y = ctx.y
        del ctx.y
        return gradients[0] * y * (1 - y)


class RunsOnce(Regressor):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(OncePerGraph.apply(self.fc1(x)))


class GivesSubclass(Regressor):
    """An output of a subclass of Tensor."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).as_subclass(Subclass)


class Subclass(torch.Tensor):
    pass


class Rounds(Regressor):
    """It adds up in another order in every mode, as PyTorch may."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        usual = torch.is_grad_enabled() and x.is_contiguous() and self.training
        usual = usual and self.fc1.weight.requires_grad
        other = torch.nextafter(y, torch.full_like(y, torch.inf))
        return y if usual else torch.where(y == 0, y, other)  # a sum of zeros is 0 in any order


RIGHT: list[type[nn.Module]] = [
    Hooked,
    Lambda,
    Locked,
    NoLeaf,
    NoState,
    OtherNames,
    Contiguous,
    UnitStride,
    OwnGradient,
    Checkpointed,
    Counting,
    Cached,
    InPlace,
    PartlyEvaluated,
    Functional,
    Vmapped,
    RunsOnce,
    GivesSubclass,
]


@pytest.mark.parametrize("model", RIGHT, ids=lambda model: model.__name__)
def test_a_right_model_of_an_unusual_kind_passes(model: type[nn.Module]) -> None:
    """Whatever it holds, and however it is called."""
    assert passes(model)


def test_a_model_that_rounds_otherwise_in_other_modes_is_right() -> None:
    """What differs by rounding is the same answer, in every mode and layout."""
    assert passes(Rounds, asked=probes(seed=0, draws=8, kinds=["random", "saturated", "unusual"]))


def function(x: Tensor, W1: Tensor, b: Tensor, W2: Tensor, b_w: Tensor) -> Tensor:
    return F.linear(torch.sigmoid(F.linear(x, W1, b)), W2, b_w)


SHAPES = {"W1": (6, 3), "b": (6,), "W2": (2, 6), "b_w": (2,)}


def test_a_function_is_asked_in_what_a_function_has() -> None:
    """No mode of modules is called asked of it."""
    subject = Subject(function, shapes=SHAPES)
    assert passes(subject)
    assert list_asked(subject) == ALWAYS


def test_a_module_is_asked_in_all_modes(approved: Approved) -> None:
    """Each has its name in the observation."""
    asked = list_asked(Regressor)
    assert asked == ALWAYS | OF_MODULES
    approved(sorted(asked))


@pytest.mark.parametrize(
    ("model", "lacks"),
    [
        (Locked, {"a deep copy"}),
        (NoState, {"a state_dict that is loaded"}),
        (OtherNames, {"a state_dict that is loaded"}),
        (OwnGradient, {"torch.inference_mode()"}),
        (UnitStride, {"strided inputs", "transposed inputs", "expanded inputs"}),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_a_mode_that_a_model_does_not_support_is_not_called_asked(
    model: type[nn.Module], lacks: set[str]
) -> None:
    """All others are."""
    assert list_asked(model) == (ALWAYS | OF_MODULES) - lacks
