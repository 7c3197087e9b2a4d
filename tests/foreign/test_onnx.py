"""ONNX models, exported by torch.onnx.export and run by ONNX Runtime."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import Case, Status, Subject, Verdict, onnx_model
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes, r_nnet
from tests.conftest import Approved

WITHOUT = "is not installed: pip install nnet-parity[onnx]"
onnx = pytest.importorskip("onnx", reason=f"onnx {WITHOUT}")
pytest.importorskip("onnxruntime", reason=f"ONNX Runtime {WITHOUT}")
pytest.importorskip("onnxscript", reason=f"onnxscript {WITHOUT}")
ONE = Network(1, 8, 1, "logistic")
TWO = Network((2, 3), 4, (1, 2), "relu")
WORDS = {"b": "right.bias", "b_w": "first.bias", "b_v": "second.bias"}


class Sine(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(1, 8), nn.Sigmoid(), nn.Linear(8, 1))


class Dual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(2, 4, bias=False), nn.Linear(3, 4)
        self.first, self.second = nn.Linear(4, 1), nn.Linear(4, 2)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.relu(self.left(x) + self.right(y))
        return self.first(h), self.second(h)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Exports a module for any number of rows, and returns the file."""

    def write(module: nn.Module, *widths: int, dtype: Any = torch.float32) -> Path:
        path = tmp_path_factory.mktemp("exported") / f"{type(module).__name__}.onnx"
        inputs = tuple(torch.ones(5, width, dtype=dtype) for width in widths)
        rows = torch.export.Dim("rows")
        with warnings.catch_warnings(action="ignore"):  # of torch's own
            program = torch.onnx.export(
                module.to(dtype),
                inputs,
                dynamo=True,
                dynamic_shapes=tuple({0: rows} for _ in widths),
                verbose=False,
            )
        assert program is not None
        program.save(path)
        return path

    return write


def judge(case: Case) -> dict[str, Verdict]:
    """The verdicts of a case by trial."""
    cache = Cache(case)
    return {trial.id: run(trial, cache) for trial in case.trials()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_export_is_what_r_numpy_and_its_module_compute(
    live_r: None, export: Callable[..., Path], dtype: str
) -> None:
    """Outputs in the dtype of its weights, in both directions."""
    model = onnx_model(export(Sine(), 1, dtype=getattr(torch, dtype)), "exported")
    references = [r_nnet, numpy_net, Subject(Sine)]
    asked = {"checks": ["forward"], "dtypes": [dtype]}
    found = judge(Case("one", ONE, [model], references, probes(0, draws=6), **asked))
    found |= judge(Case("back", ONE, [Sine], [model], probes(0, draws=6), **asked))
    assert [verdict.status for verdict in found.values()] == [Status.PASS] * 4


def test_two_groups_of_inputs_and_two_heads(export: Callable[..., Path]) -> None:
    """Inputs and outputs are those of the graph, in its order."""
    model = onnx_model(export(Dual(), 2, 3), parameters=WORDS)
    found = judge(Case("two", TWO, [model], [numpy_net], probes(0, draws=6)))
    statuses = {key: verdict.status for key, verdict in found.items()}
    assert statuses.pop("Dual-cpu-float32-forward-vs-numpy_net") is Status.PASS
    assert set(statuses.values()) == {Status.ABSENT}


def test_weights_that_are_constants_are_told(
    export: Callable[..., Path], approved: Approved
) -> None:
    """A graph that ignores the weights that it is given fails, and so does one without any."""
    model = onnx.load(export(Sine(), 1))
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name.endswith(("weight", "bias")):
                node.input[place] = f"{name}_held"
    for held in list(model.graph.initializer):
        made = model.graph.initializer.add()
        made.CopyFrom(held)
        made.name = f"{held.name}_held"
    named = [each.name for each in model.graph.initializer if each.name.endswith("_held")]
    stale = onnx_model(model, "stale", constants=named)
    case = Case("one", ONE, [stale], [numpy_net], probes(0, draws=6))
    verdict = judge(case)["stale-cpu-float32-forward-vs-numpy_net"]
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)
    every = [each.name for each in model.graph.initializer]
    with approved.raises(ValueError):
        onnx_model(model, "stale", constants=every)


def test_another_network_fails_and_its_script_fails_again(
    export: Callable[..., Path], approved: Approved, tmp_path: Path
) -> None:
    """A tanh in place of the logistic is named."""

    class Other(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))

    case = Case("one", ONE, [onnx_model(export(Other(), 1))], [numpy_net], probes(0, draws=6))
    verdict = judge(case)["Other-cpu-float32-forward-vs-numpy_net"]
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_onnx_runtime_is_as_exact_as_its_contract() -> None:
    """tanh is within 8 units of roundoff, which exp_ulp=4 allows; Sigmoid keeps digits of 1."""
    x = np.random.default_rng(0).uniform(-30, 30, (200_000, 1))
    for dtype, kind in ((np.float64, 11), (np.float32, 1)):
        for operation, exact in (("Tanh", np.tanh), ("Sigmoid", lambda z: 1 / (1 + np.exp(-z)))):
            made = onnx.helper
            value = made.make_tensor_value_info
            graph = made.make_graph(
                [made.make_node("Mul", ["x", "w"], ["z"]), made.make_node(operation, ["z"], ["y"])],
                "one",
                [value("x", kind, [None, 1])],
                [value("y", kind, [None, 1])],
                [made.make_tensor("w", kind, [1], [1.0])],
            )
            model = made.make_model(graph, opset_imports=[made.make_opsetid("", 17)], ir_version=9)
            asked = onnx_model(model, operation)
            given = x.astype(dtype)
            found = asked.answer({"w": np.ones(1, dtype)}, given)[0].astype(np.longdouble)
            wanted = exact(given.astype(np.longdouble))
            size = abs(wanted) if operation == "Tanh" else 1
            assert (abs(found - wanted) / size).max() < 8 * np.finfo(dtype).eps / 2
            assert asked.absolute_activations is (operation == "Sigmoid")
