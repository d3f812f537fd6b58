"""A refund at Stripe, followed to its real end: on its way, to be claimed, arrived, or sent back weeks later."""

import asyncio
from datetime import datetime
from uuid import UUID

from temporalio import workflow
from temporalio.common import VersioningBehavior, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.documents import DocumentActivities
    from activities.refund_watch import RefundWatchActivities
    from models.identifiers import refund_watch_workflow_id
    from models.listing import REFUND_WATCH_SUMMARY, refund_watch_attributes, refund_watch_state
    from models.messages.documents import RenderDocument
    from models.messages.jobs import JobState
    from models.messages.refund_watch import (
        ReadRefund,
        RefundAgain,
        RefundOwner,
        RefundWatchOutcome,
        SeenRefund,
        SettlePayout,
        WatchRefund,
    )
    from models.messages.tasks import DecideTask, TaskDecided
    from models.vocabulary import MailTemplate, RefundStatus, TaskAction, TaskKind, WaitingFor
    from rules.refund_watch import has_come_to_nothing, is_expired, is_late, is_settled, next_look, reminder
    from workflows.desk import Desk
    from workflows.human_tasks import HumanTasks
    from workflows.mailing import Outbox, send_mail
    from workflows.policies import DOCUMENTS, STRIPE
    from workflows.queues import DOCUMENTS_QUEUE
    from workflows.shielding import to_its_end
    from workflows.waiting import happened

_NO_FUNDS = "insufficient_funds"


@workflow.defn(name="RefundWatchWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class RefundWatchWorkflow:
    """One refund at Stripe, one run. Webhooks only wake it: it reads the refund again and decides (DESIGN §3.4)."""

    @workflow.init
    def __init__(self, watch: WatchRefund) -> None:
        self._stripe_refund_id = watch.stripe_refund_id
        self._has_changed = False
        self._is_dismissed = False
        self._since = workflow.now()
        self._alarm: asyncio.Task[None] | None = None
        self._alarmed_since: datetime | None = None
        self._reminded: int | None = None
        self._outbox = Outbox()
        self._tasks = HumanTasks(self._outbox)
        self._desk = Desk(
            f"Refund {watch.stripe_refund_id}",
            "Its status is being read.",
            listed=refund_watch_state(_status(watch.seen)),
            can_do="`refund_changed` has Stripe asked at once; *Request Cancellation* only ends the watching.",
        )

    @workflow.run
    async def run(self, watch: WatchRefund) -> RefundWatchOutcome:
        """Look until nothing more is to be expected; what came to nothing is paid out another way."""
        return await to_its_end(asyncio.create_task(self._follow(watch.seen)), self._dismiss)

    def _dismiss(self) -> None:
        """A cancelled watch ends; the money goes its way unwatched."""
        self._is_dismissed = True

    async def _follow(self, seen: SeenRefund | None) -> RefundWatchOutcome:
        if seen is None:
            seen = await self._read()
            self._since = seen.created_at
        if seen.owner is RefundOwner.ADOPTED:
            self._outbox.post(self._send_credit_note(seen))
        while self._is_to_be_watched(seen):
            self._remind(seen)
            self._tell(seen)
            await happened(
                lambda: self._has_changed or self._is_dismissed,
                until=next_look(seen.status, self._since, workflow.now()),
                summary=f"Look at the refund again, {seen.status} by now",
            )
            seen = await self._look_again(seen)
        if has_come_to_nothing(seen.status) and seen.owner is not RefundOwner.NOBODY:
            seen = await self._pay_out(seen)
        await self._tasks.withdraw()
        await self._outbox.emptied()
        self._desk.status = seen.status
        self._desk.tell(WaitingFor.NOTHING, f"Over: the refund is {seen.status}.")
        return RefundWatchOutcome(owner=seen.owner, status=seen.status)

    # ---- looking ----

    def _is_to_be_watched(self, seen: SeenRefund) -> bool:
        is_over = has_come_to_nothing(seen.status) or is_settled(seen.status, self._since, workflow.now())
        return not (is_over or self._is_dismissed or seen.owner is RefundOwner.NOBODY)

    async def _look_again(self, before: SeenRefund) -> SeenRefund:
        self._has_changed = False
        if is_expired(before.status, self._since, workflow.now()):
            await workflow.execute_activity_method(
                RefundWatchActivities.cancel_refund,
                self._step,
                summary="Take back a refund that was not claimed",
                **STRIPE,
            )
        seen = await self._read()
        if seen.status is not before.status:
            self._since = workflow.now()
        return seen

    async def _read(self) -> SeenRefund:
        return await workflow.execute_activity_method(
            RefundWatchActivities.read_refund, self._step, summary="Read the refund at Stripe", **STRIPE
        )

    @property
    def _step(self) -> ReadRefund:
        return ReadRefund(stripe_refund_id=self._stripe_refund_id, workflow_id=workflow.info().workflow_id)

    # ---- telling ----

    def _tell(self, seen: SeenRefund) -> None:
        self._desk.status = seen.status
        match seen.status:
            case RefundStatus.SUCCEEDED:
                self._desk.tell(WaitingFor.TIMER, "Paid back. It is watched for 30 days: a bank may send it back.")
            case RefundStatus.REQUIRES_ACTION:
                self._desk.tell(WaitingFor.PAYMENT, "The payer has to tell Stripe where the money should go.")
            case _:
                self._desk.tell(
                    WaitingFor.STRIPE,
                    f"On its way, says Stripe ({seen.pending_reason or 'no reason given'}).",
                    needs_human=self._alarm is not None and not self._alarm.done(),
                )

    def _worry(self, seen: SeenRefund) -> str | None:
        """Why a person should look after a refund that has not failed."""
        if seen.status is RefundStatus.PENDING and seen.pending_reason == _NO_FUNDS:
            return f"{seen.amount} cannot be paid back: the balance at Stripe is too low. Top it up."
        if is_late(seen.status, self._since, workflow.now()):
            return f"{seen.amount} is on its way back for more than 7 days. Ask Stripe where it is."
        return None

    def _remind(self, seen: SeenRefund) -> None:
        worry = self._worry(seen)
        if worry is not None and self._alarmed_since != self._since:
            self._alarmed_since = self._since
            self._alarm = asyncio.create_task(self._raise_alarm(worry, seen))
        day = reminder(self._since, workflow.now()) if seen.status is RefundStatus.REQUIRES_ACTION else None
        if day is not None and day != self._reminded:
            self._reminded = day
            # Since when is a part of the occasion: a refund that is made again is claimed anew.
            occasion = f"{day}:{int(self._since.timestamp()):x}"
            self._mail(seen, MailTemplate.REFUND_ACTION_REQUIRED, occasion, "Remind the payer to claim the money")

    async def _raise_alarm(self, worry: str, seen: SeenRefund) -> None:
        """Asked once for each time that it is pending, until it is not; whoever dismisses it goes on waiting."""
        assert seen.order_id is not None  # noqa: S101 - what is watched has an order
        since = self._since
        action = await self._tasks.ask(
            TaskKind.REFUND_DELAYED,
            f"delayed-{int(since.timestamp())}",
            f"{worry} ({self._stripe_refund_id})",
            (TaskAction.DISMISS,),
            subject=("order", seen.order_id),
            unless=lambda: self._since != since or self._is_dismissed,
        )
        if action is None:
            await self._tasks.withdraw()

    async def _send_credit_note(self, seen: SeenRefund) -> None:
        assert seen.order_id is not None  # noqa: S101 - what is adopted has an order, a payer and a row
        assert seen.payer_id is not None  # noqa: S101
        if seen.credit_note_id is not None:
            await workflow.execute_activity_method(
                DocumentActivities.render_document,
                RenderDocument(document_id=seen.credit_note_id),
                task_queue=DOCUMENTS_QUEUE,
                summary="Render the credit note",
                **DOCUMENTS,
            )
        await send_mail(
            seen.payer_id,
            MailTemplate.REFUND,
            seen.order_id,
            occasion=str(seen.refund_id),
            summary="Mail that money goes back",
        )

    def _mail(self, seen: SeenRefund, template: MailTemplate, occasion: str, summary: str) -> None:
        assert seen.order_id is not None  # noqa: S101 - what is watched has an order, a payer and a row
        assert seen.payer_id is not None  # noqa: S101
        assert seen.refund_id is not None  # noqa: S101
        named = f"{seen.refund_id.hex}:{occasion}"
        self._outbox.post(send_mail(seen.payer_id, template, seen.order_id, occasion=named, summary=summary))

    # ---- paying out what came to nothing ----

    async def _pay_out(self, seen: SeenRefund) -> SeenRefund:
        """The money is back with the academy and still owed: a person finds another way, or tries again."""
        assert seen.order_id is not None  # noqa: S101 - what is watched has an order and a row
        assert seen.refund_id is not None  # noqa: S101
        if self._alarm is not None:
            await self._alarm
        occasion = f"{int(self._since.timestamp())}"
        self._mail(seen, MailTemplate.REFUND_RETURNED, occasion, "Mail that the money has come back to us")
        why = f"{seen.status}, {seen.failure_reason or 'no reason given'}"
        attempt = 0
        while True:
            self._desk.status = seen.status
            self._desk.tell(
                WaitingFor.OPERATOR,
                f"The refund came to nothing ({why}). Pay {seen.amount} out another way and `accept` the task, have "
                "Stripe `retry`, or `dismiss` it if nothing is owed.",
                needs_human=True,
            )
            action = await self._tasks.ask(
                TaskKind.ALTERNATIVE_PAYOUT,
                "payout",
                f"{seen.amount} that was paid back has come back ({why}; {self._stripe_refund_id}).",
                (TaskAction.ACCEPT, TaskAction.RETRY, TaskAction.DISMISS),
                subject=("order", seen.order_id),
            )
            if action is TaskAction.RETRY:
                attempt += 1
                again = await workflow.execute_activity_method(
                    RefundWatchActivities.refund_again,
                    RefundAgain(
                        refund_id=seen.refund_id,
                        after=self._stripe_refund_id,
                        workflow_id=workflow.info().workflow_id,
                        attempt=attempt,
                    ),
                    summary="Ask Stripe once more",
                    **STRIPE,
                )
                if again.stripe_refund_id in (None, self._stripe_refund_id) and has_come_to_nothing(again.status):
                    continue
                if again.stripe_refund_id is not None:
                    # It has a watch of its own, which finds out how it really fares, also if it has failed at once.
                    await watch_refund(again.stripe_refund_id, order_id=seen.order_id)
                return seen.model_copy(update={"status": again.status})
            status = RefundStatus.SUCCEEDED if action is TaskAction.ACCEPT else RefundStatus.CANCELED
            settled = await workflow.execute_activity_method(
                RefundWatchActivities.settle_payout,
                SettlePayout(
                    refund_id=seen.refund_id,
                    status=status,
                    after=self._stripe_refund_id,
                    actor=self._tasks.decided_by("payout") or "operator",
                    workflow_id=workflow.info().workflow_id,
                ),
                summary=f"Write down what was settled by hand: {status}",
                **STRIPE,
            )
            return seen.model_copy(update={"status": settled.status})

    # ---- messages ----

    @workflow.signal(description="Look at the refund again: something about it may have changed at Stripe")
    def refund_changed(self) -> None:
        self._has_changed = True

    @workflow.update(description="Decide the open task: {task_id: '…', action: 'accept', actor: 'staff:<id>'}")
    async def decide(self, decision: DecideTask) -> TaskDecided:
        """Take what a person decided."""
        return await self._tasks.decide(decision)

    @decide.validator
    def _check_decision(self, decision: DecideTask) -> None:
        self._tasks.check(decision)

    @workflow.query(description="How the refund stands at Stripe, and who has to act")
    def status(self) -> JobState:
        return self._desk.state(self._tasks.open_id)


async def watch_refund(stripe_refund_id: str, seen: SeenRefund | None = None, *, order_id: UUID | None = None) -> None:
    """Have the refund followed to its end, as a part of the job that has made or found it, which need not wait.

    `seen` is how it stands, where the job knows that for certain; `order_id` is what it is listed by.
    """
    try:
        await workflow.start_child_workflow(
            RefundWatchWorkflow.run,
            WatchRefund(stripe_refund_id=stripe_refund_id, seen=seen),
            id=refund_watch_workflow_id(stripe_refund_id),
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=refund_watch_attributes(_status(seen), order_id),
            static_summary=REFUND_WATCH_SUMMARY,
        )
    except WorkflowAlreadyStartedError:
        return  # a webhook was faster


def _status(seen: SeenRefund | None) -> RefundStatus | None:
    return None if seen is None else seen.status
