"""Saying no to a kind of mail, from its link or with a mail program's own button (RFC 8058). No login, no cookie.

The token in the address is the permission: random, one for each person and list, and unknown to any other site, so the
forms carry no token against forgery.
"""

import re
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.subscriptions import may_take_back, take_back, unsubscribe
from activities.translations import texts_for
from models.errors import Reason
from models.tables import Person, Subscription
from models.vocabulary import ConsentSource, MailList
from routes.cart_start import tell_carts_unsubscribed
from routes.documentation import problems
from routes.pages import PAGE, note, refusal_page, refusal_pages
from routes.parts import TheConnections

router = APIRouter(prefix="/v1/unsubscribe", tags=["pages"])

ONE_CLICK = "List-Unsubscribe"
# What else comes here was never a token, and PostgreSQL knows no NUL in a text.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REFUSED = {
    **refusal_pages(Reason.LINK_INVALID),
    **problems(Reason.INVALID_REQUEST, Reason.PAYLOAD_TOO_LARGE, Reason.UNAVAILABLE),
}
_ONE_CLICK_FORM = {
    "schema": {"type": "object", "properties": {ONE_CLICK: {"type": "string"}}},
    "example": {ONE_CLICK: "One-Click"},
}
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "description": "a mail program sends `List-Unsubscribe=One-Click`; the page's button sends nothing",
        "content": {
            "application/x-www-form-urlencoded": _ONE_CLICK_FORM,
            "multipart/form-data": _ONE_CLICK_FORM,
        },
    }
}


@router.head("/{token}", include_in_schema=False)
async def look_at_subscription_from_afar(token: str) -> Response:
    """What programs that check links do: it reads and changes nothing, and tells nothing of the token."""
    return Response(media_type="text/html")


@router.get(
    "/{token}",
    summary="Ask to get no more of these mails",
    response_class=HTMLResponse,
    responses={**PAGE, **_REFUSED},
)
async def get_unsubscribe(token: str, request: Request, connections: TheConnections) -> HTMLResponse:
    """A page with a button. It changes nothing itself, since mail scanners follow links."""
    async with connections.sessions() as session:
        found = await _found(session, token)
        if found is None:
            return refusal_page(request, Reason.LINK_INVALID)
        subscription, locale = found
        if subscription.withdrawn_at is not None:
            return await _unsubscribed(session, subscription, locale)
    return _question(token, locale, MailList(subscription.list), "unsubscribe")


@router.post(
    "/{token}",
    summary="Get no more of these mails",
    response_class=HTMLResponse,
    responses={**PAGE, **_REFUSED},
    openapi_extra=_FORM,
)
async def post_unsubscribe(token: str, request: Request, connections: TheConnections) -> HTMLResponse:
    """Effective with the answer, for mails too that are about to be sent; as often as you like. There is no redirect,
    which mail programs would not follow. What is sent only tells who has asked: no body is refused.
    """
    is_one_click = ONE_CLICK.encode() in await request.body()
    source = ConsentSource.ONE_CLICK if is_one_click else ConsentSource.UNSUBSCRIBE_PAGE
    async with connections.sessions.begin() as session:
        found = await _found(session, token)
        is_new = found is not None and found[0].withdrawn_at is None
        done = None if found is None else await unsubscribe(session, token, source=source)
        if found is None or done is None:
            return refusal_page(request, Reason.LINK_INVALID)
        answer = await _unsubscribed(session, done, found[1])
    if is_new and done.list == MailList.CART:
        await tell_carts_unsubscribed(connections, done.person_id)
    return answer


@router.post(
    "/{token}/undo",
    summary="Get these mails again",
    response_class=HTMLResponse,
    responses={**PAGE, **_REFUSED},
)
async def post_subscribe_again(token: str, request: Request, connections: TheConnections) -> HTMLResponse:
    """The way back of who has clicked by mistake: what held before holds again.

    A complaint stands, and so does a no that was said elsewhere; the page then says who can help.
    """
    async with connections.sessions.begin() as session:
        found = await _found(session, token)
        done = None if found is None else await take_back(session, token)
        if found is None or done is None:
            return refusal_page(request, Reason.LINK_INVALID)
        if done.withdrawn_at is not None:
            return await _unsubscribed(session, done, found[1])
    return _question(token, found[1], MailList(done.list), "subscribed")


async def _found(session: AsyncSession, token: str) -> tuple[Subscription, str] | None:
    """What the token stands for, and its person's language; none if it is not one of ours."""
    if _TOKEN.fullmatch(token) is None:
        return None
    query = (
        select(Subscription, col(Person.locale))
        .join(Person, col(Person.id) == col(Subscription.person_id))
        .where(col(Subscription.token) == token)
    )
    found = (await session.execute(query)).one_or_none()
    return None if found is None else (found[0], found[1])


def _question(token: str, locale: str, mail_list: MailList, subject: str) -> HTMLResponse:
    texts = texts_for("pages", locale)
    action, named = f"/v1/unsubscribe/{token}", texts[f"list.{mail_list}"]
    return note(texts, subject, action=action, button="unsubscribe.button", list=named)


async def _unsubscribed(session: AsyncSession, subscription: Subscription, locale: str) -> HTMLResponse:
    texts = texts_for("pages", locale)
    named = texts[f"list.{subscription.list}"]
    if not await may_take_back(session, subscription):
        return note(texts, "unsubscribed_for_good", list=named)
    return note(texts, "unsubscribed", action=f"/v1/unsubscribe/{subscription.token}/undo", list=named)
