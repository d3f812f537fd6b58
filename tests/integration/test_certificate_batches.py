"""Runs that certify many learners: who they are for, each one's turn once, and the workbook of what came of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import pytest
from openpyxl import load_workbook
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col
from temporalio import workflow
from temporalio.client import Client, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities import certificate_batches, certificate_eligibility
from activities.certificate_batches import CertificateBatchActivities, NotIssuedYetError, workbook_key
from activities.certificate_eligibility import BatchSelection, batch_preview, standing_of
from activities.certificate_templates import AssignedTemplate
from activities.certificates import CertificateActivities
from activities.files import FileStore
from activities.orders import OrderActivities
from models.errors import Reason, refusal
from models.identifiers import certificate_batch_workflow_id
from models.messages.certificates import (
    BatchPage,
    BatchRequest,
    CertificateAnswer,
    CertificateStart,
    EndBatch,
    IssueCertificates,
)
from models.tables import CertificateBatch, CertificateBatchLine, Person
from models.vocabulary import BatchOutcome, CertificateGround, CertificateOrigin, EnrollmentStatus
from tests.integration.certified_places import (
    NOON,
    a_place,
    all_certificates,
    blank,
    certify,
    confirm,
    issued,
    issuing,
    revoking,
    template,
)
from tests.integration.order_steps import course, newcomers, person, statements_of

T = TypeVar("T")
QUEUE = "certificates-of-a-test"
SPANISH = BatchSelection(course("spanish-a1"))


@workflow.defn(name="CertificateWorkflow", sandboxed=False)
class _Issuing:
    """What a run over many learners needs of the workflow of certificates: one that issues when it is asked to."""

    @workflow.run
    async def run(self, start: CertificateStart) -> None:
        await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.update
    async def issue(self, start: CertificateStart) -> CertificateAnswer:
        answer = await workflow.execute_local_activity_method(
            CertificateActivities.issue_certificates,
            IssueCertificates(
                enrollment_id=start.enrollment_id,
                origin=start.origin or CertificateOrigin.COMPLETION,
                actor=start.actor,
                moment=NOON,
                workflow_id=workflow.info().workflow_id,
            ),
            start_to_close_timeout=timedelta(seconds=30),
        )
        if answer.grounds and answer.grounds != (CertificateGround.NAME_UNCONFIRMED,):
            raise refusal(Reason.CERTIFICATE_NOT_ELIGIBLE, "It is not eligible.", *answer.grounds)
        return CertificateAnswer(grounds=answer.grounds)


@pytest.fixture
async def steps(orders: OrderActivities) -> CertificateActivities:
    await blank(orders.sessions)
    await certify(orders.sessions, "spanish-a1", AssignedTemplate(await template(orders.sessions, "classic")))
    return CertificateActivities(orders.sessions)


@pytest.fixture
def batches(steps: CertificateActivities, tmp_path: Path) -> CertificateBatchActivities:
    return CertificateBatchActivities(steps.sessions, FileStore(tmp_path.as_uri()), QUEUE)


@pytest.fixture
async def places(steps: CertificateActivities, orders: OrderActivities) -> dict[str, UUID]:
    """Each stands in another way: ready, unconfirmed, not completed, canceled, certified, revoked."""
    found = {}
    for n, key in enumerate(("lukasz", "layla", "grace", "aoife", "haruka", "xiaoming")):
        changes: dict[str, object] = {"enrolled_at": NOON + timedelta(hours=n)}
        if key == "grace":
            changes["completed_at"] = None
        if key == "aoife":
            changes["status"] = EnrollmentStatus.CANCELED
        found[key] = await a_place(steps.sessions, orders, student=person(key), **changes)
        if key != "layla":
            await confirm(steps.sessions, f"Name of {key}", person(key))
    await steps.issue_certificates(issuing(found["haruka"]))
    await steps.change_certificate(revoking(await issued(steps, found["xiaoming"])))
    return found


@pytest.fixture
async def client(real_temporal: Client, steps: CertificateActivities) -> AsyncIterator[Client]:
    async with Worker(real_temporal, task_queue=QUEUE, workflows=[_Issuing], activities=[steps.issue_certificates]):
        yield real_temporal


def asking(*places: UUID, since: datetime | None = None, until: datetime | None = None) -> BatchRequest:
    return BatchRequest(
        batch_id=uuid4(),
        course_id=course("spanish-a1"),
        enrollment_ids=places,
        enrolled_from=since,
        enrolled_until=until,
        actor="staff:7",
    )


async def outcomes_of(batches: CertificateBatchActivities, batch_id: UUID) -> dict[UUID, tuple[str | None, str | None]]:
    """By enrollment, in the order of the run."""
    query = (
        select(
            col(CertificateBatchLine.enrollment_id), col(CertificateBatchLine.outcome), col(CertificateBatchLine.ground)
        )
        .where(col(CertificateBatchLine.batch_id) == batch_id)
        .order_by(col(CertificateBatchLine.position))
    )
    async with batches.sessions() as session:
        return {place: (outcome, ground) for place, outcome, ground in await session.execute(query)}


async def a_page(batches: CertificateBatchActivities, client: Client, batch_id: UUID, limit: int = 100) -> int:
    page = BatchPage(batch_id=batch_id, limit=limit)
    return (await ActivityEnvironment(client=client).run(batches.issue_page, page)).done


async def end(batches: CertificateBatchActivities, batch_id: UUID, *, is_canceled: bool = False) -> None:
    await batches.end_batch(
        EndBatch(batch_id=batch_id, is_canceled=is_canceled, workflow_id=certificate_batch_workflow_id(batch_id))
    )


async def crowd(batches: CertificateBatchActivities, orders: OrderActivities, count: int) -> list[UUID]:
    """Learners who have completed Spanish and have a name."""
    people = await newcomers(batches.sessions, count)
    async with batches.sessions.begin() as session:
        named = update(Person).where(col(Person.id).in_(people))
        await session.execute(named.values(legal_name="A Newcomer", legal_name_confirmed_at=NOON))
    return [await a_place(batches.sessions, orders, student=each) for each in people]


# ---- whom it is for ----


async def test_a_preview_counts_what_a_run_would_come_to(
    batches: CertificateBatchActivities, places: dict[str, UUID], engine: AsyncEngine
) -> None:
    async with batches.sessions() as session:
        with statements_of(engine) as sent:
            listed = await batch_preview(session, BatchSelection(SPANISH.course_id, tuple(places.values())))
        assert len(sent) == 2
        of_course = await batch_preview(session, SPANISH)
        standing = await standing_of(session, places["grace"], CertificateOrigin.EXCEPTION)
    assert listed.total == 6
    assert listed.outcomes == {
        BatchOutcome.ISSUED: 1,
        BatchOutcome.WAITING: 1,
        BatchOutcome.NOT_ELIGIBLE: 3,
        BatchOutcome.EXISTING: 1,
    }
    assert listed.grounds == {
        CertificateGround.NAME_UNCONFIRMED: 1,
        CertificateGround.NOT_COMPLETED: 1,
        CertificateGround.ENROLLMENT_CANCELED: 1,
        CertificateGround.REVOKED_BEFORE: 1,
    }
    assert of_course.total == 5
    assert standing is not None
    assert standing.outcome is BatchOutcome.ISSUED


async def test_whom_it_is_for_is_written_down_once(
    batches: CertificateBatchActivities, places: dict[str, UUID]
) -> None:
    whole = asking()
    for _ in range(2):
        begun = await batches.begin_batch(whole)
        assert (begun.total, begun.refusal) == (5, None)
    names = {place: key for key, place in places.items()}
    in_order = [names[place] for place in await outcomes_of(batches, whole.batch_id)]
    assert in_order == ["lukasz", "layla", "grace", "haruka", "xiaoming"]
    cohort = asking(since=NOON + timedelta(hours=1), until=NOON + timedelta(hours=4))
    assert (await batches.begin_batch(cohort)).total == 2
    listed = asking(places["aoife"], places["lukasz"], places["aoife"])
    assert (await batches.begin_batch(listed)).total == 2
    assert list(await outcomes_of(batches, listed.batch_id)) == [places["aoife"], places["lukasz"]]


async def test_a_run_for_nobody_or_too_many_is_refused(
    batches: CertificateBatchActivities, places: dict[str, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = [
        (asking(uuid4()), Reason.NOT_FOUND),
        (asking(since=NOON + timedelta(days=9)), Reason.INVALID_REQUEST),
        (asking().model_copy(update={"course_id": uuid4()}), Reason.UNKNOWN_COURSE),
    ]
    for request, reason in refused:
        assert (await batches.begin_batch(request)).refusal is reason
    monkeypatch.setattr(certificate_eligibility, "MAX_LEARNERS", 5)
    assert (await batches.begin_batch(asking())).total == 5
    monkeypatch.setattr(certificate_eligibility, "MAX_LEARNERS", 4)
    assert (await batches.begin_batch(asking())).refusal is Reason.INVALID_REQUEST
    async with batches.sessions() as session:
        assert len((await session.execute(select(CertificateBatch))).all()) == 1


# ---- everybody's turn ----


def _timed_out(cause: BaseException) -> WorkflowUpdateRPCTimeoutOrCancelledError:
    error = WorkflowUpdateRPCTimeoutOrCancelledError()
    error.__cause__ = cause
    return error


async def test_everybody_has_their_turn_once(
    batches: CertificateBatchActivities, places: dict[str, UUID], client: Client
) -> None:
    request = asking(*places.values())
    await batches.begin_batch(request)
    pages = [await a_page(batches, client, request.batch_id, 4) for _ in range(3)]
    assert pages == [4, 2, 0]
    told = await outcomes_of(batches, request.batch_id)
    assert {key: told[place] for key, place in places.items()} == {
        "lukasz": ("issued", None),
        "layla": ("waiting", "name_unconfirmed"),
        "grace": ("not_eligible", "not_completed"),
        "aoife": ("not_eligible", "enrollment_canceled"),
        "haruka": ("existing", None),
        "xiaoming": ("not_eligible", "revoked_before"),
    }
    for _ in range(2):
        await end(batches, request.batch_id)
    async with batches.sessions() as session:
        batch = await session.get_one(CertificateBatch, request.batch_id)
    assert (batch.status, batch.ended_at is not None) == ("done", True)
    book = load_workbook(BytesIO(await batches.files.get(workbook_key(batch.id), digest=batch.workbook_sha256)))
    rows = [[cell.value for cell in row] for row in book.worksheets[0].iter_rows()]
    assert rows[0] == ["position", "enrollment_id", "learner", "outcome", "ground", "numbers"]
    first = next(
        each.number for each in await all_certificates(batches.sessions) if each.enrollment_id == places["lukasz"]
    )
    assert rows[1] == [1, str(places["lukasz"]), "Name of lukasz", "issued", None, first]
    assert len(rows) == 7
    assert await a_page(batches, client, request.batch_id) == 0


async def test_a_page_that_is_killed_goes_on_where_it_was(
    batches: CertificateBatchActivities,
    orders: OrderActivities,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = await crowd(batches, orders, 27)
    request = asking(*places)
    await batches.begin_batch(request)
    write, died = CertificateBatchActivities._write, []

    async def dies(self: CertificateBatchActivities, *args: object, **more: bool) -> int:
        """The worker dies when 10 of 27 have their certificate and nothing is written yet, 37 %."""
        if not died:
            died.append(True)
            raise ConnectionError
        return await write(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(certificate_batches, "_AT_ONCE", 10)
    monkeypatch.setattr(CertificateBatchActivities, "_write", dies)
    with pytest.raises(ConnectionError):
        await a_page(batches, client, request.batch_id)
    assert len(await all_certificates(batches.sessions)) == 10
    assert await a_page(batches, client, request.batch_id) == 27
    assert set((await outcomes_of(batches, request.batch_id)).values()) == {("issued", None)}
    numbers = [each.number for each in await all_certificates(batches.sessions)]
    assert numbers == [f"CERT-2026-{n:06d}" for n in range(1, 28)]


async def test_who_is_not_issued_yet_has_another_turn(
    batches: CertificateBatchActivities, orders: OrderActivities, real_temporal: Client, steps: CertificateActivities
) -> None:
    places = await crowd(batches, orders, 2)
    request = asking(*places)
    await batches.begin_batch(request)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(CertificateBatchActivities, "_issue", _nothing)
        await steps.issue_certificates(issuing(places[0]))
        with pytest.raises(NotIssuedYetError):
            await a_page(batches, real_temporal, request.batch_id)
        told = await outcomes_of(batches, request.batch_id)
        assert told == {places[0]: ("issued", None), places[1]: (None, None)}
        # One who never is holds up nobody else.
        last = ActivityEnvironment(client=real_temporal)
        last.info = replace(last.info, attempt=5)
        assert (await last.run(batches.issue_page, BatchPage(batch_id=request.batch_id))).done == 1
    assert (await outcomes_of(batches, request.batch_id))[places[1]] == ("waiting", None)


@pytest.mark.parametrize(
    ("error", "is_passed_over"),
    [
        (RPCError("away", RPCStatusCode.UNAVAILABLE, b""), False),
        (_timed_out(RPCError("away", RPCStatusCode.DEADLINE_EXCEEDED, b"")), False),
        (ConnectionError(), False),
        (_timed_out(asyncio.CancelledError()), True),
        (TimeoutError(), True),
    ],
)
async def test_an_outage_writes_nobody_off(
    batches: CertificateBatchActivities,
    orders: OrderActivities,
    real_temporal: Client,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    is_passed_over: bool,
) -> None:
    [place] = await crowd(batches, orders, 1)
    request = asking(place)
    await batches.begin_batch(request)

    async def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(CertificateBatchActivities, "_issue", fails)
    last = ActivityEnvironment(client=real_temporal)
    last.info = replace(last.info, attempt=9)
    with nullcontext() if is_passed_over else pytest.raises(type(error)):
        await last.run(batches.issue_page, BatchPage(batch_id=request.batch_id))
    assert (await outcomes_of(batches, request.batch_id))[place][0] == ("waiting" if is_passed_over else None)


async def _nothing(*_: object) -> None:
    """Nobody issues anything."""


async def test_a_canceled_run_says_who_had_no_turn(
    batches: CertificateBatchActivities, places: dict[str, UUID], client: Client
) -> None:
    request = asking(places["lukasz"], places["layla"])
    await batches.begin_batch(request)
    await a_page(batches, client, request.batch_id, 1)
    async with batches.sessions.begin() as session:
        await session.execute(
            update(Person).where(col(Person.id) == person("lukasz")).values(legal_name='=HYPERLINK("http://x","y")\x07')
        )
    await end(batches, request.batch_id, is_canceled=True)
    async with batches.sessions() as session:
        batch = await session.get_one(CertificateBatch, request.batch_id)
    assert batch.status == "canceled"
    book = load_workbook(BytesIO(await batches.files.get(workbook_key(batch.id), digest=batch.workbook_sha256)))
    [first, second] = list(book.worksheets[0].iter_rows(min_row=2))
    # A name that looks like a formula is text.
    assert (first[2].value, first[2].data_type) == ('=HYPERLINK("http://x","y")', "s")
    assert (second[3].value, second[4].value) == ("no_turn", None)
    assert await a_page(batches, client, request.batch_id) == 0


async def test_two_runs_at_once_issue_once(
    batches: CertificateBatchActivities, orders: OrderActivities, client: Client
) -> None:
    places = await crowd(batches, orders, 6)
    requests = [asking(*places), asking(*reversed(places))]
    for request in requests:
        await batches.begin_batch(request)
    done = await asyncio.gather(*(a_page(batches, client, request.batch_id) for request in requests))
    assert done == [6, 6]
    assert [each.number for each in await all_certificates(batches.sessions)] == [
        f"CERT-2026-{n:06d}" for n in range(1, 7)
    ]


async def test_a_page_asks_as_little_of_the_database_for_many_as_for_one(
    batches: CertificateBatchActivities,
    orders: OrderActivities,
    real_temporal: Client,
    steps: CertificateActivities,
    engine: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = await crowd(batches, orders, 6)
    for place in places:
        await steps.issue_certificates(issuing(place))
    monkeypatch.setattr(CertificateBatchActivities, "_issue", _nothing)
    counts = []
    for some in (places[:1], places[1:]):
        request = asking(*some)
        with statements_of(engine) as beginning:
            await batches.begin_batch(request)
        with statements_of(engine) as turning:
            await a_page(batches, real_temporal, request.batch_id)
        with statements_of(engine) as ending:
            await end(batches, request.batch_id)
        counts.append((len(beginning), len(turning), len(ending)))
    assert counts == [(6, 5, 5), (6, 5, 5)]
