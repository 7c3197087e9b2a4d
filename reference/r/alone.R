# nnet's C engine asked for one draw (see nnet.R): it prints the loss, its gradient by the weights w, and the outputs.
# n: inputs, hidden units, outputs; nconn: the first weight into each unit; conn: where each weight comes from (0 is
# the bias); data: inputs, then targets, column by column; units from `linear` on are linear; flags: entropy, softmax,
# censored; decay: of each weight, or of all; share: what a row's error weighs in the loss, or those of all rows;
# logits: 1 if the outputs are asked before their logistic function or softmax, of a net without flags, else 0.
answer <- eval(quote({
    set_net <- function(linear, flags) {
        .C(VR_set_net, as.integer(n), as.integer(nconn), as.integer(conn), rep_len(decay, length(conn)),
           as.integer(linear), as.integer(flags[1L]), as.integer(flags[2L]), as.integer(flags[3L]))
    }
    rows <- length(data) %/% as.integer(n[1L] + n[3L])
    set_net(linear, flags)
    held <- .C(VR_dovm, rows, data, rep_len(share, rows), 0L, w, 0, 0L, 0L, 0L, 0, 0, 0L)
    back <- .C(VR_dfunc, w, double(length(w)), 0)
    if (logits == 1) set_net(1 + n[1L] + n[2L], c(0, 0, 0))
    c(back[[3L]], back[[2L]], .C(VR_nntest, rows, held[[2L]], double(rows * n[3L]), w)[[3L]])
}), list2env(list(), parent = asNamespace("nnet")))
writeLines(sprintf("%.17g", answer))
