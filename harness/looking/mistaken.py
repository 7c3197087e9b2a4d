"""Sentences for wrong names of models on the command line."""

from __future__ import annotations

from pathlib import Path

from harness.text.harmless import one_line

WEIGHTS = (
    "holds weights, expected the file of Python that defines their model, as model.py:Net; a case"
    " takes weights as OnData(x, y, weights=...), see docs/proves.md"
)
KINDS = {  # by the ending of the file
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".npz"), WEIGHTS),
    ".pt2": (
        "is a program of torch.export, expected a file of Python, as model.py:make, whose make()"
        " returns torch.export.load(...)"
    ),
    ".onnx": "is a graph of ONNX: write a case with onnx_model(...), see docs/foreign.md",
    ".rds": (
        "is an object of R: `nnet-parity port` writes a PyTorch model of it, and `check"
        " model.py:Net --like` it judges yours"
    ),
    ".rdata": "holds objects of R, expected a file of Python, as model.py:Net",
    ".r": "is R, expected a file of Python, as model.py:Net",
    ".ipynb": (
        "is a notebook, expected a file of Python, as model.py:Net; in the notebook write"
        " check(case), see docs/python.md"
    ),
}


def describe_mistake(path: str, name: str) -> str:
    """Return a sentence if `path` cannot be a file of Python with a model `name` in it; "" if it
    can.
    """
    file, said = Path(path), one_line(path)
    model = f":{name}" if name else ":Net"
    if file.is_dir():
        return f"{said} is a folder, expected a file of Python in it, as {file / 'model.py'}{model}"
    if why := KINDS.get(file.suffix.lower()):
        return f"{said} {why}"
    if file.suffix == ".py":
        if file.is_file():
            return ""
        where = f"{said} is not there (in {Path.cwd()})"
        return f"{where}, expected a file of Python, as model.py{model}"
    for written in (f"{path}.py", f"{path.replace('.', '/')}.py"):
        if Path(written).is_file():
            return f"{said} is no file, expected {written}{model}"
    if path.isidentifier() and not name:
        return f"{said} is no file, expected the file that defines it, as model.py:{path}"
    return f"{said} is no file of Python, expected one and a model in it, as model.py{model}"
