"""What is said about a cart: ids, moments and words; what is in it stays in the record."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.errors import Reason
from models.messages.message import Actor, Message, WorkflowId
from models.vocabulary import CartStatus

MAX_CART_LINES = 20
MAX_REMINDERS = 5


class CartStart(Message):
    """The input of `CartWorkflow`. What it knows beyond the record is passed on when it continues as new."""

    cart_id: UUID
    person_id: UUID
    cutoff_at: datetime | None = Field(default=None, description="of a cart that goes on in another run")
    status: CartStatus | None = Field(default=None, description="how that one is listed")
    deferred: int | None = Field(default=None, description="the number of its mail that still waits for its slot")


class ChangeCart(Message):
    """The argument of the update `change`: what is in the cart from now on."""

    cart_id: UUID
    person_id: UUID
    course_ids: tuple[UUID, ...] = Field(max_length=MAX_CART_LINES, description="in order; none empties the cart")
    coupon_code: str | None = Field(default=None, max_length=40)
    is_staff: bool = False
    actor: Actor


class RecordChange(Message):
    """Write the change down."""

    change: ChangeCart
    workflow_id: WorkflowId


class ChangedCart(Message):
    """How the cart stands after a change, or why it was refused."""

    status: CartStatus | None = None
    cutoff_at: datetime | None = Field(default=None, description="when it counts as abandoned")
    superseded: tuple[UUID, ...] = Field(default=(), description="older carts of the person, which are over now")
    refusal: Reason | None = None
    refusal_detail: str | None = None


class CartStep(Message):
    """Something that is done to a cart."""

    cart_id: UUID
    workflow_id: WorkflowId


class AbandonedCart(Message):
    """What follows for a cart that nobody has touched."""

    status: CartStatus = Field(description="abandoned, or what it is instead: it may have been bought")
    reminders_at: tuple[datetime, ...] = Field(
        default=(), max_length=MAX_REMINDERS, description="when each mail that is left is due; the first first"
    )
    first_reminder: int = Field(default=1, ge=1, description="the number of the first of them")
    lost_at: datetime | None = None
    cutoff_at: datetime | None = Field(default=None, description="of a cart that is still open: when to ask again")


class CheckReminder(Message):
    """Ask at wake whether a mail may go out."""

    cart_id: UUID
    number: int = Field(ge=1, le=MAX_REMINDERS)
    workflow_id: WorkflowId


class CheckedReminder(Message):
    """Whether it may; if not, why, and whether any later one may."""

    status: CartStatus
    skipped: str | None = Field(default=None, max_length=32, description="a word of rules/cart.py")
    is_last: bool = Field(default=False, description="whether no later mail of this cart can go out either")


class EndCart(Message):
    """Let the cart end: lost after its time, or cleared because the person said no thanks."""

    cart_id: UUID
    status: CartStatus
    reason: str = Field(max_length=32)
    actor: Actor
    workflow_id: WorkflowId


class CartAnswer(Message):
    """What the updates of a cart answer."""

    cart_id: UUID
    status: CartStatus
    cutoff_at: datetime | None = None


class CartOutcome(Message):
    """The result of `CartWorkflow`."""

    status: CartStatus | None = None
    refusal: Reason | None = None
