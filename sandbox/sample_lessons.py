"""The lessons of the sample courses: in modules, each with the rule by which it opens and how it is graded.

In the data files a rule names what it is about by its place in the course: `lesson = 3`, `meeting = 1`, or
`module = "Week 1"`.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict

from models.drip import BoundedRule, Immediately, stored_rule
from models.identifiers import REGISTRAR_NAMESPACE
from models.tables import CourseModule, Lesson
from models.vocabulary import GradeRule
from rules.drip_graph import RuledCourse, RuledLesson, wrong_with

_NAMED = {"lesson": "lesson", "meeting": "class_session", "module": "module"}


class LessonEntry(BaseModel):
    """A lesson as the data files have it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    drip_rule: BoundedRule = Immediately()
    module: str | None = None
    is_preview: bool = False
    is_considered: bool = True
    max_attempts: int = 0
    grade_rule: GradeRule = GradeRule.HIGHEST
    total_marks: Decimal | None = None
    passing_marks: Decimal | None = None


def sample_id(kind: str, key: str) -> UUID:
    """The id of a sample row: the same on every machine, so that docs and demo can name it."""
    return uuid5(REGISTRAR_NAMESPACE, f"sample:{kind}:{key}")


def with_ids(course: str, rule: object) -> object:
    """The rule with the ids of what it names by its place in the course."""
    if not isinstance(rule, Mapping):
        return rule
    told: dict[str, object] = {}
    for key, value in rule.items():
        if key == "rules" and isinstance(value, Sequence):
            told[key] = [with_ids(course, each) for each in value]
        elif key in _NAMED:
            told[f"{key}_id"] = sample_id(_NAMED[key], f"{course}:{value}")
        else:
            told[key] = value
    return told


def modules_of(course: str, lessons: Sequence[LessonEntry]) -> Iterator[CourseModule]:
    """The modules, in the order in which their lessons come."""
    for position, title in enumerate(_titles(lessons), start=1):
        yield CourseModule(
            id=sample_id("module", f"{course}:{title}"), course_id=sample_id("course", course), position=position,
            title=title,
        )  # fmt: skip


def lessons_of(course: str, lessons: Sequence[LessonEntry]) -> Iterator[Lesson]:
    """The lessons, in order."""
    for position, lesson in enumerate(lessons, start=1):
        yield Lesson(
            id=sample_id("lesson", f"{course}:{position}"),
            course_id=sample_id("course", course),
            module_id=_module_id(course, lesson),
            position=position,
            drip_rule=stored_rule(lesson.drip_rule),
            **lesson.model_dump(exclude={"drip_rule", "module"}),
        )


def wrong_with_lessons(course: str, lessons: Sequence[LessonEntry], meetings: int) -> str | None:
    """Why these lessons could not all open; none if they can."""
    ruled = [
        RuledLesson(
            sample_id("lesson", f"{course}:{position}"), position, lesson.drip_rule, _module_id(course, lesson),
            is_preview=lesson.is_preview, total_marks=lesson.total_marks,
        )
        for position, lesson in enumerate(lessons, start=1)
    ]  # fmt: skip
    module_ids = {sample_id("module", f"{course}:{title}") for title in _titles(lessons)}
    meeting_ids = {sample_id("class_session", f"{course}:{number}") for number in range(1, meetings + 1)}
    return wrong_with(RuledCourse(ruled, module_ids, meeting_ids))


def _titles(lessons: Sequence[LessonEntry]) -> list[str]:
    return list(dict.fromkeys(lesson.module for lesson in lessons if lesson.module is not None))


def _module_id(course: str, lesson: LessonEntry) -> UUID | None:
    return None if lesson.module is None else sample_id("module", f"{course}:{lesson.module}")
