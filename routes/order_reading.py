"""Reading orders from the record: a fixed number of statements, however many orders are on a page."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.database import Sessions
from models.tables import Dispute, Document, Enrollment, Invoice, Order, OrderLine, Payment, Refund
from models.vocabulary import DisputeStatus, DocumentKind, OrderStatus
from routes.order_requests import OrderQuery
from routes.order_views import OrderRows, OrderView, order_view
from routes.pagination import sorted_page, total_of
from routes.tokens import Principal
from settings import Settings

_SORTABLE = {"created_at": col(Order.created_at), "number": col(Order.number), "total_amount": col(Order.total_amount)}


async def read_order(sessions: Sessions, order_id: UUID, principal: Principal, settings: Settings) -> OrderView | None:
    """The order, or none if there is none that this caller may see. Four statements."""
    query = _orders().where(col(Order.id) == order_id, *_visible_to(principal))
    async with sessions() as session:
        views = await _views(session, query, principal, settings)
    return views[0] if views else None


async def list_orders(
    sessions: Sessions, asked: OrderQuery, principal: Principal, settings: Settings
) -> tuple[list[OrderView], int]:
    """One page of the orders that this caller may see, and how many there are. Five statements."""
    conditions = [*_visible_to(principal), *_asked_for(asked)]
    page = sorted_page(_orders().where(*conditions), asked, asked.sort, _SORTABLE, col(Order.id))
    async with sessions() as session:
        total = await total_of(session, select(Order).where(*conditions))
        return await _views(session, page, principal, settings), total


async def read_status(sessions: Sessions, order_id: UUID, principal: Principal) -> OrderStatus | None:
    """The status of the order, or none if there is none that this caller may see."""
    query = select(col(Order.status)).where(col(Order.id) == order_id, *_visible_to(principal))
    async with sessions() as session:
        status = (await session.execute(query)).scalar_one_or_none()
    return None if status is None else OrderStatus(status)


async def read_document(sessions: Sessions, order_id: UUID, kind: DocumentKind) -> Document | None:
    """The order's document of this kind, if it has one yet. Whether the caller may see it is `read_status`'s to say."""
    query = select(Document).where(col(Document.order_id) == order_id, col(Document.kind) == kind)
    async with sessions() as session:
        return (await session.execute(query)).scalar_one_or_none()


def _orders() -> Select[*tuple[Any, ...]]:
    latest_dispute = (
        select(col(Dispute.status))
        .where(col(Dispute.order_id) == col(Order.id))
        .order_by(col(Dispute.opened_at).desc(), col(Dispute.id))
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(Order, Payment, Invoice, latest_dispute)
        .join(Payment, col(Payment.order_id) == col(Order.id), isouter=True)
        .join(Invoice, col(Invoice.order_id) == col(Order.id), isouter=True)
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
    ids = [order.id for order, *_ in rows]
    lines = await _lines(session, ids)
    documents = await _by_order(session, Document, ids)
    refunds = await _by_order(session, Refund, ids)
    return [
        order_view(
            OrderRows(
                order,
                payment,
                invoice,
                tuple(lines[order.id]),
                tuple(documents[order.id]),
                tuple(refunds[order.id]),
                None if dispute_status is None else DisputeStatus(dispute_status),
            ),
            principal,
            settings,
        )
        for order, payment, invoice, dispute_status in rows
    ]


async def _lines(
    session: AsyncSession, order_ids: Sequence[UUID]
) -> defaultdict[UUID, list[tuple[OrderLine, tuple[Enrollment, ...]]]]:
    query = (
        select(OrderLine, Enrollment)
        .join(Enrollment, col(Enrollment.order_line_id) == col(OrderLine.id), isouter=True)
        .where(col(OrderLine.order_id).in_(order_ids))
        .order_by(col(OrderLine.order_id), col(OrderLine.position), col(Enrollment.id))
    )
    rows = (await session.execute(query)).all()
    found: defaultdict[UUID, list[tuple[OrderLine, tuple[Enrollment, ...]]]] = defaultdict(list)
    for _, places in groupby(rows, key=lambda row: row[0].id):
        of_line = list(places)
        line = of_line[0][0]
        found[line.order_id].append((line, tuple(place for _, place in of_line if place is not None)))
    return found


_OfOrder = TypeVar("_OfOrder", Document, Refund)


async def _by_order(
    session: AsyncSession, table: type[_OfOrder], order_ids: Sequence[UUID]
) -> defaultdict[UUID, list[_OfOrder]]:
    query = select(table).where(col(table.order_id).in_(order_ids)).order_by(col(table.id))
    found: defaultdict[UUID, list[_OfOrder]] = defaultdict(list)
    for row in (await session.execute(query)).scalars():
        found[row.order_id].append(row)
    return found
