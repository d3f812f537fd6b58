"""The figures of charts: round marks beside an axis, shares that add up, and the largest with the rest."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from models.money import split

Thing = TypeVar("Thing")

_MARKS = 5  # at most, beside zero
_THOUSANDTHS = 1000


def marks(lowest: int, highest: int, step: int = 1) -> tuple[int, ...]:
    """Round values at equal distances, a few of them, from the lowest (or zero) to the highest (or zero) and beyond.

    They are whole multiples of `step`, e.g. of the minor units that make a major one. There are two at least.
    """
    lowest, highest = min(lowest, 0), max(highest, 0)
    apart = step
    factors = (2, 5, 10)
    size, place = step, 0
    while -(-highest // apart) - lowest // apart > _MARKS:
        apart = size * factors[place]
        place += 1
        if place == len(factors):
            size, place = size * 10, 0
    first, last = lowest // apart, max(-(-highest // apart), lowest // apart + 1)
    return tuple(each * apart for each in range(first, last + 1))


def thousandths(amounts: Sequence[int]) -> tuple[int, ...]:
    """The shares of amounts that are not negative, in thousandths that add up to a whole; none of nothing."""
    if not any(amounts):
        return tuple(0 for _ in amounts)
    return split(_THOUSANDTHS, amounts)


def largest(
    things: Sequence[Thing], most: int, amount: Callable[[Thing], int]
) -> tuple[tuple[Thing, ...], tuple[Thing, ...]]:
    """The things with the largest amounts, largest first, and the rest. Ties keep their order."""
    ordered = sorted(things, key=lambda each: -amount(each))
    return tuple(ordered[:most]), tuple(ordered[most:])
