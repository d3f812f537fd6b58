"""The pinned quote: what an order costs and why (DESIGN §3.9)."""

from decimal import Decimal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.money import Currency, MinorUnits
from models.vocabulary import TaxBehavior


class Share(BaseModel):
    """The part of a line's total that is for one of its courses: the course itself, or each one of a bundle."""

    model_config = ConfigDict(frozen=True)

    course_id: UUID
    amount: MinorUnits


class QuotedLine(BaseModel):
    """One line of a quote, in minor units of the quote's currency.

    The total is list price less discount, and plus the tax where it comes on top (`QuotedTax.behavior`).
    """

    model_config = ConfigDict(frozen=True)

    course_id: UUID
    student_id: UUID
    title: str = Field(max_length=200)
    list_amount: MinorUnits
    discount_amount: MinorUnits
    tax_amount: MinorUnits = 0
    total_amount: MinorUnits
    already_entitled: bool = Field(default=False, description="the student has access already: nothing is charged")
    shares: tuple[Share, ...] = Field(default=(), description="sum to the total; none where already entitled")


class QuotedTax(BaseModel):
    """The rate that the quote was taxed with; a quote that comes to nothing has none."""

    model_config = ConfigDict(frozen=True)

    country: str
    name: str
    percent: Decimal
    behavior: TaxBehavior


class Quote(BaseModel):
    """Every line's price, the sums, and the reasons in words an operator understands."""

    model_config = ConfigDict(frozen=True)

    currency: Currency
    lines: tuple[QuotedLine, ...]
    list_amount: MinorUnits
    discount_amount: MinorUnits = Field(description="sale prices and the coupon together")
    coupon_amount: MinorUnits = Field(default=0, description="what of it the coupon took off")
    tax: QuotedTax | None = None
    tax_amount: MinorUnits = 0
    total_amount: MinorUnits
    reasons: tuple[str, ...]
