"""Disputes on real PostgreSQL and the Stripe double: whose they are, what is written down, what becomes of refunds."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from activities.disputes import DisputeActivities
from activities.refunds import RefundActivities
from activities.stripe import open_stripe
from models.identifiers import dispute_workflow_id
from models.messages.disputes import DisputeFacts, EndDisputedPlaces, FindChangedDisputes, ReadDispute
from models.messages.orders import RefundPlaces, SettleByHand
from models.tables import AuditEntry, Dispute, Enrollment, Order, Payment, Refund
from models.tables.columns import now
from models.vocabulary import DisputeStatus, OrderStatus, RefundStatus
from tests.installation import Installation, Json
from tests.integration.test_refunds import paid_order, pay_back
from tests.ordering import pay_for_nothing


@pytest.fixture
def disputes(installation: Installation) -> DisputeActivities:
    settings = installation.settings
    client = open_stripe(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base)
    return DisputeActivities(client, installation.sessions)


@pytest.fixture
def refunds(disputes: DisputeActivities) -> RefundActivities:
    return RefundActivities(disputes.client, disputes.sessions)


async def opened(installation: Installation, order: Json, amount: int | None = None, *, inquiry: bool = False) -> Json:
    """A dispute of the order's payment, of which no webhook tells."""
    async with installation.sessions() as session:
        query = select(Payment).where(col(Payment.order_id) == UUID(order["id"]))
        payment = (await session.execute(query)).scalar_one()
    assert payment.charge_id is not None
    await installation.double.control.pause_webhooks()
    return await installation.double.control.open_dispute(payment.charge_id, "fraudulent", amount, inquiry=inquiry)


async def read(disputes: DisputeActivities, dispute: Json) -> DisputeFacts:
    step = ReadDispute(stripe_dispute_id=dispute["id"], workflow_id=dispute_workflow_id(dispute["id"]))
    return await disputes.read_dispute(step)


async def ledger(installation: Installation, order: Json) -> tuple[int, int, int]:
    """What came in, what we have paid back, and what the bank has taken."""
    async with installation.sessions() as session:
        payment = (
            await session.execute(select(Payment).where(col(Payment.order_id) == UUID(order["id"])))
        ).scalar_one()
        lost = select(Dispute).where(col(Dispute.status) == DisputeStatus.LOST)
        gone = sum(dispute.amount for dispute in (await session.execute(lost)).scalars())
    return payment.captured_amount, payment.refunded_amount, gone


async def test_a_dispute_is_written_down_as_stripe_tells_it(
    installation: Installation, disputes: DisputeActivities
) -> None:
    order, _ = await paid_order(installation, "spanish-a1")
    dispute = await opened(installation, order, inquiry=True)
    control = installation.double.control
    first = await read(disputes, dispute)
    assert first == await read(disputes, dispute)
    assert (first.status, str(first.order_id), first.reason) == ("warning_needs_response", order["id"], "fraudulent")
    assert first.amount is not None
    assert (first.amount.amount, first.amount.currency) == (order["total_amount"], "EUR")
    assert (first.has_places, first.is_decided, first.tasks_done) == (True, False, 0)
    await control.answer_dispute(dispute["id"])
    assert (await read(disputes, dispute)).status is DisputeStatus.WARNING_UNDER_REVIEW
    await control.escalate_dispute(dispute["id"])
    assert (await read(disputes, dispute)).status is DisputeStatus.NEEDS_RESPONSE
    await control.close_dispute(dispute["id"], "lost")
    assert (await read(disputes, dispute)).status is DisputeStatus.LOST
    await control.close_dispute(dispute["id"], "won")
    assert (await read(disputes, dispute)).status is DisputeStatus.WON
    async with installation.sessions() as session:
        row = (await session.execute(select(Dispute))).scalar_one()
        told = select(AuditEntry).where(col(AuditEntry.subject_id) == row.id).order_by(col(AuditEntry.created_at))
        steps = [(entry.from_state, entry.to_state) for entry in (await session.execute(told)).scalars()]
    assert (row.stripe_dispute_id, row.status, row.evidence_due_at) == (dispute["id"], "won", first.evidence_due_at)
    assert steps == [
        (None, "warning_needs_response"),
        ("warning_needs_response", "warning_under_review"),
        ("warning_under_review", "needs_response"),
        ("needs_response", "lost"),
        ("lost", "won"),
    ]


async def test_a_dispute_of_somebody_elses_payment_leaves_no_row(
    installation: Installation, disputes: DisputeActivities
) -> None:
    await pay_for_nothing(installation)
    charge = (await disputes.client.v1.charges.list_async({"limit": 1})).data[0]
    dispute = await installation.double.control.open_dispute(charge.id)
    assert await read(disputes, dispute) == DisputeFacts()
    assert await read(disputes, {"id": "du_nobody"}) == DisputeFacts()
    assert (await disputes.find_changed_disputes(FindChangedDisputes())).stripe_dispute_ids == ()
    async with installation.sessions() as session:
        assert (await session.execute(select(Dispute))).all() == []


async def test_a_dispute_that_comes_before_the_record_knows_the_payment_is_its_orders(
    installation: Installation, disputes: DisputeActivities
) -> None:
    order, _ = await paid_order(installation, "spanish-a1")
    dispute = await opened(installation, order)
    async with installation.sessions.begin() as session:
        await session.execute(update(Payment).values(payment_intent_id=None, charge_id=None))
    found = await read(disputes, dispute)
    assert (str(found.order_id), found.has_places) == (order["id"], True)
    async with installation.sessions.begin() as session:
        await session.execute(update(Payment).values(payment_intent_id="pi_another", charge_id="ch_another"))
    assert not (await read(disputes, dispute)).has_places, "a payment beside the order's own has paid for no place"


async def test_places_end_without_money_and_the_order_is_over(
    installation: Installation, disputes: DisputeActivities
) -> None:
    order, places = await paid_order(installation, "thesis-seminar", "spanish-a1")
    dispute = await opened(installation, order)
    await installation.double.control.close_dispute(dispute["id"], "lost")
    await read(disputes, dispute)
    end = EndDisputedPlaces(order_id=order["id"], actor="staff:7", workflow_id=dispute_workflow_id(dispute["id"]))
    for _ in range(2):
        await disputes.end_disputed_places(end)
    async with installation.sessions() as session:
        assert {(await session.get_one(Enrollment, place)).status for place in places} == {"canceled"}
        assert (await session.get_one(Order, UUID(order["id"]))).status == OrderStatus.REFUNDED
        told = select(AuditEntry).where(col(AuditEntry.reason) == "dispute_lost")
        assert {entry.actor for entry in (await session.execute(told)).scalars()} == {"staff:7"}
        assert len((await session.execute(told)).all()) == len(places) + 1 + await _slots_freed(installation)
    assert await ledger(installation, order) == (order["total_amount"], 0, order["total_amount"])
    assert (await installation.double.control.order(order["id"])).refunds == 0
    assert not (await read(disputes, dispute)).has_places


async def _slots_freed(installation: Installation) -> int:
    query = select(AuditEntry).where(col(AuditEntry.subject_kind) == "slot", col(AuditEntry.reason) == "dispute_lost")
    async with installation.sessions() as session:
        return len((await session.execute(query)).all())


async def test_the_sweep_finds_what_nobody_told_of(
    installation: Installation, disputes: DisputeActivities, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, _ = await paid_order(installation, "spanish-a1")
    dispute = await opened(installation, order)
    sweep = FindChangedDisputes()
    assert (await disputes.find_changed_disputes(sweep)).stripe_dispute_ids == (dispute["id"],)
    await read(disputes, dispute)
    assert (await disputes.find_changed_disputes(sweep)).stripe_dispute_ids == ()

    async with installation.sessions.begin() as session:
        gone = {"id": UUID(int=1), "stripe_dispute_id": "du_gone", "amount": 1, "currency": "EUR", "reason": "general"}
        session.add(Dispute(**gone, status=DisputeStatus.UNDER_REVIEW, opened_at=now()))
    # By now it is older than the disputes that are listed; what is open on record is asked for by its name.
    monkeypatch.setattr("activities.disputes.now", lambda: now() + timedelta(days=30))
    assert (await disputes.find_changed_disputes(sweep)).stripe_dispute_ids == ()
    await installation.double.control.close_dispute(dispute["id"], "won")
    assert (await disputes.find_changed_disputes(sweep)).stripe_dispute_ids == (dispute["id"],)


@pytest.mark.parametrize("outcome", ["won", "lost"])
async def test_a_refund_in_flight_while_a_dispute_opens_pays_once_or_not_at_all(
    installation: Installation, disputes: DisputeActivities, refunds: RefundActivities, outcome: str
) -> None:
    order, places = await paid_order(installation, "spanish-a1")
    dispute = await opened(installation, order)
    await read(disputes, dispute)
    refused = await refunds.refund_places(pay_back(order, places[0]))
    assert [(report.status, report.failure_reason) for report in refused.refunds] == [("failed", "charge_disputed")]
    async with installation.sessions() as session:
        row = (await session.execute(select(Refund))).scalar_one()
        assert (row.status, row.failure_reason) == ("failed", "charge_disputed")
    await installation.double.control.close_dispute(dispute["id"], outcome)
    await read(disputes, dispute)
    retry: RefundPlaces = pay_back(order, places[0], attempt=2)
    done = await refunds.refund_places(retry)
    total = order["total_amount"]
    if outcome == "won":
        assert await refunds.refund_places(retry) == done
        assert [(report.status, report.failure_reason) for report in done.refunds] == [("succeeded", None)]
        assert await ledger(installation, order) == (total, total, 0)
    else:
        assert [report.status for report in done.refunds] == [RefundStatus.FAILED]
        dismissed = SettleByHand(
            order_id=order["id"],
            reason="seat_lost",
            status=RefundStatus.SUCCEEDED,
            actor="staff:7",
            workflow_id=retry.workflow_id,
        )
        done = await refunds.settle_by_hand(dismissed)
        assert [(report.status, report.credit_note_id) for report in done.refunds] == [("canceled", None)]
        assert await ledger(installation, order) == (total, 0, total)
        await refunds.settle_by_hand(dismissed)
        assert await ledger(installation, order) == (total, 0, total)
    assert done.order_status is OrderStatus.REFUNDED
    assert (await installation.double.control.order(order["id"])).refunds == (outcome == "won")


async def test_what_a_lost_dispute_has_left_is_still_paid_back_by_hand(
    installation: Installation, disputes: DisputeActivities, refunds: RefundActivities
) -> None:
    """A part of the payment is lost: a refund that fits into the rest was paid, one that does not was not."""
    order, places = await paid_order(installation, "thesis-seminar", "spanish-a1")
    amounts = [line["total_amount"] for line in order["lines"]]
    dispute = await opened(installation, order, amounts[1])
    both = pay_back(order)
    await refunds.refund_places(both)
    await installation.double.control.close_dispute(dispute["id"], "lost")
    await read(disputes, dispute)
    done = await refunds.settle_by_hand(
        SettleByHand(
            order_id=order["id"],
            reason="seat_lost",
            status=RefundStatus.SUCCEEDED,
            actor="staff:7",
            workflow_id=both.workflow_id,
        )
    )
    captured, refunded, lost = await ledger(installation, order)
    assert refunded + lost <= captured
    assert sorted(report.status for report in done.refunds) == ["canceled", "succeeded"]
    assert len(places) == 2
