"""Mails about made-up orders and tasks: for the preview, and for the tests of what letters say."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid5

from activities.calendar import CalendarEntry
from activities.errand import Draft, Errand, Pages, PublicPages, Skipped
from activities.letters import (
    LETTERS,
    TASK_LETTERS,
    set_letter,
)
from activities.mail_rendering import RenderedMail
from activities.order_facts import BoughtLine, GrantedWish, MoneyBack, OrderFacts, Place
from activities.task_letters import TaskErrand, TaskFacts
from models.tables import (
    Academy,
    Course,
    Document,
    Enrollment,
    HumanTask,
    Invoice,
    Order,
    OrderLine,
    Payment,
    Person,
    Refund,
    RefundRequest,
    TaskContact,
)
from models.vocabulary import (
    CourseKind,
    DocumentKind,
    EnrollmentStatus,
    MailTemplate,
    OrderStatus,
    PaymentMethod,
    PaymentStatus,
    RefundAccess,
    RefundCause,
    RefundPolicy,
    RefundRequestStatus,
    RefundStatus,
    TaskKind,
    TaskQueue,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAGE = "https://academy.test/orders/{order_id}?a=b&c=d"
APPLICATION_PAGE = "https://academy.test/applications/{application_id}?a=b&c=d"
JOB = "https://temporal.test/workflows/{workflow_id}"
PUBLIC = PublicPages("https://academy.test/back-office", "a-secret-of-the-preview-that-signs-nothing")
CHECKOUT = "https://checkout.stripe.test/c/pay/cs_test_1?x=1&y=2"
LANGUAGES = ("en", "de", "pl", "ar", "zh")
ORDER = UUID("00000000-0000-7000-8000-000000000001")


def drafted(written: Draft | Skipped) -> Draft:
    """What is sent. Raises `TypeError` if nothing is."""
    if isinstance(written, Skipped):
        raise TypeError(f"nothing is sent: {written.reason}")
    return written


def an_id(name: str) -> UUID:
    """The same id for the same name."""
    return uuid5(ORDER, name)


def a_person(name: str, *, locale: str = "en", zone: str = "Europe/Dublin") -> Person:
    return Person(id=an_id(name), email="grace@students.test", full_name=name, locale=locale, time_zone=zone)


def a_line(
    number: int, title: str, student: Person, *, status: EnrollmentStatus | None = EnrollmentStatus.ACTIVE,
    starts_at: datetime | None = None, first_lesson_at: datetime | None = None, parts: tuple[str, ...] = (),
    amount: int = 12900, entitled: bool = False, held: tuple[str, ...] = (), approver_id: UUID | None = None,
) -> BoughtLine:  # fmt: skip
    """A line with a place, one for each of its parts, or none without a status."""

    def course(name: str, kind: CourseKind) -> Course:
        return Course(
            id=an_id(f"{number} {name}"), code="c", title=name, category="x", kind=kind, price_amount=amount,
            currency="EUR", starts_at=starts_at, approver_id=approver_id,
        )  # fmt: skip

    own = course(title, CourseKind.BUNDLE if parts else CourseKind.COHORT)
    line = OrderLine(
        id=an_id(f"line {number}"), order_id=ORDER, position=number, course_id=own.id, student_id=student.id,
        title=title, list_amount=amount, discount_amount=0, total_amount=amount, already_entitled=entitled,
    )  # fmt: skip
    brought = [course(part, CourseKind.SELF_PACED) for part in parts] or [own]
    places = [
        Place(
            Enrollment(
                id=an_id(f"place {number} {each.title}"), order_line_id=line.id, course_id=each.id,
                student_id=student.id, status=status, refund_policy=RefundPolicy.NONE, share_amount=amount,
            ),
            each,
        )
        for each in brought
        if status is not None
    ]  # fmt: skip
    return BoughtLine(line, student, own, first_lesson_at, tuple(places), held)


def a_document(kind: DocumentKind, number: str) -> Document:
    return Document(id=an_id(number), order_id=ORDER, kind=kind, number=number, issued_at=NOW)


def money_back(
    amount: int = 12900, *, reason: str = "seat_lost", place: Place | None = None, status: str = "succeeded",
    currency: str = "EUR", with_note: bool = True,
) -> MoneyBack:  # fmt: skip
    """A refund of a place, or of the whole payment."""
    name = f"{reason} {amount} {place and place.enrollment.id}"
    refund = Refund(
        id=an_id(name), order_id=ORDER, enrollment_id=place.enrollment.id if place else None, amount=amount,
        currency=currency, reason=reason, status=RefundStatus(status), workflow_id="w", created_at=NOW,
    )  # fmt: skip
    return MoneyBack(refund, a_document(DocumentKind.CREDIT_NOTE, "C-2026-000003") if with_note else None)


def a_wish(
    place: Place, *, amount: int = 12900, cause: str = "not_as_expected", decided_by: str = "rule",
    access: str = "revoked", grounds: tuple[str, ...] = (), quoted: str | None = None, goes_on: bool = False,
    tutor_ids: frozenset[UUID] = frozenset(), contact_id: UUID | None = None,
) -> GrantedWish:  # fmt: skip
    """A refund that was granted for a place."""
    request = RefundRequest(
        id=an_id(f"wish {cause} {decided_by} {access} {goes_on} {grounds}"), enrollment_id=place.enrollment.id,
        cause=RefundCause(cause), status=RefundRequestStatus.APPROVED, grounds=list(grounds), amount=amount,
        currency="EUR", access=RefundAccess(access),
        requested_by="student:7", decided_by=decided_by, decided_at=NOW, workflow_id="w",
    )  # fmt: skip
    return GrantedWish(request, quoted, goes_on, tutor_ids, contact_id)


def asked_for(facts: OrderFacts, *wishes: GrantedWish) -> OrderFacts:
    """The order with these wishes granted, a refund for each."""
    backs = []
    for number, wish in enumerate(wishes, start=1):
        back = money_back(number, reason="requested", place=facts.places[0])
        back.refund.request_id = wish.request.id
        backs.append(back)
    return replace(facts, wishes=wishes, refunds=tuple(backs))


def a_date(number: int, title: str = "Spanish for beginners: Evening", location: str | None = None) -> CalendarEntry:
    """An hour of the day after next week's, one a week."""
    starts_at = NOW + timedelta(weeks=number, hours=5)
    return CalendarEntry(
        an_id(f"date {number}"), title, starts_at, starts_at + timedelta(hours=1), location, "TutorHub Academy",
        "hello@tutorhub-academy.test", NOW,
    )  # fmt: skip


def an_academy() -> Academy:
    """Whom every mail is from."""
    return Academy(
        name="TutorHub Academy", legal_name="TutorHub Academy GmbH", address="Lindenstraße 12\n10969 Berlin",
        country="DE", email="hello@tutorhub-academy.test", time_zone="Europe/Berlin", locale="en",
        payment_instructions="Lindenbank Berlin\nIBAN DE89 3704 0044 0532 0130 00",
    )  # fmt: skip


def order_facts(
    *, locale: str = "en", zone: str = "Europe/Dublin", name: str = "Grace Hopper", amount: int = 12900,
    currency: str = "EUR", status: OrderStatus = OrderStatus.PENDING_PAYMENT, reason: str | None = None,
    is_test: bool = False, method: PaymentMethod = PaymentMethod.CHECKOUT, payment_status: str = "requires_action",
    tax: str | None = None, title: str = "Spanish for beginners",
) -> OrderFacts:  # fmt: skip
    """An order of one course by somebody for themselves, waiting to be paid."""
    payer = a_person(name, locale=locale, zone=zone)
    line = a_line(1, title, payer, amount=amount)
    order = Order(
        id=ORDER, number="O-2026-000057", payer_id=payer.id, status=status, status_reason=reason,
        payment_method=method, currency=currency, list_amount=amount, discount_amount=0, total_amount=amount,
        tax_name=tax and "VAT", tax_percent=Decimal(tax) if tax else None, tax_amount=2060 if tax else 0, quote={},
        request_digest="a" * 64, hold_expires_at=NOW + timedelta(days=1, hours=1), is_test=is_test,
        created_at=NOW - timedelta(days=2), completed_at=NOW,
    )  # fmt: skip
    return OrderFacts(
        recipient=payer, order=order, payer=payer,
        academy=an_academy(),
        payment=Payment(
            order_id=ORDER, status=PaymentStatus(payment_status), amount=amount or 1, currency=currency,
            checkout_url=CHECKOUT,
        ),
        invoice=Invoice(order_id=ORDER, currency=currency, amount=amount or 1, due_on=date(2026, 3, 15)),
        receipt=a_document(DocumentKind.RECEIPT, "R-2026-000042"),
        bill=a_document(DocumentKind.INVOICE, "I-2026-000007"),
        lines=(line,), refunds=(money_back(amount, place=line.places[0], currency=currency),),
    )  # fmt: skip


_TRUE_FOR: dict[MailTemplate, dict[str, object]] = {
    MailTemplate.ORDER_CONFIRMATION: {"status": OrderStatus.COMPLETED, "tax": "19"},
    MailTemplate.ORDER_DENIED: {"status": OrderStatus.CANCELLED},
    MailTemplate.ORDER_CANCELLED: {"status": OrderStatus.CANCELLED},
    MailTemplate.PAYMENT_PROCESSING: {"payment_status": "processing"},
    MailTemplate.PAYMENT_DECLINED: {"payment_status": "requires_payment_method"},
    MailTemplate.INVOICE: {"method": PaymentMethod.INVOICE},
    MailTemplate.INVOICE_REMINDER: {"method": PaymentMethod.INVOICE},
}


ABOUT_A_REFUND = {
    MailTemplate.REFUND_ACTION_REQUIRED: RefundStatus.REQUIRES_ACTION,
    MailTemplate.REFUND_RETURNED: RefundStatus.FAILED,
}


def facts_for(template: MailTemplate, **told: object) -> OrderFacts:
    """Facts of which the letter has something to say."""
    facts = order_facts(**{**_TRUE_FOR.get(template, {}), **told})  # type: ignore[arg-type]
    if template is MailTemplate.ORDER_CONFIRMATION:
        return replace(facts, dates=(a_date(1), a_date(2, location="https://meet.test/1")))
    if template is MailTemplate.APPROVAL_REQUESTED:
        asked = a_line(
            1, facts.lines[0].line.title, facts.payer, status=EnrollmentStatus.PENDING_APPROVAL,
            approver_id=facts.recipient.id,
        )  # fmt: skip
        return replace(facts, lines=(asked,))
    if template in ABOUT_A_REFUND:
        facts.refunds[0].refund.status = ABOUT_A_REFUND[template]
    if template is MailTemplate.PLACE_ENDED:
        facts.places[0].enrollment.status = EnrollmentStatus.CANCELED
        return replace(facts, wishes=(a_wish(facts.places[0], amount=0),))
    if template is MailTemplate.REFUND_NOTICE:
        reader = facts.recipient.id
        return replace(facts, wishes=(a_wish(facts.places[0], tutor_ids=frozenset({reader}), contact_id=reader),))
    if template is MailTemplate.PAYMENT_DECLINED and facts.payment is not None:
        facts.payment.resting_until = NOW + timedelta(minutes=15)
    return facts


def errand_of(
    facts: OrderFacts, *, occasion: str = "", subject_id: UUID | None = None, page: str | None = PAGE,
    moment: datetime = NOW,
) -> Errand:  # fmt: skip
    return Errand(facts, subject_id or an_id("R-2026-000042"), occasion, moment, Pages(order=page))


def task_errand(
    *, locale: str = "en", zone: str = "Europe/Dublin", name: str = "Grace Hopper", occasion: str = "",
    kind: TaskKind = TaskKind.AMOUNT_DIFFERS, assignee: str | None = None, job_page: str | None = JOB,
    moment: datetime = NOW, reason: str = "134.00 EUR came in for an order of 134.10 EUR.",
) -> TaskErrand:  # fmt: skip
    """A task about an order, opened the day before, that its reader looks after."""
    reader = a_person(name, locale=locale, zone=zone)
    task = HumanTask(
        id=an_id("task"), kind=kind, subject_kind="order", subject_id=ORDER, workflow_id=f"order-{ORDER}",
        reason=reason, allowed_actions=["accept", "refund"], queue=TaskQueue.FINANCE,
        assignee=assignee, due_at=NOW + timedelta(days=1), created_at=NOW - timedelta(days=1),
    )  # fmt: skip
    contacts = TaskContact(queue=TaskQueue.FINANCE, remind_id=reader.id)
    facts = TaskFacts(reader, task, an_academy(), contacts)
    return TaskErrand(facts, task.id, occasion, moment, Pages(job=job_page))


def write_about_task(**told: object) -> RenderedMail:
    """The reminder of a task."""
    errand = task_errand(**told)  # type: ignore[arg-type]
    draft = drafted(TASK_LETTERS[MailTemplate.TASK_REMINDER].write(errand))
    return set_letter(MailTemplate.TASK_REMINDER, errand, draft)


def why_skipped(template: MailTemplate, facts: OrderFacts, **asked: object) -> str:
    """The reason why a letter is not sent."""
    written = LETTERS[template].write(errand_of(facts, **asked))  # type: ignore[arg-type]
    if isinstance(written, Draft):
        raise TypeError("it is sent")
    return written.reason
