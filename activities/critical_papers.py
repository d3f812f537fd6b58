"""The mails and papers that people rely on, as the record says that there have to be: which of them are missing.

A mail is missing where the ledger has no row of it though its papers are there; a paper is missing without its file.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Exists, String, and_, cast, exists, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlalchemy.sql.elements import SQLCoreOperations
from sqlmodel import col

from activities.refund_record import GOES_BACK
from models.identifiers import certificate_workflow_id, mail_id_for, order_workflow_id
from models.messages.checks import MailToSend
from models.tables import Certificate, Document, Enrollment, Mail, Order, OrderLine, Refund
from models.vocabulary import (
    CertificateStatus,
    DocumentKind,
    EnrollmentStatus,
    MailStatus,
    MailTemplate,
    OrderStatus,
)
from rules.critical_mail import TEMPLATES, issued_again, refund_occasion

_PAPERS = (DocumentKind.RECEIPT, DocumentKind.CREDIT_NOTE)
_CONFIRMED = (OrderStatus.COMPLETED, OrderStatus.PARTIALLY_REFUNDED)
_ORDER, _CERTIFICATE = "order", "certificate"


@dataclass(frozen=True)
class Span:
    """What is looked at: what came about from `since` to `until` (UTC), and whatever has one of these ids."""

    since: datetime
    until: datetime
    also: Collection[UUID] = ()

    def has(self, moment: SQLCoreOperations[Any], row_id: SQLCoreOperations[UUID]) -> ColumnElement[bool]:
        """Whether something of that moment, with this id, is looked at."""
        return or_(moment.between(self.since, self.until), row_id.in_(self.also))


@dataclass(frozen=True)
class MissingPaper:
    """A document without its file (`document_id`), or a certificate without its own."""

    subject_kind: str
    subject_id: UUID
    job_id: str
    what: str
    document_id: UUID | None = None
    enrollment_id: UUID | None = None


@dataclass(frozen=True)
class MissingMail:
    """A mail that nobody has begun to send, and what it is about."""

    mail: MailToSend
    subject_kind: str
    job_id: str

    @property
    def mail_id(self) -> UUID:
        """The row of the ledger that it will be."""
        return mail_id_for(self.mail.recipient_id, self.mail.template, self.mail.subject_id, self.mail.occasion)


async def missing_papers(session: AsyncSession, span: Span) -> list[MissingPaper]:
    """Receipts, credit notes and certificates without a file, the oldest first."""
    documents = (
        select(Document)
        .where(
            col(Document.kind).in_(_PAPERS),
            col(Document.file_key).is_(None),
            span.has(col(Document.issued_at), col(Document.id)),
        )
        .order_by(col(Document.issued_at), col(Document.id))
    )
    certificates = (
        select(Certificate)
        .where(
            col(Certificate.template_id).is_not(None),
            col(Certificate.status) == CertificateStatus.ISSUED,
            col(Certificate.file_sha256).is_(None),
            span.has(col(Certificate.issued_at), col(Certificate.id)),
        )
        .order_by(col(Certificate.issued_at), col(Certificate.id))
    )
    return [
        *(_paper(each) for each in (await session.execute(documents)).scalars()),
        *(_certificate(each) for each in (await session.execute(certificates)).scalars()),
    ]


def _paper(row: Document) -> MissingPaper:
    what = DocumentKind(row.kind).value.replace("_", " ")
    return MissingPaper("document", row.id, order_workflow_id(row.order_id), what, document_id=row.id)


def _certificate(row: Certificate) -> MissingPaper:
    job_id, place = certificate_workflow_id(row.enrollment_id), row.enrollment_id
    return MissingPaper(_CERTIFICATE, row.id, job_id, "certificate", enrollment_id=place)


async def missing_mails(session: AsyncSession, span: Span) -> list[MissingMail]:
    """Confirmations, mails about credit notes and about certificates that the ledger does not know."""
    return [
        *await _confirmations(session, span),
        *await _refund_mails(session, span),
        *await _certificate_mails(session, span),
    ]


async def unsent_mails(session: AsyncSession, span: Span) -> Sequence[Mail]:
    """Mails that have waited too long, whose end nobody knows, or that came back; the oldest first."""
    is_unsent = or_(
        col(Mail.status).in_((MailStatus.UNKNOWN, MailStatus.BOUNCED)),
        and_(col(Mail.status) == MailStatus.QUEUED, col(Mail.deferred_until).is_(None)),
    )
    query = select(Mail).where(
        col(Mail.template).in_(TEMPLATES), is_unsent, span.has(col(Mail.created_at), col(Mail.id))
    )
    return (await session.execute(query.order_by(col(Mail.created_at), col(Mail.id)))).scalars().all()


async def _confirmations(session: AsyncSession, span: Span) -> list[MissingMail]:
    """Nothing is left to confirm of an order that was paid back, or that has no place any more."""
    places = (
        select(Enrollment)
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .where(col(OrderLine.order_id) == col(Order.id))
    )
    has_a_place = ~places.exists() | places.where(col(Enrollment.status) != EnrollmentStatus.CANCELED).exists()
    completed_at = col(Order.completed_at)
    query = (
        select(col(Order.id), col(Order.payer_id))
        .join(Document, (col(Document.order_id) == col(Order.id)) & (col(Document.kind) == DocumentKind.RECEIPT))
        .where(
            col(Order.status).in_(_CONFIRMED),
            col(Document.file_key).is_not(None),
            has_a_place,
            span.has(completed_at, col(Order.id)),
            ~_is_known(MailTemplate.ORDER_CONFIRMATION, col(Order.payer_id), col(Order.id), literal("")),
        )
        .order_by(completed_at, col(Order.id))
    )
    return [
        MissingMail(
            MailToSend(recipient_id=payer_id, template=MailTemplate.ORDER_CONFIRMATION, subject_id=order_id),
            _ORDER,
            order_workflow_id(order_id),
        )
        for order_id, payer_id in await session.execute(query)
    ]


async def _refund_mails(session: AsyncSession, span: Span) -> list[MissingMail]:
    """One for each credit note; of several refunds of an order for one reason the payer is told at once."""
    by_itself = _is_known(MailTemplate.REFUND, col(Order.payer_id), col(Order.id), cast(col(Refund.id), String))
    by_reason = _is_known(MailTemplate.REFUND, col(Order.payer_id), col(Order.id), col(Refund.reason))
    query = (
        select(col(Order.id), col(Order.payer_id), Refund)
        .join(Refund, col(Refund.order_id) == col(Order.id))
        .join(Document, col(Document.refund_id) == col(Refund.id))
        .where(
            col(Refund.status).in_(GOES_BACK),
            col(Document.file_key).is_not(None),
            span.has(col(Document.issued_at), col(Order.id)),
            ~by_itself,
            ~by_reason,
        )
        .order_by(col(Document.issued_at), col(Document.id))
    )
    found = [
        MissingMail(
            MailToSend(
                recipient_id=payer_id,
                template=MailTemplate.REFUND,
                subject_id=order_id,
                occasion=refund_occasion(refund.id, refund.reason),
            ),
            _ORDER,
            refund.workflow_id,
        )
        for order_id, payer_id, refund in await session.execute(query)
    ]
    return list({each.mail_id: each for each in found}.values())


async def _certificate_mails(session: AsyncSession, span: Span) -> list[MissingMail]:
    """One that was passed over, since the certificate did not count just then, is named anew, as its job names it."""
    mail = aliased(Mail)
    of_it = (
        col(mail.template) == MailTemplate.CERTIFICATE_ISSUED,
        col(mail.recipient_id) == col(Enrollment.student_id),
        col(mail.subject_id) == col(Certificate.id),
    )
    was_told = exists().where(*of_it, col(mail.status_reason).is_distinct_from(CertificateStatus.REVOKED.value))
    passed_over = select(func.count()).where(*of_it).scalar_subquery()
    query = (
        select(col(Certificate.id), col(Certificate.enrollment_id), col(Enrollment.student_id), passed_over)
        .join(Enrollment, col(Enrollment.id) == col(Certificate.enrollment_id))
        .where(
            col(Certificate.template_id).is_not(None),
            col(Certificate.status) == CertificateStatus.ISSUED,
            col(Certificate.file_sha256).is_not(None),
            span.has(col(Certificate.issued_at), col(Certificate.id)),
            ~was_told,
        )
        .order_by(col(Certificate.issued_at), col(Certificate.id))
    )
    return [
        MissingMail(
            MailToSend(
                recipient_id=student_id,
                template=MailTemplate.CERTIFICATE_ISSUED,
                subject_id=certificate_id,
                occasion=issued_again(before) if before else "",
            ),
            _CERTIFICATE,
            certificate_workflow_id(enrollment_id),
        )
        for certificate_id, enrollment_id, student_id, before in await session.execute(query)
    ]


def _is_known(
    template: MailTemplate,
    recipient: SQLCoreOperations[UUID],
    subject: SQLCoreOperations[UUID],
    occasion: SQLCoreOperations[str],
) -> Exists:
    """Whether the ledger has a row of this mail, whatever became of it."""
    mail = aliased(Mail)
    return exists().where(
        col(mail.template) == template,
        col(mail.recipient_id) == recipient,
        col(mail.subject_id) == subject,
        col(mail.occasion) == occasion,
    )
