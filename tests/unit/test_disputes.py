"""What is known of disputes without asking anybody: Stripe's words, and when to look again."""

import typing
from datetime import UTC, datetime, timedelta

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from activities.disputes import status_of
from models.vocabulary import DisputeStatus
from rules.disputes import LOOK_AGAIN_AFTER, OPEN, TO_ANSWER, next_look

_MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def _words_of_the_library() -> set[str]:
    words = typing.get_args(stripe.Dispute.__annotations__["status"])
    return {word for literal in words for word in typing.get_args(literal)}


def _told(status: str) -> stripe.Dispute:
    return stripe.Dispute.construct_from({"id": "du_1", "object": "dispute", "status": status}, None)


def test_every_word_of_the_installed_library_has_one_of_ours() -> None:
    words = _words_of_the_library()
    assert len(words) > 5
    told = {word: status_of(_told(word)) for word in words}
    assert set(told.values()) == set(DisputeStatus)
    assert {word for word, ours in told.items() if word != ours} <= {"appeal_needs_response", "appeal_under_review"}


@pytest.mark.parametrize("word", ["appeal_under_review", "a_word_to_come"])
def test_what_has_no_word_yet_goes_on(word: str) -> None:
    assert status_of(_told(word)) in OPEN


def test_what_has_to_be_answered_is_open() -> None:
    assert TO_ANSWER < OPEN < set(DisputeStatus)


@given(moment=_MOMENTS, due=st.none() | _MOMENTS)
def test_an_open_dispute_is_looked_at_daily_and_at_its_deadline(moment: datetime, due: datetime | None) -> None:
    look = next_look(moment, due)
    assert moment < look <= moment + LOOK_AGAIN_AFTER
    if due is not None and moment < due <= moment + timedelta(days=1):
        assert look == due
