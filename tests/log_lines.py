"""What the processes would write to their log while a test runs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

from activities.logs import TALKATIVE


@contextmanager
def log_lines(formatter: logging.Formatter, level: int = logging.INFO) -> Iterator[StringIO]:
    """Every record of every logger, formatted when it is made, as the processes do."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    levels = {logging.getLogger(name): logging.WARNING for name in TALKATIVE} | {logging.getLogger(): level}
    before = {logger: logger.level for logger in levels}
    for logger, chosen in levels.items():
        logger.setLevel(chosen)
    logging.getLogger().addHandler(handler)
    try:
        yield written
    finally:
        logging.getLogger().removeHandler(handler)
        for logger, chosen in before.items():
            logger.setLevel(chosen)
