"""A model's own trained weights, beside the probes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from harness import Case, Status, Subject
from harness.checkpoint import weights
from harness.memo import Memo
from harness.trial import run
from reference import Network, OnData, numpy_net, probes, r_nnet

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
        ((net(torch.tensor(X, dtype=torch.float32)) - torch.tensor(Y, dtype=torch.float32)) ** 2).sum().backward()
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
def test_a_checkpoint_is_judged_beside_the_probes(kind: str, tmp_path: Path) -> None:
    """At its own weights, on its user's data, against R nnet and NumPy."""
    problems = [probes(seed=0), OnData(X, Y, weights=saved(kind, tmp_path))]
    case = Case("own weights", NETWORK, [Net], [numpy_net, r_nnet], problems)
    memo = Memo(case)
    found = [run(trial, memo) for trial in case.trials()]
    assert {v.status for v in found} == {Status.PASS, Status.ABSENT}
    asked = memo.stacks(case.trials()[0])[-1]
    assert (asked.kind, asked.draws) == ("7 points, own weights", 1)
    own = torch.cat([p.detach().double().ravel() for p in trained().parameters()]).numpy()
    assert np.array_equal(asked.own[0], own)


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_passed_over(prefix: str) -> None:
    """What DataParallel, Lightning and torch.compile put before every name."""
    state = {f"{prefix}{name}": tensor for name, tensor in trained().state_dict().items()}
    assert np.array_equal(weights(state, OWN), weights(trained().state_dict(), OWN))
    assert np.array_equal(weights({"state_dict": state, "epoch": 3}, OWN), weights(trained().state_dict(), OWN))


def test_an_array_is_as_good_as_a_tensor() -> None:
    """A state_dict of NumPy arrays."""
    state = {name: tensor.numpy() for name, tensor in trained().state_dict().items()}
    assert np.array_equal(weights(state, OWN), weights(trained().state_dict(), OWN))


class Whole:
    """What torch.save(model) pickles: code."""


def test_what_is_no_checkpoint_is_said_in_a_sentence(tmp_path: Path) -> None:
    """What was found, what was expected; no code of a file is run."""
    state = trained().state_dict()

    def sentence(given: Any) -> str:
        with pytest.raises(ValueError, match=r"^(?!.*\n).*$") as caught:
            weights(given, OWN)
        return str(caught.value).replace(str(tmp_path), "")

    without = {name: tensor for name, tensor in state.items() if name != "0.bias"}
    assert sentence(without) == ("the state_dict has no 0.bias, expected it; it has seen, 0.weight, 2.weight, 2.bias")
    assert sentence({}) == "the state_dict has no 0.weight, expected it; it has nothing"
    assert sentence({**state, "extra": torch.ones(2)}) == (
        "the state_dict has extra, which is no parameter of the model and no buffer: give what is"
    )
    assert sentence({**state, "seen": torch.ones(())}) == (
        "the state_dict: the buffer seen is not what the module is built with: let its factory load the checkpoint"
    )
    twice = {f"{net}.{name}": tensor for net in ("model", "module") for name, tensor in state.items()}
    assert sentence(twice).startswith("the state_dict has several ")
    assert sentence({**state, "0.bias": state["0.bias"] * 1j}) == (
        "the state_dict: 0.bias is of complex64, expected real numbers"
    )
    assert sentence({**state, "0.weight": state["0.weight"].T}) == (
        "the state_dict: 0.weight has shape (2, 3), expected (3, 2)"
    )
    assert sentence({**state, "0.bias": state["0.bias"] * torch.nan}) == (
        "the state_dict: 0.bias holds what is not finite, expected numbers"
    )
    assert sentence(tmp_path / "net.onnx") == (
        "/net.onnx is no checkpoint that can be read, expected a file called .safetensors, .pt, .pth, .bin"
    )
    assert sentence(tmp_path / "none.pt").startswith("/none.pt cannot be read as a checkpoint: FileNotFoundError: ")
    torch.save(Whole(), tmp_path / "whole.pt")
    assert sentence(tmp_path / "whole.pt").startswith("/whole.pt cannot be read as a checkpoint: UnpicklingError: ")
    torch.save([1, 2], tmp_path / "list.pt")
    assert sentence(tmp_path / "list.pt") == (
        "/list.pt holds list, expected a state_dict: torch.save(model.state_dict(), ...)"
    )


@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_a_damaged_checkpoint_is_a_sentence(kind: str, tmp_path: Path) -> None:
    """Cut anywhere, it is not read in part."""
    whole = saved(kind, tmp_path).read_bytes()
    for length in range(0, len(whole) - 1, max(1, len(whole) // 40)):
        cut = tmp_path / f"cut.{kind}"
        cut.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
            weights(cut, OWN)
