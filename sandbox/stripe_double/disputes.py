"""Disputes: opened and closed by the control API or by the disputed test card; read, and conceded, by the API."""

from typing import Any

from sandbox.stripe_double.account import Change
from sandbox.stripe_double.charges import DAY, post_transaction
from sandbox.stripe_double.errors import refused
from sandbox.stripe_double.lists import listed
from sandbox.stripe_double.params import PAGE, RETRIEVE, Spec, created_filter, text
from sandbox.stripe_double.routing import Call, Route
from sandbox.stripe_double.shapes import fresh, new_id

Json = dict[str, Any]

OPEN = ("needs_response", "warning_needs_response", "under_review", "warning_under_review")


def open_dispute(change: Change, charge: Json, *, reason: str = "general", amount: int | None = None) -> Json:
    """The card holder's bank takes the money back until the dispute is decided."""
    if not charge["captured"] or charge["disputed"]:
        raise refused(f"Charge {charge['id']} cannot be disputed.", param="charge")
    if charge["refunded"]:
        raise refused(f"Charge {charge['id']} has been refunded in full and cannot be disputed.", param="charge")
    amount = amount or charge["amount_captured"] - charge["amount_refunded"]
    identifier = new_id("dp")
    withdrawal = post_transaction(
        change,
        kind="adjustment",
        amount=-amount,
        currency=charge["currency"],
        source=identifier,
        description=f"Chargeback withdrawal for {charge['id']}",
        fee=1500,
    )
    dispute = fresh(
        "dispute",
        id=identifier,
        amount=amount,
        balance_transactions=[withdrawal],
        charge=charge["id"],
        created=change.now,
        currency=charge["currency"],
        is_charge_refundable=False,
        payment_intent=charge["payment_intent"],
        reason=reason,
        status="needs_response",
    )
    dispute["evidence_details"]["due_by"] = change.now + 9 * DAY
    details = charge["payment_method_details"]
    if details["type"] == "card":
        brand = details["card"]["brand"]
        dispute["payment_method_details"]["card"].update(brand=brand, network=brand, case_type="chargeback")
    else:
        dispute["payment_method_details"] = {"type": details["type"]}
    change.put(dispute)
    charge["disputed"] = True
    change.put(charge)
    change.emit("charge.dispute.created", dispute)
    change.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(change: Change, dispute: Json, *, won: bool) -> Json:
    """The dispute is decided; a won one returns the money."""
    if dispute["status"] not in OPEN:
        raise refused(f"Dispute {dispute['id']} is already closed.", param="id")
    previous = {"status": dispute["status"]}
    dispute["status"] = "won" if won else "lost"
    if won:
        returned = post_transaction(
            change,
            kind="adjustment",
            amount=dispute["amount"],
            currency=dispute["currency"],
            source=dispute["id"],
            description=f"Chargeback reversal for {dispute['charge']}",
        )
        dispute["balance_transactions"].append(returned)
    change.put(dispute)
    change.emit("charge.dispute.closed", dispute, previous)
    if won:
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
    return close_dispute(call.change, call.change.get("dispute", call.ids[0]), won=False)


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
