# Objects that nnet() returned, and that saveRDS() wrote to a file; evaluated into the environment of nnet.R.
# An .rds file is untrusted. `read_fit` forces nothing that it holds: R before 4.4 returns promises from a file, and a
# promise runs its code as soon as a variable that holds it is looked up. So each value is an argument of a function
# that asks for its type first: an argument is looked up as itself, and stays as it is if it is a promise.
# `ask_fit` calls predict(), which evaluates the fit's formula.

FIELDS <- c("n", "nunits", "nconn", "conn", "nsunits", "decay", "entropy", "softmax", "censored", "value", "wts",
            "convergence", "fitted.values", "residuals", "lev", "lab", "call", "terms", "coefnames", "contrasts", "xlevels",
            "deviance", "AIC")
LEFT_OUT <- list("symbol", double(), "", 0, list(), character(), list())
MOST_VALUES <- 100000L
MOST_DEEP <- 200L
MOST_LONG <- 2^25 # numbers of a file of 256 MiB
MOST_MEGABYTES <- 4096

# The object in a file. A vector that claims to be longer than the file may not take all memory. Not assigned here.
load_object <- function(path) {
    if (exists("mem.maxVSize", baseenv())) {
        before <- mem.maxVSize()
        mem.maxVSize(MOST_MEGABYTES)
        on.exit(mem.maxVSize(before))
    }
    readRDS(path)
}

# A value as data: its type, numbers, texts, which texts are NA, parts, and attributes by name.
encode <- function(value, count, depth = 1L) {
    kind <- typeof(value)
    count$values <- count$values + 1L
    if (count$values > MOST_VALUES || depth > MOST_DEEP) stop("it is nested too deeply, or holds too many values")
    described <- list(kind, double(), character(), double(), list(), character(), list())
    if (!kind %in% c("NULL", "logical", "integer", "double", "character", "symbol", "language", "list")) {
        return(described)
    }
    kept <- attributes(value)
    value <- unclass(value)
    if (length(value) > MOST_LONG) stop("it holds a vector that is too long")
    if (kind == "language") kept$names <- names(value)
    if (kind %in% c("logical", "integer", "double")) {
        described[[2L]] <- as.double(value)
    } else if (kind %in% c("character", "symbol")) {
        texts <- as.character(value)
        described[[4L]] <- as.double(is.na(texts))
        texts[is.na(texts)] <- ""
        described[[3L]] <- as_utf8(texts)
    } else if (kind %in% c("language", "list")) {
        # an argument that is left out, as in x[, 1], cannot be passed on
        described[[5L]] <- lapply(seq_along(value), function(i) {
            if (identical(value[[i]], quote(expr = ))) LEFT_OUT else encode(value[[i]], count, depth + 1L)
        })
    }
    kept <- kept[setdiff(names(kept), "row.names")]
    described[[6L]] <- as_utf8(as.character(names(kept)))
    described[[7L]] <- lapply(seq_along(kept), function(i) encode(kept[[i]], count, depth + 1L))
    described
}

as_utf8 <- function(texts) iconv(enc2utf8(texts), "UTF-8", "UTF-8", sub = "byte")

# The object in a file as data. Of a list only nnet's fields are read; of anything else only its type.
read_fit <- function(path) {
    describe <- function(object) {
        if (!identical(typeof(object), "list")) return(list(typeof(object), double(), character(), double(), list(),
                                                            character(), list()))
        kept <- attributes(object)[c("names", "class")]
        object <- unclass(object)
        chosen <- which(kept$names %in% FIELDS)
        count <- new.env()
        count$values <- 0L
        parts <- lapply(chosen, function(i) encode(object[[i]], count))
        names <- list(encode(kept$names[chosen], count), encode(kept$class, count), encode(kept$names, count))
        list("list", double(), character(), double(), parts, c("names", "class", "all names"), names)
    }
    describe(load_object(path))
}

# A fit that may be given to predict(): trusted, or with a formula of plain arithmetic that finds only R's own functions.
# predict() and model.frame() choose a method by the classes of what a file holds, and contrasts are called by name:
# none is left to the file.
load_fit <- function(path, trust) {
    check <- function(object) {
        if (!identical(typeof(object), "list") || !inherits(object, "nnet")) stop("the file holds no nnet")
        object
    }
    fit <- check(load_object(path))
    if (trust) {
        # R's own predict() takes a spline of the formula from there
        if (any(c("ns", "bs") %in% functions_of(attr(fit$terms, "predvars")))) library(splines)
        return(fit)
    }
    formula <- identical(class(fit), c("nnet.formula", "nnet")) || identical(class(fit), c("multinom", "nnet"))
    if (!formula && !identical(class(fit), "nnet")) stop("it has other classes than nnet() gives")
    if (formula) check_formula(fit)
    if (formula) environment(fit$terms) <- new.env(parent = asNamespace("stats"))
    fit
}

PLAIN <- c("list", "(", "+", "-", "*", "/", "^", "I", "log", "log2", "log10", "log1p", "exp", "expm1", "sqrt", "abs",
           "scale", "c", "factor", "as.factor")
CONTRASTS <- c("contr.treatment", "contr.sum", "contr.poly", "contr.helmert", "contr.SAS")

check_formula <- function(fit) {
    kept <- attributes(fit$terms)
    if (!identical(typeof(fit$terms), "language") || !identical(kept$class, c("terms", "formula"))) {
        stop("its terms are no formula")
    }
    parts <- c(kept[setdiff(names(kept), ".Environment")], fit$xlevels, fit$contrasts)
    if (any(vapply(parts, is.object, NA))) stop("a part of its terms has a class")
    # predict() leaves the response out
    response <- if (is.numeric(kept$response) && length(kept$response) == 1L) kept$response else 0
    inputs <- function(call) if (is.call(call) && response > 0) call[-(1L + response)] else call
    unknown <- setdiff(unlist(lapply(list(inputs(kept$predvars), inputs(kept$variables)), functions_of)), PLAIN)
    if (length(unknown)) stop(sprintf("its formula calls %s", paste(unknown, collapse = ", ")))
    known <- vapply(fit$contrasts, function(one) is.numeric(one) || all(one %in% CONTRASTS), NA)
    if (!all(known)) stop("the contrasts of its factors are functions that are not R's own contrasts")
}

functions_of <- function(call) {
    if (is.object(call)) return("a value with a class")
    if (!is.call(call)) return(if (is.name(call) || is.atomic(call)) character() else typeof(call))
    own <- if (is.name(call[[1L]])) as.character(call[[1L]]) else "an unnamed function"
    c(own, unlist(lapply(as.list(call)[-1L], functions_of)))
}

# The inputs that enter the net (rows x inputs), and predict()'s own answer (rows x outputs), for rows of raw data.
# `names` and `columns` are those of the rows: doubles, or texts. `prepare`, NULL or the text of an R expression, is
# evaluated with `x` bound to the rows. A row with a missing value becomes a row of NaN in both.
ask_fit <- function(path, names, columns, prepare, trust) {
    fit <- load_fit(path, trust != 0)
    x <- make_rows(fit, names, columns, prepare)
    if (!has_formula(fit)) return(ask_matrix(fit, x))
    # multinom's drops the dimensions of one row, and of one column
    outputs <- if (inherits(fit, "multinom")) predict(fit, x, type = "probs") else predict(fit, x)
    outputs <- matrix(outputs, nrow(x), fit$n[3L])
    terms <- delete.response(fit$terms)
    frame <- model.frame(terms, x, na.action = na.omit, xlev = fit$xlevels)
    inputs <- model.matrix(terms, frame, contrasts.arg = fit$contrasts)
    inputs <- inputs[, colnames(inputs) != "(Intercept)", drop = FALSE]
    whole <- matrix(NaN, nrow(x), ncol(inputs))
    whole[match(row.names(frame), row.names(x)), ] <- inputs
    list(whole, as_numbers(outputs))
}

# The classes that predict() names for rows of raw data, as texts, and which of them are NA.
ask_classes <- function(path, names, columns, prepare, trust) {
    fit <- load_fit(path, trust != 0)
    x <- make_rows(fit, names, columns, prepare)
    if (has_formula(fit)) {
        classes <- as.character(predict(fit, x, type = "class"))
    } else {
        x <- unname(as.matrix(x))
        whole <- stats::complete.cases(x)
        classes <- rep(NA_character_, nrow(x))
        if (any(whole)) classes[whole] <- as.character(predict(fit, x[whole, , drop = FALSE], type = "class"))
    }
    missing <- is.na(classes)
    classes[missing] <- ""
    list(as_utf8(classes), as.double(missing))
}

has_formula <- function(fit) inherits(fit, c("nnet.formula", "multinom"))

make_rows <- function(fit, names, columns, prepare) {
    formula <- has_formula(fit)
    x <- if (formula) make_frame(names, columns, attr(fit$terms, "dataClasses")) else make_matrix(names, columns)
    if (!is.null(prepare)) {
        prepared <- function() eval(parse(text = prepare, keep.source = FALSE), list(x = x), globalenv())
        x <- tryCatch(prepared(), error = function(e) stop(sprintf("prepare=: %s", conditionMessage(e)), call. = FALSE))
    }
    if (formula) as.data.frame(x) else x
}

ask_matrix <- function(fit, x) {
    x <- unname(as.matrix(x))
    if (!is.numeric(x)) stop("the prepared rows hold texts; this net was fitted on a matrix of numbers")
    storage.mode(x) <- "double"
    if (ncol(x) != fit$n[1L]) stop(sprintf("the prepared rows have %d columns, the net has %d inputs", ncol(x), fit$n[1L]))
    whole <- stats::complete.cases(x)
    outputs <- matrix(NaN, nrow(x), fit$n[3L])
    if (any(whole)) outputs[whole, ] <- as_numbers(predict(fit, x[whole, , drop = FALSE]))
    x[!whole, ] <- NaN
    list(x, outputs)
}

as_numbers <- function(x) {
    x <- unname(as.matrix(x))
    x[is.na(x)] <- NaN
    x
}

make_matrix <- function(names, columns) {
    if (!all(vapply(columns, is.double, NA))) stop("a column holds texts; this net was fitted on a matrix of numbers")
    matrix(unlist(columns), ncol = length(columns), dimnames = list(NULL, names))
}

# A csv does not say whether a column is a factor or a logical; the fit does.
make_frame <- function(names, columns, classes) {
    for (i in seq_along(names)) {
        class <- if (names[i] %in% names(classes)) classes[[names[i]]] else ""
        if (class == "other") {
            stop(sprintf("%s was fitted as a date, or as another class that rows do not hold: fit with as.numeric(%s)",
                         names[i], names[i]))
        }
        if (class == "logical") columns[[i]] <- as.logical(columns[[i]])
        # relevel() takes factors alone
        else if (is.character(columns[[i]]) && any(startsWith(names(classes), sprintf("relevel(%s,", names[i])))) {
            columns[[i]] <- factor(columns[[i]])
        }
        else if (class %in% c("factor", "ordered", "character")) columns[[i]] <- as.character(columns[[i]])
    }
    structure(columns, names = names, row.names = seq_along(columns[[1L]]), class = "data.frame")
}
