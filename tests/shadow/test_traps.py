"""Ways to compute that a recorder may miss: each is followed, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.shadow.recording import Unwatched
from harness.shadow.shadow import Shadow
from harness.shadow.watch import Watched, watch
from tests.conftest import Approved
from tests.shadow.traps import FUNCTIONS

DTYPES = (torch.float64, torch.float32, torch.bfloat16)
START = torch.linspace(-1.3, 1.7, 12).reshape(3, 4)


def evaluate(function: Callable[[Tensor], Tensor], x: Tensor) -> dict[str, Tensor]:
    """Return an output and its gradient."""
    torch.manual_seed(0)
    x = x.detach().requires_grad_()
    output = function(x)
    return {"output": output, "gradient": torch.autograd.grad((output * output).sum(), x)[0]}


def hold(shadow: Shadow) -> None:
    """Fail unless each operation is within its bound and each answer within reach of its shadow."""
    for one in shadow.checked:
        assert one.ruled, one.operation.name
        assert one.share < 1, one.operation.name
    for name in shadow.watched.answers:
        number = shadow.read(name).sum()
        apart = number - shadow.watched.observed(name).double().sum()
        assert abs(float(apart.detach())) <= shadow.reach([number])[0].as_run


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_it_is_followed(name: str, dtype: torch.dtype) -> None:
    """The watched numbers are those of an unwatched run; the shadow is what float64 gives."""
    x = START.to(dtype)
    plain = evaluate(FUNCTIONS[name], x)
    shadow = Shadow(watch(lambda: evaluate(FUNCTIONS[name], x)), str(dtype)[6:])
    hold(shadow)
    for answer, numbers in plain.items():
        assert torch.equal(shadow.watched.observed(answer), numbers)
    if name == "draw numbers":
        return  # a run in another dtype draws other numbers
    for answer, numbers in evaluate(FUNCTIONS[name], x.double()).items():
        torch.testing.assert_close(shadow.read(answer), numbers, rtol=1e-12, atol=1e-12)


def test_reads_of_numbers_are_noted() -> None:
    """Where Python reads a number of floating point, the run has the line; a truth value decides
    between branches, and no number of it goes on.
    """
    watched = watch(lambda: evaluate(FUNCTIONS["branch on numbers"], START))
    (line,) = watched.run.read_numbers
    assert "traps.py" in line


def make_net(dtype: torch.dtype) -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    net[2].weight = net[0].weight
    return net.to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tied_parameters_add_up_their_gradients(dtype: torch.dtype) -> None:
    """A parameter of two layers has one gradient, the sum of both."""
    net, x = make_net(dtype), START.to(dtype)

    def call() -> dict[str, Tensor]:
        output = net(x)
        return {"slope": torch.autograd.grad((output * output).sum(), net[0].weight)[0]}

    hold(Shadow(watch(call, net), str(dtype)[6:]))


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_are_followed(reentrant: bool) -> None:
    """A part that is computed again on the way back draws the same mask, and is followed twice."""
    net = make_net(torch.float32)
    x = START.clone().requires_grad_()

    def compute(z: Tensor) -> Tensor:
        return nn.functional.dropout(net(z).tanh())

    def call() -> dict[str, Tensor]:
        torch.manual_seed(0)
        x.grad = None
        output = torch.utils.checkpoint.checkpoint(compute, x, use_reentrant=reentrant)
        output.square().sum().backward()
        assert x.grad is not None
        return {"output": output, "slope": x.grad}

    plain = {name: numbers.detach().clone() for name, numbers in call().items()}
    watched = watch(call, net)
    hold(Shadow(watched, "float32"))
    for name, numbers in plain.items():
        assert torch.equal(watched.observed(name), numbers)


class Counting(nn.Module):
    """Keeps a running mean and counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.ones(4))
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        self.mean.mul_(0.9).add_(x.detach().mean(0), alpha=0.125)
        self.calls += 1
        return x * self.mean * self.calls


@pytest.mark.parametrize("dtype", DTYPES)
def test_buffers_change_along_the_run(dtype: torch.dtype) -> None:
    """Two calls of a module with state: the second sees the state that the first has left."""
    module, x = Counting().to(dtype), START.to(dtype)
    watched = watch(lambda: {"first": module(x), "second": module(x), "mean": module.mean}, module)
    hold(Shadow(watched, str(dtype)[6:]))
    assert torch.equal(watched.observed("second"), x * module.mean * 2)


def train(dtype: torch.dtype, make: Callable[..., Any]) -> Watched:
    """Watch three steps of training."""
    net, x = make_net(dtype), START.to(dtype)
    optimiser = make(net.parameters())

    def call() -> dict[str, Tensor]:
        answers = {}
        for step in range(3):
            optimiser.zero_grad()
            loss = net(x).square().mean()
            loss.backward()
            optimiser.step()
            answers[f"loss {step}"] = loss
        return answers | {"weight": net[0].weight}

    return watch(call, net)


@pytest.mark.parametrize("foreach", [False, True])
def test_steps_of_training_are_followed(foreach: bool) -> None:
    """Parameters that an optimiser changes in place are followed from step to step."""

    def make(parameters: Any) -> Any:
        return torch.optim.SGD(parameters, 0.25, momentum=0.5, nesterov=True, foreach=foreach)

    watched = train(torch.float32, make)
    hold(Shadow(watched, "float32"))
    before = train(torch.float64, make)
    shadow = Shadow(watched, "float32")
    torch.testing.assert_close(
        shadow.read("loss 2"), before.observed("loss 2"), rtol=1e-5, atol=1e-5
    )


def test_a_fused_optimiser_is_named() -> None:
    """Its operation writes to lists and returns nothing: it has no rule, so nothing passes."""
    watched = train(torch.float32, lambda held: torch.optim.SGD(held, 0.25, fused=True))
    shadow = Shadow(watched, "float32")
    reach = shadow.reach([shadow.read("weight").sum()])[0]
    assert {one.name for one in reach.unruled} == {"aten::_fused_sgd_"}


def test_odd_parameters_are_followed() -> None:
    """A parameter that is a view with strides of its own, and a tensor that becomes a leaf."""
    held = nn.Parameter(torch.linspace(-1, 1, 24).reshape(4, 6).t()[::2])

    def call() -> dict[str, Tensor]:
        leaf = (START * 2).requires_grad_()
        output = nn.functional.linear(leaf, held).square()
        slopes = torch.autograd.grad(output.sum(), [held, leaf])
        return {"output": output, "by held": slopes[0], "by leaf": slopes[1]}

    hold(Shadow(watch(call), "float32"))


def make_compiled(net: nn.Module) -> Any:
    return torch.compile(net, backend="aot_eager")


def make_exported(net: nn.Module) -> Any:
    return torch.export.export(net, (START,)).module()


def make_scripted(net: nn.Module) -> Any:
    return torch.jit.script(net)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("make", [make_compiled, make_exported, make_scripted])
def test_compiled_modules_run_as_they_are_written(make: Callable[[nn.Module], Any]) -> None:
    """torch.compile steps aside; the operations of exported and scripted modules are seen."""
    net = make_net(torch.float32)
    module = make(net)
    module(START)
    watched = watch(lambda: {"output": module(START)}, module)
    hold(Shadow(watched, "float32"))
    names = [one.name for one in watched.run.operations]
    assert names == ["aten::addmm", "aten::tanh", "aten::addmm"]
    torch.testing.assert_close(watched.observed("output"), net(START))


def see_as_whole_numbers(x: Tensor) -> Tensor:
    return x * (x.detach().view(torch.int32) > 0)


def transform(x: Tensor) -> Tensor:
    return torch.fft.rfft(x).abs()


def multiply_sparse(x: Tensor) -> Tensor:
    return torch.sparse.mm(x.detach().to_sparse(), x.t())


@pytest.mark.parametrize("function", [see_as_whole_numbers, transform, multiply_sparse])
def test_what_cannot_be_followed_is_refused(
    function: Callable[[Tensor], Tensor], approved: Approved
) -> None:
    """Complex, sparse and reinterpreted numbers: a sentence says so."""
    with approved.raises(Unwatched):
        watch(lambda: {"output": function(START)})


def test_fused_attention_that_is_called_by_name_has_no_rule() -> None:
    """What a model asks for by its own name is not replaced, and does not pass."""
    q = START.reshape(1, 1, 3, 4)

    def call() -> dict[str, Tensor]:
        operation = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        return {"output": operation(q, q, q)[0]}

    shadow = Shadow(watch(call), "float32")
    reach = shadow.reach([shadow.read("output").sum()])[0]
    names = {one.name for one in reach.unruled}
    assert names == {"aten::_scaled_dot_product_flash_attention_for_cpu"}


def test_recurrent_networks_run_step_by_step() -> None:
    """The layer of oneDNN steps aside, and serves again afterwards; other kernels stay."""
    network = nn.LSTM(4, 4)
    watched = watch(lambda: {"output": network(START)[0]}, network)
    assert "aten::mkldnn_rnn_layer" not in {one.name for one in watched.run.operations}
    assert torch.backends.mkldnn.enabled
    hold(Shadow(watched, "float32"))
