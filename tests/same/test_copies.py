"""Copies of models use nothing of the original: neither in hooks and lambdas, nor in results."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from harness.core.verdict import Status
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import DATA, Plain, judge


def ask(model: Any, reference: Any, **more: Any) -> set[Status]:
    """The statuses of all questions."""
    given = {"data": DATA, "dtypes": ["float64"], **more}
    return {verdict.status for verdict in judge(same(model, reference, **given)).values()}


class Swish(Plain):
    """Its slope is a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(1))

    def act(self, h: Tensor) -> Tensor:
        return h * torch.sigmoid(self.beta * h)

    def forward(self, x: Tensor) -> Any:
        return self.o(self.act(self.a(x)))


class SwishByLambda(Swish):
    """The lambda is a closure over the module."""

    def __init__(self) -> None:
        super().__init__()
        self.act = lambda h: h * torch.sigmoid(self.beta * h)


class Outside(Swish):
    """Its slope is a factor."""

    def act(self, h: Tensor) -> Tensor:
        return self.beta * h * torch.sigmoid(h)


class OutsideByLambda(Swish):
    def __init__(self) -> None:
        super().__init__()
        self.act = lambda h: self.beta * h * torch.sigmoid(h)


class Twice(Plain):
    """Gives an inner answer too."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x), self.a(x)


class TwiceByHook(Plain):
    """A hook, which is a closure over the module, keeps the inner answer."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Tensor] = {}

        def keep(module: nn.Module, given: Any, answer: Tensor) -> None:
            self.kept["a"] = answer

        self.a.register_forward_hook(keep)

    def forward(self, x: Tensor) -> Any:
        return super().forward(x), self.kept["a"]


class TwiceByDict(TwiceByHook):
    """The hook is a closure over the dict, which is also an attribute."""

    def __init__(self) -> None:
        Plain.__init__(self)
        self.kept = kept = {}
        self.a.register_forward_hook(lambda module, given, answer: kept.update(a=answer))


class Steps(Plain):
    """A list of lambdas, each a closure over the module."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = [lambda h: self.a(h), torch.tanh, lambda h: self.b(h), torch.tanh]

    def forward(self, x: Tensor) -> Any:
        for step in self.steps:
            x = step(x)
        return self.o(x)


class SlopeHook(Plain):
    """The gradient of a weight is multiplied by a parameter, in a closure over the module."""

    def __init__(self) -> None:
        super().__init__()
        self.a.weight.register_hook(lambda slope: slope * self.b.weight.detach()[0, 0])


class SlopeMethod(Plain):
    """The same in a bound method."""

    def __init__(self) -> None:
        super().__init__()
        self.a.weight.register_hook(self.change)

    def change(self, slope: Tensor) -> Tensor:
        return slope * self.b.weight.detach()[0, 0]


class Remembers(Plain):
    """Keeps its last answer, as many models keep their attention."""

    def hidden(self, x: Tensor) -> Tensor:
        self.last = super().hidden(x)
        return self.last


RIGHT = [
    (SwishByLambda, Swish),
    (Swish, SwishByLambda),
    (TwiceByHook, Twice),
    (TwiceByDict, Twice),
    (Steps, Plain),
    (SlopeHook, SlopeMethod),
]


@pytest.mark.parametrize(("model", "reference"), RIGHT, ids=lambda each: each.__name__)
def test_functions_that_hold_the_module_are_copied_with_it(model: Any, reference: Any) -> None:
    assert ask(model, reference) == {Status.PASS}


def test_an_instance_with_such_functions_passes_too() -> None:
    assert ask(Steps(), Plain()) == {Status.PASS}


def test_two_lambdas_that_differ_are_told_apart() -> None:
    """They agreed as long as both went on using their originals, as built."""
    assert Status.FAIL in ask(OutsideByLambda, SwishByLambda)


def test_a_hook_with_another_slope_is_wrong() -> None:
    assert Status.FAIL in ask(SlopeHook, Plain)


def test_an_instance_that_a_lambda_names_globally_is_copied_there_too() -> None:
    model = Plain()
    space = {"model": model}
    model.step = eval("lambda h: model.a(h)", space)  # as in a notebook
    model.forward = lambda x: model.o(torch.tanh(model.b(torch.tanh(model.step(x)))))
    assert ask(model, Plain) == {Status.PASS}


class Holder:
    """Cannot be copied: its copy is itself."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class Unapart(Plain):
    """Its lambda holds the module in an object that is not copied."""

    def __init__(self) -> None:
        super().__init__()
        holder = Holder(self)
        self.act = lambda h: torch.tanh(holder.held.a(h))

    def hidden(self, x: Tensor) -> Tensor:
        return torch.tanh(self.b(self.act(x)))


def test_a_class_whose_copies_would_use_the_original_is_built_anew() -> None:
    assert ask(Unapart, Plain) == {Status.PASS}


def test_an_instance_whose_copies_would_use_the_original_is_refused(approved: Approved) -> None:
    found = judge(same(Unapart(), Plain, data=DATA, dtypes=["float64"]))
    verdict = found["float64 same-function-train"]
    assert verdict.status is Status.BROKEN
    approved(verdict.why)


def test_an_instance_that_holds_too_much_is_refused(
    approved: Approved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.calling.held.MOST", 20)
    found = judge(same(Steps(), Plain, data=DATA, dtypes=["float64"]))
    approved(found["float64 same-function-train"].why)


def test_an_instance_that_keeps_an_answer_is_copied() -> None:
    """torch's deepcopy refuses results of operations."""
    model = Remembers()
    model(torch.ones(DATA))
    assert not model.last.is_leaf
    assert ask(model, Plain) == {Status.PASS}


def make_normed() -> nn.Module:
    return nn.Sequential(nn.utils.weight_norm(nn.Linear(5, 5)), nn.Tanh(), nn.Linear(5, 2))


def make_normed_anew() -> nn.Module:
    norm = nn.utils.parametrizations.weight_norm
    return nn.Sequential(norm(nn.Linear(5, 5)), nn.Tanh(), nn.Linear(5, 2))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_instance_with_the_older_weight_norm_computes_its_weight_anew() -> None:
    assert ask(make_normed(), make_normed_anew()) == {Status.PASS}


def test_a_pruned_instance_keeps_its_mask() -> None:
    model, other = Plain(), Plain()
    prune.l1_unstructured(model.a, "weight", 0.4)
    assert ask(model, model) == {Status.PASS}
    assert Status.FAIL in ask(model, other, parameters={"a.weight_orig": "a.weight"})
