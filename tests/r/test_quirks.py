"""What R's nnet does that its user may not expect, each with R's own number.

The lines are those of nnet.c and nnet.R of nnet 7.3-18. Three facts are never run, since they crash
R or read memory that is not nnet's: a softmax of fewer weights than units writes beyond its memory
(nnet.c, line 86; here a Topology refuses it), a vector of decays that is too short is read beyond
its end (line 91; here it is checked), and a net that was unset is still evaluated (line 102).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from harness.core.contract import Array
from harness.core.formulation import Formulation
from harness.core.loss import Loss
from harness.core.problem import Problem
from reference import Network, numpy_net, r_nnet
from reference.r.nnet_reference import LIVE
from reference.r.session import RError
from reference.r.topology import Evaluation, Topology

pytestmark = pytest.mark.usefixtures("live_r")
LOST = 1000.0


def at(error: str, z: ArrayLike, t: ArrayLike, weight: float = 1.0) -> Evaluation:
    """nnet's numbers at one row whose outputs have these sums z (K,) and targets (K,); the gradient
    is by z.
    """
    sums, targets = np.atleast_1d(np.float64(z)), np.atleast_1d(np.float64(t))
    linear = error in ("softmax", "censored")
    net = Topology.dense(1, 0, len(sums), linear, True, error)
    theta = np.stack([sums, np.zeros(len(sums))], axis=1).ravel()
    row = np.zeros((1, 1, 1)), targets[None, None], np.full((1, 1), weight)
    found = LIVE.evaluate(net, theta[None], *row)
    return Evaluation(found.value, found.outputs.ravel(), found.gradient[0, ::2])


def ask(code: str) -> Any:
    """The value of R code that may name functions of nnet."""
    return LIVE.eval_text(f"suppressMessages(library(nnet)); {code}")


def test_logistic_outputs_of_an_entropy_are_clipped() -> None:
    """Beyond |z| = 15 a logistic output is exactly 0 or 1, for entropy as for squares (line
    157).
    """
    for error in ("squares", "entropy"):
        assert at(error, 15.0, 1.0).outputs[0] < 1
        assert at(error, np.nextafter(15.0, 16), 1.0).outputs[0] == 1
        assert at(error, -15.1, 1.0).outputs[0] == 0


def test_the_entropy_of_the_targets_is_taken_off() -> None:
    """Entropy costs 0 where the output equals a soft target (line 167); softmax keeps log 2."""
    assert at("entropy", 0.0, 0.5).value[0] == 0
    assert at("entropy", 0.0, 0.3).value[0] == pytest.approx(0.0822828785050518, rel=1e-14)
    assert at("softmax", [0.0, 0.0], [0.5, 0.5]).value[0] == pytest.approx(np.log(2), rel=1e-15)


def test_the_wrong_side_beyond_the_clip_costs_184() -> None:
    """At z = 15 a target of 0 costs 15; beyond, log(1e-80), that is 184.2068 (lines 167, 178)."""
    assert at("entropy", 15.0, 0.0).value[0] == pytest.approx(15.0000003056802, rel=1e-14)
    for z, t in ((15.1, 0.0), (-15.1, 1.0), (700.0, 0.0)):
        assert at("entropy", z, t).value[0] == pytest.approx(184.206807439524, rel=1e-14)


@pytest.mark.parametrize("t", [1.5, -0.5])
def test_targets_outside_0_to_1_drop_a_term(t: float) -> None:
    """Entropy counts only the term whose factor is positive, and keeps the slope y - t (lines 175
    and 276).
    """
    found = at("entropy", 0.0, t)
    assert found.value[0] == pytest.approx(1.64791843300216, rel=1e-14)
    assert found.gradient[0] == 0.5 - t


def test_entropys_slope_is_y_minus_t_where_the_loss_is_flat() -> None:
    """Beyond the clip the loss is constant, and its gradient is 1 all the same (line 276)."""
    one, other = at("entropy", 20.0, 0.0), at("entropy", 30.0, 0.0)
    assert one.value[0] == other.value[0]
    assert one.gradient[0] == other.gradient[0] == 1


def test_softmax_takes_the_logarithm_of_rounded_probabilities() -> None:
    """At logits 0 and 40 the loss is 0, though it is 4e-18 (line 204)."""
    assert at("softmax", [0.0, 40.0], [0.0, 1.0]).value[0] == 0


def test_a_subnormal_probability_loses_digits() -> None:
    """At logits 0 and 740 the loss of the first is 739.997, not 740 (line 227)."""
    found = at("softmax", [0.0, 740.0], [1.0, 0.0]).value[0]
    assert found == pytest.approx(739.99742066489091, rel=1e-15)


def test_a_probability_of_0_costs_1000_whatever_the_target() -> None:
    """Shares of one half at logits 0 and 800 cost 1000, exactly 400, and a target of 0 costs
    nothing (lines 222 to 227).
    """
    assert at("softmax", [0.0, 800.0], [0.5, 0.5]).value[0] == LOST
    assert at("softmax", [0.0, 800.0], [0.0, 1.0]).value[0] == 0


def test_case_weights_multiply_the_1000_and_the_slope() -> None:
    """A weight of 3 makes it 3000, and the slope three times (p - t) (lines 224, 237, 295)."""
    found = at("softmax", [0.0, 800.0], [0.5, 0.5], weight=3.0)
    assert found.value[0] == 3 * LOST
    assert found.gradient.tolist() == [-1.5, 1.5]


def test_softmax_takes_counts() -> None:
    """The slope is (sum t) p - t; a negative target enters it, and not the loss (line 270)."""
    counts = at("softmax", [0.0, 0.0], [2.0, 1.0])
    assert counts.value[0] == pytest.approx(3 * np.log(2), rel=1e-15)
    assert counts.gradient.tolist() == [-0.5, 0.5]
    negative = at("softmax", [0.0, 0.0], [2.0, -1.0])
    assert negative.value[0] == pytest.approx(2 * np.log(2), rel=1e-15)
    assert negative.gradient.tolist() == [-1.5, 1.5]


def test_censored_counts_targets_of_exactly_1() -> None:
    """A row without a target of 1 costs 1000, and its slope is p (lines 219 and 259)."""
    z = [0.0, 0.0, np.log(2)]
    two = at("censored", z, [1.0, 0.999, 1.0])
    assert two.value[0] == pytest.approx(-np.log(0.75), rel=1e-14)
    assert two.gradient == pytest.approx([0.25 - 1 / 3, 0.25, 0.5 - 2 / 3], rel=1e-14)
    none = at("censored", z, [0.999, 2.0, 0.0])
    assert none.value[0] == LOST
    assert none.gradient == pytest.approx([0.25, 0.25, 0.5], rel=1e-15)


def test_a_censored_row_of_probability_0_has_no_gradient() -> None:
    """At logits 0 and 800 it costs 1000, and its gradient is NaN (line 268)."""
    found = at("censored", [0.0, 800.0], [1.0, 0.0])
    assert found.value[0] == LOST
    assert np.isnan(found.gradient[0])


def test_decay_penalises_biases_and_masked_weights() -> None:
    """The loss gets the sum of decay w^2 of all weights, with slopes 2 decay w (lines 309, 317)."""
    wts = "Wts = c(1, 2, 3, 4), linout = TRUE, maxit = 0, trace = FALSE"
    values = ask(
        "x <- c(-1, 0, 2); y <- c(0, 1, 1);"
        f" f <- function(...) nnet(x, y, size = 1, {wts}, ...)$value;"
        " c(f(), f(decay = 0.5), f(decay = 0.5, mask = c(FALSE, TRUE, TRUE, TRUE)))"
    )
    assert values[1:] == pytest.approx(values[0] + 0.5 * 30, rel=1e-15)


def test_the_hessian_ignores_the_mask() -> None:
    """nnetHess() has a row for each weight, masked or not (line 453)."""
    same, size = ask(
        "set.seed(2); x <- matrix(rnorm(20), 10); y <- diag(3)[sample(3, 10, TRUE), ];"
        " h <- function(...) nnet(x, y, size = 2, softmax = TRUE, Wts = seq(-1, 1, length = 15),"
        " maxit = 0, trace = FALSE, Hess = TRUE, ...)$Hessian;"
        " m <- h(mask = rep(c(TRUE, FALSE, FALSE), 5)); c(identical(h(), m), nrow(m))"
    )
    assert (same, size) == (1, 15)


def test_a_fit_of_no_iteration_has_converged() -> None:
    """maxit = 0 reports a convergence of 0; maxit = 1 reports 1 (vmmin)."""
    code = (
        "sapply(0:1, function(n) nnet(matrix(1:4), 1:4, size = 1, Wts = (1:4) / 10, linout = TRUE,"
        " maxit = n, trace = FALSE)$convergence)"
    )
    assert ask(code).tolist() == [0, 1]


def test_small_targets_converge_early() -> None:
    """The default abstol of 1e-4 ends a fit of targets of 1e-3 at once; without it the loss gets a
    thousand times smaller.
    """
    early, late, convergence = ask(
        "f <- function(...) nnet(matrix(1:4), c(1, 2, 3, 2) * 1e-3, size = 1, Wts = (1:4) * 1e-4,"
        " linout = TRUE, trace = FALSE, maxit = 10000, ...);"
        " c(f()$value, f(abstol = 0, reltol = 1e-14)$value, f()$convergence)"
    )
    assert early == pytest.approx(5.239065e-06, rel=1e-5)
    assert convergence == 0
    assert late < early / 1000 or late < 1e-6


def test_the_claimed_loss_may_be_of_another_point() -> None:
    """fit$value is not always the loss of fit$wts (line 446)."""
    claimed, again = ask(
        "set.seed(50); x <- matrix(rnorm(12)); y <- sin(x); f <- function(...) nnet(x, y, size = 2,"
        " linout = TRUE, trace = FALSE, ...); fit <- f(maxit = 200, rang = 3);"
        " c(fit$value, f(maxit = 0, Wts = fit$wts)$value)"
    )
    assert claimed != again
    assert claimed == pytest.approx(again, rel=1e-9)


def test_softmax_turns_entropy_off_and_linout_on() -> None:
    """Whatever the user said; so does censored (nnet.R, line 87)."""
    flags = ask(
        "f <- function(...) {f <- nnet(0, matrix(c(0, 1, 0), 1), size = 0, skip = TRUE, maxit = 0,"
        " trace = FALSE, entropy = TRUE, ...); c(f$entropy, f$softmax, f$censored, f$nsunits)};"
        " c(f(softmax = TRUE), f(censored = TRUE))"
    )
    assert flags.tolist() == [0, 1, 0, 2, 0, 1, 1, 2]
    with pytest.raises(RError, match="entropy fit only for logistic units"):
        ask("nnet(0, 1, size = 1, linout = TRUE, entropy = TRUE)")


def test_a_logical_response_is_fitted_by_squares() -> None:
    """Without a word, unlike a factor of two levels (nnet.R, lines 44 to 63)."""
    kinds = ask(
        "x <- c(-1, 0, 2); f <- function(y) nnet(y ~ x, size = 1, Wts = 1:4, maxit = 0, trace ="
        " FALSE); a <- f(x > -0.5); b <- f(factor(x > -0.5)); c(a$entropy, b$entropy, a$value,"
        " b$value)"
    )
    assert kinds == pytest.approx([0, 1, 0.966895276999546, 4.09620883036524], rel=1e-14)


def test_a_response_of_texts_is_an_error() -> None:
    """A character response becomes NA, which is reported as such (nnet.R, line 96)."""
    with pytest.raises(RError, match="NA/NaN/Inf in foreign function call"):
        ask("nnet(c('a', 'b', 'a') ~ c(1, 2, 3), size = 1, trace = FALSE)")


EMPTY = (
    "d <- data.frame(x = c(-2, 0, 2, -2, 0, 2), y = factor(rep(c('b', 'c', 'd'), 2), levels ="
    " c('a', 'b', 'c', 'd'))); set.seed(1);"
)


def test_an_empty_level_mislabels_classes() -> None:
    """With a level "a" that no row has, predict(type = "class") says "a", "b", "c" for rows of
    classes b, c, d (nnet.R, line 44); the names of the columns are right.
    """
    classes, columns = ask(
        f"{EMPTY} f <- suppressWarnings(nnet(y ~ x, d, size = 2, decay = 1e-3, trace = FALSE));"
        " list(predict(f, d, type = 'class'), colnames(predict(f, d))[max.col(predict(f, d))])"
    )
    assert columns == ["b", "c", "d"] * 2
    assert classes == ["a", "b", "c"] * 2


def test_multinom_names_classes_rightly() -> None:
    """An empty level does not mislabel those of multinom()."""
    classes = ask(
        f"{EMPTY} f <- suppressWarnings(multinom(y ~ x, d, trace = FALSE));"
        " as.character(predict(f, d))"
    )
    assert classes == ["b", "c", "d"] * 2


TIED = (
    "f <- nnet(matrix(c(0, 0)), rbind(c(a = 1, b = 0), c(0, 1)), size = 0, skip = TRUE, softmax ="
    " TRUE, Wts = c({z}, 0, 0, 0), maxit = 0, trace = FALSE); set.seed(1); classes <-"
    " replicate(200, predict(f, matrix(0), type = 'class'));"
)


@pytest.mark.parametrize(
    ("z", "random"), [(0.0, True), (1e-6, True), (0.9e-5, True), (1.1e-5, False)]
)
def test_classes_within_1e_5_of_the_largest_are_random(z: float, random: bool) -> None:
    """predict(type = "class") draws among the outputs within 1e-5, relative to the largest, though
    one is larger (max.col; nnet.R, line 228).
    """
    p, first, second = ask(
        f"{TIED.format(z=z)} c(predict(f, matrix(0))[1], sum(classes == 'a'), sum(classes == 'b'))"
    )
    assert p >= 0.5
    assert first + second == 200
    assert (60 < second < 140) == random
    assert random or second == 0


def test_ties_follow_the_seed_of_r() -> None:
    """The same seed gives the same classes: they are drawn from R's random numbers."""
    one = ask(f"{TIED.format(z=0)} classes")
    assert ask(f"{TIED.format(z=0)} classes") == one
    assert ask(f"{TIED.format(z=0).replace('set.seed(1)', 'set.seed(2)')} classes") != one


def test_a_fit_on_a_matrix_takes_columns_by_position() -> None:
    """A fit by a formula takes them by name (nnet.R, line 201)."""
    by_position, by_name = np.split(
        ask(
            "d <- data.frame(a = c(1, 2, 3), b = c(0, 1, 0), y = c(1, 0, 2)); f <- function(...)"
            " nnet(..., size = 0, skip = TRUE, linout = TRUE, Wts = c(0, 1, 10), maxit = 0, trace ="
            " FALSE); m <- as.matrix(d[, 1:2]); c(predict(f(m, d$y), m[, 2:1]),"
            " predict(f(y ~ a + b, d), d[, 3:1]))"
        ),
        2,
    )
    assert by_position.tolist() == [10, 21, 30]
    assert by_name.tolist() == [1, 12, 3]


def test_multinom_masks_the_baseline_and_nnets_bias() -> None:
    """They stay at 0, and the intercepts are weights of a column of ones."""
    wts, coefficients = ask(
        "set.seed(3); d <- data.frame(x = rnorm(30), y = factor(sample(letters[1:3], 30, TRUE)));"
        " f <- multinom(y ~ x, d, trace = FALSE); list(f$wts, as.vector(t(coef(f))))"
    )
    held = np.array([True, True, True, True, False, False, True, False, False])
    assert not wts[held].any()
    assert (wts[~held] == coefficients).all()


def test_multinom_divides_counts_by_their_sums() -> None:
    """Counts are fitted as their shares, with the sums as weights (multinom.R, line 112)."""
    same = ask(
        "y <- cbind(a = c(2, 0, 1), b = c(1, 3, 0), c = c(0, 1, 4)); x <- c(0, 1, 2);"
        " counts <- multinom(y ~ x, trace = FALSE)$wts; w <- rowSums(y); shares <- y / w;"
        " identical(counts, multinom(shares ~ x, weights = w, trace = FALSE)$wts)"
    )
    assert same == 1


def test_coefficients_of_separable_data_are_not_found() -> None:
    """Where a line separates classes, multinom()'s coefficients grow with maxit without an end,
    while its predictions agree within 0.01: they are what to compare.
    """
    apart, predictions, classes = ask(
        "d <- data.frame(x = c(-2, -1.5, -1, -.2, .1, .9, 1.4, 2.2, 3, 3.5), y = factor(rep(c('a',"
        " 'b', 'c'), c(4, 3, 3)))); f <- multinom(y ~ x, d, trace = FALSE); g <- multinom(y ~ x, d,"
        " trace = FALSE, maxit = 10000, reltol = 1e-14, abstol = 1e-14); c(min(abs(coef(g) /"
        " coef(f))), max(abs(fitted(f) - fitted(g))), identical(predict(f), predict(g)))"
    )
    assert apart > 2
    assert predictions < 0.01
    assert classes == 1


POINTS: dict[str, tuple[str, Array, Array]] = {
    "soft": ("entropy", np.array([0.4]), np.array([0.3])),
    "outside": ("entropy", np.array([0.4]), np.array([1.5])),
    "clipped": ("entropy", np.array([20.0]), np.array([0.0])),
    "rounded": ("softmax", np.array([0.0, 40.0]), np.array([0.0, 1.0])),
    "subnormal": ("softmax", np.array([0.0, 740.0]), np.array([1.0, 0.0])),
    "lost": ("softmax", np.array([0.0, 800.0]), np.array([0.5, 0.5])),
    "counts": ("softmax", np.array([0.0, 1.0]), np.array([2.0, 1.0])),
    "negative": ("softmax", np.array([0.0, 1.0]), np.array([2.0, -1.0])),
    "censored": ("censored", np.array([0.0, 1.0, 2.0]), np.array([1.0, 0.5, 1.0])),
    "no class": ("censored", np.array([0.0, 1.0]), np.array([0.5, 0.0])),
}


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("from_logits", [False, True])
def test_the_contract_of_nnet_models_it(name: str, from_logits: bool) -> None:
    """At each of these points R's loss and gradient are within the bounds of the oracle under
    nnet's contract, and its value is the oracle's to twelve digits.
    """
    error, z, t = POINTS[name]
    output = "logistic" if error == "entropy" else "softmax"
    network = Network(1, 0, len(z), output="identity" if from_logits else output, skip=True)
    theta = np.stack([z, np.zeros(len(z))], axis=1).reshape(1, -1)
    loss = Loss(error=error, from_logits=from_logits)
    data = np.ones((1, 1, 1)), t[None, None]
    problem = Problem(name, Formulation.identity(network), theta, *data, loss)
    found = r_nnet.observe(problem).values
    bounds = network.oracle(problem, r_nnet.contract())
    for quantity in ("forward", "loss", "gradient"):
        bound = bounds[quantity]
        assert (abs(found[quantity] - bound.value) <= bound.error).all(), quantity
    assert found["loss"] == pytest.approx(bounds["loss"].value, rel=1e-12, abs=1e-12)
    if name in ("soft", "counts", "censored") and not from_logits:
        assert numpy_net.observe(problem).values["loss"] == pytest.approx(found["loss"], rel=1e-13)
