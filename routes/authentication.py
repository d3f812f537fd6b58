"""Who calls, and whether they may: decided before a body is looked at."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, cast

from fastapi import Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from models.errors import Reason
from models.vocabulary import Role
from routes.parts import parts_of
from routes.problems import ProblemError
from routes.tokens import Principal, TokenVerifier, issue_token

__all__ = [
    "REFUSALS",
    "AuthenticatedRoute",
    "Principal",
    "TokenVerifier",
    "issue_token",
    "require",
]

REFUSALS = (Reason.TOKEN_MISSING, Reason.TOKEN_INVALID, Reason.TOKEN_EXPIRED, Reason.ROLE_NOT_ALLOWED)

_bearer = HTTPBearer(
    scheme_name="bearer",
    bearerFormat="JWT",
    description="An access token with `sub`, `aud`, `exp` and `roles`.",
    auto_error=False,
)


class AuthenticatedRoute(APIRoute):
    """A route whose caller is known before the request is parsed: a stranger learns nothing about its fields."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler, behind the check of the token."""
        handle = super().get_route_handler()

        async def handle_known_caller(request: Request) -> Response:
            request.state.principal = await _authenticate(request)
            return await handle(request)

        return handle_known_caller


def require(*roles: Role) -> Callable[..., Awaitable[Principal]]:
    """A dependency that gives the caller if they have one of the roles (any role at all if none is named)."""

    async def allowed(
        request: Request, _credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> Principal:
        principal = cast(Principal, request.state.principal)
        if roles and principal.roles.isdisjoint(roles):
            raise ProblemError(Reason.ROLE_NOT_ALLOWED, f"This is for {', '.join(roles)}.")
        return principal

    return allowed


async def _authenticate(request: Request) -> Principal:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise ProblemError(Reason.TOKEN_MISSING, "Send `Authorization: Bearer <access token>`.")
    return await parts_of(request).tokens.principal(token.strip())
