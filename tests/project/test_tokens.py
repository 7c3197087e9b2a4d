"""The house stays as small as it can be read: tokens of each file, of each room, and of all.

`python tests/project/density.py` prints them by room, as CI does. Docstrings, comments and layout
cost nothing; `MOST_OF_ALL` is a ratchet: a change without a new capability lowers it or leaves it.
"""

from functools import cache
from pathlib import Path

from tests.project.density import MOST_TOKENS, Density, find_rooms, measure

ROOT = Path(__file__).parents[2]
MOST_OF_A_ROOM = 14_000
MOST_OF_ALL = 435_500


@cache
def measure_rooms(root: Path = ROOT) -> dict[str, dict[str, Density]]:
    """The counts of each file of each room."""
    return {
        room: {path.name: measure(path.read_text(encoding="utf-8")) for path in paths}
        for room, paths in find_rooms(root)
    }


def test_a_file_holds_one_idea() -> None:
    """None has more than MOST_TOKENS tokens: a larger one holds two."""
    for room, files in measure_rooms().items():
        for name, density in files.items():
            assert density.tokens <= MOST_TOKENS, f"{room}/{name}: split it by idea"


def test_a_room_is_a_room() -> None:
    """None has more than MOST_OF_A_ROOM tokens: a larger one is split by idea."""
    for room, files in measure_rooms().items():
        tokens = sum(density.tokens for density in files.values())
        assert tokens <= MOST_OF_A_ROOM, f"{room} has {tokens:,} tokens: split it by idea"


def test_the_house_grows_only_by_capabilities() -> None:
    """Who adds one raises MOST_OF_ALL by what it needs, and says so; who removes code lowers it."""
    found = sum(density.tokens for files in measure_rooms().values() for density in files.values())
    assert MOST_OF_ALL - 1_000 < found <= MOST_OF_ALL
