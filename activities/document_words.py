"""The words of a document in its reader's language: everything that a sheet shows, as texts, before it is set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from babel.dates import format_date
from babel.numbers import format_percent

from activities.printed import (
    BoughtLine,
    PaidByCard,
    PaidByInvoice,
    PrintedCreditNote,
    PrintedDocument,
    PrintedInvoice,
    PrintedReceipt,
    Tax,
)
from activities.translations import Texts, texts_for
from models.money import Money
from models.vocabulary import TaxBehavior

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Party:
    """Seller or buyer: which of them, the name, and the lines beneath it."""

    role: str
    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """A line of the table: its title, details beneath it, and an amount for each of the table's columns."""

    title: str
    details: tuple[str, ...]
    amounts: tuple[str, ...]


@dataclass(frozen=True)
class Body:
    """What differs from kind to kind. `sums` are names and amounts; the last one is what the document is about."""

    numbers: Pairs
    headline: str
    notes: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    sums: Pairs
    how_to_pay: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """All texts of a document."""

    texts: Texts
    title: str
    subject: str
    academy: str
    seller: Party
    buyer: Party
    body: Body
    questions: str
    footer: str
    watermark: str | None


def sheet_of(printed: PrintedDocument) -> Sheet:
    """The document in the payer's language, if we have it."""
    words = _Words(texts_for("documents", printed.locale))
    texts, seller, buyer = words.texts, printed.seller, printed.buyer
    return Sheet(
        texts=texts,
        title=texts[f"{printed.kind}.title"],
        subject=texts.say(f"{printed.kind}.subject", number=printed.order_number),
        academy=seller.name,
        seller=Party(
            texts["sold_by"],
            seller.legal_name,
            (*seller.address, seller.email, *words.tax_number(seller.tax_number)),
        ),
        buyer=Party(
            texts["billed_to"],
            buyer.name,
            (*filter(None, [buyer.contact]), *buyer.address, buyer.email, *words.tax_number(buyer.tax_number)),
        ),
        body=_body(printed, words),
        questions=texts.say("questions", email=seller.email),
        footer=f"{printed.number} · {seller.legal_name}",
        watermark=texts["test"] if printed.is_test else None,
    )


class _Words:
    """Amounts, dates and phrases as the reader writes them."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts

    def money(self, money: Money) -> str:
        return money.format(self.texts.locale)

    def less(self, discount: Money) -> str:
        """What is taken off; the marks keep the sign at the left of the number also in Arabic."""
        amount = self.money(discount).lstrip("\N{RIGHT-TO-LEFT MARK}")
        return f"\N{LEFT-TO-RIGHT MARK}\N{MINUS SIGN}{amount}" if discount.amount else "\N{EN DASH}"

    def day(self, day: date) -> str:
        return format_date(day, "long", locale=self.texts.locale)

    def tax(self, tax: Tax) -> str:
        percent = format_percent(tax.percent / 100, locale=self.texts.locale, decimal_quantization=False)
        return self._told(tax, f"{tax.name} {percent}")

    def tax_column(self, tax: Tax) -> str:
        return self._told(tax, tax.name)

    def tax_number(self, number: str | None) -> tuple[str, ...]:
        return () if number is None else (f"{self.texts['tax_number']}: {number}",)

    def taxed(self, tax: Tax | None) -> Pairs:
        """The sums of net and tax, on a document that has them."""
        return (
            () if tax is None else ((self.texts["net"], self.money(tax.net)), (self.tax(tax), self.money(tax.amount)))
        )

    def _told(self, tax: Tax, name: str) -> str:
        return self.texts.say("included", tax=name) if tax.behavior is TaxBehavior.INCLUSIVE else name


def _body(printed: PrintedDocument, words: _Words) -> Body:
    match printed:
        case PrintedReceipt():
            return _receipt(printed, words)
        case PrintedInvoice():
            return _invoice(printed, words)
        case PrintedCreditNote():
            return _credit_note(printed, words)


def _receipt(receipt: PrintedReceipt, words: _Words) -> Body:
    texts, paid_on = words.texts, words.day(receipt.paid_on)
    paid = words.money(receipt.received or receipt.total)
    asked = () if receipt.received is None else ((texts["total"], words.money(receipt.total)),)
    dated = () if receipt.paid_on == receipt.issued_on else ((texts["paid_on"], paid_on),)
    columns, rows = _sold(receipt, words)
    return Body(
        numbers=(*_numbers(receipt, words), *dated, *_payment(receipt.payment, texts)),
        headline=texts.say("receipt.headline", amount=paid, date=paid_on)
        if receipt.payment is not None
        else texts.say("free", date=words.day(receipt.issued_on)),
        notes=_notes(receipt, texts),
        columns=columns,
        rows=rows,
        sums=(*_sums(receipt, words), *asked, (texts["receipt.total"], paid)),
    )


def _invoice(invoice: PrintedInvoice, words: _Words) -> Body:
    texts, due, due_on = words.texts, words.money(invoice.amount_due), words.day(invoice.due_on)
    columns, rows = _sold(invoice, words)
    return Body(
        numbers=(*_numbers(invoice, words), (texts["due_on"], due_on)),
        headline=texts.say("invoice.headline", amount=due, date=due_on),
        notes=_notes(invoice, texts),
        columns=columns,
        rows=rows,
        sums=(
            *_sums(invoice, words),
            (texts["total"], words.money(invoice.total)),
            (texts["invoice.total"], due),
        ),
        how_to_pay=(*invoice.instructions, texts.say("state_reference", number=invoice.number)),
    )


def _credit_note(note: PrintedCreditNote, words: _Words) -> Body:
    texts, total = words.texts, words.money(note.total)
    corrected = (("corrects", note.receipt_number), ("invoice.number", note.invoice_number))
    why = texts.texts.get(f"reason.{note.reason}")
    amounts = [(texts["amount"], [words.money(line.total) for line in note.lines])]
    if note.tax is not None:
        amounts.insert(0, (words.tax_column(note.tax), [words.money(line.tax) for line in note.lines]))
    columns, cells = _table(amounts)
    return Body(
        numbers=(
            *_numbers(note, words),
            *((texts[key], number) for key, number in corrected if number is not None),
        ),
        headline=texts.say("credit_note.headline", amount=total),
        notes=(*filter(None, [why]), texts["goes_back"], *_notes(note, texts)),
        columns=columns,
        rows=tuple(
            Row(
                line.title,
                (*([texts.say("part", course=line.part)] if line.part else []), line.student_name),
                shown,
            )
            for line, shown in zip(note.lines, cells, strict=True)
        ),
        sums=(*words.taxed(note.tax), (texts["credit_note.total"], total)),
    )


def _numbers(printed: PrintedDocument, words: _Words) -> Pairs:
    texts = words.texts
    return (
        (texts[f"{printed.kind}.number"], printed.number),
        (texts["order_number"], printed.order_number),
        (texts["issued_on"], words.day(printed.issued_on)),
    )


def _payment(payment: PaidByCard | PaidByInvoice | None, texts: Texts) -> Pairs:
    match payment:
        case None:
            return ((texts["payment_method"], texts["nothing_due"]),)
        case PaidByCard():
            reference = () if payment.reference is None else ((texts["reference"], payment.reference),)
            return ((texts["payment_method"], texts["card"]), *reference)
        case PaidByInvoice():
            ways = " · ".join(texts[method] for method in payment.methods)
            return ((texts["payment_method"], ways), (texts["invoice.number"], payment.number))


def _notes(printed: PrintedDocument, texts: Texts) -> tuple[str, ...]:
    return (texts["test_note"],) if printed.is_test else ()


def _sold(sale: PrintedReceipt | PrintedInvoice, words: _Words) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    """The table of what was bought; discounts and tax have a column where there are any."""
    texts = words.texts

    def column(head: str, told: Callable[[BoughtLine], str]) -> tuple[str, Sequence[str]]:
        return head, [told(line) for line in sale.lines]

    amounts = [column(texts["list_price"], lambda line: words.money(line.list_price))]
    if sale.discount.amount:
        amounts.append(column(texts["discount"], lambda line: words.less(line.discount)))
    if sale.tax is not None:
        amounts.append(column(words.tax_column(sale.tax), lambda line: words.money(line.tax)))
    amounts.append(column(texts["amount"], lambda line: words.money(line.total)))
    columns, cells = _table(amounts)
    rows = (
        Row(
            line.title,
            (line.student_name, *([texts.say("begins", date=words.day(line.starts_on))] if line.starts_on else [])),
            shown,
        )
        for line, shown in zip(sale.lines, cells, strict=True)
    )
    return columns, tuple(rows)


def _table(columns: Sequence[tuple[str, Sequence[str]]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The columns' heads, and their amounts row by row."""
    return tuple(head for head, _ in columns), list(zip(*(amounts for _, amounts in columns), strict=True))


def _sums(sale: PrintedReceipt | PrintedInvoice, words: _Words) -> Pairs:
    texts = words.texts
    less = ((texts["discount"], words.less(sale.discount)),) if sale.discount.amount else ()
    return ((texts["subtotal"], words.money(sale.subtotal)), *less, *words.taxed(sale.tax))
