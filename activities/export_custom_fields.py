"""The academy's own fields of people, as extra columns of exports (Academy of Mine `includeInReportExports`)."""

from typing import Any

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import SQLCoreOperations
from sqlmodel import col

from activities.export_columns import Column, Shown
from models.tables import CustomField, PersonField
from models.vocabulary import ExportReport

_PREFIX = "custom_"


async def custom_fields(
    session: AsyncSession, report: ExportReport, person_id: SQLCoreOperations[Any]
) -> tuple[Shown, ...]:
    """A column for each field that the report shows, of the person that it has in `person_id`."""
    query = (
        select(col(CustomField.key), col(CustomField.label))
        .where(literal(report.value) == col(CustomField.reports).any_())
        .order_by(col(CustomField.position), col(CustomField.key))
    )
    return tuple(
        (Column(f"{_PREFIX}{key}", label), _value_of(key, person_id))
        for key, label in (await session.execute(query)).all()
    )


def _value_of(key: str, person_id: SQLCoreOperations[Any]) -> SQLCoreOperations[Any]:
    # By the primary key: one row at most.
    value = select(col(PersonField.value)).where(col(PersonField.person_id) == person_id, col(PersonField.key) == key)
    return value.correlate_except(PersonField).scalar_subquery()
