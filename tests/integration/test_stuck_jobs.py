"""The scan for stuck jobs, on the real server and the real record: found once, settled when it goes away."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update
from sqlmodel import SQLModel, col
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import SearchAttributePair
from temporalio.testing import ActivityEnvironment

from activities import stuck_jobs
from activities.database import Sessions
from activities.job_reading import Listed, describe
from activities.stuck_jobs import StuckJobActivities, _Known
from activities.unfinished import BUSINESS, unfinished
from models import search
from models.identifiers import (
    dispute_workflow_id,
    job_action_workflow_id,
    new_id,
    order_cancellation_workflow_id,
    order_workflow_id,
)
from models.messages.checks import LookForStuckJobs
from models.tables import (
    AuditEntry,
    BulkJobAction,
    CheckRun,
    Dispute,
    Enrollment,
    Finding,
    HumanTask,
    Invoice,
    Order,
    OrderLine,
    Refund,
    RefundRequest,
    TutorApplication,
)
from models.tables.columns import now
from models.vocabulary import (
    ApplicationStatus,
    CheckStatus,
    DisputeStatus,
    EnrollmentStatus,
    FindingKind,
    FindingStatus,
    InvoiceStatus,
    JobAction,
    JobActionStatus,
    OrderStatus,
    RefundCause,
    RefundRequestStatus,
    RefundStatus,
    TaskAction,
    TaskKind,
    TaskStatus,
)
from rules import jobs as rules
from rules.jobs import JOB_TYPES
from sandbox.sample_academy import sample_id
from tests.eventually import eventually
from tests.fresh_record import load_academy
from tests.integration.money_on_record import write_made_up
from tests.integration.toy_jobs import SWITCHES, Asks, BreaksForGood, MailsOnce, Toys, Wedges, playing


@pytest.fixture
async def toys(real_temporal: Client) -> AsyncIterator[Toys]:
    async with playing(real_temporal) as toys:
        yield toys


async def look(toys: Toys, sessions: Sessions) -> None:
    """One run of the scan."""
    step = LookForStuckJobs(moment=now(), workflow_id=f"stuck-jobs-{uuid4()}")
    await ActivityEnvironment(client=toys.temporal).run(StuckJobActivities(sessions).find_stuck_jobs, step)


async def findings(sessions: Sessions) -> dict[str, Finding]:
    """By the job, or by what is said of many."""
    async with sessions() as session:
        return {row.job_id or row.reason: row for row in (await session.execute(select(Finding))).scalars()}


async def accept(sessions: Sessions, finding: Finding) -> None:
    """Somebody has said that it is right as it is."""
    async with sessions.begin() as session:
        accepted = {"status": FindingStatus.ACCEPTED, "settled_at": now(), "settled_by": "staff:frida"}
        await session.execute(update(Finding).where(col(Finding.id) == finding.id).values(**accepted))


async def entries(sessions: Sessions) -> int:
    async with sessions() as session:
        return (await session.execute(select(func.count()).select_from(AuditEntry))).scalar_one()


async def test_what_does_not_go_on_is_found_once_and_settled_when_it_does(
    toys: Toys, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "FAILING_FOR", timedelta())
    wedged, failing, late, broken, fine = (f"{name}-{uuid4()}" for name in ("wedge", "mail", "cart", "broke", "fine"))
    due = SearchAttributePair(search.DUE_AT, now() - timedelta(hours=2))
    await toys.start(Wedges, wedged)
    failing_job = await toys.start(MailsOnce, failing)
    late_job = await toys.start(Asks, late, due)
    await toys.start(Asks, fine)
    with pytest.raises(WorkflowFailureError):
        await (await toys.start(BreaksForGood, broken)).result()
    await toys.lists(broken, 'ExecutionStatus="Failed"')

    async def is_wedged() -> bool:
        run = await describe(toys.temporal, wedged, timedelta(seconds=5))
        return run is not None and run.pending_workflow_task.attempt >= rules.WEDGED_ATTEMPTS and bool(SWITCHES.tries)

    await eventually(is_wedged)
    await look(toys, sessions)
    found = await findings(sessions)
    assert {job: found[job].kind for job in (wedged, failing, late, broken)} == {
        wedged: FindingKind.JOB_WEDGED,
        failing: FindingKind.JOB_FAILING,
        late: FindingKind.JOB_OVERDUE,
        broken: FindingKind.JOB_BROKEN,
    }
    assert fine not in found
    assert "send_mail has failed once, the last time with smtp_unreachable" in found[failing].reason

    await accept(sessions, found[late])
    found, before = await findings(sessions), await entries(sessions)
    await look(toys, sessions)
    assert await findings(sessions) == found
    assert await entries(sessions) == before
    async with sessions() as session:
        runs = (await session.execute(select(CheckRun))).scalars().all()
    assert {run.status for run in runs} == {CheckStatus.DONE}
    assert len(runs) == 2
    assert min(run.counts["stuck"] for run in runs) >= 4

    SWITCHES.is_mended = True
    await failing_job.terminate("mended by hand")
    await late_job.cancel()
    for job in (failing, late):
        await toys.lists(job, 'ExecutionStatus IN ("Terminated", "Canceled")')
    again = await toys.start(MailsOnce, failing)
    assert await again.result() == "sent"
    monkeypatch.setattr(stuck_jobs, "describe", _unreachable(wedged))
    await look(toys, sessions)
    found = await findings(sessions)
    assert (found[failing].status, found[wedged].status) == (FindingStatus.RESOLVED, FindingStatus.OPEN)
    assert found[broken].status == FindingStatus.OPEN
    assert (found[late].status, found[late].settled_by) == (FindingStatus.RESOLVED, "system")


def _unreachable(workflow_id: str) -> object:
    async def away(temporal: Client, asked: str, patience: timedelta) -> object:
        if asked == workflow_id:
            raise TimeoutError
        return await describe(temporal, asked, patience)

    return away


async def test_one_outage_is_one_finding(toys: Toys, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "FAILING_FOR", timedelta())
    monkeypatch.setattr(rules, "SAME_CAUSE", 2)
    jobs = [f"mail-{uuid4()}" for _ in range(3)]
    handles = [await toys.start(MailsOnce, job) for job in jobs]

    async def all_failed() -> bool:
        return set(jobs) <= set(SWITCHES.tries)

    await eventually(all_failed)
    await look(toys, sessions)
    found = await findings(sessions)
    assert not found.keys() & set(jobs)
    [outage] = [each for each in found.values() if each.kind == FindingKind.JOB_FAILING]
    assert "At least 3 jobs" in outage.reason
    assert "send_mail:smtp_unreachable" in outage.reason
    await accept(sessions, outage)
    for handle in handles[:2]:
        await handle.terminate("over")
    await look(toys, sessions)
    found = await findings(sessions)
    assert jobs[2] not in found
    assert found[outage.reason].status == FindingStatus.ACCEPTED
    await handles[2].terminate("over")
    await look(toys, sessions)
    [outage] = [each for each in (await findings(sessions)).values() if each.kind == FindingKind.JOB_FAILING]
    assert outage.status == FindingStatus.RESOLVED


def test_an_outage_is_over_once_every_job_had_its_turn_without_it() -> None:
    moment, outage = now(), new_id()
    for minutes, is_examined in ((1, False), (29, False), (31, True)):
        known = _Known({}, {outage: moment - timedelta(minutes=minutes)})
        assert (outage in known.examined(moment, 3)) is is_examined
        assert outage in known.examined(moment, 1)


def a_broken(job_type: str, workflow_id: str) -> Listed:
    return Listed(
        workflow_id=workflow_id,
        run_id="1",
        type=job_type,
        run_status="failed",
        job="toy",
        state=None,
        waiting_for=None,
        needs_human=False,
        due_at=None,
        started_at=now(),
        closed_at=now(),
    )


async def test_a_job_that_broke_matters_as_long_as_its_business_is_not_over(sessions: Sessions) -> None:
    assert BUSINESS.keys() <= JOB_TYPES.keys()
    over = [a_broken(job_type, f"{name}-{uuid4()}") for job_type in BUSINESS for name in ("refund-watch", "x")]
    running, done = (
        BulkJobAction(
            id=new_id(),
            action=JobAction.RETRY,
            status=status,
            query="x",
            requested_by="staff:frida",
            asked_sha256="x",
            ended_at=None if status is JobActionStatus.RUNNING else now(),
            workflow_id="x",
        )
        for status in (JobActionStatus.RUNNING, JobActionStatus.DONE)
    )
    async with sessions.begin() as session:
        session.add_all([running, done])
        await session.flush()
        known = [a_broken("JobActionWorkflow", job_action_workflow_id(each.id)) for each in (running, done)]
        unknown = a_broken("UnmatchedPaymentWorkflow", "payment-pi_1")
        odd = a_broken("OrderWorkflow", "order-without-an-id")
        assert await unfinished(session, [*over, *known, unknown, odd]) == [known[0], unknown]


async def test_a_refund_that_is_granted_and_an_application_that_is_not_erased_are_not_over(sessions: Sessions) -> None:
    await load_academy(sessions)
    made_up = await write_made_up(sessions, "owed", 1)
    order, place = made_up.rows[0][0], made_up.rows[2][0]
    assert isinstance(order, Order)
    assert isinstance(place, Enrollment)
    request = RefundRequest(
        id=new_id(), enrollment_id=place.id, cause=RefundCause.NO_TIME, status=RefundRequestStatus.APPROVED, grounds=[],
        amount=500, currency=order.currency, requested_by="staff:1", decided_by="staff:1", decided_at=now(),
        workflow_id="x",
    )  # fmt: skip
    refund = Refund(
        id=new_id(), order_id=order.id, enrollment_id=place.id, request_id=request.id, payment_intent_id="pi_1",
        amount=500, currency=order.currency, reason="requested", workflow_id="x",
    )  # fmt: skip
    application = TutorApplication(
        id=new_id(), applicant_id=sample_id("person", "grace"), status=ApplicationStatus.WITHDRAWN, erase_at=now(),
        workflow_id="x",
    )  # fmt: skip
    jobs = [
        a_broken("RefundWorkflow", f"refund-{place.id}"),
        a_broken("TutorApplicationWorkflow", f"tutor-application-{application.id}"),
    ]
    async with sessions() as session:

        async def owing(*rows: SQLModel) -> list[Listed]:
            session.add_all(rows)
            await session.flush()
            return await unfinished(session, jobs)

        assert await owing(request, application) == jobs
        assert await owing(refund) == jobs
        refund.stripe_refund_id, application.erased_at = "re_1", now()
        assert await owing(refund, application) == []
        refund.status = RefundStatus.FAILED
        assert await owing(refund) == jobs[:1]


async def everybody_is_enrolled(sessions: Sessions) -> None:
    """Of what is made up, every place was had."""
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).values(enrolled_at=now()))


async def test_a_broken_order_owes_what_is_not_back_and_what_came_in_beside_it(sessions: Sessions) -> None:
    await load_academy(sessions)
    made_up = await write_made_up(sessions, "broken", 30)
    await everybody_is_enrolled(sessions)
    orders = [row for row in made_up.rows[0] if isinstance(row, Order)]
    invoices = {row.order_id: row for rows in made_up.rows for row in rows if isinstance(row, Invoice)}
    refunded = {row.order_id for rows in made_up.rows for row in rows if isinstance(row, Refund)}
    async with sessions() as session:
        order = next(each for each in orders if each.completed_at and each.id not in {*refunded, *invoices})
        job = a_broken("OrderWorkflow", order_workflow_id(order.id))
        taken_back = a_broken("OrderCancellationWorkflow", order_cancellation_workflow_id(order.id))
        stored = await session.get_one(Order, order.id)
        stored.status = OrderStatus.REFUNDED

        async def owing(*rows: SQLModel) -> list[Listed]:
            session.add_all(rows)
            await session.flush()
            return await unfinished(session, [job, taken_back])

        assert await owing(stored) == []
        refund = Refund(
            id=new_id(), order_id=order.id, payment_intent_id="pi_1", amount=500, currency=order.currency,
            reason="seat_lost", workflow_id=job.workflow_id,
        )  # fmt: skip
        assert await owing(refund) == [job]
        refund.workflow_id = taken_back.workflow_id
        assert await owing(refund) == [taken_back]
        refund.stripe_refund_id = "re_1"
        assert await owing(refund) == []
        refund.status = RefundStatus.FAILED
        assert await owing(refund) == [taken_back]
        refund.status = RefundStatus.SUCCEEDED
        assert await owing(refund) == []
        task = HumanTask(
            id=new_id(), kind=TaskKind.REFUND_FAILED, subject_kind="order", subject_id=order.id, reason="x",
            workflow_id=job.workflow_id, allowed_actions=["retry"], due_at=now(),
        )  # fmt: skip
        assert await owing(task) == [job], "nobody can decide what a broken job has asked"
        task.status, task.decided_at, task.decision = TaskStatus.DONE, now(), TaskAction.RETRY
        assert await owing(task) == []


async def test_a_broken_order_that_has_more_by_invoice_than_it_keeps_is_not_over(sessions: Sessions) -> None:
    await load_academy(sessions)
    made_up = await write_made_up(sessions, "invoiced", 40)
    await everybody_is_enrolled(sessions)
    paid = next(
        row for rows in made_up.rows for row in rows if isinstance(row, Invoice) and row.status == InvoiceStatus.PAID
    )
    job = a_broken("OrderWorkflow", order_workflow_id(paid.order_id))
    async with sessions() as session:
        invoice = await session.get_one(Invoice, paid.id)
        assert await unfinished(session, [job]) == []
        invoice.paid_amount = invoice.amount + 1
        await session.flush()
        assert await unfinished(session, [job]) == [job]
        paid_back = HumanTask(
            id=new_id(), kind=TaskKind.PAY_BACK, subject_kind="order", subject_id=paid.order_id, reason="x",
            workflow_id=job.workflow_id, allowed_actions=["accept"], due_at=now(), status=TaskStatus.DONE,
            decided_at=now(), decision=TaskAction.ACCEPT,
        )  # fmt: skip
        session.add(paid_back)
        await session.flush()
        assert await unfinished(session, [job]) == []


async def test_a_broken_order_owes_the_money_of_a_place_that_was_lost(sessions: Sessions) -> None:
    await load_academy(sessions)
    made_up = await write_made_up(sessions, "lost", 30)
    await everybody_is_enrolled(sessions)
    places = [row for rows in made_up.rows for row in rows if isinstance(row, Enrollment)]
    lines = {row.id: row for rows in made_up.rows for row in rows if isinstance(row, OrderLine)}
    refunded = {row.order_id for rows in made_up.rows for row in rows if isinstance(row, Refund)}
    orders = {row.id: row for row in made_up.rows[0] if isinstance(row, Order)}
    place = next(
        each for each in places
        if (line := lines.get(each.order_line_id)) is not None and line.total_amount
        and orders[line.order_id].completed_at and line.order_id not in refunded
    )  # fmt: skip
    order_id = lines[place.order_line_id].order_id
    job = a_broken("OrderWorkflow", order_workflow_id(order_id))
    dispute = Dispute(
        id=new_id(), stripe_dispute_id="du_1", order_id=order_id, amount=500, currency="EUR", reason="fraudulent",
        status=DisputeStatus.LOST, opened_at=now(),
    )  # fmt: skip
    follows = a_broken("DisputeWorkflow", dispute_workflow_id("du_1"))
    async with sessions() as session:
        held = await session.get_one(Enrollment, place.id)
        held.status = EnrollmentStatus.ACTIVE
        session.add(dispute)
        await session.flush()
        assert await unfinished(session, [job, follows]) == [follows], "nobody has said what becomes of the places"
        held.status, held.enrolled_at = EnrollmentStatus.CANCELED, None
        await session.flush()
        assert await unfinished(session, [job, follows]) == [job]
        refund = Refund(
            id=new_id(), order_id=order_id, enrollment_id=place.id, payment_intent_id="pi_1", amount=500,
            currency="EUR", reason="seat_lost", workflow_id=job.workflow_id, stripe_refund_id="re_1",
        )  # fmt: skip
        session.add(refund)
        await session.flush()
        assert await unfinished(session, [job, follows]) == []
