"""Reading orders from the record: a fixed number of statements, however many orders are on a page."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.database import Sessions
from models.tables import Document, Enrollment, LessonSlot, Order, OrderLine, Payment
from models.vocabulary import DocumentKind, OrderStatus
from routes.order_requests import OrderQuery
from routes.order_views import LineView, OrderView, line_view, order_view
from routes.pagination import sorted_page
from routes.tokens import Principal
from settings import Settings

_SORTABLE = {"created_at": col(Order.created_at), "number": col(Order.number), "total_amount": col(Order.total_amount)}


async def read_order(sessions: Sessions, order_id: UUID, principal: Principal, settings: Settings) -> OrderView | None:
    """The order, or none if there is none that this caller may see. Two statements."""
    query = _orders().where(col(Order.id) == order_id, *_visible_to(principal))
    async with sessions() as session:
        views = await _views(session, query, principal, settings)
    return views[0] if views else None


async def list_orders(
    sessions: Sessions, asked: OrderQuery, principal: Principal, settings: Settings
) -> tuple[list[OrderView], int]:
    """One page of the orders that this caller may see, and how many there are. Three statements."""
    conditions = [*_visible_to(principal), *_asked_for(asked)]
    page = sorted_page(_orders().where(*conditions), asked, asked.sort, _SORTABLE, col(Order.id))
    async with sessions() as session:
        total = (await session.execute(select(func.count()).select_from(Order).where(*conditions))).scalar_one()
        return await _views(session, page, principal, settings), total


async def read_status(sessions: Sessions, order_id: UUID, principal: Principal) -> OrderStatus | None:
    """The status of the order, or none if there is none that this caller may see."""
    query = select(col(Order.status)).where(col(Order.id) == order_id, *_visible_to(principal))
    async with sessions() as session:
        status = (await session.execute(query)).scalar_one_or_none()
    return None if status is None else OrderStatus(status)


async def read_receipt(sessions: Sessions, order_id: UUID) -> Document | None:
    """The receipt of the order, if it has one yet. Whether the caller may see it is `read_status`'s to say."""
    async with sessions() as session:
        return (
            await session.execute(
                select(Document).where(col(Document.order_id) == order_id, col(Document.kind) == DocumentKind.RECEIPT)
            )
        ).scalar_one_or_none()


def _orders() -> Select[*tuple[Any, ...]]:
    return (
        select(Order, Payment, Document)
        .join(Payment, col(Payment.order_id) == col(Order.id), isouter=True)
        .join(
            Document,
            (col(Document.order_id) == col(Order.id)) & (col(Document.kind) == DocumentKind.RECEIPT),
            isouter=True,
        )
    )


def _visible_to(principal: Principal) -> list[ColumnElement[bool]]:
    return [] if principal.is_staff else [col(Order.payer_id) == principal.person_id]


def _asked_for(asked: OrderQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if asked.status is not None:
        conditions.append(col(Order.status) == asked.status)
    if asked.payer_id is not None:
        conditions.append(col(Order.payer_id) == asked.payer_id)
    if asked.course_id is not None:
        conditions.append(
            exists().where(col(OrderLine.order_id) == col(Order.id), col(OrderLine.course_id) == asked.course_id)
        )
    if asked.created_from is not None:
        conditions.append(col(Order.created_at) >= asked.created_from)
    if asked.created_to is not None:
        conditions.append(col(Order.created_at) < asked.created_to)
    return conditions


async def _views(
    session: AsyncSession, query: Select[*tuple[Any, ...]], principal: Principal, settings: Settings
) -> list[OrderView]:
    rows = (await session.execute(query)).all()
    lines = await _lines(session, [order.id for order, _, _ in rows])
    return [
        order_view(order, payment, receipt, tuple(lines[order.id]), principal, settings)
        for order, payment, receipt in rows
    ]


async def _lines(session: AsyncSession, order_ids: Sequence[UUID]) -> defaultdict[UUID, list[LineView]]:
    slots = (
        select(func.array_agg(aggregate_order_by(col(LessonSlot.id), col(LessonSlot.starts_at))))
        .where(col(LessonSlot.order_line_id) == col(OrderLine.id))
        .correlate(OrderLine)
        .scalar_subquery()
    )
    query = (
        select(OrderLine, Enrollment, slots)
        .join(Enrollment, col(Enrollment.order_line_id) == col(OrderLine.id), isouter=True)
        .where(col(OrderLine.order_id).in_(order_ids))
        .order_by(col(OrderLine.order_id), col(OrderLine.position))
    )
    lines: defaultdict[UUID, list[LineView]] = defaultdict(list)
    for line, enrollment, slot_ids in await session.execute(query):
        lines[line.order_id].append(line_view(line, enrollment, slot_ids))
    return lines
