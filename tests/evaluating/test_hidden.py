"""Running statistics that torch does not list are set in both models, or said not to be set."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status
from harness.judging.cache import Cache
from harness.reproduce.models import write_models_script
from harness.reproduce.typed import Unwritten
from harness.running.trial import run
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import judge

ROWS, FEATURES = 9, 4


class Plain(nn.Module):
    """A batch norm written by hand, whose statistics are plain tensors."""

    momentum = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(5, FEATURES)
        self.w, self.b = nn.Parameter(torch.ones(FEATURES)), nn.Parameter(torch.zeros(FEATURES))
        self.keep(torch.zeros(FEATURES), torch.ones(FEATURES))

    def keep(self, mean: Tensor, variance: Tensor) -> None:
        self.mean, self.var = mean, variance

    def read(self) -> tuple[Tensor, Tensor]:
        return self.mean, self.var

    def count(self, new: Tensor, old: Tensor) -> Tensor:
        return (1 - self.momentum) * old + self.momentum * new.detach()

    def forward(self, x: Tensor) -> Any:
        x = self.fc(x)
        mean, variance = self.read()
        if self.training:
            mean, variance = x.mean(0), x.var(0, unbiased=False)
            news = mean, variance * (ROWS / (ROWS - 1))
            self.keep(*map(self.count, news, self.read()))
        return (x - mean) / torch.sqrt(variance + 1e-5) * self.w + self.b


class Torchs(nn.Module):
    """The same by torch's layer."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.bn = nn.Linear(5, FEATURES), nn.BatchNorm1d(FEATURES)

    def forward(self, x: Tensor) -> Any:
        return self.bn(self.fc(x))


class OtherNames(Plain):
    """Plain tensors under names that say nothing."""

    def keep(self, mean: Tensor, variance: Tensor) -> None:
        self.m1, self.m2 = mean, variance

    def read(self) -> tuple[Tensor, Tensor]:
        return self.m1, self.m2


class NotStored(Plain):
    """Buffers that are in no state_dict."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("mean", "var"):
            tensor = vars(self).pop(name)
            self.register_buffer(name, tensor, persistent=False)


class Counting(Plain):
    """It keeps a number and its last input too, on which no output depends."""

    calls = 0

    def forward(self, x: Tensor) -> Any:
        self.calls += 1
        self.last = [x]
        return super().forward(x)


class LeftOut(Plain):
    """A port without statistics: as built it gives the same numbers in eval()."""

    def keep(self, mean: Tensor, variance: Tensor) -> None:
        pass

    def read(self) -> tuple[Tensor, Tensor]:
        zeros = torch.zeros(FEATURES, dtype=self.w.dtype)
        return zeros, zeros + 1


class Slow(Plain):
    """Its statistics move by another share."""

    momentum = 0.01


class InAList(Plain):
    """Statistics that cannot be set."""

    def keep(self, mean: Tensor, variance: Tensor) -> None:
        self.stats = [mean, variance]

    def read(self) -> tuple[Tensor, Tensor]:
        return self.stats[0], self.stats[1]


RIGHT = [
    (Plain, Torchs),
    (Torchs, Plain),
    (OtherNames, Plain),
    (OtherNames, Torchs),
    (NotStored, Plain),
    (Counting, Torchs),
]


def ask(model: Any, reference: Any, *modes: Any) -> Any:
    """The verdicts on two models in float64."""
    case = same(model, reference, data=(ROWS, 5), modes=modes, dtypes=["float64"])
    return judge(case)


@pytest.mark.parametrize("pair", RIGHT)
def test_statistics_are_set_wherever_they_are_kept(pair: Any) -> None:
    """In both models, to the same drawn numbers; so right ports pass in train() and eval()."""
    verdicts = ask(*pair, "train", "eval")
    assert {each.status for each in verdicts.values()} == {Status.PASS}


@pytest.mark.parametrize("reference", [Plain, NotStored, Torchs])
@pytest.mark.parametrize("modes", [("train", "eval"), ("eval",)])
def test_a_port_that_leaves_statistics_out_fails(reference: Any, modes: Any) -> None:
    """Also if train() is not asked; the statistics that it does not take are named."""
    found = ask(LeftOut, reference, *modes)["float64 same-function-eval"]
    assert found.status is Status.FAIL
    assert "nothing in LeftOut follows from " in found.why


def test_statistics_that_move_otherwise_fail() -> None:
    """They are compared after a call in train(), though torch does not list them."""
    found = ask(Slow, Plain, "train")["float64 same-function-train"]
    assert found.status is Status.FAIL
    assert "buffer mean differs" in found.why


@pytest.mark.parametrize("pair", [(InAList, Plain), (Plain, InAList), (InAList, InAList)])
def test_statistics_that_cannot_be_set_are_no_evidence(pair: Any) -> None:
    """Nothing is proved of them in eval(), and this is said."""
    found = ask(*pair, "eval")["float64 same-function-eval"]
    assert found.status is Status.VACUOUS
    assert found.why.startswith("InAList keeps stats outside its buffers")


def test_the_sentence_on_statistics_that_cannot_be_set(approved: Approved) -> None:
    """It says what to do."""
    approved(ask(InAList, Plain, "eval")["float64 same-function-eval"].why, mask_figures=False)


def test_a_plain_tensor_keeps_its_dtype_in_a_narrow_model() -> None:
    """As in the user's program: only float64, in which all is compared, is given to it."""
    from harness.evaluating.built import Builder
    from harness.evaluating.data import Batch

    builder = Builder(Plain, "Plain", Batch((), {}), ("mean", "var"))
    found = [builder.make(dtype).mean.dtype for dtype in ("float64", "float32", "bfloat16")]
    assert found == [torch.float64, torch.float32, torch.float32]


def test_a_script_does_not_set_such_statistics(approved: Approved) -> None:
    """It says why there is none."""
    case = same(Slow, Plain, data=(ROWS, 5), modes="train", dtypes=["float64"])
    cache = Cache(case)
    trial = next(each for each in case.trials() if each.check == "same-function-train")
    assert run(trial, cache).status is Status.FAIL
    with approved.raises(Unwritten):
        write_models_script(trial, cache)
