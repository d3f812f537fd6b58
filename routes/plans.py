"""What is open for a learner, and what opens when."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from activities.plans import plan_of
from models.errors import Reason
from models.tables.columns import now
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.enrollments import require_visible
from routes.learning_views import PLAN, MomentOfOurTime, PlanView, plan_view
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal

router = APIRouter(prefix="/v1/enrollments", tags=["learning"], route_class=AuthenticatedRoute)


class PlanQuery(BaseModel):
    """Which moment to plan for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: MomentOfOurTime | None = Field(
        default=None, description="a moment to look ahead to, as if nothing else happened until then; now unless said"
    )


@router.get(
    "/{enrollment_id}/plan",
    summary="Read the plan of an enrollment",
    responses={
        **answer(HTTPStatus.OK, "The plan", PLAN),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_plan(
    enrollment_id: UUID,
    asked: Annotated[PlanQuery, Query()],
    principal: Annotated[Principal, Depends(require())],
    connections: TheConnections,
) -> PlanView:
    """Students see their own, tutors those of their courses, staff all. It is worked out from the record by the rule
    that also opens lessons and writes mails. A lesson that is `planned` for a moment that has passed is about to open;
    if it stays so for minutes, its job is late.
    """
    async with connections.sessions() as session:
        await require_visible(session, enrollment_id, principal)
        looked_at = now()
        plan = await plan_of(session, enrollment_id, asked.at or looked_at, looked_at=looked_at)
    if plan is None:
        raise ProblemError(Reason.NOT_FOUND, "There is no such enrollment, or it is not yours.")
    return plan_view(plan)
