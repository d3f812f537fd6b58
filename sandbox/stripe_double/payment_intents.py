"""PaymentIntents: the API. What an attempt does is in ``payments``."""

from typing import Any

from sandbox.stripe_double import money, payment_methods, payments
from sandbox.stripe_double.account import Change
from sandbox.stripe_double.errors import StripeError, invalid, refused
from sandbox.stripe_double.lists import listed
from sandbox.stripe_double.params import (
    EXPAND,
    PAGE,
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
)
from sandbox.stripe_double.params import url as url_reader
from sandbox.stripe_double.routing import Call, Route
from sandbox.stripe_double.shapes import fresh, new_id

Json = dict[str, Any]

_SHARED = EXPAND | {
    "capture_method": one_of("automatic", "automatic_async", "manual"),
    "payment_method": text(),
    "payment_method_data": payment_methods.METHOD_DATA,
    "payment_method_options": free_form,
    "receipt_email": email,
    "setup_future_usage": one_of("off_session", "on_session", ""),
    "shipping": SHIPPING,
}
_DESCRIBING = {
    "description": text(1000),
    "metadata": metadata,
    "allowed_payment_method_types": list_of(text()),
    "payment_method_types": list_of(text()),
    "statement_descriptor": text(22),
    "statement_descriptor_suffix": text(22),
    "transfer_group": text(),
}
_CONFIRMING = {
    "error_on_requires_action": boolean,
    "mandate_data": free_form,
    "off_session": boolean,
    "radar_options": free_form,
    "return_url": url_reader,
    "use_stripe_sdk": boolean,
}
_AUTOMATIC = hash_of(Spec({"enabled": boolean, "allow_redirects": one_of("always", "never")}, required=("enabled",)))

CREATE = Spec(
    _SHARED
    | _DESCRIBING
    | _CONFIRMING
    | {
        "amount": integer(),
        "automatic_payment_methods": _AUTOMATIC,
        "confirm": boolean,
        "confirmation_method": one_of("automatic", "manual"),
        "currency": text(3),
        "customer": text(),
    },
    required=("amount", "currency"),
)
UPDATE = Spec(_SHARED | _DESCRIBING | {"amount": integer(), "currency": text(3), "customer": text()})
CONFIRM = Spec(_SHARED | _CONFIRMING | {"client_secret": text()})
CANCEL = Spec(EXPAND | {"cancellation_reason": one_of("duplicate", "fraudulent", "requested_by_customer", "abandoned")})
CAPTURE = Spec(EXPAND | {"amount_to_capture": integer(at_least=1), "metadata": metadata})
METHOD_TYPES = ("card", "link", "sepa_debit", "us_bank_account")
_ONLY_IN = {"sepa_debit": "eur", "us_bank_account": "usd"}


def check_currency(currency: str, param: str = "currency") -> str:
    """The currency in lower case, if Stripe supports it."""
    lowered = currency.lower()
    if lowered not in money.CURRENCIES:
        known = ", ".join(sorted(money.CURRENCIES))
        raise invalid(f"Invalid currency: {lowered}. Stripe currently supports these currencies: {known}", param=param)
    return lowered


def check_amount(amount: int, currency: str, param: str = "amount") -> int:
    """The amount, if it can be charged in this currency."""
    if amount < 1:
        raise invalid("This value must be greater than or equal to 1.", param=param, code="parameter_invalid_integer")
    minimum = money.MINIMUM.get(currency, 1)
    if amount < minimum:
        least = money.format_amount(minimum, currency)
        raise invalid(f"Amount must be at least {least} {currency}", param=param, code="amount_too_small")
    if amount > money.MAXIMUM:
        most = money.format_amount(money.MAXIMUM, currency)
        raise invalid(f"Amount must be no more than {most}", param=param, code="amount_too_large")
    if money.decimals(currency) == 3 and amount % 10:
        raise invalid(f"Invalid amount: {currency} amounts must be rounded to the nearest ten.", param=param)
    return amount


def allowed_types(call: Call) -> list[str]:
    """The types a request names, under today's parameter name or the older one; empty if it names none."""
    for param in ("allowed_payment_method_types", "payment_method_types"):
        if call.get(param):
            return check_types(call.params[param], param)
    return []


def dynamic_types(currency: str) -> list[str]:
    """What the account's Dashboard offers for payments in this currency."""
    return [kind for kind in METHOD_TYPES if _ONLY_IN.get(kind, currency) == currency]


def check_types(types: list[str], param: str = "payment_method_types") -> list[str]:
    """The payment method types, if this account accepts them."""
    for kind in types:
        if kind not in METHOD_TYPES:
            raise invalid(
                f'The payment method type "{kind}" is invalid. Please ensure the provided type is activated in your '
                "dashboard and your account is enabled for any preview features that you are trying to use.",
                param=param,
                code="payment_intent_invalid_parameter",
            )
    return types


def build(change: Change, *, amount: int, currency: str, **fields: Any) -> Json:
    """A new PaymentIntent without a payment method; the caller stores it."""
    identifier = new_id("pi")
    return fresh(
        "payment_intent",
        id=identifier,
        amount=amount,
        client_secret=f"{identifier}_{new_id('secret')}",
        created=change.now,
        currency=currency,
        status="requires_payment_method",
        **fields,
    )


def _take_method(call: Call, intent: Json) -> Json | None:
    """The payment method this request brings or the intent already has."""
    data = call.get("payment_method_data")
    if data:
        method = payment_methods.from_data(call.change, data, "payment_method_data")
    elif call.get("payment_method"):
        method = payment_methods.resolve(call.change, call.params["payment_method"])
    else:
        return call.change.find(intent["payment_method"])
    if method["customer"] and method["customer"] != intent["customer"]:
        raise refused(
            f"The provided PaymentMethod ({method['id']}) belongs to another customer than this PaymentIntent. "
            "Please include the customer of the payment method in the `customer` parameter.",
            param="payment_method",
            code="payment_intent_unexpected_state" if not intent["customer"] else None,
        )
    if method["type"] not in intent["payment_method_types"]:
        raise refused(
            f"The PaymentMethod provided ({method['type']}) is not allowed for this PaymentIntent. Please attach a "
            f"PaymentMethod of one of the following types: {', '.join(intent['payment_method_types'])}.",
            param="payment_method",
            code="payment_intent_incompatible_payment_method",
        )
    return method


def _describe(intent: Json, call: Call) -> None:
    """Write the sent describing parameters onto the intent."""
    for name in (
        "description",
        "receipt_email",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_group",
    ):
        if name in call.params:
            intent[name] = call.get(name)
    for name in ("setup_future_usage", "shipping"):
        if name in call.params:
            intent[name] = call.params[name] or None
    intent["metadata"] = merged_metadata(intent["metadata"], call.params.get("metadata"))


def create(call: Call) -> Json:
    """Create a PaymentIntent, and confirm it at once when asked."""
    change = call.change
    currency = check_currency(call.params["currency"])
    amount = check_amount(call.params["amount"], currency)
    if call.get("off_session") and not call.get("confirm"):
        raise invalid("`off_session` may only be set when `confirm=true`.", param="off_session")
    if call.get("customer"):
        change.get("customer", call.params["customer"], "customer")
    intent = build(
        change,
        amount=amount,
        currency=currency,
        customer=call.get("customer"),
        capture_method=call.get("capture_method", "automatic_async"),
        confirmation_method=call.get("confirmation_method", "automatic"),
    )
    if types := allowed_types(call):
        intent["payment_method_types"] = types
    else:
        automatic = call.get("automatic_payment_methods", {"enabled": True})
        intent["automatic_payment_methods"] = {"allow_redirects": "always"} | automatic
        intent["payment_method_types"] = dynamic_types(currency)
    _describe(intent, call)
    method = _take_method(call, intent)
    if method:
        intent.update(payment_method=method["id"], status="requires_confirmation")
    change.put(intent)
    change.emit("payment_intent.created", intent)
    return _confirm(call, intent, method) if call.get("confirm") else intent


def _confirm(call: Call, intent: Json, method: Json | None) -> Json:
    if intent["status"] not in ("requires_payment_method", "requires_confirmation", "requires_action"):
        said = (
            "it has already succeeded after being previously confirmed"
            if intent["status"] == "succeeded"
            else f"it has a status of {intent['status']}"
        )
        raise refused(
            f"You cannot confirm this PaymentIntent because {said}.",
            code="payment_intent_unexpected_state",
            extra={"payment_intent": intent},
        )
    if method is None:
        raise refused(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a "
            "payment method or ConfirmationToken.",
            code="payment_intent_unexpected_state",
            extra={"payment_intent": intent},
        )
    payments.attempt(
        call.change,
        intent,
        method,
        off_session=call.get("off_session", False),
        refuse_action=call.get("error_on_requires_action", False),
        return_url=call.get("return_url"),
    )
    payments.raise_if_declined(call.change, intent)
    return intent


def _of_call(call: Call) -> Json:
    """The intent of the request; a browser has to show its client secret."""
    intent = call.change.get("payment_intent", call.ids[0], "intent")
    secret = call.get("client_secret")
    if (call.publishable and not secret) or (secret and secret != intent["client_secret"]):
        raise StripeError(
            400 if secret else 401,
            "invalid_request_error",
            "The client_secret provided does not match any associated PaymentIntent on this account."
            if secret
            else "You must provide the client_secret of this PaymentIntent when you use a publishable key.",
            code="payment_intent_invalid_parameter",
            param="client_secret",
            before_execution=True,
        )
    return intent


def retrieve(call: Call) -> Json:
    """One PaymentIntent."""
    return _of_call(call)


def update(call: Call) -> Json:
    """Change an intent that has not been paid."""
    intent = _of_call(call)
    fixed = {"amount", "currency", "customer", "payment_method", "payment_method_data", "payment_method_types"}
    if intent["status"] in ("succeeded", "canceled", "processing", "requires_capture") and fixed & call.params.keys():
        raise refused(
            f"This PaymentIntent's {min(fixed & call.params.keys())} could not be updated because it has a status "
            f"of {intent['status']}. You may only update it in one of the following statuses: requires_payment_method, "
            "requires_confirmation, requires_action.",
            code="payment_intent_unexpected_state",
            extra={"payment_intent": intent},
        )
    currency = check_currency(call.get("currency", intent["currency"]))
    intent.update(currency=currency, amount=check_amount(call.get("amount", intent["amount"]), currency))
    if call.get("customer"):
        intent["customer"] = call.change.get("customer", call.params["customer"], "customer")["id"]
    if types := allowed_types(call):
        intent["payment_method_types"] = types
    if call.get("capture_method"):
        intent["capture_method"] = call.params["capture_method"]
    _describe(intent, call)
    if {"payment_method", "payment_method_data"} & call.params.keys():
        method = _take_method(call, intent)
        intent.update(
            payment_method=method["id"] if method else None,
            status="requires_confirmation" if method else "requires_payment_method",
            next_action=None,
        )
    return call.change.put(intent)


def confirm(call: Call) -> Json:
    """Confirm an intent: from the server, or from a browser with its client secret."""
    intent = _of_call(call)
    for name in ("receipt_email", "setup_future_usage", "shipping", "capture_method"):
        if call.get(name):
            intent[name] = call.params[name]
    return _confirm(call, intent, _take_method(call, intent))


def cancel(call: Call) -> Json:
    """Cancel an intent that has not been paid."""
    intent = _of_call(call)
    row = call.change.store.db.execute(
        "SELECT 1 FROM objects WHERE payment_intent = ? AND kind = 'checkout.session'", (intent["id"],)
    ).fetchone()
    if row and intent["status"] in payments.CANCELABLE:
        raise refused(
            "You cannot cancel a PaymentIntent that was created by Checkout. Expire the Checkout Session instead.",
            code="payment_intent_unexpected_state",
            extra={"payment_intent": intent},
        )
    payments.cancel(call.change, intent, call.get("cancellation_reason"))
    return intent


def capture(call: Call) -> Json:
    """Capture an authorized intent."""
    intent = _of_call(call)
    intent["metadata"] = merged_metadata(intent["metadata"], call.params.get("metadata"))
    payments.capture(call.change, intent, call.get("amount_to_capture"))
    return intent


def list_all(call: Call) -> Json:
    """PaymentIntents of the account or of one customer."""
    filters = {"customer": call.params["customer"]} if call.get("customer") else {}
    return listed(call, "payment_intent", "/v1/payment_intents", filters)


ROUTES = (
    Route("POST", "/v1/payment_intents", create, CREATE),
    Route("GET", "/v1/payment_intents", list_all, Spec(PAGE | {"customer": text(), "created": created_filter})),
    Route("GET", "/v1/payment_intents/{intent}", retrieve, Spec(EXPAND | {"client_secret": text()}), publishable=True),
    Route("POST", "/v1/payment_intents/{intent}", update, UPDATE),
    Route("POST", "/v1/payment_intents/{intent}/confirm", confirm, CONFIRM, publishable=True),
    Route("POST", "/v1/payment_intents/{intent}/cancel", cancel, CANCEL),
    Route("POST", "/v1/payment_intents/{intent}/capture", capture, CAPTURE),
)
