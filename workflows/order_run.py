"""What the chapters of an order share: the request, what came in, what is told to people, and the open tasks."""

from dataclasses import dataclass, field

from temporalio import workflow

from models.errors import Reason
from models.messages.orders import (
    ApproveOrder,
    CancelOrder,
    DenyOrder,
    MarkPaid,
    OrderRequest,
    OrderState,
    PlacedOrder,
)
from models.vocabulary import MailTemplate, OrderStatus, WaitingFor
from workflows.desk import Desk
from workflows.human_tasks import HumanTasks
from workflows.mailing import Outbox, send_mail
from workflows.paying_back import PayingBack


@dataclass
class Inbox:
    """What came in from outside and has not been dealt with yet."""

    payment_changed: bool = False
    cancel: CancelOrder | None = None
    approval: ApproveOrder | DenyOrder | None = None
    received: list[MarkPaid] = field(default_factory=list)


def _desk() -> Desk:
    return Desk(
        "Order",
        "The order is being priced and its seats are being held.",
        listed=(OrderStatus.PENDING_PAYMENT, WaitingFor.PAYMENT),  # as routes/order_start.py sets them
        can_do="`cancel` gives the order up.",
    )


@dataclass
class OrderRun:
    """One run of one order."""

    request: OrderRequest
    desk: Desk = field(default_factory=_desk)
    inbox: Inbox = field(default_factory=Inbox)
    outbox: Outbox = field(default_factory=Outbox)
    tasks: HumanTasks = field(init=False)
    placed: PlacedOrder | None = None
    refusal: tuple[Reason, str] | None = None
    hold_lapsed: bool = False
    # Somebody wanted out while the money was on its way: it is paid back when it arrives.
    regret: CancelOrder | None = None

    def __post_init__(self) -> None:
        self.tasks = HumanTasks(self.outbox)

    @property
    def workflow_id(self) -> str:
        """The id of this workflow, and the first half of every idempotency key."""
        return workflow.info().workflow_id

    @property
    def status(self) -> OrderStatus | None:
        """The order's status; none until it is written."""
        return None if self.desk.status is None else OrderStatus(self.desk.status)

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be paid any more."""
        return self.status not in (None, OrderStatus.PENDING_PAYMENT)

    @property
    def paying_back(self) -> PayingBack:
        """How money of this order goes back."""
        return PayingBack(self.request.order_id, self.request.payer_id, self.desk, self.tasks, self.outbox)

    def mail_payer(self, template: MailTemplate, summary: str, occasion: str = "") -> None:
        """Have the payer told, without waiting for it."""
        mail = send_mail(self.request.payer_id, template, self.request.order_id, occasion=occasion, summary=summary)
        self.outbox.post(mail)

    def state(self) -> OrderState:
        """The answer of the query `status`."""
        told = self.desk.state(self.tasks.open_id)
        return OrderState(**dict(told), hold_expires_at=self.placed.hold_expires_at if self.placed else None)
