"""What checks have found wrong: written down once, asked about once, settled when it is not so any more."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    String,
    Uuid,
    and_,
    any_,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped
from sqlmodel import col
from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from activities.audit import StateChange, write_audit
from activities.database import Sessions
from activities.starts import is_delivered, reach_each
from models import search
from models.identifiers import finding_id_for, finding_workflow_id
from models.messages.checks import LookInto, PursuedFindings, PursueFindings, SettleFinding
from models.tables import CheckRunFinding, Finding, HumanTask
from models.tables.columns import now
from models.vocabulary import CheckKind, FindingKind, FindingStatus, TaskStatus, WaitingFor

FINDING_WORKFLOW = "FindingWorkflow"
_GONE_SIGNAL = "gone"
# Of these it is the job behind that asks, where it cannot put right by itself what it was told of. Of everything else
# that is wrong a job with an open task asks about another thing, or about nothing any more, since it is stuck.
_ASKED_BY_THEIR_JOBS = (
    FindingKind.PAID_NOT_FULFILLED,
    FindingKind.DOUBLE_PAYMENT,
    FindingKind.UNKNOWN_PAYMENT,
    FindingKind.ORPHAN_REFUND,
    FindingKind.REFUND_MISMATCH,
    FindingKind.REFUND_NOT_REVOKED,
    FindingKind.UNKNOWN_DISPUTE,
)
# Rows of one statement: PostgreSQL takes 32,767 values at most.
_AT_ONCE = 500

RowT = TypeVar("RowT")


@dataclass(frozen=True)
class Found:
    """Something that is wrong now. `about` tells it from others of its kind, e.g. the id of Stripe's object.

    `is_healing` is set where a job was told to put it right: nobody is asked unless a later run still finds it.
    """

    kind: FindingKind
    about: str
    subject_kind: str
    subject_id: UUID
    reason: str
    stripe_id: str | None = None
    job_id: str | None = None
    currency: str | None = None
    expected_amount: int | None = None
    found_amount: int | None = None
    is_healing: bool = False

    @property
    def id(self) -> UUID:
        """The row that it is, however often it is found."""
        return finding_id_for(self.kind, self.about)


@dataclass(frozen=True)
class Recorded:
    """What a run has changed: findings that are open since it, and those that are not found any more."""

    opened: frozenset[UUID] = field(default_factory=frozenset)
    gone: frozenset[UUID] = field(default_factory=frozenset)


async def lock_findings(session: AsyncSession, found_by: CheckKind) -> None:
    """One run of a check at a time, until the transaction ends: two would both take what they find for news.

    Who reads the record after that, in the same transaction, finds nothing that another run has seen put right before.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"findings:{found_by}"))))


async def record_findings(
    session: AsyncSession,
    run_id: UUID,
    found_by: CheckKind,
    looked_for: Collection[FindingKind],
    found: Sequence[Found],
    *,
    workflow_id: str,
    examined: Collection[UUID] | None = None,
) -> Recorded:
    """Write down what a run has found, and settle what it has not found any more.

    The run has looked for these kinds at whatever it looks at, and at the subject of every open finding of them; of
    those alone that are `examined`, where another run may have found more since this one began to look. What was
    accepted stays so as long as its amounts are the same; what was settled otherwise is open again. One that is open
    keeps the amounts that a person is asked about. Recording the same again changes nothing.
    """
    await lock_findings(session, found_by)
    by_id = {each.id: each for each in found}
    known = select(Finding).where(
        col(Finding.found_by) == found_by,
        _is_one_of(by_id) | (col(Finding.kind).in_(looked_for) & (col(Finding.status) == FindingStatus.OPEN)),
    )
    rows = {row.id: row for row in (await session.execute(known.with_for_update())).scalars()}
    opened = {each.id for each in by_id.values() if _is_news(rows.get(each.id), each)}
    may_be_gone = rows.keys() if examined is None else rows.keys() & set(examined)
    gone = {each for each in may_be_gone if rows[each].status == FindingStatus.OPEN and each not in by_id}
    moment = now()
    for news in _batches([by_id[each] for each in sorted(opened)]):
        await session.execute(_written(news, found_by, moment))
    if gone:
        await session.execute(
            update(Finding)
            .where(_is_one_of(gone))
            .values(status=FindingStatus.RESOLVED, settled_at=moment, settled_by="system", updated_at=moment)
        )
    for seen in _batches(list(by_id.values())):
        lines = [
            {
                "run_id": run_id,
                "finding_id": each.id,
                "is_new": each.id in opened,
                "is_healing": each.is_healing,
                "found_at": moment,
            }
            for each in seen
        ]
        await session.execute(insert(CheckRunFinding).values(lines).on_conflict_do_nothing())
    changes = [
        *(StateChange("finding", each, _status_of(rows.get(each)), FindingStatus.OPEN) for each in sorted(opened)),
        *(StateChange("finding", each, FindingStatus.OPEN, FindingStatus.RESOLVED) for each in sorted(gone)),
    ]
    for written in _batches(changes):
        await write_audit(session, written, actor="system", reason=found_by, workflow_id=workflow_id)
    return Recorded(frozenset(opened), frozenset(gone))


def _is_one_of(finding_ids: Collection[UUID]) -> ColumnElement[bool]:
    return col(Finding.id) == any_(literal(list(finding_ids), ARRAY(Uuid)))


def _batches(rows: Sequence[RowT]) -> Iterator[Sequence[RowT]]:
    return (rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE))


def _is_news(row: Finding | None, found: Found) -> bool:
    if row is None or row.status == FindingStatus.RESOLVED:
        return True
    differs = (row.expected_amount, row.found_amount) != (found.expected_amount, found.found_amount)
    return row.status == FindingStatus.ACCEPTED and differs


def _status_of(row: Finding | None) -> str | None:
    return None if row is None else str(row.status)


def _written(found: Sequence[Found], found_by: CheckKind, moment: datetime) -> Insert:
    values = [
        {
            "id": each.id,
            "created_at": moment,
            "found_by": found_by,
            "kind": each.kind,
            "status": FindingStatus.OPEN,
            "subject_kind": each.subject_kind,
            "subject_id": each.subject_id,
            "stripe_id": each.stripe_id,
            "job_id": each.job_id,
            "reason": each.reason,
            "currency": each.currency,
            "expected_amount": each.expected_amount,
            "found_amount": each.found_amount,
            "times": 1,
            "opened_at": moment,
            "updated_at": moment,
        }
        for each in found
    ]
    new = insert(Finding).values(values)
    renewed = {
        name: new.excluded[name]
        for name in ("status", "reason", "currency", "expected_amount", "found_amount", "opened_at", "updated_at")
    }
    cleared = {"settled_at": None, "settled_by": None, "times": col(Finding.times) + 1}
    return new.on_conflict_do_update(index_elements=[col(Finding.id)], set_={**renewed, **cleared})


@dataclass
class FindingActivities:
    """Steps that every check shares, and those of `FindingWorkflow`."""

    sessions: Sessions

    @activity.defn
    async def pursue_findings(self, step: PursueFindings) -> PursuedFindings:
        """Have a job ask about each open finding, unless one does; tell the jobs of settled ones to stop asking."""
        client, task_queue = activity.client(), activity.info().task_queue
        async with self.sessions() as session:
            open_ones = (await session.execute(_to_ask_about(step))).scalars().all()
            gone = (await session.execute(_not_to_ask_about(step))).scalars().all()
        asked = await reach_each(open_ones, lambda row: _ask(client, task_queue, row), _named)
        told = await reach_each(gone, lambda row: _stop_asking(client, row), _named)
        return PursuedFindings(asked=asked, told=told)

    @activity.defn
    async def settle_finding(self, step: SettleFinding) -> None:
        """Write down that a person has settled it. An answer to an earlier question settles nothing."""
        moment = now()
        is_asked = col(Finding.status) == FindingStatus.OPEN
        if step.times is not None:
            is_asked &= col(Finding.times) == step.times
        async with self.sessions.begin() as session:
            settled = await session.execute(
                update(Finding)
                .where(col(Finding.id) == step.finding_id, is_asked)
                .values(status=step.status, settled_at=moment, settled_by=step.actor, updated_at=moment)
                .returning(col(Finding.id))
            )
            if settled.first() is not None:
                change = StateChange("finding", step.finding_id, FindingStatus.OPEN, step.status)
                await write_audit(session, [change], actor=step.actor, reason="decided", workflow_id=step.workflow_id)


def _to_ask_about(step: PursueFindings) -> Select[Finding]:
    """Open findings, first those that nobody is asked about yet.

    One that a job was told to put right has its time until a later run, and one whose own job asks a person is that
    person's already.
    """
    line = CheckRunFinding
    since = (
        select(line)
        .where(col(line.finding_id) == col(Finding.id), col(line.found_at) >= col(Finding.opened_at))
        .correlate(Finding)
    )
    time_to_heal = timedelta(minutes=step.healing_minutes)
    was_found_again = since.with_only_columns(
        and_(func.count() > 1, func.max(col(line.found_at)) - func.min(col(line.found_at)) >= time_to_heal)
    ).scalar_subquery()
    return (
        select(Finding)
        .where(
            col(Finding.found_by) == step.found_by,
            col(Finding.status) == FindingStatus.OPEN,
            or_(since.where(col(line.is_healing).is_(False)).exists(), was_found_again),
            ~is_asked_by_its_job(),
        )
        .order_by(_asks_a_person(_own_job()), col(Finding.opened_at), col(Finding.id))
        .limit(step.limit)
    )


def is_asked_by_its_job() -> ColumnElement[bool]:
    """Whether the job that can heal a finding, or the one that looks after its payment, asks a person already."""
    of_payment = func.concat("payment-", col(Finding.stripe_id))
    return and_(
        col(Finding.kind).in_(_ASKED_BY_THEIR_JOBS),
        or_(_asks_a_person(col(Finding.job_id)), _asks_a_person(of_payment)),
    )


def _asks_a_person(workflow_id: ColumnElement[str] | Mapped[str | None]) -> ColumnElement[bool]:
    """Whether this job has an open task."""
    return exists().where(col(HumanTask.status) == TaskStatus.OPEN, col(HumanTask.workflow_id) == workflow_id)


def _own_job() -> ColumnElement[str]:
    """The job that asks about the finding itself (`models.identifiers.finding_workflow_id`)."""
    return func.concat("finding-", cast(col(Finding.id), String))


def _not_to_ask_about(step: PursueFindings) -> Select[Finding]:
    """Findings that are settled while somebody is still asked about them."""
    return (
        select(Finding)
        .where(
            col(Finding.found_by) == step.found_by,
            col(Finding.status) != FindingStatus.OPEN,
            _asks_a_person(_own_job()),
        )
        .order_by(col(Finding.id))
        .limit(step.limit)
    )


async def _ask(client: Client, task_queue: str, row: Finding) -> None:
    """Start the job that asks; one that asks already goes on undisturbed."""
    await client.start_workflow(
        FINDING_WORKFLOW,
        LookInto(
            finding_id=row.id,
            found_by=CheckKind(row.found_by),
            kind=FindingKind(row.kind),
            subject_kind=row.subject_kind,
            subject_id=row.subject_id,
            reason=row.reason,
            times=row.times,
            job_id=row.job_id,
        ),
        id=finding_workflow_id(row.id),
        task_queue=task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=search.at_start("finding", FindingStatus.OPEN, WaitingFor.OPERATOR),
        static_summary=f"Found: {FindingKind(row.kind).value.replace('_', ' ')}",
        static_details=f"Of {row.subject_kind.replace('_', ' ')} `{row.subject_id}`, found {row.times} times.",
    )


async def _stop_asking(client: Client, row: Finding) -> None:
    """Tell the job; one that has ended meanwhile, or was terminated, asks nobody any more."""
    await is_delivered(client.get_workflow_handle(finding_workflow_id(row.id)).signal(_GONE_SIGNAL))


def _named(row: Finding) -> str:
    return finding_workflow_id(row.id)
