"""Stripe's webhooks: genuine, fresh, of our mode, recorded once, passed on until somebody has them."""

import json
import time
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
import stripe
from sqlalchemy import event as sql_event
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col
from temporalio.client import Client

from activities.database import Sessions, open_database, sessions_of
from api import create_app
from models.messages.disputes import DisputedPayment
from models.messages.payments import UnmatchedPayment
from models.tables import Order, StripeEvent
from models.vocabulary import OrderStatus, StripeEventStatus
from settings import Settings
from tests.api.conftest import WEBHOOK_SECRETS
from tests.api.orders_on_record import write_order, write_school
from tests.api.recording_temporal import RecordingTemporal, not_found, unreachable

ORDER_ID = uuid4()


def event(**changes: object) -> dict[str, Any]:
    """An event as Stripe sends it."""
    return {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-01-28",
        "type": "payment_intent.succeeded",
        "created": 1772446620,
        "livemode": False,
        "data": {"object": {"id": "pi_1", "object": "payment_intent", "metadata": {"order_id": str(ORDER_ID)}}},
        **changes,
    }


async def send(
    client: httpx.AsyncClient,
    body: dict[str, Any] | str,
    *,
    secret: str = WEBHOOK_SECRETS[0],
    age: int = 0,
    signature: str | None = None,
) -> httpx.Response:
    payload = body if isinstance(body, str) else json.dumps(body)
    if signature is None:
        signature = stripe.WebhookSignature.generate_signature_header(payload, secret, int(time.time()) - age)
    return await client.post("/v1/webhooks/stripe", content=payload, headers={"Stripe-Signature": signature})


async def rows(sessions: Sessions) -> list[StripeEvent]:
    async with sessions() as session:
        return list((await session.execute(select(StripeEvent))).scalars())


async def counted(client: httpx.AsyncClient, outcome: str) -> float:
    text = (await client.get("/metrics")).text
    name = f'registrar_stripe_webhooks_total{{outcome="{outcome}"}} '
    return sum(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))


@pytest.mark.parametrize("secret", WEBHOOK_SECRETS)
async def test_an_event_is_recorded_and_passed_on(
    client: httpx.AsyncClient, sessions: Sessions, recorder: RecordingTemporal, secret: str
) -> None:
    answer = await send(client, event(), secret=secret)
    assert (answer.status_code, answer.json()) == (200, {"status": "signaled"})
    assert recorder.signals == [(f"order-{ORDER_ID}", "payment_changed")]
    (row,) = await rows(sessions)
    assert row.status == StripeEventStatus.SIGNALED
    assert (row.event_id, row.type, row.object_id, row.order_id) == (
        "evt_1",
        "payment_intent.succeeded",
        "pi_1",
        ORDER_ID,
    )
    assert row.stripe_created_at.timestamp() == 1772446620
    assert await counted(client, "signaled") == 1


async def test_what_is_not_genuine_leaves_no_trace(
    client: httpx.AsyncClient, sessions: Sessions, recorder: RecordingTemporal
) -> None:
    payload = json.dumps(event())
    good = stripe.WebhookSignature.generate_signature_header(payload, WEBHOOK_SECRETS[0])
    answers = [
        await send(client, event(), secret="whsec_somebody_elses"),
        await send(client, payload.replace("pi_1", "pi_2"), signature=good),
        await send(client, payload, signature=good.replace("v1=", "v0=")),
        await send(client, payload, signature="nonsense"),
        await send(client, payload, signature=""),
        await send(client, payload, signature="t=x,v1=y"),
        await client.post("/v1/webhooks/stripe", content=payload),
        await client.post("/v1/webhooks/stripe", content=b"\xff\xfe", headers={"Stripe-Signature": good}),
    ]
    assert {(answer.status_code, answer.json()["reason"]) for answer in answers} == {(400, "signature_invalid")}
    assert await counted(client, "signature_invalid") == len(answers)
    assert await rows(sessions) == []
    assert recorder.signals == []


async def test_an_old_signature_is_refused(client: httpx.AsyncClient, sessions: Sessions) -> None:
    assert (await send(client, event(), age=290)).status_code == 200
    answer = await send(client, event(id="evt_2"), age=310)
    assert (answer.status_code, answer.json()["reason"]) == (400, "signature_too_old")
    assert [row.event_id for row in await rows(sessions)] == ["evt_1"]


async def test_the_mode_has_to_be_ours(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, recorder: RecordingTemporal
) -> None:
    answer = await send(client, event(livemode=True))
    assert (answer.status_code, answer.json()["reason"]) == (400, "wrong_mode")
    live = create_app(
        Settings.model_validate({**settings.model_dump(), "stripe_api_key": "sk_live_1"}),
        temporal=cast(Client, recorder),
        sessions=sessions,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=live), base_url="http://live.test") as live_client:
        assert (await send(live_client, event())).json()["reason"] == "wrong_mode"
        assert await rows(sessions) == []
        assert (await send(live_client, event(livemode=True))).status_code == 200


async def test_a_repeat_does_nothing(
    client: httpx.AsyncClient, sessions: Sessions, recorder: RecordingTemporal
) -> None:
    for _ in range(3):
        assert (await send(client, event())).json() == {"status": "signaled"}
    assert len(recorder.signals) == 1
    assert len(await rows(sessions)) == 1
    assert await counted(client, "duplicate") == 2


async def test_what_a_crash_left_behind_is_passed_on_by_the_repeat(
    client: httpx.AsyncClient, sessions: Sessions, recorder: RecordingTemporal
) -> None:
    recorder.failure = unreachable()
    crashed = await send(client, event())
    assert (crashed.status_code, crashed.json()["reason"]) == (503, "unavailable")
    assert crashed.headers["Retry-After"]
    assert [row.status for row in await rows(sessions)] == [StripeEventStatus.RECEIVED]
    recorder.failure = None
    assert (await send(client, event())).json() == {"status": "signaled"}
    assert len(recorder.signals) == 1
    assert [row.status for row in await rows(sessions)] == [StripeEventStatus.SIGNALED]


async def test_an_event_of_no_interest_is_ignored(
    client: httpx.AsyncClient, sessions: Sessions, recorder: RecordingTemporal
) -> None:
    answer = await send(client, event(type="customer.created"))
    assert answer.json() == {"status": "ignored"}
    assert recorder.signals == []
    assert [row.status for row in await rows(sessions)] == [StripeEventStatus.IGNORED]
    assert await counted(client, "ignored") == 1


@pytest.mark.parametrize(
    "told",
    [{}, {"metadata": None}, {"metadata": {}}, {"metadata": {"order_id": "42"}}, {"metadata": {"order_id": ["x"]}}],
)
async def test_a_payment_that_names_no_order_is_looked_after(
    client: httpx.AsyncClient, sessions: Sessions, recorder: RecordingTemporal, told: dict[str, object]
) -> None:
    answer = await send(client, event(data={"object": {"id": "pi_9", **told}}))
    assert (answer.status_code, answer.json()) == (200, {"status": "signaled"})
    assert recorder.signals == []
    assert recorder.started == [("payment-pi_9", UnmatchedPayment(payment_intent_id="pi_9"))]
    assert [row.order_id for row in await rows(sessions)] == [None]


async def test_other_news_of_no_order_is_unmatched(
    client: httpx.AsyncClient, sessions: Sessions, recorder: RecordingTemporal
) -> None:
    answer = await send(client, event(type="payment_intent.canceled", data={"object": {"id": "pi_9"}}))
    assert answer.json() == {"status": "unmatched"}
    assert recorder.started == []


async def test_a_payment_of_an_order_that_is_over_is_looked_after_once(
    client: httpx.AsyncClient, sessions: Sessions, recorder: RecordingTemporal
) -> None:
    recorder.failure = not_found()
    assert (await send(client, event())).json() == {"status": "signaled"}
    recorder.failure = None
    assert (await send(client, event())).json() == {"status": "signaled"}
    assert recorder.signals == []
    assert [argument for _, argument in recorder.started] == [
        UnmatchedPayment(payment_intent_id="pi_1", order_id=ORDER_ID)
    ]
    assert [row.order_id for row in await rows(sessions)] == [ORDER_ID]


@pytest.mark.parametrize(
    "body",
    ["{}", "[]", "null", "{", json.dumps(event(id="")), json.dumps(event(created="x")), json.dumps(event(data=1))],
)
async def test_genuine_nonsense_is_refused(client: httpx.AsyncClient, sessions: Sessions, body: str) -> None:
    answer = await send(client, body)
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request")
    assert await rows(sessions) == []


async def test_a_database_that_is_away_makes_stripe_try_again(settings: Settings, recorder: RecordingTemporal) -> None:
    engine = open_database("postgresql+asyncpg://nobody@127.0.0.1:9/none", 1)
    app = create_app(settings, temporal=cast(Client, recorder), sessions=sessions_of(engine))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://registrar.test") as client:
        answer = await send(client, event())
    await engine.dispose()
    assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
    assert recorder.signals == []


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("checkout.session.completed", ["INSERT", "UPDATE"]),
        ("payment_intent.succeeded", ["INSERT", "SELECT", "UPDATE"]),
    ],
)
async def test_few_statements_and_one_call(
    client: httpx.AsyncClient, engine: AsyncEngine, recorder: RecordingTemporal, told: str, expected: list[str]
) -> None:
    """A payment is also compared with the one that its order was paid with."""
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    sql_event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        await send(client, event(type=told))
    finally:
        sql_event.remove(engine.sync_engine, "before_cursor_execute", note)
    assert [statement.split()[0] for statement in statements] == expected
    assert len(recorder.signals) == 1


async def test_a_second_payment_of_an_order_that_still_runs_is_looked_after(
    client: httpx.AsyncClient, sessions: Sessions, recorder: RecordingTemporal
) -> None:
    school = await write_school(sessions)
    order_id = await write_order(sessions, school, school.anna, 1, paid=True)
    of_order = {"id": "pi_another", "object": "payment_intent", "metadata": {"order_id": str(order_id)}}
    await send(client, event(data={"object": of_order}))
    assert len(recorder.signals) == 1
    assert [argument for _, argument in recorder.started] == [
        UnmatchedPayment(payment_intent_id="pi_another", order_id=order_id)
    ]


async def test_money_for_an_order_that_was_given_up_is_looked_after_though_its_run_goes_on(
    client: httpx.AsyncClient, sessions: Sessions, recorder: RecordingTemporal
) -> None:
    school = await write_school(sessions)
    order_id = await write_order(sessions, school, school.anna, 1)
    async with sessions.begin() as session:
        await session.execute(update(Order).where(col(Order.id) == order_id).values(status=OrderStatus.CANCELLED))
    its_own = {"id": "pi_1", "object": "payment_intent", "metadata": {"order_id": str(order_id)}}
    await send(client, event(data={"object": its_own}))
    assert len(recorder.signals) == 1
    assert [argument for _, argument in recorder.started] == [
        UnmatchedPayment(payment_intent_id="pi_1", order_id=order_id)
    ]


async def test_nothing_of_the_payload_is_kept(client: httpx.AsyncClient, sessions: Sessions) -> None:
    payload = event(data={"object": {"id": "pi_1", "receipt_email": "anna@example.org", "metadata": None}})
    await send(client, payload)
    (row,) = await rows(sessions)
    assert "anna@example.org" not in str(vars(row))


@pytest.mark.parametrize("kind", ["created", "updated", "closed", "funds_withdrawn", "funds_reinstated"])
async def test_news_of_a_dispute_have_it_looked_at(
    client: httpx.AsyncClient, sessions: Sessions, recorder: RecordingTemporal, kind: str
) -> None:
    told = event(type=f"charge.dispute.{kind}", data={"object": {"id": "du_1", "metadata": {}}})
    for _ in range(2):
        assert (await send(client, told)).json() == {"status": "signaled"}
    assert recorder.signals == []
    assert recorder.started == [("dispute-du_1", DisputedPayment(stripe_dispute_id="du_1"))]
    assert [row.object_id for row in await rows(sessions)] == ["du_1"]
