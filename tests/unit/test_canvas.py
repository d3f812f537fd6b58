"""Templates of certificates: what is taken, and what is said field by field of what is not."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from activities.certificate_samples import sample_facts, shipped_templates
from models.canvas import FACT_KEYS, FONTS_OF_ACADEMY_OF_MINE, Canvas, FontFamily, canvas_from, contrast_with_white
from models.errors import Reason
from tests.unit.certificates_to_print import PAGE, box, canvas, opened, rendered

_IMAGE = {"sha256": "0" * 64, "media_type": "image/png"}
_QR = {"top": 10, "left": 10, "size": 90}


def problems(content: object) -> list[str]:
    with pytest.raises(ApplicationError) as refused:
        canvas_from(content)
    assert refused.value.type == Reason.TEMPLATE_INVALID
    assert refused.value.non_retryable
    return [str(item) for item in refused.value.details]


def test_three_templates_ship_and_show_everything() -> None:
    shipped = shipped_templates()
    assert list(shipped) == ["bold", "classic", "modern"]
    for template in shipped.values():
        assert (template.width, template.height) == (842, 595), "A4, landscape"
        assert template.qr is not None
        keys = {each.key for each in template.boxes}
        assert {"student_full_name", "course_name", "issue_date", "expiry_date", "certificate_code", "issuer"} <= keys
        assert template.boxes[0].key == "custom_text", "the first text is the heading that screen readers announce"


def test_a_template_of_academy_of_mine_is_taken() -> None:
    """Sizes, strings for numbers, short colors and fonts as in the samples (older L7178-7341, newer L1052-1078)."""
    fields = [
        {"key": key, "value": "Sample", "font_size": "20", "font_family": family, "font_color": "#222",
         "top": 10 + 20 * row, "left": 0, "width": 1075, "height": 20}
        for row, (key, family) in enumerate(zip(FACT_KEYS, FONTS_OF_ACADEMY_OF_MINE, strict=False))
    ]  # fmt: skip
    taken = canvas_from({"width": 1075, "height": 680, "boxes": fields})
    assert [each.font_family for each in taken.boxes[:3]] == ["Lato", "Source Sans 3", "Source Sans 3"]
    assert {each.font_color for each in taken.boxes} == {"#222222"}
    assert {each.font_weight for each in taken.boxes if each.font_family is FontFamily.EB_GARAMOND} == {
        "regular",
        "bold",
    }
    assert canvas_from(json.loads(taken.model_dump_json())) == taken, "what is stored is read again as it was"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({**PAGE, "boxes": [box("student_name")]}, "boxes.0.key: is unknown: there are student_first_name, "),
        ({**PAGE, "boxes": [box("field.Bad Key")]}, "boxes.0.key: is unknown"),
        ({**PAGE, "boxes": [box("custom_text")]}, "boxes.0: custom_text needs a value"),
        ({**PAGE, "boxes": [box("expiry_date", value="{} to {}")]}, "boxes.0: value has more than one {} for its fact"),
        ({**PAGE, "boxes": [box("custom_text", value="x" * 1001)]}, "boxes.0.value: "),
        ({**PAGE, "boxes": [box("custom_text", value="x" * 1000)] * 6}, "boxes: hold more than 5,000 characters"),
        ({**PAGE, "boxes": [box(), box(font_color="red")]}, "boxes.1.font_color: is no color: write #rrggbb or #rgb"),
        ({**PAGE, "boxes": [box(font_color="#12345")]}, "boxes.0.font_color: is no color"),
        ({**PAGE, "boxes": [box(font_family="Comic Sans")]}, "boxes.0.font_family: is no font that ships: there are"),
        ({**PAGE, "boxes": [box(font_family=7)]}, "boxes.0.font_family: "),
        ({**PAGE, "boxes": [box(font_size=0)]}, "boxes.0.font_size: "),
        ({**PAGE, "boxes": [box(top="NaN")]}, "boxes.0.top: "),
        ({**PAGE, "boxes": [box(left=-1)]}, "boxes.0.left: "),
        ({**PAGE, "boxes": [box(), box(left=300)]}, "boxes.1: reaches beyond the page"),
        ({**PAGE, "boxes": [box(top=516)]}, "boxes.0: reaches beyond the page"),
        ({**PAGE, "boxes": [box(colour="#fff")]}, "boxes.0.colour: "),
        ({**PAGE, "boxes": [box(align="justify")]}, "boxes.0.align: "),
        ({**PAGE, "boxes": []}, "boxes: needs one at least"),
        ({**PAGE, "boxes": [box()] * 61}, "boxes: "),
        ({**PAGE}, "boxes: "),
        ({**PAGE, "boxes": [box()], "qr": {**_QR, "left": 800}}, "qr: reaches beyond the page"),
        ({**PAGE, "boxes": [box()], "qr": {**_QR, "size": 20}}, "qr.size: "),
        ({**PAGE, "boxes": [box()], "qr": {**_QR, "color": "#ffd54f"}}, "qr.color: is too light to be scanned"),
        ({**PAGE, "boxes": [box()], "lines": [{"top": 594.9, "left": 0, "width": 9}]}, "lines.0: reaches beyond"),
        ({**PAGE, "boxes": [box()], "background": {"sha256": "no", "media_type": "image/png"}}, "background.sha256: "),
        ({**PAGE, "boxes": [box()], "background": {**_IMAGE, "media_type": "image/gif"}}, "background.media_type: "),
        ({**PAGE, "boxes": [box()], "frame": {"style": "baroque"}}, "frame.style: "),
        (
            {**PAGE, "boxes": [box()], "frame": {"style": "bold"}, "background": _IMAGE},
            "background, frame: choose one of them",
        ),
        ({"width": 10, "height": 595, "boxes": [box()]}, "width: "),
        ({**PAGE, "boxes": [box()], "bg\u202e\nurl": "x"}, "bg??url: "),
        ("a template", "Input should be"),
        (None, "Input should be"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_path(content: object, said: str) -> None:
    assert [item for item in problems(content) if item.startswith(said)], problems(content)


def test_all_that_is_wrong_is_said_at_once_but_no_more_than_ten() -> None:
    found = problems({**PAGE, "boxes": [box("x", font_color="red", align="up")] * 5})
    assert len(found) == 10
    with pytest.raises(ApplicationError, match=r"boxes\.0\.key: is unknown.* \(and 14 more\)"):
        canvas_from({**PAGE, "boxes": [box("x", font_color="red", align="up")] * 5})


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast_with_white("#000000") == pytest.approx(21)
    assert contrast_with_white("#ffffff") == pytest.approx(1)
    assert contrast_with_white("#767676") == pytest.approx(4.54, abs=0.01)


_NUMBERS = st.one_of(st.floats(), st.integers(-10, 3000), st.sampled_from(["20", "", None]))
_COLORS = st.one_of(st.sampled_from(["#222", "#1f2a44", "#FFFFFF"]), st.text(max_size=8))
_BOXES = st.fixed_dictionaries(
    {
        "key": st.one_of(st.sampled_from([*FACT_KEYS, "custom_text", "field.grade", "verification_url"]), st.text()),
        "top": st.one_of(st.integers(0, 300), _NUMBERS),
        "left": st.one_of(st.integers(0, 300), _NUMBERS),
        "width": st.one_of(st.integers(1, 300), _NUMBERS),
        "height": st.one_of(st.integers(1, 300), _NUMBERS),
    },
    optional={
        "value": st.text(max_size=60),
        "font_family": st.one_of(st.sampled_from([*FontFamily, *FONTS_OF_ACADEMY_OF_MINE]), st.text(max_size=5)),
        "font_size": _NUMBERS,
        "font_color": _COLORS,
        "align": st.sampled_from(["left", "center", "right", "justify"]),
        "font_weight": st.sampled_from(["regular", "bold", "thin"]),
    },
)
_TEMPLATES = st.fixed_dictionaries(
    {"width": st.one_of(st.integers(600, 700), _NUMBERS), "height": st.one_of(st.integers(600, 700), _NUMBERS),
     "boxes": st.lists(_BOXES, max_size=3)},
    optional={
        "frame": st.fixed_dictionaries(
            {"style": st.sampled_from(["classic", "modern", "bold", ""])}, optional={"color": _COLORS}
        ),
        "qr": st.fixed_dictionaries({"top": st.integers(0, 600), "left": st.integers(0, 600), "size": _NUMBERS}),
        "lines": st.lists(st.fixed_dictionaries({"top": _NUMBERS, "left": _NUMBERS, "width": _NUMBERS}), max_size=2),
    },
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.text() | st.floats(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=9
)
_VALID_BOXES = st.fixed_dictionaries(
    {
        "key": st.sampled_from([*FACT_KEYS, "field.grade", "verification_url", "issuer"]),
        "top": st.floats(0, 300), "left": st.floats(0, 300),
        "width": st.floats(0.5, 300), "height": st.floats(0.5, 300), "font_size": st.floats(4, 400),
        "font_family": st.sampled_from(list(FontFamily)), "align": st.sampled_from(["left", "center", "right"]),
        "font_weight": st.sampled_from(["regular", "bold"]), "value": st.sampled_from(["{}", "a {} b", "sample"]),
    }
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.one_of(_TEMPLATES, _JSON))
def test_whatever_comes_is_refused_clearly_or_prints(content: object) -> None:
    try:
        taken = canvas_from(content)
    except ApplicationError:
        found = problems(content)
        assert found
        assert all(item.isprintable() for item in found)
    else:
        prints(taken)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(_VALID_BOXES, min_size=1, max_size=4),
    st.sampled_from([None, "classic", "modern", "bold"]),
    st.floats(600, 2880),
    st.floats(600, 2880),
)
def test_every_valid_template_prints(
    boxes: list[dict[str, object]], style: str | None, width: float, height: float
) -> None:
    frame = None if style is None else {"style": style}
    prints(canvas(*boxes, width=width, height=height, frame=frame, qr={"top": 0, "left": 0, "size": 54}))


def prints(taken: Canvas) -> None:
    page = opened(rendered(taken, sample_facts(taken, "王小明 Łukasz"))).pages[0]
    assert float(page.mediabox.width) == pytest.approx(taken.width, abs=0.01)
    assert float(page.mediabox.height) == pytest.approx(taken.height, abs=0.01)
    page.extract_text()


def test_a_text_that_the_record_cannot_keep_is_refused() -> None:
    wrong = {"key": "custom_text", "value": "a\x00b", "top": 1, "left": 1, "width": 100, "height": 20}
    [problem] = problems({"width": 842, "height": 595, "boxes": [wrong]})
    assert problem.startswith("boxes.0.value: ")
