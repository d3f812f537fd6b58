"""The state machines: every step that exists is allowed, every other is refused."""

import itertools
from enum import StrEnum

import pytest
from temporalio.exceptions import ApplicationError

from models.errors import IllegalTransitionError
from models.messages.orders import PaymentFacts
from models.money import Money
from models.vocabulary import CartStatus, EnrollmentStatus, MailStatus, OrderStatus, PaymentStatus
from rules.lifecycle import may_follow, require_transition
from rules.payment import Verdict, judge


def steps(words: type[StrEnum]) -> set[tuple[str, str]]:
    return {(a.value, b.value) for a, b in itertools.product(words, words) if may_follow(a, b)}


def test_order_steps() -> None:
    assert steps(OrderStatus) == {
        ("pending_payment", "completed"),
        ("pending_payment", "failed"),
        ("pending_payment", "cancelled"),
        ("completed", "partially_refunded"),
        ("completed", "refunded"),
        ("partially_refunded", "refunded"),
    }


@pytest.mark.parametrize("words", [OrderStatus, EnrollmentStatus, MailStatus])
def test_no_state_follows_itself_and_ends_are_ends(words: type[StrEnum]) -> None:
    assert not any(a == b for a, b in steps(words))
    for end in ("failed", "cancelled", "refunded", "skipped"):
        assert not any(a == end for a, _ in steps(words))


def test_a_mail_is_sent_again_only_where_it_may_not_have_arrived() -> None:
    assert {a for a, b in steps(MailStatus) if b == "queued"} == {"unknown", "bounced"}
    assert {b for a, b in steps(MailStatus) if a == "bounced"} == {"queued"}


def test_a_place_whose_access_has_ended_is_prolonged_or_paid_back() -> None:
    assert {b for a, b in steps(EnrollmentStatus) if a == "expired"} == {"active", "canceled"}


def test_a_canceled_place_can_only_be_taken_again_for_the_payment_that_comes_late() -> None:
    assert {b for a, b in steps(EnrollmentStatus) if a == "canceled"} == {"pending_payment"}


def test_a_cart_that_was_bought_is_over_and_an_open_one_is_never_lost() -> None:
    assert not any(a in ("ordered", "recovered") for a, _ in steps(CartStatus))
    assert {b for a, b in steps(CartStatus) if a == "open"} == {"abandoned", "recovered", "ordered", "cleared"}
    assert {b for a, b in steps(CartStatus) if a == "cleared"} == {"open"}


def test_illegal_steps_are_never_retried() -> None:
    with pytest.raises(IllegalTransitionError, match="order cannot go from cancelled to completed") as no:
        require_transition(OrderStatus.CANCELLED, OrderStatus.COMPLETED)
    assert isinstance(no.value, ApplicationError)
    assert no.value.non_retryable


@pytest.mark.parametrize(
    ("status", "captured", "verdict"),
    [
        (PaymentStatus.SUCCEEDED, Money(amount=4900, currency="EUR"), Verdict.PAID),
        (PaymentStatus.SUCCEEDED, Money(amount=4899, currency="EUR"), Verdict.AMOUNT_DIFFERS),
        (PaymentStatus.SUCCEEDED, Money(amount=4900, currency="USD"), Verdict.AMOUNT_DIFFERS),
        (PaymentStatus.PROCESSING, Money(amount=0, currency="EUR"), Verdict.PROCESSING),
        (PaymentStatus.CANCELED, Money(amount=0, currency="EUR"), Verdict.CANCELED),
        (PaymentStatus.REQUIRES_ACTION, Money(amount=0, currency="EUR"), Verdict.ACTION_REQUIRED),
        (PaymentStatus.REQUIRES_PAYMENT_METHOD, Money(amount=0, currency="EUR"), Verdict.OPEN),
    ],
)
def test_only_the_exact_amount_pays(status: PaymentStatus, captured: Money, verdict: Verdict) -> None:
    assert judge(PaymentFacts(status=status, captured=captured), Money(amount=4900, currency="EUR")) is verdict


@pytest.mark.parametrize(("refunded", "verdict"), [(4900, Verdict.CANCELED), (100, Verdict.PAID)])
def test_money_that_went_back_in_full_was_never_paid(refunded: int, verdict: Verdict) -> None:
    due = Money(amount=4900, currency="EUR")
    facts = PaymentFacts(status=PaymentStatus.SUCCEEDED, captured=due, refunded_amount=refunded)
    assert judge(facts, due) is verdict
