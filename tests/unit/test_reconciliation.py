"""The record against Stripe: every class of difference by example, and by property that nothing else is one."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.identifiers import REGISTRAR_NAMESPACE
from models.vocabulary import DisputeStatus, FindingKind, OrderStatus, PaymentStatus, RefundStatus
from rules.reconciliation import (
    Difference,
    DisputeAtStripe,
    KeptPlace,
    PaymentAtStripe,
    PaymentOnRecord,
    RefundAtStripe,
    RefundOnRecord,
    dispute_differences,
    payment_differences,
    place_differences,
    refund_differences,
)
from rules.refund_watch import has_come_to_nothing
from rules.stripe_fees import BalanceLine, FeeLimit, PaidOut, fee_differences

ORDER, REFUND, PLACE = UUID(int=1), UUID(int=2), UUID(int=3)
LIMIT = FeeLimit(percent=10, fixed=100)

PAID = PaymentAtStripe("pi_1", PaymentStatus.SUCCEEDED, 4900, 0, "EUR", ORDER)
DONE = PaymentOnRecord(ORDER, OrderStatus.COMPLETED, "pi_1", PaymentStatus.SUCCEEDED, 4900, 4900, "EUR")
OPEN = replace(DONE, order_status=OrderStatus.PENDING_PAYMENT, status=PaymentStatus.PROCESSING, captured=0)
MADE = RefundAtStripe("re_1", "pi_1", RefundStatus.SUCCEEDED, 4900, "EUR", REFUND)
ASKED = RefundOnRecord(REFUND, ORDER, "re_1", RefundStatus.SUCCEEDED, 4900, "EUR")


def payments(
    *at_stripe: PaymentAtStripe, on_record: Sequence[PaymentOnRecord] = (), kept: str = "", is_shared: bool = False,
    going_back: int = 0,
) -> list[Difference]:  # fmt: skip
    return payment_differences(
        at_stripe, on_record, going_back={"pi_1": going_back}, kept=frozenset({kept}), is_shared=is_shared
    )


def refunds(made: RefundAtStripe | None, asked: RefundOnRecord | None) -> list[Difference]:
    return refund_differences([made] if made else [], [asked] if asked else [], {"pi_1": ORDER})


def summed(differences: list[Difference]) -> list[tuple[FindingKind, int | None, int | None, bool]]:
    return [(each.kind, each.expected, each.found, each.is_healing) for each in differences]


@pytest.mark.parametrize(
    ("paid", "row", "told"),
    [
        (PAID, DONE, None),
        (PAID, OPEN, (FindingKind.PAID_NOT_FULFILLED, 4900, 4900, True)),
        # A session does not know its PaymentIntent before it is paid: the order is named by the payment alone.
        (PAID, replace(OPEN, payment_intent_id=None), (FindingKind.PAID_NOT_FULFILLED, 4900, 4900, True)),
        # It came too late, and what has gone back is not there any more.
        (PAID, replace(OPEN, order_status=OrderStatus.CANCELLED), (FindingKind.PAID_NOT_FULFILLED, 4900, 4900, True)),
        (replace(PAID, refunded=4900), replace(OPEN, order_status=OrderStatus.CANCELLED), None),
        (replace(PAID, status=PaymentStatus.PROCESSING, received=0), OPEN, None),
        (
            replace(PAID, status=PaymentStatus.CANCELED, received=0), DONE,
            (FindingKind.FULFILLED_NOT_PAID, 4900, 0, False),
        ),
        (None, DONE, (FindingKind.FULFILLED_NOT_PAID, 4900, 0, False)),
        (None, replace(OPEN, order_status=OrderStatus.COMPLETED), (FindingKind.FULFILLED_NOT_PAID, 0, 0, False)),
        (replace(PAID, received=5000), DONE, (FindingKind.AMOUNT_MISMATCH, 4900, 5000, False)),
        (replace(PAID, currency="USD"), DONE, (FindingKind.CURRENCY_MISMATCH, 4900, 4900, False)),
        (replace(PAID, payment_intent_id="pi_2"), None, (FindingKind.UNKNOWN_PAYMENT, 0, 4900, True)),
        (replace(PAID, order_id=None), None, (FindingKind.UNKNOWN_PAYMENT, 0, 4900, True)),
        (replace(PAID, order_id=None, refunded=4900), None, None),
        (replace(PAID, order_id=None, refunded=900), None, (FindingKind.UNKNOWN_PAYMENT, 0, 4000, True)),
    ],
)  # fmt: skip
def test_a_payment_and_its_order(
    paid: PaymentAtStripe | None, row: PaymentOnRecord | None,
    told: tuple[FindingKind, int, int, bool] | None,
) -> None:  # fmt: skip
    found = payments(*([paid] if paid else []), on_record=[row] if row else [])
    assert summed(found) == ([told] if told else [])
    assert all(each.order_id == (ORDER if row else None) for each in found)


def test_a_second_payment_is_double_until_it_goes_back_or_a_person_keeps_it() -> None:
    second = replace(PAID, payment_intent_id="pi_2")
    assert summed(payments(PAID, second, on_record=[DONE])) == [(FindingKind.DOUBLE_PAYMENT, 0, 4900, True)]
    # An order that was given up before, or that waits for another attempt.
    waits = replace(OPEN, payment_intent_id="pi_3")
    assert summed(payments(second, on_record=[waits])) == [(FindingKind.DOUBLE_PAYMENT, 0, 4900, True)]
    assert payments(PAID, replace(second, refunded=4900), on_record=[DONE]) == []
    assert payments(PAID, second, on_record=[DONE], kept="pi_2") == []
    assert payments(replace(PAID, order_id=None), kept="pi_1") == []


def test_what_the_record_pays_back_already_is_not_left() -> None:
    given_up = replace(OPEN, order_status=OrderStatus.CANCELLED)
    assert payments(PAID, on_record=[given_up], going_back=4900) == []
    assert len(payments(PAID, on_record=[given_up], going_back=900)) == 1


def test_on_a_shared_account_what_names_no_order_is_somebody_elses() -> None:
    stranger = replace(PAID, order_id=None)
    assert payments(stranger, is_shared=True) == []
    assert summed(payments(PAID, is_shared=True)) == [(FindingKind.UNKNOWN_PAYMENT, 0, 4900, True)]


FAILED, PENDING = RefundStatus.FAILED, RefundStatus.PENDING


@pytest.mark.parametrize(
    ("made", "asked", "told"),
    [
        (MADE, ASKED, None),
        (MADE, None, (FindingKind.ORPHAN_REFUND, 0, 4900, True)),
        (replace(MADE, status=FAILED), None, None),
        (replace(MADE, payment_intent_id="pi_2"), None, None),
        (replace(MADE, amount=100), ASKED, (FindingKind.REFUND_MISMATCH, 4900, 100, False)),
        (replace(MADE, currency="USD"), ASKED, (FindingKind.REFUND_MISMATCH, 4900, 4900, False)),
        (MADE, replace(ASKED, status=PENDING), (FindingKind.REFUND_MISMATCH, 4900, 4900, True)),
        (replace(MADE, status=FAILED), ASKED, (FindingKind.REFUND_MISMATCH, 4900, 4900, True)),
        (replace(MADE, status=FAILED), replace(ASKED, status=RefundStatus.CANCELED), None),
        (None, ASKED, (FindingKind.REFUND_MISMATCH, 4900, 0, False)),
        (None, replace(ASKED, stripe_refund_id=None), None),
        # The answer got lost; or a person has paid it by hand while Stripe pays it, too.
        (
            MADE, replace(ASKED, stripe_refund_id=None, status=PENDING),
            (FindingKind.REFUND_MISMATCH, 4900, 4900, True),
        ),
        (MADE, replace(ASKED, stripe_refund_id=None), (FindingKind.REFUND_MISMATCH, 4900, 4900, False)),
        (replace(MADE, status=FAILED), replace(ASKED, stripe_refund_id=None), None),
    ],
)  # fmt: skip
def test_a_refund_and_its_row(
    made: RefundAtStripe | None, asked: RefundOnRecord | None, told: tuple[FindingKind, int, int, bool] | None
) -> None:
    assert summed(refunds(made, asked)) == ([told] if told else [])


def test_a_place_that_outlives_its_money() -> None:
    by_stripe, by_hand = place_differences(
        [KeptPlace(PLACE, ORDER, "re_1", 4900, "EUR"), KeptPlace(REFUND, ORDER, None, 4900, "EUR")]
    )
    assert (by_stripe.kind, by_stripe.about, by_stripe.is_healing) == ("refund_not_revoked", str(PLACE), True)
    assert (by_hand.about, by_hand.is_healing) == (str(REFUND), False)


def test_disputes_that_the_record_does_not_know_or_has_otherwise() -> None:
    told = DisputeAtStripe("dp_1", ORDER, DisputeStatus.LOST, 4900, "EUR")
    assert dispute_differences([told], {"dp_1": DisputeStatus.LOST}) == []
    for known in ({}, {"dp_1": DisputeStatus.NEEDS_RESPONSE}):
        assert summed(dispute_differences([told], known)) == [(FindingKind.UNKNOWN_DISPUTE, None, 4900, True)]


LINE = BalanceLine("txn_1", "charge", ORDER, 4900, 99, 4801, "EUR", known_fee=99)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (LINE, None),
        (replace(LINE, known_fee=None), None),
        (replace(LINE, net=4800), (4801, 4800)),
        (replace(LINE, fee=120, net=4780), (99, 120)),
        (replace(LINE, fee=590, net=4310, known_fee=590), None),
        (replace(LINE, fee=591, net=4309, known_fee=591), (590, 591)),
        (replace(LINE, type="adjustment", amount=-4900, fee=1500, net=-6400, known_fee=1500), None),
        (replace(LINE, type="refund", amount=-4900, fee=0, net=-4900, known_fee=0), None),
    ],
)
def test_fees_that_changed_do_not_add_up_or_are_above_the_bound(
    line: BalanceLine, told: tuple[int, int] | None
) -> None:
    found = [(each.expected, each.found) for each in fee_differences([line], [], LIMIT)]
    assert found == ([told] if told else [])


def test_a_payout_is_the_sum_of_its_lines() -> None:
    assert fee_differences([], [PaidOut("po_1", 4801, "EUR", 4801)], LIMIT) == []
    assert summed(fee_differences([], [PaidOut("po_1", 4801, "EUR", 4800)], LIMIT)) == [
        (FindingKind.FEE_MISMATCH, 4800, 4801, False)
    ]


@given(st.integers(1, 10**9))
def test_the_bound_of_a_fee_is_never_below_its_share(amount: int) -> None:
    assert 0 <= LIMIT.of(amount) * 100 - (amount * 10 + 100 * 100) < 100


# ---- whatever else ----

_ORDER_IDS = [uuid5(REGISTRAR_NAMESPACE, f"{number}") for number in range(4)]
_INTENTS = [f"pi_{number}" for number in range(6)]
at_stripe = st.builds(
    PaymentAtStripe,
    payment_intent_id=st.sampled_from(_INTENTS),
    status=st.sampled_from(PaymentStatus),
    received=st.sampled_from((0, 100, 4900)),
    refunded=st.sampled_from((0, 100, 4900)),
    currency=st.sampled_from(("EUR", "JPY", "XYZ")),
    order_id=st.none() | st.sampled_from(_ORDER_IDS),
)
on_record = st.builds(
    PaymentOnRecord,
    order_id=st.sampled_from(_ORDER_IDS),
    order_status=st.sampled_from(OrderStatus),
    payment_intent_id=st.none() | st.sampled_from(_INTENTS),
    status=st.sampled_from(PaymentStatus),
    due=st.just(4900),
    captured=st.sampled_from((0, 100, 4900)),
    currency=st.sampled_from(("EUR", "JPY")),
)


@given(
    st.lists(at_stripe, unique_by=lambda each: each.payment_intent_id, max_size=6),
    st.lists(on_record, unique_by=(lambda each: each.order_id, lambda each: each.payment_intent_id), max_size=4),
)
def test_each_thing_is_found_once_and_no_money_is_overlooked(
    told: list[PaymentAtStripe], rows: list[PaymentOnRecord]
) -> None:
    found = payment_differences(told, rows, going_back={})
    assert len({(each.kind, each.about) for each in found}) == len(found)
    assert all(len(each.reason) <= 500 for each in found)
    of_payments = {each.stripe_id for each in found}
    own = {row.payment_intent_id: row for row in rows if row.is_paid}
    for payment in told:
        left = payment.received - payment.refunded
        row = own.get(payment.payment_intent_id)
        is_known = row is not None and (row.captured, row.currency) == (payment.received, payment.currency)
        if payment.status is PaymentStatus.SUCCEEDED and (left > 0 or row is not None) and not is_known:
            assert payment.payment_intent_id in of_payments
        if payment.status is PaymentStatus.SUCCEEDED and is_known:
            assert payment.payment_intent_id not in of_payments


@given(
    st.sampled_from(RefundStatus), st.none() | st.sampled_from(RefundStatus), st.booleans(), st.booleans()
)  # fmt: skip
def test_a_refund_is_as_the_record_has_it_or_it_is_found(
    told: RefundStatus, kept: RefundStatus | None, has_name: bool, is_ours: bool
) -> None:
    made = replace(MADE, status=told, refund_id=REFUND if is_ours else None)
    row = None if kept is None else replace(ASKED, status=kept, stripe_refund_id="re_1" if has_name else None)
    is_same = (
        row is not None and has_name and (told is kept or (has_come_to_nothing(told) and kept in (FAILED, "canceled")))
    )
    # What came to nothing at Stripe pays back nothing, whoever asked for it.
    is_nothing = has_come_to_nothing(told) and not (row is not None and has_name)
    assert bool(refunds(made, row)) is not (is_same or is_nothing)
