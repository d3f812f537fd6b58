"""The column types every table shares, and the naming of its constraints."""

from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Numeric, String
from sqlmodel import Field, SQLModel

from models.identifiers import new_id

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

TIMESTAMP = DateTime(timezone=True)
MINOR_UNITS = BigInteger
CURRENCY = String(3)
MARKS = Numeric(8, 2)
STATE = String(32)


def now() -> datetime:
    """The moment, in UTC, that a row is stamped with."""
    return datetime.now(UTC)


def one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    """A CHECK that the column holds one of the vocabulary's words."""
    listed = ", ".join(f"'{word.value}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


class Row(SQLModel):
    """What every table has: a time-sortable id and the time it was written (UTC)."""

    id: UUID = Field(default_factory=new_id, primary_key=True)
    created_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
