"""What is decided about an order from outside: let in or not, paid by invoice, taken back."""

from datetime import date, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import select
from sqlmodel import col

from activities.database import Sessions
from activities.starts import is_delivered
from models.errors import Reason
from models.identifiers import invoice_payment_id_for, order_workflow_id
from models.messages.orders import ApproveOrder, BankReference, DenyOrder, MarkPaid
from models.money import MinorUnits
from models.tables import BundleCourse, Course, Enrollment, Invoice, OrderLine
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus, InvoiceStatus, OfflineMethod, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, location_header, problems
from routes.order_examples import ON_ITS_WAY
from routes.order_views import OrderOnItsWay, order_path
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal
from routes.validation import idempotency_header
from workflows.order import OrderWorkflow

router = APIRouter(prefix="/v1/orders", tags=["orders"], route_class=AuthenticatedRoute)

_SIGNAL_PATIENCE = timedelta(seconds=5)
_LOCATION = location_header(ON_ITS_WAY.href)
_STAFF = (Role.STAFF, Role.ADMIN, Role.SERVICE)
_FIRST_YEAR = 2000
_DECIDED = {
    **answer(HTTPStatus.ACCEPTED, "The decision was passed on", ON_ITS_WAY, _LOCATION),
    **problems(
        *REFUSALS,
        Reason.INVALID_REQUEST,
        Reason.PAYLOAD_TOO_LARGE,
        Reason.NOT_FOUND,
        Reason.ORDER_NOT_WAITING_FOR_APPROVAL,
        Reason.UNAVAILABLE,
    ),
}


class ApproveBody(BaseModel):
    """The students are let in; there is nothing more to say."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DenyReason(StrEnum):
    """Why students are not let in. A closed list, since it is kept in the audit log and in the history."""

    NOT_ELIGIBLE = "not_eligible"
    COURSE_FULL = "course_full"
    PREREQUISITES_MISSING = "prerequisites_missing"
    OTHER = "other"


class DenyBody(BaseModel):
    """The students are not let in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: DenyReason


class MarkPaidBody(BaseModel):
    """Money that came in for the invoice of an order, all of it or a part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: MinorUnits = Field(gt=0, description="minor units of the order's currency")
    received_on: date = Field(description="the day on the bank statement")
    method: OfflineMethod = OfflineMethod.BANK_TRANSFER
    reference: BankReference | None = Field(
        default=None, description="the bank's own id of the transfer; no names, it is kept in the history"
    )

    @field_validator("received_on")
    @classmethod
    def _a_day_that_was(cls, value: date) -> date:
        # Somewhere on earth it is tomorrow already.
        if value > now().date() + timedelta(days=1):
            raise PydanticCustomError("refused_here", "The day lies in the future.")
        if value.year < _FIRST_YEAR:
            raise PydanticCustomError("refused_here", "The day lies too far back.")
        return value


@router.post(
    "/{order_id}/approve",
    status_code=HTTPStatus.ACCEPTED,
    summary="Let the students of an order in",
    responses=_DECIDED,
)
async def approve_order(
    order_id: UUID,
    body: Annotated[ApproveBody, Body(openapi_examples={"yes": {"summary": "They may come", "value": {}}})],
    principal: Annotated[Principal, Depends(require(Role.TUTOR, *_STAFF))],
    connections: TheConnections,
    response: Response,
) -> OrderOnItsWay:
    """Staff, or the tutor whom a course of the order names as its approver. The order can then be paid."""
    await _require_approver(connections.sessions, order_id, principal)
    handle = connections.temporal.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(order_id))
    decision = ApproveOrder(actor=principal.actor)
    if not await is_delivered(handle.signal(OrderWorkflow.approve, decision, rpc_timeout=_SIGNAL_PATIENCE)):
        raise _not_waiting()
    return _passed_on(order_id, response)


@router.post(
    "/{order_id}/deny",
    status_code=HTTPStatus.ACCEPTED,
    summary="Do not let the students of an order in",
    responses=_DECIDED,
)
async def deny_order(
    order_id: UUID,
    body: Annotated[
        DenyBody,
        Body(openapi_examples={"no": {"summary": "They are not eligible", "value": {"reason": "not_eligible"}}}),
    ],
    principal: Annotated[Principal, Depends(require(Role.TUTOR, *_STAFF))],
    connections: TheConnections,
    response: Response,
) -> OrderOnItsWay:
    """As for approving. The order is cancelled, its places are free again, and the payer is told."""
    await _require_approver(connections.sessions, order_id, principal)
    handle = connections.temporal.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(order_id))
    decision = DenyOrder(actor=principal.actor, reason=body.reason.value)
    if not await is_delivered(handle.signal(OrderWorkflow.deny, decision, rpc_timeout=_SIGNAL_PATIENCE)):
        raise _not_waiting()
    return _passed_on(order_id, response)


@router.post(
    "/{order_id}/mark-paid",
    status_code=HTTPStatus.ACCEPTED,
    summary="Report money that came in for an invoice",
    responses={
        **answer(HTTPStatus.ACCEPTED, "The money is being written down", ON_ITS_WAY, _LOCATION),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.IDEMPOTENCY_KEY_MISSING,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.NOT_FOUND,
            Reason.INVOICE_NOT_OPEN,
            Reason.UNAVAILABLE,
        ),
    },
)
async def mark_order_paid(
    order_id: UUID,
    body: Annotated[
        MarkPaidBody,
        Body(
            openapi_examples={
                "transfer": {
                    "summary": "A bank transfer",
                    "value": {"amount": 13410, "received_on": "2026-03-09", "method": "bank_transfer"},
                }
            }
        ),
    ],
    idempotency_key: Annotated[
        str, idempotency_header("says which of two equal payments it is; the same key counts once")
    ],
    principal: Annotated[Principal, Depends(require(*_STAFF))],
    connections: TheConnections,
    response: Response,
) -> OrderOnItsWay:
    """The order is completed when all of it has come; a part is written down and the rest is waited for."""
    await _require_open_invoice(connections.sessions, order_id)
    received = MarkPaid(
        entry_id=invoice_payment_id_for(order_id, principal.subject, idempotency_key),
        amount=body.amount,
        received_on=body.received_on,
        method=body.method,
        reference=body.reference,
        actor=principal.actor,
    )
    handle = connections.temporal.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(order_id))
    if not await is_delivered(handle.signal(OrderWorkflow.mark_paid, received, rpc_timeout=_SIGNAL_PATIENCE)):
        raise _no_open_invoice()
    return _passed_on(order_id, response)


async def _require_approver(sessions: Sessions, order_id: UUID, principal: Principal) -> None:
    """Raise `ProblemError` unless the order waits for approval and this caller may give it."""
    bundled = select(col(BundleCourse.course_id)).where(col(BundleCourse.bundle_id) == col(OrderLine.course_id))
    query = (
        select(col(Enrollment.status), col(Course.approver_id))
        .select_from(OrderLine)
        .join(Enrollment, col(Enrollment.order_line_id) == col(OrderLine.id), isouter=True)
        .join(Course, (col(Course.id) == col(OrderLine.course_id)) | col(Course.id).in_(bundled.correlate(OrderLine)))
        .where(col(OrderLine.order_id) == order_id)
    )
    async with sessions() as session:
        rows = (await session.execute(query)).all()
    approvers = {approver_id for _, approver_id in rows}
    if not rows or not (principal.is_staff or principal.person_id in approvers):
        raise ProblemError(Reason.NOT_FOUND, "There is no such order, or it is not yours to decide.")
    if not any(status == EnrollmentStatus.PENDING_APPROVAL for status, _ in rows):
        raise ProblemError(Reason.ORDER_NOT_WAITING_FOR_APPROVAL, "Nobody has to decide on this order any more.")


async def _require_open_invoice(sessions: Sessions, order_id: UUID) -> None:
    query = (
        select(col(Invoice.status))
        .select_from(OrderLine)
        .join(Invoice, col(Invoice.order_id) == col(OrderLine.order_id), isouter=True)
        .where(col(OrderLine.order_id) == order_id)
        .limit(1)
    )
    async with sessions() as session:
        found = (await session.execute(query)).one_or_none()
    if found is None:
        raise ProblemError(Reason.NOT_FOUND, "There is no such order.")
    if found[0] != InvoiceStatus.OPEN:
        raise _no_open_invoice()


def _no_open_invoice() -> ProblemError:
    return ProblemError(Reason.INVOICE_NOT_OPEN, "Money is only taken for an invoice that is open.")


def _not_waiting() -> ProblemError:
    return ProblemError(Reason.ORDER_NOT_WAITING_FOR_APPROVAL, "Nobody has to decide on this order any more.")


def _passed_on(order_id: UUID, response: Response) -> OrderOnItsWay:
    response.headers["Location"] = order_path(order_id)
    return OrderOnItsWay(id=order_id, href=order_path(order_id))
