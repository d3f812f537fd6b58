"""Starting an order: update-with-start, and what every way in which it can end means for the caller."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col
from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
)
from temporalio.common import SearchAttributePair, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.database import Sessions
from activities.job_reading import describe
from activities.starts import leave_no_start_unread
from models import search
from models.errors import Reason
from models.identifiers import order_workflow_id
from models.messages.orders import CheckoutRequest, OrderRequest
from models.tables import Order
from models.vocabulary import OrderStatus, WaitingFor
from routes.outages import is_not_found
from routes.problems import KINDS, ProblemError
from workflows.order import OrderWorkflow
from workflows.queues import REGISTRAR_QUEUE

PATIENCE = timedelta(seconds=15)
_GLANCE = timedelta(seconds=3)


class Started(Enum):
    """What the caller learns about the order they asked for."""

    NEW = auto()
    REPEATED = auto()
    STILL_WORKING = auto()


@dataclass(frozen=True)
class _Known:
    """The order that this Idempotency-Key already stands for."""

    digest: str
    status: OrderStatus
    status_reason: str | None


async def start_order(temporal: Client, sessions: Sessions, request: OrderRequest) -> Started:
    """Start the order, or find the one its key stands for. Raises `ProblemError` if it is refused.

    The record is asked first: Temporal forgets closed runs after the retention period, the record does not, and a key
    must never buy twice.
    """
    known = await _known(sessions, request.order_id)
    if known is None:
        return await _start(temporal, sessions, request)
    if _is_settled(known, request.digest):
        return Started.REPEATED
    started = await _start(temporal, sessions, request)
    return Started.REPEATED if started is Started.NEW else started


async def _start(temporal: Client, sessions: Sessions, request: OrderRequest) -> Started:
    start = _start_operation(request)
    leave_no_start_unread(start)
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            _ = await temporal.execute_update_with_start_workflow(
                OrderWorkflow.checkout,
                CheckoutRequest(digest=request.digest),
                start_workflow_operation=start,
                # The server answers a repeated update id from memory, so another request needs another id.
                id=f"checkout-{request.digest}",
                rpc_timeout=PATIENCE,
            )
    except WorkflowUpdateFailedError as failed:
        raise _problem_of(failed) from failed
    except WorkflowAlreadyStartedError:
        return await _answer_of_closed_run(temporal, sessions, request)
    except (RPCTimeoutOrCancelledError, TimeoutError):
        return await _still_working(temporal, request)
    except RPCError as error:
        if is_not_found(error):  # the run closed while the update was on its way
            return await _answer_of_closed_run(temporal, sessions, request)
        raise
    return Started.NEW


def _start_operation(request: OrderRequest) -> "WithStartWorkflowOperation[OrderWorkflow, object]":
    lines = "1 line" if len(request.lines) == 1 else f"{len(request.lines)} lines"
    details = [f"Payer `{request.payer_id}`, asked for by `{request.requested_by}`.", ""]
    details += [
        f"- course `{line.course_id}` for student `{line.student_id}`"
        + (f", {len(line.slot_ids)} slots" if line.slot_ids else "")
        for line in request.lines
    ]
    courses = sorted({str(line.course_id) for line in request.lines})
    return WithStartWorkflowOperation(
        OrderWorkflow.run,
        request,
        id=order_workflow_id(request.order_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        search_attributes=search.at_start(
            "order",
            OrderStatus.PENDING_PAYMENT,
            WaitingFor.PAYMENT,
            SearchAttributePair(search.ORDER_ID, str(request.order_id)),
            SearchAttributePair(search.COURSE_ID, courses),
        ),
        static_summary=f"Order of {lines}, pays by {request.payment_method}{', test' if request.is_test else ''}",
        static_details="\n".join(details),
    )


async def _known(sessions: Sessions, order_id: UUID) -> _Known | None:
    query = select(col(Order.request_digest), col(Order.status), col(Order.status_reason)).where(
        col(Order.id) == order_id
    )
    async with sessions() as session:
        row = (await session.execute(query)).one_or_none()
    return None if row is None else _Known(row[0], OrderStatus(row[1]), row[2])


def _is_settled(known: _Known, digest: str) -> bool:
    """Whether the order needs no run any more. Raises `ProblemError` if it was another request, or was refused."""
    if known.digest != digest:
        raise ProblemError(Reason.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used with another request.")
    if known.status is OrderStatus.FAILED and known.status_reason in set(Reason):
        reason = Reason(known.status_reason)
        raise ProblemError(reason, f"{KINDS[reason].title}.")
    return known.status is not OrderStatus.PENDING_PAYMENT


async def _answer_of_closed_run(temporal: Client, sessions: Sessions, request: OrderRequest) -> Started:
    known = await _known(sessions, request.order_id)
    if known is not None:
        _is_settled(known, request.digest)
        return Started.REPEATED
    handle = temporal.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(request.order_id))
    try:
        async with asyncio.timeout(_GLANCE.total_seconds()):
            outcome = await handle.result(follow_runs=False, rpc_timeout=_GLANCE)
    except WorkflowFailureError:
        raise ProblemError(Reason.INTERNAL, "The order could not be placed; an operator has been shown why.") from None
    if outcome.refusal is None:
        return Started.REPEATED
    raise ProblemError(outcome.refusal, outcome.refusal_detail or f"{KINDS[outcome.refusal].title}.")


async def _still_working(temporal: Client, request: OrderRequest) -> Started:
    """Nothing came back in time: the order is on its way if its run exists, otherwise nothing has happened."""
    if await describe(temporal, order_workflow_id(request.order_id), _GLANCE) is None:
        raise ProblemError(Reason.UNAVAILABLE, "Please repeat the request with the same key.")
    return Started.STILL_WORKING


def _problem_of(failed: WorkflowUpdateFailedError) -> ProblemError:
    cause = failed.cause
    if isinstance(cause, ApplicationError) and cause.type in set(Reason):
        return ProblemError(Reason(cause.type), cause.message)
    return ProblemError(Reason.INTERNAL, "The order could not be placed; an operator has been shown why.")
