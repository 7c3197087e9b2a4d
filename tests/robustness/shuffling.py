"""A pytest plugin: `-p tests.robustness.shuffling --shuffle SEED` draws the order of the items."""

from random import Random

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--shuffle SEED`."""
    parser.addoption("--shuffle", type=int, help="run the items in an order drawn from this seed")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle all items, across files and cases."""
    seed = config.getoption("--shuffle")
    if seed is not None:
        Random(seed).shuffle(items)
