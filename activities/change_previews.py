"""What a change of an enrollment, or of a course, would come to. Nothing is written."""

from collections import Counter
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.change_refusals import against_change, certified_among
from activities.course_content import write_content
from activities.drip_record import FOLLOWED
from activities.enrollment_changes import write_enrollment_change
from activities.learning_facts import Learning, Release, StandStill, learning_of_many
from activities.plans import EnrollmentPlan, plan_of, planned_lessons
from models.drip import DripRule, read_rule
from models.errors import Reason
from models.identifiers import drip_workflow_id, new_id
from models.messages.learning import ChangeEnrollment, CourseChangeRequest, WriteEnrollmentChange
from models.tables import ClassSession, Course, Enrollment, Lesson
from models.tables.columns import now
from models.vocabulary import DripKind, EnrollmentChange, EnrollmentStatus, ReleaseStatus
from rules.access import LONGEST_PAUSE
from rules.decision import DatedRefusal, Refused
from rules.drip import PlannedLesson

_AT_ONCE = 200


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
    """For how many learners the opening of which lessons moves: enrollment by enrollment, some hundreds at a time."""
    moment = now()
    content = await _content(session, request, moment)
    if isinstance(content, Refused):
        return content
    moved: Counter[tuple[UUID, str]] = Counter()
    learners, refused, last = 0, 0, None
    while ids := await followed_page(session, request.course_id, last, _AT_ONCE):
        found = await learning_of_many(session, ids)
        certified = await certified_among(session, ids)
        session.expunge_all()
        for learning in found.values():
            if request.members is not None and against_change(
                learning, request.members, moment, is_certified=learning.enrollment.id in certified
            ):
                refused += 1
                continue
            after = _as_if(copy(learning), request, content, moment)
            moved += _moves(planned_lessons(learning, moment), planned_lessons(after, moment), moment)
        learners, last = learners + len(ids), ids[-1]
    return CourseImpact(learners, tuple(_impact(lesson_id, moved) for lesson_id in _ids(content, moved)), refused)


async def followed_page(session: AsyncSession, course_id: UUID, after: UUID | None, limit: int) -> Sequence[UUID]:
    """The next enrollments of the course that are learned in, in the order of their ids."""
    query = select(col(Enrollment.id)).where(
        col(Enrollment.course_id) == course_id, col(Enrollment.status).in_(FOLLOWED)
    )
    if after is not None:
        query = query.where(col(Enrollment.id) > after)
    return (await session.execute(query.order_by(col(Enrollment.id)).limit(limit))).scalars().all()


@dataclass(frozen=True)
class _Content:
    """What the course teaches as it would be."""

    course: Course
    lessons: Sequence[Lesson]
    rules: dict[UUID, DripRule]
    meetings: Sequence[ClassSession]


async def _content(session: AsyncSession, request: CourseChangeRequest, moment: datetime) -> _Content | Refused:
    refused = None
    async with session.begin_nested() as made:
        course = await session.get(Course, request.course_id)
        if course is None:
            return Refused(Reason.NOT_FOUND, "There is no such course.")
        if request.content is not None:
            refused = await write_content(session, course, request, moment)
        await session.flush()
        of_course = select(Lesson).where(col(Lesson.course_id) == course.id).order_by(col(Lesson.position))
        lessons = (await session.execute(of_course.execution_options(populate_existing=True))).scalars().all()
        held = select(ClassSession).where(col(ClassSession.course_id) == course.id)
        meetings = (await session.execute(held)).scalars().all()
        session.expunge_all()
        await made.rollback()
    rules = {lesson.id: read_rule(lesson.drip_rule) for lesson in lessons}
    return refused or _Content(course, lessons, rules, meetings)


def _as_if(learning: Learning, request: CourseChangeRequest, content: _Content, moment: datetime) -> Learning:
    """The enrollment as it would be after the change."""
    learning.course, learning.lessons, learning.rules = content.course, content.lessons, content.rules
    learning.meetings = content.meetings if learning.meetings else ()
    if request.members is not None:
        _as_if_changed(learning, request.members, moment)
    return learning


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
            enrollment.access_ends_at = wish.access_ends_at
        case EnrollmentChange.SUSPEND:
            enrollment.status = EnrollmentStatus.SUSPENDED
        case EnrollmentChange.REACTIVATE:
            enrollment.status = EnrollmentStatus.ACTIVE
        case _:
            pass


def _moves(
    before: Sequence[PlannedLesson], after: Sequence[PlannedLesson], moment: datetime
) -> Counter[tuple[UUID, str]]:
    was, will = {each.lesson_id: each for each in before}, {each.lesson_id: each for each in after}
    found = {lesson_id: _move(was.get(lesson_id), will.get(lesson_id)) for lesson_id in {*was, *will}}
    return Counter((lesson_id, how) for lesson_id, how in found.items() if how is not None)


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


def _ids(content: _Content, moved: Counter[tuple[UUID, str]]) -> list[UUID]:
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
