"""Human numbers, gapless per series: taken in the transaction that uses them, so a rollback takes none."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.tables import NumberSeries

_TEST = "TEST-"
_OF_CERTIFICATE = re.compile(rf"(?:{_TEST})?([A-Z][A-Z0-9]*)-\d{{4}}-\d{{6,}}")


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
    name = _name(series.value, year, is_test)
    taken = await _take(session, {name: 1})
    return _number(name, taken[name])


async def next_certificate_numbers(
    session: AsyncSession, series: Sequence[str], *, year: int, is_test: bool
) -> list[str]:
    """A number of each of these series, in this order, e.g. `CERT-2026-000042`.

    Academies name the series of certificates themselves: they count apart from those of `Series`, whatever the name.
    The rows stay locked until the transaction ends, always in the same order: ask late, and once.
    """
    names = [_name(each, year, is_test) for each in series]
    counters = {name: f"certificate:{name}" for name in names}
    wanted = Counter(counters[name] for name in names)
    last = await _take(session, wanted)
    given: Counter[str] = Counter()
    numbers = []
    for name in names:
        counter = counters[name]
        given[counter] += 1
        numbers.append(_number(name, last[counter] - wanted[counter] + given[counter]))
    return numbers


def series_of(number: str) -> str:
    """The series that a certificate's number is of. Raises `ValueError` for another text."""
    found = _OF_CERTIFICATE.fullmatch(number)
    if found is None:
        raise ValueError("this is no number of a certificate")
    return found.group(1)


def _name(series: str, year: int, is_test: bool) -> str:
    return f"{_TEST if is_test else ''}{series}-{year}"


def _number(name: str, count: int) -> str:
    return f"{name}-{count:06d}"


async def _take(session: AsyncSession, wanted: Mapping[str, int]) -> dict[str, int]:
    """Count so many on, and answer the last number of each."""
    rows = [{"name": name, "last_number": count} for name, count in sorted(wanted.items())]
    counted = insert(NumberSeries).values(rows)
    counted = counted.on_conflict_do_update(
        index_elements=["name"], set_={"last_number": col(NumberSeries.last_number) + counted.excluded.last_number}
    )
    found = await session.execute(counted.returning(col(NumberSeries.name), col(NumberSeries.last_number)))
    return {row.name: row.last_number for row in found}
