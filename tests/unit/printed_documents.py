"""Documents as they are printed, for the tests of how they look. The sums of each of them add up."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TypedDict

from activities.printed import (
    BoughtLine,
    Buyer,
    CreditedLine,
    PaidByCard,
    PaidByInvoice,
    PrintedCreditNote,
    PrintedDocument,
    PrintedInvoice,
    PrintedReceipt,
    Seller,
    Tax,
)
from models.money import Money
from models.vocabulary import TaxBehavior

ISSUED = datetime(2026, 3, 12, 23, 30, tzinfo=UTC)
DAY = date(2026, 3, 13)  # in Berlin
SELLER = Seller(
    name="TutorHub Academy",
    legal_name="TutorHub Academy GmbH",
    address=("Lindenstraße 12", "10969 Berlin"),
    tax_number="DE 315 728 904",
    email="hello@tutorhub-academy.test",
)
COMPANY = Buyer(
    name="Müller & Söhne Weiterbildung GmbH & Co. KG",
    contact="Łukasz Żółciński",
    address=("Am Großen Wannsee 56–58", "14109 Berlin"),
    tax_number="DE 123 456 789",
    email="lukasz@students.test",
)
INCLUSIVE, EXCLUSIVE = TaxBehavior.INCLUSIVE, TaxBehavior.EXCLUSIVE
_CARD = PaidByCard(reference="ch_1")


class _Sold(TypedDict):
    order_number: str
    issued_at: datetime
    issued_on: date
    locale: str
    seller: Seller
    buyer: Buyer
    is_test: bool
    lines: tuple[BoughtLine, ...]
    subtotal: Money
    discount: Money
    tax: Tax | None
    total: Money


def person(name: str = "Grace Hopper") -> Buyer:
    """Somebody who never gave an address."""
    return Buyer(name=name, contact=None, address=(), tax_number=None, email="grace@students.test")


def sold(
    *, locale: str = "en", lines: int = 1, currency: str = "EUR", amount: int = 12900, off: int = 0, vat: int = 0,
    behavior: TaxBehavior = INCLUSIVE, buyer: Buyer | str = "Grace Hopper", student: str | None = None,
    title: str = "Spanish for beginners", tax_name: str = "VAT", starts_on: date | None = None,
    is_test: bool = False, seller: Seller = SELLER,
) -> _Sold:  # fmt: skip
    """Equal lines of `amount` less `off`, with `vat` minor units of 19 % within or on top of each."""

    def money(minor: int) -> Money:
        return Money(amount=minor, currency=currency)

    buyer = person(buyer) if isinstance(buyer, str) else buyer
    total = amount - off + (vat if behavior is EXCLUSIVE else 0)
    line = BoughtLine(
        title=title, student_name=student or buyer.contact or buyer.name, starts_on=starts_on,
        list_price=money(amount), discount=money(off), tax=money(vat), total=money(total),
    )  # fmt: skip
    tax = Tax(
        name=tax_name, percent=Decimal("19.00"), behavior=behavior,
        net=money((total - vat) * lines), amount=money(vat * lines),
    )  # fmt: skip
    return _Sold(
        order_number="O-2026-000057", issued_at=ISSUED, issued_on=DAY, locale=locale, seller=seller, buyer=buyer,
        is_test=is_test, lines=(line,) * lines, subtotal=money(amount * lines), discount=money(off * lines),
        tax=tax if vat else None, total=money(total * lines),
    )  # fmt: skip


def receipt(sale: _Sold, *, payment: PaidByCard | PaidByInvoice = _CARD, paid_on: date = DAY) -> PrintedReceipt:
    """A sale that was paid, if there was anything to pay."""
    return PrintedReceipt(
        number="R-2026-000042", paid_on=paid_on, payment=payment if sale["total"].amount else None, **sale
    )


def invoice(sale: _Sold, *, instructions: tuple[str, ...] = ()) -> PrintedInvoice:
    """A sale that is to be paid within two weeks."""
    return PrintedInvoice(
        number="I-2026-000007", due_on=date(2026, 3, 27), amount_due=sale["total"], instructions=instructions, **sale
    )


def credit_note(
    sale: _Sold, *, reason: str = "seat_lost", part: str | None = None, invoice_number: str | None = None
) -> PrintedCreditNote:
    """All of a sale that is taken back."""
    lines = tuple(
        CreditedLine(title=line.title, part=part, student_name=line.student_name, tax=line.tax, total=line.total)
        for line in sale["lines"]
    )
    return PrintedCreditNote(
        number="C-2026-000003", order_number=sale["order_number"], issued_at=sale["issued_at"],
        issued_on=sale["issued_on"], locale=sale["locale"], seller=sale["seller"], buyer=sale["buyer"],
        is_test=sale["is_test"], receipt_number="R-2026-000042", invoice_number=invoice_number, lines=lines,
        tax=sale["tax"], total=sale["total"], reason=reason,
    )  # fmt: skip


def of_every_kind(sale: _Sold) -> tuple[PrintedDocument, ...]:
    """The sale's three documents."""
    return receipt(sale), invoice(sale), credit_note(sale)
