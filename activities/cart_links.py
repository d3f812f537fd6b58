"""The links in mails about a cart: signed, short-lived, for one cart and one purpose; none logs anybody in."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import jwt

from rules.cart import LINK_VALID_FOR

_ALGORITHM = "HS256"
_RECOVERY, _NO_THANKS = "cart", "cart-no-thanks"


class LinkInvalidError(Exception):
    """The token is not one of ours, was changed, or is for something else."""


class LinkExpiredError(Exception):
    """The token was ours, and its time is over."""


@dataclass(frozen=True)
class CartLink:
    """What a token stands for: a cart, and the number of the reminder it was in."""

    cart_id: UUID
    number: int


def recovery_token(secret: str, cart_id: UUID, number: int, moment: datetime) -> str:
    """The token of the recovery page in a reminder, good for 72 hours from `moment` (UTC)."""
    return _token(secret, _RECOVERY, cart_id, number, moment)


def read_recovery_token(secret: str, token: str, moment: datetime) -> CartLink:
    """What the token stands for at `moment` (UTC). Raises `LinkInvalidError` and `LinkExpiredError`."""
    return _read(secret, _RECOVERY, token, moment)


def no_thanks_token(secret: str, cart_id: UUID, number: int, moment: datetime) -> str:
    """The token of the page that deletes the cart, good for as long."""
    return _token(secret, _NO_THANKS, cart_id, number, moment)


def read_no_thanks_token(secret: str, token: str, moment: datetime) -> CartLink:
    """What the token stands for at `moment` (UTC). Raises `LinkInvalidError` and `LinkExpiredError`."""
    return _read(secret, _NO_THANKS, token, moment)


def _token(secret: str, audience: str, cart_id: UUID, number: int, moment: datetime) -> str:
    claims = {"aud": audience, "sub": str(cart_id), "number": number, "exp": moment + LINK_VALID_FOR}
    return jwt.encode(claims, secret, algorithm=_ALGORITHM)


def _read(secret: str, audience: str, token: str, moment: datetime) -> CartLink:
    try:
        claims = jwt.decode(
            token,
            secret,
            algorithms=[_ALGORITHM],
            audience=audience,
            # The moment is the caller's, not the library's.
            options={"require": ["exp", "sub", "aud"], "verify_exp": False},
        )
        link = CartLink(UUID(claims["sub"]), int(claims["number"]))
        is_over = moment.timestamp() >= float(claims["exp"])
    except (jwt.PyJWTError, KeyError, TypeError, ValueError):
        raise LinkInvalidError from None
    if is_over:
        raise LinkExpiredError
    return link
