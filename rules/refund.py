"""Whether what was paid for a place may go back, how much of it, and who has to approve.

The policy is pinned at purchase. *First lesson*: exactly one lesson is done, whichever it is (TutorHub R40-R42, G16),
or the tutor did not come to any so far; there is no time limit (R51) and no refund before the first lesson (R52).
*Window*: 14 days from the later of purchase and start, at most a quarter used (reference list 10.2). *None*: never.
Under each a certificate and a dispute of the payment speak against it. Staff may go beyond the policy (R50), and beyond
a certificate with a note, but not beyond an open dispute: what the bank decides on would be paid twice.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from models.money import Money, charge_step
from models.vocabulary import (
    DisputeStatus,
    EnrollmentStatus,
    LessonOutcome,
    RefundAccess,
    RefundCause,
    RefundDecider,
    RefundGround,
    RefundPolicy,
    RefundShare,
)
from rules.disputes import OPEN

WINDOW = timedelta(days=14)
MOST_USED_PERCENT = 25
# A lesson that nobody has spoken about counts as held three days after its end.
CONFIRMED_AFTER = timedelta(hours=72)
# Causes that only staff may name: nobody but the academy can know them, or decide on them.
STAFFS_CAUSES = frozenset(
    {
        RefundCause.GOODWILL,
        RefundCause.TUTOR_BANNED,
        RefundCause.TUTOR_SUSPENDED,
        RefundCause.COURSE_REMOVED,
    }
)
_USED = (LessonOutcome.COMPLETED, LessonOutcome.STUDENT_NO_SHOW)
# Who has learned all there is may still ask, as long as nothing is certified; so may those whose access has ended.
_CAN_BE_ASKED_FOR = (EnrollmentStatus.ACTIVE, EnrollmentStatus.COMPLETED, EnrollmentStatus.EXPIRED)
_CAN_END = (*_CAN_BE_ASKED_FOR, EnrollmentStatus.SUSPENDED)


@dataclass(frozen=True)
class LessonFact:
    """One lesson of a place: what is recorded of it and, for a booked hour or a meeting, when it ends."""

    outcome: LessonOutcome | None
    ends_at: datetime | None = None
    is_preview: bool = False


@dataclass(frozen=True)
class RefundFacts:
    """Everything that the decision depends on.

    `paid` is what the place has cost. `left` is what of it can still go back, in minor units: refunds may have been
    granted before. `disputes` are those of the payment.
    """

    policy: RefundPolicy
    status: EnrollmentStatus
    paid: Money
    left: int
    enrolled_at: datetime | None
    course_starts_at: datetime | None
    lessons: tuple[LessonFact, ...]
    lesson_count: int
    refunds_in_a_year: int
    automatic_up_to: Money | None
    certificate_issued: bool = False
    disputes: tuple[DisputeStatus, ...] = ()


@dataclass(frozen=True)
class Usage:
    """How many lessons of a place are used up; free previews never count."""

    used: int
    unconfirmed: int
    tutor_no_shows: int
    confirmed_at: datetime | None


@dataclass(frozen=True)
class Eligibility:
    """The answer to "may I have my money back?", with all that speaks against it, or for it."""

    is_eligible: bool
    grounds: tuple[RefundGround, ...]
    amount: Money
    decided_by: RefundDecider | None
    usage: Usage
    window_ends_at: datetime | None


def eligibility(facts: RefundFacts, moment: datetime) -> Eligibility:
    """Decide on a refund at a moment. The same facts and moment always give the same answer."""
    usage = usage_of(facts.lessons, moment)
    window_ends_at = _window_end(facts)
    against = _against_any_refund(facts)
    for_it: list[RefundGround] = []
    match facts.policy:
        case RefundPolicy.FIRST_LESSON:
            ground, speaks_for = _first_lesson(usage)
            (for_it if speaks_for else against).append(ground)
        case RefundPolicy.WINDOW:
            against += _against_by_window(facts, usage, window_ends_at, moment)
            for_it.append(RefundGround.WITHIN_WINDOW)
        case RefundPolicy.NONE:
            against.append(RefundGround.POLICY_NONE)
    refused = Eligibility(False, tuple(against), _money(facts, 0), None, usage, window_ends_at)
    if against:
        return refused
    doubts = _doubts(facts)
    decider = RefundDecider.PERSON if doubts else RefundDecider.RULE
    granted = _money(facts, facts.left)
    return replace(refused, is_eligible=True, grounds=(*for_it, *doubts), amount=granted, decided_by=decider)


def by_staff(
    facts: RefundFacts, share: RefundShare, named: int | None, access: RefundAccess, has_note: bool, moment: datetime
) -> Eligibility:
    """What staff's terms come to (TutorHub R50, G3): no check but that there is something to end or to pay back, that
    the payment is not disputed, and that somebody has said why a certificate does not count.

    A place that nothing is left of, or was paid for, ends without money: also one whose payment the bank took back.
    """
    refused = Eligibility(False, (), _money(facts, 0), None, usage_of(facts.lessons, moment), _window_end(facts))
    against: list[RefundGround] = []
    if facts.status not in _CAN_END:
        against.append(RefundGround.ENROLLMENT_NOT_ACTIVE)
    if facts.paid.amount and _is_before_the_bank(facts):
        against.append(RefundGround.DISPUTE_OPEN)
    if facts.certificate_issued and not has_note:
        against.append(RefundGround.CERTIFICATE_ISSUED)
    amount = granted(facts, share, named, moment)
    if access is RefundAccess.KEPT and not amount.amount:
        against.append(RefundGround.NOTHING_PAID)
    if against:
        return replace(refused, grounds=tuple(against))
    overridden = [RefundGround.CERTIFICATE_ISSUED] if facts.certificate_issued else []
    return replace(
        refused,
        is_eligible=True,
        grounds=(RefundGround.OVERRIDDEN, *overridden),
        amount=amount,
        decided_by=RefundDecider.PERSON,
    )


def granted(facts: RefundFacts, share: RefundShare, named: int | None, moment: datetime) -> Money:
    """What goes back where staff decides (TutorHub R50, R64, G3): all that is left, what staff names, or the part of
    the lessons that were not had, half up to what can be charged in the currency. Never more than is left.
    """
    match share:
        case RefundShare.FULL:
            amount = facts.left
        case RefundShare.AMOUNT:
            amount = (named or 0) // charge_step(facts.paid.currency) * charge_step(facts.paid.currency)
        case RefundShare.PRO_RATA:
            amount = _part_not_had(facts, usage_of(facts.lessons, moment))
    return _money(facts, min(amount, facts.left))


def _money(facts: RefundFacts, amount: int) -> Money:
    return Money(amount=amount, currency=facts.paid.currency)


def _part_not_had(facts: RefundFacts, usage: Usage) -> int:
    """Unused lessons / all lessons. Who was never taught anything gets all of it."""
    if not facts.lesson_count:
        return facts.paid.amount
    unused = max(0, facts.lesson_count - usage.used)
    step = charge_step(facts.paid.currency)
    return (2 * facts.paid.amount * unused + facts.lesson_count * step) // (2 * facts.lesson_count * step) * step


def usage_of(lessons: tuple[LessonFact, ...], moment: datetime) -> Usage:
    """Count the lessons. Cancelled ones and those that the tutor missed are not used up."""
    counted = [lesson for lesson in lessons if not lesson.is_preview]
    ends = [lesson.ends_at for lesson in counted if lesson.outcome is None and lesson.ends_at is not None]
    confirmed = [end for end in ends if end + CONFIRMED_AFTER <= moment]
    open_ends = [end for end in ends if end <= moment < end + CONFIRMED_AFTER]
    return Usage(
        used=sum(lesson.outcome in _USED for lesson in counted) + len(confirmed),
        unconfirmed=len(open_ends),
        tutor_no_shows=sum(lesson.outcome is LessonOutcome.TUTOR_NO_SHOW for lesson in counted),
        confirmed_at=max(open_ends) + CONFIRMED_AFTER if open_ends else None,
    )


def _window_end(facts: RefundFacts) -> datetime | None:
    """The end of the window (edX's day 0 is the later of purchase and start); none under the other policies."""
    if facts.policy is not RefundPolicy.WINDOW or facts.enrolled_at is None:
        return None
    return max(facts.enrolled_at, facts.course_starts_at or facts.enrolled_at) + WINDOW


def _against_any_refund(facts: RefundFacts) -> list[RefundGround]:
    against: list[RefundGround] = []
    if facts.status not in _CAN_BE_ASKED_FOR:
        against.append(RefundGround.ENROLLMENT_NOT_ACTIVE)
    if facts.left == 0:
        against.append(RefundGround.NOTHING_PAID)
    if facts.certificate_issued:
        against.append(RefundGround.CERTIFICATE_ISSUED)
    if _is_before_the_bank(facts):
        against.append(RefundGround.DISPUTE_OPEN)
    if DisputeStatus.LOST in facts.disputes:
        against.append(RefundGround.DISPUTE_LOST)
    return against


def _is_before_the_bank(facts: RefundFacts) -> bool:
    """Whether the payer's bank has still to decide: nothing goes back beside it meanwhile."""
    return any(status in OPEN for status in facts.disputes)


def _first_lesson(usage: Usage) -> tuple[RefundGround, bool]:
    """The ground, and whether it speaks for the refund."""
    if usage.used > 1:
        return RefundGround.SECOND_LESSON_DONE, False
    if usage.unconfirmed:
        return RefundGround.LESSON_UNCONFIRMED, False
    if usage.used == 1:
        return RefundGround.FIRST_LESSON_DONE, True
    if usage.tutor_no_shows:
        return RefundGround.TUTOR_NO_SHOW, True
    return RefundGround.NO_LESSON_DONE, False


def _against_by_window(
    facts: RefundFacts, usage: Usage, window_ends_at: datetime | None, moment: datetime
) -> list[RefundGround]:
    against: list[RefundGround] = []
    if window_ends_at is None or moment >= window_ends_at:
        against.append(RefundGround.WINDOW_CLOSED)
    if _is_too_much(usage.used, facts.lesson_count):
        against.append(RefundGround.TOO_MUCH_USED)
    elif _is_too_much(usage.used + usage.unconfirmed, facts.lesson_count):
        against.append(RefundGround.LESSON_UNCONFIRMED)
    return against


def _is_too_much(used: int, lesson_count: int) -> bool:
    return used * 100 > lesson_count * MOST_USED_PERCENT


def _doubts(facts: RefundFacts) -> list[RefundGround]:
    """Why a person has to look.

    The first-lesson policy approves itself, however often (TutorHub R42, R44); "more than 2 refunds in 12 months goes
    to a human" (reference list 10.2) is for the window alone, where the second one goes to a person already.
    """
    if facts.policy is RefundPolicy.FIRST_LESSON:
        return []
    doubts: list[RefundGround] = []
    limit = facts.automatic_up_to
    if limit is None or limit.currency != facts.paid.currency or facts.left > limit.amount:
        doubts.append(RefundGround.ABOVE_LIMIT)
    if facts.refunds_in_a_year:
        doubts.append(RefundGround.REFUNDED_BEFORE)
    return doubts
