"""Disputes: opened and closed by the control API or by the disputed test card; read, and conceded, by the API."""

from typing import Any

from sandbox.stripe_double.account import Change
from sandbox.stripe_double.charges import DAY, post_transaction
from sandbox.stripe_double.errors import refused
from sandbox.stripe_double.lists import listed
from sandbox.stripe_double.params import PAGE, RETRIEVE, Spec, created_filter, text
from sandbox.stripe_double.routing import Call, Route
from sandbox.stripe_double.shapes import fresh, new_id
from sandbox.stripe_double.store import Page

Json = dict[str, Any]

OPEN = ("needs_response", "warning_needs_response", "under_review", "warning_under_review")
_ANSWERED = {"needs_response": "under_review", "warning_needs_response": "warning_under_review"}


def open_dispute(
    change: Change, charge: Json, *, reason: str = "general", amount: int | None = None, inquiry: bool = False
) -> Json:
    """The card holder's bank takes the money back until the dispute is decided; for an inquiry it asks only."""
    if not charge["captured"] or charge["disputed"]:
        raise refused(f"Charge {charge['id']} cannot be disputed.", param="charge")
    if charge["refunded"]:
        raise refused(f"Charge {charge['id']} has been refunded in full and cannot be disputed.", param="charge")
    amount = amount or charge["amount_captured"] - charge["amount_refunded"]
    identifier = new_id("dp")
    dispute = fresh(
        "dispute",
        id=identifier,
        amount=amount,
        balance_transactions=[],
        charge=charge["id"],
        created=change.now,
        currency=charge["currency"],
        is_charge_refundable=True,
        payment_intent=charge["payment_intent"],
        reason=reason,
        status="warning_needs_response",
    )
    dispute["evidence_details"]["due_by"] = change.now + 9 * DAY
    details = charge["payment_method_details"]
    if details["type"] == "card":
        brand = details["card"]["brand"]
        dispute["payment_method_details"]["card"].update(
            brand=brand, network=brand, case_type="inquiry" if inquiry else "chargeback"
        )
    else:
        dispute["payment_method_details"] = {"type": details["type"]}
    charge["disputed"] = True
    change.put(charge)
    if not inquiry:
        _withdraw(change, dispute)
    change.put(dispute)
    change.emit("charge.dispute.created", dispute)
    if not inquiry:
        change.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def _withdraw(change: Change, dispute: Json) -> None:
    """The bank takes the money, and nothing of the charge can be refunded any more."""
    withdrawal = post_transaction(
        change,
        kind="adjustment",
        amount=-dispute["amount"],
        currency=dispute["currency"],
        source=dispute["id"],
        description=f"Chargeback withdrawal for {dispute['charge']}",
        fee=1500,
    )
    dispute["balance_transactions"].append(withdrawal)
    dispute.update(status="needs_response", is_charge_refundable=False)


def is_refundable(change: Change, charge: Json) -> bool:
    """Whether no dispute of the charge holds its money."""
    if not charge["disputed"]:
        return True
    disputes, _ = change.store.select("dispute", {"charge": charge["id"]}, Page(limit=100))
    return all(dispute["is_charge_refundable"] for dispute in disputes)


def answer_dispute(change: Change, dispute: Json) -> Json:
    """Evidence is handed in: the bank reviews it."""
    if dispute["status"] not in _ANSWERED:
        raise refused(f"Dispute {dispute['id']} cannot be answered.", param="id")
    previous = {"status": dispute["status"]}
    dispute["status"] = _ANSWERED[dispute["status"]]
    dispute["evidence_details"].update(has_evidence=True, submission_count=1)
    change.put(dispute)
    change.emit("charge.dispute.updated", dispute, previous)
    return dispute


def escalate_dispute(change: Change, dispute: Json) -> Json:
    """An inquiry becomes a chargeback: the bank takes the money now."""
    if not dispute["status"].startswith("warning_"):
        raise refused(f"Dispute {dispute['id']} is no inquiry.", param="id")
    previous = {"status": dispute["status"]}
    _withdraw(change, dispute)
    change.put(dispute)
    change.emit("charge.dispute.updated", dispute, previous)
    change.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(change: Change, dispute: Json, outcome: str) -> Json:
    """The dispute is decided; a won one returns the money, also if it had been lost before."""
    if dispute["status"] not in OPEN and (dispute["status"], outcome) != ("lost", "won"):
        raise refused(f"Dispute {dispute['id']} is already closed.", param="id")
    previous = {"status": dispute["status"]}
    dispute["status"] = outcome
    is_returned = outcome == "won" and not dispute["is_charge_refundable"]
    if is_returned:
        returned = post_transaction(
            change,
            kind="adjustment",
            amount=dispute["amount"],
            currency=dispute["currency"],
            source=dispute["id"],
            description=f"Chargeback reversal for {dispute['charge']}",
        )
        dispute["balance_transactions"].append(returned)
    dispute["is_charge_refundable"] = outcome != "lost"
    change.put(dispute)
    change.emit("charge.dispute.closed", dispute, previous)
    if is_returned:
        change.emit("charge.dispute.funds_reinstated", dispute)
    return dispute


def retrieve(call: Call) -> Json:
    """One dispute."""
    return call.change.get("dispute", call.ids[0])


def list_all(call: Call) -> Json:
    """Disputes of the account, of a charge or of a PaymentIntent."""
    filters = {name: call.params[name] for name in ("charge", "payment_intent") if call.get(name)}
    return listed(call, "dispute", "/v1/disputes", filters)


def concede(call: Call) -> Json:
    """Close a dispute by accepting it as lost."""
    return close_dispute(call.change, call.change.get("dispute", call.ids[0]), "lost")


ROUTES = (
    Route(
        "GET",
        "/v1/disputes",
        list_all,
        Spec(PAGE | {"charge": text(), "payment_intent": text(), "created": created_filter}),
    ),
    Route("GET", "/v1/disputes/{dispute}", retrieve, RETRIEVE),
    Route("POST", "/v1/disputes/{dispute}/close", concede, RETRIEVE),
)
