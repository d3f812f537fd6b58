"""Exports list what the record has: each thing once, in a total order, with the sums of independent statements."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.database import Sessions
from activities.export_columns import ColumnType
from activities.export_listings import LISTINGS
from activities.learning_facts import learning_of_many
from models.identifiers import new_id
from models.messages.exports import ExportFilters
from models.tables import (
    ApplicationDecision,
    AuditEntry,
    BalanceTransaction,
    Cart,
    CartLine,
    Certificate,
    ClassSession,
    Course,
    CustomField,
    Enrollment,
    EnrollmentPause,
    Lesson,
    LessonProgress,
    LessonRecord,
    LessonSlot,
    Mail,
    Order,
    OrderLine,
    Payment,
    Person,
    PersonField,
    Refund,
    Reviewer,
    TutorApplication,
)
from models.vocabulary import (
    ApplicationStatus,
    CartStatus,
    CertificateStatus,
    CourseKind,
    EnrollmentStatus,
    ExportReport,
    LessonOutcome,
    LessonStatus,
    MailStatus,
    MailTemplate,
    OfflineMethod,
    OrderStatus,
    PaymentMethod,
    RefundStatus,
    SlotStatus,
)
from rules.completion import percent_done
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
    assert set(LISTINGS) == {report for report, rules in REPORTS.items() if not rules.adds_up}
    for report in LISTINGS:
        assert await snapshot_of(sessions, report) == []
        listing = await listing_of(sessions, report)
        columns = {column.key: column for column in listing.columns}
        assert len(columns) == len({column.title for column in listing.columns}) == len(listing.columns)
        assert listing.statement.selected_columns.keys() == list(columns)
        for column in listing.columns:
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
    written = await sold_twice(sessions)
    assert written
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
    lines = [Sold("BUS-601", 9900, tax=1581, discount=900), Sold("DE-201", 4900)]
    card = await write_order(sessions, lines, percent="19", inclusive=True)
    invoiced = await write_order(sessions, [Sold("DE-201", 4900)], method=PaymentMethod.INVOICE)
    test = await write_order(sessions, [Sold("BUS-601", 9900)], is_test=True)
    await write_invoice(
        sessions, invoiced, (4000, OfflineMethod.BANK_TRANSFER, date(2026, 3, 14)), (900, OfflineMethod.CASH, date(2026, 3, 20))
    )  # fmt: skip
    await write_credit_note(sessions, card, 2500)
    return card, invoiced, test
