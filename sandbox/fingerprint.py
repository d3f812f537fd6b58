"""What the record says, in short: to tell whether something has changed anything at all."""

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

# What a check may write each time it looks: that it has looked.
LOOKED = {
    "check_runs": None,
    "check_run_findings": None,
    "stripe_event_cursors": None,
    "balance_transactions": ("read_at",),
}


async def fingerprint(
    engine: AsyncEngine, ignoring: Mapping[str, tuple[str, ...] | None] = LOOKED
) -> dict[str, str | None]:
    """A digest of every table; of those to be ignored none, or one without the columns that are named."""
    digests: dict[str, str | None] = {}
    async with engine.connect() as connection:
        for table in SQLModel.metadata.sorted_tables:
            left_out = ignoring.get(table.name, ())
            if left_out is None:
                continue
            columns = ", ".join(f'"{column.name}"' for column in table.columns if column.name not in left_out)
            rows = f"SELECT {columns} FROM {table.name}"  # noqa: S608 - names of our own tables
            query = f"SELECT md5(string_agg(r::text, '|' ORDER BY r::text)) FROM ({rows}) r"  # noqa: S608
            digests[table.name] = (await connection.execute(text(query))).scalar_one()
    return digests
