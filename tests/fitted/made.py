"""Fits that R makes for the tests, and the files that saveRDS() writes of them."""

from __future__ import annotations

from pathlib import Path

from reference.r.nnet_reference import LIVE

DATA = """
set.seed(SEED)
d <- data.frame(a = rnorm(30), b = runif(30, 1, 3), f = factor(rep(c("u", "v", "w"), 10)),
                o = factor(rep(1:3, each = 10), ordered = TRUE), s = rep(c("p", "q"), 15),
                l = rep(c(TRUE, FALSE, FALSE), 10))
d$`a b` <- d$a; d$`a f` <- d$f
d$y <- with(d, sin(a) + b + (f == "v"))
x <- as.matrix(d[c("a", "b")])
u <- 1 / (1 + exp(-d$y))
fit <- function(...) nnet::nnet(..., trace = FALSE, maxit = 20)
"""
# names of fits, and the calls that make them
CALLS = {
    "matrix": "fit(x, d$y, size = 3, linout = TRUE)",
    "two outputs": "fit(x, cbind(first = d$y, second = d$a), size = 2, linout = TRUE)",
    "logistic": "fit(x, u, size = 2)",
    "formula": "fit(y ~ a * f + o + s + l, d, size = 2, linout = TRUE)",
    "skip": "fit(y ~ a + b, d, size = 2, skip = TRUE, linout = TRUE)",
    "size 0": "fit(x, d$y, size = 0, skip = TRUE, linout = TRUE)",
    "decay": "fit(x, d$y, size = 2, linout = TRUE, decay = seq(0, 0.1, length.out = 9))",
    "weights": "fit(x, d$y, weights = d$b, size = 2, linout = TRUE, decay = 0.01)",
    "mask": "fit(x, d$y, size = 2, linout = TRUE, mask = rep(c(TRUE, FALSE, TRUE), 3), Wts = 1:9)",
}
# classifications
EMPTY = "factor(as.character(f), levels = c('t', 'u', 'v', 'w'))"
CLASSES = {
    "softmax": "fit(f ~ a + b, d, size = 2, decay = 0.01)",
    "class.ind": "fit(x, nnet::class.ind(d$f), size = 2, softmax = TRUE, skip = TRUE)",
    "unnamed": "fit(x, unname(nnet::class.ind(d$f)), size = 2, softmax = TRUE)",
    "size 0 softmax": "fit(f ~ a + b, d, size = 0, skip = TRUE)",
    "binary": "fit(g ~ a + b, transform(d, g = factor(s)), size = 2, decay = 0.01)",
    "entropy": "fit(x, u, size = 2, entropy = TRUE)",
    "two entropies": "fit(x, cbind(p = u, q = u^2), size = 2, entropy = TRUE)",
    "censored": "fit(x, cbind(k = d$f != 'u', l = d$f != 'v', m = 1), size = 1, censored = TRUE)",
    "empty level": f"fit(e ~ a + b, transform(d, e = {EMPTY}), size = 2, decay = 0.01)",
    "multinom": "nnet::multinom(f ~ a + b * s + o, d, trace = FALSE, Hess = TRUE, decay = 0.01)",
    "multinom binary": "nnet::multinom(s ~ a + b, d, trace = FALSE)",
    "multinom counts": "nnet::multinom(cbind(k = 1:30, l = 30:1, m = 2) ~ a, d, trace = FALSE)",
    "multinom unnamed": "nnet::multinom(cbind(1:30, 30:1) ~ a, d, trace = FALSE)",
    "multinom censored": (
        "nnet::multinom(cbind(k = d$f != 'u', l = d$f != 'v', m = 1) ~ a, d, censored = TRUE,"
        " trace = FALSE)"
    ),
    "multinom without intercept": "nnet::multinom(f ~ a + b - 1, d, trace = FALSE)",
    "multinom empty": f"nnet::multinom(e ~ a, transform(d, e = {EMPTY}), trace = FALSE)",
}


def make_fit(path: Path, call: str, options: str = "", seed: int = 1) -> Path:
    """Have R make a fit by a call, and save it to a file with these options of saveRDS()."""
    text = f"local({{ {DATA.replace('SEED', str(seed))}; made <- {call}\n"
    LIVE.eval_text(f"{text} saveRDS(made, {str(path)!r}{options}) }})")
    return path
