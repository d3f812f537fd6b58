"""The named queries of operators: linked by the API, listed by the page, understood by the server."""

import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
from temporalio.client import Client

from models.saved_queries import SAVED_QUERIES
from settings import Settings
from tests.api.callers import as_staff

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"
_ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| `([^`]+)` \|$", re.MULTILINE)


async def test_staff_get_them_as_links(client: httpx.AsyncClient, settings: Settings) -> None:
    answer = await client.get("/v1/saved-queries", headers=as_staff(settings))
    items = answer.raise_for_status().json()["items"]
    assert [item["name"] for item in items] == [saved.name for saved in SAVED_QUERIES]
    for item in items:
        link = urlsplit(item["href"])
        assert f"{link.scheme}://{link.netloc}{link.path}" == "http://temporal.test/namespaces/default/workflows"
        assert parse_qs(link.query) == {"query": [item["query"]]}
        assert "<now>" not in item["query"]


def test_the_page_lists_exactly_them() -> None:
    [table] = re.findall(r"^\| name \| finds \| query \|\n.*?\n\n", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert _ROW.findall(table) == [(saved.name, saved.finds, saved.query) for saved in SAVED_QUERIES]


async def test_the_server_understands_them(real_temporal: Client) -> None:
    for saved in SAVED_QUERIES:
        await real_temporal.count_workflows(saved.at(datetime.now(UTC)))
