"""Recording and replay: a run is repeated in float64, through views and writes in place."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.rules.schemas import VIEWS, read_signature
from harness.shadow.replay import replay
from harness.shadow.shadow import Shadow
from harness.shadow.watch import Watched, watch


def write_through_a_view(x: Tensor) -> Tensor:
    y = x * 2
    y[:, 1] += 3
    y.t()[0].mul_(0.5)
    return y + y.t().contiguous().t()


def fill_a_slice(x: Tensor) -> Tensor:
    y = torch.zeros(5, 4, dtype=x.dtype)
    y[1:4] = x
    y[0].fill_(0.25)
    return y.sum(0)


def expand_and_flip(x: Tensor) -> Tensor:
    return x[:, :1].expand(3, 4) * x.flip(1) - x[::2].sum(0, keepdim=True)


@pytest.mark.parametrize("compute", [write_through_a_view, fill_a_slice, expand_and_flip])
def test_views_and_writes_in_place_are_followed(compute: Callable[[Tensor], Tensor]) -> None:
    """The shadow of a float32 run is what float64 gives, to the last bit."""
    x = torch.linspace(-1, 1, 12).reshape(3, 4)
    watched = watch(lambda: {"output": compute(x)})
    shadow = replay(watched.run).read(watched.answers["output"])
    assert torch.equal(shadow, compute(x.double()))
    assert torch.equal(watched.observed("output"), compute(x))


WHOLE = torch.tensor([[1, 2, 5], [3, 7, 9]])
# from whole numbers, or from no tensor at all, in torch's default dtype
MADE: dict[str, Callable[[], Tensor]] = {
    "quotient by a tensor": lambda: WHOLE / WHOLE.sum(1, keepdim=True),
    "quotient of bytes": lambda: WHOLE.to(torch.uint8) / 255,
    "quotient of truths": lambda: (WHOLE > 2).sum() / 7,
    "reciprocal": lambda: 1 / WHOLE,
    "product by a number": lambda: WHOLE * 0.1,
    "power": lambda: 10000 ** (-WHOLE / 8),
    "root": lambda: WHOLE.sqrt(),
    "exp": lambda: torch.exp(-WHOLE),
    "logistic": lambda: torch.sigmoid(WHOLE),
    "arange": lambda: torch.arange(0, 1, 0.1) ** 2,
    "linspace": lambda: torch.linspace(0, 1, 7) ** 2,
    "full": lambda: torch.full((3,), 0.1),
}


@pytest.mark.parametrize("what", list(MADE))
def test_what_has_torchs_default_dtype_is_repeated_in_float64(what: str) -> None:
    """A mask divided by its sum is float32 in a float32 model, and float64 in its shadow."""
    watched = watch(lambda: {"output": MADE[what]()})
    assert watched.observed("output").dtype is torch.float32
    shadow = replay(watched.run).read(watched.answers["output"])
    torch.set_default_dtype(torch.float64)
    try:
        exact = MADE[what]()
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(shadow, exact)
    assert torch.get_default_dtype() is torch.float32


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_a_view_returns_only_memory_of_its_first_argument(name: str) -> None:
    """The recorder notes nothing else of it, so torch's own schema must say so."""
    packet = getattr(torch.ops.aten, name.removeprefix("aten::"))
    kinds = [getattr(packet, each) for each in packet.overloads()]
    views = [kind for kind in kinds if read_signature(kind).view]
    assert torch.ops.aten.view.dtype not in views
    for view in views:
        first, *others = view._schema.arguments
        if str(first.type) == "Tensor":
            assert first.alias_info
            assert all(each.alias_info for each in view._schema.returns)
            assert not any(each.alias_info for each in others)


def observe_mlp(dtype: torch.dtype) -> Watched:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).to(dtype)
    x = torch.randn(5, 3, dtype=dtype)

    def call() -> dict[str, Tensor]:
        output = model(x)
        loss = (output**2).mean()
        slopes = torch.autograd.grad(loss, list(model.parameters()))
        return {"loss": loss, "gradient of 0.weight": slopes[0]}

    return watch(call, model)


def test_operations_belong_to_layers() -> None:
    """Operations of the backward pass too belong to the layer whose gradient they compute."""
    run = observe_mlp(torch.float32).run
    layers = {(one.name, one.backward): one.layer for one in run.operations}
    assert layers["aten::tanh", False] == "1"
    assert layers["aten::tanh_backward", True] == "1"
    assert layers["aten::mean", False] == ""
    assert "test_recording.py" in run.operations[0].line


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_answers_are_within_reach_of_their_shadows(dtype: torch.dtype) -> None:
    """All local errors together explain the difference of an answer and its shadow."""
    watched = observe_mlp(dtype)
    shadow = Shadow(watched, str(dtype).removeprefix("torch."))
    assert all(one.share < 1 for one in shadow.checked)
    for name in watched.answers:
        number = shadow.read(name).sum()
        apart = number.detach() - watched.observed(name).double().sum()
        assert abs(float(apart)) < shadow.reach([number])[0].as_run


def test_only_numbers_that_may_be_computed_with_leave_torch() -> None:
    """A check of whole numbers (one_hot has one) or of a truth value takes nothing away, so that a
    wrong model with one still differs; `item` of a float does.
    """
    x, classes = torch.randn(3, 4), torch.tensor([0, 2, 1])

    def check() -> dict[str, Tensor]:
        assert torch.isfinite(x).all()
        return {"output": x * nn.functional.one_hot(classes, 4)}

    assert not watch(check).run.read_numbers
    assert watch(lambda: {"output": x * x.max().item()}).run.read_numbers
