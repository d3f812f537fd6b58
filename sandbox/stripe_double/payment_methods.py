"""Payment methods: cards and bank accounts, made from test numbers, tokens or Stripe's named test methods."""

import re
import time
from typing import Any

from sandbox.stripe_double import cards
from sandbox.stripe_double.account import Change
from sandbox.stripe_double.errors import StripeError, missing_parameter, missing_resource, refused
from sandbox.stripe_double.lists import listed
from sandbox.stripe_double.params import (
    ADDRESS,
    EXPAND,
    PAGE,
    RETRIEVE,
    Spec,
    email,
    free_form,
    hash_of,
    integer,
    merged_metadata,
    metadata,
    one_of,
    text,
)
from sandbox.stripe_double.routing import Call, Route
from sandbox.stripe_double.shapes import fresh, new_id
from sandbox.stripe_double.store import Page

Json = dict[str, Any]

BILLING = hash_of(Spec({"address": ADDRESS, "email": email, "name": text(), "phone": text(), "tax_id": text()}))
CARD = Spec(
    {
        "number": text(32),
        "exp_month": integer(),
        "exp_year": integer(),
        "cvc": text(4),
        "token": text(),
        "networks": free_form,
    }
)
BANK = Spec(
    {
        "iban": text(40),
        "account_number": text(20),
        "routing_number": text(20),
        "account_holder_type": one_of("individual", "company"),
        "account_type": one_of("checking", "savings"),
    }
)
TYPES = ("card", "sepa_debit", "us_bank_account")
METHOD_FIELDS = {
    "type": one_of(*TYPES),
    "card": hash_of(CARD),
    "sepa_debit": hash_of(BANK),
    "us_bank_account": hash_of(BANK),
    "billing_details": BILLING,
    "allow_redisplay": one_of("always", "limited", "unspecified"),
    "metadata": metadata,
}
METHOD_DATA = hash_of(Spec(METHOD_FIELDS, required=("type",)))


def card_error(code: str, message: str, param: str) -> StripeError:
    """A card whose details are wrong; it never became a payment method."""
    return StripeError(402, "card_error", message, code=code, param=param)


def check_card(number: str, exp_month: int, exp_year: int, cvc: str | None, now: float) -> None:
    """Refuse a number, expiry or security code that cannot be right."""
    if not cards.passes_luhn(number):
        raise card_error("incorrect_number", "Your card number is incorrect.", "number")
    if not 1 <= exp_month <= 12:
        raise card_error("invalid_expiry_month", "Your card's expiration month is invalid.", "exp_month")
    today = time.gmtime(now)
    if not today.tm_year <= exp_year <= today.tm_year + 50:
        raise card_error("invalid_expiry_year", "Your card's expiration year is invalid.", "exp_year")
    if (exp_year, exp_month) < (today.tm_year, today.tm_mon):
        raise card_error("invalid_expiry_month", "Your card's expiration month is invalid.", "exp_month")
    if cvc is not None and not re.fullmatch(r"\d{3,4}", cvc):
        raise card_error("invalid_cvc", "Your card's security code is invalid.", "cvc")


def new_card(
    change: Change, number: str, exp_month: int, exp_year: int, *, billing: Json | None = None, cvc: bool = True
) -> Json:
    """Store a card as a payment method; only its fingerprint and last digits are kept."""
    brand = cards.brand_of(number)
    known = cards.CARDS.get(number)
    method = fresh("payment_method", id=new_id("pm"), created=change.now, billing_details=_billing(billing))
    method["card"].update(
        brand=brand,
        display_brand=brand,
        exp_month=exp_month,
        exp_year=exp_year,
        fingerprint=cards.fingerprint(number),
        funding=known.funding if known else "credit",
        last4=number[-4:],
        networks={"available": [brand], "preferred": None},
    )
    method["card"]["checks"]["cvc_check"] = "pass" if cvc else None
    return change.put(method)


def new_bank_account(change: Change, kind: str, number: str, *, billing: Json | None = None) -> Json:
    """Store a bank account as a payment method."""
    method = fresh("payment_method", id=new_id("pm"), created=change.now, billing_details=_billing(billing), type=kind)
    del method["card"]
    mark = cards.fingerprint(number)
    if kind == "sepa_debit":
        method[kind] = {
            "bank_code": number[4:12],
            "branch_code": "",
            "country": number[:2],
            "fingerprint": mark,
            "generated_from": {"charge": None, "setup_attempt": None},
            "last4": number[-4:],
        }
    else:
        method[kind] = {
            "account_holder_type": "individual",
            "account_type": "checking",
            "bank_name": "STRIPE TEST BANK",
            "fingerprint": mark,
            "last4": number[-4:],
            "networks": {"preferred": "ach", "supported": ["ach"]},
            "routing_number": "110000000",
            "status_details": {},
        }
    return change.put(method)


def _billing(sent: Json | None) -> Json:
    blank: Json = fresh("charge")["billing_details"]
    sent = sent or {}
    return blank | sent | {"address": blank["address"] | (sent.get("address") or {})}


def from_data(change: Change, data: Json, prefix: str = "") -> Json:
    """Make a payment method from the parameters of a request."""
    kind = data["type"]
    details = data.get(kind)
    if not details:
        raise missing_parameter(f"{prefix}[{kind}]" if prefix else kind)
    if kind != "card":
        number = re.sub(r"\s", "", details.get("iban") or details.get("account_number") or "")
        if not number:
            raise missing_parameter(f"{kind}[{'iban' if kind == 'sepa_debit' else 'account_number'}]")
        method = new_bank_account(change, kind, number, billing=data.get("billing_details"))
    elif details.get("token"):
        name = details["token"].removeprefix("tok_")
        if name not in cards.NAMES:
            raise missing_resource("token", details["token"], "card[token]")
        number = cards.NAMES[name]
        method = new_card(change, number, 12, 2034, billing=data.get("billing_details"))
    else:
        for name in ("number", "exp_month", "exp_year"):
            if name not in details:
                raise missing_parameter(f"card[{name}]")
        number = re.sub(r"[\s-]", "", details["number"])
        month, year = details["exp_month"], details["exp_year"]
        year += 2000 if year < 100 else 0
        check_card(number, month, year, details.get("cvc"), change.now)
        method = new_card(change, number, month, year, billing=data.get("billing_details"), cvc="cvc" in details)
    method["metadata"] = merged_metadata({}, data.get("metadata"))
    method["allow_redisplay"] = data.get("allow_redisplay", "unspecified")
    return change.put(method)


def named(change: Change, identifier: str) -> Json | None:
    """A new payment method for one of Stripe's named test methods (``pm_card_visa``), or None."""
    if identifier in cards.BANK_NAMES:
        return new_bank_account(change, *cards.BANK_NAMES[identifier])
    if identifier.startswith("pm_card_") and (number := cards.NAMES.get(identifier.removeprefix("pm_card_"))):
        return new_card(change, number, 12, 2034)
    return None


def resolve(change: Change, identifier: str, param: str = "payment_method") -> Json:
    """The payment method behind an identifier, named test methods included."""
    return named(change, identifier) or change.get("payment_method", identifier, param)


def behaviour(method: Json) -> cards.Behaviour:
    """How this payment method behaves when it is charged."""
    return cards.behaviour_of(method["type"], method[method["type"]]["fingerprint"])


def attach_to(change: Change, identifier: str, customer_id: str) -> Json:
    """Attach a payment method to a customer."""
    change.get("customer", customer_id, "customer")
    method = resolve(change, identifier, "id")
    if method["customer"] == customer_id:
        return method
    if method["customer"]:
        raise refused(
            "The payment method you provided has already been attached to a customer.",
            code="payment_method_unexpected_state",
            param="payment_method",
        )
    decline = behaviour(method).decline
    if decline and not behaviour(method).attachable:
        raise StripeError(
            402,
            "card_error",
            decline.message,
            code=decline.code,
            extra={"decline_code": decline.decline_code} if decline.decline_code else None,
        )
    method["customer"] = customer_id
    change.put(method)
    change.emit("payment_method.attached", method)
    return method


def detach_all(change: Change, customer_id: str) -> None:
    """Detach every payment method of a customer."""
    methods, _ = change.store.select("payment_method", {"customer": customer_id}, Page(limit=1000))
    for method in methods:
        _detach(change, method)


def _detach(change: Change, method: Json) -> Json:
    previous = {"customer": method["customer"]}
    method["customer"] = None
    change.put(method)
    change.emit("payment_method.detached", method, previous)
    return method


def create(call: Call) -> Json:
    """Create a payment method."""
    return from_data(call.change, call.params)


def retrieve(call: Call) -> Json:
    """One payment method."""
    return resolve(call.change, call.ids[0], "id")


def update(call: Call) -> Json:
    """Change the billing details or metadata of a payment method."""
    method = call.change.get("payment_method", call.ids[0])
    method["metadata"] = merged_metadata(method["metadata"], call.params.get("metadata"))
    if call.get("billing_details"):
        method["billing_details"] = _billing(method["billing_details"] | call.params["billing_details"])
    call.change.put(method)
    call.change.emit("payment_method.updated", method)
    return method


def list_all(call: Call) -> Json:
    """Payment methods of the account or of one customer."""
    filters = {
        column: call.params[name] for name, column in (("customer", "customer"), ("type", "label")) if call.get(name)
    }
    return listed(call, "payment_method", "/v1/payment_methods", filters)


def attach(call: Call) -> Json:
    """Attach to a customer."""
    return attach_to(call.change, call.ids[0], call.params["customer"])


def detach(call: Call) -> Json:
    """Detach from the customer."""
    method = call.change.get("payment_method", call.ids[0])
    if not method["customer"]:
        raise refused(
            "The payment method you provided is not attached to a customer so detachment is impossible.",
            code="payment_method_unexpected_state",
            param="payment_method",
        )
    return _detach(call.change, method)


_LIST = Spec(PAGE | {"customer": text(), "type": one_of(*TYPES)})

ROUTES = (
    Route("POST", "/v1/payment_methods", create, Spec(EXPAND | METHOD_FIELDS, required=("type",)), publishable=True),
    Route("GET", "/v1/payment_methods", list_all, _LIST),
    Route("GET", "/v1/payment_methods/{method}", retrieve, RETRIEVE),
    Route(
        "POST",
        "/v1/payment_methods/{method}",
        update,
        Spec(EXPAND | {"metadata": metadata, "billing_details": BILLING}),
    ),
    Route(
        "POST",
        "/v1/payment_methods/{method}/attach",
        attach,
        Spec(EXPAND | {"customer": text()}, required=("customer",)),
    ),
    Route("POST", "/v1/payment_methods/{method}/detach", detach, RETRIEVE),
)
