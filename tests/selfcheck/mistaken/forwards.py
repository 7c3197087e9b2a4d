"""Mistakes in a forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference import Network
from tests.selfcheck.mistaken.mistake import (
    Mistake,
    activated_output,
    always,
    in_module,
    linear_output,
    several_inputs,
    several_outputs,
    two_heads,
)
from tests.selfcheck.mistaken.nets import ACTS, Net, Spec, subject_of


def _keep(self: Net, z: Tensor) -> Tensor:
    return z


def _swap_first(x: Tensor) -> Tensor:
    return x[:, [1, 0, *range(2, x.shape[1])]]


def _has_act(*names: str) -> Any:
    return lambda spec: spec.network.activation in names


def _is_dual(spec: Spec) -> bool:
    return len(spec.network.inputs) > 1


def _centre(self: Net, *xs: Tensor) -> Sequence[Tensor]:
    return [x - x.mean(0) for x in xs]


def _standardise(self: Net, *xs: Tensor) -> Sequence[Tensor]:
    return [(x - x.mean(0)) / (x.std(0, correction=0) + 1e-5) for x in xs]


def _normalise_hidden(self: Net, *xs: Tensor) -> Tensor:
    z = Net.enter(self, *xs)
    return F.batch_norm(z, None, None, training=True)


def _without_bias(self: Net, *xs: Tensor) -> Tensor:
    z = F.linear(xs[0], self.hidden.weight)
    return z + self.hidden2(xs[1]) if len(xs) > 1 else z


def _leave_without_biases(self: Net, h: Tensor) -> list[Tensor]:
    return [self.out_act(F.linear(h, layer.weight)) for layer in self.layers]


def _leave_without_first_bias(self: Net, h: Tensor) -> list[Tensor]:
    first, *rest = self.layers
    return [self.out_act(F.linear(h, first.weight)), *(self.out_act(each(h)) for each in rest)]


def _leave_without_last_bias(self: Net, h: Tensor) -> list[Tensor]:
    *rest, last = self.layers
    return [*(self.out_act(each(h)) for each in rest), self.out_act(F.linear(h, last.weight))]


def _use_first_head_twice(self: Net, h: Tensor) -> list[Tensor]:
    return [self.out_act(self.out(h)), self.out_act(self.out(h))]


def _use_second_head_twice(self: Net, h: Tensor) -> list[Tensor]:
    return [self.out_act(self.out2(h)), self.out_act(self.out2(h))]


def _interleave(self: Net, outputs: list[Tensor]) -> Sequence[Tensor]:
    both = torch.cat(outputs, dim=1)
    return [both[:, 0::2], both[:, 1::2]]


def _stack_heads(self: Net, outputs: list[Tensor]) -> Sequence[Tensor]:
    both = torch.stack(outputs, dim=2).flatten(1)
    return list(both.split(outputs[0].shape[1], dim=1))


def _interleave_inputs(self: Net, *xs: Tensor) -> Sequence[Tensor]:
    both = torch.stack(xs, dim=2).flatten(1)
    return list(both.split(xs[0].shape[1], dim=1))


def _add_bias_after(self: Net, *xs: Tensor) -> Tensor:
    return _without_bias(self, *xs)


def _forward_bias_after(self: Net, *xs: Tensor) -> Any:
    h = self.act(_without_bias(self, *xs)) + self.hidden.bias
    outputs = self.leave(h)
    return outputs[0] if self.spec.heads == 1 else tuple(outputs)


def _forward_act_first(self: Net, *xs: Tensor) -> Any:
    h = self.enter(*[self.act(x) for x in xs])
    outputs = self.leave(h)
    return outputs[0] if self.spec.heads == 1 else tuple(outputs)


def _act_at_output(self: Net, z: Tensor) -> Tensor:
    return ACTS[self.spec.network.activation](z)


def _in_float32(self: Net, *xs: Tensor) -> Any:
    """Computes in float32 and returns what it was given."""
    z = F.linear(xs[0].float(), self.hidden.weight.float(), self.hidden.bias.float())
    if len(xs) > 1:
        z = z + F.linear(xs[1].float(), self.hidden2.weight.float())
    h = self.act(z)
    outputs = [
        self.out_act(F.linear(h, each.weight.float(), each.bias.float())).to(xs[0].dtype)
        for each in self.layers
    ]
    return outputs[0] if self.spec.heads == 1 else tuple(outputs)


def _reads_inputs_in_float32(self: Net, *xs: Tensor) -> Sequence[Tensor]:
    return [x.float().to(x.dtype) for x in xs]


def _hidden_in_float32(self: Net, z: Tensor) -> Tensor:
    return ACTS[self.spec.network.activation](z.float()).to(z.dtype)


def _outputs_in_float32(self: Net, outputs: list[Tensor]) -> Sequence[Tensor]:
    return [o.float().to(o.dtype) for o in outputs]


class InPlainList(Net):
    """Keeps its layers in a list."""

    def __init__(self) -> None:
        super().__init__()
        layers = [self.hidden, self.out]
        del self.hidden, self.out
        self.stack = layers

    def forward(self, x: Tensor) -> Any:
        return self.out_act(self.stack[1](self.act(self.stack[0](x))))


class HeadsInPlainList(Net):
    """Keeps its heads in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = self.layers
        del self.out, self.out2

    def forward(self, *xs: Tensor) -> Any:
        h = self.act(self.enter(*xs))
        return tuple(self.out_act(head(h)) for head in self.heads)


class WithDropout(Net):
    """Leaves dropout on."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def act(self, z: Tensor) -> Tensor:
        return self.drop(super().act(z))


class AlwaysDropping(Net):
    def act(self, z: Tensor) -> Tensor:
        return F.dropout(super().act(z), 0.2)


class Noisy(Net):
    def outputs(self, outputs: list[Tensor]) -> Sequence[Tensor]:
        return [o + 0.01 * torch.randn_like(o) for o in outputs]


def _module(name: str, says: str, made: type[Net], fits: Any = always) -> Mistake:
    return Mistake(name, says, lambda spec: subject_of(spec, made), fits)


def _by_shapes(made: type[Net]) -> Any:
    """A subject whose parameters are found by names and shapes."""
    return lambda spec: type(made.__name__, (made,), {"spec": spec})


def _widen(spec: Spec) -> Spec:
    """The same with one hidden unit more."""
    network = spec.network
    wider = Network(
        network.inputs, network.hidden + 1, network.outputs, network.activation, network.output
    )
    return replace(spec, network=wider)


ANY_CHANGE = r"(another|other) (outputs|answers)|call to call|dropout|random|not the same"

FORWARDS: tuple[Mistake, ...] = (
    in_module(
        "both activations left out",
        r"both activations|hidden and (the )?output activation|no activation at all",
        activated_output,
        act=_keep,
        out_act=_keep,
    ),
    in_module("hidden activation left out", r"hidden activation.*(left out|missing)", act=_keep),
    in_module(
        "output activation left out",
        r"(output activation|softmax|sigmoid|logistic).*(left out|missing|forgotten)",
        activated_output,
        out_act=_keep,
    ),
    in_module(
        "a sigmoid too many",
        r"sigmoid.*(output|too many)",
        linear_output,
        out_act=lambda self, z: torch.sigmoid(z),
    ),
    in_module(
        "a tanh too many",
        r"tanh.*(output|too many)",
        linear_output,
        out_act=lambda self, z: torch.tanh(z),
    ),
    in_module(
        "a ReLU too many",
        r"ReLU.*(output|too many)",
        linear_output,
        out_act=lambda self, z: torch.relu(z),
    ),
    in_module(
        "a softmax too many",
        r"softmax.*(output|too many)",
        lambda spec: linear_output(spec) and several_outputs(spec),
        out_act=lambda self, z: torch.softmax(z, dim=1),
    ),
    in_module(
        "output activation twice",
        r"(twice|applied twice)",
        activated_output,
        out_act=lambda self, z: Net.out_act(self, Net.out_act(self, z)),
    ),
    in_module(
        "sigmoid for softmax",
        r"sigmoid.*softmax",
        lambda spec: spec.output == "softmax",
        out_act=lambda self, z: torch.sigmoid(z),
    ),
    in_module(
        "softmax over rows",
        r"dim=0",
        lambda spec: spec.output == "softmax",
        out_act=lambda self, z: torch.softmax(z, dim=0),
    ),
    in_module(
        "activation of the wrong layer",
        r"(wrong layer|output.*in place of the hidden|after the output layer)",
        linear_output,
        act=_keep,
        out_act=_act_at_output,
    ),
    _module(
        "activation applied to the inputs",
        r"(activation|applied).*inputs",
        type("Port", (Net,), {"forward": _forward_act_first}),
    ),
    _module(
        "bias added after the activation",
        r"bias.*after the activation",
        type("Port", (Net,), {"forward": _forward_bias_after}),
    ),
    in_module(
        "ReLU in place of the hidden activation",
        r"ReLU in place",
        _has_act("tanh", "logistic"),
        act=lambda self, z: torch.relu(z),
    ),
    in_module(
        "tanh in place of the hidden activation",
        r"tanh in place",
        _has_act("relu", "logistic"),
        act=lambda self, z: torch.tanh(z),
    ),
    in_module(
        "sigmoid in place of the hidden activation",
        r"(sigmoid|logistic) in place",
        _has_act("relu", "tanh"),
        act=lambda self, z: torch.sigmoid(z),
    ),
    in_module("GELU in place of ReLU", r"GELU", _has_act("relu"), act=lambda self, z: F.gelu(z)),
    in_module("SiLU in place of ReLU", r"SiLU", _has_act("relu"), act=lambda self, z: F.silu(z)),
    in_module(
        "leaky ReLU in place of ReLU",
        r"[Ll]eaky",
        _has_act("relu"),
        act=lambda self, z: F.leaky_relu(z),
    ),
    in_module(
        "softsign in place of tanh",
        r"softsign",
        _has_act("tanh"),
        act=lambda self, z: F.softsign(z),
    ),
    in_module(
        "two columns exchanged",
        r"columns?.*(exchanged|swapped|reverse|order)",
        several_inputs,
        inputs=lambda self, *xs: [_swap_first(xs[0]), *xs[1:]],
    ),
    in_module(
        "last two columns exchanged",
        r"columns?.*(exchanged|swapped|reverse|order)",
        several_inputs,
        inputs=lambda self, *xs: [
            *xs[:-1],
            xs[-1][:, [*range(xs[-1].shape[1] - 2), -1, -2]],
        ],
    ),
    in_module(
        "columns reversed",
        r"columns?.*(revers|exchanged|order)",
        several_inputs,
        inputs=lambda self, *xs: [x.flip(1) for x in xs],
    ),
    in_module(
        "columns sorted by another order",
        r"columns?.*order",
        lambda spec: spec.network.inputs[0] > 3,
        inputs=lambda self, *xs: [
            xs[0][:, [2, 0, 3, 1, *range(4, xs[0].shape[1])]],
            *xs[1:],
        ],
    ),
    in_module(
        "inputs in the other order",
        r"(inputs|W1 and V1).*(exchanged|order)",
        _is_dual,
        inputs=lambda self, *xs: xs[::-1],
    ),
    in_module(
        "inputs interleaved",
        r"interleav",
        _is_dual,
        inputs=_interleave_inputs,
    ),
    in_module(
        "first input taken for both",
        r"(first|x1).*(both|twice)",
        _is_dual,
        inputs=lambda self, *xs: [xs[0], xs[0]],
    ),
    in_module(
        "second input left out",
        r"(second|x2|V1).*(left out|unused|ignored)",
        _is_dual,
        inputs=lambda self, *xs: [xs[0], 0 * xs[1]],
    ),
    in_module(
        "outputs reversed",
        r"outputs.*(revers|order)",
        several_outputs,
        outputs=lambda self, outputs: [o.flip(1) for o in outputs],
    ),
    in_module(
        "two outputs exchanged",
        r"outputs.*(exchanged|order|revers)",
        several_outputs,
        outputs=lambda self, outputs: [_swap_first(outputs[0]), *outputs[1:]],
    ),
    in_module(
        "heads in the other order",
        r"heads.*(exchanged|order)",
        two_heads,
        outputs=lambda self, outputs: outputs[::-1],
    ),
    in_module(
        "first head used twice", r"first head.*(twice|both)", two_heads, leave=_use_first_head_twice
    ),
    in_module(
        "second head used twice",
        r"second head.*(twice|both)",
        two_heads,
        leave=_use_second_head_twice,
    ),
    in_module("heads interleaved", r"interleav", two_heads, outputs=_interleave),
    in_module("heads stacked and flattened", r"interleav", two_heads, outputs=_stack_heads),
    in_module(
        "inputs centred by the batch",
        r"centred|mean of (its|the) (batch|column|rows)",
        inputs=_centre,
    ),
    in_module(
        "inputs standardised by the batch",
        r"standardi[sz]ed|scaled by the batch",
        inputs=_standardise,
    ),
    in_module(
        "batch norm of the hidden layer",
        r"[Bb]atch ?[Nn]orm|standardi[sz]ed",
        enter=_normalise_hidden,
    ),
    in_module(
        "hidden bias unused", r"hidden bias.*(left out|unused|not used)", enter=_without_bias
    ),
    in_module(
        "output bias unused",
        r"(bias.*(left out|unused|not used))",
        lambda spec: spec.heads == 1,
        leave=_leave_without_biases,
    ),
    in_module(
        "bias of the first head unused",
        r"bias of the first head.*(left out|unused|not used)",
        two_heads,
        leave=_leave_without_first_bias,
    ),
    in_module(
        "bias of the second head unused",
        r"bias of the (second|last) head.*(left out|unused|not used)",
        two_heads,
        leave=_leave_without_last_bias,
    ),
    in_module(
        "biases of the outputs unused",
        r"bias.*outputs.*(left out|unused|not used)|biases of (both|all) heads.*left out",
        two_heads,
        leave=_leave_without_biases,
    ),
    in_module(
        "all biases unused",
        r"(all|both) biases.*(left out|unused|not used)|no bias",
        enter=_without_bias,
        leave=_leave_without_biases,
    ),
    Mistake(
        "layers in a plain list",
        r"ModuleList",
        lambda spec: subject_of(spec, InPlainList),
        lambda spec: spec.heads == 1,
    ),
    Mistake(
        "layers in a plain list, found by shapes",
        r"ModuleList",
        _by_shapes(InPlainList),
        lambda spec: spec.heads == 1,
    ),
    Mistake(
        "heads in a plain list",
        r"ModuleList",
        lambda spec: subject_of(spec, HeadsInPlainList),
        two_heads,
    ),
    Mistake(
        "another number of hidden units",
        r"the model has \d+ hidden units",
        lambda spec: subject_of(_widen(spec), Net),
    ),
    _module("dropout left on", ANY_CHANGE, WithDropout),
    _module("functional dropout", ANY_CHANGE, AlwaysDropping),
    _module("noise added", ANY_CHANGE, Noisy),
    in_module(
        "inputs divided by 255",
        r"column.*(0\.0039|scal)",
        inputs=lambda self, *xs: [x / 255 for x in xs],
    ),
    in_module(
        "inputs standardised by constants",
        r"column.*(scal|enters as)",
        inputs=lambda self, *xs: [(x - 0.3) / 1.7 for x in xs],
    ),
    in_module(
        "outputs scaled back",
        r"outputs.*(scal|enters as|\d)",
        linear_output,
        outputs=lambda self, outputs: [2.5 * o + 4 for o in outputs],
    ),
    *(
        Mistake(each.name, each.says, each.make, each.fits, ("float64",))
        for each in (
            _module(
                "computed in float32",
                r"float32",
                type("Port", (Net,), {"forward": _in_float32}),
            ),
            in_module("inputs through float32", r"float32", inputs=_reads_inputs_in_float32),
            in_module("hidden layer in float32", r"float32", act=_hidden_in_float32),
            in_module("outputs through float32", r"float32", outputs=_outputs_in_float32),
        )
    ),
)
