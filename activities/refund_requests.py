"""The steps that decide whether somebody gets their money back, and write it down."""

from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity

from activities.audit import StateChange, write_audit
from activities.database import Sessions
from activities.refund_facts import EnrollmentToRefund, enrollment_to_refund, tutors_of
from models.errors import Reason
from models.messages.refunds import MAX_NOTICES, RefundTerms, RefundWish, RequestedRefund, RequestRefund, SettleReview
from models.money import Money
from models.tables import Note, RefundRequest, TaskContact
from models.tables.columns import now
from models.vocabulary import (
    RefundAccess,
    RefundCause,
    RefundDecider,
    RefundGround,
    RefundRequestStatus,
    TaskKind,
    TaskQueue,
)
from rules.business_days import after_working_days
from rules.refund import Eligibility, by_staff, eligibility
from rules.tasks import pace_of


@dataclass
class RefundRequestActivities:
    """Steps of a refund that somebody asks for. Each may be repeated: the second time finds the work done."""

    sessions: Sessions

    @activity.defn
    async def request_refund(self, step: RequestRefund) -> RequestedRefund:
        """Let the rule decide on the facts as they are, with the enrollment locked, and write the wish down.

        What the rule refuses is answered with a reason, and leaves no row.
        """
        wish = step.wish
        async with self.sessions.begin() as session:
            found = await enrollment_to_refund(session, wish.enrollment_id, lock=True)
            if found is None:
                return RequestedRefund(refusal=Reason.NOT_FOUND, refusal_detail="There is no such enrollment.")
            known = await _known(session, step)
            if known is not None:
                return await _told(session, known, found) if known.id == wish.request_id else _in_progress()
            decided = await _decide(session, found, wish)
            if not decided.is_eligible:
                return _refused(decided, wish)
            written = await _write(session, step, decided)
            return await _told(session, written, found)

    @activity.defn
    async def settle_review(self, step: SettleReview) -> None:
        """Write down what a person decided."""
        async with self.sessions.begin() as session:
            request = await session.get_one(RefundRequest, step.request_id, with_for_update=True)
            if request.status != RefundRequestStatus.IN_REVIEW:
                return
            request.status, request.decided_by = step.status, step.actor
            request.decided_at = request.updated_at = now()
            change = StateChange("refund_request", request.id, RefundRequestStatus.IN_REVIEW, step.status)
            await write_audit(session, [change], actor=step.actor, reason="review", workflow_id=step.workflow_id)


async def _known(session: AsyncSession, step: RequestRefund) -> RefundRequest | None:
    """The same wish, or another one that is still alive, as the unique index has it: a granted one that keeps the
    place leaves room for the next."""
    live = (col(RefundRequest.status) == RefundRequestStatus.IN_REVIEW) | (
        (col(RefundRequest.status) == RefundRequestStatus.APPROVED)
        & (col(RefundRequest.access) == RefundAccess.REVOKED)
    )
    query = (
        select(RefundRequest)
        .where(
            col(RefundRequest.enrollment_id) == step.wish.enrollment_id,
            live | (col(RefundRequest.id) == step.wish.request_id),
        )
        .order_by((col(RefundRequest.id) == step.wish.request_id).desc())
    )
    return (await session.execute(query)).scalars().first()


async def _decide(session: AsyncSession, found: EnrollmentToRefund, wish: RefundWish) -> Eligibility:
    """By the policy, or by staff's terms."""
    if wish.terms is None:
        return eligibility(found.facts, now())
    # Why many places end at once is a note of the cascade.
    has_note = wish.cascade_id is not None or await _has_note(session, wish.request_id)
    return by_staff(found.facts, wish.terms.share, wish.terms.amount, wish.terms.access, has_note, now())


async def _has_note(session: AsyncSession, request_id: UUID) -> bool:
    query = select(exists().where(col(Note.subject_kind) == "refund_request", col(Note.subject_id) == request_id))
    return bool((await session.execute(query)).scalar_one())


async def _people_to_tell(session: AsyncSession, request: RefundRequest, found: EnrollmentToRefund) -> tuple[UUID, ...]:
    """The tutor, and who looks after the academy's money (TutorHub R43); each once.

    Of many places that end at once finance sees the cascade, and a tutor who is gone is not told of students.
    """
    if request.cascade_id is not None:
        is_tutor_gone = request.cause in (RefundCause.TUTOR_BANNED, RefundCause.TUTOR_SUSPENDED)
        return () if is_tutor_gone else tuple(await tutors_of(session, found))[:MAX_NOTICES]
    query = select(col(TaskContact.remind_id)).where(col(TaskContact.queue) == TaskQueue.FINANCE)
    contacts = (await session.execute(query)).scalars().all()
    tutors = await tutors_of(session, found)
    return tuple(dict.fromkeys((*tutors, *contacts)))[:MAX_NOTICES]


async def _write(session: AsyncSession, step: RequestRefund, decided: Eligibility) -> RefundRequest:
    wish, moment = step.wish, now()
    terms = wish.terms or RefundTerms()
    decider = None if wish.terms is None else wish.actor
    if decided.decided_by is RefundDecider.RULE:
        decider = "rule"
    status = RefundRequestStatus.IN_REVIEW if decider is None else RefundRequestStatus.APPROVED
    wanted = insert(RefundRequest).values(
        id=wish.request_id,
        created_at=moment,
        updated_at=moment,
        enrollment_id=wish.enrollment_id,
        cause=wish.cause,
        status=status,
        grounds=[ground.value for ground in decided.grounds],
        amount=decided.amount.amount,
        currency=decided.amount.currency,
        share=terms.share,
        access=terms.access,
        cascade_id=wish.cascade_id,
        requested_by=wish.actor,
        decided_by=decider,
        decided_at=None if decider is None else moment,
        workflow_id=step.workflow_id,
    )
    written = (await session.execute(wanted.returning(RefundRequest))).scalar_one()
    change = StateChange("refund_request", wish.request_id, None, status)
    await write_audit(session, [change], actor=wish.actor, reason=wish.cause.value, workflow_id=step.workflow_id)
    return written


async def _told(session: AsyncSession, request: RefundRequest, found: EnrollmentToRefund) -> RequestedRefund:
    academy, decide_by = found.academy, None
    if request.status == RefundRequestStatus.IN_REVIEW:
        days = pace_of(TaskKind.REFUND_REVIEW).decide_within
        decide_by = after_working_days(request.created_at, days, ZoneInfo(academy.time_zone), academy.country)
    return RequestedRefund(
        status=RefundRequestStatus(request.status),
        grounds=tuple(RefundGround(ground) for ground in request.grounds),
        amount=Money(amount=request.amount, currency=request.currency),
        order_id=found.order_id,
        payer_id=found.payer_id,
        access=RefundAccess(request.access),
        student_id=found.enrollment.student_id,
        notice_ids=await _people_to_tell(session, request, found),
        decide_by=decide_by,
    )


def _refused(decided: Eligibility, wish: RefundWish) -> RequestedRefund:
    told = ", ".join(decided.grounds)
    if wish.terms is None:
        detail = f"The refund policy of this purchase does not allow it: {told}."
    elif decided.grounds == (RefundGround.CERTIFICATE_ISSUED,):
        detail = "A certificate was issued for this place (certificate_issued): say in a note why it does not count."
    else:
        detail = f"Not even staff can grant it: {told}."
    return RequestedRefund(grounds=decided.grounds, refusal=Reason.REFUND_NOT_ELIGIBLE, refusal_detail=detail)


def _in_progress() -> RequestedRefund:
    return RequestedRefund(
        refusal=Reason.REFUND_IN_PROGRESS, refusal_detail="The money of this enrollment is on its way back already."
    )
