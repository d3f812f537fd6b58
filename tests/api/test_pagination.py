"""Pages of a list: sizes, order, and the headers that lead on."""

import re

import httpx
import pytest
from fastapi import Request, Response

from activities.database import Sessions
from models.tables import Course
from models.vocabulary import CourseKind, CourseStatus
from routes.courses import LessonView
from routes.pagination import Page, PageQuery, page_of
from settings import Settings
from tests.api.callers import as_staff


def links(response: Response | httpx.Response) -> dict[str, str]:
    """The targets of the Link header by relation."""
    return {name: target for target, name in re.findall(r'<([^>]*)>; rel="(\w+)"', response.headers["Link"])}


@pytest.mark.parametrize(
    ("page", "total", "expected"),
    [
        (1, 0, {"first": 1, "last": 1}),
        (1, 10, {"first": 1, "last": 1}),
        (1, 11, {"first": 1, "next": 2, "last": 2}),
        (2, 30, {"first": 1, "prev": 1, "next": 3, "last": 3}),
        (3, 30, {"first": 1, "prev": 2, "last": 3}),
        (9, 30, {"first": 1, "prev": 3, "last": 3}),
    ],
)
def test_links_lead_to_pages_that_exist(page: int, total: int, expected: dict[str, int]) -> None:
    request = Request(
        {"type": "http", "method": "GET", "path": "/v1/x", "query_string": b"status=a+b&page=7", "headers": []}
    )
    response = Response()
    answered: Page[LessonView] = page_of(request, response, PageQuery(page=page, per_page=10), (), total)
    assert (answered.page, answered.per_page, answered.total) == (page, 10, total)
    assert links(response) == {name: f"/v1/x?status=a+b&page={number}" for name, number in expected.items()}
    assert response.headers["X-Total-Count"] == str(total)


async def courses(sessions: Sessions, number: int) -> None:
    async with sessions.begin() as session:
        session.add_all(
            Course(
                code=f"C{index:02}",
                title="All the same",
                category="test",
                kind=CourseKind.SELF_PACED,
                status=CourseStatus.PUBLISHED,
                price_amount=index // 3,
                currency="EUR",
            )
            for index in range(number)
        )


@pytest.mark.parametrize("sort", ["title", "title:desc", "price_amount", "price_amount:desc", "starts_at:desc"])
async def test_following_next_meets_every_row_once(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, sort: str
) -> None:
    await courses(sessions, 23)
    address: str | None = f"/v1/courses?per_page=5&sort={sort}"
    met: list[str] = []
    while address is not None:
        answer = await client.get(address, headers=as_staff(settings))
        assert answer.headers["X-Total-Count"] == "23"
        met += [course["id"] for course in answer.json()["items"]]
        address = links(answer).get("next")
    assert len(met) == len(set(met)) == 23


async def test_a_page_has_25_unless_asked_and_100_at_most(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions
) -> None:
    await courses(sessions, 30)
    headers = as_staff(settings)
    assert len((await client.get("/v1/courses", headers=headers)).json()["items"]) == 25
    assert len((await client.get("/v1/courses?per_page=100", headers=headers)).json()["items"]) == 30
    assert (await client.get("/v1/courses?page=4", headers=headers)).json()["items"] == []


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=x",
        "per_page=0",
        "per_page=101",
        "page=99999999999999999999",
        "sort=secret",
        "sort=title:up",
        "x=1",
    ],
)
async def test_what_cannot_be_asked_is_refused(client: httpx.AsyncClient, settings: Settings, query: str) -> None:
    answer = await client.get(f"/v1/courses?{query}", headers=as_staff(settings))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"query/{query.partition('=')[0]}"
