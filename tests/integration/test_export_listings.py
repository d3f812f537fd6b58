"""Exports list what the record has: each thing once, in a total order, with the sums of independent statements."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select, text, update
from sqlmodel import col

from activities.database import Sessions
from activities.export_columns import ColumnType
from activities.export_listings import LISTINGS
from models.identifiers import new_id
from models.messages.exports import ExportFilters
from models.tables import (
    AuditEntry,
    BalanceTransaction,
    Cart,
    CartLine,
    Certificate,
    Course,
    Enrollment,
    Mail,
    Order,
    Payment,
    Person,
    Refund,
    TutorApplication,
)
from models.vocabulary import (
    CartStatus,
    CertificateStatus,
    ExportReport,
    MailStatus,
    MailTemplate,
    OfflineMethod,
    OrderStatus,
    PaymentMethod,
    RefundStatus,
)
from rules.exports import REPORTS
from sandbox.sample_academy import sample_id
from tests.fresh_record import load_academy
from tests.integration.exported_rows import listing_of, rows_of, snapshot_of
from tests.integration.written_orders import ISSUED, Sold, WrittenOrder, write_credit_note, write_invoice, write_order

GRACE = sample_id("person", "grace")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def is_total(sessions: Sessions, report: ExportReport) -> bool:
    """Whether no two rows have the same place in the order."""
    listing = await listing_of(sessions, report)
    keys = listing.statement.with_only_columns(*listing.order_by).subquery()
    async with sessions() as session:
        rows = await session.scalar(select(func.count()).select_from(keys))
        places = await session.scalar(select(func.count()).select_from(select(*keys.c).distinct().subquery()))
    return rows == places


async def test_every_listing_runs_on_the_empty_record_and_on_the_academy(sessions: Sessions) -> None:
    told = (Path(__file__).parents[2] / "docs" / "operators.md").read_text(encoding="utf-8")
    assert set(LISTINGS) == {report for report, rules in REPORTS.items() if not rules.adds_up}
    for report in LISTINGS:
        assert await snapshot_of(sessions, report) == []
        listing = await listing_of(sessions, report)
        columns = {column.key: column for column in listing.columns}
        assert len(columns) == len({column.title for column in listing.columns}) == len(listing.columns)
        assert listing.statement.selected_columns.keys() == list(columns)
        for column in listing.columns:
            assert re.search(rf"(?<!\w){re.escape(column.title)}(?!\w)", told), column
            assert (column.type is ColumnType.MONEY) is (column.currency_of is not None), column
            assert column.currency_of is None or columns[column.currency_of].type is ColumnType.TEXT
    await load_academy(sessions)
    tables = {
        ExportReport.USERS: Person,
        ExportReport.MAILS: Mail,
        ExportReport.AUDIT: AuditEntry,
        ExportReport.ENROLLMENTS: Enrollment,
        ExportReport.CERTIFICATES: Certificate,
        ExportReport.TUTOR_APPLICATIONS: TutorApplication,
    }
    for report in LISTINGS:
        rows = await snapshot_of(sessions, report)
        assert await is_total(sessions, report)
        if report in tables:
            async with sessions() as session:
                everything = await session.scalar(select(func.count()).select_from(tables[report]))
            assert len(rows) == everything, report


async def test_every_filter_that_a_report_knows_narrows_it(sessions: Sessions) -> None:
    """Each of them alone, with a value that nothing has, finds nothing; and all of them run together."""
    await load_academy(sessions)
    await sold_twice(sessions)
    for report, rules in REPORTS.items():
        if rules.adds_up:
            continue
        nothing: dict[str, Any] = {
            "date_from": date(2100, 1, 1),
            "date_until": date(1990, 1, 1),
            "statuses": ("no such word",),
            "course_ids": (uuid4(),),
            "person_ids": (uuid4(),),
            "coupon_ids": (uuid4(),),
            "currency": "XXX",
        }
        for name in set(rules.filters) - {"include_tests"}:
            assert await rows_of(sessions, report, **{name: nothing[name]}) == [], (report, name)
        chosen = {name: nothing[name] for name in rules.filters if name in nothing and name != "date_until"}
        listing = await listing_of(sessions, report, ExportFilters(**chosen, include_tests=True))
        async with sessions() as session:
            assert (await session.execute(listing.statement.order_by(*listing.order_by))).all() == []
        ignored = set(nothing) - set(rules.filters)
        everything = await rows_of(sessions, report)
        for name in ignored:
            assert await rows_of(sessions, report, **{name: nothing[name]}) == everything, (report, name)


async def sold_twice(sessions: Sessions) -> tuple[WrittenOrder, WrittenOrder, WrittenOrder]:
    """By card with two lines and a part paid back, by invoice in two parts, and a test."""
    lines = [Sold("spanish-a1", 9900, tax=1581, discount=900), Sold("calligraphy", 4900)]
    card = await write_order(sessions, lines, percent="19", inclusive=True)
    invoiced = await write_order(sessions, [Sold("calligraphy", 4900, student="lukasz")], method=PaymentMethod.INVOICE)
    test = await write_order(sessions, [Sold("spanish-a1", 9900, student="lukasz")], is_test=True)
    bank, cash = OfflineMethod.BANK_TRANSFER, OfflineMethod.CASH
    await write_invoice(sessions, invoiced, (4000, bank, date(2026, 3, 14)), (900, cash, date(2026, 3, 20)))
    await write_credit_note(sessions, card, 2500)
    return card, invoiced, test


async def by_order(sessions: Sessions, report: ExportReport, **filters: Any) -> dict[UUID, dict[str, Any]]:
    rows = await rows_of(sessions, report, **filters)
    found = {row["order_id"]: row for row in rows}
    assert len(found) == len(rows)
    return found


async def test_orders_have_what_they_cost_and_what_came_of_the_money(sessions: Sessions) -> None:
    await load_academy(sessions)
    card, invoiced, test = await sold_twice(sessions)
    async with sessions.begin() as session:
        await session.execute(update(Order).values(created_at=ISSUED))
        # A payment beside the order's own was given back: no business of the order.
        beside = Refund(
            order_id=card.order_id, payment_intent_id="pi_second", amount=13900, currency="EUR", reason="paid_twice",
            status=RefundStatus.SUCCEEDED, workflow_id="w",
        )  # fmt: skip
        lost = Refund(
            order_id=card.order_id, amount=100, currency="EUR", reason="seat_lost", status=RefundStatus.FAILED,
            workflow_id="w",
        )  # fmt: skip
        session.add_all([beside, lost])
    found = await by_order(sessions, ExportReport.ORDERS)
    assert found.keys() == {card.order_id, invoiced.order_id}
    assert (await by_order(sessions, ExportReport.ORDERS, include_tests=True)).keys() == {*found, test.order_id}
    shown = {
        "status": "completed", "payment_method": "checkout", "payer_id": GRACE, "places": 2, "currency": "EUR",
        "courses": "spanish-a1 as it was sold; calligraphy as it was sold", "list_amount": 14800,
        "discount_amount": 900,
        "tax_name": "VAT", "tax_percent": Decimal("19.00"), "tax_inclusive": True, "tax_amount": 1581,
        "total_amount": 13900, "paid_amount": 13900, "refunded_amount": 2500, "net_amount": 11400, "invoice": None,
        "invoice_due_on": None, "is_test": False, "placed_at": ISSUED, "completed_at": ISSUED,
    }  # fmt: skip
    row = found[card.order_id]
    assert {key: row[key] for key in shown} == shown
    assert row["receipt"].startswith("R-2026-")
    by_invoice = found[invoiced.order_id]
    assert (by_invoice["paid_amount"], by_invoice["refunded_amount"], by_invoice["net_amount"]) == (4900, 0, 4900)
    assert (by_invoice["invoice"], by_invoice["invoice_due_on"]) == ("I-2026-000007", date(2026, 3, 27))
    async with sessions() as session:
        total = await session.scalar(text("SELECT sum(total_amount) FROM orders WHERE NOT is_test"))
    assert total == sum(row["total_amount"] for row in found.values())
    # The half past eleven of London is the next day of Berlin: days begin in the academy's zone, and end before.
    for days, count in (
        ({"date_from": date(2026, 3, 13), "date_until": date(2026, 3, 14)}, 2),
        ({"date_until": date(2026, 3, 13)}, 0),
        ({"date_from": date(2026, 3, 14)}, 0),
    ):
        assert len(await rows_of(sessions, ExportReport.ORDERS, **days)) == count, days
    [one] = await rows_of(sessions, ExportReport.ORDERS, course_ids=(sample_id("course", "spanish-a1"),))
    assert one["order_id"] == card.order_id
    assert len(await rows_of(sessions, ExportReport.ORDERS, person_ids=(GRACE,))) == 2


async def test_payments_are_signed_movements_each_once(sessions: Sessions) -> None:
    await load_academy(sessions)
    card, invoiced, test = await sold_twice(sessions)
    charge, moment = f"ch_{card.order_id.hex}", ISSUED + timedelta(days=3)

    def booked(stripe_id: str, source: str, amount: int, fee: int, payout: str | None) -> BalanceTransaction:
        return BalanceTransaction(
            stripe_id=stripe_id, type="charge", source_id=source, order_id=card.order_id, amount=amount, fee=fee,
            net=amount - fee, currency="EUR", payout_id=payout, available_on=moment, stripe_created_at=moment,
        )  # fmt: skip

    async with sessions.begin() as session:
        await session.execute(update(Payment).values(payment_intent_id=func.concat("pi_", col(Payment.id))))
        await session.execute(update(Refund).values(stripe_refund_id="re_1", created_at=moment))
        failed = Refund(
            order_id=card.order_id, amount=700, currency="EUR", reason="seat_lost", status=RefundStatus.FAILED,
            stripe_refund_id="re_2", workflow_id="w",
        )  # fmt: skip
        beside = Refund(
            order_id=card.order_id, payment_intent_id="pi_second", amount=13900, currency="EUR", reason="paid_twice",
            status=RefundStatus.SUCCEEDED, created_at=moment, workflow_id="w",
        )  # fmt: skip
        session.add_all([failed, beside, booked("txn_1", charge, 13900, 430, "po_1")])
        # One refund in two lines, paid out together, beside a line of nobody.
        session.add_all([booked(f"txn_{n}", "re_1", -1250, 10, "po_2") for n in (2, 3)])
        session.add(booked("txn_4", "ch_of_nobody", 5, 1, None))
    rows = await rows_of(sessions, ExportReport.PAYMENTS)
    shown = [(row["order_id"], row["kind"], row["method"], row["status"], row["amount"]) for row in rows]
    # What was paid beside the order is in no row, so what gives it back is not in their sum.
    assert {row["kind"]: row["beside_amount"] for row in rows if row["beside_amount"]} == {"refund_beside": -13900}
    assert set(shown) == {
        (card.order_id, "payment", "checkout", "succeeded", 13900),
        (invoiced.order_id, "invoice_payment", "bank_transfer", "succeeded", 4000),
        (invoiced.order_id, "invoice_payment", "cash", "succeeded", 900),
        (card.order_id, "refund", "checkout", "pending", -2500),
        (card.order_id, "refund_beside", "checkout", "succeeded", None),
    }
    assert len(shown) == len(set(shown))
    assert await is_total(sessions, ExportReport.PAYMENTS)
    fees = {row["kind"]: (row["settled_currency"], row["fee_amount"], row["net_amount"], row["payout"]) for row in rows}
    assert fees["payment"] == ("EUR", 430, 13470, "po_1")
    assert fees["refund"] == ("EUR", 20, -2520, "po_2")
    assert fees["invoice_payment"] == (None, None, None, None)
    tests = [row for row in await rows_of(sessions, ExportReport.PAYMENTS, include_tests=True) if row["is_test"]]
    assert [(row["order_id"], row["amount"]) for row in tests] == [(test.order_id, 9900)]
    # A day of an invoice's payment is that day in the academy.
    fourteenth = {"date_from": date(2026, 3, 14), "date_until": date(2026, 3, 15)}
    assert [row["amount"] for row in await rows_of(sessions, ExportReport.PAYMENTS, **fourteenth)] == [4000]
    assert [row["amount"] for row in await rows_of(sessions, ExportReport.PAYMENTS, statuses=("pending",))] == [-2500]


async def test_enrollments_tell_of_access_and_certificates_once(sessions: Sessions) -> None:
    await load_academy(sessions)
    written = await write_order(sessions, [Sold("spanish-a1", 9900), Sold("calligraphy", 4900)])
    first, second = written.place_ids
    async with sessions.begin() as session:
        session.add_all(
            Certificate(enrollment_id=first, status=status, issued_at=NOON + timedelta(days=day), expires_at=expires_at)
            for day, status, expires_at in (
                (0, CertificateStatus.EXPIRED, NOON),
                (2, CertificateStatus.ISSUED, NOON + timedelta(days=900)),
                (1, CertificateStatus.EXPIRED, None),
                (5, CertificateStatus.SUPERSEDED, None),
            )
        )
        await session.execute(update(Enrollment).where(col(Enrollment.id) == second).values(access_ends_at=NOON))
        await session.execute(
            update(Enrollment).where(col(Enrollment.id) == first).values(started_at=NOON, completed_at=NOON)
        )
    rows = {row["enrollment_id"]: row for row in await rows_of(sessions, ExportReport.ENROLLMENTS)}
    assert rows.keys() >= {first, second}
    row = rows[first]
    assert (row["has_certificate"], row["certificates"], row["progress"], row["access"]) == (
        True,
        3,
        "completed",
        "open",
    )
    assert (row["certificate_issued_at"], row["certificate_expires_at"]) == (
        NOON + timedelta(days=2),
        NOON + timedelta(days=900),
    )
    row = rows[second]
    assert (row["has_certificate"], row["certificates"], row["progress"], row["access"]) == (
        False,
        0,
        "not_started",
        "over",
    )
    listed = await rows_of(sessions, ExportReport.CERTIFICATES, statuses=("issued", "superseded"), person_ids=(GRACE,))
    ours = [row for row in listed if row["enrollment_id"] == first]
    assert [row["status"] for row in ours] == ["issued", "superseded"]
    assert (ours[0]["course_code"], ours[0]["number"], ours[0]["is_test"]) == ("spanish-a1", None, False)


async def test_what_carts_brought_back_is_counted_once(sessions: Sessions) -> None:
    await load_academy(sessions)
    written = await write_order(sessions, [Sold("spanish-a1", 9900)])
    other = await write_order(sessions, [Sold("calligraphy", 4900)])
    test = await write_order(sessions, [Sold("photography", 4900)], is_test=True)
    courses: Sequence[UUID] = (sample_id("course", "spanish-a1"), sample_id("course", "calligraphy"))

    def cart(status: CartStatus, order_id: UUID | None, currency: str = "EUR", day: int = 0) -> Cart:
        moment = NOON + timedelta(days=day)
        return Cart(
            person_id=GRACE, status=status, currency=currency, total_amount=8000, changed_at=moment,
            abandoned_at=None if status is CartStatus.ORDERED else moment, order_id=order_id, workflow_id="w",
        )  # fmt: skip

    carts = [
        cart(CartStatus.RECOVERED, written.order_id),
        cart(CartStatus.RECOVERED, written.order_id),
        cart(CartStatus.RECOVERED, other.order_id, "PLN"),
        cart(CartStatus.ORDERED, other.order_id),
        cart(CartStatus.LOST, None, day=1),
        cart(CartStatus.RECOVERED, test.order_id),
    ]
    async with sessions.begin() as session:
        session.add_all(carts)
        await session.flush()
        session.add_all(
            CartLine(cart_id=carts[4].id, course_id=course, position=position)
            for position, course in enumerate(reversed(courses))
        )
    rows = {row["cart_id"]: row for row in await rows_of(sessions, ExportReport.CARTS)}
    # The order is the measure, in its own currency; of two carts that it brought back the first stands for it.
    assert [rows[each.id]["recovered_amount"] for each in carts[:5]] == [9900, None, 8000, None, None]
    assert carts[5].id not in rows
    async with sessions() as session:
        titles = {course.id: course.title for course in await session.scalars(select(Course))}
    assert rows[carts[4].id]["courses"] == f"{titles[courses[1]]}; {titles[courses[0]]}"
    first_day = {"date_from": date(2026, 3, 1), "date_until": date(2026, 3, 2)}
    assert len(await rows_of(sessions, ExportReport.CARTS, **first_day)) == 3
    [lost] = await rows_of(sessions, ExportReport.CARTS, course_ids=courses)
    assert lost["cart_id"] == carts[4].id


async def test_days_begin_in_the_zone_of_the_academy_and_end_before_the_next(sessions: Sessions) -> None:
    """The twenty-ninth of March has twenty-three hours in Berlin, and its last moment is not the thirtieth's first."""
    moments = [datetime(2026, 3, 28, 22, 59, 59, 999999, UTC), datetime(2026, 3, 28, 23, tzinfo=UTC)]
    moments += [datetime(2026, 3, 29, 21, 59, 59, 999999, UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)]
    async with sessions.begin() as session:
        session.add_all(
            AuditEntry(
                actor="system", subject_kind="order", subject_id=new_id(), to_state="x", reason="x", created_at=moment
            )
            for moment in moments
        )

    async def found(**days: date) -> list[datetime]:
        return [row["created_at"] for row in await rows_of(sessions, ExportReport.AUDIT, **days)]

    first, second = date(2026, 3, 29), date(2026, 3, 30)
    assert await found(date_from=first, date_until=second) == moments[1:3]
    assert await found(date_until=first) == moments[:1]
    assert await found(date_from=second) == moments[3:]
    assert await found() == moments


async def test_mails_and_changes_of_state_are_told_without_what_they_say(sessions: Sessions) -> None:
    await load_academy(sessions)
    mail = Mail(
        recipient_id=GRACE, template=MailTemplate.EXPORT_READY, subject_id=new_id(), status=MailStatus.SENT,
        sent_at=NOON, created_at=NOON, workflow_id="order-1",
    )  # fmt: skip
    entry = AuditEntry(
        actor="staff:7", subject_kind="order", subject_id=new_id(), to_state=OrderStatus.COMPLETED, reason="paid",
        created_at=NOON,
    )  # fmt: skip
    async with sessions.begin() as session:
        session.add_all([mail, entry])
    day = {"date_from": date(2026, 3, 1), "date_until": date(2026, 3, 2)}
    [told] = await rows_of(sessions, ExportReport.MAILS, **day, person_ids=(GRACE,), statuses=("sent",))
    assert (told["template"], told["sent_at"], told["mail_id"]) == ("export_ready", NOON, mail.id)
    [change] = await rows_of(sessions, ExportReport.AUDIT, **day)
    assert (change["actor"], change["to_state"], change["subject_id"]) == ("staff:7", "completed", entry.subject_id)
