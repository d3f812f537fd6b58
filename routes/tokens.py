"""Access tokens: who a bearer is, and how the sandbox and the command line make one."""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import jwt

from models.errors import Reason
from models.vocabulary import Role
from routes.problems import ProblemError
from settings import Settings

_SUBJECT = re.compile(r"[A-Za-z0-9._|-]{1,64}")
_HIGHEST_FIRST = (Role.ADMIN, Role.STAFF, Role.SERVICE, Role.TUTOR, Role.STUDENT)
_ACADEMY = frozenset({Role.ADMIN, Role.STAFF, Role.SERVICE})
_CLOCK_SKEW = timedelta(seconds=5)


@dataclass(frozen=True)
class Principal:
    """The caller, as the access token tells it."""

    subject: str
    roles: frozenset[Role]

    @property
    def role(self) -> Role:
        """The highest of the roles."""
        return next(role for role in _HIGHEST_FIRST if role in self.roles)

    @property
    def actor(self) -> str:
        """How the caller is named in the audit log and in histories."""
        return f"{self.role}:{self.subject}"

    @property
    def is_staff(self) -> bool:
        """Whether the caller acts for the academy: staff, admin or service."""
        return not self.roles.isdisjoint(_ACADEMY)

    @property
    def person_id(self) -> UUID | None:
        """The person the caller is; staff and services need not be one."""
        return _uuid(self.subject)


class _Keys(Protocol):
    """Where the key comes from that a token has to be signed with, and by which algorithms."""

    @property
    def algorithms(self) -> tuple[str, ...]: ...

    async def key_of(self, token: str) -> Any: ...


class _SharedSecret:
    algorithms = ("HS256",)

    def __init__(self, secret: str) -> None:
        self._secret = secret

    async def key_of(self, token: str) -> str:
        return self._secret


class _PublishedKeys:
    """The key set of an identity provider, kept for five minutes. Asymmetric algorithms only: its keys are public."""

    algorithms = ("RS256", "ES256")

    def __init__(self, url: str) -> None:
        self._client = jwt.PyJWKClient(url, lifespan=300, timeout=5)

    async def key_of(self, token: str) -> jwt.PyJWK:
        # The client blocks while it fetches; the event loop must not.
        return await asyncio.to_thread(self._client.get_signing_key_from_jwt, token)


class TokenVerifier:
    """Tells who a bearer token belongs to, or refuses it. Raises `ValueError` without a secret and a key set."""

    def __init__(self, settings: Settings) -> None:
        self._audience = settings.jwt_audience
        self._issuer = settings.jwt_issuer
        self._keys: _Keys
        if settings.jwt_jwks_url is not None:
            self._keys = _PublishedKeys(settings.jwt_jwks_url)
        elif settings.jwt_secret is not None:
            self._keys = _SharedSecret(settings.jwt_secret.get_secret_value())
        else:
            raise ValueError("the API needs JWT_SECRET or JWT_JWKS_URL")

    async def principal(self, token: str) -> Principal:
        """The caller whom the token names. Raises `ProblemError` with the reason of the refusal."""
        claims = await self._claims(token)
        subject = claims["sub"]
        if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
            raise ProblemError(Reason.TOKEN_INVALID, "The claim `sub` is not an identifier.")
        principal = Principal(subject=subject, roles=_known_roles(claims.get("roles")))
        if not principal.roles:
            raise ProblemError(Reason.ROLE_NOT_ALLOWED, "The claim `roles` names no role known here.")
        if principal.is_staff:
            return principal
        if principal.person_id is None:
            raise ProblemError(Reason.TOKEN_INVALID, "The claim `sub` of a student or tutor is the id of a person.")
        return Principal(subject=str(principal.person_id), roles=principal.roles)

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                await self._keys.key_of(token),
                algorithms=list(self._keys.algorithms),
                audience=self._audience,
                issuer=self._issuer,
                leeway=_CLOCK_SKEW,
                options={"require": ["exp", "sub", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise ProblemError(Reason.TOKEN_EXPIRED, "Ask for a new access token.") from None
        except jwt.PyJWKClientConnectionError:
            raise ProblemError(Reason.UNAVAILABLE, "The keys of the identity provider cannot be read.") from None
        except jwt.PyJWTError:
            raise ProblemError(Reason.TOKEN_INVALID, "The access token is not one of ours, or was changed.") from None
        return claims


def issue_token(settings: Settings, subject: str, roles: Iterable[Role], lifetime: timedelta) -> str:
    """A token signed with the shared secret. Raises `ValueError` where tokens come from an identity provider."""
    if settings.jwt_secret is None or settings.jwt_jwks_url is not None:
        raise ValueError("tokens are issued by the identity provider here, not by Registrar")
    moment = datetime.now(UTC)
    claims: dict[str, object] = {
        "sub": subject,
        "roles": sorted(roles),
        "aud": settings.jwt_audience,
        "iat": moment,
        "exp": moment + lifetime,
    }
    if settings.jwt_issuer is not None:
        claims["iss"] = settings.jwt_issuer
    return jwt.encode(claims, settings.jwt_secret.get_secret_value(), algorithm="HS256")


def _known_roles(claim: object) -> frozenset[Role]:
    if not isinstance(claim, list):
        return frozenset()
    return frozenset(Role(word) for word in claim if isinstance(word, str) and word in set(Role))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
