"""The academy's own fields of people: what they are called, and which exports show them."""

from collections import Counter
from http import HTTPStatus
from typing import Annotated, Self

from fastapi import APIRouter, Body, Depends
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import select
from sqlmodel import col

from activities.custom_fields import custom_fields_in_order, keep_custom_fields
from models.errors import Reason
from models.tables import Academy, CustomField
from models.vocabulary import ExportReport, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal
from rules.exports import REPORTS

router = APIRouter(prefix="/v1/custom-fields", tags=["exports"], route_class=AuthenticatedRoute)

_ByStaff = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN))]
_MOST_FIELDS = 50
_SHOWING = tuple(report for report, rules in REPORTS.items() if rules.shows_custom_fields)


class CustomFieldView(BaseModel):
    """A field of people (Academy of Mine custom user field). Its values are kept with each person."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="what it is known by, also on certificates")
    label: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]*$")
    ] = Field(description="the title of its column")
    reports: tuple[ExportReport, ...] = Field(
        default=(), description=f"the exports that show it: {', '.join(_SHOWING)} (`includeInReportExports`)"
    )

    @field_validator("reports")
    @classmethod
    def _that_show_fields(cls, value: tuple[ExportReport, ...]) -> tuple[ExportReport, ...]:
        if set(value) - set(_SHOWING):
            raise PydanticCustomError("refused_here", f"Fields are shown by {', '.join(_SHOWING)}.")
        return tuple(dict.fromkeys(value))


class CustomFieldsView(BaseModel):
    """All of them, in the order of their columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: tuple[CustomFieldView, ...] = Field(max_length=_MOST_FIELDS)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        keys = Counter(field.key for field in self.fields)
        labels = Counter(field.label.casefold() for field in self.fields)
        if any(count > 1 for count in (*keys.values(), *labels.values())):
            raise PydanticCustomError("refused_here", "Every field has a key and a label of its own.")
        return self


_FIELDS = CustomFieldsView(
    fields=(
        CustomFieldView(key="employee_number", label="Employee number", reports=(ExportReport.USERS,)),
        CustomFieldView(
            key="business_unit",
            label="Business unit",
            reports=(ExportReport.USERS, ExportReport.ORDERS, ExportReport.ENROLLMENTS),
        ),
    )
)
_EXAMPLES: dict[str, Example] = {
    "two": {"summary": "Two fields", "value": _FIELDS.model_dump(mode="json")},
    "none": {"summary": "No field is shown", "value": {"fields": []}},
}


@router.get(
    "",
    summary="List custom fields",
    responses={**answer(HTTPStatus.OK, "The fields", _FIELDS), **problems(*REFUSALS, Reason.UNAVAILABLE)},
)
async def get_custom_fields(_principal: _ByStaff, connections: TheConnections) -> CustomFieldsView:
    """What they are called, and which exports show them."""
    async with connections.sessions() as session:
        found = await custom_fields_in_order(session)
    return CustomFieldsView(
        fields=tuple(
            CustomFieldView(key=each.key, label=each.label, reports=tuple(map(ExportReport, each.reports)))
            for each in found
        )
    )


@router.put(
    "",
    summary="Set the custom fields",
    responses={
        **answer(HTTPStatus.OK, "The fields", _FIELDS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.PAYLOAD_TOO_LARGE, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def put_custom_fields(
    body: Annotated[CustomFieldsView, Body(openapi_examples=_EXAMPLES)],
    principal: _ByStaff,
    connections: TheConnections,
) -> CustomFieldsView:
    """All of them at once: one that is left out is shown no longer; what people have in it stays. Exports that have
    begun keep the columns that they began with."""
    wanted = [CustomField(**field.model_dump(mode="json")) for field in body.fields]
    async with connections.sessions.begin() as session:
        academy_id = await session.scalar(select(col(Academy.id)))
        if academy_id is None:
            raise ProblemError(Reason.NOT_FOUND, "There is no academy yet.")
        await keep_custom_fields(session, academy_id, wanted, actor=principal.actor)
    return body
