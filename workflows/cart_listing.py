"""How a cart is listed from its start on, whoever starts it."""

from temporalio.common import TypedSearchAttributes

from models import search
from models.vocabulary import CartStatus, WaitingFor

CART_SUMMARY = "A cart, until it is bought, cleared or lost"


def cart_attributes() -> TypedSearchAttributes:
    """The search attributes of `CartWorkflow` at its start."""
    return search.at_start("cart", CartStatus.OPEN, WaitingFor.TIMER)
