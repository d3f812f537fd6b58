"""Money at Stripe that no running order waits for: a second payment, one that came too late, or nobody's."""

import asyncio

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.unmatched_payments import UnmatchedPaymentActivities
    from models.identifiers import stripe_subject_id
    from models.messages.jobs import JobState
    from models.messages.payments import FoundPayment, PayBack, PaymentOwner, UnmatchedOutcome, UnmatchedPayment
    from models.messages.tasks import DecideTask, TaskDecided
    from models.vocabulary import RefundStatus, TaskAction, TaskKind, WaitingFor
    from workflows.desk import Desk
    from workflows.human_tasks import HumanTasks
    from workflows.mailing import Outbox
    from workflows.paying_back import PayingBack
    from workflows.policies import STRIPE
    from workflows.shielding import to_its_end

_KINDS = {
    PaymentOwner.SECOND: TaskKind.DOUBLE_PAYMENT,
    PaymentOwner.NOBODY: TaskKind.UNKNOWN_PAYMENT,
    PaymentOwner.STUCK: TaskKind.UNKNOWN_PAYMENT,
    PaymentOwner.UNREADABLE: TaskKind.UNKNOWN_PAYMENT,
}
_WHY = {
    PaymentOwner.SECOND: "came in for an order that this payment does not belong to: it may have been paid twice.",
    PaymentOwner.NOBODY: "came in at Stripe, and no order knows of it.",
    PaymentOwner.STUCK: "came in for an order whose job has ended too early: reset that job, then `dismiss`.",
    PaymentOwner.UNREADABLE: "came in at Stripe and cannot be counted here: see to it in Stripe.",
}


@workflow.defn(name="UnmatchedPaymentWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class UnmatchedPaymentWorkflow:
    """One payment, one run: found out whose it is, and settled."""

    @workflow.init
    def __init__(self, request: UnmatchedPayment) -> None:
        self._request = request
        self._outbox = Outbox()
        self._tasks = HumanTasks(self._outbox)
        self._changed = False
        self._refunds = 0
        self._desk = Desk(
            f"Payment {request.payment_intent_id}",
            "Its owner is being looked up.",
            listed=("open", WaitingFor.STRIPE),
            can_do="`payment_changed` has Stripe asked at once.",
        )

    @workflow.run
    async def run(self, request: UnmatchedPayment) -> UnmatchedOutcome:
        """Look up whose it is; what came too late goes back by itself, of the rest a person decides."""
        return await to_its_end(asyncio.create_task(self._settle()))

    async def _settle(self) -> UnmatchedOutcome:
        found = await self._find()
        if found.owner is PaymentOwner.LATE and found.has_money:
            await self._pay_back_to(found, "paid_too_late")
        elif found.owner is not PaymentOwner.ORDER:
            while found.has_money and not await self._is_settled(found):
                found = await self._find()
        await self._tasks.withdraw()
        await self._outbox.emptied()
        self._desk.status = "settled"
        self._desk.tell(WaitingFor.NOTHING, "Settled.")
        return UnmatchedOutcome(owner=found.owner)

    async def _find(self) -> FoundPayment:
        return await workflow.execute_activity_method(
            UnmatchedPaymentActivities.find_payment, self._request, summary="Read the payment, find its owner", **STRIPE
        )

    async def _is_settled(self, found: FoundPayment) -> bool:
        """Ask a person; false if something changed at Stripe first, or a refund was refused."""
        self._changed = False
        left = found.left or found.as_stripe_says
        actions = (TaskAction.DISMISS,) if found.left is None else (TaskAction.REFUND, TaskAction.DISMISS)
        self._desk.status = "open"
        self._desk.tell(
            WaitingFor.OPERATOR,
            f"{left} {_WHY[found.owner]} Decide the task: `refund` pays it back, `dismiss` keeps it.",
            needs_human=True,
        )
        order_id = self._request.order_id
        about = ("order", order_id) if order_id else ("payment", stripe_subject_id(self._request.payment_intent_id))
        action = await self._tasks.ask(
            _KINDS[found.owner],
            "payment",
            f"{left} ({self._request.payment_intent_id}) {_WHY[found.owner]}",
            actions,
            subject=about,
            unless=lambda: self._changed,
        )
        if action is TaskAction.REFUND:
            self._desk.tell(WaitingFor.STRIPE, "The money goes back.", in_passing=True)
            if self._is_of_an_order(found) and workflow.patched("second payments go back on record"):
                return await self._pay_back_to(found, "double_payment")
            if self._is_unseen_by_its_order(found) and workflow.patched("unseen payments go back on record"):
                return await self._pay_back_to(found, "paid_too_late")
            return await self._is_paid_back()
        return action is TaskAction.DISMISS

    async def _is_paid_back(self) -> bool:
        self._refunds += 1
        paid = await workflow.execute_activity_method(
            UnmatchedPaymentActivities.pay_back,
            PayBack(
                payment_intent_id=self._request.payment_intent_id,
                workflow_id=workflow.info().workflow_id,
                attempt=self._refunds,
            ),
            summary="Pay it back",
            **STRIPE,
        )
        return paid.status is not RefundStatus.FAILED

    def _is_of_an_order(self, found: FoundPayment) -> bool:
        return found.owner is PaymentOwner.SECOND and self._request.order_id is not None and found.left is not None

    def _is_unseen_by_its_order(self, found: FoundPayment) -> bool:
        return found.owner is PaymentOwner.STUCK and self._request.order_id is not None and found.left is not None

    async def _pay_back_to(self, found: FoundPayment, reason: str) -> bool:
        """Money that came for an order which cannot use it: it goes back on record, and the payer is told."""
        assert self._request.order_id is not None  # noqa: S101 - an order's payment is late, second or unseen
        assert found.payer_id is not None  # noqa: S101
        assert found.left is not None  # noqa: S101 - what is not readable has no owner
        back = PayingBack(self._request.order_id, found.payer_id, self._desk, self._tasks, self._outbox)
        await back.payment(self._request.payment_intent_id, found.left, reason)
        return True

    @workflow.signal(description="Look at the payment again: something about it may have changed at Stripe")
    def payment_changed(self) -> None:
        self._changed = True

    @workflow.update(description="Decide the open task: {task_id: '…', action: 'refund', actor: 'staff:<id>'}")
    async def decide(self, decision: DecideTask) -> TaskDecided:
        """Take what a person decided."""
        return await self._tasks.decide(decision)

    @decide.validator
    def _check_decision(self, decision: DecideTask) -> None:
        self._tasks.check(decision)

    @workflow.query(description="Whose payment it seems to be, and who has to act")
    def status(self) -> JobState:
        return self._desk.state(self._tasks.open_id)
