"""What parameters mean, read off a function: the same map as column by column, in few images and
little memory.
"""

import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from harness import Case, Formulation, Subject
from harness.core.contract import Array
from harness.core.layout import Layout
from harness.core.slopes import UNIT, NotAffine, TooLarge, group_counts, read_slopes
from harness.judging.cache import Cache
from harness.running.runner import Runner
from harness.waiting import progress
from reference import Network, numpy_net, probes
from reference.faults.changes import B_V, B_W, swap_blocks
from reference.faults.kinds import reading
from reference.nnet.networks import as_logistic

NET = Network((4, 3), 5, (2, 3), "tanh")
LARGE = Network(784, 128, 10, "logistic")
MEAN, SD = np.linspace(-3, 9, 4), np.linspace(1, 2, 4)
Blocks = Mapping[str, Array]


def shapes(network: Network, **other: tuple[int, ...]) -> Layout:
    """The network's blocks, one after the other, in their own order or in other shapes, and what is
    not a block.
    """
    own = {block.name: block.places.shape for block in network.layout.blocks}
    return Layout.of_shapes(own | other)


def renamed(p: Blocks) -> dict[str, ArrayLike]:
    return dict(p)


def turned(p: Blocks) -> dict[str, ArrayLike]:
    return {**p, "W1": p["W1"].T, "V2": p["V2"].T[::-1]}


def standardised(p: Blocks) -> dict[str, ArrayLike]:
    """Inputs are standardised, outputs are not."""
    W = p["W1"] / SD
    return {
        **p,
        "W1": W,
        "b": p["b"] - W @ MEAN,
        "W2": 0.1 * p["W2"],
        "b_w": 0.1 * p["b_w"] + 273.15,
    }


def two_biases(p: Blocks) -> dict[str, ArrayLike]:
    return {**{name: p[name] for name in p if name != "c"}, "b": p["b"] + p["c"]}


def tied(p: Blocks) -> dict[str, ArrayLike]:
    """A weight in several places, rows added up, and what cancels."""
    return {
        **p,
        "V1": p["W1"][:, :3],
        "V2": p["W2"][[0, 1, 0]] - p["W2"][[1, 1, 1]],
        "b_v": p["W1"].sum(axis=0)[:3],
    }


def constant(p: Blocks) -> dict[str, ArrayLike]:
    return {**p, "V1": 0, "W2": np.eye(2, 5), "b_w": 1e6 + p["b_w"] / 3}


def mixed(p: Blocks) -> dict[str, ArrayLike]:
    """All of a block in each of its entries."""
    factors = np.random.default_rng(0).standard_normal((20, 20))
    return {**p, "W1": (factors @ p["W1"].ravel()).reshape(5, 4)}


MAPS: list[tuple[Callable[[Blocks], dict[str, ArrayLike]], Layout]] = [
    (renamed, shapes(NET)),
    (turned, shapes(NET, W1=(4, 5), V2=(5, 3))),
    (standardised, shapes(NET)),
    (two_biases, shapes(NET, c=(5,))),
    (tied, shapes(NET)),
    (constant, shapes(NET)),
    (mixed, shapes(NET)),
]


def column_by_column(own: Layout, image: Callable[[Array], Array]) -> Array:
    """The slopes, each parameter by itself, in a full matrix."""
    zero = image(np.zeros(own.size))
    return np.stack([(image(unit) - zero) / UNIT for unit in UNIT * np.eye(own.size)], axis=1)


@pytest.mark.parametrize(("means", "own"), MAPS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_map_is_the_one_that_each_parameter_by_itself_gives(means: Any, own: Layout) -> None:
    """To the bit, with no entry more: whatever is renamed, scaled, added up, tied, held or
    mixed.
    """

    def image(vector: Array) -> Array:
        return NET.layout.join(means(own.split(vector)))

    read = read_slopes(own, image, image(np.zeros(own.size)), progress.silent)
    expected = column_by_column(own, image)
    assert np.array_equal(read.toarray(), expected)
    assert read.nnz == np.count_nonzero(expected)
    assert Formulation.from_meaning(own, NET, means, idle=True).matrix.matrix.nnz == read.nnz


def placed(p: Blocks) -> dict[str, ArrayLike]:
    """Parts of tensors, some twice, and constants, also such as count from 1."""
    return {**turned(p), "V1": p["W1"].T[:, :3], "b": np.arange(1, 6), "b_v": 0.5}


@pytest.mark.parametrize("means", [renamed, turned, placed])
def test_a_map_of_parts_and_constants_is_read_from_two_images(means: Any) -> None:
    """It is the same map, with the same transpose, as is read of any function."""
    own = shapes(NET) if means is renamed else shapes(NET, W1=(4, 5), V2=(5, 3))
    images = []

    def counted(p: Blocks) -> dict[str, ArrayLike]:
        images.append(p)
        return dict(means(p))

    found = Formulation.from_meaning(own, NET, counted, idle=True, picks=True)
    assert len(images) == 2
    expected = Formulation.from_meaning(own, NET, means, idle=True)
    assert found.same_map(expected)
    for mine, theirs in ((found.matrix, expected.matrix), (found.matrix.transpose, None)):
        matrix = theirs.matrix if theirs else sparse.csr_array(expected.matrix.matrix.T)
        for name in ("data", "indices", "indptr"):
            assert np.array_equal(getattr(mine.matrix, name), getattr(matrix, name))


def test_a_constant_that_is_not_finite_is_refused() -> None:
    """Where a map is read from two images too."""
    with pytest.raises(NotAffine), np.errstate(invalid="ignore"):
        Formulation.from_meaning(
            shapes(NET), NET, lambda p: {**p, "b": np.inf}, idle=True, picks=True
        )


def test_a_map_of_a_network_that_is_not_all_connected_is_read() -> None:
    """Where its own parameters are a network's, some of which are not there."""
    sparse = Network(
        (2, 2), 3, (2, 2), "tanh", to_hidden=np.tri(3, 4) > 0, to_output=np.tri(4, 3, -1) == 0
    )
    swapped = reading(sparse, swap_blocks((B_W, B_V)))
    N = swapped.matrix.matrix.toarray()
    assert (N.sum(axis=0) == 1).all()
    assert np.array_equal(N @ N, np.eye(sparse.layout.size))


class Counted:
    """A meaning that counts its images."""

    def __init__(self, means: Callable[[Blocks], Any]) -> None:
        self.means, self.images = means, 0

    def __call__(self, p: Blocks) -> Any:
        self.images += 1
        return self.means(p)


def test_a_renaming_of_many_parameters_takes_few_images_and_memory_in_proportion() -> None:
    """Of 101,770: fewer than 40 images, and 200 bytes for each; a full matrix takes 800,000."""
    means = Counted(lambda p: {**p, "W1": p["W1"].T})
    own = shapes(LARGE, W1=(784, 128))
    assert LARGE.layout.size == 101_770
    tracemalloc.start()
    try:
        formulation = Formulation.from_meaning(own, LARGE, means)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert formulation.is_renaming
    assert means.images < 40
    assert peak < 200 * own.size


@pytest.mark.parametrize("turned", [False, True])
def test_sums_along_an_axis_take_as_many_images_as_they_have_terms(turned: bool) -> None:
    """Of standardised inputs, each bias less a row of 100: three for each term at most, not one for
    each parameter.
    """
    network, mean, sd = Network(100, 64, 3, "tanh"), np.arange(100.0), np.linspace(1, 2, 100)

    def means(p: Blocks) -> dict[str, ArrayLike]:
        W = (p["W1"].T if turned else p["W1"]) / sd
        return {**p, "W1": W, "b": p["b"] - W @ mean}

    counted = Counted(means)
    formulation = Formulation.from_meaning(
        shapes(network, W1=(100, 64) if turned else (64, 100)), network, counted
    )
    assert formulation.matrix.matrix.nnz == network.layout.size + 64 * 99
    assert counted.images < 3 * 100 < network.layout.size / 20


def test_numbers_of_groups_grow_by_half_and_end_with_one_for_each() -> None:
    """Primes between, so that no axis of a tensor falls into few of them."""
    assert list(group_counts(1)) == [1]
    assert list(group_counts(50)) == [1, 2, 5, 11, 17, 29, 47, 50]


def test_sums_as_logistic_are_those_that_the_formula_gives() -> None:
    """tanh(z) = 2 logistic(2z) - 1, whose map is built without reading it: two heads, not all
    connected.
    """
    mask = np.tri(5, 5, 2) > 0
    network = Network((4, 3), 5, (2, 3), "tanh", to_output=mask)

    def means(p: Blocks) -> dict[str, ArrayLike]:
        first = {name: 2 * p[name] for name in ("W1", "V1", "b")}
        heads = {"W2": 2 * p["W2"], "b_w": p["b_w"] - p["W2"].sum(axis=1)}
        return first | heads | {"V2": 2 * p["V2"], "b_v": p["b_v"] - p["V2"].sum(axis=1)}

    built, read = as_logistic(network), Formulation.from_meaning(network.layout, network, means)
    assert built.same_map(read)
    assert np.array_equal(built.absolute.matrix.toarray(), abs(read.matrix.matrix.toarray()))


def only_dense(w: Array) -> Array:
    """Not what it is where a single number is other than 0."""
    return w * (np.count_nonzero(w) != 1)


def never_all(w: Array) -> Array:
    """Not what it is where half are 0."""
    return w if np.count_nonzero(w) > 0.7 * w.size else 2 * w


@pytest.mark.parametrize("change", [np.round, np.abs, np.square, np.float16, only_dense, never_all])
@pytest.mark.parametrize("block", ["W1", "V2"])
def test_a_meaning_that_is_not_affine_is_refused(change: Any, block: str) -> None:
    """Also one that shows only where nearly all parameters are 0, as probes of few terms have
    them.
    """
    with np.errstate(over="ignore"), pytest.raises(NotAffine):
        Formulation.from_meaning(shapes(NET), NET, lambda p: {**p, block: change(p[block])})


def test_a_map_that_is_too_large_is_refused(
    monkeypatch: pytest.MonkeyPatch, approved: Callable[..., None]
) -> None:
    """In a sentence: one of too many factors, and one that takes too long to read."""
    said = []
    for limit, most in (("MOST_ENTRIES", 300), ("MOST_WORK", 2_000)):
        with monkeypatch.context() as here:
            here.setattr(f"harness.core.slopes.{limit}", most)
            with pytest.raises(TooLarge) as refused:
                Formulation.from_meaning(shapes(NET), NET, mixed)
            said.append(refused.value)
            assert Formulation.from_meaning(shapes(NET), NET, renamed).is_renaming
    approved(said)


def test_a_model_without_parameters_is_told_so(approved: Callable[..., None]) -> None:
    """There is nothing to read."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        Formulation.from_meaning(
            Layout.of_shapes({}), NET, lambda p: {block.name: 0 for block in NET.layout.blocks}
        )
    approved(str(refused.value))


def a_case(name: str, subject: Subject, network: Network) -> Case:
    return Case(
        name, network, [subject], [numpy_net], probes(draws=1, kinds=["random"]), checks=["forward"]
    )


def function(x1: Any, x2: Any, **p: Any) -> Any:
    """A network in torch; which one is all the same here."""
    h = (x1 @ p["W1"].T + x2 @ p["V1"].T + p["b"]).tanh()
    return h @ p["W2"].T + p["b_w"], h @ p["V2"].T + p["b_v"]


def test_what_parameters_mean_is_read_once_a_run() -> None:
    """Where a subject is in two cases of one network; again for another network, and for another
    subject.
    """
    means, runner = Counted(renamed), Runner()
    sizes = {block.name: block.places.shape for block in NET.layout.blocks}
    subject = Subject(function, "one", parameters=means, shapes=sizes)
    [first, second] = [
        [runner.judge(name, trial, "") for trial in a_case(name, subject, NET).trials()]
        for name in ("a", "b")
    ]
    assert {verdict.status.name for verdict in (*first, *second)} == {"PASS"}
    once = means.images
    assert 0 < once < 50
    other = Network(NET.inputs, NET.hidden, NET.outputs, NET.activation)
    [runner.judge("c", trial, "") for trial in a_case("c", subject, other).trials()]
    assert means.images == 2 * once


def test_how_far_the_reading_is_is_said_where_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, approved: Callable[..., None]
) -> None:
    """With the case and the subject, in percent; nothing is said of what has ended after two
    seconds.
    """
    said: list[str] = []
    sizes = {block.name: block.places.shape for block in NET.layout.blocks}
    subject = Subject(function, "slow", parameters=renamed, shapes=sizes)
    Cache(a_case("a", subject, NET), say=said.append).formulation(subject)
    assert said == []
    monkeypatch.setattr("harness.waiting.progress.PATIENCE", 0.0)
    Cache(a_case("a", subject, NET), say=said.append).formulation(subject)
    assert len(said) == len(sizes)
    approved(said)


def test_the_first_free_parameter_of_each_entry_leads_it() -> None:
    """That adds to it alone, with factor 1: not one that is held, scaled or in two places."""
    own = Layout.of_shapes({"b": (5,), "c": (5,), "d": (5,), "e": (1,)})

    def means(p: Blocks) -> dict[str, ArrayLike]:
        return dict.fromkeys(("W1", "V1", "W2", "V2", "b_w", "b_v"), 0) | {
            "b": p["b"] + p["c"] + 2 * p["d"]
        }

    held: NDArray[np.bool_] = np.arange(own.size) == 1
    formulation = Formulation.from_meaning(own, NET, means, held, idle=True)
    assert NET.layout.split(formulation.leads.astype(float))["b"].tolist() == [0, 6, 2, 3, 4]
    assert (NET.layout.split(formulation.leads.astype(float))["W1"] == -1).all()
