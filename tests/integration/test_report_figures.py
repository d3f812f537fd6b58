"""Reports on a random record, held against sums that were written down while the record was made up."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from random import Random
from typing import TypeVar
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from activities.database import Sessions
from activities.finance_report import read_finance
from activities.sales_report import WHOLE_ORDERS, Sums, read_sales
from activities.statement import read_statement
from models.messages.exports import ExportFilters, RenderReport
from models.tables import Invoice, InvoicePayment, Order, Payment, Refund
from models.tables.columns import now
from models.vocabulary import ExportFormat, ExportReport, RefundStatus
from sandbox.sample_academy import sample_id
from tests.fresh_record import load_academy
from tests.integration.money_on_record import BEGINS, CURRENCIES, DAYS, MadeUp, Moved, Sale, write_made_up

ZONE = ZoneInfo("Europe/Berlin")
Told = TypeVar("Told", Sale, Moved)


@pytest.fixture
async def made_up(sessions: Sessions, request: pytest.FixtureRequest) -> MadeUp:
    """A random record in the sample academy, another one for each test."""
    await load_academy(sessions)
    return await write_made_up(sessions, request.node.name, 80)


def _asked(report: ExportReport, first: date | None = None, end: date | None = None, **more: object) -> RenderReport:
    filters = ExportFilters.model_validate({"date_from": first, "date_until": end, **more})
    return RenderReport(export_id=uuid4(), report=report, format=ExportFormat.PDF, filters=filters, moment=now())


def _spans() -> Iterable[tuple[date, date]]:
    """The whole time, the days around the night that has an hour less, and others."""
    first = (BEGINS - timedelta(days=60)).date()
    yield first, first + timedelta(days=DAYS + 200)
    yield date(2026, 3, 28), date(2026, 3, 30)
    chance = Random(7)  # noqa: S311 - nothing secret
    for _ in range(3):
        begins = BEGINS.date() + timedelta(days=chance.randrange(DAYS))
        yield begins, begins + timedelta(days=chance.randint(1, 80))


def _within(told: Iterable[Told], first: date, end: date) -> list[Told]:
    return [each for each in told if first <= each.at.astimezone(ZONE).date() < end]


async def test_the_statement_goes_from_its_opening_balance_to_its_closing_one_movement_by_movement(
    sessions: Sessions, made_up: MadeUp
) -> None:
    for first, end in _spans():
        async with sessions() as session:
            statement = await read_statement(session, _asked(ExportReport.STATEMENT, first, end))
        begins = datetime.combine(first, time(), ZONE)
        opening: dict[str, int] = defaultdict(int)
        for moved in made_up.ledger:
            opening[moved.currency] += moved.amount if moved.at < begins else 0
        inside = _within(made_up.ledger, first, end)
        for account in statement.currencies:
            mine = [moved for moved in inside if moved.currency == account.currency]
            assert account.opening == opening[account.currency]
            assert sorted((line.at, line.amount) for line in account.lines) == sorted(
                (moved.at, moved.amount) for moved in mine
            )
            assert account.closing == account.opening + sum(moved.amount for moved in mine)
            assert account.tie.difference == 0
            assert [line.at for line in account.lines] == sorted(line.at for line in account.lines)
            assert sum(amount for _, amount in account.by_kind.values()) == account.closing - account.opening
        assert {moved.currency for moved in inside} <= {account.currency for account in statement.currencies}


async def test_what_was_sold_adds_up_by_day_by_course_and_by_category(sessions: Sessions, made_up: MadeUp) -> None:
    for first, end in _spans():
        async with sessions() as session:
            report = await read_sales(session, _asked(ExportReport.SALES, first, end))
        sold = _within(made_up.sales, first, end)
        back = [
            moved for moved in _within(made_up.ledger, first, end) if moved.word == "seat_lost" and moved.is_of_sale
        ]
        assert {each.currency for each in report.currencies} == {each.currency for each in (*sold, *back)}
        for told in report.currencies:
            mine = [each for each in sold if each.currency == told.currency]
            mine_back = [each for each in back if each.currency == told.currency]
            assert told.total == _sums(mine, mine_back)
            assert _all(sums for _, sums in told.steps) == told.total
            for sums in (*(sums for _, sums in told.courses), *(sums for _, sums in told.categories)):
                assert sums.gross - sums.discounts == sums.sales
            for name, sums in told.courses:
                code = None if name is WHOLE_ORDERS else name.code
                assert sums == _sums(
                    [each for each in mine if each.code == code], [each for each in mine_back if each.code == code]
                )
            assert replace(_all(sums for _, sums in told.courses), orders=0) == replace(told.total, orders=0)
            assert replace(_all(sums for _, sums in told.categories), orders=0) == replace(told.total, orders=0)


async def test_sales_are_of_their_own_day_however_clocks_are_put(sessions: Sessions, made_up: MadeUp) -> None:
    async with sessions() as session:
        report = await read_sales(session, _asked(ExportReport.SALES, date(2026, 3, 1), date(2026, 4, 15)))
    for told in report.currencies:
        assert [day for day, _ in told.steps] == [date(2026, 3, 1) + timedelta(days=each) for each in range(45)]
        for day, sums in told.steps:
            sold = [
                each.total
                for each in made_up.sales
                if each.currency == told.currency and each.at.astimezone(ZONE).date() == day
            ]
            assert sums.sales == sum(sold)


async def test_one_course_and_one_currency_can_be_asked_for(sessions: Sessions, made_up: MadeUp) -> None:
    course = {"course_ids": (sample_id("course", "spanish-a1"),), "currency": "JPY"}
    async with sessions() as session:
        [told] = (await read_sales(session, _asked(ExportReport.SALES, **course))).currencies
    assert {name.code for name, _ in told.courses} == {"spanish-a1"}
    wanted = [each for each in made_up.sales if (each.code, each.currency) == ("spanish-a1", "JPY")]
    assert told.total.sales == sum(each.total for each in wanted)


async def test_the_money_of_a_week_is_what_moved_in_it_and_ties_to_sales_and_record(
    sessions: Sessions, made_up: MadeUp
) -> None:
    for first, end in _spans():
        async with sessions() as session:
            finance = await read_finance(session, _asked(ExportReport.FINANCE, first, end))
            sales = await read_sales(session, _asked(ExportReport.SALES, first, end))
        moved = _within(made_up.ledger, first, end)
        sold = {each.currency: each.total.sales for each in sales.currencies}
        for told in finance.currencies:
            mine = [each for each in moved if each.currency == told.currency]
            came_in = [each for each in mine if each.word not in ("seat_lost", "dispute")]
            by_method: dict[str, int] = defaultdict(int)
            for each in came_in:
                by_method[each.word] += each.amount
            assert {each.name: each.amount for each in told.received} == by_method
            assert sum(each.count for each in told.received) == len(came_in)
            assert told.refunded_amount == -sum(each.amount for each in mine if each.word == "seat_lost")
            assert sum(came - went for came, went in told.days.values()) == sum(each.amount for each in mine)
            assert told.bridge.sales == sold.get(told.currency, 0)
            assert told.bridge.received == told.received_amount
            assert told.tie.difference == 0
            assert sum(each.amount for each in told.aged()) == made_up.owed.get(told.currency, 0)


async def test_all_that_was_ever_received_less_what_went_back_is_what_the_tables_say(
    sessions: Sessions, made_up: MadeUp
) -> None:
    of_no_test = col(Order.is_test).is_(False)
    async with sessions() as session:
        finance = await read_finance(session, _asked(ExportReport.FINANCE))
        for told in finance.currencies:
            by_card, by_invoice, by_hand = [
                int((await session.execute(query)).scalar_one() or 0)
                for query in (
                    select(func.sum(col(Payment.captured_amount) - col(Payment.refunded_amount)))
                    .join(Order, col(Order.id) == col(Payment.order_id))
                    .where(of_no_test, col(Payment.currency) == told.currency),
                    select(func.sum(col(InvoicePayment.amount)))
                    .join(Invoice, col(Invoice.id) == col(InvoicePayment.invoice_id))
                    .join(Order, col(Order.id) == col(Invoice.order_id))
                    .where(of_no_test, col(Invoice.currency) == told.currency),
                    select(func.sum(col(Refund.amount)))
                    .join(Order, col(Order.id) == col(Refund.order_id))
                    .where(
                        of_no_test,
                        col(Refund.currency) == told.currency,
                        col(Refund.payment_intent_id).is_(None),
                        col(Refund.status) != RefundStatus.FAILED,
                    ),
                )
            ]
            lost = -sum(
                each.amount for each in made_up.ledger if (each.currency, each.word) == (told.currency, "dispute")
            )
            assert told.by_movements == by_card + by_invoice - by_hand - lost
            assert told.received_amount - told.refunded_amount == by_card + by_invoice - by_hand
    assert {told.currency for told in finance.currencies} == set(CURRENCIES)


async def test_an_empty_record_has_reports_too(sessions: Sessions) -> None:
    await load_academy(sessions)
    async with sessions() as session:
        assert (await read_sales(session, _asked(ExportReport.SALES))).currencies == ()
        assert (await read_finance(session, _asked(ExportReport.FINANCE))).currencies == ()
        assert (await read_statement(session, _asked(ExportReport.STATEMENT))).currencies == ()


def _sums(sold: list[Sale], back: list[Moved]) -> Sums:
    orders: set[UUID] = {each.order_id for each in sold}
    return Sums(
        orders=len(orders),
        places=len(sold),
        gross=sum(each.gross for each in sold),
        discounts=sum(each.discount for each in sold),
        sales=sum(each.total for each in sold),
        refunds=-sum(each.amount for each in back),
    )


def _all(parts: Iterable[Sums]) -> Sums:
    total = Sums()
    for part in parts:
        total += part
    return total
