"""How often tests of chance are played: as ten minutes allow, or, with `THOROUGH=1`, as often as it takes."""

import os

IS_THOROUGH = os.environ.get("THOROUGH") == "1"


def plays(number: int) -> range:
    """The seeds of a test that plays by itself: every one, or every third, which still span all of them."""
    return range(0, number, 1 if IS_THOROUGH else 3)


def parts(quick: int, thorough: int) -> range:
    """The parts of a test that are played, each with seeds of its own."""
    return range(thorough if IS_THOROUGH else quick)
