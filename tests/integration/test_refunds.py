"""Money that goes back: once each, never more than came in, written down as Stripe tells it."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col
from temporalio.exceptions import ApplicationError

from activities.refunds import RefundActivities
from activities.stripe import open_stripe
from models.messages.orders import RefundedPlaces, RefundPlaces, SettleByHand
from models.tables import Course, Document, Enrollment, Order, Payment, Refund
from models.tables.columns import now
from models.vocabulary import OrderStatus, RefundStatus
from sandbox.sample_academy import sample_id
from tests.installation import Installation, Json


@pytest.fixture
def refunds(installation: Installation) -> RefundActivities:
    settings = installation.settings
    client = open_stripe(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base)
    return RefundActivities(client, installation.sessions)


async def paid_order(installation: Installation, *codes: str) -> tuple[Json, list[UUID]]:
    """An order of these courses, paid and completed, and its places."""
    order = (await installation.post_order(*codes)).json()
    await installation.pay(order)
    done = await installation.order_ends(order["id"])
    return done, [UUID(line["enrollment"]["id"]) for line in done["lines"]]


def pay_back(order: Json, *places: UUID, reason: str = "seat_lost", attempt: int = 1) -> RefundPlaces:
    return RefundPlaces(
        order_id=order["id"], enrollment_ids=places, reason=reason, workflow_id=f"order-{order['id']}", attempt=attempt
    )


async def seats_taken(installation: Installation, code: str) -> int:
    async with installation.sessions() as session:
        return (await session.get_one(Course, sample_id("course", code))).seats_taken


async def test_a_place_is_ended_paid_back_and_credited_once(
    installation: Installation, refunds: RefundActivities
) -> None:
    order, places = await paid_order(installation, "thesis-seminar", "spanish-a1")
    before = await seats_taken(installation, "thesis-seminar")
    first = await refunds.refund_places(pay_back(order, places[0]))
    again = await refunds.refund_places(pay_back(order, places[0]))
    assert first == again
    assert first.order_status is OrderStatus.PARTIALLY_REFUNDED
    [report] = first.refunds
    assert report.status is RefundStatus.SUCCEEDED
    async with installation.sessions() as session:
        refund = await session.get_one(Refund, report.refund_id)
        assert refund.amount == order["lines"][0]["total_amount"]
        payment = (await session.execute(select(Payment))).scalar_one()
        assert payment.refunded_amount == refund.amount
        assert (await session.get_one(Enrollment, places[0])).status == "canceled"
        assert (await session.get_one(Enrollment, places[1])).status == "active"
        note = (await session.execute(select(Document).where(col(Document.refund_id) == refund.id))).scalar_one()
        assert (note.kind, note.number[:2], note.id) == ("credit_note", "C-", report.credit_note_id)
    assert await seats_taken(installation, "thesis-seminar") == before - 1
    assert (await installation.double.control.order(order["id"])).refunds == 1


async def test_all_places_of_an_order_refund_it(installation: Installation, refunds: RefundActivities) -> None:
    order, places = await paid_order(installation, "thesis-seminar", "spanish-a1")
    await refunds.refund_places(pay_back(order, places[1]))
    rest = await refunds.refund_places(pay_back(order, reason="cancelled"))
    assert rest.order_status is OrderStatus.REFUNDED
    async with installation.sessions() as session:
        assert (await session.execute(select(func.sum(col(Refund.amount))))).scalar_one() == order["total_amount"]


async def test_many_at_once_never_pay_back_more_than_came_in(
    installation: Installation, refunds: RefundActivities
) -> None:
    order, places = await paid_order(installation, "thesis-seminar", "spanish-a1")
    wishes = [pay_back(order, places[0]), pay_back(order, places[1]), pay_back(order, reason="cancelled")] * 3
    answers = await asyncio.gather(*(refunds.refund_places(wish) for wish in wishes), return_exceptions=True)
    assert any(isinstance(answer, RefundedPlaces) for answer in answers)
    await refunds.refund_places(pay_back(order, reason="cancelled"))
    async with installation.sessions() as session:
        paid_back = (await session.execute(select(func.sum(col(Refund.amount))))).scalar_one()
        payment = (await session.execute(select(Payment))).scalar_one()
        notes = select(func.count()).where(col(Document.kind) == "credit_note")
        assert (await session.execute(notes)).scalar_one() == 2
    assert paid_back == payment.refunded_amount == order["total_amount"]
    assert (await installation.double.control.order(order["id"])).refunds == 2


@pytest.mark.parametrize("fault", ["drop_after", "error_after", "drop", "error"])
async def test_a_lost_answer_refunds_once(installation: Installation, refunds: RefundActivities, fault: str) -> None:
    order, places = await paid_order(installation, "spanish-a1")
    await installation.double.control.add_fault(fault, method="POST", path="/v1/refunds")
    with pytest.raises(ApplicationError) as failed:
        await refunds.refund_places(pay_back(order, places[0]))
    assert not failed.value.non_retryable
    done = await refunds.refund_places(pay_back(order, places[0]))
    assert done.order_status is OrderStatus.REFUNDED
    assert (await installation.double.control.order(order["id"])).refunds == 1


async def test_a_forgotten_key_refunds_once(installation: Installation, refunds: RefundActivities) -> None:
    order, places = await paid_order(installation, "spanish-a1")
    await installation.double.control.add_fault("drop_after", method="POST", path="/v1/refunds")
    with pytest.raises(ApplicationError):
        await refunds.refund_places(pay_back(order, places[0]))
    async with installation.sessions.begin() as session:
        await session.execute(update(Refund).values(created_at=now() - timedelta(hours=30)))
    await installation.double.control.advance_clock(timedelta(hours=30).total_seconds())
    await refunds.refund_places(pay_back(order, places[0]))
    assert (await installation.double.control.order(order["id"])).refunds == 1


async def test_what_stripe_refuses_is_told_and_can_be_tried_again(
    installation: Installation, refunds: RefundActivities
) -> None:
    order, places = await paid_order(installation, "spanish-a1")
    await installation.double.control.add_fault("error", method="POST", path="/v1/refunds", status=400)
    refused = await refunds.refund_places(pay_back(order, places[0]))
    assert [report.status for report in refused.refunds] == [RefundStatus.FAILED]
    assert [report.credit_note_id for report in refused.refunds] == [None]
    assert refused.order_status is OrderStatus.COMPLETED
    done = await refunds.refund_places(pay_back(order, places[0], attempt=2))
    assert [report.status for report in done.refunds] == [RefundStatus.SUCCEEDED]
    assert done.order_status is OrderStatus.REFUNDED


async def test_a_refund_of_nothing_ends_the_place_and_asks_stripe_nothing(
    installation: Installation, refunds: RefundActivities
) -> None:
    order = (await installation.post_order("study-skills")).json()
    done = await installation.order_ends(order["id"])
    place = UUID(done["lines"][0]["enrollment"]["id"])
    answer = await refunds.refund_places(pay_back(done, place))
    assert answer.refunds == ()
    async with installation.sessions() as session:
        assert (await session.get_one(Enrollment, place)).status == "canceled"
        assert (await session.get_one(Order, UUID(order["id"]))).status == "refunded"


async def test_a_free_place_that_is_lost_leaves_the_rest_of_the_order(
    installation: Installation, refunds: RefundActivities
) -> None:
    order = (await installation.post_order("spanish-a1", "french-a2", coupon_code="SCHOLAR")).json()
    done = await installation.order_ends(order["id"])
    first, second = (UUID(line["enrollment"]["id"]) for line in done["lines"])
    assert (await refunds.refund_places(pay_back(done, first))).order_status is OrderStatus.COMPLETED
    assert (await refunds.refund_places(pay_back(done, second))).order_status is OrderStatus.REFUNDED


async def test_all_the_money_is_back_and_a_free_place_is_kept(
    installation: Installation, refunds: RefundActivities
) -> None:
    order, places = await paid_order(installation, "spanish-a1", "study-skills")
    assert (await refunds.refund_places(pay_back(order, places[0]))).order_status is OrderStatus.PARTIALLY_REFUNDED
    assert (await refunds.refund_places(pay_back(order, places[1]))).order_status is OrderStatus.REFUNDED


@pytest.mark.parametrize(("captured", "parts"), [(12000, [5393, 6607]), (5401, [2427, 2974])])
async def test_another_amount_that_was_accepted_goes_back_in_parts(
    installation: Installation, refunds: RefundActivities, captured: int, parts: list[int]
) -> None:
    """4,900 and 6,003 of 10,903 were asked."""
    order, places = await paid_order(installation, "spanish-a1", "french-a2")
    async with installation.sessions.begin() as session:
        paid = update(Payment).where(col(Payment.order_id) == UUID(order["id"])).values(captured_amount=captured)
        await session.execute(paid)
        for place, share in zip(places, (4900, 6003), strict=True):
            enrollment = update(Enrollment).where(col(Enrollment.id) == place).values(share_amount=share)
            await session.execute(enrollment)
    await installation.double.control.add_fault("error", method="POST", path="/v1/refunds", status=400, times=2)
    await refunds.refund_places(pay_back(order, *places))
    async with installation.sessions() as session:
        amounts = {row.enrollment_id: row.amount for row in (await session.execute(select(Refund))).scalars()}
    assert [amounts[place] for place in places] == parts


async def test_what_a_person_has_settled_is_not_sent_again_by_another_job(
    installation: Installation, refunds: RefundActivities
) -> None:
    order, places = await paid_order(installation, "spanish-a1")
    await installation.double.control.add_fault("error", method="POST", path="/v1/refunds", status=400)
    await refunds.refund_places(pay_back(order, places[0]))
    another = pay_back(order, places[0]).model_copy(update={"workflow_id": "order-cancellation-1"})
    assert (await refunds.refund_places(another)).refunds == ()
    settle = SettleByHand(
        order_id=order["id"], reason="seat_lost", status=RefundStatus.SUCCEEDED, actor="staff:7",
        workflow_id=f"order-{order['id']}",
    )  # fmt: skip
    for _ in range(2):
        settled = await refunds.settle_by_hand(settle)
    assert settled.order_status is OrderStatus.REFUNDED
    await refunds.refund_places(another)
    assert (await installation.double.control.order(order["id"])).refunds == 0
    async with installation.sessions() as session:
        notes = select(func.count()).select_from(Document).where(col(Document.kind) == "credit_note")
        assert (await session.execute(notes)).scalar_one() == 1
        assert (await session.execute(select(Refund.status))).scalar_one() == "succeeded"
