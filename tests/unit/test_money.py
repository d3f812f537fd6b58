"""Money is right to the minor unit, whatever the currency and however it is split."""

from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.money import Money, percent_of, percent_text, percent_within, split

amounts = st.integers(min_value=0, max_value=10**11 - 1)


@given(amounts, st.lists(st.integers(min_value=0, max_value=10**9), min_size=1, max_size=20))
def test_split_loses_and_finds_nothing(total: int, weights: list[int]) -> None:
    parts = split(total, weights)
    assert sum(parts) == total
    assert min(parts) >= 0
    whole = sum(weights)
    if whole:
        assert all(abs(part - Decimal(total) * weight / whole) < 1 for part, weight in zip(parts, weights, strict=True))


@given(amounts, st.lists(st.integers(min_value=0, max_value=10**9), min_size=1, max_size=20))
def test_a_discount_split_over_lines_never_exceeds_a_line(total: int, prices: list[int]) -> None:
    discount = min(total, sum(prices))
    assert all(off <= price for off, price in zip(split(discount, prices), prices, strict=True))


@given(st.integers(0, 10**10), st.lists(st.integers(0, 10**9), min_size=1, max_size=20), st.sampled_from([1, 10]))
def test_a_split_in_steps_has_whole_steps_only(steps: int, weights: list[int], step: int) -> None:
    parts = split(steps * step, weights, step)
    assert sum(parts) == steps * step
    assert parts == tuple(part * step for part in split(steps, weights))


def test_split_gives_the_remainder_to_the_largest_fractions() -> None:
    assert split(100, [1, 1, 1]) == (34, 33, 33)
    assert split(10, [5, 3, 2]) == (5, 3, 2)
    assert split(5, [0, 0]) == (3, 2)
    for broken in ([], [1, -1]):
        with pytest.raises(ValueError, match="weights"):
            split(5, broken)
    assert split(100, [1, 1, 1], 10) == (40, 30, 30)
    with pytest.raises(ValueError, match="whole steps"):
        split(105, [1, 1], 10)


@pytest.mark.parametrize(
    ("amount", "percent", "expected"),
    [(999, "10", 100), (995, "10", 100), (994, "10", 99), (1, "50", 1), (4900, "100", 4900)],
)
def test_percentages_are_rounded_half_up(amount: int, percent: str, expected: int) -> None:
    assert percent_of(amount, Decimal(percent)) == expected


@pytest.mark.parametrize(
    ("amount", "percent", "step", "expected"),
    [(100, "5", 10, 10), (99, "5", 10, 0), (10000, "33", 10, 3300), (42500, "33", 10, 14030), (250, "10", 1, 25)],
)
def test_percentages_are_rounded_half_up_to_the_step(amount: int, percent: str, step: int, expected: int) -> None:
    assert percent_of(amount, Decimal(percent), step) == expected


@pytest.mark.parametrize(
    ("amount", "percent", "expected"),
    [(119, "19", 19), (100, "19", 16), (4, "60", 2), (12, "60", 5), (1, "8.5", 0), (0, "19", 0), (12100, "21", 2100)],
)
def test_the_percentage_within_an_amount_is_rounded_half_up(amount: int, percent: str, expected: int) -> None:
    assert percent_within(amount, Decimal(percent)) == expected


@given(amounts, st.decimals("0.01", "99.99", places=2), st.sampled_from([1, 10]))
def test_percentages_are_exact_before_they_are_rounded(amount: int, percent: Decimal, step: int) -> None:
    def half_up(exact: Fraction) -> int:
        return floor(exact + Fraction(1, 2))

    rate = Fraction(percent)
    assert percent_of(amount, percent, step) == half_up(amount * rate / 100 / step) * step
    assert percent_within(amount, percent) == half_up(amount * rate / (100 + rate))


@pytest.mark.parametrize(
    ("percent", "shown"), [("19.00", "19 %"), ("8.50", "8.5 %"), ("100", "100 %"), ("0.01", "0.01 %")]
)
def test_percentages_are_shown_without_idle_zeros(percent: str, shown: str) -> None:
    assert percent_text(Decimal(percent)) == shown


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "shown"),
    [
        (123456, "EUR", "de", "1.234,56\xa0€"),
        (1234, "JPY", "en", "¥1,234"),
        (1234, "KWD", "en", "KWD1.234"),
        (1234, "USD", "en-US", "$12.34"),
        (1234, "RSD", "en", "RSD12.34"),
        (120, "EUR", "en", "€1.20"),
    ],
)
def test_minor_units_follow_the_currency(amount: int, currency: str, locale: str, shown: str) -> None:
    assert Money(amount=amount, currency=currency).format(locale) == shown


@pytest.mark.parametrize(
    "broken",
    [
        {"amount": -1, "currency": "EUR"},
        {"amount": 1, "currency": "eur"},
        {"amount": 1, "currency": "XQQ"},
        {"amount": 1, "currency": "ISK"},
        {"amount": 1.5, "currency": "EUR"},
    ],
)
def test_money_that_cannot_be_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate(broken)


def test_currencies_never_mix_and_money_never_goes_below_zero() -> None:
    with pytest.raises(ValueError, match="mix"):
        Money(amount=1, currency="EUR") + Money(amount=1, currency="USD")
    with pytest.raises(ValueError, match="below zero"):
        Money(amount=1, currency="EUR") - Money(amount=2, currency="EUR")
