"""Every module of torch.nn: its operations, forward and backward, have rules that hold."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.shadow.local import check_operations
from harness.shadow.watch import watch
from tests.rules.module_calls import CALLS, LEFT_OUT
from tests.support import HELD

WITHOUT_RULE = {
    # sums over paths
    "CTCLoss": ("aten::_ctc_loss", "aten::_ctc_loss_backward"),
    # memory that is given another size, in a function of its own
    "CrossMapLRN2d": ("aten::resize_as_",),
}


def list_modules() -> list[str]:
    """Return the names of all modules of torch.nn."""
    found = []
    for name in dir(nn):
        kind = getattr(nn, name)
        if isinstance(kind, type) and issubclass(kind, nn.Module):
            found.append(name)
    return found


def test_every_module_is_called_or_left_out_for_a_reason() -> None:
    """The table has all modules of torch.nn."""
    assert sorted(list_modules()) == sorted({*CALLS, *LEFT_OUT})


def add_up(output: object) -> Tensor:
    """Return the sum of all numbers of an output, weighed so that no slope is 1 everywhere."""
    listed = output if isinstance(output, tuple | list) else [output]
    total = torch.zeros(())
    for each in listed:
        if isinstance(each, Tensor) and each.requires_grad:
            total = (
                total + (each * torch.linspace(0.5, 1.5, each.numel()).reshape(each.shape)).sum()
            )
    return total


def find_lacking(call: Callable[[], object]) -> str:
    """Return which kernel the CPU lacks for a call; "" if none."""
    try:
        call()
    except NotImplementedError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("dtype", HELD)
@pytest.mark.parametrize("name", list(CALLS))
def test_its_operations_are_within_their_bounds(name: str, dtype: str) -> None:
    """Each operation of a module and of its gradient has a rule, and is within its bound."""
    torch.manual_seed(3)
    held = getattr(torch, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made, inputs = CALLS[name].make().to(held), CALLS[name].inputs(held)

        def call() -> dict[str, Tensor]:
            loss = add_up(made(*inputs))
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
            return {"loss": loss}

        lacking = find_lacking(call)
        if lacking:
            assert dtype in ("bfloat16", "float16")
            pytest.skip(lacking)
        watched = watch(call, made)
    checked = check_operations(watched.run)
    missing = sorted({one.operation.name for one in checked if not one.ruled})
    assert missing == sorted(WITHOUT_RULE.get(name, ()))
    outside = {one.operation.name: one.share for one in checked if one.ruled and one.share > 1}
    assert outside == {}
