"""The control API under ``/_control``: everything a test or a demo does that a real customer, bank or network would.

All bodies and answers are JSON; the typed client is ``StripeDoubleControl``. See ``README.md`` for the list.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.stripe_double import checkout, disputes, payouts, purchase, refunds
from sandbox.stripe_double.account import Account
from sandbox.stripe_double.errors import StripeError
from sandbox.stripe_double.faults import FaultRequest, Switchboard
from sandbox.stripe_double.idempotency import IdempotencyKeys
from sandbox.stripe_double.request_log import RequestLog
from sandbox.stripe_double.webhook_endpoints import configure
from sandbox.stripe_double.webhooks import Courier, DeliverySettings

Json = dict[str, Any]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WebhookTarget(_Body):
    """Where webhooks go; no address switches the configured endpoint off."""

    url: str | None
    secret: str = ""


class Release(_Body):
    """Which waiting events to deliver now, in this order; all when absent."""

    events: list[str] | None = None


class Redelivery(_Body):
    """An event to deliver again."""

    event: str


class Settlement(_Body):
    """How a processing payment ends; the test account's own outcome when absent."""

    outcome: str | None = None


class RefundStatuses(_Body):
    """The statuses the next refunds start with, one each."""

    statuses: list[str]


class RefundMove(_Body):
    """The next status of a refund."""

    status: str
    failure_reason: str = "unknown"


class PayingOut(_Body):
    """How far Stripe has come with finding out which lines go into the payouts."""

    is_in_progress: bool = False


class DisputeOpening(_Body):
    """A dispute to open on a charge."""

    charge: str
    reason: str = "general"
    amount: int | None = None
    inquiry: bool = False


class DisputeClosing(_Body):
    """How a dispute ends."""

    outcome: Literal["won", "lost", "warning_closed", "prevented"]


class ClockMove(_Body):
    """How far to move the double's clock forward."""

    advance_seconds: float


class OrderMoney(BaseModel):
    """What the account did for one ``metadata.order_id``."""

    order_id: str
    payment_intents: int = 0
    payment_intents_succeeded: int = 0
    charges_succeeded: int = 0
    refunds: int = 0
    charged: int = 0
    refunded: int = 0


class Control:
    """The control API of one double."""

    def __init__(
        self,
        account: Account,
        keys: IdempotencyKeys,
        switchboard: Switchboard,
        log: RequestLog,
        courier: Courier,
    ) -> None:
        self._account = account
        self._keys = keys
        self._switchboard = switchboard
        self._log = log
        self._courier = courier

    def routes(self) -> list[BaseRoute]:
        """The routes of the control API."""
        table: list[tuple[str, str, Callable[[Request], Awaitable[Any]]]] = [
            ("GET", "/health", self._health),
            ("POST", "/reset", self._reset),
            ("GET", "/clock", self._clock),
            ("POST", "/clock", self._move_clock),
            ("GET", "/requests", self._requests),
            ("DELETE", "/requests", self._clear_requests),
            ("GET", "/orders", self._orders),
            ("GET", "/orders/{order_id}", self._order),
            ("GET", "/objects/{kind}", self._objects),
            ("GET", "/faults", self._faults),
            ("POST", "/faults", self._add_fault),
            ("DELETE", "/faults", self._clear_faults),
            ("DELETE", "/faults/{fault}", self._clear_faults),
            ("GET", "/webhooks", self._webhooks),
            ("PATCH", "/webhooks", self._configure_webhooks),
            ("PUT", "/webhooks/target", self._target),
            ("GET", "/webhooks/deliveries", self._deliveries),
            ("POST", "/webhooks/pause", self._pause),
            ("POST", "/webhooks/resume", self._resume),
            ("POST", "/webhooks/release", self._release),
            ("POST", "/webhooks/redeliver", self._redeliver),
            ("POST", "/payment_intents/{intent}/settle", self._settle),
            ("POST", "/refunds/next", self._next_refunds),
            ("POST", "/refunds/{refund}", self._move_refund),
            ("POST", "/payouts", self._pay_out),
            ("POST", "/disputes", self._open_dispute),
            ("POST", "/disputes/{dispute}/answer", self._answer_dispute),
            ("POST", "/disputes/{dispute}/escalate", self._escalate_dispute),
            ("POST", "/disputes/{dispute}/close", self._close_dispute),
        ]
        return [Route(f"/_control{path}", _answering(action), methods=[method]) for method, path, action in table]

    async def _health(self, _request: Request) -> Any:
        return {"status": "ok", "now": int(self._account.time()), "public_url": self._account.public_url}

    async def _reset(self, _request: Request) -> Any:
        target = self._configured()
        self._account.reset()
        self._switchboard.clear()
        self._log.clear()
        self._courier.reset()
        if target:
            configure(self._account, *target)
        self._courier.wake()
        return {"status": "ok"}

    def _configured(self) -> tuple[str, str] | None:
        """The configured endpoint, which survives a reset."""
        known = self._account.store.get_meta("configured_endpoint")
        endpoint = self._account.store.find(known) if known else None
        return (endpoint["url"], self._account.store.get_meta(f"secret:{known}") or "") if endpoint else None

    async def _clock(self, _request: Request) -> Any:
        return {"now": self._account.time(), "offset_seconds": self._account.clock_offset}

    async def _move_clock(self, request: Request) -> Any:
        move = await _read(request, ClockMove)
        self._account.advance(move.advance_seconds)
        self._keys.prune(self._account.time())
        with self._account.change() as change:
            checkout.expire_due(change)
        self._courier.wake()
        return await self._clock(request)

    async def _requests(self, request: Request) -> Any:
        query = request.query_params
        return self._log.counts(query.get("prefix", ""), int(query.get("limit", "100")))

    async def _clear_requests(self, _request: Request) -> Any:
        self._log.clear()
        return {"status": "ok"}

    async def _orders(self, _request: Request) -> Any:
        return {"orders": _order_money(self._account, None)}

    async def _order(self, request: Request) -> Any:
        order_id = request.path_params["order_id"]
        found = _order_money(self._account, order_id)
        return found[0] if found else OrderMoney(order_id=order_id)

    async def _objects(self, request: Request) -> Any:
        rows = self._account.store.db.execute(
            "SELECT body FROM objects WHERE kind = ? ORDER BY seq", (request.path_params["kind"],)
        )
        return {"objects": [json.loads(body) for (body,) in rows]}

    async def _faults(self, _request: Request) -> Any:
        return {"faults": self._switchboard.all()}

    async def _add_fault(self, request: Request) -> Any:
        return self._switchboard.add(await _read(request, FaultRequest))

    async def _clear_faults(self, request: Request) -> Any:
        self._switchboard.clear(request.path_params.get("fault"))
        return {"faults": self._switchboard.all()}

    async def _webhooks(self, _request: Request) -> Any:
        return {"settings": self._courier.settings, "deliveries": self._courier.counts()}

    async def _configure_webhooks(self, request: Request) -> Any:
        present = self._courier.settings.model_dump()
        self._courier.configure(DeliverySettings.model_validate(present | _object(await request.body())))
        return await self._webhooks(request)

    async def _target(self, request: Request) -> Any:
        target = await _read(request, WebhookTarget)
        endpoint = configure(self._account, target.url, target.secret)
        self._courier.wake()
        return {"endpoint": endpoint}

    async def _deliveries(self, request: Request) -> Any:
        return {"deliveries": self._courier.reports(request.query_params.get("event"))}

    async def _pause(self, request: Request) -> Any:
        return await self._set_paused(request, True)

    async def _resume(self, request: Request) -> Any:
        return await self._set_paused(request, False)

    async def _set_paused(self, request: Request, paused: bool) -> Any:
        self._courier.configure(self._courier.settings.model_copy(update={"paused": paused}))
        return await self._webhooks(request)

    async def _release(self, request: Request) -> Any:
        return {"deliveries": await self._courier.release((await _read(request, Release)).events)}

    async def _redeliver(self, request: Request) -> Any:
        event = (await _read(request, Redelivery)).event
        if self._account.store.cursor_of("events", event) is None:
            raise ValueError(f"no such event: {event}")
        return {"endpoints": self._courier.redeliver(event)}

    async def _settle(self, request: Request) -> Any:
        verdict = {None: None, "succeeded": True, "failed": False}[(await _read(request, Settlement)).outcome]
        with self._account.change() as change:
            intent = change.get("payment_intent", request.path_params["intent"], "intent")
            return purchase.settle(change, intent, succeeded=verdict)

    async def _next_refunds(self, request: Request) -> Any:
        statuses = (await _read(request, RefundStatuses)).statuses
        if not set(statuses) <= set(refunds.STATUSES):
            raise ValueError(f"a refund status is one of {', '.join(refunds.STATUSES)}")
        self._account.next_refund_statuses[:] = statuses
        return {"statuses": statuses}

    async def _move_refund(self, request: Request) -> Any:
        move = await _read(request, RefundMove)
        with self._account.change() as change:
            refund = change.get("refund", request.path_params["refund"])
            return refunds.move(change, refund, move.status, move.failure_reason)

    async def _pay_out(self, request: Request) -> Any:
        wanted = await _read(request, PayingOut)
        with self._account.change() as change:
            return {"payouts": payouts.pay_out(change, is_in_progress=wanted.is_in_progress)}

    async def _open_dispute(self, request: Request) -> Any:
        opening = await _read(request, DisputeOpening)
        with self._account.change() as change:
            charge = change.get("charge", opening.charge, "charge")
            return disputes.open_dispute(
                change, charge, reason=opening.reason, amount=opening.amount, inquiry=opening.inquiry
            )

    async def _answer_dispute(self, request: Request) -> Any:
        with self._account.change() as change:
            return disputes.answer_dispute(change, change.get("dispute", request.path_params["dispute"]))

    async def _escalate_dispute(self, request: Request) -> Any:
        with self._account.change() as change:
            return disputes.escalate_dispute(change, change.get("dispute", request.path_params["dispute"]))

    async def _close_dispute(self, request: Request) -> Any:
        outcome = (await _read(request, DisputeClosing)).outcome
        with self._account.change() as change:
            return disputes.close_dispute(change, change.get("dispute", request.path_params["dispute"]), outcome)


def _order_money(account: Account, order_id: str | None) -> list[OrderMoney]:
    """The money of one order, or of every order."""
    rows = account.store.db.execute(
        "SELECT order_id, kind, status, count(*),"
        " sum(coalesce(json_extract(body, '$.amount_captured'), json_extract(body, '$.amount'), 0))"
        " FROM objects WHERE order_id IS NOT NULL AND (? IS NULL OR order_id = ?)"
        " AND kind IN ('payment_intent', 'charge', 'refund') GROUP BY order_id, kind, status ORDER BY order_id",
        (order_id, order_id),
    )
    orders: dict[str, OrderMoney] = {}
    for order, kind, status, count, amount in rows:
        money = orders.setdefault(order, OrderMoney(order_id=order))
        if kind == "payment_intent":
            money.payment_intents += count
            money.payment_intents_succeeded += count if status == "succeeded" else 0
        elif kind == "charge" and status == "succeeded":
            money.charges_succeeded += count
            money.charged += amount
        elif kind == "refund":
            money.refunds += count
            money.refunded += amount if status in ("succeeded", "pending") else 0
    return list(orders.values())


def _object(body: bytes) -> Json:
    read = json.loads(body or b"{}")
    if not isinstance(read, dict):
        raise TypeError("the body must be a JSON object")
    return read


Model = TypeVar("Model", bound=BaseModel)


async def _read(request: Request, model: type[Model]) -> Model:
    return model.model_validate(_object(await request.body()))


def _plain(value: Any) -> Any:
    """Models as JSON values, wherever they are in an answer."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _answering(action: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
    """A route function that answers an action's result, and a wrong request with 400 and its reason."""

    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(_plain(await action(request)))
        except StripeError as error:
            return JSONResponse(error.body(), error.status)
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            return JSONResponse({"error": {"message": str(error), "type": "control_error"}}, 400)

    return answer
