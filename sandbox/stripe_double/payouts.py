"""The lines of the balance, and payouts: what is available goes to the academy's bank, by the control API alone."""

import json
from typing import Any

from sandbox.stripe_double.account import Change
from sandbox.stripe_double.charges import DAY, post_transaction, settled
from sandbox.stripe_double.lists import as_list, listed, page_of
from sandbox.stripe_double.params import PAGE, RETRIEVE, Spec, created_filter, text
from sandbox.stripe_double.routing import Call, Route
from sandbox.stripe_double.shapes import new_id
from sandbox.stripe_double.store import Page

Json = dict[str, Any]

_LINES = "payout_lines:"
_PAID = "payout_of:"


def pay_out(change: Change, *, is_in_progress: bool = False) -> list[Json]:
    """Pay out everything that is available and has not been: one payout per currency, none of nothing.

    Of which lines it is Stripe tells only once it is not in progress any more.
    """
    found, _ = change.store.select("balance_transaction", {}, Page(limit=1_000_000))
    due: dict[str, list[Json]] = {}
    for line in found:
        is_paid = change.store.get_meta(_PAID + line["id"]) is not None
        if not is_paid and line["type"] != "payout" and line["available_on"] <= change.now:
            due.setdefault(line["currency"], []).append(line)
    stands = "in_progress" if is_in_progress else "completed"
    payouts = (_pay_out(change, currency, lines, stands) for currency, lines in sorted(due.items()))
    return [payout for payout in payouts if payout is not None]


def _pay_out(change: Change, currency: str, lines: list[Json], stands: str) -> Json | None:
    amount = sum(line["net"] for line in lines)
    if amount <= 0:
        return None
    identifier = new_id("po")
    own = post_transaction(
        change, kind="payout", amount=-amount, currency=currency, source=identifier, description="STRIPE PAYOUT"
    )
    for line in (*lines, own):
        change.store.set_meta(_PAID + line["id"], identifier)
    change.store.set_meta(_LINES + identifier, json.dumps([own["id"], *(line["id"] for line in lines)]))
    payout = change.put(
        {
            "id": identifier,
            "object": "payout",
            "amount": amount,
            "application_fee": None,
            "application_fee_amount": None,
            "arrival_date": change.now + DAY,
            "automatic": True,
            "balance_transaction": own["id"],
            "created": change.now,
            "currency": currency,
            "description": "STRIPE PAYOUT",
            "destination": None,
            "failure_balance_transaction": None,
            "failure_code": None,
            "failure_message": None,
            "livemode": False,
            "metadata": {},
            "method": "standard",
            "original_payout": None,
            "payout_method": None,
            "reconciliation_status": stands,
            "reversed_by": None,
            "source_type": "card",
            "statement_descriptor": None,
            "status": "paid",
            "trace_id": None,
            "type": "bank_account",
        }
    )
    change.emit("payout.created", payout)
    change.emit("payout.paid", payout)
    return payout


def lines_of(call: Call, payout_id: str) -> Json:
    """The balance transactions that went into a payout, its own among them, newest first."""
    change = call.change
    payout = change.get("payout", payout_id, "payout")
    page = page_of(call)
    ids = json.loads(change.store.get_meta(_LINES + payout_id) or "[]")
    if payout["reconciliation_status"] == "in_progress":
        ids = [payout["balance_transaction"]]
    places = [(change.store.cursor_of("objects", each) or 0, each) for each in ids]
    left = [each for place, each in sorted(places, reverse=True) if _is_after(place, page)]
    data = [settled(change.get("balance_transaction", each), change.now) for each in left[: page.limit]]
    return as_list("/v1/balance_transactions", data, len(left) > page.limit)


def list_transactions(call: Call) -> Json:
    """Balance transactions, of one source, of one type or of one payout."""
    if call.get("payout"):
        return lines_of(call, call.params["payout"])
    filters = {
        column: call.params[name] for name, column in (("source", "charge"), ("type", "label")) if call.get(name)
    }
    page = listed(call, "balance_transaction", "/v1/balance_transactions", filters)
    page["data"] = [settled(transaction, call.change.now) for transaction in page["data"]]
    return page


def _is_after(place: int, page: Page) -> bool:
    return page.starting_after is None or place < page.starting_after


def retrieve(call: Call) -> Json:
    """One payout."""
    return call.change.get("payout", call.ids[0])


def list_all(call: Call) -> Json:
    """Payouts of the account, newest first."""
    return listed(call, "payout", "/v1/payouts", {})


ROUTES = (
    Route("GET", "/v1/payouts", list_all, Spec(PAGE | {"created": created_filter})),
    Route("GET", "/v1/payouts/{payout}", retrieve, RETRIEVE),
    Route(
        "GET",
        "/v1/balance_transactions",
        list_transactions,
        Spec(
            PAGE | {"source": text(), "type": text(), "currency": text(), "payout": text(), "created": created_filter}
        ),
    ),
)
