"""Lists and expansion: pages with cursors, and ``expand[]`` that replaces identifiers by their objects."""

from typing import Any

from sandbox.stripe_double.account import Change
from sandbox.stripe_double.errors import invalid, missing_resource
from sandbox.stripe_double.routing import Call
from sandbox.stripe_double.store import Page

Json = dict[str, Any]

# Fields that hold an identifier and may be replaced by the object.
EXPANDABLE = frozenset(
    {
        "balance_transaction",
        "charge",
        "customer",
        "default_payment_method",
        "failure_balance_transaction",
        "latest_charge",
        "payment_intent",
        "payment_method",
        "source",
    }
)


def page_of(call: Call, table: str = "objects") -> Page:
    """The page a list request asks for."""
    after = _cursor(call, table, "starting_after")
    before = _cursor(call, table, "ending_before")
    if after is not None and before is not None:
        raise invalid("You cannot provide both `starting_after` and `ending_before`.", param="ending_before")
    return Page(call.get("limit", 10), after, before, call.get("created", {}))


def _cursor(call: Call, table: str, name: str) -> int | None:
    identifier = call.get(name)
    if not identifier:
        return None
    position = call.change.store.cursor_of(table, identifier)
    if position is None:
        raise missing_resource("object", identifier, name)
    return position


def as_list(url: str, data: list[Json], has_more: bool) -> Json:
    """Stripe's list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def listed(call: Call, kind: str, url: str, filters: dict[str, str]) -> Json:
    """One page of the objects of a kind."""
    data, more = call.change.store.select(kind, filters, page_of(call))
    return as_list(url, data, more)


def line_items(change: Change, session_id: str) -> list[Json]:
    """The lines of a Checkout Session in their order."""
    data, _ = change.store.select("item", {"label": session_id}, Page(limit=100))
    return data[::-1]


def expand(change: Change, answer: Json, paths: list[str]) -> Json:
    """Replace identifiers along each path (``data.latest_charge.balance_transaction``) by the objects."""
    for path in paths:
        keys = path.split(".")
        if len([key for key in keys if key != "data"]) > 4:
            raise invalid("You cannot expand more than 4 levels of a property", param="expand")
        if not _expand(change, answer, keys):
            raise invalid(f"This property cannot be expanded ({path}).", param="expand")
    return answer


def _expand(change: Change, holder: Any, keys: list[str]) -> bool:
    """Whether the path made sense for this value, which is expanded in place."""
    if not keys or holder is None:
        return True
    if isinstance(holder, list):
        return all(_expand(change, item, keys) for item in holder)
    return isinstance(holder, dict) and _expand_field(change, holder, keys[0], keys[1:])


def _expand_field(change: Change, holder: Json, key: str, rest: list[str]) -> bool:
    if key == "line_items" and holder.get("object") == "checkout.session":
        items = line_items(change, holder["id"])
        holder[key] = as_list(f"/v1/checkout/sessions/{holder['id']}/line_items", items, False)
    if key not in holder:
        return False
    if isinstance(holder[key], str):
        found = change.find(holder[key]) if key in EXPANDABLE else None
        if found is None:
            return False
        holder[key] = found
    return _expand(change, holder[key], rest)
