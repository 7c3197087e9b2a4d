"""Several rows of gradients in one backward pass are those of torch.autograd.grad, whatever torch
keeps to itself.
"""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import graph

from harness.shadow.batching import differentiate_rows


def ask() -> list[Tensor | None]:
    """The derivatives of two numbers by three arrays, one of which is not read."""
    inputs = [torch.tensor(each, dtype=torch.float64) for each in ([1.0, 2.0], [3.0, 4.0], [5.0])]
    first, second, unread = (each.requires_grad_() for each in inputs)
    tensors = [(first * second).sin(), first.sum() * second]
    weights = [torch.arange(4.0, dtype=torch.float64).reshape(2, 2) + 1, torch.eye(2).double()]
    return differentiate_rows(tensors, weights, [first, second, unread])


def check_equal(found: list[Tensor | None], expected: list[Tensor | None]) -> None:
    """Check that they are the same numbers, bit by bit."""
    assert [each is None for each in found] == [each is None for each in expected]
    pairs = zip(found, expected, strict=True)
    assert all(torch.equal(*pair) for pair in pairs if pair[0] is not None)


def fail(*_: Any, **__: Any) -> None:
    raise AssertionError("torch.autograd.grad was asked, though all that is needed is there")


def refuse(*_: Any) -> None:
    raise TypeError("another signature")


def test_torch_of_today_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the comparison below is one of two ways."""
    monkeypatch.setattr(torch.autograd, "grad", fail)
    ask()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (graph, "_engine_run_backward"),
        (torch, "_add_batch_dim"),
        (torch, "_remove_batch_dim"),
        (torch._C, "_vmapmode_increment_nesting"),
    ],
)
def test_without_a_private_function_the_numbers_are_the_same(
    owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where torch has no such name; the public function may need the real one, and is spied on."""
    expected, real, asked = ask(), getattr(owner, name), []
    grad = torch.autograd.grad

    def spy(*args: Any, **kwargs: Any) -> Any:
        asked.append(kwargs["is_grads_batched"])
        monkeypatch.setattr(owner, name, real, raising=False)  # torch has its own way to it
        return grad(*args, **kwargs)

    monkeypatch.setattr(torch.autograd, "grad", spy)
    monkeypatch.delattr(owner, name)
    check_equal(ask(), expected)
    assert asked == [True]


def test_with_another_signature_the_numbers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch 2.4 takes the same arguments; a later one may not."""
    expected = ask()
    monkeypatch.setattr(graph, "_engine_run_backward", refuse)
    check_equal(ask(), expected)
