"""What is said about a refund that somebody asks for."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field, model_validator

from models.errors import Reason
from models.messages.message import Actor, Message, WorkflowId
from models.money import Money
from models.vocabulary import OrderStatus, RefundAccess, RefundCause, RefundGround, RefundRequestStatus, RefundShare

MAX_NOTICES = 8


class RefundTerms(Message):
    """What staff grants beyond the policy (TutorHub R50): how much of what was paid, and whether the place stays."""

    share: RefundShare = RefundShare.FULL
    amount: int | None = Field(default=None, ge=1, description="minor units; given exactly where the share is `amount`")
    access: RefundAccess = RefundAccess.REVOKED

    @model_validator(mode="after")
    def _amount_belongs_to_its_share(self) -> Self:
        if (self.amount is not None) is not (self.share is RefundShare.AMOUNT):
            raise ValueError("an amount is named exactly where the share is `amount`")
        return self


class RefundWish(Message):
    """The input of `RefundWorkflow`: the money of one enrollment is wanted back."""

    request_id: UUID
    enrollment_id: UUID
    cause: RefundCause
    actor: Actor
    terms: RefundTerms | None = Field(default=None, description="of staff, who decides with it; none asks the policy")
    cascade_id: UUID | None = Field(default=None, description="what it is a part of, where many places end at once")


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
    access: RefundAccess = RefundAccess.REVOKED
    student_id: UUID | None = None
    notice_ids: tuple[UUID, ...] = Field(
        default=(), max_length=MAX_NOTICES, description="the tutor and the staff who are told of it once it is granted"
    )
    decide_by: datetime | None = Field(default=None, description="when a person should have decided")
    refusal: Reason | None = None
    refusal_detail: str | None = None


class SettleReview(Message):
    """Write down what a person decided about the wish."""

    request_id: UUID
    status: RefundRequestStatus
    actor: Actor
    workflow_id: WorkflowId


class GrantRefund(Message):
    """The argument of the signal `grant`: who approves what is in review, without asking whoever reviews it."""

    actor: Actor


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
