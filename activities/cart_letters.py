"""The letter about a cart that was left, and what it tells, read from the record in few statements."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.cart_coupons import MailedCoupon, cart_coupon
from activities.cart_facts import cart_facts
from activities.cart_links import (
    no_thanks_address,
    no_thanks_token,
    recovery_address,
    recovery_token,
    unsubscribe_address,
)
from activities.cart_pricing import CartOffer, OfferedLine, offer_of
from activities.cart_settings import default_cart_settings
from activities.errand import Addressed, Draft, Skipped, link
from activities.mail_message import Mailing
from activities.mail_rendering import Words
from activities.one_line import one_line
from activities.subscriptions import token_of
from models.errors import Reason
from models.money import Money
from models.tables import Academy, Cart, CartSettings, Person
from models.vocabulary import MailList
from rules.cart import LINK_VALID_FOR, CartFacts, skipped_because
from rules.decision import Refused

_ARRANGED = frozenset({Reason.SLOTS_REQUIRED, Reason.SCREENING_REQUIRED})
_FIRST, _NEXT, _LAST = "first", "next", "last"


@dataclass(frozen=True)
class CartLetterFacts:
    """A cart, who left it and how the academy reminds of carts; `standing` says whether a mail may go out at all.

    `offer` is what is in it at the prices of now, and what cannot be bought. `coupon` is the one of its last mail, as
    long as it is good; `unsubscribe_token` the key of the recipient's link.
    """

    recipient: Person
    cart: Cart
    academy: Academy
    settings: CartSettings
    standing: CartFacts
    offer: CartOffer
    coupon: MailedCoupon | None
    unsubscribe_token: str = field(repr=False)


@dataclass(frozen=True)
class CartErrand(Addressed[CartLetterFacts]):
    """One mail about a cart. The occasion is its number, from `1` on."""

    @property
    def number(self) -> int:
        """Which of the cart's mails it is, from 1 on."""
        return int(self.occasion or "1")

    @property
    def tone(self) -> str:
        """Which wording fits: `first`, `next` or `last`. An only one is a first one."""
        if self.number == 1:
            return _FIRST
        return _NEXT if self.number < len(self.facts.settings.delays_minutes) else _LAST


async def facts_of_cart(
    session: AsyncSession, cart_id: UUID, recipient_id: UUID, moment: datetime
) -> CartLetterFacts | None:
    """The cart for a mail to this person; none if one of the two does not exist."""
    query = (
        select(Person, Cart, Academy, CartSettings)
        .select_from(Cart)
        .join(Person, col(Person.id) == recipient_id)
        .join(Academy, true())
        .join(CartSettings, col(CartSettings.academy_id) == col(Academy.id), isouter=True)
        .where(col(Cart.id) == cart_id)
    )
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    recipient, cart, academy, own_settings = found
    settings = own_settings or default_cart_settings(academy.id)
    standing = await cart_facts(session, cart_id, settings, moment)
    if standing is None:
        return None
    coupon = await cart_coupon(session, cart_id, moment)
    return CartLetterFacts(
        recipient=recipient,
        cart=cart,
        academy=academy,
        settings=settings,
        standing=standing,
        offer=await offer_of(session, cart, moment, promised=None if coupon is None else coupon.promised),
        coupon=coupon,
        unsubscribe_token=await token_of(session, recipient_id, MailList.CART),
    )


def cart_reminder(errand: CartErrand) -> Draft | Skipped:
    """What was left in the cart, at the prices of now, and the ways on: back to it, no thanks, no more such mails.

    Not sent where `rules/cart.py` says so, where the courses cannot be bought together or one not at all, and where no
    link can be made. Hours and meetings are arranged on the learning platform: they are no reason against it.
    """
    facts, words, secret = errand.facts, errand.words, errand.pages.public.link_secret
    if reason := skipped_because(facts.standing, errand.moment):
        return Skipped(reason)
    priced, lines = facts.offer.whole, facts.offer.lines
    if isinstance(priced, Refused) or any(line.refused and line.refused.reason not in _ARRANGED for line in lines):
        return Skipped("cannot_be_bought")
    coupon = facts.coupon if facts.coupon is not None and facts.coupon.code == priced.coupon_code else None
    # Codes do not stack: the mail's own takes its part off the price without any.
    due = priced.quote if coupon is None else priced.plain
    total = Money(amount=due.total_amount, currency=due.currency)
    if secret is None:
        return Skipped("no_link_secret")
    cart_id, url = facts.cart.id, errand.pages.public.url
    recovery = recovery_token(secret, cart_id, errand.number, errand.moment)
    back = link(recovery_address(url, recovery, facts.settings))
    no_thanks = link(no_thanks_address(url, no_thanks_token(secret, cart_id, errand.number, errand.moment)))
    unsubscribe = link(unsubscribe_address(url, facts.unsubscribe_token))
    if back is None or no_thanks is None or unsubscribe is None:
        return Skipped("no_public_url")
    return Draft(
        key=f"cart_reminder.{errand.tone}",
        mailing=Mailing(MailList.CART, unsubscribe),
        values={
            "lines": [_told(line, words) for line in lines],
            "total": _price(total, words) if len(lines) > 1 or total != lines[0].price else None,
            "coupon": coupon and _coupon(coupon, words),
            "recovery_url": back,
            "valid_until": words.moment(errand.moment + LINK_VALID_FOR),
            "no_thanks_url": no_thanks,
            "unsubscribe_url": unsubscribe,
        },
    )


def _told(line: OfferedLine, words: Words) -> dict[str, object]:
    """A course at the price of now, with the price that the person saw if it was another one."""
    return {
        "title": one_line(line.title),
        "amount": line.price and _price(line.price, words),
        "was": line.price_before and _price(line.price_before, words),
    }


def _price(price: Money, words: Words) -> str:
    return words.money(price) if price.amount else words.texts["nothing_paid"]


def _coupon(coupon: MailedCoupon, words: Words) -> dict[str, str]:
    return {"code": coupon.code, "percent": words.percent(coupon.percent), "until": words.moment(coupon.until)}
