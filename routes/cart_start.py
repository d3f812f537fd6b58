"""Messaging the workflow of a cart: changing it with update-with-start, and clearing it."""

import asyncio
import logging
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
)
from temporalio.common import (
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError

from activities.carts import CartActivities
from activities.database import Sessions
from activities.starts import leave_no_start_unread
from models.errors import Reason
from models.identifiers import cart_workflow_id
from models.messages.carts import CartStart, ChangeCart, EndCart
from models.tables import Cart
from models.vocabulary import CartStatus
from routes.outages import is_not_found, is_outage
from routes.parts import Connections
from routes.refusals import PATIENCE, in_any_run, problem_of
from rules.cart import LIVE
from workflows.cart import CartWorkflow
from workflows.cart_listing import CART_SUMMARY, cart_attributes
from workflows.queues import REGISTRAR_QUEUE

_PATIENCE_BEFORE_CLEARING = timedelta(seconds=5)
_SIGNAL_PATIENCE = timedelta(seconds=2)
_REFUSALS = {Reason.NOT_FOUND, Reason.CART_OVER, Reason.UNKNOWN_COURSE, Reason.UNKNOWN_PERSON}

_log = logging.getLogger("registrar.api")


async def change_cart(temporal: Client, change: ChangeCart) -> None:
    """Have the cart changed, by its run or a new one. Raises `ProblemError` if it is refused or takes too long."""

    async def ask() -> None:
        start = _start_operation(change)
        leave_no_start_unread(start)
        _ = await temporal.execute_update_with_start_workflow(
            CartWorkflow.change, change, start_workflow_operation=start, rpc_timeout=PATIENCE
        )

    await in_any_run(ask, lambda failed: problem_of(failed, _REFUSALS), "repeat it")


def _start_operation(change: ChangeCart) -> "WithStartWorkflowOperation[CartWorkflow, object]":
    return WithStartWorkflowOperation(
        CartWorkflow.run,
        CartStart(cart_id=change.cart_id, person_id=change.person_id),
        id=cart_workflow_id(change.cart_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=cart_attributes(),
        static_summary=CART_SUMMARY,
        static_details=f"Of person `{change.person_id}`, first changed by `{change.actor}`.",
    )


async def clear_cart(connections: Connections, cart_id: UUID, person_id: UUID) -> None:
    """Delete what is in the cart, before this returns: its person said no thanks.

    The cart's workflow does it. Where no run or no worker answers, its step is taken here: whoever says no thanks has
    not to wait for our outage, and the run finds it done.
    """
    workflow_id = cart_workflow_id(cart_id)
    handle = connections.temporal.get_workflow_handle_for(CartWorkflow.run, workflow_id)
    try:
        async with asyncio.timeout(_PATIENCE_BEFORE_CLEARING.total_seconds()):
            _ = await handle.execute_update(CartWorkflow.clear, rpc_timeout=_PATIENCE_BEFORE_CLEARING)
    except (TemporalError, TimeoutError, OSError, RPCError) as error:
        _log.info("cart cleared without its workflow: %s", type(error).__qualname__)
    steps = CartActivities(connections.sessions)
    # Once more where the workflow has done it: that the data is gone is seen in the record, not in an answer.
    await steps.end_cart(
        EndCart(
            cart_id=cart_id,
            status=CartStatus.CLEARED,
            reason="no_thanks",
            actor=f"recipient:{person_id}",
            workflow_id=workflow_id,
        )
    )


async def tell_carts_unsubscribed(connections: Connections, person_id: UUID) -> None:
    """Tell the jobs of the person's carts that no mail will be wanted. The record stops the mails in any case."""
    query = select(col(Cart.id)).where(col(Cart.person_id) == person_id, col(Cart.status).in_(LIVE))
    try:
        async with connections.sessions() as session:
            cart_ids = (await session.execute(query)).scalars().all()
        for cart_id in cart_ids:
            handle = connections.temporal.get_workflow_handle_for(CartWorkflow.run, cart_workflow_id(cart_id))
            await handle.signal(CartWorkflow.unsubscribed, rpc_timeout=_SIGNAL_PATIENCE)
    except (TemporalError, SQLAlchemyError, RPCError, OSError) as error:
        if isinstance(error, RPCError) and not (is_not_found(error) or is_outage(error)):
            raise
        _log.info("unsubscribed: no job told, %s", type(error).__qualname__)


async def owner_of(sessions: Sessions, cart_id: UUID) -> UUID | None:
    """Whose cart it is, for good; none if there is no such cart yet."""
    async with sessions() as session:
        query = select(col(Cart.person_id)).where(col(Cart.id) == cart_id)
        return (await session.execute(query)).scalar_one_or_none()
