"""Customers: create, retrieve, update, delete, list."""

from typing import Any

from sandbox.stripe_double import payment_methods
from sandbox.stripe_double.lists import listed
from sandbox.stripe_double.params import (
    ADDRESS,
    EXPAND,
    PAGE,
    RETRIEVE,
    SHIPPING,
    Spec,
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
from sandbox.stripe_double.routing import Call, Route
from sandbox.stripe_double.shapes import fresh, new_id

Json = dict[str, Any]

_FIELDS = EXPAND | {
    "address": ADDRESS,
    "balance": integer(),
    "business_name": text(150),
    "description": text(),
    "email": email,
    "individual_name": text(150),
    "invoice_prefix": text(12),
    "invoice_settings": hash_of(Spec({"default_payment_method": text(), "footer": text(), "custom_fields": free_form})),
    "metadata": metadata,
    "name": text(256),
    "next_invoice_sequence": integer(at_least=1),
    "phone": text(20),
    "preferred_locales": list_of(text(20)),
    "shipping": SHIPPING,
    "tax_exempt": one_of("none", "exempt", "reverse", ""),
}
_PLAIN = ("balance", "description", "email", "invoice_prefix", "name", "next_invoice_sequence", "phone")


def _apply(customer: Json, call: Call) -> None:
    """Write the sent parameters onto the customer; an empty string unsets a field."""
    for name in (*_PLAIN, "preferred_locales", "shipping"):
        if name in call.params:
            customer[name] = None if call.params[name] == "" else call.params[name]
    if "address" in call.params:
        customer["address"] = fresh("customer")["address"] | call.params["address"] if call.params["address"] else None
    if call.get("tax_exempt"):
        customer["tax_exempt"] = call.params["tax_exempt"]
    customer["invoice_settings"].update(call.get("invoice_settings", {}))
    customer["metadata"] = merged_metadata(customer["metadata"], call.params.get("metadata"))


def make(call: Call) -> Json:
    """Create a customer, with a payment method attached when one is given."""
    identifier = new_id("cus", 14)
    customer = fresh(
        "customer", id=identifier, created=call.change.now, address=None, invoice_prefix=identifier[4:12].upper()
    )
    _apply(customer, call)
    call.change.put(customer)
    call.change.emit("customer.created", customer)
    if call.get("payment_method"):
        payment_methods.attach_to(call.change, call.params["payment_method"], identifier)
    return customer


def retrieve(call: Call) -> Json:
    """A customer; a deleted one answers with its tombstone."""
    found = call.change.find(call.ids[0])
    if found and found.get("deleted"):
        return found
    return call.change.get("customer", call.ids[0])


def update(call: Call) -> Json:
    """Change a customer."""
    customer = call.change.get("customer", call.ids[0])
    before = dict(customer, metadata=dict(customer["metadata"]), invoice_settings=dict(customer["invoice_settings"]))
    _apply(customer, call)
    changed = {name: value for name, value in before.items() if customer[name] != value}
    call.change.put(customer)
    if changed:
        call.change.emit("customer.updated", customer, changed)
    return customer


def delete(call: Call) -> Json:
    """Delete a customer: its payment methods are detached, its identifier stays known as deleted."""
    customer = call.change.get("customer", call.ids[0])
    payment_methods.detach_all(call.change, customer["id"])
    tombstone = fresh("deleted_customer", id=customer["id"], object="customer", deleted=True)
    call.change.put(tombstone)
    call.change.emit("customer.deleted", customer)
    return tombstone


def list_all(call: Call) -> Json:
    """Customers, newest first."""
    return listed(call, "customer", "/v1/customers", {"label": call.get("email")} if call.get("email") else {})


ROUTES = (
    Route("POST", "/v1/customers", make, Spec(_FIELDS | {"payment_method": text()})),
    Route("GET", "/v1/customers", list_all, Spec(PAGE | {"email": text(), "created": created_filter})),
    Route("GET", "/v1/customers/{customer}", retrieve, RETRIEVE),
    Route("POST", "/v1/customers/{customer}", update, Spec(_FIELDS)),
    Route("DELETE", "/v1/customers/{customer}", delete, Spec()),
)
