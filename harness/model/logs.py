"""Hides log lines that torch writes for its own tools."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

# torch's record for its own tools: empty messages at DEBUG, by the hundred for an export
TRACE = "torch.__trace"


@contextmanager
def quiet_torch() -> Iterator[None]:
    """Keep the log messages of torch.__trace out of pytest's report of a failure.

    Other handlers still get them. Torch does not pass these messages to the root logger, but pytest
    adds its handlers to such loggers too.
    """
    logger = logging.getLogger(TRACE)
    hidden = [
        handler for handler in logger.handlers if type(handler).__module__ == "_pytest.logging"
    ]
    for handler in hidden:
        logger.removeHandler(handler)
    try:
        yield
    finally:
        for handler in hidden:
            logger.addHandler(handler)
