"""Whether money may go back: by example, and what holds whatever the facts."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.money import Money
from models.vocabulary import EnrollmentStatus, LessonOutcome, RefundDecider, RefundGround, RefundPolicy
from rules.refund import CONFIRMED_AFTER, WINDOW, LessonFact, RefundFacts, eligibility, usage_of
from tests.unit.offers import NOW

COMPLETED, STUDENT_NO_SHOW = LessonOutcome.COMPLETED, LessonOutcome.STUDENT_NO_SHOW
TUTOR_NO_SHOW, CANCELED = LessonOutcome.TUTOR_NO_SHOW, LessonOutcome.CANCELED
HOUR = timedelta(hours=1)


def a_place(policy: RefundPolicy, *outcomes: LessonOutcome | None, **changes: object) -> RefundFacts:
    facts = RefundFacts(
        policy=policy,
        status=EnrollmentStatus.ACTIVE,
        paid=Money(amount=9000, currency="EUR"),
        enrolled_at=NOW - timedelta(days=5),
        course_starts_at=None,
        lessons=tuple(LessonFact(outcome) for outcome in outcomes),
        lesson_count=8,
        refunds_in_a_year=0,
        automatic_up_to=Money(amount=10000, currency="EUR"),
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcomes", "ground", "is_eligible"),
    [
        ((), RefundGround.NO_LESSON_DONE, False),
        ((None, None), RefundGround.NO_LESSON_DONE, False),
        ((CANCELED, CANCELED), RefundGround.NO_LESSON_DONE, False),
        ((COMPLETED,), RefundGround.FIRST_LESSON_DONE, True),
        ((STUDENT_NO_SHOW,), RefundGround.FIRST_LESSON_DONE, True),
        ((CANCELED, TUTOR_NO_SHOW, COMPLETED), RefundGround.FIRST_LESSON_DONE, True),
        ((TUTOR_NO_SHOW,), RefundGround.TUTOR_NO_SHOW, True),
        ((COMPLETED, COMPLETED), RefundGround.SECOND_LESSON_DONE, False),
        ((COMPLETED, STUDENT_NO_SHOW), RefundGround.SECOND_LESSON_DONE, False),
        ((COMPLETED, COMPLETED, TUTOR_NO_SHOW), RefundGround.SECOND_LESSON_DONE, False),
    ],
)
def test_the_first_lesson_policy(
    outcomes: tuple[LessonOutcome | None, ...], ground: RefundGround, is_eligible: bool
) -> None:
    facts = a_place(RefundPolicy.FIRST_LESSON, *outcomes, enrolled_at=NOW - timedelta(days=400))
    found = eligibility(facts, NOW)
    assert (found.is_eligible, found.grounds) == (is_eligible, (ground,))
    assert found.amount.amount == (9000 if is_eligible else 0)
    assert found.decided_by == (RefundDecider.RULE if is_eligible else None)


def test_the_first_lesson_policy_approves_itself_whatever_the_amount() -> None:
    facts = a_place(RefundPolicy.FIRST_LESSON, COMPLETED, refunds_in_a_year=9, automatic_up_to=None)
    assert eligibility(facts, NOW).decided_by is RefundDecider.RULE


def test_a_free_preview_is_not_a_first_lesson() -> None:
    facts = a_place(RefundPolicy.FIRST_LESSON, lessons=(LessonFact(COMPLETED, is_preview=True),))
    assert eligibility(facts, NOW).grounds == (RefundGround.NO_LESSON_DONE,)


@pytest.mark.parametrize(
    ("ended", "ground"),
    [
        (-HOUR, RefundGround.NO_LESSON_DONE),
        (timedelta(), RefundGround.LESSON_UNCONFIRMED),
        (CONFIRMED_AFTER - timedelta(microseconds=1), RefundGround.LESSON_UNCONFIRMED),
        (CONFIRMED_AFTER, RefundGround.FIRST_LESSON_DONE),
    ],
)
def test_a_lesson_that_nobody_spoke_about_counts_three_days_after_its_end(
    ended: timedelta, ground: RefundGround
) -> None:
    lesson = LessonFact(None, ends_at=NOW - ended)
    found = eligibility(a_place(RefundPolicy.FIRST_LESSON, lessons=(lesson,)), NOW)
    assert found.grounds == (ground,)
    unconfirmed = ground is RefundGround.LESSON_UNCONFIRMED
    assert found.usage.confirmed_at == (NOW - ended + CONFIRMED_AFTER if unconfirmed else None)


def test_a_second_lesson_that_is_not_confirmed_yet_holds_the_refund_up() -> None:
    lessons = (LessonFact(COMPLETED), LessonFact(None, ends_at=NOW - HOUR))
    assert eligibility(a_place(RefundPolicy.FIRST_LESSON, lessons=lessons), NOW).grounds == (
        RefundGround.LESSON_UNCONFIRMED,
    )


@pytest.mark.parametrize(
    ("enrolled", "starts", "left"),
    [
        (timedelta(), None, WINDOW),
        (timedelta(days=14), None, timedelta()),
        (timedelta(days=30), timedelta(days=-3), timedelta(days=17)),
        (timedelta(days=1), timedelta(days=30), timedelta(days=13)),
    ],
)
def test_the_window_begins_with_the_later_of_purchase_and_start(
    enrolled: timedelta, starts: timedelta | None, left: timedelta
) -> None:
    starts_at = None if starts is None else NOW - starts
    facts = a_place(RefundPolicy.WINDOW, enrolled_at=NOW - enrolled, course_starts_at=starts_at)
    found = eligibility(facts, NOW)
    assert found.window_ends_at == NOW + left
    assert found.is_eligible == (left > timedelta())


@pytest.mark.parametrize(
    ("used", "of", "is_eligible"), [(0, 0, True), (1, 4, True), (2, 8, True), (3, 8, False), (1, 3, False)]
)
def test_at_most_a_quarter_may_be_used(used: int, of: int, is_eligible: bool) -> None:
    facts = a_place(RefundPolicy.WINDOW, *[COMPLETED] * used, lesson_count=of)
    found = eligibility(facts, NOW)
    assert found.is_eligible == is_eligible
    assert found.grounds == ((RefundGround.WITHIN_WINDOW,) if is_eligible else (RefundGround.TOO_MUCH_USED,))


def test_everything_that_speaks_against_it_is_told() -> None:
    facts = a_place(
        RefundPolicy.WINDOW,
        *[COMPLETED] * 5,
        status=EnrollmentStatus.CANCELED,
        paid=Money(amount=0, currency="EUR"),
        enrolled_at=NOW - timedelta(days=20),
    )
    assert set(eligibility(facts, NOW).grounds) == {
        RefundGround.ENROLLMENT_NOT_ACTIVE,
        RefundGround.NOTHING_PAID,
        RefundGround.WINDOW_CLOSED,
        RefundGround.TOO_MUCH_USED,
    }


@pytest.mark.parametrize(
    ("changes", "doubts"),
    [
        ({}, ()),
        ({"paid": Money(amount=10000, currency="EUR")}, ()),
        ({"paid": Money(amount=10001, currency="EUR")}, (RefundGround.ABOVE_LIMIT,)),
        ({"paid": Money(amount=1, currency="JPY")}, (RefundGround.ABOVE_LIMIT,)),
        ({"automatic_up_to": None}, (RefundGround.ABOVE_LIMIT,)),
        ({"refunds_in_a_year": 1}, (RefundGround.REFUNDED_BEFORE,)),
    ],
)
def test_a_person_looks_at_what_is_large_or_not_the_first(
    changes: dict[str, object], doubts: tuple[RefundGround, ...]
) -> None:
    found = eligibility(a_place(RefundPolicy.WINDOW, **changes), NOW)
    assert found.grounds == (RefundGround.WITHIN_WINDOW, *doubts)
    assert found.decided_by == (RefundDecider.PERSON if doubts else RefundDecider.RULE)


def test_some_places_are_never_refunded() -> None:
    assert eligibility(a_place(RefundPolicy.NONE), NOW).grounds == (RefundGround.POLICY_NONE,)


lessons = st.builds(
    LessonFact,
    st.none() | st.sampled_from(LessonOutcome),
    st.none() | st.integers(-2000, 2000).map(lambda hours: NOW + hours * HOUR),
    st.booleans(),
)
places = st.builds(
    RefundFacts,
    policy=st.sampled_from(RefundPolicy),
    status=st.sampled_from(EnrollmentStatus),
    paid=st.builds(Money, amount=st.integers(0, 10**7), currency=st.sampled_from(["EUR", "JPY", "KWD"])),
    enrolled_at=st.none() | st.integers(0, 1000).map(lambda hours: NOW - hours * HOUR),
    course_starts_at=st.none() | st.integers(-1000, 1000).map(lambda hours: NOW + hours * HOUR),
    lessons=st.lists(lessons, max_size=12).map(tuple),
    lesson_count=st.integers(0, 12),
    refunds_in_a_year=st.integers(0, 3),
    automatic_up_to=st.none() | st.builds(Money, amount=st.integers(0, 10**7), currency=st.just("EUR")),
)


@given(places)
def test_nothing_or_all_of_it_and_a_reason_for_either(facts: RefundFacts) -> None:
    found = eligibility(facts, NOW)
    assert found.grounds
    assert found.amount == (facts.paid if found.is_eligible else facts.paid.model_copy(update={"amount": 0}))
    assert (found.decided_by is not None) == found.is_eligible
    assert not found.is_eligible or facts.status is EnrollmentStatus.ACTIVE
    assert eligibility(facts, NOW) == found


@given(places, st.integers(1, 2000))
def test_what_is_used_is_never_unused_again(facts: RefundFacts, hours: int) -> None:
    now, later = usage_of(facts.lessons, NOW), usage_of(facts.lessons, NOW + hours * HOUR)
    assert now.used <= later.used
    assert later.used + later.unconfirmed <= len(facts.lessons)


@given(places)
def test_one_more_lesson_never_brings_a_window_refund(facts: RefundFacts) -> None:
    facts = replace(facts, policy=RefundPolicy.WINDOW)
    used = replace(facts, lessons=(*facts.lessons, LessonFact(COMPLETED)))
    assert eligibility(facts, NOW).is_eligible >= eligibility(used, NOW).is_eligible
