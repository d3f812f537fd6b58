"""The steps of a change of a course that people learn in already, or of all its enrollments."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity

from activities.audit import StateChange, write_audit
from activities.change_previews import (
    CourseImpact,
    LessonImpact,
    concerned_by,
    next_page,
    preview_course_change,
    preview_enrollment_change,
)
from activities.course_content import write_content
from activities.database import Sessions
from activities.drip_jobs import DripJob, wake_jobs
from activities.drip_record import FOLLOWED
from activities.enrollment_changes import write_enrollment_change
from models.errors import IllegalTransitionError, Reason
from models.identifiers import course_change_workflow_id, member_change_id_for
from models.messages.learning import (
    ChangeEnrollment,
    CourseChangeBegun,
    CourseChangeRequest,
    EndCourseChange,
    ReplannedPage,
    ReplanPage,
    WriteEnrollmentChange,
)
from models.tables import Course, CourseChange, Enrollment
from models.tables.columns import now
from models.vocabulary import CourseChangeStatus
from rules.decision import Refused

__all__ = [
    "CourseChangeActivities",
    "CourseImpact",
    "LessonImpact",
    "preview_course_change",
    "preview_enrollment_change",
]

_AT_ONCE = 4


@dataclass
class CourseChangeActivities:
    """Each step may be repeated: the second time finds the work done."""

    sessions: Sessions

    @activity.defn
    async def begin_course_change(self, request: CourseChangeRequest) -> CourseChangeBegun:
        """Make the change of the course, and write down that its enrollments have to follow; or refuse and write
        nothing.

        Refused with `not_found`, `invalid_request`, `drip_rule_invalid`, `meeting_over`, `idempotency_key_reused`.
        """
        async with self.sessions.begin() as session:
            begun = await _begin(session, request)
            if isinstance(begun, Refused):
                await session.rollback()
                return CourseChangeBegun(change_id=request.change_id, refusal=begun.reason, refusal_detail=begun.detail)
            return CourseChangeBegun(change_id=request.change_id, enrollments=begun.enrollments)

    @activity.defn
    async def replan_page(self, step: ReplanPage) -> ReplannedPage:
        """Bring the next enrollments in line: those of a changed course are looked at by their jobs at once, a change
        of all members is made for each of them. Then their jobs are woken.
        """
        page = await self.follow_page(step)
        if page.ids:
            jobs = [DripJob(each, page.course_id) for each in page.ids]
            await wake_jobs(activity.client(), activity.info().task_queue, jobs)
        return ReplannedPage(last=page.ids[-1] if page.ids else None, done=page.done, refused=page.refused)

    async def follow_page(self, step: ReplanPage) -> "Page":
        """What `replan_page` does on the record."""
        async with self.sessions() as session:
            change = await session.get_one(CourseChange, step.change_id)
            request = CourseChangeRequest.model_validate(change.request)
            is_running = change.status == CourseChangeStatus.RUNNING
            concerned = concerned_by(request, change.created_at)
            ids = await next_page(session, concerned, step.after, step.limit) if is_running else ()
        if not ids:
            return Page(change.course_id)
        refused = 0 if request.members is None else await self._change_members(ids, request.members, step)
        page = Page(change.course_id, ids, len(ids) - refused, refused)
        async with self.sessions.begin() as session:
            await _look_at_once(session, ids, step)
            await _count(session, step, page)
        return page

    async def _change_members(self, ids: Sequence[UUID], wish: ChangeEnrollment, step: ReplanPage) -> int:
        """How many of them refused: the change makes no sense for them."""
        left, refused = iter(ids), 0
        while batch := list(islice(left, _AT_ONCE)):
            told = await asyncio.gather(*(self._change_member(each, wish, step) for each in batch))
            refused += sum(not is_made for is_made in told)
        return refused

    async def _change_member(self, enrollment_id: UUID, wish: ChangeEnrollment, step: ReplanPage) -> bool:
        of_member = wish.model_copy(
            update={
                "change_id": member_change_id_for(step.change_id, enrollment_id),
                "enrollment_id": enrollment_id,
            }
        )
        write = WriteEnrollmentChange(wish=of_member, moment=step.moment, workflow_id=step.workflow_id)
        try:
            async with self.sessions.begin() as session:
                return (await write_enrollment_change(session, write)).refusal is None
        except (IllegalTransitionError, IntegrityError, DataError, ArithmeticError, ValueError) as wrong:
            # What cannot be written for one enrollment, however often it is tried, does not stop all others.
            activity.logger.error("A change of all was not made for %s: %s", enrollment_id, type(wrong).__name__)
            return False

    @activity.defn
    async def end_course_change(self, step: EndCourseChange) -> None:
        """Every enrollment has followed, or somebody has stopped it: running → done or stopped."""
        async with self.sessions.begin() as session:
            change = await session.get_one(CourseChange, step.change_id, with_for_update=True)
            if change.status != CourseChangeStatus.RUNNING:
                return
            status = CourseChangeStatus.STOPPED if step.is_stopped else CourseChangeStatus.DONE
            change.status, change.ended_at, change.updated_at = status, now(), now()
            over = StateChange("course_change", change.id, CourseChangeStatus.RUNNING, status)
            await write_audit(session, [over], actor="system", reason=change.change, workflow_id=step.workflow_id)


@dataclass(frozen=True)
class Page:
    """Enrollments that have followed a change of their course."""

    course_id: UUID
    ids: Sequence[UUID] = ()
    done: int = 0
    refused: int = 0


async def _begin(session: AsyncSession, request: CourseChangeRequest) -> CourseChange | Refused:
    course = await session.get(Course, request.course_id, with_for_update={"key_share": True})
    if course is None:
        return Refused(Reason.NOT_FOUND, "There is no such course.")
    stored = request.model_dump(mode="json")
    known = await session.get(CourseChange, request.change_id)
    if known is not None:
        # Compared as they are written: what was taken away is not the same as what was not spoken of.
        is_same = CourseChangeRequest.model_validate(known.request).model_dump(mode="json") == stored
        return known if is_same else Refused(Reason.IDEMPOTENCY_KEY_REUSED, "The key was used for another change.")
    of_members = None if request.members is None else request.members.change
    if (request.content is None) == (of_members is None):
        return Refused(Reason.INVALID_REQUEST, "A change is of the course or of its members.")
    word = str(request.content or of_members)
    moment, workflow_id = now(), course_change_workflow_id(request.change_id)
    if request.content is not None:
        refused = await write_content(session, course, request, moment)
        if refused is not None:
            return refused
    concerned = select(func.count()).select_from(Enrollment).where(concerned_by(request, moment))
    change = CourseChange(
        id=request.change_id,
        course_id=course.id,
        change=word,
        enrollments=(await session.execute(concerned)).scalar_one(),
        actor=request.actor,
        request=stored,
        workflow_id=workflow_id,
        created_at=moment,
    )
    session.add(change)
    begun = StateChange("course_change", change.id, None, CourseChangeStatus.RUNNING)
    await write_audit(session, [begun], actor=request.actor, reason=word, workflow_id=workflow_id)
    return change


async def _look_at_once(session: AsyncSession, ids: Sequence[UUID], step: ReplanPage) -> None:
    """Their jobs look at them now; where a signal is lost, the sweep finds them."""
    # Locked in the order of their ids, as a roll call or the end of many places locks them.
    locked = (
        select(col(Enrollment.id))
        .where(col(Enrollment.id).in_(ids), col(Enrollment.status).in_(FOLLOWED))
        .order_by(col(Enrollment.id))
        .with_for_update(key_share=True)
        .subquery("locked")
    )
    await session.execute(
        update(Enrollment)
        .where(col(Enrollment.id) == locked.c.id)
        .values(wakes_at=step.moment)
        .execution_options(synchronize_session=False)
    )


async def _count(session: AsyncSession, step: ReplanPage, page: Page) -> None:
    """Count the page, once: a repeat finds that it was reached already."""
    last = page.ids[-1]
    await session.execute(
        update(CourseChange)
        .where(
            col(CourseChange.id) == step.change_id,
            col(CourseChange.last_id).is_(None) | (col(CourseChange.last_id) < last),
        )
        .values(
            done=col(CourseChange.done) + page.done,
            refused=col(CourseChange.refused) + page.refused,
            last_id=last,
            updated_at=now(),
        )
        .execution_options(synchronize_session=False)
    )
