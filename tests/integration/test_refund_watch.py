"""Refunds at Stripe beside the record: followed as Stripe tells them, adopted, never paid back beyond what came in."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest
import stripe
from sqlalchemy import func, select, update
from sqlmodel import col
from temporalio.exceptions import ApplicationError

from activities.refund_record import request_refunds, write_refunds
from activities.refund_watch import RefundWatchActivities
from activities.refunds import RefundActivities
from activities.stripe import open_stripe
from activities.stripe_refunds import StripeRefunds
from models.messages.orders import RefundPayment, RefundPlaces
from models.messages.refund_watch import ReadRefund, RefundAgain, RefundOwner, SeenRefund, SettlePayout, SweepRefunds
from models.money import Money
from models.tables import Document, Enrollment, Order, Payment, Refund, RefundRequest
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus, OrderStatus, RefundStatus
from tests.installation import Installation, Json

SPANISH, FRENCH = "spanish-a1", "french-a2"


@pytest.fixture
def client(installation: Installation) -> stripe.StripeClient:
    settings = installation.settings
    return open_stripe(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base)


@pytest.fixture
async def watch(installation: Installation, client: stripe.StripeClient) -> AsyncIterator[RefundWatchActivities]:
    yield RefundWatchActivities(client, installation.sessions)
    await installation.double.control.resume_webhooks()


@pytest.fixture
def refunds(installation: Installation, client: stripe.StripeClient) -> RefundActivities:
    return RefundActivities(client, installation.sessions)


async def paid_order(installation: Installation, *codes: str) -> tuple[Json, list[UUID]]:
    """An order of these courses, paid and completed, and its places.

    From then on nobody else hears of what happens at Stripe: the steps are taken one by one.
    """
    order = (await installation.post_order(*codes)).json()
    await installation.pay(order)
    done = await installation.order_ends(order["id"])
    await installation.double.control.pause_webhooks()
    return done, [UUID(line["enrollment"]["id"]) for line in done["lines"]]


async def intent_of(installation: Installation, order: Json) -> str:
    async with installation.sessions() as session:
        query = select(col(Payment.payment_intent_id)).where(col(Payment.order_id) == UUID(order["id"]))
        intent = (await session.execute(query)).scalar_one()
    assert intent is not None
    return intent


async def in_dashboard(client: stripe.StripeClient, intent: str, amount: int | None = None) -> str:
    """Somebody clicks "Refund" in Stripe's Dashboard."""
    made = await client.v1.refunds.create_async(
        {"payment_intent": intent} if amount is None else {"payment_intent": intent, "amount": amount}
    )
    return made.id


def read(stripe_refund_id: str) -> ReadRefund:
    return ReadRefund(stripe_refund_id=stripe_refund_id, workflow_id=f"refund-watch-{stripe_refund_id}")


def pay_back(order: Json, *places: UUID) -> RefundPlaces:
    return RefundPlaces(
        order_id=order["id"], enrollment_ids=places, reason="seat_lost", workflow_id=f"order-{order['id']}"
    )


def paid_by_hand(row: Refund, after: str, status: RefundStatus = RefundStatus.SUCCEEDED) -> SettlePayout:
    return SettlePayout(refund_id=row.id, status=status, actor="staff:7", after=after, workflow_id="w")


async def rows(installation: Installation) -> Sequence[Refund]:
    async with installation.sessions() as session:
        return (await session.execute(select(Refund).order_by(col(Refund.created_at)))).scalars().all()


async def ledger(installation: Installation, order: Json) -> tuple[int, int, OrderStatus, list[EnrollmentStatus]]:
    """What came in, what went back, how the order and its places stand."""
    async with installation.sessions() as session:
        payment = (await session.execute(select(Payment))).scalar_one()
        status = (await session.get_one(Order, UUID(order["id"]))).status
        places = (await session.execute(select(col(Enrollment.status)))).scalars()
        return (
            payment.captured_amount,
            payment.refunded_amount,
            OrderStatus(status),
            [EnrollmentStatus(place) for place in places],
        )


# ---- the Dashboard ----


async def test_a_full_refund_of_the_dashboard_is_adopted_once_and_ends_the_places(
    installation: Installation, client: stripe.StripeClient, watch: RefundWatchActivities
) -> None:
    order, _ = await paid_order(installation, SPANISH, FRENCH)
    intent = await intent_of(installation, order)
    made = await in_dashboard(client, intent)
    for sweep in (SweepRefunds(payment_intent_id=intent), SweepRefunds()):
        assert (await watch.find_unknown_refunds(sweep)).stripe_refund_ids == (made,)
    seen: list[SeenRefund] = await asyncio.gather(*(watch.read_refund(read(made)) for _ in range(5)))
    assert {each.owner for each in seen} == {RefundOwner.ADOPTED}
    assert len({each.credit_note_id for each in seen}) == 1
    total = order["total_amount"]
    assert await ledger(installation, order) == (total, total, "refunded", ["canceled", "canceled"])
    [row] = await rows(installation)
    assert (row.amount, row.reason, row.status, row.enrollment_id) == (total, "made_in_stripe", "succeeded", None)
    assert (await watch.find_unknown_refunds(SweepRefunds())).stripe_refund_ids == ()


async def test_a_partial_refund_of_the_dashboard_keeps_the_places_and_lowers_what_is_left(
    installation: Installation, client: stripe.StripeClient, watch: RefundWatchActivities, refunds: RefundActivities
) -> None:
    order, places = await paid_order(installation, SPANISH)
    made = await in_dashboard(client, await intent_of(installation, order), 1000)
    seen = await watch.read_refund(read(made))
    assert (seen.owner, seen.amount and seen.amount.amount) == (RefundOwner.ADOPTED, 1000)
    assert await ledger(installation, order) == (4900, 1000, "partially_refunded", ["active"])
    await refunds.refund_places(pay_back(order, *places))
    assert [row.amount for row in await rows(installation)] == [1000, 3900]
    assert await ledger(installation, order) == (4900, 4900, "refunded", ["canceled"])
    async with installation.sessions() as session:
        notes = select(func.count()).where(col(Document.kind) == "credit_note")
        assert (await session.execute(notes)).scalar_one() == 2


@pytest.mark.parametrize(
    ("in_stripe", "ours", "back"),
    [
        ([None], ["succeeded"], 4900),  # the very same: it is taken for ours
        ([1000], ["succeeded", "succeeded"], 4900),  # ours is for the rest
        ([4000, 900], ["canceled", "succeeded", "succeeded"], 4900),  # nothing is left for ours
    ],
)
async def test_what_the_dashboard_was_faster_with_is_not_paid_twice(
    installation: Installation,
    client: stripe.StripeClient,
    watch: RefundWatchActivities,
    refunds: RefundActivities,
    in_stripe: list[int | None],
    ours: list[str],
    back: int,
) -> None:
    order, places = await paid_order(installation, SPANISH)
    intent = await intent_of(installation, order)
    for amount in in_stripe:
        await in_dashboard(client, intent, amount)
    first = await refunds.refund_places(pay_back(order, *places))
    again = await refunds.refund_places(pay_back(order, *places))
    assert first == again
    assert sorted(str(row.status) for row in await rows(installation)) == sorted(ours)
    assert await ledger(installation, order) == (4900, back, "refunded", ["canceled"])
    money = await installation.double.control.order(order["id"])
    listed = await client.v1.refunds.list_async({"payment_intent": intent})
    assert sum(each.amount for each in listed.data) == 4900
    assert money.charges_succeeded == 1
    assert (await watch.find_unknown_refunds(SweepRefunds())).stripe_refund_ids == ()


async def test_a_refund_of_nobody_and_one_of_another_attempt_change_nothing(
    installation: Installation, watch: RefundWatchActivities, refunds: RefundActivities
) -> None:
    order, places = await paid_order(installation, SPANISH)
    assert (await watch.read_refund(read("re_unknown"))).owner is RefundOwner.NOBODY
    await installation.double.control.next_refunds("failed")
    [failed] = (await refunds.refund_places(pay_back(order, *places))).refunds
    assert (failed.status, failed.stripe_refund_id is None) == (RefundStatus.FAILED, False)
    [row] = await rows(installation)
    assert failed.stripe_refund_id is not None
    # Its own job was told so, and asks a person: nobody else does.
    assert (await watch.read_refund(read(failed.stripe_refund_id))).owner is RefundOwner.NOBODY
    await watch.settle_payout(paid_by_hand(row, failed.stripe_refund_id))
    assert (await watch.read_refund(read(failed.stripe_refund_id))).owner is RefundOwner.NOBODY
    assert [row.status for row in await rows(installation)] == ["succeeded"]


# ---- to the real end ----


async def test_a_refund_that_fails_weeks_later_is_owed_again_until_it_is_settled(
    installation: Installation, watch: RefundWatchActivities, refunds: RefundActivities
) -> None:
    order, places = await paid_order(installation, SPANISH)
    [report] = (await refunds.refund_places(pay_back(order, *places))).refunds
    assert report.stripe_refund_id is not None
    await installation.double.control.move_refund(report.stripe_refund_id, "failed", "lost_or_stolen_card")
    seen = await watch.read_refund(read(report.stripe_refund_id))
    assert (seen.owner, seen.status, seen.failure_reason) == (
        RefundOwner.OURS, RefundStatus.FAILED, "lost_or_stolen_card",
    )  # fmt: skip
    captured, back, _, _ = await ledger(installation, order)
    assert (captured, back) == (4900, 0)

    again = RefundAgain(refund_id=report.refund_id, after=report.stripe_refund_id, workflow_id="w")
    second = await watch.refund_again(again)
    assert second == await watch.refund_again(again)
    assert second.stripe_refund_id not in (None, report.stripe_refund_id)
    assert (await ledger(installation, order))[:2] == (4900, 4900)
    assert (await watch.read_refund(read(report.stripe_refund_id))).owner is RefundOwner.NOBODY
    assert (await ledger(installation, order))[:2] == (4900, 4900)


async def test_who_closes_an_old_question_changes_nothing(
    installation: Installation, watch: RefundWatchActivities, refunds: RefundActivities
) -> None:
    order, places = await paid_order(installation, SPANISH)
    [report] = (await refunds.refund_places(pay_back(order, *places))).refunds
    assert report.stripe_refund_id is not None
    await installation.double.control.move_refund(report.stripe_refund_id, "failed")
    assert (await watch.read_refund(read(report.stripe_refund_id))).owner is RefundOwner.OURS
    again = RefundAgain(refund_id=report.refund_id, after=report.stripe_refund_id, workflow_id="w")
    second = await watch.refund_again(again)
    [row] = await rows(installation)
    settled = await watch.settle_payout(paid_by_hand(row, report.stripe_refund_id, RefundStatus.CANCELED))
    assert (settled.status, settled.stripe_refund_id) == (RefundStatus.SUCCEEDED, second.stripe_refund_id)
    assert (await ledger(installation, order))[:2] == (4900, 4900)


async def test_a_payout_is_tried_again_with_a_key_of_its_own(
    installation: Installation, watch: RefundWatchActivities, refunds: RefundActivities
) -> None:
    order, places = await paid_order(installation, SPANISH)
    [report] = (await refunds.refund_places(pay_back(order, *places))).refunds
    assert report.stripe_refund_id is not None
    await installation.double.control.move_refund(report.stripe_refund_id, "failed")
    await watch.read_refund(read(report.stripe_refund_id))
    await installation.double.control.add_fault("error", method="POST", path="/v1/refunds", status=400)
    again = RefundAgain(refund_id=report.refund_id, after=report.stripe_refund_id, workflow_id="w")
    assert (await watch.refund_again(again)).status is RefundStatus.FAILED
    second = await watch.refund_again(again.model_copy(update={"attempt": 2}))
    assert second.stripe_refund_id not in (None, report.stripe_refund_id)


async def test_a_repeated_answer_does_not_undo_a_failure(
    installation: Installation, watch: RefundWatchActivities, refunds: RefundActivities
) -> None:
    order, places = await paid_order(installation, SPANISH)
    await installation.double.control.next_refunds("pending")
    step = pay_back(order, *places)
    async with installation.sessions.begin() as session:
        [asked] = await request_refunds(session, step)
    made = await StripeRefunds(watch.client).ask(asked, "1")
    assert made.stripe_refund_id is not None
    await watch.read_refund(read(made.stripe_refund_id))
    await installation.double.control.move_refund(made.stripe_refund_id, "failed")
    await watch.read_refund(read(made.stripe_refund_id))
    # The step is repeated, and Stripe repeats what it had answered then.
    async with installation.sessions.begin() as session:
        order = await session.get_one(Order, asked.order_id, with_for_update=True)
        await write_refunds(session, order, {asked.id: made}, reason="seat_lost", workflow_id="w")
    assert [row.status for row in await rows(installation)] == ["failed"]


async def test_what_came_back_is_not_paid_out_beside_the_person_who_is_asked(
    installation: Installation, watch: RefundWatchActivities, refunds: RefundActivities
) -> None:
    order, places = await paid_order(installation, SPANISH)
    await installation.double.control.next_refunds("requires_action")
    first = pay_back(order, *places)
    [report] = (await refunds.refund_places(first)).refunds
    assert report.stripe_refund_id is not None
    await watch.cancel_refund(read(report.stripe_refund_id))
    assert (await watch.read_refund(read(report.stripe_refund_id))).status is RefundStatus.CANCELED
    another = first.model_copy(update={"workflow_id": "order-cancellation-1"})
    assert (await refunds.refund_places(another)).refunds == ()
    [row] = await rows(installation)
    await watch.settle_payout(paid_by_hand(row, report.stripe_refund_id, RefundStatus.CANCELED))
    [given] = (await refunds.refund_places(another)).refunds
    assert given.status is RefundStatus.SUCCEEDED
    assert (await ledger(installation, order))[:2] == (4900, 4900)


async def test_what_was_asked_for_and_made_in_the_dashboard_is_one_refund(
    installation: Installation, client: stripe.StripeClient, watch: RefundWatchActivities, refunds: RefundActivities
) -> None:
    """Stripe is out of reach when we ask; meanwhile somebody clicks. Then the sweep comes first, and our step again."""
    order, places = await paid_order(installation, SPANISH)
    await installation.double.control.add_fault("drop", method="POST", path="/v1/refunds")
    with pytest.raises(ApplicationError):
        await refunds.refund_places(pay_back(order, *places))
    made = await in_dashboard(client, await intent_of(installation, order))
    assert (await watch.read_refund(read(made))).status is RefundStatus.SUCCEEDED
    [report] = (await refunds.refund_places(pay_back(order, *places))).refunds
    assert (report.status, report.stripe_refund_id) == (RefundStatus.SUCCEEDED, made)
    assert len(await rows(installation)) == 1
    assert await ledger(installation, order) == (4900, 4900, "refunded", ["canceled"])


async def test_what_is_only_asked_for_ends_no_place(
    installation: Installation, client: stripe.StripeClient, watch: RefundWatchActivities, refunds: RefundActivities
) -> None:
    order, places = await paid_order(installation, SPANISH)
    async with installation.sessions.begin() as session:
        waiting = pay_back(order, *places)
        request = RefundRequest(
            enrollment_id=places[0], cause="goodwill", status="approved", grounds=[], amount=3000, currency="EUR",
            access="kept", requested_by="staff:7", decided_by="staff:7", decided_at=now(), workflow_id="w",
        )  # fmt: skip
        session.add(request)
        await session.flush()
        await request_refunds(session, waiting.model_copy(update={"request_id": request.id}))
    await watch.read_refund(read(await in_dashboard(client, await intent_of(installation, order), 2000)))
    assert (await ledger(installation, order))[3] == ["active"]


async def test_a_payment_of_an_order_that_is_not_completed_goes_back_as_far_as_it_is_left(
    installation: Installation, client: stripe.StripeClient, watch: RefundWatchActivities, refunds: RefundActivities
) -> None:
    order, _ = await paid_order(installation, SPANISH)
    intent = await intent_of(installation, order)
    async with installation.sessions.begin() as session:
        unfinished = {"status": "pending_payment", "completed_at": None}
        await session.execute(update(Order).where(col(Order.id) == UUID(order["id"])).values(unfinished))
    await watch.read_refund(read(await in_dashboard(client, intent, 1000)))
    step = RefundPayment(
        order_id=order["id"], payment_intent_id=intent, amount=Money(amount=4900, currency="EUR"),
        reason="amount_differs", workflow_id=f"order-{order['id']}",
    )  # fmt: skip
    [report] = (await refunds.refund_payment(step)).refunds
    assert (report.status, report.amount and report.amount.amount) == (RefundStatus.SUCCEEDED, 3900)


async def test_what_its_payer_does_not_claim_is_taken_back(
    installation: Installation, watch: RefundWatchActivities, refunds: RefundActivities
) -> None:
    order, places = await paid_order(installation, SPANISH)
    await installation.double.control.next_refunds("requires_action")
    [report] = (await refunds.refund_places(pay_back(order, *places))).refunds
    assert (report.status, report.stripe_refund_id is None) == (RefundStatus.REQUIRES_ACTION, False)
    assert report.stripe_refund_id is not None
    for _ in range(2):
        await watch.cancel_refund(read(report.stripe_refund_id))
    assert (await watch.read_refund(read(report.stripe_refund_id))).status is RefundStatus.CANCELED
    assert (await ledger(installation, order))[:2] == (4900, 0)
