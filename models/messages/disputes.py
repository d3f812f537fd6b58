"""What is said about a payment that its payer has disputed at their bank."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.messages.message import Actor, Message, StripeId, WorkflowId
from models.money import Money
from models.vocabulary import DisputeStatus


class DisputedPayment(Message):
    """The input of `DisputeWorkflow`: a dispute that Stripe has told of. Whose it is, is found out."""

    stripe_dispute_id: StripeId


class ReadDispute(Message):
    """Read the dispute from Stripe and write it down."""

    stripe_dispute_id: StripeId
    workflow_id: WorkflowId


class DisputeFacts(Message):
    """How the dispute stands; without a status it is of no payment of ours."""

    status: DisputeStatus | None = None
    order_id: UUID | None = None
    amount: Money | None = None
    reason: str = Field(default="", max_length=64, description="Stripe's word")
    evidence_due_at: datetime | None = Field(default=None, description="until when to answer it")
    has_places: bool = Field(default=False, description="what the payment paid for still gives somebody access")
    is_decided: bool = Field(default=False, description="a person has said what becomes of the places")
    tasks_done: int = Field(default=0, ge=0, description="questions of this dispute that are over")


class EndDisputedPlaces(Message):
    """End the places of an order whose payment a bank has taken back. No money moves."""

    order_id: UUID
    actor: Actor
    workflow_id: WorkflowId


class FindChangedDisputes(Message):
    """Look for disputes that the record does not show as Stripe does."""

    days: int = Field(default=7, ge=1, le=90, description="how far back to look for disputes that nobody told of")


class ChangedDisputes(Message):
    """The disputes that somebody has to look at again."""

    stripe_dispute_ids: tuple[StripeId, ...] = Field(default=(), max_length=1000)


class DisputeOutcome(Message):
    """The result of `DisputeWorkflow`; without a status it was of no payment of ours."""

    status: DisputeStatus | None = None
    places_ended: bool = False
