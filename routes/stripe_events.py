"""Webhooks of Stripe as they arrive: whether they are genuine, and the little we read of them."""

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import stripe
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from models.errors import Reason
from routes.problems import ProblemError

TOLERANCE_SECONDS = 300
_STRIPE_ID = re.compile(r"[a-z]+_[A-Za-z0-9_]{1,200}")

PAYMENT_SUCCEEDED = "payment_intent.succeeded"
CHARGE_REFUNDED = "charge.refunded"
REFUND_FAILED = "refund.failed"
# Which of them Stripe sends depends on the means of payment; some refunds are told of by one alone.
OF_REFUNDS = frozenset({CHARGE_REFUNDED, "charge.refund.updated", "refund.created", "refund.updated", REFUND_FAILED})

OF_DISPUTES = frozenset(
    {
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
    }
)

# What can change how a payment, a refund or a dispute stands. Everything else is somebody else's business, or none.
OF_INTEREST = (
    OF_REFUNDS
    | OF_DISPUTES
    | frozenset(
        {
            "checkout.session.async_payment_failed",
            "checkout.session.async_payment_succeeded",
            "checkout.session.completed",
            "checkout.session.expired",
            "payment_intent.canceled",
            "payment_intent.payment_failed",
            "payment_intent.processing",
            "payment_intent.requires_action",
            PAYMENT_SUCCEEDED,
        }
    )
)


class _Object(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    id: object = None
    metadata: object = None
    payment_intent: object = None
    amount_refunded: object = None


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    object: _Object


class Event(BaseModel):
    """The envelope of an event. Of what it says only ids are read: the facts are read again from Stripe."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(pattern=r"^[A-Za-z0-9_]{1,255}$")
    type: str = Field(pattern=r"^[a-z0-9_.]{1,80}$")
    created: datetime
    livemode: bool
    data: _Data

    @property
    def object_id(self) -> str | None:
        """The id of the object that the event is about."""
        found = self.data.object.id
        return found if isinstance(found, str) and _STRIPE_ID.fullmatch(found) else None

    @property
    def order_id(self) -> UUID | None:
        """The order whose id we gave to the object, if it is one of ours."""
        return self._told("order_id")

    @property
    def refund_id(self) -> UUID | None:
        """The row that asked for the refund, if we did."""
        return self._told("refund_id")

    @property
    def payment_intent_id(self) -> str | None:
        """The payment that a charge is of."""
        found = self.data.object.payment_intent
        return found if isinstance(found, str) and _STRIPE_ID.fullmatch(found) else None

    @property
    def amount_refunded(self) -> int | None:
        """How much of a charge has gone back, in minor units."""
        found = self.data.object.amount_refunded
        return found if isinstance(found, int) else None

    def _told(self, name: str) -> UUID | None:
        metadata = self.data.object.metadata
        told = metadata.get(name) if isinstance(metadata, dict) else None
        try:
            return UUID(told) if isinstance(told, str) else None
        except ValueError:
            return None


def genuine_event(body: bytes, signature: str | None, secrets: Sequence[SecretStr]) -> Event:
    """The event, if Stripe signed it a moment ago with one of the secrets. Raises `ProblemError` otherwise."""
    if not any(_signed(body, signature, secret.get_secret_value()) for secret in secrets):
        raise ProblemError(Reason.SIGNATURE_INVALID, "The Stripe-Signature header does not match the body.")
    if _signed_at(signature or "") < time.time() - TOLERANCE_SECONDS:
        raise ProblemError(Reason.SIGNATURE_TOO_OLD, f"It was signed more than {TOLERANCE_SECONDS} seconds ago.")
    try:
        event = Event.model_validate_json(body)
    except ValidationError:
        raise ProblemError(Reason.INVALID_REQUEST, "The body is not an event of Stripe.") from None
    return event.model_copy(update={"created": event.created.astimezone(UTC)})


def _signed(body: bytes, signature: str | None, secret: str) -> bool:
    try:
        # Without a tolerance: the age is a refusal of its own.
        stripe.WebhookSignature.verify_header(body, signature, secret)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True


def _signed_at(signature: str) -> int:
    """When it was signed. Only called on a header that has been verified, so it has exactly this form."""
    return next(int(part[2:]) for part in signature.split(",") if part.startswith("t="))
