"""The figures of charts are round, add up and fit; titles are cut between whole characters of any script."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.report_charts import fitted
from activities.report_sheet import figure
from activities.typesetting import Style, Typesetter
from rules.report_figures import largest, marks, thousandths

AMOUNTS = st.integers(0, 10**12)
SET, STYLE = Typesetter("en", right_to_left=False), Style(size=8.5)
TITLES = (
    "Spanish for beginners who have never had a lesson in their life",
    "Правові основи викладання української мови як іноземної для дорослих слухачів",
    "هندسة البرمجيات للمبتدئين: من الصفر إلى الاحتراف في اثني عشر أسبوعًا",
    "面向初学者的 Python 编程课程与数据分析实践工作坊（含项目辅导）",
    "कंप्यूटर विज्ञान की बुनियादी बातें और व्यावहारिक प्रोग्रामिंग सबके लिए",
    "👩🏽\N{ZERO WIDTH JOINER}💻" * 30,
)


@given(st.integers(-(10**12), 0), AMOUNTS, st.sampled_from([1, 100, 1000]))
def test_marks_are_few_even_and_hold_all_values(lowest: int, highest: int, step: int) -> None:
    scale = marks(lowest, highest, step)
    assert scale[0] <= lowest <= highest <= scale[-1]
    assert 0 in scale
    apart = {after - before for before, after in pairwise(scale)}
    assert len(apart) == 1
    assert apart.pop() % step == 0
    assert 2 <= len(scale) <= 8


@pytest.mark.parametrize(
    ("highest", "scale"),
    [(0, (0, 100)), (1, (0, 100)), (12_345, (0, 5000, 10_000, 15_000)), (500, (0, 100, 200, 300, 400, 500))],
)
def test_marks_are_whole_amounts_of_money(highest: int, scale: tuple[int, ...]) -> None:
    assert marks(0, highest, 100) == scale


@given(st.lists(AMOUNTS, min_size=1, max_size=30))
def test_shares_add_up(amounts: list[int]) -> None:
    assert sum(thousandths(amounts)) == (1000 if any(amounts) else 0)


@given(st.lists(AMOUNTS, max_size=30), st.integers(0, 9))
def test_nothing_is_lost_beside_the_largest(amounts: list[int], most: int) -> None:
    first, rest = largest(amounts, most, lambda each: each)
    assert sorted((*first, *rest)) == sorted(amounts)
    assert len(first) == min(most, len(amounts))
    assert not first or not rest or min(first) >= max(rest)


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("room", [40, 90, 150])
def test_a_title_is_cut_to_its_room_and_says_so(title: str, room: int) -> None:
    shown = fitted(SET, title, STYLE, room)
    assert SET.width(shown, STYLE) <= room
    assert shown.endswith("\N{HORIZONTAL ELLIPSIS}")
    kept = shown[:-1]
    assert kept
    assert unicodedata.normalize("NFC", title).startswith(kept)
    assert unicodedata.category(title[len(kept)]) not in {"Mn", "Mc", "Me", "Cf"}
    assert not kept.endswith("\N{ZERO WIDTH JOINER}")


def test_a_title_that_fits_stays_as_it_is() -> None:
    assert fitted(SET, "Piano", STYLE, 200) == "Piano"


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (123_456_789, "EUR", "1,234,567.89"),
        (-5, "EUR", "\N{MINUS SIGN}0.05"),
        (1500, "JPY", "1,500"),
        (-1234, "KWD", "\N{MINUS SIGN}1.234"),
        (10**15, "EUR", "10,000,000,000,000.00"),
    ],
)
def test_sums_have_the_places_of_their_currency(amount: int, currency: str, shown: str) -> None:
    assert figure(amount, currency) == shown
