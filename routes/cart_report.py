"""What carts that were left were worth, what came back, and why mails about them did not go out."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import ColumnElement, and_, exists, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.errors import Reason
from models.moments import Moment
from models.money import Money
from models.tables import Cart, CartSettings, Mail, Order
from models.tables.columns import now
from models.vocabulary import CartStatus, MailStatus, MailTemplate, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.parts import TheConnections
from routes.tokens import Principal

router = APIRouter(prefix="/v1/carts", tags=["carts"], route_class=AuthenticatedRoute)

_USUAL_SPAN = timedelta(days=30)


class ReportQuery(BaseModel):
    """Which carts to count, by when they were abandoned."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    begins_at: Annotated[
        Moment | None, Field(alias="from", description="at this moment or later; 30 days before the end unless said")
    ] = None
    ends_at: Annotated[Moment | None, Field(alias="to", description="before this moment; now unless said")] = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.begins_at is not None and self.ends_at is not None and self.ends_at <= self.begins_at:
            raise PydanticCustomError("refused_here", "`to` comes after `from`.")
        return self


class CartTotals(BaseModel):
    """The carts in one currency. Amounts are in minor units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str
    recoverable_count: int = Field(description="carts that were abandoned, but for those that a newer one replaced")
    recoverable_amount: int = Field(description="what was in them, as priced then")
    recoverable: str
    recovered_count: int = Field(description="their orders within five days of a click on a mail, each once")
    recovered_amount: int = Field(description="what their orders came to")
    recovered: str


class SkippedMails(BaseModel):
    """How many mails did not go out for one reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str
    count: int


class CartReport(BaseModel):
    """Carts by when they were abandoned, and the mails about them. Test orders are left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    begins_at: datetime
    ends_at: datetime
    totals: tuple[CartTotals, ...] = Field(description="a row for each currency")
    mails_sent: int
    mails_skipped: tuple[SkippedMails, ...] = Field(description="the most frequent reason first")


_REPORT = CartReport(
    begins_at=datetime(2026, 3, 1, tzinfo=UTC),
    ends_at=datetime(2026, 4, 1, tzinfo=UTC),
    totals=(
        CartTotals(
            currency="EUR",
            recoverable_count=120,
            recoverable_amount=588_000,
            recoverable="€5,880.00",
            recovered_count=14,
            recovered_amount=68_600,
            recovered="€686.00",
        ),
    ),
    mails_sent=201,
    mails_skipped=(SkippedMails(reason="no_consent", count=61), SkippedMails(reason="bought", count=9)),
)


@router.get(
    "/report",
    summary="Report what abandoned carts brought back",
    responses={
        **answer(HTTPStatus.OK, "The report", _REPORT),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_cart_report(
    asked: Annotated[ReportQuery, Query()],
    _principal: Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN, Role.SERVICE))],
    connections: TheConnections,
) -> CartReport:
    """Counts and totals in each currency, and how often each reason held a mail back."""
    ends_at = asked.ends_at or now()
    begins_at = asked.begins_at or ends_at - _USUAL_SPAN
    counted = and_(
        col(Cart.abandoned_at) >= begins_at,
        col(Cart.abandoned_at) < ends_at,
        not_(exists().where(col(Order.id) == col(Cart.order_id), col(Order.is_test)).correlate(Cart)),
        or_(~col(Cart.is_staff), exists().where(col(CartSettings.tracks_staff))),
    )
    async with connections.sessions() as session:
        totals = await _totals(session, counted)
        mails = await _mails(session, counted)
    return CartReport(
        begins_at=begins_at,
        ends_at=ends_at,
        totals=totals,
        mails_sent=sum(count for status, _, count in mails if status == MailStatus.SENT),
        mails_skipped=tuple(
            SkippedMails(reason=reason, count=count)
            for status, reason, count in mails
            if status == MailStatus.SKIPPED and reason is not None
        ),
    )


async def _totals(session: AsyncSession, counted: ColumnElement[bool]) -> tuple[CartTotals, ...]:
    # Of the carts that one order has brought back, the first stands for it.
    place = func.row_number().over(
        partition_by=(col(Cart.status), col(Cart.currency), col(Cart.order_id)), order_by=col(Cart.id)
    )
    carts = (
        select(
            col(Cart.currency),
            col(Cart.total_amount),
            func.coalesce(col(Order.total_amount), col(Cart.total_amount)).label("paid"),
            and_(col(Cart.status) == CartStatus.RECOVERED, place == 1).label("is_recovered"),
        )
        .select_from(Cart)
        # An order in another currency than the cart's is no measure of it.
        .join(
            Order,
            (col(Order.id) == col(Cart.order_id)) & (col(Order.currency) == col(Cart.currency)),
            isouter=True,
        )
        .where(counted, col(Cart.currency).is_not(None), col(Cart.status_reason).is_distinct_from("superseded"))
        .subquery()
    )
    query = (
        select(
            carts.c.currency,
            func.count(),
            func.sum(carts.c.total_amount),
            func.count().filter(carts.c.is_recovered),
            func.coalesce(func.sum(carts.c.paid).filter(carts.c.is_recovered), 0),
        )
        .group_by(carts.c.currency)
        .order_by(carts.c.currency)
    )
    return tuple(
        CartTotals(
            currency=currency,
            recoverable_count=left,
            recoverable_amount=int(worth or 0),
            recoverable=Money(amount=int(worth or 0), currency=currency).format(),
            recovered_count=back,
            recovered_amount=int(earned),
            recovered=Money(amount=int(earned), currency=currency).format(),
        )
        for currency, left, worth, back, earned in (await session.execute(query)).all()
    )


async def _mails(session: AsyncSession, counted: ColumnElement[bool]) -> list[tuple[str, str | None, int]]:
    how_many = func.count()
    query = (
        select(col(Mail.status), col(Mail.status_reason), how_many)
        .join(Cart, col(Cart.id) == col(Mail.subject_id))
        .where(counted, col(Mail.template) == MailTemplate.CART_REMINDER)
        .group_by(col(Mail.status), col(Mail.status_reason))
        .order_by(how_many.desc(), col(Mail.status_reason))
    )
    return [(status, reason, count) for status, reason, count in (await session.execute(query)).all()]
