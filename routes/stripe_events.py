"""Webhooks of Stripe as they arrive: whether they are genuine."""

import time
from collections.abc import Sequence
from datetime import UTC

import stripe
from pydantic import SecretStr, ValidationError

from activities.stripe_events import Event
from models.errors import Reason
from routes.problems import ProblemError

TOLERANCE_SECONDS = 300


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
