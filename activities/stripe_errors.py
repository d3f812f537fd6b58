"""What each of Stripe's errors means for a job: who must act, and when to try again. Complete by test."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import stripe
from stripe import oauth_error
from temporalio.exceptions import ApplicationError


class Audience(StrEnum):
    """Who can make it work again."""

    NOBODY = "nobody"  # passes by itself
    OPERATOR = "operator"  # keys, permissions, account
    DEVELOPER = "developer"  # the request itself is wrong


@dataclass(frozen=True)
class Meaning:
    """How a job treats one class of error. `delay` none leaves it to the retry policy."""

    type: str
    retryable: bool
    delay: timedelta | None
    audience: Audience


_OPERATOR_DELAY = timedelta(minutes=1)

_REFUSED = Meaning("stripe_refused", False, None, Audience.DEVELOPER)

MEANINGS: dict[type[stripe.StripeError], Meaning] = {
    stripe.StripeError: Meaning("stripe_error", True, None, Audience.NOBODY),
    stripe.APIError: Meaning("stripe_api_error", True, None, Audience.NOBODY),
    stripe.APIConnectionError: Meaning("stripe_unreachable", True, None, Audience.NOBODY),
    stripe.RateLimitError: Meaning("stripe_rate_limit", True, timedelta(seconds=5), Audience.NOBODY),
    stripe.QuotaExceededError: Meaning("stripe_quota", True, _OPERATOR_DELAY, Audience.OPERATOR),
    stripe.AuthenticationError: Meaning("stripe_key_refused", True, _OPERATOR_DELAY, Audience.OPERATOR),
    stripe.PermissionError: Meaning("stripe_permission", True, _OPERATOR_DELAY, Audience.OPERATOR),
    stripe.FeatureNotEnabledError: Meaning("stripe_feature_off", True, _OPERATOR_DELAY, Audience.OPERATOR),
    stripe.CapabilityNotEnabledError: Meaning("stripe_capability_off", True, _OPERATOR_DELAY, Audience.OPERATOR),
    stripe.CardError: Meaning("stripe_declined", False, None, Audience.DEVELOPER),
    stripe.InvalidRequestError: Meaning("stripe_invalid_request", False, None, Audience.DEVELOPER),
    stripe.IdempotencyError: Meaning("stripe_idempotency", False, None, Audience.DEVELOPER),
    stripe.SignatureVerificationError: Meaning("stripe_signature", False, None, Audience.DEVELOPER),
    **dict.fromkeys(
        (
            stripe.AlreadyCanceledError,
            stripe.BlockedByStripeError,
            stripe.CannotProceedError,
            stripe.ControlledByAlternateResourceError,
            stripe.FinancialAccountNotOpenError,
            stripe.FxQuoteNeedsRefreshError,
            stripe.InsufficientFundsError,
            stripe.InvalidPaymentMethodError,
            stripe.InvalidPayoutMethodError,
            stripe.InvalidVaultedCredentialError,
            stripe.NotCancelableError,
            stripe.RecipientNotNotifiableError,
            stripe.TemporarySessionExpiredError,
            stripe.VerificationAttemptFailedError,
            stripe.VerificationExpiredError,
            stripe.VerificationNotInitiatedError,
            oauth_error.OAuthError,
            oauth_error.InvalidClientError,
            oauth_error.InvalidGrantError,
            oauth_error.InvalidRequestError,
            oauth_error.InvalidScopeError,
            oauth_error.UnsupportedGrantTypeError,
            oauth_error.UnsupportedResponseTypeError,
        ),
        _REFUSED,
    ),
}

_KEY_IN_USE = Meaning("stripe_key_in_use", True, timedelta(seconds=1), Audience.NOBODY)

# Who can mend it, by the type that the job's history has.
AUDIENCES = {meaning.type: meaning.audience for meaning in (*MEANINGS.values(), _KEY_IN_USE)}


def meaning_of(error: stripe.StripeError) -> Meaning:
    """The entry of the error's own class, or of its nearest ancestor."""
    if error.code == "idempotency_key_in_use" or error.http_status == 409:
        return _KEY_IN_USE
    return next(MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS)


def as_failure(error: stripe.StripeError, *, keep_trying: bool = False) -> ApplicationError:
    """The error as Temporal stores it: status, code and request id, never Stripe's text, which may quote a person.

    With `keep_trying` even a refused request is tried again (every five minutes): the job waits, visibly, for
    somebody to mend what is wrong instead of giving up on money that is under way.
    """
    meaning = meaning_of(error)
    delay = meaning.delay if meaning.retryable else timedelta(minutes=5)
    return ApplicationError(
        f"Stripe answered {error.http_status or 'nothing'} {error.code or ''} (request {error.request_id or 'none'};"
        f" to be mended by: {meaning.audience})",
        type=meaning.type,
        non_retryable=not (meaning.retryable or keep_trying),
        next_retry_delay=delay,
    )
