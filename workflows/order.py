"""Enrollment and payment: from the quote to the paid seat, the receipt and the mail."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.documents import DocumentActivities
    from activities.mail import MailActivities
    from activities.orders import OrderActivities
    from activities.stripe import StripeActivities
    from models import search
    from models.errors import Reason, refusal
    from models.messages.documents import RenderReceipt
    from models.messages.mail import MailReport, SendMail
    from models.messages.orders import (
        CancelOrder,
        Checkout,
        CheckoutRequest,
        CompletedOrder,
        CompleteOrder,
        OrderOutcome,
        OrderPayment,
        OrderRequest,
        OrderState,
        PaymentFacts,
        PaymentRequest,
        PlacedOrder,
        PlaceOrder,
        ReleaseOrder,
    )
    from models.money import Money
    from models.vocabulary import MailStatus, MailTemplate, OrderStatus, PaymentStatus, WaitingFor
    from rules.holds import PROCESSING_HOLD
    from rules.payment import Verdict, judge
    from workflows.policies import DOCUMENTS, MAIL, RECORD, STRIPE
    from workflows.queues import DOCUMENTS_QUEUE

_HOLD_EXPIRED = CancelOrder(actor="system", reason="hold_expired")
_PAYMENT_CANCELED = CancelOrder(actor="stripe", reason="payment_canceled")
_OPERATOR_CANCELED = CancelOrder(actor="operator", reason="workflow_cancelled")


@workflow.defn(name="OrderWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class OrderWorkflow:
    """One order, one run. Everybody else only signals; this run reads Stripe and decides (DESIGN §3.4)."""

    @workflow.init
    def __init__(self, request: OrderRequest) -> None:
        self._request = request
        self._placed: PlacedOrder | None = None
        self._status: OrderStatus | None = None
        self._payable = False
        self._refusal: tuple[Reason, str] | None = None
        self._payment_changed = False
        self._cancel: CancelOrder | None = None
        self._waiting_for = WaitingFor.NOTHING
        self._since = workflow.now()
        self._next_action = "The order is being priced and its seats are being held."
        self._needs_human = False
        # What the search attributes say from the start (routes/order_start.py); saying it again would cost an event.
        self._listed: tuple[OrderStatus | None, WaitingFor, bool] = (
            OrderStatus.PENDING_PAYMENT,
            WaitingFor.PAYMENT,
            False,
        )

    @workflow.run
    async def run(self, request: OrderRequest) -> OrderOutcome:
        """Quote and hold, ask for the payment, wait for it, then enroll, or give everything back."""
        return await self._shield_from_cancellation(asyncio.create_task(self._tell_story()))

    async def _tell_story(self) -> OrderOutcome:
        placed = await self._place()
        if placed.total is None or placed.hold_expires_at is None:
            return self._refuse(placed.refusal or Reason.INTERNAL, placed.refusal_detail or "The order was refused.")
        if placed.total.amount == 0:
            return await self._complete(payment=None)
        if not await self._request_payment(placed.total):
            return self._outcome()
        payment, verdict = await self._await_payment(placed.total, placed.hold_expires_at)
        if verdict is Verdict.PAID:
            return await self._complete(payment)
        return await self._release(OrderStatus.CANCELLED, self._cancel or _PAYMENT_CANCELED, payment)

    async def _shield_from_cancellation(self, story: "asyncio.Task[OrderOutcome]") -> OrderOutcome:
        """A cancelled workflow is a cancelled order, not an interrupted one: no money step is ever cut in two."""
        while True:
            try:
                outcome = await asyncio.shield(story)
                await workflow.wait_condition(workflow.all_handlers_finished)
                return outcome
            except asyncio.CancelledError:
                if story.cancelled():
                    raise
                self._cancel = self._cancel or _OPERATOR_CANCELED

    # ---- the chapters ----

    async def _place(self) -> PlacedOrder:
        self._placed = await workflow.execute_local_activity_method(
            OrderActivities.place_order,
            PlaceOrder(request=self._request, workflow_id=workflow.info().workflow_id),
            summary="Price the order, hold its seats",
            **RECORD,
        )
        if self._placed.total is not None:
            self._status = OrderStatus.PENDING_PAYMENT
        return self._placed

    async def _request_payment(self, total: Money) -> bool:
        """Whether the payment can be made. If Stripe refuses it for good the order fails here."""
        self._tell(WaitingFor.STRIPE, "Stripe is being asked to prepare the payment.", in_passing=True)
        prepared = await workflow.execute_activity_method(
            StripeActivities.request_payment,
            PaymentRequest(order_id=self._request.order_id, workflow_id=workflow.info().workflow_id),
            summary=f"Prepare the payment by {self._request.payment_method}",
            **STRIPE,
        )
        if prepared.refusal is not None:
            detail = prepared.refusal_detail or "Stripe refused the payment."
            await self._release(
                OrderStatus.FAILED, CancelOrder(actor="stripe", reason=prepared.refusal), _never_made(total)
            )
            self._refuse(prepared.refusal, detail)
            return False
        self._payable = True
        return True

    async def _await_payment(self, due: Money, hold_expires_at: datetime) -> tuple[PaymentFacts, Verdict]:
        """Wait until Stripe says how it ended, or the hold is over. Nothing is given back before Stripe has confirmed
        that nobody can pay any more; a payment that won that race counts."""
        deadline = hold_expires_at
        self._tell(WaitingFor.PAYMENT, "The payer has to pay; after that the seat is theirs.", due_at=deadline)
        while True:
            await self._until_something_happens(deadline)
            if self._cancel is None:
                payment = await self._read_payment()
            else:
                payment = await self._cancel_payment()
            verdict = judge(payment, due)
            match verdict:
                case Verdict.PAID | Verdict.CANCELED:
                    return payment, verdict
                case Verdict.PROCESSING:
                    self._cancel = None
                    # A bank that never answers is asked again every day; what is on its way cannot be cancelled.
                    deadline = max(hold_expires_at + PROCESSING_HOLD, workflow.now() + timedelta(days=1))
                    self._tell(WaitingFor.STRIPE, "The bank is working on the payment.", due_at=deadline)
                case Verdict.AMOUNT_DIFFERS:
                    self._cancel = None
                    deadline = workflow.now() + PROCESSING_HOLD
                    self._tell(
                        WaitingFor.OPERATOR,
                        "Another amount came in than was due. Refund it in full in Stripe, then send the signal "
                        "`payment_changed`: the order is cancelled and its seats are given back.",
                        due_at=deadline,
                        needs_human=True,
                    )
                case Verdict.OPEN if self._cancel is not None:
                    # Stripe has neither cancelled nor finished it: ask again soon, but not at once.
                    await workflow.sleep(timedelta(minutes=1), summary="Stripe has not cancelled the payment yet")
                case Verdict.OPEN:
                    pass

    async def _until_something_happens(self, deadline: datetime) -> None:
        """Return on news about the payment or a wish to cancel; when the time is over, wish to cancel ourselves."""
        try:
            await workflow.wait_condition(
                lambda: self._payment_changed or self._cancel is not None,
                timeout=max(deadline - workflow.now(), timedelta()),
                timeout_summary="Seats are held until the payment is made",
            )
        except TimeoutError:
            self._cancel = _HOLD_EXPIRED
        self._payment_changed = False

    async def _read_payment(self) -> PaymentFacts:
        return await workflow.execute_activity_method(
            StripeActivities.read_payment,
            OrderPayment(order_id=self._request.order_id),
            summary="Read the payment from Stripe",
            **STRIPE,
        )

    async def _cancel_payment(self) -> PaymentFacts:
        return await workflow.execute_activity_method(
            StripeActivities.cancel_payment,
            OrderPayment(order_id=self._request.order_id),
            summary=f"Cancel the payment: {self._cancel.reason if self._cancel else ''}",
            **STRIPE,
        )

    async def _complete(self, payment: PaymentFacts | None) -> OrderOutcome:
        completed = await workflow.execute_local_activity_method(
            OrderActivities.complete_order,
            CompleteOrder(order_id=self._request.order_id, payment=payment, workflow_id=workflow.info().workflow_id),
            summary="Activate the enrollments, number the receipt",
            **RECORD,
        )
        self._status = OrderStatus.COMPLETED
        self._tell(WaitingFor.NOTHING, "The seat is taken; the receipt and the mail are on their way.")
        await self._render_receipt(completed)
        mail = await self._send_confirmation(completed)
        if mail.status is not MailStatus.SENT:
            self._tell(
                WaitingFor.NOTHING,
                f"Done, but the confirmation mail is {mail.status}: {mail.reason or 'see log'}.",
                needs_human=True,
            )
        else:
            self._tell(WaitingFor.NOTHING, "Done: paid, enrolled, receipt and confirmation sent.")
        return self._outcome()

    async def _render_receipt(self, completed: CompletedOrder) -> None:
        await workflow.execute_activity_method(
            DocumentActivities.render_receipt,
            RenderReceipt(receipt_id=completed.receipt_id),
            task_queue=DOCUMENTS_QUEUE,
            summary="Render the receipt",
            **DOCUMENTS,
        )

    async def _send_confirmation(self, completed: CompletedOrder) -> MailReport:
        return await workflow.execute_activity_method(
            MailActivities.send_mail,
            SendMail(
                recipient_id=completed.payer_id,
                template=MailTemplate.ORDER_CONFIRMATION,
                subject_id=self._request.order_id,
                workflow_id=workflow.info().workflow_id,
            ),
            summary="Mail the confirmation with the receipt",
            **MAIL,
        )

    async def _release(self, status: OrderStatus, why: CancelOrder, payment: PaymentFacts) -> OrderOutcome:
        await workflow.execute_local_activity_method(
            OrderActivities.release_order,
            ReleaseOrder(
                order_id=self._request.order_id,
                status=status,
                reason=why.reason,
                actor=why.actor,
                payment=payment,
                workflow_id=workflow.info().workflow_id,
            ),
            summary=f"Give the seats back: {why.reason}",
            **RECORD,
        )
        self._status = status
        self._tell(WaitingFor.NOTHING, f"Over: {status} ({why.reason}).")
        return self._outcome()

    # ---- messages ----

    @workflow.update(description="Wait until the order stands and can be paid; answers its total, or why not")
    async def checkout(self, request: CheckoutRequest) -> Checkout:
        """Answer the caller who started the order, or repeats it, once there is something to say."""
        if request.digest != self._request.digest:
            raise refusal(Reason.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used with another request.")
        await workflow.wait_condition(lambda: self._refusal is not None or self._payable or self._is_over())
        if self._refusal is not None:
            raise refusal(*self._refusal)
        assert self._placed is not None  # noqa: S101 - payable or over means placed
        assert self._placed.total is not None  # noqa: S101
        assert self._status is not None  # noqa: S101
        return Checkout(order_id=self._request.order_id, status=self._status, total=self._placed.total)

    @workflow.signal(description="Look at the payment again: something about it may have changed at Stripe")
    def payment_changed(self) -> None:
        self._payment_changed = True

    @workflow.signal(description="Cancel the order while it is unpaid: {actor: 'staff:<id>', reason: '…'}")
    def cancel(self, wish: CancelOrder) -> None:
        self._cancel = self._cancel or wish

    @workflow.query(description="Where the order stands, what it waits for, and who has to act")
    def status(self) -> OrderState:
        return OrderState(
            status=self._status,
            waiting_for=self._waiting_for,
            since=self._since,
            next_action=self._next_action,
            hold_expires_at=self._placed.hold_expires_at if self._placed else None,
            needs_human=self._needs_human,
        )

    # ---- what is said about it ----

    def _is_over(self) -> bool:
        return self._status not in (None, OrderStatus.PENDING_PAYMENT)

    def _refuse(self, reason: Reason, detail: str) -> OrderOutcome:
        self._refusal = (reason, detail)
        self._tell(WaitingFor.NOTHING, f"Refused, {reason}: {detail}")
        return self._outcome()

    def _outcome(self) -> OrderOutcome:
        reason, detail = self._refusal or (None, None)
        return OrderOutcome(order_id=self._request.order_id, status=self._status, refusal=reason, refusal_detail=detail)

    def _tell(
        self,
        waiting_for: WaitingFor,
        next_action: str,
        *,
        due_at: datetime | None = None,
        needs_human: bool = False,
        in_passing: bool = False,
    ) -> None:
        """Keep the query, the Web UI and, unless it passes in a moment, the search attributes in step."""
        self._waiting_for, self._next_action, self._needs_human = waiting_for, next_action, needs_human
        self._since = workflow.now()
        number = (self._placed.number if self._placed else None) or "without a number"
        lines = [f"**Order {number}** · {self._status or 'refused'}", next_action]
        if due_at is not None:
            lines.append(f"Until {due_at:%Y-%m-%d %H:%M} UTC.")
        workflow.set_current_details("\n\n".join(lines))
        listed = (self._status, waiting_for, needs_human)
        if not in_passing and listed != self._listed:
            self._listed = listed
            workflow.upsert_search_attributes(
                [
                    search.STATE.value_set(self._status or "refused"),
                    search.WAITING_FOR.value_set(waiting_for),
                    search.NEEDS_HUMAN.value_set(needs_human),
                ]
            )


def _never_made(total: Money) -> PaymentFacts:
    return PaymentFacts(status=PaymentStatus.CANCELED, captured=Money(amount=0, currency=total.currency))
