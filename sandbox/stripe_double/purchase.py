"""Paying a Checkout Session: what the hosted page does when the customer presses the button, and what follows.

``pay`` may be pressed often; the PaymentIntent is made on the first press and reused after a decline.
"""

import json
from typing import Any

from sandbox.stripe_double import checkout, payment_intents, payments
from sandbox.stripe_double.account import Change
from sandbox.stripe_double.lists import line_items
from sandbox.stripe_double.params import merged_metadata
from sandbox.stripe_double.shapes import fresh, new_id
from sandbox.stripe_double.store import Page

Json = dict[str, Any]


def pay(change: Change, session: Json, method: Json | None, *, email: str | None, name: str | None) -> Json | None:
    """Confirm the session with a payment method; the PaymentIntent, or None when there is nothing to pay."""
    customer = change.find(session["customer"]) or {}
    billing: Json = (method or fresh("charge"))["billing_details"]
    session["customer_details"] = {
        "address": billing["address"],
        "business_name": None,
        "email": email or session["customer_email"] or customer.get("email"),
        "individual_name": None,
        "name": name or customer.get("name"),
        "phone": customer.get("phone"),
        "tax_exempt": customer.get("tax_exempt", "none"),
        "tax_ids": [],
    }
    if method is None:
        _complete(change, session)
        return None
    intent = change.find(session["payment_intent"]) or _intent_for(change, session)
    change.put(session)
    payments.attempt(change, intent, method, return_url=session["success_url"])
    after(change, intent)
    return intent


def _intent_for(change: Change, session: Json) -> Json:
    """The PaymentIntent of a session: it exists from the customer's first attempt on."""
    data: Json = json.loads(change.store.get_meta(checkout.DATA_KEY + session["id"]) or "{}")
    data["metadata"] = merged_metadata({}, data.get("metadata"))
    intent = payment_intents.build(
        change,
        amount=session["amount_total"],
        currency=session["currency"],
        customer=session["customer"],
        payment_method_types=session["payment_method_types"],
        **({"capture_method": "automatic_async"} | data),
    )
    session["payment_intent"] = intent["id"]
    change.put(intent)
    change.emit("payment_intent.created", intent)
    return intent


def session_of(change: Change, intent: Json) -> Json | None:
    """The session a PaymentIntent belongs to."""
    found, _ = change.store.select("checkout.session", {"payment_intent": intent["id"]}, Page(limit=1))
    return found[0] if found else None


def after(change: Change, intent: Json) -> None:
    """Carry the new state of a PaymentIntent over to its session."""
    session = session_of(change, intent)
    if session is None:
        return
    if session["status"] == "open" and intent["status"] in ("succeeded", "requires_capture", "processing"):
        session["payment_status"] = "paid" if intent["status"] == "succeeded" else "unpaid"
        _complete(change, session, intent)
    elif session["status"] == "complete" and session["payment_status"] == "unpaid" and intent["status"] == "succeeded":
        session["payment_status"] = "paid"
        change.put(session)
        change.emit("checkout.session.async_payment_succeeded", session)
    elif session["status"] == "complete" and intent["status"] == "requires_payment_method":
        change.emit("checkout.session.async_payment_failed", session)


def settle(change: Change, intent: Json, *, succeeded: bool | None) -> Json:
    """A bank answered a debit: the intent and its session follow."""
    payments.settle(change, intent, succeeded=succeeded)
    after(change, intent)
    return intent


def _complete(change: Change, session: Json, intent: Json | None = None) -> None:
    session.update(status="complete", url=None)
    if session["customer"] is None and session["customer_creation"] == "always":
        details = session["customer_details"]
        customer = fresh(
            "customer",
            id=new_id("cus", 14),
            address=details["address"],
            created=change.now,
            email=details["email"],
            name=details["name"],
        )
        change.put(customer)
        change.emit("customer.created", customer)
        session["customer"] = customer["id"]
        if intent is not None:
            intent["customer"] = customer["id"]
            change.put(intent)
    change.put(session)
    change.emit("checkout.session.completed", session)


def recover(change: Change, expired: Json) -> Json:
    """A recovery link was opened: a new session with the same order, for 24 hours."""
    items = []
    for old in line_items(change, expired["id"]):
        items.append(old | {"id": new_id("li")})
    copied = (
        "billing_address_collection",
        "cancel_url",
        "client_reference_id",
        "customer",
        "customer_creation",
        "customer_email",
        "locale",
        "metadata",
        "payment_method_types",
        "submit_type",
        "success_url",
        "ui_mode",
    )
    session = checkout.new_session(
        change,
        items,
        currency=expired["currency"],
        total=expired["amount_total"],
        expires_at=change.now + checkout.LONGEST,
        recovered_from=expired["id"],
        **{name: expired[name] for name in copied},
    )
    change.put(session)
    data = json.loads(change.store.get_meta(checkout.DATA_KEY + expired["id"]) or "{}")
    checkout.remember_intent_data(change, session["id"], data)
    return session
