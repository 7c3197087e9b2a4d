"""The fitted objects of a folder: what their makers stored, their ports, and the way back."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load_file, save_file

from reference import fitted
from reference.commands.back import back
from reference.commands.port import port
from reference.fitted.labels import most_probable
from reference.r.nnet_reference import LIVE
from reference.rds.fit import FittedNet
from reference.rds.reading import Mode, read_fit
from reference.rds.rows import Rows, read_table
from tests.fitted.ports import Port, judge_all

MODES: tuple[Mode, ...] = ("r", "rdata")
CHANGE = 1.01  # of all weights, on the way back


class Call(NamedTuple):
    """A fit that R made, and what `fitted` is given for it."""

    path: Path
    fit: FittedNet
    given: dict[str, Any]


def list_objects(folder: Path) -> Iterator[Call]:
    """Yield each object of a folder with the rows that have its columns."""
    for path in sorted(folder.glob("*.rds")):
        fit = read_fit(path, LIVE)
        given: dict[str, Any] = {"x": find_rows(folder, fit)}
        if fit.levels:
            given["encode"] = "columns"
        if (target := find_target(fit, given["x"])) is not None:
            given["y"] = target
        yield Call(path, fit, given)


def find_rows(folder: Path, fit: FittedNet) -> Path:
    """Return the csv file of a folder that has the columns of a fit's formula."""
    assert fit.terms is not None, "a fit on a matrix does not name its columns"
    for path in sorted(folder.glob("*.csv")):
        if set(fit.terms.variables) <= set(read_table(path)[0]):
            return path
    raise LookupError(f"no csv file in {folder} has the columns {fit.terms.variables}")


def find_target(fit: FittedNet, rows: Path) -> str | None:
    """Return the column of the response, if the fitted rows are those of the file."""
    held = Rows.of(rows)
    formula = fit.call.partition("formula = ")[2]
    target = formula.partition(" ~")[0]
    return target if target in held.columns and len(held) == len(fit.fitted) else None


def check_objects(folder: Path, work: Path) -> list[str]:
    """Check every object of a folder, and return what is wrong."""
    wrong: list[str] = []
    for call in list_objects(folder):
        by_r, by_rdata = (read_fit(call.path, LIVE, mode) for mode in MODES)
        same = by_r.wts.tobytes() == by_rdata.wts.tobytes() and by_r.classes == by_rdata.classes
        said = [] if same else ["R and rdata read other numbers"]
        said += check_stored(call) + check_port(call, work) + check_back(call, work)
        print(f"{call.path.name}: {'; '.join(said) or 'read, stored, ported and brought back'}")
        wrong += [f"{call.path.name}: {each}" for each in said]
    return wrong


def check_stored(call: Call) -> list[str]:
    """Compare the predictions that an object's maker stored with a port, and their classes."""
    stored = call.path.with_suffix(".csv")
    port_of = Port(call.fit.topology, call.fit.wts)
    given = {name: call.given[name] for name in ("x", "encode") if name in call.given}
    verdicts = judge_all(fitted(call.path, port_of, **given, predictions=stored))
    found = [f"stored {one.check}: {one.why}" for one in verdicts if one.status != "PASS"]
    names, lines = read_table(stored)
    if call.fit.classes and len(names) == call.fit.topology.outputs + 1:
        numbers = np.array([[float(text) for text in line[1:]] for line in lines])
        largest = [call.fit.classes[place] for place in most_probable(numbers)]
        if largest != [line[0] for line in lines]:
            found.append("the stored classes are not the most probable ones")
    return found


def run(verb: Any, *arguments: str) -> int:
    """Run a verb of the command with arguments; return its exit code."""
    parser = ArgumentParser()
    asked = verb(parser)
    return int(asked(parser.parse_args(arguments)))


def check_port(call: Call, work: Path) -> list[str]:
    """Port an object by the command, and ask for its certificate."""
    folder = work / f"port-{call.path.stem}"
    code = run(port, str(call.path), "--data", str(call.given["x"]), "-o", str(folder))
    return [] if code == 0 else [f"port ended with {code}"]


def check_back(call: Call, work: Path) -> list[str]:
    """Bring back changed weights, and compare R's predictions with those of a port."""
    weights, new = work / f"{call.path.stem}.safetensors", work / f"{call.path.stem}.rds"
    held = load_file(work / f"port-{call.path.stem}" / "model.safetensors")
    save_file({name: CHANGE * array for name, array in held.items()}, weights)
    code = run(back, str(weights), str(call.path), "-o", str(new))
    if code != 0:
        return [f"back ended with {code}"]
    given = {name: part for name, part in call.given.items() if name != "y"}
    port_of = Port(call.fit.topology, CHANGE * call.fit.wts)
    verdicts = judge_all(fitted(new, port_of, **given))
    return [f"back, {one.check}: {one.why}" for one in verdicts if one.status != "PASS"]
