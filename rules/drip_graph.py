"""Whether the rules by which the lessons of a course open can all come true, and if not, why.

A rule about something that the course does not have, and lessons that wait for each other, are refused before anybody
waits for them. Lessons that wait for each other are fine as long as one of them can open in another way.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from models.drip import AfterLesson, AfterMeeting, AfterModule, AfterStart, AllOf, AnyOf, DripRule, leaves
from models.vocabulary import LessonStatus
from rules.drip import counted_in_module, wanted_of_module

_SHOWN = 6  # of lessons that wait for each other


@dataclass(frozen=True)
class RuledLesson:
    """One lesson that the course has, none of those removed; `position` is how it is called in a sentence.

    `total_marks` is the most that can be reached; none of a lesson without a grade.
    """

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
    """What is wrong with the rules, in one sentence of at most 200 characters; none if every lesson can open.

    What rules are about is looked at for the lessons that are `changed` (none: all): a lesson that is removed later
    leaves the rules of others as they are, and is no condition any more. That lessons wait for each other is looked at
    for all of them.
    """
    lessons = {lesson.id: lesson for lesson in course.lessons}
    for lesson in course.lessons:
        if changed is None or lesson.id in changed:
            for sentence in _unknown(lesson, lessons, course):
                return sentence
    return _waiting_for_ever(course.lessons, lessons)


def _unknown(lesson: RuledLesson, lessons: Mapping[UUID, RuledLesson], course: RuledCourse) -> Iterator[str]:
    begins = f"The rule of lesson {lesson.position}"
    if lesson.module_id is not None and lesson.module_id not in course.module_ids:
        yield f"Lesson {lesson.position} is in a module that the course does not have."
    for leaf in leaves(lesson.rule):
        match leaf:
            case AfterMeeting() if leaf.meeting_id not in course.meeting_ids:
                yield f"{begins} is about a meeting that the course does not have."
            case AfterModule() if leaf.module_id not in course.module_ids:
                yield f"{begins} is about a module that the course does not have."
            case AfterLesson():
                yield from _unreachable(leaf, begins, lessons.get(leaf.lesson_id))
            case _:
                pass


def _unreachable(leaf: AfterLesson, begins: str, other: RuledLesson | None) -> Iterator[str]:
    if other is None:
        yield f"{begins} is about a lesson that the course does not have."
    elif other.total_marks is None and (leaf.outcome is LessonStatus.PASSED or leaf.min_score is not None):
        yield f"{begins} asks for a result of lesson {other.position}, which has no grade."
    elif leaf.min_score is not None and other.total_marks is not None and leaf.min_score > other.total_marks:
        yield f"{begins} asks for {leaf.min_score} of lesson {other.position}, which gives {other.total_marks} at most."


# ---- lessons that wait for each other ----


def _waiting_for_ever(all_of_them: Sequence[RuledLesson], lessons: Mapping[UUID, RuledLesson]) -> str | None:
    """Opens whatever can open, until nothing more does. What is left waits for each other, or for what does."""
    opened: set[UUID] = set()
    while fresh := [
        lesson for lesson in all_of_them if lesson.id not in opened and _can_open(lesson.rule, lesson, opened, lessons)
    ]:
        opened.update(lesson.id for lesson in fresh)
    stuck = [lesson for lesson in all_of_them if lesson.id not in opened]
    if not stuck:
        return None
    if not opened and any(isinstance(leaf, AfterStart) for lesson in stuck for leaf in leaves(lesson.rule)):
        return "Lessons wait for the first start, but none can be opened before it, so nobody can start."
    return _told_of(_circle(stuck, lessons, opened))


def _can_open(
    rule: DripRule, lesson: RuledLesson, opened: Collection[UUID], lessons: Mapping[UUID, RuledLesson]
) -> bool:
    return _holds(rule, lesson, opened, lessons) is not False


def _holds(
    rule: DripRule, lesson: RuledLesson, opened: Collection[UUID], lessons: Mapping[UUID, RuledLesson]
) -> bool | None:
    """Whether it can come true once these lessons are open; none if it is no condition (as in rules/drip.py)."""
    match rule:
        case AllOf() | AnyOf():
            told = [_holds(each, lesson, opened, lessons) for each in rule.rules]
            counting = [each for each in told if each is not None]
            if not counting:
                return None
            return all(counting) if isinstance(rule, AllOf) else any(counting)
        case AfterStart():
            return bool(opened)
        case AfterLesson():
            return None if rule.lesson_id not in lessons else rule.lesson_id in opened
        case AfterModule():
            others = _others(rule, lesson, lessons)
            return sum(each in opened for each in others) >= wanted_of_module(rule, len(others)) if others else None
        case _:
            return True


def _others(rule: AfterModule, lesson: RuledLesson, lessons: Mapping[UUID, RuledLesson]) -> list[UUID]:
    return [
        each.id
        for each in lessons.values()
        if counted_in_module(rule, each.module_id, is_preview=each.is_preview) and each.id != lesson.id
    ]


def _circle(
    stuck: Sequence[RuledLesson], lessons: Mapping[UUID, RuledLesson], opened: Collection[UUID]
) -> list[RuledLesson]:
    """The lessons of one circle, in the order in which each waits for the next."""
    path: list[RuledLesson] = []
    at = stuck[0]
    while at not in path:
        path.append(at)
        at = lessons[next(each for each in _waits_for(at, lessons) if each not in opened)]
    return path[path.index(at) :]


def _waits_for(lesson: RuledLesson, lessons: Mapping[UUID, RuledLesson]) -> Iterator[UUID]:
    for leaf in leaves(lesson.rule):
        if isinstance(leaf, AfterLesson) and leaf.lesson_id in lessons:
            yield leaf.lesson_id
        elif isinstance(leaf, AfterModule):
            yield from _others(leaf, lesson, lessons)


def _told_of(circle: Sequence[RuledLesson]) -> str:
    if len(circle) == 1:
        return f"Lesson {circle[0].position} waits for itself."
    shown = [str(each.position) for each in circle[:_SHOWN]]
    last = f"{len(circle) - _SHOWN} more" if len(circle) > _SHOWN else shown.pop()
    return f"Lessons {', '.join(shown)} and {last} wait for each other, so none of them can open."
