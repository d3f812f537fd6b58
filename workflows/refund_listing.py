"""How a refund is listed from its start on, whoever starts it: by the API or as one of many."""

from temporalio.common import SearchAttributePair, TypedSearchAttributes

from models import search
from models.messages.refunds import RefundWish
from models.vocabulary import RefundRequestStatus, WaitingFor


def refund_attributes(wish: RefundWish) -> TypedSearchAttributes:
    """The search attributes of `RefundWorkflow` at its start."""
    enrollment = SearchAttributePair(search.ENROLLMENT_ID, str(wish.enrollment_id))
    return search.at_start("refund", RefundRequestStatus.IN_REVIEW, WaitingFor.NOTHING, enrollment)


def refund_summary(wish: RefundWish) -> str:
    """What the Web UI says of it."""
    return f"Refund: {wish.cause}"


def refund_details(wish: RefundWish) -> str:
    """Who is behind it."""
    return f"Asked for by `{wish.actor}`."
