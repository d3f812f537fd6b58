"""Webhook endpoints: who is told about events, and the secret each of them verifies with."""

from typing import Any

from sandbox.stripe_double.account import Account, Change
from sandbox.stripe_double.errors import missing_resource
from sandbox.stripe_double.lists import listed
from sandbox.stripe_double.params import (
    EXPAND,
    PAGE,
    RETRIEVE,
    Spec,
    boolean,
    list_of,
    merged_metadata,
    metadata,
    text,
    url,
)
from sandbox.stripe_double.routing import Call, Route
from sandbox.stripe_double.shapes import fresh, new_id

Json = dict[str, Any]

CONFIGURED = "configured_endpoint"


def secret_of(account: Account, endpoint_id: str) -> str:
    """The signing secret of an endpoint; the API shows it once, on creation."""
    return account.store.get_meta(f"secret:{endpoint_id}") or ""


def _new(change: Change, address: str, enabled_events: list[str], secret: str, **fields: Any) -> Json:
    endpoint = fresh(
        "webhook_endpoint",
        id=new_id("we"),
        created=change.now,
        enabled_events=enabled_events,
        status="enabled",
        url=address,
        **fields,
    )
    change.store.set_meta(f"secret:{endpoint['id']}", secret)
    return change.put(endpoint)


def configure(account: Account, address: str | None, secret: str) -> str | None:
    """The endpoint given by the command line or the control API: one, replaced when it changes, for all events."""
    with account.change() as change:
        known = account.store.get_meta(CONFIGURED)
        endpoint = change.find(known)
        if address is None:
            if endpoint is not None:
                _forget(change, endpoint["id"])
            account.store.set_meta(CONFIGURED, None)
            return None
        if endpoint is None:
            endpoint = _new(change, address, ["*"], secret)
            account.store.set_meta(CONFIGURED, endpoint["id"])
        else:
            endpoint["url"] = address
            account.store.set_meta(f"secret:{endpoint['id']}", secret)
            change.put(endpoint)
    return str(endpoint["id"])


def _forget(change: Change, identifier: str) -> None:
    change.store.remove(identifier)
    change.store.set_meta(f"secret:{identifier}", None)
    change.store.db.execute("DELETE FROM deliveries WHERE endpoint = ? AND status = 'pending'", (identifier,))
    change.account.forget_endpoints()


def create(call: Call) -> Json:
    """Register an endpoint; the answer is the only one that shows its secret."""
    secret = new_id("whsec", 32)
    endpoint = _new(
        call.change,
        call.params["url"],
        call.params["enabled_events"],
        secret,
        description=call.get("description"),
        metadata=merged_metadata({}, call.params.get("metadata")),
        api_version=call.get("api_version"),
    )
    return endpoint | {"secret": secret}


def retrieve(call: Call) -> Json:
    """One endpoint."""
    return call.change.get("webhook_endpoint", call.ids[0])


def update(call: Call) -> Json:
    """Change an endpoint, or disable it."""
    endpoint = call.change.get("webhook_endpoint", call.ids[0])
    for name in ("url", "enabled_events", "description"):
        if name in call.params:
            endpoint[name] = call.get(name)
    if "disabled" in call.params:
        endpoint["status"] = "disabled" if call.params["disabled"] else "enabled"
    endpoint["metadata"] = merged_metadata(endpoint["metadata"], call.params.get("metadata"))
    return call.change.put(endpoint)


def delete(call: Call) -> Json:
    """Remove an endpoint; what was still undelivered to it is dropped."""
    found = call.change.find(call.ids[0])
    if found is None or found["object"] != "webhook_endpoint":
        raise missing_resource("webhook endpoint", call.ids[0], "id")
    _forget(call.change, found["id"])
    return fresh("deleted_webhook_endpoint", id=found["id"])


def list_all(call: Call) -> Json:
    """All endpoints."""
    return listed(call, "webhook_endpoint", "/v1/webhook_endpoints", {})


_FIELDS = EXPAND | {
    "url": url,
    "enabled_events": list_of(text(), limit=300),
    "description": text(),
    "metadata": metadata,
}

ROUTES = (
    Route(
        "POST",
        "/v1/webhook_endpoints",
        create,
        Spec(_FIELDS | {"api_version": text(), "connect": boolean}, required=("url", "enabled_events")),
    ),
    Route("GET", "/v1/webhook_endpoints", list_all, Spec(PAGE)),
    Route("GET", "/v1/webhook_endpoints/{endpoint}", retrieve, RETRIEVE),
    Route("POST", "/v1/webhook_endpoints/{endpoint}", update, Spec(_FIELDS | {"disabled": boolean})),
    Route("DELETE", "/v1/webhook_endpoints/{endpoint}", delete, Spec()),
)
