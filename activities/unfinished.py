"""Whose business is not over: what a job that broke still owes, by the record."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, and_, case, cast, exists, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped
from sqlmodel import col

from activities.job_reading import Listed
from activities.place_endings import GIVES_ACCESS
from models.identifiers import (
    dispute_workflow_id,
    order_cancellation_workflow_id,
    order_workflow_id,
    refund_watch_workflow_id,
)
from models.tables import (
    BulkJobAction,
    Cart,
    Cascade,
    CertificateBatch,
    CourseChange,
    Dispute,
    Enrollment,
    Export,
    Finding,
    HumanTask,
    Invoice,
    Order,
    OrderLine,
    Refund,
    RefundRequest,
    TutorApplication,
)
from models.vocabulary import (
    ApplicationStatus,
    BatchStatus,
    CartStatus,
    CascadeStatus,
    CourseChangeStatus,
    DisputeStatus,
    EnrollmentStatus,
    ExportStatus,
    FindingStatus,
    JobActionStatus,
    OrderStatus,
    RefundRequestStatus,
    RefundStatus,
    TaskAction,
    TaskKind,
    TaskStatus,
)


@dataclass(frozen=True)
class Business:
    """The row that a kind of job is about, found by the end of the workflow's id, and the states in which it is not
    over, or what else is left to do."""

    key: Mapped[Any]
    status: Mapped[Any]
    unfinished: tuple[StrEnum, ...]
    before: str | None = None
    or_else: ColumnElement[bool] | None = None

    @property
    def is_unfinished(self) -> ColumnElement[bool]:
        """Whether something is left to do by the row."""
        in_state = self.status.in_(self.unfinished)
        return in_state if self.or_else is None else or_(in_state, self.or_else)

    def key_of(self, workflow_id: str) -> UUID | str | None:
        if self.before is not None:
            return workflow_id.removeprefix(self.before)
        try:
            return UUID(workflow_id[-36:])
        except ValueError:
            return None


# What was approved is only done once the money is on its way with somebody who follows it: the refund's own job knows
# the id that Stripe gave it. One that failed is asked about.
_is_on_its_way = exists().where(
    col(Refund.request_id) == col(RefundRequest.id),
    or_(
        col(Refund.status).in_((RefundStatus.SUCCEEDED, RefundStatus.CANCELED)),
        (col(Refund.status) != RefundStatus.FAILED) & col(Refund.stripe_refund_id).is_not(None),
    ),
)
_IS_NOT_PAID_BACK = (
    (col(RefundRequest.status) == RefundRequestStatus.APPROVED) & (col(RefundRequest.amount) > 0) & ~_is_on_its_way
)


def _job_of_order(named: Callable[[UUID], str]) -> ColumnElement[str]:
    return literal(named(UUID(int=0))[:-36]) + cast(col(Order.id), String)


def _has_money_under_way(job: ColumnElement[str]) -> ColumnElement[bool]:
    """What the job has written down to be paid back, and neither Stripe nor a person has yet."""
    return exists().where(
        col(Refund.order_id) == col(Order.id),
        col(Refund.workflow_id) == job,
        or_(
            col(Refund.status) == RefundStatus.FAILED,
            col(Refund.status).in_((RefundStatus.PENDING, RefundStatus.REQUIRES_ACTION))
            & col(Refund.stripe_refund_id).is_(None),
        ),
    )


# What an order owes once it is completed or cancelled: the money of places that could not be had any more, and what
# came in by invoice beyond what is kept.
_ORDER_JOB = _job_of_order(order_workflow_id)
_LOST_A_PLACE = (
    exists()
    .where(
        col(OrderLine.order_id) == col(Order.id),
        col(OrderLine.total_amount) > 0,
        col(Enrollment.order_line_id) == col(OrderLine.id),
        col(Enrollment.enrolled_at).is_(None),
        ~exists().where(col(Refund.enrollment_id) == col(Enrollment.id)),
    )
    .correlate(Order)
)
_KEEPS_TOO_MUCH = exists().where(
    col(Invoice.order_id) == col(Order.id),
    col(Invoice.paid_amount) > case((col(Order.completed_at).is_not(None), col(Invoice.amount)), else_=0),
    ~exists().where(
        col(HumanTask.workflow_id) == _ORDER_JOB,
        col(HumanTask.kind) == TaskKind.PAY_BACK,
        col(HumanTask.status) == TaskStatus.DONE,
    ),
)
_ORDER_OWES = or_(
    and_(col(Order.completed_at).is_not(None), _LOST_A_PLACE), _has_money_under_way(_ORDER_JOB), _KEEPS_TOO_MUCH
)
# What was lost to a payer's bank is settled once somebody has said what becomes of the places, and that is done.
_PLACES_ARE_OPEN = (
    (col(Dispute.status) == DisputeStatus.LOST)
    & exists().where(
        col(OrderLine.order_id) == col(Dispute.order_id),
        col(OrderLine.total_amount) > 0,
        col(Enrollment.order_line_id) == col(OrderLine.id),
        col(Enrollment.status).in_(GIVES_ACCESS),
    )
    & ~exists().where(
        col(HumanTask.workflow_id) == literal(dispute_workflow_id("")) + col(Dispute.stripe_dispute_id),
        col(HumanTask.decision) == TaskAction.APPROVE,
    )
)
_IS_NOT_ERASED = col(TutorApplication.erase_at).is_not(None) & col(TutorApplication.erased_at).is_(None)

BUSINESS: Mapping[str, Business] = {
    "OrderWorkflow": Business(col(Order.id), col(Order.status), (OrderStatus.PENDING_PAYMENT,), or_else=_ORDER_OWES),
    "OrderCancellationWorkflow": Business(
        col(Order.id),
        col(Order.status),
        (OrderStatus.COMPLETED, OrderStatus.PARTIALLY_REFUNDED),
        or_else=_has_money_under_way(_job_of_order(order_cancellation_workflow_id)),
    ),
    "RefundWorkflow": Business(
        col(RefundRequest.enrollment_id),
        col(RefundRequest.status),
        (RefundRequestStatus.IN_REVIEW,),
        or_else=_IS_NOT_PAID_BACK,
    ),
    "RefundWatchWorkflow": Business(
        col(Refund.stripe_refund_id),
        col(Refund.status),
        (RefundStatus.PENDING, RefundStatus.REQUIRES_ACTION, RefundStatus.FAILED),
        before=refund_watch_workflow_id(""),
    ),
    "CascadeWorkflow": Business(col(Cascade.id), col(Cascade.status), (CascadeStatus.RUNNING, CascadeStatus.PAUSED)),
    "DisputeWorkflow": Business(
        col(Dispute.stripe_dispute_id),
        col(Dispute.status),
        (
            DisputeStatus.WARNING_NEEDS_RESPONSE,
            DisputeStatus.WARNING_UNDER_REVIEW,
            DisputeStatus.NEEDS_RESPONSE,
            DisputeStatus.UNDER_REVIEW,
        ),
        before=dispute_workflow_id(""),
        or_else=_PLACES_ARE_OPEN,
    ),
    "TutorApplicationWorkflow": Business(
        col(TutorApplication.id),
        col(TutorApplication.status),
        (
            ApplicationStatus.DRAFT,
            ApplicationStatus.SUBMITTED,
            ApplicationStatus.IN_REVIEW,
            ApplicationStatus.INFO_REQUESTED,
            ApplicationStatus.INACTIVE,
        ),
        or_else=_IS_NOT_ERASED,
    ),
    "CartWorkflow": Business(col(Cart.id), col(Cart.status), (CartStatus.OPEN, CartStatus.ABANDONED)),
    "CertificateBatchWorkflow": Business(
        col(CertificateBatch.id), col(CertificateBatch.status), (BatchStatus.RUNNING,)
    ),
    "DripWorkflow": Business(
        col(Enrollment.id), col(Enrollment.status), (EnrollmentStatus.ACTIVE, EnrollmentStatus.SUSPENDED)
    ),
    "CourseChangeWorkflow": Business(col(CourseChange.id), col(CourseChange.status), (CourseChangeStatus.RUNNING,)),
    "FindingWorkflow": Business(col(Finding.id), col(Finding.status), (FindingStatus.OPEN,)),
    "ExportWorkflow": Business(col(Export.id), col(Export.status), (ExportStatus.RUNNING,)),
    "JobActionWorkflow": Business(col(BulkJobAction.id), col(BulkJobAction.status), (JobActionStatus.RUNNING,)),
}


async def unfinished(session: AsyncSession, jobs: Iterable[Listed]) -> list[Listed]:
    """Those whose business is not over, with one statement for each kind, and one for the tasks that nobody can decide
    any more. Of a kind without a row of its own, such as a payment that nobody knows, it never is over while the job
    is broken."""
    jobs = list(jobs)
    asking = select(col(HumanTask.workflow_id)).where(
        col(HumanTask.workflow_id).in_([job.workflow_id for job in jobs]), col(HumanTask.status) == TaskStatus.OPEN
    )
    with_tasks = set((await session.execute(asking)).scalars())
    by_type: dict[str, list[Listed]] = defaultdict(list)
    for job in jobs:
        by_type[job.type].append(job)
    owing: list[Listed] = []
    for job_type, those in by_type.items():
        business = BUSINESS.get(job_type)
        if business is None:
            owing.extend(those)
            continue
        keys = {job.workflow_id: business.key_of(job.workflow_id) for job in those}
        query = select(business.key).where(
            business.key.in_([key for key in keys.values() if key is not None]),
            business.is_unfinished,
        )
        open_keys = set((await session.execute(query)).scalars())
        owing.extend(job for job in those if keys[job.workflow_id] in open_keys or job.workflow_id in with_tasks)
    return owing
