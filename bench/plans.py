"""Every statement that an installation asks its record, and what PostgreSQL does for each, at any size of the record.

The API and the workers run in this process while jobs are done, so that no statement has to be listed: what is asked is
seen where SQLAlchemy hands it over, with its parameters, and asked again with EXPLAIN.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.statements import current_step

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_READS = ("SELECT", "WITH")
# A smaller table is read whole whatever indexes it has.
_LARGE = 1000


@dataclass
class Asked:
    """One statement of one step, with the parameters it had when it was seen last."""

    step: str
    statement: str
    parameters: tuple[Any, ...]
    times: int = 1


@dataclass(frozen=True)
class Plan:
    """What one run of a statement touched: pages of 8 KiB, milliseconds, and the large tables that it read whole.

    A statement that writes is planned only; it has no pages and no time.
    """

    pages: int
    milliseconds: float
    read_whole: tuple[str, ...]
    index_only: bool


@dataclass
class Listener:
    """Hears every statement of every engine of this process, once for each step and text."""

    asked: dict[tuple[str, str], Asked] = field(default_factory=dict)

    @contextmanager
    def listening(self) -> Iterator["Listener"]:
        """Until the context is left."""
        event.listen(Engine, "before_cursor_execute", self._hear)
        try:
            yield self
        finally:
            event.remove(Engine, "before_cursor_execute", self._hear)

    def _hear(self, _connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        step = current_step()
        if step is None or not isinstance(parameters, tuple):
            return
        step = _ID.sub("{id}", step)
        before = self.asked.get((step, statement))
        self.asked[step, statement] = Asked(step, statement, parameters, before.times + 1 if before else 1)


async def plan_of(engine: AsyncEngine, asked: Asked, rows: Mapping[str, int]) -> Plan | None:
    """Ask again, with EXPLAIN; what writes is not done. None for what cannot be explained, such as a SET.

    `rows` are those of the tables.
    """
    reads = asked.statement.lstrip().upper().startswith(_READS) and "FOR UPDATE" not in asked.statement
    options = "ANALYZE, BUFFERS, FORMAT JSON" if reads else "FORMAT JSON"
    async with engine.connect() as connection:
        try:
            found = await connection.exec_driver_sql(f"EXPLAIN ({options}) {asked.statement}", asked.parameters)
        except DBAPIError:
            return None
        answer = found.scalar_one()
        await connection.rollback()
    [told] = json.loads(answer) if isinstance(answer, str) else answer
    nodes = list(_nodes(told["Plan"]))
    scans = [node for node in nodes if "Relation Name" in node or "Index Name" in node]
    return Plan(
        pages=told["Plan"].get("Shared Hit Blocks", 0) + told["Plan"].get("Shared Read Blocks", 0),
        milliseconds=told.get("Execution Time", 0.0),
        read_whole=tuple(sorted({_relation(node) for node in nodes if _reads_whole(node, rows)})),
        index_only=bool(scans) and all(node["Node Type"] == "Index Only Scan" for node in scans),
    )


def _relation(node: dict[str, Any]) -> str:
    return str(node["Relation Name"])


def _reads_whole(node: dict[str, Any], rows: Mapping[str, int]) -> bool:
    if node["Node Type"] != "Seq Scan":
        return False
    if "Actual Rows" not in node:
        return rows.get(_relation(node), 0) > _LARGE
    return bool(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) > _LARGE)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
