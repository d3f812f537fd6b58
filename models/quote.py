"""The pinned quote: what an order costs and why (DESIGN §3.9)."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.money import Currency, MinorUnits


class QuotedLine(BaseModel):
    """One line of a quote, in minor units of the quote's currency."""

    model_config = ConfigDict(frozen=True)

    course_id: UUID
    student_id: UUID
    title: str = Field(max_length=200)
    list_amount: MinorUnits
    discount_amount: MinorUnits
    total_amount: MinorUnits


class Quote(BaseModel):
    """Every line's price, the sums, and the reasons in words an operator understands."""

    model_config = ConfigDict(frozen=True)

    currency: Currency
    lines: tuple[QuotedLine, ...]
    list_amount: MinorUnits
    discount_amount: MinorUnits
    total_amount: MinorUnits
    reasons: tuple[str, ...]
