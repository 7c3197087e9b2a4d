"""Dense layers, activations and what stands around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.selfcheck.zoo.block import ANY, Block
from tests.selfcheck.zoo.formulas import ACTIVATIONS

OFF = 1 + 1e-6  # what a wrong factor is


class Dense(Block):
    """x W^T + b along the last axis."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(
        (
            "plain",
            "multiply_and_add",
            "by_addmm",
            "by_einsum",
            "by_tensordot",
            "by_parts_of_inputs",
            "by_parts_of_outputs",
            "by_unit",
            "with_bias_in_matrix",
            "with_columns_first",
            "by_broadcasting",
            "in_chunks",
            "row_by_row",
            "in_place",
            "by_vmap",
            "by_convolution",
            "scaled_before_and_after",
        ),
        ANY,
    )
    faults: ClassVar[tuple[str, ...]] = (
        "off_by_a_factor",
        "off_in_one_row",
        "bias_twice",
        "without_bias",
        "detached_weight",
        "detached_input",
        "bias_of_another_unit",
    )

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def add_bias(self, z: Tensor) -> Tensor:
        return z if self.bias is None else z + self.bias

    def plain(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def multiply_and_add(self, x: Tensor) -> Tensor:
        return self.add_bias(x @ self.weight.t())

    def by_addmm(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        if self.bias is None:
            z = torch.mm(rows, self.weight.T)
        else:
            z = torch.addmm(self.bias, rows, self.weight.T)
        return z.view(*x.shape[:-1], -1)

    def by_einsum(self, x: Tensor) -> Tensor:
        return self.add_bias(torch.einsum("...i,oi->...o", x, self.weight))

    def by_tensordot(self, x: Tensor) -> Tensor:
        return self.add_bias(torch.tensordot(x, self.weight, dims=([-1], [1])))

    def by_parts_of_inputs(self, x: Tensor) -> Tensor:
        cut = (x.shape[-1] + 1) // 2
        first = x[..., :cut] @ self.weight[:, :cut].t()
        second = x[..., cut:] @ self.weight[:, cut:].t()
        return self.add_bias(first + second)

    def by_parts_of_outputs(self, x: Tensor) -> Tensor:
        cut = (len(self.weight) + 1) // 2
        first, second = self.weight.split([cut, len(self.weight) - cut])
        return self.add_bias(torch.cat([F.linear(x, first), F.linear(x, second)], -1))

    def by_unit(self, x: Tensor) -> Tensor:
        return self.add_bias(torch.stack([x @ row for row in self.weight], -1))

    def with_bias_in_matrix(self, x: Tensor) -> Tensor:
        if self.bias is None:
            return F.linear(x, self.weight)
        whole = torch.cat([self.bias[:, None], self.weight], 1)
        ones = torch.ones_like(x[..., :1])
        return torch.cat([ones, x], -1) @ whole.t()

    def with_columns_first(self, x: Tensor) -> Tensor:
        return self.add_bias(torch.matmul(self.weight, x.mT).mT)

    def by_broadcasting(self, x: Tensor) -> Tensor:
        return self.add_bias((x[..., None, :] * self.weight).sum(-1))

    def in_chunks(self, x: Tensor) -> Tensor:
        return torch.cat([F.linear(part, self.weight, self.bias) for part in x.chunk(2)])

    def row_by_row(self, x: Tensor) -> Tensor:
        return torch.stack([F.linear(row, self.weight, self.bias) for row in x])

    def in_place(self, x: Tensor) -> Tensor:
        z = torch.matmul(x, self.weight.transpose(0, 1))
        if self.bias is not None:
            z += self.bias
        return z

    def by_vmap(self, x: Tensor) -> Tensor:
        def compute(row: Tensor) -> Tensor:
            return F.linear(row, self.weight, self.bias)

        return torch.func.vmap(compute)(x)

    def by_convolution(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1], 1)
        z = F.conv1d(rows, self.weight[:, :, None], self.bias)
        return z.reshape(*x.shape[:-1], -1)

    def scaled_before_and_after(self, x: Tensor) -> Tensor:
        return self.add_bias(4 * F.linear(x / 4, self.weight))

    # ---------------------------------------------------------------- wrong

    def off_by_a_factor(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * OFF, self.bias)

    def off_in_one_row(self, x: Tensor) -> Tensor:
        weight = torch.cat([self.weight[:1] * OFF, self.weight[1:]])
        return F.linear(x, weight, self.bias)

    def bias_twice(self, x: Tensor) -> Tensor:
        return self.add_bias(F.linear(x, self.weight, self.bias))

    def without_bias(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)

    def detached_weight(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.detach(), self.bias)

    def detached_input(self, x: Tensor) -> Tensor:
        return F.linear(x.detach(), self.weight, self.bias)

    def bias_of_another_unit(self, x: Tensor) -> Tensor:
        z = F.linear(x, self.weight)
        return z if self.bias is None else z + self.bias.roll(1)


class Tied(Block):
    """x W + b with the matrix of another layer: its weights are tied."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(
        ("plain", "with_transposed", "by_einsum"), ANY
    )
    faults: ClassVar[tuple[str, ...]] = ("untied",)

    def __init__(self, other: nn.Module) -> None:
        super().__init__()
        self.weight = other.weight
        self.bias = nn.Parameter(torch.empty(other.weight.shape[1]))

    def plain(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias

    def with_transposed(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.t(), self.bias)

    def by_einsum(self, x: Tensor) -> Tensor:
        return torch.einsum("...i,io->...o", x, self.weight).add(self.bias)

    def untied(self, x: Tensor) -> Tensor:
        return x @ self.weight.detach().clone() + self.bias


class TiedHead(Block):
    """x W^T + b with the vectors of an embedding."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(("plain", "by_einsum", "by_matmul"), ANY)
    faults: ClassVar[tuple[str, ...]] = ("untied",)

    def __init__(self, other: nn.Module) -> None:
        super().__init__()
        self.weight = other.weight
        self.bias = nn.Parameter(torch.empty(len(other.weight)))

    def plain(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def by_einsum(self, x: Tensor) -> Tensor:
        return torch.einsum("...i,oi->...o", x, self.weight) + self.bias

    def by_matmul(self, x: Tensor) -> Tensor:
        return x.matmul(self.weight.T).add_(self.bias)

    def untied(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.detach().clone(), self.bias)


class Activation(Block):
    """An activation by one of the formulas of its name; `style` is the formula's number."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.style = name, "0"

    def list_styles(self) -> Mapping[str, float]:
        formulas = ACTIVATIONS[self.name]
        return {str(place): formula.largest for place, formula in enumerate(formulas)}

    def is_at_kink(self, x: Tensor) -> bool:
        """Is a number exactly 0? A rectifier's slope there is a convention."""
        return bool((x == 0).any())

    def list_costly(self) -> tuple[str, ...]:
        formulas = ACTIVATIONS[self.name]
        return tuple(str(place) for place, formula in enumerate(formulas) if formula.costly)

    def list_faults(self) -> tuple[str, ...]:
        return ("off_by_a_factor", "off_inside", "off_backwards", "detached")

    def compute(self, *given: Tensor) -> Tensor:
        if self.style.isdigit():
            return ACTIVATIONS[self.name][int(self.style)].compute(given[0])
        return super().compute(*given)

    def plain(self, x: Tensor) -> Tensor:
        return ACTIVATIONS[self.name][0].compute(x)

    def off_by_a_factor(self, x: Tensor) -> Tensor:
        return self.plain(x) * OFF

    def off_inside(self, x: Tensor) -> Tensor:
        return self.plain(x * OFF)

    def detached(self, x: Tensor) -> Tensor:
        return self.plain(x.detach())

    def off_backwards(self, x: Tensor) -> Tensor:
        return WrongBackward.apply(self.plain(x))


class WrongBackward(torch.autograd.Function):
    """The identity, whose hand-written derivative is off."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, slope: Tensor) -> Tensor:  # type: ignore[override]
        return slope * OFF


class Dropout(Block):
    """Dropout; in training it draws its mask from torch's generator.

    A mask is drawn in the order of memory, so that two layouts of one tensor have two masks.
    """

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(("plain", "by_mask"), ANY)
    faults: ClassVar[tuple[str, ...]] = ("forgotten", "not_scaled")

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def compute(self, *given: Tensor) -> Tensor:
        return super().compute(given[0].contiguous())

    def plain(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.share, self.training)

    def by_mask(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        kept = torch.empty_like(x).bernoulli_(1 - self.share)
        return x * (kept / (1 - self.share))

    def forgotten(self, x: Tensor) -> Tensor:
        return x

    def not_scaled(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.share, self.training) * (1 - self.share)


class Residual(Block):
    """x + f(x), with a norm before f or after the sum or none; `scale` multiplies f."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(
        ("plain", "other_order", "in_place", "by_stack", "scaled"), ANY
    )
    faults: ClassVar[tuple[str, ...]] = ("without_input", "norm_on_the_other_side", "off")

    def __init__(self, inner: nn.Module, norm: nn.Module | None, first: bool, scale: float) -> None:
        super().__init__()
        self.inner, self.norm, self.first, self.scale = inner, norm, first, scale

    def list_faults(self) -> tuple[str, ...]:
        if self.norm is None:
            return ("without_input", "off")
        return self.faults

    def branch(self, x: Tensor) -> Tensor:
        if self.norm is not None and self.first:
            x = self.norm(x)
        return self.inner(x)

    def finish(self, x: Tensor) -> Tensor:
        return x if self.norm is None or self.first else self.norm(x)

    def plain(self, x: Tensor) -> Tensor:
        return self.finish(x + self.scale * self.branch(x))

    def other_order(self, x: Tensor) -> Tensor:
        return self.finish(torch.mul(self.branch(x), self.scale).add(x))

    def in_place(self, x: Tensor) -> Tensor:
        out = x.clone()
        out += self.scale * self.branch(x)
        return self.finish(out)

    def by_stack(self, x: Tensor) -> Tensor:
        return self.finish(torch.stack([x, self.branch(x) * self.scale]).sum(0))

    def scaled(self, x: Tensor) -> Tensor:
        return self.finish(torch.add(x, self.branch(x), alpha=self.scale))

    def without_input(self, x: Tensor) -> Tensor:
        return self.finish(self.scale * self.branch(x))

    def norm_on_the_other_side(self, x: Tensor) -> Tensor:
        assert self.norm is not None
        if self.first:
            return self.norm(x + self.scale * self.inner(x))
        return x + self.scale * self.inner(self.norm(x))

    def off(self, x: Tensor) -> Tensor:
        return self.finish(x + self.scale * OFF * self.branch(x))
