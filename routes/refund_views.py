"""How refunds are shown: whether the money may go back, and what became of a wish for it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Row

from models.money import Money
from models.tables import Note
from models.vocabulary import (
    RefundAccess,
    RefundCause,
    RefundDecider,
    RefundGround,
    RefundPolicy,
    RefundRequestStatus,
    RefundShare,
    RefundStatus,
    Role,
)
from rules.refund import Eligibility


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


class NoteView(BaseModel):
    """What somebody has written down about a wish."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    author: str
    text: str
    created_at: datetime


class RefundView(BaseModel):
    """A wish for money back and what became of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    enrollment_id: UUID
    order_id: UUID
    cause: RefundCause
    status: RefundRequestStatus
    grounds: tuple[RefundGround, ...]
    share: RefundShare = Field(description="how the amount was found")
    access: RefundAccess = Field(description="whether the place stays, once it is approved")
    amount: int = Field(description="minor units that were asked for, or granted")
    currency: str
    money: str = Field(description="the amount as people write it, in English")
    requested_by: str
    decided_by: str | None = Field(description="`rule`, or who decided")
    decided_at: datetime | None
    refund_status: RefundStatus | None = Field(description="how the money fares at Stripe; none before it is sent")
    refunded_amount: int | None = Field(description="minor units of this wish's own refund; none before it is sent")
    notes: tuple[NoteView, ...] | None = Field(description="for staff only")
    created_at: datetime


ELIGIBLE = EligibilityView(
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
REFUND = RefundView(
    id=UUID("9a1e6c1e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    enrollment_id=UUID("0198f3a0-4444-7000-8000-000000000001"),
    order_id=UUID("5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    cause=RefundCause.NOT_AS_EXPECTED,
    status=RefundRequestStatus.APPROVED,
    grounds=(RefundGround.FIRST_LESSON_DONE,),
    share=RefundShare.FULL,
    access=RefundAccess.REVOKED,
    amount=22500,
    currency="EUR",
    money="€225.00",
    requested_by="student:0198f3a0-2222-7000-8000-000000000001",
    decided_by="rule",
    decided_at=datetime(2026, 3, 10, 9, 0, tzinfo=UTC),
    refund_status=RefundStatus.SUCCEEDED,
    refunded_amount=22500,
    notes=None,
    created_at=datetime(2026, 3, 10, 9, 0, tzinfo=UTC),
)


def eligibility_view(enrollment_id: UUID, policy: RefundPolicy, decided: Eligibility) -> EligibilityView:
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


def refund_view(row: Row[*tuple[Any, ...]], notes: Sequence[Note] | None) -> RefundView:
    """The view of a request with its order's id and its own refund; without notes for whom they are not."""
    request, order_id, refund = row
    is_staff = notes is not None
    return RefundView(
        id=request.id,
        enrollment_id=request.enrollment_id,
        order_id=order_id,
        cause=RefundCause(request.cause) if is_staff else _told_cause(RefundCause(request.cause)),
        status=RefundRequestStatus(request.status),
        grounds=tuple(RefundGround(ground) for ground in request.grounds),
        share=RefundShare(request.share),
        access=RefundAccess(request.access),
        amount=request.amount,
        currency=request.currency,
        money=Money(amount=request.amount, currency=request.currency).format(),
        requested_by=request.requested_by if is_staff else _told_actor(request.requested_by),
        decided_by=request.decided_by if is_staff else _told_actor(request.decided_by),
        decided_at=request.decided_at,
        refund_status=None if refund is None else RefundStatus(refund.status),
        refunded_amount=None if refund is None else refund.amount,
        notes=None if notes is None else tuple(map(_note_view, notes)),
        created_at=request.created_at,
    )


def _told_cause(cause: RefundCause) -> RefundCause:
    """Why a tutor is gone is nobody's business but the academy's."""
    return RefundCause.OTHER if cause in (RefundCause.TUTOR_BANNED, RefundCause.TUTOR_SUSPENDED) else cause


def _told_actor(actor: str | None) -> str | None:
    """Who of the academy has acted is its own business; students and tutors are named."""
    kind = (actor or "").partition(":")[0]
    return kind if kind in (Role.STAFF, Role.ADMIN, Role.SERVICE) else actor


def _note_view(note: Note) -> NoteView:
    return NoteView(author=note.author, text=note.text, created_at=note.created_at)
