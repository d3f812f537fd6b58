"""Who calls, and whether they may: decided before a body is looked at."""

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Request, Response, Security
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from models.errors import Reason
from models.vocabulary import Role
from routes.documentation import BEARER, ROLES
from routes.parts import parts_of
from routes.problems import ProblemError
from routes.tokens import Principal, TokenVerifier, issue_token

__all__ = [
    "REFUSALS",
    "AuthenticatedRoute",
    "Principal",
    "Requirement",
    "TokenVerifier",
    "issue_token",
    "require",
]

REFUSALS = (Reason.TOKEN_MISSING, Reason.TOKEN_INVALID, Reason.TOKEN_EXPIRED, Reason.ROLE_NOT_ALLOWED)

_bearer = HTTPBearer(
    scheme_name=BEARER,
    bearerFormat="JWT",
    description="An access token with `sub`, `aud`, `exp` and `roles`.",
    auto_error=False,
)


class AuthenticatedRoute(APIRoute):
    """A route whose caller is known before the request is parsed: a stranger learns nothing about its fields."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Beside what the framework takes note of: by which roles it may be called."""
        super().__init__(path, endpoint, **options)
        roles = {role for each in _requirements(self.dependant) for role in each.roles or Role}
        self.openapi_extra = {**(self.openapi_extra or {}), ROLES: sorted(roles)}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler, behind the check of the token."""
        handle = super().get_route_handler()

        async def handle_known_caller(request: Request) -> Response:
            request.state.principal = await _authenticate(request)
            return await handle(request)

        return handle_known_caller


@dataclass(frozen=True)
class Requirement:
    """A dependency that gives the caller if they have one of the roles; any role at all will do if none is named."""

    roles: tuple[Role, ...]

    async def __call__(
        self, request: Request, _credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> Principal:
        """The caller. Raises the problem `role_not_allowed`."""
        principal = cast(Principal, request.state.principal)
        if self.roles and principal.roles.isdisjoint(self.roles):
            raise ProblemError(Reason.ROLE_NOT_ALLOWED, f"This is for {', '.join(self.roles)}.")
        return principal


def _requirements(dependant: Dependant) -> Iterator[Requirement]:
    if isinstance(dependant.call, Requirement):
        yield dependant.call
    for each in dependant.dependencies:
        yield from _requirements(each)


def require(*roles: Role) -> Requirement:
    """Who may: callers with one of these roles, or with any."""
    return Requirement(roles)


async def _authenticate(request: Request) -> Principal:
    sent = request.headers.getlist("Authorization")
    if len(sent) > 1:
        # A proxy may have looked at one of them, and we at another.
        raise ProblemError(Reason.TOKEN_INVALID, "Send one Authorization header.")
    scheme, _, token = "".join(sent).partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise ProblemError(Reason.TOKEN_MISSING, "Send `Authorization: Bearer <access token>`.")
    return await parts_of(request).tokens.principal(token.strip())
