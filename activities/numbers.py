"""Human numbers, gapless per series: taken in the transaction that uses them, so a rollback takes none."""

from enum import StrEnum

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.tables import NumberSeries


class Series(StrEnum):
    """What is numbered; the value is the letter people see."""

    ORDER = "O"
    RECEIPT = "R"
    INVOICE = "I"
    CREDIT_NOTE = "C"


async def next_number(session: AsyncSession, series: Series, *, year: int, is_test: bool) -> str:
    """The next number, e.g. `O-2026-000042`. Test orders count in a series of their own (`TEST-O-2026-000001`).

    The series' row stays locked until the transaction ends: ask for the number late.
    """
    name = f"{'TEST-' if is_test else ''}{series.value}-{year}"
    taken = (
        insert(NumberSeries)
        .values(name=name, last_number=1)
        .on_conflict_do_update(index_elements=["name"], set_={"last_number": col(NumberSeries.last_number) + 1})
        .returning(col(NumberSeries.last_number))
    )
    number = (await session.execute(taken)).scalar_one()
    return f"{name}-{number:06d}"
