"""Which lessons of a course a change of it may move, whoever learns there: the others need not be looked at.

No opening depends on another opening, only on what was done; so that a change of a lesson reaches those whose rules
name it, and no further.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.drip import AfterLesson, AfterMeeting, AfterModule, DripRule, leaves, read_rule
from models.tables import ClassSession, Course, Lesson

# What of a lesson says when it opens, and when it counts as passed.
_DECIDES = (
    "drip_rule", "module_id", "is_preview", "applies_from", "removed_at", "passing_marks", "total_marks", "grade_rule"
)  # fmt: skip


@dataclass(frozen=True)
class Content:
    """What a course teaches and when, before a change or after it."""

    course: Course
    lessons: Sequence[Lesson]
    rules: Mapping[UUID, DripRule]
    meetings: Sequence[ClassSession]

    def only(self, lesson_ids: Collection[UUID]) -> Self:
        """The same with these lessons alone."""
        return replace(self, lessons=[lesson for lesson in self.lessons if lesson.id in lesson_ids])


async def content_of(session: AsyncSession, course_id: UUID) -> Content | None:
    """Copies of the rows as they are now in this transaction; none if there is no such course."""
    course = await session.get(Course, course_id, populate_existing=True)
    if course is None:
        return None
    taught = select(Lesson).where(col(Lesson.course_id) == course_id).order_by(col(Lesson.position))
    held = select(ClassSession).where(col(ClassSession.course_id) == course_id)
    lessons = (await session.execute(taught.execution_options(populate_existing=True))).scalars().all()
    meetings = (await session.execute(held.execution_options(populate_existing=True))).scalars().all()
    return Content(
        course=course.model_copy(),
        lessons=[lesson.model_copy() for lesson in lessons],
        rules={lesson.id: read_rule(lesson.drip_rule) for lesson in lessons},
        meetings=[meeting.model_copy() for meeting in meetings],
    )


def may_move(before: Content, after: Content) -> frozenset[UUID]:
    """The lessons whose opening may be another one after the change."""
    if before.course.starts_at != after.course.starts_at:
        return frozenset(lesson.id for lesson in (*before.lessons, *after.lessons))
    was, will = {each.id: each for each in before.lessons}, {each.id: each for each in after.lessons}
    changed = {key for key in was.keys() | will.keys() if _decides(was.get(key)) != _decides(will.get(key))}
    modules = {lesson.module_id for content in (was, will) for key, lesson in content.items() if key in changed}
    held = [{each.id: (each.ends_at, each.canceled_at) for each in content.meetings} for content in (before, after)]
    meetings = {meeting_id for meeting_id, at in held[1].items() if held[0].get(meeting_id) != at}

    def is_about_them(rule: DripRule) -> bool:
        return any(
            (isinstance(leaf, AfterLesson) and leaf.lesson_id in changed)
            or (isinstance(leaf, AfterModule) and leaf.module_id in modules)
            or (isinstance(leaf, AfterMeeting) and leaf.meeting_id in meetings)
            for leaf in leaves(rule)
        )

    rules = (rule for content in (before, after) for rule in content.rules.items())
    return frozenset(changed | {lesson_id for lesson_id, rule in rules if is_about_them(rule)})


def looked_at(before: Content, after: Content, lesson_ids: Collection[UUID]) -> frozenset[UUID]:
    """These lessons, and those that their rules are about."""
    found = set(lesson_ids)
    for content in (before, after):
        for lesson_id in lesson_ids & content.rules.keys():
            found.update(_named(content, content.rules[lesson_id]))
    return frozenset(found)


def _named(content: Content, rule: DripRule) -> Iterator[UUID]:
    for leaf in leaves(rule):
        if isinstance(leaf, AfterLesson):
            yield leaf.lesson_id
        elif isinstance(leaf, AfterModule):
            yield from (lesson.id for lesson in content.lessons if lesson.module_id == leaf.module_id)


def _decides(lesson: Lesson | None) -> tuple[object, ...] | None:
    return None if lesson is None else tuple(getattr(lesson, name) for name in _DECIDES)
