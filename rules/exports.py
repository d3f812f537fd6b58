"""What each report can be narrowed by, in which formats it is to be had, and who may have it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

from models.messages.exports import ExportFilters
from models.vocabulary import (
    ApplicationStatus,
    CartStatus,
    CertificateStatus,
    EnrollmentStatus,
    ExportFormat,
    ExportReport,
    MailStatus,
    OrderStatus,
    RefundStatus,
    Role,
)

_ALL = (ExportFormat.XLSX, ExportFormat.CSV, ExportFormat.PDF)
_DRAWN = (ExportFormat.XLSX, ExportFormat.PDF)
_SPAN = ("date_from", "date_until")
_ACADEMY = frozenset({Role.STAFF, Role.ADMIN, Role.SERVICE})
_CONFIDENTIAL = frozenset({Role.ADMIN, Role.SERVICE})


@dataclass(frozen=True)
class ReportRules:
    """What is known of a report before anything is read.

    `dated_by` is what the days of a span are about. `filters` are names of `ExportFilters`; `statuses` are the words
    that its filter takes. A report that `adds_up` is always of a span; the others have a line for each thing.
    """

    dated_by: str
    filters: tuple[str, ...]
    statuses: tuple[str, ...] = ()
    formats: tuple[ExportFormat, ...] = _ALL
    roles: frozenset[Role] = field(default=_ACADEMY)
    adds_up: bool = False
    shows_custom_fields: bool = False


REPORTS: Mapping[ExportReport, ReportRules] = {
    ExportReport.ORDERS: ReportRules(
        "when it was placed",
        (*_SPAN, "statuses", "course_ids", "person_ids", "coupon_ids", "currency", "include_tests"),
        tuple(OrderStatus),
        shows_custom_fields=True,
    ),
    ExportReport.PAYMENTS: ReportRules(
        "when the money moved",
        (*_SPAN, "statuses", "person_ids", "currency", "include_tests"),
        # Of refunds; what came in has succeeded, or it is not there.
        (RefundStatus.PENDING, RefundStatus.REQUIRES_ACTION, RefundStatus.SUCCEEDED),
    ),
    ExportReport.ENROLLMENTS: ReportRules(
        "when it began, or was asked for if it has not",
        (*_SPAN, "statuses", "course_ids", "person_ids", "include_tests"),
        tuple(EnrollmentStatus),
        shows_custom_fields=True,
    ),
    ExportReport.USERS: ReportRules(
        "when they were first known", (*_SPAN, "course_ids", "person_ids"), shows_custom_fields=True
    ),
    ExportReport.TUTOR_APPLICATIONS: ReportRules(
        "when it was begun", (*_SPAN, "statuses", "person_ids"), tuple(ApplicationStatus), roles=_CONFIDENTIAL
    ),
    ExportReport.CARTS: ReportRules(
        "when it was left; one that never was is in no span",
        (*_SPAN, "statuses", "course_ids", "person_ids", "currency", "include_tests"),
        tuple(CartStatus),
    ),
    ExportReport.CERTIFICATES: ReportRules(
        "when it was issued",
        (*_SPAN, "statuses", "course_ids", "person_ids", "include_tests"),
        tuple(CertificateStatus),
    ),
    ExportReport.MAILS: ReportRules("when it was to be sent", (*_SPAN, "statuses", "person_ids"), tuple(MailStatus)),
    ExportReport.AUDIT: ReportRules("when it happened", _SPAN, roles=_CONFIDENTIAL),
    ExportReport.SALES: ReportRules(
        "when the order was completed",
        (*_SPAN, "course_ids", "currency", "include_tests"),
        formats=_DRAWN,
        adds_up=True,
    ),
    ExportReport.FINANCE: ReportRules("when the money moved", (*_SPAN, "currency"), formats=_DRAWN, adds_up=True),
    ExportReport.STATEMENT: ReportRules("when the money moved", (*_SPAN, "currency"), formats=_DRAWN, adds_up=True),
}


@dataclass(frozen=True)
class WrongFilter:
    """A filter that the report cannot be narrowed by, or lacks, with a sentence about it."""

    name: str
    detail: str


def wrong_filters(report: ExportReport, filters: ExportFilters) -> tuple[WrongFilter, ...]:
    """What is wrong with the filters for this report: unknown ones, unknown words, a span that is missing."""
    rules = REPORTS[report]
    named = set(filters.model_dump(exclude_defaults=True))
    unknown = (
        WrongFilter(name, f"The report {report} is not narrowed by this.")
        for name in sorted(named - set(rules.filters))
    )
    takes_statuses = "statuses" in rules.filters
    words = set(filters.statuses) - set(rules.statuses) if takes_statuses else ()
    strange = [WrongFilter("statuses", f"The statuses are {', '.join(rules.statuses)}.")] if words else []
    missing = (
        WrongFilter(name, "The report is of a span of days.") for name in _SPAN if rules.adds_up and name not in named
    )
    return tuple(chain(unknown, strange, missing))


def reports_of(roles: frozenset[Role]) -> tuple[ExportReport, ...]:
    """What somebody with these roles may export."""
    return tuple(report for report, rules in REPORTS.items() if not rules.roles.isdisjoint(roles))
