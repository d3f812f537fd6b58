"""What a caller may ask of orders, and what it becomes. Prices, states and decisions are not among the fields."""

import hashlib
import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from models.errors import Reason
from models.identifiers import order_id_for
from models.messages.orders import MAX_LINES, MAX_SLOTS, CouponCode, OrderLineRequest, OrderRequest
from models.moments import Moment
from models.vocabulary import OrderStatus, PaymentMethod
from routes.pagination import PageQuery
from routes.problems import ProblemError
from routes.tokens import Principal
from routes.validation import InvalidField


class LineBody(BaseModel):
    """One course for one student."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    course_id: UUID
    student_id: UUID | None = Field(default=None, description="who learns; the payer unless said otherwise")
    slot_ids: tuple[UUID, ...] = Field(
        default=(), max_length=MAX_SLOTS, description="the chosen lesson slots; only, and always, for a tutor's pack"
    )

    @field_validator("slot_ids")
    @classmethod
    def _each_once(cls, value: tuple[UUID, ...]) -> tuple[UUID, ...]:
        if len(set(value)) < len(value):
            raise PydanticCustomError("refused_here", "A slot can be chosen once.")
        return value


class OrderBody(BaseModel):
    """What is bought and how it is paid. What it costs is not the caller's to say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lines: tuple[LineBody, ...] = Field(min_length=1, max_length=MAX_LINES)
    coupon_code: CouponCode | None = None
    payment_method: PaymentMethod = Field(
        description="`checkout` answers a link to Stripe's page, `payment_intent` a client secret for your own page, "
        "`invoice` is paid later, by payers whom the academy trusts"
    )
    payer_id: UUID | None = Field(
        default=None, description="who pays; said by staff, admin and service, and only by them"
    )
    is_test: bool | None = Field(
        default=None, description="keeps the order out of reports and series; only for staff, admin and service"
    )


class CancelReason(StrEnum):
    """Why an order is cancelled. A closed list, since it is kept in the audit log and in the history."""

    CHANGED_MIND = "changed_mind"
    WRONG_COURSE = "wrong_course"
    WRONG_TIME = "wrong_time"
    TOO_EXPENSIVE = "too_expensive"
    DUPLICATE = "duplicate"
    PAYMENT_TROUBLE = "payment_trouble"
    COURSE_CHANGED = "course_changed"
    OTHER = "other"


class CancelBody(BaseModel):
    """The wish to cancel an order that is not paid yet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: CancelReason


class OrderQuery(PageQuery):
    """Which orders to list."""

    sort: Literal["created_at", "created_at:desc", "number", "number:desc", "total_amount", "total_amount:desc"] = (
        "created_at:desc"
    )
    status: OrderStatus | None = None
    payer_id: UUID | None = None
    course_id: Annotated[UUID | None, Field(description="orders with a line of this course")] = None
    created_from: Annotated[Moment | None, Field(description="at this moment or later")] = None
    created_to: Annotated[Moment | None, Field(description="before this moment")] = None


def order_request(body: OrderBody, principal: Principal, idempotency_key: str) -> OrderRequest:
    """The workflow's input. Raises `ProblemError` if the caller may not order this way."""
    payer_id = _payer(body, principal)
    lines = tuple(
        OrderLineRequest(course_id=line.course_id, student_id=line.student_id or payer_id, slot_ids=line.slot_ids)
        for line in body.lines
    )
    if not principal.is_staff and any(line.student_id != payer_id for line in lines):
        raise ProblemError(Reason.NOT_YOURS, "You can order for yourself only.")
    _refuse_repeated(lines)
    return _request(body, order_id_for(principal.subject, idempotency_key), payer_id, lines, principal.actor)


def order_of_courses(
    order_id: UUID, payer_id: UUID, course_ids: Sequence[UUID], coupon_code: str | None, requested_by: str
) -> OrderRequest:
    """The workflow's input for an order of courses that the payer takes themselves and pays on Stripe's page."""
    body = OrderBody(
        lines=tuple(LineBody(course_id=each) for each in course_ids),
        coupon_code=coupon_code,
        payment_method=PaymentMethod.CHECKOUT,
    )
    lines = tuple(OrderLineRequest(course_id=each, student_id=payer_id) for each in course_ids)
    return _request(body, order_id, payer_id, lines, requested_by)


def _request(
    body: OrderBody, order_id: UUID, payer_id: UUID, lines: tuple[OrderLineRequest, ...], requested_by: str
) -> OrderRequest:
    return OrderRequest(
        order_id=order_id,
        payer_id=payer_id,
        lines=lines,
        coupon_code=body.coupon_code,
        payment_method=body.payment_method,
        is_test=body.is_test or False,
        requested_by=requested_by,
        digest=_digest(body, payer_id, lines),
    )


def _payer(body: OrderBody, principal: Principal) -> UUID:
    if principal.is_staff:
        if body.payer_id is None:
            raise ProblemError(
                Reason.INVALID_REQUEST,
                "Say who pays.",
                errors=[InvalidField(pointer="#/payer_id", detail="Field required")],
            )
        return body.payer_id
    if body.payer_id is not None or body.is_test is not None:
        raise ProblemError(Reason.ROLE_NOT_ALLOWED, "Only staff, admin and service may send `payer_id` and `is_test`.")
    if principal.person_id is None:
        raise ProblemError(Reason.TOKEN_INVALID, "The claim `sub` of a student is the id of a person.")
    return principal.person_id


def _refuse_repeated(lines: tuple[OrderLineRequest, ...]) -> None:
    seen: set[tuple[UUID, UUID]] = set()
    for index, line in enumerate(lines):
        place = (line.course_id, line.student_id)
        if place in seen:
            raise ProblemError(
                Reason.INVALID_REQUEST,
                "A student can take a course once per order.",
                errors=[InvalidField(pointer=f"#/lines/{index}", detail="The same course for the same student again.")],
            )
        seen.add(place)


def _digest(body: OrderBody, payer_id: UUID, lines: tuple[OrderLineRequest, ...]) -> str:
    """Two requests are the same if they ask for the same, however they are written. What was not asked for does not
    count, so that a field added later changes no digest of before."""
    asked = {
        "lines": [line.model_dump(mode="json", exclude_defaults=True) for line in lines],
        "coupon_code": body.coupon_code,
        "payment_method": body.payment_method.value,
        "payer_id": str(payer_id),
        "is_test": body.is_test or False,
    }
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
