"""Constants that are rounded where they are created or computed.

One model has torch.tensor(0.1) in float32, and the other 0.1. One model computes a table in
float32, and the other holds it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness.locating.frontier import Pool
from harness.rules.precision import precision_of
from harness.shadow.recording import Operation
from harness.shadow.shadow import Shadow

EXACT = 0.0  # the nearness at which numbers of a pool are equal but for the noise of float64
FEW = 8  # roundings to float32 behind a number that a user has computed, as by folding a norm
SHORT = 12  # significant bits of a constant that is taken as exact: 0.5, 3, 10


def list_rounded(shadow: Shadow, other: Shadow, module: Any) -> dict[int, Tensor]:
    """Return the rounding errors of a model's constants, by the number of the array in memory that
    holds the constant.

    The numbers are indices of `shadow.watched.run.versions`. Only constants are listed that are
    stored in a dtype narrower than float64, are no parameter of the module, and are not among the
    constants of the other model.
    """
    pool = Pool(other.leaves().values(), EXACT)
    own = {each.untyped_storage().data_ptr() for each in module.parameters()}
    errors = {}
    for version, numbers in shadow.leaves().items():
        stored = shadow.watched.run.versions[version].numbers
        narrow = stored.is_floating_point() and stored.dtype != torch.float64
        if not narrow or stored.untyped_storage().data_ptr() in own:
            continue
        constants = numbers.detach()
        if pool.has(constants):
            continue
        roundoff = precision_of(str(stored.dtype).removeprefix("torch.")).stored
        errors[version] = torch.where(_are_exact(constants), 0.0, roundoff * abs(constants))
    return errors


def _are_exact(numbers: Tensor) -> Tensor:
    """Return a mask of the numbers that are taken as exact: short and infinite ones."""
    scaled = torch.frexp(numbers).mantissa * 2.0**SHORT
    return (scaled == scaled.round()) | numbers.isinf()


def list_stored(shadow: Shadow, module: Any) -> dict[int, Tensor]:
    """Return the errors that a few roundings to float32 leave in the parameters and buffers of a
    module, by the number of the array in memory.

    Only arrays are listed that float32 holds exactly. A number that follows from several others may
    be off by more than its own rounding. Numbers that are taken as exact, such as those of a mask,
    have no error.
    """
    tensors = [*module.parameters(), *module.buffers()]
    own = {each.untyped_storage().data_ptr() for each in tensors}
    errors = {}
    for version, numbers in shadow.leaves().items():
        stored = shadow.watched.run.versions[version].numbers
        if not stored.is_floating_point() or stored.untyped_storage().data_ptr() not in own:
            continue
        held = numbers.detach()
        computed = ~_are_exact(held)
        if computed.any() and torch.equal(held, held.float().double()):
            error = FEW * precision_of("float32").stored * abs(held[computed]).max()
            errors[version] = error * computed
    return errors


class Tables(NamedTuple):
    """The constants that a model computes and the other one holds, equal as observed.

    `numbers` are the observed ones in float64, and `errors` their differences to the repeated ones,
    by the number of their version. `operations` compute them.
    """

    numbers: dict[int, Tensor]
    errors: dict[int, Tensor]
    operations: frozenset[Operation]


def find_tables(shadow: Shadow, other: Shadow) -> Tables:
    """Return the constants that operations of a model compute from no parameter and no input, and
    that the other model holds, such as a table of frequencies in float32.
    """
    pool = Pool(other.leaves().values(), EXACT)
    run = shadow.watched.run
    makers: dict[int, frozenset[Operation]] = {}  # of constants, by version
    constants: dict[int, Tensor] = {}
    errors: dict[int, Tensor] = {}
    found: frozenset[Operation] = frozenset()
    for operation in run.operations:
        read = {place.version for place in operation.places}
        if not read <= makers.keys() or operation.backward:
            continue
        by = frozenset([operation]).union(*(makers[version] for version in read))
        for place in operation.results:
            if place is None:
                continue
            makers[place.version] = by
            observed = run.versions[place.version].numbers
            if not observed.is_floating_point() or by & found:
                continue
            repeated = shadow.replay.get(place.version).detach()
            numbers = observed.double().reshape(repeated.shape)
            if not torch.equal(numbers, repeated) and pool.has(numbers):
                constants[place.version] = numbers
                errors[place.version] = abs(numbers - repeated)
                found |= by
    return Tables(constants, errors, found)


def hold_tables(subject: Shadow, reference: Shadow) -> tuple[Shadow, Shadow]:
    """Return both shadows with their tables (`find_tables`) as observed, so that these do not
    differ from the other model's constants by their rounding.
    """
    pairs = (subject, reference), (reference, subject)
    tables = [find_tables(one, other).numbers for one, other in pairs]
    held = [one.hold(each) if each else one for (one, _), each in zip(pairs, tables, strict=True)]
    return held[0], held[1]
