"""Events: the list an integration catches up from, 30 days long."""

import json
from typing import Any

from sandbox.stripe_double.account import Change
from sandbox.stripe_double.charges import DAY
from sandbox.stripe_double.errors import invalid, missing_resource
from sandbox.stripe_double.lists import as_list, page_of
from sandbox.stripe_double.params import PAGE, RETRIEVE, Spec, boolean, created_filter, list_of, text
from sandbox.stripe_double.routing import Call, Route
from sandbox.stripe_double.store import Store

Json = dict[str, Any]

KEPT_DAYS = 30


def with_pending(store: Store, event: Json) -> Json:
    """The event with the number of endpoints that have not acknowledged it yet."""
    row = store.db.execute(
        "SELECT count(DISTINCT endpoint) FROM deliveries WHERE event = ? AND status = 'pending'", (event["id"],)
    ).fetchone()
    event["pending_webhooks"] = row[0]
    return event


def find(change: Change, identifier: str) -> Json | None:
    """The event with this identifier, as long as it is kept."""
    row = change.store.db.execute(
        "SELECT body FROM events WHERE id = ? AND created >= ?", (identifier, change.now - KEPT_DAYS * DAY)
    ).fetchone()
    return with_pending(change.store, json.loads(row[0])) if row else None


def retrieve(call: Call) -> Json:
    """One event."""
    event = find(call.change, call.ids[0])
    if event is None:
        raise missing_resource("event", call.ids[0], "id")
    return event


def list_all(call: Call) -> Json:
    """Events, newest first; ``delivery_success`` tells those every endpoint acknowledged from the others."""
    types = call.get("types") or ([call.params["type"]] if call.get("type") else [])
    if call.get("types") and call.get("type"):
        raise invalid("You may pass either `type` or `types`, but not both.", param="types")
    clauses, values = ["created >= ?"], [call.change.now - KEPT_DAYS * DAY]
    if types:
        clauses.append(f"({' OR '.join(['type GLOB ?'] * len(types))})")
        values.extend(types)
    if "delivery_success" in call.params:
        delivered = "SELECT 1 FROM deliveries WHERE event = events.id AND status != 'delivered'"
        clauses.append(f"{'NOT ' if call.params['delivery_success'] else ''}EXISTS ({delivered})")
    data, more = call.change.store.select_events(clauses, values, page_of(call, "events"))
    return as_list("/v1/events", [with_pending(call.change.store, event) for event in data], more)


ROUTES = (
    Route(
        "GET",
        "/v1/events",
        list_all,
        Spec(
            PAGE
            | {
                "created": created_filter,
                "delivery_success": boolean,
                "type": text(),
                "types": list_of(text(), limit=20),
            }
        ),
    ),
    Route("GET", "/v1/events/{event}", retrieve, RETRIEVE),
)
