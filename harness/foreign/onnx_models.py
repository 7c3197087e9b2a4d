"""A model in a file of ONNX, run by ONNX Runtime on the CPU."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from harness.foreign.computed import Computed

EXP_ULP = 4.0  # of ONNX Runtime's exp and tanh on a CPU: docs/foreign.md says what was measured
COARSE = "Sigmoid"  # it keeps digits of 1, not of itself
# by ONNX's numbers of types
DTYPES: dict[int, Literal["float32", "float64"]] = {1: "float32", 11: "float64"}


def onnx_model(
    model: Any,
    name: str = "",
    constants: Collection[str] = (),
    **declared: Any,
) -> Computed:
    """Return an ONNX model as a subject or a reference, run by ONNX Runtime.

    `model` is the path of a file, or an `onnx.ModelProto`. Its weights become inputs of the graph,
    so that they can be set: these are its real-valued initializers, except those named in
    `constants`. Nodes that hold constants stay as they are. Its dtype is that of its weights.
    `declared` are further arguments of Computed, such as `parameters`.

    Raises ImportError without onnx and onnxruntime, and ValueError for a model without weights or
    with weights of several dtypes.
    """
    import onnx
    import onnxruntime

    path = os.fspath(model) if isinstance(model, str | os.PathLike) else ""
    called = name or Path(path).stem or "onnx_model"
    graph_of = onnx.load(path) if path else onnx.ModelProto.FromString(model.SerializeToString())
    graph = graph_of.graph
    weights = {}
    for each in graph.initializer:
        if each.data_type in DTYPES and each.dims and each.name not in constants:
            weights[each.name] = each
    dtypes = {DTYPES[each.data_type] for each in weights.values()}
    if len(dtypes) != 1:
        names = " and ".join(sorted(dtypes)) or "none"
        raise ValueError(
            f"{called} has weights of {names}, expected initializers of one of"
            f" {', '.join(DTYPES.values())}: a weight that is a constant of a node cannot be set"
        )
    known = {each.name for each in graph.input}
    inputs = [each.name for each in graph.input if each.name not in weights]
    for each in weights.values():
        if each.name not in known:
            tensor_info = onnx.helper.make_tensor_value_info(each.name, each.data_type, each.dims)
            graph.input.append(tensor_info)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # of errors: that weights are inputs is meant
    session = onnxruntime.InferenceSession(
        graph_of.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def answer(blocks: Any, *arrays: Any) -> Any:
        return session.run(None, {**blocks, **dict(zip(inputs, arrays, strict=True))})

    operations = {node.op_type for node in graph.node}
    given = {
        "exp_ulp": EXP_ULP,
        "absolute_activations": COARSE in operations,
        "made_with": {"ONNX Runtime": onnxruntime.__version__},
    }
    shapes = {each.name: tuple(each.dims) for each in weights.values()}
    return Computed(answer, called, shapes=shapes, dtype=dtypes.pop(), **{**given, **declared})
