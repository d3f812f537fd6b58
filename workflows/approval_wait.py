"""The wait for the person who lets students in (Eduframe E9: requested, approved, denied)."""

from datetime import datetime

from temporalio import workflow

from activities.orders import OrderActivities
from models.messages.orders import Approved, ApproveOrder, CancelOrder, DenyOrder, GrantApproval, PlacedOrder
from models.vocabulary import MailTemplate, WaitingFor
from rules.approval import reminder_times
from workflows.mailing import send_mail
from workflows.order_run import OrderRun
from workflows.policies import RECORD
from workflows.waiting import happened

_NOBODY_DECIDED = CancelOrder(actor="system", reason="approval_expired")


class ApprovalWait:
    """Asks the approvers, reminds them, and denies the order itself when nobody has decided in time."""

    def __init__(self, run: OrderRun, placed: PlacedOrder, deadline: datetime) -> None:
        self._run, self._approver_ids, self._deadline = run, placed.approver_ids, deadline

    async def approved(self) -> Approved | None:
        """What the approval brought forth; none if the order was denied or cancelled, with the wish in the inbox."""
        self._run.desk.tell(
            WaitingFor.REVIEWER,
            "Staff has to let the student in: send `approve` or `deny`. Without a decision the order is denied.",
            due_at=self._deadline,
        )
        times = [*reminder_times(workflow.now()), self._deadline]
        self._ask("")
        for number, moment in enumerate(times, start=1):
            if await self._decided_before(moment):
                break
            if moment < self._deadline:
                self._ask(f"reminder_{number}")
        inbox = self._run.inbox
        if inbox.cancel is not None:
            return None
        match inbox.approval:
            case ApproveOrder(actor=actor):
                return await self._grant(actor)
            case DenyOrder(actor=actor, reason=reason):
                inbox.cancel = CancelOrder(actor=actor, reason=f"denied:{reason}")
            case None:
                inbox.cancel = _NOBODY_DECIDED
        return None

    async def _decided_before(self, moment: datetime) -> bool:
        inbox = self._run.inbox
        return await happened(
            lambda: inbox.approval is not None or inbox.cancel is not None,
            moment,
            summary="Places are kept until staff has decided",
        )

    def _ask(self, occasion: str) -> None:
        for approver_id in self._approver_ids:
            mail = send_mail(
                approver_id,
                MailTemplate.APPROVAL_REQUESTED,
                self._run.request.order_id,
                occasion=occasion,
                summary=f"Ask for the approval{f', {occasion}' if occasion else ''}",
            )
            self._run.outbox.post(mail)

    async def _grant(self, actor: str) -> Approved:
        return await workflow.execute_local_activity_method(
            OrderActivities.grant_approval,
            GrantApproval(order_id=self._run.request.order_id, actor=actor, workflow_id=self._run.workflow_id),
            summary="Write down the approval",
            **RECORD,
        )
