"""Webhooks about refunds: passed on to the watch of the refund, which reads it again; nothing is decided from them."""

from datetime import timedelta

from sqlalchemy import func, select
from sqlmodel import col
from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.database import Sessions
from activities.refund_record import GOES_BACK
from models import search
from models.identifiers import (
    refund_sweep_workflow_id,
    refund_watch_workflow_id,
    unmatched_payment_workflow_id,
)
from models.messages.refund_watch import SweepRefunds, WatchRefund
from models.tables import Payment, Refund
from models.vocabulary import StripeEventStatus
from routes.parts import Connections
from routes.runs import is_delivered
from routes.stripe_events import CHARGE_REFUNDED, REFUND_FAILED, Event
from workflows.queues import REGISTRAR_QUEUE
from workflows.refund_sweep import RefundSweepWorkflow
from workflows.refund_watch import SUMMARY, RefundWatchWorkflow, watch_attributes
from workflows.unmatched_payment import UnmatchedPaymentWorkflow

_PATIENCE = timedelta(seconds=5)


async def pass_on_refund(connections: Connections, event: Event) -> StripeEventStatus:
    """Wake the refund's watch, or begin one for a refund that is not ours or has failed after it was settled."""
    if event.object_id is None:
        return StripeEventStatus.UNMATCHED
    if event.type == CHARGE_REFUNDED:
        return await _look_for_unknown(connections, event)
    if event.refund_id is not None and event.type != REFUND_FAILED:
        # Ours: whoever made it begins its watch, which then looks for itself.
        return await _wake(connections.temporal, event.object_id)
    await _begin_watch(connections.temporal, event.object_id, is_again=event.type == REFUND_FAILED)
    return StripeEventStatus.SIGNALED


async def _wake(temporal: Client, stripe_refund_id: str) -> StripeEventStatus:
    handle = temporal.get_workflow_handle_for(RefundWatchWorkflow.run, refund_watch_workflow_id(stripe_refund_id))
    is_told = await is_delivered(handle.signal(RefundWatchWorkflow.refund_changed, rpc_timeout=_PATIENCE))
    return StripeEventStatus.SIGNALED if is_told else StripeEventStatus.IGNORED


async def _begin_watch(temporal: Client, stripe_refund_id: str, *, is_again: bool) -> None:
    """Signal the watch and start it if it does not run; only what failed late is watched a second time."""
    reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE if is_again else WorkflowIDReusePolicy.REJECT_DUPLICATE
    try:
        await temporal.start_workflow(
            RefundWatchWorkflow.run,
            WatchRefund(stripe_refund_id=stripe_refund_id),
            id=refund_watch_workflow_id(stripe_refund_id),
            task_queue=REGISTRAR_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=reuse,
            start_signal="refund_changed",
            search_attributes=watch_attributes(),
            static_summary=SUMMARY,
            rpc_timeout=_PATIENCE,
        )
    except WorkflowAlreadyStartedError:
        return


async def _look_for_unknown(connections: Connections, event: Event) -> StripeEventStatus:
    """A charge says only how much of it has gone back. What our record says as well is no news."""
    intent = event.payment_intent_id
    if intent is None:
        return StripeEventStatus.UNMATCHED
    known = await _known_amount(connections.sessions, intent)
    if known is None:
        return await _wake_unmatched(connections.temporal, intent)
    if known == event.amount_refunded:
        return StripeEventStatus.IGNORED
    await connections.temporal.start_workflow(
        RefundSweepWorkflow.run,
        SweepRefunds(payment_intent_id=intent),
        id=refund_sweep_workflow_id(intent, event.id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=TypedSearchAttributes([SearchAttributePair(search.JOB, "refund_sweep")]),
        static_summary="Refunds of a payment that are not in the record",
        rpc_timeout=_PATIENCE,
    )
    return StripeEventStatus.SIGNALED


async def _known_amount(sessions: Sessions, payment_intent_id: str) -> int | None:
    """What goes back of the payment by our record, in minor units; none if it is not a payment of an order."""
    goes_back = (
        select(func.coalesce(func.sum(col(Refund.amount)), 0))
        .where(col(Refund.payment_intent_id) == payment_intent_id, col(Refund.status).in_(GOES_BACK))
        .scalar_subquery()
    )
    query = select(goes_back).where(col(Payment.payment_intent_id) == payment_intent_id)
    async with sessions() as session:
        amount = (await session.execute(query)).scalar_one_or_none()
    return None if amount is None else int(amount)


async def _wake_unmatched(temporal: Client, payment_intent_id: str) -> StripeEventStatus:
    """A person may be asked about this payment, and somebody has answered in Stripe's Dashboard."""
    handle = temporal.get_workflow_handle_for(
        UnmatchedPaymentWorkflow.run, unmatched_payment_workflow_id(payment_intent_id)
    )
    is_told = await is_delivered(handle.signal(UnmatchedPaymentWorkflow.payment_changed, rpc_timeout=_PATIENCE))
    return StripeEventStatus.SIGNALED if is_told else StripeEventStatus.IGNORED
