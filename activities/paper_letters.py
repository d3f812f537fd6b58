"""Letters that bring a paper: the invoice and its reminders, credit notes, copies."""

import re
from collections.abc import Sequence
from datetime import date
from zoneinfo import ZoneInfo

from activities.errand import Draft, Errand, MailWithoutSubjectError, Skipped
from activities.one_line import one_line
from activities.order_facts import MoneyBack, OrderFacts
from activities.refund_letters import reasons_told
from models.money import Money
from models.tables import Document, Invoice
from models.vocabulary import InvoiceStatus, PaymentMethod, RefundStatus
from rules.invoicing import REMINDER_DAYS

_DAYS = re.compile(r"(before|after)_(\d{1,3})")


def invoice(errand: Errand) -> Draft | Skipped:
    """The invoice: how much, until when, under which reference."""
    found = _open_invoice(errand.facts)
    if isinstance(found, Skipped):
        return found
    return _billing(errand, *found)


def invoice_reminder(errand: Errand) -> Draft | Skipped:
    """What is still open: friendly before the day it is due, firm after it, and at last with what will happen.

    Counts from the day named by the occasion, or from today where the mail is so late that more days have passed.
    """
    found = _open_invoice(errand.facts)
    if isinstance(found, Skipped):
        return found
    academy_zone = ZoneInfo(errand.facts.academy.time_zone)
    days_late = max(_days_late(errand.occasion), (errand.moment.astimezone(academy_zone).date() - found[0].due_on).days)
    tone = "before" if days_late <= 0 else "last" if days_late >= max(REMINDER_DAYS) else "after"
    cancelled_on = errand.facts.order.hold_expires_at.astimezone(academy_zone).date()
    return _billing(
        errand, *found, key=f"invoice_reminder.{tone}", cancelled_on=cancelled_on if tone == "last" else None
    )


def refund(errand: Errand) -> Draft | Skipped:
    """What goes back, why, how and when. The occasion is a reason or the id of a refund; none means all of them."""
    facts, texts = errand.facts, errand.words.texts
    told = [
        back
        for back in facts.refunds
        if back.goes_back and errand.occasion in ("", back.refund.reason, str(back.refund.id), back.refund.id.hex)
    ]
    if not told:
        return Skipped("nothing_goes_back")
    currencies = {back.refund.currency for back in told}
    notes = tuple(back.credit_note for back in told if back.credit_note is not None)
    return Draft(
        values={
            "reasons": reasons_told(errand, told),
            "lines": [_paid_back(errand, back) for back in told],
            "total": errand.words.money(
                Money(amount=sum(back.refund.amount for back in told), currency=told[0].refund.currency)
            )
            if len(told) > 1 and len(currencies) == 1
            else None,
            "way": texts[_way(facts, told)],
            "notes": [note.number for note in notes],
        },
        papers=notes,
    )


def _way(facts: OrderFacts, told: Sequence[MoneyBack]) -> str:
    """How the money arrives: pending is told from done."""
    if facts.order.payment_method == PaymentMethod.INVOICE:
        return "refund.by_hand"
    statuses = {back.refund.status for back in told}
    if RefundStatus.REQUIRES_ACTION in statuses:
        return "refund.to_claim"
    return "refund.pending" if RefundStatus.PENDING in statuses else "refund.by_stripe"


def refund_rejected(errand: Errand) -> Draft | Skipped:
    """Staff has looked at the wish for money back and has not granted it."""
    return Draft({})


def document_copy(errand: Errand) -> Draft | Skipped:
    """A document once more, because somebody asked for it."""
    document = errand.facts.document(errand.subject_id)
    if document is None:
        raise MailWithoutSubjectError
    return Draft({"number": document.number}, papers=(document,), key=f"document_copy.{document.kind}")


def _open_invoice(facts: OrderFacts) -> tuple[Invoice, Document] | Skipped:
    if facts.invoice is None or facts.bill is None:
        raise MailWithoutSubjectError
    if facts.invoice.status != InvoiceStatus.OPEN:
        return Skipped(f"invoice_{facts.invoice.status}")
    return facts.invoice, facts.bill


def _billing(
    errand: Errand, invoice: Invoice, bill: Document, *, key: str | None = None, cancelled_on: date | None = None
) -> Draft:
    words = errand.words
    paid = min(invoice.paid_amount, invoice.amount)
    return Draft(
        values={
            "invoice_number": bill.number,
            "amount": errand.amount(invoice.amount - paid),
            "whole_amount": errand.amount(invoice.amount),
            "paid": errand.amount(paid) if paid else None,
            "due_on": words.day(invoice.due_on),
            "instructions": [
                one_line(line)
                for line in (errand.facts.academy.payment_instructions or "").splitlines()
                if line.strip()
            ],
            "cancelled_on": None if cancelled_on is None else words.day(cancelled_on),
        },
        papers=(bill,),
        key=key,
    )


def _days_late(occasion: str) -> int:
    """`after_7` is 7 days late, `before_3` minus 3; any other occasion says nothing about days."""
    named = _DAYS.fullmatch(occasion)
    if named is None:
        return min(REMINDER_DAYS)
    return int(named[2]) * (-1 if named[1] == "before" else 1)


def _paid_back(errand: Errand, back: MoneyBack) -> dict[str, object]:
    amount = errand.words.money(Money(amount=back.refund.amount, currency=back.refund.currency))
    for bought in errand.facts.lines:
        for place in bought.places:
            if place.enrollment.id == back.refund.enrollment_id:
                title, student_name = one_line(place.course.title), errand.student_name(bought.student)
                return {"title": title, "student_name": student_name, "amount": amount}
    whole = errand.words.texts.say("refund.whole_payment", number=errand.facts.order.number)
    return {"title": whole, "student_name": None, "amount": amount}
