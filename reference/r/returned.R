# Objects of nnet() and multinom() with other weights; evaluated into the environment of nnet.R. The file is untrusted:
# see fitted.R. Only fields are read that read_fit has found to be numbers; each other one is an argument first.

# The object in a file with other weights, saved to another file. `value`, `fitted` and `residuals` are those of the new
# weights; NULL where they are not known: then NA takes the place of the old ones, and `note`, an attribute, says so.
save_returned <- function(path, to, wts, value, fitted, residuals, note) {
    change <- function(object) {
        if (!identical(typeof(object), "list") || !inherits(object, "nnet")) stop("the file holds no nnet")
        kinds <- attr(object, "class")
        fit <- unclass(object)
        value <- if (is.null(value)) NA_real_ else value
        fit[["wts"]] <- wts
        fit[["value"]] <- value
        if (!is.null(fit[["fitted.values"]])) {
            fit[["fitted.values"]] <- put(fit[["fitted.values"]], fitted)
            fit[["residuals"]] <- put(fit[["residuals"]], residuals)
        }
        fit[["Hessian"]] <- NULL
        if ("multinom" %in% kinds) {
            fit[["deviance"]] <- 2 * value
            fit[["AIC"]] <- 2 * value + 2 * as_number(fit[["edf"]])
        }
        attr(fit, "nnet_parity") <- note
        attr(fit, "class") <- kinds
        saveRDS(fit, to)
    }
    change(load_object(path))
    TRUE
}

put <- function(old, new) {
    old[] <- if (is.null(new)) NA_real_ else new
    old
}

as_number <- function(x) if (typeof(x) %in% c("double", "integer") && length(x) == 1L) as.double(x) else NA_real_

# The loss and the outputs (rows x outputs) of an object's net at some weights. x: rows x inputs, y: rows x outputs.
evaluate_object <- function(path, wts, x, y, weights) {
    evaluate_one <- function(object) {
        fit <- unclass(object)
        .C(VR_set_net, as.integer(fit$n), as.integer(fit$nconn), as.integer(fit$conn),
           rep_len(as.double(fit$decay), length(wts)), as.integer(fit$nsunits), as.integer(fit$entropy),
           as.integer(fit$softmax), as.integer(fit$censored))
        on.exit(.C(VR_unset_net))
        rows <- nrow(x)
        held <- .C(VR_dovm, rows, c(x, y), weights, 0L, wts, 0, 0L, 0L, 0L, 0, 0, 0L)
        back <- .C(VR_dfunc, wts, double(length(wts)), 0)
        outputs <- .C(VR_nntest, rows, held[[2L]], double(length(y)), wts)[[3L]]
        list(back[[3L]], matrix(outputs, rows))
    }
    evaluate_one(load_object(path))
}
