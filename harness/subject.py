"""A PyTorch model as its user calls it, asked at given parameters."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.contract import Array, Contract
from harness.formulation import Family, Formulation, Meaning
from harness.layout import Layout
from harness.observation import Missing, Observation
from harness.problem import QUANTITIES, STEP, Problem
from harness.verdict import Status

UserLoss = Callable[[Any, Any], Any]
Live = tuple[Callable[..., Any], list[Any]] | Missing


@dataclass(frozen=True, eq=False)
class Subject:
    """The model under test.

    `build` is an nn.Module class or factory, called as `module(x)` or `module(x1, x2)`; or, with `shapes` (by name), a
    function called as `f(x, name=tensor, ...)`. `parameters` says what its parameters mean: it takes them by name, as
    arrays, and gives the network's blocks by name; where names or shapes already tell, it may be left out.
    `network` is the network that it maps into where that is not the case's; `relu_at_zero` its convention for the
    derivative of ReLU at exactly 0; `loss(outputs, targets)` its own loss. `held` names own parameters, as masks by
    name, that every probe leaves at 0.
    """

    build: Callable[..., Any]
    name: str = ""
    parameters: Meaning | None = None
    shapes: Mapping[str, tuple[int, ...]] | None = None
    network: Family | None = None
    relu_at_zero: float = 0.0
    loss: UserLoss | None = None
    held: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        build = self.build
        if not callable(build) or (hasattr(build, "named_parameters") and not isinstance(build, type)):
            raise TypeError(
                f"subject {self.name or type(build).__name__} is an object, expected an nn.Module class or a factory "
                "of one: every trial builds its own, so write the class, or `lambda: MyModel(...)`"
            )
        if not self.name:
            object.__setattr__(self, "name", getattr(self.build, "__name__", type(self.build).__name__))

    @classmethod
    def of(cls, given: Any) -> Subject:
        """A subject or trainer as it is, or one of a class, factory or function; TypeError for anything else."""
        return given if isinstance(given, Subject) or hasattr(given, "fit") else cls(given)

    def contract(self, dtype: str) -> Contract:
        return Contract(dtype, relu_at_zero=self.relu_at_zero)

    def formulation(self, network: Family) -> Formulation:
        """The map of its parameters into the network's; raises ValueError where it is not clear."""
        network = self.network or network
        own = self.own()
        found = ", ".join(f"{block.name} {block.places.shape}" for block in own.blocks) or "none"
        held = {block.name: 0 for block in own.blocks} | dict(self.held or {})
        try:
            mask = own.join(held) != 0
        except ValueError as error:
            raise ValueError(f"{self.name}: held: {error}; its parameters are {found}") from error
        try:
            with np.errstate(all="ignore"):
                return Formulation.from_meaning(own, network, self.parameters or _by_name_or_shape(own, network), mask)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}; its parameters are {found}") from error
        except KeyError as error:
            raise ValueError(f"{self.name}: no parameter is called {error}; its parameters are {found}") from error
        except Exception as error:  # whatever a user's function raises
            raise ValueError(f"{self.name}: its means {raised(error)}; its parameters are {found}") from error

    def own(self) -> Layout:
        """Its own parameters, one after the other."""
        if self.shapes is not None:
            return Layout.of_shapes(self.shapes)
        return Layout.of_shapes({name: tuple(p.shape) for name, p in self._module().named_parameters()})

    def initial(self, count: int) -> Array:
        """The own parameters (count, P) with which the module is built, under torch's seeds 0, 1, ..."""
        if self.shapes is not None:
            raise ValueError(
                f"{self.name} is a function and has no initialisation, expected a start: Trained(start=...)"
            )
        built = [self._module(seed).parameters() for seed in range(count)]
        return np.stack([np.concatenate([p.detach().double().numpy().ravel() for p in module]) for module in built])

    def _module(self, seed: int = 0) -> Any:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                module = self.build()
            except Exception as error:  # a user's constructor may raise anything
                lacks = isinstance(error, TypeError) and "argument" in str(error)
                hint = " (for a function, give `shapes`)" if lacks else ""
                raise TypeError(f"{self.name} {raised(error)}{hint}") from error
        if not isinstance(module, torch.nn.Module):
            found = type(module).__name__
            raise TypeError(f"{self.name} gave {found}, expected an nn.Module (for a function, give `shapes`)")
        return module

    def live(self, dtype: str, device: str = "cpu") -> Live:
        """Something to call with inputs, and the parameters to set, in the order of `own`; or why there is none."""
        import torch

        kind = getattr(torch, dtype)
        try:
            if self.shapes is None:
                module = self._module().to(dtype=kind, device=device)
                return module, list(module.parameters())
        except Exception as error:  # a user's constructor may raise anything
            return Missing(Status.BROKEN, raised(error))
        tensors = {
            name: torch.zeros(shape, dtype=kind, device=device, requires_grad=True)
            for name, shape in self.shapes.items()
        }
        return lambda *xs: self.build(*xs, **tensors), list(tensors.values())


def _by_name_or_shape(own: Layout, network: Family) -> Meaning:
    """Own parameters are the blocks of the same names, or else those of the same shapes where that is unique."""
    blocks = {block.name: block.places.shape for block in network.layout.blocks}
    names = {block.name: block.places.shape for block in own.blocks}
    if set(names) == set(blocks):
        return lambda p: p
    pairs = {block: [name for name in names if names[name] == shape] for block, shape in blocks.items()}
    doubts = [f"no parameter has the shape of {b} {blocks[b]}" for b, found in pairs.items() if not found]
    doubts += [f"{b} {blocks[b]} may be {' or '.join(found)}" for b, found in pairs.items() if len(found) > 1]
    doubts += [f"{n} has the shape of {b}" for b, found in pairs.items() for n in found if n in blocks and n != b]
    if doubts or len(names) != len(blocks):
        wanted = ", ".join(f"{name} {shape}" for name, shape in blocks.items())
        known = (
            ", ".join(f'"{b}": p["{found[0]}"]' for b, found in pairs.items() if len(found) == 1) or '"W1": p["..."]'
        )
        raise ValueError(
            f"which parameter is which block is not clear from names and shapes ({'; '.join(doubts) or 'too many'}); "
            f"the network's blocks are {wanted}; "
            f"write parameters=lambda p: {{{known}, ...}}, .T for a transpose, 0 for no bias"
        )
    return lambda p: {block: p[found[0]] for block, found in pairs.items()}


AS_TRAINED = 16  # every sixteenth draw is asked as training asks: backward() on inputs that need no gradient


def observe(
    subject: Subject, problem: Problem, dtype: str, device: str = "cpu", live: Live | None = None
) -> Observation:
    """Its outputs, loss and gradients at each draw's own parameters; `live` is the subject where it is built already.

    The gradient is by its own parameters (D, P). What it raises, outputs of the wrong shape, inputs or parameters that
    it changes, and another answer when it is asked again, are answers too.
    """
    import torch

    kind: torch.dtype = getattr(torch, dtype)
    network = problem.formulation.network
    live = live or subject.live(dtype, device)
    if isinstance(live, Missing):
        return Observation.nothing(live.status, live.why, QUANTITIES)
    call, parameters = live

    def stack(array: Array, widths: tuple[int, ...]) -> list[Any]:
        whole = torch.tensor(array, dtype=kind, device=device)
        return [part.contiguous() for part in torch.split(whole, list(widths), -1)]

    own = torch.tensor(problem.own, dtype=kind, device=device)
    places = [block.places for block in problem.formulation.own.blocks]
    values = [own[:, place.ravel()].reshape(-1, *place.shape) for place in places]
    inputs, targets = stack(problem.inputs, network.inputs), stack(problem.targets, network.outputs)
    draws = [list(zip(*(part.unbind() for part in parts), strict=True)) for parts in (values, inputs, targets)]

    size = f"{problem.rows} rows, {problem.formulation.own.size} parameters, {dtype}"
    answers: dict[str, list[Any]] = {quantity: [] for quantity in QUANTITIES}
    reached, trouble = len(QUANTITIES), Missing(Status.BROKEN, "")
    for draw, (own_values, xs, ts) in enumerate(zip(*draws, strict=True)):
        stage = 0
        try:
            with torch.no_grad():
                torch._foreach_copy_(parameters, own_values)
            as_trained = draw % AS_TRAINED == 0
            if as_trained:
                _expect_function(call, problem, parameters, own_values, xs)
            for x in xs:
                x.requires_grad_()
            heads = heads_of(call(*xs), problem.rows, network.outputs, kind)
            answers["forward"].append([head.detach().clone() for head in heads])
            stage = 1
            loss = loss_of(subject, problem, heads, ts, parameters)
            answers["loss"].append(loss.detach().clone())
            stage = 2
            gradients = _gradients(loss, [*parameters, *xs])
            by_parameters = gradients[: len(parameters)]
            if as_trained:
                by_parameters = _as_trained(subject, problem, call, parameters, [x.detach() for x in xs], ts)
            answers["gradient"].append(by_parameters)
            answers["input_gradient"].append(gradients[len(parameters) :])
        except Exception as error:  # whatever a user's model raises is its answer
            if stage < reached:
                status = Status.FAIL if isinstance(error, WrongAnswer) else Status.BROKEN
                full = f" (with {size})" if isinstance(error, torch.OutOfMemoryError) else ""
                reached, trouble = stage, Missing(status, raised(error) + full)
            if reached == 0:
                break
    found = {quantity: _stacked(quantity, answers[quantity], problem) for quantity in QUANTITIES[:reached]}
    return Observation(found, dict.fromkeys(QUANTITIES[reached:], trouble), by_own=True)


@dataclass(frozen=True, eq=False)
class SameOnCpu:
    """A subject on the CPU, as a reference for the same subject on another device, or in a stack."""

    subject: Subject
    dtype: str
    name: str = "cpu"
    source: str = "computed"

    def title(self) -> str:
        """Its name."""
        return f"{self.subject.name} on the CPU"

    def absent(self, network: Family, quantity: str) -> str | None:
        return "a model alone takes no steps: let NumPy judge them" if quantity == STEP else None

    def contract(self) -> Contract:
        return self.subject.contract(self.dtype)

    def expressed(self, problem: Problem) -> Problem:
        return problem

    def observe(self, problem: Problem) -> Observation:
        return observe(self.subject, problem, self.dtype)


def _expect_function(
    call: Callable[..., Any], problem: Problem, parameters: list[Any], own_values: Sequence[Any], xs: Sequence[Any]
) -> None:
    """Raise WrongAnswer where a model changes what it is given, or itself, or its answer when it is asked again."""
    import torch

    given, widths = [x.clone() for x in xs], problem.formulation.network.outputs
    heads = heads_of(call(*xs), problem.rows, widths, own_values[0].dtype)
    for what, now, before in (("inputs", xs, given), ("own parameters", parameters, own_values)):
        if not all(map(torch.equal, now, before)):
            raise WrongAnswer(f"changed its {what} when it was called, expected it to leave them as they are")
    evaluate = "; for eval() write subjects=[lambda: MyModel().eval()]"
    modes: list[tuple[Any, str]] = [(torch.no_grad(), "when asked again, under torch.no_grad(), expected the same")]
    if getattr(call, "training", False):
        module: Any = call
        modes.append((_evaluating(module), f"in eval() than in train(), as it was built, expected the same{evaluate}"))
        if random := sorted({type(m).__name__ for m in module.modules() if "Dropout" in type(m).__name__}):
            said = f"when asked again, expected the same: its {' and '.join(random)} is in training mode{evaluate}"
            modes = [(mode, said) for mode, _ in modes]
    for mode, when in modes:
        with mode:
            again = heads_of(call(*xs), problem.rows, widths, own_values[0].dtype)
        if not all(torch.equal(one.nan_to_num(), other.nan_to_num()) for one, other in zip(heads, again, strict=True)):
            raise WrongAnswer(f"gave other outputs {when}")


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """A module in eval() while this lasts."""
    import torch

    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train()


def _as_trained(
    subject: Subject,
    problem: Problem,
    call: Callable[..., Any],
    parameters: list[Any],
    xs: Sequence[Any],
    ts: Sequence[Any],
) -> list[Any]:
    """The gradient that a training loop reads, after loss.backward() and its hooks, on inputs that need none."""
    import torch

    for parameter in parameters:
        parameter.grad = None
    heads = heads_of(call(*xs), problem.rows, problem.formulation.network.outputs, xs[0].dtype)
    loss = loss_of(subject, problem, heads, ts, parameters)
    if loss.requires_grad:
        loss.backward()
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in parameters]


class WrongAnswer(Exception):
    """Outputs or a loss of another shape than the network's (nothing is broadcast), or a model that is no function."""


def heads_of(output: Any, rows: int, widths: tuple[int, ...], dtype: Any) -> list[Any]:
    """The model's outputs as one tensor a head."""
    if isinstance(output, Mapping):
        output = list(output.values())
    heads = list(output) if isinstance(output, tuple | list) else [output]
    found = " and ".join(str(tuple(head.shape)) if hasattr(head, "shape") else f"{head!r:.40}" for head in heads)
    expected = " and ".join(str((rows, width)) for width in widths)
    if found != expected:
        mistake = "one row an input row"
        if sorted(found.split(" and ")) == sorted(expected.split(" and ")):
            mistake = "the heads are in another order"
        raise WrongAnswer(f"gave outputs of shapes {found or 'none'}, expected {expected}: {mistake}")
    for head in heads:
        if head.is_complex() or head.dtype.itemsize < dtype.itemsize:
            raise WrongAnswer(f"gave outputs of {head.dtype}, expected {dtype}: something inside is of that dtype")
    return heads


def loss_of(subject: Subject, problem: Problem, heads: list[Any], targets: Sequence[Any], parameters: list[Any]) -> Any:
    """The user's own loss, or the squared error as the problem states it."""
    if subject.loss is not None:
        loss = subject.loss(*((heads[0], targets[0]) if len(heads) == 1 else (heads, list(targets))))
    else:
        squares = [(head - target) ** 2 for head, target in zip(heads, targets, strict=True)]
        parts = [getattr(square, problem.loss.reduction)() for square in squares]
        if problem.loss.decay:
            parts += [problem.loss.decay * (parameter**2).sum() for parameter in parameters]
        loss = parts[0]
        for part in parts[1:]:
            loss = loss + part
    if not hasattr(loss, "shape") or tuple(loss.shape) != ():
        found = f"loss of shape {tuple(loss.shape)}" if hasattr(loss, "shape") else f"{type(loss).__name__} as its loss"
        raise WrongAnswer(f"gave a {found}, expected a tensor of shape (): a single number")
    return loss


def _gradients(loss: Any, variables: list[Any]) -> list[Any]:
    """By autograd; what the loss does not depend on has gradient zero. Raises WrongAnswer where one is frozen."""
    import torch

    if frozen := sum(not variable.requires_grad for variable in variables):
        what = f"{frozen} parameter{'s' if frozen > 1 else ''} with requires_grad=False"
        raise WrongAnswer(f"has {what}, whose gradient cannot be judged: choose checks=['forward', 'loss']")
    if not loss.requires_grad:
        return [torch.zeros_like(variable) for variable in variables]
    slopes = torch.autograd.grad(loss, variables, allow_unused=True)
    return [torch.zeros_like(v) if g is None else g.clone() for g, v in zip(slopes, variables, strict=True)]


def _stacked(quantity: str, answers: list[Any], problem: Problem) -> Array:
    """All draws of a quantity as one float64 array of the shape that `Observation` states."""
    import torch

    if quantity == "loss":
        stacked = torch.stack(answers)
    else:
        tensors = [torch.stack(parts) for parts in zip(*answers, strict=True)]
        shape = (problem.draws, -1) if quantity == "gradient" else (problem.draws, problem.rows, -1)
        stacked = torch.cat([tensor.to_dense().reshape(shape) for tensor in tensors], dim=-1)
    return np.asarray(stacked.double().cpu().numpy())


def raised(error: Exception) -> str:
    """What was raised, in its first line, at most 200 characters, and where."""
    if isinstance(error, WrongAnswer):
        return str(error)
    text = next(iter(str(error).splitlines()), "")
    return f"raised {type(error).__name__}{': ' if text else ''}{text}"[:200] + _at(error)


def _at(error: Exception) -> str:
    """Where in a user's own file it was raised."""
    ours = Path(__file__).parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if ours not in file.parents and "site-packages" not in file.parts and file.exists():
            return f" (at {file.name}:{frame.lineno})"
    return ""
