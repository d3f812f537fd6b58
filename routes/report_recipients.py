"""Who is sent the reports that schedules make."""

from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.report_recipients import keep_recipients, recipients_of
from models.errors import Reason
from models.tables import Person
from models.vocabulary import ExportReport, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal

router = APIRouter(prefix="/v1/reports", tags=["exports"], route_class=AuthenticatedRoute)

_ByStaff = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN))]
SentReport = Literal[ExportReport.SALES, ExportReport.FINANCE, ExportReport.STATEMENT]


class RecipientView(BaseModel):
    """Somebody who is sent a report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    person_id: UUID
    name: str


class RecipientsView(BaseModel):
    """Who is sent a report, who has been so for longest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    report: ExportReport
    recipients: tuple[RecipientView, ...]


class RecipientsBody(BaseModel):
    """Who is to be sent a report, and nobody else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    person_ids: tuple[UUID, ...] = Field(max_length=100)


_PERSON = UUID("0198f3a0-2222-7000-8000-000000000009")
_VIEW = RecipientsView(report=ExportReport.FINANCE, recipients=(RecipientView(person_id=_PERSON, name="Frida Finanz"),))
_EXAMPLES: dict[str, Example] = {
    "one": {"summary": "One recipient", "value": {"person_ids": [str(_PERSON)]}},
    "nobody": {"summary": "Nobody any more", "value": {"person_ids": []}},
}


@router.get(
    "/{report}/recipients",
    summary="Read who is sent a report",
    responses={
        **answer(HTTPStatus.OK, "The recipients", _VIEW),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_report_recipients(
    report: SentReport, _principal: _ByStaff, connections: TheConnections
) -> RecipientsView:
    """Sales go out daily, finance every Monday, the statement of account on the first of the month."""
    async with connections.sessions() as session:
        return await _view(session, report)


@router.put(
    "/{report}/recipients",
    summary="Set who is sent a report",
    responses={
        **answer(HTTPStatus.OK, "The recipients", _VIEW),
        **problems(
            *REFUSALS, Reason.INVALID_REQUEST, Reason.PAYLOAD_TOO_LARGE, Reason.UNKNOWN_PERSON, Reason.UNAVAILABLE
        ),
    },
)
async def put_report_recipients(
    report: SentReport,
    body: Annotated[RecipientsBody, Body(openapi_examples=_EXAMPLES)],
    principal: _ByStaff,
    connections: TheConnections,
) -> RecipientsView:
    """All of them at once. Whoever is left out gets no more mails, and the links of earlier ones work no longer."""
    async with connections.sessions.begin() as session:
        people = select(func.count()).where(col(Person.id).in_(body.person_ids), col(Person.is_guest).is_(False))
        if (await session.execute(people)).scalar_one() != len(set(body.person_ids)):
            raise ProblemError(Reason.UNKNOWN_PERSON, "One of them is nobody with an account here.")
        await keep_recipients(session, report, body.person_ids, actor=principal.actor)
        return await _view(session, report)


async def _view(session: AsyncSession, report: ExportReport) -> RecipientsView:
    ids = await recipients_of(session, report)
    people = {each.id: each for each in await session.scalars(select(Person).where(col(Person.id).in_(ids)))}
    return RecipientsView(
        report=report, recipients=tuple(RecipientView(person_id=each, name=people[each].full_name) for each in ids)
    )
