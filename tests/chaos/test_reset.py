"""Reset a finished order to any of its workflow tasks: nothing is charged, numbered or mailed a second time."""

import asyncio
from uuid import uuid4

from sqlalchemy import func, select
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from models.tables import AuditEntry, Document, Mail
from tests.installation import Installation


async def test_a_reset_order_repeats_nothing(installation: Installation) -> None:
    order = (await installation.post_order("python-cohort")).json()
    await installation.pay(order)
    done = await installation.order_ends(order["id"])
    handle = installation.temporal.get_workflow_handle(f"order-{order['id']}")
    finished = await handle.describe()
    history = await handle.fetch_history()
    points = [
        event.event_id for event in history.events if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]
    before = await _written(installation)
    for point in points:
        await installation.temporal.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=installation.temporal.namespace,
                workflow_execution=WorkflowExecution(workflow_id=finished.id, run_id=finished.run_id),
                reason="a drill",
                workflow_task_finish_event_id=point,
                request_id=uuid4().hex,
            )
        )
        await asyncio.wait_for(handle.result(), 60)
        assert await _written(installation) == before
        assert (await installation.order(order["id"]))["receipt"] == done["receipt"]
    money = await installation.double.control.order(order["id"])
    assert (money.payment_intents, money.charges_succeeded, money.refunds) == (1, 1, 0)
    assert len(installation.mailbox.messages()) == 1


async def _written(installation: Installation) -> list[int]:
    async with installation.sessions() as session:
        return [
            (await session.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (Document, Mail, AuditEntry)
        ]
