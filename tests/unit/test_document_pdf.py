"""Documents as PDF: what each kind says, every name and currency, any number of lines, always the same bytes."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from pydantic import ValidationError
from pypdf import PdfReader
from pypdf.generic import DictionaryObject
from pypdfium2 import PdfDocument

from activities.document_pdf import render_pdf
from activities.document_words import sheet_of
from activities.fonts import REGULAR
from activities.one_line import one_line
from activities.printed import Buyer, PaidByInvoice, PrintedDocument, from_snapshot, snapshot_of
from activities.translations import languages, texts_for
from activities.typesetting import Style, Typesetter
from models.vocabulary import OfflineMethod
from tests.unit.names import NAMES, STEERING
from tests.unit.printed_documents import (
    COMPANY,
    EXCLUSIVE,
    INCLUSIVE,
    ISSUED,
    SELLER,
    credit_note,
    invoice,
    of_every_kind,
    receipt,
    sold,
)

ROOT = Path(__file__).parents[2]
LANGUAGES = ("en", "de", "pl", "ar", "zh")


def read(pdf: bytes) -> list[str]:
    return [re.sub(r"\s+", " ", page.extract_text()) for page in PdfReader(BytesIO(pdf)).pages]


def said(printed: PrintedDocument) -> str:
    [page] = read(render_pdf(printed))
    return page


def fonts(pdf: bytes) -> Iterator[DictionaryObject]:
    for page in PdfReader(BytesIO(pdf)).pages:
        resources = page["/Resources"].get_object()
        assert isinstance(resources, DictionaryObject)
        for font in resources["/Font"].get_object().values():  # type: ignore[union-attr]
            yield font.get_object()


def test_a_receipt_says_all_that_it_must() -> None:
    page = said(receipt(sold(off=645, starts_on=date(2026, 4, 1))))
    for words in (
        "Receipt", "TutorHub Academy GmbH", "Lindenstraße 12", "10969 Berlin", "Tax number: DE 315 728 904",
        "R-2026-000042", "O-2026-000057", "Date of issue March 13, 2026", "Grace Hopper", "grace@students.test",
        "Spanish for beginners", "Begins on April 1, 2026", "€129.00", "−€6.45", "€122.55 paid on March 13, 2026",
        "Card via Stripe", "ch_1", "Subtotal", "Total paid €122.55", "Page 1 of 1",
    ):  # fmt: skip
        assert words in page
    for absent in ("VAT", "Net", "Date of payment", "Invoice"):
        assert absent not in page


def test_a_receipt_of_an_invoice_says_how_and_when_it_was_paid() -> None:
    paid = PaidByInvoice(number="I-2026-000007", methods=(OfflineMethod.BANK_TRANSFER, OfflineMethod.CASH))
    page = said(receipt(sold(), payment=paid, paid_on=date(2026, 3, 10)))
    for words in (
        "Payment method Bank transfer · Cash", "Invoice number I-2026-000007", "Date of payment March 10, 2026",
        "Date of issue March 13, 2026", "€129.00 paid on March 10, 2026",
    ):  # fmt: skip
        assert words in page
    assert "Stripe" not in page


def test_a_free_order_says_that_nothing_is_due() -> None:
    page = said(receipt(sold(amount=4900, off=4900)))
    assert "No payment due" in page
    assert "Free of charge, March 13, 2026" in page
    assert "Stripe" not in page


def test_a_tax_on_top_is_added_to_the_net_sum() -> None:
    page = said(receipt(sold(lines=2, amount=10000, off=1000, vat=1710, behavior=EXCLUSIVE)))
    assert "List price Discount VAT Amount" in page
    assert "€100.00 −€10.00 €17.10 €107.10" in page
    assert "Subtotal €200.00 Discount −€20.00 Net €180.00 VAT 19% €34.20 Total paid €214.20" in page


def test_a_tax_within_the_price_is_told_as_contained() -> None:
    page = said(receipt(sold(lines=2, amount=11900, vat=1900, behavior=INCLUSIVE)))
    assert "List price incl. VAT Amount" in page, "no column for discounts where there are none"
    assert "€119.00 €19.00 €119.00" in page
    assert "Subtotal €238.00 Net €200.00 incl. VAT 19% €38.00 Total paid €238.00" in page


def test_an_invoice_says_what_is_owed_until_when_and_how_to_pay_it() -> None:
    sale = sold(locale="de", buyer=COMPANY, amount=10000, vat=1900, behavior=EXCLUSIVE, tax_name="USt.")
    page = said(invoice(sale, instructions=("IBAN DE02 1203 0000 0000 2020 51", "BIC BYLADEM1001")))
    for words in (
        "Rechnung", "Rechnungsnummer I-2026-000007", "Ausgestellt am 13. März 2026", "Fällig am 27. März 2026",
        "119,00 € fällig bis 27. März 2026", "Netto 100,00 €", "USt. 19 % 19,00 €", "Gesamt 119,00 €",
        "Zu zahlen 119,00 €", "So zahlen Sie IBAN DE02 1203 0000 0000 2020 51 BIC BYLADEM1001",
        "Bitte geben Sie I-2026-000007 als Verwendungszweck an.",
    ):  # fmt: skip
        assert words in page
    assert "bezahlt" not in page
    assert "Stripe" not in page


def test_a_company_is_the_buyer_with_the_person_beneath() -> None:
    page = said(invoice(sold(buyer=COMPANY)))
    assert (
        "Billed to Müller & Söhne Weiterbildung GmbH & Co. KG Łukasz Żółciński Am Großen Wannsee 56–58 14109 Berlin"
        " lukasz@students.test Tax number: DE 123 456 789"
    ) in page


def test_without_bank_details_and_address_an_invoice_is_still_made() -> None:
    page = said(invoice(sold()))
    assert "How to pay Please state I-2026-000007 as the payment reference." in page
    assert "Billed to Grace Hopper grace@students.test" in page


def test_a_credit_note_says_what_it_corrects_and_takes_back() -> None:
    sale = sold(amount=10000, vat=1900, behavior=EXCLUSIVE)
    page = said(credit_note(sale, part="Python basics", invoice_number="I-2026-000007"))
    for words in (
        "Credit note", "Credit note number C-2026-000003", "Corrects receipt R-2026-000042",
        "Invoice number I-2026-000007", "€119.00 credited", "The last seat had been taken before the payment arrived.",
        "The money goes back by the same means by which it was paid.", "Credited part: Python basics",
        "VAT Amount", "€19.00 €119.00", "Net €100.00 VAT 19% €19.00 Total credited €119.00",
    ):  # fmt: skip
        assert words in page
    assert "paid on" not in page
    assert "List price" not in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_known_reasons_are_told_in_the_readers_language_and_others_are_not(language: str) -> None:
    def notes(reason: str) -> tuple[str, ...]:
        return sheet_of(credit_note(sold(locale=language), reason=reason)).body.notes

    texts = texts_for("documents", language)
    for reason in ("seat_lost", "provisioning_failed", "amount_differs", "double_payment"):
        assert notes(reason) == (texts[f"reason.{reason}"], texts["goes_back"])
    assert notes("staff_wished_it") == (texts["goes_back"],)


def test_the_same_facts_give_the_same_bytes() -> None:
    first = render_pdf(receipt(sold(buyer=NAMES[1])))
    render_pdf(receipt(sold(buyer=NAMES[3], locale="ar", lines=5)))
    assert render_pdf(receipt(sold(buyer=NAMES[1]))) == first
    assert render_pdf(receipt(sold(buyer=NAMES[2]))) != first


_IN_ANOTHER_PROCESS = """
import sys
from hashlib import sha256
from activities.document_pdf import render_pdf
from tests.unit.printed_documents import EXCLUSIVE, of_every_kind, sold
for language in sys.argv[1:]:
    for printed in of_every_kind(sold(locale=language, vat=1900, behavior=EXCLUSIVE, buyer="ليلى (VIP) 王小明")):
        print(language, printed.kind, sha256(render_pdf(printed)).hexdigest())
"""


def test_neither_process_nor_place_nor_clock_shows_in_the_bytes() -> None:
    def elsewhere(languages: tuple[str, ...], **environment: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", _IN_ANOTHER_PROCESS, *languages],
            env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return set(done.stdout.splitlines())

    first = elsewhere(LANGUAGES, PYTHONHASHSEED="1", TZ="Pacific/Kiritimati", LC_ALL="C", SOURCE_DATE_EPOCH="1")
    second = elsewhere(LANGUAGES[::-1], PYTHONHASHSEED="2", TZ="America/Los_Angeles", LC_ALL="C.UTF-8")
    assert len(first) == 3 * len(LANGUAGES)
    assert first == second


def test_a_snapshot_holds_all_that_is_printed() -> None:
    for printed in of_every_kind(sold(lines=2, off=100, vat=19, starts_on=date(2026, 4, 1), buyer=COMPANY)):
        kept = from_snapshot(json.loads(json.dumps(snapshot_of(printed))))
        assert kept == printed
        assert render_pdf(kept) == render_pdf(printed)
        with pytest.raises(ValidationError):
            from_snapshot({**snapshot_of(printed), "kind": "letter"})


def test_metadata() -> None:
    reader = PdfReader(BytesIO(render_pdf(receipt(sold(locale="pl")))))
    assert reader.metadata is not None
    assert reader.metadata.title == "Potwierdzenie zapłaty R-2026-000042"
    assert reader.metadata.author == "TutorHub Academy GmbH"
    assert reader.metadata.subject == "Potwierdzenie zapłaty za zamówienie O-2026-000057"
    assert reader.metadata.creation_date == ISSUED
    assert reader.trailer["/Root"]["/Lang"] == "pl"  # type: ignore[index]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", ["en", "ar"])
def test_every_name_has_its_glyphs(name: str, language: str) -> None:
    setter = Typesetter(language, right_to_left=language == "ar")
    lines = setter.lines(name, Style(), 200)
    assert all(glyph.id != 0 for line in lines for run in line for glyph in run.glyphs)
    # Breaking may take the spaces at the ends of lines, nothing else.
    shown = "".join(glyph.text for line in lines for run in line for glyph in run.glyphs)
    assert sorted(shown.replace(" ", "")) == sorted(one_line(name).replace(" ", ""))
    assert all(sum(run.width for run in line) * 9.5 / 1000 <= 200 for line in lines)
    render_pdf(receipt(sold(buyer=name, locale=language)))


def test_arabic_is_joined_and_runs_from_right_to_left() -> None:
    [[run]] = Typesetter("en", right_to_left=False).lines("ليلى", Style(), 500)
    assert "".join(glyph.text for glyph in run.glyphs) == "ىليل"
    apart = [run.face.shaper.get_nominal_glyph(ord(letter)) for letter in "ىليل"]
    assert [glyph.id for glyph in run.glyphs if glyph.text] != apart


def test_brackets_stay_around_what_they_hold() -> None:
    [line] = Typesetter("en", right_to_left=False).lines("ليلى (VIP) 2", Style(), 500)
    shown = "".join(glyph.text for run in line for glyph in run.glyphs)
    assert shown == "2 )VIP( ىليل"  # a bracket keeps its character and is drawn mirrored


def test_chinese_characters_take_the_shapes_of_their_language() -> None:
    def shape(language: str, text: str) -> str:
        [[run, *_]] = Typesetter(language, right_to_left=False).lines(text, Style(weight=REGULAR), 500)
        return str(run.face.index)

    assert len({shape("ja", "直"), shape("zh", "直"), shape("zh-TW", "直"), shape("ko", "直")}) == 4
    assert shape("en", "直さん") == shape("ja", "直")


def test_a_text_that_outgrows_its_room_ends_in_an_ellipsis() -> None:
    style = Style(most=3)
    text = Typesetter("en", right_to_left=False).text("one two three four five six", style)
    assert text.wrap(30, 1000) == (30, 3 * style.leading)
    shown = ["".join(glyph.text for run in line for glyph in run.glyphs) for line in text._lines]
    assert shown == ["one", "two", "…"]


def test_a_text_is_broken_anew_for_another_width() -> None:
    setter = Typesetter("en", right_to_left=False)
    assert [len(setter.lines("one two three", Style(), room)) for room in (30, 500, 30)] == [3, 1, 3]


def test_in_arabic_the_courses_stand_on_the_right_and_the_sums_on_the_left() -> None:
    def places(locale: str) -> tuple[float, float, float]:
        found: dict[str, float] = {}

        def visit(text: str, cm: list[float], tm: list[float], *_: object) -> None:
            for wanted in ("Zumba", "129.00", "O-2026-000057"):
                if wanted in text:
                    found[wanted] = cm[4] + tm[4]

        sale = sold(locale=locale, title="Zumba", currency="EUR")
        PdfReader(BytesIO(render_pdf(receipt(sale)))).pages[0].extract_text(visitor_text=visit)
        return found["Zumba"], found["129.00"], found["O-2026-000057"]

    course, amount, number = places("en")
    assert course < number < 297 < amount
    course, amount, number = places("ar")
    assert amount < 297 < number < course


@pytest.mark.parametrize(
    "hostile", ["<b>Bold</b> & <script>x</script>", '<img src="http://x.test/y.png"/>', "{0} %s {name} {{ 7 * 7 }}"]
)
def test_markup_is_text(hostile: str) -> None:
    buyer = Buyer(name=hostile, contact=hostile, address=(hostile,), tax_number=hostile[:20], email="x@x.test")
    for printed in of_every_kind(sold(title=hostile, buyer=buyer, tax_name=hostile[:20], vat=19)):
        page = said(printed)
        assert page.count(hostile) == 5  # name, person, address, course and its student
        assert hostile[:20] in page


@pytest.mark.parametrize("name", STEERING)
def test_steering_characters_are_left_out(name: str) -> None:
    cleaned = one_line(name)
    assert cleaned.isprintable()
    assert said(receipt(sold(buyer=name))).count(cleaned) == 2


@pytest.mark.parametrize("locale", ["en-US", "pl", "de-AT", "ar-KW", "zh-CN", "uk", "nonsense-!", ""])
def test_every_font_is_embedded(locale: str) -> None:
    for printed in of_every_kind(sold(locale=locale, buyer=NAMES[3], lines=30, is_test=True)):
        found = list(fonts(render_pdf(printed)))
        assert found
        for font in found:
            [descendant] = font["/DescendantFonts"]  # type: ignore[misc]
            descriptor = descendant.get_object()["/FontDescriptor"]  # type: ignore[has-type]
            assert "/FontFile2" in descriptor or "/FontFile3" in descriptor


@pytest.mark.parametrize(
    ("locale", "currency", "amount", "written"),
    [
        ("en", "JPY", 9800, "¥9,800"),
        ("de", "EUR", 129900, "1.299,00 €"),
        ("pl", "PLN", 12900, "129,00 zł"),
        ("en", "KWD", 42500, "KWD42.500"),
        ("en-IE", "EUR", 4900, "€49.00"),
    ],
)
def test_amounts_are_written_as_the_payer_writes_them(locale: str, currency: str, amount: int, written: str) -> None:
    assert written in said(receipt(sold(locale=locale, currency=currency, amount=amount)))


def test_only_a_test_order_is_marked() -> None:
    for printed in of_every_kind(sold(is_test=True)):
        assert "TEST" in said(printed)
        assert "Test order: no money was moved." in said(printed)
    for printed in of_every_kind(sold()):
        assert "test order" not in said(printed).lower()
        assert "TEST" not in said(printed)


@pytest.mark.parametrize("lines", [*range(6, 26), 200])
def test_many_lines_break_over_pages(lines: int) -> None:
    pages = read(render_pdf(receipt(sold(lines=lines, buyer="A student with quite a long name"))))
    assert sum(page.count("Spanish for beginners") for page in pages) == lines
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page
    with_sums = next(page for page in pages if "Total paid" in page)
    assert "Spanish for beginners" in with_sums, "the sums never stand alone"
    for page in pages:
        assert ("List price" in page) == ("Spanish for beginners" in page)


@pytest.mark.parametrize(
    ("currency", "vat", "amount", "net"),
    [("KWD", 4250, "KWD46.750", "KWD850.000"), ("JPY", 980, "¥10,780", "¥196,000")],
)
def test_twenty_taxed_lines_keep_their_amounts_whole(currency: str, vat: int, amount: str, net: str) -> None:
    price = {"KWD": 42500, "JPY": 9800}[currency]
    sale = sold(lines=20, currency=currency, amount=price, vat=vat, behavior=EXCLUSIVE, title="A course " * 20)
    pages = read(render_pdf(invoice(sale)))
    assert sum(page.count(amount) for page in pages) == 20
    assert f"Net {net}" in " ".join(pages)


@pytest.mark.parametrize("character", ["W", "\N{ARABIC LIGATURE BISMILLAH AR-RAHMAN AR-RAHEEM}", "王", "😀"])
@pytest.mark.parametrize("locale", ["en", "ar"])
def test_no_text_is_too_long_for_its_page(character: str, locale: str) -> None:
    """Everything as long as the record allows, beside the largest amounts of the widest currency."""
    buyer = Buyer(
        name=character * 200, contact=character * 200, address=(character * 60,) * 8, tax_number=character * 40,
        email=character * 254,
    )  # fmt: skip
    seller = SELLER.model_copy(update={"name": buyer.name, "legal_name": buyer.name, "address": buyer.address})
    sale = sold(
        locale=locale, currency="KWD", amount=90_000_000_000, off=30_000_000_000, vat=10_000_000_000,
        title=character * 200, tax_name=character * 40, buyer=buyer, seller=seller, is_test=True,
        starts_on=date(2026, 4, 1),
    )  # fmt: skip
    for printed in (
        receipt(sale),
        invoice(sale, instructions=(character * 1000,)),
        invoice(sale, instructions=("x",) * 500),
        credit_note(sale, part=character * 200),
    ):
        pdf = PdfDocument(render_pdf(printed))
        assert all(page.get_textpage().count_chars() for page in pdf)


def test_all_languages_have_the_same_texts() -> None:
    known = {language: texts_for("documents", language).texts for language in languages("documents")}
    assert set(known) == set(LANGUAGES)
    for texts in known.values():
        assert texts.keys() == known["en"].keys()
        for key, text in texts.items():
            assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", known["en"][key]))
