"""What the tests of the record share."""

import pytest

from activities.database import Sessions
from activities.orders import OrderActivities
from sandbox.sample_academy import load_academy


@pytest.fixture
async def orders(sessions: Sessions) -> OrderActivities:
    """The steps of orders, in a fresh sample academy."""
    await load_academy(sessions)
    return OrderActivities(sessions)
