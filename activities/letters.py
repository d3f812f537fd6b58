"""Every mail that Registrar writes: what it is about, who may get it, and which letter says it."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from activities.application_letters import (
    ApplicationErrand,
    ToldApplication,
    applicant_of,
    application_approved,
    application_assigned,
    application_closed,
    application_draft_reminder,
    application_info_reminder,
    application_info_requested,
    application_late,
    application_received,
    application_rejected,
    facts_of_application,
    reviewer_of,
)
from activities.cart_letters import CartErrand, CartLetterFacts, cart_reminder, facts_of_cart
from activities.certificate_letters import (
    CertificateErrand,
    NameErrand,
    ToldCertificate,
    ToldName,
    bearer_of,
    certificate_correction_rejected,
    certificate_expired,
    certificate_expiring,
    certificate_issued,
    certificate_name_needed,
    certificate_revoked,
    facts_of_certificate,
    facts_of_name,
    holder_of,
)
from activities.confirmation_letter import order_confirmation
from activities.errand import Addressed, Draft, Errand, MailWithoutSubjectError, Pages, Skipped, Told
from activities.export_letters import ExportErrand, ToldExport, export_ready, facts_of_export, listed_recipients
from activities.learning_letters import (
    LearningErrand,
    LearningFacts,
    access_ended,
    access_ending,
    facts_of_access,
    facts_of_releases,
    learner_of,
    lessons_released,
)
from activities.mail_rendering import RenderedMail, render
from activities.order_facts import (
    OrderFacts,
    facts_of_cancellation,
    facts_of_confirmation,
    facts_of_document,
    facts_of_order,
    facts_of_refund,
)
from activities.order_letters import approval_requested, approvers_of, order_approved, order_cancelled, order_denied
from activities.paper_letters import document_copy, invoice, invoice_reminder, refund, refund_rejected
from activities.payment_letters import payment_action_required, payment_declined, payment_processing
from activities.refund_letters import place_ended, refund_notice, told_of_ended_places, told_of_refunds
from activities.refund_watch_letters import refund_action_required, refund_returned
from activities.task_letters import TaskErrand, TaskFacts, facts_of_task, lookers_after, task_reminder
from models.messages.mail import SendMail
from models.vocabulary import MailTemplate

Written = tuple[Addressed[Told], Draft | Skipped]
FactsT = TypeVar("FactsT", bound=Told)
ErrandT = TypeVar("ErrandT", bound=Addressed[Told])


@dataclass(frozen=True)
class Letter(Generic[FactsT, ErrandT]):
    """How one kind of mail comes about.

    `load` reads the subject for a recipient (none if there is no such thing), `recipients` are who may get it, `errand`
    is the mail to write, which `write` does.
    """

    errand: Callable[[FactsT, UUID, str, datetime, Pages], ErrandT]
    load: Callable[[AsyncSession, UUID, UUID], Awaitable[FactsT | None]]
    recipients: Callable[[FactsT], Collection[UUID]]
    write: Callable[[ErrandT], Draft | Skipped]

    async def written(self, session: AsyncSession, asked: SendMail, moment: datetime, pages: Pages) -> Written:
        """The letter on what is true now. Raises `MailWithoutSubjectError`."""
        facts = await self.load(session, asked.subject_id, asked.recipient_id)
        if facts is None or asked.recipient_id not in self.recipients(facts):
            raise MailWithoutSubjectError
        errand = self.errand(facts, asked.subject_id, asked.occasion, moment, pages)
        return errand, self.write(errand)


OrderLetter = Letter[OrderFacts, Errand]
TaskLetter = Letter[TaskFacts, TaskErrand]
ApplicationLetter = Letter[ToldApplication, ApplicationErrand]
LearningLetter = Letter[LearningFacts, LearningErrand]
CertificateLetter = Letter[ToldCertificate, CertificateErrand]
NameLetter = Letter[ToldName, NameErrand]
ExportLetter = Letter[ToldExport, ExportErrand]


def _payer_of(facts: OrderFacts) -> Collection[UUID]:
    return (facts.payer.id,)


def _about_order(
    write: Callable[[Errand], Draft | Skipped],
    load: Callable[[AsyncSession, UUID, UUID], Awaitable[OrderFacts | None]] = facts_of_order,
    recipients: Callable[[OrderFacts], Collection[UUID]] = _payer_of,
) -> OrderLetter:
    return Letter(Errand, load, recipients, write)


def _about_task(write: Callable[[TaskErrand], Draft | Skipped]) -> TaskLetter:
    return Letter(TaskErrand, facts_of_task, lookers_after, write)


def _about_application(
    write: Callable[[ApplicationErrand], Draft | Skipped],
    recipients: Callable[[ToldApplication], Collection[UUID]] = applicant_of,
) -> ApplicationLetter:
    return Letter(ApplicationErrand, facts_of_application, recipients, write)


def _about_certificate(write: Callable[[CertificateErrand], Draft | Skipped]) -> CertificateLetter:
    return Letter(CertificateErrand, facts_of_certificate, holder_of, write)


@dataclass(frozen=True)
class CartLetter:
    """How one kind of mail about a cart comes about: what it tells depends on the moment."""

    write: Callable[[CartErrand], Draft | Skipped]
    load: Callable[[AsyncSession, UUID, UUID, datetime], Awaitable[CartLetterFacts | None]] = facts_of_cart

    async def written(self, session: AsyncSession, asked: SendMail, moment: datetime, pages: Pages) -> Written:
        """The letter on what is true now. Raises `MailWithoutSubjectError`."""
        facts = await self.load(session, asked.subject_id, asked.recipient_id, moment)
        if facts is None or asked.recipient_id != facts.cart.person_id:
            raise MailWithoutSubjectError
        errand = CartErrand(facts, asked.subject_id, asked.occasion, moment, pages)
        return errand, self.write(errand)


LETTERS: Mapping[MailTemplate, OrderLetter] = {
    MailTemplate.ORDER_CONFIRMATION: _about_order(order_confirmation, facts_of_confirmation),
    MailTemplate.ORDER_APPROVED: _about_order(order_approved),
    MailTemplate.ORDER_DENIED: _about_order(order_denied),
    MailTemplate.ORDER_CANCELLED: _about_order(order_cancelled, facts_of_cancellation),
    MailTemplate.APPROVAL_REQUESTED: _about_order(approval_requested, recipients=approvers_of),
    MailTemplate.PAYMENT_ACTION_REQUIRED: _about_order(payment_action_required),
    MailTemplate.PAYMENT_PROCESSING: _about_order(payment_processing),
    MailTemplate.PAYMENT_DECLINED: _about_order(payment_declined),
    MailTemplate.INVOICE: _about_order(invoice),
    MailTemplate.INVOICE_REMINDER: _about_order(invoice_reminder),
    MailTemplate.REFUND: _about_order(refund, facts_of_refund),
    MailTemplate.PLACE_ENDED: _about_order(place_ended, facts_of_refund, recipients=told_of_ended_places),
    MailTemplate.REFUND_NOTICE: _about_order(refund_notice, facts_of_refund, recipients=told_of_refunds),
    MailTemplate.REFUND_REJECTED: _about_order(refund_rejected),
    MailTemplate.REFUND_ACTION_REQUIRED: _about_order(refund_action_required),
    MailTemplate.REFUND_RETURNED: _about_order(refund_returned),
    MailTemplate.DOCUMENT_COPY: _about_order(document_copy, facts_of_document),
}


TASK_LETTERS: Mapping[MailTemplate, TaskLetter] = {MailTemplate.TASK_REMINDER: _about_task(task_reminder)}


APPLICATION_LETTERS: Mapping[MailTemplate, ApplicationLetter] = {
    MailTemplate.APPLICATION_DRAFT_REMINDER: _about_application(application_draft_reminder),
    MailTemplate.APPLICATION_RECEIVED: _about_application(application_received),
    MailTemplate.APPLICATION_INFO_REQUESTED: _about_application(application_info_requested),
    MailTemplate.APPLICATION_INFO_REMINDER: _about_application(application_info_reminder),
    MailTemplate.APPLICATION_LATE: _about_application(application_late),
    MailTemplate.APPLICATION_APPROVED: _about_application(application_approved),
    MailTemplate.APPLICATION_REJECTED: _about_application(application_rejected),
    MailTemplate.APPLICATION_CLOSED: _about_application(application_closed),
    MailTemplate.APPLICATION_ASSIGNED: _about_application(application_assigned, recipients=reviewer_of),
}

CERTIFICATE_LETTERS: Mapping[MailTemplate, CertificateLetter] = {
    MailTemplate.CERTIFICATE_ISSUED: _about_certificate(certificate_issued),
    MailTemplate.CERTIFICATE_EXPIRING: _about_certificate(certificate_expiring),
    MailTemplate.CERTIFICATE_EXPIRED: _about_certificate(certificate_expired),
    MailTemplate.CERTIFICATE_REVOKED: _about_certificate(certificate_revoked),
    MailTemplate.CERTIFICATE_CORRECTION_REJECTED: _about_certificate(certificate_correction_rejected),
}

NAME_LETTERS: Mapping[MailTemplate, NameLetter] = {
    MailTemplate.CERTIFICATE_NAME_NEEDED: Letter(NameErrand, facts_of_name, bearer_of, certificate_name_needed)
}

CART_LETTERS: Mapping[MailTemplate, CartLetter] = {MailTemplate.CART_REMINDER: CartLetter(cart_reminder)}

LEARNING_LETTERS: Mapping[MailTemplate, LearningLetter] = {
    MailTemplate.LESSONS_RELEASED: Letter(LearningErrand, facts_of_releases, learner_of, lessons_released),
    MailTemplate.ACCESS_ENDING: Letter(LearningErrand, facts_of_access, learner_of, access_ending),
    MailTemplate.ACCESS_ENDED: Letter(LearningErrand, facts_of_access, learner_of, access_ended),
}

EXPORT_LETTERS: Mapping[MailTemplate, ExportLetter] = {
    MailTemplate.EXPORT_READY: Letter(ExportErrand, facts_of_export, listed_recipients, export_ready)
}

AnyLetter = (
    OrderLetter
    | TaskLetter
    | ApplicationLetter
    | CertificateLetter
    | NameLetter
    | CartLetter
    | LearningLetter
    | ExportLetter
)
EVERY_LETTER: Mapping[MailTemplate, AnyLetter] = {
    **LETTERS,
    **TASK_LETTERS,
    **APPLICATION_LETTERS,
    **CERTIFICATE_LETTERS,
    **NAME_LETTERS,
    **CART_LETTERS,
    **LEARNING_LETTERS,
    **EXPORT_LETTERS,
}


def letter_of(template: MailTemplate) -> AnyLetter:
    """How this mail comes about."""
    return EVERY_LETTER[template]


def set_letter(template: MailTemplate, errand: Addressed[Told], draft: Draft) -> RenderedMail:
    """The draft as a mail in its recipient's language."""
    return render(template, errand.words, {**errand.common, **draft.values, "key": draft.key or template.value})
