"""Letters about a payment under way: to be confirmed, with the bank, declined."""

from activities.errand import Draft, Errand, Skipped
from models.vocabulary import OrderStatus, PaymentStatus

# Stripe's words that a payer can do something about. All others are told as one: what a lost or stolen card was
# refused for is not for whoever holds it.
_DECLINED = {
    "insufficient_funds": "insufficient_funds",
    "expired_card": "expired_card",
    "incorrect_cvc": "incorrect_cvc",
    "invalid_cvc": "incorrect_cvc",
    "incorrect_number": "incorrect_details",
    "invalid_number": "incorrect_details",
    "invalid_expiry_month": "incorrect_details",
    "invalid_expiry_year": "incorrect_details",
    "authentication_required": "not_confirmed",
    "payment_intent_authentication_failure": "not_confirmed",
}


def payment_action_required(errand: Errand) -> Draft | Skipped:
    """The bank wants the payer to confirm the payment."""
    if over := _is_over(errand, PaymentStatus.REQUIRES_ACTION):
        return over
    if errand.kept_until is None:
        return Skipped("hold_expired")
    return Draft({"total": errand.total, "until": errand.kept_until, "pay_url": errand.pay_url})


def payment_processing(errand: Errand) -> Draft | Skipped:
    """The bank is working on the payment; nobody has to do anything."""
    if over := _is_over(errand, PaymentStatus.PROCESSING):
        return over
    is_kept = errand.facts.order.hold_lapsed_at is None
    return Draft({"total": errand.total, "until": errand.kept_until if is_kept else None})


def payment_declined(errand: Errand) -> Draft | Skipped:
    """Declined too often, nothing charged; when to try again, and what may help."""
    if over := _is_over(errand, None):
        return over
    words, payment = errand.words, errand.facts.payment
    code = "" if payment is None else payment.decline_code or ""
    resting_until = (payment.resting_until if payment is not None else None) or errand.moment
    return Draft(
        {
            "total": errand.total,
            "reason": words.texts[f"payment_declined.{_DECLINED.get(code, 'other')}"],
            "again_from": words.moment(resting_until) if resting_until > errand.moment else None,
            "until": errand.kept_until,
            "pay_url": errand.pay_url,
        }
    )


def _is_over(errand: Errand, wanted: PaymentStatus | None) -> Skipped | None:
    """Why the payment is not what the letter says any more; without a status any unpaid one will do."""
    order, payment = errand.facts.order, errand.facts.payment
    if order.status != OrderStatus.PENDING_PAYMENT:
        return Skipped(f"order_{order.status}")
    status = "none" if payment is None else payment.status
    paid = status in (PaymentStatus.PROCESSING, PaymentStatus.SUCCEEDED)
    is_other = paid if wanted is None else status != wanted
    return Skipped(f"payment_{status}") if is_other else None
