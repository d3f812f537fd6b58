"""Money back for one enrollment: whether it may be had, asking for it, and what became of it."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Row, Select, exists, func, or_, select
from sqlmodel import col

from activities.database import Sessions
from activities.refund_facts import enrollment_to_refund
from models.errors import Reason
from models.identifiers import refund_request_id_for
from models.messages.refunds import RefundWish
from models.money import Money
from models.tables import Course, Enrollment, Order, OrderLine, Refund, RefundRequest
from models.tables.columns import now
from models.vocabulary import (
    RefundCause,
    RefundDecider,
    RefundGround,
    RefundPolicy,
    RefundRequestStatus,
    RefundStatus,
    Role,
)
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, location_header, problems
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, page_of, sorted_page
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.refund_start import start_refund
from routes.tokens import Principal
from routes.validation import IDEMPOTENCY_KEY
from rules.refund import Eligibility, eligibility

router = APIRouter(prefix="/v1", tags=["refunds"], route_class=AuthenticatedRoute)

_SORTABLE = {"created_at": col(RefundRequest.created_at), "amount": col(RefundRequest.amount)}
_TheCaller = Annotated[Principal, Depends(require())]


class EligibilityView(BaseModel):
    """Whether the money may go back now. Asking changes nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enrollment_id: UUID
    policy: RefundPolicy = Field(description="the rule that was in force at purchase")
    is_eligible: bool
    grounds: tuple[RefundGround, ...] = Field(
        description="all that speaks against it, or for it and for asking a person"
    )
    decided_by: RefundDecider | None = Field(description="whether it approves itself or a person looks at it first")
    amount: int = Field(description="minor units that would go back")
    currency: str
    lessons_used: int
    lessons_unconfirmed: int = Field(description="held, but not recorded yet; they count three days after their end")
    window_ends_at: datetime | None
    ask_again_at: datetime | None = Field(description="when the unconfirmed lessons will be clear")


class RefundBody(BaseModel):
    """A wish for the money back. What goes back follows from the purchase alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cause: RefundCause


class RefundView(BaseModel):
    """A wish for money back and what became of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    enrollment_id: UUID
    order_id: UUID
    cause: RefundCause
    status: RefundRequestStatus
    grounds: tuple[RefundGround, ...]
    amount: int = Field(description="minor units")
    currency: str
    money: str = Field(description="the amount as people write it, in English")
    requested_by: str
    decided_by: str | None = Field(description="`rule`, or who decided")
    decided_at: datetime | None
    refund_status: RefundStatus | None = Field(description="how the money fares at Stripe; none before it is sent")
    created_at: datetime


class RefundQuery(PageQuery):
    """Which refunds to list."""

    sort: Literal["created_at", "created_at:desc", "amount", "amount:desc"] = "created_at:desc"
    status: RefundRequestStatus | None = None
    enrollment_id: UUID | None = None


_ELIGIBLE = EligibilityView(
    enrollment_id=UUID("0198f3a0-4444-7000-8000-000000000001"),
    policy=RefundPolicy.FIRST_LESSON,
    is_eligible=True,
    grounds=(RefundGround.FIRST_LESSON_DONE,),
    decided_by=RefundDecider.RULE,
    amount=22500,
    currency="EUR",
    lessons_used=1,
    lessons_unconfirmed=0,
    window_ends_at=None,
    ask_again_at=None,
)
_REFUND = RefundView(
    id=UUID("9a1e6c1e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    enrollment_id=UUID("0198f3a0-4444-7000-8000-000000000001"),
    order_id=UUID("5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    cause=RefundCause.NOT_AS_EXPECTED,
    status=RefundRequestStatus.APPROVED,
    grounds=(RefundGround.FIRST_LESSON_DONE,),
    amount=22500,
    currency="EUR",
    money="€225.00",
    requested_by="student:0198f3a0-2222-7000-8000-000000000001",
    decided_by="rule",
    decided_at=datetime(2026, 3, 10, 9, 0, tzinfo=UTC),
    refund_status=RefundStatus.SUCCEEDED,
    created_at=datetime(2026, 3, 10, 9, 0, tzinfo=UTC),
)


@router.get(
    "/enrollments/{enrollment_id}/refund-eligibility",
    summary="Ask whether the money may go back",
    responses={
        **answer(HTTPStatus.OK, "The answer of the rule", _ELIGIBLE),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_refund_eligibility(
    enrollment_id: UUID, principal: _TheCaller, connections: TheConnections
) -> EligibilityView:
    """The rule, on the facts as they are now. The answer may change with the next lesson, or when the window closes."""
    await _require_enrollment(connections.sessions, enrollment_id, _visible_to(principal))
    async with connections.sessions() as session:
        found = await enrollment_to_refund(session, enrollment_id)
    if found is None:
        raise _no_such_enrollment()
    return _eligibility_view(enrollment_id, found.facts.policy, eligibility(found.facts, now()))


@router.post(
    "/enrollments/{enrollment_id}/refunds",
    status_code=HTTPStatus.CREATED,
    summary="Ask for the money back",
    responses={
        **answer(HTTPStatus.CREATED, "Approved, or in review", _REFUND, location_header(f"/v1/refunds/{_REFUND.id}")),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.IDEMPOTENCY_KEY_MISSING,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.NOT_FOUND,
            Reason.REFUND_NOT_ELIGIBLE,
            Reason.REFUND_IN_PROGRESS,
            Reason.UNAVAILABLE,
        ),
    },
)
async def post_refund(
    enrollment_id: UUID,
    body: Annotated[
        RefundBody,
        Body(openapi_examples={"wish": {"summary": "Not what was hoped for", "value": {"cause": "not_as_expected"}}}),
    ],
    idempotency_key: Annotated[
        str, Header(alias=IDEMPOTENCY_KEY, pattern=r"^[\x21-\x7e]{1,255}$", description="the same key is the same wish")
    ],
    principal: Annotated[Principal, Depends(require(Role.STUDENT, Role.STAFF, Role.ADMIN, Role.SERVICE))],
    connections: TheConnections,
    response: Response,
) -> RefundView:
    """The student, who pays for them, or staff asks. What the policy allows is paid back at once; a person looks at the
    rest.
    """
    await _require_enrollment(connections.sessions, enrollment_id, _may_ask(principal))
    request_id = refund_request_id_for(enrollment_id, principal.subject, idempotency_key)
    wish = RefundWish(request_id=request_id, enrollment_id=enrollment_id, cause=body.cause, actor=principal.actor)
    await start_refund(connections.temporal, wish)
    response.headers["Location"] = f"/v1/refunds/{request_id}"
    return await _read(connections.sessions, col(RefundRequest.id) == request_id)


@router.get(
    "/refunds",
    summary="List refunds",
    responses={
        **answer(HTTPStatus.OK, "One page of refunds", example_page(_REFUND), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_refunds(
    asked: Annotated[RefundQuery, Query()],
    principal: _TheCaller,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[RefundView]:
    """Students see theirs and those they pay for, tutors those of their courses (TutorHub R53), staff all."""
    conditions = [*_visible_to(principal), *_asked_for(asked)]
    page = sorted_page(_refunds().where(*conditions), asked, asked.sort, _SORTABLE, col(RefundRequest.id))
    count = _refunds().where(*conditions).with_only_columns(func.count(), maintain_column_froms=True)
    async with connections.sessions() as session:
        total = (await session.execute(count)).scalar_one()
        rows = (await session.execute(page)).all()
    return page_of(request, response, asked, map(_view, rows), total)


@router.get(
    "/refunds/{refund_id}",
    summary="Read a refund",
    responses={
        **answer(HTTPStatus.OK, "The refund", _REFUND),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_refund(refund_id: UUID, principal: _TheCaller, connections: TheConnections) -> RefundView:
    """Whether it was granted, and how its money fares."""
    return await _read(connections.sessions, col(RefundRequest.id) == refund_id, *_visible_to(principal))


def _visible_to(principal: Principal) -> list[ColumnElement[bool]]:
    if principal.is_staff:
        return []
    teaches = exists().where(col(Course.id) == col(Enrollment.course_id), col(Course.tutor_id) == principal.person_id)
    return [or_(*_may_ask(principal), teaches)]


def _may_ask(principal: Principal) -> list[ColumnElement[bool]]:
    if principal.is_staff:
        return []
    return [or_(col(Enrollment.student_id) == principal.person_id, col(Order.payer_id) == principal.person_id)]


async def _require_enrollment(sessions: Sessions, enrollment_id: UUID, conditions: list[ColumnElement[bool]]) -> None:
    query = (
        select(col(Enrollment.id))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .join(Order, col(Order.id) == col(OrderLine.order_id))
        .where(col(Enrollment.id) == enrollment_id, *conditions)
    )
    async with sessions() as session:
        if (await session.execute(query)).first() is None:
            raise _no_such_enrollment()


def _no_such_enrollment() -> ProblemError:
    return ProblemError(Reason.NOT_FOUND, "There is no such enrollment, or it is not yours.")


def _refunds() -> Select[*tuple[Any, ...]]:
    return (
        select(RefundRequest, col(Order.id), col(Refund.status))
        .join(Enrollment, col(Enrollment.id) == col(RefundRequest.enrollment_id))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .join(Order, col(Order.id) == col(OrderLine.order_id))
        .join(
            Refund,
            (col(Refund.enrollment_id) == col(Enrollment.id))
            & (col(RefundRequest.status) == RefundRequestStatus.APPROVED),
            isouter=True,
        )
    )


def _asked_for(asked: RefundQuery) -> list[ColumnElement[bool]]:
    wanted = ((col(RefundRequest.status), asked.status), (col(RefundRequest.enrollment_id), asked.enrollment_id))
    return [column == value for column, value in wanted if value is not None]


async def _read(sessions: Sessions, *conditions: ColumnElement[bool]) -> RefundView:
    async with sessions() as session:
        row = (await session.execute(_refunds().where(*conditions))).one_or_none()
    if row is None:
        raise ProblemError(Reason.NOT_FOUND, "There is no such refund, or it is not yours.")
    return _view(row)


def _eligibility_view(enrollment_id: UUID, policy: RefundPolicy, decided: Eligibility) -> EligibilityView:
    return EligibilityView(
        enrollment_id=enrollment_id,
        policy=policy,
        is_eligible=decided.is_eligible,
        grounds=decided.grounds,
        decided_by=decided.decided_by,
        amount=decided.amount.amount,
        currency=decided.amount.currency,
        lessons_used=decided.usage.used,
        lessons_unconfirmed=decided.usage.unconfirmed,
        window_ends_at=decided.window_ends_at,
        ask_again_at=decided.usage.confirmed_at,
    )


def _view(row: Row[*tuple[Any, ...]]) -> RefundView:
    request, order_id, refund_status = row
    return RefundView(
        id=request.id,
        enrollment_id=request.enrollment_id,
        order_id=order_id,
        cause=RefundCause(request.cause),
        status=RefundRequestStatus(request.status),
        grounds=tuple(RefundGround(ground) for ground in request.grounds),
        amount=request.amount,
        currency=request.currency,
        money=Money(amount=request.amount, currency=request.currency).format(),
        requested_by=request.requested_by,
        decided_by=request.decided_by,
        decided_at=request.decided_at,
        refund_status=None if refund_status is None else RefundStatus(refund_status),
        created_at=request.created_at,
    )
