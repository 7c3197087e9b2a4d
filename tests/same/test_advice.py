"""A question that cannot be answered says why, and what to do."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status
from harness.evaluating.data import WrongData, draw_words
from harness.evaluating.survey import Drawn
from harness.matching.placing import Tracer
from harness.matching.respondent import tell_apart
from harness.running.check import check
from harness.running.complaints import advise
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import judge


class Net(nn.Module):
    """One layer, and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.norm = nn.Linear(6, 4), nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.fc1(x))


class Other(Net):
    """The same."""


@pytest.mark.parametrize("data", [torch.full((4, 6), torch.nan), (0, 6)])
def test_data_that_answer_nothing_are_the_reason(data: Any) -> None:
    """The reference is not."""
    result = check(same(Other, Net, data=data))
    assert not result
    said = " ".join(str(result).split())
    assert "nothing could be checked" in said
    assert "give it other data" in said
    assert "a reference that can answer" not in said


@pytest.mark.parametrize("text", ["(32 6)", "(0, 6)"])
def test_a_wrong_shape_is_said(text: str, approved: Approved) -> None:
    """What was found, and what is expected."""
    with pytest.raises(WrongData) as raised:
        draw_words(text, torch.Generator())
    approved(str(raised.value))


def test_a_converter_is_told_the_names(approved: Approved) -> None:
    """It asked for one that is not there."""
    case = same(
        Other, Net, data=(4, 6), parameters=lambda state: {"fc1.weight": state["fc.weight"]}
    )
    approved(judge(case)["float64 same-function-eval"].why, mask_figures=True)


@pytest.mark.parametrize(
    ("status", "more"),
    [
        (Status.UNDEFINED, {}),
        (Status.VACUOUS, {}),
        (Status.ABSENT, {"applicable": False}),
        (Status.ABSENT, {"check": "same-function-eval"}),
        (Status.ABSENT, {}),
        (Status.ABSENT, {"device": "cuda:99"}),
    ],
)
def test_what_to_do_follows_from_the_reason(
    status: Status, more: dict[str, Any], approved: Approved
) -> None:
    """Where nothing could be checked."""
    verdict = next(iter(judge(same(Other, Net, data=(4, 6))).values()))
    approved(advise([replace(verdict, status=status, **{"check": "outputs", **more})]))


def test_the_search_for_a_place_is_told(approved: Approved) -> None:
    """While it lasts."""
    told: list[str] = []
    Tracer(told.append)._tell()
    approved(told)


def test_draws_of_one_kind_are_told_apart(approved: Approved) -> None:
    """By their layout in memory, or not at all."""
    drawn = Drawn("bernoulli", torch.zeros(2, 3))
    turned = Drawn("bernoulli", torch.zeros(3, 2).T)
    sides: list[Any] = [SimpleNamespace(drawn=[each]) for each in (drawn, turned)]
    approved([tell_apart(*sides), tell_apart(sides[0], sides[0])])


class Narrowed(Net):
    """It rounds on purpose."""

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.fc1(x).half().to(x.dtype))


def test_a_declared_loss_is_said(approved: Approved) -> None:
    """On the screen, with its reason."""
    case = same(Narrowed, Net, data=(4, 6), dtypes=["float32"], precision_lost="it is stored so")
    approved(judge(case)["float32 precision-kept-eval"].caveat, mask_figures=True)
