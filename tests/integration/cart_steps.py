"""Carts of the sample academy as steps, a clock that tests set, and a plain letter about a cart."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from activities.cart_settings import cart_settings, keep_cart_settings
from activities.carts import CartActivities
from activities.database import Sessions
from activities.mail import MailActivities, _SealedLetter
from activities.mail_message import mailbox as address_of
from activities.subscriptions import subscribe
from models.identifiers import cart_workflow_id
from models.messages.carts import (
    AbandonedCart,
    CartStep,
    ChangeCart,
    ChangedCart,
    CheckedReminder,
    CheckReminder,
    EndCart,
    RecordChange,
)
from models.messages.mail import MailReport, SendMail
from models.tables import AuditEntry, Cart, CartLine, Mail
from models.tables.columns import now
from models.vocabulary import CartStatus, ConsentSource, MailList, MailTemplate
from tests.integration.order_steps import LUKASZ, course

_CLOCKED = (
    "activities.carts",
    "activities.cart_record",
    "activities.mail_ledger",
    "activities.completing",
    "activities.subscriptions",
)


@dataclass
class Clock:
    """What time it is for the steps of carts and mails. It begins at noon of today, UTC."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def goes_on(self, **span: float) -> datetime:
        self.moment += timedelta(**span)
        return self.moment


def set_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(datetime.combine(now().date(), time(12), tzinfo=UTC))
    for module in _CLOCKED:
        monkeypatch.setattr(f"{module}.now", clock.now)
    return clock


def changing(
    cart_id: UUID, *codes: str, whose: UUID = LUKASZ, coupon: str | None = None, is_staff: bool = False
) -> RecordChange:
    change = ChangeCart(
        cart_id=cart_id, person_id=whose, course_ids=tuple(course(code) for code in codes), coupon_code=coupon,
        is_staff=is_staff, actor=f"student:{whose}",
    )  # fmt: skip
    return RecordChange(change=change, workflow_id=cart_workflow_id(cart_id))


async def fill(carts: CartActivities, *codes: str, whose: UUID = LUKASZ, cart_id: UUID | None = None) -> UUID:
    """A cart with these courses; its id."""
    cart_id = cart_id or uuid4()
    changed = await carts.change_cart(changing(cart_id, *(codes or ("spanish-a1",)), whose=whose))
    assert changed.refusal is None, changed.refusal_detail
    return cart_id


async def change(carts: CartActivities, cart_id: UUID, *codes: str, whose: UUID = LUKASZ) -> ChangedCart:
    return await carts.change_cart(changing(cart_id, *codes, whose=whose))


async def abandon(carts: CartActivities, cart_id: UUID) -> AbandonedCart:
    """Nobody has touched the cart for an hour."""
    async with carts.sessions.begin() as session:
        await session.execute(
            update(Cart).where(col(Cart.id) == cart_id).values(changed_at=col(Cart.changed_at) - timedelta(hours=1))
        )
    return await carts.abandon_cart(CartStep(cart_id=cart_id, workflow_id=cart_workflow_id(cart_id)))


async def check(carts: CartActivities, cart_id: UUID, number: int = 1) -> CheckedReminder:
    return await carts.check_reminder(
        CheckReminder(cart_id=cart_id, number=number, workflow_id=cart_workflow_id(cart_id))
    )


async def end(
    carts: CartActivities, cart_id: UUID, status: CartStatus = CartStatus.LOST, reason: str = "too_old"
) -> CheckedReminder:
    return await carts.end_cart(
        EndCart(
            cart_id=cart_id, status=status, reason=reason, actor="system", workflow_id=cart_workflow_id(cart_id)
        )
    )  # fmt: skip


async def abandoned(carts: CartActivities, *codes: str, whose: UUID = LUKASZ) -> UUID:
    """A cart that was left."""
    cart_id = await fill(carts, *codes, whose=whose)
    assert (await abandon(carts, cart_id)).status is CartStatus.ABANDONED
    return cart_id


async def cart_of(sessions: Sessions, cart_id: UUID) -> Cart:
    async with sessions() as session:
        return await session.get_one(Cart, cart_id)


async def lines_of(sessions: Sessions, cart_id: UUID) -> list[tuple[UUID, int | None]]:
    query = select(col(CartLine.course_id), col(CartLine.price_amount)).where(col(CartLine.cart_id) == cart_id)
    async with sessions() as session:
        return [(row, price) for row, price in await session.execute(query.order_by(col(CartLine.position)))]


async def mails_of(sessions: Sessions, cart_id: UUID) -> list[tuple[str, str, str | None]]:
    """Number, status and reason of each of the cart's mails in the ledger."""
    query = select(Mail).where(col(Mail.subject_id) == cart_id).order_by(col(Mail.occasion))
    async with sessions() as session:
        return [(mail.occasion, mail.status, mail.status_reason) for mail in (await session.execute(query)).scalars()]


async def story_of(sessions: Sessions, cart_id: UUID) -> list[tuple[str | None, str]]:
    query = select(AuditEntry).where(col(AuditEntry.subject_id) == cart_id, col(AuditEntry.subject_kind) == "cart")
    async with sessions() as session:
        entries = (await session.execute(query.order_by(col(AuditEntry.id)))).scalars()
        return [(entry.from_state, entry.to_state) for entry in entries]


async def configure(sessions: Sessions, **values: object) -> None:
    """Settings of carts, the rest as it is."""
    async with sessions.begin() as session:
        wanted = await cart_settings(session)
        session.expunge_all()
        await keep_cart_settings(session, wanted.model_copy(update=values), actor="admin:1")


async def agree(sessions: Sessions, *people: UUID) -> None:
    """They want mails about their carts."""
    async with sessions.begin() as session:
        for person_id in people or (LUKASZ,):
            await subscribe(
                session, person_id, MailList.CART, source=ConsentSource.ACCOUNT, actor=f"student:{person_id}"
            )


def reminder(cart_id: UUID, number: int = 1, *, to: UUID = LUKASZ) -> SendMail:
    return SendMail(
        recipient_id=to, template=MailTemplate.CART_REMINDER, subject_id=cart_id, occasion=str(number),
        workflow_id=cart_workflow_id(cart_id),
    )  # fmt: skip


async def remind(mails: MailActivities, cart_id: UUID, number: int = 1, *, to: UUID = LUKASZ) -> MailReport:
    return await mails.send_mail(reminder(cart_id, number, to=to))


def write_plain_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said of a cart is not at issue here, only whether it is sent."""

    async def write(_: MailActivities, request: SendMail, mail_id: UUID) -> _SealedLetter:
        message = f"Message-ID: <{mail_id}@registrar.test>\r\nSubject: your cart\r\n\r\nStill there.\r\n".encode()
        return _SealedLetter(mail_id, request.workflow_id, address_of("A student", "student@students.test"), message)

    monkeypatch.setattr(MailActivities, "_write", write)
