"""A call of each sum and product of matrices that has a rule of rounding, on nasty numbers."""

from __future__ import annotations

from tests.selfcheck.rule_calls import Made, aten, maker
from tests.selfcheck.rule_draws import Draws

SIZES = (1, 2, 3, 17, 64, 300)


def reduction(name: str) -> None:
    def make(draws: Draws) -> Made:
        x = draws.tensor(draws.filled(1))
        if draws.chance(0.3):
            return getattr(aten, name).default, (x,), {}
        return getattr(aten, name).dim, (x, [draws.axis(x.shape)], draws.chance(0.5)), {}

    maker(name)(make)


def make_sum(draws: Draws) -> Made:
    x = draws.tensor(draws.filled(1))
    if draws.chance(0.3):
        return aten.sum.default, (x,), {}
    return aten.sum.dim_IntList, (x, [draws.axis(x.shape)], draws.chance(0.5)), {}


maker("sum")(make_sum)
reduction("mean")


def matrices(draws: Draws, left: int, right: int) -> list[object]:
    """Return two arrays with `left` and `right` axes that can be multiplied."""
    inner = draws.scalar(*SIZES)
    rows, columns = draws.scalar(1, 2, 3, 17), draws.scalar(1, 2, 3, 17)
    while inner * max(rows, columns) > draws.most:
        inner = max(inner // 2, 1)
        rows, columns = max(rows // 2, 1), max(columns // 2, 1)
    batch = [2] if left == 3 else []
    first = [*batch, rows, inner] if left > 1 else [inner]
    second = [*batch, inner, columns] if right > 1 else [inner]
    return [draws.tensor(first), draws.tensor(second)]


def product(name: str, left: int, right: int) -> None:
    def make(draws: Draws) -> Made:
        return getattr(aten, name).default, tuple(matrices(draws, left, right)), {}

    def make_with_sum(draws: Draws) -> Made:
        a, b = matrices(draws, left, right)
        shape = (a @ b).shape  # type: ignore[operator]
        c = draws.tensor(shape)
        factors = {}
        if draws.chance(0.5):
            factors = {"beta": draws.scalar(1, 0, 0.3, 2), "alpha": draws.scalar(1, 0.7, -1)}
        packet = getattr(aten, {"mm": "addmm", "bmm": "baddbmm", "mv": "addmv"}[name])
        return packet.default, (c, a, b), factors

    maker(name)(make)
    if name != "dot":
        maker({"mm": "addmm", "bmm": "baddbmm", "mv": "addmv"}[name])(make_with_sum)


product("mm", 2, 2)
product("bmm", 3, 3)
product("mv", 2, 1)
product("dot", 1, 1)
