"""What an order is taxed with: one rate, that of the payer's country (Academy of Mine R19, Eduframe E3).

The tax is computed once, on the order's discounted sum, and then split over the lines, so that no line's rounding is
felt in the sum. A sum of nothing is not taxed. What is charged has to be in steps that Stripe can charge: a tax that
comes on top is rounded to them, one that is contained changes no charge and is told to the minor unit.
"""

from collections.abc import Sequence

from models.money import charge_step, percent_of, percent_text, percent_within, split
from models.vocabulary import TaxBehavior
from rules.offers import TaxRule


def tax_amounts(rule: TaxRule, amounts: Sequence[int], currency: str) -> tuple[int, ...]:
    """The tax on, or within, each of these discounted amounts, in minor units."""
    total = sum(amounts)
    if rule.behavior is TaxBehavior.INCLUSIVE:
        return split(percent_within(total, rule.percent), amounts)
    step = charge_step(currency)
    return split(percent_of(total, rule.percent, step), amounts, step)


def describe_tax(rule: TaxRule) -> str:
    """The tax as a reason of the quote, e.g. `plus 19 % VAT (DE)`."""
    how = "includes" if rule.behavior is TaxBehavior.INCLUSIVE else "plus"
    return f"{how} {percent_text(rule.percent)} {rule.name} ({rule.country})"
