"""Refunds: created against a charge, never above what is left of it, through every status Stripe has.

The status a refund starts with comes, in this order, from the control API (``/_control/refunds/next``), from the
refund's metadata ``stripe_double_status``, from the test card that was charged, and is otherwise ``succeeded``.
"""

from typing import Any

from sandbox.stripe_double import cards
from sandbox.stripe_double.account import Change
from sandbox.stripe_double.charges import post_transaction
from sandbox.stripe_double.disputes import is_refundable
from sandbox.stripe_double.errors import missing_parameter, refused
from sandbox.stripe_double.lists import listed
from sandbox.stripe_double.money import format_amount
from sandbox.stripe_double.params import (
    EXPAND,
    PAGE,
    RETRIEVE,
    Spec,
    created_filter,
    email,
    integer,
    merged_metadata,
    metadata,
    one_of,
    text,
)
from sandbox.stripe_double.routing import Call, Route
from sandbox.stripe_double.shapes import fresh, new_id

Json = dict[str, Any]

STATUSES = ("pending", "requires_action", "succeeded", "failed", "canceled")
STATUS_KEY = "stripe_double_status"
# Which status may follow which. A succeeded refund can still fail: the bank sends the money back.
FOLLOWERS = {
    "pending": ("succeeded", "failed", "canceled", "requires_action"),
    "requires_action": ("pending", "succeeded", "failed", "canceled"),
    "succeeded": ("failed",),
}


def _charge_of(call: Call) -> Json:
    """The charge to refund."""
    change = call.change
    if call.get("charge"):
        return change.get("charge", call.params["charge"], "charge")
    if not call.get("payment_intent"):
        raise missing_parameter("payment_intent")
    intent = change.get("payment_intent", call.params["payment_intent"], "payment_intent")
    charge = change.find(intent["latest_charge"])
    if charge is None or charge["status"] != "succeeded":
        raise refused(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
            code="payment_intent_unexpected_state",
            param="payment_intent",
        )
    return charge


def _check(change: Change, charge: Json, amount: int) -> None:
    left = charge["amount_captured"] - charge["amount_refunded"]
    if charge["status"] != "succeeded" or not charge["captured"]:
        raise refused(f"Charge {charge['id']} has not been captured and cannot be refunded.", param="charge")
    if not is_refundable(change, charge):
        raise refused(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
    if left <= 0:
        raise refused(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if amount > left:
        currency = charge["currency"]
        raise refused(
            f"Refund amount ({format_amount(amount, currency)}) is greater than unrefunded amount on charge "
            f"({format_amount(left, currency)})",
            param="amount",
        )


def _first_status(call: Call, charge: Json) -> str:
    waiting = call.account.next_refund_statuses
    if waiting:
        return waiting.pop(0)
    asked = (call.get("metadata") or {}).get(STATUS_KEY)
    if asked in STATUSES:
        return str(asked)
    details = charge["payment_method_details"]
    status = cards.behaviour_of(details["type"], details[details["type"]]["fingerprint"]).refund
    # The card "refund fails" lets the refund succeed first; its failure comes later, as a bank's return does.
    return "succeeded" if status == "failed" else status


def create(call: Call) -> Json:
    """Give money back."""
    change = call.change
    charge = _charge_of(call)
    amount: int = call.get("amount", charge["amount_captured"] - charge["amount_refunded"])
    _check(call.change, charge, amount)
    refund = fresh(
        "refund",
        id=new_id("re"),
        amount=amount,
        charge=charge["id"],
        created=change.now,
        currency=charge["currency"],
        metadata=merged_metadata({}, call.params.get("metadata")),
        payment_intent=charge["payment_intent"],
        reason=call.get("reason"),
        status="pending",
    )
    status = _first_status(call, charge)
    kind = charge["payment_method_details"]["type"]
    detail = {"reference": None, "reference_status": "pending", "reference_type": "acquirer_reference_number"}
    refund["destination_details"] = {"type": kind, kind: detail | {"type": "refund"} if kind == "card" else {}}
    refund["status"] = status
    if status == "pending":
        refund["pending_reason"] = "processing"
    elif status == "requires_action":
        expires = change.now + 45 * 86_400
        refund["next_action"] = {
            "type": "display_details",
            "display_details": {
                "email_sent": {"email_sent_at": change.now, "email_sent_to": ""},
                "expires_at": expires,
            },
        }
    charge["amount_refunded"] += amount
    _move_money(change, charge, refund)
    if status in ("failed", "canceled"):
        _return_money(change, charge, refund, "unknown")
    _store(change, charge, refund)
    change.emit("refund.created", refund)
    if status in ("failed", "canceled"):
        change.emit("refund.failed" if status == "failed" else "refund.updated", refund)
    else:
        change.emit("charge.refunded", charge)
    return refund


def _move_money(change: Change, charge: Json, refund: Json) -> None:
    """The refunded money leaves the balance, unless the refund still waits for the customer."""
    if refund["status"] == "requires_action" or refund["balance_transaction"]:
        return
    transaction = post_transaction(
        change,
        kind="refund",
        amount=-refund["amount"],
        currency=refund["currency"],
        source=refund["id"],
        description=f"REFUND FOR CHARGE ({charge['description']})" if charge["description"] else "REFUND FOR CHARGE",
    )
    refund["balance_transaction"] = transaction["id"]


def _return_money(change: Change, charge: Json, refund: Json, reason: str) -> None:
    """The refund came to nothing: the money is back in the balance and may be refunded again."""
    charge["amount_refunded"] -= refund["amount"]
    if refund["status"] == "failed":
        refund["failure_reason"] = reason
    if refund["balance_transaction"]:
        transaction = post_transaction(
            change,
            kind="refund_failure",
            amount=refund["amount"],
            currency=refund["currency"],
            source=refund["id"],
            description="REFUND FAILURE",
        )
        refund["failure_balance_transaction"] = transaction["id"]


def _store(change: Change, charge: Json, refund: Json) -> None:
    """Store the refund, and the charge with its list of refunds, newest first."""
    change.put(refund)
    charge["refunded"] = charge["amount_refunded"] >= charge["amount_captured"]
    others = [other for other in charge["refunds"]["data"] if other["id"] != refund["id"]]
    charge["refunds"]["data"] = sorted([refund, *others], key=lambda each: -int(each["created"]))[:10]
    change.put(charge)


def move(change: Change, refund: Json, status: str, failure_reason: str = "unknown") -> Json:
    """Bring a refund into its next status, with the events Stripe sends."""
    if status not in FOLLOWERS.get(refund["status"], ()):
        raise refused(f"A refund cannot go from {refund['status']} to {status}.", param="status")
    charge = change.get("charge", refund["charge"], "charge")
    previous = {"status": refund["status"]}
    refund["status"] = status
    if status != "pending":
        refund.pop("pending_reason", None)
    if status != "requires_action":
        refund.pop("next_action", None)
    if status in ("failed", "canceled"):
        _return_money(change, charge, refund, failure_reason)
    else:
        _move_money(change, charge, refund)
    _store(change, charge, refund)
    change.emit("charge.refund.updated", refund, previous)
    change.emit("refund.updated", refund, previous)
    if status == "failed":
        change.emit("refund.failed", refund, previous)
    return refund


def retrieve(call: Call) -> Json:
    """One refund."""
    return call.change.get("refund", call.ids[0])


def update(call: Call) -> Json:
    """Change the metadata of a refund."""
    refund = call.change.get("refund", call.ids[0])
    refund["metadata"] = merged_metadata(refund["metadata"], call.params.get("metadata"))
    _store(call.change, call.change.get("charge", refund["charge"], "charge"), refund)
    call.change.emit("refund.updated", refund)
    return refund


def cancel(call: Call) -> Json:
    """Cancel a refund that waits for the customer."""
    refund = call.change.get("refund", call.ids[0])
    if refund["status"] != "requires_action":
        raise refused(
            f"This refund cannot be canceled because it has a status of {refund['status']}. Only a refund with the "
            "status requires_action may be canceled."
        )
    return move(call.change, refund, "canceled")


def list_all(call: Call) -> Json:
    """Refunds of the account, of a charge or of a PaymentIntent."""
    filters = {name: call.params[name] for name in ("charge", "payment_intent") if call.get(name)}
    return listed(call, "refund", "/v1/refunds", filters)


CREATE = Spec(
    EXPAND
    | {
        "amount": integer(at_least=1),
        "charge": text(),
        "instructions_email": email,
        "metadata": metadata,
        "payment_intent": text(),
        "reason": one_of("duplicate", "fraudulent", "requested_by_customer"),
    }
)

ROUTES = (
    Route("POST", "/v1/refunds", create, CREATE),
    Route(
        "GET",
        "/v1/refunds",
        list_all,
        Spec(PAGE | {"charge": text(), "payment_intent": text(), "created": created_filter}),
    ),
    Route("GET", "/v1/refunds/{refund}", retrieve, RETRIEVE),
    Route("POST", "/v1/refunds/{refund}", update, Spec(EXPAND | {"metadata": metadata})),
    Route("POST", "/v1/refunds/{refund}/cancel", cancel, RETRIEVE),
)
