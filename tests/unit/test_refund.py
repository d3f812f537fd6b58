"""Whether money may go back: by example, and what holds whatever the facts."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.money import Money, charge_step
from models.vocabulary import (
    DisputeStatus,
    EnrollmentStatus,
    LessonOutcome,
    RefundAccess,
    RefundDecider,
    RefundGround,
    RefundPolicy,
    RefundShare,
)
from rules.refund import (
    CONFIRMED_AFTER,
    WINDOW,
    Eligibility,
    LessonFact,
    RefundFacts,
    by_staff,
    eligibility,
    granted,
    usage_of,
)
from tests.unit.offers import NOW

COMPLETED, STUDENT_NO_SHOW = LessonOutcome.COMPLETED, LessonOutcome.STUDENT_NO_SHOW
TUTOR_NO_SHOW, CANCELED = LessonOutcome.TUTOR_NO_SHOW, LessonOutcome.CANCELED
HOUR = timedelta(hours=1)


def a_place(policy: RefundPolicy, *outcomes: LessonOutcome | None, **changes: object) -> RefundFacts:
    facts = RefundFacts(
        policy=policy,
        status=EnrollmentStatus.ACTIVE,
        paid=Money(amount=9000, currency="EUR"),
        left=9000,
        enrolled_at=NOW - timedelta(days=5),
        course_starts_at=None,
        lessons=tuple(LessonFact(outcome) for outcome in outcomes),
        lesson_count=8,
        refunds_in_a_year=0,
        automatic_up_to=Money(amount=10000, currency="EUR"),
    )
    facts = replace(facts, **changes)  # type: ignore[arg-type]
    return facts if "left" in changes else replace(facts, left=facts.paid.amount)


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


@pytest.mark.parametrize("is_certified", [True, False])
def test_who_has_completed_the_course_may_ask_until_it_is_certified(is_certified: bool) -> None:
    completed = a_place(RefundPolicy.FIRST_LESSON, COMPLETED, status=EnrollmentStatus.COMPLETED)
    found = eligibility(replace(completed, certificate_issued=is_certified), NOW)
    assert found.is_eligible is not is_certified


@pytest.mark.parametrize(
    ("policy", "is_eligible"),
    [(RefundPolicy.FIRST_LESSON, True), (RefundPolicy.WINDOW, True), (RefundPolicy.NONE, False)],
)
def test_whose_access_has_ended_may_still_ask_by_their_policy(policy: RefundPolicy, is_eligible: bool) -> None:
    expired = a_place(policy, COMPLETED, status=EnrollmentStatus.EXPIRED)
    assert eligibility(expired, NOW).is_eligible is is_eligible
    assert by_staff(expired, RefundShare.FULL, None, RefundAccess.REVOKED, False, NOW).is_eligible


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
    left=st.integers(0, 10**7),
    enrolled_at=st.none() | st.integers(0, 1000).map(lambda hours: NOW - hours * HOUR),
    course_starts_at=st.none() | st.integers(-1000, 1000).map(lambda hours: NOW + hours * HOUR),
    lessons=st.lists(lessons, max_size=12).map(tuple),
    lesson_count=st.integers(0, 12),
    refunds_in_a_year=st.integers(0, 3),
    automatic_up_to=st.none() | st.builds(Money, amount=st.integers(0, 10**7), currency=st.just("EUR")),
    certificate_issued=st.booleans(),
    disputes=st.lists(st.sampled_from(DisputeStatus), max_size=2).map(tuple),
)


@given(places)
def test_nothing_or_all_that_is_left_and_a_reason_for_either(facts: RefundFacts) -> None:
    found = eligibility(facts, NOW)
    assert found.grounds
    assert found.amount.amount == (facts.left if found.is_eligible else 0)
    assert found.amount.currency == facts.paid.currency
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


# ---- certificates and disputes ----

OPEN = (
    DisputeStatus.WARNING_NEEDS_RESPONSE,
    DisputeStatus.WARNING_UNDER_REVIEW,
    DisputeStatus.NEEDS_RESPONSE,
    DisputeStatus.UNDER_REVIEW,
)
OVER = (DisputeStatus.WON, DisputeStatus.WARNING_CLOSED, DisputeStatus.PREVENTED)


@pytest.mark.parametrize("policy", [RefundPolicy.FIRST_LESSON, RefundPolicy.WINDOW])
def test_a_certificate_and_a_dispute_speak_against_it_under_every_policy(policy: RefundPolicy) -> None:
    certified = eligibility(a_place(policy, COMPLETED, certificate_issued=True), NOW)
    assert (certified.is_eligible, certified.grounds) == (False, (RefundGround.CERTIFICATE_ISSUED,))
    for status in OPEN:
        disputed = eligibility(a_place(policy, COMPLETED, disputes=(DisputeStatus.WON, status)), NOW)
        assert (disputed.is_eligible, disputed.grounds) == (False, (RefundGround.DISPUTE_OPEN,))
    lost = eligibility(a_place(policy, COMPLETED, disputes=(DisputeStatus.LOST,)), NOW)
    assert lost.grounds == (RefundGround.DISPUTE_LOST,)
    assert eligibility(a_place(policy, COMPLETED, disputes=OVER), NOW).is_eligible
    assert {*OPEN, *OVER, DisputeStatus.LOST} == set(DisputeStatus)


# ---- what staff decides ----


def overridden(
    facts: RefundFacts,
    share: RefundShare = RefundShare.FULL,
    named: int | None = None,
    access: RefundAccess = RefundAccess.REVOKED,
    *,
    has_note: bool = False,
) -> Eligibility:
    return by_staff(facts, share, named, access, has_note, NOW)


def test_staff_goes_beyond_the_policy_and_beyond_a_certificate_with_a_note() -> None:
    never = a_place(RefundPolicy.NONE, *[COMPLETED] * 7)
    assert overridden(never).grounds == (RefundGround.OVERRIDDEN,)
    assert overridden(never).amount.amount == 9000
    certified = replace(never, certificate_issued=True, status=EnrollmentStatus.COMPLETED)
    assert (overridden(certified).is_eligible, overridden(certified).grounds) == (
        False,
        (RefundGround.CERTIFICATE_ISSUED,),
    )
    assert overridden(certified, has_note=True).grounds == (RefundGround.OVERRIDDEN, RefundGround.CERTIFICATE_ISSUED)
    over = overridden(replace(never, status=EnrollmentStatus.CANCELED))
    assert over.grounds == (RefundGround.ENROLLMENT_NOT_ACTIVE,)


def test_nobody_goes_beyond_a_dispute_unless_nothing_was_paid() -> None:
    for status in OPEN:
        disputed = a_place(RefundPolicy.NONE, disputes=(status,))
        found = overridden(disputed, has_note=True)
        assert (found.is_eligible, found.grounds, found.amount.amount) == (False, (RefundGround.DISPUTE_OPEN,), 0)
        free = a_place(RefundPolicy.NONE, disputes=(status,), paid=Money(amount=0, currency="EUR"))
        assert overridden(free).is_eligible


def test_a_place_whose_payment_the_bank_took_back_can_be_ended_without_money() -> None:
    lost = a_place(RefundPolicy.NONE, disputes=(DisputeStatus.LOST,), left=0)
    ended = overridden(lost)
    assert (ended.is_eligible, ended.amount.amount) == (True, 0)
    assert not overridden(lost, access=RefundAccess.KEPT).is_eligible


def test_a_place_that_is_kept_needs_money_to_go_back() -> None:
    nothing_left = a_place(RefundPolicy.WINDOW, left=0)
    kept = overridden(nothing_left, access=RefundAccess.KEPT)
    assert (kept.is_eligible, kept.grounds) == (False, (RefundGround.NOTHING_PAID,))
    ended = overridden(nothing_left)
    assert (ended.is_eligible, ended.amount.amount) == (True, 0)
    assert eligibility(nothing_left, NOW).grounds == (RefundGround.NOTHING_PAID,)


@pytest.mark.parametrize(
    ("paid", "currency", "used", "of", "back"),
    [
        (9000, "EUR", 3, 8, 5625),
        (1001, "EUR", 1, 2, 501),
        (1000, "EUR", 1, 3, 667),
        (1000, "EUR", 2, 3, 333),
        (1001, "JPY", 1, 2, 501),
        (10010, "KWD", 1, 2, 5010),
        (10000, "KWD", 1, 3, 6670),
        (9000, "EUR", 0, 8, 9000),
        (9000, "EUR", 8, 8, 0),
        (9000, "EUR", 9, 8, 0),
        (9000, "EUR", 0, 0, 9000),
    ],
)
def test_what_was_not_had_goes_back_half_up(paid: int, currency: str, used: int, of: int, back: int) -> None:
    """In steps of what a card can be charged with: a hundredth of a euro, a yen, ten fils."""
    facts = a_place(RefundPolicy.NONE, *[COMPLETED] * used, paid=Money(amount=paid, currency=currency), lesson_count=of)
    assert granted(facts, RefundShare.PRO_RATA, None, NOW).amount == back


wishes = st.lists(st.tuples(st.sampled_from(RefundShare), st.integers(1, 10**7)), max_size=8)


@given(places, wishes)
def test_however_often_staff_grants_something_never_more_goes_back_than_was_left(
    facts: RefundFacts, wanted: list[tuple[RefundShare, int]]
) -> None:
    left = facts.left
    for share, named in wanted:
        amount = granted(facts, share, named, NOW).amount
        assert 0 <= amount <= facts.left
        facts = replace(facts, left=facts.left - amount)
    assert 0 <= facts.left <= left


@given(st.integers(0, 10**6), st.sampled_from(["EUR", "JPY", "KWD"]), st.integers(1, 60), st.data())
def test_the_part_that_was_had_and_the_part_that_was_not_are_never_more_than_all(
    steps: int, currency: str, of: int, data: st.DataObject
) -> None:
    step = charge_step(currency)
    used = data.draw(st.integers(0, of))

    def part(number: int) -> int:
        facts = a_place(
            RefundPolicy.NONE,
            *[COMPLETED] * number,
            paid=Money(amount=steps * step, currency=currency),
            lesson_count=of,
        )
        return granted(facts, RefundShare.PRO_RATA, None, NOW).amount

    back, rest = part(used), part(of - used)
    assert back % step == 0
    assert 0 <= back <= steps * step
    # Both halves are rounded up where the cut is in the middle of a step; nothing else is ever given twice.
    assert back + rest - steps * step in (0, step)
    assert used == 0 or part(used) <= part(used - 1)
    exact = steps * (of - used)
    assert abs(back // step * of - exact) * 2 <= of


@given(places, st.sampled_from(RefundShare), st.integers(1, 10**7), st.sampled_from(RefundAccess), st.booleans())
def test_staff_always_gets_a_ground_and_never_disputed_money(
    facts: RefundFacts, share: RefundShare, named: int, access: RefundAccess, has_note: bool
) -> None:
    found = by_staff(facts, share, named, access, has_note, NOW)
    assert found.grounds
    assert found.is_eligible == (RefundGround.OVERRIDDEN in found.grounds)
    assert (found.decided_by is RefundDecider.PERSON) == found.is_eligible
    if found.is_eligible and facts.paid.amount:
        assert set(facts.disputes).isdisjoint(OPEN)
    if not found.is_eligible:
        assert found.amount.amount == 0
