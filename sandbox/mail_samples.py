"""Mails about made-up orders, tasks and carts: for the preview, and for the tests of what letters say."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid5

from activities.application_letters import ApplicationErrand, ToldApplication
from activities.calendar import CalendarEntry
from activities.cart_coupons import MailedCoupon
from activities.cart_letters import CartErrand, CartLetterFacts
from activities.cart_pricing import CartOffer, OfferedLine, Priced
from activities.cart_settings import default_cart_settings
from activities.certificate_letters import CertificateErrand, NameErrand, ToldCertificate, ToldName
from activities.errand import Draft, Errand, Pages, PublicPages, Skipped
from activities.letters import (
    APPLICATION_LETTERS,
    CART_LETTERS,
    CERTIFICATE_LETTERS,
    LETTERS,
    NAME_LETTERS,
    TASK_LETTERS,
    set_letter,
)
from activities.mail_rendering import RenderedMail
from activities.order_facts import BoughtLine, GrantedWish, MoneyBack, OrderFacts, Place
from activities.task_letters import TaskErrand, TaskFacts
from models.certificate_facts import CertificateFacts
from models.identifiers import hand_over_occasion
from models.money import Money
from models.quote import Quote, QuotedLine
from models.tables import (
    Academy,
    ApplicationDecision,
    ApplicationDocument,
    Cart,
    CartSettings,
    Certificate,
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
    TutorApplication,
)
from models.vocabulary import (
    ApplicationDocumentKind,
    ApplicationStatus,
    CartStatus,
    CertificateOrigin,
    CertificateStatus,
    CourseKind,
    DocumentKind,
    DocumentVerdict,
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
    ReviewReason,
    RevocationReason,
    TaskAction,
    TaskKind,
    TaskQueue,
)
from rules.cart import CartFacts
from rules.decision import Refused
from rules.tutor_application import Earlier

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAGE = "https://academy.test/orders/{order_id}?a=b&c=d"
APPLICATION_PAGE = "https://academy.test/applications/{application_id}?a=b&c=d"
JOB = "https://temporal.test/workflows/{workflow_id}"
PUBLIC = PublicPages("https://academy.test/back-office", "a-secret-of-the-preview-that-signs-nothing")
CHECKOUT = "https://checkout.stripe.test/c/pay/cs_test_1?x=1&y=2"
LANGUAGES = ("en", "de", "pl", "ar", "zh")
ORDER = UUID("00000000-0000-7000-8000-000000000001")


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
        academy=Academy(
            name="TutorHub Academy", legal_name="TutorHub Academy GmbH", address="Lindenstraße 12\n10969 Berlin",
            country="DE", email="hello@tutorhub-academy.test", time_zone="Europe/Berlin", locale="en",
            payment_instructions="Lindenbank Berlin\nIBAN DE89 3704 0044 0532 0130 00",
        ),
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


_ABOUT_A_REFUND = {
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
    if template in _ABOUT_A_REFUND:
        facts.refunds[0].refund.status = _ABOUT_A_REFUND[template]
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
    facts = TaskFacts(reader, task, order_facts().academy, contacts)
    return TaskErrand(facts, task.id, occasion, moment, Pages(job=job_page))


def write_about_task(**told: object) -> RenderedMail:
    """The reminder of a task."""
    errand = task_errand(**told)  # type: ignore[arg-type]
    draft = _drafted(TASK_LETTERS[MailTemplate.TASK_REMINDER].write(errand))
    return set_letter(MailTemplate.TASK_REMINDER, errand, draft)


_APPLICATIONS: dict[MailTemplate, ApplicationStatus] = {
    MailTemplate.APPLICATION_DRAFT_REMINDER: ApplicationStatus.DRAFT,
    MailTemplate.APPLICATION_RECEIVED: ApplicationStatus.SUBMITTED,
    MailTemplate.APPLICATION_INFO_REQUESTED: ApplicationStatus.INFO_REQUESTED,
    MailTemplate.APPLICATION_INFO_REMINDER: ApplicationStatus.INFO_REQUESTED,
    MailTemplate.APPLICATION_LATE: ApplicationStatus.INACTIVE,
    MailTemplate.APPLICATION_APPROVED: ApplicationStatus.APPROVED,
    MailTemplate.APPLICATION_REJECTED: ApplicationStatus.REJECTED_SOFT,
    MailTemplate.APPLICATION_CLOSED: ApplicationStatus.WITHDRAWN,
    MailTemplate.APPLICATION_ASSIGNED: ApplicationStatus.IN_REVIEW,
}


def a_rejected_document(
    kind: ApplicationDocumentKind, reason: ReviewReason, subject: str | None = None
) -> ApplicationDocument:
    """A current document that is not good enough."""
    return ApplicationDocument(
        id=an_id(f"{kind} {reason}"), application_id=ORDER, kind=kind, subject=subject, first_version_id=an_id(kind),
        sha256="a" * 64, verdict=DocumentVerdict.REJECTED, verdict_reason=reason, judged_by="staff:7", judged_at=NOW,
    )  # fmt: skip


def application_errand(
    template: MailTemplate, *, locale: str = "en", zone: str = "Europe/Dublin", name: str = "Grace Hopper",
    occasion: str = "", page: str | None = APPLICATION_PAGE, job_page: str | None = JOB, moment: datetime = NOW,
    status: ApplicationStatus | None = None, title: str = "Spanish for beginners", rounds: int = 1,
    reasons: tuple[ReviewReason, ...] = (ReviewReason.PROFILE_TOO_THIN,), message: str | None = "Say more.\nThanks.",
    rejected: tuple[ApplicationDocument, ...] | None = None, reapply_at: datetime | None = NOW,
    erase_at: datetime | None = NOW + timedelta(days=365), erased_at: datetime | None = None,
    applications: Sequence[Earlier] | None = None,
) -> ApplicationErrand:  # fmt: skip
    """A mail about an application, of which the letter has something to say."""
    reader = a_person(name, locale=locale, zone=zone)
    status = status or _APPLICATIONS[template]
    is_asked = status is ApplicationStatus.INFO_REQUESTED
    application = TutorApplication(
        id=ORDER, applicant_id=reader.id, status=status, subjects=["spanish"], reviewer_id=reader.id, rounds=rounds,
        submitted_at=None if status is ApplicationStatus.DRAFT else NOW - timedelta(days=2),
        info_due_at=NOW + timedelta(days=14) if is_asked else None, reapply_at=reapply_at, erase_at=erase_at,
        erased_at=erased_at, workflow_id=f"tutor-application-{ORDER}", created_at=NOW - timedelta(days=7),
    )  # fmt: skip
    task = HumanTask(
        id=an_id("review"), kind=TaskKind.TUTOR_REVIEW, subject_kind="tutor_application", subject_id=ORDER,
        workflow_id=application.workflow_id, reason="", queue=TaskQueue.REVIEW, due_at=NOW + timedelta(days=3),
        allowed_actions=["approve", "request_info", "reject_soft", "reject_hard"],
    )  # fmt: skip
    decision = ApplicationDecision(
        id=an_id("decided"), application_id=ORDER, action=TaskAction.REQUEST_INFO, reasons=list(reasons),
        decided_by="staff:7", documents=[],
    )  # fmt: skip
    if rejected is None:
        kind, reason = ApplicationDocumentKind.CERTIFICATION, ReviewReason.DOCUMENT_EXPIRED
        rejected = (a_rejected_document(kind, reason, "spanish"),)
    facts = ToldApplication(
        reader, application, order_facts().academy, task, decision, message, rejected, {"spanish": title},
        [Earlier(status, application.submitted_at, reapply_at)] if applications is None else applications,
    )  # fmt: skip
    return ApplicationErrand(facts, application.id, occasion, moment, Pages(job=job_page, application=page))


def write_about_application(template: MailTemplate, **told: object) -> RenderedMail:
    """The mail that a letter about an application makes."""
    errand = application_errand(template, **told)  # type: ignore[arg-type]
    draft = _drafted(APPLICATION_LETTERS[template].write(errand))
    return set_letter(template, errand, draft)


STANDING = CartFacts(
    status=CartStatus.ABANDONED, is_watched=True, is_empty=False, is_bought=False, is_sold_out=False,
    refused_because=None, last_purchase_at=None, quiet_until=None, has_dispute=False, other_reminded_at=None,
    reminded_at=None,
)  # fmt: skip


def a_quote(*prices: tuple[str, int], currency: str = "EUR") -> Quote:
    """Courses at these prices."""
    lines = tuple(
        QuotedLine(
            course_id=an_id(title), student_id=an_id("reader"), title=title, list_amount=amount, discount_amount=0,
            total_amount=amount,
        )
        for title, amount in prices
    )  # fmt: skip
    total = sum(line.total_amount for line in lines)
    return Quote(
        currency=currency, lines=lines, list_amount=total, discount_amount=0, total_amount=total, reasons=()
    )  # fmt: skip


def an_offer(quote: Quote | Refused, seen: dict[UUID, int | None], coupon: MailedCoupon | None = None) -> CartOffer:
    """A cart that can be bought at these prices, was chosen at others in euros, and is cheaper with the coupon."""
    if isinstance(quote, Refused):
        return CartOffer((), quote, quote)
    priced = Priced(quote, quote, None if coupon is None else coupon.code)
    lines = [
        OfferedLine(
            line.course_id, line.title, Money(amount=line.list_amount - line.discount_amount, currency=quote.currency),
            None if (price := seen.get(line.course_id)) is None else Money(amount=price, currency="EUR"),
        )
        for line in quote.lines
    ]  # fmt: skip
    return CartOffer(tuple(lines), priced, priced)


def a_cart_coupon() -> MailedCoupon:
    return MailedCoupon("CART-7QK2M9", Decimal(10), NOW + timedelta(hours=48))


def cart_errand(
    *, locale: str = "en", zone: str = "Europe/Dublin", name: str = "Grace Hopper", occasion: str = "1",
    title: str = "Spanish for beginners", quote: Quote | Refused | None = None,
    seen: dict[UUID, int | None] | None = None, coupon: MailedCoupon | None = None,
    settings: CartSettings | None = None,
    standing: CartFacts = STANDING, moment: datetime = NOW, pages: PublicPages = PUBLIC,
) -> CartErrand:  # fmt: skip
    """A cart of two courses, one of which has become cheaper, that was left an hour ago."""
    reader = a_person(name, locale=locale, zone=zone)
    cart = Cart(
        id=an_id("cart"), person_id=reader.id, status=CartStatus.ABANDONED, currency="EUR", total_amount=11800,
        changed_at=NOW - timedelta(hours=1, minutes=30), abandoned_at=NOW - timedelta(hours=1), workflow_id="w",
    )  # fmt: skip
    watercolor = "Watercolor painting"
    quote = quote or a_quote((title, 4900), (watercolor, 5900))
    seen = {an_id(title): 4900, an_id(watercolor): 6900} if seen is None else seen
    academy = order_facts().academy
    facts = CartLetterFacts(
        reader, cart, academy, settings or default_cart_settings(academy.id), standing, an_offer(quote, seen, coupon),
        coupon, "k7Wj2mQpX9sVtR4bN8cYhA",
    )  # fmt: skip
    return CartErrand(facts, cart.id, occasion, moment, Pages(public=pages))


def write_about_cart(**told: object) -> RenderedMail:
    """The reminder of a cart."""
    errand = cart_errand(**told)  # type: ignore[arg-type]
    draft = _drafted(CART_LETTERS[MailTemplate.CART_REMINDER].write(errand))
    return set_letter(MailTemplate.CART_REMINDER, errand, draft)


def certificate_errand(
    template: MailTemplate, *, locale: str = "en", zone: str = "Europe/Dublin", name: str = "Grace Hopper",
    occasion: str = "", title: str = "Spanish for beginners", origin: CertificateOrigin = CertificateOrigin.COMPLETION,
    expires_at: datetime | None = NOW + timedelta(days=365), status: CertificateStatus | None = None,
    reason: RevocationReason = RevocationReason.ISSUED_IN_ERROR, is_followed: bool = False, moment: datetime = NOW,
    pages: PublicPages = PUBLIC,
) -> CertificateErrand:  # fmt: skip
    """A certificate that was issued to the reader, or has become what the mail is about."""
    reader = a_person(name, locale=locale, zone=zone)
    usual = {
        MailTemplate.CERTIFICATE_REVOKED: CertificateStatus.REVOKED,
        MailTemplate.CERTIFICATE_EXPIRED: CertificateStatus.EXPIRED,
    }
    status = status or usual.get(template, CertificateStatus.ISSUED)
    if status is CertificateStatus.EXPIRED:
        expires_at = NOW - timedelta(hours=1)
    facts = CertificateFacts(student_full_name=name, course_name=title, language=locale)
    is_revoked = status is CertificateStatus.REVOKED
    certificate = Certificate(
        id=an_id("certificate"), enrollment_id=an_id("place"), template_id=an_id("template"), template_version=1,
        origin=origin, number="CERT-2026-000042", code="01J9Z3V6T1Q8N4W2X7C5B0KDMH", status=status,
        facts=facts.model_dump(mode="json"), file_sha256="0" * 64, issued_at=NOW, expires_at=expires_at,
        renewable_until=None if expires_at is None else expires_at + timedelta(days=30),
        revoked_at=NOW if is_revoked else None, revocation_reason=reason if is_revoked else None,
    )  # fmt: skip
    told = ToldCertificate(reader, certificate, reader.id, order_facts().academy, is_followed)
    return CertificateErrand(told, certificate.id, occasion, moment, Pages(public=pages))


def write_about_certificate(template: MailTemplate, **told: object) -> RenderedMail:
    """The mail that a letter about a certificate makes."""
    errand = certificate_errand(template, **told)  # type: ignore[arg-type]
    return set_letter(template, errand, _drafted(CERTIFICATE_LETTERS[template].write(errand)))


def name_errand(
    *, locale: str = "en", zone: str = "Europe/Dublin", name: str = "Grace Hopper", occasion: str = "ask",
    title: str = "Spanish for beginners", status: EnrollmentStatus = EnrollmentStatus.COMPLETED,
    confirmed_at: datetime | None = None, moment: datetime = NOW,
) -> NameErrand:  # fmt: skip
    """A learner who has completed a course and has not said how they are called."""
    reader = a_person(name, locale=locale, zone=zone)
    reader.legal_name_confirmed_at = confirmed_at
    bought = a_line(1, title, reader, status=status)
    [place] = bought.places
    told = ToldName(reader, place.enrollment, place.course, order_facts().academy)
    return NameErrand(told, place.enrollment.id, occasion, moment, Pages(public=PUBLIC))


def write_about_name(**told: object) -> RenderedMail:
    """The mail that asks a learner for their name."""
    template = MailTemplate.CERTIFICATE_NAME_NEEDED
    errand = name_errand(**told)  # type: ignore[arg-type]
    return set_letter(template, errand, _drafted(NAME_LETTERS[template].write(errand)))


def _drafted(written: Draft | Skipped) -> Draft:
    if isinstance(written, Skipped):
        raise TypeError(f"nothing is sent: {written.reason}")
    return written


def write(
    template: MailTemplate, facts: OrderFacts | None = None, *, occasion: str = "", subject_id: UUID | None = None,
    page: str | None = PAGE, moment: datetime = NOW, **told: object,
) -> RenderedMail:  # fmt: skip
    """The mail that a letter makes of the facts, or of usual ones."""
    if template in TASK_LETTERS:
        known = {name: told[name] for name in ("locale", "zone", "name") if name in told}
        return write_about_task(occasion=occasion, moment=moment, **known)
    if template in APPLICATION_LETTERS:
        told.pop("is_test", None)
        if template is MailTemplate.APPLICATION_ASSIGNED:
            occasion = occasion or hand_over_occasion(an_id("review"), 1)
        return write_about_application(template, occasion=occasion, moment=moment, **told)
    if template in CERTIFICATE_LETTERS:
        told.pop("is_test", None)
        return write_about_certificate(template, occasion=occasion, moment=moment, **told)
    if template in NAME_LETTERS:
        told.pop("is_test", None)
        return write_about_name(occasion=occasion or "ask", moment=moment, **told)
    if template in CART_LETTERS:
        told.pop("is_test", None)
        coupon = a_cart_coupon() if occasion == "3" else None
        return write_about_cart(occasion=occasion or "1", moment=moment, coupon=coupon, **told)
    facts = facts or facts_for(template, **told)
    if template in _ABOUT_A_REFUND:
        occasion = occasion or f"{facts.refunds[0].refund.id.hex}:3:{int(NOW.timestamp()):x}"
    errand = errand_of(facts, occasion=occasion, subject_id=subject_id, page=page, moment=moment)
    return set_letter(template, errand, _drafted(LETTERS[template].write(errand)))


def why_skipped(template: MailTemplate, facts: OrderFacts, **asked: object) -> str:
    """The reason why a letter is not sent."""
    written = LETTERS[template].write(errand_of(facts, **asked))  # type: ignore[arg-type]
    if isinstance(written, Draft):
        raise TypeError("it is sent")
    return written.reason
