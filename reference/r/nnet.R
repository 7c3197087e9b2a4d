# What the worker can ask of R, one function an ask. The file is evaluated in an environment whose parent is nnet's
# namespace: VR_set_net and its like are found there, and nothing that stands in the global environment can mask them.
# Numbers arrive as double vectors; an array of Python comes with its axes reversed, since R counts columns first.

# Every ask ends here: its value, or R's error message, and the warnings, as data.
answer <- function(ask, ...) {
    warnings <- character()
    note <- function(w) {
        warnings <<- c(warnings, conditionMessage(w))
        invokeRestart("muffleWarning")
    }
    found <- tryCatch(
        list("value", plain(withCallingHandlers(get(ask, mode = "function")(...), warning = note))),
        error = function(e) list("error", conditionMessage(e))
    )
    c(found, list(warnings))
}

# Integers and logicals become doubles here, where R still knows that NA is not a number.
plain <- function(value) {
    if (is.list(value)) lapply(value, plain)
    else if (is.character(value) || is.double(value)) value
    else as.double(value)
}

# `special` holds NaN, NA, Inf, -0 and the smallest subnormal. It goes back as it came, with R's opinion of each.
hello <- function(special) {
    holds <- c(is.nan(special[1L]), is.na(special[2L]) && !is.nan(special[2L]), special[3L] > .Machine$double.xmax,
               1 / special[4L] < 0, special[5L] * 1 > 0, .Machine$double.digits == 53L)
    versions <- c(as.character(getRversion()), getNamespaceVersion("nnet"), R.version$platform)
    list(special, holds, versions)
}

eval_text <- function(code) eval(parse(text = code, keep.source = FALSE), globalenv())

# nnet's C engine holds one net in static variables. n: inputs, hidden, outputs; nconn[i]: the first weight into unit i;
# conn: the source of each weight; units from nsunits on are linear; flags: entropy, softmax, censored. The engine
# checks nothing: entropy is for logistic outputs; softmax is for linear ones; censored needs the flag of softmax too.
# decay: one number, or one for each weight. The engine reads as many as there are weights, whatever the vector's length.
set_net <- function(n, nconn, conn, nsunits, flags, decay) {
    .C(VR_set_net, as.integer(n), as.integer(nconn), as.integer(conn), rep_len(decay, length(conn)),
       as.integer(nsunits), as.integer(flags[1L]), as.integer(flags[2L]), as.integer(flags[3L]))
}

# theta: weights x draws; data: (rows * (inputs + outputs)) x draws; weights: rows x draws, or NULL for ones.
# A column of the result is one draw: value, gradient, outputs (rows first). Outputs are probabilities if a flag is set;
# with `logits`, they are those of the same weights in a net of linear outputs without flags.
evaluate <- function(n, nconn, conn, nsunits, flags, decay, theta, data, weights, logits) {
    set_net(n, nconn, conn, nsunits, flags, decay)
    on.exit(.C(VR_unset_net))
    rows <- nrow(data) %/% as.integer(n[1L] + n[3L])
    size <- length(conn)
    ones <- rep(1, rows)
    none <- 0L
    number <- 0
    slopes <- double(size)
    fitted <- double(rows * n[3L])
    draws <- seq_len(ncol(theta))
    found <- vapply(draws, function(draw) {
        w <- theta[, draw]
        row_weights <- if (is.null(weights)) ones else weights[, draw]
        # Nothing to train, no iteration: VR_dovm is how the engine is told its data. It keeps pointers into them, so
        # `held` must outlive VR_dfunc.
        held <- .C(VR_dovm, rows, data[, draw], row_weights, none, w, number, none, none, none, number, number, none)
        back <- .C(VR_dfunc, w, slopes, number)
        c(back[[3L]], back[[2L]], .C(VR_nntest, rows, held[[2L]], fitted, w)[[3L]])
    }, double(1L + size + rows * n[3L]))
    if (logits != 0) {
        .C(VR_unset_net)
        set_net(n, nconn, conn, 1 + n[1L] + n[2L], c(0, 0, 0), 0)
        found[1L + size + seq_along(fitted), ] <- vapply(draws, function(draw) {
            .C(VR_nntest, rows, data[, draw], fitted, theta[, draw])[[3L]]
        }, fitted)
    }
    found
}

# nnet() as its user calls it; what is NULL is left out of the call.
fit_nnet <- function(size, linout, skip, flags, x, y, Wts, mask, weights, maxit, abstol, reltol, decay) {
    call <- list(x = x, y = y, size = size, Wts = Wts, linout = linout != 0, maxit = maxit, abstol = abstol,
                 reltol = reltol, decay = decay, MaxNWts = max(1000, length(Wts)), trace = FALSE)
    call$skip <- if (skip != 0) TRUE
    call$entropy <- if (flags[1L] != 0) TRUE
    call$softmax <- if (flags[2L] != 0 && flags[3L] == 0) TRUE
    call$censored <- if (flags[3L] != 0) TRUE
    call$mask <- if (!is.null(mask)) mask != 0
    call$weights <- weights
    net <- do.call(nnet::nnet, call)
    list(net$wts, net$value, unname(net$fitted.values), net$convergence)
}

# The same engine on connections that nnet() has no words for.
fit_engine <- function(n, nconn, conn, nsunits, flags, x, y, Wts, mask, weights, maxit, abstol, reltol, decay) {
    set_net(n, nconn, conn, nsunits, flags, decay)
    on.exit(.C(VR_unset_net))
    rows <- nrow(x)
    trained <- if (is.null(mask)) rep(1L, length(Wts)) else as.integer(mask != 0)
    held <- .C(VR_dovm, rows, c(x, y), if (is.null(weights)) rep(1, rows) else weights, length(Wts), Wts, 0,
               as.integer(maxit), 0L, trained, abstol, reltol, 0L)
    fitted <- .C(VR_nntest, rows, held[[2L]], double(length(y)), held[[5L]])[[3L]]
    list(held[[5L]], held[[6L]], matrix(fitted, rows), held[[12L]])
}

# R's optim() on the engine's own value and gradient, which it computes together.
fit_optim <- function(n, nconn, conn, nsunits, flags, x, y, Wts, weights, maxit, decay) {
    set_net(n, nconn, conn, nsunits, flags, decay)
    on.exit(.C(VR_unset_net))
    rows <- nrow(x)
    held <- .C(VR_dovm, rows, c(x, y), if (is.null(weights)) rep(1, rows) else weights, 0L, Wts, 0, 0L, 0L, 0L, 0, 0,
               0L)
    slopes <- double(length(Wts))
    at <- NULL
    known <- NULL
    back <- function(w) {
        if (!identical(w, at)) {
            known <<- .C(VR_dfunc, w, slopes, 0)
            at <<- w
        }
        known
    }
    end <- stats::optim(Wts, function(w) back(w)[[3L]], function(w) back(w)[[2L]], method = "BFGS",
                 control = list(maxit = maxit, abstol = 1e-8, reltol = 1e-9))
    fitted <- .C(VR_nntest, rows, held[[2L]], double(length(y)), end$par)[[3L]]
    list(end$par, end$value, matrix(fitted, rows), end$convergence)
}

# Seconds that one value and gradient takes in the engine, the mean of `reps` in a row.
time_gradient <- function(n, nconn, conn, nsunits, flags, x, y, w, reps) {
    set_net(n, nconn, conn, nsunits, flags, 0)
    on.exit(.C(VR_unset_net))
    rows <- nrow(x)
    held <- .C(VR_dovm, rows, c(x, y), rep(1, rows), 0L, w, 0, 0L, 0L, 0L, 0, 0, 0L)
    slopes <- double(length(w))
    started <- Sys.time()
    for (i in seq_len(reps)) .C(VR_dfunc, w, slopes, 0)
    as.numeric(Sys.time() - started, units = "secs") / reps
}

# Seconds that an ask takes in R, and its answer.
timed <- function(ask, ...) {
    f <- get(ask, mode = "function")
    started <- Sys.time()
    found <- f(...)
    list(as.numeric(Sys.time() - started, units = "secs"), found)
}
