"""Letters about whether an order is let in: asked for, approved, denied, cancelled."""

from uuid import UUID

from activities.errand import Draft, Errand, Skipped
from activities.one_line import one_line
from activities.order_facts import OrderFacts
from models.vocabulary import CascadeKind, EnrollmentStatus, OrderStatus

_OFF = (OrderStatus.CANCELLED, OrderStatus.FAILED)
_DENIED = {
    "denied:not_eligible": "not_eligible",
    "denied:course_full": "course_full",
    "approval_expired": "approval_expired",
}
_CANCELLED = {
    "invoice_unpaid": "invoice_unpaid",
    "hold_expired": "unpaid",
    "payment_canceled": "unpaid",
    "payment_declined": "unpaid",
}
_GONE = {
    CascadeKind.COURSE_REMOVED.value: "refund.course_removed",
    CascadeKind.TUTOR_BANNED.value: "refund.tutor_gone",
    CascadeKind.TUTOR_SUSPENDED.value: "refund.tutor_gone",
}


def approvers_of(facts: OrderFacts) -> frozenset[UUID]:
    """Who decides on the order's places."""
    return frozenset(person for bought in facts.lines for person in bought.approver_ids)


def approval_requested(errand: Errand) -> Draft | Skipped:
    """To somebody who decides: who wants a place in what, since when, and until when to decide.

    Names the lines alone that the reader decides on.
    """
    facts = errand.facts
    if over := _no_longer_pending(errand):
        return over
    if not any(place.enrollment.status == EnrollmentStatus.PENDING_APPROVAL for place in facts.places):
        return Skipped("already_decided")
    asked = [bought for bought in facts.lines if facts.recipient.id in bought.approver_ids]
    return Draft(
        key="approval_requested.reminder" if errand.occasion else None,
        values={
            "payer_name": one_line(facts.payer.full_name),
            "lines": [{**errand.line(bought), "student_name": one_line(bought.student.full_name)} for bought in asked],
            "since": errand.words.moment(facts.order.created_at),
            "until": errand.kept_until,
        },
    )


def order_approved(errand: Errand) -> Draft | Skipped:
    """A place is granted; it has to be paid for."""
    if over := _no_longer_pending(errand):
        return over
    return Draft({"lines": errand.lines, "total": errand.total, "until": errand.kept_until, "pay_url": errand.pay_url})


def order_denied(errand: Errand) -> Draft | Skipped:
    """No place, and why; nothing was charged."""
    order = errand.facts.order
    if order.status not in _OFF:
        return Skipped(f"order_{order.status}")
    reason = _DENIED.get(order.status_reason or "", "other")
    return Draft({"reason": errand.words.texts[f"order_denied.{reason}"], "lines": errand.lines})


def order_cancelled(errand: Errand) -> Draft | Skipped:
    """The order is off: nothing is owed, and what had come in already goes back."""
    facts = errand.facts
    order, invoice = facts.order, facts.invoice
    if order.status not in _OFF:
        return Skipped(f"order_{order.status}")
    reason = _CANCELLED.get(order.status_reason or "", "other")
    texts, gone = errand.words.texts, _GONE.get(order.status_reason or "")
    why = [] if gone is None else [texts[gone]]
    if facts.quoted:
        why.append(texts.say("refund.quoted", reason=one_line(facts.quoted)))
    came_in = 0 if invoice is None else invoice.paid_amount
    came_in += sum(back.refund.amount for back in facts.refunds if back.goes_back)
    return Draft(
        {
            "reason": f"order_cancelled.{reason}",
            "why": why,
            "lines": errand.lines,
            "coming_back": errand.amount(came_in) if came_in else None,
        }
    )


def _no_longer_pending(errand: Errand) -> Skipped | None:
    order = errand.facts.order
    if order.status != OrderStatus.PENDING_PAYMENT:
        return Skipped(f"order_{order.status}")
    return None if errand.kept_until else Skipped("hold_expired")
