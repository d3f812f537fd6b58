"""Letters about refunds that were granted: what is told of the reason, to the payer and to those who have to know."""

from collections.abc import Collection
from uuid import UUID

from activities.errand import Draft, Errand, MailWithoutSubjectError, Skipped
from activities.one_line import one_line
from activities.order_facts import BoughtLine, GrantedWish, MoneyBack, OrderFacts, Place
from models.money import Money
from models.vocabulary import EnrollmentStatus, RefundAccess, RefundCause, RefundGround

MADE_IN_STRIPE = "made_in_stripe"
_REASONS = {
    "seat_lost",
    "provisioning_failed",
    "double_payment",
    "amount_differs",
    "paid_too_late",
    "cancelled",
    MADE_IN_STRIPE,
}
_REQUESTED = "requested"
_BY_THE_ACADEMY = {
    RefundCause.GOODWILL: "goodwill",
    RefundCause.TUTOR_BANNED: "tutor_gone",
    # Why a tutor is gone is nobody else's business.
    RefundCause.TUTOR_SUSPENDED: "tutor_gone",
    RefundCause.COURSE_REMOVED: "course_removed",
}
_ENDED_BY_THE_ACADEMY = {"tutor_gone", "course_removed"}


def told_of_refunds(facts: OrderFacts) -> Collection[UUID]:
    """The tutors and the staff who have to know of the refunds of this order (TutorHub R43)."""
    return frozenset(person for wish in facts.wishes for person in wish.told_ids)


def reasons_told(errand: Errand, told: Collection[MoneyBack]) -> list[str]:
    """Who decided for what, and what becomes of the place, once each; then why, as staff has put it."""
    texts, wishes = errand.words.texts, {wish.request.id: wish for wish in errand.facts.wishes}
    keys: dict[str, None] = {}
    quotes: dict[str, None] = {}
    for back in told:
        if back.refund.reason == MADE_IN_STRIPE and _has_ended(errand.facts):
            keys[MADE_IN_STRIPE] = keys["place_has_ended"] = None
            continue
        if back.refund.reason != _REQUESTED:
            keys[back.refund.reason if back.refund.reason in _REASONS else "other"] = None
            continue
        wish = None if back.refund.request_id is None else wishes.get(back.refund.request_id)
        keys[_decision(wish)] = None
        keys[_place(wish)] = None
        if wish is not None and wish.quoted:
            quotes[one_line(wish.quoted)] = None
    return [texts[f"refund.{key}"] for key in keys] + [texts.say("refund.quoted", reason=quote) for quote in quotes]


def told_of_ended_places(facts: OrderFacts) -> Collection[UUID]:
    """Who has paid, and whose places they are."""
    return frozenset({facts.payer.id, *(bought.student.id for bought in facts.lines)})


def place_ended(errand: Errand) -> Draft | Skipped:
    """To the payer: a place has ended that there was nothing to pay back for. To a student: a place has ended that
    somebody else had paid for; the money is not theirs. The occasion is the id of the wish.
    """
    wish, bought, place = _asked_about(errand)
    if place.enrollment.status != EnrollmentStatus.CANCELED:
        return Skipped(f"enrollment_{place.enrollment.status}")
    texts = errand.words.texts
    decision = _decision(wish)
    reasons = [texts[f"refund.{decision if decision in _ENDED_BY_THE_ACADEMY else 'other'}"]]
    if wish.quoted:
        reasons.append(texts.say("refund.quoted", reason=one_line(wish.quoted)))
    if wish.has_other_access:
        reasons.append(texts["refund.access_goes_on"])
    line = {"title": one_line(place.course.title), "student_name": errand.student_name(bought.student)}
    is_payer = errand.facts.recipient.id == errand.facts.payer.id
    if not is_payer and errand.facts.recipient.id != bought.student.id:
        raise MailWithoutSubjectError
    return Draft({"lines": [line], "reasons": reasons, "is_payer": is_payer})


def refund_notice(errand: Errand) -> Draft | Skipped:
    """To a tutor, whose student it was; to who looks after the money, how much goes back. Neither learns the other."""
    wish, bought, place = _asked_about(errand)
    reader = errand.facts.recipient.id
    teaches, looks_after = reader in wish.tutor_ids, reader == wish.contact_id
    if not teaches and not looks_after:
        raise MailWithoutSubjectError
    request = wish.request
    amount = errand.words.money(Money(amount=request.amount, currency=request.currency))
    stays = request.access == RefundAccess.KEPT
    return Draft(
        {
            "title": one_line(place.course.title),
            "student_name": one_line(bought.student.full_name) if teaches else None,
            "amount": amount if looks_after else None,
            "place": errand.words.texts[f"refund_notice.place_{'stays' if stays else 'ends'}"],
            "why": "tutor" if teaches else "staff",
        }
    )


def _asked_about(errand: Errand) -> tuple[GrantedWish, BoughtLine, Place]:
    facts = errand.facts
    for wish in facts.wishes:
        if errand.occasion in ("", str(wish.request.id)):
            for bought in facts.lines:
                for place in bought.places:
                    if place.enrollment.id == wish.request.enrollment_id:
                        return wish, bought, place
    raise MailWithoutSubjectError


def _has_ended(facts: OrderFacts) -> bool:
    return all(place.enrollment.status == EnrollmentStatus.CANCELED for place in facts.places)


def _decision(wish: GrantedWish | None) -> str:
    """Who decided, for what. An older build does not say which wish it was: then the policy had allowed it."""
    if wish is None:
        return "requested"
    request = wish.request
    by_the_academy = _BY_THE_ACADEMY.get(RefundCause(request.cause))
    if by_the_academy is not None:
        return by_the_academy
    if request.decided_by == "rule":
        return "requested"
    return "granted" if RefundGround.OVERRIDDEN in request.grounds else "reviewed"


def _place(wish: GrantedWish | None) -> str:
    if wish is not None and wish.request.access == RefundAccess.KEPT:
        return "place_stays"
    return "access_goes_on" if wish is not None and wish.has_other_access else "place_has_ended"
