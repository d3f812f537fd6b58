"""Whether Stripe's own books add up: what it keeps of each payment, and what it pays out (reference list 10.7).

Amounts are minor units of the balance's currency.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from models.vocabulary import FindingKind
from rules.reconciliation import Difference, told

_TAKES_MONEY_IN = ("charge", "payment")


@dataclass(frozen=True)
class FeeLimit:
    """The most that Stripe may keep of a payment: so much of every hundred, and so many minor units."""

    percent: int
    fixed: int

    def of(self, amount: int) -> int:
        """The bound for a payment of this amount, in minor units, rounded up."""
        return self.fixed + -(-amount * self.percent // 100)


@dataclass(frozen=True)
class BalanceLine:
    """A balance transaction; the `known` amounts are those that were read first, none if it is new."""

    stripe_id: str
    type: str
    order_id: UUID | None
    amount: int
    fee: int
    net: int
    currency: str
    known_fee: int | None = None


@dataclass(frozen=True)
class PaidOut:
    """A payout, and what its lines come to."""

    payout_id: str
    amount: int
    currency: str
    lines_amount: int


def fee_differences(lines: Iterable[BalanceLine], payouts: Iterable[PaidOut], limit: FeeLimit) -> list[Difference]:
    """Fees that have changed, nets that do not add up, fees above the bound, payouts that are not the sum of their
    lines.
    """
    differences = [difference for line in lines if (difference := line_difference(line, limit)) is not None]
    return differences + [
        Difference(
            kind=FindingKind.FEE_MISMATCH,
            stripe_id=payout.payout_id,
            reason=f"A payout is of {told(payout.amount, payout.currency)}, its lines come to"
            f" {told(payout.lines_amount, payout.currency)}.",
            currency=payout.currency,
            expected=payout.lines_amount,
            found=payout.amount,
        )
        for payout in payouts
        if payout.amount != payout.lines_amount
    ]


def line_difference(line: BalanceLine, limit: FeeLimit) -> Difference | None:
    """What is wrong with one line, if anything."""
    if line.net != line.amount - line.fee:
        expected, found = line.amount - line.fee, line.net
        reason = f"{told(expected, line.currency)} should be left of it, {told(found, line.currency)} is."
    elif line.known_fee is not None and line.known_fee != line.fee:
        expected, found = line.known_fee, line.fee
        reason = f"Stripe's fee was {told(expected, line.currency)} and is {told(found, line.currency)} now."
    elif line.type in _TAKES_MONEY_IN and line.fee > limit.of(line.amount):
        expected, found = limit.of(line.amount), line.fee
        reason = (
            f"Stripe's fee of {told(found, line.currency)} on {told(line.amount, line.currency)} is above the bound"
            f" of {told(expected, line.currency)}."
        )
    else:
        return None
    return Difference(
        kind=FindingKind.FEE_MISMATCH,
        stripe_id=line.stripe_id,
        order_id=line.order_id,
        reason=reason,
        currency=line.currency,
        expected=expected,
        found=found,
    )
