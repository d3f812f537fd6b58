"""What is said about a refund that somebody asks for."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.errors import Reason
from models.messages.message import Actor, Message, WorkflowId
from models.money import Money
from models.vocabulary import OrderStatus, RefundCause, RefundGround, RefundRequestStatus


class RefundWish(Message):
    """The input of `RefundWorkflow`: the money of one enrollment is wanted back."""

    request_id: UUID
    enrollment_id: UUID
    cause: RefundCause
    actor: Actor


class RequestRefund(Message):
    """Decide by rule whether the wish may be granted, and write it down."""

    wish: RefundWish
    workflow_id: WorkflowId


class RequestedRefund(Message):
    """What the rule decided: approved, for a person to review, or refused (then nothing is written)."""

    status: RefundRequestStatus | None = None
    grounds: tuple[RefundGround, ...] = ()
    amount: Money | None = None
    order_id: UUID | None = None
    payer_id: UUID | None = None
    decide_by: datetime | None = Field(default=None, description="when a person should have decided")
    refusal: Reason | None = None
    refusal_detail: str | None = None


class SettleReview(Message):
    """Write down what a person decided about the wish."""

    request_id: UUID
    status: RefundRequestStatus
    actor: Actor
    workflow_id: WorkflowId


class RefundAnswer(Message):
    """What the update `request` answers."""

    request_id: UUID
    status: RefundRequestStatus
    amount: Money


class RefundOutcome(Message):
    """The result of `RefundWorkflow`."""

    status: RefundRequestStatus | None = None
    order_status: OrderStatus | None = None
    refusal: Reason | None = None
