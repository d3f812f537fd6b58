"""The last scene of the demo: what was played, as the academy's sales of the day, on paper and as a workbook."""

import asyncio
import time
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

from openpyxl import load_workbook
from rich.table import Table

from activities.report_sheet import figure
from models.identifiers import export_workflow_id
from models.money import places_of
from models.vocabulary import ExportFormat, ExportReport, RefundStatus, Role
from sandbox.play import Json, Player, Scene
from sandbox.sample_academy import read_academy

_PATIENCE_SECONDS = 60
_GOES_BACK = {RefundStatus.PENDING, RefundStatus.REQUIRES_ACTION, RefundStatus.SUCCEEDED}
_SALES = ExportReport.SALES


async def sales_of_the_day(player: Player, scene: Scene) -> None:
    zone = ZoneInfo(read_academy().academy.time_zone)
    orders = await _orders(player)
    days = {datetime.fromisoformat(each["completed_at"]).astimezone(zone).date() for each in orders}
    # A demo that is played over midnight has two days.
    first, end = min(days), max(*days, datetime.now(zone).date()) + timedelta(days=1)
    player.say(f"Frida asks for the sales of {first}, as a PDF with charts and as a workbook")
    folder = player.home / "reports"
    folder.mkdir(exist_ok=True)
    for format_ in (ExportFormat.XLSX, ExportFormat.PDF):
        export_id, file = await _exported(player, format_, first, end)
        (folder / f"sales.{format_}").write_bytes(file)
        scene.workflow_id, scene.to_open = export_workflow_id(export_id), f"reports/sales.{format_}"
    told, played = _told((folder / "sales.xlsx").read_bytes()), _played(orders)
    player.show(_table(told))
    if told != played:
        raise AssertionError(f"the workbook says {told}, and {played} was played")
    player.say("To the cent what the orders and refunds of this demo come to")
    scene.state = "done"


async def _orders(player: Player) -> list[Json]:
    """Every order that was completed."""
    orders: list[Json] = []
    page = 1
    while True:
        answer = await player.get(f"/v1/orders?page={page}&per_page=100", "finance", Role.STAFF)
        orders += [each for each in answer["items"] if each["completed_at"] is not None]
        if page * 100 >= answer["total"]:
            return orders
        page += 1


def _played(orders: list[Json]) -> dict[str, tuple[int, int]]:
    """By currency what was sold, and what went back of it, in minor units."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for order in orders:
        sums[order["currency"]][0] += order["total_amount"]
        sums[order["currency"]][1] += sum(
            refund["amount"] for refund in order["refunds"] if refund["status"] in _GOES_BACK
        )
    return {currency: (sold, back) for currency, (sold, back) in sums.items()}


def _told(workbook: bytes) -> dict[str, tuple[int, int]]:
    """The same, as the workbook has it."""
    head, *rows = load_workbook(BytesIO(workbook), read_only=True)["By course"].iter_rows(values_only=True)
    # The lines with sums end before the columns that say more of a course.
    named = [dict(zip(head, row, strict=False)) for row in rows]
    return {
        str(row["Currency"]): (_minor(row["Sales"], row["Currency"]), _minor(row["Refunds"], row["Currency"]))
        for row in named
        if row["Course"] == "In all"
    }


def _minor(value: Any, currency: Any) -> int:
    return int(Decimal(str(value)).scaleb(places_of(str(currency))).to_integral_value())


def _table(sums: dict[str, tuple[int, int]]) -> Table:
    table = Table(title="The sales of the day", title_justify="left")
    for column in ("Currency", "Sales", "Refunds", "Net"):
        table.add_column(column, justify="left" if column == "Currency" else "right")
    for currency, (sold, back) in sums.items():
        table.add_row(currency, *(figure(amount, currency) for amount in (sold, back, sold - back)))
    return table


async def _exported(player: Player, format_: ExportFormat, first: date, end: date) -> tuple[Any, bytes]:
    """The id of the export, and its file."""
    filters = {"date_from": first.isoformat(), "date_until": end.isoformat()}
    body = {"report": _SALES, "format": format_, "filters": filters}
    answer = await player.ask("/v1/exports", body, "finance", Role.STAFF)
    export: Json = answer.raise_for_status().json()
    path = f"/v1/exports/{export['id']}"
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while export["status"] != "done":
        if export["status"] != "running" or time.monotonic() > deadline:
            raise TimeoutError(f"the export is {export['status']}")
        await asyncio.sleep(0.1)
        export = await player.get(path, "finance", Role.STAFF)
    return export["id"], await player.download(f"{path}/file", "finance", Role.STAFF)


REPORT_SCENES = [Scene("The sales of the day", sales_of_the_day)]
