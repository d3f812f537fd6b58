"""Events read again from Stripe: passed on once, in their order, and the cursor only moves past what was passed on."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
import stripe
from sqlalchemy import select, update
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import ActivityEnvironment

from activities import stripe_catch_up
from activities.stripe import open_stripe
from activities.stripe_catch_up import KEPT_FOR, StripeCatchUpActivities
from models.messages.reconciliation import CatchUp, CaughtUp
from models.tables import StripeEvent, StripeEventCursor
from models.tables.columns import now
from models.vocabulary import StripeEventStatus
from tests.api.recording_temporal import RecordingTemporal, unreachable
from tests.installation import Installation


@pytest.fixture
async def client(idle_installation: Installation) -> AsyncIterator[stripe.StripeClient]:
    settings = idle_installation.settings
    await idle_installation.double.control.pause_webhooks()
    yield open_stripe(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base)
    await idle_installation.double.control.reset()


async def rows(installation: Installation) -> dict[str, str]:
    async with installation.sessions() as session:
        found = (await session.execute(select(StripeEvent))).scalars().all()
    return {row.event_id: row.status for row in found}


async def cursor(installation: Installation) -> StripeEventCursor | None:
    async with installation.sessions() as session:
        return await session.get(StripeEventCursor, "events")


async def set_cursor(installation: Installation, moment: datetime) -> None:
    async with installation.sessions.begin() as session:
        await session.merge(StripeEventCursor(name="events", read_until=moment))


async def test_events_are_passed_on_once_and_the_cursor_follows(
    idle_installation: Installation, client: stripe.StripeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = StripeCatchUpActivities(client, idle_installation.sessions)
    temporal = RecordingTemporal()
    environment = ActivityEnvironment(client=cast(Client, temporal))

    async def catch_up(**told: Any) -> CaughtUp:
        return await environment.run(steps.catch_up, CatchUp(**told))

    order_id = uuid4()
    await set_cursor(idle_installation, now() - timedelta(hours=13))
    params: Any = {"amount": 700, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True}
    params["metadata"] = {"order_id": str(order_id)}
    intent = await client.v1.payment_intents.create_async(params)
    # Temporal is away in the middle: what was recorded is passed on the next time, and the cursor has waited.
    temporal.failure = unreachable()
    with pytest.raises(RPCError):
        await catch_up()
    before = await cursor(idle_installation)
    assert before is not None
    assert now() - before.read_until > timedelta(minutes=10)
    assert set((await rows(idle_installation)).values()) == {StripeEventStatus.RECEIVED}
    temporal.failure = None
    caught = await catch_up()
    assert (caught.missed, caught.passed_on, caught.read) == (0, 1, 1)
    assert temporal.signals == [(f"order-{order_id}", "payment_changed")]
    known = await rows(idle_installation)
    assert set(known.values()) == {StripeEventStatus.SIGNALED}
    after = await cursor(idle_installation)
    assert after is not None
    assert after.read_until == caught.read_until
    assert after.last_event_id in known

    # The hour before is read again, and changes nothing.
    again = await catch_up()
    assert (again.read, again.missed, again.passed_on) == (1, 0, 0)
    assert len(temporal.signals) == 1

    # One whose webhook was recorded and cut off long ago.
    async with idle_installation.sessions.begin() as session:
        await session.execute(
            update(StripeEvent).values(
                status=StripeEventStatus.RECEIVED,
                received_at=now() - timedelta(hours=3),
                stripe_created_at=now() - timedelta(hours=3),
            )
        )
    left_behind = await catch_up(overlap_minutes=0)
    assert left_behind.passed_on == 1
    assert set((await rows(idle_installation)).values()) == {StripeEventStatus.SIGNALED}
    assert intent.status == "succeeded"

    # No further back than Stripe keeps events, and none of the other mode.
    monkeypatch.setattr(stripe_catch_up, "_WINDOW", timedelta(days=10))
    await set_cursor(idle_installation, now() - timedelta(days=90))
    live = StripeCatchUpActivities(client, idle_installation.sessions, is_live=True)
    control = idle_installation.double.control
    await control.clear_requests()
    assert (await environment.run(live.catch_up, CatchUp())).read == 0
    assert (await control.requests()).total == -(-KEPT_FOR // timedelta(days=10)) == 3
