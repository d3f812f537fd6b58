"""Taking time: the same pieces of work in lanes side by side, how long each took, and how many were done a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

PHASES = ("place", "finish", "both")
_PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Timing:
    """What a phase took: every piece in milliseconds, all of them together in seconds."""

    seconds: float
    milliseconds: tuple[float, ...]

    @property
    def per_second(self) -> float:
        return len(self.milliseconds) / self.seconds

    def percentile(self, percent: int) -> float:
        """The time that this many percent of the pieces stayed within (nearest rank)."""
        ranked = sorted(self.milliseconds)
        return ranked[max(0, -(-len(ranked) * percent // 100) - 1)]


def pooled(timings: Iterable[Timing]) -> Timing:
    """Several rounds of one phase as one."""
    rounds = tuple(timings)
    pieces = tuple(piece for timing in rounds for piece in timing.milliseconds)
    return Timing(sum(timing.seconds for timing in rounds), pieces)


def spread(timings: Iterable[Timing]) -> tuple[float, float]:
    """The slowest and the fastest round, in pieces per second: how much to believe the rest."""
    rates = [timing.per_second for timing in timings]
    return min(rates), max(rates)


class Contender(Protocol):
    """One way to carry an order: Registrar's own, or the floor's."""

    async def place(self, number: int) -> str:
        """Start the order and return its workflow id once the caller has been answered."""

    async def finish(self, workflow_id: str) -> None:
        """Pay it and return once its workflow is closed. Raises unless it completed."""


async def in_lanes(
    items: Iterable[_Item], lanes: int, action: Callable[[_Item], Awaitable[_Result]]
) -> tuple[Timing, list[_Result]]:
    """Do the action for every item, `lanes` of them at a time. The first failure ends it all.

    An item that hangs is a failure, too (`TimeoutError`), never a number.
    """
    waiting = iter(items)
    done: list[tuple[float, _Result]] = []

    async def lane() -> None:
        for item in waiting:
            started = time.perf_counter()
            async with asyncio.timeout(_PATIENCE_SECONDS):
                result = await action(item)
            done.append(((time.perf_counter() - started) * 1000, result))

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(lanes):
            group.create_task(lane())
    return Timing(time.perf_counter() - began, tuple(took for took, _ in done)), [result for _, result in done]


async def measure(contender: Contender, numbers: range, lanes: int) -> dict[str, Timing]:
    """The three phases, one after the other: place half of the numbers, finish those, then place and finish the rest.

    Apart, so that the two calls do not disturb each other's times; then together, as a shop would see it.
    """
    half = len(numbers) // 2
    placing, placed = await in_lanes(numbers[:half], lanes, contender.place)
    finishing, _ = await in_lanes(placed, lanes, contender.finish)

    async def whole(number: int) -> None:
        await contender.finish(await contender.place(number))

    both, _ = await in_lanes(numbers[half:], lanes, whole)
    return dict(zip(PHASES, (placing, finishing, both), strict=True))
