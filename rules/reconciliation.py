"""What is not the same in the record and at Stripe (reference list 10.7): facts of both in, differences out.

Amounts are minor units. A difference is `healing` where a job can put it right once it is told to look again: money
that came in and was not used (reference 9e: nothing is "corrected" where Stripe has more), a refund that nobody told us
of, a place that should have ended with its money. Of all others a person decides.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from pydantic import ValidationError

from models.money import Money
from models.vocabulary import DisputeStatus, FindingKind, OrderStatus, PaymentStatus, RefundStatus
from rules.refund_watch import has_come_to_nothing

_FULFILLED = (OrderStatus.COMPLETED, OrderStatus.PARTIALLY_REFUNDED, OrderStatus.REFUNDED)


@dataclass(frozen=True)
class Difference:
    """Something that is not the same. `stripe_id` is the object of Stripe that it is about, if there is one;
    `order_id` is none where it is of no order of ours.
    """

    kind: FindingKind
    stripe_id: str | None
    reason: str
    order_id: UUID | None = None
    currency: str | None = None
    expected: int | None = None
    found: int | None = None
    is_healing: bool = False
    place_id: UUID | None = None

    @property
    def about(self) -> str:
        """What tells it from others of its kind."""
        return str(self.place_id or self.stripe_id or self.order_id)


# ---- payments ----


@dataclass(frozen=True, slots=True)
class PaymentAtStripe:
    """A PaymentIntent; `order_id` is the order that it names, whether or not there is one."""

    payment_intent_id: str
    status: PaymentStatus
    received: int
    refunded: int
    currency: str
    order_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class PaymentOnRecord:
    """An order that is paid through Stripe, with its own payment. `due` is what was asked for."""

    order_id: UUID
    order_status: OrderStatus
    payment_intent_id: str | None
    status: PaymentStatus
    due: int
    captured: int
    currency: str

    @property
    def is_paid(self) -> bool:
        """Whether the record holds that the money is there, or has given for it what it is for."""
        return self.status is PaymentStatus.SUCCEEDED or self.order_status in _FULFILLED


def payment_differences(
    at_stripe: Sequence[PaymentAtStripe],
    on_record: Sequence[PaymentOnRecord],
    *,
    going_back: Mapping[str, int],
    kept: frozenset[str] = frozenset(),
    is_shared: bool = False,
) -> list[Difference]:
    """What is not the same of payments. Of every order on record its payment has been looked for at Stripe.

    `going_back` is what the record pays back of which PaymentIntent, `kept` are those that a person has decided to
    keep as they are. With an account that `is_shared`, what names no order is somebody else's.
    """
    by_intent = {row.payment_intent_id: row for row in on_record if row.payment_intent_id is not None}
    by_order = {row.order_id: row for row in on_record}
    differences: list[Difference] = []
    for payment in at_stripe:
        left = payment.received - max(payment.refunded, going_back.get(payment.payment_intent_id, 0))
        if payment.status is not PaymentStatus.SUCCEEDED:
            continue
        owner = by_intent.get(payment.payment_intent_id)
        if owner is not None and owner.is_paid:
            differences += _other_amount(payment, owner)
            continue
        if left <= 0:
            continue
        owner = owner or (None if payment.order_id is None else by_order.get(payment.order_id))
        if owner is None:
            if not (payment.payment_intent_id in kept or (is_shared and payment.order_id is None)):
                differences.append(_unknown(payment, left))
        elif owner.payment_intent_id in (None, payment.payment_intent_id) and not owner.is_paid:
            differences.append(_not_fulfilled(payment, owner))
        elif payment.payment_intent_id not in kept:
            differences.append(_double(payment, owner, left))
    seen = {payment.payment_intent_id: payment for payment in at_stripe}
    for row in on_record:
        payment_of_it = seen.get(row.payment_intent_id or "")
        if row.is_paid and (payment_of_it is None or payment_of_it.status is not PaymentStatus.SUCCEEDED):
            differences.append(_not_paid(row, payment_of_it))
    return differences


def _other_amount(payment: PaymentAtStripe, owner: PaymentOnRecord) -> list[Difference]:
    if (payment.currency, payment.received) == (owner.currency, owner.captured):
        return []
    is_other_money = payment.currency != owner.currency
    return [
        Difference(
            kind=FindingKind.CURRENCY_MISMATCH if is_other_money else FindingKind.AMOUNT_MISMATCH,
            stripe_id=payment.payment_intent_id,
            order_id=owner.order_id,
            reason=f"{told(payment.received, payment.currency)} came in at Stripe, the record of the order has"
            f" {told(owner.captured, owner.currency)}.",
            currency=payment.currency,
            expected=owner.captured,
            found=payment.received,
        )
    ]


def _unknown(payment: PaymentAtStripe, left: int) -> Difference:
    return Difference(
        kind=FindingKind.UNKNOWN_PAYMENT,
        stripe_id=payment.payment_intent_id,
        reason=f"{told(left, payment.currency)} is at Stripe, and no order knows of it.",
        currency=payment.currency,
        expected=0,
        found=left,
        is_healing=True,
    )


def _not_fulfilled(payment: PaymentAtStripe, owner: PaymentOnRecord) -> Difference:
    return Difference(
        kind=FindingKind.PAID_NOT_FULFILLED,
        stripe_id=payment.payment_intent_id,
        order_id=owner.order_id,
        reason=f"{told(payment.received, payment.currency)} came in at Stripe, and the order is still"
        f" {owner.order_status.value}.",
        currency=payment.currency,
        expected=owner.due,
        found=payment.received,
        is_healing=True,
    )


def _double(payment: PaymentAtStripe, owner: PaymentOnRecord, left: int) -> Difference:
    return Difference(
        kind=FindingKind.DOUBLE_PAYMENT,
        stripe_id=payment.payment_intent_id,
        order_id=owner.order_id,
        reason=f"{told(left, payment.currency)} came in for an order that was paid with another payment.",
        currency=payment.currency,
        expected=0,
        found=left,
        is_healing=True,
    )


def _not_paid(row: PaymentOnRecord, payment: PaymentAtStripe | None) -> Difference:
    stands = "does not know the payment" if payment is None else f"has it as {payment.status.value}"
    return Difference(
        kind=FindingKind.FULFILLED_NOT_PAID,
        stripe_id=row.payment_intent_id,
        order_id=row.order_id,
        reason=f"The order is {row.order_status.value} and counts as paid with {told(row.captured, row.currency)},"
        f" but Stripe {stands}.",
        currency=row.currency,
        expected=row.captured,
        found=0 if payment is None else payment.received,
    )


# ---- refunds ----


@dataclass(frozen=True, slots=True)
class RefundAtStripe:
    """A refund; `refund_id` is our row that asked for it, as we told Stripe."""

    stripe_refund_id: str
    payment_intent_id: str | None
    status: RefundStatus
    amount: int
    currency: str
    refund_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class RefundOnRecord:
    """A refund that was asked of Stripe. One that was settled by hand is no longer any of Stripe's."""

    refund_id: UUID
    order_id: UUID
    stripe_refund_id: str | None
    status: RefundStatus
    amount: int
    currency: str


def refund_differences(
    at_stripe: Sequence[RefundAtStripe], on_record: Sequence[RefundOnRecord], orders: Mapping[str, UUID]
) -> list[Difference]:
    """What is not the same of refunds. `orders` are those of our payments, by PaymentIntent.

    Every refund on record that Stripe knows by an id has been looked for there.
    """
    by_stripe_id = {row.stripe_refund_id: row for row in on_record if row.stripe_refund_id is not None}
    by_id = {row.refund_id: row for row in on_record}
    differences: list[Difference] = []
    for made in at_stripe:
        row = by_stripe_id.get(made.stripe_refund_id)
        if row is not None:
            differences += _other_refund(made, row)
            continue
        if has_come_to_nothing(made.status):
            continue
        asked_by = None if made.refund_id is None else by_id.get(made.refund_id)
        if asked_by is not None:
            differences.append(_beside_its_row(made, asked_by))
        elif (order_id := orders.get(made.payment_intent_id or "")) is not None:
            differences.append(_orphan(made, order_id))
    known = {made.stripe_refund_id for made in at_stripe}
    for stripe_id, row in by_stripe_id.items():
        if stripe_id not in known:
            reason = f"The record has a refund of {told(row.amount, row.currency)} that Stripe does not know."
            differences.append(_refund_mismatch(stripe_id, row, reason, found=0))
    return differences


def _other_refund(made: RefundAtStripe, row: RefundOnRecord) -> list[Difference]:
    if (made.currency, made.amount) != (row.currency, row.amount):
        reason = (
            f"{told(made.amount, made.currency)} goes back at Stripe, the record has {told(row.amount, row.currency)}."
        )
        return [_refund_mismatch(made.stripe_refund_id, row, reason, found=made.amount)]
    if made.status is row.status or (has_come_to_nothing(made.status) and has_come_to_nothing(row.status)):
        return []
    reason = f"A refund is {made.status.value} at Stripe and {row.status.value} in the record."
    return [_refund_mismatch(made.stripe_refund_id, row, reason, found=made.amount, is_healing=True)]


def _beside_its_row(made: RefundAtStripe, row: RefundOnRecord) -> Difference:
    """One that we have asked for, and whose row does not name it: the answer got lost, or money goes back twice."""
    is_awaited = row.stripe_refund_id is None and row.status is RefundStatus.PENDING
    reason = (
        f"A refund of {told(made.amount, made.currency)} that was asked for is there, and the record waits for it."
        if is_awaited
        else f"{told(made.amount, made.currency)} goes back at Stripe for a refund that was settled in another way."
    )
    return _refund_mismatch(made.stripe_refund_id, row, reason, found=made.amount, is_healing=is_awaited)


def _orphan(made: RefundAtStripe, order_id: UUID) -> Difference:
    return Difference(
        kind=FindingKind.ORPHAN_REFUND,
        stripe_id=made.stripe_refund_id,
        order_id=order_id,
        reason=f"{told(made.amount, made.currency)} goes back at Stripe, and the record does not know of it.",
        currency=made.currency,
        expected=0,
        found=made.amount,
        is_healing=True,
    )


def _refund_mismatch(
    stripe_id: str, row: RefundOnRecord, reason: str, *, found: int, is_healing: bool = False
) -> Difference:
    return Difference(
        kind=FindingKind.REFUND_MISMATCH,
        stripe_id=stripe_id,
        order_id=row.order_id,
        reason=reason,
        currency=row.currency,
        expected=row.amount,
        found=found,
        is_healing=is_healing,
    )


@dataclass(frozen=True)
class KeptPlace:
    """A place that still gives access though its money is back; `stripe_refund_id` is none where it went by hand."""

    enrollment_id: UUID
    order_id: UUID
    stripe_refund_id: str | None
    amount: int
    currency: str


def place_differences(places: Iterable[KeptPlace]) -> list[Difference]:
    """Places that should have ended with their money. The watch of the refund ends them; by hand a person does."""
    return [
        Difference(
            kind=FindingKind.REFUND_NOT_REVOKED,
            stripe_id=place.stripe_refund_id,
            order_id=place.order_id,
            reason=f"{told(place.amount, place.currency)} has gone back, and the place still gives access.",
            currency=place.currency,
            expected=place.amount,
            found=place.amount,
            is_healing=place.stripe_refund_id is not None,
            place_id=place.enrollment_id,
        )
        for place in places
    ]


# ---- disputes ----


@dataclass(frozen=True)
class DisputeAtStripe:
    """A dispute of a payment of ours."""

    stripe_dispute_id: str
    order_id: UUID
    status: DisputeStatus
    amount: int
    currency: str


def dispute_differences(
    at_stripe: Sequence[DisputeAtStripe], on_record: Mapping[str, DisputeStatus]
) -> list[Difference]:
    """Disputes that the record does not know, or has otherwise than Stripe."""
    return [
        Difference(
            kind=FindingKind.UNKNOWN_DISPUTE,
            stripe_id=made.stripe_dispute_id,
            order_id=made.order_id,
            reason=f"A dispute over {told(made.amount, made.currency)} is {made.status.value} at Stripe, and"
            f" {on_record[made.stripe_dispute_id].value if made.stripe_dispute_id in on_record else 'unknown'}"
            " in the record.",
            currency=made.currency,
            expected=None,
            found=made.amount,
            is_healing=True,
        )
        for made in at_stripe
        if on_record.get(made.stripe_dispute_id) is not made.status
    ]


def told(amount: int, currency: str) -> str:
    """The amount as staff read it, also below zero and in a currency that we do not count."""
    try:
        money = Money(amount=abs(amount), currency=currency)
    except ValidationError:
        return f"{amount} minor units of {currency}"
    return f"-{money}" if amount < 0 else str(money)
