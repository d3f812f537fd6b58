"""Enrollment and payment: from the quote to the paid seat, the receipt and the mail."""

import asyncio
from datetime import datetime

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.orders import OrderActivities
    from models.errors import Reason, refusal
    from models.messages.orders import (
        ApproveOrder,
        CancelOrder,
        Checkout,
        CheckoutRequest,
        DenyOrder,
        IssuedInvoice,
        MarkPaid,
        OrderOutcome,
        OrderRequest,
        OrderState,
        PaymentFacts,
        PlacedOrder,
        PlaceOrder,
        ReleaseOrder,
    )
    from models.messages.tasks import DecideTask, TaskDecided
    from models.money import Money
    from models.vocabulary import MailTemplate, OrderStatus, PaymentMethod, PaymentStatus, WaitingFor
    from rules.payment import Verdict
    from workflows.approval_wait import ApprovalWait
    from workflows.fulfilment import Fulfilment
    from workflows.invoice_wait import InvoiceWait
    from workflows.order_run import OrderRun
    from workflows.payment_wait import DECLINED, PaymentWait
    from workflows.policies import RECORD
    from workflows.shielding import to_its_end

_PAYMENT_CANCELED = CancelOrder(actor="stripe", reason="payment_canceled")
_OPERATOR_CANCELED = CancelOrder(actor="operator", reason="workflow_cancelled")


@workflow.defn(name="OrderWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class OrderWorkflow:
    """One order, one run. Everybody else only signals; this run reads Stripe and decides (DESIGN §3.4)."""

    @workflow.init
    def __init__(self, request: OrderRequest) -> None:
        self._request = request
        self._run = OrderRun(request)
        self._answerable = False

    @workflow.run
    async def run(self, request: OrderRequest) -> OrderOutcome:
        """Quote and hold, ask for approval and payment, wait for them, then enroll, or give everything back."""
        return await to_its_end(asyncio.create_task(self._tell_story()), self._is_cancelled_by_operator)

    async def _tell_story(self) -> OrderOutcome:
        outcome = await self._go_through_chapters()
        await self._run.outbox.emptied()
        return outcome

    async def _go_through_chapters(self) -> OrderOutcome:
        placed = await self._place()
        if placed.total is None or placed.hold_expires_at is None:
            return self._refuse(placed.refusal or Reason.INTERNAL, placed.refusal_detail or "The order was refused.")
        if placed.approver_ids:
            self._answerable = True
            approved = await ApprovalWait(self._run, placed, placed.hold_expires_at).approved()
            if approved is None:
                return await self._deny(placed.total)
            placed = self._run.placed = placed.model_copy(update=dict(approved))
        return await self._pay(placed)

    def _is_cancelled_by_operator(self) -> None:
        """A cancelled workflow is a cancelled order, not an interrupted one."""
        self._run.inbox.cancel = self._run.inbox.cancel or _OPERATOR_CANCELED

    # ---- the chapters ----

    async def _place(self) -> PlacedOrder:
        placed = self._run.placed = await workflow.execute_local_activity_method(
            OrderActivities.place_order,
            PlaceOrder(request=self._request, workflow_id=self._run.workflow_id),
            summary="Price the order, hold its seats",
            **RECORD,
        )
        self._run.desk.title = f"Order {placed.number or 'without a number'}"
        if placed.total is not None:
            self._run.desk.status = OrderStatus.PENDING_PAYMENT
        return placed

    async def _pay(self, placed: PlacedOrder) -> OrderOutcome:
        total, hold_expires_at = placed.total, placed.hold_expires_at
        assert total is not None  # noqa: S101 - the order was not refused
        assert hold_expires_at is not None  # noqa: S101
        if total.amount == 0:
            await Fulfilment(self._run).deliver(payment=None)
        elif placed.invoice is not None:
            await self._pay_by_invoice(placed.invoice, total)
        else:
            await self._pay_by_stripe(total, hold_expires_at, is_approved=bool(placed.approver_ids))
        await self._run.tasks.withdraw()
        return self._outcome()

    async def _pay_by_stripe(self, total: Money, hold_expires_at: datetime, *, is_approved: bool) -> None:
        self._run.desk.tell(WaitingFor.STRIPE, "Stripe is being asked to prepare the payment.", in_passing=True)
        wait = PaymentWait(self._run, total, hold_expires_at)
        prepared = await wait.request()
        if prepared.refusal is not None:
            why = CancelOrder(actor="stripe", reason=prepared.refusal)
            await self._is_released(OrderStatus.FAILED, why, _never_made(total))
            self._refuse(prepared.refusal, prepared.refusal_detail or "Stripe refused the payment.")
            return
        self._answerable = True
        if is_approved:
            self._run.mail_payer(MailTemplate.ORDER_APPROVED, "Mail that the order is approved and can be paid")
        payment, verdict = await wait.end()
        if verdict is Verdict.PAID:
            await Fulfilment(self._run).deliver(payment)
            return
        why = self._run.inbox.cancel or self._run.regret or _PAYMENT_CANCELED
        if not await self._is_released(OrderStatus.FAILED if why == DECLINED else OrderStatus.CANCELLED, why, payment):
            return
        if wait.was_processing or why == DECLINED:
            self._run.mail_payer(MailTemplate.ORDER_CANCELLED, "Mail that the bank has not paid")
        else:
            self._tell_payer_of_staffs_cancellation(why)

    async def _pay_by_invoice(self, invoice: IssuedInvoice, total: Money) -> None:
        self._answerable = True
        wait = InvoiceWait(self._run, invoice, total)
        if await wait.paid():
            await Fulfilment(self._run).deliver(payment=None)
            await wait.settle(owed=total)
            return
        why = self._run.inbox.cancel or _PAYMENT_CANCELED
        if await self._is_released(OrderStatus.CANCELLED, why, payment=None):
            self._run.mail_payer(MailTemplate.ORDER_CANCELLED, "Mail that the order is cancelled")
        await wait.settle(owed=Money(amount=0, currency=total.currency))

    async def _deny(self, total: Money) -> OrderOutcome:
        why = self._run.inbox.cancel or _PAYMENT_CANCELED
        by_stripe = total.amount > 0 and self._request.payment_method is not PaymentMethod.INVOICE
        payment = _never_made(total) if by_stripe else None
        if not await self._is_released(OrderStatus.CANCELLED, why, payment):
            return self._outcome()
        if why.reason.startswith("denied:") or why.reason == "approval_expired":
            self._run.mail_payer(MailTemplate.ORDER_DENIED, "Mail that the order is denied")
        else:
            self._tell_payer_of_staffs_cancellation(why)
        return self._outcome()

    async def _is_released(self, status: OrderStatus, why: CancelOrder, payment: PaymentFacts | None) -> bool:
        """False if there was nothing to give back: this run was reset, and the order is over since the one before."""
        known = await workflow.execute_local_activity_method(
            OrderActivities.release_order,
            ReleaseOrder(
                order_id=self._request.order_id,
                status=status,
                reason=why.reason,
                actor=why.actor,
                payment=payment,
                workflow_id=self._run.workflow_id,
            ),
            summary=f"Give the seats back: {why.reason}",
            **RECORD,
        )
        self._run.desk.status = known or status
        self._tell_end(why)
        return known is None

    def _tell_payer_of_staffs_cancellation(self, why: CancelOrder) -> None:
        """Who cancels their own order, or lets it lapse, knows; whom staff cancels it for does not."""
        is_staff = why.actor.startswith(("staff", "admin", "service", "operator"))
        if is_staff and workflow.patched("payers are told that staff cancelled"):
            self._run.mail_payer(MailTemplate.ORDER_CANCELLED, "Mail that the order is cancelled")

    # ---- messages ----

    @workflow.update(description="Wait until the order stands; answers its total and what it waits for, or why not")
    async def checkout(self, request: CheckoutRequest) -> Checkout:
        """Answer the caller who started the order, or repeats it, once there is something to say."""
        if request.digest != self._request.digest:
            raise refusal(Reason.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used with another request.")
        run = self._run
        await workflow.wait_condition(lambda: run.refusal is not None or self._answerable or run.is_over)
        if run.refusal is not None:
            raise refusal(*run.refusal)
        assert run.placed is not None  # noqa: S101 - answerable or over means placed
        assert run.placed.total is not None  # noqa: S101
        assert run.status is not None  # noqa: S101
        return Checkout(
            order_id=self._request.order_id,
            status=run.status,
            total=run.placed.total,
            waiting_for=run.desk.waiting_for,
        )

    @workflow.signal(description="Look at the payment again: something about it may have changed at Stripe")
    def payment_changed(self) -> None:
        self._run.inbox.payment_changed = True

    @workflow.signal(description="Cancel the order while it is unpaid: {actor: 'staff:<id>', reason: '…'}")
    def cancel(self, wish: CancelOrder) -> None:
        before = self._run.inbox.cancel
        if before is None or before.unless_bank_is_working:
            self._run.inbox.cancel = wish

    @workflow.signal(description="Let the students in: {actor: 'staff:<id>'}")
    def approve(self, approval: ApproveOrder) -> None:
        self._run.inbox.approval = self._run.inbox.approval or approval

    @workflow.signal(description="Do not let the students in: {actor: 'staff:<id>', reason: 'not_eligible'}")
    def deny(self, denial: DenyOrder) -> None:
        self._run.inbox.approval = self._run.inbox.approval or denial

    @workflow.signal(
        description="Money came in for the invoice: {entry_id: '<new uuid>', amount: <minor units>, "
        "received_on: 'YYYY-MM-DD', method: 'bank_transfer', actor: 'staff:<id>'}"
    )
    def mark_paid(self, received: MarkPaid) -> None:
        self._run.inbox.received.append(received)

    @workflow.update(description="Decide an open task: {task_id: '…', action: 'accept', actor: 'staff:<id>'}")
    async def decide(self, decision: DecideTask) -> TaskDecided:
        """Take what a person decided."""
        return await self._run.tasks.decide(decision)

    @decide.validator
    def _check_decision(self, decision: DecideTask) -> None:
        self._run.tasks.check(decision)

    @workflow.query(description="Where the order stands, what it waits for, and who has to act")
    def status(self) -> OrderState:
        return self._run.state()

    # ---- what is said about it ----

    def _refuse(self, reason: Reason, detail: str) -> OrderOutcome:
        self._run.refusal = (reason, detail)
        self._run.desk.tell(WaitingFor.NOTHING, f"Refused, {reason}: {detail}")
        return self._outcome()

    def _tell_end(self, why: CancelOrder) -> None:
        self._run.desk.tell(WaitingFor.NOTHING, f"Over: {self._run.desk.status} ({why.reason}).")

    def _outcome(self) -> OrderOutcome:
        reason, detail = self._run.refusal or (None, None)
        return OrderOutcome(
            order_id=self._request.order_id,
            status=self._run.status,
            refusal=reason,
            refusal_detail=detail,
        )


def _never_made(total: Money) -> PaymentFacts:
    return PaymentFacts(status=PaymentStatus.CANCELED, captured=Money(amount=0, currency=total.currency))
