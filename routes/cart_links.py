"""Where the links in mails about a cart lead: the recovery page and the page that says no thanks. No login is needed.

The token in the address is the permission, for one cart and one purpose, and it is not in any cookie: a form on another
site cannot send it unless it knows it, so these forms carry no token against forgery. A link logs nobody in and shows
nothing but the courses of its cart. Its button leads to Stripe's page, where the name and the e-mail address of the
cart's owner may be filled in.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from markupsafe import Markup, escape
from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import FormData

from activities.cart_links import (
    CartLink,
    read_no_thanks_token,
    read_recovery_token,
)
from activities.cart_pricing import CartOffer, OfferedLine, Priced, offer_of
from activities.one_line import one_line
from activities.signed_links import LinkExpiredError, LinkInvalidError
from activities.translations import Texts, texts_for
from models.errors import Reason
from models.money import Money, percent_text
from models.tables import Cart, Enrollment, Order, OrderLine, Payment, Person
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus, OrderStatus, TaxBehavior
from routes.cart_checkout import HAS_MONEY, CartOrder, place_order_of, placed_before
from routes.cart_start import clear_cart
from routes.documentation import problems
from routes.pages import PAGE, note, page, refusal_page, refusal_pages, say
from routes.parts import Connections, Parts, TheConnections, TheParts
from routes.problems import KINDS, RETRY_AFTER_SECONDS, ProblemError
from rules.cart import LIVE
from rules.decision import Refused
from settings import Settings

router = APIRouter(prefix="/v1/carts", tags=["pages"])

_REFUSED = {
    **refusal_pages(Reason.LINK_INVALID, Reason.LINK_EXPIRED, Reason.LINK_USED),
    **problems(Reason.INVALID_REQUEST, Reason.PAYLOAD_TOO_LARGE, Reason.UNAVAILABLE),
}
_NOTE_OF = {
    Reason.ALREADY_ENROLLED: "recovery.owned",
    Reason.SLOTS_REQUIRED: "recovery.needs_hours",
    Reason.SCREENING_REQUIRED: "recovery.needs_meeting",
}
# What looking again would not help with; everything else has changed since the page was opened.
_NOTICE_OF = {
    Reason.SLOTS_REQUIRED: "recovery.needs_hours",
    Reason.SCREENING_REQUIRED: "recovery.needs_meeting",
    Reason.ORDER_NOT_CANCELABLE: "recovery.under_way",
    **dict.fromkeys(
        (
            Reason.AMOUNT_TOO_SMALL,
            Reason.PAYMENT_REFUSED,
            Reason.MIXED_CURRENCIES,
            Reason.INVALID_REQUEST,
            Reason.INTERNAL,
        ),
        "recovery.not_here",
    ),
}
_WAITS_FOR_APPROVAL = (
    exists()
    .where(
        col(Enrollment.order_line_id) == col(OrderLine.id),
        col(OrderLine.order_id) == col(Order.id),
        col(Enrollment.status) == EnrollmentStatus.PENDING_APPROVAL,
    )
    .correlate(Order)
)
_FORM = {
    "requestBody": {
        "required": False,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "properties": {"seen": {"type": "string"}}},
                "example": {"seen": "5f0c2f9a4be11d08"},
            }
        },
    }
}


class _Guest:
    """Who followed a link: the cart it stands for, and the texts in its person's language."""

    def __init__(self, cart: Cart, person: Person) -> None:
        self.cart = cart
        self.texts = texts_for("pages", person.locale)


class _Unwelcome(Exception):  # noqa: N818 - it is no error of ours
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@router.head("/recover/{token}", include_in_schema=False)
@router.head("/no-thanks/{token}", include_in_schema=False)
async def look_from_afar(token: str) -> Response:
    """What programs that check links do: it reads and changes nothing, and tells nothing of the token."""
    return Response(media_type="text/html")


@router.get(
    "/recover/{token}",
    summary="Come back to a cart",
    response_class=HTMLResponse,
    responses={**PAGE, **_REFUSED},
)
async def get_recovery(token: str, request: Request, parts: TheParts, connections: TheConnections) -> HTMLResponse:
    """The courses, what they cost now, and what cannot be had any more.

    Only when the link was followed is noted; not if a browser says that it fetches the page before anybody wants it.
    """
    try:
        guest = await _guest(token, read_recovery_token, parts, connections, clicked=not _is_prefetch(request))
    except _Unwelcome as unwelcome:
        return refusal_page(request, unwelcome.reason)
    return await _recovery_page(guest, token, parts, connections)


@router.post(
    "/recover/{token}",
    summary="Go from a cart to its payment",
    status_code=HTTPStatus.SEE_OTHER,
    response_class=RedirectResponse,
    responses={
        303: {
            "description": "To Stripe's page",
            "headers": {"Location": {"description": "where to pay", "schema": {"type": "string"}}},
            "content": {"text/html": {"schema": {"type": "string"}, "example": "(nothing)"}},
        },
        **PAGE,
        409: {**PAGE[200], "description": "The page once more: something is not as it was shown"},
        **_REFUSED,
    },
    openapi_extra=_FORM,
)
async def post_recovery(token: str, request: Request, parts: TheParts, connections: TheConnections) -> Response:
    """Order what can be bought of the cart, at the prices of now; a second click finds the same order.

    If something is not as the page has shown it, the page is shown again instead.
    """
    try:
        guest = await _guest(token, read_recovery_token, parts, connections, clicked=True)
    except _Unwelcome as unwelcome:
        return refusal_page(request, unwelcome.reason)
    form = await request.form()
    try:
        return await _go_to_payment(guest, token, form, parts, connections)
    except ProblemError as refused:
        if refused.reason is Reason.UNAVAILABLE:
            return _busy(guest.texts, token)
        notice, status = _NOTICE_OF.get(refused.reason, "recovery.changed"), KINDS[refused.reason].status
        return await _recovery_page(guest, token, parts, connections, notice=notice, status=status)


@router.get(
    "/no-thanks/{token}",
    summary="Ask to forget a cart",
    response_class=HTMLResponse,
    responses={**PAGE, **_REFUSED},
)
async def get_no_thanks(token: str, request: Request, parts: TheParts, connections: TheConnections) -> HTMLResponse:
    """A page with a button. It deletes nothing itself, since mail scanners follow links."""
    try:
        guest = await _guest(token, read_no_thanks_token, parts, connections)
    except _Unwelcome as unwelcome:
        return refusal_page(request, unwelcome.reason)
    return note(guest.texts, "no_thanks", action=f"/v1/carts/no-thanks/{token}")


@router.post(
    "/no-thanks/{token}",
    summary="Forget a cart",
    response_class=HTMLResponse,
    responses={**PAGE, **_REFUSED},
)
async def post_no_thanks(token: str, request: Request, parts: TheParts, connections: TheConnections) -> HTMLResponse:
    """What is in the cart is deleted before the answer, whether a worker is there or not; repeat it as you like."""
    try:
        guest = await _guest(token, read_no_thanks_token, parts, connections, may_be_cleared=True)
    except _Unwelcome as unwelcome:
        return refusal_page(request, unwelcome.reason)
    if guest.cart.status in LIVE:
        await clear_cart(connections, guest.cart.id, guest.cart.person_id)
    return note(guest.texts, "no_thanks_done")


def _is_prefetch(request: Request) -> bool:
    said = (request.headers.get(name, "") for name in ("purpose", "sec-purpose"))
    return any(value.strip().lower().startswith("prefetch") for value in said)


async def _guest(
    token: str,
    read: Callable[[str, str, datetime], CartLink],
    parts: Parts,
    connections: Connections,
    *,
    clicked: bool = False,
    may_be_cleared: bool = False,
) -> _Guest:
    """Who holds a good link. Raises `_Unwelcome` for any other."""
    if parts.settings.link_secret is None:
        raise _Unwelcome(Reason.LINK_INVALID)
    moment = now()
    try:
        link = read(parts.settings.link_secret.get_secret_value(), token, moment)
    except LinkExpiredError:
        raise _Unwelcome(Reason.LINK_EXPIRED) from None
    except LinkInvalidError:
        raise _Unwelcome(Reason.LINK_INVALID) from None
    query = select(Cart, Person).join(Person, col(Person.id) == col(Cart.person_id)).where(col(Cart.id) == link.cart_id)
    async with connections.sessions.begin() as session:
        found = (await session.execute(query)).one_or_none()
        if found is None:
            raise _Unwelcome(Reason.LINK_INVALID)
        cart, person = found
        is_bought = cart.order_id is not None
        if is_bought or (cart.status not in LIVE and not may_be_cleared):
            raise _Unwelcome(Reason.LINK_USED)
        if clicked:
            await session.execute(update(Cart).where(col(Cart.id) == cart.id).values(clicked_at=moment))
        return _Guest(cart, person)


async def _go_to_payment(guest: _Guest, token: str, form: FormData, parts: Parts, connections: Connections) -> Response:
    async with connections.sessions() as session:
        offer = await offer_of(session, guest.cart, now())
    if isinstance(offer.buyable, Refused):
        why = offer.refused or offer.buyable
        raise ProblemError(why.reason, why.detail)
    if form.get("seen") not in (None, "", offer.fingerprint):
        return await _recovery_page(
            guest, token, parts, connections, notice="recovery.changed", status=HTTPStatus.CONFLICT
        )
    actor = f"recovery_link:{guest.cart.id}"
    placed = await place_order_of(connections, guest.cart, offer, actor, leaves_out=True)
    async with connections.sessions() as session:
        address, is_on_its_way = await _where_to_pay(session, placed)
    if address is not None:
        return RedirectResponse(address, status_code=HTTPStatus.SEE_OTHER)
    return _busy(guest.texts, token) if is_on_its_way else note(guest.texts, "placed")


async def _where_to_pay(session: AsyncSession, placed: CartOrder) -> tuple[str | None, bool]:
    """Stripe's page of the order; if it has none, whether it will have one in a moment."""
    query = (
        select(col(Order.status), col(Payment.checkout_url), col(Payment.status).in_(HAS_MONEY) | _WAITS_FOR_APPROVAL)
        .join(Payment, col(Payment.order_id) == col(Order.id), isouter=True)
        .where(col(Order.id) == placed.order_id)
    )
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None, True
    status, address, is_in_other_hands = found
    if is_in_other_hands:
        return None, False
    return address, status == OrderStatus.PENDING_PAYMENT


def _busy(texts: Texts, token: str) -> HTMLResponse:
    answer = note(texts, "busy", action=f"/v1/carts/recover/{token}", status=HTTPStatus.SERVICE_UNAVAILABLE)
    answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer


async def _recovery_page(
    guest: _Guest,
    token: str,
    parts: Parts,
    connections: Connections,
    *,
    notice: str | None = None,
    status: int = HTTPStatus.OK,
) -> HTMLResponse:
    async with connections.sessions() as session:
        offer = await offer_of(session, guest.cart, now())
        before = await placed_before(session, guest.cart)
    if before.is_in_other_hands and notice is None:
        if before.stands_for(offer, offer.course_ids):
            return note(guest.texts, "placed")
        notice = "recovery.under_way"
    shown = _shown_offer(offer, guest.texts, is_payable=not before.is_in_other_hands)
    notices = [shown.notice, Markup() if notice is None else escape(guest.texts[notice])]
    return page(
        "cart_recovery.html.j2",
        status=status,
        form_action=f"'self' {_payment_pages(parts.settings)}",
        texts=guest.texts,
        lines=shown.lines,
        extras=shown.extras,
        total=shown.total,
        seen=shown.seen,
        is_payable=shown.is_payable,
        notice=Markup(" ").join(filter(None, notices)),
        action=f"/v1/carts/recover/{token}",
    )


def _payment_pages(settings: Settings) -> str:
    """Where the form may be sent on to. Browsers hold the redirect after a form to the policy too, and Stripe's page
    may have a domain of the academy's own."""
    parts = urlsplit(settings.stripe_api_base or "")
    return f"https: {parts.scheme}://{parts.netloc}" if parts.scheme == "http" else "https:"


@dataclass(frozen=True)
class _Shown:
    lines: list[dict[str, object]]
    total: str | None
    extras: tuple[dict[str, str], ...] = ()
    notice: str = ""
    seen: str = ""
    is_payable: bool = False


def _shown_offer(offer: CartOffer, texts: Texts, *, is_payable: bool) -> _Shown:
    lines = [_shown_line(line, texts) for line in offer.lines]
    priced = offer.buyable
    if isinstance(priced, Refused):
        # Each may be had by itself, but not together: the platform has to take it from here.
        return _Shown(lines, None, notice=texts["recovery.not_here"] if offer.course_ids else "")
    notices: list[Markup] = []
    if offer.refused_coupon is not None:
        notices.append(say(texts, "recovery.coupon_gone", code=offer.refused_coupon))
    if len(offer.course_ids) < len(offer.lines):
        notices.append(escape(texts["recovery.left_out"]))
    return _Shown(
        lines=lines,
        total=_written(priced, priced.quote.total_amount, texts),
        extras=tuple(_extras(priced, texts)),
        notice=Markup(" ").join(notices),
        seen=offer.fingerprint,
        is_payable=is_payable,
    )


def _extras(priced: Priced, texts: Texts) -> Iterator[dict[str, str]]:
    quote = priced.quote
    if priced.coupon_code is not None:
        label = say(texts, "recovery.coupon", code=priced.coupon_code)
        yield {"label": label, "amount": f"−{_written(priced, quote.coupon_amount, texts)}"}
    if quote.tax is not None and quote.tax.behavior is TaxBehavior.EXCLUSIVE:
        label = Markup("{} {}").format(quote.tax.name, percent_text(quote.tax.percent))
        yield {"label": label, "amount": _written(priced, quote.tax_amount, texts)}


def _written(priced: Priced, amount: int, texts: Texts) -> str:
    return Money(amount=amount, currency=priced.quote.currency).format(texts.locale)


def _shown_line(line: OfferedLine, texts: Texts) -> dict[str, object]:
    told: str | None = None
    if line.refused is not None:
        told = texts[_NOTE_OF.get(line.refused.reason, "recovery.sold_out")]
    elif line.price_before is not None:
        told = say(texts, "recovery.price_was", price=line.price_before.format(texts.locale))
    return {
        "title": one_line(line.title),
        "price": None if line.price is None or line.refused is not None else line.price.format(texts.locale),
        "note": told,
        "note_is_final": line.refused is not None,
    }
