"""Orders: place, list, read, cancel."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from activities.starts import is_delivered
from models.errors import Reason
from models.identifiers import order_workflow_id
from models.messages.orders import CancelOrder
from models.vocabulary import OrderStatus, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, location_header, problems
from routes.order_cancelling import start_cancellation
from routes.order_examples import BODIES, ON_ITS_WAY, ORDER, PAID_ORDER
from routes.order_reading import list_orders, read_order, read_status
from routes.order_requests import CancelBody, OrderBody, OrderQuery, order_request
from routes.order_start import Started, start_order
from routes.order_views import OrderOnItsWay, OrderView, order_path
from routes.pagination import LIST_HEADERS, Page, example_page, page_of
from routes.parts import TheConnections, TheParts
from routes.problems import ProblemError
from routes.tokens import Principal
from routes.validation import idempotency_header
from workflows.order import OrderWorkflow

router = APIRouter(prefix="/v1/orders", tags=["orders"], route_class=AuthenticatedRoute)

_SIGNAL_PATIENCE = timedelta(seconds=5)
_PAID = frozenset({OrderStatus.COMPLETED, OrderStatus.PARTIALLY_REFUNDED})
_LOCATION = location_header(ON_ITS_WAY.href)
_STATUS_OF = {
    Started.NEW: HTTPStatus.CREATED,
    Started.REPEATED: HTTPStatus.OK,
    Started.STILL_WORKING: HTTPStatus.ACCEPTED,
}


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Place an order",
    responses={
        **answer(HTTPStatus.OK, "The key was used before: the order it stands for", PAID_ORDER, _LOCATION),
        **answer(HTTPStatus.CREATED, "The order stands and waits to be paid, or was free", ORDER, _LOCATION),
        **answer(HTTPStatus.ACCEPTED, "It takes longer than usual: look again in a moment", ON_ITS_WAY, _LOCATION),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.IDEMPOTENCY_KEY_MISSING,
            Reason.IDEMPOTENCY_KEY_REUSED,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.NOT_YOURS,
            Reason.UNKNOWN_COURSE,
            Reason.UNKNOWN_PERSON,
            Reason.COURSE_NOT_PUBLISHED,
            Reason.COURSE_FULL,
            Reason.ENROLLMENT_CLOSED,
            Reason.ALREADY_ENROLLED,
            Reason.MIXED_CURRENCIES,
            Reason.UNKNOWN_COUPON,
            Reason.COUPON_EXPIRED,
            Reason.COUPON_USED_UP,
            Reason.COUPON_CURRENCY,
            Reason.COUPON_NOT_YOURS,
            Reason.COUPON_NOT_APPLICABLE,
            Reason.COUPON_MINIMUM,
            Reason.COUPON_USED_BY_YOU,
            Reason.AMOUNT_TOO_SMALL,
            Reason.SLOTS_REQUIRED,
            Reason.SLOTS_NOT_ALLOWED,
            Reason.SLOTS_UNAVAILABLE,
            Reason.TOO_MANY_LESSONS_A_DAY,
            Reason.TOO_FEW_LESSONS_A_WEEK,
            Reason.LESSONS_TOO_FAR_APART,
            Reason.STUDENT_DOUBLE_BOOKED,
            Reason.TUTOR_DOUBLE_BOOKED,
            Reason.SCREENING_REQUIRED,
            Reason.INVOICE_NOT_ALLOWED,
            Reason.PAYMENT_REFUSED,
            Reason.UNAVAILABLE,
        ),
    },
)
async def place_order(
    body: Annotated[OrderBody, Body(openapi_examples=BODIES)],
    idempotency_key: Annotated[
        str, idempotency_header("Your own name of this purchase, e.g. a UUID: 1 to 255 visible ASCII characters.")
    ],
    principal: Annotated[Principal, Depends(require(Role.STUDENT, Role.STAFF, Role.ADMIN, Role.SERVICE))],
    parts: TheParts,
    connections: TheConnections,
    response: Response,
) -> OrderView | OrderOnItsWay:
    """Quote the lines, hold their seats and slots, and prepare the payment.

    Students order for themselves. Staff, admin and service say who pays with `payer_id`. What it costs follows from the
    courses and the coupon alone.
    """
    asked = order_request(body, principal, idempotency_key)
    started = await start_order(connections.temporal, connections.sessions, asked)
    response.status_code = _STATUS_OF[started]
    response.headers["Location"] = order_path(asked.order_id)
    order = await read_order(connections.sessions, asked.order_id, principal, parts.settings)
    return order or OrderOnItsWay(id=asked.order_id, href=order_path(asked.order_id))


@router.get(
    "",
    summary="List orders",
    responses={
        **answer(HTTPStatus.OK, "One page of orders", example_page(PAID_ORDER), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_orders(
    asked: Annotated[OrderQuery, Query()],
    principal: Annotated[Principal, Depends(require())],
    parts: TheParts,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[OrderView]:
    """Students and tutors see the orders they pay for; staff, admin and service see all."""
    orders, total = await list_orders(connections.sessions, asked, principal, parts.settings)
    return page_of(request, response, asked, orders, total)


@router.get(
    "/{order_id}",
    summary="Read an order",
    responses={
        **answer(HTTPStatus.OK, "The order", PAID_ORDER),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_order(
    order_id: UUID,
    principal: Annotated[Principal, Depends(require())],
    parts: TheParts,
    connections: TheConnections,
) -> OrderView:
    """An order somebody else pays for is, to a student, no order at all."""
    order = await read_order(connections.sessions, order_id, principal, parts.settings)
    if order is None:
        raise _no_such_order()
    return order


@router.post(
    "/{order_id}/cancel",
    status_code=HTTPStatus.ACCEPTED,
    summary="Cancel an order",
    responses={
        **answer(HTTPStatus.ACCEPTED, "The wish was passed on", ON_ITS_WAY, _LOCATION),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.NOT_FOUND,
            Reason.ORDER_NOT_CANCELABLE,
            Reason.UNAVAILABLE,
        ),
    },
)
async def cancel_order(
    order_id: UUID,
    body: Annotated[
        CancelBody,
        Body(
            openapi_examples={"wish": {"summary": "The payer changed their mind", "value": {"reason": "changed_mind"}}}
        ),
    ],
    principal: Annotated[Principal, Depends(require())],
    connections: TheConnections,
    response: Response,
) -> OrderOnItsWay:
    """The payer or staff asks for it; the order's workflow makes sure first that nobody can pay any more.

    A payment that was made in the meantime counts: read the order to see how it ended. Staff may also take a paid order
    back: its places end and the money goes back.
    """
    response.headers["Location"] = order_path(order_id)
    status = await read_status(connections.sessions, order_id, principal)
    if status is None:
        raise _no_such_order()
    wish = CancelOrder(actor=principal.actor, reason=body.reason.value)
    if status in _PAID and principal.is_staff:
        await start_cancellation(connections.temporal, connections.sessions, order_id, wish)
        return OrderOnItsWay(id=order_id, href=order_path(order_id))
    if status is not OrderStatus.PENDING_PAYMENT:
        raise _too_late()
    handle = connections.temporal.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(order_id))
    if not await is_delivered(handle.signal(OrderWorkflow.cancel, wish, rpc_timeout=_SIGNAL_PATIENCE)):
        raise _too_late()
    return OrderOnItsWay(id=order_id, href=order_path(order_id))


def _no_such_order() -> ProblemError:
    return ProblemError(Reason.NOT_FOUND, "There is no such order, or it is not yours.")


def _too_late() -> ProblemError:
    return ProblemError(
        Reason.ORDER_NOT_CANCELABLE,
        "Only an order that waits to be paid can be cancelled; staff may take a paid one back.",
    )
