"""The typed client of the control API, for tests and the demo; works in the same process and over the network."""

import asyncio
import time
from types import TracebackType
from typing import Any, Self

import httpx

from sandbox.stripe_double.control import OrderMoney
from sandbox.stripe_double.faults import Fault, FaultKind, FaultRequest
from sandbox.stripe_double.request_log import RequestCounts
from sandbox.stripe_double.tls import tls_context
from sandbox.stripe_double.webhooks import DeliveryReport, DeliverySettings

Json = dict[str, Any]


class ControlError(Exception):
    """The control API refused something."""


class StripeDoubleControl:
    """Drives a running double at ``url``."""

    def __init__(self, url: str) -> None:
        address = f"{url.rstrip('/')}/_control"
        self._client = httpx.AsyncClient(base_url=address, timeout=60, trust_env=False, verify=tls_context())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _call(self, method: str, path: str, body: Json | None = None, **query: str | int) -> Any:
        answer = await self._client.request(method, path, json=body, params=query or None)
        if answer.is_error:
            raise ControlError(answer.text)
        return answer.json()

    async def health(self) -> Json:
        """Whether it runs, and its time."""
        found: Json = await self._call("GET", "/health")
        return found

    async def reset(self) -> None:
        """Forget everything except the configured webhook endpoint."""
        await self._call("POST", "/reset")

    async def now(self) -> float:
        """The double's time."""
        return float((await self._call("GET", "/clock"))["now"])

    async def advance_clock(self, seconds: float) -> float:
        """Move the double's clock forward; due sessions expire and due retries are sent. The new time."""
        return float((await self._call("POST", "/clock", {"advance_seconds": seconds}))["now"])

    async def requests(self, prefix: str = "", limit: int = 100) -> RequestCounts:
        """How often each endpoint was called."""
        return RequestCounts.model_validate(await self._call("GET", "/requests", prefix=prefix, limit=limit))

    async def clear_requests(self) -> None:
        """Start counting requests again."""
        await self._call("DELETE", "/requests")

    async def order(self, order_id: str) -> OrderMoney:
        """How many payments, charges and refunds carry this ``metadata.order_id``."""
        return OrderMoney.model_validate(await self._call("GET", f"/orders/{order_id}"))

    async def orders(self) -> list[OrderMoney]:
        """The same for every order."""
        return [OrderMoney.model_validate(order) for order in (await self._call("GET", "/orders"))["orders"]]

    async def objects(self, kind: str) -> list[Json]:
        """Every object of a kind, such as ``payment_intent`` or ``refund``, as it stands; the oldest first."""
        found: list[Json] = (await self._call("GET", f"/objects/{kind}"))["objects"]
        return found

    async def add_fault(self, kind: FaultKind | str, **fields: Any) -> Fault:
        """Inject a fault; see ``FaultRequest`` for the fields."""
        request = FaultRequest(kind=FaultKind(kind), **fields)
        return Fault.model_validate(await self._call("POST", "/faults", request.model_dump(mode="json")))

    async def faults(self) -> list[Fault]:
        """All faults with their hits."""
        return [Fault.model_validate(fault) for fault in (await self._call("GET", "/faults"))["faults"]]

    async def clear_faults(self, fault_id: str | None = None) -> None:
        """Switch one fault off, or all."""
        await self._call("DELETE", f"/faults/{fault_id}" if fault_id else "/faults")

    async def set_webhook(self, url: str | None, secret: str = "") -> str | None:
        """Send webhooks there (nowhere for None); the identifier of the endpoint."""
        answer = await self._call("PUT", "/webhooks/target", {"url": url, "secret": secret})
        endpoint: str | None = answer["endpoint"]
        return endpoint

    async def delivery_counts(self) -> dict[str, int]:
        """How many deliveries are pending, delivered and failed."""
        counts: dict[str, int] = (await self._call("GET", "/webhooks"))["deliveries"]
        return counts

    async def delivery_settings(self) -> DeliverySettings:
        """How webhooks are delivered at present."""
        return DeliverySettings.model_validate((await self._call("GET", "/webhooks"))["settings"])

    async def configure_deliveries(self, **settings: Any) -> DeliverySettings:
        """Change how webhooks are delivered; see ``DeliverySettings`` for the fields."""
        return DeliverySettings.model_validate((await self._call("PATCH", "/webhooks", settings))["settings"])

    async def pause_webhooks(self) -> None:
        """Hold every delivery."""
        await self._call("POST", "/webhooks/pause")

    async def resume_webhooks(self) -> None:
        """Deliver again."""
        await self._call("POST", "/webhooks/resume")

    async def release_webhooks(self, events: list[str] | None = None) -> list[DeliveryReport]:
        """Deliver waiting events now in this order (all in their own order when absent), even while paused."""
        answer = await self._call("POST", "/webhooks/release", {"events": events})
        return [DeliveryReport.model_validate(report) for report in answer["deliveries"]]

    async def redeliver(self, event: str) -> int:
        """Deliver an event again; to how many endpoints."""
        return int((await self._call("POST", "/webhooks/redeliver", {"event": event}))["endpoints"])

    async def deliveries(self, event: str | None = None) -> list[DeliveryReport]:
        """What became of each delivery."""
        query = {"event": event} if event else {}
        answer = await self._call("GET", "/webhooks/deliveries", None, **query)
        return [DeliveryReport.model_validate(report) for report in answer["deliveries"]]

    async def webhooks_settled(self, timeout_seconds: float = 10.0) -> dict[str, int]:
        """Wait until nothing is pending; the final counts."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            counts = await self.delivery_counts()
            if counts["pending"] == 0:
                return counts
            if time.monotonic() > deadline:
                raise TimeoutError(f"webhooks still pending after {timeout_seconds} s: {counts}")
            await asyncio.sleep(0.02)

    async def settle(self, payment_intent: str, outcome: str | None = None) -> Json:
        """End a processing payment as "succeeded" or "failed"; as its test account does when absent."""
        intent: Json = await self._call("POST", f"/payment_intents/{payment_intent}/settle", {"outcome": outcome})
        return intent

    async def next_refunds(self, *statuses: str) -> None:
        """The statuses the next refunds start with."""
        await self._call("POST", "/refunds/next", {"statuses": list(statuses)})

    async def move_refund(self, refund: str, status: str, failure_reason: str = "unknown") -> Json:
        """Bring a refund into another status."""
        body = {"status": status, "failure_reason": failure_reason}
        moved: Json = await self._call("POST", f"/refunds/{refund}", body)
        return moved

    async def pay_out(self, *, is_in_progress: bool = False) -> list[Json]:
        """Pay out what is available; one payout per currency. Of one in progress its own line alone is told yet."""
        made: list[Json] = (await self._call("POST", "/payouts", {"is_in_progress": is_in_progress}))["payouts"]
        return made

    async def open_dispute(
        self, charge: str, reason: str = "general", amount: int | None = None, *, inquiry: bool = False
    ) -> Json:
        """Open a dispute on a charge, or only an inquiry, which takes no money yet."""
        body = {"charge": charge, "reason": reason, "amount": amount, "inquiry": inquiry}
        opened: Json = await self._call("POST", "/disputes", body)
        return opened

    async def answer_dispute(self, dispute: str) -> Json:
        """Hand in evidence: the bank reviews it."""
        answered: Json = await self._call("POST", f"/disputes/{dispute}/answer", {})
        return answered

    async def escalate_dispute(self, dispute: str) -> Json:
        """Make an inquiry a chargeback."""
        escalated: Json = await self._call("POST", f"/disputes/{dispute}/escalate", {})
        return escalated

    async def close_dispute(self, dispute: str, outcome: str) -> Json:
        """Close a dispute as "won", "lost", "warning_closed" or "prevented"; a lost one may still be won."""
        closed: Json = await self._call("POST", f"/disputes/{dispute}/close", {"outcome": outcome})
        return closed
