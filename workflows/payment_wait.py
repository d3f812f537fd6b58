"""The wait for a payment by Stripe: confirmed by the payer's bank, declined, on its way, or made at last."""

from datetime import datetime, timedelta

from temporalio import workflow

from activities.orders import OrderActivities
from activities.stripe import StripeActivities
from models.messages.orders import (
    CancelOrder,
    ExtendHold,
    LapseHold,
    OrderPayment,
    PaymentFacts,
    PaymentRequest,
    RequestedPayment,
)
from models.money import Money
from models.vocabulary import MailTemplate, TaskAction, TaskKind, WaitingFor
from rules.holds import CARD_HOLD, PROCESSING_HOLD
from rules.payment import (
    ACTION_HOLD,
    ACTION_REMINDER,
    FIRST_POLL,
    LONGEST_POLL,
    REST,
    ROUNDS,
    Verdict,
    judge,
    next_poll,
)
from workflows.order_run import OrderRun
from workflows.policies import RECORD, STRIPE
from workflows.waiting import happened

_HOLD_EXPIRED = CancelOrder(actor="system", reason="hold_expired")
DECLINED = CancelOrder(actor="stripe", reason="payment_declined")
# What an operator can do meanwhile.
_WHILE_UNPAID = "`payment_changed` has Stripe asked at once; `cancel` gives the order up while it is unpaid."
_AT_THE_BANK = "`payment_changed` has Stripe asked at once; a `cancel` is kept until the bank has answered."


class PaymentWait:
    """Nothing is given back before Stripe has confirmed that nobody can pay any more; a payment that won that race
    counts. Whatever is told from outside, Stripe is read again."""

    def __init__(self, run: OrderRun, due: Money, hold_expires_at: datetime) -> None:
        self._run, self._due = run, due
        run.desk.can_do = _WHILE_UNPAID
        self._deadline = hold_expires_at
        self._attempt = 1
        self._poll = FIRST_POLL
        self._hesitation = timedelta(minutes=1)
        self._reminder_at: datetime | None = None
        self._confirming = False
        self._processing = False
        self._told: set[tuple[MailTemplate, int]] = set()

    @property
    def was_processing(self) -> bool:
        """Whether a bank was working on it, which the payer was told."""
        return any(template is MailTemplate.PAYMENT_PROCESSING for template, _ in self._told)

    async def request(self) -> RequestedPayment:
        """Have Stripe prepare the payment; a payer who had to wait for it keeps the whole time to pay."""
        prepared = await workflow.execute_activity_method(
            StripeActivities.request_payment,
            PaymentRequest(
                order_id=self._run.request.order_id, workflow_id=self._run.workflow_id, attempt=self._attempt
            ),
            summary=f"Prepare the payment by {self._run.request.payment_method}",
            **STRIPE,
        )
        if prepared.refusal is None and self._deadline - workflow.now() < CARD_HOLD * 2 / 3:
            await self._hold_until(workflow.now() + CARD_HOLD, "payment_prepared_late")
        return prepared

    async def end(self) -> tuple[PaymentFacts, Verdict]:
        """How the payment ended: paid, or canceled with the wish for it in the inbox."""
        self._wait_for_payer()
        while True:
            await self._until_something_happens()
            wish = self._run.inbox.cancel
            payment = await self._look(wish)
            verdict = judge(payment, self._due)
            match verdict:
                case Verdict.PAID | Verdict.CANCELED:
                    self._keep_wish_for_what_was_on_its_way(verdict)
                    return payment, verdict
                case Verdict.AMOUNT_DIFFERS:
                    settled = await self._settle_difference(payment)
                    if settled is not None:
                        return payment, settled
                case Verdict.PROCESSING:
                    await self._bank_is_working()
                case _ if wish is not None:
                    await self._stripe_hesitates()
                case _ if self._run.inbox.cancel is not None:
                    pass  # it came while Stripe was read
                case _ if self._processing:
                    await self._try_again()
                    self._run.inbox.payment_changed = verdict is not Verdict.OPEN
                case Verdict.ACTION_REQUIRED:
                    await self._payer_has_to_confirm()
                case Verdict.DECLINED_TOO_OFTEN:
                    await self._rest()
                case Verdict.OPEN if self._confirming:
                    await self._try_again()
                case Verdict.OPEN:
                    pass

    # ---- waiting and looking ----

    async def _until_something_happens(self) -> None:
        """Return on news, on a wish to cancel, or to look by ourselves; at the end of the hold, wish to cancel."""
        inbox = self._run.inbox
        moments = [self._deadline, workflow.now() + self._poll]
        if self._reminder_at is not None and self._reminder_at > workflow.now():
            moments.append(self._reminder_at)
        if await happened(
            lambda: inbox.payment_changed or inbox.cancel is not None,
            min(moments),
            summary="Seats are held until the payment is made",
        ):
            self._poll = FIRST_POLL
        else:
            self._poll = next_poll(self._poll)
            if inbox.cancel is None and workflow.now() >= self._deadline and not self._processing:
                inbox.cancel = _HOLD_EXPIRED
        inbox.payment_changed = False

    async def _look(self, wish: CancelOrder | None) -> PaymentFacts:
        order = OrderPayment(order_id=self._run.request.order_id)
        if wish is None:
            return await workflow.execute_activity_method(
                StripeActivities.read_payment, order, summary="Read the payment from Stripe", **STRIPE
            )
        return await workflow.execute_activity_method(
            StripeActivities.cancel_payment, order, summary=f"Cancel the payment: {wish.reason}", **STRIPE
        )

    async def _stripe_hesitates(self) -> None:
        """It has neither cancelled nor finished the payment: ask again soon, then ever more rarely."""
        self._run.desk.tell(WaitingFor.STRIPE, "Stripe has not cancelled the payment yet; it is asked again.")
        inbox, self._run.inbox.payment_changed = self._run.inbox, False
        until = workflow.now() + self._hesitation
        await happened(lambda: inbox.payment_changed, until, summary="Stripe has not cancelled the payment yet")
        self._hesitation = min(self._hesitation * 2, LONGEST_POLL)

    def _wait_for_payer(self) -> None:
        self._run.desk.can_do = _WHILE_UNPAID
        self._run.desk.tell(
            WaitingFor.PAYMENT, "The payer has to pay; after that the seat is theirs.", due_at=self._deadline
        )

    async def _hold_until(self, until: datetime, reason: str, resting_until: datetime | None = None) -> None:
        self._deadline = until
        await workflow.execute_local_activity_method(
            OrderActivities.extend_hold,
            ExtendHold(
                order_id=self._run.request.order_id,
                until=until,
                resting_until=resting_until,
                reason=reason,
                workflow_id=self._run.workflow_id,
            ),
            summary=f"Hold the seats for longer: {reason.replace('_', ' ')}",
            **RECORD,
        )

    # ---- what Stripe says ----

    async def _payer_has_to_confirm(self) -> None:
        """Strong customer authentication: a day to do it, and one reminder."""
        if not self._confirming:
            self._confirming = True
            self._reminder_at = workflow.now() + ACTION_REMINDER
            await self._hold_until(max(self._deadline, workflow.now() + ACTION_HOLD), "authentication_required")
            self._run.desk.tell(
                WaitingFor.PAYMENT, "The payer has to confirm the payment with their bank.", due_at=self._deadline
            )
        elif self._reminder_at is not None and workflow.now() >= self._reminder_at:
            self._reminder_at = None
            self._mail_once(MailTemplate.PAYMENT_ACTION_REQUIRED, "Remind the payer to confirm the payment")

    async def _try_again(self) -> None:
        """The bank has not let it through: the payer may try once more, with the time of a first try."""
        self._confirming = self._processing = False
        self._reminder_at = None
        if self._run.regret is not None:
            self._run.inbox.cancel = self._run.regret
            return
        if self._run.hold_lapsed:
            # The places are gone, so there is nothing to pay for any more.
            self._run.inbox.cancel = _HOLD_EXPIRED
            return
        await self._hold_until(workflow.now() + CARD_HOLD, "another_try")
        self._wait_for_payer()

    async def _rest(self) -> None:
        """Too many declines: what could be paid is given up, and after a rest there is something new to pay."""
        if self._attempt >= ROUNDS:
            self._run.inbox.cancel = DECLINED
            return
        payment = await workflow.execute_activity_method(
            StripeActivities.cancel_payment,
            OrderPayment(order_id=self._run.request.order_id),
            summary="Give up the payment that was declined too often",
            **STRIPE,
        )
        if judge(payment, self._due) is not Verdict.CANCELED:
            await self._stripe_hesitates()
            self._run.inbox.payment_changed = True
            return
        self._confirming, self._reminder_at = False, None
        rested_at = workflow.now() + REST
        await self._hold_until(rested_at + CARD_HOLD, "declined_too_often", resting_until=rested_at)
        self._run.desk.can_do = "`cancel` gives the order up."
        self._run.desk.tell(
            WaitingFor.TIMER, "Declined too often; the payer can try again after a rest.", due_at=rested_at
        )
        occasion = f"round_{self._attempt}"
        self._run.mail_payer(MailTemplate.PAYMENT_DECLINED, "Tell the payer about the declines", occasion)
        inbox = self._run.inbox
        if await happened(lambda: inbox.cancel is not None, rested_at, summary="A rest after too many declines"):
            return
        self._attempt += 1
        prepared = await self.request()
        if prepared.refusal is not None:
            inbox.cancel = CancelOrder(actor="stripe", reason=prepared.refusal)
            return
        inbox.payment_changed = False
        self._wait_for_payer()

    async def _bank_is_working(self) -> None:
        """What is on its way cannot be cancelled; a wish for it is kept until the money is there."""
        self._run.regret = self._run.regret or self._wish_of_a_person()
        self._run.inbox.cancel = None
        if not self._processing:
            self._processing = True
            self._reminder_at = None
            if not self._run.hold_lapsed:
                await self._hold_until(max(self._deadline, workflow.now() + PROCESSING_HOLD), "payment_is_processing")
            self._run.desk.can_do = _AT_THE_BANK
            self._run.desk.tell(WaitingFor.STRIPE, "The bank is working on the payment.", due_at=self._deadline)
            self._mail_once(MailTemplate.PAYMENT_PROCESSING, "Tell the payer that the bank is working")
        elif workflow.now() >= self._deadline:
            if not self._run.hold_lapsed:
                await self._lapse()
            self._deadline = workflow.now() + LONGEST_POLL

    def _keep_wish_for_what_was_on_its_way(self, verdict: Verdict) -> None:
        """A wish that comes in the same moment as the money of a bank is no other than one that came before it."""
        wish = self._wish_of_a_person() if verdict is Verdict.PAID and self._processing else None
        if self._run.regret is None and wish is not None and workflow.patched("a wish that meets the money is kept"):
            self._run.regret = wish

    def _wish_of_a_person(self) -> CancelOrder | None:
        wish = self._run.inbox.cancel
        is_kept = wish is not None and wish.actor not in {"system", "stripe"} and not wish.unless_bank_is_working
        return wish if is_kept else None

    async def _lapse(self) -> None:
        """The bank takes too long: the places are given back, the payment is waited for all the same."""
        self._run.hold_lapsed = True
        await workflow.execute_local_activity_method(
            OrderActivities.lapse_hold,
            LapseHold(order_id=self._run.request.order_id, workflow_id=self._run.workflow_id),
            summary="Give the seats back, the bank takes too long",
            **RECORD,
        )
        self._run.desk.tell(
            WaitingFor.STRIPE,
            "The bank has not answered for 14 days and the places are free again. When the money arrives they are "
            "taken again if they still can be, otherwise it goes back.",
            needs_human=True,
        )

    async def _settle_difference(self, payment: PaymentFacts) -> Verdict | None:
        """Another amount came in than was due: a person decides whether it will do or goes back.

        None if Stripe has to be read again.
        """
        inbox = self._run.inbox
        inbox.cancel = None
        self._run.desk.tell(
            WaitingFor.OPERATOR,
            f"{payment.captured} came in, {self._due} was due. Decide the task: `accept` completes "
            "the order, `refund` pays everything back and cancels it.",
            needs_human=True,
        )
        action = await self._run.tasks.ask(
            TaskKind.AMOUNT_DIFFERS,
            "amount",
            f"{payment.captured} came in for an order of {self._due}.",
            (TaskAction.ACCEPT, TaskAction.REFUND),
            subject=("order", self._run.request.order_id),
            unless=lambda: inbox.payment_changed or inbox.cancel is not None,
        )
        if action is TaskAction.ACCEPT:
            return Verdict.PAID
        if action is TaskAction.REFUND or inbox.cancel is not None:
            self._run.desk.tell(WaitingFor.STRIPE, "The money goes back.", in_passing=True)
            left = payment.captured.model_copy(update={"amount": payment.captured.amount - payment.refunded_amount})
            assert payment.payment_intent_id is not None  # noqa: S101 - money came in
            if not await self._run.paying_back.payment(payment.payment_intent_id, left, "amount_differs"):
                return Verdict.CANCELED
        inbox.payment_changed = True
        return None

    def _mail_once(self, template: MailTemplate, summary: str) -> None:
        """A bank may say the same several times about one attempt; the payer hears it once."""
        if (template, self._attempt) not in self._told:
            self._told.add((template, self._attempt))
            self._run.mail_payer(template, summary, "" if self._attempt == 1 else f"attempt_{self._attempt}")
