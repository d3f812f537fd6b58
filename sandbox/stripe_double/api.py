"""The /v1 API: authentication, parameters, idempotency, faults, one atomic change, the answer and its headers."""

import asyncio
import base64
import binascii
import json
import logging
import time
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.stripe_double import (
    charges,
    checkout,
    customers,
    disputes,
    events,
    payment_intents,
    payment_methods,
    payouts,
    refunds,
    webhook_endpoints,
)
from sandbox.stripe_double.account import Account
from sandbox.stripe_double.connections import Connections
from sandbox.stripe_double.errors import StripeError, invalid, server_error, unauthorized, unknown_url
from sandbox.stripe_double.faults import Fault, FaultKind, Switchboard
from sandbox.stripe_double.forms import Form, parse_form
from sandbox.stripe_double.idempotency import IdempotencyKeys, Recorded, fingerprint
from sandbox.stripe_double.lists import expand
from sandbox.stripe_double.request_log import LoggedRequest, RequestLog
from sandbox.stripe_double.routing import Call, Route, Router
from sandbox.stripe_double.shapes import API_VERSION, new_id

Json = dict[str, Any]

logger = logging.getLogger(__name__)

ROUTER = Router(
    (
        *customers.ROUTES,
        *payment_methods.ROUTES,
        *payment_intents.ROUTES,
        *charges.ROUTES,
        *checkout.ROUTES,
        *refunds.ROUTES,
        *disputes.ROUTES,
        *payouts.ROUTES,
        *events.ROUTES,
        *webhook_endpoints.ROUTES,
    )
)

CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, HEAD, PUT, PATCH, POST, DELETE",
    "access-control-allow-headers": "authorization, content-type, idempotency-key, stripe-version",
    "access-control-expose-headers": "Request-Id, Stripe-Should-Retry",
}


@dataclass
class Answer:
    """A status and a JSON text on their way out."""

    status: int
    body: str
    original: str
    """The request that produced the body; an earlier one when replayed."""
    replayed: bool = False
    retry: bool | None = None
    cut: bool = False


@dataclass
class Exchange:
    """One request while it is handled."""

    request_id: str
    method: str
    path: str
    key: str | None
    faults: dict[FaultKind, Fault]
    route: str = "unknown"


class Api:
    """Answers every request under /v1."""

    def __init__(
        self,
        account: Account,
        keys: IdempotencyKeys,
        switchboard: Switchboard,
        log: RequestLog,
        connections: Connections,
    ) -> None:
        self._account = account
        self._keys = keys
        self._switchboard = switchboard
        self._log = log
        self._connections = connections

    async def __call__(self, request: Request) -> Response:
        """Handle one request."""
        method, path = request.method, request.url.path
        if method == "OPTIONS":
            return Response(status_code=200, headers=CORS)
        key = request.headers.get("idempotency-key") if method == "POST" else None
        exchange = Exchange(new_id("req", 14), method, path, key, self._switchboard.hit(method, path))
        try:
            answer = await self._answer(request, exchange)
        except StripeError as error:
            answer = Answer(error.status, _dump(error.body()), exchange.request_id, retry=_advice(error))
        except Exception:
            logger.exception("%s %s failed", method, path)
            answer = Answer(500, _dump(server_error(500).body()), exchange.request_id)
        self._log.add(
            LoggedRequest(
                request_id=exchange.request_id,
                at=time.time(),
                method=method,
                path=path,
                route=exchange.route,
                status=0 if answer.cut else answer.status,
                idempotency_key=key,
                replayed=answer.replayed,
                faults=[fault.id for fault in exchange.faults.values()],
            )
        )
        if answer.cut:
            await self._connections.cut(request)
            return Response(status_code=500)
        return self._respond(request, exchange, answer)

    def _respond(self, request: Request, exchange: Exchange, answer: Answer) -> Response:
        headers = dict(CORS)
        headers["request-id"] = exchange.request_id
        headers["stripe-version"] = request.headers.get("stripe-version", API_VERSION)
        if exchange.key:
            headers["idempotency-key"] = exchange.key.encode("ascii", "replace").decode("ascii")
            headers["original-request"] = answer.original
        if answer.replayed:
            headers["idempotent-replayed"] = "true"
        if answer.retry is not None:
            headers["stripe-should-retry"] = "true" if answer.retry else "false"
        return Response(answer.body, answer.status, headers, "application/json")

    async def _answer(self, request: Request, exchange: Exchange) -> Answer:
        """Everything up to the transaction: who asks, for what, with which parameters, and whether again."""
        form = await self._form(request)
        publishable = self._authenticate(request, form)
        found = ROUTER.match(exchange.method, exchange.path)
        if found is None:
            raise unknown_url(exchange.method, exchange.path)
        route, ids = found
        exchange.route = route.path
        if publishable and not route.publishable:
            raise unauthorized(
                "This API call cannot be made with a publishable API key. Please use a secret API key. You can find a "
                "list of your API keys at https://dashboard.stripe.com/account/apikeys.",
                code="secret_key_required",
            )
        params = route.spec.read(form)
        key = exchange.key
        if key is None:
            return await self._with_faults(exchange, route, ids, params, publishable, "")
        mark = fingerprint(exchange.method, exchange.path, form)
        recorded = self._keys.begin(key, mark, self._account.time())
        if recorded:
            retry = False if recorded.status >= 400 else None
            return Answer(recorded.status, recorded.body, recorded.request_id, replayed=True, retry=retry)
        try:
            return await self._with_faults(exchange, route, ids, params, publishable, mark)
        finally:
            self._keys.end(key)

    async def _with_faults(
        self, exchange: Exchange, route: Route, ids: tuple[str, ...], params: Json, publishable: bool, mark: str
    ) -> Answer:
        """Run the request between the faults that come before the effect and those that come after it."""
        faults = exchange.faults
        if delay := faults.get(FaultKind.DELAY):
            await asyncio.sleep(delay.seconds)
        if FaultKind.DROP in faults:
            return Answer(0, "", exchange.request_id, cut=True)
        if fault := faults.get(FaultKind.ERROR):
            failure = server_error(fault.status)
            if fault.recorded and exchange.key:
                self._record_error(exchange, mark, failure)
            raise failure
        answer = self._execute(exchange, route, ids, params, publishable, mark)
        if late := faults.get(FaultKind.DELAY_AFTER):
            await asyncio.sleep(late.seconds)
        if FaultKind.DROP_AFTER in faults:
            answer.cut = True
        elif fault := faults.get(FaultKind.ERROR_AFTER):
            raise server_error(fault.status)
        return answer

    def _execute(
        self, exchange: Exchange, route: Route, ids: tuple[str, ...], params: Json, publishable: bool, mark: str
    ) -> Answer:
        """The one atomic change: objects, events, deliveries and the idempotency record together."""
        try:
            with self._account.change(request_id=exchange.request_id, idempotency_key=exchange.key) as change:
                retry = None
                try:
                    result = route.handler(Call(change, params, ids, publishable))
                    status, body = 200, _dump(expand(change, result, params.get("expand") or []))
                except StripeError as error:
                    if not error.keeps_effects:
                        raise
                    status, body, retry = error.status, _dump(error.body()), False
                answer = Answer(status, body, exchange.request_id, retry=retry)
                if exchange.key:
                    recorded = Recorded(status, body, exchange.request_id)
                    self._keys.record(exchange.key, mark, recorded, self._account.time())
            return answer
        except StripeError as error:
            if exchange.key and not error.before_execution:
                self._record_error(exchange, mark, error)
            raise

    def _record_error(self, exchange: Exchange, mark: str, error: StripeError) -> None:
        recorded = Recorded(error.status, _dump(error.body()), exchange.request_id)
        with self._account.store.atomic():
            self._keys.record(exchange.key or "", mark, recorded, self._account.time())

    async def _form(self, request: Request) -> Form:
        """The parameters of the query string and, for POST, of the body."""
        form = parse_form(request.url.query)
        if request.method == "POST":
            body = await request.body()
            kind = request.headers.get("content-type", "application/x-www-form-urlencoded")
            if body and not kind.startswith("application/x-www-form-urlencoded"):
                raise invalid(
                    "Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you "
                    "have any questions, we can help at https://support.stripe.com/."
                )
            form |= parse_form(body.decode("utf-8", "replace"))
        return form

    def _authenticate(self, request: Request, form: Form) -> bool:
        """Check the key; true when it is the publishable one, which may do little."""
        sent = form.pop("key", None)
        given = sent if isinstance(sent, str) else _key_of(request.headers.get("authorization", ""))
        if not given:
            raise unauthorized(
                "You did not provide an API key. You need to provide your API key in the Authorization header, using "
                "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See "
                "https://stripe.com/docs/api#authentication for details."
            )
        if given == self._account.api_key:
            return False
        if given == self._account.publishable_key:
            return True
        shown = given[:8] + "*" * max(len(given) - 12, 4) + given[-4:] if len(given) > 12 else "*" * len(given)
        raise unauthorized(f"Invalid API Key provided: {shown}")


def _key_of(header: str) -> str | None:
    """The key in an Authorization header, Bearer or Basic (the key as the user name)."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None


def _advice(error: StripeError) -> bool | None:
    """Whether Stripe tells the client to try again: yes while a key is in use, no when it would change nothing."""
    if error.status == 409:
        return True
    if error.status == 429 or error.status >= 500:
        return None
    return False


def _dump(body: Json) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)
