"""Devices: those that are here, what is said of those that are not, and the direct comparison with
the CPU.
"""

import pytest
import torch
from torch import nn

from harness import Case, Status
from harness.judging.cache import Cache
from harness.judging.case import Trial
from harness.model.devices import chosen, kind_of, lacking
from harness.pytorch.subject import Subject
from harness.reporting.environment import environment
from harness.running.runner import Runner
from harness.running.trial import run
from reference import Network, numpy_net, probes
from tests.conftest import RIGHT, Approved, Mine

NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")


class SineNet(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(1, 4), nn.Sigmoid(), nn.Linear(4, 1))


CASE = Case("sine", Network(1, 4, 1, "logistic"), [SineNet], [numpy_net], probes(draws=4))


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "mps", ""], ids=repr)
def test_a_name_that_is_no_device_is_refused(device: str, approved: Approved) -> None:
    """The sentence says which are."""
    with approved.raises(ValueError):
        lacking(device)


def test_the_cpu_is_always_here_and_has_no_index(approved: Approved) -> None:
    """cpu:0 is another word for nothing."""
    assert lacking("cpu") == ""
    approved(lacking("cpu:0"))


@NO_CUDA
def test_without_a_gpu_it_is_said_why(approved: Approved) -> None:
    """What torch was built for decides what to do."""
    assert lacking("cuda") == lacking("cuda:1")
    assert torch.__version__ in lacking("cuda")
    assert str(torch.version.cuda or "without CUDA") in lacking("cuda")
    assert chosen([]) == ["cpu"]
    approved([lacking("cuda"), environment()["cuda"]])


def test_each_device_is_asked_once() -> None:
    """--parity-device cpu --parity-device cpu is one device."""
    assert chosen(["cpu", "cpu"]) == ["cpu"]


def test_the_cpu_needs_no_switch() -> None:
    """TF32 is a matter of CUDA."""
    with kind_of("cpu").hold_precision("cpu", "float32"):
        assert torch.ones(1).item() == 1


@NO_CUDA
def test_what_is_asked_of_an_absent_device_is_not_run(mine: Mine) -> None:
    """Every trial is NOT RUN and counted, and a run without one pass fails."""
    mine.write_sine(RIGHT)
    result = mine.pytest("--parity-device", "cuda", "--parity-device", "cpu")
    result.assert_outcomes(passed=8, skipped=16)
    assert mine.results()["devices"] == {"cpu": "", "cuda": lacking("cuda")}
    found = [v for v in mine.results()["verdicts"] if v["device"] == "cuda"]
    assert {(v["status"], v["why"]) for v in found} == {("NOT RUN", lacking("cuda"))}
    assert mine.pytest("--parity-device", "cuda").ret == 1


@NO_CUDA
def test_a_device_that_is_required_and_not_here_ends_the_run(
    mine: Mine, approved: Approved
) -> None:
    """One line, exit code 4: a usage error."""
    mine.write_sine(RIGHT)
    result = mine.pytest("--parity-require-device", "cuda")
    assert result.ret == pytest.ExitCode.USAGE_ERROR == 4
    approved(result.errlines)


@NO_CUDA
def test_devices_come_from_the_environment_and_the_ini_file_too(
    mine: Mine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line comes first, then the environment, then the file."""
    mine.write_sine(RIGHT, checks='["forward"]', dtypes='["float64"]')
    (mine.pytester.path / "pytest.ini").write_text("[pytest]\nparity_devices = cpu cuda\n")
    monkeypatch.delenv("NNET_PARITY_DEVICES")
    mine.pytest().assert_outcomes(passed=1, skipped=2)
    monkeypatch.setenv("NNET_PARITY_DEVICES", "cpu")
    mine.pytest().assert_outcomes(passed=1)
    mine.pytest("--parity-device", "cuda").assert_outcomes(skipped=2)


@NO_CUDA
def test_the_screen_shows_a_device_that_is_not_here(mine: Mine, approved: Approved) -> None:
    """With -v, since nobody has asked for it."""
    mine.write_sine(RIGHT)
    approved(line for line in mine.pytest("-v").outlines if "cuda" in line and "torch" in line)


def test_another_device_is_compared_with_the_cpu_directly() -> None:
    """A subject on cuda meets itself on the CPU beside the references of the case."""
    names = [trial.against for trial in CASE.trials(["cuda"])]
    assert set(names) == {"numpy_net", "cpu"}
    assert {trial.against for trial in CASE.trials(["cpu"])} == {"numpy_net"}


@pytest.mark.parametrize("check", ["forward", "loss", "gradient", "input_gradient"])
def test_a_subject_agrees_with_itself_on_the_cpu(check: str) -> None:
    """The direct comparison uses nothing of what may differ where both are the same."""
    subject = Subject.of(SineNet)
    trial = Trial(CASE, subject, subject, "cpu", "float32", check, itself=True)
    verdict = run(trial, Cache(CASE))
    assert (verdict.status, verdict.budget_used) == (Status.PASS, 0.0)


class OutOfMemory(SineNet):
    def forward(self, x):  # type: ignore[no-untyped-def]
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")


class Asserting(SineNet):
    def forward(self, x):  # type: ignore[no-untyped-def]
        raise RuntimeError("CUDA error: device-side assert triggered")


def test_out_of_memory_is_broken_with_sizes(approved: Approved) -> None:
    """It says what did not fit."""
    case = Case("sine", CASE.network, [OutOfMemory], [numpy_net], probes(draws=4))
    verdict = run(case.trials()[0], Cache(case))
    assert verdict.status is Status.BROKEN
    approved(verdict.why)


def test_after_a_device_side_assert_the_rest_is_not_run() -> None:
    """The process is poisoned for that device, never for the CPU, whatever an error there says."""
    why = "raised RuntimeError: CUDA error: device-side assert triggered"
    assert kind_of("cuda:0").is_spoiled_by(why)
    assert not kind_of("cuda").is_spoiled_by("raised OutOfMemoryError")
    case = Case("sine", CASE.network, [Asserting], [numpy_net], probes(draws=4))
    runner, trials = Runner(), case.trials()
    verdicts = [
        runner.judge(str(number), trial, "pytest") for number, trial in enumerate(trials[:2])
    ]
    assert [verdict.status for verdict in verdicts] == [Status.BROKEN, Status.BROKEN]
    runner.unusable["cpu"] = "cpu cannot be used any more"
    verdict = runner.judge("2", trials[2], "pytest")
    assert (verdict.status, verdict.why) == (Status.NOT_RUN, "cpu cannot be used any more")
