"""The figures of a page, with headings and findings; their total size is limited."""

from collections.abc import Callable
from typing import NamedTuple

from markupsafe import Markup

from harness.core.report import Fit, Points, Report, grouped
from harness.core.verdict import R
from harness.drawing.diagram import draw_network
from harness.words.template import figure

MOST_WEIGHTS = 64  # of a network that is drawn
BYTES = 180_000  # of all figures of a page; those of networks come first
MOST_LINES = 26  # of a figure


class Drawn(NamedTuple):
    """A figure of a page: its heading, its HTML element, and its main result in a sentence.

    `element` is None if the page has no room for it.
    """

    heading: str
    element: Markup | None
    finding: str


class Networks(NamedTuple):
    """The networks that were fitted to the data of one case.

    `diagrams` are drawings of some of them, `fits` all of them, and `labels` the names of their
    weights.
    """

    case: str
    diagrams: list[Drawn]
    fits: list[Fit]
    labels: list[str]


class CaseFits(NamedTuple):
    """The trained networks of one case, with figures.

    `numbers` has a number for each trainer's name, which sets the style of its lines.
    """

    case: str
    figures: list[Drawn]
    fits: list[Fit]
    numbers: dict[str, int]


class Room:
    """Counts the bytes that are left for the figures of a page."""

    def __init__(self, size: int = BYTES) -> None:
        self.left, self.drawn = size, 0

    def draw(self, heading: str, finding: str, draw: Callable[[str], Markup | None]) -> list[Drawn]:
        """Return a figure in a list, without its element if there is no room for it.

        `finding` is its main result in a sentence. `draw` draws it, given a prefix for the ids in
        it. The list is empty if the figure cannot be drawn.
        """
        if self.left <= 0:
            return [Drawn(heading, None, finding)]
        element = draw(f"g{self.drawn}")
        if element is None:
            return []
        self.left -= len(element)
        self.drawn += 1
        return [Drawn(heading, element, finding)]


def draw_networks(report: Report, room: Room) -> list[Networks]:
    """Return drawings of the fitted networks of each case: of the first fit, and of the first fit
    from another source than this one, such as R.

    A network whose weights equal those of an earlier drawing is not drawn again; the earlier
    drawing names the further cases.
    """
    weighed = [fit for fit in report.fits if fit.weights]
    cases = grouped(weighed, lambda fit: fit.case)
    cases_by_weights: dict[tuple[tuple[str, float], ...], list[str]] = {}
    chosen: dict[str, list[Fit]] = {}
    for case, fits in cases.items():
        others = [fit for fit in fits if fit.source != fits[0].source]
        for fit in fits[:1] + others[:1]:
            seen = cases_by_weights.setdefault(tuple((fit.weights or {}).items()), [])
            if not seen:
                chosen.setdefault(case, []).append(fit)
            seen.append(case)
    found = []
    for case, fits in cases.items():
        diagrams: list[Drawn] = []
        for fit in chosen.get(case, []):
            _, *others_of = cases_by_weights[tuple((fit.weights or {}).items())]
            diagrams += _draw_diagram(fit, others_of, room)
        labels = dict.fromkeys(name for fit in fits for name in fit.weights or ())
        found.append(Networks(case, diagrams, fits, list(labels)))
    return found


def _draw_diagram(fit: Fit, others: list[str], room: Room) -> list[Drawn]:
    """Return the diagram of a network; `others` are further cases with the same network."""
    weights = fit.weights or {}
    if len(weights) > MOST_WEIGHTS:
        return []
    name, largest = max(weights.items(), key=lambda item: abs(item[1]))
    negative = sum(weight < 0 for weight in weights.values())
    finding = (
        f"{len(weights)} weights, {negative} of them negative; the largest is {name},"
        f" {figure(largest)}."
    )
    if others:
        finding += f" The same in {', '.join(others)}."
    label = f"{fit.case}: the network that {fit.trainer} has fitted, with its weights as lines"
    return room.draw(fit.trainer, finding, lambda _: draw_network(label, weights))


def draw_fits(report: Report, room: Room) -> list[CaseFits]:
    """Return, for each case, its fits (trained networks) with figures of them.

    The curve of a fit by R is in the figures of all cases, for comparison.
    """
    plotted = [fit for fit in report.fits if fit.plot]
    context = [fit for fit in plotted if fit.source in R][:1]
    found = []
    for case, fits in grouped(report.fits, lambda fit: fit.case).items():
        here = [fit for fit in fits if fit.plot]
        if here and not any(fit.trainer == context[0].trainer for fit in here if context):
            here = context + here
        numbers = number_trainers([*here, *fits])
        figures = _draw_curves(case, here, report.points, numbers, room)
        figures += _draw_losses(case, [fit for fit in fits if fit.curve], numbers, room)
        figures += _draw_ends(case, [fit for fit in fits if fit.losses], numbers, room)
        found.append(CaseFits(case, figures, fits, numbers))
    return found


def _draw_curves(
    case: str, fits: list[Fit], points: Points | None, numbers: dict[str, int], room: Room
) -> list[Drawn]:
    if not fits:
        return []
    from harness.drawing.figures import draw_curves, misses  # matplotlib takes half a second

    points = points if points and points["x"] else None
    finding = ""
    if off := misses(fits, points):
        (least, nearest), (most, farthest) = off[0], off[-1]
        finding = f"Closest to the points: {nearest}, off by at most {figure(least)}."
        if len(off) > 1:
            finding += f" Farthest: {farthest}, off by {figure(most)}."
    label = f"{case}: curves of {len(fits)} trainers over the points, letters as in the key"
    return room.draw(
        "Curves over the points",
        finding,
        lambda name: draw_curves(name, label, fits, points, numbers),
    )


def _draw_losses(case: str, fits: list[Fit], numbers: dict[str, int], room: Room) -> list[Drawn]:
    if not fits:
        return []
    from harness.drawing.figures import draw_losses

    ends = [(fit.curve[-1][1], fit.trainer) for fit in fits if fit.curve]
    finding = _describe_extremes("At the end", ends)
    label = f"{case}: loss by iteration of {len(fits)} trainers, letters as in the key"
    return room.draw(
        "Loss by iteration", finding, lambda name: draw_losses(name, label, fits, numbers)
    )


def _draw_ends(case: str, fits: list[Fit], numbers: dict[str, int], room: Room) -> list[Drawn]:
    if not fits:
        return []
    from harness.drawing.figures import draw_ends

    finding = _describe_extremes("Median loss", [(fit.median, fit.trainer) for fit in fits])
    label = f"{case}: losses of all starts of {len(fits)} trainers, letters as in the key"
    return room.draw(
        "Losses of all starts", finding, lambda name: draw_ends(name, label, fits, numbers)
    )


def _describe_extremes(what: str, values: list[tuple[float | None, str]]) -> str:
    """Return a sentence on the lowest and the highest of some values.

    `values` are pairs (value, name of the trainer). The sentence calls the quantity `what`.
    """
    known = sorted((value, trainer) for value, trainer in values if value is not None)
    if not known:
        return f"{what}: no number."
    (least, lowest), (most, highest) = known[0], known[-1]
    if len(known) == 1:
        return f"{what}: {lowest} {figure(least)}."
    return f"{what}: lowest {lowest}, {figure(least)}; highest {highest}, {figure(most)}."


def number_trainers(fits: list[Fit]) -> dict[str, int]:
    """Return a number for the name of each trainer. It sets the style of the trainer's lines in all
    figures.
    """
    trainers = dict.fromkeys(fit.trainer for fit in fits)
    return {trainer: number for number, trainer in enumerate(trainers)}


def describe_ends(fit: Fit) -> str:
    """Return the ways in which training ended, with the number of starts for each."""
    ways = fit.ended or {}
    return "; ".join(f"{way}: {count} of {fit.starts} starts" for way, count in ways.items())


def describe_good(fit: Fit) -> str:
    """Return the number of starts whose final loss counts as good, in words; "" if no limit is
    known.
    """
    if fit.share is None or fit.quality is None:
        return ""
    text = f"{round(fit.share * fit.starts)} of {fit.starts} starts"
    if fit.share_low is not None and fit.share_high is not None:
        text += f" ({100 * fit.share_low:.0f} to {100 * fit.share_high:.0f} %)"
    return f"{text} reach {figure(fit.quality)}"
