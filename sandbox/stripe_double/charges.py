"""Charges and balance transactions: what a payment attempt leaves behind in the account's books."""

from typing import Any

from sandbox.stripe_double.account import Change
from sandbox.stripe_double.cards import Decline
from sandbox.stripe_double.lists import listed
from sandbox.stripe_double.money import processing_fee
from sandbox.stripe_double.params import EXPAND, PAGE, RETRIEVE, Spec, created_filter, merged_metadata, metadata, text
from sandbox.stripe_double.routing import Call, Route
from sandbox.stripe_double.shapes import fresh, new_id

Json = dict[str, Any]

DAY = 86_400


def new_charge(change: Change, intent: Json, method: Json, *, status: str, decline: Decline | None = None) -> Json:
    """Record one payment attempt of a PaymentIntent; the intent's metadata is copied onto the charge."""
    identifier = new_id("ch")
    charge = fresh(
        "charge",
        id=identifier,
        amount=intent["amount"],
        billing_details=method["billing_details"],
        calculated_statement_descriptor="REGISTRAR SANDBOX",
        captured=False,
        created=change.now,
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        metadata=dict(intent["metadata"]),
        paid=status == "succeeded",
        payment_intent=intent["id"],
        payment_method=method["id"],
        receipt_email=intent["receipt_email"],
        statement_descriptor_suffix=intent["statement_descriptor_suffix"],
        shipping=intent["shipping"],
        status=status,
        transfer_group=intent["transfer_group"],
    )
    charge["refunds"]["url"] = f"/v1/charges/{identifier}/refunds"
    _describe_method(charge, method)
    _describe_outcome(charge, decline)
    return charge


def _describe_method(charge: Json, method: Json) -> None:
    kind = method["type"]
    details = charge["payment_method_details"]
    if kind != "card":
        charge["payment_method_details"] = {"type": kind, kind: method[kind] | {"mandate": None}}
        return
    card = method["card"]
    for name in ("brand", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "checks"):
        details["card"][name] = card[name]
    details["card"]["network"] = card["brand"]
    details["card"]["overcapture"]["maximum_amount_capturable"] = charge["amount"]


def _describe_outcome(charge: Json, decline: Decline | None) -> None:
    """How the network answered; a pending bank debit has no answer yet."""
    if decline:
        charge["failure_code"] = decline.code
        charge["failure_message"] = decline.message
    elif charge["status"] != "succeeded":
        return
    charge["outcome"] = {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "declined_by_network" if decline else "approved_by_network",
        "reason": decline.decline_code or decline.code if decline else None,
        "risk_level": "normal",
        "risk_score": 32,
        "seller_message": "The bank did not return any further details with this decline."
        if decline
        else "Payment complete.",
        "type": "issuer_declined" if decline else "authorized",
    }


def capture(change: Change, charge: Json, amount: int) -> None:
    """Take the money: the charge is captured, its fee is deducted and the rest enters the balance."""
    transaction = post_transaction(
        change,
        kind="charge",
        amount=amount,
        currency=charge["currency"],
        source=charge["id"],
        description=charge["description"],
        fee=processing_fee(amount),
    )
    charge.update(
        amount_captured=amount,
        captured=True,
        paid=True,
        status="succeeded",
        balance_transaction=transaction["id"],
        receipt_url=f"{change.account.public_url}/receipts/{charge['id']}",
    )
    _describe_outcome(charge, None)


def fail(charge: Json, decline: Decline) -> None:
    """A pending charge was refused."""
    charge.update(status="failed", paid=False)
    _describe_outcome(charge, decline)


def post_transaction(
    change: Change,
    *,
    kind: str,
    amount: int,
    currency: str,
    source: str,
    description: str | None,
    fee: int = 0,
) -> Json:
    """Write one line of the account's balance."""
    category = {"payment_refund": "refund", "adjustment": "dispute"}.get(kind, kind)
    details = {
        "amount": fee,
        "application": None,
        "currency": currency,
        "description": "Stripe processing fees",
        "type": "stripe_fee",
    }
    return change.put(
        fresh(
            "balance_transaction",
            id=new_id("txn"),
            amount=amount,
            available_on=change.now + 2 * DAY if kind == "charge" else change.now,
            created=change.now,
            currency=currency,
            description=description,
            fee=fee,
            fee_details=[details] if fee else [],
            net=amount - fee,
            reporting_category=category,
            source=source,
            status="pending" if kind == "charge" else "available",
            type=kind,
        )
    )


def settled(transaction: Json, now: int) -> Json:
    """The transaction as of now: pending money becomes available with time."""
    if transaction["available_on"] <= now:
        transaction["status"] = "available"
    return transaction


def retrieve(call: Call) -> Json:
    """One charge."""
    return call.change.get("charge", call.ids[0])


def update(call: Call) -> Json:
    """Change the description, receipt address or metadata of a charge."""
    charge = call.change.get("charge", call.ids[0])
    for name in ("description", "receipt_email"):
        if name in call.params:
            charge[name] = call.get(name)
    charge["metadata"] = merged_metadata(charge["metadata"], call.params.get("metadata"))
    call.change.put(charge)
    call.change.emit("charge.updated", charge)
    return charge


def list_all(call: Call) -> Json:
    """Charges of the account, of a customer or of a PaymentIntent."""
    filters = {name: call.params[name] for name in ("customer", "payment_intent") if call.get(name)}
    return listed(call, "charge", "/v1/charges", filters)


def retrieve_transaction(call: Call) -> Json:
    """One balance transaction."""
    return settled(call.change.get("balance_transaction", call.ids[0]), call.change.now)


ROUTES = (
    Route(
        "GET",
        "/v1/charges",
        list_all,
        Spec(PAGE | {"payment_intent": text(), "customer": text(), "created": created_filter}),
    ),
    Route("GET", "/v1/charges/{charge}", retrieve, RETRIEVE),
    Route(
        "POST",
        "/v1/charges/{charge}",
        update,
        Spec(EXPAND | {"metadata": metadata, "description": text(), "receipt_email": text()}),
    ),
    Route("GET", "/v1/balance_transactions/{transaction}", retrieve_transaction, RETRIEVE),
)
