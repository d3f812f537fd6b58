"""Paying back the places of an order: refund, credit note, mail; a person takes over what Stripe cannot do."""

from collections.abc import Sequence
from uuid import UUID

from temporalio import workflow

from activities.documents import DocumentActivities
from activities.refunds import RefundActivities
from models.messages.documents import RenderDocument
from models.messages.orders import RefundedPlaces, RefundPayment, RefundPlaces, RefundReport, SettleByHand
from models.messages.refund_watch import RefundOwner, SeenRefund
from models.money import Money
from models.vocabulary import MailTemplate, OrderStatus, RefundStatus, TaskAction, TaskKind, WaitingFor
from rules.refund_watch import has_come_to_nothing
from workflows.desk import Desk, Told
from workflows.human_tasks import HumanTasks
from workflows.mailing import Outbox, send_mail
from workflows.policies import DOCUMENTS, STRIPE
from workflows.queues import DOCUMENTS_QUEUE
from workflows.refund_watch import watch_refund

REQUESTED = "requested"


class PayingBack:
    """Gives money of one order back, for whichever workflow has to."""

    def __init__(self, order_id: UUID, payer_id: UUID, desk: Desk, tasks: HumanTasks, outbox: Outbox) -> None:
        self._order_id, self._payer_id = order_id, payer_id
        self._desk, self._tasks, self._outbox = desk, tasks, outbox

    async def places(
        self, enrollment_ids: tuple[UUID, ...], reason: str, actor: str = "system", request_id: UUID | None = None
    ) -> OrderStatus:
        """End these places, or all of the order if none is named, and pay back what was paid for them.

        Answers how the order stands then. A wish that is granted says itself how much goes back, and whether its place
        ends.

        `reason` is a word of ours (lower case, underscores); it names the mail, so that each reason has its own.
        """
        attempt = 1
        while True:
            refunded = await self._refund(enrollment_ids, reason, actor, attempt, request_id)
            self._desk.status = refunded.order_status
            await self._watch(refunded.refunds)
            failed = [refund for refund in refunded.refunds if refund.status is RefundStatus.FAILED]
            if not failed:
                break
            if not await self._is_retried(failed, about := f"{reason}-{attempt}"):
                settled = await self._settle(reason, RefundStatus.SUCCEEDED, f"refund-{about}", request_id)
                others = [refund for refund in refunded.refunds if refund not in failed]
                refunded = settled.model_copy(update={"refunds": (*others, *settled.refunds)})
                break
            attempt += 1
        self._outbox.post(self._tell_payer(refunded.refunds, reason))
        if any(_is_offline(refund) for refund in refunded.refunds):
            what = "Pay back by hand what had come in by invoice for places that ended."
            done = await self.by_hand(what, reason) is TaskAction.ACCEPT
            status = RefundStatus.SUCCEEDED if done else RefundStatus.CANCELED
            refunded = await self._settle(reason, status, f"pay-back-{reason}", request_id)
            self._desk.status = refunded.order_status
        return refunded.order_status

    async def payment(self, payment_intent_id: str, amount: Money, reason: str) -> bool:
        """Pay back all that is left of one payment for an order that is not completed, and tell the payer.

        False if Stripe refused and a person says that it is settled all the same.
        """
        attempt = 1
        while True:
            refunded = await workflow.execute_activity_method(
                RefundActivities.refund_payment,
                RefundPayment(
                    order_id=self._order_id,
                    payment_intent_id=payment_intent_id,
                    amount=amount,
                    reason=reason,
                    workflow_id=workflow.info().workflow_id,
                    attempt=attempt,
                ),
                summary=f"Pay back: {reason.replace('_', ' ')}",
                **STRIPE,
            )
            failed = [refund for refund in refunded.refunds if refund.status is RefundStatus.FAILED]
            if not failed:
                self._outbox.post(self._mail_refund(reason))
                await self._watch(refunded.refunds)
                return True
            if not await self._is_retried(failed, str(attempt)):
                await self._settle(reason, RefundStatus.SUCCEEDED, f"refund-{attempt}")
                return False
            attempt += 1

    async def by_hand(self, what: str, about: str) -> TaskAction | None:
        """Money that did not come through Stripe goes back by a person's hand; they say whether it is done."""
        before = self._desk.told
        self._desk.tell(
            WaitingFor.OPERATOR, f"{what} Then decide the task: `accept` says that it is done.", needs_human=True
        )
        asked = self._desk.told
        action = await self._tasks.ask(
            TaskKind.PAY_BACK,
            f"pay-back-{about}",
            what,
            (TaskAction.ACCEPT, TaskAction.DISMISS),
            subject=("order", self._order_id),
        )
        self._say_again(before, asked)
        return action

    async def _settle(
        self, reason: str, status: RefundStatus, about: str, request_id: UUID | None = None
    ) -> RefundedPlaces:
        """Have what a person saw to written down, with credit notes for what they paid back."""
        return await workflow.execute_activity_method(
            RefundActivities.settle_by_hand,
            SettleByHand(
                order_id=self._order_id,
                reason=reason,
                status=status,
                actor=self._tasks.decided_by(about) or "system",
                workflow_id=workflow.info().workflow_id,
                request_id=request_id,
            ),
            summary=f"Write down what was settled by hand: {status}",
            **STRIPE,
        )

    async def _refund(
        self, enrollment_ids: tuple[UUID, ...], reason: str, actor: str, attempt: int, request_id: UUID | None
    ) -> RefundedPlaces:
        return await workflow.execute_activity_method(
            RefundActivities.refund_places,
            RefundPlaces(
                order_id=self._order_id,
                enrollment_ids=enrollment_ids,
                reason=reason,
                actor=actor,
                workflow_id=workflow.info().workflow_id,
                attempt=attempt,
                request_id=request_id,
            ),
            summary=f"Pay back: {reason.replace('_', ' ')}",
            **STRIPE,
        )

    async def _watch(self, refunds: Sequence[RefundReport]) -> None:
        """Have each that was made at Stripe followed to its end."""
        for refund in refunds:
            if refund.stripe_refund_id is not None and not has_come_to_nothing(refund.status):
                seen = SeenRefund(
                    owner=RefundOwner.OURS,
                    status=refund.status,
                    created_at=workflow.now(),
                    refund_id=refund.refund_id,
                    order_id=self._order_id,
                    payer_id=self._payer_id,
                    amount=refund.amount,
                )
                # What is not at its end may have moved on already: the watch looks for itself first.
                is_done = refund.status is RefundStatus.SUCCEEDED
                await watch_refund(refund.stripe_refund_id, seen if is_done else None, order_id=self._order_id)

    async def _is_retried(self, failed: Sequence[RefundReport], about: str) -> bool:
        # Stripe's codes, for instance `charge_disputed`; an older build has not kept them.
        codes = sorted({refund.failure_reason for refund in failed if refund.failure_reason is not None})
        why = f" ({', '.join(codes)})" if codes else ""
        count = len(failed)
        before = self._desk.told
        self._desk.tell(
            WaitingFor.OPERATOR,
            f"Stripe has refused a refund{why}. See why in Stripe, then decide the task: `retry`, or `dismiss` if it "
            "was paid back another way.",
            needs_human=True,
        )
        asked = self._desk.told
        action = await self._tasks.ask(
            TaskKind.REFUND_FAILED,
            f"refund-{about}",
            f"Stripe refused {count} refund{'s' if count > 1 else ''} of this order{why}.",
            (TaskAction.RETRY, TaskAction.DISMISS),
            subject=("order", self._order_id),
        )
        self._say_again(before, asked)
        return action is TaskAction.RETRY

    def _say_again(self, before: Told, asked: Told) -> None:
        """Unless something else has been said meanwhile: several people may be asked at once."""
        if self._desk.told == asked:
            self._desk.tell_again(before)

    async def _tell_payer(self, refunds: Sequence[RefundReport], reason: str) -> None:
        credited = [refund for refund in refunds if refund.credit_note_id is not None]
        notes = [refund.credit_note_id for refund in credited if refund.credit_note_id is not None]
        for document_id in notes:
            await workflow.execute_activity_method(
                DocumentActivities.render_document,
                RenderDocument(document_id=document_id),
                task_queue=DOCUMENTS_QUEUE,
                summary="Render the credit note",
                **DOCUMENTS,
            )
        if notes:
            # An order may have several refunds that were asked for, each with a mail of its own.
            await self._mail_refund(str(credited[0].refund_id) if reason == REQUESTED else reason)

    async def _mail_refund(self, occasion: str) -> None:
        await send_mail(
            self._payer_id,
            MailTemplate.REFUND,
            self._order_id,
            occasion=occasion,
            summary="Mail that money goes back",
        )


def _is_offline(refund: RefundReport) -> bool:
    """Whether the money came by invoice, so that a person has to send it back."""
    return refund.status is RefundStatus.REQUIRES_ACTION and refund.stripe_refund_id is None
