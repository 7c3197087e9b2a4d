"""Log lines of torch that say nothing to a person."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

# torch's record for its own tools: empty messages at DEBUG, by the hundred for an export
TRACE = "torch.__trace"


@contextmanager
def quiet_torch() -> Iterator[None]:
    """Keep torch's trace out of what pytest shows of a failure; other handlers of that logger still
    get it.

    torch keeps the trace from the root logger, but pytest puts its handlers on such loggers too.
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
