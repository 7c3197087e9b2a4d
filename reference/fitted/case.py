"""The case that judges a port by a fitted object: `fitted("fit.rds", MyPort, x="rows.csv")`."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal, cast

from harness.core.contract import PRECISION, Dtype
from harness.core.numpy_errors import users
from harness.judging.case import Case
from harness.pytorch.subject import Subject
from harness.shipped.asking import find_dtype
from harness.text.harmless import class_name, shown
from reference.fitted.given import COLUMNS, Encode, Given
from reference.fitted.object import FittedObject
from reference.rds.rows import Rows

Path_ = str | PathLike[str]


def fitted(
    fit: Path_,
    port: Any,
    *,
    x: object = None,
    y: object = None,
    weights: object = None,
    prepare: str = "",
    predictions: object = None,
    encode: Encode | None = None,
    stored: Dtype | Literal[""] = "",
    parameters: Any = None,
    clip: float | None = None,
    trust: bool = False,
    name: str = "",
    known: str = "",
) -> Case:
    """Return the case that judges a port, as it ships, by an object that R's nnet() or multinom()
    returned.

    `fit` is a file of saveRDS(), or a file of R's answers written by `nnet-parity port`. `port` is
    an nn.Module with weights of its own: its class, a factory, or the module. `x` are raw rows in
    the form of R's predict(): a csv file, a DataFrame, a dict of columns, or a matrix (R, K). They
    stay float64. Without them the port is evaluated on drawn rows.

    A classifier must return the result of predict(type="raw"): probabilities, one column for each
    class, or the column of the second of two. Its most probable class, or the result of its own
    classes(x), is compared with predict(type="class"), except for rows with a tie, in which R draws
    the class at random.

    `y` are the targets on which the network was fitted, for the rows of x (R,) or (R, O), or the
    name of a column of x (of several outputs a list of names): numbers, or labels of classes.
    `weights` are the case weights, given likewise. With `y` the port's loss is compared with
    fit$value.

    `prepare` is R code that computes, from the raw rows `x`, the argument of predict() in R's
    pipeline, as "scale(x, c(45, 2.5), c(14, 1.4))". `predictions` is a csv file, or an array, of
    the predictions of R's own pipeline for the rows of x. `encode(rows)` returns the module's
    arguments for rows (a dict of columns): an array, or a tuple of arrays, one for each argument.
    By default these are the raw columns if all are numbers, else the columns of R's model.matrix,
    as with `encode="columns"`.

    `stored="float32"` says that a float64 port stores its weights in float32. `parameters` gives
    the meaning of the module's parameters, see Subject. `clip=15` says that the port copies nnet's
    clip; by default it may or may not. `trust` lets R evaluate a formula of the file that calls
    more than plain arithmetic and R's own factors.

    Raises ValueError or TypeError, with a sentence, for wrong arguments.
    """
    folder = Path(sys._getframe(1).f_code.co_filename).parent
    factory, called = _factory(port)
    subject = Subject(factory, name=called, parameters=parameters, logistic_clip=clip, known=known)
    if not isinstance(prepare, str):
        raise TypeError(
            f"prepare is {shown(prepare, 40)}, expected R code that makes the network's inputs of"
            ' the raw rows x: "scale(x, c(45, 2.5), c(14, 1.4))"'
        )
    if encode is not None and encode != COLUMNS and not callable(encode):
        raise TypeError(
            f"encode is {shown(encode, 40)}, expected a function of the rows, or {COLUMNS!r} for"
            " the columns of R's model.matrix"
        )
    if stored not in ("", *PRECISION):
        raise ValueError(f"stored is {stored!r}, expected one of {', '.join(PRECISION)}")
    rows, unread = None, ""
    if x is not None:
        try:
            rows = Rows.of(_find(x, folder))
        except ValueError as error:
            unread = str(error)  # which its trials report
    written = _find(predictions, folder)
    given = Given(rows, y, weights, prepare, written, encode, stored, trust, unread)
    judge = FittedObject(_find(fit, folder), given)
    file = Path(fspath(fit)).name
    # a case with a name of its own needs no name of a file of answers
    of_file = "" if name and file.endswith(".json") else f" ({file})"
    return Case(
        name=name or f"{called} of {file}",
        network=judge,  # type: ignore[arg-type] # its network is known when the object is read
        subjects=[subject],
        references=[judge],
        problems=judge,
        dtypes=[_dtype_of(factory)],
        question=f"{name or called} = R's fit{of_file}?",
    )


def _find(given: Any, folder: Path) -> Any:
    """Return a path resolved from the caller's folder or, if it does not exist there, from the
    working folder.
    """
    if not isinstance(given, str | PathLike):
        return given
    in_folder = folder / fspath(given)
    return in_folder if in_folder.exists() else Path(fspath(given))


def _factory(port: Any) -> tuple[Callable[[], Any], str]:
    """Return a function that builds the port (a PyTorch model), and the port's name."""
    if hasattr(port, "named_parameters") and not isinstance(port, type):

        def given() -> Any:
            return copy.deepcopy(port)  # a judge may put other parameters into it

        return given, class_name(port)
    if not callable(port):
        raise TypeError(
            f"the port is {shown(port, 40)}, expected an nn.Module: its class, a function that"
            " builds it, or the module"
        )
    return port, getattr(port, "__name__", class_name(port))


def _dtype_of(factory: Callable[[], Any]) -> Dtype:
    """Return the dtype of the port's weights; float64 if it cannot be built (its trials report
    why).
    """
    try:
        with users():
            module = factory()
    except Exception:  # a user's constructor may raise anything; its trials say so
        return "float64"
    if not hasattr(module, "parameters"):
        return "float64"
    try:
        return cast("Dtype", find_dtype(module))
    except ValueError as error:
        raise ValueError(f"the port {class_name(module)}: {error}") from None
