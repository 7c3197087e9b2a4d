"""Models that are wrong only in one layout, in one mode, or after one kind of call; their right
twins, and right models of unusual kinds.
"""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import Function

from harness import Case, Status, Subject, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes
from reference.probes.on_data import OnData
from tests.conftest import Approved

ONE_HEAD = Network(3, 6, 2, "logistic")
TWO_HEADS = Network((3, 2), 5, (2, 1), "tanh")
SMALL = probes(seed=0, draws=8)


def verdicts(
    subject: Any, network: Network = ONE_HEAD, asked: Any = SMALL, **given: Any
) -> list[Verdict]:
    """Of every trial that a case of this subject has."""
    case = Case("modes", network, [subject], [numpy_net], asked, **given)
    cache = Cache(case)
    return [run(trial, cache) for trial in case.trials()]


def passes(subject: Any, network: Network = ONE_HEAD, asked: Any = SMALL, **given: Any) -> bool:
    """Does every trial pass? Says why one does not."""
    for verdict in verdicts(subject, network, asked, **given):
        assert verdict.status is Status.PASS, verdict.why
    return True


def why_it_fails(subject: Any, network: Network = ONE_HEAD, **given: Any) -> str:
    """Return the sentences of the trials that fail, each once."""
    failed = [v.why for v in verdicts(subject, network, **given) if v.status is Status.FAIL]
    assert failed, f"{subject} passes"
    return failed[0]


class Regressor(nn.Module):
    """A right model, of which the others change one thing; `wrong` says whether they do."""

    wrong = True

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(3, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(torch.sigmoid(self.fc1(x)))


# Layouts.


def read_memory(x: Tensor) -> Tensor:
    """Read a tensor as if it were contiguous, as a kernel does that takes only a pointer."""
    flat = torch.as_strided(x.detach(), (1,), (1,))
    size = flat.untyped_storage().nbytes() // x.itemsize - x.storage_offset()
    memory = torch.as_strided(x.detach(), (size,), (1,))
    return memory[: x.numel()].reshape(x.shape).clone() if size >= x.numel() else x * 2


class PointerOnly(Function):
    """A product x W' that reads chosen tensors by their pointers only."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, read: str) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.read = read
        return (read_memory(x) if read == "inputs" else x) @ weight.T

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (g,) = gradients
        x, weight = ctx.saved_tensors
        g = read_memory(g) if ctx.read == "gradients" else g
        return g @ weight, g.T @ (read_memory(x) if ctx.read == "saved" else x), None


class ReadsInputs(Regressor):
    reads = "inputs"

    def forward(self, x: Tensor) -> Tensor:
        reads = self.reads if self.wrong else "nothing"
        h = PointerOnly.apply(x, self.fc1.weight, reads) + self.fc1.bias
        return self.fc2(torch.sigmoid(h))


class ReadsSavedInputs(ReadsInputs):
    reads = "saved"


class OtherRow(Function):
    """Hands its input on, and the gradient too, or that of the rows in reverse."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, reverse: bool) -> Tensor:
        ctx.reverse = reverse
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0].flip(0) if ctx.reverse else gradients[0], None


class InputGradient(Regressor):
    """The gradient by inputs is that of another row where they are transposed."""

    def forward(self, x: Tensor) -> Tensor:
        transposed = len(x) > 1 and x.stride(0) == 1
        return super().forward(OtherRow.apply(x, self.wrong and transposed))


class ReadsGradients(Regressor):
    def forward(self, x: Tensor) -> Tensor:
        reads = "gradients" if self.wrong else "nothing"
        h = torch.sigmoid(self.fc1(x))
        return PointerOnly.apply(h, self.fc2.weight, reads) + self.fc2.bias


class TransposedOnly(Regressor):
    def forward(self, x: Tensor) -> Tensor:
        column_major = self.wrong and len(x) > 1 and x.stride(0) == 1
        return super().forward(x.flip(1) if column_major else x)


class StridedOnly(Regressor):
    def forward(self, x: Tensor) -> Tensor:
        gaps = self.wrong and x.stride(1) == 2
        return super().forward(x.flip(1) if gaps else x)


class ExpandedOnly(Regressor):
    def forward(self, x: Tensor) -> Tensor:
        expanded = self.wrong and 0 in x.stride()
        return super().forward(x + torch.arange(len(x))[:, None].to(x) if expanded else x)


class SecondInput(nn.Module):
    wrong = True

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 5, bias=False), nn.Linear(2, 5)
        self.mean, self.spread = nn.Linear(5, 2), nn.Linear(5, 1)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        if self.wrong and not b.is_contiguous():
            b = b.flip(1)
        h = torch.tanh(self.left(a) + self.right(b))
        return self.mean(h), self.spread(h)


# Modes.


class EvalGradient(Regressor):
    def forward(self, x: Tensor) -> Tensor:
        h = torch.sigmoid(self.fc1(x))
        return self.fc2(h if self.training or not self.wrong else h.detach())


class InInference(Regressor):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y * 1.5 if self.wrong and torch.is_inference_mode_enabled() else y


class Overwrites(Regressor):
    """`.grad` is what the last backward() gave."""

    def __init__(self) -> None:
        super().__init__()
        if not self.wrong:
            return
        last: dict[str, Tensor] = {}
        weight = self.fc1.weight
        weight.register_hook(lambda g: last.update(g=g.clone()))

        def overwrite(parameter: Tensor) -> None:
            assert parameter.grad is not None
            parameter.grad.copy_(last["g"])

        weight.register_post_accumulate_grad_hook(overwrite)


class AddsOnce(Regressor):
    """The bias has no gradient any more once it has one."""

    def __init__(self) -> None:
        super().__init__()
        if self.wrong:
            bias = self.fc2.bias
            bias.register_hook(lambda g: g if bias.grad is None else torch.zeros_like(g))


class FrozenBreaksOthers(Regressor):
    frozen = "fc1.weight"

    def forward(self, x: Tensor) -> Tensor:
        h = torch.sigmoid(self.fc1(x))
        stops = self.wrong and not self.get_parameter(self.frozen).requires_grad
        return self.fc2(h.detach() if stops else h)


class FrozenLastBias(FrozenBreaksOthers):
    frozen = "fc2.bias"


class FrozenOutputs(Regressor):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y if self.fc2.weight.requires_grad or not self.wrong else y * 2


class Buffer(Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, buffer: Tensor) -> Tensor:
        return buffer.copy_(y).detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0], None


class ReusesOutput(Regressor):
    """Every call writes its outputs into the same memory."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        if not self.wrong:
            return y
        if getattr(self, "buffer_", torch.zeros(0)).shape != y.shape:
            self.buffer_ = torch.zeros_like(y)
        return Buffer.apply(y, self.buffer_)


class ReusesOutputWithoutGrad(ReusesOutput):
    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return Regressor.forward(self, x)
        return super().forward(x)


class CopyForgets(Regressor):
    def __init__(self) -> None:
        super().__init__()
        self.factor = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.factor

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        copied = type(self)().to(self.fc1.weight.dtype)
        copied.load_state_dict(copy.deepcopy(self.state_dict(), memo))
        copied.factor = 2.0 if self.wrong else 1.0
        return copied


class LoadForgets(Regressor):
    def load_state_dict(self, state_dict: Any, *others: Any, **named: Any) -> Any:
        bias = self.fc2.bias.detach().clone()
        loaded = super().load_state_dict(state_dict, *others, **named)
        if self.wrong:
            self.fc2.bias.data.copy_(bias)
        return loaded


class CachedByPointer(Regressor):
    """Remembers its scaled inputs by the place of their memory."""

    def forward(self, x: Tensor) -> Tensor:
        version = 0 if self.wrong or x.is_inference() else x._version
        key = (x.data_ptr(), x.shape, x.stride(), version, *self.parameters_now())
        if getattr(self, "key", None) != key:
            self.key, self.scaled = key, x.detach() * 0.5
        return super().forward(x + (self.scaled - x.detach() * 0.5))

    def parameters_now(self) -> list[int]:
        return [parameter._version for parameter in self.parameters()]


class CachedById(CachedByPointer):
    """Remembers them by the object."""

    def forward(self, x: Tensor) -> Tensor:
        key = (id(x), *self.parameters_now())
        if getattr(self, "key", None) != key or not self.wrong:
            self.key, self.scaled = key, x.detach() * 0.5
        return Regressor.forward(self, x + (self.scaled - x.detach() * 0.5))


class CachedByWeight(Regressor):
    """Remembers the sum of both biases by the version of one parameter."""

    keyed = "fc1.weight"

    def forward(self, x: Tensor) -> Tensor:
        version = self.get_parameter(self.keyed)._version
        if getattr(self, "at", None) != version or not self.wrong:
            self.at, self.scale = version, self.fc2.bias.detach().clone()
        y = super().forward(x)
        return y + (self.scale - self.fc2.bias.detach())


class CachedByLastWeight(CachedByWeight):
    keyed = "fc2.weight"


class ThroughNumpy(Regressor):
    def forward(self, x: Tensor) -> Tensor:
        h = self.fc1(x)
        if self.wrong:
            return self.fc2(torch.from_numpy(0.5 + 0.5 * np.tanh(h.detach().numpy() / 2)))
        return self.fc2(torch.sigmoid(h))


WRONG: list[tuple[type[nn.Module], Network]] = [
    (ReadsInputs, ONE_HEAD),
    (ReadsSavedInputs, ONE_HEAD),
    (InputGradient, ONE_HEAD),
    (ReadsGradients, ONE_HEAD),
    (TransposedOnly, ONE_HEAD),
    (StridedOnly, ONE_HEAD),
    (ExpandedOnly, ONE_HEAD),
    (EvalGradient, ONE_HEAD),
    (InInference, ONE_HEAD),
    (Overwrites, ONE_HEAD),
    (AddsOnce, ONE_HEAD),
    (FrozenBreaksOthers, ONE_HEAD),
    (FrozenLastBias, ONE_HEAD),
    (FrozenOutputs, ONE_HEAD),
    (ReusesOutput, ONE_HEAD),
    (ReusesOutputWithoutGrad, ONE_HEAD),
    (CopyForgets, ONE_HEAD),
    (LoadForgets, ONE_HEAD),
    (CachedByPointer, ONE_HEAD),
    (CachedById, ONE_HEAD),
    (CachedByWeight, ONE_HEAD),
    (CachedByLastWeight, ONE_HEAD),
    (ThroughNumpy, ONE_HEAD),
    (SecondInput, TWO_HEADS),
]


NAMES = [model.__name__ for model, _ in WRONG]


@pytest.mark.parametrize(("model", "network"), WRONG, ids=NAMES)
def test_a_model_that_is_wrong_in_one_way_only_fails_with_its_sentence(
    model: type[nn.Module], network: Network, approved: Approved
) -> None:
    """The sentence names the layout, the mode or the earlier call."""
    approved(why_it_fails(model, network), mask_figures=True)


@pytest.mark.parametrize(("model", "network"), WRONG, ids=NAMES)
def test_its_right_twin_passes(model: type[nn.Module], network: Network) -> None:
    """The same code without the fault."""
    twin = type(model.__name__, (model,), {"wrong": False})
    assert passes(twin, network)


def squares(outputs: Tensor, targets: Tensor) -> Tensor:
    return ((outputs - targets) ** 2).sum()


class Squares(Function):
    """Its gradient does not depend on that of what comes after it."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, targets: Tensor) -> Tensor:
        ctx.save_for_backward(outputs, targets)
        return squares(outputs, targets)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        outputs, targets = ctx.saved_tensors
        return 2 * (outputs - targets), None


def test_a_loss_that_ignores_the_gradient_of_its_factor_fails(approved: Approved) -> None:
    """Half of such a loss has the gradient of the whole."""
    right = type("Regressor", (Regressor,), {"wrong": False})
    ignoring = Subject(right, "Ignoring", loss=lambda o, t: Squares.apply(o, t))
    approved(why_it_fails(ignoring))


def squares_of_memory(outputs: Tensor, targets: Tensor) -> Tensor:
    return squares(outputs, read_memory(targets))


def test_a_loss_that_reads_targets_by_their_pointer_only_fails(approved: Approved) -> None:
    """A loss of one's own gets targets in the layout of the inputs."""
    right = type("Regressor", (Regressor,), {"wrong": False})
    assert passes(Subject(right, loss=squares))
    approved(why_it_fails(Subject(right, "Pointers", loss=squares_of_memory)), mask_figures=True)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    "model", [ReadsInputs, ReadsGradients, EvalGradient, InInference, CopyForgets, CachedByPointer]
)
def test_the_ways_are_asked_in_every_dtype(model: type[nn.Module], dtype: str) -> None:
    """Where the model is watched layer by layer, too; its twin is judged as before."""
    few = probes(seed=0, draws=4)
    found = verdicts(model, asked=few, dtypes=[dtype])
    assert Status.FAIL in {verdict.status for verdict in found}
    twin = type(model.__name__, (model,), {"wrong": False})
    assert Status.FAIL not in {v.status for v in verdicts(twin, asked=few, dtypes=[dtype])}


ONE_DRAW = OnData(
    np.linspace(-2, 2, 15).reshape(5, 3), np.linspace(1, -1, 10).reshape(5, 2), draws=1
)


@pytest.mark.parametrize(
    "model",
    [
        ReadsInputs,
        ReadsSavedInputs,
        ReadsGradients,
        TransposedOnly,
        StridedOnly,
        ExpandedOnly,
        EvalGradient,
        InInference,
        Overwrites,
        FrozenBreaksOthers,
        ReusesOutput,
        CopyForgets,
        LoadForgets,
        CachedByPointer,
        CachedByWeight,
    ],
)
def test_one_draw_is_enough(model: type[nn.Module]) -> None:
    """A case whose only problem has one draw asks all ways there."""
    assert why_it_fails(model, asked=ONE_DRAW)


class TossesCoins(Regressor):
    """Gives one of two wrong answers in train(), and one of two others in eval()."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.randint(1, 3, ()) + 2 * (not self.training)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_random_in_each_mode_is_not_blamed_on_eval(seed: int) -> None:
    """Though two calls in a row give the same numbers by chance."""
    torch.manual_seed(seed)
    one_draw = probes(seed=0, draws=1, kinds=["random"])
    reason = why_it_fails(TossesCoins, asked=one_draw, dtypes=["float32"])
    assert "when asked again, under torch.no_grad()" in reason
