"""Judges a written port by the case in its test_model.py."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.core.verdict import Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from harness.text.files import replace_whole, temporary_folder
from harness.waiting.progress import Say
from reference.fitted.case import fitted


def judge_port(
    files: Mapping[str, str | bytes], fit: str, given: Mapping[str, Any], say: Say
) -> Sequence[Verdict]:
    """Return the verdicts on a port; `files` are the contents of its files by name.

    `fit` is the path of the fit, or the name of R's answers among the files; `given` are further
    arguments of `fitted`. Without `encode` among them, the port's own columns() encodes rows, if it
    has one. Raises ValueError if safetensors, which loads the weights, is not installed.
    """
    with temporary_folder() as folder:
        replace_whole({folder / name: content for name, content in files.items()})
        model = _load(folder / "model.py")
        arguments = {"encode": getattr(model, "columns", None), **given}
        case = fitted(folder / fit, model.Port, name="port", **arguments)
        case = case.answering(str(folder / "test_model.py"), "auto")
        cache = Cache(case, say=say)
        return [run(trial, cache) for trial in case.trials()]


def _load(path: Path) -> ModuleType:
    """Import a written model.py, without leaving it among the imported modules."""
    spec = spec_from_file_location("nnet_parity_port", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(
            f'the port cannot be run: {error}: pip install "nnet-parity[checkpoints]"'
        ) from None
    finally:
        sys.dont_write_bytecode = before
    return module
