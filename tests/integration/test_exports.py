"""Exports on the record: one snapshot, each part once, the same file whatever is repeated, and nothing left over."""

import asyncio
import csv
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from io import BytesIO, StringIO
from pathlib import Path
from typing import IO
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from sqlalchemy import case, cast, func, literal, select
from sqlalchemy import types as sql
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlmodel import col

from activities.database import Sessions, open_snapshots, sessions_of
from activities.export_columns import Column, ColumnType, Listing
from activities.export_facts import words_of
from activities.export_files import ExportNotRunningError, export_key, part_key
from activities.export_listings import LISTINGS
from activities.export_parts import ExportPartActivities
from activities.exports import KEPT_FOR, ExportActivities
from activities.files import FileMissingError, FileStore
from activities.orders import OrderActivities
from models.errors import Reason
from models.identifiers import export_workflow_id
from models.messages.documents import StoredFile
from models.messages.exports import EndExport, ExportFilters, ExportRequest, JoinExport, WritePart
from models.tables import AuditEntry, Export, ExportChunk, ExportPart
from models.vocabulary import ExportFormat, ExportReport, ExportStatus
from rules.export_plan import ExportLimits
from tests.eventually import eventually
from tests.integration.order_steps import course, person

ROWS = 1_000
LIMITS = ExportLimits(chunk_rows=70, part_rows=150, sheet_rows=404, pdf_rows=200)
COLUMNS = (
    Column("at", "At", ColumnType.MOMENT),
    Column("name", "Name"),
    Column("amount", "Amount", ColumnType.MONEY, "currency", is_totalled=True),
    Column("currency", "Currency"),
    Column("lessons", "Lessons", ColumnType.INTEGER, is_totalled=True),
    Column("share", "Share", ColumnType.NUMBER),
)


def many(count: int = ROWS) -> Listing:
    """Rows that PostgreSQL makes up, in three currencies, some of them without an amount."""
    n = func.generate_series(1, count).column_valued("n")
    currency = case((n % 3 == 0, "EUR"), (n % 3 == 1, "JPY"), else_="KWD")
    statement = select(
        (literal(datetime(2026, 3, 28, tzinfo=UTC)) + n * timedelta(minutes=5)).label("at"),
        func.concat(case((n % 7 == 0, "="), else_=""), "Łukasz 👩‍🏫 ", n).label("name"),
        case((n % 11 == 0, None), else_=n * 12_345 - 500_000).label("amount"),
        currency.label("currency"),
        (n % 5).label("lessons"),
        (cast(n, sql.Numeric) / 8).label("share"),
    )
    return Listing("Orders", COLUMNS, statement, (n,))


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore((tmp_path / "files").as_uri())


@pytest.fixture
def exports(orders: OrderActivities, engine: AsyncEngine, files: FileStore) -> ExportActivities:
    snapshots = sessions_of(open_snapshots(engine, timedelta(seconds=20)))
    return ExportActivities(orders.sessions, snapshots, files, LIMITS)


@pytest.fixture
def parts(exports: ExportActivities, executor: ThreadPoolExecutor) -> ExportPartActivities:
    return ExportPartActivities(exports.sessions, exports.files, executor, LIMITS)


def list_orders_as(monkeypatch: pytest.MonkeyPatch, listing: Listing) -> None:
    async def of(session: AsyncSession, filters: ExportFilters, zone: ZoneInfo) -> Listing:
        return listing

    monkeypatch.setitem(dict_of(LISTINGS), ExportReport.ORDERS, of)


def dict_of(mapping: object) -> dict[object, object]:
    assert isinstance(mapping, dict)
    return mapping


def asked(format_: ExportFormat = ExportFormat.CSV, report: ExportReport = ExportReport.ORDERS) -> ExportRequest:
    return ExportRequest(export_id=uuid4(), report=report, format=format_, actor=f"staff:{person('finance')}")


def the_end(export_id: UUID, status: ExportStatus = ExportStatus.DONE, **facts: object) -> EndExport:
    plain = {"export_id": export_id, "status": status, "workflow_id": export_workflow_id(export_id), **facts}
    return EndExport.model_validate(plain)


async def export(sessions: Sessions, export_id: UUID) -> Export:
    async with sessions() as session:
        return await session.get_one(Export, export_id)


async def sums(sessions: Sessions) -> dict[str, int]:
    """What PostgreSQL says that the amounts of the listing come to, in minor units."""
    async with sessions() as session:
        listed = many().statement.subquery()
        query = select(listed.c.currency, func.sum(listed.c.amount)).group_by(listed.c.currency)
        return {currency: int(total) for currency, total in await session.execute(query)}


class Dying(Executor):
    """Does so many pieces of work, and then dies in the middle of one."""

    def __init__(self, inner: Executor, lives: int) -> None:
        self._inner, self.lives = inner, lives

    def submit(self, fn: object, /, *args: object, **kwargs: object) -> Future[object]:  # type: ignore[override]
        self.lives -= 1
        if self.lives < 0:
            raise OSError("the worker died")
        return self._inner.submit(fn, *args, **kwargs)  # type: ignore[arg-type]


class EndedMeanwhile(FileStore):
    """A store that takes so long that the export has ended when a file is there."""

    def __init__(self, inner: FileStore, exports: ExportActivities, end: EndExport) -> None:
        self._store, self._exports, self._end = inner._store, exports, end

    async def put(self, key: str, data: bytes, media_type: str) -> StoredFile:
        await self._exports.end_export(self._end)
        return await super().put(key, data, media_type)

    async def put_file(self, key: str, file: IO[bytes], media_type: str) -> None:
        await self._exports.end_export(self._end)
        await super().put_file(key, file, media_type)


async def test_a_csv_export_survives_every_repetition_and_leaves_nothing_over(
    exports: ExportActivities, parts: ExportPartActivities, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    list_orders_as(monkeypatch, many())
    request, sessions = asked(), exports.sessions
    begun = await exports.begin_export(request)
    assert (begun.row_count, begun.parts) == (ROWS, 7)
    first = await export(sessions, request.export_id)
    assert await exports.begin_export(request) == begun
    assert (await export(sessions, request.export_id)).snapshot_at == first.snapshot_at
    totals = first.totals
    assert totals is not None
    assert totals["amount"] == await sums(sessions)
    assert totals["lessons"] == sum(n % 5 for n in range(1, ROWS + 1))
    assert first.asked_sha256 == request.model_copy(update={"export_id": uuid4()}).digest

    # A worker dies in the middle of a part: nothing of it counts. The next attempt writes it whole.
    dying = replace(parts, executor=Dying(parts.executor, 3))
    with pytest.raises(OSError, match="died"):
        await dying.write_part(WritePart(export_id=request.export_id, number=0))
    assert (await export(sessions, request.export_id)).rows_written == 0
    for number in range(begun.parts):
        written = await parts.write_part(WritePart(export_id=request.export_id, number=number))
        assert written.rows_written == min((number + 1) * 150, ROWS)
        kept = tmp_path / "files" / part_key(request.export_id, number)
        before = kept.stat()
        # Its answer got lost: it is there, and stays as it is.
        assert await parts.write_part(WritePart(export_id=request.export_id, number=number)) == written
        assert kept.stat() == before
    assert (await export(sessions, request.export_id)).rows_written == ROWS
    with pytest.raises(OSError, match="died"):
        await replace(parts, executor=Dying(parts.executor, 9)).join_export(JoinExport(export_id=request.export_id))
    stored = await parts.join_export(JoinExport(export_id=request.export_id))
    # A part that got lost, and one that somebody changed, are written anew: the same bytes.
    await exports.files.delete(part_key(request.export_id, 1))
    await exports.files.put(part_key(request.export_id, 2), b"something else", "text/plain")
    assert await parts.join_export(JoinExport(export_id=request.export_id)) == stored
    assert stored.key == export_key(request.export_id, "orders", ExportFormat.CSV)

    end = the_end(request.export_id, sha256=stored.sha256, size=stored.size)
    for _ in range(2):
        await exports.end_export(end)
    ended = await export(sessions, request.export_id)
    assert (ended.status, ended.file_sha256, ended.row_count) == (ExportStatus.DONE, stored.sha256, ROWS)
    assert ended.expires_at is not None
    assert ended.ended_at is not None
    assert ended.expires_at - ended.ended_at == KEPT_FOR
    async with sessions() as session:
        for table in (ExportChunk, ExportPart):
            assert await session.scalar(select(func.count()).select_from(table)) == 0
        log = select(col(AuditEntry.to_state), col(AuditEntry.actor)).where(
            col(AuditEntry.subject_id) == request.export_id
        )
        assert sorted(map(tuple, await session.execute(log))) == [("done", "system"), ("running", request.actor)]
    for number in range(begun.parts):
        with pytest.raises(FileMissingError):
            await exports.files.size(part_key(request.export_id, number))
    with pytest.raises(ExportNotRunningError):
        await parts.write_part(WritePart(export_id=request.export_id, number=0))

    data = await exports.files.get(stored)
    rows = list(csv.DictReader(StringIO(data.decode("utf-8-sig"), newline="")))
    assert len(rows) == ROWS
    assert rows[0]["At"] == "2026-03-28T01:05:00+01:00"
    assert rows[ROWS - 1]["At"] == datetime.fromisoformat("2026-03-31T13:20:00+02:00").isoformat()
    assert [row["Name"] for row in rows[5:7]] == ["Łukasz 👩‍🏫 6", "'=Łukasz 👩‍🏫 7"]
    assert [Decimal(row["Share"]) for row in rows[:2]] == [Decimal("0.125"), Decimal("0.25")]
    by_currency: dict[str, Decimal] = {}
    for row in rows:
        by_currency[row["Currency"]] = by_currency.get(row["Currency"], Decimal()) + Decimal(row["Amount"] or 0)
    amounts = await sums(sessions)
    places = {"EUR": 2, "JPY": 0, "KWD": 3}
    assert by_currency == {currency: Decimal(amount).scaleb(-places[currency]) for currency, amount in amounts.items()}


async def test_a_workbook_has_every_row_of_one_moment_on_as_many_sheets_as_it_takes(
    exports: ExportActivities, parts: ExportPartActivities, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_orders_as(monkeypatch, many())
    request = asked(ExportFormat.XLSX)
    begun = await exports.begin_export(request)
    # 400 rows fit on a sheet beside its header and three rows of totals; no part is on two of them.
    assert begun.parts == 8
    for number in (3, 0, 7, 1, 2, 6, 4, 5):
        await parts.write_part(WritePart(export_id=request.export_id, number=number))
    stored = await parts.join_export(JoinExport(export_id=request.export_id))
    data = await exports.files.get(stored)
    assert sha256(data).hexdigest() == stored.sha256
    sheets = pd.read_excel(BytesIO(data), sheet_name=None)
    assert list(sheets) == ["Orders", "Orders 2", "Orders 3", "Information"]
    assert [len(frame) for frame in sheets.values()][:3] == [400, 400, 203]
    rows = pd.concat([sheets["Orders"], sheets["Orders 2"], sheets["Orders 3"].iloc[:200]])
    assert list(rows["Name"].str.rpartition(" ")[2].astype(int)) == list(range(1, ROWS + 1))
    totals = sheets["Orders 3"].iloc[200:].set_index("Currency")["Amount"]
    for currency, amount in rows.groupby("Currency")["Amount"].sum().items():
        assert amount == pytest.approx(totals[currency])
    asked_by = dict(zip(sheets["Information"].iloc[:, 0], sheets["Information"].iloc[:, 1], strict=True))[
        "Asked for by"
    ]
    assert "(staff)" in asked_by


async def test_what_is_written_meanwhile_is_not_in_the_snapshot(
    exports: ExportActivities, parts: ExportPartActivities, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = exports.sessions
    first = asked(ExportFormat.CSV, ExportReport.AUDIT)
    original = LISTINGS[ExportReport.AUDIT]

    async def write_another() -> None:
        async with sessions.begin() as session:
            session.add(
                AuditEntry(
                    actor="system", subject_kind="late", subject_id=uuid4(), to_state="late", reason="too late",
                    created_at=datetime(2020, 1, 1, tzinfo=UTC),
                )
            )  # fmt: skip

    async def of(session: AsyncSession, filters: ExportFilters, zone: ZoneInfo) -> Listing:
        # Somebody else commits between the moment of the snapshot and its statements.
        await write_another()
        return await original(session, filters, zone)

    monkeypatch.setitem(dict_of(LISTINGS), ExportReport.AUDIT, of)
    begun = await exports.begin_export(first)
    assert begun.row_count == 1
    await write_another()
    # Somebody ends another export while a part of it is being written: the late part leaves nothing.
    late = asked(ExportFormat.CSV, ExportReport.AUDIT)
    await exports.begin_export(late)
    canceling = replace(
        parts, files=EndedMeanwhile(parts.files, exports, the_end(late.export_id, ExportStatus.CANCELED))
    )
    with pytest.raises(ExportNotRunningError):
        await canceling.write_part(WritePart(export_id=late.export_id, number=0))
    with pytest.raises(FileMissingError):
        await exports.files.size(part_key(late.export_id, 0))
    # So does a whole file that comes too late.
    for format_ in ExportFormat:
        late = asked(format_, ExportReport.AUDIT)
        begun = await exports.begin_export(late)
        for number in range(begun.parts):
            await parts.write_part(WritePart(export_id=late.export_id, number=number))
        canceling = replace(
            parts, files=EndedMeanwhile(parts.files, exports, the_end(late.export_id, ExportStatus.CANCELED))
        )
        with pytest.raises(ExportNotRunningError):
            await canceling.join_export(JoinExport(export_id=late.export_id))
        with pytest.raises(FileMissingError):
            await exports.files.size(export_key(late.export_id, late.report, late.format))
    await parts.write_part(WritePart(export_id=first.export_id, number=0))
    data = await exports.files.get((await parts.join_export(JoinExport(export_id=first.export_id))).key)
    rows = list(csv.DictReader(StringIO(data.decode("utf-8-sig"), newline="")))
    assert [(row["What"], row["To"], row["Id"]) for row in rows] == [("export", "running", str(first.export_id))]


async def test_three_exports_are_begun_and_written_at_once_and_the_others_wait(
    exports: ExportActivities, parts: ExportPartActivities, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    under_way: list[str] = []
    most: dict[str, int] = {}

    async def busy(name: str) -> None:
        under_way.append(name)
        most[name] = max(most.get(name, 0), under_way.count(name))

        async def are_three() -> bool:
            return most[name] >= 3

        await eventually(are_three)
        # So long a fourth would have to come.
        await asyncio.sleep(0.02)
        under_way.remove(name)

    async def of(session: AsyncSession, filters: ExportFilters, zone: ZoneInfo) -> Listing:
        await busy("begun")
        return many(10)

    class Slow(FileStore):
        async def put(self, key: str, data: bytes, media_type: str) -> StoredFile:
            await busy("written")
            return await super().put(key, data, media_type)

        async def put_file(self, key: str, file: IO[bytes], media_type: str) -> None:
            await busy("joined")
            await super().put_file(key, file, media_type)

    monkeypatch.setitem(dict_of(LISTINGS), ExportReport.ORDERS, of)
    slow = replace(parts, files=Slow((tmp_path / "files").as_uri()))
    ids = [asked() for _ in range(7)]
    await asyncio.gather(*map(exports.begin_export, ids))
    monkeypatch.undo()
    await asyncio.gather(*(slow.write_part(WritePart(export_id=each.export_id, number=0)) for each in ids))
    await asyncio.gather(*(slow.join_export(JoinExport(export_id=each.export_id)) for each in ids))
    assert most == {"begun": 3, "written": 3, "joined": 3}


async def test_what_is_too_much_is_refused_and_leaves_no_rows(
    exports: ExportActivities, parts: ExportPartActivities, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_orders_as(monkeypatch, many(LIMITS.pdf_rows + 1))
    request = asked(ExportFormat.PDF)
    for _ in range(2):
        refused = await exports.begin_export(request)
        assert (refused.refusal, refused.row_count) == (Reason.TOO_MANY_ROWS, 0)
    async with exports.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(ExportChunk)) == 0
    whole = export_key(request.export_id, request.report, request.format)
    await exports.files.put(whole, b"of a step that was given up", "text/plain")
    await exports.end_export(the_end(request.export_id, ExportStatus.FAILED, reason=Reason.TOO_MANY_ROWS))
    with pytest.raises(FileMissingError):
        await exports.files.size(whole)
    failed = await export(exports.sessions, request.export_id)
    assert (failed.status, failed.status_reason, failed.row_count) == ("failed", "too_many_rows", None)

    # What fits is set, without parts.
    list_orders_as(monkeypatch, many(LIMITS.pdf_rows))
    fitting = asked(ExportFormat.PDF)
    assert (await exports.begin_export(fitting)).parts == 0
    stored = await parts.join_export(JoinExport(export_id=fitting.export_id))
    assert (await exports.files.get(stored)).startswith(b"%PDF")

    # A statement that takes too long is ended by the database.
    slow = replace(exports, snapshots=sessions_of(open_snapshots(engine, timedelta(milliseconds=50))))
    sleeping = Listing(
        "Orders",
        (Column("x", "X"),),
        select(func.pg_sleep(10)),
        (),
    )
    list_orders_as(monkeypatch, sleeping)
    refused = await slow.begin_export(asked())
    assert refused.refusal is Reason.TOO_MANY_ROWS
    assert "too long" in str(refused.refusal_detail)


async def test_a_wide_listing_and_one_that_adds_up(
    exports: ExportActivities, parts: ExportPartActivities, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = tuple(Column(f"c{n}", f"C{n}", ColumnType.INTEGER) for n in range(230))
    wide = select(*(literal(n).label(f"c{n}") for n in range(230)))
    list_orders_as(monkeypatch, Listing("Orders", columns, wide, (literal(1).label("one"),)))
    request = asked()
    assert (await exports.begin_export(request)).parts == 1
    await parts.write_part(WritePart(export_id=request.export_id, number=0))
    stored = await parts.join_export(JoinExport(export_id=request.export_id))
    row = (await exports.files.get(stored)).decode().splitlines()[1]
    assert row.split(",")[:230] == [str(n) for n in range(230)]

    sales = asked(ExportFormat.PDF, ExportReport.SALES)
    begun = await exports.begin_export(sales)
    assert (begun.row_count, begun.parts, begun.refusal) == (0, 0, None)
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    await exports.end_export(the_end(sales.export_id, sha256="a" * 64, size=5, row_count=12, snapshot_at=moment))
    done = await export(exports.sessions, sales.export_id)
    assert (done.row_count, done.rows_written, done.snapshot_at) == (12, 12, moment)
    # Its file is there: nobody begins it again, and puts another one in its place.
    with pytest.raises(ExportNotRunningError):
        await exports.begin_export(sales)
    # One that was canceled before it was written down has left nothing to end.
    await exports.end_export(the_end(uuid4(), ExportStatus.CANCELED))
    async with exports.sessions() as session:
        filters = ExportFilters(course_ids=(course("spanish-a1"), uuid4()), statuses=("paid",), currency="EUR")
        words = await words_of(session, filters)
    assert words[0] == "status paid"
    assert words[1].startswith("courses ")
    assert words[1].endswith(", 1 more")
    assert words[2] == "currency EUR"
