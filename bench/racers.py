"""`python -m bench.racers`: racers per second for one last seat or one coupon, beside bare UPDATEs of the same rows.

What everybody wants is one row, so everybody waits for it: the rate says how long placing an order keeps that row
locked, and how much of that is more than PostgreSQL itself needs.
"""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import asyncpg
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert, text, update
from sqlmodel import col

import migrations
from activities.database import Sessions, open_database, sessions_of
from activities.placing import place
from bench.machine import machine
from bench.timing import Timing, in_lanes, pooled, spread
from models.errors import Reason
from models.identifiers import order_workflow_id
from models.messages.orders import OrderLineRequest, OrderRequest, PlacedOrder, PlaceOrder
from models.tables import Coupon, Course, Person
from models.tables.columns import now
from models.vocabulary import PaymentMethod
from sandbox.postgres import EmbeddedPostgres
from sandbox.sample_academy import load_academy, sample_id

_SEAT = sample_id("course", "thesis-seminar")
_UNLIMITED = sample_id("course", "spanish-a1")
_COUPON = sample_id("coupon", "FIVEOFF")
_TAKE_SEAT = "UPDATE courses SET seats_taken = seats_taken + 1 WHERE id = $1 AND seats_taken < capacity RETURNING id"
_TAKE_USE = "UPDATE coupons SET uses = uses + 1 WHERE id = $1 AND uses < usage_limit RETURNING id"
_WARM_UP = 20

console = Console()
if console.width < 120 and not console.is_terminal:
    console = Console(width=120)


@dataclass(frozen=True)
class Prize:
    """What is raced for: how an order asks for it, the bare statement, and how many can have it."""

    name: str
    course_id: UUID
    coupon_code: str | None
    bare_statement: str
    row_id: UUID
    winners: int
    refusal: Reason


@dataclass
class Result:
    """The rounds of one prize, Registrar's and those of the bare statement."""

    prize: str
    racers: int
    winners: int
    registrar: list[Timing] = field(default_factory=list)
    floor: list[Timing] = field(default_factory=list)


def _prizes(racers: int) -> tuple[Prize, Prize]:
    return (
        Prize("the last seat", _SEAT, None, _TAKE_SEAT, _SEAT, 1, Reason.COURSE_FULL),
        Prize("one coupon", _UNLIMITED, "FIVEOFF", _TAKE_USE, _COUPON, racers // 4, Reason.COUPON_USED_UP),
    )


async def race(url: str, racers: int, lanes: int, rounds: int) -> list[Result]:
    """Race for both prizes in an empty, migrated database. Raises `AssertionError` if a prize went out too often."""
    engine = open_database(url, lanes)
    sessions = sessions_of(engine)
    bare = await asyncpg.create_pool(url.replace("+asyncpg", ""), min_size=lanes, max_size=lanes)
    try:
        await load_academy(sessions)
        people = await _enlist(sessions, racers)
        results = []
        for prize in _prizes(racers):
            result = Result(prize.name, racers, prize.winners)
            for number in range(rounds + 1):
                # The first round, a short one, warms up both.
                runners = people if number else people[:_WARM_UP]
                ours = await _round(sessions, prize, runners, lanes, _ordering(sessions, prize))
                floor = await _round(sessions, prize, runners, lanes, _updating(bare, prize))
                if number:
                    result.registrar.append(ours)
                    result.floor.append(floor)
            results.append(result)
        return results
    finally:
        await bare.close()
        await engine.dispose()


async def _enlist(sessions: Sessions, count: int) -> list[UUID]:
    ids = [uuid4() for _ in range(count)]
    rows = [
        {"id": each, "created_at": now(), "updated_at": now(), "email": f"{each.hex}@racers.test", "full_name": "Racer"}
        for each in ids
    ]
    async with sessions.begin() as session:
        await session.execute(insert(Person).values(locale="en", time_zone="UTC", may_pay_by_invoice=False), rows)
    return ids


async def _round(
    sessions: Sessions, prize: Prize, people: Sequence[UUID], lanes: int, take: Callable[[UUID], Awaitable[bool]]
) -> Timing:
    async with sessions.begin() as session:
        await session.execute(text("TRUNCATE orders, audit_log CASCADE"))
        await session.execute(update(Course).where(col(Course.id) == _SEAT).values(seats_taken=0))
        limit = prize.winners if prize.coupon_code else None
        await session.execute(update(Coupon).where(col(Coupon.id) == _COUPON).values(uses=0, usage_limit=limit))
    timing, won = await in_lanes(people, lanes, take)
    if won.count(True) != min(prize.winners, len(people)):
        raise AssertionError(f"{prize.name}: {won.count(True)} won instead of {prize.winners}")
    return timing


def _ordering(sessions: Sessions, prize: Prize) -> Callable[[UUID], Awaitable[bool]]:
    async def take(person: UUID) -> bool:
        placed = await place(sessions, _order(prize, person))
        return _has_won(placed, prize)

    return take


def _order(prize: Prize, person: UUID) -> PlaceOrder:
    request = OrderRequest(
        order_id=uuid4(),
        payer_id=person,
        lines=(OrderLineRequest(course_id=prize.course_id, student_id=person),),
        coupon_code=prize.coupon_code,
        payment_method=PaymentMethod.CHECKOUT,
        requested_by=f"student:{person}",
        digest="0" * 64,
    )
    return PlaceOrder(request=request, workflow_id=order_workflow_id(request.order_id))


def _has_won(placed: PlacedOrder, prize: Prize) -> bool:
    if placed.refusal not in (None, prize.refusal):
        raise AssertionError(f"{prize.name}: refused as {placed.refusal}, {placed.refusal_detail}")
    return placed.refusal is None


def _updating(pool: asyncpg.Pool, prize: Prize) -> Callable[[UUID], Awaitable[bool]]:
    async def take(_: UUID) -> bool:
        async with pool.acquire() as connection, connection.transaction():
            return await connection.fetchval(prize.bare_statement, prize.row_id) is not None

    return take


def show(results: Sequence[Result], lanes: int, about: dict[str, str]) -> None:
    """Print the table."""
    console.print("\n" + ", ".join(f"{name} {value}" for name, value in about.items()), highlight=False)
    table = Table(title=f"Racers a second, {lanes} lanes, beside bare UPDATEs of the same row", title_justify="left")
    for column in ("prize", "racers", "winners", "racers/s (rounds)", "p50 ms", "p95 ms", "floor/s (rounds)", "rate ×"):
        table.add_column(column, justify="left" if column == "prize" else "right")
    for result in results:
        ours, floor = pooled(result.registrar), pooled(result.floor)
        table.add_row(
            result.prize,
            str(result.racers),
            str(result.winners),
            f"{ours.per_second:.0f} {_range(result.registrar)}",
            f"{ours.percentile(50):.1f}",
            f"{ours.percentile(95):.1f}",
            f"{floor.per_second:.0f} {_range(result.floor)}",
            f"{ours.per_second / floor.per_second:.3f}",
        )
    console.print(table)


def _range(rounds: Sequence[Timing]) -> str:
    slowest, fastest = spread(rounds)
    return f"({slowest:.0f}–{fastest:.0f})"


def main(
    racers: Annotated[int, typer.Option(min=_WARM_UP, help="for each prize and round")] = 400,
    lanes: Annotated[int, typer.Option(min=1, help="side by side, each with its own connection")] = 20,
    rounds: Annotated[int, typer.Option(min=1)] = 4,
    json_file: Annotated[Path | None, typer.Option("--json", help="write every time there, too")] = None,
) -> None:
    """Race for one last seat and for one coupon, and count how many a second are told yes or no."""
    about = machine()
    folder = Path(tempfile.mkdtemp(prefix="registrar-racers-"))
    try:
        with EmbeddedPostgres(folder / "data") as server:
            server.ensure_database("racers")
            url = server.url("racers")
            migrations.upgrade(url)
            results = asyncio.run(race(url, racers, lanes, rounds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(results, lanes, about)
    if json_file is not None:
        measured = {"machine": about, "lanes": lanes, "results": [asdict(result) for result in results]}
        json_file.write_text(json.dumps(measured, indent=2))


if __name__ == "__main__":
    typer.run(main)
