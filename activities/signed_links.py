"""Links that are their own permission: signed, for one purpose, good for a while. Nothing of a person is in them."""

from collections.abc import Mapping
from datetime import datetime

import jwt

_ALGORITHM = "HS256"


class LinkError(Exception):
    """The token of a link is not good."""


class LinkInvalidError(LinkError):
    """Nobody here has signed it, or not for this."""


class LinkExpiredError(LinkError):
    """It was ours; its time is over."""


def sign_link(secret: str, purpose: str, claims: Mapping[str, str | int], expires_at: datetime) -> str:
    """The token that says these claims for this purpose, until `expires_at` (UTC)."""
    return jwt.encode({"aud": purpose, **claims, "exp": int(expires_at.timestamp())}, secret, algorithm=_ALGORITHM)


def read_link(secret: str, purpose: str, token: str, claims: tuple[str, ...], moment: datetime) -> tuple[object, ...]:
    """The values of the claims, as they were sent. Raises `LinkInvalidError` and `LinkExpiredError`."""
    try:
        # Its end is compared below, with the caller's clock.
        read = jwt.decode(
            token,
            secret,
            algorithms=[_ALGORITHM],
            audience=purpose,
            options={"verify_exp": False, "require": ["aud", "exp", *claims]},
        )
        ends_at = int(read["exp"])
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
        raise LinkInvalidError from None
    if moment.timestamp() >= ends_at:
        raise LinkExpiredError
    return tuple(read[claim] for claim in claims)
