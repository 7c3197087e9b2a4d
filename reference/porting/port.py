"""Writes a PyTorch module that makes the predictions of a fitted nnet, and its weights."""

from __future__ import annotations

import json
import struct
import textwrap

import numpy as np

from harness.core.contract import NNET_CLIP, Array
from harness.text.harmless import one_line
from harness.text.python import quoted
from reference.fitted.given import COLUMNS
from reference.fitted.labels import describe_shift
from reference.porting.classes_source import draws_classes, write_classes, write_names
from reference.porting.columns_source import write_columns
from reference.rds.fit import FittedNet
from reference.rds.terms import FormulaTerms

BY = "nnet-parity port"
WIDTH = 99
BASELINE = (
    "multinom() holds the weights of the first class at 0. Training moves them; `nnet-parity back`"
    " takes the same off all classes then, which leaves the probabilities as they are."
)
LOGITS = {
    "softmax": "Return the logits, as cross_entropy takes them; forward() is their softmax.",
    "logistic": "Return the logits, as BCEWithLogitsLoss takes them; forward() is their logistic.",
}
CLIPPED = '''\
def logistic(z):
    """nnet's logistic is exactly 0 or 1 beyond |z| = 15. It has no gradient there: to go on
    training, let `nnet-parity port --smooth` write this without the clip.
    """
    p = torch.where(z > 15, 1.0, torch.sigmoid(z))
    return torch.where(z < -15, 0.0, p)
'''
SMOOTH = '''\
def logistic(z):
    """Without nnet's clip, which makes it exactly 0 or 1 beyond |z| = 15 (a step of 3e-7)."""
    return torch.sigmoid(z)
'''


def layers(net: FittedNet) -> dict[str, Array]:
    """Return nnet's weights layer by layer, in the form of nn.Linear: weight (to, from), bias
    (to,).

    nnet lists for each unit its bias, its hidden units or inputs, and last the skip connections.
    """
    top = net.topology
    inputs, hidden, outputs = top.inputs, top.hidden, top.outputs
    split = hidden * (1 + inputs)
    into_hidden = net.wts[:split].reshape(hidden, 1 + inputs)
    into_output = net.wts[split:].reshape(outputs, -1)
    tensors: dict[str, Array] = {}
    if hidden:
        tensors["hidden.weight"], tensors["hidden.bias"] = into_hidden[:, 1:], into_hidden[:, 0]
        tensors["output.weight"] = into_output[:, 1 : 1 + hidden]
    else:
        tensors["output.weight"] = into_output[:, 1:]
    tensors["output.bias"] = into_output[:, 0]
    if hidden and into_output.shape[1] > 1 + hidden:
        tensors["skip.weight"] = into_output[:, 1 + hidden :]
    return tensors


def write_weights(net: FittedNet) -> bytes:
    """Return the weights as a safetensors file of float64."""
    header: dict[str, object] = {"__metadata__": {"written_by": BY, "fit": net.digest}}
    content = b""
    for name, array in layers(net).items():
        data = np.ascontiguousarray(array, "<f8").tobytes()
        place = [len(content), len(content) + len(data)]
        header[name] = {"dtype": "F64", "shape": list(array.shape), "data_offsets": place}
        content += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content


def has_columns(net: FittedNet) -> bool:
    """Does the module have a function that computes its inputs from raw columns?"""
    return isinstance(net.terms, FormulaTerms) and not net.terms.refused


def write_model(net: FittedNet, file: str, smooth: bool) -> str:
    """Return the source of model.py. Texts of the object become comments or literals."""
    top, tensors = net.topology, layers(net)
    kind = "predictions" if net.error == "squares" else "probabilities"
    rows = f"(rows, {top.inputs}) and returns {kind} (rows, {top.outputs}), in float64"
    lines = [f'"""A network of R\'s nnet as a PyTorch module. Written by {BY}.', ""]
    lines += ["The weights are in model.safetensors beside it.", '"""', ""]
    lines += _comment(f"fit: {file}, SHA-256 {net.digest}")
    lines += _comment(f"call: {net.call}")
    lines += _comment(f"inputs: {', '.join(net.columns)}")
    lines += _comment(f"predictions: {', '.join(net.responses)}")
    if net.terms is not None and not has_columns(net):
        lines += _comment("The inputs are the columns of R's model.matrix, without the intercept.")
    lines += _comment(describe_shift(net))
    if net.is_multinom and top.outputs > 1:
        lines += _comment(BASELINE)
    lines += ["", "import math"] if has_columns(net) else [""]
    lines += ["import warnings"] if draws_classes(net) else []
    lines += [
        "from pathlib import Path",
        "",
        "import torch",
        "from safetensors.torch import load_file",
    ]
    lines += ["from torch import nn", "", *write_names(net), "", "class Port(nn.Module):"]
    lines += [f'    """Takes inputs {rows}."""', "", "    def __init__(self):"]
    lines += ["        super().__init__()"]
    for name in dict.fromkeys(name.partition(".")[0] for name in tensors):
        to, source = tensors[f"{name}.weight"].shape
        bias = "" if f"{name}.bias" in tensors else ", bias=False"
        lines.append(f"        self.{name} = nn.Linear({source}, {to}{bias}, dtype=torch.float64)")
    lines.append('        weights = load_file(Path(__file__).with_name("model.safetensors"))')
    lines += ["        self.load_state_dict(weights)", ""]
    total = "self.output(logistic(self.hidden(x)))" if top.hidden else "self.output(x)"
    if "skip.weight" in tensors:
        total += " + self.skip(x)"
    has_logits = top.output == "softmax" or top.error == "entropy"
    if has_logits:
        lines += ["    def logits(self, x):", f'        """{LOGITS[top.output]}"""']
        lines += [f"        return {total}", ""]
    if top.output == "softmax":
        total = "torch.softmax(self.logits(x), dim=1)"
    elif top.output == "logistic":
        total = "logistic(self.logits(x))" if has_logits else f"logistic({total})"
    lines += ["    def forward(self, x):", f"        return {total}"]
    source = "\n".join(lines) + "\n" + write_classes(net)
    if top.hidden or top.output == "logistic":
        source += "\n\n" + (SMOOTH if smooth else CLIPPED)
    if isinstance(net.terms, FormulaTerms) and has_columns(net):
        source += "\n\n" + write_columns(net.terms)
    return source


def write_test(net: FittedNet, fit: str, smooth: bool, name: str) -> str:
    """Return the source of test_model.py, a case that judges the module.

    `fit` is the path of the fit, or of R's answers about it, relative to the module's folder.
    `name` is that of the case: those of several ports in one run must differ.
    """
    imported = "Port, columns" if has_columns(net) else "Port"
    arguments = [quoted(fit), "Port"]
    if has_columns(net):
        arguments.append("encode=columns")
    elif net.terms is not None:
        arguments.append(f"encode={quoted(COLUMNS)}")
    if not smooth:
        arguments.append(f"clip={NNET_CLIP:g}")
    arguments.append(f"name={quoted(name)}")
    lines = [f'"""Does model.py predict what R\'s nnet predicts? Written by {BY}."""', ""]
    lines += [f"from .model import {imported}", "from nnet_parity import fitted, verify", ""]
    call = f"test_port = verify(fitted({', '.join(arguments)}))"
    if len(call) > WIDTH:
        call = f"test_port = verify(\n    fitted({', '.join(arguments)})\n)"
    lines.append(call)
    return "\n".join([*lines, ""])


def _comment(text: str) -> list[str]:
    """Return a text as lines of a comment."""
    return textwrap.wrap(
        one_line(text), WIDTH, initial_indent="# ", subsequent_indent="#   ", break_on_hyphens=False
    )
