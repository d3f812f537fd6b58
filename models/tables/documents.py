"""The numbered papers of orders, and the counters their numbers come from."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.tables.columns import STATE, TIMESTAMP, Row, one_of
from models.vocabulary import DocumentKind


class Document(Row, table=True):
    """A receipt, an invoice or a credit note. Numbered in the transaction of the fact it tells; its file follows.

    What is printed is pinned with the file, so that a file that was lost can be made again, byte by byte.
    """

    __tablename__ = "documents"
    __table_args__ = (
        one_of("kind", DocumentKind),
        CheckConstraint(
            "(file_key IS NULL) = (sha256 IS NULL) AND (file_key IS NULL) = (printed IS NULL)", name="file_whole"
        ),
        CheckConstraint("(kind = 'credit_note') = (refund_id IS NOT NULL)", name="credit_note_has_refund"),
        Index(
            "uq_documents_order_id_kind",
            "order_id",
            "kind",
            unique=True,
            postgresql_where=text("kind IN ('receipt', 'invoice')"),
        ),
        Index("ix_documents_order_id", "order_id"),
    )

    order_id: UUID = Field(foreign_key="orders.id")
    kind: DocumentKind = Field(sa_type=STATE)
    refund_id: UUID | None = Field(default=None, foreign_key="refunds.id", unique=True)
    number: str = Field(max_length=32, unique=True, description="gapless per series, e.g. R-2026-000042")
    issued_at: datetime = Field(sa_type=TIMESTAMP)
    file_key: str | None = Field(default=None, max_length=255)
    sha256: str | None = Field(default=None, max_length=64)
    printed: dict[str, object] | None = Field(
        default=None,
        sa_type=JSONB(none_as_null=True),
        description="all that is printed, as it was when the file was first made",
    )


class NumberSeries(SQLModel, table=True):
    """A gapless counter: the number is taken in the transaction that uses it (DESIGN §4)."""

    __tablename__ = "number_series"
    __table_args__ = (CheckConstraint("last_number >= 0", name="not_negative"),)

    name: str = Field(primary_key=True, max_length=40)
    last_number: int = 0
