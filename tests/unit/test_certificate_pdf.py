"""Certificates as PDF: every name, the same bytes everywhere, tagged for screen readers, a code that can be scanned."""

import os
import subprocess
import sys
import unicodedata
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pikepdf
import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pypdf.generic import ArrayObject, ContentStream, DictionaryObject
from reportlab.lib.colors import HexColor
from temporalio.exceptions import ApplicationError
from typer.testing import CliRunner

from activities.certificate_pdf import check_background, fitted, printed_words
from activities.certificate_preview import picture
from activities.certificate_qr import QUIET, modules_of
from activities.certificate_samples import sample_facts, shipped_templates
from activities.fonts import BOLD, REGULAR, family_typeface
from activities.one_line import one_line
from activities.typesetting import SetLine, Style, Typesetter, advance
from cli import app
from models.canvas import Canvas, FontFamily, canvas_from
from models.errors import Reason
from tests.unit.certificates_to_print import PAGE, URL, box, canvas, facts, opened, read, rendered
from tests.unit.names import NAMES, STEERING

ROOT = Path(__file__).parents[2]
# Letters and marks of every script, with what steers, breaks or pretends mixed in.
_HOSTILE = st.lists(
    st.one_of(
        st.text(st.characters(codec="utf-8"), max_size=8),
        st.sampled_from([*NAMES[:-1], *STEERING, "<b>", "&amp;", "\\(", ") Tj", "{}", "\u202e", "\ufffe", "\0"]),
    ),
    max_size=5,
).map(" ".join)


def shown(line: SetLine) -> str:
    return "".join(glyph.text for run in line for glyph in run.glyphs)


def image(kind: str, size: tuple[int, int] = (60, 40), mode: str = "RGB") -> bytes:
    written = BytesIO()
    Image.new(mode, size, "#336699" if mode == "RGB" else None).save(written, kind)
    return written.getvalue()


def on_image(content: bytes, media_type: str = "image/png") -> Canvas:
    return canvas(box(), background={"sha256": sha256(content).hexdigest(), "media_type": media_type})


@pytest.mark.parametrize(
    "name",
    ["Grace Hopper", "Łukasz Żółciński-Gęśl", "Олена Шевченко", "Αλέξανδρος Παπαδόπουλος",
     "<b>Bold</b> & <i>co.</i>", "O'Connor (née Ní Dhomhnaill)", "Ünal Şahin İğdır"],
)  # fmt: skip
@pytest.mark.parametrize("family", FontFamily)
def test_a_name_is_read_as_it_was_written(name: str, family: FontFamily) -> None:
    assert read(rendered(canvas(box(font_family=family, font_weight="bold")), facts(name))) == name


@pytest.mark.parametrize("template", shipped_templates())
def test_the_templates_that_ship_say_everything(template: str) -> None:
    on = shipped_templates()[template]
    page = read(rendered(on, facts("Łukasz Żółciński")))
    for words in (
        "Łukasz Żółciński", "Spanish for beginners", "November 21, 2026", "Valid until November 21, 2027",
        "CERT-2026-000042", "TutorHub Academy", "Languages of Europe", "Study points: 5", URL,
    ):  # fmt: skip
        assert words in page
    bare = facts(expiry_date=None, learning_path_name=None, course_credit=None, issuer=None)
    page = read(rendered(on, bare))
    for words in ("Valid until", "path", "Study points", "{}", "None"):
        assert words not in page, "the words around a fact that is missing go with it"


def test_the_words_around_a_fact_and_the_samples_of_an_editor() -> None:
    on = canvas(
        box("student_full_name", value="Student Full Name"),
        box("expiry_date", value="Valid until {}"),
        box("custom_text", value="Two\nlines "),
        box("field.grade", value="Grade {}"),
        box("field.nothing"),
        box("verification_url"),
    )
    known = facts("Ada", custom_fields=(("grade", "1.0"), ("student_full_name", "Eve")), expiry_date="{} tomorrow")
    said = ("Ada", "Valid until {} tomorrow", "Two\nlines", "Grade 1.0", "", URL)
    assert printed_words(on, known, URL) == said


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", FontFamily)
def test_every_name_has_its_glyphs_in_every_family(name: str, family: FontFamily) -> None:
    setter = Typesetter("en", right_to_left=False)
    place = canvas_from({**PAGE, "boxes": [box(font_family=family)]}).boxes[0]
    style, lines = fitted(setter, one_line(name), place)
    assert all(glyph.id != 0 for line in lines for run in line for glyph in run.glyphs)
    assert sorted("".join(map(shown, lines)).replace(" ", "")) == sorted(one_line(name).replace(" ", ""))
    assert all(advance(line, style) <= place.width for line in lines)
    assert len(lines) * style.leading <= place.height or (len(lines) == 1 and style.size <= place.height)


@pytest.mark.parametrize("name", STEERING)
def test_steering_characters_are_left_out(name: str) -> None:
    assert read(rendered(canvas(), facts(name))) == one_line(name)


def test_a_word_is_never_patched_together_from_two_families() -> None:
    setter = Typesetter("en", right_to_left=False)
    assert family_typeface(FontFamily.MONTSERRAT, REGULAR).has("λ")
    [line] = setter.lines("Greek Αλέξ 王明", Style(family=FontFamily.MONTSERRAT), 900)
    faces = {shown((run,)).strip(): run.face.file for run in line}
    assert faces == {
        "Greek": "files/Montserrat[wght].ttf",
        "Αλέξ": "NotoSans[wght].ttf",
        "王明": "NotoSansCJK-VF.otf.ttc",
        "": "files/Montserrat[wght].ttf",
    }


def test_every_family_has_a_bold_that_is_bolder() -> None:
    for family in FontFamily:
        regular, bold = (family_typeface(family, weight) for weight in (REGULAR, BOLD))
        glyph = regular.shaper.get_nominal_glyph(ord("l"))
        stems = [face.shaper.get_glyph_extents(glyph).width for face in (regular, bold)]
        assert stems[1] > stems[0], family


def test_a_long_name_shrinks_on_one_line_and_then_takes_a_second() -> None:
    setter = Typesetter("en", right_to_left=False)

    def fit(words: str, **more: object) -> tuple[float, int]:
        place = canvas_from({**PAGE, "boxes": [box(**{"width": 400, **more})]}).boxes[0]
        style, lines = fitted(setter, words, place)
        return style.size, len(lines)

    assert fit("Ada Lovelace") == (40, 1)
    size, lines = fit("Augusta Ada King Lovelace")
    assert (24 < size < 40, lines) == (True, 1)
    size, lines = fit("Augusta Ada King, Countess of Lovelace and Byron")
    assert (size > 24, lines) == (True, 2)
    size, lines = fit("Augusta Ada King, Countess of Lovelace and Byron", height=20)
    assert (size < 24, lines) == (True, 1), "there is no room for a second line"
    text = {"key": "custom_text", "value": "x", "font_size": 20, "height": 80}
    assert fit("A text of our own has more lines before it is any smaller", **text) == (20, 2)
    assert fit("x " * 5000, width=10, height=4)[0] >= 4


def test_what_fits_at_no_size_ends_in_an_ellipsis() -> None:
    setter = Typesetter("en", right_to_left=False)
    place = canvas_from({**PAGE, "boxes": [box(width=40, height=20)]}).boxes[0]
    style, lines = fitted(setter, "word " * 60, place)
    assert shown(lines[-1]) == "…"
    assert len(lines) * style.leading <= 20


@given(_HOSTILE, st.sampled_from(sorted(shipped_templates())), st.sampled_from(["en", "ar", "zh-TW", "de", "x y", ""]))
def test_no_name_breaks_the_document(name: str, template: str, language: str) -> None:
    printed = facts().model_copy(update={"student_full_name": name, "course_name": name, "language": language})
    reader = opened(rendered(shipped_templates()[template], printed))
    assert "CERT-2026-000042" in reader.pages[0].extract_text()
    assert reader.metadata is not None
    assert one_line(name) in str(reader.metadata.title)
    words = {str(element.get("/ActualText")) for element in elements(reader)}
    assert not one_line(name) or one_line(name) in words


# Without the letters of compatibility that Unicode itself takes apart (L with a dot beside it, i and j in one).
_LETTERS = st.characters(
    min_codepoint=65,
    max_codepoint=0x17F,
    categories=["L"],
    exclude_characters="\xaa\xba\u0132\u0133\u013f\u0140\u0149\u017f",
)
_LATIN = st.text(_LETTERS, min_size=1, max_size=30)
_CYRILLIC = st.text(st.characters(min_codepoint=0x410, max_codepoint=0x45F), min_size=1, max_size=30)


@given(st.one_of(_LATIN, _CYRILLIC), st.one_of(_LATIN, _CYRILLIC), st.sampled_from(FontFamily))
def test_latin_and_cyrillic_names_are_read_as_they_were_written(first: str, last: str, family: FontFamily) -> None:
    name = unicodedata.normalize("NFC", f"{first} {last}")
    assert read(rendered(canvas(box(font_family=family, top=0, height=500)), facts(name))).replace(" ", "") == (
        name.replace(" ", "")
    )


_IN_ANOTHER_PROCESS = """
from hashlib import sha256
from activities.certificate_samples import shipped_templates
from tests.unit.certificates_to_print import facts, rendered
for name, canvas in shipped_templates().items():
    for person, language in (("ليلى (VIP) 王小明", "ar"), ("Łukasz Żółciński", "pl")):
        print(name, language, sha256(rendered(canvas, facts(person, language=language))).hexdigest())
"""


def test_neither_process_nor_place_nor_clock_shows_in_the_bytes() -> None:
    def elsewhere(**environment: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", _IN_ANOTHER_PROCESS],
            env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.splitlines()

    first = elsewhere(PYTHONHASHSEED="1", TZ="Pacific/Kiritimati", LC_ALL="C", SOURCE_DATE_EPOCH="1")
    assert len(set(first)) == 6
    assert first == elsewhere(PYTHONHASHSEED="2", TZ="America/Los_Angeles", LC_ALL="C.UTF-8")
    here = rendered(shipped_templates()["bold"], facts("Łukasz Żółciński", language="pl"))
    assert f"bold pl {sha256(here).hexdigest()}" in first


def test_other_facts_give_another_document_with_another_id() -> None:
    ids = {str(opened(rendered(canvas(), facts(instructor_name=name))).trailer["/ID"]) for name in ("Ada", "Eve")}
    assert len(ids) == 2


def test_the_file_says_what_it_is_and_not_when_it_was_made() -> None:
    reader = opened(rendered(canvas(), facts("Łukasz Żółciński", language="pl-PL")))
    assert reader.metadata is not None
    assert reader.metadata.title == "Certyfikat: Łukasz Żółciński, Spanish for beginners"
    assert reader.metadata.author == reader.metadata.creator == "TutorHub Academy"
    assert reader.metadata.subject == "Certyfikat CERT-2026-000042"
    assert reader.metadata.creation_date is None
    assert reader.metadata.modification_date is None
    assert reader.root_object["/Lang"] == "pl"
    assert reader.root_object["/ViewerPreferences"]["/DisplayDocTitle"].value is True  # type: ignore[index]


def elements(reader: object) -> list[DictionaryObject]:
    """The structure's elements, in the order in which they are read."""
    found: list[DictionaryObject] = []

    def walk(kid: object) -> None:
        kid = kid.get_object() if hasattr(kid, "get_object") else kid
        if isinstance(kid, ArrayObject):
            for each in kid:
                walk(each)
        elif isinstance(kid, DictionaryObject) and kid.get("/Type") == "/StructElem":
            found.append(kid)
            walk(kid.get("/K"))

    walk(reader.root_object["/StructTreeRoot"]["/K"])  # type: ignore[attr-defined]
    return found


def test_screen_readers_hear_a_heading_paragraphs_and_what_the_code_is_for() -> None:
    on = canvas(
        box("custom_text", value="Certificate", top=10, height=50),
        box("expiry_date", value="until {}"),
        box(top=300),
        qr={"top": 400, "left": 10, "size": 90},
        frame={"style": "classic"},
    )
    reader = opened(rendered(on, facts("ليلى (VIP)", expiry_date=None)))
    assert reader.root_object["/MarkInfo"]["/Marked"].value is True  # type: ignore[index]
    told = [(str(each["/S"]), each.get("/ActualText") or each.get("/Alt")) for each in elements(reader)]
    alternative = f"QR code that leads to the page where this certificate can be checked: {URL}"
    assert told == [
        ("/Document", None), ("/H1", "Certificate"), ("/P", "ليلى (VIP)"), ("/Link", None), ("/Figure", alternative),
    ]  # fmt: skip
    page = reader.pages[0]
    numbers = reader.root_object["/StructTreeRoot"]["/ParentTree"]["/Nums"]  # type: ignore[index]
    marked = {int(str(each.get("/K"))): each for each in elements(reader) if str(each.get("/K")).isdigit()}
    assert [numbers[1][number].get_object() for number in sorted(marked)] == [marked[n] for n in sorted(marked)]
    assert (page["/StructParents"], page["/Tabs"]) == (0, "/S")
    [annotation] = page["/Annots"]  # type: ignore[misc]
    annotation = annotation.get_object()  # type: ignore[has-type]
    assert annotation["/A"]["/URI"] == URL
    assert numbers[3].get_object()["/S"] == "/Link"
    marks = 0
    for _, operator in ContentStream(page.get_contents(), reader).operations:
        marks += {b"BDC": 1, b"BMC": 1, b"EMC": -1}.get(operator, 0)
        assert marks or operator not in {b"f", b"f*", b"S", b"s", b"B", b"TJ", b"Tj", b"Do"}, (
            "drawn outside of all marks"
        )
    assert marks == 0


def test_every_font_is_embedded_and_holds_only_what_it_shows() -> None:
    for name, on in shipped_templates().items():
        pdf = rendered(on, facts("ليلى 王小明 Łukasz"))
        assert len(pdf) < 60_000, name
        fonts = opened(pdf).pages[0]["/Resources"]["/Font"]  # type: ignore[index]
        assert len(fonts) >= 3
        for font in fonts.values():
            [descendant] = font.get_object()["/DescendantFonts"]
            descriptor = descendant.get_object()["/FontDescriptor"]
            assert "/FontFile2" in descriptor or "/FontFile3" in descriptor


@pytest.mark.parametrize("template", shipped_templates())
@pytest.mark.parametrize("name", ["Grace Hopper", "W" * 200, "عبد الرحمن بن محمد", "王小明"])
def test_the_code_is_seen_as_it_was_made(template: str, name: str) -> None:
    """Nothing covers it, and its white margin is there, whatever the facts."""
    on = shipped_templates()[template]
    assert on.qr is not None
    page, size = pypdfium2.PdfDocument(rendered(on, facts(name, course_name=name)))[0], on.qr.size
    around = (on.qr.left, on.height - on.qr.top - size, on.width - on.qr.left - size, on.qr.top)
    seen = page.render(scale=6, crop=around).to_pil().convert("L")
    modules = modules_of(URL)
    step = on.qr.size / (len(modules) + 2 * QUIET)
    margin = range(-QUIET, len(modules) + QUIET)

    def is_dark(row: int, column: int) -> bool:
        x, y = (column + QUIET + 0.5) * step, (row + QUIET + 0.5) * step
        return bool(seen.getpixel((int(x * 6), int(y * 6))) < 128)  # type: ignore[operator]

    for row in margin:
        for column in margin:
            inside = 0 <= row < len(modules) and 0 <= column < len(modules)
            assert is_dark(row, column) == (inside and modules[row][column]), (row, column)


def test_a_text_too_long_for_a_code_is_refused() -> None:
    with pytest.raises(ValueError, match="too fine"):
        modules_of("x" * 5000)


@pytest.mark.parametrize("template", shipped_templates())
def test_qpdf_finds_nothing(template: str) -> None:
    printed = rendered(shipped_templates()[template], facts("ليلى 王小明"))
    with pikepdf.open(BytesIO(printed)) as pdf:
        assert pdf.check_pdf_syntax() == []


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "RGB"), ("JPEG", "L")]
)
def test_an_image_lies_under_the_text(kind: str, mode: str) -> None:
    content = image(kind, mode=mode)
    on = on_image(content, f"image/{kind.lower()}")
    pdf = rendered(on, facts("Grace Hopper"), content)
    assert read(pdf) == "Grace Hopper"
    assert rendered(on, facts("Grace Hopper"), content) == pdf
    [drawn] = [each for each in opened(pdf).pages[0].images if each.name]
    assert drawn.image is not None
    if mode == "RGB":
        red, green, blue = picture(pdf).getpixel((5, 5))  # type: ignore[misc]
        assert abs(red - 0x33) + abs(green - 0x66) + abs(blue - 0x99) < 12, "it reaches the corner"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"", "image/png"), (b"%PDF-1.7", "image/png"), (image("PNG")[:-30], "image/png"),
        (image("PNG"), "image/jpeg"), (image("JPEG"), "image/png"), (image("JPEG")[:200], "image/jpeg"),
        (image("PNG", (9000, 9000), "1"), "image/png"), (b"x" * (10 * 1024 * 1024 + 1), "image/png"),
    ],
)  # fmt: skip
def test_an_image_that_is_none_is_refused(content: bytes, media_type: str) -> None:
    for attempt in (
        lambda: check_background(content, media_type),
        lambda: rendered(on_image(content, media_type), facts(), content),
    ):
        with pytest.raises(ApplicationError, match="background: the image") as refused:
            attempt()
        assert refused.value.type == Reason.TEMPLATE_INVALID


def test_a_missing_image_is_refused() -> None:
    with pytest.raises(ApplicationError, match="background: the image is missing"):
        rendered(on_image(b"x"), facts(), None)


def test_only_a_test_is_marked() -> None:
    assert "TEST" in read(rendered(canvas(), facts("Ada", is_test=True)))
    assert "TEST" not in read(rendered(canvas(), facts("Ada")))


def test_colors_are_those_of_the_box() -> None:
    place = canvas(box(font_color="#C0FFEE")).boxes[0]
    style, _ = fitted(Typesetter("en", right_to_left=False), "Ada", place)
    assert style.color == HexColor("#c0ffee")


def test_the_command_writes_what_to_look_at(tmp_path: Path) -> None:
    told = CliRunner().invoke(
        app,
        ["certificates", "preview", "modern", "--png", "--name", "Łukasz Żółciński", "--out", str(tmp_path / "new")],
    )
    assert told.exit_code == 0, told.output
    assert "Łukasz Żółciński" in read((tmp_path / "new" / "modern.pdf").read_bytes())
    with Image.open(tmp_path / "new" / "modern.png") as seen:
        assert seen.size == (1684, 1190)


def test_the_command_takes_a_file_with_its_image(tmp_path: Path) -> None:
    content = image("PNG")
    (tmp_path / "image.png").write_bytes(content)
    (tmp_path / "ours.json").write_text(on_image(content).model_dump_json(), encoding="utf-8")
    told = CliRunner().invoke(
        app,
        ["certificates", "preview", str(tmp_path / "ours.json"), "--background", str(tmp_path / "image.png"),
         "--out", str(tmp_path)],
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    assert read((tmp_path / "ours.pdf").read_bytes()) == "Aoife Ní Dhomhnaill"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            '{"width": 842, "height": 595, "boxes": [{"key": "student"}], "x": 1}',
            ["boxes.0.key: is unknown", "x: Extra"],
        ),
        ("{", ["the file is no JSON"]),
        ("[" * 100_000, ["the file is no JSON"]),
        (None, ["No such file or directory"]),
    ],
)
def test_the_command_says_what_is_wrong(content: str | None, said: list[str], tmp_path: Path) -> None:
    file = tmp_path / "ours.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    told = CliRunner().invoke(app, ["certificates", "preview", str(file), "--out", str(tmp_path)])
    assert told.exit_code == 2
    for words in said:
        assert words in told.output
    assert list(tmp_path.glob("*.pdf")) == []


def test_the_samples_fill_every_field_that_a_template_shows() -> None:
    on = canvas(box("field.licence_number"), box("custom_text", value="x"))
    assert sample_facts(on).custom_fields == (("licence_number", "licence number"),)
