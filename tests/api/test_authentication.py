"""Who is let in, and what a stranger is told."""

import base64
import hmac
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from models.errors import Reason
from models.vocabulary import Role
from routes.authentication import Principal, TokenVerifier, issue_token
from routes.problems import ProblemError
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.conftest import SECRET

PERSON = uuid4()


def claims(**changes: object) -> dict[str, object]:
    """The claims of a good token, with changes; `None` leaves a claim out."""
    good: dict[str, object] = {
        "sub": str(PERSON),
        "aud": "registrar",
        "exp": datetime.now(UTC) + timedelta(minutes=5),
        "roles": ["student"],
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(**changes: object) -> str:
    return jwt.encode(claims(**changes), SECRET, algorithm="HS256")


async def refusal_of(verifier: TokenVerifier, token: str) -> Reason:
    with pytest.raises(ProblemError) as refused:
        await verifier.principal(token)
    return refused.value.reason


async def test_a_good_token_names_its_bearer(settings: Settings) -> None:
    principal = await TokenVerifier(settings).principal(signed())
    assert principal == Principal(subject=str(PERSON), roles=frozenset({Role.STUDENT}))
    assert principal.actor == f"student:{PERSON}"
    assert principal.person_id == PERSON
    assert not principal.is_staff


@pytest.mark.parametrize(
    ("roles", "actor", "is_staff"),
    [
        (["student", "staff"], "staff", True),
        (["service"], "service", True),
        (["staff", "admin"], "admin", True),
        (["tutor", "student"], "tutor", False),
        (["student", "emperor"], "student", False),
    ],
)
async def test_the_highest_known_role_speaks(settings: Settings, roles: list[str], actor: str, is_staff: bool) -> None:
    principal = await TokenVerifier(settings).principal(signed(roles=roles))
    assert principal.actor == f"{actor}:{PERSON}"
    assert principal.is_staff is is_staff


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": datetime.now(UTC) - timedelta(minutes=1)}, Reason.TOKEN_EXPIRED),
        ({"exp": None}, Reason.TOKEN_INVALID),
        ({"aud": None}, Reason.TOKEN_INVALID),
        ({"aud": "somebody else"}, Reason.TOKEN_INVALID),
        ({"sub": None}, Reason.TOKEN_INVALID),
        ({"sub": "not-a-person"}, Reason.TOKEN_INVALID),
        ({"sub": "x" * 65, "roles": ["staff"]}, Reason.TOKEN_INVALID),
        ({"sub": "staff:anna", "roles": ["staff"]}, Reason.TOKEN_INVALID),
        ({"sub": "anna\n", "roles": ["staff"]}, Reason.TOKEN_INVALID),
        ({"nbf": datetime.now(UTC) + timedelta(days=1)}, Reason.TOKEN_INVALID),
        ({"roles": None}, Reason.ROLE_NOT_ALLOWED),
        ({"roles": []}, Reason.ROLE_NOT_ALLOWED),
        ({"roles": ["emperor"]}, Reason.ROLE_NOT_ALLOWED),
        ({"roles": "admin"}, Reason.ROLE_NOT_ALLOWED),
        ({"roles": [{"name": "admin"}]}, Reason.ROLE_NOT_ALLOWED),
    ],
)
async def test_a_token_that_lacks_something_is_refused(
    settings: Settings, changes: dict[str, object], reason: Reason
) -> None:
    assert await refusal_of(TokenVerifier(settings), signed(**changes)) is reason


async def test_the_issuer_counts_once_it_is_set(settings: Settings) -> None:
    verifier = TokenVerifier(settings.model_copy(update={"jwt_issuer": "https://id.test"}))
    assert await refusal_of(verifier, signed()) is Reason.TOKEN_INVALID
    assert (await verifier.principal(signed(iss="https://id.test"))).person_id == PERSON


async def test_only_our_algorithm_is_taken(settings: Settings) -> None:
    verifier = TokenVerifier(settings)
    unsigned = jwt.encode(claims(), "", algorithm="none")
    other = jwt.encode(claims(), SECRET * 2, algorithm="HS512")
    forged = jwt.encode(claims(), "b" * 32, algorithm="HS256")
    for token in (unsigned, other, forged, signed()[:-4] + "AAAA", "not.a.token", "x"):
        assert await refusal_of(verifier, token) is Reason.TOKEN_INVALID


def signed_by_hand(secret: bytes, header: dict[str, str]) -> str:
    """A token that the library refuses to make: signed with a public key as if it were a secret."""
    body = {**claims(), "exp": int(time.time()) + 300}
    parts = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, body))
    signature = base64.urlsafe_b64encode(hmac.digest(secret, parts, "sha256")).rstrip(b"=")
    return f"{parts.decode()}.{signature.decode()}"


class KeySet:
    """An identity provider's published keys, counted as they are fetched."""

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.fetched = 0
        keys = [
            {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.rsa.public_key())), "kid": "r", "alg": "RS256"},
            {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.ec.public_key())), "kid": "e", "alg": "ES256"},
            {**json.loads(jwt.algorithms.HMACAlgorithm.to_jwk(SECRET.encode())), "kid": "h", "alg": "HS256"},
        ]
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.fetched += 1
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"keys": keys}).encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"


@pytest.fixture(scope="module")
def key_set() -> Iterator[KeySet]:
    keys = KeySet()
    thread = threading.Thread(target=keys.server.serve_forever, daemon=True)
    thread.start()
    yield keys
    keys.server.shutdown()
    keys.server.server_close()
    thread.join()


async def test_keys_of_an_identity_provider_are_taken_and_kept(settings: Settings, key_set: KeySet) -> None:
    verifier = TokenVerifier(settings.model_copy(update={"jwt_jwks_url": key_set.url}))
    before = key_set.fetched
    for _ in range(3):
        by_rsa = jwt.encode(claims(), key_set.rsa, algorithm="RS256", headers={"kid": "r"})
        by_ec = jwt.encode(claims(), key_set.ec, algorithm="ES256", headers={"kid": "e"})
        assert (await verifier.principal(by_rsa)).person_id == PERSON
        assert (await verifier.principal(by_ec)).person_id == PERSON
    assert key_set.fetched == before + 1


async def test_with_published_keys_a_shared_secret_is_worth_nothing(settings: Settings, key_set: KeySet) -> None:
    verifier = TokenVerifier(settings.model_copy(update={"jwt_jwks_url": key_set.url}))
    public = key_set.rsa.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    confused = signed_by_hand(public, {"alg": "HS256", "typ": "JWT", "kid": "r"})
    shared = jwt.encode(claims(), SECRET, algorithm="HS256", headers={"kid": "h"})
    other_key = jwt.encode(claims(), key_set.ec, algorithm="ES256", headers={"kid": "r"})
    unknown = jwt.encode(claims(), key_set.rsa, algorithm="RS256", headers={"kid": "unknown"})
    nameless = jwt.encode(claims(), key_set.rsa, algorithm="RS256")
    for token in (confused, shared, other_key, unknown, nameless):
        assert await refusal_of(verifier, token) is Reason.TOKEN_INVALID


async def test_an_identity_provider_that_is_away_is_an_outage(settings: Settings) -> None:
    verifier = TokenVerifier(settings.model_copy(update={"jwt_jwks_url": "http://127.0.0.1:9/keys"}))
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token = jwt.encode(claims(), key, algorithm="RS256", headers={"kid": "r"})
    assert await refusal_of(verifier, token) is Reason.UNAVAILABLE


def test_tokens_are_issued_with_the_shared_secret_only(settings: Settings) -> None:
    with pytest.raises(ValueError, match="identity provider"):
        issue_token(
            settings.model_copy(update={"jwt_jwks_url": "https://id.test/keys"}),
            "anna",
            [Role.STAFF],
            timedelta(minutes=1),
        )
    with pytest.raises(ValueError, match="JWT_SECRET"):
        TokenVerifier(settings.model_copy(update={"jwt_secret": None}))


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer "}, {"Authorization": "Basic YTpi"}])
async def test_a_missing_token_comes_before_everything_else(client: httpx.AsyncClient, header: dict[str, str]) -> None:
    answer = await client.post(
        "/v1/orders", content=b"{not json", headers={"Content-Type": "application/json", **header}
    )
    assert answer.status_code == 401
    assert answer.json()["reason"] == "token_missing"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="registrar"'


async def test_a_bad_token_is_told_apart_from_a_missing_one(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/orders", headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 401
    assert answer.json()["reason"] == "token_invalid"
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert "nonsense" not in answer.text


async def test_roles_open_doors(client: httpx.AsyncClient, settings: Settings) -> None:
    student = await client.get("/v1/jobs/order-1", headers=as_student(settings, PERSON))
    assert (student.status_code, student.json()["reason"]) == (403, "role_not_allowed")
    tutor = await client.post("/v1/orders", json={}, headers=as_(settings, PERSON, Role.TUTOR))
    assert (tutor.status_code, tutor.json()["reason"]) == (403, "role_not_allowed")
    staff = await client.get("/v1/jobs/order-1", headers=as_staff(settings))
    assert (staff.status_code, staff.json()["reason"]) == (404, "not_found")
