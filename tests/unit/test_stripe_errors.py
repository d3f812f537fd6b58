"""Every error class of the installed Stripe library has a meaning, and no text of Stripe's reaches a history."""

from collections.abc import Iterator

import pytest
import stripe
from stripe._error import StripeErrorWithParamCode

from activities.stripe_errors import MEANINGS, as_failure, meaning_of


def every_error(root: type[stripe.StripeError] = stripe.StripeError) -> Iterator[type[stripe.StripeError]]:
    yield root
    for child in root.__subclasses__():
        yield from every_error(child)


def test_the_table_is_complete() -> None:
    # An abstract parent of two classes that are in the table themselves.
    assert set(every_error()) - {StripeErrorWithParamCode} == set(MEANINGS)


@pytest.mark.parametrize("kind", sorted(MEANINGS, key=lambda kind: kind.__name__))
def test_failures_hold_no_text_of_stripes(kind: type[stripe.StripeError]) -> None:
    error = kind.__new__(kind)
    stripe.StripeError.__init__(
        error,
        "No such customer: 'anna@example.org'",
        http_status=400,
        code="resource_missing",
        headers={"request-id": "req_1"},
    )
    failure = as_failure(error)
    assert "anna" not in str(failure)
    assert "req_1" in str(failure)
    assert failure.non_retryable is not meaning_of(error).retryable
    assert not as_failure(error, keep_trying=True).non_retryable


def test_a_key_in_use_is_tried_again() -> None:
    error = stripe.IdempotencyError("in use", http_status=409, code="idempotency_key_in_use")
    assert meaning_of(error).retryable
