"""A model's own trained weights, beside the probes."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from harness import Case, Status, Subject
from harness.judging.cache import Cache
from harness.pytorch.checkpoint import weights
from harness.running.trial import run
from reference import Network, OnData, numpy_net, probes, r_nnet
from tests.conftest import Approved

NETWORK = Network(2, 3, 1, "logistic")
X = np.linspace(-2, 2, 14).reshape(7, 2)
Y = np.sin(X[:, :1])


class Net(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 1))
        self.register_buffer("seen", torch.zeros(()))


def trained() -> Net:
    """A few steps from a seed."""
    torch.manual_seed(3)
    net = Net()
    optimiser = torch.optim.Adam(net.parameters(), 0.05)
    for _ in range(20):
        optimiser.zero_grad()
        (
            (net(torch.tensor(X, dtype=torch.float32)) - torch.tensor(Y, dtype=torch.float32)) ** 2
        ).sum().backward()
        optimiser.step()
    return net


OWN = Subject(Net).formulation(NETWORK)


def saved(kind: str, tmp_path: Path) -> Any:
    """The trained net's state_dict, or a file of it."""
    state = trained().state_dict()
    if kind == "state_dict":
        return state
    path = tmp_path / f"net.{kind}"
    safetensors.torch.save_file(state, path) if kind == "safetensors" else torch.save(state, path)
    return path


@pytest.mark.parametrize("kind", ["state_dict", "safetensors", "pt", "pth"])
def test_a_checkpoint_is_judged_beside_the_probes(
    kind: str, tmp_path: Path, approved: Approved
) -> None:
    """At its own weights, on its user's data, against R nnet and NumPy."""
    problems = [probes(seed=0), OnData(X, Y, weights=saved(kind, tmp_path))]
    case = Case("own weights", NETWORK, [Net], [numpy_net, r_nnet], problems)
    cache = Cache(case)
    found = [run(trial, cache) for trial in case.trials()]
    assert {v.status for v in found} == {Status.PASS, Status.ABSENT}
    asked = cache.stacks(case.trials()[0])[-1]
    assert asked.draws == 1
    approved([asked.kind, *{verdict.caveat for verdict in found if verdict.status is Status.PASS}])
    own = torch.cat([p.detach().double().ravel() for p in trained().parameters()]).numpy()
    assert np.array_equal(asked.own[0], own)


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_passed_over(prefix: str) -> None:
    """What DataParallel, Lightning and torch.compile put before every name."""
    state = {f"{prefix}{name}": tensor for name, tensor in trained().state_dict().items()}
    assert np.array_equal(weights(state, OWN), weights(trained().state_dict(), OWN))
    assert np.array_equal(
        weights({"state_dict": state, "epoch": 3}, OWN), weights(trained().state_dict(), OWN)
    )


def test_an_array_is_as_good_as_a_tensor() -> None:
    """A state_dict of NumPy arrays."""
    state = {name: tensor.numpy() for name, tensor in trained().state_dict().items()}
    assert np.array_equal(weights(state, OWN), weights(trained().state_dict(), OWN))


class Whole:
    """What torch.save(model) pickles: code."""


def test_what_is_no_checkpoint_is_said_in_a_sentence(tmp_path: Path, approved: Approved) -> None:
    """What was found, what was expected; no code of a file is run."""
    state = trained().state_dict()
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save(Whole(), tmp_path / "whole.pt")
    for given in (
        {name: tensor for name, tensor in state.items() if name != "0.bias"},
        {},
        {**state, "extra": torch.ones(2)},
        {**state, "seen": torch.ones(())},
        {f"{net}.{name}": tensor for net in ("model", "module") for name, tensor in state.items()},
        {**state, "0.bias": state["0.bias"] * 1j},
        {**state, "0.weight": state["0.weight"].T},
        {**state, "0.bias": state["0.bias"] * torch.nan},
        trained(),
        3,
        tmp_path / "net.onnx",
        tmp_path / "list.pt",
        tmp_path / "none.pt",
        tmp_path / "whole.pt",
    ):
        with approved.raises(ValueError) as caught:
            weights(given, OWN)
        assert "\n" not in str(caught.value)


def test_safetensors_that_is_not_installed_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """With the line that installs it."""
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with approved.raises(ValueError):
        weights(saved("safetensors", tmp_path), OWN)


def unreadable(path: Path) -> list[str]:
    """What is said of a file, the kind of error, and the words of whoever raised it."""
    with pytest.raises(ValueError, match=path.name) as caught:
        weights(path, OWN)
    assert "\n" not in str(caught.value)
    return str(caught.value).split(": ", 2)


@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_a_damaged_checkpoint_is_a_sentence(kind: str, tmp_path: Path, approved: Approved) -> None:
    """Cut anywhere, it is not read in part."""
    whole, cut = saved(kind, tmp_path).read_bytes(), tmp_path / f"cut.{kind}"
    said = set()
    for length in range(0, len(whole) - 1, max(1, len(whole) // 40)):
        cut.write_bytes(whole[:length])
        said.add(unreadable(cut)[0])
    assert len(said) == 1
    approved(said)
