"""How a cart is listed from its start on, whoever starts it."""

from temporalio.common import SearchAttributePair, TypedSearchAttributes

from models import search
from models.vocabulary import CartStatus, WaitingFor

CART_SUMMARY = "A cart, until it is bought, cleared or lost"


def cart_attributes() -> TypedSearchAttributes:
    """The search attributes of `CartWorkflow` at its start."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(search.JOB, "cart"),
            SearchAttributePair(search.STATE, CartStatus.OPEN.value),
            SearchAttributePair(search.WAITING_FOR, WaitingFor.TIMER.value),
            SearchAttributePair(search.NEEDS_HUMAN, False),
        ]
    )
