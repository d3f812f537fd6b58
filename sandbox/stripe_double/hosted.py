"""The hosted pages: the payment page of a Checkout Session, the bank's confirmation page, recovery and receipts.

Every form is plain HTML, so a test or a script pays with one POST as well as a person does with a browser.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.stripe_double import checkout, payment_methods, payments, purchase
from sandbox.stripe_double.account import Account, Change
from sandbox.stripe_double.errors import StripeError
from sandbox.stripe_double.lists import line_items
from sandbox.stripe_double.money import format_amount

Json = dict[str, Any]

NAMES = {"card": "Card", "link": "Link", "sepa_debit": "SEPA Direct Debit", "us_bank_account": "US bank account"}
BUTTONS = {"pay": "Pay", "book": "Book", "donate": "Donate", "auto": "Pay", "subscribe": "Subscribe"}
TEST_CARDS = (
    ("Success", "4242 4242 4242 4242"),
    ("Asks the bank", "4000 0027 6000 3184"),
    ("Declined", "4000 0000 0000 0002"),
    ("Insufficient funds", "4000 0000 0000 9995"),
    ("Expired", "4000 0000 0000 0069"),
    ("Processing error", "4000 0000 0000 0119"),
    ("Disputed later", "4000 0000 0000 0259"),
)
BLANK_FORM = {
    "payment_method": "card",
    "card_number": "4242 4242 4242 4242",
    "expiry": "12 / 34",
    "cvc": "123",
    "name": "",
    "email": "",
    "iban": "DE89 3704 0044 0532 0130 00",
    "account_number": "000123456789",
}


class HostedPages:
    """What a customer of this account sees."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).with_name("pages")),
            autoescape=select_autoescape(),
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def routes(self) -> list[BaseRoute]:
        """The routes of the pages."""
        return [
            Route("/c/pay/{session}", self._show, methods=["GET"]),
            Route("/c/pay/{session}", self._pay, methods=["POST"]),
            Route("/c/recover/{session}", self._recover, methods=["GET"]),
            Route("/authorize/{intent}", self._show_authorization, methods=["GET"]),
            Route("/authorize/{intent}", self._authorize, methods=["POST"]),
            Route("/receipts/{charge}", self._receipt, methods=["GET"]),
        ]

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(
            self._templates.get_template(template).render(values),
            status,
            {
                "cache-control": "no-store",
                "referrer-policy": "no-referrer",
                "x-frame-options": "DENY",
                "x-content-type-options": "nosniff",
            },
        )

    def _message(
        self, status: int, heading: str, text: str, link: str | None = None, link_text: str = "Go back"
    ) -> Response:
        return self._page("message.html", status, heading=heading, text=text, link=link, link_text=link_text)

    def _closed(self, session: Json) -> Response:
        """The page of a session that is no longer open."""
        if session["status"] == "complete":
            return RedirectResponse(_success_url(session), 303)
        return self._message(
            410,
            "This payment link has expired",
            "Nothing was charged. Go back to the shop to start again.",
            session["cancel_url"],
        )

    def _unknown(self) -> Response:
        return self._message(
            404, "Page not found", "There is no payment at this address. Check the link and try again."
        )

    async def _show(self, request: Request) -> Response:
        with self._account.change() as change:
            try:
                session = checkout.current(change, request.path_params["session"])
            except StripeError:
                return self._unknown()
            return self._payment_page(change, session, {}, self._last_failure(change, session))

    def _last_failure(self, change: Change, session: Json) -> str | None:
        """Why the last attempt failed, shown when the customer comes back from the bank's page."""
        intent = change.find(session["payment_intent"])
        failure = intent["last_payment_error"] if intent else None
        return str(failure["message"]) if failure else None

    def _payment_page(
        self, change: Change, session: Json, form: dict[str, str], error: str | None, status: int = 200
    ) -> Response:
        if session["status"] != "open":
            return self._closed(session)
        currency = session["currency"]
        customer = change.find(session["customer"]) or {}
        email = session["customer_email"] or customer.get("email")
        types = [kind for kind in session["payment_method_types"] if kind != "link"] or ["card"]
        first = {"email": email or "", "name": customer.get("name") or "", "payment_method": types[0]}
        total = format_amount(session["amount_total"], currency)
        free = session["amount_total"] == 0
        lines = [
            {
                "description": item["description"],
                "quantity": item["quantity"],
                "unit": format_amount(item["price"]["unit_amount"], currency),
                "amount": format_amount(item["amount_total"], currency),
            }
            for item in line_items(change, session["id"])
        ]
        return self._page(
            "pay.html",
            status,
            session=session,
            lines=lines,
            total=total,
            free=free,
            heading="Your order",
            button="Confirm" if free else f"{BUTTONS[session['submit_type'] or 'pay']} {total}",
            types=types,
            names=NAMES,
            form=BLANK_FORM | first | form,
            email_fixed=bool(email),
            error=error,
            test_cards=TEST_CARDS,
        )

    async def _pay(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
        identifier = request.path_params["session"]
        try:
            with self._account.change() as change:
                session = checkout.current(change, identifier)
                if session["status"] != "open":
                    return self._closed(session)
                email = session["customer_email"] or form.get("email") or None
                method = None if session["amount_total"] == 0 else _method(change, session, form, email)
                intent = purchase.pay(change, session, method, email=email, name=form.get("name") or None)
                if intent and intent["status"] == "requires_payment_method":
                    message = intent["last_payment_error"]["message"]
                    return self._payment_page(change, session, _typed(form), message, 402)
        except StripeError as error:
            if error.code == "resource_missing":
                return self._unknown()
            with self._account.change() as change:
                session = checkout.current(change, identifier)
                return self._payment_page(change, session, _typed(form), error.message, error.status)
        if intent and intent["status"] == "requires_action":
            return RedirectResponse(intent["next_action"]["redirect_to_url"]["url"], 303)
        return RedirectResponse(_success_url(session), 303)

    async def _recover(self, request: Request) -> Response:
        with self._account.change() as change:
            try:
                expired = checkout.current(change, request.path_params["session"])
            except StripeError:
                return self._unknown()
            recovery = (expired["after_expiration"] or {}).get("recovery") or {}
            if not recovery.get("url") or recovery["expires_at"] <= change.now:
                return self._message(410, "This link has expired", "Go back to the shop to start again.")
            session = purchase.recover(change, expired)
        return RedirectResponse(session["url"], 303)

    def _intent(self, change: Change, identifier: str) -> Json | None:
        found = change.find(identifier)
        return found if found and found["object"] == "payment_intent" else None

    async def _show_authorization(self, request: Request) -> Response:
        with self._account.change() as change:
            intent = self._intent(change, request.path_params["intent"])
            if intent is None:
                return self._unknown()
            if intent["status"] != "requires_action":
                return self._after_authorization(change, intent, None)
            method = change.find(intent["payment_method"]) or {}
            return self._page(
                "authorize.html",
                intent_id=intent["id"],
                total=format_amount(intent["amount"], intent["currency"]),
                last4=(method.get("card") or {}).get("last4"),
            )

    async def _authorize(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        outcome = form.get("outcome")
        if outcome not in ("complete", "fail"):
            return self._message(400, "Please choose", "The outcome is either complete or fail.")
        with self._account.change() as change:
            intent = self._intent(change, request.path_params["intent"])
            if intent is None:
                return self._unknown()
            back = ((intent["next_action"] or {}).get("redirect_to_url") or {}).get("return_url")
            if intent["status"] == "requires_action":
                checkout.expire_due(change)
                intent = change.get("payment_intent", intent["id"], "intent")
            if intent["status"] == "requires_action":
                payments.finish_action(change, intent, authenticated=outcome == "complete")
                purchase.after(change, intent)
            return self._after_authorization(change, intent, back)

    def _after_authorization(self, change: Change, intent: Json, back: str | None) -> Response:
        """Where the customer goes from the bank's page: the shop, the payment page again, or a plain message."""
        session = purchase.session_of(change, intent)
        if session and session["status"] == "open":
            return RedirectResponse(f"/c/pay/{session['id']}", 303)
        if session:
            return self._closed(session)
        if back:
            joint = "&" if "?" in back else "?"
            query = f"payment_intent={intent['id']}&payment_intent_client_secret={intent['client_secret']}"
            verdict = "succeeded" if intent["status"] in ("succeeded", "requires_capture") else "failed"
            return RedirectResponse(f"{back}{joint}{query}&redirect_status={verdict}", 303)
        failed = intent["status"] in ("requires_payment_method", "canceled")
        heading = "The payment was not approved" if failed else "The payment is confirmed"
        return self._message(200, heading, "You can close this page.")

    async def _receipt(self, request: Request) -> Response:
        with self._account.change() as change:
            charge = change.find(request.path_params["charge"])
        if charge is None or charge["object"] != "charge":
            return self._unknown()
        amount = format_amount(charge["amount_captured"] - charge["amount_refunded"], charge["currency"])
        return self._message(200, f"Receipt: {amount}", charge["description"] or f"Payment {charge['id']}")


def _typed(form: dict[str, str]) -> dict[str, str]:
    """What the customer typed, to be shown again; the security code is asked for anew."""
    return {name: form[name] for name in BLANK_FORM if form.get(name) and name != "cvc"}


def _success_url(session: Json) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _method(change: Change, session: Json, form: dict[str, str], email: str | None) -> Json:
    """The payment method the customer typed in."""
    billing = {"name": form.get("name") or None, "email": email}
    kind = form.get("payment_method") or session["payment_method_types"][0]
    if kind not in session["payment_method_types"]:
        raise payment_methods.card_error("payment_method_unavailable", "Choose another way to pay.", "payment_method")
    if kind in ("sepa_debit", "us_bank_account"):
        name = "iban" if kind == "sepa_debit" else "account_number"
        number = re.sub(r"\s", "", form.get(name) or BLANK_FORM[name])
        return payment_methods.new_bank_account(change, kind, number, billing=billing)
    number = re.sub(r"[\s-]", "", form.get("card_number") or "")
    expiry = re.fullmatch(r"\s*(\d{1,2})\s*/?\s*(\d{2}|\d{4})\s*", form.get("expiry") or BLANK_FORM["expiry"])
    if expiry is None:
        raise payment_methods.card_error("invalid_expiry_month", "Your card's expiration date is incomplete.", "expiry")
    month, year = int(expiry[1]), int(expiry[2]) % 100 + 2000
    cvc = form.get("cvc", BLANK_FORM["cvc"])
    payment_methods.check_card(number, month, year, cvc, change.now)
    return payment_methods.new_card(change, number, month, year, billing=billing)
