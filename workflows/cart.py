"""A cart that is left: its owner is reminded of it, until it is bought, cleared or lost (reference list 10.4)."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.carts import CartActivities
    from models.errors import Reason, refusal
    from models.identifiers import cart_workflow_id
    from models.messages.carts import (
        CartAnswer,
        CartOutcome,
        CartStart,
        CartStep,
        ChangeCart,
        CheckReminder,
        EndCart,
        RecordChange,
    )
    from models.messages.jobs import JobState
    from models.messages.mail import MailReport
    from models.vocabulary import CartStatus, MailTemplate, WaitingFor
    from rules.cart import CUTOFF, FINAL, LIVE, LOST_AFTER
    from workflows.desk import Desk
    from workflows.mailing import Outbox, send_mail, send_marketing_mail
    from workflows.policies import RECORD
    from workflows.shielding import to_its_end
    from workflows.waiting import happened

# Where the worker's clock is behind the server's, a cart is not yet due when its timer fires.
_LOOK_AGAIN_AFTER = timedelta(minutes=1)
_TO_THE_NEWEST_BUILD = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE


@workflow.defn(name="CartWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class CartWorkflow:
    """One cart, one run at a time. The record says how it stands, so a run that starts afresh forgets nothing.

    Signals only have the record read again. Whether a mail may go out is decided there too: at wake, and in the send.
    """

    @workflow.init
    def __init__(self, start: CartStart) -> None:
        self._start = start
        self._status: CartStatus | None = None
        self._refusal: Reason | None = None
        self._cutoff_at = self._lost_at = workflow.now()
        # The mails that may still go out: number and moment.
        self._reminders: list[tuple[int, datetime]] = []
        self._sending: asyncio.Task[MailReport] | None = None
        self._deferred = start.deferred
        self._is_to_be_read = self._is_unsubscribed = self._is_given_up = False
        self._was_woken = False
        # One step at a time: local activities side by side need not replay, and none may undo what another has done.
        self._turn = asyncio.Lock()
        self._outbox = Outbox()
        listed = start.status or CartStatus.OPEN
        self._desk = Desk(
            "Cart",
            "What is in it is written down.",
            listed=(listed, WaitingFor.TIMER),
            can_do="`ordered` has the record read at once; `clear` forgets the cart.",
        )

    @workflow.run
    async def run(self, start: CartStart) -> CartOutcome:
        """Wait until nobody touches it any more, remind its owner a few times, and let it be lost after 30 days.

        A cancellation clears it, as its owner's "no thanks" does.
        """
        is_over = await to_its_end(asyncio.create_task(self._tell_story()), self._give_up)
        if not is_over:
            workflow.continue_as_new(self._handed_over(), initial_versioning_behavior=_TO_THE_NEWEST_BUILD)
        return CartOutcome(status=self._status, refusal=self._refusal if self._status is None else None)

    def _give_up(self) -> None:
        self._is_given_up = True

    async def _tell_story(self) -> bool:
        """Whether it is over; if not, another run goes on with it."""
        await self._begin()
        while True:
            while self._is_live:
                if self._is_given_up:
                    await self._end(CartStatus.CLEARED, "operator", "operator")
                elif self._is_to_be_read:
                    await self._read()
                elif self._goes_on_anew():
                    await self._outbox.emptied()
                    return False
                elif self._status is CartStatus.OPEN:
                    await self._wait_for_cutoff()
                else:
                    await self._win_back()
            await self._settle_mails()
            await self._outbox.emptied()
            await workflow.wait_condition(workflow.all_handlers_finished)
            # A change may have come in at the last moment, and opened it again.
            if not self._is_live:
                self._tell()
                return True

    # ---- the chapters ----

    async def _begin(self) -> None:
        """Learn how the cart stands: from the change that came with the start, or from the run before."""
        if self._start.status is CartStatus.OPEN and self._start.cutoff_at is not None:
            self._status, self._cutoff_at = CartStatus.OPEN, self._start.cutoff_at
            return
        for _ in range(2 if self._start.status is None else 0):
            await workflow.wait_condition(lambda: self._is_known or workflow.all_handlers_finished())
            if self._is_known:
                return
            # Whoever starts it has something to say as well: it may come a moment later.
            await happened(lambda: self._is_known, workflow.now() + _LOOK_AGAIN_AFTER, summary="The first change")
        await self._read()

    async def _wait_for_cutoff(self) -> None:
        """Each change moves the cut-off. The timer is not moved with it: that would be two events for every change."""
        self._tell()
        while workflow.now() < self._cutoff_at:
            if await self._is_called_before(self._cutoff_at, "Abandoned unless it is changed"):
                return
        await self._read()

    async def _win_back(self) -> None:
        """The next thing that is due: a mail, or the end of the cart."""
        if workflow.now() >= self._lost_at:
            self._reminders = []
        self._tell()
        if not self._reminders:
            if not await self._is_called_before(self._lost_at, "Lost unless it is bought or changed"):
                await self._end(CartStatus.LOST, "lost", "system")
            return
        number, due = self._reminders[0]
        is_early = await self._is_called_before(due, f"Mail {number} about the cart is due")
        if is_early and not self._is_unsubscribed:
            return
        self._is_unsubscribed = False
        if await self._may_remind(number) and not is_early:
            await self._remind(number)

    async def _may_remind(self, number: int) -> bool:
        """What the record says at wake. A mail that is skipped is done with, and maybe all later ones with it."""
        async with self._turn:
            if not self._is_next(number):
                return False
            checked = await workflow.execute_local_activity_method(
                CartActivities.check_reminder,
                CheckReminder(cart_id=self._start.cart_id, number=number, workflow_id=self._workflow_id),
                summary=f"Whether mail {number} may go out",
                **RECORD,
            )
            if checked.status is CartStatus.OPEN:
                self._is_to_be_read = True
            else:
                self._status = checked.status
            if checked.skipped is not None:
                self._is_done_with(number, is_last=checked.is_last)
            elif checked.is_last:
                del self._reminders[1:]
            return checked.skipped is None and checked.status is CartStatus.ABANDONED

    async def _remind(self, number: int) -> None:
        """Send it, once it may go out. News end the wait for its slot; what is in the mail server's hand is let go."""
        if await self._is_called_while_sending() or not self._is_next(number):
            return
        self._deferred = number
        self._sending = asyncio.create_task(
            send_marketing_mail(
                self._start.person_id,
                MailTemplate.CART_REMINDER,
                self._start.cart_id,
                summary=f"Mail {number} about the cart",
                occasion=str(number),
                interrupted=lambda: self._is_called(CartStatus.ABANDONED),
            )
        )
        if await self._is_called_while_sending():
            return
        report = self._sending.result()
        if report.deferred_until is None:
            self._is_done_with(number, is_last=report.reason in FINAL)

    async def _settle_mails(self) -> None:
        """A mail that waits for its slot is tried once more, so that the ledger says why it did not go out."""
        if self._sending is not None:
            report = await self._sending
            self._deferred = self._deferred if report.deferred_until is not None else None
            self._sending = None
        if self._deferred is not None:
            number, self._deferred = self._deferred, None
            await send_mail(
                self._start.person_id,
                MailTemplate.CART_REMINDER,
                self._start.cart_id,
                summary=f"Why mail {number} about the cart is not sent",
                occasion=str(number),
            )

    # ---- the record ----

    async def _read(self) -> None:
        """How the cart stands. One that nobody has touched until its cut-off is abandoned by that."""
        async with self._turn:
            is_open = self._status is CartStatus.OPEN
            if is_open and not self._is_to_be_read and workflow.now() < self._cutoff_at:
                return  # changed while this waited for its turn
            self._is_to_be_read = False
            abandoned = await workflow.execute_local_activity_method(
                CartActivities.abandon_cart,
                CartStep(cart_id=self._start.cart_id, workflow_id=self._workflow_id),
                summary="Abandoned, if nobody has touched it",
                **RECORD,
            )
            self._status = abandoned.status
            self._lost_at = abandoned.lost_at or workflow.now() + LOST_AFTER
            due = (moment for moment in abandoned.reminders_at if moment < self._lost_at)
            self._reminders = list(enumerate(due, abandoned.first_reminder))
            if abandoned.status is CartStatus.OPEN:
                cutoff_at = abandoned.cutoff_at or workflow.now() + CUTOFF
                self._cutoff_at = max(cutoff_at, workflow.now() + _LOOK_AGAIN_AFTER)

    async def _end(self, status: CartStatus, reason: str, actor: str) -> None:
        """Let the cart end, unless it was bought meanwhile."""
        async with self._turn:
            if status is CartStatus.LOST and self._status is not CartStatus.ABANDONED:
                return  # changed while this waited for its turn
            ended = await workflow.execute_local_activity_method(
                CartActivities.end_cart,
                EndCart(
                    cart_id=self._start.cart_id,
                    status=status,
                    reason=reason,
                    actor=actor,
                    workflow_id=self._workflow_id,
                ),
                summary=f"Let the cart end: {reason}",
                **RECORD,
            )
            self._status = ended.status

    # ---- what they share ----

    @property
    def _is_live(self) -> bool:
        return self._status in LIVE

    @property
    def _is_known(self) -> bool:
        return self._status is not None or self._refusal is not None

    @property
    def _workflow_id(self) -> str:
        return workflow.info().workflow_id

    def _is_next(self, number: int) -> bool:
        return self._status is CartStatus.ABANDONED and bool(self._reminders) and self._reminders[0][0] == number

    def _is_done_with(self, number: int, *, is_last: bool) -> None:
        self._deferred = None
        self._reminders = [] if is_last else [each for each in self._reminders if each[0] > number]

    def _has_news(self, believed: CartStatus | None) -> bool:
        """Whether the cart is not what the chapter that waits believes."""
        return self._status is not believed or self._is_to_be_read or self._is_given_up

    def _is_called(self, believed: CartStatus | None) -> bool:
        """Whether something else comes before what that chapter waits for."""
        is_refused = self._is_unsubscribed and bool(self._reminders)
        return self._has_news(believed) or is_refused or self._goes_on_anew()

    async def _is_called_before(self, moment: datetime, summary: str) -> bool:
        believed = self._status
        called = await happened(lambda: self._is_called(believed), moment, summary=summary)
        self._was_woken = True
        return called

    async def _is_called_while_sending(self) -> bool:
        """Wait until no mail is on its way. Whether news came first."""
        await workflow.wait_condition(lambda: not self._is_sending or self._has_news(CartStatus.ABANDONED))
        return self._has_news(CartStatus.ABANDONED)

    @property
    def _is_sending(self) -> bool:
        return self._sending is not None and not self._sending.done()

    def _goes_on_anew(self) -> bool:
        """Whether another run should go on: this one is long, or its build is not the newest any more.

        Only once it has slept, so that each run gets something done, and never with a mail in hand.
        """
        info = workflow.info()
        is_due = info.is_continue_as_new_suggested() or info.is_target_worker_deployment_version_changed()
        return is_due and self._was_woken and not self._is_sending

    def _handed_over(self) -> CartStart:
        """What the next run begins with. All but an open cart is read from the record again."""
        is_settled = self._status is CartStatus.OPEN and not self._is_to_be_read
        return CartStart(
            cart_id=self._start.cart_id,
            person_id=self._start.person_id,
            status=self._status,
            cutoff_at=self._cutoff_at if is_settled else None,
            deferred=self._deferred,
        )

    def _tell(self) -> None:
        was_open, self._desk.status = self._desk.status == CartStatus.OPEN, self._status
        match self._status:
            case CartStatus.OPEN:
                told = "Its owner is at it. Untouched until then, it counts as abandoned."
                self._desk.tell(WaitingFor.TIMER, told, due_at=self._cutoff_at, in_passing=was_open)
            case CartStatus.ABANDONED if self._reminders:
                number, due = self._reminders[0]
                self._desk.tell(WaitingFor.TIMER, f"Mail {number} goes out, if it still may.", due_at=due)
            case CartStatus.ABANDONED:
                told = "No more mails. Not bought until then, it is lost."
                self._desk.tell(WaitingFor.TIMER, told, due_at=self._lost_at)
            case None:
                self._desk.tell(WaitingFor.NOTHING, f"Refused: {self._refusal}.")
            case status:
                self._desk.tell(WaitingFor.NOTHING, f"Over: {status}.")

    # ---- messages ----

    @workflow.update(
        description="What is in the cart from now on: {cart_id: '…', person_id: '…', course_ids: ['…'], "
        "actor: 'staff:<id>'}"
    )
    async def change(self, wish: ChangeCart) -> CartAnswer:
        """Write it down. The cart is open again, and its cut-off begins anew."""
        async with self._turn:
            changed = await workflow.execute_local_activity_method(
                CartActivities.change_cart,
                RecordChange(change=wish, workflow_id=self._workflow_id),
                summary="What is in the cart",
                **RECORD,
            )
            if changed.status is None or changed.refusal is not None:
                reason = changed.refusal or Reason.INTERNAL
                self._refusal = self._refusal or reason
                self._is_to_be_read |= reason is Reason.CART_OVER
                raise refusal(reason, changed.refusal_detail or "The cart was refused.")
            self._status = changed.status
            self._cutoff_at = changed.cutoff_at or workflow.now() + CUTOFF
            self._reminders = []
            for cart_id in changed.superseded:
                self._outbox.post(tell_superseded(cart_id))
            if self._status is CartStatus.OPEN:
                self._tell()
            return CartAnswer(cart_id=wish.cart_id, status=changed.status, cutoff_at=changed.cutoff_at)

    @change.validator
    def _check_change(self, wish: ChangeCart) -> None:
        """A cart belongs to one person for good."""
        if (wish.cart_id, wish.person_id) != (self._start.cart_id, self._start.person_id):
            raise refusal(Reason.NOT_FOUND, "There is no such cart.")

    @workflow.update(description="No thanks: forget the cart. Answers how it stands; what was bought stays bought")
    async def clear(self) -> CartAnswer:
        """Let it end, within the call."""
        await self._end(CartStatus.CLEARED, "no_thanks", f"student:{self._start.person_id}")
        assert self._status is not None  # noqa: S101 - the record has just said it
        return CartAnswer(cart_id=self._start.cart_id, status=self._status)

    @workflow.signal(description="It may have been bought: look at the record")
    def ordered(self) -> None:
        self._is_to_be_read = True

    @workflow.signal(description="Its owner has a newer cart: look at the record")
    def superseded(self) -> None:
        self._is_to_be_read = True

    @workflow.signal(description="Its owner wants no more mails about carts: look at the record")
    def unsubscribed(self) -> None:
        # Where no mail is due yet, the first look at the next one finds it out.
        self._is_unsubscribed = bool(self._reminders)

    @workflow.query(description="Whether it is open or abandoned, and what happens next, and when")
    def status(self) -> JobState:
        return self._desk.state(None)


async def tell_ordered(cart_id: UUID) -> None:
    """Tell a cart that it was bought. One that nothing looks after any more needs no word."""
    cart = workflow.get_external_workflow_handle_for(CartWorkflow.run, cart_workflow_id(cart_id))
    try:
        await cart.signal(CartWorkflow.ordered)
    except FailureError:
        return


async def tell_superseded(cart_id: UUID) -> None:
    """Tell a cart that a newer one took its place."""
    cart = workflow.get_external_workflow_handle_for(CartWorkflow.run, cart_workflow_id(cart_id))
    try:
        await cart.signal(CartWorkflow.superseded)
    except FailureError:
        return
