"""The receipt: every name, every currency, any number of lines, and the same bytes for the same facts."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO

import pytest
from pypdf import PdfReader
from pypdf.generic import DictionaryObject

from activities.fonts import REGULAR
from activities.one_line import one_line
from activities.receipt import ReceiptFacts, ReceiptLine, Seller, render_receipt_pdf
from activities.translations import languages, texts_for
from activities.typesetting import Style, Typesetter
from models.money import Money
from tests.unit.names import NAMES, STEERING

ISSUED = datetime(2026, 3, 12, 23, 30, tzinfo=UTC)
SELLER = Seller(
    name="TutorHub Academy",
    legal_name="TutorHub Academy GmbH",
    address="Lindenstraße 12\n10969 Berlin",
    tax_number="DE 315 728 904",
    email="hello@tutorhub-academy.test",
    time_zone="Europe/Berlin",
)


def facts(
    *, locale: str = "en", lines: int = 1, currency: str = "EUR", amount: int = 12900, off: int = 0,
    payer: str = "Grace Hopper", is_test: bool = False,
) -> ReceiptFacts:  # fmt: skip
    def money(minor: int) -> Money:
        return Money(amount=minor, currency=currency)

    line = ReceiptLine(
        title="Spanish for beginners",
        student_name=payer,
        list_price=money(amount),
        discount=money(off),
        total=money(amount - off),
    )
    return ReceiptFacts(
        receipt_number="R-2026-000042",
        order_number="O-2026-000057",
        issued_at=ISSUED,
        locale=locale,
        seller=SELLER,
        payer_name=payer,
        payer_email="grace@students.test",
        lines=(line,) * lines,
        subtotal=money(amount * lines),
        discount=money(off * lines),
        total=money((amount - off) * lines),
        payment_reference="ch_1" if amount > off else None,
        is_test=is_test,
    )


def read(pdf: bytes) -> list[str]:
    return [re.sub(r"\s+", " ", page.extract_text()) for page in PdfReader(BytesIO(pdf)).pages]


def fonts(pdf: bytes) -> Iterator[DictionaryObject]:
    for page in PdfReader(BytesIO(pdf)).pages:
        resources = page["/Resources"].get_object()
        assert isinstance(resources, DictionaryObject)
        for font in resources["/Font"].get_object().values():  # type: ignore[attr-defined]
            yield font.get_object()


def test_it_says_all_that_a_receipt_must_say() -> None:
    [page] = read(render_receipt_pdf(facts(off=645)))
    for said in (
        "Receipt", "TutorHub Academy GmbH", "Lindenstraße 12", "10969 Berlin", "DE 315 728 904", "R-2026-000042",
        "O-2026-000057", "March 13, 2026", "Grace Hopper", "grace@students.test", "Spanish for beginners", "€129.00",
        "−€6.45", "€122.55 paid on March 13, 2026", "Card via Stripe", "ch_1", "Subtotal", "Total paid", "Page 1 of 1",
    ):  # fmt: skip
        assert said in page


def test_the_same_facts_give_the_same_bytes() -> None:
    first = render_receipt_pdf(facts(payer=NAMES[1]))
    render_receipt_pdf(facts(payer=NAMES[3], locale="ar", lines=5))
    assert render_receipt_pdf(facts(payer=NAMES[1])) == first
    assert render_receipt_pdf(facts(payer=NAMES[2])) != first


def test_metadata() -> None:
    reader = PdfReader(BytesIO(render_receipt_pdf(facts(locale="pl"))))
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
    render_receipt_pdf(facts(payer=name, locale=language))


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


def test_markup_is_text() -> None:
    [page] = read(render_receipt_pdf(facts(payer="<b>Bold</b> & <script>x</script>")))
    assert "<b>Bold</b> & <script>x</script>" in page


@pytest.mark.parametrize("name", STEERING)
def test_steering_characters_are_left_out(name: str) -> None:
    cleaned = one_line(name)
    assert cleaned.isprintable()
    [page] = read(render_receipt_pdf(facts(payer=name)))
    assert cleaned in page


@pytest.mark.parametrize("locale", ["en-US", "pl", "de-AT", "ar-KW", "zh-CN", "uk", "nonsense-!", ""])
def test_every_font_is_embedded(locale: str) -> None:
    found = list(fonts(render_receipt_pdf(facts(locale=locale, payer=NAMES[3], lines=30, is_test=True))))
    assert found
    for font in found:
        [descendant] = font["/DescendantFonts"]  # type: ignore[misc]
        descriptor = descendant.get_object()["/FontDescriptor"]  # type: ignore[has-type]
        assert "/FontFile2" in descriptor or "/FontFile3" in descriptor


@pytest.mark.parametrize(
    ("locale", "currency", "amount", "said"),
    [
        ("en", "JPY", 9800, "¥9,800"),
        ("de", "EUR", 129900, "1.299,00 €"),
        ("pl", "PLN", 12900, "129,00 zł"),
        ("en", "KWD", 42500, "KWD42.500"),
        ("en-IE", "EUR", 4900, "€49.00"),
    ],
)
def test_amounts_are_written_as_the_payer_writes_them(locale: str, currency: str, amount: int, said: str) -> None:
    [page] = read(render_receipt_pdf(facts(locale=locale, currency=currency, amount=amount)))
    assert said in page


def test_a_free_order_says_that_nothing_is_due() -> None:
    [page] = read(render_receipt_pdf(facts(amount=4900, off=4900)))
    assert "No payment due" in page
    assert "Free of charge, March 13, 2026" in page
    assert "Stripe" not in page


def test_only_a_test_order_is_marked() -> None:
    assert "TEST" in read(render_receipt_pdf(facts(is_test=True)))[0]
    assert "TEST" not in read(render_receipt_pdf(facts()))[0]


@pytest.mark.parametrize("lines", [*range(6, 26), 200])
def test_many_lines_break_over_pages(lines: int) -> None:
    pages = read(render_receipt_pdf(facts(lines=lines, payer="A student with quite a long name")))
    assert sum(page.count("Spanish for beginners") for page in pages) == lines
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page
    with_sums = next(page for page in pages if "Total paid" in page)
    assert "Spanish for beginners" in with_sums, "the sums never stand alone"
    for page in pages:
        assert ("List price" in page) == ("Spanish for beginners" in page)


def test_all_languages_have_the_same_texts() -> None:
    known = {language: texts_for("receipt", language).texts for language in languages("receipt")}
    assert set(known) == {"en", "de", "pl", "ar", "zh"}
    for texts in known.values():
        assert texts.keys() == known["en"].keys()
        for key, text in texts.items():
            assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", known["en"][key]))
