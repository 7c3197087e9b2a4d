"""A PyTorch model that is built: asked draw by draw, as its user calls it and as it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.core.implementation import Missing, Observation
from harness.core.numpy_errors import users
from harness.core.problem import QUANTITIES, Problem
from harness.core.text import class_name, one_line, shown
from harness.core.verdict import Status
from harness.pytorch.devices import held_in
from harness.pytorch.errors import MOST_SAID, WrongAnswer, raised
from harness.pytorch.intermediates import Stages
from harness.pytorch.tensors import plain

UserLoss = Callable[[Any, Any], Any]
# every sixteenth draw is asked as training asks: backward() on inputs that need no gradient
AS_TRAINED = 16


def tensors(problem: Problem, dtype: str, device: str) -> tuple[list[Any], list[Any], list[Any]]:
    """Own parameters by block (D, *shape), inputs by group (D, R, I) and targets by head (D, R,
    O).
    """
    import torch

    network, blocks = problem.formulation.network, problem.formulation.own.blocks
    own, *data = (
        torch.tensor(array, dtype=held_in(dtype), device=device)
        for array in (problem.own, problem.inputs, problem.targets)
    )
    values = [own[:, block.places.ravel()].reshape(-1, *block.places.shape) for block in blocks]
    inputs, targets = (
        [part.contiguous() for part in torch.split(whole, list(widths), -1)]
        for whole, widths in zip(data, (network.inputs, network.outputs), strict=True)
    )
    return values, inputs, targets


def array(parts: Sequence[Any], *shape: int) -> Array:
    """Tensors, each in this shape, side by side in float64."""
    import torch

    flat = [plain(part).detach().reshape(shape) for part in parts]
    return np.asarray(torch.cat(flat, dim=-1).double().cpu().numpy())


def outputs(given: Any) -> list[Any]:
    """What a model gave, head by head: a tensor, several, or several by name; each plain, or as it
    is if no tensor.
    """
    if issubclass(type(given), Mapping):
        given = list(given.values())
    heads = list(given) if issubclass(type(given), tuple | list) else [given]
    return [
        head if found is None else found for head, found in ((head, plain(head)) for head in heads)
    ]


def shape_of(head: Any) -> str:
    """The shape of an output, or, where it is no tensor, what it is."""
    import torch

    if type(head) is torch.Tensor:
        return str(tuple(head.shape))
    return (
        one_line(shown(head, 40))
        if type(head) in (type(None), bool, int, float, str)
        else f"a {class_name(head)}"
    )


@dataclass(frozen=True, eq=False)
class Model:
    """What is called with inputs, its parameters in the order of `Subject.own`, and its user's own
    loss.
    """

    call: Callable[..., Any]
    parameters: list[Any]
    user_loss: UserLoss | None
    dtype: str
    device: str

    @users()
    def observe(self, problem: Problem, stagewise: bool = False) -> Observation:
        """Its outputs, loss and gradients at each draw's own parameters, the gradient by these (D,
        P).

        With what it computes on the way where it is to be judged stagewise: that is watched while
        it is asked again, and taken where its answers are the same, for what is watched may be
        other code (`torch.compile` steps aside).

        What it raises, outputs of the wrong shape, inputs or parameters that it changes, and
        another answer when it is asked again, are answers too.
        """
        found = self._observed(problem, stagewise)
        if not stagewise or found.missing is not None:
            return found
        stages = Stages(problem.rows)
        watched = self._observed(problem, stagewise, stages.watched)
        same = watched.missing is None and all(
            np.array_equal(answer, watched.values[name], equal_nan=True)
            for name, answer in found.values.items()
        )
        return replace(found, seen=stages.seen()) if same else found

    def _observed(
        self, problem: Problem, trained: bool, watched: Callable[[], Any] = nullcontext
    ) -> Observation:
        """Each draw asked once, as it is trained too or on some draws only, while it is watched."""
        import torch

        by_row = (problem.draws, problem.rows, -1)
        shapes = dict(
            zip(QUANTITIES, (by_row, (problem.draws,), (problem.draws, -1), by_row), strict=True)
        )
        answers: dict[str, list[Any]] = {quantity: [] for quantity in QUANTITIES}
        trouble: dict[str, Missing] = {}
        given = tensors(problem, self.dtype, self.device)
        draws = [zip(*(stack.unbind() for stack in stacked), strict=True) for stacked in given]
        again: list[tuple[str, int, list[Any]]] = []
        for draw, (values, xs, ts) in enumerate(zip(*draws, strict=True)):
            found = self._answers(
                problem, values, xs, ts, trained or draw % AS_TRAINED == 0, draw, again
            )
            with watched():
                for quantity in QUANTITIES:
                    try:
                        answers[quantity].append(next(found))
                    except Exception as error:  # whatever a user's model raises is its answer
                        trouble.setdefault(quantity, self._missing(error, problem))
                        break
            if QUANTITIES[0] in trouble:
                break
        whole: dict[str, Array] = {}
        others: dict[str, Array] = {}
        for quantity, drawn in answers.items():
            try:
                if len(drawn) == problem.draws:
                    stacks = [torch.stack(parts) for parts in zip(*drawn, strict=True)]
                    whole[quantity] = array(stacks, *shapes[quantity])
            except Exception as error:  # numbers that cannot be read, on the meta device say
                trouble.setdefault(quantity, self._missing(error, problem))
        first = next((trouble[quantity] for quantity in QUANTITIES if quantity in trouble), None)
        for when, draw, heads in again if first is None else []:
            others.setdefault(when, whole[QUANTITIES[0]].copy())[draw] = array(
                heads, problem.rows, -1
            )
        return Observation(whole, first, by_own=True, others=others)

    def _missing(self, error: Exception, problem: Problem) -> Missing:
        size = f"{problem.rows} rows, {problem.formulation.own.size} parameters, {self.dtype}"
        full = f" (with {size})" if class_name(error) == "OutOfMemoryError" else ""
        return Missing(
            Status.FAIL if type(error) is WrongAnswer else Status.BROKEN, raised(error) + full
        )

    def _answers(
        self,
        problem: Problem,
        values: Sequence[Any],
        xs: Sequence[Any],
        ts: Sequence[Any],
        as_trained: bool,
        draw: int,
        others: list[tuple[str, int, list[Any]]],
    ) -> Iterator[list[Any]]:
        """Every quantity at one draw, one after the other; into `others` go outputs that it gives
        when asked again.
        """
        self.set(values)
        if as_trained:
            others += [
                (when, draw, heads) for when, heads in self._asked_again(problem, values, xs)
            ]
        for x in xs:
            x.requires_grad_()
        heads = self.heads(problem, xs)
        yield [head.detach().clone() for head in heads]
        loss = self.loss(problem, heads, ts)
        yield [loss.detach().clone()]
        gradients = _gradients(loss, [*self.parameters, *xs])
        count = len(self.parameters)
        yield (
            self._trained(problem, [x.detach() for x in xs], ts)
            if as_trained
            else gradients[:count]
        )
        yield gradients[count:]

    def in_float32(self) -> list[str]:
        """What is no parameter and holds numbers of float32, by name: such buffers and plain
        attributes.
        """
        import torch

        found = []
        for prefix, module in (
            self.call.named_modules() if isinstance(self.call, torch.nn.Module) else ()
        ):
            buffers = dict(module.named_buffers(recurse=False))
            others = {
                name: value
                for name, value in vars(module).items()
                if issubclass(type(value), torch.Tensor)
            }
            for name, value in {**buffers, **others}.items():
                # quantised, without data: what cannot be read is not named
                with suppress(Exception):
                    whole = plain(value).double()
                    single = bool((whole.float() == whole).all()) and not bool(
                        (whole.bfloat16() == whole).all()
                    )
                    if plain(value).is_floating_point() and single:
                        what = "buffer" if name in buffers else "plain attribute"
                        found.append(f"{what} {prefix}{'.' if prefix else ''}{name}")
        return found

    def set(self, values: Sequence[Any]) -> None:
        """Other parameters."""
        import torch

        with torch.no_grad():
            torch._foreach_copy_(self.parameters, list(values))

    def heads(self, problem: Problem, xs: Sequence[Any]) -> list[Any]:
        """Its outputs, one tensor a head."""
        dtype = self.parameters[0].dtype
        try:
            output = self.call(*xs)
        except TypeError as error:
            said = shown(error, MOST_SAID, str)
            if "positional argument" not in said:
                raise
            called = ", ".join(f"x{i + 1}" for i in range(len(xs))) if len(xs) > 1 else "x"
            raise TypeError(
                f"{said}: the network's inputs are {len(xs)}, so it is called as module({called})"
            ) from error
        heads = outputs(output)
        found = [shape_of(head) for head in heads]
        expected = [str((problem.rows, width)) for width in problem.formulation.network.outputs]
        if found != expected:
            same = sorted(found) == sorted(expected)
            mistake = "the heads are in another order" if same else "one row an input row"
            shapes = f"{' and '.join(found) or 'none'}, expected {' and '.join(expected)}"
            raise WrongAnswer(f"gave outputs of shapes {shapes}: {mistake}")
        for head in heads:
            if head.is_complex() or head.dtype.itemsize < dtype.itemsize:
                raise WrongAnswer(
                    f"gave outputs of {head.dtype}, expected {dtype}: something inside is of that"
                    " dtype"
                )
        return heads

    def loss(self, problem: Problem, heads: list[Any], targets: Sequence[Any]) -> Any:
        """Its user's own loss, or the squared error as the problem states it."""
        if self.user_loss is not None:
            loss = self.user_loss(
                *((heads[0], targets[0]) if len(heads) == 1 else (heads, list(targets)))
            )
        else:
            squares = [(head - target) ** 2 for head, target in zip(heads, targets, strict=True)]
            first, *rest = (getattr(square, problem.loss.reduction)() for square in squares)
            if problem.loss.decay:
                rest += [problem.loss.decay * (parameter**2).sum() for parameter in self.parameters]
            loss = sum(rest, first)
        if (found := plain(loss)) is None:
            raise WrongAnswer(
                f"gave a {class_name(loss)} as its loss, expected a tensor of shape (): a single"
                " number"
            )
        if tuple(found.shape) != ():
            shape = tuple(found.shape)
            raise WrongAnswer(
                f"gave a loss of shape {shape}, expected a tensor of shape (): a single number"
            )
        if found.is_complex():
            raise WrongAnswer(f"gave a loss of {found.dtype}, expected a real number")
        return found

    def loss_slopes(self, problem: Problem, outputs: Array) -> Array | None:
        """The slopes of its loss by the outputs, at these outputs (D, R, O), in its dtype.

        None where the loss has none, raises something, or depends on the parameters by itself.
        """
        import torch

        widths, found = list(problem.formulation.network.outputs), []
        given, targets = (
            torch.tensor(array, dtype=held_in(self.dtype), device=self.device)
            for array in (outputs, problem.targets)
        )
        for output, target in zip(given, targets, strict=True):
            heads = [head.contiguous().requires_grad_() for head in output.split(widths, -1)]
            parts = [part.contiguous() for part in target.split(widths, -1)]
            try:
                loss = self.loss(problem, heads, parts)
                by = [
                    *heads,
                    *(parameter for parameter in self.parameters if parameter.requires_grad),
                ]
                slopes = torch.autograd.grad(loss, by, allow_unused=True)
            except Exception:  # whatever a user's loss raises of tensors that no model gave
                return None
            if any(slope is not None for slope in slopes[len(heads) :]):
                return None
            each = zip(heads, slopes, strict=False)
            found.append(
                torch.cat(
                    [torch.zeros_like(h) if slope is None else slope for h, slope in each], -1
                )
            )
        return np.asarray(torch.stack(found).double().cpu().numpy())

    def _asked_again(
        self, problem: Problem, values: Sequence[Any], xs: Sequence[Any]
    ) -> Iterator[tuple[str, list[Any]]]:
        """When it gives other outputs than at first, to the bit, and which: PyTorch may round
        otherwise under no_grad.

        Raises WrongAnswer where it changes what it is given, or itself.
        """
        import torch

        module: Any = self.call
        given = [x.clone() for x in xs]
        heads = self.heads(problem, xs)
        own = list(map(plain, self.parameters))
        for what, now, before in (("inputs", xs, given), ("own parameters", own, values)):
            if not all(map(torch.equal, now, before)):
                raise WrongAnswer(
                    f"changed its {what} when it was called, expected it to leave them as they are"
                )
        evaluate = "; for eval() write subjects=[lambda: MyModel().eval()]"
        modes = {False: "when asked again, under torch.no_grad(), expected the same"}
        if isinstance(module, torch.nn.Module) and module.training and has_modes(module):
            modes[True] = f"in eval() than in train(), as it was built, expected the same{evaluate}"
            if random := sorted(
                {type(m).__name__ for m in module.modules() if "Dropout" in type(m).__name__}
            ):
                said = (
                    f"when asked again, expected the same: its {' and '.join(random)} is in"
                    f" training mode{evaluate}"
                )
                modes = dict.fromkeys(modes, said)
        for evaluating, when in modes.items():
            with torch.no_grad(), ExitStack() as afterwards:
                if evaluating:
                    afterwards.callback(module.eval().train)
                again = self.heads(problem, xs)
            if not all(
                map(torch.equal, *([head.nan_to_num() for head in some] for some in (heads, again)))
            ):
                yield when, again

    def _trained(self, problem: Problem, xs: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
        """The gradient that a training loop reads, after loss.backward() and its hooks, on inputs
        that need none.
        """
        import torch

        for parameter in self.parameters:
            parameter.grad = None
        loss = self.loss(problem, self.heads(problem, xs), ts)
        if loss.requires_grad:
            loss.backward()
        return [
            torch.zeros_like(p) if p.grad is None else plain(p.grad).clone()
            for p in self.parameters
        ]


def has_modes(module: Any) -> bool:
    """Does it know train() and eval()? What torch.export gives raises NotImplementedError."""
    try:
        module.train()
    except NotImplementedError:
        return False
    return True


def _gradients(loss: Any, variables: list[Any]) -> list[Any]:
    """By autograd; what the loss does not depend on has gradient zero. Raises WrongAnswer where one
    is frozen.
    """
    import torch

    if frozen := sum(not variable.requires_grad for variable in variables):
        what = f"{frozen} parameter{'s' if frozen > 1 else ''} with requires_grad=False"
        raise WrongAnswer(
            f"has {what}, whose gradient cannot be judged: choose checks=['forward', 'loss']"
        )
    if not loss.requires_grad:
        return [torch.zeros_like(variable) for variable in variables]
    slopes = torch.autograd.grad(loss, variables, allow_unused=True)
    return [
        torch.zeros_like(v) if g is None else plain(g).clone()
        for g, v in zip(slopes, variables, strict=True)
    ]
