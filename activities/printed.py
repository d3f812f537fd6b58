"""What is printed on a numbered document: pinned with its file, and all that the file is made from.

Nothing is computed any more when a document is set, so that the same facts always give the same bytes. Whatever is
printed one day that is not printed today needs a default here: the snapshots of today will not have it.
"""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from models.money import Money
from models.vocabulary import DocumentKind, OfflineMethod, TaxBehavior


class _Printed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Seller(_Printed):
    """The academy as it signs a document."""

    name: str
    legal_name: str
    address: tuple[str, ...]
    tax_number: str | None
    email: str


class Buyer(_Printed):
    """Whom the document is made out to. A missing address is no error (Academy of Mine R6)."""

    name: str
    contact: str | None = Field(description="the person, where the name is that of a company")
    address: tuple[str, ...]
    tax_number: str | None
    email: str


class Tax(_Printed):
    """The one rate of the order, the sum before it and what it makes of the document's total."""

    name: str
    percent: Decimal
    behavior: TaxBehavior
    net: Money
    amount: Money


class BoughtLine(_Printed):
    """One course for one student. The total holds the tax, also where that comes on top of the price."""

    title: str
    student_name: str
    starts_on: date | None = Field(description="when the course or its first lesson begins, the date of supply")
    list_price: Money
    discount: Money
    tax: Money
    total: Money


class CreditedLine(_Printed):
    """What goes back for one course of one student; the tax is within the total."""

    title: str
    part: str | None = Field(description="the course, where only that part of a bundle is credited")
    student_name: str
    tax: Money
    total: Money


class PaidByCard(_Printed):
    """Paid through Stripe."""

    by: Literal["card"] = "card"
    reference: str | None = Field(description="Stripe's id of the charge")


class PaidByInvoice(_Printed):
    """Paid outside of Stripe, against an invoice."""

    by: Literal["invoice"] = "invoice"
    number: str
    methods: tuple[OfflineMethod, ...] = Field(min_length=1, description="several where it was paid in parts")


class _Document(_Printed):
    number: str
    order_number: str
    issued_at: AwareDatetime
    issued_on: date = Field(description="the academy's day of the issue")
    locale: str = Field(description="the payer's BCP 47 tag")
    seller: Seller
    buyer: Buyer
    tax: Tax | None
    total: Money = Field(description="with the tax")
    is_test: bool


class _Sale(_Document):
    lines: tuple[BoughtLine, ...] = Field(min_length=1)
    subtotal: Money = Field(description="of the list prices")
    discount: Money


class PrintedReceipt(_Sale):
    """The receipt of a completed order."""

    kind: Literal[DocumentKind.RECEIPT] = DocumentKind.RECEIPT
    paid_on: date
    payment: Annotated[PaidByCard | PaidByInvoice, Field(discriminator="by")] | None = Field(
        description="none if nothing was to be paid"
    )
    received: Money | None = Field(default=None, description="what came in, where staff accepted another amount")


class PrintedInvoice(_Sale):
    """An invoice; its number is what a payment has to refer to."""

    kind: Literal[DocumentKind.INVOICE] = DocumentKind.INVOICE
    due_on: date
    amount_due: Money
    instructions: tuple[str, ...] = Field(description="how to pay, line by line; none if the academy has written none")


class PrintedCreditNote(_Document):
    """What is taken back of a receipt, and why."""

    kind: Literal[DocumentKind.CREDIT_NOTE] = DocumentKind.CREDIT_NOTE
    receipt_number: str | None
    invoice_number: str | None
    lines: tuple[CreditedLine, ...] = Field(min_length=1)
    reason: str = Field(description="a word of ours, e.g. `seat_lost`")


PrintedDocument = PrintedReceipt | PrintedInvoice | PrintedCreditNote

_ANY: TypeAdapter[PrintedDocument] = TypeAdapter(Annotated[PrintedDocument, Field(discriminator="kind")])


def snapshot_of(printed: PrintedDocument) -> dict[str, object]:
    """The facts as they are kept in the record."""
    return printed.model_dump(mode="json")


def from_snapshot(snapshot: dict[str, object]) -> PrintedDocument:
    """The facts as they were kept. Raises `pydantic.ValidationError`, which names people, if they are not whole."""
    return _ANY.validate_python(snapshot)
