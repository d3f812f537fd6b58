"""Webhooks of Stripe: verified, deduplicated, signalled to their orders, which look at their payments again.

Each order that waits for its payment is told once in a round. A piece is timed until its signal stands in the history
of the order's workflow, by the clock of the Temporal server, which is that of this machine.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import stripe
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from bench.figures import Round, Row
from bench.rig import Rig
from bench.sizes import Size
from bench.timing import in_lanes
from bench.turns import Way, take_turns

_LANES = 8
_INSERT = "INSERT INTO floor_events (event_id, received_at) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_TOLD = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED


class WebhookNotTakenError(Exception):
    """A webhook was answered as it should not have been."""


async def measure(rig: Rig, size: Size) -> list[Row]:
    """One row; repeats of all events are answered in between, and only that is said of them."""
    per_round = max(_LANES, size.webhooks // size.rounds)
    _, workflows = await in_lanes(rig.numbers(per_round), _LANES, rig.registrar.place)
    _, bare = await in_lanes(range(per_round), _LANES, rig.floor.place)
    await rig.double.webhooks_settled(60)
    repeats: list[Round] = []
    url = rig.database_url.replace("+asyncpg", "")
    pool = await asyncpg.create_pool(url, min_size=_LANES, max_size=_LANES)

    async def insert(event_id: str) -> None:
        await pool.execute(_INSERT, event_id, datetime.now(UTC))

    async def inserted(_: int) -> Round:
        timing, _done = await in_lanes([f"evt_{uuid4().hex}" for _ in range(per_round)], _LANES, insert)
        return Round.of(timing)

    async def signal(workflow_id: str) -> None:
        await rig.temporal.get_workflow_handle(workflow_id).signal("looked_at_by_nobody")

    try:
        ways = [
            Way("verified, deduplicated, signalled", "API", _webhooks(rig, workflows, repeats)),
            Way("a bare asyncpg INSERT", "benchmark itself", inserted),
            Way("a bare signal", "floor worker", _told(rig.temporal, bare, signal)),
        ]
        ours, floor, bare_signal = await take_turns(rig.clock, ways, size.rounds)
    finally:
        await pool.close()
    again = sum(each.pieces for each in repeats) / sum(each.seconds for each in repeats)
    notes = (f"repeats that are recognized: {again:.0f} a second",)
    ours = ours.model_copy(update={"notes": notes})
    return [Row(name="webhooks", piece="webhook", registrar=ours, floor=floor, others=(bare_signal,))]


def _webhooks(rig: Rig, workflows: Sequence[str], repeats: list[Round]) -> Callable[[int], Awaitable[Round]]:
    async def send(event: tuple[str, bytes]) -> str:
        secret = rig.settings.stripe_webhook_secrets[0].get_secret_value()
        moment = int(time.time())
        signed = stripe.WebhookSignature._compute_signature(f"{moment}.{event[1].decode()}", secret)
        headers = {"Stripe-Signature": f"t={moment},v1={signed}", "Content-Type": "application/json"}
        answer = await rig.registrar.http.post("/v1/webhooks/stripe", content=event[1], headers=headers)
        if answer.status_code != 200:
            raise WebhookNotTakenError(f"{answer.status_code}: {answer.text}")
        status: str = answer.json()["status"]
        return status

    async def work(_: int) -> Round:
        events = {workflow_id: _event(workflow_id) for workflow_id in workflows}
        sending = _told(rig.temporal, workflows, lambda workflow_id: _expect(send, (workflow_id, events[workflow_id])))
        done = await sending(0)
        timing, answers = await in_lanes(events.items(), _LANES, send)
        if set(answers) != {"signaled"}:
            raise WebhookNotTakenError(f"repeats were answered {set(answers)}")
        repeats.append(Round.of(timing))
        return done

    return work


async def _expect(send: Callable[[tuple[str, bytes]], Awaitable[str]], event: tuple[str, bytes]) -> None:
    if (status := await send(event)) != "signaled":
        raise WebhookNotTakenError(f"a webhook was answered {status}")


def _event(workflow_id: str) -> bytes:
    intent = {"id": f"pi_{uuid4().hex}", "object": "payment_intent"}
    intent_of_order = intent | {"metadata": {"order_id": workflow_id.removeprefix("order-")}}
    event = {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "type": "payment_intent.processing",
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": intent_of_order},
    }
    return json.dumps(event).encode()


def _told(
    temporal: Client, workflows: Sequence[str], tell: Callable[[str], Awaitable[None]]
) -> Callable[[int], Awaitable[Round]]:
    """A round in which every workflow is told once, each timed until that stands in its history."""

    async def work(_: int) -> Round:
        sent: dict[str, float] = {}

        async def one(workflow_id: str) -> None:
            sent[workflow_id] = time.time()
            await tell(workflow_id)

        timing, _done = await in_lanes(workflows, _LANES, one)
        arrived = await asyncio.gather(*(_last_signal(temporal, workflow_id) for workflow_id in workflows))
        late = tuple(1000 * (at - sent[name]) for name, at in zip(workflows, arrived, strict=True))
        return Round(pieces=len(workflows), seconds=timing.seconds, milliseconds=late)

    return work


async def _last_signal(temporal: Client, workflow_id: str) -> float:
    handle = temporal.get_workflow_handle(workflow_id)
    moments = [
        event.event_time.seconds + event.event_time.nanos / 1e9
        async for event in handle.fetch_history_events()
        if event.event_type == _TOLD
    ]
    return max(moments)
