"""What each letter says, and when it is not sent because what it should tell is not true any more."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from activities.errand import MailWithoutSubjectError
from activities.letters import LETTERS
from activities.order_letters import approvers_of
from models.vocabulary import EnrollmentStatus, InvoiceStatus, MailTemplate, OrderStatus, PaymentMethod, PaymentStatus
from rules.payment import DECLINES_IN_A_ROW
from sandbox.mail_samples import (
    CHECKOUT,
    NOW,
    a_date,
    a_line,
    a_person,
    a_wish,
    an_id,
    asked_for,
    errand_of,
    facts_for,
    money_back,
    order_facts,
    why_skipped,
)
from sandbox.sample_mails import write

LATE = NOW + timedelta(days=2)


def text(template: MailTemplate, **asked: object) -> str:
    """The plain text, with every kind of space as a plain one."""
    mail = write(template, **asked)  # type: ignore[arg-type]
    return mail.text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{NO-BREAK SPACE}", " ")


# ---- the confirmation ----


def test_a_confirmation_tells_of_every_course_how_it_goes_on() -> None:
    facts = facts_for(MailTemplate.ORDER_CONFIRMATION)
    child = a_person("Aoife")
    told = text(
        MailTemplate.ORDER_CONFIRMATION,
        facts=replace(
            facts,
            lines=(
                a_line(1, "Open", facts.payer),
                a_line(2, "Cohort", facts.payer, starts_at=NOW + timedelta(days=1)),
                a_line(3, "Begun", facts.payer, starts_at=NOW - timedelta(days=1)),
                a_line(4, "Pack", child, first_lesson_at=NOW + timedelta(days=28, hours=5)),
                a_line(5, "Bundle", facts.payer, parts=("French", "Italian"), held=("Spanish",)),
                a_line(6, "Known", child, status=None, entitled=True, amount=0),
                a_line(7, "Lost", facts.payer, status=EnrollmentStatus.CANCELED),
                a_line(8, "Lost and free", facts.payer, status=EnrollmentStatus.CANCELED, amount=0),
            ),
        ),
    )
    _, _, goes_on = told.partition("What happens next")
    assert goes_on.startswith(
        """

- Open
  Access is open now.
- Cohort
  Starts on Monday, March 2, 2026, 12:00 PM (Dublin time).
- Begun
  Access is open now.
- Pack (for Aoife)
  Starts on Sunday, March 29, 2026, 6:00 PM (Dublin time).
- Bundle
  French: Access is open now.
  Italian: Access is open now.
  Spanish: Access is already there.
- Known (for Aoife)
  Access is already there, so nothing was charged.
- Lost
  This place could not be given any more. What was paid for it goes back; a separate mail tells you how.
- Lost and free
  This place could not be given any more.
"""
    )


def test_a_confirmation_tells_tax_total_and_the_papers_with_it() -> None:
    told = text(MailTemplate.ORDER_CONFIRMATION)
    assert "Total paid: €129.00\nincl. VAT 19%: €20.60\n" in told
    assert "Your receipt R-2026-000042 is attached" in told
    free = text(MailTemplate.ORDER_CONFIRMATION, amount=0, tax=None)
    assert "Total paid: Free of charge" in free
    assert "VAT" not in free


def test_dates_are_told_in_the_readers_zone_and_cut_where_they_are_too_many() -> None:
    facts = facts_for(MailTemplate.ORDER_CONFIRMATION, zone="Asia/Tokyo")
    few = text(MailTemplate.ORDER_CONFIRMATION, facts=facts)
    assert "All times are Tokyo time." in few
    assert "- Monday, March 9, 2026, 2:00 AM–3:00 AM\n  Spanish for beginners: Evening\n" in few
    many = replace(facts, dates=tuple(a_date(week) for week in range(-2, 16)))
    told = text(MailTemplate.ORDER_CONFIRMATION, facts=many)
    assert told.count("Evening") == 12
    assert "More dates (4) are in the attached calendar file." in told
    none = text(MailTemplate.ORDER_CONFIRMATION, facts=replace(facts, dates=()))
    assert "calendar" not in none
    assert "Your dates" not in none


def test_what_was_refunded_in_full_is_not_confirmed() -> None:
    facts = facts_for(MailTemplate.ORDER_CONFIRMATION, status=OrderStatus.REFUNDED)
    assert why_skipped(MailTemplate.ORDER_CONFIRMATION, facts) == "order_refunded"


def test_without_a_receipt_there_is_nothing_to_confirm() -> None:
    facts = replace(facts_for(MailTemplate.ORDER_CONFIRMATION), receipt=None)
    with pytest.raises(MailWithoutSubjectError):
        LETTERS[MailTemplate.ORDER_CONFIRMATION].write(errand_of(facts))


# ---- let in or not ----


def test_an_approver_is_told_of_their_own_courses_alone() -> None:
    facts = facts_for(MailTemplate.APPROVAL_REQUESTED)
    approver, other, student = a_person("Maya"), uuid4(), a_person("Łukasz Żółciński")
    waiting = EnrollmentStatus.PENDING_APPROVAL
    facts = replace(
        facts,
        recipient=approver,
        lines=(
            a_line(1, "Hers", student, status=waiting, approver_id=approver.id),
            a_line(2, "Not hers", student, status=waiting, approver_id=other),
            a_line(3, "Nobody's", student, status=waiting),
        ),
    )
    assert approvers_of(facts) == {approver.id, other}
    told = text(MailTemplate.APPROVAL_REQUESTED, facts=facts)
    assert "Hello Maya," in told
    assert "Grace Hopper asks for a place" in told
    assert "- Hers (for Łukasz Żółciński)" in told
    assert "Not hers" not in told
    assert "Asked for on Friday, February 27, 2026, 12:00 PM (Dublin time)." in told
    assert "Please decide by Monday, March 2, 2026, 1:00 PM (Dublin time)." in told
    assert "placed an order" not in told


def test_a_reminder_says_that_it_is_one() -> None:
    assert write(MailTemplate.APPROVAL_REQUESTED).subject.startswith("Please")
    assert write(MailTemplate.APPROVAL_REQUESTED, occasion="reminder_1").subject.startswith("Reminder")


def test_an_approved_order_is_paid_at_stripe_or_else_on_its_page() -> None:
    assert CHECKOUT in text(MailTemplate.ORDER_APPROVED)
    facts = facts_for(MailTemplate.ORDER_APPROVED)
    assert facts.payment is not None
    facts.payment.checkout_url = None
    assert "Pay now: https://academy.test/orders/" in text(MailTemplate.ORDER_APPROVED, facts=facts)
    assert "Pay now" not in text(MailTemplate.ORDER_APPROVED, facts=facts, page=None)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("denied:not_eligible", "the requirements of the course are not met"),
        ("denied:course_full", "the course is full"),
        ("denied:other", "sorry to have no better news"),
        ("denied:whatever", "sorry to have no better news"),
        ("approval_expired", "did not manage to decide on your request in time"),
        (None, "sorry to have no better news"),
    ],
)
def test_a_denial_says_why_in_a_sentence(reason: str | None, said: str) -> None:
    told = text(MailTemplate.ORDER_DENIED, reason=reason)
    assert said in told
    assert "Nothing was charged" in told
    assert "whatever" not in told


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("invoice_unpaid", "was not paid in time"),
        ("hold_expired", "did not arrive"),
        ("payment_canceled", "did not arrive"),
        ("course_changed", "order O-2026-000057 was cancelled"),
    ],
)
def test_a_cancellation_says_why_and_what_comes_back(reason: str, said: str) -> None:
    facts = replace(facts_for(MailTemplate.ORDER_CANCELLED, reason=reason), refunds=())
    told = text(MailTemplate.ORDER_CANCELLED, facts=facts)
    assert said in told
    assert "You owe nothing any more" in told
    assert "goes back" not in told
    assert facts.invoice is not None
    facts.invoice.paid_amount = 4000
    assert "The €40.00 that had already arrived goes back" in text(MailTemplate.ORDER_CANCELLED, facts=facts)
    refused = replace(facts, refunds=(money_back(500), money_back(700, status="failed")))
    assert "The €45.00 that had already arrived" in text(MailTemplate.ORDER_CANCELLED, facts=refused)


# ---- payments ----


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("insufficient_funds", "not enough money"),
        ("expired_card", "has expired"),
        ("incorrect_cvc", "security code"),
        ("invalid_number", "number of the card"),
        ("authentication_required", "really you"),
        ("do_not_honor", "has not said why"),
        ("generic_decline", "has not said why"),
        ("stolen_card", "has not said why"),
        (None, "has not said why"),
    ],
)
def test_a_decline_is_told_in_words_that_help(code: str | None, said: str) -> None:
    facts = facts_for(MailTemplate.PAYMENT_DECLINED)
    assert facts.payment is not None
    facts.payment.decline_code = code
    told = text(MailTemplate.PAYMENT_DECLINED, facts=facts)
    assert said in told
    assert code is None or code not in told
    assert "You can try again from Sunday, March 1, 2026, 12:15 PM (Dublin time). The place is kept" in told
    later = text(MailTemplate.PAYMENT_DECLINED, facts=facts, moment=LATE)
    assert "You can try again now." in later
    assert "The place is kept" not in later


def test_the_declines_that_are_told_are_those_that_are_counted() -> None:
    assert DECLINES_IN_A_ROW == 3
    assert "declined three times" in text(MailTemplate.PAYMENT_DECLINED)


def test_a_bank_at_work_keeps_the_place_unless_it_was_given_back() -> None:
    facts = facts_for(MailTemplate.PAYMENT_PROCESSING)
    assert "The place is kept for you until Monday, March 2, 2026" in text(MailTemplate.PAYMENT_PROCESSING, facts=facts)
    facts.order.hold_lapsed_at = NOW
    assert "The place is kept" not in text(MailTemplate.PAYMENT_PROCESSING, facts=facts)


# ---- papers ----


def test_an_invoice_says_how_much_until_when_and_how() -> None:
    told = text(MailTemplate.INVOICE)
    for said in (
        "pay the invoice by Sunday, March 15, 2026.", "Amount due: €129.00", "Payment reference: I-2026-000007",
        "Lindenbank Berlin\nIBAN DE89 3704 0044 0532 0130 00", "Your invoice I-2026-000007 is attached",
    ):  # fmt: skip
        assert said in told
    facts = facts_for(MailTemplate.INVOICE)
    facts.academy.payment_instructions = None
    assert "How to pay" not in text(MailTemplate.INVOICE, facts=facts)


@pytest.mark.parametrize(
    ("occasion", "days", "subject", "ends"),
    [
        ("before_3", 0, "Invoice I-2026-000007 is due on Sunday, March 15, 2026", False),
        ("", 0, "Invoice I-2026-000007 is due on Sunday, March 15, 2026", False),
        ("after_1", 0, "Invoice I-2026-000007 is overdue", False),
        ("after_6", 0, "Invoice I-2026-000007 is overdue", False),
        ("after_7", 0, "Last reminder of invoice I-2026-000007, due since Sunday, March 15, 2026", True),
        ("after_30", 0, "Last reminder of invoice I-2026-000007, due since Sunday, March 15, 2026", True),
        # Mails that were held up: what is said is true on the day they go out.
        ("before_3", 14, "Invoice I-2026-000007 is due on Sunday, March 15, 2026", False),
        ("before_3", 15, "Invoice I-2026-000007 is overdue", False),
        ("after_1", 21, "Last reminder of invoice I-2026-000007, due since Sunday, March 15, 2026", True),
    ],
)
def test_reminders_grow_firmer(occasion: str, days: int, subject: str, ends: bool) -> None:
    facts = facts_for(MailTemplate.INVOICE_REMINDER)
    assert facts.invoice is not None
    facts.invoice.paid_amount = 4000
    asked = {"facts": facts, "occasion": occasion, "moment": NOW + timedelta(days=days)}
    assert write(MailTemplate.INVOICE_REMINDER, **asked).subject == subject  # type: ignore[arg-type]
    told = text(MailTemplate.INVOICE_REMINDER, **asked)
    assert "€89.00 of invoice I-2026-000007" in told
    assert "€40.00 of €129.00 has already arrived" in told
    assert ("your order is cancelled on Monday, March 2, 2026" in told) is ends


def test_a_refund_says_what_goes_back_why_and_how() -> None:
    facts = order_facts(status=OrderStatus.PARTIALLY_REFUNDED)
    child = a_person("Aoife")
    lines = (a_line(1, "Spanish", facts.payer), a_line(2, "Bundle", child, parts=("French", "Italian")))
    facts = replace(
        facts,
        lines=lines,
        refunds=(
            money_back(12900, place=lines[0].places[0]),
            money_back(6400, place=lines[1].places[1], reason="provisioning_failed"),
            money_back(999, reason="cancelled", status="failed"),
        ),
    )
    everything = text(MailTemplate.REFUND, facts=facts)
    assert "the last seat had just gone" in everything
    assert "did not manage to open the course" in everything
    assert "- Spanish: €129.00\n- Italian (for Aoife): €64.00\n\nTotal: €193.00\n" in everything
    assert "means of payment that you used. It usually arrives within 5 to 10 business days." in everything
    for occasion in ("provisioning_failed", str(facts.refunds[1].refund.id), facts.refunds[1].refund.id.hex):
        one = text(MailTemplate.REFUND, facts=facts, occasion=occasion)
        assert "€64.00" in one
        assert "Spanish:" not in one
        assert "Total" not in one
    assert why_skipped(MailTemplate.REFUND, facts, occasion="cancelled") == "nothing_goes_back"


def test_a_refund_of_the_whole_payment_and_one_by_hand() -> None:
    late = replace(order_facts(), refunds=(money_back(500, currency="USD", reason="paid_too_late", with_note=False),))
    told = text(MailTemplate.REFUND, facts=late)
    assert "- Payment for order O-2026-000057: $5.00" in told
    assert "already been closed" in told
    assert "credit note" not in told
    assert "back the way it came" in text(MailTemplate.REFUND, method=PaymentMethod.INVOICE)


@pytest.mark.parametrize(
    ("status", "way"),
    [
        ("pending", "its arrival is not confirmed yet"),
        ("requires_action", "Stripe will write to you and ask for the account"),
        ("succeeded", "usually arrives within 5 to 10 business days"),
    ],
)
def test_a_refund_on_its_way_is_told_from_one_that_is_done(status: str, way: str) -> None:
    facts = replace(order_facts(), refunds=(money_back(500, status=status, reason="made_in_stripe"),))
    told = text(MailTemplate.REFUND, facts=facts)
    assert way in told
    assert "Our team has paid money back to you." in told


def test_a_refund_to_be_claimed_says_until_when() -> None:
    told = text(MailTemplate.REFUND_ACTION_REQUIRED)
    assert "€129.00 for your order O-2026-000057 is ready for you" in told
    assert "Please answer Stripe by Wednesday, April 15" in told
    facts = replace(order_facts(), refunds=(money_back(500),))
    [back] = facts.refunds
    occasion = f"{back.refund.id.hex}:3:{int(NOW.timestamp()):x}"
    assert why_skipped(MailTemplate.REFUND_ACTION_REQUIRED, facts, occasion=occasion) == "refund_succeeded"
    assert why_skipped(MailTemplate.REFUND_RETURNED, facts, occasion=occasion) == "refund_succeeded"
    with pytest.raises(MailWithoutSubjectError):
        LETTERS[MailTemplate.REFUND_RETURNED].write(errand_of(facts, occasion=f"{uuid4().hex}:1"))


@pytest.mark.parametrize(("status", "why"), [("failed", "could not be credited"), ("canceled", "was not paid out")])
def test_a_refund_that_came_back_is_still_owed(status: str, why: str) -> None:
    facts = replace(order_facts(), refunds=(money_back(500, status=status),))
    told = text(MailTemplate.REFUND_RETURNED, facts=facts, occasion=f"{facts.refunds[0].refund.id.hex}:1")
    assert why in told
    assert "€5.00" in told
    assert "we still owe you this money" in told


@pytest.mark.parametrize(
    ("number", "subject"),
    [
        ("R-2026-000042", "Copy of your receipt R-2026-000042"),
        ("I-2026-000007", "Copy of your invoice I-2026-000007"),
        ("C-2026-000003", "Copy of your credit note C-2026-000003"),
    ],
)
def test_a_copy_says_of_what(number: str, subject: str) -> None:
    assert write(MailTemplate.DOCUMENT_COPY, subject_id=an_id(number)).subject == subject
    with pytest.raises(MailWithoutSubjectError):
        LETTERS[MailTemplate.DOCUMENT_COPY].write(errand_of(order_facts(), subject_id=uuid4()))


# ---- refunds that were granted ----


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({}, "our refund policy allows it"),
        ({"decided_by": "staff:7"}, "We have looked at it and have granted it"),
        ({"decided_by": "staff:7", "grounds": ("overridden",)}, "We have decided to pay this back"),
        ({"decided_by": "staff:7", "cause": "goodwill"}, "a goodwill of ours"),
        ({"decided_by": "staff:7", "cause": "tutor_banned"}, "cannot go on teaching it"),
        ({"decided_by": "staff:7", "cause": "tutor_suspended"}, "cannot go on teaching it"),
        ({"decided_by": "staff:7", "cause": "course_removed"}, "no longer offered"),
    ],
)
@pytest.mark.parametrize(
    ("access", "place"),
    [
        ({}, "Your place has ended."),
        ({"access": "kept"}, "Your place stays as it is"),
        ({"goes_on": True}, "your access goes on"),
    ],
)
def test_a_refund_says_who_decided_for_what_and_what_becomes_of_the_place(
    told: dict[str, object], reason: str, access: dict[str, object], place: str
) -> None:
    facts = order_facts()
    wish = a_wish(facts.places[0], **told, **access)  # type: ignore[arg-type]
    mail = text(MailTemplate.REFUND, facts=asked_for(facts, wish))
    assert reason in mail
    assert place in mail
    assert "ban" not in mail.lower().replace("bank", "")


def test_why_many_places_end_is_told_as_staff_has_put_it_and_is_text() -> None:
    facts = facts_for(MailTemplate.PLACE_ENDED)
    said = "She <script>moved</script>\n{{ 7 * 7 }} {reason}"
    wish = a_wish(facts.places[0], cause="course_removed", decided_by="staff:7", amount=0, quoted=said)
    for template, told in (
        (MailTemplate.PLACE_ENDED, replace(facts, wishes=(wish,))),
        (MailTemplate.REFUND, asked_for(facts, wish)),
    ):
        mail = write(template, told)
        assert "What we can tell you about it: She <script>moved</script> {{ 7 * 7 }} {reason}" in mail.text
        assert "<script>" not in mail.html
        assert "&lt;script&gt;" in mail.html


def test_a_place_that_stands_is_not_said_to_have_ended() -> None:
    facts = facts_for(MailTemplate.PLACE_ENDED)
    facts.places[0].enrollment.status = EnrollmentStatus.ACTIVE
    assert why_skipped(MailTemplate.PLACE_ENDED, facts) == "enrollment_active"


def test_a_tutor_learns_whose_place_it_was_and_finance_how_much_goes_back() -> None:
    facts, tutor, finance = order_facts(), a_person("Maya"), a_person("Frida")
    wish = a_wish(facts.places[0], tutor_ids=frozenset({tutor.id}), contact_id=finance.id, access="kept")
    told = replace(facts, wishes=(wish,))
    assert set(LETTERS[MailTemplate.REFUND_NOTICE].recipients(told)) == {tutor.id, finance.id}
    for_tutor = text(MailTemplate.REFUND_NOTICE, facts=replace(told, recipient=tutor))
    assert "Grace Hopper" in for_tutor
    assert "129" not in for_tutor
    assert "lessons go on as planned" in for_tutor
    for_finance = text(MailTemplate.REFUND_NOTICE, facts=replace(told, recipient=finance))
    assert "Grace" not in for_finance
    assert "€129.00" in for_finance
    with pytest.raises(MailWithoutSubjectError):
        LETTERS[MailTemplate.REFUND_NOTICE].write(errand_of(told))
    with pytest.raises(MailWithoutSubjectError):
        LETTERS[MailTemplate.REFUND_NOTICE].write(errand_of(told, occasion=str(uuid4())))


# ---- what is not true any more ----

_PENDING = (
    MailTemplate.ORDER_APPROVED,
    MailTemplate.APPROVAL_REQUESTED,
    MailTemplate.PAYMENT_ACTION_REQUIRED,
    MailTemplate.PAYMENT_PROCESSING,
    MailTemplate.PAYMENT_DECLINED,
)


@pytest.mark.parametrize("template", _PENDING)
@pytest.mark.parametrize("status", [each for each in OrderStatus if each is not OrderStatus.PENDING_PAYMENT])
def test_an_order_that_waits_no_more_is_not_asked_about(template: MailTemplate, status: OrderStatus) -> None:
    facts = facts_for(template)
    facts.order.status = status
    assert why_skipped(template, facts) == f"order_{status}"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("course_removed", "This course is no longer offered."),
        ("tutor_banned", "The tutor of this course cannot go on teaching it."),
        ("tutor_suspended", "The tutor of this course cannot go on teaching it."),
    ],
)
def test_who_has_not_paid_yet_for_what_is_gone_is_told_why_and_not_invited_again(reason: str, said: str) -> None:
    facts = replace(facts_for(MailTemplate.ORDER_CANCELLED, reason=reason), quoted="The <b>studio</b> closes.")
    mail = write(MailTemplate.ORDER_CANCELLED, facts)
    assert said in mail.text
    assert "What we can tell you about it: The <b>studio</b> closes." in mail.text
    assert "welcome to order again" not in mail.text
    assert "free for others" not in mail.text
    assert "&lt;b&gt;studio" in mail.html


def test_a_student_whose_place_somebody_else_had_paid_for_reads_nothing_of_money() -> None:
    facts = facts_for(MailTemplate.PLACE_ENDED)
    wish = a_wish(facts.places[0], cause="course_removed", quoted="The studio closes.")
    student = a_person("Aoife")
    line = replace(facts.lines[0], student=student)
    told = text(MailTemplate.PLACE_ENDED, facts=replace(facts, recipient=student, lines=(line,), wishes=(wish,)))
    assert "What we can tell you about it: The studio closes." in told
    assert "nothing to pay back" not in told
    payer = text(MailTemplate.PLACE_ENDED, facts=replace(facts, lines=(line,), wishes=(wish,)))
    assert "nothing to pay back" in payer


@pytest.mark.parametrize("template", [MailTemplate.ORDER_DENIED, MailTemplate.ORDER_CANCELLED])
@pytest.mark.parametrize("status", [OrderStatus.PENDING_PAYMENT, OrderStatus.COMPLETED, OrderStatus.REFUNDED])
def test_an_order_that_stands_is_not_said_to_be_off(template: MailTemplate, status: OrderStatus) -> None:
    facts = facts_for(template)
    facts.order.status = status
    assert why_skipped(template, facts) == f"order_{status}"
    facts.order.status = OrderStatus.FAILED
    assert write(template, facts).subject


@pytest.mark.parametrize(
    "template",
    [MailTemplate.ORDER_APPROVED, MailTemplate.APPROVAL_REQUESTED, MailTemplate.PAYMENT_ACTION_REQUIRED],
)
def test_nobody_is_asked_to_act_when_the_time_is_over(template: MailTemplate) -> None:
    assert why_skipped(template, facts_for(template), moment=LATE) == "hold_expired"


def test_a_decision_that_was_made_is_not_asked_for() -> None:
    facts = facts_for(MailTemplate.APPROVAL_REQUESTED)
    facts.places[0].enrollment.status = EnrollmentStatus.PENDING_PAYMENT
    assert why_skipped(MailTemplate.APPROVAL_REQUESTED, facts) == "already_decided"


@pytest.mark.parametrize(
    ("template", "status"),
    [
        (MailTemplate.PAYMENT_ACTION_REQUIRED, PaymentStatus.PROCESSING),
        (MailTemplate.PAYMENT_ACTION_REQUIRED, PaymentStatus.REQUIRES_PAYMENT_METHOD),
        (MailTemplate.PAYMENT_PROCESSING, PaymentStatus.REQUIRES_PAYMENT_METHOD),
        (MailTemplate.PAYMENT_DECLINED, PaymentStatus.PROCESSING),
        (MailTemplate.PAYMENT_DECLINED, PaymentStatus.SUCCEEDED),
    ],
)
def test_a_payment_that_has_gone_on_is_not_told_as_it_was(template: MailTemplate, status: PaymentStatus) -> None:
    facts = facts_for(template)
    assert facts.payment is not None
    facts.payment.status = status
    assert why_skipped(template, facts) == f"payment_{status}"


@pytest.mark.parametrize("template", [MailTemplate.INVOICE, MailTemplate.INVOICE_REMINDER])
@pytest.mark.parametrize("status", [InvoiceStatus.PAID, InvoiceStatus.VOID])
def test_nobody_is_asked_for_what_is_not_owed(template: MailTemplate, status: InvoiceStatus) -> None:
    facts = facts_for(template)
    assert facts.invoice is not None
    facts.invoice.status = status
    assert why_skipped(template, facts) == f"invoice_{status}"
    with pytest.raises(MailWithoutSubjectError):
        LETTERS[template].write(errand_of(replace(facts, invoice=None)))
