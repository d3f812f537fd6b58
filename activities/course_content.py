"""Changes of what a course teaches and when, as they are written: lessons, meetings, and the rules of the course."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import case, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.drip import AfterLesson, Immediately, leaves, read_rule, stored_rule
from models.errors import Reason
from models.messages.learning import CourseChangeRequest, Edit, LessonEdit
from models.tables import ClassSession, Course, CourseModule, Lesson
from models.vocabulary import AccessRule, ContentChange
from rules.decision import Refused
from rules.drip_graph import RuledCourse, RuledLesson, wrong_with

_DAYS = (AccessRule.DAYS_AFTER_ENROLLMENT, AccessRule.DAYS_AFTER_START)
_NOT_OF_LESSONS = {"drip_rule", "for_new_learners_only"}
_MAY_BE_MISSING = ("module_id", "total_marks", "passing_marks")
_MAY_BE_MISSING_OF_COURSE = ("starts_at", "access_days", "access_until")


async def write_content(
    session: AsyncSession, course: Course, request: CourseChangeRequest, moment: datetime
) -> Refused | None:
    """Write the change of a locked course, or say why not. What was learned, or open, is touched by none of them."""
    assert request.content is not None  # noqa: S101 - the caller has looked
    return await _CHANGES[request.content](session, course, request, moment)


async def _add_lesson(
    session: AsyncSession, course: Course, request: CourseChangeRequest, moment: datetime
) -> Refused | None:
    edit = request.lesson
    if edit is None or edit.title is None:
        return Refused(Reason.INVALID_REQUEST, "A new lesson needs a title.")
    wrong = _not_taken_away(edit, _MAY_BE_MISSING)
    if wrong is not None:
        return wrong
    lesson_id = request.lesson_id or request.change_id
    if await session.get(Lesson, lesson_id) is not None:
        return Refused(Reason.INVALID_REQUEST, "There is a lesson with this id already.")
    lessons = await _lessons(session, course.id)
    lesson = Lesson(
        id=lesson_id,
        course_id=course.id,
        position=max((each.position for each in lessons), default=0) + 1,
        title=edit.title,
        drip_rule=stored_rule(edit.drip_rule or Immediately()),
        applies_from=moment if edit.for_new_learners_only else None,
        created_at=moment,
    )
    _edit(lesson, edit)
    refused = await _against(session, course, [*lessons, lesson], lesson)
    if refused is None:
        session.add(lesson)
    return refused


async def _edit_lesson(
    session: AsyncSession, course: Course, request: CourseChangeRequest, moment: datetime
) -> Refused | None:
    lessons = await _lessons(session, course.id)
    lesson = _taught(lessons, request.lesson_id)
    if lesson is None:
        return _no_lesson()
    if request.lesson is None:
        return Refused(Reason.INVALID_REQUEST, "It is not said what the lesson is from now on.")
    wrong = _not_taken_away(request.lesson, _MAY_BE_MISSING)
    if wrong is not None:
        return wrong
    # The rules are looked at before anything is written: a lesson that is refused stays as it is.
    with session.no_autoflush:
        _edit(lesson, request.lesson)
        asking = _asking_for(lesson, lessons) if "total_marks" in request.lesson.model_fields_set else ()
        refused = await _against(session, course, lessons, lesson, asking)
    if refused is not None:
        await session.refresh(lesson)
        return refused
    lesson.updated_at = moment
    return None


async def _remove_lesson(
    session: AsyncSession, course: Course, request: CourseChangeRequest, moment: datetime
) -> Refused | None:
    lesson = _taught(await _lessons(session, course.id), request.lesson_id)
    if lesson is None:
        return _no_lesson()
    lesson.removed_at = lesson.updated_at = moment
    return None


async def _reorder(
    session: AsyncSession, course: Course, request: CourseChangeRequest, moment: datetime
) -> Refused | None:
    """All lessons that are taught, in their new order; those removed come after them."""
    lessons = await _lessons(session, course.id)
    taught = {lesson.id for lesson in lessons if lesson.removed_at is None}
    if len(request.order) != len(taught) or set(request.order) != taught:
        return Refused(Reason.INVALID_REQUEST, "The order names each lesson of the course once.")
    order = [*request.order, *(lesson.id for lesson in lessons if lesson.removed_at is not None)]
    if order:
        places = {lesson_id: place for place, lesson_id in enumerate(order, start=1)}
        await session.execute(
            update(Lesson)
            .where(col(Lesson.course_id) == course.id)
            .values(position=case(places, value=col(Lesson.id)), updated_at=moment)
            .execution_options(synchronize_session=False)
        )
    return None


async def _move_meeting(
    session: AsyncSession, course: Course, request: CourseChangeRequest, moment: datetime
) -> Refused | None:
    meeting = await _meeting(session, course, request, moment)
    if isinstance(meeting, Refused):
        return meeting
    starts_at, ends_at = request.meeting_starts_at, request.meeting_ends_at
    if starts_at is None or ends_at is None or ends_at <= starts_at:
        return Refused(Reason.INVALID_REQUEST, "A meeting ends after it starts.")
    if ends_at <= moment:
        return Refused(Reason.INVALID_REQUEST, "A meeting is moved to a time that is not over yet.")
    meeting.starts_at, meeting.ends_at, meeting.updated_at = starts_at, ends_at, moment
    return None


async def _cancel_meeting(
    session: AsyncSession, course: Course, request: CourseChangeRequest, moment: datetime
) -> Refused | None:
    meeting = await _meeting(session, course, request, moment)
    if isinstance(meeting, Refused):
        return meeting
    meeting.canceled_at = meeting.updated_at = moment
    return None


async def _edit_course(
    session: AsyncSession, course: Course, request: CourseChangeRequest, moment: datetime
) -> Refused | None:
    """What is not said stays. Access that was granted stays as it was granted."""
    edit = request.course
    if edit is None:
        return Refused(Reason.INVALID_REQUEST, "It is not said what the course is from now on.")
    wrong = _not_taken_away(edit, _MAY_BE_MISSING_OF_COURSE)
    if wrong is not None:
        return wrong
    said = edit.model_fields_set
    rule = edit.access_rule or AccessRule(course.access_rule)
    days = (edit.access_days if "access_days" in said else course.access_days) if rule in _DAYS else None
    until = edit.access_until if "access_until" in said else course.access_until
    until = until if rule is AccessRule.UNTIL_DATE else None
    if (rule in _DAYS) != (days is not None) or (rule is AccessRule.UNTIL_DATE) != (until is not None):
        return Refused(Reason.INVALID_REQUEST, f"The access rule {rule} needs its number of days, or its date.")
    if edit.access_until is not None and edit.access_until <= moment:
        return Refused(Reason.INVALID_REQUEST, "Access ends in the future: nobody could enroll any more.")
    course.access_rule, course.access_days, course.access_until = rule, days, until
    course.completion_rule = edit.completion_rule or course.completion_rule
    course.release_mails = edit.release_mails or course.release_mails
    course.starts_at = edit.starts_at if "starts_at" in said else course.starts_at
    return None


_Change = Callable[[AsyncSession, Course, CourseChangeRequest, datetime], Awaitable[Refused | None]]
_CHANGES: Mapping[ContentChange, _Change] = {
    ContentChange.ADD_LESSON: _add_lesson,
    ContentChange.EDIT_LESSON: _edit_lesson,
    ContentChange.REMOVE_LESSON: _remove_lesson,
    ContentChange.REORDER_LESSONS: _reorder,
    ContentChange.MOVE_MEETING: _move_meeting,
    ContentChange.CANCEL_MEETING: _cancel_meeting,
    ContentChange.EDIT_COURSE: _edit_course,
}


def _edit(lesson: Lesson, edit: LessonEdit) -> None:
    for name in edit.model_fields_set - _NOT_OF_LESSONS:
        setattr(lesson, name, getattr(edit, name))
    if edit.drip_rule is not None:
        lesson.drip_rule = stored_rule(edit.drip_rule)


def _not_taken_away(edit: Edit, may_be_missing: Collection[str]) -> Refused | None:
    """Null is for what may be missing."""
    for name in sorted(edit.model_fields_set - set(may_be_missing)):
        if getattr(edit, name) is None:
            return Refused(Reason.INVALID_REQUEST, f"`{name}` cannot be taken away.")
    return None


async def _against(
    session: AsyncSession, course: Course, lessons: Sequence[Lesson], changed: Lesson, asking: Collection[UUID] = ()
) -> Refused | None:
    """What is wrong with the lesson as it would be, or with those that are `asking` for a result of it."""
    total, passing = changed.total_marks, changed.passing_marks
    if (total is None) != (passing is None) or (total is not None and passing is not None and passing > total):
        return Refused(Reason.INVALID_REQUEST, "A graded lesson has total marks, and passing marks up to them.")
    if total is not None and total <= 0:
        return Refused(Reason.INVALID_REQUEST, "A graded lesson has total marks.")
    modules = select(col(CourseModule.id)).where(col(CourseModule.course_id) == course.id)
    meetings = select(col(ClassSession.id)).where(col(ClassSession.course_id) == course.id)
    module_ids = set((await session.execute(modules)).scalars())
    if changed.module_id is not None and changed.module_id not in module_ids:
        return Refused(Reason.DRIP_RULE_INVALID, "The lesson is in a module that the course does not have.")
    ruled = RuledCourse(
        lessons=[_ruled(lesson) for lesson in lessons if lesson.removed_at is None],
        module_ids=module_ids,
        meeting_ids=set((await session.execute(meetings)).scalars()),
    )
    wrong = wrong_with(ruled, {changed.id, *asking})
    return None if wrong is None else Refused(Reason.DRIP_RULE_INVALID, wrong)


def _asking_for(changed: Lesson, lessons: Sequence[Lesson]) -> set[UUID]:
    """The lessons that open by a result of this one: there has to be one, and marks enough."""
    return {
        each.id
        for each in lessons
        for leaf in leaves(read_rule(each.drip_rule))
        if isinstance(leaf, AfterLesson) and leaf.lesson_id == changed.id
    }


def _ruled(lesson: Lesson) -> RuledLesson:
    return RuledLesson(
        id=lesson.id,
        position=lesson.position,
        rule=read_rule(lesson.drip_rule),
        module_id=lesson.module_id,
        is_preview=lesson.is_preview,
        total_marks=lesson.total_marks,
    )


async def _lessons(session: AsyncSession, course_id: UUID) -> Sequence[Lesson]:
    query = select(Lesson).where(col(Lesson.course_id) == course_id).order_by(col(Lesson.position))
    return (await session.execute(query)).scalars().all()


def _taught(lessons: Sequence[Lesson], lesson_id: UUID | None) -> Lesson | None:
    return next((each for each in lessons if each.id == lesson_id and each.removed_at is None), None)


async def _meeting(
    session: AsyncSession, course: Course, request: CourseChangeRequest, moment: datetime
) -> ClassSession | Refused:
    meeting = None if request.meeting_id is None else await session.get(ClassSession, request.meeting_id)
    if meeting is None or meeting.course_id != course.id or meeting.canceled_at is not None:
        return Refused(Reason.NOT_FOUND, "The course has no such meeting.")
    if meeting.ends_at <= moment:
        return Refused(Reason.MEETING_OVER, "The meeting has taken place already.")
    return meeting


def _no_lesson() -> Refused:
    return Refused(Reason.NOT_FOUND, "The course has no such lesson.")
