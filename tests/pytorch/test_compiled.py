"""A compiled model is judged by its compiled code, in every dtype, and the verdict says how it
ran.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch._dynamo
from torch import Tensor, nn

from harness import Case, Population, Recipe, Status, Subject, Trained, Verdict
from harness.judging.cache import Cache
from harness.model.compiled import FAILS, LIMIT, LIMITS, is_compiled, limited
from harness.running.trial import run
from reference import Network, numpy_net, probes, starts

SINE = Network(1, 4, 1, "logistic")
pytestmark = pytest.mark.filterwarnings("ignore")  # of torch's compiler, about itself


def compiled(thing: Any) -> Any:
    """By torch.compile's front end alone, which decides what is compiled; the back end would take a
    C++ compiler.
    """
    return torch.compile(thing, backend="eager")


class Net(nn.Module):
    """Right where it is not compiled; where it is, this is put to its outputs."""

    def __init__(self, then: Callable[[Tensor], Tensor] = lambda o: o) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(1, 4), nn.Linear(4, 1)
        self.then, self.calls = then, 0

    def forward(self, x: Tensor) -> Tensor:
        o = self.out(torch.sigmoid(self.hidden(x)))
        return self.then(o) if torch.compiler.is_compiling() else o


class Broken(Net):
    """Its forward is compiled in two parts."""

    def forward(self, x: Tensor) -> Tensor:
        h = torch.sigmoid(self.hidden(x))
        torch._dynamo.graph_break()
        return self.out(h)


class Counting(Net):
    """Compiled anew at every call, since a number differs that it is compiled for."""

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.out(torch.sigmoid(self.hidden(x))) + 0 * self.calls


class Decorated(Net):
    @compiled
    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.sigmoid(self.hidden(x)))


class Holding(Net):
    def __init__(self) -> None:
        super().__init__()
        self.act = compiled(torch.sigmoid)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.act(self.hidden(x)))


def in_place() -> nn.Module:
    """What `module.compile()` leaves."""
    model = Net()
    model.compile(backend="eager")
    return model


FEW = probes(seed=0, draws=2, kinds=["random"])


def verdicts(build: Callable[[], Any], **given: Any) -> list[Verdict]:
    """Of every trial with the probes of every kind, or as given."""
    asked = {"problems": probes(seed=0, draws=3), **given}
    case = Case("compiled", SINE, [Subject(build, "Net")], [numpy_net], **asked)
    cache = Cache(case)
    return [run(trial, cache) for trial in case.trials()]


def outputs(build: Callable[[], Any]) -> Verdict:
    """Of the outputs in float64, in a few draws."""
    return verdicts(build, problems=FEW, checks=["forward"], dtypes=["float64"])[0]


def test_a_right_compiled_model_passes_and_ran_compiled() -> None:
    """On every kind of probes, in both dtypes."""
    found = verdicts(lambda: compiled(Net()))
    assert len(found) == 8
    assert {v.status for v in found} == {Status.PASS}
    assert all(v.why.endswith("; it ran compiled") for v in found)


def test_a_model_that_is_wrong_only_when_it_is_compiled_fails_in_every_dtype(
    approved: Callable[..., None],
) -> None:
    """On the probes of every kind, in the second dtype too, before which the limit of 8 is
    reached.
    """
    found = verdicts(lambda: compiled(Net(lambda o: 1.5 * o)), checks=["forward", "gradient"])
    assert [v.status for v in found] == [Status.FAIL] * 4
    assert all("\n  it ran compiled" in v.why for v in found)
    approved(found[0].why, mask_figures=True)


def test_a_model_that_nobody_compiles_says_nothing() -> None:
    """Also where others are compiled."""
    assert outputs(Net).status is Status.PASS
    assert "ran" not in outputs(Net).why


def test_a_model_whose_compiler_is_switched_off_ran_eager(approved: Callable[..., None]) -> None:
    """It is judged, and nobody takes it for the compiled one."""
    with torch._dynamo.config.patch(disable=True):
        found = outputs(lambda: compiled(Net(lambda o: 1.5 * o)))
    assert found.status is Status.PASS
    approved(found.why, mask_figures=True)


def fails(graph: Any, inputs: Any) -> Any:
    """A back end."""
    raise RuntimeError("no back end")


act = torch.compile(torch.sigmoid, backend=fails)


class Calling(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.out(act(self.hidden(x)))


@pytest.mark.parametrize(
    "build", [lambda: torch.compile(Net(), backend=fails), Calling], ids=["model", "what it calls"]
)
def test_what_the_compiler_does_not_compile_ran_eager(build: Callable[[], Any]) -> None:
    """A back end that fails and is told to be passed over."""
    with torch._dynamo.config.patch(suppress_errors=True):
        assert outputs(build).why.endswith("; it ran eager")


def test_a_model_that_is_compiled_in_parts_says_so() -> None:
    """What lies between them ran eager."""
    assert outputs(lambda: compiled(Broken())).why.endswith("; it ran compiled in part")


def test_a_model_that_is_compiled_anew_at_every_call_is_broken(
    monkeypatch: pytest.MonkeyPatch, approved: Callable[..., None]
) -> None:
    """In place of running uncompiled in silence."""
    monkeypatch.setattr("harness.model.compiled.LIMIT", 8)
    many = probes(seed=0, draws=12, kinds=["random"])
    found = verdicts(lambda: compiled(Counting()), problems=many, checks=["forward"])[0]
    assert found.status is Status.BROKEN
    approved(found.why)


@pytest.mark.parametrize(
    "build", [Decorated, Holding, in_place, lambda: nn.Sequential(compiled(Net()))]
)
def test_whatever_is_compiled_of_a_model_is_known(build: Callable[[], Any]) -> None:
    """Its forward, a function that it holds, itself in place, or a part."""
    assert is_compiled(build())
    assert outputs(build).why.endswith("; it ran compiled")


def test_a_compiled_function_is_known_too() -> None:
    """Of tensors that are given by name."""
    shapes = {"W1": (4, 1), "b": (4,), "W2": (1, 4), "b_w": (1,)}
    f = compiled(lambda x, W1, b, W2, b_w: torch.sigmoid(x @ W1.T + b) @ W2.T + b_w)
    for disable, ran in ((False, "compiled"), (True, "eager")):
        case = Case("function", SINE, [Subject(f, "f", shapes=shapes)], [numpy_net], FEW)
        with torch._dynamo.config.patch(disable=disable):
            assert run(case.trials()[0], Cache(case)).why.endswith(f"; it ran {ran}")


def test_a_compiled_model_in_sixteen_bits_is_judged_by_its_compiled_code() -> None:
    """While it is watched it steps aside, and that is no reason to say otherwise."""
    asked = {"problems": FEW, "checks": ["forward"], "dtypes": ["bfloat16"]}
    right, wrong = (
        verdicts(lambda then=then: compiled(Net(then)), **asked)[0]
        for then in (lambda o: o, lambda o: 1.5 * o)
    )
    assert (right.status, wrong.status) == (Status.PASS, Status.FAIL)
    assert right.why.endswith("; it ran compiled")


def test_training_is_judged_by_compiled_code_too() -> None:
    """Along a run: a compiled model that is wrong fails at its states, in both dtypes."""

    def data(count: int) -> tuple[Any, Any]:
        x = np.broadcast_to(np.linspace(-1, 1, 6)[:, None], (count, 6, 1))
        return x, x**2

    found = {}
    for name, then in (("right", lambda o: o), ("wrong", lambda o: 1.5 * o)):
        model = Subject(lambda then=then: compiled(Net(then)), name)
        trained = Trained(model, Recipe("sgd", 3, {"lr": 0.01}), start=starts.uniform(), most=2)
        population = Population(data, quality=1.0, grid=data(1)[0][0])
        case = Case("trained", SINE, [trained], [numpy_net], population, checks=["loss"])
        cache = Cache(case)
        found[name] = [run(trial, cache) for trial in case.trials()]
    assert [v.status for v in found["right"]] == [Status.PASS] * 2
    assert [v.status for v in found["wrong"]] == [Status.FAIL] * 2
    assert all(v.why.endswith("; it ran compiled") for v in found["right"])


def test_the_limit_of_torch_is_put_back() -> None:
    """Its names are those of this torch."""
    limit, fails = (
        next(name for name in names if hasattr(torch._dynamo.config, name))
        for names in (LIMITS, FAILS)
    )
    before = getattr(torch._dynamo.config, limit), getattr(torch._dynamo.config, fails)
    with limited():
        assert (getattr(torch._dynamo.config, limit), getattr(torch._dynamo.config, fails)) == (
            LIMIT,
            True,
        )
    assert (
        (getattr(torch._dynamo.config, limit), getattr(torch._dynamo.config, fails))
        == before
        == (8, False)
    )


def test_a_limit_that_is_higher_stays() -> None:
    """Whoever raised it knows why."""
    limit = next(name for name in LIMITS if hasattr(torch._dynamo.config, name))
    with torch._dynamo.config.patch({limit: 2 * LIMIT}), limited():
        assert getattr(torch._dynamo.config, limit) == 2 * LIMIT


def test_the_script_of_a_failure_fails_compiled(tmp_path: Path) -> None:
    """It compiles the model as its author does."""
    case = Case("compiled", SINE, [WRONG], [numpy_net], FEW, checks=["forward"], dtypes=["float64"])
    verdict = run(case.trials()[0], Cache(case), folder=tmp_path)
    assert verdict.status is Status.FAIL
    assert verdict.alone, verdict.why


WRONG = Subject(lambda: torch.compile(Net(lambda o: 1.5 * o), backend="eager"), "Wrong")
