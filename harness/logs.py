"""Log lines of torch that say nothing to a person."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

TRACE = "torch.__trace"  # torch's record for its own tools: empty messages at DEBUG, by the hundred for an export


@contextmanager
def quiet_torch() -> Iterator[None]:
    """Keep torch's trace out of what pytest shows of a failure; a handler of that logger itself still gets it."""
    logger = logging.getLogger(TRACE)
    before, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.propagate = before
