"""The links of mails about carts: for one cart, one purpose and a while, and nobody else can make them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.cart_links import (
    CartLink,
    no_thanks_address,
    no_thanks_token,
    read_no_thanks_token,
    read_recovery_token,
    recovery_address,
    recovery_token,
    unsubscribe_address,
)
from activities.cart_settings import default_cart_settings
from activities.signed_links import LinkExpiredError, LinkInvalidError

SECRET = "a secret of more than thirty-two bytes"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
CART = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def test_a_link_leads_back_for_72_hours() -> None:
    token = recovery_token(SECRET, CART, 2, NOON)
    assert read_recovery_token(SECRET, token, NOON + timedelta(hours=72, seconds=-1)) == CartLink(CART, 2)
    with pytest.raises(LinkExpiredError):
        read_recovery_token(SECRET, token, NOON + timedelta(hours=72))


def test_no_can_be_said_for_as_long_as_the_cart_is_remembered() -> None:
    token = no_thanks_token(SECRET, CART, 1, NOON)
    assert read_no_thanks_token(SECRET, token, NOON + timedelta(days=29)).cart_id == CART
    with pytest.raises(LinkExpiredError):
        read_no_thanks_token(SECRET, token, NOON + timedelta(days=30))


def test_a_link_is_for_one_purpose_and_one_secret() -> None:
    token = recovery_token(SECRET, CART, 1, NOON)
    for secret, read in ((SECRET, read_no_thanks_token), (SECRET[::-1], read_recovery_token)):
        with pytest.raises(LinkInvalidError):
            read(secret, token, NOON)
    with pytest.raises(LinkInvalidError):
        read_recovery_token(SECRET, no_thanks_token(SECRET, CART, 1, NOON), NOON)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "cart", "sub": str(CART), "n": 1},
        {"aud": "cart", "sub": "1", "n": 1, "exp": 2**40},
        {"aud": "cart", "sub": str(CART), "n": 6, "exp": 2**40},
        {"aud": "cart", "sub": str(CART), "n": None, "exp": 2**40},
        {"aud": "registrar", "sub": str(CART), "n": 1, "exp": 2**40},
    ],
)
def test_what_says_something_else_is_no_link(claims: dict[str, object]) -> None:
    with pytest.raises(LinkInvalidError):
        read_recovery_token(SECRET, jwt.encode(claims, SECRET, algorithm="HS256"), NOON)


def test_an_unsigned_token_is_no_link() -> None:
    claims = {"aud": "cart", "sub": str(CART), "n": 1, "exp": 2**40}
    with pytest.raises(LinkInvalidError):
        read_recovery_token(SECRET, jwt.encode(claims, None, algorithm="none"), NOON)


@given(noise=st.text(max_size=300))
def test_noise_is_no_link(noise: str) -> None:
    with pytest.raises(LinkInvalidError):
        read_recovery_token(SECRET, noise, NOON)


@given(position=st.integers(0, 400), letter=st.sampled_from("AbZ9_-"))
def test_a_tampered_token_is_no_link(position: int, letter: str) -> None:
    token = recovery_token(SECRET, CART, 1, NOON)
    position %= len(token) - 1
    tampered = token[:position] + letter + token[position + 1 :]
    if tampered != token:
        with pytest.raises(LinkInvalidError):
            read_recovery_token(SECRET, tampered, NOON)


def test_addresses() -> None:
    settings = default_cart_settings(uuid4())
    assert recovery_address("https://a.test/", "t", settings) == "https://a.test/v1/carts/recover/t"
    settings.utm_source, settings.utm_campaign = "mail", "cart & more"
    assert (
        recovery_address("https://a.test", "t", settings)
        == "https://a.test/v1/carts/recover/t?utm_source=mail&utm_campaign=cart+%26+more"
    )
    assert no_thanks_address("https://a.test", "t") == "https://a.test/v1/carts/no-thanks/t"
    assert unsubscribe_address("https://a.test", "t") == "https://a.test/v1/unsubscribe/t"
