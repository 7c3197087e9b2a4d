"""Writes the script that reproduces a difference of two models: both classes, random parameters,
and the data.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.core.report import MARK
from harness.evaluating.given import CopyOf
from harness.judging.cache import Cache
from harness.judging.case import Trial
from harness.judging.comparison import heading
from harness.judging.store import Same
from harness.model.errors import raised
from harness.model.settings import settings_lines
from harness.reproduce.names import choose_name
from harness.reproduce.programs import run_unfinished
from harness.reproduce.script import Script
from harness.reproduce.source import Source
from harness.reproduce.typed import Unwritten
from harness.same.case import EvidenceIn, ModelsOf
from harness.text.harmless import one_line
from harness.text.python import Code, literal
from harness.words.template import fill_template

MOST_NUMBERS = 2_000  # of the data in a script


def reproduce_models(trial: Trial, cache: Cache, folder: Path, start: Path) -> tuple[str, str]:
    """Write a script that reproduces the failure of a trial of two models.

    Return its path, and the reason if there is none, as `reproduce` does.
    """
    key = Script(trial.subject.name, trial.reference.name, trial.device, trial.dtype, trial.check)
    return cache.get_or_make(key, lambda: _reproduce(trial, cache, folder, start))


def _reproduce(trial: Trial, cache: Cache, folder: Path, start: Path) -> tuple[str, str]:
    try:
        with warnings.catch_warnings(action="ignore"):  # a user's pytest may make them errors
            text = write_models_script(trial, cache)
            return _run(text, folder / choose_name(trial, cache), start) if text else ("", "")
    except (Unwritten, OSError) as error:
        return "", one_line(f"no script of it: {error}")
    except Exception as error:  # a user's objects may raise anything
        return "", one_line(f"no script of it, writing one {raised(error)}")


def _run(text: str, shown: Path, start: Path) -> tuple[str, str]:
    """Run a script, and write it if it fails."""
    ended = run_unfinished(start / shown, text)
    if ended.fails_again:
        return str(shown), ""
    return "", "no script of it fails again"


def write_models_script(trial: Trial, cache: Cache) -> str:
    """Return the text of a script that reproduces the failure of a trial of two models.

    Return "" if there are no scripts for this kind of failure. Raises Unwritten if the models or
    the data cannot be written as code.
    """
    from harness.same.verdicts import FUNCTION, find_worst

    judge = trial.case.judge
    question, _, mode = trial.check.rpartition("-")
    models = cache.get(ModelsOf(Same(judge)))
    evidence = cache.get(EvidenceIn(Same(judge), trial.device, trial.dtype, mode))
    if question != FUNCTION or models is None or evidence is None:
        return ""
    worst = find_worst(evidence)
    if worst is None or worst.compared.outcome != "differs":
        return ""
    return _Writer(trial, models, worst, mode).compose()


class _Writer:
    """Writes the script that reproduces one answer in which two models differ."""

    def __init__(self, trial: Trial, models: Any, worst: Any, mode: str) -> None:
        self.trial, self.models, self.worst, self.mode = trial, models, worst, mode
        self.ask = worst.result.ask
        self.source = Source()

    def compose(self) -> str:
        """Return the text of the script. Raises Unwritten."""
        models, given = self.models, self.models.given
        if models.subject.builder.hidden or models.reference.builder.hidden:
            raise Unwritten("a model keeps state outside its parameters and buffers")
        model = self._write_model(given.build)
        reference = self._write_model(given.build_reference)
        loss = "None" if given.loss is None else self.source.expression(given.loss)
        if isinstance(given.loss, type):
            loss += "()"
        convert = self._write_map()
        names = " and ".join(self.source.origins)
        side = models.reference
        drawn = None
        names_drawn: list[str] = []
        if self.ask.draw:
            drawn = 100 + self.ask.draw
            moving = {*side.tensors.drawn, *side.moved}
            names_drawn = [name for name in side.built if name in moving]
        quantity, parameter, position = self._locate()
        where = f"{self.worst.answer} ({self.ask.label}, {self.mode}())"
        return fill_template(
            "reproduce/models.py.j2",
            str,
            mark=Code(MARK),
            settings=Code("\n".join(settings_lines(self.trial.case.settings))),
            title=f"{heading(self.trial)}: {one_line(where)}",
            place=one_line(f"{given.name}: {where}"),
            origin=Code(f"The models, from {names}." if names else "The models."),
            source=Code(self.source.text()),
            model=Code(model),
            reference=Code(reference),
            loss=Code(loss),
            args=Code(_write(self._cut().args)),
            kwargs=Code(_write(dict(self._cut().kwargs))),
            targets=Code(_write(self._cut().targets)),
            train=self.mode == "train",
            seed=self.ask.seed,
            quantity=quantity,
            parameter=parameter,
            position=position,
            outputs=list(side.outputs[self.mode]),
            allowed=float(self.worst.compared.allowed),
            draw_around=Code(_copy_draws()),
            draw_weights=Code(_copy_weights()),
            drawn=drawn,
            names=names_drawn,
            other_names=Code(_write(dict(side.tensors.other_names))),
            convert=Code(convert),
        )

    def _write_model(self, build: Callable[[], Any]) -> str:
        made = type(build.model) if isinstance(build, CopyOf) else build
        return self.source.expression(made)

    def _write_map(self) -> str:
        """Return the code of the map of parameters: a function that makes the subject's tensors
        from the reference's.
        """
        mapping, said = self.models.mapping, self.models.given.parameters
        if mapping.parts is not None and "..." not in mapping.code:
            return str(mapping.code.removeprefix("parameters="))
        if callable(said):
            return self.source.expression(said)
        raise Unwritten("the map of parameters is not written down in a few words")

    def _locate(self) -> tuple[str, str, int]:
        """Return the kind of the answer that differs, the name of its parameter, and its number
        among the outputs or inputs.
        """
        from harness.evaluating.evaluation import BY_INPUT, GRADIENT, LOSS

        answer = self.worst.answer
        outputs = list(self.models.reference.outputs[self.mode])
        if answer == LOSS:
            return "loss", "", 0
        own = list(self.models.subject.outputs[self.mode])
        if [self.models.names.get(name, name) for name in own] != outputs:
            raise Unwritten("its outputs are in another order")
        if answer in outputs:
            return "output", "", outputs.index(answer)
        if answer.startswith(GRADIENT):
            return "gradient", answer.removeprefix(GRADIENT), 0
        inputs = [
            one.answer for one in self.worst.result.compared if one.answer.startswith(BY_INPUT)
        ]
        if answer in inputs:
            return "gradient by an input", "", inputs.index(answer)
        raise Unwritten(f"{answer} is read after a call")

    def _cut(self) -> Any:
        """Return the batch of data, cut to as many rows as a script can hold."""
        batch = self.ask.batch
        tensors = batch.tensors()
        total = sum(tensor.numel() for tensor in tensors)
        if total <= MOST_NUMBERS:
            return batch
        lengths = {len(tensor) if tensor.ndim else 0 for tensor in tensors}
        rows = lengths.pop()
        kept = rows * MOST_NUMBERS // total if not lengths else 0
        if kept < 1:
            raise Unwritten(f"its data has {total:,} numbers")
        return batch.map(lambda tensor: tensor[:kept])


def _write(value: Any) -> str:
    """Return data as Python code; tensors in float64, or in their own integer dtype."""
    if hasattr(value, "is_floating_point"):
        kind = "torch.float64" if value.is_floating_point() else str(value.dtype)
        numbers = value.detach().cpu()
        listed = numbers.double().tolist() if value.is_floating_point() else numbers.tolist()
        return f"torch.tensor({_write(listed)}, dtype={kind})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name!a}: {_write(each)}' for name, each in value.items())}}}"
    if isinstance(value, list | tuple):
        inside = ", ".join(map(_write, value))
        if isinstance(value, list):
            return f"[{inside}]"
        return f"({inside},)" if value else "()"
    return literal(value)


def _copy_draws() -> str:
    """Return the source of the function that draws numbers around those of a tensor."""
    from harness.evaluating import draws

    text = inspect.getsource(draws.draw_around)
    text = text.replace("SPREAD", str(draws.SPREAD)).replace("FARTHEST", str(draws.FARTHEST))
    return text.replace("Tensor", "torch.Tensor").strip()


def _copy_weights() -> str:
    """Return the source of the function that draws the weights of an output."""
    from harness.evaluating import evaluation

    text = inspect.getsource(evaluation.draw_weights)
    return text.replace(": Tensor", ": torch.Tensor").replace("> Tensor", "> torch.Tensor").strip()
