"""Whose turn it is to review, and giving a review to somebody.

Who locks several things locks applications first, then reviewers, then tasks.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ARRAY, TableValuedAlias, Uuid, and_, bindparam, column, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.application_record import APPLICATION, move
from activities.audit import StateChange, write_audit
from activities.business_calendar import business_calendar
from activities.task_record import TASK, actors_of, assign_task
from models.messages.applications import ReassignedReview
from models.tables import AuditEntry, HumanTask, Reviewer, TutorApplication
from models.tables.columns import now
from models.vocabulary import ApplicationStatus, Role, TaskKind, TaskStatus
from rules.business_days import after_working_days
from rules.tutor_application import AWAY_AFTER_WORKING_DAYS, WITH_REVIEWERS

_AT_ONCE = 1000
_TICK = timedelta(microseconds=1)
_AWAY = "the reviewer is away"
_ASSIGNED = "assigned to "
_IS_HAND_OVER = col(AuditEntry.reason).startswith(_ASSIGNED)


async def give_to_next(
    session: AsyncSession,
    application: TutorApplication,
    decided_by: UUID | None = None,
    *,
    actor: str,
    workflow_id: str,
) -> None:
    """Give it to who has decided it, else to who reviewed it before, else to the present reviewer whose turn it is.

    Nobody is present: a submitted application is nobody's, any other stays where it is.
    """
    reviewers = await _locked(session)
    present = [each for each in _in_turn(reviewers) if each.person_id != application.applicant_id]
    there = {each.person_id for each in present}
    before, is_new = application.reviewer_id, application.status == ApplicationStatus.SUBMITTED
    chosen = next((who for who in (decided_by, before) if who in there), None)
    if chosen is None and present:
        chosen = present[0].person_id
        present[0].last_assigned_at = present[0].updated_at = _next_turn(reviewers)
    if is_new or chosen is not None:
        application.reviewer_id = chosen
    if chosen is None or (chosen == before and not is_new):
        return
    moment = application.updated_at = now()
    change = StateChange(APPLICATION, application.id, application.status, application.status)
    if is_new:
        change = move(application, ApplicationStatus.IN_REVIEW, moment)
    await write_audit(session, [change], actor=actor, reason=_assigned_to(chosen), workflow_id=workflow_id)


async def give_review(
    session: AsyncSession, application: TutorApplication, reviewer_id: UUID | None, *, actor: str, workflow_id: str
) -> None:
    """Give an application that is with the reviewers to this one, or to nobody, with its open task."""
    if application.reviewer_id != reviewer_id:
        moment = application.updated_at = now()
        application.reviewer_id = reviewer_id
        wanted = ApplicationStatus.SUBMITTED if reviewer_id is None else ApplicationStatus.IN_REVIEW
        change = StateChange(APPLICATION, application.id, application.status, application.status)
        if application.status not in (wanted, ApplicationStatus.INACTIVE):
            change = move(application, wanted, moment)
        if reviewer_id is not None:
            reviewers = await _locked(session)
            taken_by = next(each for each in reviewers if each.person_id == reviewer_id)
            taken_by.last_assigned_at = taken_by.updated_at = _next_turn(reviewers)
        await write_audit(session, [change], actor=actor, reason=_assigned_to(reviewer_id), workflow_id=workflow_id)
    for task_id in (await _tasks_of(session, [application.id])).values():
        assignee = None if reviewer_id is None else actors_of(str(reviewer_id))[0]
        await assign_task(session, task_id, assignee, actor=actor)


async def hand_overs_of(session: AsyncSession, application_ids: Collection[UUID]) -> Counter[UUID]:
    """How often each application was given to somebody, or to nobody."""
    query = (
        select(col(AuditEntry.subject_id), func.count())
        .where(
            col(AuditEntry.subject_kind) == APPLICATION,
            col(AuditEntry.subject_id).in_(application_ids),
            _IS_HAND_OVER,
        )
        .group_by(col(AuditEntry.subject_id))
    )
    return Counter(dict((await session.execute(query)).all()))


async def take_over_absent(session: AsyncSession, workflow_id: str) -> tuple[ReassignedReview, ...]:
    """Give what is with absent reviewers to present ones, in turn; as many statements however much it is.

    The longest waiting come first, a thousand at most. Where nobody is there it stays where it is. What the same
    workflow has handed over before, and is still there, is answered as well.
    """
    earlier = await _handed_over(session, workflow_id)
    left = await _take_over(session, workflow_id)
    taken_over = {**earlier, **left}
    tasks = await _tasks_of(session, taken_over)
    hand_overs = await hand_overs_of(session, taken_over)
    return tuple(
        ReassignedReview(
            application_id=application_id,
            reviewer_id=reviewer_id,
            task_id=tasks.get(application_id),
            hand_overs=hand_overs[application_id],
        )
        for application_id, reviewer_id in taken_over.items()
    )


async def _handed_over(session: AsyncSession, workflow_id: str) -> dict[UUID, UUID | None]:
    """What this workflow has handed over, with who looks after it; the longest waiting come first."""
    query = (
        select(col(TutorApplication.id), col(TutorApplication.reviewer_id))
        .join(
            AuditEntry,
            and_(col(AuditEntry.subject_kind) == APPLICATION, col(AuditEntry.subject_id) == col(TutorApplication.id)),
        )
        .where(
            col(TutorApplication.status).in_(WITH_REVIEWERS),
            col(AuditEntry.workflow_id) == workflow_id,
            _IS_HAND_OVER,
        )
        .order_by(col(TutorApplication.submitted_at), col(TutorApplication.id))
    )
    return dict((await session.execute(query)).all())


async def _take_over(session: AsyncSession, workflow_id: str) -> dict[UUID, UUID | None]:
    """Who looks after what was with somebody absent until now; none where nobody is there."""
    absent = await _absent(session, await _listed(session))
    if not absent:
        return {}
    query = (
        select(TutorApplication)
        .where(col(TutorApplication.reviewer_id).in_(absent), col(TutorApplication.status).in_(WITH_REVIEWERS))
        .order_by(col(TutorApplication.submitted_at), col(TutorApplication.id))
        .limit(_AT_ONCE)
        .with_for_update()
    )
    applications = (await session.execute(query)).scalars().all()
    if not applications:
        return {}
    reviewers = await _locked(session)
    # Who has come back while this waited for the locks goes on.
    absent &= {each.person_id for each in reviewers if each.away_since is not None}
    applications = [each for each in applications if each.reviewer_id in absent]
    given = _shared_out(applications, reviewers)
    await _hand_over(session, applications, given, workflow_id)
    return {each.id: given.get(each.id) for each in applications}


async def _listed(session: AsyncSession) -> Sequence[Reviewer]:
    return (await session.execute(select(Reviewer).order_by(col(Reviewer.person_id)))).scalars().all()


async def _locked(session: AsyncSession) -> Sequence[Reviewer]:
    """All reviewers, so that two who ask at once see whose turn it is one after the other."""
    query = select(Reviewer).order_by(col(Reviewer.person_id)).with_for_update()
    return (await session.execute(query.execution_options(populate_existing=True))).scalars().all()


def _in_turn(reviewers: Sequence[Reviewer]) -> list[Reviewer]:
    """Those who are there; who was given nothing for the longest time is first."""
    present = [each for each in reviewers if each.away_since is None]
    return sorted(
        present, key=lambda each: (each.last_assigned_at is not None, each.last_assigned_at or now(), each.person_id)
    )


def _next_turn(reviewers: Sequence[Reviewer]) -> datetime:
    """Now, and later than every turn before, whatever the clock of another worker said."""
    return max([now(), *(each.last_assigned_at + _TICK for each in reviewers if each.last_assigned_at is not None)])


async def _absent(session: AsyncSession, reviewers: Sequence[Reviewer]) -> set[UUID]:
    """Who has been away for two working days."""
    zone, country = await business_calendar(session)
    moment = now()
    return {
        each.person_id
        for each in reviewers
        if each.away_since is not None
        and after_working_days(each.away_since, AWAY_AFTER_WORKING_DAYS, zone, country) <= moment
    }


def _shared_out(applications: Sequence[TutorApplication], reviewers: Sequence[Reviewer]) -> dict[UUID, UUID]:
    """Who gets which application, where somebody is there who is not the applicant."""
    waiting, turn, given = _in_turn(reviewers), _next_turn(reviewers), {}
    for application in applications:
        who = next((each for each in waiting if each.person_id != application.applicant_id), None)
        if who is None:
            continue
        waiting.remove(who)
        waiting.append(who)
        who.last_assigned_at = who.updated_at = turn
        turn += _TICK
        given[application.id] = who.person_id
    return given


async def _hand_over(
    session: AsyncSession, applications: Sequence[TutorApplication], given: Mapping[UUID, UUID], workflow_id: str
) -> None:
    """Write down who looks after what from now on, and who is to decide its open task."""
    if not given:
        return
    moment, pairs = now(), _table(given)
    await session.execute(
        update(TutorApplication)
        .where(col(TutorApplication.id) == pairs.c.application_id)
        .values(reviewer_id=pairs.c.reviewer_id, updated_at=moment)
        .execution_options(synchronize_session=False)
    )
    tasks = await _tasks_of(session, given, for_update=True)
    await session.execute(
        update(HumanTask)
        .where(
            col(HumanTask.id).in_(tasks.values()),
            col(HumanTask.subject_id) == pairs.c.application_id,
            col(HumanTask.status) == TaskStatus.OPEN,
        )
        .values(assignee=literal(f"{Role.STAFF}:").concat(func.text(pairs.c.reviewer_id)), updated_at=moment)
        .execution_options(synchronize_session=False)
    )
    changes = [
        StateChange(APPLICATION, each.id, each.status, each.status, f"{_assigned_to(given[each.id])}: {_AWAY}")
        for each in applications
        if each.id in given
    ]
    changes += [
        StateChange(TASK, task_id, TaskStatus.OPEN, TaskStatus.OPEN, _assigned_to(given[application_id]))
        for application_id, task_id in tasks.items()
    ]
    await write_audit(session, changes, actor="system", reason=_AWAY, workflow_id=workflow_id)


async def _tasks_of(
    session: AsyncSession, application_ids: Collection[UUID], *, for_update: bool = False
) -> dict[UUID, UUID]:
    """The open review task of each of these applications that has one; a second opinion is somebody else's."""
    query = (
        select(col(HumanTask.subject_id), col(HumanTask.id))
        .where(
            col(HumanTask.subject_kind) == APPLICATION,
            col(HumanTask.subject_id).in_(application_ids),
            col(HumanTask.kind) == TaskKind.TUTOR_REVIEW,
            # Of the row itself: what was decided while this waited for its lock is looked at again.
            col(HumanTask.status) == TaskStatus.OPEN,
        )
        .order_by(col(HumanTask.id))
    )
    found = await session.execute(query.with_for_update() if for_update else query)
    return dict(found.all())


def _table(given: Mapping[UUID, UUID]) -> TableValuedAlias:
    """Who gets which as a table of (application_id, reviewer_id)."""
    ids = bindparam("application_ids", list(given), type_=ARRAY(Uuid))
    reviewers = bindparam("reviewer_ids", list(given.values()), type_=ARRAY(Uuid))
    columns = column("application_id", Uuid), column("reviewer_id", Uuid)
    return func.unnest(ids, reviewers).table_valued(*columns).render_derived("given")


def _assigned_to(reviewer_id: UUID | None) -> str:
    return f"{_ASSIGNED}nobody" if reviewer_id is None else f"{_ASSIGNED}{actors_of(str(reviewer_id))[0]}"
