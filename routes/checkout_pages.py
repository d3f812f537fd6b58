"""Where the browser comes back to from Stripe: two small pages that hold no personal fact and decide nothing."""

import asyncio
import logging
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col
from temporalio.exceptions import TemporalError

from models.identifiers import order_workflow_id
from models.tables import Payment
from routes.documentation import problems
from routes.pages import PAGE, page
from routes.parts import Connections, TheConnections
from workflows.order import OrderWorkflow

router = APIRouter(prefix="/checkout", tags=["pages"])

_log = logging.getLogger("registrar.api")
_PATIENCE_SECONDS = 2

# Read by hand: a person with a broken link gets the page too, not a problem document.
_PARAMETERS = [
    {"name": name, "in": "query", "required": False, "description": description, "schema": {"type": "string"}}
    for name, description in (
        ("order", "the order's id"),
        ("session_id", "the Checkout Session, filled in by Stripe"),
    )
]


@router.get(
    "/return",
    summary="Come back from a finished checkout",
    response_class=HTMLResponse,
    responses={**PAGE, **problems()},
    openapi_extra={"parameters": _PARAMETERS},
)
async def return_from_checkout(request: Request, connections: TheConnections) -> HTMLResponse:
    """Says that the payment is being confirmed. The order's workflow is told to look, which only makes it faster."""
    await _hurry(connections, request.query_params.get("order"), request.query_params.get("session_id"))
    return page("checkout_return.html.j2")


@router.get(
    "/cancelled",
    summary="Come back from a checkout that was left",
    response_class=HTMLResponse,
    responses={**PAGE, **problems()},
)
async def leave_checkout() -> HTMLResponse:
    """Says that nothing was paid and that the place is still held for a while."""
    return page("checkout_cancelled.html.j2")


async def _hurry(connections: Connections, order: str | None, session_id: str | None) -> None:
    """Tell the workflow if the link is genuine. Whatever goes wrong here, Stripe's webhook says the same."""
    try:
        order_id = UUID(order or "")
        async with asyncio.timeout(_PATIENCE_SECONDS):
            query = select(col(Payment.checkout_session_id)).where(col(Payment.order_id) == order_id)
            async with connections.sessions() as session:
                known = (await session.execute(query)).scalar_one_or_none()
            if known is None or known != session_id:
                return
            handle = connections.temporal.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(order_id))
            await handle.signal(OrderWorkflow.payment_changed)
    except ValueError:
        return
    except (OSError, SQLAlchemyError, TemporalError) as error:
        _log.info("return page: nobody told, %s", type(error).__qualname__)
