"""Whether the owner of a cart is reminded of it, and when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from models.vocabulary import CartStatus
from rules.cart import DELAYS, FINAL, CartFacts, is_recovered, is_watched, reminders_due, skipped_because

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LEFT = CartFacts(
    status=CartStatus.ABANDONED, is_watched=True, is_empty=False, is_bought=False, is_sold_out=False,
    refused_because=None, last_purchase_at=None, quiet_until=None, has_dispute=False, other_reminded_at=None,
    reminded_at=None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({}, None),
        ({"is_bought": True}, "bought"),
        ({"is_empty": True}, "cleared"),
        ({"status": CartStatus.LOST}, "cleared"),
        ({"status": CartStatus.OPEN}, "active_again"),
        ({"is_watched": False}, "not_watched"),
        ({"is_being_bought": True}, "being_bought"),
        ({"refused_because": "unsubscribed"}, "unsubscribed"),
        ({"has_dispute": True}, "refunded_lately"),
        ({"quiet_until": NOON + HOUR}, "refunded_lately"),
        ({"quiet_until": NOON}, None),
        ({"last_purchase_at": NOON - 23 * HOUR}, "bought_lately"),
        ({"last_purchase_at": NOON - 24 * HOUR}, None),
        ({"other_reminded_at": NOON - 6 * DAY}, "reminded_lately"),
        ({"other_reminded_at": NOON - 7 * DAY}, None),
        ({"other_reminded_at": NOON - 6 * DAY, "reminded_at": NOON - DAY}, None),
        ({"is_sold_out": True}, "sold_out"),
        ({"is_bought": True, "refused_because": "complained", "is_sold_out": True}, "bought"),
    ],
)
def test_what_speaks_against_a_mail(facts: dict[str, object], reason: str | None) -> None:
    assert skipped_because(replace(LEFT, **facts), NOON) == reason  # type: ignore[arg-type]


def test_what_may_change_is_asked_again() -> None:
    assert FINAL.isdisjoint({"sold_out", "bought_lately", "reminded_lately", "being_bought", "no_consent"})


def test_mails_are_due_in_their_order_and_never_twice() -> None:
    assert reminders_due(NOON, DELAYS, 0) == (NOON + HOUR, NOON + DAY, NOON + 3 * DAY)
    assert reminders_due(NOON, DELAYS[::-1], 1) == (NOON + DAY, NOON + 3 * DAY)
    assert reminders_due(NOON, DELAYS, 3) == reminders_due(NOON, (), 0) == ()


def test_staff_is_watched_where_the_academy_wants_it() -> None:
    assert is_watched(is_enabled=True, tracks_staff=False, is_staff=False)
    assert not is_watched(is_enabled=True, tracks_staff=False, is_staff=True)
    assert is_watched(is_enabled=True, tracks_staff=True, is_staff=True)
    assert not is_watched(is_enabled=False, tracks_staff=True, is_staff=False)


def test_a_cart_is_owed_to_a_mail_for_five_days() -> None:
    assert is_recovered(NOON, NOON + 5 * DAY)
    assert not is_recovered(NOON, NOON + 5 * DAY + HOUR)
    assert not is_recovered(None, NOON)
