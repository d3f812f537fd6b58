"""What follows from a paid order: enrollments, receipt, confirmation, and money back for what cannot be delivered."""

import asyncio
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.documents import DocumentActivities
from activities.drips import DripActivities
from activities.orders import OrderActivities
from activities.provisioning import ProvisioningActivities
from models.messages.documents import RenderReceipt
from models.messages.learning import StartDrips
from models.messages.orders import CompletedOrder, CompleteOrder, PaymentFacts
from models.messages.provisioning import ProvisionEnrollment
from models.vocabulary import MailStatus, MailTemplate, OrderStatus, TaskAction, TaskKind, WaitingFor
from rules.provisioning import REFUNDED_AFTER, TRIED_FOR
from workflows.cart import tell_ordered
from workflows.mailing import send_mail
from workflows.order_run import OrderRun
from workflows.policies import DOCUMENTS, JOBS, PLATFORM, RECORD
from workflows.queues import DOCUMENTS_QUEUE


class Fulfilment:
    """Every place succeeds or fails on its own."""

    def __init__(self, run: OrderRun) -> None:
        self._run = run

    async def deliver(self, payment: PaymentFacts | None) -> None:
        """Complete the order, give access, send the papers, and pay back what cannot be had any more."""
        completed = await self._complete(payment)
        for cart_id in completed.cart_ids:
            self._run.outbox.post(tell_ordered(cart_id))
        if completed.starts_drips and completed.enrollment_ids and self._run.regret is None:
            self._run.outbox.post(self._start_drips(completed.enrollment_ids))
        self._run.desk.status = OrderStatus.COMPLETED
        self._run.desk.tell(WaitingFor.NOTHING, "The seat is taken; the receipt and the mail are on their way.")
        if self._run.regret is not None:
            await self._render_receipt(completed)
            places = (*completed.enrollment_ids, *completed.lost_ids)
            await self._run.paying_back.places(places, "cancelled", self._run.regret.actor)
            self._run.desk.tell(WaitingFor.NOTHING, "Cancelled while the bank was working: the money goes back.")
        elif completed.is_provisioned_elsewhere:
            mail, refused = await asyncio.gather(
                self._send_papers(completed), self._refused_places(completed.enrollment_ids)
            )
            if refused:
                await self._run.paying_back.places(refused, "provisioning_failed")
            self._tell_end(mail)
        else:
            self._tell_end(await self._send_papers(completed))

    async def _complete(self, payment: PaymentFacts | None) -> CompletedOrder:
        return await workflow.execute_local_activity_method(
            OrderActivities.complete_order,
            CompleteOrder(order_id=self._run.request.order_id, payment=payment, workflow_id=self._run.workflow_id),
            summary="Activate the enrollments, number the receipt",
            **RECORD,
        )

    async def _start_drips(self, enrollment_ids: tuple[UUID, ...]) -> None:
        """From now on each enrollment has a job of its own. Nothing waits for it, but the end of the order."""
        await workflow.execute_activity_method(
            DripActivities.start_drips,
            StartDrips(enrollment_ids=enrollment_ids),
            summary="Start the lessons of each enrollment",
            **JOBS,
        )

    # ---- papers ----

    async def _send_papers(self, completed: CompletedOrder) -> MailStatus:
        """What became of the confirmation; it is not sent where nothing was left to confirm."""
        await self._render_receipt(completed)
        if completed.lost_ids:
            await self._run.paying_back.places(completed.lost_ids, "seat_lost")
        if completed.lost_ids and not completed.enrollment_ids:
            return MailStatus.SKIPPED
        report = await send_mail(
            completed.payer_id,
            MailTemplate.ORDER_CONFIRMATION,
            self._run.request.order_id,
            summary="Mail the confirmation with the receipt",
        )
        return report.status

    async def _render_receipt(self, completed: CompletedOrder) -> None:
        await workflow.execute_activity_method(
            DocumentActivities.render_receipt,
            RenderReceipt(receipt_id=completed.receipt_id),
            task_queue=DOCUMENTS_QUEUE,
            summary="Render the receipt",
            **DOCUMENTS,
        )

    def _tell_end(self, mail: MailStatus) -> None:
        status = self._run.desk.status
        if mail in (MailStatus.SENT, MailStatus.SKIPPED):
            end = "Done: paid, enrolled, receipt and confirmation sent."
            self._run.desk.tell(WaitingFor.NOTHING, end if status is OrderStatus.COMPLETED else f"Done: {status}.")
        else:
            self._run.desk.tell(
                WaitingFor.NOTHING, f"Done, but the confirmation mail is {mail}: see its log.", needs_human=True
            )

    # ---- access on the learning platform ----

    async def _refused_places(self, enrollment_ids: tuple[UUID, ...]) -> tuple[UUID, ...]:
        """The places that the learning platform has not opened in the end."""
        opened = await asyncio.gather(*(self._is_opened(enrollment_id) for enrollment_id in enrollment_ids))
        return tuple(place for place, is_open in zip(enrollment_ids, opened, strict=True) if not is_open)

    async def _is_opened(self, enrollment_id: UUID) -> bool:
        """Tried for a day, then a person is asked; after three days without an answer the place is given up."""
        given_up_at = workflow.now() + REFUNDED_AFTER
        while (left := given_up_at - workflow.now()) > timedelta():
            try:
                await workflow.execute_activity_method(
                    ProvisioningActivities.provision_enrollment,
                    ProvisionEnrollment(enrollment_id=enrollment_id, workflow_id=self._run.workflow_id),
                    summary="Have the learning platform open the course",
                    schedule_to_close_timeout=min(TRIED_FOR, left),
                    **PLATFORM,
                )
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
            else:
                return True
            self._run.desk.tell(
                WaitingFor.OPERATOR,
                "The learning platform has not opened a course that is paid for. Mend it and decide the task: `retry` "
                "or `refund`. Without a decision the place is paid back.",
                due_at=given_up_at,
                needs_human=True,
            )
            action = await self._run.tasks.ask(
                TaskKind.PROVISIONING_FAILED,
                f"provisioning-{enrollment_id}",
                "The learning platform has not opened the course for a day.",
                (TaskAction.RETRY, TaskAction.REFUND),
                subject=("enrollment", enrollment_id),
                until=given_up_at,
            )
            if action is not TaskAction.RETRY:
                return False
            self._run.desk.tell(WaitingFor.NOTHING, "The learning platform is asked again to open the course.")
        return False
