"""What a user gives to same(): words in several forms, and names of models."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from harness.core.verdict import Status
from harness.same.case import SameModels, same
from harness.same.sentences import describe_limits
from tests.conftest import Approved
from tests.same import models as m
from tests.same.models import DATA, judge


@pytest.mark.parametrize("dtypes", ["float32", ["float32"], torch.float32, (torch.float32,)])
def test_a_dtype_is_a_word_or_one_of_torch(dtypes: Any) -> None:
    """Alone or in a list."""
    assert same(m.Plain, m.Plain, data=DATA, dtypes=dtypes).dtypes == ["float32"]


def test_one_mode_needs_no_list() -> None:
    """As modes="eval"."""
    case = same(m.Plain, m.Plain, data=DATA, modes="eval", reference_dtype=torch.bfloat16)
    judge: Any = case.network
    assert judge.given.modes == ["eval"]
    assert judge.given.reference_dtype == "bfloat16"


def test_a_lambda_is_called_as_the_class_that_it_builds() -> None:
    """Also one in a closure; a lambda of no class or of several keeps its name."""
    inside = m.Plain
    Plain, Tied = m.Plain, m.Tied
    assert same(lambda: inside(), m.Tied, data=DATA).name == "Plain = Tied"
    assert same(partial(lambda: Plain()), m.Tied, data=DATA).name == "Plain = Tied"
    assert same(lambda: torch.compile(Plain()), m.Tied, data=DATA).name == "Plain = Tied"
    assert same(lambda: Plain() or Tied(), m.Tied, data=DATA).name == "<lambda> = Tied"
    assert same(lambda: m.Plain(), m.Tied, data=DATA).name == "Plain = Tied"
    assert same(lambda: 3, m.Tied, data=DATA).name == "<lambda> = Tied"


def test_a_loss_must_be_a_function(approved: Approved) -> None:
    """And is refused when the case is made."""
    with approved.raises(TypeError):
        same(m.Plain, m.Plain, data=DATA, loss=3)
    with approved.raises(ValueError):
        same(m.Plain, m.Plain, data=DATA, reference_dtype=["float32"])


@pytest.mark.parametrize("data", [None, 3])
def test_data_must_be_more_than_a_number(data: Any, approved: Approved) -> None:
    """The sentence says what data may be."""
    found = judge(same(m.Plain, m.Plain, data=data, dtypes="float64", modes="eval", name="mine"))
    assert {verdict.status for verdict in found.values()} == {Status.BROKEN}
    approved(next(iter(found.values())).why)


def test_a_loss_that_raises_is_told_from_the_model(approved: Approved) -> None:
    """With the arguments that it was given, and how to give targets."""

    def loss(output: Any, targets: Any) -> Any:
        return (output - targets).sum()

    for targets in (None, (2, 2, 2)):
        case = same(
            m.Plain, m.Plain, data=DATA, targets=targets, loss=loss, dtypes="float64", name="mine"
        )
        found = judge(case)
        assert {verdict.status for verdict in found.values()} == {Status.BROKEN}
        approved(next(iter(found.values())).why)


def test_a_function_that_needs_arguments_builds_no_model(approved: Approved) -> None:
    """A function of arrays, or a class of modules with arguments."""
    with approved.raises(TypeError):
        same(abs, m.Plain, data=DATA)
    with approved.raises(TypeError):
        same(m.Plain, torch.nn.Linear, data=DATA)


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_an_exported_program_is_a_model() -> None:
    """It has the parameters of the module that was exported."""
    module = m.OneInput()
    program = torch.export.export(module, (torch.ones(7, 5), torch.ones(7, 3)))
    case = same(program, module, data=((7, 5), (7, 3)), dtypes="float64", modes="eval")
    assert case.name == "ExportedProgram = OneInput"
    assert {verdict.status for verdict in judge(case).values()} == {Status.PASS}


def build_narrow() -> nn.Module:
    return m.Plain().bfloat16()


def test_a_dtype_that_a_function_gives_is_said(approved: Approved) -> None:
    """It is not judged by default, which takes no class or function apart; named, it is."""
    said = "build_narrow is built in bfloat16"
    notes = {}
    for dtypes in (None, ["bfloat16"], ["float32"]):
        case = same(build_narrow, m.Plain, data=DATA, dtypes=dtypes, modes=["eval"], draws=0)
        found = judge(case)
        if dtypes is None:
            approved(found["float64 same-function-eval"].caveat)
        notes[str(dtypes)] = {
            name: said in each.caveat for name, each in found.items() if "same-function" in name
        }
    assert notes == {
        "None": {"float64 same-function-eval": True, "float32 same-function-eval": True},
        "['bfloat16']": {"bfloat16 same-function-eval": False},
        "['float32']": {"float32 same-function-eval": False},
    }


def test_a_pass_does_not_say_that_no_map_agrees() -> None:
    """The search compares outputs by half their digits, and what passes has agreed by more."""
    models = SameModels.try_models(same(m.Plain, m.Plain, data=DATA).network)  # type: ignore[arg-type]
    mapping = replace(models.mapping, fallback="none makes the outputs agree")
    assert describe_limits(replace(models, mapping=mapping), "float64") == ""


class Checkpointed(m.Plain):
    """A checkpoint in the older form."""

    def forward(self, x: Any) -> Any:
        return checkpoint(super().forward, x, use_reentrant=True)


class Constant(m.Plain):
    """Reads its input by NumPy, which refuses one that needs a gradient."""

    def forward(self, x: Any) -> Any:
        return super().forward(x) + float(x.numpy().max() > 100)


def test_a_reentrant_checkpoint_is_answered_in_a_sentence(approved: Approved) -> None:
    """What was found, and what to do."""
    found = judge(same(Checkpointed, m.Plain, data=DATA, dtypes="float64", modes="eval", draws=0))
    (why,) = {each.why.splitlines()[1] for each in found.values() if not each.follows}
    approved(why)


def test_a_model_that_reads_its_inputs_by_numpy_is_judged() -> None:
    """Without gradients by inputs, which the verdict says."""
    found = judge(same(Constant, m.Plain, data=DATA, dtypes="float32", modes="eval", draws=1))
    assert {each.status for each in found.values()} == {Status.PASS}
    why = found["float32 same-function-eval"].why
    assert "not judged: gradients by inputs, since a model writes into them or gives them" in why
