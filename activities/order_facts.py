"""What mails tell about an order, read from the record: in three statements, however long the order is.

A confirmation needs two more, or three with a bundle, a letter of a refund and the copy of a document one.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, any_, exists, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from activities.calendar import CalendarEntry, entries_of_order
from models.tables import (
    Academy,
    BundleCourse,
    CascadePlace,
    Course,
    Document,
    Enrollment,
    Invoice,
    LessonSlot,
    Note,
    Order,
    OrderLine,
    Payment,
    Person,
    Refund,
    RefundRequest,
    TaskContact,
)
from models.vocabulary import (
    CascadeKind,
    CourseKind,
    DocumentKind,
    EnrollmentStatus,
    RefundRequestStatus,
    RefundStatus,
    TaskQueue,
)

_GONE = frozenset(kind.value for kind in CascadeKind)
_RECIPIENT, _PAYER, _RECEIPT, _BILL = aliased(Person), aliased(Person), aliased(Document), aliased(Document)
_BROUGHT, _OTHER = aliased(Course), aliased(Enrollment)


@dataclass(frozen=True)
class Place:
    """An enrollment that a line brought, and its course: the line's own, or one of a bundle."""

    enrollment: Enrollment
    course: Course


@dataclass(frozen=True)
class BoughtLine:
    """A line, whom it is for and the places it brought.

    `first_lesson_at` is the first slot of a pack. `held_titles` are the courses of a bundle that the student had
    before; they are read for confirmations only.
    """

    line: OrderLine
    student: Person
    course: Course
    first_lesson_at: datetime | None
    places: tuple[Place, ...]
    held_titles: tuple[str, ...] = ()

    @property
    def approver_ids(self) -> frozenset[UUID]:
        """Who decides on the places of this line."""
        courses = (self.course, *(place.course for place in self.places))
        return frozenset(course.approver_id for course in courses if course.approver_id is not None)


@dataclass(frozen=True)
class MoneyBack:
    """A refund and the document that corrects the receipt, if there is one."""

    refund: Refund
    credit_note: Document | None

    @property
    def goes_back(self) -> bool:
        """Whether the money is on its way or has arrived: neither refused nor taken back."""
        return self.refund.status not in (RefundStatus.FAILED, RefundStatus.CANCELED)


@dataclass(frozen=True)
class GrantedWish:
    """A refund that was granted for a place, or a place that staff has ended.

    `quoted` is why many places end at once, as staff has put it. `has_other_access` says that the student is in the
    course by another order too. `tutor_ids` teach the place, `contact_id` looks after the academy's money.
    """

    request: RefundRequest
    quoted: str | None = None
    has_other_access: bool = False
    tutor_ids: frozenset[UUID] = frozenset()
    contact_id: UUID | None = None

    @property
    def told_ids(self) -> frozenset[UUID]:
        """Who has to know of it, beside who gets the money."""
        return self.tutor_ids | (frozenset() if self.contact_id is None else {self.contact_id})


@dataclass(frozen=True)
class OrderFacts:
    """An order with all around it, and the person to be written to.

    `bill` is the document of the invoice. `dates` are read for confirmations only, `wishes` for letters of refunds,
    `quoted` (why many places end at once, as staff has put it) for those of cancelled orders.
    """

    recipient: Person
    order: Order
    payer: Person
    academy: Academy
    payment: Payment | None
    invoice: Invoice | None
    receipt: Document | None
    bill: Document | None
    lines: tuple[BoughtLine, ...]
    refunds: tuple[MoneyBack, ...] = ()
    dates: tuple[CalendarEntry, ...] = ()
    wishes: tuple[GrantedWish, ...] = ()
    quoted: str | None = None

    @property
    def places(self) -> tuple[Place, ...]:
        """All places that the order brought."""
        return tuple(place for line in self.lines for place in line.places)

    def document(self, document_id: UUID) -> Document | None:
        """One of the order's documents."""
        papers = (self.receipt, self.bill, *(back.credit_note for back in self.refunds))
        return next((paper for paper in papers if paper is not None and paper.id == document_id), None)


async def facts_of_order(session: AsyncSession, order_id: UUID, recipient_id: UUID) -> OrderFacts | None:
    """The order for a mail to this person; none if one of the two does not exist."""
    around = (
        select(_RECIPIENT, Order, _PAYER, Academy, Payment, Invoice, _RECEIPT, _BILL)
        .select_from(Order)
        .join(_PAYER, col(_PAYER.id) == col(Order.payer_id))
        .join(_RECIPIENT, col(_RECIPIENT.id) == recipient_id)
        .join(Academy, true())
        .join(Payment, col(Payment.order_id) == col(Order.id), isouter=True)
        .join(Invoice, col(Invoice.order_id) == col(Order.id), isouter=True)
        .join(_RECEIPT, _is_the(_RECEIPT, DocumentKind.RECEIPT), isouter=True)
        .join(_BILL, _is_the(_BILL, DocumentKind.INVOICE), isouter=True)
        .where(col(Order.id) == order_id)
    )
    found = (await session.execute(around)).one_or_none()
    if found is None:
        return None
    lines, refunds = await _lines(session, order_id), await _refunds(session, order_id)
    return OrderFacts(*found, lines=lines, refunds=refunds)


async def facts_of_confirmation(session: AsyncSession, order_id: UUID, recipient_id: UUID) -> OrderFacts | None:
    """The order with its dates, and with what its students had before."""
    facts = await facts_of_order(session, order_id, recipient_id)
    if facts is None:
        return None
    lines = facts.lines
    if any(bought.course.kind == CourseKind.BUNDLE for bought in lines):
        held = await _held_courses(session, order_id)
        lines = tuple(replace(bought, held_titles=_titles(held[bought.line.id], bought)) for bought in lines)
    return replace(facts, lines=lines, dates=tuple(await entries_of_order(session, order_id)))


async def facts_of_refund(session: AsyncSession, order_id: UUID, recipient_id: UUID) -> OrderFacts | None:
    """The order with the wishes that were granted for its places."""
    facts = await facts_of_order(session, order_id, recipient_id)
    return None if facts is None else replace(facts, wishes=await _granted_wishes(session, order_id))


async def facts_of_cancellation(session: AsyncSession, order_id: UUID, recipient_id: UUID) -> OrderFacts | None:
    """The order, with what staff says of a course or a tutor that is gone, if it is cancelled for that."""
    facts = await facts_of_order(session, order_id, recipient_id)
    if facts is None or facts.order.status_reason not in _GONE:
        return facts
    why = (
        select(col(Note.text))
        .join(CascadePlace, col(CascadePlace.cascade_id) == col(Note.subject_id))
        .where(col(CascadePlace.order_id) == order_id, col(Note.subject_kind) == "cascade")
        .order_by(col(Note.created_at).desc())
        .limit(1)
    )
    return replace(facts, quoted=(await session.execute(why)).scalar_one_or_none())


async def facts_of_document(session: AsyncSession, document_id: UUID, recipient_id: UUID) -> OrderFacts | None:
    """The order that the document belongs to."""
    document = await session.get(Document, document_id)
    return None if document is None else await facts_of_order(session, document.order_id, recipient_id)


def _is_the(document: type[Document], kind: DocumentKind) -> ColumnElement[bool]:
    return (col(document.order_id) == col(Order.id)) & (col(document.kind) == kind)


async def _lines(session: AsyncSession, order_id: UUID) -> tuple[BoughtLine, ...]:
    first_lesson = (
        select(func.min(LessonSlot.starts_at))
        .where(col(LessonSlot.order_line_id) == col(OrderLine.id))
        .scalar_subquery()
    )
    query = (
        select(OrderLine, Person, Course, first_lesson, Enrollment, _BROUGHT)
        .join(Person, col(Person.id) == col(OrderLine.student_id))
        .join(Course, col(Course.id) == col(OrderLine.course_id))
        .join(Enrollment, col(Enrollment.order_line_id) == col(OrderLine.id), isouter=True)
        .join(_BROUGHT, col(_BROUGHT.id) == col(Enrollment.course_id), isouter=True)
        .join(
            BundleCourse,
            (col(BundleCourse.bundle_id) == col(OrderLine.course_id))
            & (col(BundleCourse.course_id) == col(Enrollment.course_id)),
            isouter=True,
        )
        .where(col(OrderLine.order_id) == order_id)
        .order_by(col(OrderLine.position), col(BundleCourse.position), col(Enrollment.id))
    )
    rows = (await session.execute(query)).all()
    places: dict[UUID, list[Place]] = defaultdict(list)
    for line, _, _, _, enrollment, course in rows:
        if enrollment is not None and course is not None:
            places[line.id].append(Place(enrollment, course))
    by_line = {line.id: (line, student, course, first_at) for line, student, course, first_at, _, _ in rows}
    return tuple(BoughtLine(*whole, places=tuple(places[line_id])) for line_id, whole in by_line.items())


async def _refunds(session: AsyncSession, order_id: UUID) -> tuple[MoneyBack, ...]:
    query = (
        select(Refund, Document)
        .join(Document, col(Document.refund_id) == col(Refund.id), isouter=True)
        .where(col(Refund.order_id) == order_id)
        .order_by(col(Refund.created_at), col(Refund.id))
    )
    return tuple(MoneyBack(*row) for row in (await session.execute(query)).all())


async def _held_courses(session: AsyncSession, order_id: UUID) -> dict[UUID, dict[UUID, str]]:
    """By line, the courses of its bundle, with their titles, that the student is in by another line or order."""
    query = (
        select(col(OrderLine.id), col(Course.id), col(Course.title))
        .join(BundleCourse, col(BundleCourse.bundle_id) == col(OrderLine.course_id))
        .join(Course, col(Course.id) == col(BundleCourse.course_id))
        .join(
            Enrollment,
            (col(Enrollment.course_id) == col(Course.id)) & (col(Enrollment.student_id) == col(OrderLine.student_id)),
        )
        .where(
            col(OrderLine.order_id) == order_id,
            col(Enrollment.order_line_id) != col(OrderLine.id),
            col(Enrollment.status).in_((EnrollmentStatus.ACTIVE, EnrollmentStatus.COMPLETED)),
        )
        .order_by(col(BundleCourse.position))
    )
    held: dict[UUID, dict[UUID, str]] = defaultdict(dict)
    for line_id, course_id, title in (await session.execute(query)).all():
        held[line_id][course_id] = title
    return held


def _titles(held: dict[UUID, str], bought: BoughtLine) -> tuple[str, ...]:
    """Without those courses that the line has brought anew, after an earlier access had ended."""
    brought = {place.course.id for place in bought.places}
    return tuple(title for course_id, title in held.items() if course_id not in brought)


async def _granted_wishes(session: AsyncSession, order_id: UUID) -> tuple[GrantedWish, ...]:
    quoted = (
        select(col(Note.text))
        .where(col(Note.subject_kind) == "cascade", col(Note.subject_id) == col(RefundRequest.cascade_id))
        .order_by(col(Note.created_at), col(Note.id))
        .limit(1)
        .scalar_subquery()
    )
    has_other_access = exists().where(
        col(_OTHER.id) != col(Enrollment.id),
        col(_OTHER.student_id) == col(Enrollment.student_id),
        col(_OTHER.course_id) == col(Enrollment.course_id),
        col(_OTHER.status).in_((EnrollmentStatus.ACTIVE, EnrollmentStatus.COMPLETED)),
    )
    of_hours = (
        select(func.array_agg(col(LessonSlot.tutor_id).distinct()))
        .where(col(LessonSlot.id) == any_(col(OrderLine.slot_ids)))
        .scalar_subquery()
    )
    contact = select(col(TaskContact.remind_id)).where(col(TaskContact.queue) == TaskQueue.FINANCE).scalar_subquery()
    query = (
        select(RefundRequest, quoted, has_other_access, col(Course.tutor_id), of_hours, contact)
        .join(Enrollment, col(Enrollment.id) == col(RefundRequest.enrollment_id))
        .join(Course, col(Course.id) == col(Enrollment.course_id))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .where(col(OrderLine.order_id) == order_id, col(RefundRequest.status) == RefundRequestStatus.APPROVED)
        .order_by(col(RefundRequest.created_at), col(RefundRequest.id))
    )
    return tuple(
        GrantedWish(request, text, is_in, frozenset(hours or () if tutor_id is None else (tutor_id,)), contact_id)
        for request, text, is_in, tutor_id, hours, contact_id in (await session.execute(query)).all()
    )
