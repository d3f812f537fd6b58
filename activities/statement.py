"""The account of a span of days: what there was, each movement, and what there is, each currency on its own."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.exceptions import ApplicationError

from activities.money_movements import Movement, balances, movements
from activities.report_facts import Heading, heading_of, within
from models.errors import Reason
from models.messages.exports import RenderReport

MOST_LINES = 200_000


class TooManyMovementsError(ApplicationError):
    """There are more movements in the span than a file can be made of. Asking for fewer days helps."""

    def __init__(self) -> None:
        super().__init__(
            f"more than {MOST_LINES} movements: ask for fewer days", type=Reason.TOO_MANY_ROWS, non_retryable=True
        )


@dataclass(frozen=True)
class StatementLine:
    """One movement. The amount is in minor units, negative where money leaves."""

    at: datetime
    kind: Movement
    order_number: str
    method: str
    reference: str | None
    reason: str | None
    received_on: date | None
    amount: int


@dataclass(frozen=True)
class Tie:
    """How the account stands at the snapshot, by its movements and by how orders, refunds and disputes stand."""

    by_movements: int
    by_record: int

    @property
    def difference(self) -> int:
        """Nothing, or something is wrong with the record."""
        return self.by_record - self.by_movements


@dataclass(frozen=True)
class CurrencyStatement:
    """The account in one currency."""

    currency: str
    opening: int
    lines: tuple[StatementLine, ...]
    later: int
    by_record: int

    @property
    def closing(self) -> int:
        """What there is at the end of the span."""
        return self.opening + sum(line.amount for line in self.lines)

    @property
    def tie(self) -> Tie:
        """The closing balance, with what has moved since, beside what the record comes to."""
        return Tie(self.closing + self.later, self.by_record)

    @property
    def by_kind(self) -> dict[Movement, tuple[int, int]]:
        """How many movements of each kind there are, and what they come to."""
        found: dict[Movement, tuple[int, int]] = {}
        for line in self.lines:
            count, amount = found.get(line.kind, (0, 0))
            found[line.kind] = (count + 1, amount + line.amount)
        return {kind: found[kind] for kind in Movement if kind in found}


@dataclass(frozen=True)
class Statement:
    """The account, by currency."""

    heading: Heading
    currencies: tuple[CurrencyStatement, ...]

    @property
    def row_count(self) -> int:
        """How many movements it has."""
        return sum(len(each.lines) for each in self.currencies)


async def read_statement(session: AsyncSession, asked: RenderReport) -> Statement:
    """Read it in one snapshot; the session is in it. Raises `TooManyMovementsError`."""
    heading = await heading_of(session, asked)
    around = {row.currency: row for row in (await session.execute(_around(heading))).all()}
    records = {currency: int(amount) for currency, amount in (await session.execute(balances())).all()}
    lines: dict[str, list[StatementLine]] = defaultdict(list)
    for currency, *values in (await session.execute(_lines(heading))).all():
        lines[currency].append(StatementLine(*values))
    if sum(map(len, lines.values())) > MOST_LINES:
        raise TooManyMovementsError
    known = [code for code in sorted({*around, *records}) if heading.currency in (None, code)]
    told = (
        CurrencyStatement(
            currency=code,
            opening=int(around[code].earlier) if code in around else 0,
            lines=tuple(lines[code]),
            later=int(around[code].later) if code in around else 0,
            by_record=records.get(code, 0),
        )
        for code in known
    )
    return Statement(heading, tuple(each for each in told if each.opening or each.lines or each.tie.difference))


def _around(heading: Heading) -> Select[*tuple[Any, ...]]:
    """What moved before the span and after it."""
    moved = movements()
    amount = func.sum(moved.c.amount)
    begins, ends = heading.span.begins(heading.zone), heading.span.ends(heading.zone)
    return select(
        moved.c.currency,
        func.coalesce(amount.filter(moved.c.at < begins), 0).label("earlier"),
        func.coalesce(amount.filter(moved.c.at >= ends), 0).label("later"),
    ).group_by(moved.c.currency)


def _lines(heading: Heading) -> Select[*tuple[Any, ...]]:
    moved = movements()
    c = moved.c
    return (
        select(
            *(c.currency, c.at, c.kind, c.order_number, c.method, c.reference, c.reason, c.received_on, c.amount),
        )
        .where(within(c.at, heading), *([] if heading.currency is None else [c.currency == heading.currency]))
        .order_by(c.currency, c.at, c.id)
        .limit(MOST_LINES + 1)
    )
