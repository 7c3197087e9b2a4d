"""Draws a network of the two-headed family, with its weights.

Its hidden layer is h = g(W1 x1 + V1 x2 + b), for two groups of inputs x1 and x2. Its outputs are o1
= f(W2 h + b_w) and o2 = f(V2 h + b_v). With skip connections they are o1 = f(W2 h + S1_w x1 + S2_w
x2 + b_w), and o2 likewise. g and f are activations. A block is one of its matrices or vectors of
weights, such as W1 or b.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from markupsafe import Markup

from harness.drawing.style import make_element

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
PLACES = (52, 320, 588)  # of the columns, in units; text is 27 units high
WIDTH, ROW, RADIUS = 640, 82, 33  # units
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


def draw_network(label: str, weights: Mapping[str, float]) -> Markup | None:
    """Return an SVG drawing of a network from its weights by name, such as "W1[2, 1]".

    Bias nodes are squares, negative weights are dashed, and larger weights have wider lines.
    Returns None if a weight's name belongs to no block of the two-headed family. `label` describes
    the drawing to a screen reader.
    """
    edges = []
    for place, weight in weights.items():
        edge = _parse_edge(place, weight)
        if edge is None:
            return None
        edges.append(edge)
    nodes = {edge.source for edge in edges} | {edge.target for edge in edges}
    sizes = Counter(node.group for node in nodes)
    columns = _list_columns(nodes)
    height = ROW * max(map(len, columns), default=1)
    places = _place_nodes(columns, height)
    largest = max((abs(edge.weight) for edge in edges), default=0.0) or 1.0
    body = _draw_edges("plus", [edge for edge in edges if edge.weight >= 0], places, largest)
    body += _draw_edges("minus", [edge for edge in edges if edge.weight < 0], places, largest)
    body += "".join(_draw_node(node, place, sizes) for node, place in places.items())
    return make_element(label, WIDTH, height, body)


def _draw_edges(
    sign: str, edges: Iterable[Edge], places: Mapping[Node, tuple[int, int]], largest: float
) -> str:
    """Draw weights of one sign as lines; `sign`, "plus" or "minus", is their class in the style
    sheet.

    `places` has the place (x, y) of each node. A weight of the absolute value `largest` has the
    widest line.
    """
    lines = ""
    for edge in edges:
        (x, y), (to_x, to_y) = places[edge.source], places[edge.target]
        width = 1 + 9 * abs(edge.weight) / largest
        lines += f'<path d="M{x} {y}L{to_x} {to_y}" stroke-width="{width:.1f}"/>'
    return f'<g class="{sign}">{lines}</g>' if lines else ""


def _draw_node(node: Node, place: tuple[int, int], sizes: Mapping[str, int]) -> str:
    """Draw a node with its name at `place` (x, y); `sizes` has the number of nodes of each
    group.
    """
    x, y = place
    if node.is_bias:
        side = 2 * RADIUS - 8
        shape = f'<rect class="node" x="{x - side // 2}" y="{y - side // 2}" '
        shape += f'width="{side}" height="{side}"/>'
    else:
        turn = f"a{RADIUS} {RADIUS} 0 1 0"
        path = f"M{x - RADIUS} {y}{turn} {2 * RADIUS} 0{turn}-{2 * RADIUS} 0"
        shape = f'<path class="node" d="{path}"/>'
    name = _name_node(node, sizes)
    return f'{shape}<text x="{x}" y="{y + 9}" text-anchor="middle">{name}</text>'


def _parse_edge(place: str, weight: float) -> Edge | None:
    """Return the edge of a weight, read from the name `place`; None if the name belongs to no block
    in JOINS.
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


def _place_nodes(columns: Iterable[list[Node]], height: int) -> dict[Node, tuple[int, int]]:
    """Return the place (x, y) of each node in SVG units; each column is centred in `height`."""
    places: dict[Node, tuple[int, int]] = {}
    for x, column in zip(PLACES, columns, strict=True):
        top = (height - ROW * len(column) + ROW) // 2
        for row, node in enumerate(column):
            places[node] = x, top + ROW * row
    return places


def _name_node(node: Node, sizes: Mapping[str, int]) -> str:
    """Return the name of a node in the picture: "1", "h0" or "x[0]"; "x1[0]" if there are two
    groups of inputs.

    `sizes` has the number of nodes of each group.
    """
    group, number = node
    if node.is_bias:
        return "1"
    if group == "h":
        return f"h{number}"
    letter = group if f"{group[0]}2" in sizes else group[0]
    return f"{letter}[{number}]" if sizes[group] > 1 else letter
