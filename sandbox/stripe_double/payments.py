"""What happens to a PaymentIntent: an attempt, an authentication, a bank's late answer, a cancellation.

Used by the API, by the hosted pages and by the control API, so one transition exists in one place.
"""

from typing import Any

from sandbox.stripe_double import charges, disputes
from sandbox.stripe_double.account import Change
from sandbox.stripe_double.cards import NOT_AUTHENTICATED, Decline
from sandbox.stripe_double.errors import StripeError, refused
from sandbox.stripe_double.payment_methods import behaviour

Json = dict[str, Any]

CANCELABLE = (
    "requires_payment_method",
    "requires_capture",
    "requires_reauthorization",
    "requires_confirmation",
    "requires_action",
)

FAILED_AUTHENTICATION = Decline(
    "payment_intent_authentication_failure",
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod "
    "to attempt to fulfill this PaymentIntent again.",
)


def attempt(
    change: Change,
    intent: Json,
    method: Json,
    *,
    off_session: bool = False,
    refuse_action: bool = False,
    return_url: str | None = None,
) -> None:
    """Try to take the money with a payment method; the intent ends in the state the test method leads to."""
    way = behaviour(method)
    intent.update(payment_method=method["id"], last_payment_error=None, next_action=None)
    if way.bank:
        _start_debit(change, intent, method)
        return
    saved = off_session and method["customer"] is not None
    if way.authentication == "always" or (way.authentication == "unless_saved" and not saved):
        if off_session or refuse_action:
            _fail(change, intent, method, NOT_AUTHENTICATED)
        else:
            _require_action(change, intent, return_url)
    elif way.decline:
        _fail(change, intent, method, way.decline)
    else:
        _succeed(change, intent, method)


def raise_if_declined(change: Change, intent: Json) -> None:
    """Answer a failed attempt as Stripe does: 402 with the intent, while the attempt itself stays recorded."""
    failure = intent["last_payment_error"]
    if not failure or intent["status"] != "requires_payment_method":
        return
    extra = {name: failure[name] for name in ("charge", "decline_code", "payment_method") if failure.get(name)}
    raise StripeError(
        402,
        "card_error",
        failure["message"],
        code=failure["code"],
        extra=extra | {"payment_intent": intent},
        keeps_effects=True,
    )


def finish_action(change: Change, intent: Json, *, authenticated: bool) -> None:
    """The customer came back from the authentication page."""
    if intent["status"] != "requires_action":
        raise refused(
            f"This PaymentIntent's status is {intent['status']}: there is nothing to authenticate.",
            code="payment_intent_unexpected_state",
        )
    method = change.get("payment_method", intent["payment_method"])
    intent["next_action"] = None
    if not authenticated:
        _fail(change, intent, method, FAILED_AUTHENTICATION, with_charge=False)
        return
    decline = behaviour(method).decline
    if decline:
        _fail(change, intent, method, decline)
    else:
        _succeed(change, intent, method)


def settle(change: Change, intent: Json, *, succeeded: bool | None = None) -> None:
    """A bank debit is answered; without a verdict the test account's own one counts."""
    if intent["status"] != "processing":
        raise refused(
            f"This PaymentIntent's status is {intent['status']}: only a processing one can be settled.",
            code="payment_intent_unexpected_state",
        )
    method = change.get("payment_method", intent["payment_method"])
    charge = change.get("charge", intent["latest_charge"])
    decline = behaviour(method).decline
    if succeeded is None:
        succeeded = decline is None
    intent["processing"] = None
    if succeeded:
        charges.capture(change, charge, charge["amount"])
        _received(change, intent, charge)
        return
    decline = decline or Decline("payment_intent_payment_attempt_failed", "The payment failed.", "generic_decline")
    charges.fail(charge, decline)
    change.put(charge)
    change.emit("charge.failed", charge)
    _note_failure(change, intent, method, decline, charge["id"])


def cancel(change: Change, intent: Json, reason: str | None) -> None:
    """Cancel an intent; an authorized charge is released."""
    if intent["status"] not in CANCELABLE:
        raise refused(
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. Only a PaymentIntent "
            f"with one of the following statuses may be canceled: {', '.join(CANCELABLE)}.",
            code="payment_intent_unexpected_state",
            extra={"payment_intent": intent},
        )
    if intent["status"] == "requires_capture":
        charge = change.get("charge", intent["latest_charge"])
        charge.update(amount_refunded=charge["amount"], refunded=True)
        change.put(charge)
        change.emit("charge.refunded", charge)
    intent.update(
        status="canceled", canceled_at=change.now, cancellation_reason=reason, next_action=None, amount_capturable=0
    )
    change.put(intent)
    change.emit("payment_intent.canceled", intent)


def capture(change: Change, intent: Json, amount: int | None) -> None:
    """Take the money of an authorized intent."""
    if intent["status"] != "requires_capture":
        raise refused(
            f"This PaymentIntent could not be captured because it has a status of {intent['status']}. Only a "
            "PaymentIntent with one of the following statuses may be captured: requires_capture.",
            code="payment_intent_unexpected_state",
            extra={"payment_intent": intent},
        )
    if amount is not None and amount > intent["amount_capturable"]:
        raise refused(
            "The amount to capture is greater than the amount authorized.",
            code="amount_too_large",
            param="amount_to_capture",
        )
    charge = change.get("charge", intent["latest_charge"])
    charges.capture(change, charge, amount or charge["amount"])
    change.put(charge)
    change.emit("charge.captured", charge)
    _complete(change, intent, charge)


def _succeed(change: Change, intent: Json, method: Json) -> None:
    charge = charges.new_charge(change, intent, method, status="succeeded")
    intent["latest_charge"] = charge["id"]
    if intent["capture_method"] == "manual":
        change.put(charge)
        change.emit("charge.succeeded", charge)
        intent.update(status="requires_capture", amount_capturable=intent["amount"])
        change.put(intent)
        change.emit("payment_intent.amount_capturable_updated", intent)
        return
    charges.capture(change, charge, charge["amount"])
    _received(change, intent, charge)
    if behaviour(method).disputed:
        disputes.open_dispute(change, charge, reason="fraudulent")


def _received(change: Change, intent: Json, charge: Json) -> None:
    change.put(charge)
    change.emit("charge.succeeded", charge)
    _complete(change, intent, charge)


def _complete(change: Change, intent: Json, charge: Json) -> None:
    intent.update(
        status="succeeded", amount_received=charge["amount_captured"], amount_capturable=0, last_payment_error=None
    )
    change.put(intent)
    change.emit("payment_intent.succeeded", intent)
    if intent["setup_future_usage"] and intent["customer"]:
        method = change.get("payment_method", intent["payment_method"])
        if not method["customer"]:
            method["customer"] = intent["customer"]
            change.put(method)
            change.emit("payment_method.attached", method)


def _fail(change: Change, intent: Json, method: Json, decline: Decline, *, with_charge: bool = True) -> None:
    charge_id = None
    if with_charge:
        charge = change.put(charges.new_charge(change, intent, method, status="failed", decline=decline))
        intent["latest_charge"] = charge_id = charge["id"]
        change.emit("charge.failed", charge)
    _note_failure(change, intent, method, decline, charge_id)


def _note_failure(change: Change, intent: Json, method: Json, decline: Decline, charge_id: str | None) -> None:
    failure: Json = {
        "code": decline.code,
        "doc_url": f"https://stripe.com/docs/error-codes/{decline.code.replace('_', '-')}",
        "message": decline.message,
        "payment_method": method,
        "type": "invalid_request_error" if decline is FAILED_AUTHENTICATION else "card_error",
    }
    if charge_id:
        failure["charge"] = charge_id
    if decline.decline_code:
        failure["decline_code"] = decline.decline_code
    intent.update(status="requires_payment_method", payment_method=None, last_payment_error=failure)
    change.put(intent)
    change.emit("payment_intent.payment_failed", intent)


def _require_action(change: Change, intent: Json, return_url: str | None) -> None:
    page = f"{change.account.public_url}/authorize/{intent['id']}"
    intent.update(
        status="requires_action",
        next_action={"type": "redirect_to_url", "redirect_to_url": {"url": page, "return_url": return_url}},
    )
    change.put(intent)
    change.emit("payment_intent.requires_action", intent)


def _start_debit(change: Change, intent: Json, method: Json) -> None:
    charge = change.put(charges.new_charge(change, intent, method, status="pending"))
    intent.update(status="processing", latest_charge=charge["id"], processing=None)
    change.put(intent)
    change.emit("charge.pending", charge)
    change.emit("payment_intent.processing", intent)
