"""What is said about a refund at Stripe that is followed to its real end."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from models.messages.message import Actor, Message, StripeId, WorkflowId
from models.money import Money
from models.vocabulary import RefundStatus


class RefundOwner(StrEnum):
    """Whose refund it turned out to be."""

    OURS = "ours"
    ADOPTED = "adopted"  # made in Stripe's Dashboard for an order of ours, and now in the record
    NOBODY = "nobody"  # of no order of ours, or replaced by a later one


class SeenRefund(Message):
    """How a refund stands at Stripe, and whose it is."""

    owner: RefundOwner
    status: RefundStatus
    created_at: datetime
    refund_id: UUID | None = None
    order_id: UUID | None = None
    payer_id: UUID | None = None
    amount: Money | None = None
    pending_reason: str | None = Field(default=None, max_length=64, description="Stripe's word, e.g. processing")
    failure_reason: str | None = Field(default=None, max_length=64, description="Stripe's word")
    credit_note_id: UUID | None = None


class WatchRefund(Message):
    """The input of `RefundWatchWorkflow`. `seen` spares the first look to who has just made the refund."""

    stripe_refund_id: StripeId
    seen: SeenRefund | None = None


class ReadRefund(Message):
    """Read a refund from Stripe and write down how it stands."""

    stripe_refund_id: StripeId
    workflow_id: WorkflowId


class RefundAgain(Message):
    """Ask Stripe once more for a refund that has come to nothing."""

    refund_id: UUID
    after: StripeId = Field(description="the refund at Stripe that came to nothing")
    workflow_id: WorkflowId
    attempt: int = Field(default=1, ge=1, description="counts on where Stripe has refused before")


class SettlePayout(Message):
    """Write down what a person did about a refund that has come to nothing."""

    refund_id: UUID
    status: RefundStatus
    actor: Actor
    after: StripeId = Field(description="the refund at Stripe that came to nothing")
    workflow_id: WorkflowId


class SweepRefunds(Message):
    """The input of `RefundSweepWorkflow`: look for refunds that are not in the record, of one payment or of late."""

    payment_intent_id: StripeId | None = None
    hours: int = Field(default=24, ge=1, le=720, description="how far to look back, where no payment is named")


class UnknownRefunds(Message):
    """Refunds of our orders' payments that somebody else has made."""

    stripe_refund_ids: tuple[StripeId, ...] = Field(default=(), max_length=1000)


class RefundWatchOutcome(Message):
    """The result of `RefundWatchWorkflow`."""

    owner: RefundOwner
    status: RefundStatus


class SweepOutcome(Message):
    """The result of `RefundSweepWorkflow`: how many were found."""

    adopted: int
