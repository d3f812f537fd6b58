"""The record against the double of Stripe: each class found, healed or asked about, and a second run that changes
nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
import stripe
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import reconciliation, stripe_books
from activities.disputes import DisputeActivities
from activities.findings import FindingActivities, lock_findings
from activities.orders import OrderActivities
from activities.reconciliation import ReconciliationActivities
from activities.refund_watch import RefundWatchActivities
from activities.stripe import open_stripe
from models.identifiers import check_run_id_for, new_id
from models.messages.checks import SettleFinding
from models.messages.disputes import ReadDispute
from models.messages.orders import CompleteOrder, PaymentFacts
from models.messages.reconciliation import CompareBooks, ComparedBooks, EndReconciliation, TellJobs
from models.messages.refund_watch import ReadRefund
from models.money import Money
from models.tables import BalanceTransaction, CheckRun, Dispute, Enrollment, Finding, Order, OrderLine, Payment, Refund
from models.tables.columns import now
from models.vocabulary import (
    CheckKind,
    CheckStatus,
    EnrollmentStatus,
    FindingKind,
    FindingStatus,
    OrderStatus,
    PaymentStatus,
    RefundStatus,
)
from rules.stripe_fees import FeeLimit
from sandbox.fingerprint import fingerprint
from sandbox.stripe_double.faults import FaultKind
from tests.api.recording_temporal import RecordingTemporal
from tests.eventually import eventually
from tests.installation import Installation
from tests.integration.order_steps import line, newcomers, placed, placing, statements_of

SPANISH = "spanish-a1"
KINDS = FindingKind


class Academy:
    """Orders of newcomers, written by the steps of orders, with payments at the double of Stripe."""

    def __init__(self, installation: Installation, client: stripe.StripeClient) -> None:
        self.installation, self.client, self.sessions = installation, client, installation.sessions
        self.orders = OrderActivities(installation.sessions)

    async def pay(self, order_id: UUID | None, amount: int, **more: Any) -> stripe.PaymentIntent:
        params: dict[str, Any] = {"amount": amount, "currency": "eur", "payment_method": "pm_card_visa"}
        if order_id is not None:
            params["metadata"] = {"order_id": str(order_id)}
        return await self.client.v1.payment_intents.create_async(
            cast(Any, {**params, "confirm": True, "expand": ["latest_charge"], **more})
        )

    async def order(self, *, is_paid: bool = True, is_told: bool = True) -> tuple[UUID, stripe.PaymentIntent]:
        """An order of somebody new: paid at Stripe or not, and completed in the record or not."""
        [student] = await newcomers(self.sessions, 1)
        step = placing(line(SPANISH, student), payer=student)
        total = (await placed(self.orders, step)).total
        assert total is not None
        order_id = step.request.order_id
        intent = await self.pay(order_id, total.amount, confirm=is_paid)
        if is_told:
            await self.complete(order_id, intent, total)
        return order_id, intent

    async def complete(self, order_id: UUID, intent: stripe.PaymentIntent, total: Money) -> None:
        charge = intent.latest_charge
        facts = PaymentFacts(
            status=PaymentStatus.SUCCEEDED, captured=total, payment_intent_id=intent.id,
            charge_id=charge.id if isinstance(charge, stripe.Charge) else None,
        )  # fmt: skip
        step = CompleteOrder(order_id=order_id, payment=facts, workflow_id=f"order-{order_id}")
        await self.orders.complete_order(step)

    async def set_payment(self, order_id: UUID, **values: object) -> None:
        async with self.sessions.begin() as session:
            await session.execute(update(Payment).where(col(Payment.order_id) == order_id).values(**values))

    async def refund(
        self, order_id: UUID, intent: stripe.PaymentIntent, amount: int, kept_as: int | None = None
    ) -> str:
        """A refund at Stripe, that the record has with its own amount, or not at all."""
        made = await self.client.v1.refunds.create_async({"payment_intent": intent.id, "amount": amount})
        if kept_as is not None:
            row = Refund(
                id=new_id(), order_id=order_id, payment_intent_id=intent.id, amount=kept_as, currency="EUR",
                reason="made_in_stripe", status=RefundStatus.SUCCEEDED, stripe_refund_id=made.id, workflow_id="w",
            )  # fmt: skip
            async with self.sessions.begin() as session:
                session.add(row)
        return made.id

    async def place_of(self, order_id: UUID) -> EnrollmentStatus:
        query = (
            select(col(Enrollment.status))
            .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
            .where(col(OrderLine.order_id) == order_id)
        )
        async with self.sessions() as session:
            return EnrollmentStatus((await session.execute(query)).scalar_one())


@pytest.fixture
async def academy(idle_installation: Installation) -> AsyncIterator[Academy]:
    settings = idle_installation.settings
    await idle_installation.double.control.pause_webhooks()
    yield Academy(idle_installation, open_stripe(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base))
    await idle_installation.double.control.reset()


@pytest.fixture
def books(academy: Academy) -> ReconciliationActivities:
    return ReconciliationActivities(academy.client, academy.sessions, FeeLimit(percent=10, fixed=100))


def looking(name: str, since: datetime | None = None) -> CompareBooks:
    moment = now() + timedelta(seconds=2)
    return CompareBooks(
        scope="recent", looked_from=since or moment - timedelta(hours=1), looked_until=moment, workflow_id=name
    )


async def open_findings(academy: Academy) -> dict[str, Finding]:
    """By what they are about: Stripe's id, and the kind where several may be about the same."""
    async with academy.sessions() as session:
        query = select(Finding).where(col(Finding.status) == FindingStatus.OPEN)
        found = (await session.execute(query)).scalars().all()
    return {f"{row.kind} {row.stripe_id}": row for row in found}


async def test_every_class_is_found_healed_by_its_job_or_asked_about_and_a_second_run_changes_nothing(
    academy: Academy, books: ReconciliationActivities, engine: AsyncEngine
) -> None:
    control = academy.installation.double.control
    good, paid = await academy.order()
    stuck, waiting = await academy.order(is_told=False)
    _, unpaid = await academy.order(is_paid=False)
    other_amount, paid_4 = await academy.order()
    await academy.set_payment(other_amount, captured_amount=100)
    other_money, paid_5 = await academy.order()
    await academy.set_payment(other_money, currency="USD")
    second = await academy.pay(good, 1234)
    nobodys = await academy.pay(None, 777)
    _, paid_6 = await academy.order()
    orphan = await academy.refund(stuck, paid_6, 100)
    order_7, paid_7 = await academy.order()
    differing = await academy.refund(order_7, paid_7, 200, kept_as=300)
    order_8, paid_8 = await academy.order()
    whole = await academy.refund(order_8, paid_8, paid_8.amount, kept_as=paid_8.amount)
    _, paid_9 = await academy.order()
    charge = paid_9.latest_charge
    assert isinstance(charge, stripe.Charge)
    dispute = (await control.open_dispute(charge.id))["id"]

    await control.clear_requests()
    with statements_of(engine) as statements:
        compared = await books.compare_books(looking("run-1"))
    requests = (await control.requests()).total
    expected = {
        f"{KINDS.PAID_NOT_FULFILLED} {waiting.id}": True,
        f"{KINDS.FULFILLED_NOT_PAID} {unpaid.id}": False,
        f"{KINDS.AMOUNT_MISMATCH} {paid_4.id}": False,
        f"{KINDS.CURRENCY_MISMATCH} {paid_5.id}": False,
        f"{KINDS.DOUBLE_PAYMENT} {second.id}": True,
        f"{KINDS.UNKNOWN_PAYMENT} {nobodys.id}": True,
        f"{KINDS.ORPHAN_REFUND} {orphan}": True,
        f"{KINDS.REFUND_MISMATCH} {differing}": False,
        f"{KINDS.REFUND_NOT_REVOKED} {whole}": True,
        f"{KINDS.UNKNOWN_DISPUTE} {dispute}": True,
    }
    found = await open_findings(academy)
    assert set(found) == set(expected)
    assert compared == ComparedBooks(
        run_id=check_run_id_for("run-1"), found=len(expected), healing=sum(expected.values())
    )
    assert found[f"{KINDS.PAID_NOT_FULFILLED} {waiting.id}"].job_id == f"order-{stuck}"
    # Lists, and a second look at five that may just have changed; statements for all at once.
    assert (requests, len(statements) < 60) == (5 + 5, True)

    # The job behind each that can heal is told, and nobody else.
    temporal = RecordingTemporal()
    environment = ActivityEnvironment(client=cast(Client, temporal))
    told = await environment.run(books.tell_jobs, TellJobs(run_id=compared.run_id))
    assert told.told == sum(expected.values())
    assert temporal.signals == [(f"order-{stuck}", "payment_changed")]
    assert {started for started, _ in temporal.started} == {
        f"payment-{second.id}", f"payment-{nobodys.id}", f"refund-watch-{orphan}", f"refund-watch-{whole}",
        f"dispute-{dispute}",
    }  # fmt: skip
    await books.end_reconciliation(EndReconciliation(run_id=compared.run_id, told=told.told, asked=4))

    # The activity repeated, and another run.
    before = await fingerprint(engine)
    for name in ("run-1", "run-2"):
        assert (await books.compare_books(looking(name))).found == len(expected)
        assert await fingerprint(engine) == before

    # What the jobs do that were told; and two that people have settled.
    total = Money(amount=waiting.amount, currency="EUR")
    await academy.complete(stuck, waiting, total)
    watch = RefundWatchActivities(academy.client, academy.sessions)
    for refund in (orphan, whole):
        await watch.read_refund(ReadRefund(stripe_refund_id=refund, workflow_id=f"refund-watch-{refund}"))
    disputes = DisputeActivities(academy.client, academy.sessions)
    await disputes.read_dispute(ReadDispute(stripe_dispute_id=dispute, workflow_id=f"dispute-{dispute}"))
    await academy.client.v1.refunds.create_async({"payment_intent": second.id})
    accepted = found[f"{KINDS.AMOUNT_MISMATCH} {paid_4.id}"]
    await FindingActivities(academy.sessions).settle_finding(
        SettleFinding(finding_id=accepted.id, status=FindingStatus.ACCEPTED, actor="staff:7", workflow_id="w")
    )
    assert await academy.place_of(order_8) is EnrollmentStatus.CANCELED
    # It is late at night: of what happened before only what is open is looked at.
    compared = await books.compare_books(looking("run-3", since=now() + timedelta(seconds=1)))
    assert set(await open_findings(academy)) == {
        f"{KINDS.FULFILLED_NOT_PAID} {unpaid.id}",
        f"{KINDS.CURRENCY_MISMATCH} {paid_5.id}",
        f"{KINDS.UNKNOWN_PAYMENT} {nobodys.id}",
        f"{KINDS.REFUND_MISMATCH} {differing}",
    }
    async with academy.sessions() as session:
        run = await session.get_one(CheckRun, check_run_id_for("run-1"))
        assert (run.status, run.counts["found"], run.counts["new"], run.counts["asked"]) == (
            CheckStatus.DONE, 10, 10, 4,
        )  # fmt: skip
        assert (await session.get_one(Order, good)).status == OrderStatus.COMPLETED
        assert (await session.execute(select(col(Dispute.stripe_dispute_id)))).scalars().all() == [dispute]
    assert paid.id not in {row.stripe_id for row in found.values()}


async def test_the_balance_is_mirrored_with_its_orders_and_payouts_and_a_changed_fee_is_asked_about(
    academy: Academy, books: ReconciliationActivities, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = academy.installation.double.control
    order_id, intent = await academy.order()
    refund = await academy.refund(order_id, intent, 100)
    await academy.pay(None, 500)
    await books.compare_books(looking("run-1"))
    watch = RefundWatchActivities(academy.client, academy.sessions)
    await watch.read_refund(ReadRefund(stripe_refund_id=refund, workflow_id=f"refund-watch-{refund}"))
    await control.advance_clock(3 * 86_400)
    [payout] = await control.pay_out()
    # One page that is not to be had at once does not cost all those before it.
    monkeypatch.setattr(stripe_books, "_PAUSES", (0,))
    await control.add_fault(FaultKind.ERROR, path="/v1/payouts", status=429)
    await control.clear_requests()
    await books.compare_books(looking("run-2"))
    asked = (await control.requests()).total
    async with academy.sessions() as session:
        lines = (await session.execute(select(BalanceTransaction))).scalars().all()
    by_type = {(row.type, row.order_id) for row in lines}
    assert by_type == {("charge", order_id), ("refund", order_id), ("charge", None), ("payout", None)}
    assert {row.payout_id for row in lines} == {payout["id"]}
    assert sum(row.net for row in lines) == 0
    assert {row.net == row.amount - row.fee for row in lines} == {True}

    # A payout of a busy day has a hundred thousand lines: what is written down whole is not read again.
    await control.clear_requests()
    await books.compare_books(looking("run-2b"))
    assert (await control.requests()).total == asked - 2, "neither the lines of the payout nor the page that failed"

    # The fee of the order's payment was another one when it was read first.
    [own] = [row for row in lines if (row.type, row.order_id) == ("charge", order_id)]
    async with academy.sessions.begin() as session:
        changed = update(BalanceTransaction).where(col(BalanceTransaction.stripe_id) == own.stripe_id)
        await session.execute(changed.values(fee=own.fee - 10, net=own.net + 10))
    for name in ("run-3", "run-4"):
        await books.compare_books(looking(name))
        found = await open_findings(academy)
        finding = found[f"{KINDS.FEE_MISMATCH} {own.stripe_id}"]
        assert (finding.expected_amount, finding.found_amount) == (own.fee - 10, own.fee)
        assert (finding.subject_kind, finding.subject_id) == ("order", order_id)
    await FindingActivities(academy.sessions).settle_finding(
        SettleFinding(finding_id=finding.id, status=FindingStatus.ACCEPTED, actor="staff:7", workflow_id=str(uuid4()))
    )
    await books.compare_books(looking("run-5"))
    async with academy.sessions() as session:
        after = await session.get_one(BalanceTransaction, own.stripe_id)
    assert (after.fee, after.net) == (own.fee, own.net), "what was accepted is what the record has from now on"
    before = await fingerprint(engine)
    await books.compare_books(looking("run-6"))
    assert await fingerprint(engine) == before

    # What came in just now is left to the webhooks.
    await academy.order(is_told=False)
    step = looking("run-7").model_copy(update={"looked_until": now() - timedelta(minutes=10)})
    assert (await books.compare_books(step)).found == 1, "the payment of nobody alone, which was open before"

    # With an account that is shared, what others paid for their payments is theirs.
    [others] = [row.stripe_id for row in lines if (row.type, row.order_id) == ("charge", None)]
    for is_shared, asked_about in ((False, {own.stripe_id, others}), (True, {own.stripe_id})):
        strict = ReconciliationActivities(academy.client, academy.sessions, FeeLimit(percent=0, fixed=0), is_shared)
        await strict.compare_books(looking(f"run-8-{is_shared}"))
        fees = {row.stripe_id for row in (await open_findings(academy)).values() if row.kind == KINDS.FEE_MISMATCH}
        assert fees & {own.stripe_id, others} == asked_about


async def test_what_came_for_an_order_that_is_canceled_and_still_runs_is_looked_after(
    academy: Academy, books: ReconciliationActivities
) -> None:
    """Its job waits for no payment any more: to tell it alone would pay nothing back."""
    control = academy.installation.double.control
    # What the account was used for before the first order is nothing of ours.
    await academy.pay(None, 500)
    await control.advance_clock(600)
    order_id, intent = await academy.order(is_told=False)
    async with academy.sessions.begin() as session:
        changed = {"status": OrderStatus.CANCELLED, "created_at": now() + timedelta(minutes=5)}
        await session.execute(update(Order).where(col(Order.id) == order_id).values(changed))
    # A payout that is still put together is of no sum yet.
    await control.advance_clock(3 * 86_400)
    await control.pay_out(is_in_progress=True)
    later = {"looked_until": now() + timedelta(minutes=20)}
    compared = await books.compare_books(looking("run-1").model_copy(update=later))
    assert set(await open_findings(academy)) == {f"{KINDS.PAID_NOT_FULFILLED} {intent.id}"}
    temporal = RecordingTemporal()
    environment = ActivityEnvironment(client=cast(Client, temporal))
    await environment.run(books.tell_jobs, TellJobs(run_id=compared.run_id))
    assert temporal.signals == [(f"order-{order_id}", "payment_changed")]
    assert [started for started, _ in temporal.started] == [f"payment-{intent.id}"]


async def test_a_place_that_a_person_leaves_as_it_is_is_not_ended_by_the_watch_of_its_refund(
    academy: Academy, books: ReconciliationActivities
) -> None:
    order_id, intent = await academy.order()
    refund = await academy.refund(order_id, intent, intent.amount, kept_as=intent.amount)
    await books.compare_books(looking("run-1"))
    [finding] = (await open_findings(academy)).values()
    await FindingActivities(academy.sessions).settle_finding(
        SettleFinding(finding_id=finding.id, status=FindingStatus.ACCEPTED, actor="staff:7", workflow_id="w")
    )
    watch = RefundWatchActivities(academy.client, academy.sessions)
    await watch.read_refund(ReadRefund(stripe_refund_id=refund, workflow_id=f"refund-watch-{refund}"))
    assert await academy.place_of(order_id) is EnrollmentStatus.ACTIVE


async def test_what_another_run_has_seen_put_right_meanwhile_is_not_found_again(
    academy: Academy, books: ReconciliationActivities
) -> None:
    """The runs of the quarter of an hour and of the night may write at the same moment."""
    order_id, intent = await academy.order(is_told=False)
    async with academy.sessions.begin() as other:
        await lock_findings(other, CheckKind.RECONCILIATION)
        running = asyncio.create_task(books.compare_books(looking("run-1")))
        waits = select(func.count()).select_from(text("pg_locks")).where(text("locktype = 'advisory' AND NOT granted"))

        async def is_waiting() -> bool:
            return bool((await other.execute(waits)).scalar_one())

        await eventually(is_waiting)
        await academy.complete(order_id, intent, Money(amount=intent.amount, currency="EUR"))
    assert (await running).found == 0


async def test_an_account_that_knows_none_of_the_payments_is_another_one(
    academy: Academy, books: ReconciliationActivities, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is asked about every order of the week because a key was mistaken."""
    monkeypatch.setattr(reconciliation, "_ENOUGH", 2)
    for number in range(2):
        order_id, _ = await academy.order(is_paid=False)
        await academy.set_payment(order_id, payment_intent_id=f"pi_elsewhere{number}")
    with pytest.raises(ApplicationError, match="of another account"):
        await books.compare_books(looking("run-1"))
    assert await open_findings(academy) == {}
    # One that is known: then it is the others that are wrong.
    await academy.order()
    assert (await books.compare_books(looking("run-1"))).found == 2
