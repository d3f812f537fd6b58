"""What a change of an enrollment, or of a course, would come to. Nothing is written."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.change_refusals import against_change, certified_among
from activities.course_content import write_content
from activities.course_impact import Content, content_of, looked_at, may_move
from activities.drip_record import FOLLOWED
from activities.enrollment_changes import write_enrollment_change
from activities.learning_facts import Learning, Release, StandStill, learning_of_many
from activities.plans import EnrollmentPlan, plan_of, planned_lessons
from models.errors import Reason
from models.identifiers import drip_workflow_id, new_id
from models.messages.learning import ChangeEnrollment, CourseChangeRequest, WriteEnrollmentChange
from models.tables import Course, Enrollment
from models.tables.columns import now
from models.vocabulary import DripKind, EnrollmentChange, EnrollmentStatus, ReleaseStatus
from rules.access import LONGEST_PAUSE
from rules.decision import DatedRefusal, Refused
from rules.drip import PlannedLesson

_MOST_AT_ONCE, _ROWS_AT_ONCE = 500, 20_000


@dataclass(frozen=True)
class LessonImpact:
    """For how many learners a lesson opens earlier, later, at once or no more."""

    lesson_id: UUID
    earlier: int = 0
    later: int = 0
    at_once: int = 0
    no_more: int = 0


@dataclass(frozen=True)
class CourseImpact:
    """What a change would come to: how many learners it concerns, how many of them it makes no sense for, and which
    lessons move for the others.
    """

    learners: int
    lessons: tuple[LessonImpact, ...] = ()
    refused: int = 0


async def preview_enrollment_change(
    session: AsyncSession, wish: ChangeEnrollment, moment: datetime
) -> EnrollmentPlan | DatedRefusal:
    """The plan as it would be: the change is made, looked at, and taken back. Objects of the session are detached."""
    step = WriteEnrollmentChange(wish=wish, moment=moment, workflow_id=drip_workflow_id(wish.enrollment_id))
    async with session.begin_nested() as made:
        changed = await write_enrollment_change(session, step)
        planned = await plan_of(session, wish.enrollment_id, moment)
        await session.flush()
        session.expunge_all()
        await made.rollback()
    if changed.refusal is not None or planned is None:
        reason, detail = changed.refusal or Reason.NOT_FOUND, changed.refusal_detail or "There is no such enrollment."
        return DatedRefusal(reason, detail, changed.refusal_moment)
    return planned


async def preview_course_change(session: AsyncSession, request: CourseChangeRequest) -> CourseImpact | Refused:
    """For how many learners the opening of which lessons moves.

    Enrollment by enrollment, some hundreds at a time, and beside the event loop; of the lessons only those that may
    move are looked at, with what they depend on.
    """
    moment = now()
    changed = await _changed(session, request, moment)
    if isinstance(changed, Refused):
        return changed
    before, after = changed
    wanted = may_move(before, after) if request.members is None else frozenset(each.id for each in after.lessons)
    known = looked_at(before, after, wanted)
    trial = _Trial(request, after.only(known), wanted, moment)
    moved: Counter[tuple[UUID, str]] = Counter()
    learners, refused, last = 0, 0, None
    while ids := await next_page(session, concerned_by(request, moment), last, _at_once(known)):
        learners, last = learners + len(ids), ids[-1]
        if wanted or request.members is not None:
            found = await learning_of_many(session, ids, lesson_ids=known)
            certified = set() if request.members is None else await certified_among(session, ids)
            session.expunge_all()
            moves, refusals = await asyncio.to_thread(trial.moves, list(found.values()), certified)
            moved.update(moves)
            refused += refusals
    return CourseImpact(learners, tuple(_impact(lesson_id, moved) for lesson_id in _ids(after, moved)), refused)


def _at_once(lesson_ids: Collection[UUID]) -> int:
    """How many enrollments at a time: the fewer, the more lessons are read of each."""
    return max(20, min(_MOST_AT_ONCE, _ROWS_AT_ONCE // max(1, len(lesson_ids))))


def concerned_by(request: CourseChangeRequest, moment: datetime) -> ColumnElement[bool]:
    """The enrollments that a change of this moment concerns: those that are learned in. A change of all members
    concerns nobody who enrolls later; one of access also those whose access is over.
    """
    of_course = col(Enrollment.course_id) == request.course_id
    if request.members is None:
        return of_course & col(Enrollment.status).in_(FOLLOWED)
    is_of_access = request.members.change is EnrollmentChange.SET_ACCESS
    statuses = (*FOLLOWED, EnrollmentStatus.EXPIRED) if is_of_access else FOLLOWED
    return of_course & col(Enrollment.status).in_(statuses) & (col(Enrollment.enrolled_at) <= moment)


async def next_page(
    session: AsyncSession, concerned: ColumnElement[bool], after: UUID | None, limit: int
) -> Sequence[UUID]:
    """The next of these enrollments, in the order of their ids."""
    query = select(col(Enrollment.id)).where(concerned)
    if after is not None:
        query = query.where(col(Enrollment.id) > after)
    return (await session.execute(query.order_by(col(Enrollment.id)).limit(limit))).scalars().all()


@dataclass(frozen=True)
class _Trial:
    """A change that is tried out on enrollments: what is taught after it, and the lessons that it may move."""

    request: CourseChangeRequest
    content: Content
    lesson_ids: Collection[UUID]
    moment: datetime

    def moves(self, found: Sequence[Learning], certified: Collection[UUID]) -> tuple[Counter[tuple[UUID, str]], int]:
        """What moves for them, and how many of them would be refused."""
        moved: Counter[tuple[UUID, str]] = Counter()
        refused = 0
        for learning in found:
            if self._is_refused(learning, certified):
                refused += 1
                continue
            before = planned_lessons(learning, self.moment, self.lesson_ids)
            after = planned_lessons(self._as_if(copy(learning)), self.moment, self.lesson_ids)
            moved.update(_moves(before, after))
        return moved, refused

    def _is_refused(self, learning: Learning, certified: Collection[UUID]) -> bool:
        wish, is_certified = self.request.members, learning.enrollment.id in certified
        return wish is not None and bool(against_change(learning, wish, self.moment, is_certified=is_certified))

    def _as_if(self, learning: Learning) -> Learning:
        """The enrollment as it would be after the change."""
        content = self.content
        learning.course, learning.lessons, learning.rules = content.course, content.lessons, content.rules
        learning.meetings = content.meetings if learning.meetings else ()
        if self.request.members is not None:
            _as_if_changed(learning, self.request.members, self.moment)
        return learning


async def _changed(
    session: AsyncSession, request: CourseChangeRequest, moment: datetime
) -> tuple[Content, Content] | Refused:
    """What the course teaches, and what it would teach."""
    before = await content_of(session, request.course_id)
    if before is None:
        return Refused(Reason.NOT_FOUND, "There is no such course.")
    if request.content is None:
        return before, before
    async with session.begin_nested() as made:
        course = await session.get_one(Course, request.course_id)
        refused = await write_content(session, course, request, moment)
        await session.flush()
        after = await content_of(session, request.course_id)
        session.expunge_all()
        await made.rollback()
    return refused or (before, after or before)


def _as_if_changed(learning: Learning, wish: ChangeEnrollment, moment: datetime) -> None:
    enrollment = learning.enrollment = learning.enrollment.model_copy()
    chosen = wish.lesson_ids or [lesson.id for lesson in learning.lessons]
    pause = learning.open_pause(moment)
    match wish.change:
        case EnrollmentChange.PAUSE:
            until = wish.until or moment + LONGEST_PAUSE
            learning.pauses = [*learning.pauses, StandStill(new_id(), moment, until)]
            if learning.counts_days and enrollment.access_ends_at is not None:
                enrollment.access_ends_at += until - moment
        case EnrollmentChange.RESUME if pause is not None:
            over = replace(pause, resumed_at=moment)
            learning.pauses = [over if each is pause else each for each in learning.pauses]
            if enrollment.access_ends_at is not None:
                enrollment.access_ends_at -= min(pause.prolonged_by, pause.until - moment)
        case EnrollmentChange.RELEASE:
            by_hand = {each: Release(each, moment, moment, DripKind.MANUAL) for each in chosen}
            learning.releases = by_hand | learning.releases
        case EnrollmentChange.RESET:
            learning.progress = {key: each for key, each in learning.progress.items() if key not in chosen}
            learning.scores = {key: each for key, each in learning.scores.items() if key not in chosen}
        case EnrollmentChange.RESTART_CLOCK:
            enrollment.clock_started_at = moment
        case EnrollmentChange.MOVE_START:
            enrollment.clock_started_at = wish.starts_at or enrollment.clock_started_at
        case EnrollmentChange.SET_ACCESS:
            _set_access(enrollment, wish.access_ends_at, moment)
        case EnrollmentChange.SUSPEND:
            enrollment.status = EnrollmentStatus.SUSPENDED
        case EnrollmentChange.REACTIVATE:
            enrollment.status = EnrollmentStatus.ACTIVE
        case _:
            pass


def _set_access(enrollment: Enrollment, ends_at: datetime | None, moment: datetime) -> None:
    enrollment.access_ends_at = ends_at
    if enrollment.status == EnrollmentStatus.EXPIRED and (ends_at is None or ends_at > moment):
        enrollment.status = EnrollmentStatus.ACTIVE


def _moves(before: Sequence[PlannedLesson], after: Sequence[PlannedLesson]) -> Iterator[tuple[UUID, str]]:
    was, will = {each.lesson_id: each for each in before}, {each.lesson_id: each for each in after}
    for lesson_id in was.keys() | will.keys():
        how = _move(was.get(lesson_id), will.get(lesson_id))
        if how is not None:
            yield lesson_id, how


def _move(was: PlannedLesson | None, will: PlannedLesson | None) -> str | None:
    """How the opening of a lesson moves; none if it does not. What is open stays open."""
    if was is not None and was.status is ReleaseStatus.RELEASED:
        return None
    if will is not None and will.status is ReleaseStatus.RELEASED:
        return "at_once"
    opened, opens = _opening(was), _opening(will)
    if opened == opens:
        return None
    if opens is None:
        return "no_more"
    return "earlier" if opened is None or opens < opened else "later"


def _opening(planned: PlannedLesson | None) -> datetime | None:
    """When it opens by itself, as far as that is known."""
    return planned.opens_at if planned is not None and planned.status is ReleaseStatus.PLANNED else None


def _ids(content: Content, moved: Counter[tuple[UUID, str]]) -> list[UUID]:
    """The lessons that move, in their order."""
    ids = {lesson_id for lesson_id, _ in moved}
    return [lesson.id for lesson in content.lessons if lesson.id in ids]


def _impact(lesson_id: UUID, moved: Counter[tuple[UUID, str]]) -> LessonImpact:
    return LessonImpact(
        lesson_id=lesson_id,
        earlier=moved[lesson_id, "earlier"],
        later=moved[lesson_id, "later"],
        at_once=moved[lesson_id, "at_once"],
        no_more=moved[lesson_id, "no_more"],
    )
