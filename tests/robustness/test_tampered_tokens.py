"""Access tokens and signed links that somebody has changed: refused alike, whatever was changed."""

import ast
import base64
import hmac
import inspect
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from uuid import UUID

import httpx
import pytest

from activities import (
    cart_links,
    certificate_links,
    export_links,
    signed_links,
)
from activities.export_links import ExportLink
from routes import stripe_events as routes_stripe_events
from routes import tokens
from tests.api.conftest import SECRET
from tests.robustness.access import ACCESS, NO_TOKEN
from tests.robustness.standing_app import SECRET_OF_LINKS, StandingApp

_NOW = datetime.now(UTC)
_SUBJECT = UUID("0198f3a0-2222-7000-8000-000000000001")


def part(value: object) -> bytes:
    """A part of a token."""
    written = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(written).rstrip(b"=")


def token_of(
    claims: dict[str, object], header: dict[str, object] | None = None, secret: str = SECRET, hashed: str = "sha256"
) -> str:
    """A token written by hand, so that it may say what no library would write."""
    signed = part({"alg": "HS256", "typ": "JWT"} if header is None else header) + b"." + part(claims)
    return (signed + b"." + part(hmac.digest(secret.encode(), signed, hashed))).decode()


def changed(token: str) -> Iterator[str]:
    """The same token with something else in each of its parts, cut, doubled and lengthened."""
    parts = token.split(".")
    for at, each in enumerate(parts):
        for place in (0, len(each) // 2, len(each) - 2):
            other = "A" if each[place] != "A" else "B"
            yield ".".join([*parts[:at], each[:place] + other + each[place + 1 :], *parts[at + 1 :]])
        yield ".".join([*parts[:at], "", *parts[at + 1 :]])
        yield ".".join([*parts[:at], each[:-3], *parts[at + 1 :]])
    yield from (
        token[:-1],
        token[1:],
        f"{token}.",
        f"{token}.{parts[2]}",
        f".{token}",
        token.replace(".", ""),
        ".".join(parts[:2]),
    )
    yield from (f"{token}AAAA", f"{parts[0]}.{parts[1]}.{'A' * 43}", "..", "." * 1000, "a.b.c", "é.é.é", "A" * 20_000)


_GOOD: dict[str, object] = {
    "sub": "frida",
    "aud": "registrar",
    "roles": ["admin"],
    "exp": int((_NOW + timedelta(hours=1)).timestamp()),
}
_LATER, _BEFORE = int((_NOW + timedelta(hours=1)).timestamp()), int((_NOW - timedelta(hours=1)).timestamp())
_BAD_CLAIMS: list[dict[str, object]] = [
    {"exp": _BEFORE}, {"exp": "soon"}, {"exp": None}, {"exp": -1}, {"exp": True}, {"exp": []},
    {"nbf": _LATER}, {"nbf": "x"}, {"iat": _LATER}, {"iat": "x"}, {"iat": {}},
    {"aud": "other"}, {"aud": None}, {"aud": []}, {"aud": {}}, {"aud": 1}, {"aud": "export"}, {"aud": "certificate"},
    {"sub": None}, {"sub": ""}, {"sub": 1}, {"sub": ["frida"]}, {"sub": "a\0"}, {"sub": "\ud800"}, {"sub": "x" * 300},
]  # fmt: skip
_BAD_HEADERS: list[dict[str, object]] = [
    {"alg": "none"}, {"alg": "None"}, {"alg": ""}, {"alg": None}, {"alg": 1}, {"alg": ["HS256"]}, {"alg": "HS384"},
    {"alg": "RS256"}, {"alg": "ES256"}, {"alg": "hs256"}, {}, {"typ": "JWT"}, {"alg": "HS256", "crit": ["x"]},
    {"alg": "HS256", "b64": False, "crit": ["b64"]}, {"alg": "HS256", "kid": 1},
]  # fmt: skip


def refusal(standing: StandingApp, authorization: Any) -> httpx.Response:
    """What a caller with this header, or these headers, is told."""
    headers = authorization if isinstance(authorization, list) else [(b"Authorization", authorization)]
    return standing.send("GET", "/v1/cart-settings", headers=headers)


def assert_refused(answer: httpx.Response, *reasons: str) -> None:
    assert answer.status_code == 401, f"{answer.request.headers.raw}: {answer.text}"
    assert answer.json()["reason"] in reasons, answer.text
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_changed_access_token_is_worth_nothing(standing: StandingApp) -> None:
    good = token_of(_GOOD)
    assert refusal(standing, f"Bearer {good}".encode()).status_code == 200
    for token in changed(good):
        assert_refused(refusal(standing, f"Bearer {token}".encode()), "token_invalid")
    for claims in _BAD_CLAIMS:
        said = {name: value for name, value in {**_GOOD, **claims}.items() if value is not None}
        assert_refused(refusal(standing, f"Bearer {token_of(said)}".encode()), "token_invalid", "token_expired")
    for header in _BAD_HEADERS:
        for token in (token_of(_GOOD, header), token_of(_GOOD, header).rpartition(".")[0] + "."):
            assert_refused(refusal(standing, f"Bearer {token}".encode()), "token_invalid")
    for forged in (token_of(_GOOD, secret=""), token_of(_GOOD, secret="x" * 40), token_of(_GOOD, hashed="sha512")):
        assert_refused(refusal(standing, f"Bearer {forged}".encode()), "token_invalid")
    for payload in (b"", b"null", b"[]", b"1", b'"x"', b"\xff", b"[" * 50_000, b'{"a":' * 50_000):
        signed = part({"alg": "HS256"}) + b"." + part(payload)
        forged = (signed + b"." + part(hmac.digest(SECRET.encode(), signed, "sha256"))).decode()
        assert_refused(refusal(standing, f"Bearer {forged}".encode()), "token_invalid")


def test_the_ways_to_write_the_header(standing: StandingApp) -> None:
    good = token_of(_GOOD).encode()
    for missing in (
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic " + good,
        good,
        b"Token " + good,
        b"Bearer:" + good,
        b"\xff " + good,
    ):
        assert_refused(refusal(standing, missing), "token_missing")
    for wrong in (
        b"Bearer \xff\xfe",
        "Bearer ключ".encode(),
        b"Bearer " + good + b" x",
        b"Bearer " + good + b"," + good,
    ):
        assert_refused(refusal(standing, wrong), "token_invalid")
    other = token_of({**_GOOD, "roles": ["student"], "sub": str(_SUBJECT)}).encode()
    for first, second in ((good, other), (other, good), (good, good), (b"x", good)):
        twice = [(b"Authorization", b"Bearer " + first), (b"Authorization", b"Bearer " + second)]
        assert_refused(refusal(standing, twice), "token_invalid")
    assert refusal(standing, b"bearer  " + good).status_code == 200


# ---- links ----


_ENDS = _NOW + timedelta(hours=1)
# Each kind of link that needs no login: its address, and its token at a moment.
_LINKS: dict[str, tuple[str, str, Callable[[str, datetime], str]]] = {
    "cart": ("GET", "/v1/carts/recover/{token}", lambda key, at: cart_links.recovery_token(key, _SUBJECT, 1, at)),
    "pay": ("POST", "/v1/carts/recover/{token}", lambda key, at: cart_links.recovery_token(key, _SUBJECT, 1, at)),
    "forget": ("GET", "/v1/carts/no-thanks/{token}", lambda key, at: cart_links.no_thanks_token(key, _SUBJECT, 1, at)),
    "forgotten": (
        "POST", "/v1/carts/no-thanks/{token}", lambda key, at: cart_links.no_thanks_token(key, _SUBJECT, 1, at)
    ),
    "certificate": (
        "GET", "/v1/certificates/download/{token}",
        lambda key, at: certificate_links.download_token(key, _SUBJECT, at),
    ),
    "export": (
        "GET", "/v1/exports/download/{token}",
        lambda key, at: export_links.link_token(key, ExportLink(_SUBJECT, "staff:frida"), at + timedelta(hours=1)),
    ),
}  # fmt: skip
# Not signed but random: there is nothing in it to change.
_RANDOM = {"GET /v1/unsubscribe/{token}", "POST /v1/unsubscribe/{token}", "POST /v1/unsubscribe/{token}/undo"}


def test_every_link_is_tried_here() -> None:
    links = {name for name in ACCESS if "{token}" in name and not name.startswith("HEAD ")}
    tried = {f"{method} {path}" for method, path, _ in _LINKS.values()} | _RANDOM
    assert links == tried, "A new kind of link needs an entry in _LINKS, so that it is tampered with."
    assert all(ACCESS[name].roles == NO_TOKEN for name in links)


@pytest.mark.parametrize("kind", _LINKS)
def test_a_changed_link_leads_nowhere(standing: StandingApp, kind: str) -> None:
    method, path, make = _LINKS[kind]

    def told(token: str) -> tuple[int, str]:
        answer = standing.send(method, path.replace("{token}", token))
        return answer.status_code, answer.text

    good = make(SECRET_OF_LINKS, _NOW)
    # Nobody's cart, certificate or export: as good a secret as none.
    nowhere = told(good)
    assert nowhere[0] == 404
    for token in changed(good):
        if token and not set(token) <= {"."} and "é" not in token:
            assert told(token) == nowhere, token
    assert told(make("another-secret-of-at-least-thirty-two-bytes", _NOW)) == nowhere
    assert told(make(SECRET, _NOW)) == nowhere
    for other, (_, _, of_another_kind) in _LINKS.items():
        if _LINKS[other][1] != path:
            assert told(of_another_kind(SECRET_OF_LINKS, _NOW)) == nowhere, other
    claims = json.loads(base64.urlsafe_b64decode(good.split(".")[1] + "=="))
    for odd in (
        {"sub": "x"}, {"sub": None}, {"sub": 1}, {"sub": "\0"}, {"exp": "x"}, {"exp": None}, {"exp": []}, {"aud": None},
        {"nbf": _LATER},
    ):  # fmt: skip
        assert told(token_of({**claims, **odd}, secret=SECRET_OF_LINKS)) == nowhere, odd
    for header in _BAD_HEADERS:
        if header.get("alg") != "HS256":
            assert told(token_of(claims, header, secret=SECRET_OF_LINKS)) == nowhere, header
    # As an access token it is worth nothing either.
    assert_refused(refusal(standing, f"Bearer {good}".encode()), "token_invalid")
    late = told(make(SECRET_OF_LINKS, _NOW - timedelta(days=400)))
    assert late[0] == 410


def test_random_links_lead_nowhere(standing: StandingApp) -> None:
    for name in _RANDOM:
        method, path = name.split(" ")
        for token in ("x", "%00", "a" * 64, "a" * 65, "'", "%ff"):
            assert standing.send(method, path.replace("{token}", token)).status_code == 404, (name, token)


# ---- how it is compared ----


@pytest.mark.parametrize("module", [signed_links, tokens, routes_stripe_events])
def test_secrets_are_compared_by_a_library_that_takes_its_time(module: ModuleType) -> None:
    """No signature is compared here: `jwt` and `stripe` do it, by `hmac.compare_digest`."""
    tree = ast.parse(inspect.getsource(module))
    called = {ast.unparse(each.func) for each in ast.walk(tree) if isinstance(each, ast.Call)}
    assert called & {
        "jwt.decode",
        "stripe.WebhookSignature.verify_header",
        "WebhookSignature.verify_header",
        "hmac.compare_digest",
    }, sorted(called)
    compared = [
        ast.unparse(each)
        for each in ast.walk(tree)
        if isinstance(each, ast.Compare)
        and any(word in ast.unparse(each).lower() for word in ("digest", "secret", "v1="))
        and not any(isinstance(operator, ast.Is | ast.IsNot) for operator in each.ops)
    ]
    assert not compared
