"""Carts: what somebody is about to buy, changed as often as they like, and ordered."""

from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.cart_pricing import offer_of
from activities.guests import forget_guest, guest_person, keep_account
from models.errors import Reason
from models.messages.carts import MAX_CART_LINES, ChangeCart
from models.messages.orders import CouponCode
from models.moments import Moment
from models.tables import Cart, Course
from models.tables.columns import now
from models.vocabulary import CartStatus, CourseStatus, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.cart_checkout import place_order_of
from routes.cart_start import change_cart, owner_of
from routes.cart_views import CART, CartView, cart_views
from routes.documentation import answer, location_header, problems
from routes.order_examples import ON_ITS_WAY, ORDER
from routes.order_reading import read_order
from routes.order_start import Started
from routes.order_views import OrderOnItsWay, OrderView, order_path
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, page_of, sorted_page, total_of
from routes.parts import TheConnections, TheParts
from routes.problems import ProblemError
from routes.tokens import Principal
from routes.validation import InvalidField
from rules.cart import LIVE
from settings import Settings

router = APIRouter(prefix="/v1/carts", tags=["carts"], route_class=AuthenticatedRoute)

_THE_ACADEMYS = (Role.STAFF, Role.ADMIN, Role.SERVICE)
_WORKS_THERE = frozenset({Role.STAFF, Role.ADMIN})
_SORTABLE = {
    "created_at": col(Cart.created_at),
    "changed_at": col(Cart.changed_at),
    "abandoned_at": col(Cart.abandoned_at),
    "total_amount": col(Cart.total_amount),
}
_TheCaller = Annotated[Principal, Depends(require())]
_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
# Enough to tell a typing error; whether it exists is seen when a mail is sent.
_Address = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=254, pattern=r"^[^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+$")
]
_Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=16)]
_EXAMPLES: dict[str, Example] = {
    "own": {
        "summary": "A student's own cart",
        "value": {"course_ids": ["0198f3a0-1111-7000-8000-000000000001"], "coupon_code": "WELCOME10"},
    },
    "guest": {
        "summary": "The platform, for somebody without an account",
        "value": {
            "course_ids": ["0198f3a0-1111-7000-8000-000000000001"],
            "guest": {
                "email": "anna@example.org",
                "full_name": "Anna Nowak",
                "locale": "pl",
                "time_zone": "Europe/Warsaw",
            },
        },
    },
    "empty": {"summary": "Everything was taken out", "value": {"course_ids": []}},
}


class GuestBody(BaseModel):
    """Somebody without an account. An address that belongs to an account is that account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    email: _Address
    full_name: _Name
    locale: _Language | None = Field(default=None, description="BCP 47; the academy's unless said")
    time_zone: str | None = Field(
        default=None,
        max_length=64,
        description="IANA zone, for the hours at which no mail goes out; the academy's unless said",
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        try:
            _ = value and ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise PydanticCustomError("refused_here", "There is no such time zone.") from None
        return value


class CartBody(BaseModel):
    """All that is in the cart from now on. What it costs is not the caller's to say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    course_ids: tuple[UUID, ...] = Field(max_length=MAX_CART_LINES, description="in order; none empties the cart")
    coupon_code: CouponCode | None = None
    person_id: UUID | None = Field(default=None, description="whose cart it is; only for staff, admin and service")
    guest: GuestBody | None = Field(default=None, description="or who has no account; for the same callers")

    @field_validator("course_ids")
    @classmethod
    def _each_once(cls, value: tuple[UUID, ...]) -> tuple[UUID, ...]:
        if len(set(value)) < len(value):
            raise PydanticCustomError("refused_here", "A course is in a cart once.")
        return value

    @model_validator(mode="after")
    def _of_one_person(self) -> "CartBody":
        if self.person_id is not None and self.guest is not None:
            raise PydanticCustomError("refused_here", "A cart is a person's or a guest's, not both.")
        return self


class CartQuery(PageQuery):
    """Which carts to list."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    sort: Literal[
        "created_at",
        "created_at:desc",
        "changed_at",
        "changed_at:desc",
        "abandoned_at",
        "abandoned_at:desc",
        "total_amount",
        "total_amount:desc",
    ] = "changed_at:desc"
    status: CartStatus | None = None
    person_id: UUID | None = None
    created_from: Annotated[Moment | None, Field(alias="from", description="made at this moment or later")] = None
    created_to: Annotated[Moment | None, Field(alias="to", description="made before this moment")] = None


@router.put(
    "/{cart_id}",
    summary="Change a cart",
    responses={
        **answer(HTTPStatus.OK, "The cart as it is now", CART),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.NOT_FOUND,
            Reason.UNKNOWN_COURSE,
            Reason.UNKNOWN_PERSON,
            Reason.CART_OVER,
            Reason.UNAVAILABLE,
        ),
    },
)
async def put_cart(
    cart_id: UUID,
    body: Annotated[CartBody, Body(openapi_examples=_EXAMPLES)],
    principal: _TheCaller,
    parts: TheParts,
    connections: TheConnections,
) -> CartView:
    """Say all that is in it, under an id that you make yourself; the same again is only a sign of life.

    Students and tutors change their own cart; staff, admin and service that of a person or a guest. A person has one
    cart at a time: the newest. After half an hour without a change it counts as abandoned. To empty a
    cart that nobody has filled is `not_found`.
    """
    _refuse_others(body, principal)
    owner = await owner_of(connections.sessions, cart_id)
    if not principal.is_staff and owner not in (None, principal.person_id):
        raise _no_such_cart()
    if owner is None and not body.course_ids:
        raise _no_such_cart()
    async with connections.sessions.begin() as session:
        await _require_courses(session, body.course_ids)
        person_id = await _person(session, body, principal, parts.settings)
        if owner not in (None, person_id):
            raise _no_such_cart()
    change = ChangeCart(
        cart_id=cart_id,
        person_id=person_id,
        course_ids=body.course_ids,
        coupon_code=body.coupon_code,
        is_staff=not principal.roles.isdisjoint(_WORKS_THERE),
        actor=principal.actor,
    )
    try:
        await change_cart(connections.temporal, change)
    except Exception:
        if body.guest is not None:
            async with connections.sessions.begin() as session:
                await forget_guest(session, person_id)
        raise
    return await _read(connections, cart_id, principal, parts)


@router.get(
    "",
    summary="List carts",
    responses={
        **answer(HTTPStatus.OK, "One page of carts", example_page(CART), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_carts(
    asked: Annotated[CartQuery, Query()],
    principal: Annotated[Principal, Depends(require(*_THE_ACADEMYS))],
    parts: TheParts,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[CartView]:
    """With the mails about each, and why one did not go out."""
    conditions = _asked_for(asked)
    page = sorted_page(select(Cart).where(*conditions), asked, asked.sort, _SORTABLE, col(Cart.id))
    async with connections.sessions() as session:
        total = await total_of(session, select(Cart).where(*conditions))
        carts = await cart_views(session, page, principal, parts.settings)
    return page_of(request, response, asked, carts, total)


@router.get(
    "/{cart_id}",
    summary="Read a cart",
    responses={
        **answer(HTTPStatus.OK, "The cart", CART),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_cart(cart_id: UUID, principal: _TheCaller, parts: TheParts, connections: TheConnections) -> CartView:
    """One's own, or for staff anybody's."""
    return await _read(connections, cart_id, principal, parts)


@router.post(
    "/{cart_id}/checkout",
    status_code=HTTPStatus.CREATED,
    summary="Order what is in a cart",
    responses={
        **answer(HTTPStatus.OK, "It was ordered before: the order", ORDER, location_header(ON_ITS_WAY.href)),
        **answer(HTTPStatus.CREATED, "The order waits to be paid", ORDER, location_header(ON_ITS_WAY.href)),
        **answer(HTTPStatus.ACCEPTED, "It takes longer than usual", ON_ITS_WAY, location_header(ON_ITS_WAY.href)),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.NOT_FOUND,
            Reason.CART_OVER,
            Reason.CART_EMPTY,
            Reason.UNKNOWN_COURSE,
            Reason.COURSE_NOT_PUBLISHED,
            Reason.COURSE_FULL,
            Reason.ENROLLMENT_CLOSED,
            Reason.ALREADY_ENROLLED,
            Reason.MIXED_CURRENCIES,
            Reason.UNKNOWN_COUPON,
            Reason.COUPON_EXPIRED,
            Reason.COUPON_USED_UP,
            Reason.COUPON_CURRENCY,
            Reason.COUPON_NOT_YOURS,
            Reason.COUPON_NOT_APPLICABLE,
            Reason.COUPON_MINIMUM,
            Reason.COUPON_USED_BY_YOU,
            Reason.AMOUNT_TOO_SMALL,
            Reason.SLOTS_REQUIRED,
            Reason.SCREENING_REQUIRED,
            Reason.PAYMENT_REFUSED,
            Reason.ORDER_NOT_CANCELABLE,
            Reason.UNAVAILABLE,
        ),
    },
)
async def post_cart_checkout(
    cart_id: UUID, principal: _TheCaller, parts: TheParts, connections: TheConnections, response: Response
) -> OrderView | OrderOnItsWay:
    """Place an order of it, at the prices of now, to be paid on Stripe's page. Only its owner can.

    A cart is one order however often this is called; another one is placed only after that has failed or was cancelled,
    or in its place, if it is not paid and the cart or a price was changed. While a bank or the academy works on that
    order it stays, and this is refused. It needs no `Idempotency-Key`: the cart's id is one.
    """
    async with connections.sessions() as session:
        cart = await session.get(Cart, cart_id)
        if cart is None or cart.person_id != principal.person_id:
            raise _no_such_cart()
        offer = await offer_of(session, cart, now())
    if cart.status not in LIVE and cart.order_id is None:
        raise ProblemError(Reason.CART_OVER, "What was in the cart is deleted.")
    if cart.order_id is not None:
        order_id, started = cart.order_id, Started.REPEATED
    elif not offer.lines:
        raise ProblemError(Reason.CART_EMPTY, "Put a course into it first.")
    else:
        placed = await place_order_of(connections, cart, offer, principal.actor)
        order_id, started = placed.order_id, placed.started
    response.status_code = _STATUS_OF[started]
    response.headers["Location"] = order_path(order_id)
    order = await read_order(connections.sessions, order_id, principal, parts.settings)
    return order or OrderOnItsWay(id=order_id, href=order_path(order_id))


_STATUS_OF = {
    Started.NEW: HTTPStatus.CREATED,
    Started.REPEATED: HTTPStatus.OK,
    Started.STILL_WORKING: HTTPStatus.ACCEPTED,
}


def _refuse_others(body: CartBody, principal: Principal) -> None:
    named = body.person_id is not None or body.guest is not None
    if principal.is_staff and not named:
        raise ProblemError(
            Reason.INVALID_REQUEST,
            "Say whose cart it is.",
            errors=[InvalidField(pointer="#/person_id", detail="Field required, or `guest`")],
        )
    if not principal.is_staff and named:
        raise ProblemError(Reason.ROLE_NOT_ALLOWED, "Only staff, admin and service may send `person_id` and `guest`.")


async def _person(session: AsyncSession, body: CartBody, principal: Principal, settings: Settings) -> UUID:
    """Whose cart it is. A guest who is not known yet is written down: nothing of them goes anywhere but here."""
    if body.guest is not None:
        secret = None if settings.link_secret is None else settings.link_secret.get_secret_value()
        return await guest_person(session, **body.guest.model_dump(), secret=secret)
    person_id = body.person_id or principal.person_id
    if person_id is None:
        raise ProblemError(Reason.TOKEN_INVALID, "The claim `sub` of a student is the id of a person.")
    if not principal.is_staff:
        await keep_account(session, person_id)
    return person_id


async def _require_courses(session: AsyncSession, course_ids: tuple[UUID, ...]) -> None:
    """Before anything is written or started: a course that was never on sale, or is not there, is unknown."""
    known = select(func.count()).where(col(Course.id).in_(course_ids), col(Course.status) != CourseStatus.DRAFT)
    if (await session.execute(known)).scalar_one() < len(course_ids):
        raise ProblemError(Reason.UNKNOWN_COURSE, "There is no such course.")


async def _read(connections: TheConnections, cart_id: UUID, principal: Principal, parts: TheParts) -> CartView:
    mine = [] if principal.is_staff else [col(Cart.person_id) == principal.person_id]
    async with connections.sessions() as session:
        found = await cart_views(session, select(Cart).where(col(Cart.id) == cart_id, *mine), principal, parts.settings)
    if not found:
        raise _no_such_cart()
    return found[0]


def _no_such_cart() -> ProblemError:
    return ProblemError(Reason.NOT_FOUND, "There is no such cart, or it is not yours.")


def _asked_for(asked: CartQuery) -> list[ColumnElement[bool]]:
    conditions = [
        column == value
        for column, value in ((col(Cart.status), asked.status), (col(Cart.person_id), asked.person_id))
        if value is not None
    ]
    if asked.created_from is not None:
        conditions.append(col(Cart.created_at) >= asked.created_from)
    if asked.created_to is not None:
        conditions.append(col(Cart.created_at) < asked.created_to)
    return conditions
