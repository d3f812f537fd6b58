"""Lists in pages: what may be asked, and the headers that lead from page to page."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Select, func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped

ItemT = TypeVar("ItemT", bound=BaseModel)

PER_PAGE = 25
MAX_PER_PAGE = 100
TOTAL_COUNT = "X-Total-Count"

LIST_HEADERS: Mapping[str, Any] = {
    "Link": {
        "description": "RFC 8288 links `first`, `prev`, `next`, `last`; those that exist",
        "schema": {"type": "string"},
        "example": '</v1/orders?page=1>; rel="first", </v1/orders?page=3>; rel="next", </v1/orders?page=9>; rel="last"',
    },
    TOTAL_COUNT: {"description": "how many there are on all pages", "schema": {"type": "integer"}, "example": 214},
}


class PageQuery(BaseModel):
    """What every list may be asked for. An unknown query parameter is refused, like an unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    page: Annotated[int, Field(ge=1, le=1_000_000, description="which page, from 1")] = 1
    per_page: Annotated[int, Field(ge=1, le=MAX_PER_PAGE, description="how many on a page")] = PER_PAGE


class Page(BaseModel, Generic[ItemT]):
    """One page of a list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[ItemT, ...]
    page: int
    per_page: int
    total: int = Field(description="how many there are on all pages")


def example_page(item: ItemT) -> Page[ItemT]:
    """A list of one, for the documentation."""
    return Page[ItemT](items=(item,), page=1, per_page=PER_PAGE, total=1)


def sorted_page(
    query: Select[*tuple[Any, ...]],
    page: PageQuery,
    sort: str,
    columns: Mapping[str, Mapped[Any]],
    tie_breaker: Mapped[Any],
) -> Select[*tuple[Any, ...]]:
    """The rows of one page, in a total order, so that no row is on two pages."""
    field, _, direction = sort.partition(":")
    order = [column.desc() if direction == "desc" else column.asc() for column in (columns[field], tie_breaker)]
    return query.order_by(*order).limit(page.per_page).offset((page.page - 1) * page.per_page)


def matching(*wanted: tuple[Mapped[Any], object]) -> list[ColumnElement[bool]]:
    """The conditions of a list: each column has the value that was asked for. Where that is none, any will do."""
    return [column == value for column, value in wanted if value is not None]


async def total_of(session: AsyncSession, query: Select[*tuple[Any, ...]]) -> int:
    """How many rows the query finds, on all pages."""
    return (await session.execute(query.with_only_columns(func.count(), maintain_column_froms=True))).scalar_one()


def page_of(request: Request, response: Response, asked: PageQuery, items: Iterable[ItemT], total: int) -> Page[ItemT]:
    """The page as it is answered, with the `Link` and total count headers set."""
    last = max(1, -(-total // asked.per_page))
    pages = {"first": 1}
    if asked.page > 1:
        pages["prev"] = min(asked.page - 1, last)
    if asked.page < last:
        pages["next"] = asked.page + 1
    pages["last"] = last
    response.headers["Link"] = ", ".join(
        f'<{_address(request, number)}>; rel="{name}"' for name, number in pages.items()
    )
    response.headers[TOTAL_COUNT] = str(total)
    return Page(items=tuple(items), page=asked.page, per_page=asked.per_page, total=total)


def _address(request: Request, page: int) -> str:
    asked = [(name, value) for name, value in request.query_params.multi_items() if name != "page"]
    return f"{request.url.path}?{urlencode([*asked, ('page', page)])}"
