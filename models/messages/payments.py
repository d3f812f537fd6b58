"""What is said about money at Stripe that no running order waits for."""

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from models.messages.message import Message, StripeId, WorkflowId
from models.money import MinorUnits, Money
from models.vocabulary import RefundStatus


class UnmatchedPayment(Message):
    """The input of `UnmatchedPaymentWorkflow`: a payment that succeeded, and the order it names, if it names one."""

    payment_intent_id: StripeId
    order_id: UUID | None = None


class PaymentOwner(StrEnum):
    """Whose payment it turned out to be."""

    ORDER = "order"  # what its order was paid with: all is well
    LATE = "late"  # its order's own, but the order had been given up
    SECOND = "second"  # of an order that was paid with another one
    STUCK = "stuck"  # its order's own, but the order's job is over and has not seen it
    NOBODY = "nobody"
    UNREADABLE = "unreadable"  # in a currency or of a size that we do not count, or not to be found at Stripe


class FoundPayment(Message):
    """What Stripe and the record say about it."""

    owner: PaymentOwner
    captured: Money | None = Field(default=None, description="none if it cannot be read")
    as_stripe_says: str = Field(default="", max_length=100, description="the amount where it cannot be read")
    refunded_amount: MinorUnits = 0
    payer_id: UUID | None = None

    @property
    def left(self) -> Money | None:
        """What has not gone back yet; none if that cannot be read."""
        if self.captured is None:
            return None
        return self.captured.model_copy(update={"amount": max(0, self.captured.amount - self.refunded_amount)})

    @property
    def has_money(self) -> bool:
        """Whether something is left to decide about."""
        return self.left is None or self.left.amount > 0


class PayBack(Message):
    """Pay back what is left of a payment that no order owns."""

    payment_intent_id: StripeId
    workflow_id: WorkflowId
    attempt: int = Field(default=1, ge=1)


class PaidBack(Message):
    """What became of it."""

    status: RefundStatus


class UnmatchedOutcome(Message):
    """The result of `UnmatchedPaymentWorkflow`."""

    owner: PaymentOwner
