"""Placing an order: priced, its seats, slots and coupon held, written down; or refused with nothing written."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.coupon_uses import reserve_coupon, write_coupon_use
from activities.database import Sessions
from activities.holds import expire_places, hold_seats
from activities.invoices import issue_invoice, issued_invoice
from activities.numbers import Series, next_number
from activities.sale import Sale, load_sale
from activities.slots import WantedSlots, hold_slots, lock_calendars, slot_changes
from models.errors import Reason
from models.identifiers import new_id
from models.messages.orders import OrderRequest, PlacedOrder, PlaceOrder
from models.money import Money
from models.quote import Quote
from models.tables import AuditEntry, Course, Enrollment, Order, OrderLine, Payment
from models.tables.columns import now
from models.vocabulary import (
    EnrollmentStatus,
    InvoiceStatus,
    OrderStatus,
    PaymentMethod,
    PaymentStatus,
    PeriodUnit,
    RefundPolicy,
    Role,
    SchedulingType,
    SlotStatus,
    TaxBehavior,
)
from rules.decision import Refused
from rules.entitlement import WantedPlaces, share_out
from rules.holds import APPROVAL_HOLD, hold_length
from rules.invoicing import cancelled_at, due_day
from rules.packs import PackRules, check_pack

_GRANT_INVOICES = (Role.STAFF, Role.ADMIN, Role.SERVICE)
_Decided = TypeVar("_Decided")


class _RefusedError(Exception):
    """Leaves the transaction, so that what was held so far is given back."""

    def __init__(self, refused: Refused) -> None:
        self.answer = PlacedOrder(refusal=refused.reason, refusal_detail=refused.detail)


@dataclass(frozen=True)
class _Plan:
    """What is decided before anything is locked or written. `line_ids` are those of `quote.lines`."""

    request: OrderRequest
    moment: datetime
    sale: Sale
    wanted: WantedPlaces
    quote: Quote
    line_ids: tuple[UUID, ...]
    approver_ids: tuple[UUID, ...]

    @property
    def enrollment_status(self) -> EnrollmentStatus:
        """One approver is enough for the whole order to wait."""
        return EnrollmentStatus.PENDING_APPROVAL if self.approver_ids else EnrollmentStatus.PENDING_PAYMENT

    @property
    def course_ids(self) -> list[UUID]:
        """The course of each enrollment to come."""
        return [share.course_id for line in self.quote.lines for share in line.shares]

    @property
    def slots(self) -> list[WantedSlots]:
        """What each line asks for of a tutor's time."""
        return [
            WantedSlots(line_id, line.course_id, line.student_id, line.slot_ids)
            for line_id, line in zip(self.line_ids, self.request.lines, strict=True)
            if line.slot_ids
        ]

    @property
    def coupon_id(self) -> UUID | None:
        """The coupon that took something off, if one did."""
        return self.sale.coupon_id if self.quote.coupon_amount else None

    @property
    def is_billed(self) -> bool:
        """Whether there is something to pay, by invoice."""
        return self.request.payment_method is PaymentMethod.INVOICE and self.quote.total_amount > 0

    @property
    def hold_expires_at(self) -> datetime:
        """Until when an answer is waited for: of the approver, of who pays the invoice, of who pays by card."""
        if self.approver_ids:
            return self.moment + APPROVAL_HOLD
        if self.is_billed:
            return cancelled_at(due_day(self.moment, self.sale.zone), self.sale.zone)
        return self.moment + hold_length(self.sale.offers[line.course_id].kind for line in self.request.lines)


async def place(sessions: Sessions, step: PlaceOrder) -> PlacedOrder:
    """Price the order, hold seats, slots and coupon, and write it all down; or refuse and write nothing.

    An order that is written already is answered as it was.
    """
    try:
        async with sessions.begin() as session:
            return await _placed_before(session, step) or await _place(session, step.request, step.workflow_id)
    except _RefusedError as no:
        async with sessions.begin() as session:
            # Another attempt at this order may have been what took the place.
            return await _placed_before(session, step) or no.answer


async def _placed_before(session: AsyncSession, step: PlaceOrder) -> PlacedOrder | None:
    order = await session.get(Order, step.request.order_id)
    if order is None:
        return None
    return PlacedOrder(
        number=order.number,
        total=Money(amount=order.total_amount, currency=order.currency),
        hold_expires_at=order.hold_expires_at,
        approver_ids=await _approvers_asked(session, order.id),
        invoice=await issued_invoice(session, order.id),
    )


async def _place(session: AsyncSession, request: OrderRequest, workflow_id: str) -> PlacedOrder:
    plan = await _plan(session, request)
    changes = await _hold(session, plan)
    order = await _write_order(session, plan)
    changes.append(StateChange("order", order.id, None, OrderStatus.PENDING_PAYMENT))
    changes += await _write_enrollments(session, plan)
    if plan.coupon_id is not None:
        _or_refuse(await write_coupon_use(session, plan.coupon_id, order.id, order.payer_id))
    invoice = None
    if not plan.is_billed:
        changes += await _write_payment(session, order)
    elif not plan.approver_ids:
        invoice = await issue_invoice(session, order, plan.moment)
        changes.append(StateChange("invoice", invoice.document_id, None, InvoiceStatus.OPEN))
    await write_audit(session, changes, actor=request.requested_by, reason="order placed", workflow_id=workflow_id)
    return PlacedOrder(
        number=order.number,
        total=Money(amount=order.total_amount, currency=order.currency),
        hold_expires_at=order.hold_expires_at,
        approver_ids=plan.approver_ids,
        invoice=invoice,
    )


async def _plan(session: AsyncSession, request: OrderRequest) -> _Plan:
    moment = now()
    sale = _or_refuse(await load_sale(session, request.payer_id, request.lines, request.coupon_code))
    if request.payment_method is PaymentMethod.INVOICE and not _may_pay_by_invoice(request, sale):
        raise _RefusedError(Refused(Reason.INVOICE_NOT_ALLOWED, "Only payers whom the academy trusts pay by invoice."))
    wanted, quote = _or_refuse(sale.quoted(request.lines, moment))
    if refused := sale.screening_missing(request.lines, wanted) or _wrong_slots(request, sale):
        raise _RefusedError(refused)
    return _Plan(
        request=request,
        moment=moment,
        sale=sale,
        wanted=wanted,
        quote=share_out(quote, wanted, sale.offers),
        line_ids=tuple(new_id() for _ in request.lines),
        approver_ids=_approvers(request, sale, wanted),
    )


def _may_pay_by_invoice(request: OrderRequest, sale: Sale) -> bool:
    role, _, _ = request.requested_by.partition(":")
    return sale.may_pay_by_invoice or role in _GRANT_INVOICES


def _wrong_slots(request: OrderRequest, sale: Sale) -> Refused | None:
    """What can be told of the chosen slots before they are locked."""
    seen: set[UUID] = set()
    for line in request.lines:
        if not sale.slot_starts.keys() >= set(line.slot_ids) or seen & set(line.slot_ids):
            return Refused(Reason.SLOTS_UNAVAILABLE, f"Not every chosen slot of course {line.course_id} is free.")
        seen.update(line.slot_ids)
        course = sale.courses[line.course_id]
        pace = PackRules(
            scheduling_type=None if course.scheduling_type is None else SchedulingType(course.scheduling_type),
            min_weekly_classes=course.min_weekly_classes,
            max_daily_lessons=course.max_daily_lessons,
            max_period_value=course.max_period_value,
            max_period_unit=None if course.max_period_unit is None else PeriodUnit(course.max_period_unit),
        )
        if refused := check_pack(pace, [sale.slot_starts[slot_id] for slot_id in line.slot_ids], sale.zone):
            return refused
    return None


def _approvers(request: OrderRequest, sale: Sale, wanted: WantedPlaces) -> tuple[UUID, ...]:
    """Who decides on the courses that are newly brought, and on the bundles that bring them."""
    asked = {
        sale.courses[course_id].approver_id
        for line, new in zip(request.lines, wanted.missing, strict=True)
        if new
        for course_id in (line.course_id, *new)
    }
    return tuple(sorted(person for person in asked if person is not None))


async def _approvers_asked(session: AsyncSession, order_id: UUID) -> tuple[UUID, ...]:
    """Who decides, or decided, on the enrollments of an order that began with the wait for approval."""
    began_with_approval = exists().where(
        col(AuditEntry.subject_kind) == "enrollment",
        col(AuditEntry.subject_id) == col(Enrollment.id),
        col(AuditEntry.from_state).is_(None),
        col(AuditEntry.to_state) == EnrollmentStatus.PENDING_APPROVAL,
    )
    asked = (
        select(col(Course.approver_id))
        .join(OrderLine, col(OrderLine.order_id) == order_id)
        .join(Enrollment, col(Enrollment.order_line_id) == col(OrderLine.id))
        .where(
            col(Course.id).in_((col(OrderLine.course_id), col(Enrollment.course_id))),
            col(Course.approver_id).is_not(None),
            began_with_approval,
        )
        .distinct()
    )
    return tuple(sorted(person for person in (await session.execute(asked)).scalars() if person is not None))


async def _hold(session: AsyncSession, plan: _Plan) -> list[StateChange]:
    changes: list[StateChange] = []
    if plan.slots:
        await lock_calendars(session, plan.slots)
    if plan.wanted.over:
        changes += await expire_places(session, plan.wanted.over, plan.course_ids)
    _or_refuse(await hold_seats(session, plan.course_ids, plan.sale.limited))
    if plan.slots:
        for refused in (await hold_slots(session, plan.slots)).values():
            raise _RefusedError(refused)
        held = [slot_id for line in plan.slots for slot_id in line.slot_ids]
        changes += slot_changes(held, SlotStatus.FREE, SlotStatus.HELD)
    if plan.coupon_id is not None:
        _or_refuse(await reserve_coupon(session, plan.coupon_id))
    return changes


async def _write_order(session: AsyncSession, plan: _Plan) -> Order:
    request, quote, tax = plan.request, plan.quote, plan.quote.tax
    order = Order(
        id=request.order_id,
        number=await next_number(
            session,
            Series.ORDER,
            year=plan.moment.astimezone(plan.sale.zone).year,
            is_test=request.is_test,
        ),
        payer_id=request.payer_id,
        payment_method=request.payment_method,
        currency=quote.currency,
        list_amount=quote.list_amount,
        discount_amount=quote.discount_amount,
        tax_amount=quote.tax_amount,
        tax_inclusive=tax is None or tax.behavior is TaxBehavior.INCLUSIVE,
        tax_name=None if tax is None else tax.name,
        tax_percent=None if tax is None else tax.percent,
        total_amount=quote.total_amount,
        coupon_id=plan.coupon_id,
        quote=quote.model_dump(mode="json"),
        request_digest=request.digest,
        hold_expires_at=plan.hold_expires_at,
        is_test=request.is_test,
    )
    session.add(order)
    await session.flush()
    session.add_all(
        OrderLine(
            id=line_id,
            order_id=order.id,
            position=position,
            slot_ids=list(asked.slot_ids),
            **quoted.model_dump(exclude={"shares"}),
        )
        for position, (line_id, asked, quoted) in enumerate(
            zip(plan.line_ids, request.lines, quote.lines, strict=True), start=1
        )
    )
    await session.flush()
    return order


async def _write_payment(session: AsyncSession, order: Order) -> list[StateChange]:
    if order.total_amount == 0:
        return []
    payment = Payment(order_id=order.id, amount=order.total_amount, currency=order.currency)
    session.add(payment)
    await session.flush()
    return [StateChange("payment", payment.id, None, PaymentStatus.REQUIRES_PAYMENT_METHOD)]


async def _write_enrollments(session: AsyncSession, plan: _Plan) -> list[StateChange]:
    rows: list[dict[str, object]] = [
        {
            "id": new_id(),
            "created_at": plan.moment,
            "updated_at": plan.moment,
            "order_line_id": line_id,
            "course_id": share.course_id,
            "student_id": line.student_id,
            "status": plan.enrollment_status,
            "refund_policy": RefundPolicy(plan.sale.courses[share.course_id].refund_policy),
            "share_amount": share.amount,
        }
        for line_id, line in zip(plan.line_ids, plan.quote.lines, strict=True)
        for share in line.shares
    ]
    if not rows:
        return []
    # Whoever writes the same pairs at the same time has to come upon them in the same order.
    rows.sort(key=lambda row: (str(row["course_id"]), str(row["student_id"])))
    written = await session.execute(
        insert(Enrollment).values(rows).on_conflict_do_nothing().returning(col(Enrollment.id))
    )
    ids = list(written.scalars())
    if len(ids) < len(rows):
        raise _RefusedError(
            Refused(
                Reason.ALREADY_ENROLLED, "A student already has a place, or is about to get one, in the same course."
            )
        )
    return [StateChange("enrollment", row, None, plan.enrollment_status) for row in ids]


def _or_refuse(decision: _Decided | Refused) -> _Decided:
    if isinstance(decision, Refused):
        raise _RefusedError(decision)
    return decision
