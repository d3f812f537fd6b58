"""What Prometheus reads: how the work goes, by the record and by Temporal, with an end to how many series there are."""

import asyncio
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text, union_all, update
from sqlalchemy.dialects import postgresql
from sqlmodel import col
from temporalio.client import Client
from temporalio.service import RPCError

from activities.database import Sessions, open_database, sessions_of
from models import search
from models.tables import CheckRun, Finding, HumanTask, Invoice, Mail, Order, StripeEvent
from models.vocabulary import (
    CheckKind,
    CheckStatus,
    FindingKind,
    MailStatus,
    MailTemplate,
    PaymentMethod,
    StripeEventStatus,
    TaskKind,
    TaskQueue,
    WaitingFor,
)
from routes import job_gauges, record_gauges
from routes.gauges import Source
from routes.metrics import SOURCE_UP, Metrics
from sandbox.sample_academy import sample_id
from tests.api.recording_temporal import RecordingTemporal, unreachable
from tests.eventually import eventually
from tests.fresh_record import load_academy
from tests.integration.written_orders import Sold, write_invoice, write_order

OURS = (*record_gauges.GAUGES, *job_gauges.GAUGES, SOURCE_UP)
_NAME = re.compile(r"registrar_[a-z]+(_[a-z]+)*")

Values = dict[str, dict[tuple[str, ...], float]]


@pytest.fixture
def nowhere() -> Client:
    """A Temporal that knows of no job."""
    return cast(Client, RecordingTemporal())


async def scraped(metrics: Metrics, sessions: Sessions, temporal: Client) -> Values:
    """What a scrape says: the values of each gauge of ours, by its labels."""
    exposition = (await metrics.exposition(sessions, temporal)).decode()
    labels = {gauge.name: gauge.labels for gauge in OURS}
    return {
        family.name: {
            tuple(sample.labels[label] for label in labels[family.name]): sample.value for sample in family.samples
        }
        for family in text_string_to_metric_families(exposition)
        if family.name in labels
    }


def counted(values: Values, gauge: str) -> dict[tuple[str, ...], float]:
    """The series that are not zero."""
    return {series: value for series, value in values[f"registrar_{gauge}"].items() if value}


async def test_the_record_is_counted(sessions: Sessions, nowhere: Client) -> None:
    await load_academy(sessions)
    invoiced = await write_order(sessions, [Sold("spanish-a1", 4900)], method=PaymentMethod.INVOICE)
    tested = await write_order(sessions, [Sold("spanish-a1", 4900, student="aoife")], is_test=True)
    await write_invoice(sessions, invoiced)
    moment = datetime.now(UTC)
    person = sample_id("person", "grace")

    def mail(status: MailStatus, minutes: int, *, deferred: bool = False) -> Mail:
        return Mail(
            recipient_id=person, template=MailTemplate.REFUND, subject_id=uuid4(), status=status,
            workflow_id="refund-1", created_at=moment - timedelta(minutes=minutes),
            sent_at=moment if status is MailStatus.SENT else None,
            deferred_until=moment + timedelta(hours=1) if deferred else None,
            deferred_reason="capped" if deferred else None,
        )  # fmt: skip

    def task(kind: TaskKind, queue: TaskQueue, due_in: timedelta) -> HumanTask:
        return HumanTask(
            kind=kind, queue=queue, subject_kind="order", subject_id=uuid4(), workflow_id="order-1", reason="why",
            allowed_actions=["accept"], due_at=moment + due_in, created_at=moment - timedelta(hours=2),
        )  # fmt: skip

    async with sessions.begin() as session:
        await session.execute(update(Invoice).values(due_on=(moment - timedelta(days=3)).date()))
        old = update(Order).where(col(Order.id) == tested.order_id).values(created_at=moment)
        await session.execute(old)
        session.add_all(
            [
                mail(MailStatus.SENT, 5),
                mail(MailStatus.SENT, 3000),  # more than a day ago
                mail(MailStatus.QUEUED, 10),
                mail(MailStatus.QUEUED, 500, deferred=True),
                task(TaskKind.REFUND_REVIEW, TaskQueue.FINANCE, timedelta(hours=1)),
                task(TaskKind.REFUND_REVIEW, TaskQueue.FINANCE, timedelta(hours=-1)),
                Finding(
                    found_by=CheckKind.RECONCILIATION, kind=FindingKind.DOUBLE_PAYMENT, subject_kind="order",
                    subject_id=uuid4(), reason="why",
                ),
                CheckRun(
                    kind=CheckKind.CRITICAL_MAIL, scope="daily", workflow_id="critical-mail-1", ended_at=moment,
                    status=CheckStatus.DONE,
                ),
                StripeEvent(
                    event_id="evt_1", type="refund.created", stripe_created_at=moment,
                    status=StripeEventStatus.RECEIVED, received_at=moment - timedelta(minutes=20),
                ),
                StripeEvent(
                    event_id="evt_2", type="refund.created", stripe_created_at=moment, status=StripeEventStatus.SIGNALED
                ),
            ]
        )  # fmt: skip
    values = await scraped(Metrics(), sessions, nowhere)
    assert counted(values, "orders") == {("completed",): 1}
    assert counted(values, "jobs")[("enrollment", "active")] == 2
    assert counted(values, "human_tasks") == {("finance", "refund_review"): 2}
    assert counted(values, "human_tasks_overdue") == {("finance", "refund_review"): 1}
    assert counted(values, "human_task_oldest_age_seconds")[("finance",)] == pytest.approx(7200, abs=120)
    assert counted(values, "mails") == {("sent", "refund"): 1, ("queued", "refund"): 2}
    assert counted(values, "mail_oldest_unsent_age_seconds")[()] == pytest.approx(600, abs=120)
    assert counted(values, "findings_open") == {("double_payment",): 1}
    assert counted(values, "check_last_done_timestamp_seconds") == {
        ("critical_mail",): pytest.approx(moment.timestamp(), abs=1)
    }
    assert counted(values, "invoices_overdue") == {(): 1}
    assert counted(values, "stripe_events") == {("received",): 1, ("signaled",): 1}
    assert counted(values, "stripe_event_oldest_unpassed_age_seconds")[()] == pytest.approx(1200, abs=120)
    assert values["registrar_source_up"] == {("record",): 1, ("temporal",): 1}


async def test_the_jobs_are_counted(sessions: Sessions, real_temporal: Client) -> None:
    async def nothing_runs() -> bool:
        running = [run.id async for run in real_temporal.list_workflows('ExecutionStatus="Running"')]
        for left_over in running:
            with suppress(RPCError):
                await real_temporal.get_workflow_handle(left_over).terminate()
        return not running

    await eventually(nothing_runs)
    for about in (
        ("course_change", "running", WaitingFor.APPLICANT),
        ("course_change", "running", WaitingFor.LEARNER),
    ):
        await real_temporal.start_workflow(
            "Counted", id=f"counted-{uuid4()}", task_queue="nobody", search_attributes=search.at_start(*about)
        )

    async def are_counted() -> bool:
        values = await scraped(Metrics(), sessions, real_temporal)
        return (
            counted(values, "jobs_running") == {("course_change",): 2}
            and counted(values, "jobs_waiting") == {("applicant",): 1, ("learner",): 1}
            and counted(values, "jobs_needing_human") == {}
        )

    async def are_ended() -> bool:
        values = await scraped(Metrics(), sessions, real_temporal)
        return counted(values, "jobs_running") == {} and counted(values, "jobs_ended").get(("terminated",), 0) >= 2

    await eventually(are_counted)
    await eventually(nothing_runs)
    await eventually(are_ended)


async def test_what_grows_for_ever_is_not_read_through(sessions: Sessions) -> None:
    """What is asked every quarter of a minute, and what is asked about each of ten thousand jobs."""
    statements = str(union_all(*record_gauges._statements()).compile(
        dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}
    ))  # fmt: skip
    of_a_job = [f"SELECT id FROM {table} WHERE workflow_id = 'order-1'" for table in ("mails", "human_tasks")]  # noqa: S608
    async with sessions() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        plans = []
        for asked in (statements, *of_a_job):
            plans += (await session.execute(text(f"EXPLAIN {asked}".replace(":", "\\:")))).scalars()
    plan = "\n".join(plans)
    for index in ("mails_created_at", "mails_unsent", "mails_workflow_id", "human_tasks_workflow_id",
                  "orders_created_at", "stripe_events_received_at"):  # fmt: skip
        assert re.search(rf"(using|on) ix_{index} ", plan), f"{index}:\n{plan}"


async def test_the_series_are_the_same_whatever_there_is(sessions: Sessions, nowhere: Client) -> None:
    values = await scraped(Metrics(), sessions, nowhere)
    for gauge in OURS:
        assert _NAME.fullmatch(gauge.name)
        assert not gauge.name.endswith("_total")
        assert set(values[gauge.name]) == (set() if gauge.open_ended else set(gauge.known))
    assert sum(len(series) for series in values.values()) < 500


def test_no_other_series_are_shown() -> None:
    family = record_gauges.ORDERS.family({("Anna Karenina",): 3, ("completed",): 1})
    assert {sample.labels["status"] for sample in family.samples} == {s for (s,) in record_gauges.ORDERS.known}
    many = job_gauges.SCHEDULE_PAUSED.family({(f"schedule-{number}",): 1 for number in range(1000)})
    assert len(many.samples) == 100


async def test_a_source_that_is_away_fails_no_scrape(sessions: Sessions, nowhere: Client) -> None:
    gone = open_database("postgresql+asyncpg://registrar@127.0.0.1:1/none", 1)
    values = await scraped(Metrics(), sessions_of(gone), nowhere)
    assert values["registrar_source_up"] == {("record",): 0, ("temporal",): 1}
    assert not {gauge.name for gauge in record_gauges.GAUGES} & values.keys()
    values = await scraped(Metrics(), sessions, cast(Client, RecordingTemporal(failure=unreachable())))
    assert values["registrar_source_up"] == {("record",): 1, ("temporal",): 0}
    await gone.dispose()


async def test_scrapes_close_together_read_once(client: httpx.AsyncClient) -> None:
    moment, read = [0.0], []

    async def reading() -> dict[str, dict[tuple[str, ...], float]]:
        read.append(moment[0])
        await asyncio.sleep(0)
        return {}

    source = Source(record_gauges.GAUGES, 15, clock=lambda: moment[0])
    await asyncio.gather(*(source.families(reading) for _ in range(5)))
    moment[0] = 14.9
    await source.families(reading)
    assert read == [0]
    moment[0] = 15
    await source.families(reading)
    assert read == [0, 15]
    assert 'registrar_source_up{source="record"} 1.0' in (await client.get("/metrics")).text


def test_every_lasting_job_is_counted() -> None:
    root = Path(__file__).parents[2]
    source = "".join(
        file.read_text(encoding="utf-8")
        for folder in ("models", "activities", "workflows", "routes")
        for file in (root / folder).rglob("*.py")
    )
    assert set(re.findall(r"at_start\(\s*\"(\w+)\"", source)) <= set(job_gauges.LASTING)
