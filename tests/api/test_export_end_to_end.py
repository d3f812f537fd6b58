"""Every list there is, asked for and downloaded over HTTP alone: as the API describes it, row by row."""

import csv
from io import BytesIO, StringIO
from typing import Any

import httpx
from openpyxl import load_workbook

from models.vocabulary import Role
from tests.eventually import eventually
from tests.installation import Installation

Json = dict[str, Any]
_MAY_BE_EMPTY = ("tutor_applications", "carts", "certificates")


async def test_whatever_can_be_listed_is_to_be_had_as_a_file(installation: Installation) -> None:
    admin = installation.caller("frida", Role.SERVICE)
    http = installation.http
    order = (await installation.post_order("spanish-a1")).json()
    await installation.pay(order)
    await installation.order_ends(order["id"])
    fields = {"fields": [{"key": "employee_number", "label": "Employee number", "reports": ["users", "orders"]}]}
    staff = installation.caller("frida", Role.STAFF)
    assert (await http.put("/v1/custom-fields", json=fields, headers=staff)).status_code == 200
    described: list[Json] = (await http.get("/v1/exports/reports", headers=admin)).raise_for_status().json()["items"]
    listings = [each for each in described if not each["needs_span"]]

    async def asked(report: str, format_: str) -> str:
        headers = {**admin, "Idempotency-Key": f"{report}-{format_}"}
        body = {"report": report, "format": format_}
        return str((await http.post("/v1/exports", json=body, headers=headers)).raise_for_status().headers["location"])

    async def done(path: str) -> Json:
        seen: Json = {}

        async def is_over() -> bool:
            seen.update((await http.get(path, headers=admin)).raise_for_status().json())
            return bool(seen["status"] != "running")

        await eventually(is_over)
        assert seen["status"] == "done", seen
        return seen

    paths = {each["report"]: await asked(each["report"], "xlsx") for each in listings}
    others = {format_: await asked("orders", format_) for format_ in ("csv", "pdf")}
    for each in listings:
        export = await done(paths[each["report"]])
        data = (await http.get(f"{paths[each['report']]}/file", headers=admin)).raise_for_status().content
        rows = list(load_workbook(BytesIO(data)).worksheets[0].iter_rows(values_only=True))
        titles = [column["title"] for column in each["columns"]]
        at = next(place for place, row in enumerate(rows) if list(row[: len(titles)]) == titles)
        assert len(rows) - at - 1 >= export["row_count"], each["report"]
        assert export["row_count"] > 0 or each["report"] in _MAY_BE_EMPTY, each["report"]
    await done(others["csv"])
    link = (await http.post(f"{others['csv']}/link", headers=admin)).raise_for_status().json()["url"]
    told = (await http.get(httpx.URL(link).path)).raise_for_status().content.decode("utf-8-sig")
    table = list(csv.reader(StringIO(told)))
    assert [row[table[0].index("Order")] for row in table[1:]] == [order["number"]]
    assert "Employee number" in table[0]
    await done(others["pdf"])
    pdf = await http.get(f"{others['pdf']}/file", headers=admin)
    assert pdf.content.startswith(b"%PDF")
    assert pdf.headers["content-type"] == "application/pdf"
