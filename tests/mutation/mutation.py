"""Mutation testing of the files that judge and bound: is every change to them noticed by a test?

usage: python tests/mutation/mutation.py [--files FILE ...] [--sample N | --again] [--jobs N]

Run from the root of a checkout. Each mutant is one file with one thing changed, in a process of its
own that is forked with the libraries already loaded; nothing on the disk is changed.
tests/mutation/mutation.toml says which tests must notice it, and explains those that survive.
Writes build/mutation.json; ends with 1 where fewer than 90 % of a file's mutants are killed, where
one survives without a reason, or where a reason is given for what does not survive.

mutmut leaves out what is decorated and what stands outside functions: here, Newcombe's interval and
the roundoffs.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import CodeType
from typing import Any

PLAN, REPORT = Path("tests/mutation/mutation.toml"), Path("build/mutation.json")
LEAST = 0.9
# of pytest; our plugin knows the settings of pyproject.toml
OPTIONS = ["-x", "-q", "-p", "nnet_parity.plugin", "-p", "syrupy", "-p", "no:cacheprovider"]
OPTIONS += ["--no-header", "--tb=no"]
PATIENCE = 5  # a mutant may take this many times what the tests take, and ten seconds

# What is changed

COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
REPLACED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
PAIRS = (
    ("min", "max"),
    ("minimum", "maximum"),
    ("argmin", "argmax"),
    ("any", "all"),
    ("zeros", "ones"),
)
SWAPPED = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}


def alternatives(node: ast.AST, again: bool = False) -> Iterator[ast.AST]:
    """What may stand in a node's place; `again` where it assigns names that have a value
    already.
    """
    if isinstance(node, ast.Constant):
        yield from other_constants(node)
    elif isinstance(node, ast.stmt):
        yield from other_statements(node, again)
    else:
        yield from other_operators(node)
        yield from other_names(node)


def other_constants(node: ast.Constant) -> Iterator[ast.AST]:
    """Yield another constant of the same type."""
    match node.value:
        case bool() as value:
            yield ast.Constant(not value)
        case int() as value:
            yield ast.Constant(value + 1)
        case float() as value:
            yield ast.Constant(2 * value or 1.0)
        case str() as value:
            yield ast.Constant(f"{value}, mutated")


def other_operators(node: ast.AST) -> Iterator[ast.AST]:
    """Yield comparisons, sums and conditions with another operator, or turned round."""
    match node:
        case ast.Compare(left=left, ops=ops, comparators=others):
            for place, op in enumerate(ops):
                for other in COMPARED[type(op)]:
                    yield ast.Compare(left, [*ops[:place], other(), *ops[place + 1 :]], others)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in REPLACED:
            yield ast.BinOp(left, REPLACED[type(op)](), right)
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.IfExp(test=test, body=body, orelse=other):
            yield ast.IfExp(test, other, body)
        case ast.comprehension(target=target, iter=iterable, ifs=[*tests]) if tests:
            opposite = [ast.UnaryOp(ast.Not(), test) for test in tests]
            yield ast.comprehension(target, iterable, opposite, 0)


def other_names(node: ast.AST) -> Iterator[ast.AST]:
    """Yield names of the opposite, and the operand of `abs`."""
    match node:
        case ast.Name(id=name) if name in SWAPPED:
            yield ast.Name(SWAPPED[name], ast.Load())
        case ast.Attribute(value=value, attr=name) if name in SWAPPED:
            yield ast.Attribute(value, SWAPPED[name], ast.Load())
        case ast.Call(func=ast.Name(id="abs"), args=[operand]):
            yield operand


def other_statements(node: ast.stmt, again: bool) -> Iterator[ast.AST]:
    """Yield a statement that does the opposite, or nothing."""
    match node:
        case ast.If(test=test, body=body, orelse=other):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, other)
        case ast.Return(value=value) if value is not None and ast.unparse(value) != "None":
            yield ast.Return(ast.Constant(None))
        case ast.AugAssign(target=target, op=op, value=value):
            yield ast.Pass()
            if type(op) in REPLACED:
                yield ast.AugAssign(target, REPLACED[type(op)](), value)
        case ast.Raise() | ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Assign() if again:
            yield ast.Pass()


# Where

# what is shown of a change: the nearest
SHOWN = (ast.stmt, ast.Compare, ast.BinOp, ast.BoolOp, ast.IfExp, ast.Call)
SKIPPED = ("annotation", "returns", "decorator_list")


@dataclass(frozen=True)
class Spot:
    """A node where it stands: in a field of its holder, in a function, within what is shown of
    it.
    """

    node: ast.AST
    holder: ast.AST
    field: str
    place: int | None
    function: str
    shown: ast.AST
    again: bool  # it assigns names that have a value already

    def put(self, node: ast.AST) -> None:
        """Another node in this one's place."""
        if self.place is None:
            setattr(self.holder, self.field, node)
        else:
            getattr(self.holder, self.field)[self.place] = node


def spots(holder: ast.AST, function: str = "", shown: ast.AST | None = None) -> Iterator[Spot]:
    """Every node of a tree, but no docstring, annotation, decorator, nor f-string: no test tells
    each of its words.
    """
    if isinstance(holder, ast.FunctionDef | ast.ClassDef):
        function = f"{function}.{holder.name}".lstrip(".")
    assigned: set[str] = set()
    for field, value in ast.iter_fields(holder):
        children = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for place, node in children if field not in SKIPPED else ():
            says = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if not isinstance(node, ast.AST) or isinstance(node, ast.JoinedStr) or says:
                continue
            within = node if shown is None or isinstance(node, SHOWN) else shown
            names = {
                name.id
                for name in ast.walk(node)
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
            }
            yield Spot(
                node,
                holder,
                field,
                place,
                function or "module",
                within,
                bool(names) and names <= assigned,
            )
            yield from spots(node, function, within)
            assigned |= names


def words(node: ast.AST) -> str:
    """A node as it is written; of a statement that holds others its first line."""
    if hasattr(node, "body") and isinstance(node, ast.stmt):
        fields = {name: value for name, value in ast.iter_fields(node) if name != "decorator_list"}
        fields |= {"body": [ast.Pass()]} | ({"orelse": []} if "orelse" in fields else {})
        node = type(node)(
            **fields, **({"decorator_list": []} if hasattr(node, "decorator_list") else {})
        )
    return ast.unparse(ast.fix_missing_locations(node)).split(":\n")[0].strip()


@dataclass(frozen=True)
class Mutant:
    """A file with one node changed, and what a person calls the change: where, what it was, what it
    becomes.
    """

    file: str
    function: str
    line: int
    change: str
    tree: ast.Module
    spot: Spot
    node: ast.AST

    def code(self) -> CodeType:
        """The mutant compiled, for a process of its own: its tree is every mutant's."""
        self.spot.put(self.node)
        return compile(ast.fix_missing_locations(self.tree), self.file, "exec")


def mutants(file: str, source: str) -> list[Mutant]:
    """All mutants of a file; the second of a change that can be made twice in a function is called
    so.
    """
    tree = ast.parse(source)
    found: list[Mutant] = []
    often: Counter[tuple[str, str]] = Counter()
    for spot in list(spots(tree)):
        before = words(spot.shown)
        for node in alternatives(spot.node, spot.again):
            spot.put(node)
            change = f"{before} -> {words(node if spot.shown is spot.node else spot.shown)}"
            spot.put(spot.node)
            often[spot.function, change] += 1
            number = often[spot.function, change]
            called = change if number == 1 else f"{change} ({number})"
            line = getattr(spot.node, "lineno", getattr(spot.shown, "lineno", 0))
            found.append(Mutant(file, spot.function, line, called, tree, spot, node))
    return found


# Is it noticed?


class _Loader(SourceFileLoader):
    """Loads a module from code that is given."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self.code = code

    def get_code(self, fullname: str) -> CodeType:
        return self.code


class _Finder(MetaPathFinder):
    """Finds one module, the mutant, before it is looked for on the disk."""

    def __init__(self, file: str, code: CodeType) -> None:
        self.name = file.removesuffix(".py").replace("/", ".")
        self.path = str(Path(file).resolve())
        self.code = code

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        return spec_from_file_location(
            fullname, self.path, loader=_Loader(fullname, self.path, self.code)
        )


def run_tests(tests: Sequence[str], mutant: Mutant | None = None) -> None:
    """Runs tests in this process, which is ended with pytest's exit code, with a mutant in place of
    its file.
    """
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    if mutant is not None:
        sys.meta_path.insert(0, _Finder(mutant.file, mutant.code()))
    import pytest

    os._exit(pytest.main([*tests, *OPTIONS]))


def outcomes(
    tests: Sequence[str], chosen: Iterable[Mutant], limit: float, jobs: int
) -> Iterator[tuple[Mutant, str]]:
    """Each mutant with "killed", "timeout" or "survived", as they come; RuntimeError where its
    process was ended.
    """
    context = get_context("fork")
    left, running = iter(chosen), dict[int, tuple[BaseProcess, Mutant, float]]()
    while True:
        while len(running) < jobs and (mutant := next(left, None)) is not None:
            process = context.Process(target=run_tests, args=(tests, mutant), daemon=True)
            process.start()
            running[process.sentinel] = process, mutant, time.monotonic() + limit
        if not running:
            return
        ready = connection.wait(list(running), timeout=0.5)
        for sentinel, (process, mutant, end) in list(running.items()):
            if sentinel in ready:
                process.join()
                code = process.exitcode
                # out of memory, or out of somebody's patience: not by a test
                if code is None or code < 0:
                    raise RuntimeError(
                        f"{mutant.file}, {mutant.change}: the process was ended by signal {code}"
                    )
                yield mutant, "survived" if code == 0 else "killed"
            elif time.monotonic() > end:
                process.kill()
                process.join()
                yield mutant, "timeout"
            else:
                continue
            del running[sentinel]


def seconds(tests: Sequence[str]) -> float:
    """What the tests take where nothing is changed; raises RuntimeError where they fail."""
    process, start = get_context("fork").Process(target=run_tests, args=(tests,)), time.monotonic()
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(
            f"{' '.join(tests)} fails with nothing changed (pytest ended with {process.exitcode})"
        )
    return time.monotonic() - start


# What is told


@dataclass(frozen=True)
class Plan:
    """For each file the tests that must notice its mutants, and why some survive: by file,
    function, change.

    `libraries` are what tests import: loaded once, before mutants are made.
    """

    libraries: list[str]
    tests: dict[str, list[str]]
    reasons: dict[tuple[str, str, str], str]

    def load(self) -> None:
        """Import the libraries, for one thread: threads do not survive a fork, and the cores are
        taken.
        """
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = "1"
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        for name in ("pytest", *self.libraries):
            import_module(name)
        if "hypothesis" in sys.modules:
            from hypothesis import HealthCheck, Phase, settings

            # few examples, and not the smallest: a mutant that takes more to be noticed is one that
            # survives
            # the machine's fault, no mutant's
            phases, slow = (Phase.explicit, Phase.generate), [HealthCheck.too_slow]
            settings.register_profile(
                "mutation", max_examples=40, phases=phases, suppress_health_check=slow
            )
            settings.load_profile("mutation")

    @classmethod
    def read(cls, path: Path = PLAN) -> Plan:
        """From TOML: `libraries`, `[tests]`, and `[[survivors]]` with file, function, changes and
        reason.
        """
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        reasons = {
            (each["file"], each["function"], change): each["reason"]
            for each in found.get("survivors", ())
            for change in each["changes"]
        }
        return cls(found["libraries"], found["tests"], reasons)


def chosen_of(
    every: list[Mutant], sample: int | None, again: dict[str, Any] | None
) -> list[Mutant]:
    """All mutants, so many of them, or those that survived before."""
    if again is not None:
        before = {(each["function"], each["change"]) for each in again["survived"]}
        return [mutant for mutant in every if (mutant.function, mutant.change) in before]
    return (
        every if sample is None or sample >= len(every) else random.Random(0).sample(every, sample)
    )


def judged(
    file: str, plan: Plan, jobs: int, sample: int | None = None, again: dict[str, Any] | None = None
) -> dict[str, Any]:
    """One file's mutants, tried: how many were killed, which survived and why."""
    tests = plan.tests[file]
    every = mutants(file, Path(file).read_text(encoding="utf-8"))
    chosen = chosen_of(every, sample, again)
    took = seconds(tests)
    print(
        f"{file}: {len(chosen)} mutants of {len(every)}, whose tests take {took:.1f} s", flush=True
    )
    start, tried, killed, timeouts, survived = time.monotonic(), 0, 0, 0, []
    for mutant, outcome in outcomes(tests, chosen, 10 + PATIENCE * took, jobs):
        tried = tried + 1
        killed = killed + (outcome != "survived")
        timeouts = timeouts + (outcome == "timeout")
        if outcome == "survived":
            reason = plan.reasons.get((file, mutant.function, mutant.change))
            survived.append(
                {
                    "function": mutant.function,
                    "line": mutant.line,
                    "change": mutant.change,
                    "reason": reason,
                }
            )
            why = "SURVIVED" if reason is None else f"explained ({reason})"
            print(f"  {file}:{mutant.line} {mutant.function}: {mutant.change}: {why}", flush=True)
        if tried % 50 == 0:
            print(f"  {tried} tried, {killed} killed, {time.monotonic() - start:.0f} s", flush=True)
    names = (
        {(mutant.function, mutant.change) for mutant in chosen}
        if len(chosen) == len(every)
        else set()
    )
    alive = {(each["function"], each["change"]) for each in survived}
    stale = [key[1:] for key in plan.reasons if key[0] == file and names and key[1:] not in alive]
    for function, change in stale:
        what = "is killed" if (function, change) in names else "is no mutant"
        print(
            f"  {file} {function}: {change}: {what}, so that its reason is none: remove it",
            flush=True,
        )
    unexplained = sum(each["reason"] is None for each in survived)
    print(f"{file}: {share(killed, tried)}; {unexplained} survive unexplained", flush=True)
    return {
        "mutants": tried,
        "killed": killed,
        "timeouts": timeouts,
        "seconds": round(time.monotonic() - start, 1),
        "survived": sorted(survived, key=lambda each: each["line"]),
        "stale": stale,
    }


def share(killed: int, tried: int) -> str:
    """How many were killed, in words."""
    return f"{killed} of {tried} killed, {100 * killed / max(tried, 1):.1f} %"


def good(found: dict[str, Any]) -> bool:
    """Are enough of a file's mutants killed, those that survive explained, and nothing else?"""
    enough = bool(found["killed"] >= LEAST * found["mutants"])
    return enough and not found["stale"] and all(each["reason"] for each in found["survived"])


def main(arguments: Sequence[str] | None = None) -> int:
    """See above; 0 where all is well, 1 where not, 2 where nothing could be told."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--files",
        nargs="+",
        metavar="FILE",
        help="only these of the files in tests/mutation/mutation.toml",
    )
    parser.add_argument(
        "--sample", type=int, metavar="N", help="only N mutants of each file, always the same"
    )
    parser.add_argument(
        "--again", action="store_true", help=f"only what survives in {REPORT}, which stays as it is"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count(),
        metavar="N",
        help="processes (default: all cores)",
    )
    options = parser.parse_args(arguments)
    try:
        plan = Plan.read()
        if unknown := set(options.files or ()) - plan.tests.keys():
            raise RuntimeError(
                f"{min(unknown)} is not in {PLAN}, expected some of {', '.join(plan.tests)}"
            )
        sys.path[:0] = [os.getcwd()]
        plan.load()
        before = json.loads(REPORT.read_text(encoding="utf-8"))["files"] if options.again else {}
        found = {
            file: judged(file, plan, options.jobs, options.sample, before.get(file))
            for file in options.files or plan.tests
            if file in before or not options.again
        }
    except (OSError, RuntimeError) as error:
        print(f"mutation: {error}", file=sys.stderr)
        return 2
    killed, tried = (sum(file[what] for file in found.values()) for what in ("killed", "mutants"))
    print(f"all: {share(killed, tried)}", flush=True)
    if options.again:
        return (
            0 if all(each["reason"] for file in found.values() for each in file["survived"]) else 1
        )
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(
        json.dumps({"sample": options.sample, "files": found}, indent=1) + "\n", encoding="utf-8"
    )
    print(f"written: {REPORT}")
    return 0 if all(map(good, found.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
