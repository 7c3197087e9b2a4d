# nnet's C engine asked for one draw (see nnet.R): it prints the loss, its gradient by the weights w, and the outputs.
# n: inputs, hidden units, outputs; nconn: the first weight into each unit; conn: where each weight comes from (0 is
# the bias); data: inputs, then targets, column by column; units from `linear` on are linear; decay: of each weight, or
# of all; share: what a row's squares weigh in the loss, or those of all rows.
answer <- eval(quote({
    .C(VR_set_net, as.integer(n), as.integer(nconn), as.integer(conn), rep_len(decay, length(conn)), as.integer(linear),
       0L, 0L, 0L)
    rows <- length(data) %/% as.integer(n[1L] + n[3L])
    held <- .C(VR_dovm, rows, data, rep_len(share, rows), 0L, w, 0, 0L, 0L, 0L, 0, 0, 0L)
    back <- .C(VR_dfunc, w, double(length(w)), 0)
    c(back[[3L]], back[[2L]], .C(VR_nntest, rows, held[[2L]], double(rows * n[3L]), w)[[3L]])
}), list2env(list(), parent = asNamespace("nnet")))
writeLines(sprintf("%.17g", answer))
