"""A week's money: what came in and how, what went back, what Stripe took, and what is open; by currency."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Select, case, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.money_movements import DISPUTES, RECEIPTS, Movement, balances, movements
from activities.report_facts import Heading, day_of, heading_of, within
from activities.statement import Tie
from models.messages.exports import RenderReport
from models.tables import BalanceTransaction, Dispute, Document, Finding, HumanTask, Invoice, Order
from models.vocabulary import DocumentKind, FindingStatus, InvoiceStatus, TaskStatus
from rules.disputes import OPEN

AGES = ("not due yet", "1 to 14 days late", "15 to 30 days late", "more than 30 days late")
_LATE_BY = (0, 14, 30)


@dataclass(frozen=True)
class Counted:
    """Some things of one sort, and what they come to in minor units."""

    name: str
    count: int
    amount: int


@dataclass(frozen=True)
class Fees:
    """What Stripe's balance moved by one type of transaction, in minor units."""

    type: str
    count: int
    gross: int
    fee: int
    net: int


@dataclass(frozen=True)
class OpenInvoice:
    """An invoice that is not paid in full. `days_late` is negative or nothing as long as it is not due."""

    number: str | None
    order_number: str
    due_on: date
    days_late: int
    amount: int
    owed: int


@dataclass(frozen=True)
class Bridge:
    """From the sales of the span to the money that came in: what of the sales is not in it, and what else is."""

    sales: int = 0
    not_received: int = 0
    for_others: int = 0

    @property
    def received(self) -> int:
        """What came in."""
        return self.sales - self.not_received + self.for_others


@dataclass
class CurrencyFinance:
    """The money in one currency. What went back is counted positive."""

    currency: str
    received: list[Counted] = field(default_factory=list)
    refunded: list[Counted] = field(default_factory=list)
    returned: list[Counted] = field(default_factory=list)
    disputed: list[Counted] = field(default_factory=list)
    days: dict[date, tuple[int, int]] = field(default_factory=dict)
    fees: list[Fees] = field(default_factory=list)
    invoices: list[OpenInvoice] = field(default_factory=list)
    bridge: Bridge = Bridge()
    by_movements: int = 0
    by_record: int = 0

    @property
    def received_amount(self) -> int:
        """All that came in."""
        return sum(each.amount for each in self.received)

    @property
    def refunded_amount(self) -> int:
        """All that went back, less what came back of it."""
        return sum(each.amount for each in self.refunded) - sum(each.amount for each in self.returned)

    @property
    def tie(self) -> Tie:
        """All movements ever, beside what the record comes to."""
        return Tie(self.by_movements, self.by_record)

    def aged(self) -> list[Counted]:
        """The open invoices by how late they are."""
        found: dict[str, list[int]] = {age: [] for age in AGES}
        for invoice in self.invoices:
            found[AGES[sum(invoice.days_late > limit for limit in _LATE_BY)]].append(invoice.owed)
        return [Counted(age, len(owed), sum(owed)) for age, owed in found.items()]


@dataclass(frozen=True)
class OpenTasks:
    """The open tasks of one kind, and how many of them should have been decided."""

    queue: str
    kind: str
    count: int
    overdue: int


@dataclass(frozen=True)
class FinanceReport:
    """The money of a span, by currency, and what waits for people."""

    heading: Heading
    currencies: tuple[CurrencyFinance, ...]
    tasks: tuple[OpenTasks, ...]
    findings: tuple[tuple[str, int], ...]

    @property
    def row_count(self) -> int:
        """How many lines of figures it has."""
        return len(self.tasks) + len(self.findings) + sum(
            len(each.received) + len(each.refunded) + len(each.fees) + len(each.invoices) for each in self.currencies
        )  # fmt: skip


async def read_finance(session: AsyncSession, asked: RenderReport) -> FinanceReport:
    """Read it in one snapshot; the session is in it."""
    heading = await heading_of(session, asked)
    read: dict[str, CurrencyFinance] = {}

    def of(currency: str) -> CurrencyFinance:
        return read.setdefault(currency, CurrencyFinance(currency, days=dict.fromkeys(heading.span.steps(), (0, 0))))

    for currency, kind, name, count, amount in await _rows(session, _moved(heading)):
        told = of(currency)
        kinds = {Movement.REFUND: told.refunded, Movement.REFUND_RETURNED: told.returned}
        found = told.received if kind in RECEIPTS else kinds.get(kind, told.disputed)
        found.append(Counted(name, count, abs(int(amount))))
    for currency, day, came_in, went in await _rows(session, _by_day(heading)):
        days, step = of(currency).days, heading.span.step_of(day)
        days[step] = (days[step][0] + int(came_in), days[step][1] + int(went))
    for currency, name, count, amount in await _rows(session, _disputes(heading)):
        of(currency).disputed.append(Counted(name, count, int(amount)))
    for currency, kind, count, *amounts in await _rows(session, _fees(heading)):
        of(currency).fees.append(Fees(kind, count, *map(int, amounts)))
    for currency, number, order_number, due_on, amount, owed in await _rows(session, _open_invoices()):
        late = (heading.today - due_on).days
        of(currency).invoices.append(OpenInvoice(number, order_number, due_on, late, amount, owed))
    for currency, *amounts in await _rows(session, _bridge(heading)):
        of(currency).bridge = Bridge(*map(int, amounts))
    for currency, amount in await _rows(session, balances()):
        of(currency).by_record = int(amount)
    for currency, amount in await _rows(session, _all_movements()):
        of(currency).by_movements = int(amount)
    return FinanceReport(
        heading,
        tuple(read[code] for code in sorted(read) if heading.currency in (None, code)),
        tuple(OpenTasks(*row) for row in await _rows(session, _tasks(heading))),
        tuple((str(kind), count) for kind, count in await _rows(session, _findings())),
    )


async def _rows(session: AsyncSession, query: Select[*tuple[Any, ...]]) -> Sequence[Any]:
    return (await session.execute(query)).all()


def _moved(heading: Heading) -> Select[*tuple[Any, ...]]:
    """What came in, by how it was paid; what went back, by why."""
    c = movements().c
    name = case((c.kind.in_(RECEIPTS), c.method), (c.kind.in_(DISPUTES), c.kind), else_=c.reason)
    return (
        select(c.currency, c.kind, name, func.count(), func.sum(c.amount))
        .where(within(c.at, heading))
        .group_by(c.currency, c.kind, name)
        .order_by(c.currency, c.kind, func.sum(c.amount).desc(), name)
    )


def _by_day(heading: Heading) -> Select[*tuple[Any, ...]]:
    c = movements().c
    day, came_in = day_of(c.at, heading.zone), c.kind.in_(RECEIPTS)
    return (
        select(
            c.currency,
            day,
            func.coalesce(func.sum(c.amount).filter(came_in), 0),
            func.coalesce(-func.sum(c.amount).filter(~came_in), 0),
        )
        .where(within(c.at, heading))
        .group_by(c.currency, day)
    )


def _disputes(heading: Heading) -> Select[*tuple[Any, ...]]:
    """Those opened in the span, and those that are open now, whenever they were opened; inquiries too."""
    opened = _disputes_that(within(col(Dispute.opened_at), heading), "opened")
    still_open = _disputes_that(col(Dispute.status).in_(OPEN), "open_now")
    return select(union_all(opened, still_open).subquery())


def _disputes_that(is_meant: Any, name: str) -> Select[*tuple[Any, ...]]:
    return (
        select(
            col(Dispute.currency).label("currency"),
            literal(name).label("name"),
            func.count().label("count"),
            func.sum(col(Dispute.amount)).label("amount"),
        )
        .join(Order, col(Order.id) == col(Dispute.order_id))
        .where(is_meant, col(Order.is_test).is_(False))
        .group_by(col(Dispute.currency))
    )


def _fees(heading: Heading) -> Select[*tuple[Any, ...]]:
    """Stripe's own lines of those days, as far as they have been read; those of test orders are left out."""
    line = BalanceTransaction
    return (
        select(
            col(line.currency),
            col(line.type),
            func.count(),
            func.sum(col(line.amount)),
            func.sum(col(line.fee)),
            func.sum(col(line.net)),
        )
        .join(Order, col(Order.id) == col(line.order_id), isouter=True)
        .where(within(col(line.stripe_created_at), heading), func.coalesce(col(Order.is_test), False).is_(False))
        .group_by(col(line.currency), col(line.type))
        .order_by(col(line.currency), col(line.type))
    )


def _open_invoices() -> Select[*tuple[Any, ...]]:
    """As they are at the snapshot, the longest due first."""
    return (
        select(
            col(Invoice.currency),
            col(Document.number),
            col(Order.number),
            col(Invoice.due_on),
            col(Invoice.amount),
            col(Invoice.amount) - col(Invoice.paid_amount),
        )
        .join(Order, col(Order.id) == col(Invoice.order_id))
        .join(
            Document,
            (col(Document.order_id) == col(Order.id)) & (col(Document.kind) == DocumentKind.INVOICE),
            isouter=True,
        )
        .where(col(Invoice.status) == InvoiceStatus.OPEN, col(Order.is_test).is_(False))
        .order_by(col(Invoice.due_on), col(Order.number))
    )


def _bridge(heading: Heading) -> Select[*tuple[Any, ...]]:
    """Order by order: what it sold for in the span, and what came in for it in the span."""
    c = movements().c
    came_in = (
        select(c.order_id, c.currency, func.sum(c.amount).label("amount"))
        .where(within(c.at, heading), c.kind.in_(RECEIPTS))
        .group_by(c.order_id, c.currency)
        .subquery()
    )
    sold = (
        select(col(Order.id).label("order_id"), col(Order.currency).label("currency"), col(Order.total_amount))
        .where(within(col(Order.completed_at), heading), col(Order.is_test).is_(False))
        .subquery()
    )
    is_same = (sold.c.order_id == came_in.c.order_id) & (sold.c.currency == came_in.c.currency)
    received, price = func.coalesce(came_in.c.amount, 0), sold.c.total_amount
    currency = func.coalesce(sold.c.currency, came_in.c.currency)
    return (
        select(
            currency,
            func.coalesce(func.sum(price), 0),
            func.coalesce(func.sum(price - received).filter(price.is_not(None)), 0),
            func.coalesce(func.sum(received).filter(price.is_(None)), 0),
        )
        .select_from(sold.join(came_in, is_same, full=True))
        .group_by(currency)
    )


def _all_movements() -> Select[*tuple[Any, ...]]:
    c = movements().c
    return select(c.currency, func.sum(c.amount)).group_by(c.currency)


def _tasks(heading: Heading) -> Select[*tuple[Any, ...]]:
    task = HumanTask
    is_late = col(task.due_at) < heading.snapshot_at
    return (
        select(col(task.queue), col(task.kind), func.count(), func.count().filter(is_late))
        .where(col(task.status) == TaskStatus.OPEN)
        .group_by(col(task.queue), col(task.kind))
        .order_by(col(task.queue), col(task.kind))
    )


def _findings() -> Select[*tuple[Any, ...]]:
    return (
        select(col(Finding.kind), func.count())
        .where(col(Finding.status) == FindingStatus.OPEN)
        .group_by(col(Finding.kind))
        .order_by(col(Finding.kind))
    )
