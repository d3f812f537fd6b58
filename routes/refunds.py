"""Money back for one enrollment: whether it may be had, asking for it, and what became of it."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import ColumnElement, Select, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.database import Sessions
from activities.refund_facts import enrollment_to_refund
from activities.task_record import Remark, write_note
from models.errors import Reason
from models.identifiers import refund_request_id_for
from models.messages.refunds import RefundTerms, RefundWish
from models.tables import Course, Enrollment, Note, Order, OrderLine, Refund, RefundRequest
from models.tables.columns import now
from models.vocabulary import RefundAccess, RefundCause, RefundRequestStatus, RefundShare, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, location_header, problems
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, matching, page_of, sorted_page, total_of
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.refund_start import start_refund
from routes.refund_views import ELIGIBLE, REFUND, EligibilityView, RefundView, eligibility_view, refund_view
from routes.tokens import Principal
from routes.validation import NoteText, idempotency_header
from rules.refund import STAFFS_CAUSES, by_staff, eligibility

router = APIRouter(prefix="/v1", tags=["refunds"], route_class=AuthenticatedRoute)

_SORTABLE = {"created_at": col(RefundRequest.created_at), "amount": col(RefundRequest.amount)}
_EXAMPLES: dict[str, Example] = {
    "wish": {"summary": "Not what was hoped for", "value": {"cause": "not_as_expected"}},
    "goodwill": {
        "summary": "Staff gives 10.00 back, and the place stays",
        "value": {
            "cause": "goodwill",
            "terms": {"share": "amount", "amount": 1000, "access": "kept"},
            "note": "The videos could not be played for a day.",
        },
    },
    "pro_rata": {
        "summary": "Staff ends the place and pays back the lessons that were not had",
        "value": {"cause": "tutor_banned", "terms": {"share": "pro_rata"}},
    },
}
_TheCaller = Annotated[Principal, Depends(require())]


def _require_amount_of_its_share(share: RefundShare | None, amount: int | None) -> None:
    if (amount is not None) is not (share is RefundShare.AMOUNT):
        raise PydanticCustomError("refused_here", "An amount is named exactly where the share is `amount`.")


class TermsBody(BaseModel):
    """What staff grants, whatever the policy says. Only a disputed payment is beyond it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: RefundShare = Field(
        default=RefundShare.FULL, description="all that is left, by lessons not had, or `amount`"
    )
    amount: int | None = Field(default=None, ge=1, description="minor units; given exactly where the share is `amount`")
    access: RefundAccess = Field(default=RefundAccess.REVOKED, description="whether the student keeps the place")

    @model_validator(mode="after")
    def _amount_belongs_to_its_share(self) -> Self:
        _require_amount_of_its_share(self.share, self.amount)
        return self


class RefundBody(BaseModel):
    """A wish for the money back. What goes back follows from the purchase, or from terms that only staff may name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cause: RefundCause = Field(description="`goodwill` and what the academy has decided are staff's to name")
    terms: TermsBody | None = Field(default=None, description="staff only; none asks the policy")
    note: NoteText | None = Field(default=None, description="why; only staff can read it")


class TermsQuery(BaseModel):
    """Which terms of staff's to try out; none asks the policy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: RefundShare | None = Field(default=None, description="staff only")
    amount: int | None = Field(default=None, ge=1, description="minor units; given exactly where the share is `amount`")

    @model_validator(mode="after")
    def _amount_belongs_to_its_share(self) -> Self:
        _require_amount_of_its_share(self.share, self.amount)
        return self


class RefundQuery(PageQuery):
    """Which refunds to list."""

    sort: Literal["created_at", "created_at:desc", "amount", "amount:desc"] = "created_at:desc"
    status: RefundRequestStatus | None = None
    enrollment_id: UUID | None = None


@router.get(
    "/enrollments/{enrollment_id}/refund-eligibility",
    summary="Ask whether the money may go back",
    responses={
        **answer(HTTPStatus.OK, "The answer of the rule", ELIGIBLE),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_refund_eligibility(
    enrollment_id: UUID, asked: Annotated[TermsQuery, Query()], principal: _TheCaller, connections: TheConnections
) -> EligibilityView:
    """The rule, on the facts as they are now. The answer may change with the next lesson, or when the window closes.

    With a share, what staff could grant: as if there was a note.
    """
    if asked.share is not None and not principal.is_staff:
        raise _staff_only("Only staff may ask for other terms than the policy's.")
    await _require_enrollment(connections.sessions, enrollment_id, _visible_to(principal))
    async with connections.sessions() as session:
        found = await enrollment_to_refund(session, enrollment_id)
    if found is None:
        raise _no_such_enrollment()
    facts, revoked = found.facts, RefundAccess.REVOKED
    decided = (
        eligibility(facts, now())
        if asked.share is None
        else by_staff(facts, asked.share, asked.amount, revoked, has_note=True, moment=now())
    )
    return eligibility_view(enrollment_id, facts.policy, decided)


@router.post(
    "/enrollments/{enrollment_id}/refunds",
    status_code=HTTPStatus.CREATED,
    summary="Ask for the money back",
    responses={
        **answer(HTTPStatus.CREATED, "Approved, or in review", REFUND, location_header(f"/v1/refunds/{REFUND.id}")),
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
        Body(openapi_examples=_EXAMPLES),
    ],
    idempotency_key: Annotated[str, idempotency_header("the same key is the same wish")],
    principal: Annotated[Principal, Depends(require(Role.STUDENT, Role.STAFF, Role.ADMIN, Role.SERVICE))],
    connections: TheConnections,
    response: Response,
) -> RefundView:
    """The student, who pays for them, or staff asks. What the policy allows is paid back at once; a person looks at the
    rest. Staff may name terms of their own: how much, and whether the place stays. Against a certificate they have to
    say why in a note.
    """
    if not principal.is_staff and (body.terms is not None or body.cause in STAFFS_CAUSES):
        raise _staff_only("Only staff may name terms, or a cause that the academy answers for.")
    await _require_enrollment(connections.sessions, enrollment_id, _may_ask(principal))
    request_id = refund_request_id_for(enrollment_id, principal.subject, idempotency_key)
    terms = None if body.terms is None else RefundTerms.model_validate(body.terms.model_dump())
    wish = RefundWish(
        request_id=request_id, enrollment_id=enrollment_id, cause=body.cause, actor=principal.actor, terms=terms
    )
    if not await _is_on_record(connections.sessions, request_id):
        if body.note is not None:
            await _write_note(connections.sessions, request_id, principal.actor, body.note)
        await start_refund(connections.temporal, wish)
    response.headers["Location"] = f"/v1/refunds/{request_id}"
    return await _read(connections.sessions, principal, col(RefundRequest.id) == request_id)


@router.get(
    "/refunds",
    summary="List refunds",
    responses={
        **answer(HTTPStatus.OK, "One page of refunds", example_page(REFUND), LIST_HEADERS),
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
    async with connections.sessions() as session:
        total = await total_of(session, _refunds().where(*conditions))
        rows = (await session.execute(page)).all()
        notes = await _notes(session, principal, [row[0].id for row in rows])
    return page_of(request, response, asked, [refund_view(row, notes(row[0].id)) for row in rows], total)


@router.get(
    "/refunds/{refund_id}",
    summary="Read a refund",
    responses={
        **answer(HTTPStatus.OK, "The refund", REFUND),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_refund(refund_id: UUID, principal: _TheCaller, connections: TheConnections) -> RefundView:
    """Whether it was granted, and how its money fares."""
    return await _read(connections.sessions, principal, col(RefundRequest.id) == refund_id, *_visible_to(principal))


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
        select(RefundRequest, col(Order.id), Refund)
        .join(Enrollment, col(Enrollment.id) == col(RefundRequest.enrollment_id))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .join(Order, col(Order.id) == col(OrderLine.order_id))
        .join(Refund, col(Refund.request_id) == col(RefundRequest.id), isouter=True)
    )


def _asked_for(asked: RefundQuery) -> list[ColumnElement[bool]]:
    return matching((col(RefundRequest.status), asked.status), (col(RefundRequest.enrollment_id), asked.enrollment_id))


async def _read(sessions: Sessions, principal: Principal, *conditions: ColumnElement[bool]) -> RefundView:
    async with sessions() as session:
        row = (await session.execute(_refunds().where(*conditions))).one_or_none()
        if row is None:
            raise ProblemError(Reason.NOT_FOUND, "There is no such refund, or it is not yours.")
        notes = await _notes(session, principal, [row[0].id])
    return refund_view(row, notes(row[0].id))


async def _notes(
    session: AsyncSession, principal: Principal, request_ids: Sequence[UUID]
) -> Callable[[UUID], Sequence[Note] | None]:
    """What was written about each of the wishes, the oldest first; nothing for whom it is not."""
    if not principal.is_staff:
        return lambda _: None
    query = (
        select(Note)
        .where(col(Note.subject_kind) == "refund_request", col(Note.subject_id).in_(request_ids))
        .order_by(col(Note.created_at), col(Note.id))
    )
    found: dict[UUID, list[Note]] = {}
    for note in (await session.execute(query)).scalars():
        found.setdefault(note.subject_id, []).append(note)
    return lambda request_id: found.get(request_id, [])


async def _is_on_record(sessions: Sessions, request_id: UUID) -> bool:
    """Whether it is a repeat of a wish that has been taken; another wish may be alive by now."""
    async with sessions() as session:
        return await session.get(RefundRequest, request_id) is not None


async def _write_note(sessions: Sessions, request_id: UUID, author: str, text: str) -> None:
    """Keep the note of a wish, once: its id is that of the wish. It goes nowhere but to the record."""
    async with sessions.begin() as session:
        await write_note(session, Remark("refund_request", request_id, author, text), request_id)


def _staff_only(detail: str) -> ProblemError:
    return ProblemError(Reason.ROLE_NOT_ALLOWED, detail)
