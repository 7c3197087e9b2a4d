"""Draws a network of the two-headed family, with its weights.

The family is h = g(W1 x1 + V1 x2 + b), o1 = f(W2 h + b_w), o2 = f(V2 h + b_v); with skip
connections o1 = f(W2 h + S1_w x1 + S2_w x2 + b_w). A block is one of its matrices or vectors of
weights, such as W1 or b.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.reporting.svg import CARD, INK, MINUS, PLUS, draw

# the groups of nodes that the weights of a block join: from, to
JOINS = {
    "W1": ("x1", "h"),
    "V1": ("x2", "h"),
    "b": ("1", "h"),
    "W2": ("h", "o1"),
    "V2": ("h", "o2"),
    "b_w": ("1'", "o1"),
    "b_v": ("1'", "o2"),
    "S1_w": ("x1", "o1"),
    "S2_w": ("x2", "o1"),
    "S1_v": ("x1", "o2"),
    "S2_v": ("x2", "o2"),
}
COLUMNS = (("x1", "x2", "1"), ("h", "1'"), ("o1", "o2"))  # the groups in each column of nodes
WEIGHT = r"(\w+)\[(\d\d?)(?:, (\d\d?))?\]"  # "W1[2, 1]" or "b[2]"


class Node(NamedTuple):
    """A node of the network: its group, such as "x1", and its number in the group, from 0."""

    group: str
    number: int

    @property
    def is_bias(self) -> bool:
        return self.group[0] == "1"


class Edge(NamedTuple):
    """A weight between two nodes."""

    source: Node
    target: Node
    weight: float


def diagram(name: str, label: str, weights: Mapping[str, float]) -> Markup | None:
    """Draw a network from its weights by name, with bias nodes as squares.

    Returns None if a weight's name belongs to no block of the two-headed family. `name` and `label`
    are those of `draw`.
    """
    edges = []
    for place, weight in weights.items():
        edge = _parse_edge(place, weight)
        if edge is None:
            return None
        edges.append(edge)
    nodes = {edge.source for edge in edges} | {edge.target for edge in edges}
    sizes = Counter(node.group for node in nodes)
    places = _place_nodes(nodes)

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), frameon=False, xticks=[], yticks=[])
        largest = max(map(abs, weights.values())) or 1.0
        for edge in edges:
            (x, y), (to_x, to_y) = places[edge.source], places[edge.target]
            width = 0.6 + 5.4 * abs(edge.weight) / largest
            if edge.weight >= 0:
                axes.plot((x, to_x), (y, to_y), color=PLUS, linewidth=width)
            else:
                dashed = (0, (5, 3))
                axes.plot((x, to_x), (y, to_y), color=MINUS, linestyle=dashed, linewidth=width)
        for node, place in places.items():
            _paint_node(axes, node, place, sizes)
        axes.margins(0.1)

    tallest = max(map(len, _list_columns(nodes)))
    return draw(name, label, paint, (5, 1 + 0.6 * tallest))


def _parse_edge(place: str, weight: float) -> Edge | None:
    """Return the edge of a weight, given the weight's name; None if the name belongs to no block in
    JOINS.
    """
    match = re.fullmatch(WEIGHT, place)
    if match is None or match[1] not in JOINS:
        return None
    source, target = JOINS[match[1]]
    return Edge(Node(source, int(match[3] or 0)), Node(target, int(match[2])), weight)


def _list_columns(nodes: Iterable[Node]) -> list[list[Node]]:
    """Return the nodes of each column, from top to bottom."""
    ordered = sorted(nodes)
    columns = []
    for groups in COLUMNS:
        column: list[Node] = []
        for group in groups:
            column += [node for node in ordered if node.group == group]
        columns.append(column)
    return columns


def _place_nodes(nodes: Iterable[Node]) -> dict[Node, tuple[float, float]]:
    """Return the coordinates (x, y) of each node; each column is centred at height 0."""
    places: dict[Node, tuple[float, float]] = {}
    for x, column in enumerate(_list_columns(nodes)):
        top = (len(column) - 1) / 2
        for row, node in enumerate(column):
            places[node] = x, top - row
    return places


def _paint_node(
    axes: Axes, node: Node, place: tuple[float, float], sizes: Mapping[str, int]
) -> None:
    """Paint a node with its name; `sizes` has the number of nodes of each group."""
    marker = "s" if node.is_bias else "o"
    axes.plot(*place, marker, color=CARD, markeredgecolor=INK, markersize=25, zorder=3)
    name = _name_node(node, sizes)
    axes.text(*place, name, ha="center", va="center", zorder=4, size=9)


def _name_node(node: Node, sizes: Mapping[str, int]) -> str:
    """Return the name of a node in the picture: "1", "h0" or "x[0]"; "x1[0]" if there are two
    groups of inputs.
    """
    group, number = node
    if node.is_bias:
        return "1"
    if group == "h":
        return f"h{number}"
    letter = group if f"{group[0]}2" in sizes else group[0]
    return f"{letter}[{number}]" if sizes[group] > 1 else letter
