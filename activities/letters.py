"""Every mail that Registrar writes: what it is about, who may get it, and which letter says it."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
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
from activities.confirmation_letter import order_confirmation
from activities.errand import Addressed, Draft, Errand, MailWithoutSubjectError, Pages, Skipped
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


def _payer_of(facts: OrderFacts) -> Collection[UUID]:
    return (facts.payer.id,)


Written = tuple[Addressed, Draft | Skipped]


@dataclass(frozen=True)
class Letter:
    """How one kind of mail about an order comes about.

    `load` reads the subject for a recipient (none if there is no such thing), `recipients` are who may get it.
    """

    write: Callable[[Errand], Draft | Skipped]
    load: Callable[[AsyncSession, UUID, UUID], Awaitable[OrderFacts | None]] = facts_of_order
    recipients: Callable[[OrderFacts], Collection[UUID]] = _payer_of

    async def written(self, session: AsyncSession, asked: SendMail, moment: datetime, pages: Pages) -> Written:
        """The letter on what is true now. Raises `MailWithoutSubjectError`."""
        facts = await self.load(session, asked.subject_id, asked.recipient_id)
        if facts is None or asked.recipient_id not in self.recipients(facts):
            raise MailWithoutSubjectError
        errand = Errand(facts, asked.subject_id, asked.occasion, moment, pages.order)
        return errand, self.write(errand)


@dataclass(frozen=True)
class TaskLetter:
    """How one kind of mail about a human task comes about."""

    write: Callable[[TaskErrand], Draft | Skipped]
    load: Callable[[AsyncSession, UUID, UUID], Awaitable[TaskFacts | None]] = facts_of_task
    recipients: Callable[[TaskFacts], Collection[UUID]] = lookers_after

    async def written(self, session: AsyncSession, asked: SendMail, moment: datetime, pages: Pages) -> Written:
        """The letter on what is true now. Raises `MailWithoutSubjectError`."""
        facts = await self.load(session, asked.subject_id, asked.recipient_id)
        if facts is None or asked.recipient_id not in self.recipients(facts):
            raise MailWithoutSubjectError
        errand = TaskErrand(facts, asked.occasion, moment, pages.job)
        return errand, self.write(errand)


@dataclass(frozen=True)
class ApplicationLetter:
    """How one kind of mail about a tutor's application comes about."""

    write: Callable[[ApplicationErrand], Draft | Skipped]
    load: Callable[[AsyncSession, UUID, UUID], Awaitable[ToldApplication | None]] = facts_of_application
    recipients: Callable[[ToldApplication], Collection[UUID]] = applicant_of

    async def written(self, session: AsyncSession, asked: SendMail, moment: datetime, pages: Pages) -> Written:
        """The letter on what is true now. Raises `MailWithoutSubjectError`."""
        facts = await self.load(session, asked.subject_id, asked.recipient_id)
        if facts is None or asked.recipient_id not in self.recipients(facts):
            raise MailWithoutSubjectError
        errand = ApplicationErrand(facts, asked.occasion, moment, pages.application, pages.job)
        return errand, self.write(errand)


@dataclass(frozen=True)
class CartLetter:
    """How one kind of mail about a cart comes about."""

    write: Callable[[CartErrand], Draft | Skipped]
    load: Callable[[AsyncSession, UUID, UUID, datetime], Awaitable[CartLetterFacts | None]] = facts_of_cart

    async def written(self, session: AsyncSession, asked: SendMail, moment: datetime, pages: Pages) -> Written:
        """The letter on what is true now. Raises `MailWithoutSubjectError`."""
        facts = await self.load(session, asked.subject_id, asked.recipient_id, moment)
        if facts is None or asked.recipient_id != facts.cart.person_id:
            raise MailWithoutSubjectError
        errand = CartErrand(facts, asked.occasion, moment, pages.public)
        return errand, self.write(errand)


LETTERS: Mapping[MailTemplate, Letter] = {
    MailTemplate.ORDER_CONFIRMATION: Letter(order_confirmation, facts_of_confirmation),
    MailTemplate.ORDER_APPROVED: Letter(order_approved),
    MailTemplate.ORDER_DENIED: Letter(order_denied),
    MailTemplate.ORDER_CANCELLED: Letter(order_cancelled, facts_of_cancellation),
    MailTemplate.APPROVAL_REQUESTED: Letter(approval_requested, recipients=approvers_of),
    MailTemplate.PAYMENT_ACTION_REQUIRED: Letter(payment_action_required),
    MailTemplate.PAYMENT_PROCESSING: Letter(payment_processing),
    MailTemplate.PAYMENT_DECLINED: Letter(payment_declined),
    MailTemplate.INVOICE: Letter(invoice),
    MailTemplate.INVOICE_REMINDER: Letter(invoice_reminder),
    MailTemplate.REFUND: Letter(refund, facts_of_refund),
    MailTemplate.PLACE_ENDED: Letter(place_ended, facts_of_refund, recipients=told_of_ended_places),
    MailTemplate.REFUND_NOTICE: Letter(refund_notice, facts_of_refund, recipients=told_of_refunds),
    MailTemplate.REFUND_REJECTED: Letter(refund_rejected),
    MailTemplate.REFUND_ACTION_REQUIRED: Letter(refund_action_required),
    MailTemplate.REFUND_RETURNED: Letter(refund_returned),
    MailTemplate.DOCUMENT_COPY: Letter(document_copy, facts_of_document),
}


TASK_LETTERS: Mapping[MailTemplate, TaskLetter] = {MailTemplate.TASK_REMINDER: TaskLetter(task_reminder)}


APPLICATION_LETTERS: Mapping[MailTemplate, ApplicationLetter] = {
    MailTemplate.APPLICATION_DRAFT_REMINDER: ApplicationLetter(application_draft_reminder),
    MailTemplate.APPLICATION_RECEIVED: ApplicationLetter(application_received),
    MailTemplate.APPLICATION_INFO_REQUESTED: ApplicationLetter(application_info_requested),
    MailTemplate.APPLICATION_INFO_REMINDER: ApplicationLetter(application_info_reminder),
    MailTemplate.APPLICATION_LATE: ApplicationLetter(application_late),
    MailTemplate.APPLICATION_APPROVED: ApplicationLetter(application_approved),
    MailTemplate.APPLICATION_REJECTED: ApplicationLetter(application_rejected),
    MailTemplate.APPLICATION_CLOSED: ApplicationLetter(application_closed),
    MailTemplate.APPLICATION_ASSIGNED: ApplicationLetter(application_assigned, recipients=reviewer_of),
}

CART_LETTERS: Mapping[MailTemplate, CartLetter] = {MailTemplate.CART_REMINDER: CartLetter(cart_reminder)}


def letter_of(template: MailTemplate) -> Letter | TaskLetter | ApplicationLetter | CartLetter:
    """How this mail comes about."""
    about_no_order = TASK_LETTERS.get(template) or APPLICATION_LETTERS.get(template) or CART_LETTERS.get(template)
    return about_no_order or LETTERS[template]


def set_letter(template: MailTemplate, errand: Addressed, draft: Draft) -> RenderedMail:
    """The draft as a mail in its recipient's language."""
    return render(template, errand.words, {**errand.common, **draft.values, "key": draft.key or template.value})
