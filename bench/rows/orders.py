"""Orders: from the call that places one until its mail is sent, beside the floor and what a team would use instead.

Registrar's order is the whole of it: priced and held over HTTP, a customer and a session at Stripe, paid on Stripe's
page, told by webhooks, read again, seated, a receipt as a PDF, a mail. The others take five plain steps.
"""

from collections.abc import Awaitable, Callable, Sequence

from bench.contenders import Floor, Registrar
from bench.figures import Round, Row, Side
from bench.rig import Rig
from bench.rivals.contest import Rival, contest
from bench.rivals.crash import Crashed, InDanger, RegistrarInDanger, RivalInDanger, crash_all
from bench.sizes import Size
from bench.timing import in_lanes
from bench.turns import Way, take_turns

_WARM_UP = 10
_OURS, _FLOOR = "an order over HTTP", "the same workflow, every step empty"


async def measure(rig: Rig, size: Size) -> list[Row]:
    """A row for each number of lanes. What survives `kill -9` stands in the last one."""
    await in_lanes(rig.numbers(_WARM_UP), 2, _carrying(rig.registrar))
    await in_lanes(range(_WARM_UP), 2, _carrying(rig.floor))
    async with contest(rig) as begun:
        rig.tell("orders: everybody has carried some")
        rows = [await _row(rig, size, lanes, begun.rivals) for lanes in size.lanes]
        if size.kills:
            rig.tell(f"orders: kill -9, {size.kills} times each")
            dangers: list[InDanger] = [
                RegistrarInDanger(rig, rig.numbers(size.kills * RegistrarInDanger.in_flight)),
                *(RivalInDanger(rig, begun, rival) for rival in begun.rivals),
            ]
            rows[-1] = _with_notes(rows[-1], await crash_all(dangers, size.kills))
    return rows


async def _row(rig: Rig, size: Size, lanes: int, rivals: Sequence[Rival]) -> Row:
    per_round = max(lanes, size.orders // size.rounds)

    def carried_by(contender: Registrar | Floor) -> Callable[[int], Awaitable[Round]]:
        async def work(_: int) -> Round:
            is_ours = isinstance(contender, Registrar)
            numbers = rig.numbers(per_round) if is_ours else range(per_round)
            timing, _done = await in_lanes(numbers, lanes, _carrying(contender))
            # Webhooks that come late must not be paid for by whoever is next.
            await rig.double.webhooks_settled(60)
            return Round.of(timing)

        return work

    def raced_by(rival: Rival) -> Callable[[int], Awaitable[Round]]:
        return lambda _: rival.round(per_round, lanes)

    ways = [
        Way(_OURS, "worker", carried_by(rig.registrar)),
        Way(_FLOOR, "floor worker", carried_by(rig.floor)),
        *(Way(rival.name, rival.processor_name, raced_by(rival)) for rival in rivals),
    ]
    ours, floor, *others = await take_turns(rig.clock, ways, size.rounds)
    return Row(name=f"orders, {lanes} at a time", piece="order", registrar=ours, floor=floor, others=tuple(others))


def _carrying(contender: Registrar | Floor) -> Callable[[int], Awaitable[None]]:
    async def whole(number: int) -> None:
        await contender.finish(await contender.place(number))

    return whole


def _with_notes(row: Row, crashed: dict[str, Crashed]) -> Row:
    def told(side: Side) -> Side:
        found = crashed.get(side.name)
        return side if found is None else side.model_copy(update={"notes": (*side.notes, str(found))})

    mine = crashed[RegistrarInDanger.name]
    ours = row.registrar.model_copy(update={"notes": (str(mine),)})
    return row.model_copy(update={"registrar": ours, "others": tuple(map(told, row.others))})
