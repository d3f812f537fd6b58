"""Money that no running order waits for: nobody's, a second time, too late."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from models.identifiers import unmatched_payment_workflow_id
from models.messages.mail import MailReport, SendMail
from models.messages.orders import RefundedPlaces, RefundPayment, RefundReport
from models.messages.payments import (
    FoundPayment,
    PaidBack,
    PayBack,
    PaymentOwner,
    UnmatchedOutcome,
    UnmatchedPayment,
)
from models.messages.tasks import CloseTask, DecideTask, OpenTask
from models.money import Money
from models.vocabulary import MailStatus, OrderStatus, RefundStatus, TaskAction, TaskKind
from tests.eventually import eventually
from worker import sandboxed_runner
from workflows.queues import REGISTRAR_QUEUE
from workflows.unmatched_payment import UnmatchedPaymentWorkflow

Handle = WorkflowHandle[UnmatchedPaymentWorkflow, UnmatchedOutcome]


@dataclass
class Till:
    """Stands in for Stripe, the record and the mail server."""

    owner: PaymentOwner = PaymentOwner.NOBODY
    refunded: int = 0
    refuses: int = 0
    did: list[str] = field(default_factory=list)
    tasks: list[OpenTask] = field(default_factory=list)
    decisions: list[CloseTask] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)

    @activity.defn
    async def find_payment(self, step: UnmatchedPayment) -> FoundPayment:
        return FoundPayment(
            owner=self.owner,
            captured=Money(amount=4900, currency="EUR"),
            refunded_amount=self.refunded,
            payer_id=None if self.owner is PaymentOwner.NOBODY else uuid4(),
        )

    @activity.defn
    async def pay_back(self, step: PayBack) -> PaidBack:
        self.keys.append(step.attempt)
        if self.refuses:
            self.refuses -= 1
            return PaidBack(status=RefundStatus.FAILED)
        self.refunded = 4900
        return PaidBack(status=RefundStatus.SUCCEEDED)

    @activity.defn
    async def refund_payment(self, step: RefundPayment) -> RefundedPlaces:
        self.refunded = step.amount.amount
        self.did.append(f"refund {step.reason}")
        report = RefundReport(refund_id=uuid4(), status=RefundStatus.SUCCEEDED)
        return RefundedPlaces(order_status=OrderStatus.CANCELLED, refunds=(report,))

    @activity.defn
    async def open_task(self, step: OpenTask) -> None:
        self.tasks.append(step)

    @activity.defn
    async def close_task(self, step: CloseTask) -> None:
        self.decisions.append(step)

    @activity.defn
    async def send_mail(self, request: SendMail) -> MailReport:
        self.did.append(f"mail {request.template}:{request.occasion}")
        return MailReport(mail_id=UUID(int=0), status=MailStatus.SENT)


@pytest.fixture
async def till(fast_temporal: WorkflowEnvironment) -> AsyncIterator[Till]:
    served = Till()
    steps = (
        served.find_payment, served.pay_back, served.refund_payment, served.open_task, served.close_task,
        served.send_mail,
    )  # fmt: skip
    async with Worker(
        fast_temporal.client,
        task_queue=REGISTRAR_QUEUE,
        workflows=[UnmatchedPaymentWorkflow],
        activities=steps,
        workflow_runner=sandboxed_runner(),
    ):
        yield served


async def begin(environment: WorkflowEnvironment, order_id: UUID | None = None) -> Handle:
    return await environment.client.start_workflow(
        UnmatchedPaymentWorkflow.run,
        UnmatchedPayment(payment_intent_id="pi_1", order_id=order_id),
        id=unmatched_payment_workflow_id("pi_1"),
        task_queue=REGISTRAR_QUEUE,
    )


async def decide(handle: Handle, till: Till, action: TaskAction, nth: int = 1) -> None:
    async def is_asked() -> bool:
        return len(till.tasks) >= nth

    await eventually(is_asked)
    decision = DecideTask(task_id=till.tasks[-1].task_id, action=action, actor="staff:7")
    await handle.execute_update(UnmatchedPaymentWorkflow.decide, decision)


async def test_an_orders_own_payment_is_left_alone(fast_temporal: WorkflowEnvironment, till: Till) -> None:
    till.owner = PaymentOwner.ORDER
    outcome = await (await begin(fast_temporal, uuid4())).result()
    assert (outcome.owner, till.did, till.tasks) == (PaymentOwner.ORDER, [], [])


@pytest.mark.parametrize(
    ("owner", "kind"),
    [
        (PaymentOwner.NOBODY, TaskKind.UNKNOWN_PAYMENT),
        (PaymentOwner.SECOND, TaskKind.DOUBLE_PAYMENT),
        (PaymentOwner.STUCK, TaskKind.UNKNOWN_PAYMENT),
    ],
)
@pytest.mark.parametrize("action", [TaskAction.REFUND, TaskAction.DISMISS])
async def test_a_person_decides_about_money_without_an_order(
    fast_temporal: WorkflowEnvironment, till: Till, owner: PaymentOwner, kind: TaskKind, action: TaskAction
) -> None:
    till.owner = owner
    handle = await begin(fast_temporal, None if owner is PaymentOwner.NOBODY else uuid4())
    await decide(handle, till, action)
    await handle.result()
    assert [task.kind for task in till.tasks] == [kind]
    assert till.refunded == (4900 if action is TaskAction.REFUND else 0)
    assert [closed.decision.action for closed in till.decisions] == [action]
    # What came for an order goes back on the order's record.
    reason = {PaymentOwner.SECOND: "double_payment", PaymentOwner.STUCK: "paid_too_late"}.get(owner)
    is_on_record = reason is not None and action is TaskAction.REFUND
    assert till.did == ([f"refund {reason}", f"mail refund:{reason}"] if is_on_record else [])


async def test_a_refused_refund_is_asked_about_again(fast_temporal: WorkflowEnvironment, till: Till) -> None:
    till.refuses = 1
    handle = await begin(fast_temporal)
    await decide(handle, till, TaskAction.REFUND)
    await decide(handle, till, TaskAction.REFUND, nth=2)
    await handle.result()
    assert (till.refunded, till.keys) == (4900, [1, 2])
    assert len({task.task_id for task in till.tasks}) == 2, "a decided task is never opened again"


async def test_money_that_went_back_by_hand_needs_no_decision(fast_temporal: WorkflowEnvironment, till: Till) -> None:
    handle = await begin(fast_temporal)

    async def is_asked() -> bool:
        return bool(till.tasks)

    await eventually(is_asked)
    till.refunded = 4900
    await handle.signal(UnmatchedPaymentWorkflow.payment_changed)
    await handle.result()
    assert [closed.decision.actor for closed in till.decisions] == ["system"]


async def test_money_that_came_too_late_goes_back_by_itself(fast_temporal: WorkflowEnvironment, till: Till) -> None:
    till.owner = PaymentOwner.LATE
    await (await begin(fast_temporal, uuid4())).result()
    assert till.did == ["refund paid_too_late", "mail refund:paid_too_late"]
    assert till.tasks == []
