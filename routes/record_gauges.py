"""What the record says about how the work goes, for Prometheus: one statement for all of it."""

from collections.abc import Collection
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Date, Select, SQLColumnExpression, Text, cast, func, literal, select, text, true, union_all
from sqlmodel import col

from activities.database import Sessions
from models.tables import (
    Academy,
    Cart,
    Cascade,
    CertificateBatch,
    CheckRun,
    CourseChange,
    Dispute,
    Enrollment,
    Export,
    Finding,
    HumanTask,
    Invoice,
    Mail,
    Order,
    RefundRequest,
    StripeEvent,
    TutorApplication,
)
from models.vocabulary import (
    ApplicationStatus,
    BatchStatus,
    CartStatus,
    CascadeStatus,
    CheckKind,
    CheckStatus,
    CourseChangeStatus,
    DisputeStatus,
    EnrollmentStatus,
    ExportStatus,
    FindingKind,
    FindingStatus,
    InvoiceStatus,
    MailStatus,
    MailTemplate,
    OrderStatus,
    RefundRequestStatus,
    StripeEventStatus,
    TaskKind,
    TaskQueue,
    TaskStatus,
)
from routes.gauges import Gauge, Reading, Series
from rules.tasks import queue_of

_Column = SQLColumnExpression[Any]

KEPT_SECONDS = 15
_DAY = timedelta(days=1)
# Stripe itself knows its events for as long.
_EVENTS_KEPT = timedelta(days=30)

_TASKS = tuple((str(queue_of(kind)), str(kind)) for kind in TaskKind)
_QUEUES = tuple((str(queue),) for queue in TaskQueue)


def _each(words: type[StrEnum]) -> tuple[Series, ...]:
    return tuple((word.value,) for word in words)


# What is under way by the record, in the states that are not an end.
_UNDER_WAY: dict[str, tuple[_Column, Collection[StrEnum]]] = {
    "order": (col(Order.status), (OrderStatus.PENDING_PAYMENT,)),
    "refund": (col(RefundRequest.status), (RefundRequestStatus.IN_REVIEW,)),
    "tutor_application": (
        col(TutorApplication.status),
        (
            ApplicationStatus.DRAFT,
            ApplicationStatus.SUBMITTED,
            ApplicationStatus.IN_REVIEW,
            ApplicationStatus.INFO_REQUESTED,
            ApplicationStatus.INACTIVE,
        ),
    ),
    "cart": (col(Cart.status), (CartStatus.OPEN, CartStatus.ABANDONED)),
    "enrollment": (
        col(Enrollment.status),
        (
            EnrollmentStatus.PENDING_APPROVAL,
            EnrollmentStatus.WAITLISTED,
            EnrollmentStatus.PENDING_PAYMENT,
            EnrollmentStatus.ACTIVE,
            EnrollmentStatus.SUSPENDED,
        ),
    ),
    "dispute": (
        col(Dispute.status),
        (
            DisputeStatus.WARNING_NEEDS_RESPONSE,
            DisputeStatus.WARNING_UNDER_REVIEW,
            DisputeStatus.NEEDS_RESPONSE,
            DisputeStatus.UNDER_REVIEW,
        ),
    ),
    "cascade": (col(Cascade.status), (CascadeStatus.RUNNING, CascadeStatus.PAUSED)),
    "certificate_batch": (col(CertificateBatch.status), (BatchStatus.RUNNING,)),
    "course_change": (col(CourseChange.status), (CourseChangeStatus.RUNNING,)),
    "export": (col(Export.status), (ExportStatus.RUNNING,)),
}

JOBS = Gauge(
    "registrar_jobs",
    "What is under way, by kind and state",
    ("job", "state"),
    tuple((job, str(state)) for job, (_, states) in _UNDER_WAY.items() for state in states),
)
TASKS = Gauge("registrar_human_tasks", "Open tasks", ("queue", "kind"), _TASKS)
TASKS_OVERDUE = Gauge("registrar_human_tasks_overdue", "Open tasks that are late", ("queue", "kind"), _TASKS)
TASK_WAIT = Gauge("registrar_human_task_oldest_age_seconds", "How long the oldest open task waits", ("queue",), _QUEUES)
MAILS = Gauge(
    "registrar_mails",
    "Mails of the last 24 hours",
    ("status", "template"),
    tuple((str(status), str(template)) for status in MailStatus for template in MailTemplate),
)
MAIL_UNSENT = Gauge(
    "registrar_mail_oldest_unsent_age_seconds", "How long the oldest mail waits that may go out and has not"
)
FINDINGS = Gauge("registrar_findings_open", "Open findings of the checks", ("kind",), _each(FindingKind))
CHECKED = Gauge(
    "registrar_check_last_done_timestamp_seconds", "When a check last ended, 0 for never", ("check",), _each(CheckKind)
)
ORDERS = Gauge("registrar_orders", "Orders placed in the last 24 hours", ("status",), _each(OrderStatus))
INVOICES_OVERDUE = Gauge("registrar_invoices_overdue", "Unpaid invoices past their last day to pay")
EVENTS = Gauge(
    "registrar_stripe_events", "Stripe's events received in the last 24 hours", ("status",), _each(StripeEventStatus)
)
EVENT_UNPASSED = Gauge(
    "registrar_stripe_event_oldest_unpassed_age_seconds", "How long the oldest event waits to be passed on to its job"
)

GAUGES = (
    JOBS,
    TASKS,
    TASKS_OVERDUE,
    TASK_WAIT,
    MAILS,
    MAIL_UNSENT,
    FINDINGS,
    CHECKED,
    ORDERS,
    INVOICES_OVERDUE,
    EVENTS,
    EVENT_UNPASSED,
)

_Row = Select[str, str, str, float]


async def read_record(sessions: Sessions) -> Reading:
    """All the gauges as of one moment. Raises `SQLAlchemyError` or `OSError` if the database is away or too slow."""
    labels = {gauge.name: len(gauge.labels) for gauge in GAUGES}
    read: dict[str, dict[Series, float]] = {}
    async with sessions() as session:
        await session.execute(text("SET LOCAL statement_timeout = '4s'"))
        for name, first, second, value in await session.execute(union_all(*_statements())):
            series = (first, second)[: labels[name]]
            read.setdefault(name, {})[series] = float(value)
    return read


def _statements() -> list[_Row]:
    open_task = col(HumanTask.status) == TaskStatus.OPEN
    may_go_out = func.coalesce(col(Mail.deferred_until), col(Mail.created_at))
    academy_today = cast(func.timezone(col(Academy.time_zone), func.now()), Date)
    return [
        *(
            _row(JOBS, literal(job), column, func.count()).where(column.in_(states)).group_by(column)
            for job, (column, states) in _UNDER_WAY.items()
        ),
        _by(TASKS, col(HumanTask.queue), col(HumanTask.kind)).where(open_task),
        _by(TASKS_OVERDUE, col(HumanTask.queue), col(HumanTask.kind)).where(
            open_task, col(HumanTask.due_at) < func.now()
        ),
        _row(TASK_WAIT, col(HumanTask.queue), literal(""), _age(func.min(col(HumanTask.created_at))))
        .where(open_task)
        .group_by(col(HumanTask.queue)),
        _by(MAILS, col(Mail.status), col(Mail.template)).where(col(Mail.created_at) >= func.now() - _DAY),
        _row(MAIL_UNSENT, literal(""), literal(""), _age(func.min(may_go_out))).where(
            col(Mail.status) == MailStatus.QUEUED, may_go_out < func.now()
        ),
        _by(FINDINGS, col(Finding.kind)).where(col(Finding.status) == FindingStatus.OPEN),
        _row(CHECKED, col(CheckRun.kind), literal(""), func.extract("epoch", func.max(col(CheckRun.ended_at))))
        .where(col(CheckRun.status) == CheckStatus.DONE)
        .group_by(col(CheckRun.kind)),
        _by(ORDERS, col(Order.status)).where(col(Order.is_test).is_(False), col(Order.created_at) >= func.now() - _DAY),
        _row(INVOICES_OVERDUE, literal(""), literal(""), func.count())
        .select_from(Invoice)
        .join(Academy, true())
        .where(col(Invoice.status) == InvoiceStatus.OPEN, col(Invoice.due_on) < academy_today),
        _by(EVENTS, col(StripeEvent.status)).where(col(StripeEvent.received_at) >= func.now() - _DAY),
        _row(EVENT_UNPASSED, literal(""), literal(""), _age(func.min(col(StripeEvent.received_at)))).where(
            col(StripeEvent.status) == StripeEventStatus.RECEIVED,
            col(StripeEvent.received_at) >= func.now() - _EVENTS_KEPT,
        ),
    ]


def _by(gauge: Gauge, first: _Column, second: _Column | None = None) -> _Row:
    grouped = (first,) if second is None else (first, second)
    return _row(gauge, first, literal("") if second is None else second, func.count()).group_by(*grouped)


def _row(gauge: Gauge, first: _Column, second: _Column, value: _Column) -> _Row:
    return select(
        literal(gauge.name).label("name"), cast(first, Text), cast(second, Text), func.coalesce(value, 0).label("value")
    )


def _age(since: _Column) -> _Column:
    return func.extract("epoch", func.now() - since)
