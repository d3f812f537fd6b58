"""Which lessons a change of a course may move: those that are changed, and those whose rules are about them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid5

from activities.course_impact import Content, looked_at, may_move
from models.drip import AfterLesson, AfterMeeting, AfterModule, AllOf, DripRule, Immediately, Manual, stored_rule
from models.identifiers import REGISTRAR_NAMESPACE
from models.tables import ClassSession, Course, Lesson

BEGIN = datetime(2026, 3, 2, 11, tzinfo=UTC)
HOUR = timedelta(hours=1)


def an_id(name: str) -> UUID:
    return uuid5(REGISTRAR_NAMESPACE, name)


RULES: dict[str, DripRule] = {
    "first": Immediately(),
    "second": AfterLesson(lesson_id=an_id("first")),
    "third": AllOf(rules=(AfterLesson(lesson_id=an_id("second")), AfterMeeting(meeting_id=an_id("meeting")))),
    "exam": AfterModule(module_id=an_id("module"), percent=50),
    "in module": Manual(),
}


def taught(*, meets_at: datetime = BEGIN, starts_at: datetime | None = None, **changed: dict[str, object]) -> Content:
    """The course, with one lesson or another as told."""
    lessons = []
    for position, (name, rule) in enumerate(RULES.items()):
        values: dict[str, object] = {"module_id": an_id("module") if name == "in module" else None, "drip_rule": rule}
        values |= changed.get(name.replace(" ", "_"), {})
        stored = stored_rule(values.pop("drip_rule"))  # type: ignore[arg-type]
        lesson = Lesson(id=an_id(name), course_id=an_id("course"), position=position, title=name, drip_rule=stored)
        for key, value in values.items():
            setattr(lesson, key, value)
        lessons.append(lesson)
    meeting = ClassSession(
        id=an_id("meeting"), course_id=an_id("course"), title="", starts_at=meets_at, ends_at=meets_at + HOUR
    )
    rules = {lesson.id: changed.get(lesson.title, {}).get("drip_rule", RULES[lesson.title]) for lesson in lessons}
    course = Course(id=an_id("course"), starts_at=starts_at)
    return Content(course, lessons, rules, [meeting])  # type: ignore[arg-type]


def moved(after: Content) -> set[str]:
    names = {an_id(name): name for name in RULES}
    return {names[lesson_id] for lesson_id in may_move(taught(), after)}


def test_a_title_moves_nothing() -> None:
    assert moved(taught(first={"title": "second"})) == set()


def test_a_lesson_moves_with_those_whose_rules_name_it() -> None:
    assert moved(taught(second={"drip_rule": Manual()})) == {"second", "third"}
    assert moved(taught(first={"removed_at": BEGIN})) == {"first", "second"}
    assert moved(taught(first={"total_marks": Decimal(10), "passing_marks": Decimal(5)})) == {"first", "second"}


def test_a_lesson_that_comes_into_a_module_or_leaves_it_moves_who_waits_for_the_module() -> None:
    assert moved(taught(third={"module_id": an_id("module")})) == {"third", "exam"}
    assert moved(taught(in_module={"module_id": None})) == {"in module", "exam"}
    assert moved(taught(in_module={"is_preview": True})) == {"in module", "exam"}


def test_a_meeting_moves_who_waits_for_it_and_the_start_of_the_course_everything() -> None:
    assert moved(taught(meets_at=BEGIN + HOUR)) == {"third"}
    assert moved(taught(starts_at=BEGIN)) == set(RULES)


def test_with_a_lesson_those_are_looked_at_that_its_rule_is_about() -> None:
    content = taught()
    assert looked_at(content, content, {an_id("exam")}) == {an_id("exam"), an_id("in module")}
    assert looked_at(content, content, {an_id("third")}) == {an_id("third"), an_id("second")}
    assert looked_at(content, taught(first={"drip_rule": Manual()}), {an_id("second")}) == {
        an_id("second"),
        an_id("first"),
    }
