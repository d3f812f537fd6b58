"""The shape of every object: Stripe's published samples with the example-only parts set to null.

A sample shows optional sub-objects filled in (``shipping``, ``next_action``, …); a new object has none of them, so
``ABSENT`` names, per type, the fields that start as null although the sample has a value there.
"""

import base64
import json
import os
from pathlib import Path
from typing import Any

Json = dict[str, Any]

API_VERSION = "2026-10-28.endive"

SAMPLES: dict[str, Json] = json.loads(Path(__file__).with_name("fixtures3.json").read_text("utf-8"))["resources"]

ABSENT: dict[str, tuple[str, ...]] = {
    "customer": ("currency", "discount", "shipping", "invoice_settings.rendering_options"),
    "payment_method": ("card.generated_from", "card.wallet"),
    "payment_intent": (
        "automatic_payment_methods",
        "canceled_at",
        "last_payment_error",
        "managed_payments",
        "next_action",
        "payment_method_configuration_details",
        "processing",
        "shipping",
        "transfer_data",
    ),
    "charge": (
        "balance_transaction",
        "billing_details.name",
        "description",
        "outcome",
        "payment_method_details.card.installments",
        "payment_method_details.card.network_token",
        "payment_method_details.card.three_d_secure",
        "payment_method_details.card.wallet",
        "receipt_url",
        "shipping",
        "source",
        "transfer_data",
    ),
    "balance_transaction": ("description", "source"),
    "checkout.session": (
        "adaptive_pricing",
        "after_expiration",
        "automatic_tax.liability",
        "cancel_url",
        "collected_information",
        "consent",
        "consent_collection",
        "currency_conversion",
        "custom_text.after_submit",
        "custom_text.shipping_address",
        "custom_text.submit",
        "custom_text.terms_of_service_acceptance",
        "customer_details",
        "invoice_creation",
        "managed_payments",
        "payment_intent",
        "payment_method_configuration_details",
        "permissions",
        "saved_payment_method_options",
        "shipping_address_collection",
        "shipping_cost",
        "url",
        "wallet_options",
    ),
    "item": ("adjustable_quantity", "price.custom_unit_amount", "price.recurring", "price.transform_quantity"),
    "refund": ("destination_details",),
    "dispute": (),
    "event": (),
    "webhook_endpoint": ("description",),
    "deleted_customer": (),
    "deleted_webhook_endpoint": (),
}

# Fields whose sample value is an example and not a default: a new object starts with the empty value of the same type.
EMPTIED: dict[str, tuple[str, ...]] = {
    "payment_method": ("metadata",),
    "checkout.session": ("custom_fields", "shipping_options"),
}


def _template(kind: str) -> str:
    """The published sample of one type, emptied, as JSON text: decoding it is the cheapest deep copy there is."""
    sample = json.loads(json.dumps(SAMPLES[kind]))
    for path in ABSENT[kind]:
        *parents, last = path.split(".")
        holder = sample
        for parent in parents:
            holder = holder[parent]
        holder[last] = None
    for name in EMPTIED.get(kind, ()):
        sample[name] = type(sample[name])()
    return json.dumps(sample)


_TEMPLATES = {kind: _template(kind) for kind in ABSENT}


def fresh(kind: str, **fields: Any) -> Json:
    """A new object of one type with every published field; ``fields`` are the ones this double knows."""
    made: Json = json.loads(_TEMPLATES[kind])
    made.update(fields)
    return made


def new_id(prefix: str, length: int = 24) -> str:
    """A new identifier as Stripe writes them: a prefix, an underscore, letters and digits."""
    text = base64.b64encode(os.urandom(length + 8), b"aZ").decode("ascii").replace("=", "")
    return f"{prefix}_{text[:length]}"
