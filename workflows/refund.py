"""A refund that somebody asks for: decided by rule or by a person, then paid back."""

import asyncio
from uuid import UUID

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.refund_requests import RefundRequestActivities
    from models.errors import Reason, refusal
    from models.messages.jobs import JobState
    from models.messages.refunds import (
        GrantRefund,
        RefundAnswer,
        RefundOutcome,
        RefundWish,
        RequestedRefund,
        RequestRefund,
        SettleReview,
    )
    from models.messages.tasks import DecideTask, TaskDecided
    from models.vocabulary import (
        MailTemplate,
        OrderStatus,
        RefundAccess,
        RefundRequestStatus,
        TaskAction,
        TaskKind,
        WaitingFor,
    )
    from workflows.desk import Desk
    from workflows.human_tasks import HumanTasks
    from workflows.mailing import Outbox, send_mail
    from workflows.paying_back import REQUESTED, PayingBack
    from workflows.policies import RECORD
    from workflows.shielding import to_its_end


@workflow.defn(name="RefundWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class RefundWorkflow:
    """One wish, one run. What was approved is paid back whatever happens; nobody can cancel that half way."""

    @workflow.init
    def __init__(self, wish: RefundWish) -> None:
        self._wish = wish
        self._asked: RequestedRefund | None = None
        self._is_withdrawn = False
        self._granted_by: str | None = None
        self._outbox = Outbox()
        self._tasks = HumanTasks(self._outbox)
        self._desk = Desk("Refund", "The rule decides.", listed=(RefundRequestStatus.IN_REVIEW, WaitingFor.NOTHING))

    @workflow.run
    async def run(self, wish: RefundWish) -> RefundOutcome:
        """Decide, let a person review what the rule does not approve by itself, and pay back or say no."""
        return await to_its_end(asyncio.create_task(self._tell_story()), self._withdraw)

    def _withdraw(self) -> None:
        self._is_withdrawn = True

    async def _tell_story(self) -> RefundOutcome:
        asked = self._asked = await workflow.execute_local_activity_method(
            RefundRequestActivities.request_refund,
            RequestRefund(wish=self._wish, workflow_id=workflow.info().workflow_id),
            summary="Decide by the policy of the purchase",
            **RECORD,
        )
        if asked.status is None:
            self._desk.tell(WaitingFor.NOTHING, f"Refused: {asked.refusal_detail}")
            return RefundOutcome(refusal=asked.refusal)
        status = await self._review(asked) if asked.status is RefundRequestStatus.IN_REVIEW else asked.status
        self._desk.status = status
        order_status = None
        if status is RefundRequestStatus.APPROVED:
            order_status = await self._pay_back(asked)
        else:
            self._say_no(asked)
        await self._outbox.emptied()
        return RefundOutcome(status=status, order_status=order_status)

    # ---- the chapters ----

    async def _review(self, asked: RequestedRefund) -> RefundRequestStatus:
        """A person decides; a cancellation of the workflow withdraws the wish."""
        self._desk.status = asked.status
        grounds = ", ".join(asked.grounds)
        self._desk.tell(
            WaitingFor.OPERATOR,
            f"{asked.amount} is wanted back ({self._wish.cause}; {grounds}). Decide the task: `approve` or `reject`.",
            due_at=asked.decide_by,
            needs_human=True,
        )
        action = await self._tasks.ask(
            TaskKind.REFUND_REVIEW,
            "review",
            f"{asked.amount} is wanted back: {self._wish.cause} ({grounds}).",
            (TaskAction.APPROVE, TaskAction.REJECT),
            subject=("enrollment", self._wish.enrollment_id),
            due_at=asked.decide_by,
            unless=lambda: self._is_withdrawn or self._granted_by is not None,
        )
        await self._tasks.withdraw()
        approved = action is TaskAction.APPROVE or (action is None and self._granted_by is not None)
        status = RefundRequestStatus.APPROVED if approved else RefundRequestStatus.REJECTED
        await workflow.execute_local_activity_method(
            RefundRequestActivities.settle_review,
            SettleReview(
                request_id=self._wish.request_id,
                status=status,
                actor=self._tasks.decided_by("review") or self._granted_by or "operator",
                workflow_id=workflow.info().workflow_id,
            ),
            summary=f"Write down the review: {status}",
            **RECORD,
        )
        return status

    async def _pay_back(self, asked: RequestedRefund) -> OrderStatus:
        assert asked.order_id is not None  # noqa: S101 - an approved wish has an order and a payer
        assert asked.payer_id is not None  # noqa: S101
        is_kept, is_free = asked.access is RefundAccess.KEPT, asked.amount is not None and not asked.amount.amount
        place = "The place stays" if is_kept else "The place ends"
        money = "there is no money to pay back" if is_free else "the money goes back"
        self._desk.tell(WaitingFor.STRIPE, f"{place} and {money}.", in_passing=True)
        if not is_free:
            self._tell_others(asked)
        back = PayingBack(asked.order_id, asked.payer_id, self._desk, self._tasks, self._outbox)
        order_status = await back.places(
            (self._wish.enrollment_id,), REQUESTED, self._wish.actor, request_id=self._wish.request_id
        )
        if is_free:
            self._post(asked.payer_id, MailTemplate.PLACE_ENDED, asked.order_id, "Mail that the place has ended")
        if self._wish.cascade_id is not None and asked.student_id not in (None, asked.payer_id):
            self._post(asked.student_id, MailTemplate.PLACE_ENDED, asked.order_id, "Mail why the place has ended")
        self._desk.status = RefundRequestStatus.APPROVED
        kept = ", the place stays" if is_kept else ""
        self._desk.tell(WaitingFor.NOTHING, f"Done: {money}{kept}, the order is {order_status}.")
        return order_status

    def _tell_others(self, asked: RequestedRefund) -> None:
        """The tutor and who looks after the money (TutorHub R43); an older record of the decision names nobody."""
        assert asked.order_id is not None  # noqa: S101 - an approved wish has an order
        for person_id in asked.notice_ids:
            self._post(person_id, MailTemplate.REFUND_NOTICE, asked.order_id, "Tell who has to know of the refund")

    def _say_no(self, asked: RequestedRefund) -> None:
        assert asked.order_id is not None  # noqa: S101 - a wish that was reviewed has an order and a payer
        assert asked.payer_id is not None  # noqa: S101
        self._post(asked.payer_id, MailTemplate.REFUND_REJECTED, asked.order_id, "Mail that the money does not go back")
        self._desk.tell(WaitingFor.NOTHING, "Over: the refund was rejected.")

    def _post(self, recipient_id: UUID, template: MailTemplate, order_id: UUID, summary: str) -> None:
        """One mail of its kind about this wish."""
        occasion = str(self._wish.request_id)
        self._outbox.post(send_mail(recipient_id, template, order_id, occasion=occasion, summary=summary))

    # ---- messages ----

    @workflow.update(description="Wait until it is decided whether the refund may be had, and by whom")
    async def request(self, wish: RefundWish) -> RefundAnswer:
        """Answer who asks, or repeats it. Another wish for the same enrollment is refused while one is alive."""
        if wish.request_id != self._wish.request_id:
            raise refusal(Reason.REFUND_IN_PROGRESS, "The money of this enrollment is wanted back already.")
        await workflow.wait_condition(lambda: self._asked is not None)
        asked = self._asked
        assert asked is not None  # noqa: S101 - that is what was waited for
        if asked.status is None or asked.amount is None:
            raise refusal(asked.refusal or Reason.INTERNAL, asked.refusal_detail or "It was refused.")
        return RefundAnswer(request_id=wish.request_id, status=asked.status, amount=asked.amount)

    @workflow.update(description="Decide the open task: {task_id: '…', action: 'approve', actor: 'staff:<id>'}")
    async def decide(self, decision: DecideTask) -> TaskDecided:
        """Take what a person decided."""
        return await self._tasks.decide(decision)

    @decide.validator
    def _check_decision(self, decision: DecideTask) -> None:
        self._tasks.check(decision)

    @workflow.signal(description="Approve what is in review, whoever reviews it: {actor: 'admin:<id>'}")
    def grant(self, order: GrantRefund) -> None:
        """The place ends anyhow, with its tutor or its course: nobody needs to review the wish any more."""
        self._granted_by = self._granted_by or order.actor

    @workflow.query(description="Whether the money goes back, and who has to act")
    def status(self) -> JobState:
        return self._desk.state(self._tasks.open_id)
