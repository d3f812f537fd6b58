"""Changing an enrollment while it runs: tried out, and done by its job."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field

from activities.course_changes import preview_enrollment_change
from models.errors import Reason
from models.identifiers import enrollment_change_id_for
from models.messages.learning import ChangeEnrollment
from models.tables import AppliedChange, Enrollment
from models.tables.columns import now
from models.vocabulary import EnrollmentChange, EnrollmentStatus, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.change_bodies import EnrollmentChangeBody
from routes.documentation import answer, problems
from routes.drip_start import CHANGE_REFUSALS, change_enrollment
from routes.learning_views import PLAN, PlanView, plan_view
from routes.parts import Connections, TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal
from routes.validation import idempotency_header
from rules.decision import DatedRefusal

router = APIRouter(prefix="/v1/enrollments", tags=["learning"], route_class=AuthenticatedRoute)

ENROLLMENT_CHANGES: dict[str, Example] = {
    "pause": {
        "summary": "Time stands still until the summer is over",
        "value": {"change": "pause", "until": "2026-08-31T22:00:00Z"},
    },
    "release": {
        "summary": "A lesson opens now",
        "value": {"change": "release", "lesson_ids": ["0198f3a0-3333-7000-8000-000000000002"]},
    },
    "extend": {
        "summary": "Access is longer than was bought",
        "value": {"change": "set_access", "access_ends_at": "2026-12-31T23:00:00Z"},
    },
    "judge": {"summary": "The course is passed", "value": {"change": "judge", "judgement": "passed"}},
}


class DryRunQuery(BaseModel):
    """Whether it is only tried out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dry_run: bool = Field(default=False, description="only say what would happen; nothing is written")


class EnrollmentChangeView(BaseModel):
    """A change that was made, and how the enrollment stands by it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    enrollment_id: UUID
    change: EnrollmentChange
    status: EnrollmentStatus
    access_ends_at: datetime | None = Field(description="none: for good, or not begun")
    paused_until: datetime | None
    opened: tuple[UUID, ...] = Field(description="lessons that have opened by it")


_CHANGED = EnrollmentChangeView(
    id=UUID("7b1e6c1e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    enrollment_id=UUID("0198f3a0-4444-7000-8000-000000000001"),
    change=EnrollmentChange.PAUSE,
    status=EnrollmentStatus.ACTIVE,
    access_ends_at=datetime(2026, 8, 29, 10, 17, tzinfo=UTC),
    paused_until=datetime(2026, 8, 31, 22, 0, tzinfo=UTC),
    opened=(),
)


@router.post(
    "/{enrollment_id}/changes",
    response_model=EnrollmentChangeView | PlanView,
    summary="Change an enrollment",
    responses={
        **answer(HTTPStatus.OK, "How it stands now, or of a dry run its plan as it would be", _CHANGED, dry_run=PLAN),
        **problems(
            *REFUSALS,
            Reason.IDEMPOTENCY_KEY_MISSING,
            Reason.PAYLOAD_TOO_LARGE,
            *CHANGE_REFUSALS,
            Reason.UNAVAILABLE,
        ),
    },
)
async def post_enrollment_change(
    enrollment_id: UUID,
    body: Annotated[EnrollmentChangeBody, Body(openapi_examples=ENROLLMENT_CHANGES)],
    asked: Annotated[DryRunQuery, Query()],
    idempotency_key: Annotated[str, idempotency_header("the same key is the same change")],
    principal: Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN, Role.SERVICE))],
    connections: TheConnections,
) -> EnrollmentChangeView | PlanView:
    """Pause and resume it, open lessons by hand, strike out what was tried, start its clock anew, move its start or the
    end of its access, suspend it, judge it. What is open stays open, and what was done stays done unless it is reset.

    With `dry_run=true` nothing happens: the answer is the plan as it would be.
    """
    change_id = enrollment_change_id_for(enrollment_id, principal.subject, idempotency_key)
    wish = body.wish(change_id, enrollment_id, principal.actor)
    course_id = await _require_same(connections, wish)
    if asked.dry_run:
        return await _preview(connections, wish)
    changed = await change_enrollment(connections.temporal, wish, course_id)
    shown = changed.model_dump(include=set(EnrollmentChangeView.model_fields))
    return EnrollmentChangeView.model_validate({**shown, "id": change_id, "change": wish.change})


async def _require_same(connections: Connections, wish: ChangeEnrollment) -> UUID:
    """The enrollment's course. Raises `ProblemError` if there is none, or the key stands for another change."""
    async with connections.sessions() as session:
        enrollment = await session.get(Enrollment, wish.enrollment_id)
        if enrollment is None:
            raise ProblemError(Reason.NOT_FOUND, "There is no such enrollment.")
        known = await session.get(AppliedChange, wish.change_id)
    if known is not None and known.digest != wish.digest:
        raise ProblemError(Reason.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used for another change.")
    return enrollment.course_id


async def _preview(connections: Connections, wish: ChangeEnrollment) -> PlanView:
    async with connections.sessions() as session:
        plan = await preview_enrollment_change(session, wish, now())
    if isinstance(plan, DatedRefusal):
        raise ProblemError(plan.reason, plan.detail, moment=plan.moment)
    return plan_view(plan)
