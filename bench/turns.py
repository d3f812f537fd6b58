"""Rounds in turn, so that whatever else the machine does falls on all sides alike."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench.figures import Round, Side
from bench.processors import ProcessorClock, used


@dataclass(frozen=True)
class Way:
    """One way to do the work: what it is called, the program that does it, and one round of it by its number."""

    name: str
    program: str
    work: Callable[[int], Awaitable[Round]]


async def take_turns(clock: ProcessorClock, ways: Sequence[Way], rounds: int) -> list[Side]:
    """Each way so many rounds, one after the other; a side for each."""
    taken: dict[str, list[Round]] = {way.name: [] for way in ways}
    spent: dict[str, list[dict[str, float]]] = {way.name: [] for way in ways}
    resident: dict[str, float] = {}
    for number in range(rounds):
        for way in ways:
            before = clock.read()
            done = await way.work(number)
            spent[way.name].append(used(before, clock.read(), done.pieces))
            taken[way.name].append(done)
            resident[way.name] = clock.resident().get(way.program, 0.0)
    return [
        Side(
            name=way.name,
            rounds=tuple(taken[way.name]),
            processor_ms=average(spent[way.name]),
            worker_mib=resident[way.name] or None,
        )
        for way in ways
    ]


def average(readings: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of several readings, by program; one that a reading has not got did nothing then."""
    names = dict.fromkeys(name for reading in readings for name in reading)
    return {name: sum(reading.get(name, 0.0) for reading in readings) / len(readings) for name in names}
