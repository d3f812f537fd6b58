"""Checkout Sessions: created by the API, paid on the hosted page, expired by time or by the API."""

import json
import re
from typing import Any

from sandbox.stripe_double import money, payment_intents, payments
from sandbox.stripe_double.account import Change
from sandbox.stripe_double.charges import DAY
from sandbox.stripe_double.errors import invalid, missing_parameter, missing_resource, refused
from sandbox.stripe_double.lists import as_list, line_items, listed, page_of
from sandbox.stripe_double.params import (
    EXPAND,
    PAGE,
    RETRIEVE,
    SHIPPING,
    Spec,
    boolean,
    created_filter,
    email,
    free_form,
    hash_of,
    integer,
    list_of,
    merged_metadata,
    metadata,
    one_of,
    text,
    url,
)
from sandbox.stripe_double.routing import Call, Route
from sandbox.stripe_double.shapes import fresh, new_id

Json = dict[str, Any]

SHORTEST = 30 * 60
LONGEST = DAY

_PRODUCT = Spec(
    {
        "name": text(250),
        "description": text(40000),
        "images": list_of(url, limit=8),
        "metadata": metadata,
        "tax_code": text(),
        "unit_label": text(12),
    },
    required=("name",),
)
_PRICE = Spec(
    {
        "currency": text(3),
        "product_data": hash_of(_PRODUCT),
        "unit_amount": integer(at_least=0),
        "unit_amount_decimal": text(20, pattern=re.compile(r"^\d+(\.0+)?$")),
        "tax_behavior": one_of("exclusive", "inclusive", "unspecified"),
    },
    required=("currency", "product_data"),
)
_LINE = Spec(
    {"price": text(), "price_data": hash_of(_PRICE), "quantity": integer(at_least=1), "metadata": metadata},
)
_INTENT_DATA = Spec(
    {
        "capture_method": one_of("automatic", "automatic_async", "manual"),
        "description": text(1000),
        "metadata": metadata,
        "receipt_email": email,
        "setup_future_usage": one_of("off_session", "on_session"),
        "shipping": SHIPPING,
        "statement_descriptor": text(22),
        "statement_descriptor_suffix": text(22),
        "transfer_group": text(),
    }
)
_RECOVERY = Spec({"enabled": boolean, "allow_promotion_codes": boolean}, required=("enabled",))

CREATE = Spec(
    EXPAND
    | {
        "after_expiration": hash_of(Spec({"recovery": hash_of(_RECOVERY)})),
        "automatic_tax": hash_of(Spec({"enabled": boolean})),
        "billing_address_collection": one_of("auto", "required"),
        "cancel_url": url,
        "client_reference_id": text(200),
        "currency": text(3),
        "customer": text(),
        "customer_creation": one_of("always", "if_required"),
        "customer_email": email,
        "expires_at": integer(at_least=0),
        "line_items": list_of(hash_of(_LINE)),
        "locale": text(10, pattern=re.compile(r"^(auto|[a-z]{2,3}(-[A-Za-z0-9]{2,4})?)$")),
        "metadata": metadata,
        "mode": one_of("payment", "setup", "subscription"),
        "payment_intent_data": hash_of(_INTENT_DATA),
        "payment_method_options": free_form,
        "allowed_payment_method_types": list_of(text()),
        "payment_method_types": list_of(text()),
        "submit_type": one_of("auto", "book", "donate", "pay", "subscribe"),
        "success_url": url,
        "ui_mode": one_of("hosted", "hosted_page", "embedded", "embedded_page", "custom", "elements", "form"),
    },
    required=("mode", "success_url"),
)
DATA_KEY = "intent_data:"


def _line_item(line: Json, position: int, currency: str | None, now: int) -> Json:
    """One line of the order, with the one-off price it was given."""
    data = line.get("price_data")
    path = f"line_items[{position}]"
    if data is None:
        if line.get("price"):
            raise missing_resource("price", line["price"], f"{path}[price]")
        raise missing_parameter(f"{path}[price_data]")
    unit = data.get("unit_amount")
    if unit is None:
        if not data.get("unit_amount_decimal"):
            raise missing_parameter(f"{path}[price_data][unit_amount]")
        unit = int(data["unit_amount_decimal"].split(".")[0])
    code = payment_intents.check_currency(data["currency"], f"{path}[price_data][currency]")
    if currency and code != currency:
        raise invalid(
            f"All prices on a Checkout Session must have the same currency. Expected {currency}, got {code}.",
            param=f"{path}[price_data][currency]",
        )
    quantity = line.get("quantity", 1)
    product = data["product_data"]
    item = fresh(
        "item",
        id=new_id("li"),
        amount_subtotal=unit * quantity,
        amount_total=unit * quantity,
        currency=code,
        description=product["name"],
        metadata=merged_metadata({}, line.get("metadata")),
        quantity=quantity,
    )
    item["price"].update(
        id=new_id("price"),
        active=False,
        created=now,
        currency=code,
        product=new_id("prod", 14),
        unit_amount=unit,
        unit_amount_decimal=str(unit),
        tax_behavior=data.get("tax_behavior", "unspecified"),
    )
    return item


def _expiry(call: Call) -> int:
    now = call.change.now
    moment: int = call.get("expires_at", now + LONGEST)
    # The caller's clock and this one may stand a moment apart when exactly 30 minutes or 24 hours are asked for.
    if moment < now + SHORTEST - 5:
        raise invalid(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.", param="expires_at"
        )
    if moment > now + LONGEST + 5:
        raise invalid(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.", param="expires_at"
        )
    return moment


def _check(call: Call) -> None:
    """Refuse what this double has no page for, and contradictions."""
    if call.params["mode"] != "payment":
        raise invalid(f"Checkout mode {call.params['mode']} is not available on this account.", param="mode")
    if call.get("ui_mode", "hosted_page") not in ("hosted", "hosted_page"):
        raise invalid(f"Checkout ui_mode {call.params['ui_mode']} is not available on this account.", param="ui_mode")
    if call.get("customer") and call.get("customer_email"):
        raise invalid("You may only specify one of these parameters: customer, customer_email.", param="customer")
    if call.get("customer") and call.get("customer_creation"):
        raise invalid("You may only specify one of these parameters: customer, customer_creation.", param="customer")
    if not call.get("line_items"):
        raise missing_parameter("line_items")


def create(call: Call) -> Json:
    """Create a session; the customer pays at its ``url``."""
    _check(call)
    change = call.change
    items: list[Json] = []
    currency = payment_intents.check_currency(call.params["currency"]) if call.get("currency") else None
    for position, line in enumerate(call.params["line_items"]):
        items.append(_line_item(line, position, currency, change.now))
        currency = items[0]["currency"]
    total = sum(item["amount_total"] for item in items)
    if total and total < money.MINIMUM.get(str(currency), 1):
        least = money.format_amount(money.MINIMUM[str(currency)], str(currency))
        raise invalid(
            f"The Checkout Session's total amount due must add up to at least {least} {currency}",
            param="line_items",
            code="amount_too_small",
        )
    if total > money.MAXIMUM:
        raise invalid("The Checkout Session's total amount is too large.", param="line_items", code="amount_too_large")
    if call.get("customer"):
        change.get("customer", call.params["customer"], "customer")
    types = payment_intents.allowed_types(call) or payment_intents.dynamic_types(str(currency))
    expires_at = _expiry(call)
    session = new_session(
        change,
        items,
        currency=currency,
        total=total,
        expires_at=expires_at,
        payment_method_types=types,
        ui_mode=call.get("ui_mode", "hosted_page"),
        metadata=merged_metadata({}, call.params.get("metadata")),
        **{
            name: call.get(name)
            for name in (
                "billing_address_collection",
                "cancel_url",
                "client_reference_id",
                "customer",
                "customer_email",
                "locale",
                "submit_type",
                "success_url",
            )
        },
    )
    session["customer_creation"] = None if session["customer"] else call.get("customer_creation", "if_required")
    session["automatic_tax"]["enabled"] = call.get("automatic_tax", {}).get("enabled", False)
    recovery = call.get("after_expiration", {}).get("recovery")
    if recovery:
        blank = {"allow_promotion_codes": False, "expires_at": None, "url": None}
        session["after_expiration"] = {"recovery": blank | recovery}
    change.put(session)
    remember_intent_data(change, session["id"], call.get("payment_intent_data", {}))
    return session


def new_session(change: Change, items: list[Json], *, currency: str | None, total: int, **fields: Any) -> Json:
    """A new open session with its lines stored; the caller stores the session."""
    identifier = new_id("cs_test", 58)
    for item in items:
        change.store.put(item, label=identifier)
    return fresh(
        "checkout.session",
        id=identifier,
        amount_subtotal=total,
        amount_total=total,
        created=change.now,
        currency=currency,
        payment_method_collection="if_required",
        payment_status="unpaid" if total else "no_payment_required",
        status="open",
        total_details={"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        url=f"{change.account.public_url}/c/pay/{identifier}",
        **fields,
    )


def remember_intent_data(change: Change, session_id: str, data: Json) -> None:
    """Keep ``payment_intent_data`` until the customer confirms; the session itself does not show it."""
    change.store.set_meta(DATA_KEY + session_id, json.dumps(data))


def expire_due(change: Change) -> None:
    """Expire every session whose time has come."""
    for session in change.store.due(change.now):
        expire_session(change, session)


def expire_session(change: Change, session: Json) -> None:
    """Close an open session; what the customer began is canceled with it."""
    intent = change.find(session["payment_intent"])
    if intent and intent["status"] in ("requires_payment_method", "requires_action", "requires_confirmation"):
        payments.cancel(change, intent, "automatic")
    session.update(status="expired", url=None)
    recovery = (session["after_expiration"] or {}).get("recovery")
    if recovery and recovery["enabled"]:
        recovery["url"] = f"{change.account.public_url}/c/recover/{session['id']}"
        recovery["expires_at"] = change.now + 30 * DAY
    change.put(session)
    change.emit("checkout.session.expired", session)


def current(change: Change, identifier: str, param: str = "session") -> Json:
    """The session as of now: one whose time has come has expired, whoever looks first."""
    expire_due(change)
    return change.get("checkout.session", identifier, param)


def retrieve(call: Call) -> Json:
    """One session."""
    return current(call.change, call.ids[0])


def update(call: Call) -> Json:
    """Change the metadata of a session."""
    session = current(call.change, call.ids[0])
    session["metadata"] = merged_metadata(session["metadata"], call.params.get("metadata"))
    return call.change.put(session)


def expire(call: Call) -> Json:
    """Expire an open session."""
    session = current(call.change, call.ids[0])
    if session["status"] != "open":
        raise refused(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of '
            f'"{session["status"]}".',
            param="session",
        )
    expire_session(call.change, session)
    return session


def list_all(call: Call) -> Json:
    """Sessions of the account, of a customer, of a PaymentIntent, or with a status."""
    expire_due(call.change)
    filters = {name: call.params[name] for name in ("customer", "payment_intent", "status") if call.get(name)}
    return listed(call, "checkout.session", "/v1/checkout/sessions", filters)


def list_line_items(call: Call) -> Json:
    """The lines of a session, in their order."""
    session = current(call.change, call.ids[0])
    page = page_of(call)
    items = line_items(call.change, session["id"])
    ids = [item["id"] for item in items]
    start = ids.index(call.params["starting_after"]) + 1 if call.get("starting_after") in ids else 0
    data = items[start : start + page.limit]
    return as_list(f"/v1/checkout/sessions/{session['id']}/line_items", data, start + page.limit < len(items))


ROUTES = (
    Route("POST", "/v1/checkout/sessions", create, CREATE),
    Route(
        "GET",
        "/v1/checkout/sessions",
        list_all,
        Spec(
            PAGE
            | {
                "customer": text(),
                "payment_intent": text(),
                "status": one_of("open", "complete", "expired"),
                "created": created_filter,
            }
        ),
    ),
    Route("GET", "/v1/checkout/sessions/{session}", retrieve, RETRIEVE),
    Route("POST", "/v1/checkout/sessions/{session}", update, Spec(EXPAND | {"metadata": metadata})),
    Route("POST", "/v1/checkout/sessions/{session}/expire", expire, RETRIEVE),
    Route("GET", "/v1/checkout/sessions/{session}/line_items", list_line_items, Spec(PAGE)),
)
