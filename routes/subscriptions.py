"""Which marketing mail a person has said yes or no to, and when they called it spam."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Body, Depends
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.guests import keep_account
from activities.subscriptions import complain, subscribe, withdraw
from models.errors import Reason
from models.tables import Consent, Person, Subscription
from models.vocabulary import ConsentSource, MailList, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.cart_start import tell_carts_unsubscribed
from routes.documentation import answer, problems
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal

router = APIRouter(prefix="/v1/people", tags=["subscriptions"], route_class=AuthenticatedRoute)

_OWN_SOURCES = (ConsentSource.CHECKOUT, ConsentSource.ACCOUNT)
_ACADEMYS_SOURCES = (*_OWN_SOURCES, ConsentSource.IMPORT, ConsentSource.STAFF)
_TheCaller = Annotated[Principal, Depends(require())]
_TextVersion = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]


class Standing(StrEnum):
    """What somebody has said of a list last."""

    UNASKED = "unasked"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"
    COMPLAINED = "complained"


class ConsentView(BaseModel):
    """One yes or no, as it was said."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    is_given: bool
    source: ConsentSource
    text_version: str | None
    created_at: datetime


class SubscriptionView(BaseModel):
    """How a person stands to a list. Whether customers get mail unasked is the academy's to set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    person_id: UUID
    list: MailList
    standing: Standing
    since: datetime | None
    consents: tuple[ConsentView, ...] = Field(description="every yes and no, the latest first")


class SubscriptionBody(BaseModel):
    """A yes or a no, and how it was said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    is_subscribed: bool
    source: ConsentSource = Field(
        default=ConsentSource.ACCOUNT,
        description="`checkout` or `account`; of staff and service also `import`, `staff`",
    )
    text_version: _TextVersion | None = Field(
        default=None, description="which words were agreed to; always with a yes, so that it can be shown later"
    )

    @model_validator(mode="after")
    def _yes_names_its_words(self) -> Self:
        if self.is_subscribed and self.text_version is None:
            raise PydanticCustomError("refused_here", "A yes says to which text it was given.")
        return self


class ComplaintBody(BaseModel):
    """Somebody has called our mail spam, e.g. as a feedback loop reports."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    list: MailList


_SUBSCRIPTION = SubscriptionView(
    person_id=UUID("0198f3a0-5555-7000-8000-000000000002"),
    list=MailList.CART,
    standing=Standing.SUBSCRIBED,
    since=datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
    consents=(
        ConsentView(
            is_given=True,
            source=ConsentSource.CHECKOUT,
            text_version="cart-2026-01",
            created_at=datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
        ),
    ),
)
_EXAMPLES: dict[str, Example] = {
    "yes": {
        "summary": "A box that was ticked at checkout",
        "value": {"is_subscribed": True, "source": "checkout", "text_version": "cart-2026-01"},
    },
    "no": {"summary": "A no, said in the account", "value": {"is_subscribed": False}},
}


@router.get(
    "/{person_id}/subscriptions/{mail_list}",
    summary="Read whether somebody has a kind of mail",
    responses={
        **answer(HTTPStatus.OK, "How they stand to it", _SUBSCRIPTION),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_subscription(
    person_id: UUID, mail_list: MailList, principal: _TheCaller, connections: TheConnections
) -> SubscriptionView:
    """The person's own, or anybody's for staff, admin and service."""
    _require_own(principal, person_id)
    async with connections.sessions() as session:
        await _require_person(session, person_id)
        return await _view(session, person_id, mail_list)


@router.put(
    "/{person_id}/subscriptions/{mail_list}",
    summary="Say yes or no to a kind of mail",
    responses={
        **answer(HTTPStatus.OK, "How they stand to it now", _SUBSCRIPTION),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.PAYLOAD_TOO_LARGE, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def put_subscription(
    person_id: UUID,
    mail_list: MailList,
    body: Annotated[SubscriptionBody, Body(openapi_examples=_EXAMPLES)],
    principal: _TheCaller,
    connections: TheConnections,
) -> SubscriptionView:
    """Written down for good: source, time and text version. A no is effective with the answer."""
    _require_own(principal, person_id)
    if body.source not in (_ACADEMYS_SOURCES if principal.is_staff else _OWN_SOURCES):
        raise ProblemError(Reason.ROLE_NOT_ALLOWED, "This source is not yours to name.")
    async with connections.sessions.begin() as session:
        await _require_person(session, person_id)
        if not principal.is_staff:
            await keep_account(session, person_id)
        if body.is_subscribed:
            await subscribe(
                session,
                person_id,
                mail_list,
                source=body.source,
                text_version=body.text_version,
                actor=principal.actor,
            )
        else:
            await withdraw(session, person_id, mail_list, source=body.source, actor=principal.actor)
        view = await _view(session, person_id, mail_list)
    await _tell_carts(connections, view)
    return view


@router.post(
    "/{person_id}/complaints",
    summary="Report that somebody called our mail spam",
    responses={
        **answer(HTTPStatus.OK, "How they stand to it now", _SUBSCRIPTION),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.PAYLOAD_TOO_LARGE, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def post_complaint(
    person_id: UUID,
    body: Annotated[
        ComplaintBody,
        Body(openapi_examples={"complaint": {"summary": "A reminder of a cart", "value": {"list": "cart"}}}),
    ],
    principal: Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN, Role.SERVICE))],
    connections: TheConnections,
) -> SubscriptionView:
    """None of these mails any more, whatever the person said before. The same report again changes nothing."""
    async with connections.sessions.begin() as session:
        await _require_person(session, person_id)
        await complain(session, person_id, list_=body.list, actor=principal.actor)
        view = await _view(session, person_id, body.list)
    await _tell_carts(connections, view)
    return view


def _require_own(principal: Principal, person_id: UUID) -> None:
    if not principal.is_staff and principal.person_id != person_id:
        raise _no_such_person()


async def _require_person(session: AsyncSession, person_id: UUID) -> None:
    if (await session.execute(select(col(Person.id)).where(col(Person.id) == person_id))).first() is None:
        raise _no_such_person()


def _no_such_person() -> ProblemError:
    return ProblemError(Reason.NOT_FOUND, "There is no such person, or it is not you.")


async def _tell_carts(connections: TheConnections, view: SubscriptionView) -> None:
    if view.list is MailList.CART and view.standing in (Standing.UNSUBSCRIBED, Standing.COMPLAINED):
        await tell_carts_unsubscribed(connections, view.person_id)


async def _view(session: AsyncSession, person_id: UUID, mail_list: MailList) -> SubscriptionView:
    found = await session.get(Subscription, (person_id, mail_list), populate_existing=True)
    history = (
        select(Consent)
        .where(col(Consent.person_id) == person_id, col(Consent.list) == mail_list)
        .order_by(col(Consent.created_at).desc(), col(Consent.id).desc())
    )
    said: Sequence[Consent] = (await session.execute(history)).scalars().all()
    standing, since = _standing(found)
    return SubscriptionView(
        person_id=person_id,
        list=mail_list,
        standing=standing,
        since=since,
        consents=tuple(map(ConsentView.model_validate, said)),
    )


def _standing(found: Subscription | None) -> tuple[Standing, datetime | None]:
    if found is not None:
        for standing, since in (
            (Standing.COMPLAINED, found.complained_at),
            (Standing.UNSUBSCRIBED, found.withdrawn_at),
            (Standing.SUBSCRIBED, found.consented_at),
        ):
            if since is not None:
                return standing, since
    return Standing.UNASKED, None
