"""Where Stripe reports that something changed: recorded once, passed on to the order's workflow, decided there."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict

from activities.stripe_events import EventDesk, record_events, set_statuses
from activities.stripe_jobs import StripeJobs
from models.errors import Reason
from models.vocabulary import StripeEventStatus
from routes.documentation import answer, problems
from routes.parts import TheConnections, TheParts
from routes.problems import ProblemError
from routes.stripe_events import genuine_event
from workflows.queues import REGISTRAR_QUEUE

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

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
    status = (await record_events(connections.sessions, [event]))[event.id]
    if status is not StripeEventStatus.RECEIVED:
        outcomes.labels("ignored" if status is StripeEventStatus.IGNORED else "duplicate").inc()
        return WebhookAnswer(status=status)
    jobs = StripeJobs(connections.temporal, REGISTRAR_QUEUE)
    status = await EventDesk(connections.sessions, jobs, parts.settings.stripe_account_is_shared).pass_on(event)
    await set_statuses(connections.sessions, {event.id: status})
    outcomes.labels(status.value).inc()
    return WebhookAnswer(status=status)
