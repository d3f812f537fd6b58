"""Payments that their payers have disputed at their banks, as Stripe last told them."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, select
from sqlmodel import col

from models.errors import Reason
from models.identifiers import dispute_workflow_id
from models.money import Money
from models.tables import Dispute
from models.vocabulary import DisputeStatus, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, matching, page_of, sorted_page, total_of
from routes.parts import TheConnections, TheParts
from routes.problems import ProblemError
from routes.runs import web_address
from routes.tokens import Principal
from rules.disputes import OPEN
from settings import Settings

router = APIRouter(prefix="/v1/disputes", tags=["refunds"], route_class=AuthenticatedRoute)

_SORTABLE = {"opened_at": col(Dispute.opened_at), "evidence_due_at": col(Dispute.evidence_due_at)}
_TheStaff = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN))]


class DisputeView(BaseModel):
    """A payment that its payer disputes. While it is open nothing of the payment is paid back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    stripe_dispute_id: str
    order_id: UUID | None
    payment_intent_id: str | None
    amount: int = Field(description="minor units")
    currency: str
    money: str = Field(description="the amount as people write it, in English")
    reason: str = Field(description="Stripe's word, e.g. `fraudulent`")
    status: DisputeStatus
    is_open: bool = Field(description="the payer's bank has not decided yet")
    evidence_due_at: datetime | None = Field(description="until when to answer it, in Stripe")
    opened_at: datetime
    updated_at: datetime = Field(description="when Stripe was read last")
    workflow_id: str = Field(description="who follows it")
    href: str = Field(description="the same in the Temporal Web UI")


class DisputeQuery(PageQuery):
    """Which disputes to list."""

    sort: Literal["opened_at", "opened_at:desc", "evidence_due_at", "evidence_due_at:desc"] = "opened_at:desc"
    status: DisputeStatus | None = None
    order_id: UUID | None = None


_DISPUTE = DisputeView(
    id=UUID("4c7e6c1e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    stripe_dispute_id="du_1a2b3c",
    order_id=UUID("5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    payment_intent_id="pi_1a2b3c",
    amount=22500,
    currency="EUR",
    money="€225.00",
    reason="fraudulent",
    status=DisputeStatus.NEEDS_RESPONSE,
    is_open=True,
    evidence_due_at=datetime(2026, 3, 19, 23, 59, 59, tzinfo=UTC),
    opened_at=datetime(2026, 3, 10, 9, 0, tzinfo=UTC),
    updated_at=datetime(2026, 3, 10, 9, 0, tzinfo=UTC),
    workflow_id="dispute-du_1a2b3c",
    href="http://127.0.0.1:8233/namespaces/default/workflows/dispute-du_1a2b3c",
)


@router.get(
    "",
    summary="List disputes",
    responses={
        **answer(HTTPStatus.OK, "One page of disputes", example_page(_DISPUTE), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_disputes(
    asked: Annotated[DisputeQuery, Query()],
    principal: _TheStaff,
    parts: TheParts,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[DisputeView]:
    """All of them unless asked otherwise, the latest first. They are answered in Stripe."""
    conditions = _asked_for(asked)
    page = sorted_page(select(Dispute).where(*conditions), asked, asked.sort, _SORTABLE, col(Dispute.id))
    async with connections.sessions() as session:
        total = await total_of(session, select(Dispute).where(*conditions))
        rows = (await session.execute(page)).scalars().all()
    return page_of(request, response, asked, [_view(row, parts.settings) for row in rows], total)


@router.get(
    "/{dispute_id}",
    summary="Read a dispute",
    responses={
        **answer(HTTPStatus.OK, "The dispute", _DISPUTE),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_dispute(
    dispute_id: UUID, principal: _TheStaff, parts: TheParts, connections: TheConnections
) -> DisputeView:
    """How it stands, and until when to answer it."""
    async with connections.sessions() as session:
        dispute = await session.get(Dispute, dispute_id)
    if dispute is None:
        raise ProblemError(Reason.NOT_FOUND, "There is no such dispute.")
    return _view(dispute, parts.settings)


def _asked_for(asked: DisputeQuery) -> list[ColumnElement[bool]]:
    return matching((col(Dispute.status), asked.status), (col(Dispute.order_id), asked.order_id))


def _view(dispute: Dispute, settings: Settings) -> DisputeView:
    workflow_id = dispute_workflow_id(dispute.stripe_dispute_id)
    return DisputeView(
        id=dispute.id,
        stripe_dispute_id=dispute.stripe_dispute_id,
        order_id=dispute.order_id,
        payment_intent_id=dispute.payment_intent_id,
        amount=dispute.amount,
        currency=dispute.currency,
        money=Money(amount=dispute.amount, currency=dispute.currency).format(),
        reason=dispute.reason,
        status=DisputeStatus(dispute.status),
        is_open=dispute.status in OPEN,
        evidence_due_at=dispute.evidence_due_at,
        opened_at=dispute.opened_at,
        updated_at=dispute.updated_at,
        workflow_id=workflow_id,
        href=web_address(settings, workflow_id),
    )
