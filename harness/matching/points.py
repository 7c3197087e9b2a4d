"""Chooses the points at which two models are evaluated: parameters and data."""

from __future__ import annotations

from harness.evaluating.data import is_drawn, make_batches, shift_rows
from harness.evaluating.draws import draw_state
from harness.mapping.models import Models, make_generator
from harness.matching.respondent import Ask
from harness.matching.result import AS_BUILT


def list_asks(models: Models) -> list[Ask]:
    """Return the points at which both models are evaluated: first the parameters as built, then
    random ones, each with every batch.
    """
    given, batches = models.given, list(models.batches)
    if len(batches) == 1 and is_drawn(given.data):
        for number in range(given.draws):
            more = make_batches(given.data, given.targets, make_generator(1 + number))
            batches.append(more[0])
    shifted = shift_rows(batches[0]) if len(batches) == 1 else None
    if shifted is not None:
        batches.append(shifted)
    reference = models.reference
    names = [*reference.tensors.drawn, *reference.moved]
    draws = given.draws if models.mapping.moves else 0
    points = max(draws + 1, len(batches))
    asks = [Ask(AS_BUILT, reference.built, batches[0], alone=points == 1)]
    for number in range(1, points):
        label, state, draw = AS_BUILT, reference.built, 0
        if draws:
            draw = (number - 1) % draws + 1
            label = f"drawn {draw}"
            state = draw_state(reference.built, names, 100 + draw)
        before = batches[(number - 1) % len(batches)] if number % 2 else None
        batch = batches[number % len(batches)]
        asks.append(Ask(label, state, batch, before, number, draw))
    return asks
