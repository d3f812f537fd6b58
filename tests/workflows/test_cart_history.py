"""What a cart costs in events, on the fast server: few for each change, and none while it sleeps."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from models.identifiers import cart_workflow_id
from models.messages.carts import (
    AbandonedCart,
    CartAnswer,
    CartOutcome,
    CartStart,
    CartStep,
    ChangeCart,
    ChangedCart,
    CheckedReminder,
    CheckReminder,
    EndCart,
    RecordChange,
)
from models.messages.mail import MailReport, SendMail
from models.vocabulary import CartStatus, MailStatus
from rules.cart import CUTOFF, DELAYS, LOST_AFTER
from worker import sandboxed_runner
from workflows.cart import CartWorkflow
from workflows.cart_listing import CART_SUMMARY
from workflows.queues import REGISTRAR_QUEUE

CART, PERSON, COURSE = UUID(int=1), UUID(int=7), UUID(int=8)
# Of these, the server makes as many as it has occasion to.
_TASKS = ("WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED", "WORKFLOW_TASK_COMPLETED")


@dataclass
class Steps:
    """A record that says yes to everything, by the server's clock, which is ahead of everybody else's."""

    server: WorkflowEnvironment
    sent: list[str] = field(default_factory=list)

    @activity.defn
    async def change_cart(self, step: RecordChange) -> ChangedCart:
        moment = await self.server.get_current_time()
        return ChangedCart(status=CartStatus.OPEN, cutoff_at=moment + CUTOFF)

    @activity.defn
    async def abandon_cart(self, step: CartStep) -> AbandonedCart:
        moment = await self.server.get_current_time()
        due = tuple(moment + delay for delay in DELAYS)
        return AbandonedCart(status=CartStatus.ABANDONED, reminders_at=due, lost_at=moment + LOST_AFTER)

    @activity.defn
    async def check_reminder(self, step: CheckReminder) -> CheckedReminder:
        return CheckedReminder(status=CartStatus.ABANDONED, is_last=step.number == len(DELAYS))

    @activity.defn
    async def send_mail(self, request: SendMail) -> MailReport:
        self.sent.append(request.occasion)
        return MailReport(mail_id=CART, status=MailStatus.SENT)

    @activity.defn
    async def end_cart(self, step: EndCart) -> CheckedReminder:
        return CheckedReminder(status=step.status, is_last=True)


async def _change(client: Client) -> tuple[WorkflowHandle[CartWorkflow, CartOutcome], CartAnswer]:
    start = WithStartWorkflowOperation(
        CartWorkflow.run,
        CartStart(cart_id=CART, person_id=PERSON),
        id=cart_workflow_id(CART),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        static_summary=CART_SUMMARY,
    )
    wish = ChangeCart(cart_id=CART, person_id=PERSON, course_ids=(COURSE,), actor=f"student:{PERSON}")
    answer = await client.execute_update_with_start_workflow(CartWorkflow.change, wish, start_workflow_operation=start)
    return await start.workflow_handle(), answer


async def _events(handle: WorkflowHandle[CartWorkflow, CartOutcome]) -> Counter[str]:
    history = await handle.fetch_history()
    return Counter(EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in history.events)


async def test_events_of_a_cart_that_is_changed_reminded_of_and_lost(fast_temporal: WorkflowEnvironment) -> None:
    steps = Steps(fast_temporal)
    client = fast_temporal.client
    async with Worker(
        client,
        task_queue=REGISTRAR_QUEUE,
        workflows=[CartWorkflow],
        activities=[steps.change_cart, steps.abandon_cart, steps.check_reminder, steps.send_mail, steps.end_cart],
        workflow_runner=sandboxed_runner(),
    ):
        handle, _ = await _change(client)
        before = await _events(handle)
        _, answer = await _change(client)
        after = await _events(handle)
        await _change(client)
        assert answer.status is CartStatus.OPEN
        async with fast_temporal.time_skipping_unlocked():  # type: ignore[attr-defined]
            assert await handle.result() == CartOutcome(status=CartStatus.LOST)
    assert steps.sent == ["1", "2", "3"]
    events = await _events(handle)
    # One change: the message, its step, the answer, and the task that brings them.
    assert sum((after - before).values()) == 6
    tasks = sum(events[kind] for kind in _TASKS)
    # A change that comes with the one before moves no cut-off.
    assert events["TIMER_STARTED"] == events["TIMER_FIRED"] <= 6
    rest = {kind: count for kind, count in events.items() if kind not in (*_TASKS, "TIMER_STARTED", "TIMER_FIRED")}
    assert rest == {
        "WORKFLOW_EXECUTION_STARTED": 1,
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED": 3,
        "WORKFLOW_EXECUTION_UPDATE_COMPLETED": 3,
        "MARKER_RECORDED": 8,
        "ACTIVITY_TASK_SCHEDULED": 3,
        "ACTIVITY_TASK_STARTED": 3,
        "ACTIVITY_TASK_COMPLETED": 3,
        "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES": 5,
        "WORKFLOW_EXECUTION_COMPLETED": 1,
    }
    assert tasks <= 40
    history = (await handle.fetch_history()).events
    lasted = history[-1].event_time.ToDatetime() - history[0].event_time.ToDatetime()
    assert timedelta(days=30) < lasted < timedelta(days=31)
