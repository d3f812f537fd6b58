"""The links of mails about a cart: signed, for one cart, good for a while, and no login (reference list 10.4).

A token says which cart and which of its mails, and nothing of the person.
"""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from activities.signed_links import LinkInvalidError, read_link, sign_link
from models.messages.carts import MAX_REMINDERS
from models.tables import CartSettings
from rules.cart import LINK_VALID_FOR, LOST_AFTER

_RECOVER, _NO_THANKS = "cart", "cart-no-thanks"


@dataclass(frozen=True)
class CartLink:
    """What a link leads to: a cart, from the mail with this number."""

    cart_id: UUID
    number: int


def recovery_token(secret: str, cart_id: UUID, number: int, moment: datetime) -> str:
    """The token that leads back to the cart, for 72 hours from `moment`."""
    return _signed(secret, CartLink(cart_id, number), _RECOVER, moment + LINK_VALID_FOR)


def read_recovery_token(secret: str, token: str, moment: datetime) -> CartLink:
    """What the token leads to. Raises `LinkInvalidError` and `LinkExpiredError`."""
    return _read(secret, token, _RECOVER, moment)


def no_thanks_token(secret: str, cart_id: UUID, number: int, moment: datetime) -> str:
    """The token by which the cart is forgotten. It is good for as long as a cart can be remembered."""
    return _signed(secret, CartLink(cart_id, number), _NO_THANKS, moment + LOST_AFTER)


def read_no_thanks_token(secret: str, token: str, moment: datetime) -> CartLink:
    """Which cart is to be forgotten. Raises `LinkInvalidError` and `LinkExpiredError`."""
    return _read(secret, token, _NO_THANKS, moment)


def recovery_address(public_url: str, token: str, settings: CartSettings) -> str:
    """The page of the cart, with the academy's UTM parameters for its statistics."""
    utm = {"utm_source": settings.utm_source, "utm_medium": settings.utm_medium, "utm_campaign": settings.utm_campaign}
    query = urlencode({name: value for name, value in utm.items() if value})
    return _address(public_url, "carts/recover", token) + (f"?{query}" if query else "")


def no_thanks_address(public_url: str, token: str) -> str:
    """The page on which a cart can be forgotten."""
    return _address(public_url, "carts/no-thanks", token)


def unsubscribe_address(public_url: str, token: str) -> str:
    """The page, and the one-click address of RFC 8058, of a subscription (`activities.subscriptions.token_of`)."""
    return _address(public_url, "unsubscribe", token)


def _address(public_url: str, page: str, token: str) -> str:
    return f"{public_url.rstrip('/')}/v1/{page}/{token}"


def _signed(secret: str, link: CartLink, purpose: str, expires_at: datetime) -> str:
    return sign_link(secret, purpose, {"sub": str(link.cart_id), "n": link.number}, expires_at)


def _read(secret: str, token: str, purpose: str, moment: datetime) -> CartLink:
    cart_id, number = read_link(secret, purpose, token, ("sub", "n"), moment)
    if not isinstance(number, int) or not 1 <= number <= MAX_REMINDERS:
        raise LinkInvalidError
    try:
        return CartLink(UUID(str(cart_id)), number)
    except ValueError:
        raise LinkInvalidError from None
