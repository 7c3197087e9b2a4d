"""What torch as a whole is told after a case was made changes no verdict of it."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import Case, Population, Recipe, Status, Trained, Verdict
from harness.judging.cache import Cache
from harness.model.settings import SWITCHES, hold_settings, read_settings, settings_lines
from harness.running.trial import run
from reference import Network, numpy_net, probes, starts
from tests.conftest import RIGHT, SINE_NET, Mine

SINE = Network(1, 4, 1, "logistic")
OTHERS: dict[str, Callable[[], Any]] = {  # what a file may tell torch when it is imported
    "gradients": lambda: torch.set_grad_enabled(False),
    "dtype": lambda: torch.set_default_dtype(torch.float64),
    "device": lambda: torch.set_default_device("meta"),
    "deterministic": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "autocast": lambda: torch.set_autocast_enabled("cpu", True),
    "precision": lambda: torch.set_float32_matmul_precision("medium"),
}


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Torch is told afterwards what it was told before."""
    before = read_settings()
    yield
    torch.set_grad_enabled(True)
    with hold_settings(before):
        pass
    for name, switch in SWITCHES.items():
        switch.assign(torch, before[name])


class Net(nn.Module):
    """Right; it makes what it adds in torch's default dtype, and needs that to be float32."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(1, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        wrong = (
            0.5 * (torch.zeros(1).dtype != torch.float32)
            + 0.5 * torch.are_deterministic_algorithms_enabled()
        )
        wrong += 0.5 * (torch.get_float32_matmul_precision() != "highest")
        return self.out(torch.sigmoid(self.hidden(x))) + wrong


def case_of(subject: Any = Net, **given: Any) -> Case:
    return Case("settings", SINE, [subject], [numpy_net], probes(seed=0, draws=3), **given)


def verdicts(case: Case) -> list[Verdict]:
    cache = Cache(case)
    return [run(trial, cache) for trial in case.trials()]


@pytest.mark.parametrize("other", OTHERS)
def test_what_torch_is_told_later_changes_no_verdict(other: str) -> None:
    """A right model passes, whatever another file tells torch after its case was verified."""
    case = case_of()
    OTHERS[other]()
    assert {verdict.status for verdict in verdicts(case)} == {Status.PASS}


@pytest.mark.parametrize("other", [other for other in OTHERS if other != "gradients"])
def test_what_torch_was_told_stands_again_afterwards(other: str) -> None:
    """The other file finds torch as it left it."""
    case = case_of(checks=["forward"])
    OTHERS[other]()
    before = read_settings()
    verdicts(case)
    assert read_settings() == before


def test_gradients_stay_switched_off_for_others() -> None:
    """They are on while a model is asked, and off again afterwards."""
    torch.set_grad_enabled(False)
    assert {verdict.status for verdict in verdicts(case_of(checks=["gradient"]))} == {Status.PASS}
    assert not torch.is_grad_enabled()


def test_a_mode_of_inference_that_nobody_left_changes_no_verdict() -> None:
    """Gradients are asked for outside of it."""
    with torch.inference_mode():
        assert {verdict.status for verdict in verdicts(case_of())} == {Status.PASS}


def test_what_a_file_tells_torch_holds_for_its_own_cases() -> None:
    """What stood when the case was made, whatever is said later."""
    torch.set_default_dtype(torch.float64)
    mine = case_of(checks=["forward"])
    torch.set_default_dtype(torch.float32)
    assert {verdict.status for verdict in verdicts(mine)} == {Status.FAIL}
    assert {verdict.status for verdict in verdicts(case_of(checks=["forward"]))} == {Status.PASS}


def test_a_model_is_trained_with_gradients() -> None:
    """States, gradients and steps of training are right where another file has switched gradients
    off.
    """

    def data(count: int) -> tuple[Any, Any]:
        x = torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(6, 1).expand(count, 6, 1).numpy()
        return x, x**2

    trained = Trained(Net, Recipe("sgd", 5, {"lr": 0.01}), start=starts.uniform(), most=2)
    given = {"checks": ["loss", "gradient", "step"], "dtypes": ["float64"]}
    population = Population(data, quality=1.0, grid=data(1)[0][0])
    case = Case("trained", SINE, [trained], [numpy_net], population, **given)
    torch.set_grad_enabled(False)
    assert {verdict.status for verdict in verdicts(case)} == {Status.PASS}


def test_torch_is_not_imported_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody has imported it, it is told what it is told at first."""
    monkeypatch.delitem(sys.modules, "torch")
    assert read_settings() == {name: switch.default for name, switch in SWITCHES.items()}
    assert "torch" not in sys.modules


def test_what_torch_is_told_at_first_is_what_we_think() -> None:
    """The defaults are those of this torch, and need no line in a script."""
    assert read_settings() == {name: switch.default for name, switch in SWITCHES.items()}
    assert settings_lines(read_settings()) == []


def test_the_lines_of_a_script_tell_torch_the_same() -> None:
    """Each switch has its line."""
    for other in OTHERS.values():
        other()
    told = read_settings()
    for switch in SWITCHES.values():
        switch.assign(torch, switch.default)
    exec("\n".join(settings_lines(told)), {"torch": torch})
    assert read_settings() == told


def test_a_precision_set_by_its_new_names_stands_again_too() -> None:
    """Who sets it by the names of torch 2.9 cannot read it by the old one: torch raises
    RuntimeError.
    """
    if not hasattr(torch.backends, "fp32_precision"):
        pytest.skip("this torch has no such names")
    case = case_of(checks=["forward"])
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    told = read_settings()
    assert {verdict.status for verdict in verdicts(case)} == {Status.PASS}
    assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    torch.set_float32_matmul_precision("highest")
    exec("\n".join(settings_lines(told)), {"torch": torch})
    assert read_settings() == told


@pytest.mark.parametrize("name", ["test_a.py", "test_z.py"])
def test_a_file_that_switches_gradients_off_changes_no_verdict(name: str, mine: Mine) -> None:
    """A right model passes beside it, whether it is collected before or after."""
    mine.write(
        SINE_NET.format(forward=RIGHT), mine.case("test_sine", problems="probes(seed=0, draws=2)")
    )
    (mine.pytester.path / name).write_text(
        "import torch\ntorch.set_grad_enabled(False)\n", encoding="utf-8"
    )
    result = mine.pytest()
    assert result.ret == 0
    result.assert_outcomes(passed=8)
