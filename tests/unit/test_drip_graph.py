"""Rules about what a course does not have, and lessons that wait for each other, are told in a sentence."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.drip import (
    AfterLesson,
    AfterMeeting,
    AfterModule,
    AfterStart,
    AllOf,
    AnyOf,
    DripRule,
    FixedDate,
    Immediately,
    Manual,
)
from models.vocabulary import LessonStatus, ReleaseStatus
from rules.drip import EnrollmentToPlan, LessonToPlan, plan
from rules.drip_graph import RuledCourse, RuledLesson, wrong_with
from tests.unit.test_drip import BEGIN, DAY, RULES, WARSAW, an_id

MODULE = an_id("module")
CIRCLE = "Lessons 1 and 2 wait for each other, so none of them can open."


def after(number: int, **more: object) -> AfterLesson:
    return AfterLesson(lesson_id=an_id(number), **more)


def a_course(*rules: DripRule, marks: Decimal | None = None, in_module: tuple[int, ...] = ()) -> RuledCourse:
    lessons = [
        RuledLesson(an_id(n), n, rule, MODULE if n in in_module else None, total_marks=marks)
        for n, rule in enumerate(rules, start=1)
    ]
    return RuledCourse(lessons, {MODULE}, {an_id("meeting")})


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ([Immediately(), after(1), AllOf(rules=(after(1), after(2)))], None),
        ([after(1)], "Lesson 1 waits for itself."),
        ([after(2), after(1)], CIRCLE),
        (
            [Immediately(), after(1), after(4), after(5), after(3)],
            "Lessons 3, 4 and 5 wait for each other, so none of them can open.",
        ),
        ([AnyOf(rules=(after(2), Manual())), after(1)], None),
        (
            [AllOf(rules=(after(2), Manual())), after(1)],
            CIRCLE,
        ),
        ([Immediately(), after(9)], "The rule of lesson 2 is about a lesson that the course does not have."),
        (
            [AnyOf(rules=(Manual(), AfterMeeting(meeting_id=an_id(0))))],
            "The rule of lesson 1 is about a meeting that the course does not have.",
        ),
        ([AfterModule(module_id=an_id(0))], "The rule of lesson 1 is about a module that the course does not have."),
        ([AfterMeeting(meeting_id=an_id("meeting")), AfterModule(module_id=MODULE)], None),
        (
            [Immediately(), after(1, outcome=LessonStatus.PASSED)],
            "The rule of lesson 2 asks for a result of lesson 1, which has no grade.",
        ),
        ([AfterStart(), Immediately()], None),
        (
            [AfterStart(), after(1)],
            "Lessons wait for the first start, but none can be opened before it, so nobody can start.",
        ),
    ],
)
def test_what_is_wrong_is_told(rules: list[DripRule], sentence: str | None) -> None:
    assert wrong_with(a_course(*rules)) == sentence


def test_no_more_can_be_asked_for_than_there_is() -> None:
    course = a_course(Immediately(), after(1, min_score=Decimal(60)), marks=Decimal(50))
    assert wrong_with(course) == "The rule of lesson 2 asks for 60 of lesson 1, which gives 50 at most."
    assert wrong_with(a_course(Immediately(), after(1, min_score=Decimal(50)), marks=Decimal(50))) is None


@pytest.mark.parametrize(("percent", "is_wrong"), [(50, False), (51, True), (100, True)])
def test_a_module_is_waited_for_as_far_as_the_rule_says(percent: int, is_wrong: bool) -> None:
    """Lesson 3 waits for part of a module, one of whose two lessons waits for lesson 3."""
    rule = AfterModule(module_id=MODULE, percent=percent)
    told = wrong_with(a_course(Immediately(), after(3), rule, in_module=(1, 2)))
    assert (told is not None) is is_wrong


def test_rules_about_lessons_that_were_removed_later_are_left_alone() -> None:
    course = a_course(Immediately(), after(9), after(8))
    assert wrong_with(course, changed=[an_id(1)]) is None
    assert "lesson 3" in str(wrong_with(course, changed=[an_id(3)]))


@given(st.lists(st.one_of(RULES), min_size=1, max_size=5))
def test_what_is_not_refused_can_be_learned_to_its_end(rules: list[DripRule]) -> None:
    """A learner who does all that is open, with staff that releases what waits for it, gets everything opened."""
    lessons = [
        RuledLesson(an_id(n), n, rule, an_id(n % 2), total_marks=Decimal(100)) for n, rule in enumerate(rules)
    ]  # fmt: skip
    every = {an_id(n) for n in range(5)}
    told = wrong_with(RuledCourse(lessons, every, every), changed=())
    opened: dict[object, LessonToPlan] = {}
    moment = BEGIN + 5000 * DAY
    while True:
        facts = EnrollmentToPlan(
            BEGIN, WARSAW, tuple(opened.get(each.id) or _unopened(each) for each in lessons),
            started_at=BEGIN if opened else None, cohort_starts_at=BEGIN, meetings=dict.fromkeys(every, BEGIN),
        )  # fmt: skip
        fresh = [
            each.lesson_id for each in plan(facts, moment)
            if each.status is ReleaseStatus.PLANNED and each.opens_at is not None
        ]  # fmt: skip
        if not fresh:
            break
        for each in facts.lessons:
            if each.id in fresh:
                opened[each.id] = LessonToPlan(
                    each.id, each.rule, each.module_id, released_at=BEGIN, done_at=BEGIN, passed_at=BEGIN,
                    scores=((BEGIN, Decimal(100)),),
                )  # fmt: skip
    assert (len(opened) == len(lessons)) is (told is None), told
    assert told is None or len(told) <= 200


def _unopened(lesson: RuledLesson) -> LessonToPlan:
    return LessonToPlan(lesson.id, _released(lesson.rule), lesson.module_id)


def _released(rule: DripRule) -> DripRule:
    """The rule as if staff releases whatever waits for it."""
    if isinstance(rule, AllOf | AnyOf):
        return rule.model_copy(update={"rules": tuple(map(_released, rule.rules))})
    return Immediately() if isinstance(rule, Manual | FixedDate) else rule


def test_a_long_circle_fits_into_a_sentence() -> None:
    told = wrong_with(a_course(*(after(n % 900 + 1) for n in range(1, 901))))
    assert told == "Lessons 1, 2, 3, 4, 5, 6 and 894 more wait for each other, so none of them can open."
