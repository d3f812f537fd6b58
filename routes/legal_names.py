"""The name that certificates bear: read, and confirmed by its bearer or by staff."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from activities.database import Sessions
from activities.legal_names import confirm_legal_name
from models.errors import Reason
from models.tables import Person
from models.tables.columns import now
from models.vocabulary import Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.certificate_start import tell_name_confirmed
from routes.documentation import answer, problems
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal
from rules.certificate_name import LONGEST
from rules.decision import Refused

router = APIRouter(prefix="/v1/people", tags=["certificates"], route_class=AuthenticatedRoute)

_TheCaller = Annotated[Principal, Depends(require(Role.STUDENT, Role.TUTOR, Role.STAFF, Role.ADMIN, Role.SERVICE))]
WantedName = Annotated[str, StringConstraints(min_length=1, max_length=2 * LONGEST)]


class LegalNameBody(BaseModel):
    """A name, as it is to be printed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: WantedName = Field(description="in any script; it is printed as it stands")


class LegalNameView(BaseModel):
    """What certificates call a person."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    person_id: UUID
    name: str = Field(description="the confirmed one, or else the one on file")
    is_confirmed: bool = Field(description="without it no certificate is issued")
    confirmed_at: datetime | None


_EXAMPLE = LegalNameView(
    person_id=UUID("0198f3a0-2222-7000-8000-000000000001"),
    name="Łukasz Żółciński",
    is_confirmed=True,
    confirmed_at=datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
)
_USUAL = (*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE)


@router.get(
    "/{person_id}/legal-name",
    summary="Read the name that certificates bear",
    responses={**answer(HTTPStatus.OK, "The name", _EXAMPLE), **problems(*_USUAL)},
)
async def get_legal_name(person_id: UUID, principal: _TheCaller, connections: TheConnections) -> LegalNameView:
    """Everybody sees their own, staff all."""
    return await _read(connections.sessions, person_id, principal)


@router.put(
    "/{person_id}/legal-name",
    summary="Confirm the name that certificates bear",
    responses={
        **answer(HTTPStatus.OK, "The name", _EXAMPLE),
        **problems(*_USUAL, Reason.PAYLOAD_TOO_LARGE, Reason.NAME_INVALID, Reason.NAME_ALREADY_CONFIRMED),
    },
)
async def put_legal_name(
    person_id: UUID,
    body: Annotated[
        LegalNameBody, Body(openapi_examples={"name": {"summary": "My name", "value": {"name": "Łukasz Żółciński"}}})
    ],
    principal: _TheCaller,
    connections: TheConnections,
) -> LegalNameView:
    """Once for good: another name takes a correction, unless staff mends it before a certificate bears it. Certificates
    that wait for it are issued at once.
    """
    await _read(connections.sessions, person_id, principal)
    async with connections.sessions.begin() as session:
        confirmed = await confirm_legal_name(
            session,
            person_id,
            body.name,
            actor=principal.actor,
            moment=now(),
            by_staff=not principal.roles.isdisjoint((Role.STAFF, Role.ADMIN)),
        )
    if isinstance(confirmed, Refused):
        raise ProblemError(confirmed.reason, confirmed.detail)
    await tell_name_confirmed(connections.temporal, confirmed.waiting)
    return await _read(connections.sessions, person_id, principal)


async def _read(sessions: Sessions, person_id: UUID, principal: Principal) -> LegalNameView:
    async with sessions() as session:
        person = await session.get(Person, person_id)
    if person is None or not (principal.is_staff or principal.person_id == person_id):
        raise ProblemError(Reason.NOT_FOUND, "There is no such person, or it is not you.")
    return LegalNameView(
        person_id=person_id,
        name=person.legal_name or person.full_name,
        is_confirmed=person.legal_name_confirmed_at is not None,
        confirmed_at=person.legal_name_confirmed_at,
    )
