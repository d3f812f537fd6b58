"""Orders on the fast time-skipping server, each in a world of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from models.identifiers import order_workflow_id
from models.messages.orders import Checkout, CheckoutRequest, OrderOutcome, OrderRequest
from tests.workflows.order_world import DIGEST, OrderWorld, Worlds
from worker import sandboxed_runner
from workflows.order import OrderWorkflow
from workflows.queues import DOCUMENTS_QUEUE, REGISTRAR_QUEUE

Handle = WorkflowHandle[OrderWorkflow, OrderOutcome]

Begin = Callable[[OrderWorld, OrderRequest], Awaitable[tuple[Handle, Checkout]]]


@pytest.fixture
async def worlds(fast_temporal: WorkflowEnvironment) -> AsyncIterator[Worlds]:
    """Workers for every order of a test."""
    served = Worlds()
    async with AsyncExitStack() as workers:
        for queue in (REGISTRAR_QUEUE, DOCUMENTS_QUEUE):
            await workers.enter_async_context(
                Worker(
                    fast_temporal.client,
                    task_queue=queue,
                    workflows=[OrderWorkflow],
                    activities=served.activities,  # type: ignore[arg-type]
                    workflow_runner=sandboxed_runner(),
                )
            )
        yield served


@pytest.fixture
def begin(fast_temporal: WorkflowEnvironment, worlds: Worlds) -> Begin:
    """Start an order in a world as the API does: update-with-start, answered once there is something to say."""

    async def start(world: OrderWorld, request: OrderRequest) -> tuple[Handle, Checkout]:
        worlds.add(world, request)
        return await checkout(fast_temporal.client, request)

    return start


async def checkout(client: Client, request: OrderRequest, digest: str = DIGEST) -> tuple[Handle, Checkout]:
    """Ask for the order as the API does."""
    operation = WithStartWorkflowOperation(
        OrderWorkflow.run,
        request,
        id=order_workflow_id(request.order_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
    )
    answer = await client.execute_update_with_start_workflow(
        OrderWorkflow.checkout, CheckoutRequest(digest=digest), start_workflow_operation=operation
    )
    return await operation.workflow_handle(), answer


async def ending(environment: WorkflowEnvironment, handle: Handle) -> OrderOutcome:
    """The outcome, with the server's clock running ahead to it."""
    async with environment.time_skipping_unlocked():  # type: ignore[attr-defined]
        return await handle.result()


async def lasted(handle: Handle) -> timedelta:
    """How long the order took, by the server's clock."""
    events = (await handle.fetch_history()).events
    return events[-1].event_time.ToDatetime() - events[0].event_time.ToDatetime()
