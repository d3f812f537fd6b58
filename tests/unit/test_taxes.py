"""The tax on an order, once for the whole and then line by line."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.money import charge_step
from models.vocabulary import TaxBehavior
from rules.offers import TaxRule
from rules.taxes import describe_tax, tax_amounts
from tests.unit.offers import currencies, tax_rules

ON_TOP = TaxRule("DE", "VAT", Decimal("19.00"), TaxBehavior.EXCLUSIVE)
WITHIN = replace(ON_TOP, behavior=TaxBehavior.INCLUSIVE)


@pytest.mark.parametrize(
    ("percent", "currency", "amounts", "taxes"),
    [
        ("19", "EUR", (10000,), (1900,)),
        ("5", "EUR", (10,), (1,)),  # half a cent
        ("5", "EUR", (9,), (0,)),
        ("19", "EUR", (1, 1, 1), (1, 0, 0)),  # 0.57 of a cent in all: the lines alone would have paid none
        ("33.33", "EUR", (100, 100, 100), (34, 33, 33)),
        ("10", "JPY", (5, 0), (1, 0)),
        ("5", "KWD", (100,), (10,)),  # half a step of ten fils
        ("5", "KWD", (90,), (0,)),
        ("10", "KWD", (1000, 1000, 1000), (100, 100, 100)),
        ("1", "KWD", (1000, 1000, 1000), (10, 10, 10)),
        ("1", "KWD", (500, 500, 500), (10, 10, 0)),
    ],
)
def test_a_tax_on_top_is_rounded_once_to_what_can_be_charged(
    percent: str, currency: str, amounts: tuple[int, ...], taxes: tuple[int, ...]
) -> None:
    assert tax_amounts(replace(ON_TOP, percent=Decimal(percent)), amounts, currency) == taxes


@pytest.mark.parametrize(
    ("percent", "currency", "amounts", "taxes"),
    [
        ("19", "EUR", (11900,), (1900,)),
        ("60", "EUR", (4,), (2,)),  # a cent and a half
        ("60", "JPY", (12,), (5,)),  # four yen and a half
        ("19", "EUR", (100, 100, 100), (16, 16, 16)),
        ("10", "EUR", (10, 10, 10), (1, 1, 1)),
        ("5", "KWD", (1000,), (48,)),  # contained, so told to the fils
        ("21", "EUR", (12100, 0, 2420), (2100, 0, 420)),
    ],
)
def test_a_tax_within_is_told_to_the_minor_unit(
    percent: str, currency: str, amounts: tuple[int, ...], taxes: tuple[int, ...]
) -> None:
    assert tax_amounts(replace(WITHIN, percent=Decimal(percent)), amounts, currency) == taxes


@given(tax_rules, currencies, st.lists(st.integers(0, 10**8), min_size=1, max_size=10))
def test_the_lines_taxes_are_the_tax_of_the_sum(rule: TaxRule, currency: str, counts: list[int]) -> None:
    step = charge_step(currency)
    amounts = [count * step for count in counts]
    taxes = tax_amounts(rule, amounts, currency)
    within = rule.behavior is TaxBehavior.INCLUSIVE
    rounded_to = 1 if within else step
    rate = Fraction(rule.percent) / (100 + Fraction(rule.percent) if within else 100)
    assert sum(taxes) == floor(sum(amounts) * rate / rounded_to + Fraction(1, 2)) * rounded_to
    assert all(tax % rounded_to == 0 for tax in taxes)
    if sum(taxes):
        exact = [Fraction(sum(taxes) * amount, sum(amounts)) for amount in amounts]
        assert all(abs(tax - share) < rounded_to for tax, share in zip(taxes, exact, strict=True))


@given(tax_rules, currencies, st.integers(0, 10**8), st.integers(0, 10**8))
def test_a_higher_sum_has_no_lower_tax(rule: TaxRule, currency: str, one: int, more: int) -> None:
    step = charge_step(currency)
    assert tax_amounts(rule, [one * step], currency) <= tax_amounts(rule, [(one + more) * step], currency)


def test_a_tax_is_named_with_its_country() -> None:
    assert describe_tax(ON_TOP) == "plus 19 % VAT (DE)"
    assert describe_tax(replace(WITHIN, percent=Decimal("8.10"), country="CH")) == "includes 8.1 % VAT (CH)"
