"""Mails about made-up carts."""

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from activities.cart_coupons import MailedCoupon
from activities.cart_letters import CartErrand, CartLetterFacts
from activities.cart_pricing import CartOffer, OfferedLine, Priced
from activities.cart_settings import default_cart_settings
from activities.errand import Pages, PublicPages
from activities.letters import (
    CART_LETTERS,
    set_letter,
)
from activities.mail_rendering import RenderedMail
from models.money import Money
from models.quote import Quote, QuotedLine
from models.tables import (
    Cart,
    CartSettings,
)
from models.vocabulary import (
    CartStatus,
    MailTemplate,
)
from rules.cart import CartFacts
from rules.decision import Refused
from sandbox.mail_samples import (
    NOW,
    PUBLIC,
    a_person,
    an_academy,
    an_id,
    drafted,
)

STANDING = CartFacts(
    status=CartStatus.ABANDONED, is_watched=True, is_empty=False, is_bought=False, is_sold_out=False,
    refused_because=None, last_purchase_at=None, quiet_until=None, has_dispute=False, other_reminded_at=None,
    reminded_at=None,
)  # fmt: skip


def a_quote(*prices: tuple[str, int], currency: str = "EUR") -> Quote:
    """Courses at these prices."""
    lines = tuple(
        QuotedLine(
            course_id=an_id(title), student_id=an_id("reader"), title=title, list_amount=amount, discount_amount=0,
            total_amount=amount,
        )
        for title, amount in prices
    )  # fmt: skip
    total = sum(line.total_amount for line in lines)
    return Quote(
        currency=currency, lines=lines, list_amount=total, discount_amount=0, total_amount=total, reasons=()
    )  # fmt: skip


def an_offer(quote: Quote | Refused, seen: dict[UUID, int | None], coupon: MailedCoupon | None = None) -> CartOffer:
    """A cart that can be bought at these prices, was chosen at others in euros, and is cheaper with the coupon."""
    if isinstance(quote, Refused):
        return CartOffer((), quote, quote)
    priced = Priced(quote, quote, None if coupon is None else coupon.code)
    lines = [
        OfferedLine(
            line.course_id, line.title, Money(amount=line.list_amount - line.discount_amount, currency=quote.currency),
            None if (price := seen.get(line.course_id)) is None else Money(amount=price, currency="EUR"),
        )
        for line in quote.lines
    ]  # fmt: skip
    return CartOffer(tuple(lines), priced, priced)


def a_cart_coupon() -> MailedCoupon:
    return MailedCoupon("CART-7QK2M9", Decimal(10), NOW + timedelta(hours=48))


def cart_errand(
    *, locale: str = "en", zone: str = "Europe/Dublin", name: str = "Grace Hopper", occasion: str = "1",
    title: str = "Spanish for beginners", quote: Quote | Refused | None = None,
    seen: dict[UUID, int | None] | None = None, coupon: MailedCoupon | None = None,
    settings: CartSettings | None = None,
    standing: CartFacts = STANDING, moment: datetime = NOW, pages: PublicPages = PUBLIC,
) -> CartErrand:  # fmt: skip
    """A cart of two courses, one of which has become cheaper, that was left an hour ago."""
    reader = a_person(name, locale=locale, zone=zone)
    cart = Cart(
        id=an_id("cart"), person_id=reader.id, status=CartStatus.ABANDONED, currency="EUR", total_amount=11800,
        changed_at=NOW - timedelta(hours=1, minutes=30), abandoned_at=NOW - timedelta(hours=1), workflow_id="w",
    )  # fmt: skip
    watercolor = "Watercolor painting"
    quote = quote or a_quote((title, 4900), (watercolor, 5900))
    seen = {an_id(title): 4900, an_id(watercolor): 6900} if seen is None else seen
    academy = an_academy()
    facts = CartLetterFacts(
        reader, cart, academy, settings or default_cart_settings(academy.id), standing, an_offer(quote, seen, coupon),
        coupon, "k7Wj2mQpX9sVtR4bN8cYhA",
    )  # fmt: skip
    return CartErrand(facts, cart.id, occasion, moment, Pages(public=pages))


def write_about_cart(**told: object) -> RenderedMail:
    """The reminder of a cart."""
    errand = cart_errand(**told)  # type: ignore[arg-type]
    draft = drafted(CART_LETTERS[MailTemplate.CART_REMINDER].write(errand))
    return set_letter(MailTemplate.CART_REMINDER, errand, draft)
