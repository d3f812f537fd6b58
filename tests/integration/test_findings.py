"""What checks find: written down once, asked about once, settled when it is not so any more, and open again."""

import asyncio
from datetime import timedelta
from typing import cast
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.check_runs import begin_run, end_run
from activities.database import Sessions
from activities.findings import FindingActivities, Found, Recorded, record_findings
from models.identifiers import check_run_id_for, finding_workflow_id
from models.messages.checks import LookInto, PursuedFindings, PursueFindings, SettleFinding
from models.tables import AuditEntry, CheckRun, CheckRunFinding, Finding, HumanTask
from models.tables.columns import now
from models.vocabulary import CheckKind, CheckStatus, FindingKind, FindingStatus, TaskKind
from tests.api.recording_temporal import RecordingTemporal, not_found
from tests.integration.order_steps import rows_written

BOOKS, MAILS = CheckKind.RECONCILIATION, CheckKind.CRITICAL_MAIL
KINDS = (FindingKind.AMOUNT_MISMATCH, FindingKind.PAID_NOT_FULFILLED)
ORDER = UUID(int=7)


def wrong(about: str = "pi_1", amount: int = 4900, **told: object) -> Found:
    facts: dict[str, object] = {
        "kind": FindingKind.AMOUNT_MISMATCH, "about": about, "subject_kind": "order", "subject_id": ORDER,
        "reason": "Another amount came in.", "currency": "EUR", "expected_amount": 5000, "found_amount": amount,
    }  # fmt: skip
    return Found(**{**facts, **told})  # type: ignore[arg-type]


def healing(about: str = "pi_1") -> Found:
    return wrong(about, kind=FindingKind.PAID_NOT_FULFILLED, is_healing=True, job_id=f"order-{ORDER}")


async def run(
    sessions: Sessions, name: str, *found: Found, kind: CheckKind = BOOKS, examined: set[UUID] | None = None
) -> Recorded:
    """One run of the check that finds these."""
    async with sessions.begin() as session:
        run_id = await begin_run(session, name, kind, "recent", None, None)
        recorded = await record_findings(session, run_id, kind, KINDS, found, workflow_id=name, examined=examined)
        await end_run(session, run_id, {"found": len(found)})
    return recorded


async def the_finding(sessions: Sessions, about: Found) -> Finding:
    async with sessions() as session:
        return await session.get_one(Finding, about.id)


async def pursue(
    sessions: Sessions, *, minutes: int = 0, failure: bool = False, kind: CheckKind = BOOKS
) -> tuple[PursuedFindings, dict[str, LookInto], list[str]]:
    """Who is asked now, and which jobs are told that it is over."""
    temporal = RecordingTemporal(failure=not_found() if failure else None)
    steps = FindingActivities(sessions)
    environment = ActivityEnvironment(client=cast(Client, temporal))
    done = await environment.run(steps.pursue_findings, PursueFindings(found_by=kind, healing_minutes=minutes))
    asked = {started: cast(LookInto, look) for started, look in temporal.started}
    return done, asked, [told for told, signal in temporal.signals if signal == "gone"]


def settling(found: Found, status: FindingStatus, times: int | None = None) -> SettleFinding:
    return SettleFinding(finding_id=found.id, status=status, actor="staff:7", workflow_id="finding-1", times=times)


def a_task(workflow_id: str) -> HumanTask:
    return HumanTask(
        kind=TaskKind.RECONCILIATION, subject_kind="order", subject_id=ORDER, workflow_id=workflow_id,
        reason="Look at it.", allowed_actions=["accept"], due_at=now(),
    )  # fmt: skip


async def test_the_same_again_changes_nothing_and_what_is_gone_is_settled(
    sessions: Sessions, engine: AsyncEngine
) -> None:
    found, other = wrong(), wrong("pi_2")
    first = await run(sessions, "run-1", found, other)
    assert first == Recorded(opened=frozenset({found.id, other.id}))
    # The activity is repeated, since its answer was lost.
    before = await rows_written(engine)
    assert await run(sessions, "run-1", found, other) == Recorded()
    assert await rows_written(engine) == before
    # The next run adds its own row and its lines, and nothing else.
    assert await run(sessions, "run-2", found, other) == Recorded()
    after = await rows_written(engine)
    assert {table for table in after if after[table] != before[table]} == {"check_runs", "check_run_findings"}
    assert (await the_finding(sessions, found)).times == 1

    assert await run(sessions, "run-3", found) == Recorded(gone=frozenset({other.id}))
    settled = await the_finding(sessions, other)
    assert (settled.status, settled.settled_by) == (FindingStatus.RESOLVED, "system")
    async with sessions() as session:
        entries = (await session.execute(select(AuditEntry).order_by(col(AuditEntry.id)))).scalars().all()
        ended = await session.get_one(CheckRun, check_run_id_for("run-3"))
        lines = (await session.execute(select(CheckRunFinding))).scalars().all()
    assert [(each.subject_id, each.to_state) for each in entries if each.subject_id == other.id] == [
        (other.id, "open"), (other.id, "resolved"),
    ]  # fmt: skip
    assert (ended.status, ended.counts, ended.scope) == (CheckStatus.DONE, {"found": 1}, "recent")
    assert {line.run_id for line in lines if line.is_new} == {check_run_id_for("run-1")}

    # It comes up again, as another question.
    assert (await run(sessions, "run-4", found, other)).opened == {other.id}
    again = await the_finding(sessions, other)
    assert (again.status, again.times, again.settled_at) == (FindingStatus.OPEN, 2, None)


async def test_what_was_accepted_stays_so_until_its_amounts_change(sessions: Sessions) -> None:
    found, steps = wrong(), FindingActivities(sessions)
    await run(sessions, "run-1", found)
    await steps.settle_finding(settling(found, FindingStatus.ACCEPTED, times=1))
    await steps.settle_finding(settling(found, FindingStatus.RESOLVED, times=1))
    assert await run(sessions, "run-2", found) == Recorded()
    assert await run(sessions, "run-3") == Recorded(), "it is no news either that it is gone"
    settled = await the_finding(sessions, found)
    assert (settled.status, settled.settled_by) == (FindingStatus.ACCEPTED, "staff:7")

    changed = wrong(amount=4800)
    assert (await run(sessions, "run-4", changed)).opened == {found.id}
    asked = await the_finding(sessions, found)
    assert (asked.status, asked.found_amount, asked.times) == (FindingStatus.OPEN, 4800, 2)
    # The answer to the first question comes late; what it was about is not so any more.
    await steps.settle_finding(settling(found, FindingStatus.ACCEPTED, times=1))
    assert (await the_finding(sessions, found)).status == FindingStatus.OPEN
    # While somebody is asked the amounts stay those of the question: the answer is about them, and another follows.
    assert await run(sessions, "run-5", wrong(amount=4700)) == Recorded()
    assert (await the_finding(sessions, found)).found_amount == 4800
    await steps.settle_finding(settling(found, FindingStatus.ACCEPTED, times=2))
    assert (await run(sessions, "run-6", wrong(amount=4700))).opened == {found.id}


async def test_a_job_has_its_time_to_heal_before_anybody_is_asked(sessions: Sessions) -> None:
    found, plain = healing(), wrong("pi_9")
    await run(sessions, "run-1", found, plain)
    _, asked, _ = await pursue(sessions)
    assert set(asked) == {finding_workflow_id(plain.id)}
    await run(sessions, "run-2", found, plain)
    assert set((await pursue(sessions, minutes=5))[1]) == {finding_workflow_id(plain.id)}, "a run that came too soon"
    _, asked, _ = await pursue(sessions)
    look = asked[finding_workflow_id(found.id)]
    assert (look.kind, look.times, look.job_id) == (FindingKind.PAID_NOT_FULFILLED, 1, f"order-{ORDER}")
    # Whoever is asked by the job itself is not asked twice.
    async with sessions.begin() as session:
        session.add(a_task(f"order-{ORDER}"))
    assert set((await pursue(sessions))[1]) == {finding_workflow_id(plain.id)}
    # Healed and broken again: its job has its time anew.
    async with sessions.begin() as session:
        await session.execute(update(HumanTask).values(status="done", decided_at=now()))
    await run(sessions, "run-3", plain)
    await run(sessions, "run-4", found, plain)
    assert set((await pursue(sessions))[1]) == {finding_workflow_id(plain.id)}


@pytest.mark.parametrize(
    ("check", "kind"),
    [
        (BOOKS, FindingKind.AMOUNT_MISMATCH),
        (MAILS, FindingKind.MAIL_NOT_SENT),
        (CheckKind.STUCK_JOBS, FindingKind.JOB_FAILING),
    ],
)
async def test_a_job_that_asks_about_another_thing_hides_nothing(
    sessions: Sessions, check: CheckKind, kind: FindingKind
) -> None:
    found = wrong(kind=kind, job_id=f"order-{ORDER}")
    await run(sessions, "run-1", found, kind=check)
    async with sessions.begin() as session:
        session.add(a_task(f"order-{ORDER}"))
    assert set((await pursue(sessions, kind=check))[1]) == {finding_workflow_id(found.id)}


async def test_the_jobs_of_settled_findings_are_told_to_stop_asking(sessions: Sessions) -> None:
    found, fresh = wrong(), wrong("pi_2")
    await run(sessions, "run-1", found)
    async with sessions.begin() as session:
        session.add(a_task(finding_workflow_id(found.id)))
    await run(sessions, "run-2", fresh)
    done, asked, told = await pursue(sessions)
    assert (set(asked), told) == ({finding_workflow_id(fresh.id)}, [finding_workflow_id(found.id)])
    assert done == PursuedFindings(asked=1, told=1)
    # It was over already, or terminated.
    assert (await pursue(sessions, failure=True))[0].told == 1


async def test_first_who_is_not_asked_yet(sessions: Sessions) -> None:
    many = [wrong(f"pi_{number}") for number in range(3)]
    for number, each in enumerate(many):
        await run(sessions, f"run-{number}", *many[: number + 1], each)
    async with sessions.begin() as session:
        session.add(a_task(finding_workflow_id(many[0].id)))
    steps, temporal = FindingActivities(sessions), RecordingTemporal()
    environment = ActivityEnvironment(client=cast(Client, temporal))
    await environment.run(steps.pursue_findings, PursueFindings(found_by=BOOKS, limit=2))
    assert {started for started, _ in temporal.started} == {finding_workflow_id(each.id) for each in many[1:]}


async def test_runs_at_the_same_time_find_the_same_thing_once(sessions: Sessions) -> None:
    many = [wrong(f"pi_{number}") for number in range(501)]
    recorded = await asyncio.gather(*(run(sessions, f"run-{number}", *many) for number in range(3)))
    assert sorted(len(each.opened) for each in recorded) == [0, 0, 501]
    assert {(await the_finding(sessions, each)).times for each in many[:3]} == {1}


@pytest.mark.parametrize("is_examined", [True, False])
async def test_only_what_a_run_has_looked_at_can_be_gone(sessions: Sessions, is_examined: bool) -> None:
    """Another run may have found it after this one had begun to look."""
    found = wrong()
    await run(sessions, "run-1", found)
    recorded = await run(sessions, "run-2", examined={found.id} if is_examined else set())
    assert recorded.gone == ({found.id} if is_examined else set())


async def test_checks_keep_out_of_each_others_findings(sessions: Sessions) -> None:
    found = wrong()
    await run(sessions, "run-1", found)
    assert await run(sessions, "run-2", kind=MAILS) == Recorded()
    assert (await the_finding(sessions, found)).status == FindingStatus.OPEN
    assert now() - (await the_finding(sessions, found)).opened_at < timedelta(minutes=5)
