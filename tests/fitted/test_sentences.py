"""Every sentence about a port of a fitted object is approved: what passes, and what explains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.core.verdict import Status
from reference import fitted
from reference.fitted.written import read_predictions
from reference.misread.weights import list_readings
from reference.r.nnet_reference import LIVE
from reference.r.topology import Topology
from reference.rds.reading import read_fit
from tests.conftest import Approved
from tests.fitted.made import CALLS, make_fit
from tests.fitted.ports import Port, Scaled, judge_all, misread, split
from tests.fitted.test_fitted import made, matrix, numbers, rows_file, scaled_fit

pytestmark = pytest.mark.usefixtures("live_r")


def test_each_misreading_has_its_words(approved: Approved) -> None:
    """Of a net with skip connections and as many hidden units as inputs."""
    into = (0, 1, 2)
    net = Topology(2, 2, 1, (into, into, (0, 3, 4, 1, 2)), True)
    words = [each.words for each in list_readings(net, np.arange(11) + np.pi, ("age", "dose"))]
    approved(dict.fromkeys(words))
    logits = Topology(2, 0, 3, ((0, 1, 2),) * 3, True)
    coef = np.concatenate([np.zeros(3), np.arange(6) + np.pi])
    words = [each.words for each in list_readings(logits, coef, ("age", "dose"))]
    approved([each for each in words if "coef(fit)" in each])


def test_what_passes_says_how(tmp_path: Path, approved: Approved) -> None:
    """Right ports of all kinds, and what their verdicts say."""
    path, fit = made(tmp_path, CALLS["matrix"])
    given: dict[str, Any] = {"x": matrix(), "y": numbers()["y"]}

    def renumbered(hidden: Any, outputs: Any) -> Any:
        order = [1, 0, 2]
        return hidden[order], np.hstack([outputs[:, :1], outputs[:, 1:][:, order]])

    def turned(hidden: Any, outputs: Any) -> Any:
        hidden, outputs = hidden.copy(), outputs.copy()
        hidden[1] *= -1
        outputs[:, 0] += outputs[:, 2]
        outputs[:, 2] *= -1
        return hidden, outputs

    rounded = np.array([float(f"{weight:.15g}") for weight in fit.wts])
    ports = [
        Port(fit.topology, fit.wts),
        Port(fit.topology, fit.wts, torch.float32),
        Port(fit.topology, misread(fit, renumbered)),
        Port(fit.topology, misread(fit, turned)),
        Port(fit.topology, rounded),
    ]
    said = []
    for port in ports:
        verdicts = judge_all(fitted(path, port, **given))
        assert {verdict.status for verdict in verdicts} == {Status.PASS}
        said += [verdict.why for verdict in verdicts]
    verdicts = judge_all(fitted(path, ports[0], x=40 * matrix()))
    said.append(verdicts[0].why)
    path, fit, centre, spread, prepare = scaled_fit(tmp_path)
    port = Port(fit.topology, fit.wts)
    with torch.no_grad():
        folded = port.hidden.weight / torch.tensor(spread)
        port.hidden.bias.sub_(folded @ torch.tensor(centre))
        port.hidden.weight.copy_(folded)
    said.append(judge_all(fitted(path, port, **given, prepare=prepare))[2].why)
    said.append(judge_all(fitted(path, Port(fit.topology, fit.wts)))[0].why)
    written = tmp_path / "few.csv"
    written.write_text("\n".join(["p", *(f"{number:.6g}" for number in fit.fitted[:, 0])]))
    right = Scaled(fit.topology, fit.wts, centre, spread)
    said.append(judge_all(fitted(path, right, x=matrix(), predictions=written))[0].why)
    approved(said, mask_figures=True)


class Shifted(Port):
    """A port of inputs that are small numbers beside a large one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x - 1e5)


def test_what_float32_loses_of_large_inputs_is_said(tmp_path: Path, approved: Approved) -> None:
    """A port that passes, since rounding explains its predictions, is off by as much; one of
    float64 is not.
    """
    path, fit = made(tmp_path, CALLS["matrix"])
    given: dict[str, Any] = {"x": 1e5 + matrix(), "prepare": "x - 1e5"}
    coarse = judge_all(fitted(path, Shifted(fit.topology, fit.wts, torch.float32), **given))
    assert coarse[0].status is Status.PASS
    approved(coarse[0].caveat, mask_figures=True)
    assert not judge_all(fitted(path, Shifted(fit.topology, fit.wts), **given))[0].caveat
    small = Port(fit.topology, fit.wts, torch.float32)
    verdicts = judge_all(fitted(path, small, x=matrix(), prepare="x"))
    assert not any("stores" in verdict.caveat for verdict in verdicts)


class Halving(Port):
    """A port that is another one for half of the rows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + (len(x) == 15)


class Turned(Port):
    """A port whose logistic falls."""

    def logistic(self, z: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(-z)


class Clamped(Port):
    """A port that holds its response in the range of the fitted rows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        every = super().forward(torch.tensor(matrix()))
        return super().forward(x).clamp(every.min().item(), every.max().item())


class Doubled(Port):
    """A port whose response is on another scale."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x) + 1


class Sorted(Port):
    """A port that computes something else at its weights, which are not R's."""

    def __init__(self, net: Any, wts: Any) -> None:
        super().__init__(net, np.sort(wts))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) ** 2


def test_what_fails_says_why(tmp_path: Path, approved: Approved) -> None:
    """Formulas that are wrong, on matrices, with scaling that is open and columns of one's own."""
    path, fit = made(tmp_path, CALLS["matrix"])
    said = []
    for kind in (Turned, Doubled, Sorted, Halving, Clamped):
        port = kind(fit.topology, fit.wts)
        said += [verdict.why for verdict in judge_all(fitted(path, port, x=matrix()))]
    numpy = judge_all(fitted(path, Sorted(fit.topology, fit.wts), x=matrix()), mode="recorded")
    said.append(numpy[0].why)
    path, fit, centre, spread, prepare = scaled_fit(tmp_path)
    right = Scaled(fit.topology, fit.wts, centre, spread)
    said.append(judge_all(fitted(path, right, x=matrix()))[0].why)
    unscaled = Port(fit.topology, fit.wts)
    said.append(judge_all(fitted(path, unscaled, x=matrix(), prepare=prepare))[0].why)
    wrong = Scaled(fit.topology, fit.wts, centre, matrix().std(axis=0))
    said.append(judge_all(fitted(path, wrong, x=matrix(), prepare=prepare))[0].why)
    path, fit = made(tmp_path, "fit(y ~ a + f, d, size = 2, linout = TRUE)")

    def encode(rows: dict[str, Any]) -> Any:
        texts = np.array(rows["f"])
        return np.stack([rows["a"], texts == "u", texts == "v"], axis=1)

    case = fitted(path, Port(fit.topology, fit.wts), x=rows_file(tmp_path), encode=encode)
    said.append(judge_all(case)[0].why)
    approved(said, mask_figures=True)


def test_what_is_not_compared_is_said(tmp_path: Path, approved: Approved) -> None:
    """Weights without a meaning, a loss of 0, rows that R refuses, R code without R."""
    path, fit = made(tmp_path, CALLS["matrix"])

    class Halved(Port):
        """Its weights are half of R's, and it doubles them."""

        def __init__(self) -> None:
            super().__init__(fit.topology, fit.wts / 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = torch.sigmoid(2 * self.hidden(x))
            return 2 * self.out(h)

    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wts = nn.Parameter(torch.tensor(fit.wts))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return Port(fit.topology, self.wts.detach().numpy())(x)

    said = [judge_all(fitted(path, port, x=matrix()))[1].why for port in (Halved, Flat)]
    lost = matrix().copy()
    lost[3, 0] = np.nan
    port = Port(fit.topology, fit.wts)
    said.append(judge_all(fitted(path, port, x=lost))[0].caveat)
    case = fitted(path, port, x=matrix(), prepare="x + 1")
    said.append(judge_all(case, mode="recorded")[0].why)
    flat = make_fit(tmp_path / "zero.rds", "fit(x, 0 * d$y, size = 1, linout = TRUE, rang = 0)")
    zero = read_fit(flat, LIVE)
    verdicts = judge_all(
        fitted(flat, Port(zero.topology, zero.wts), x=matrix(), y=0 * numbers()["y"])
    )
    said += [verdict.why for verdict in verdicts[:2]]
    approved(said, mask_figures=True)


def test_arguments_that_fit_nowhere_are_refused(tmp_path: Path, approved: Approved) -> None:
    """At once, in a sentence."""
    path, fit = made(tmp_path, CALLS["matrix"])
    port = Port(fit.topology, fit.wts)
    with approved.raises(TypeError):
        fitted(path, port, x=matrix(), prepare=3)  # type: ignore[arg-type]
    with approved.raises(TypeError):
        fitted(path, port, x=matrix(), encode="raw")  # type: ignore[arg-type]
    with approved.raises(ValueError):
        fitted(path, port, x=matrix(), stored="float8")
    with approved.raises(TypeError):
        fitted(path, 3, x=matrix())
    mixed = Port(fit.topology, fit.wts)
    mixed.out.float()
    with approved.raises(ValueError):
        fitted(path, mixed, x=matrix())
    tables: list[Any] = [tmp_path / "none.csv", np.zeros((2, 2, 2)), {"a": [1.0, 2.0], "b": [1.0]}]
    approved([judge_all(fitted(path, port, x=x))[0].why for x in tables])
    bad = tmp_path / "bad.csv"
    bad.write_text("p\n1\ntext\n")
    with approved.raises(ValueError):
        read_predictions(bad, 2, 1)
    said = []
    texts = {"a": [1.0, 2.0], "b": [1.0, 2.0], "c": ["p", "q"]}
    holes = {"a": [1.0, np.nan], "b": [np.nan, 2.0]}
    for given in ({"x": texts, "y": "c"}, {"y": [1.0]}, {"x": holes}):
        said.append(judge_all(fitted(path, port, **given))[0].why)
    said.append(judge_all(fitted(path, port, x=matrix(), encode=lambda _: [["p"]]))[0].why)
    lost = np.full((2, 2), np.nan)
    said.append(judge_all(fitted(path, port, x=lost))[0].why)
    approved(said)


def test_a_search_that_lasts_says_how_far_it_is(tmp_path: Path, approved: Approved) -> None:
    """Number by number."""
    from reference.fitted.object import FittedObject

    path, fit = made(tmp_path, CALLS["matrix"])
    case = fitted(path, Port(fit.topology, fit.wts), x=matrix())
    assert isinstance(case.problems, FittedObject)
    truth, said = case.problems.find_truth(), list[str]()
    outputs = [table.predictions**3 for table in truth.tables]
    truth.explain(truth, outputs, None, said.append)
    approved(said[0], mask_figures=True)


class Exponential(Port):
    """A port that undoes a logarithm of the response."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.exp(super().forward(x) / 8)


class Twice(Scaled):
    """A port that scales its inputs again."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward((x - self.centre) / self.spread)


class InFloat32(Scaled):
    """A port that makes its inputs float32, and float64 again."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.float().double())


class Dropping(Scaled):
    """A port that drops inputs, as it was trained."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(self.dropout(x))

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.dropout = nn.Dropout(0.5)


def test_mistakes_beside_the_network_are_named(tmp_path: Path, approved: Approved) -> None:
    """The response undone, predictions in another order, an encoder's spread over n or reference
    level, scaling twice or in float32, and dropout in train().
    """
    path, fit = made(tmp_path, CALLS["matrix"])
    said = []
    hidden, outputs = split(fit.topology, fit.wts)
    undone = Exponential(fit.topology, np.concatenate([hidden.ravel(), 8 * outputs.ravel()]))
    said.append(judge_all(fitted(path, undone, x=matrix()))[0].why)
    port = Port(fit.topology, fit.wts)
    order = fit.fitted[::-1]
    said.append(judge_all(fitted(path, port, x=matrix(), predictions=order))[0].why)
    path, fit = made(tmp_path, "fit(y ~ scale(a) + f, d, size = 2, linout = TRUE)")
    # with the right spread, its rounding is not blamed
    for ddof, last, dtype in ((0, "w", float), (1, "u", float), (1, "w", np.float32)):

        def encode(rows: dict[str, Any], ddof: int = ddof, at: str = last, to: Any = dtype) -> Any:
            texts, a = np.array(rows["f"]), numbers()["a"]
            scaled = (rows["a"] - a.mean()) / a.std(ddof=ddof)
            return np.stack([scaled, texts == "v", texts == at], axis=1).astype(to)

        case = fitted(path, Port(fit.topology, fit.wts), x=rows_file(tmp_path), encode=encode)
        said.append(judge_all(case)[0].why)
    path, fit, centre, spread, prepare = scaled_fit(tmp_path)
    for kind in (Twice, InFloat32, Dropping):
        port = kind(fit.topology, fit.wts, centre, spread)
        why = judge_all(fitted(path, port, x=matrix(), prepare=prepare))[0].why
        drawn = kind is Dropping  # at random: which row is the worst is not approved
        said += [line for line in why.splitlines() if "likely" in line] if drawn else [why]
    in_float32 = centre.astype(np.float32), spread.astype(np.float32)
    port = Scaled(fit.topology, fit.wts, *in_float32)  # type: ignore[arg-type]
    said.append(judge_all(fitted(path, port.double(), x=matrix(), prepare=prepare))[0].why)
    approved(said, mask_figures=True)


def test_tables_that_are_none_are_refused(tmp_path: Path, approved: Approved) -> None:
    """R's row names, another separator, a text where a number is expected."""
    path, fit = made(tmp_path, "fit(y ~ a + b, d, size = 2, linout = TRUE)")
    port, file = Port(fit.topology, fit.wts), tmp_path / "rows.csv"
    for text in ('"","a","b"\n"1",1,2\n', "a;b\n1,5;2\n", "a,b\n1,two\n"):
        file.write_text(text)
        approved(judge_all(fitted(path, port, x=file))[0].why)
