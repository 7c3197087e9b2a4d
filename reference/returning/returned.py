"""Writes a copy of a fitted object with other weights, with R or without.

In shapes, S counts weights of the object.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.core.contract import Array
from harness.text.files import replace_whole, temporary_folder
from harness.text.reading import read_regular
from reference.r.session import RSession
from reference.rds.fit import FittedNet, Unsupported
from reference.rds.reading import read_fit
from reference.rds.stream import MOST_BYTES, read_stream
from reference.returning.claims import Claims
from reference.returning.object import to_wts
from reference.returning.stream import NA, Stream, pack_like

ATTRIBUTE = "nnet_parity"


def write_by_r(
    session: RSession, path: Path, wts: Array, claims: Claims | None, note: str
) -> bytes:
    """Return the content of the file that R's saveRDS() writes of the object with the weights (S,).

    `claims` are the numbers that depend on the weights; without them the file has NA for these, and
    the reason `note`.

    R's readRDS() decodes the file; nothing in it is evaluated.
    """
    new: tuple[float | Array | None, ...] = (None, None, None)
    if claims is not None:
        new = (claims.value, claims.fitted.T, claims.residuals.T)
    with temporary_folder() as folder:
        new_file = folder / "new.rds"
        session.call("save_returned", str(path.absolute()), str(new_file), wts, *new, note)
        return read_regular(new_file, MOST_BYTES)


def replace_bytes(path: Path, net: FittedNet, wts: Array, note: str) -> bytes:
    """Return the content of the file with other weights (S,), replaced in its bytes, and NA for the
    numbers that depend on the old weights.

    `note` says why these are NA. Raises Unsupported unless each part occurs in the bytes exactly
    once.
    """
    content, _ = read_stream(path)
    stream = Stream(content)
    stream.replace_numbers("wts", to_wts(net, net.wts), wts)
    claims = {"value": np.array([net.value]), "fitted.values": net.fitted.T.ravel()}
    claims["residuals"] = net.residuals.T.ravel()
    for name, number in zip(("deviance", "AIC"), net.criteria, strict=False):
        claims[name] = np.array([number])
    for name, old in claims.items():
        if old.size and not np.isnan(old).all():  # else an older run has marked them
            stream.replace_numbers(name, old, np.repeat(NA, old.size))
    stream.rename_hessian()
    if ATTRIBUTE.encode() not in stream.content:
        stream.add_attribute(ATTRIBUTE, note)
    return pack_like(read_regular(path, MOST_BYTES), stream.content)


def check_written(content: bytes, net: FittedNet, theta: Array, session: RSession) -> None:
    """Raise Unsupported unless a written file holds the weights of the port's network, bit for bit,
    in the same net.
    """
    with temporary_folder() as folder:
        new_file = folder / "new.rds"
        replace_whole({new_file: content})
        written = read_fit(new_file, session)
    same = written.topology == net.topology and written.error == net.error
    if not same or written.wts.tobytes() != theta.tobytes():
        raise Unsupported(
            "the weights were not found again in the written file: nothing is written"
        )
