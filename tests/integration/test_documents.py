"""Documents on record: printed of what is there, made once, and made again as they were when their file is lost."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pypdf import PdfReader
from sqlalchemy import event, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col
from temporalio.exceptions import ApplicationError

from activities.database import Sessions
from activities.document_pdf import render_pdf
from activities.documents import DocumentActivities
from activities.files import FileStore
from activities.printed import (
    PaidByCard,
    PaidByInvoice,
    PrintedCreditNote,
    PrintedDocument,
    PrintedInvoice,
    PrintedReceipt,
    from_snapshot,
)
from models.messages.documents import RenderDocument, RenderReceipt, StoredFile
from models.tables import Academy, Document, Enrollment, LessonSlot, Payment
from models.vocabulary import OfflineMethod, PaymentMethod, SlotStatus, TaxBehavior
from sandbox.sample_academy import sample_id
from tests.fresh_record import load_academy
from tests.integration.completed_orders import change_person, complete_order
from tests.integration.written_orders import Sold, write_credit_note, write_invoice, write_order

COURSES = [("spanish-a1", "lukasz"), ("spanish-a1", "layla")]


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
async def documents(sessions: Sessions, tmp_path: Path, executor: ThreadPoolExecutor) -> DocumentActivities:
    await load_academy(sessions)
    return DocumentActivities(sessions, FileStore(tmp_path.as_uri()), executor)


async def rendered(documents: DocumentActivities, document_id: UUID) -> StoredFile:
    return await documents.render_document(RenderDocument(document_id=document_id))


async def on_record(documents: DocumentActivities, document_id: UUID) -> Document:
    async with documents.sessions() as session:
        return await session.get_one(Document, document_id)


async def printed_on(documents: DocumentActivities, document_id: UUID) -> PrintedDocument:
    await rendered(documents, document_id)
    snapshot = (await on_record(documents, document_id)).printed
    assert snapshot
    return from_snapshot(snapshot)


async def rewrite_snapshot(documents: DocumentActivities, document_id: UUID, snapshot: dict[str, object]) -> None:
    async with documents.sessions.begin() as session:
        await session.execute(update(Document).where(col(Document.id) == document_id).values(printed=snapshot))


def text_of(pdf: bytes) -> str:
    return " ".join("\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).split())


async def test_the_receipt_is_stored_and_written_down(documents: DocumentActivities) -> None:
    _, completed = await complete_order(documents.sessions, courses=COURSES)
    file = await documents.render_receipt(RenderReceipt(receipt_id=completed.receipt_id))
    assert file.key == f"receipts/{completed.receipt_id}.pdf"
    receipt = await on_record(documents, completed.receipt_id)
    assert (receipt.file_key, receipt.sha256) == (file.key, file.sha256)
    pdf = await documents.files.get(file)
    assert len(pdf) == file.size
    assert receipt.number in text_of(pdf)
    assert "Łukasz Żółciński" in text_of(pdf)
    assert receipt.printed is not None
    printed = from_snapshot(receipt.printed)
    assert isinstance(printed, PrintedReceipt)
    assert (printed.number, printed.buyer.name, len(printed.lines)) == (receipt.number, "Łukasz Żółciński", 2)
    assert isinstance(printed.payment, PaidByCard)


async def test_both_names_of_the_step_make_the_same_file(documents: DocumentActivities) -> None:
    written = await write_order(documents.sessions, [Sold("spanish-a1", 4900)])
    first = await documents.render_receipt(RenderReceipt(receipt_id=written.receipt_id))
    assert await rendered(documents, written.receipt_id) == first


async def test_a_repeat_returns_the_file_as_it_is(documents: DocumentActivities) -> None:
    _, completed = await complete_order(documents.sessions, courses=COURSES)
    first = await rendered(documents, completed.receipt_id)
    await change_person(documents.sessions, "lukasz", full_name="Somebody Else")
    documents.executor.shutdown()  # setting anything would fail now
    assert await rendered(documents, completed.receipt_id) == first


async def test_two_attempts_at_once_agree(documents: DocumentActivities) -> None:
    _, completed = await complete_order(documents.sessions, courses=COURSES)
    first, second = await asyncio.gather(*(rendered(documents, completed.receipt_id) for _ in range(2)))
    assert first == second
    await documents.files.get(first)


@pytest.mark.parametrize("kind", ["receipt", "invoice", "credit_note"])
async def test_a_lost_file_is_made_again_as_it_was(documents: DocumentActivities, tmp_path: Path, kind: str) -> None:
    written = await write_order(documents.sessions, [Sold("spanish-a1", 4900, 782)], percent="19", is_test=True)
    document_id = {
        "receipt": written.receipt_id,
        "invoice": await write_invoice(documents.sessions, written),
        "credit_note": await write_credit_note(documents.sessions, written, 4900),
    }[kind]
    first = await rendered(documents, document_id)
    pdf = await documents.files.get(first)
    await change_person(documents.sessions, "grace", full_name="Somebody Else", locale="ar", billing_name="A Company")
    (tmp_path / first.key).unlink()
    both = await asyncio.gather(*(rendered(documents, document_id) for _ in range(2)))
    assert both == [first, first]
    assert await documents.files.get(first) == pdf


@pytest.mark.parametrize("broken", [{"number": "R-2026-999999"}, {"total": None}, {"kind": "letter"}])
async def test_a_file_that_cannot_be_made_as_it_was_is_not_made(
    documents: DocumentActivities, tmp_path: Path, broken: dict[str, object]
) -> None:
    written = await write_order(documents.sessions, [Sold("spanish-a1", 4900)])
    file = await rendered(documents, written.receipt_id)
    before = await on_record(documents, written.receipt_id)
    assert before.printed
    await rewrite_snapshot(documents, written.receipt_id, {**before.printed, **broken})
    assert await rendered(documents, written.receipt_id) == file, "the file itself is still there"
    (tmp_path / file.key).unlink()
    with pytest.raises(ApplicationError) as caught:
        await rendered(documents, written.receipt_id)
    assert caught.value.non_retryable
    assert caught.value.type == "document_differs"
    assert "Grace" not in f"{caught.value}{caught.value.__cause__}"
    after = await on_record(documents, written.receipt_id)
    assert (after.file_key, after.sha256) == (file.key, file.sha256)
    assert after.printed == {**before.printed, **broken}
    assert not (tmp_path / file.key).exists()


async def test_a_file_of_an_earlier_version_is_kept_and_if_lost_made_of_the_record(
    documents: DocumentActivities, tmp_path: Path
) -> None:
    written = await write_order(documents.sessions, [Sold("spanish-a1", 4900)])
    first = await rendered(documents, written.receipt_id)
    await rewrite_snapshot(documents, written.receipt_id, {})
    await change_person(documents.sessions, "grace", full_name="Grace Brewster Murray Hopper")
    assert await rendered(documents, written.receipt_id) == first
    (tmp_path / first.key).unlink()
    again = await rendered(documents, written.receipt_id)
    assert again.key == first.key
    assert "Grace Brewster Murray Hopper" in text_of(await documents.files.get(again))
    receipt = await on_record(documents, written.receipt_id)
    assert receipt.sha256 == again.sha256
    assert receipt.printed, "from now on it is pinned"


async def test_an_unknown_document_is_refused_for_good(documents: DocumentActivities) -> None:
    with pytest.raises(ApplicationError) as receipt:
        await documents.render_receipt(RenderReceipt(receipt_id=uuid4()))
    with pytest.raises(ApplicationError) as document:
        await rendered(documents, uuid4())
    assert receipt.value.non_retryable
    assert document.value.non_retryable
    assert (receipt.value.type, document.value.type) == ("receipt_unknown", "document_unknown")


async def test_an_invoice_is_made_out_to_the_company_that_pays(documents: DocumentActivities) -> None:
    await change_person(
        documents.sessions, "grace", billing_name="Hopper & Co.", tax_number="US 12", locale="de",
        billing_address="1 Navy Yard\n\n  Building 2 \nWashington\n",
    )  # fmt: skip
    async with documents.sessions.begin() as session:
        await session.execute(update(Academy).values(payment_instructions="IBAN DE02 1203\nBIC BYLA"))
    sold = [Sold("python-cohort", 79000, 13509, discount=7900), Sold("spanish-a1", 4900, 931, student="layla")]
    written = await write_order(documents.sessions, sold, percent="19", inclusive=False, method=PaymentMethod.INVOICE)
    document_id = await write_invoice(documents.sessions, written)
    invoice = await printed_on(documents, document_id)
    assert isinstance(invoice, PrintedInvoice)
    assert (invoice.buyer.name, invoice.buyer.contact) == ("Hopper & Co.", "Grace Hopper")
    assert invoice.buyer.address == ("1 Navy Yard", "Building 2", "Washington")
    assert (invoice.issued_on, invoice.due_on) == (date(2026, 3, 13), date(2026, 3, 27))
    assert invoice.instructions == ("IBAN DE02 1203", "BIC BYLA")
    assert [line.student_name for line in invoice.lines] == ["Grace Hopper", "ليلى الحسيني"]
    assert [line.total.amount for line in invoice.lines] == [84609, 5831]
    assert invoice.tax is not None
    assert invoice.tax.behavior is TaxBehavior.EXCLUSIVE
    assert (invoice.tax.net.amount, invoice.tax.amount.amount) == (76000, 14440)
    assert invoice.total == invoice.amount_due
    assert invoice.total.amount == 90440
    file = await rendered(documents, document_id)
    assert file.key == f"invoices/{document_id}.pdf"
    assert "904,40 € fällig bis 27. März 2026" in text_of(await documents.files.get(file))


async def test_a_long_address_is_put_on_eight_lines(documents: DocumentActivities) -> None:
    await change_person(documents.sessions, "grace", billing_address="\n".join("abcdefghijkl"))
    written = await write_order(documents.sessions, [Sold("spanish-a1", 4900)])
    printed = await printed_on(documents, written.receipt_id)
    assert printed.buyer.address == (*"abcdefg", "h, i, j, k, l")
    assert printed.buyer.contact is None


async def test_the_receipt_of_an_invoice_names_it_and_how_it_was_paid(documents: DocumentActivities) -> None:
    written = await write_order(documents.sessions, [Sold("spanish-a1", 4900)], method=PaymentMethod.INVOICE)
    await write_invoice(
        documents.sessions, written,
        (900, OfflineMethod.CASH, date(2026, 3, 2)),
        (2000, OfflineMethod.BANK_TRANSFER, date(2026, 3, 11)),
        (2000, OfflineMethod.BANK_TRANSFER, date(2026, 3, 9)),
    )  # fmt: skip
    receipt = await printed_on(documents, written.receipt_id)
    assert isinstance(receipt, PrintedReceipt)
    assert receipt.paid_on == date(2026, 3, 11)
    methods = (OfflineMethod.BANK_TRANSFER, OfflineMethod.CASH)
    assert receipt.payment == PaidByInvoice(number="I-2026-000007", methods=methods)


async def test_a_free_order_has_nothing_to_pay(documents: DocumentActivities) -> None:
    _, completed = await complete_order(documents.sessions, courses=[("study-skills", "lukasz")])
    receipt = await printed_on(documents, completed.receipt_id)
    assert isinstance(receipt, PrintedReceipt)
    assert (receipt.payment, receipt.total.amount) == (None, 0)


async def test_the_receipt_of_an_accepted_amount_says_what_came_in(documents: DocumentActivities) -> None:
    written = await write_order(documents.sessions, [Sold("spanish-a1", 4900)])
    paid = update(Payment).where(col(Payment.order_id) == written.order_id).values(captured_amount=4800)
    async with documents.sessions.begin() as session:
        await session.execute(paid)
    file = await rendered(documents, written.receipt_id)
    text = text_of(await documents.files.get(file.key))
    assert "Total €49.00 Total paid €48.00" in text
    assert "€48.00 paid on" in text


async def test_a_line_tells_the_day_of_its_first_lesson_in_the_academys_zone(documents: DocumentActivities) -> None:
    written = await write_order(documents.sessions, [Sold("piano-pack", 22500), Sold("spanish-a1", 4900)])
    starts = datetime(2026, 5, 1, 22, 30, tzinfo=UTC)
    async with documents.sessions.begin() as session:
        session.add_all(
            LessonSlot(
                course_id=sample_id("course", "piano-pack"), tutor_id=sample_id("person", "maya"),
                starts_at=starts + timedelta(days=days), ends_at=starts + timedelta(days=days, hours=1),
                status=SlotStatus.BOOKED, order_line_id=written.line_ids[0], student_id=sample_id("person", "grace"),
            )
            for days in (7, 0)
        )  # fmt: skip
    receipt = await printed_on(documents, written.receipt_id)
    assert isinstance(receipt, PrintedReceipt)
    assert [line.starts_on for line in receipt.lines] == [date(2026, 5, 2), None]


async def test_a_credit_note_of_one_place_takes_back_its_line(documents: DocumentActivities) -> None:
    sold = [Sold("spanish-a1", 4900, 782), Sold("python-cohort", 79000, 12613, student="layla")]
    written = await write_order(documents.sessions, sold, percent="19")
    note_id = await write_credit_note(documents.sessions, written, 79000, place_id=written.place_ids[1])
    note = await printed_on(documents, note_id)
    assert isinstance(note, PrintedCreditNote)
    [line] = note.lines
    assert (line.title, line.student_name, line.part) == ("python-cohort as it was sold", "ليلى الحسيني", None)
    assert (line.tax.amount, line.total.amount, note.total.amount) == (12613, 79000, 79000)
    receipt = await on_record(documents, written.receipt_id)
    assert (note.receipt_number, note.invoice_number, note.reason) == (receipt.number, None, "seat_lost")
    file = await rendered(documents, note_id)
    assert file.key == f"credit-notes/{note_id}.pdf"
    assert "The last seat had been taken" in text_of(await documents.files.get(file))


@pytest.mark.parametrize(
    ("amount", "tax"), [(1, 0), (2, 1), (3, 1), (4, 1), (6, 2), (1000, 250), (1001, 250), (1002, 251)]
)
async def test_a_part_takes_its_part_of_the_tax_half_up(documents: DocumentActivities, amount: int, tax: int) -> None:
    """A quarter of the price is tax: 2 cents hold half a cent of it."""
    written = await write_order(documents.sessions, [Sold("spanish-a1", 4000, 1000)], percent="33.33")
    note_id = await write_credit_note(documents.sessions, written, amount, place_id=written.place_ids[0])
    note = await printed_on(documents, note_id)
    assert note.tax is not None
    assert (note.tax.amount.amount, note.tax.net.amount) == (tax, amount - tax)


async def test_a_credit_note_of_a_bundles_part_names_the_course(documents: DocumentActivities) -> None:
    written = await write_order(documents.sessions, [Sold("spanish-a1", 10000, 1597)], percent="19")
    async with documents.sessions.begin() as session:
        place = await session.get_one(Enrollment, written.place_ids[0])
        place.course_id = sample_id("course", "calligraphy")
    note_id = await write_credit_note(documents.sessions, written, 2500, place_id=written.place_ids[0])
    note = await printed_on(documents, note_id)
    assert isinstance(note, PrintedCreditNote)
    assert [line.part for line in note.lines] == ["Calligraphy: the brush and the line"]
    assert (note.total.amount, note.tax and note.tax.amount.amount) == (2500, 399)


@pytest.mark.parametrize(("price", "tax", "parts"), [(30000, 4790, 3), (300, 50, 3), (10000, 1597, 2), (100, 7, 5)])
async def test_the_credit_notes_of_a_bundle_take_back_its_tax_and_no_more(
    documents: DocumentActivities, price: int, tax: int, parts: int
) -> None:
    written = await write_order(documents.sessions, [Sold("language-bundle", price, tax)], percent="19")
    share = price // parts
    codes = ("spanish-a1", "french-a2", "calligraphy", "photography", "study-skills")[:parts]
    async with documents.sessions.begin() as session:
        whole = await session.get_one(Enrollment, written.place_ids[0])
        facts = whole.model_dump(exclude={"id", "course_id", "share_amount"})
        places = [Enrollment(**facts, course_id=sample_id("course", code), share_amount=share) for code in codes]
        await session.delete(whole)
        await session.flush()
        session.add_all(places)
    notes = [
        await printed_on(documents, await write_credit_note(documents.sessions, written, share, place_id=place.id))
        for place in places
    ]
    assert sum(note.tax.amount.amount for note in notes if note.tax is not None) == tax


@pytest.mark.parametrize(
    ("price", "tax", "amounts"),
    [
        (100, 19, (50, 50)),
        (100, 1, (50, 50)),
        (4900, 782, (1000, 1000, 1000, 1000, 900)),
        (7, 3, (1,) * 7),
        (300, 50, (1, 299)),
    ],
)
async def test_the_credit_notes_of_several_refunds_of_a_place_take_back_its_tax_and_no_more(
    documents: DocumentActivities, price: int, tax: int, amounts: tuple[int, ...]
) -> None:
    written = await write_order(documents.sessions, [Sold("spanish-a1", price, tax)], percent="19")
    taken = 0
    for number, amount in enumerate(amounts, start=1):
        note_id = await write_credit_note(documents.sessions, written, amount, place_id=written.place_ids[0])
        note = await printed_on(documents, note_id)
        assert isinstance(note, PrintedCreditNote)
        assert note.tax is not None
        assert note.tax.amount.amount + note.tax.net.amount == amount
        taken += note.tax.amount.amount
        exact = tax * sum(amounts[:number])
        assert abs(taken * price - exact) * 2 <= price
    assert taken == tax


@pytest.mark.parametrize(
    ("amount", "totals", "tax"),
    [(14900, [4900, 0, 10000], 2379), (7450, [2450, 0, 5000], 1190), (20000, [6577, 0, 13423], 2379)],
)
async def test_a_credit_note_of_the_whole_payment_lists_all_lines(
    documents: DocumentActivities, amount: int, totals: list[int], tax: int
) -> None:
    """Also where more came in than was asked for: what is beyond the price was never taxed."""
    sold = [Sold("spanish-a1", 4900, 782), Sold("study-skills", 0), Sold("python-cohort", 10000, 1597)]
    written = await write_order(documents.sessions, sold, percent="19")
    note = await printed_on(documents, await write_credit_note(documents.sessions, written, amount))
    assert isinstance(note, PrintedCreditNote)
    assert [line.total.amount for line in note.lines] == totals
    assert note.total.amount == amount
    assert note.tax is not None
    assert note.tax.amount.amount == sum(line.tax.amount for line in note.lines) == tax
    assert note.tax.net.amount == amount - tax


async def test_only_documents_of_test_orders_are_marked(documents: DocumentActivities) -> None:
    for is_test, student in ((True, "grace"), (False, "aoife")):
        sold = [Sold("spanish-a1", 4900, student=student)]
        written = await write_order(documents.sessions, sold, is_test=is_test)
        note_id = await write_credit_note(documents.sessions, written, 4900)
        for document_id in (written.receipt_id, note_id):
            text = text_of(await documents.files.get(await rendered(documents, document_id)))
            assert ("TEST" in text) is is_test


@pytest.mark.parametrize("lines", [1, 4])
async def test_the_facts_take_few_statements(documents: DocumentActivities, engine: AsyncEngine, lines: int) -> None:
    codes = ["spanish-a1", "calligraphy", "python-cohort", "thesis-seminar"][:lines]
    written = await write_order(documents.sessions, [Sold(code, 4900) for code in codes], method=PaymentMethod.INVOICE)
    invoice_id = await write_invoice(documents.sessions, written, (4900 * lines, OfflineMethod.CASH, date(2026, 3, 2)))
    note_id = await write_credit_note(documents.sessions, written, 4900 * lines)
    reads: list[str] = []

    def count(*arguments: object) -> None:
        if str(arguments[2]).startswith("SELECT") and "FOR UPDATE" not in str(arguments[2]):
            reads.append(str(arguments[2]))

    async def reads_of(document_id: UUID) -> int:
        reads.clear()
        await rendered(documents, document_id)
        return len(reads)

    event.listen(engine.sync_engine, "before_cursor_execute", count)
    try:
        assert [await reads_of(document_id) for document_id in (written.receipt_id, invoice_id, note_id)] == [4, 3, 3]
        assert [await reads_of(document_id) for document_id in (written.receipt_id, invoice_id, note_id)] == [1, 1, 1]
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", count)


async def test_a_document_is_set_beside_the_event_loop(
    documents: DocumentActivities, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, completed = await complete_order(documents.sessions, courses=COURSES)
    handed_over: list[object] = []
    submit = executor.submit

    def count(work: Callable[..., object], *arguments: object) -> Future[object]:
        handed_over.append(work)
        return submit(work, *arguments)

    monkeypatch.setattr(executor, "submit", count)
    await rendered(documents, completed.receipt_id)
    assert handed_over == [render_pdf]
