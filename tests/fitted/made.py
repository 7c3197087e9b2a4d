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


def make_fit(path: Path, call: str, options: str = "", seed: int = 1) -> Path:
    """Have R make a fit by a call, and save it to a file with these options of saveRDS()."""
    text = f"local({{ {DATA.replace('SEED', str(seed))}; made <- {call}\n"
    LIVE.eval_text(f"{text} saveRDS(made, {str(path)!r}{options}) }})")
    return path
