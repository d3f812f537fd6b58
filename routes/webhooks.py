"""Where Stripe reports that something changed: recorded once, passed on to the order's workflow, decided there."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from temporalio.client import Client

from activities.database import Sessions
from models.errors import Reason
from models.identifiers import order_workflow_id
from models.tables import StripeEvent
from models.tables.columns import now
from models.vocabulary import StripeEventStatus
from routes.dispute_events import look_at_dispute
from routes.documentation import answer, problems
from routes.parts import Connections, TheConnections, TheParts
from routes.problems import ProblemError
from routes.refund_events import pass_on_refund
from routes.runs import is_delivered
from routes.stripe_events import OF_DISPUTES, OF_INTEREST, OF_REFUNDS, PAYMENT_SUCCEEDED, Event, genuine_event
from routes.unmatched_payments import is_settled, is_unwatched, look_after
from settings import Settings
from workflows.order import OrderWorkflow

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

_SIGNAL_PATIENCE = timedelta(seconds=5)
_EVENT_EXAMPLE = {
    "payment": {
        "summary": "A payment succeeded",
        "value": {
            "id": "evt_1a2b3c",
            "object": "event",
            "type": "payment_intent.succeeded",
            "created": 1772446620,
            "livemode": False,
            "data": {
                "object": {
                    "id": "pi_1a2b3c",
                    "object": "payment_intent",
                    "metadata": {"order_id": "5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21"},
                }
            },
        },
    }
}


class WebhookAnswer(BaseModel):
    """What became of the event."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: StripeEventStatus


@router.post(
    "/stripe",
    summary="Take an event of Stripe",
    responses={
        **answer(HTTPStatus.OK, "The event was taken", WebhookAnswer(status=StripeEventStatus.SIGNALED)),
        **problems(
            Reason.SIGNATURE_INVALID,
            Reason.SIGNATURE_TOO_OLD,
            Reason.WRONG_MODE,
            Reason.INVALID_REQUEST,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.UNAVAILABLE,
        ),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}, "examples": _EVENT_EXAMPLE}},
        }
    },
)
async def take_stripe_event(
    request: Request,
    parts: TheParts,
    connections: TheConnections,
    stripe_signature: Annotated[str | None, Header(description="`t=<time>,v1=<signature>`")] = None,
) -> WebhookAnswer:
    """Signed instead of authenticated. Nothing is decided here: the workflow is told to look at the payment again.

    A repeat of an event that was passed on does nothing; one that a crash left behind is passed on now.
    """
    outcomes = parts.metrics.webhooks
    try:
        event = genuine_event(await request.body(), stripe_signature, parts.settings.stripe_webhook_secrets)
        if event.livemode is not parts.settings.is_live:
            raise ProblemError(Reason.WRONG_MODE, "This installation is of the other mode, live or test.")
    except ProblemError as refused:
        outcomes.labels(refused.reason.value).inc()
        raise
    status = await _record(connections.sessions, event)
    if status is not StripeEventStatus.RECEIVED:
        outcomes.labels("ignored" if status is StripeEventStatus.IGNORED else "duplicate").inc()
        return WebhookAnswer(status=status)
    status = await _pass_on(connections, parts.settings, event)
    await _set_status(connections.sessions, event, status)
    outcomes.labels(status.value).inc()
    return WebhookAnswer(status=status)


async def _record(sessions: Sessions, event: Event) -> StripeEventStatus:
    """Write the event down unless it is written down already, and say what had become of it."""
    first = StripeEventStatus.RECEIVED if event.type in OF_INTEREST else StripeEventStatus.IGNORED
    written = (
        insert(StripeEvent)
        .values(
            event_id=event.id,
            type=event.type,
            object_id=event.object_id,
            order_id=event.order_id,
            status=first,
            stripe_created_at=event.created,
            received_at=now(),
        )
        .on_conflict_do_nothing()
        .returning(col(StripeEvent.event_id))
    )
    async with sessions.begin() as session:
        # On the bare connection: mapping objects costs more than all the rest of this busy route.
        connection = await session.connection()
        if (await connection.execute(written)).first() is not None:
            return first
        before = select(col(StripeEvent.status)).where(col(StripeEvent.event_id) == event.id)
        return StripeEventStatus((await connection.execute(before)).scalar_one())


async def _pass_on(connections: Connections, settings: Settings, event: Event) -> StripeEventStatus:
    if event.type in OF_REFUNDS:
        return await pass_on_refund(connections, event)
    if event.type in OF_DISPUTES and event.object_id is not None:
        await look_at_dispute(connections.temporal, event.object_id)
        return StripeEventStatus.SIGNALED
    return await _pass_on_payment(connections, settings, event)


async def _pass_on_payment(connections: Connections, settings: Settings, event: Event) -> StripeEventStatus:
    if event.order_id is not None and await _is_signaled(connections.temporal, event.order_id):
        if event.type == PAYMENT_SUCCEEDED and event.object_id is not None:
            await _look_after_unwatched(connections, event.object_id, event.order_id)
        return StripeEventStatus.SIGNALED
    if event.type != PAYMENT_SUCCEEDED or event.object_id is None:
        return StripeEventStatus.UNMATCHED
    if event.order_id is None and settings.stripe_account_is_shared:
        return StripeEventStatus.IGNORED
    if await is_settled(connections.sessions, event.object_id):
        return StripeEventStatus.IGNORED
    await look_after(connections.temporal, event.object_id, event.order_id)
    return StripeEventStatus.SIGNALED


async def _look_after_unwatched(connections: Connections, payment_intent_id: str, order_id: UUID) -> None:
    """An order that still runs looks at its own payment, and only while it waits for it; the rest needs somebody."""
    if await is_unwatched(connections.sessions, order_id, payment_intent_id):
        await look_after(connections.temporal, payment_intent_id, order_id)


async def _is_signaled(temporal: Client, order_id: UUID) -> bool:
    """Whether the order still runs, and was told."""
    handle = temporal.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(order_id))
    return await is_delivered(handle.signal(OrderWorkflow.payment_changed, rpc_timeout=_SIGNAL_PATIENCE))


async def _set_status(sessions: Sessions, event: Event, status: StripeEventStatus) -> None:
    async with sessions.begin() as session:
        connection = await session.connection()
        await connection.execute(update(StripeEvent).where(col(StripeEvent.event_id) == event.id).values(status=status))
