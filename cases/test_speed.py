"""How fast do the models train, as a multiple of R nnet's time? Raced with --parity-speed only."""

import numpy as np
import pytest

from cases import stacks
from cases.dual_formulations import Formulations
from cases.sine_training import (
    LEVENBERG,
    LOGISTIC,
    LOGISTIC_STACK,
    TANH_SINE,
    one_draw,
    sine_population,
)
from cases.stacks import Stacked
from cases.test_dual_training import population, taught
from cases.test_sine import network
from harness.core.contract import Array
from nnet_parity import (
    Case,
    Entry,
    Population,
    Recipe,
    Subject,
    Trained,
    TrainedBy,
    nnet_fits,
    nnet_gradients,
    numpy_net,
    probes,
    starts,
)

DUAL = Formulations(inputs=(5, 5), hidden=10, outputs=(5, 5), g="logistic", f="identity")
ONCE = Recipe("sgd", 1)


def points(rows: int) -> Population:
    """Points of the sine on a grid."""

    def data(count: int) -> tuple[Array, Array]:
        x = np.tile(np.linspace(0, 10, rows)[:, None], (count, 1, 1))
        return x, np.sin(x)

    return sine_population(data)


def taught_rows(rows: int) -> Population:
    """The dual-head teacher's data, repeated or cut to a number of rows."""

    def data(count: int) -> tuple[Array, Array]:
        x, y = [np.resize(part[0], (rows, part.shape[2])) for part in taught(1)]
        return np.tile(x, (count, 1, 1)), np.tile(y, (count, 1, 1))

    return Population(data, quality=0.1, grid=population().grid)


def asked(subject: Subject, net: object, rows: int) -> Case:
    """The case that a model must pass before it may race, at its number of rows or 1,000."""
    shapes = [
        probes(seed=21, draws=8),
        probes(seed=22, draws=2, rows=min(rows, 1000), kinds=["random"]),
    ]
    name = f"before racing {subject.name} at {rows} rows"
    return Case(name=name, network=net, subjects=[subject], references=[numpy_net], problems=shapes)


def gradients(name: str, subject: Subject, net: object, rows: int, where: Population) -> Entry:
    """The race for one value and gradient."""
    trained = Trained(subject, ONCE, subject.name, start=starts.uniform())
    return Entry(name, trained, asked(subject, net, rows), where, nnet_gradients)


def stack(name: str, stacked: Stacked, nets: int) -> Entry:
    """The race of many copies of S1 at once, each with starts and gradient of its own."""
    trained = LOGISTIC(ONCE, name, start=starts.uniform(), stacked=stacked)
    case = Case(
        name=f"before racing {name}",
        network=network("logistic"),
        subjects=[LOGISTIC(Recipe("sgd", 5), name, start=starts.uniform(), stacked=stacked)],
        references=[numpy_net],
        problems=points(50),
        checks=["loss", "gradient", "step"],
    )
    title = "value and gradient, sine, 50 points, a stack of nets"
    return Entry(title, trained, case, points(50), nnet_gradients, nets=nets)


def fits(trained: Trained | TrainedBy) -> Entry:
    """The race to the loss at which nnet ends, from shared starts."""
    net = network("logistic")
    where = sine_population(one_draw)
    return Entry(
        "fit of S1 to nnet's loss",
        trained,
        asked(trained.subject, net, 50),
        where,
        nnet_fits,
        fits=True,
        rounds=24,
    )


def sine_entries(rows: int) -> list[Entry]:
    """Races of the networks of S1 and S6."""
    models = (LOGISTIC(ONCE).subject, "logistic"), (TANH_SINE(ONCE).subject, "tanh")
    name = f"value and gradient, sine, {rows:,} points"
    return [gradients(name, model, network(net), rows, points(rows)) for model, net in models]


def dual_entries(rows: int) -> list[Entry]:
    """Races of all formulations that are the two-headed network; of two of them with many rows."""
    name = f"value and gradient, two heads, {rows:,} rows"
    models = DUAL.same()
    if rows >= 100:
        models = [one for one in models if one.name in ("ParallelInputs", "StackedHeads")]
    return [gradients(name, model, DUAL.network, rows, taught_rows(rows)) for model in models]


ENTRIES = [
    stack("stack by autograd", LOGISTIC_STACK, 1024),
    stack("stack by hand", stacks.logistic_module("0", "2"), 1024),
    *sine_entries(50),
    *sine_entries(100_000),
    *dual_entries(2),
    *dual_entries(100_000),
    fits(LOGISTIC(Recipe("lbfgs", 50), start=starts.uniform(), most=100)),
    fits(LOGISTIC(Recipe("adam", 1_000, {"lr": 0.01}), start=starts.uniform(), most=100)),
    fits(LEVENBERG),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "entry", ENTRIES, ids=lambda entry: f"{entry.name}-{entry.trained.name}".replace(" ", "_")
)
def test_speed(entry: Entry, dtype: str, raced) -> None:
    """A model that computes what it should takes part; its time is shown, and judged by nobody."""
    assert raced(entry, "cpu", dtype).ratio > 0
