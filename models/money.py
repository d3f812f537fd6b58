"""Money: integer minor units and an ISO 4217 code. Never float, one rounding rule (half up)."""

import copy
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Self

import iso4217
from babel import Locale
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

# Decimal places by ISO 4217 (what people print, CLDR's view, differs for a dozen currencies).
_PLACES = {currency.code: currency.exponent for currency in iso4217.Currency if currency.exponent is not None}
# Stripe counts these two in hundredths, which ISO does not know: a sum would be charged a hundred times too small.
_COUNTED_OTHERWISE_BY_STRIPE = frozenset({"ISK", "UGX"})


def _known(code: str) -> str:
    if code not in _PLACES:
        raise ValueError("not an ISO 4217 currency code")
    if code in _COUNTED_OTHERWISE_BY_STRIPE:
        raise ValueError("Stripe counts this currency in other minor units than ISO 4217")
    return code


Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), AfterValidator(_known)]
LARGEST_AMOUNT = 99_999_999_999
MinorUnits = Annotated[int, Field(ge=0, le=LARGEST_AMOUNT)]


class Money(BaseModel):
    """An amount in minor units of a currency (1234 EUR cents, 1234 yen, 1234 fils)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: MinorUnits
    currency: Currency

    def __add__(self, other: Self) -> Self:
        self._same_currency(other)
        return self.model_copy(update={"amount": self.amount + other.amount})

    def __sub__(self, other: Self) -> Self:
        self._same_currency(other)
        if other.amount > self.amount:
            raise ValueError("money never goes below zero")
        return self.model_copy(update={"amount": self.amount - other.amount})

    def _same_currency(self, other: Self) -> None:
        if self.currency != other.currency:
            raise ValueError(f"cannot mix {self.currency} and {other.currency}")

    @property
    def decimal(self) -> Decimal:
        """The amount in major units, with as many places as the currency has."""
        return in_major_units(self.amount, self.currency)

    def __str__(self) -> str:
        """The amount as operators read it, the same everywhere, e.g. `12.34 EUR`."""
        return f"{self.decimal} {self.currency}"

    def format(self, locale: str = "en") -> str:
        """The amount as people of that locale write it, e.g. `€12.34`, `12,34 €`, `¥1,234`, `KWD1.234`."""
        spoken = Locale.parse(locale.replace("-", "_"))
        pattern = copy.copy(spoken.currency_formats["standard"])
        pattern.frac_prec = (_PLACES[self.currency],) * 2
        return str(pattern.apply(self.decimal, spoken, currency=self.currency, currency_digits=False))


def places_of(currency: str) -> int:
    """How many decimal places amounts of the currency have; two if it is not of ISO 4217."""
    return _PLACES.get(currency, 2)


def in_major_units(amount: int, currency: str) -> Decimal:
    """An amount in minor units, also one below zero, with as many places as the currency has."""
    return Decimal(amount).scaleb(-places_of(currency))


def charge_step(currency: str) -> int:
    """The smallest step, in minor units, in which Stripe charges: three-decimal currencies in tens."""
    return 10 if _PLACES[currency] == 3 else 1


def percent_of(amount: int, percent: Decimal, step: int = 1) -> int:
    """`percent` of an amount in minor units, half up to the step (DESIGN §4)."""
    return _half_up(amount * percent / 100 / step) * step


def percent_within(amount: int, percent: Decimal) -> int:
    """The part of an amount, in minor units and half up, by which `percent` has raised it already."""
    return _half_up(amount * percent / (100 + percent))


def _half_up(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def percent_text(percent: Decimal) -> str:
    """A percentage without idle zeros, for reasons and reports: `19 %`, `8.5 %`."""
    return f"{percent.normalize():f} %"


def split(total: int, weights: Sequence[int], step: int = 1) -> tuple[int, ...]:
    """Split minor units in proportion to the weights so that the parts sum to the total (largest remainder).

    Each part is a whole number of steps. Ties go to the earlier part, all-zero weights split evenly. Raises
    `ValueError` for no or negative weights, and for a total that is not in whole steps itself.
    """
    if not weights or min(weights) < 0:
        raise ValueError("split needs weights, none of them negative")
    if total % step:
        raise ValueError("only whole steps can be split into steps")
    if sum(weights) == 0:
        weights = [1] * len(weights)
    whole, steps = sum(weights), total // step
    parts = [steps * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(steps * weights[i] % whole), i))
    for i in by_remainder[: steps - sum(parts)]:
        parts[i] += 1
    return tuple(part * step for part in parts)
