"""The steps of a cart: changed, abandoned, reminded of, over."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity

from activities.audit import StateChange, write_audit
from activities.cart_coupons import cart_coupon_offer, make_cart_coupon
from activities.cart_facts import cart_facts
from activities.cart_pricing import CartOffer, offer_for, offer_of
from activities.cart_record import cart_among_others, end_carts, locked_cart
from activities.cart_settings import cart_settings
from activities.database import Sessions
from activities.guests import is_erased
from activities.mail_ledger import skip_reminder, skip_waiting_reminders
from models.errors import Reason
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
from models.tables import Cart, CartLine, CartSettings, Course, Person
from models.tables.columns import now
from models.vocabulary import CartStatus
from rules.cart import FINAL, LIVE, LOST_AFTER, hastened, is_watched, reminders_due, skipped_because
from rules.decision import Refused
from rules.lifecycle import may_follow, require_transition

_BOUGHT = (CartStatus.RECOVERED, CartStatus.ORDERED)


@dataclass
class CartActivities:
    """What becomes of a cart. Each step may be repeated: the second time finds the work done.

    `has_links` says whether links can be signed; without them there are no mails about carts. `clock_speed` is 1, but
    in demonstrations.
    """

    sessions: Sessions
    has_links: bool = True
    clock_speed: float = 1

    @activity.defn
    async def change_cart(self, step: RecordChange) -> ChangedCart:
        """Write what is in the cart from now on, priced as now; the newest cart of a person ends their older ones.

        Refused with `cart_over`, `not_found` (it is another person's), `unknown_course`, `unknown_person`. No courses:
        the cart is cleared. A guest's stays, with nothing in it, so that they are forgotten when it is lost.
        """
        async with self.sessions.begin() as session:
            return await _change(session, step.change, step.workflow_id, self.clock_speed)

    @activity.defn
    async def abandon_cart(self, step: CartStep) -> AbandonedCart:
        """Nobody has touched it until its cut-off: open → abandoned, and when each mail is due that is left.

        Before the cut-off it stays open, and the answer says when that is.
        """
        async with self.sessions.begin() as session:
            cart = await locked_cart(session, step.cart_id)
            if cart is None:
                return AbandonedCart(status=CartStatus.CLEARED)
            settings = await cart_settings(session)
            if cart.status == CartStatus.OPEN:
                cutoff_at = cart.changed_at + _cutoff(settings, self.clock_speed)
                if now() < cutoff_at:
                    return AbandonedCart(status=CartStatus.OPEN, cutoff_at=cutoff_at)
                await _move(session, cart, CartStatus.ABANDONED, "nobody touched it", "system", step.workflow_id)
                cart.abandoned_at = cart.updated_at
            if cart.status != CartStatus.ABANDONED or cart.abandoned_at is None:
                return AbandonedCart(status=CartStatus(cart.status))
            delays = [hastened(timedelta(minutes=minutes), self.clock_speed) for minutes in settings.delays_minutes]
            return AbandonedCart(
                status=CartStatus.ABANDONED,
                reminders_at=reminders_due(cart.abandoned_at, delays, cart.reminders)
                if _is_watched(settings, cart.is_staff)
                else (),
                first_reminder=cart.reminders + 1,
                lost_at=cart.abandoned_at + hastened(LOST_AFTER, self.clock_speed),
            )

    @activity.defn
    async def check_reminder(self, step: CheckReminder) -> CheckedReminder:
        """Look at the record whether this mail may go out, and make its coupon ready if it offers one.

        A skip is written down in the ledger of mails with its reason, but for `active_again`: the mail of a cart that
        is open again is still to come.
        """
        async with self.sessions.begin() as session:
            cart, settings, moment = await locked_cart(session, step.cart_id), await cart_settings(session), now()
            facts = None if cart is None else await cart_facts(session, step.cart_id, settings, moment)
            if cart is None or facts is None:
                return CheckedReminder(status=CartStatus.CLEARED, skipped="cleared", is_last=True)
            skipped = skipped_because(facts, moment) or self._why_never(step, settings)
            if skipped is None:
                if settings.coupon_percent is not None and step.number >= len(settings.delays_minutes):
                    await _offer_coupon(session, cart, settings.coupon_percent, moment)
            elif skipped != "active_again":
                await skip_reminder(session, cart, step.number, skipped, step.workflow_id, moment)
            return CheckedReminder(
                status=CartStatus(cart.status),
                skipped=skipped,
                is_last=skipped in FINAL or step.number >= len(settings.delays_minutes),
            )

    def _why_never(self, step: CheckReminder, settings: CartSettings) -> str | None:
        if step.number > len(settings.delays_minutes):
            return "not_watched"
        return None if self.has_links else "no_link_secret"

    @activity.defn
    async def end_cart(self, step: EndCart) -> CheckedReminder:
        """Let it end, and forget what was in it and who a guest was. A cart that was bought meanwhile stays so, and one
        that is open again is not lost."""
        async with self.sessions.begin() as session:
            cart = await locked_cart(session, step.cart_id)
            if cart is None:
                return CheckedReminder(status=CartStatus.CLEARED, is_last=True)
            if may_follow(CartStatus(cart.status), step.status):
                await end_carts(
                    session, [cart], step.status, step.reason, actor=step.actor, workflow_id=step.workflow_id
                )
            return CheckedReminder(status=CartStatus(cart.status), is_last=cart.status not in LIVE)


async def _change(session: AsyncSession, change: ChangeCart, workflow_id: str, clock_speed: float) -> ChangedCart:
    # As `lock_people` does, and read in the same statement: of a row that was waited for, this is the newest version.
    person = await session.get(Person, change.person_id, with_for_update={"key_share": True}, populate_existing=True)
    if person is None or is_erased(person):
        return ChangedCart(refusal=Reason.UNKNOWN_PERSON, refusal_detail="There is no such person.")
    cart, older = await cart_among_others(session, change.cart_id, change.person_id)
    if cart is not None and (refused := _why_not(cart, change)) is not None:
        return ChangedCart(status=CartStatus(cart.status), refusal=refused.reason, refusal_detail=refused.detail)
    if not change.course_ids and not (person.is_guest and cart is not None):
        return await _emptied(session, cart, change, workflow_id)
    moment = now()
    if unknown := await _unknown_course(session, change.course_ids):
        return ChangedCart(refusal=Reason.UNKNOWN_COURSE, refusal_detail=f"There is no course {unknown}.")
    await end_carts(
        session,
        older,
        CartStatus.CLEARED,
        "superseded",
        actor=change.actor,
        workflow_id=workflow_id,
        forgets_guests=False,
    )
    await _write(session, cart, change, workflow_id, moment)
    settings = await cart_settings(session)
    return ChangedCart(
        status=CartStatus.OPEN,
        cutoff_at=moment + _cutoff(settings, clock_speed),
        superseded=tuple(each.id for each in older),
    )


def _why_not(cart: Cart, change: ChangeCart) -> Refused | None:
    """A cart is one person's for good, and over for good once it was bought or has forgotten what was in it.

    Where links cannot be signed, a guest who was forgotten comes back as somebody else: they are told that it is over,
    too.
    """
    if cart.person_id != change.person_id and cart.erased_at is None:
        return Refused(Reason.NOT_FOUND, "There is no such cart.")
    if cart.erased_at is not None or cart.status in _BOUGHT:
        return Refused(Reason.CART_OVER, "The cart is over; the next one needs another id.")
    return None


async def _emptied(session: AsyncSession, cart: Cart | None, change: ChangeCart, workflow_id: str) -> ChangedCart:
    """Nothing is left in the cart of somebody with an account, who may fill it again."""
    if cart is not None and cart.status in LIVE:
        await end_carts(session, [cart], CartStatus.CLEARED, "emptied", actor=change.actor, workflow_id=workflow_id)
        cart.erased_at = None
    return ChangedCart(status=CartStatus.CLEARED)


async def _write(
    session: AsyncSession, before: Cart | None, change: ChangeCart, workflow_id: str, moment: datetime
) -> None:
    """The cart as it is from now on. One that had been left is open again, and what was held up for it is skipped."""
    cart = before or Cart(id=change.cart_id, person_id=change.person_id, changed_at=moment, workflow_id=workflow_id)
    if cart.status != CartStatus.OPEN:
        await skip_waiting_reminders(session, [cart.id], "active_again", workflow_id)
        await _move(session, cart, CartStatus.OPEN, "cart changed", change.actor, workflow_id)
    cart.coupon_code = change.coupon_code
    offer = await offer_for(session, cart, dict.fromkeys(change.course_ids), moment)
    cart.currency, cart.total_amount, prices = _costs(offer)
    cart.is_staff, cart.changed_at, cart.updated_at = change.is_staff, moment, moment
    cart.ended_at = cart.status_reason = None
    session.add(cart)
    await session.flush()
    if before is None:
        opened = StateChange("cart", cart.id, None, CartStatus.OPEN)
        await write_audit(session, [opened], actor=change.actor, reason="cart filled", workflow_id=workflow_id)
    else:
        await session.execute(delete(CartLine).where(col(CartLine.cart_id) == cart.id))
    lines = [
        {
            "cart_id": cart.id,
            "course_id": line.course_id,
            "position": position,
            "price_amount": prices.get(line.course_id),
        }
        for position, line in enumerate(offer.lines, start=1)
    ]
    if lines:
        await session.execute(insert(CartLine).values(lines))


def _costs(offer: CartOffer) -> tuple[str | None, int | None, dict[UUID, int]]:
    """The currency, what it comes to, and what each course costs. What cannot be bought together comes to nothing that
    is known."""
    if isinstance(offer.whole, Refused):
        return None, None, {}
    prices = {line.course_id: line.price.amount for line in offer.lines if line.price is not None}
    return offer.whole.quote.currency, offer.whole.quote.total_amount, prices


async def _unknown_course(session: AsyncSession, course_ids: Collection[UUID]) -> UUID | None:
    known = (await session.execute(select(col(Course.id)).where(col(Course.id).in_(course_ids)))).scalars().all()
    return next((each for each in course_ids if each not in known), None)


async def _move(
    session: AsyncSession, cart: Cart, status: CartStatus, reason: str, actor: str, workflow_id: str
) -> None:
    require_transition(CartStatus(cart.status), status)
    change = StateChange("cart", cart.id, cart.status, status)
    cart.status, cart.updated_at = status, now()
    await write_audit(session, [change], actor=actor, reason=reason, workflow_id=workflow_id)


async def _offer_coupon(session: AsyncSession, cart: Cart, percent: int, moment: datetime) -> None:
    """Make the coupon of the last mail, if the cart costs less with it than with the person's own code or without."""
    promised = cart_coupon_offer(percent)
    offer = await offer_of(session, cart, moment, promised=promised)
    if not isinstance(offer.whole, Refused) and offer.whole.coupon_code == promised.code:
        await make_cart_coupon(session, cart, promised, moment)


def _cutoff(settings: CartSettings, clock_speed: float) -> timedelta:
    return hastened(timedelta(minutes=settings.cutoff_minutes), clock_speed)


def _is_watched(settings: CartSettings, is_staff: bool) -> bool:
    return is_watched(settings.is_enabled, settings.tracks_staff, is_staff)
