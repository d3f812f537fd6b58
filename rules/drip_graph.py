"""Whether the rules by which the lessons of a course open can come true (skeleton of what words7 writes)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from models.drip import AfterLesson, AfterMeeting, AfterModule, DripRule, leaves


@dataclass(frozen=True)
class RuledLesson:
    """One lesson that the course has, none of those removed; `position` is how it is called in a sentence."""

    id: UUID
    position: int
    rule: DripRule
    module_id: UUID | None = None
    is_preview: bool = False
    total_marks: Decimal | None = None


@dataclass(frozen=True)
class RuledCourse:
    """The lessons of a course as they would be, and the modules and meetings that it has (also canceled ones)."""

    lessons: Sequence[RuledLesson]
    module_ids: Collection[UUID] = ()
    meeting_ids: Collection[UUID] = ()


def wrong_with(course: RuledCourse, changed: Collection[UUID] | None = None) -> str | None:
    """What is wrong with the rules, in one sentence; none if every lesson can open."""
    ids = {lesson.id for lesson in course.lessons}
    for lesson in course.lessons:
        if changed is not None and lesson.id not in changed:
            continue
        for leaf in leaves(lesson.rule):
            match leaf:
                case AfterLesson() if leaf.lesson_id not in ids or leaf.lesson_id == lesson.id:
                    return f"The rule of lesson {lesson.position} is about a lesson that the course does not have."
                case AfterMeeting() if leaf.meeting_id not in course.meeting_ids:
                    return f"The rule of lesson {lesson.position} is about a meeting that the course does not have."
                case AfterModule() if leaf.module_id not in course.module_ids:
                    return f"The rule of lesson {lesson.position} is about a module that the course does not have."
                case _:
                    pass
    return None
