"""Carts on a simulated clock: reminded as often as agreed, never after the purchase, and over as the record says."""

import pytest
from tests.workflows.cart_world import shopping

from models.vocabulary import CartStatus


def test_a_cart_that_is_left_is_reminded_of_three_times_and_lost() -> None:
    job = shopping()
    answer = job.put()
    assert (answer.status, answer.cutoff_at is not None) == (CartStatus.OPEN, True)
    job.wait(days=32)
    assert job.outcome() is CartStatus.LOST
    print([str(m) for m in job.world.sent()], job.world.steps_done)
