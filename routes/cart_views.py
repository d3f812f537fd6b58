"""How carts are shown: what is in them, and to staff what became of the mails about them."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.identifiers import cart_workflow_id
from models.money import Money
from models.tables import Cart, CartLine, CartSettings, Course, Mail
from models.vocabulary import CartStatus, MailStatus, MailTemplate
from routes.runs import web_address
from routes.tokens import Principal
from rules.cart import CUTOFF
from settings import Settings


class CartLineView(BaseModel):
    """A course in a cart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    course_id: UUID
    title: str
    price_amount: int | None = Field(
        description="minor units, as it was when the cart was changed; before coupons and tax on top"
    )


class CartMailView(BaseModel):
    """One of the mails that remind of the cart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    number: str = Field(description="which of the reminders, from 1")
    status: MailStatus
    reason: str | None = Field(description="why it was skipped or did not arrive")
    deferred_until: datetime | None = Field(description="while it waits for its turn among marketing mail")
    deferred_reason: str | None
    created_at: datetime
    sent_at: datetime | None


class CartView(BaseModel):
    """What somebody is about to buy. A cart that is lost or cleared has forgotten what was in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    person_id: UUID
    status: CartStatus
    status_reason: str | None = Field(description="why it is over")
    is_staff: bool = Field(description="whether who filled it works for the academy")
    lines: tuple[CartLineView, ...]
    coupon_code: str | None
    currency: str | None
    total_amount: int | None = Field(description="minor units, as priced when the cart was changed")
    total: str | None = Field(description="the total as people write it, in English")
    changed_at: datetime
    cutoff_at: datetime | None = Field(description="when it counts as abandoned unless it is changed; of an open cart")
    abandoned_at: datetime | None
    reminders: int = Field(description="how many mails about it are done with, sent or skipped")
    clicked_at: datetime | None = Field(description="when a mail led back here last")
    order_id: UUID | None = Field(description="the order that it was bought by")
    ended_at: datetime | None
    created_at: datetime
    mails: tuple[CartMailView, ...] | None = Field(description="for staff only")
    workflow_url: str | None = Field(description="the job behind it, for staff only")


CART = CartView(
    id=UUID("4b0f3a52-6d0c-4a56-9a57-0d2f6f3f1a10"),
    person_id=UUID("0198f3a0-5555-7000-8000-000000000002"),
    status=CartStatus.ABANDONED,
    status_reason=None,
    is_staff=False,
    lines=(
        CartLineView(
            course_id=UUID("0198f3a0-1111-7000-8000-000000000001"), title="Spanish for beginners", price_amount=4900
        ),
    ),
    coupon_code=None,
    currency="EUR",
    total_amount=4900,
    total="€49.00",
    changed_at=datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
    cutoff_at=None,
    abandoned_at=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
    reminders=1,
    clicked_at=None,
    order_id=None,
    ended_at=None,
    created_at=datetime(2026, 3, 2, 8, 58, tzinfo=UTC),
    mails=(
        CartMailView(
            id=UUID("7d9a4f43-5f0e-5b52-8b0e-0f4b8d1e6c01"),
            number="1",
            status=MailStatus.SKIPPED,
            reason="no_consent",
            deferred_until=None,
            deferred_reason=None,
            created_at=datetime(2026, 3, 2, 10, 30, tzinfo=UTC),
            sent_at=None,
        ),
    ),
    workflow_url="http://127.0.0.1:8233/namespaces/default/workflows/cart-4b0f3a52-6d0c-4a56-9a57-0d2f6f3f1a10",
)


async def cart_views(
    session: AsyncSession, carts: Select[Cart], principal: Principal, settings: Settings
) -> list[CartView]:
    """The carts as this caller sees them. Four statements at most, however many there are."""
    found = (await session.execute(carts)).scalars().all()
    ids = [cart.id for cart in found]
    lines = await _lines(session, ids)
    cutoff = (await session.execute(select(col(CartSettings.cutoff_minutes)))).scalar_one_or_none()
    mails = await _mails(session, ids) if principal.is_staff else None
    return [
        CartView(
            id=cart.id,
            person_id=cart.person_id,
            status=CartStatus(cart.status),
            status_reason=cart.status_reason,
            is_staff=cart.is_staff,
            lines=tuple(lines[cart.id]),
            coupon_code=cart.coupon_code,
            currency=cart.currency,
            total_amount=cart.total_amount,
            total=_written(cart),
            changed_at=cart.changed_at,
            cutoff_at=_cutoff_at(cart, cutoff),
            abandoned_at=cart.abandoned_at,
            reminders=cart.reminders,
            clicked_at=cart.clicked_at,
            order_id=cart.order_id,
            ended_at=cart.ended_at,
            created_at=cart.created_at,
            mails=None if mails is None else tuple(mails[cart.id]),
            workflow_url=web_address(settings, cart_workflow_id(cart.id)) if principal.is_staff else None,
        )
        for cart in found
    ]


def _cutoff_at(cart: Cart, cutoff_minutes: int | None) -> datetime | None:
    if cart.status != CartStatus.OPEN:
        return None
    return cart.changed_at + (CUTOFF if cutoff_minutes is None else timedelta(minutes=cutoff_minutes))


def _written(cart: Cart) -> str | None:
    if cart.total_amount is None or cart.currency is None:
        return None
    return Money(amount=cart.total_amount, currency=cart.currency).format()


async def _lines(session: AsyncSession, cart_ids: Sequence[UUID]) -> defaultdict[UUID, list[CartLineView]]:
    query: Select[*tuple[Any, ...]] = (
        select(CartLine, col(Course.title))
        .join(Course, col(Course.id) == col(CartLine.course_id))
        .where(col(CartLine.cart_id).in_(cart_ids))
        .order_by(col(CartLine.cart_id), col(CartLine.position), col(CartLine.course_id))
    )
    found: defaultdict[UUID, list[CartLineView]] = defaultdict(list)
    for line, title in (await session.execute(query)).all():
        found[line.cart_id].append(CartLineView(course_id=line.course_id, title=title, price_amount=line.price_amount))
    return found


async def _mails(session: AsyncSession, cart_ids: Sequence[UUID]) -> defaultdict[UUID, list[CartMailView]]:
    query = (
        select(Mail)
        .where(col(Mail.template) == MailTemplate.CART_REMINDER, col(Mail.subject_id).in_(cart_ids))
        .order_by(col(Mail.subject_id), func.length(Mail.occasion), col(Mail.occasion))
    )
    found: defaultdict[UUID, list[CartMailView]] = defaultdict(list)
    for mail in (await session.execute(query)).scalars():
        found[mail.subject_id].append(
            CartMailView(
                id=mail.id,
                number=mail.occasion,
                status=MailStatus(mail.status),
                reason=mail.status_reason,
                deferred_until=mail.deferred_until,
                deferred_reason=mail.deferred_reason,
                created_at=mail.created_at,
                sent_at=mail.sent_at,
            )
        )
    return found
