"""The Stripe port: one payment per order, also where an answer is lost, stored as a 500, or long forgotten."""

from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update
from sqlmodel import col
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.orders import OrderActivities
from activities.stripe import StripeActivities, open_stripe
from activities.unmatched_payments import UnmatchedPaymentActivities
from models.errors import Reason
from models.identifiers import order_workflow_id
from models.messages.orders import (
    OrderLineRequest,
    OrderPayment,
    OrderRequest,
    PaymentRequest,
    PlaceOrder,
    RequestedPayment,
)
from models.messages.payments import PaymentOwner, UnmatchedPayment
from models.tables import Enrollment, Payment, StripeCustomer
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus, PaymentMethod, PaymentStatus
from sandbox.sample_academy import sample_id
from tests.installation import Installation

METHODS = [PaymentMethod.CHECKOUT, PaymentMethod.PAYMENT_INTENT]
PATHS = {PaymentMethod.CHECKOUT: "/v1/checkout/sessions", PaymentMethod.PAYMENT_INTENT: "/v1/payment_intents"}


@pytest.fixture
def port(idle_installation: Installation) -> StripeActivities:
    settings = idle_installation.settings
    client = open_stripe(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base)
    return StripeActivities(client, idle_installation.sessions, settings.public_url)


async def place(installation: Installation, method: PaymentMethod) -> PaymentRequest:
    payer = sample_id("person", "lukasz")
    line = OrderLineRequest(course_id=sample_id("course", "spanish-a1"), student_id=payer)
    request = OrderRequest(
        order_id=uuid4(), payer_id=payer, lines=(line,), payment_method=method,
        requested_by=f"student:{payer}", digest="a" * 64,
    )  # fmt: skip
    step = PlaceOrder(request=request, workflow_id=order_workflow_id(request.order_id))
    await OrderActivities(installation.sessions).place_order(step)
    return PaymentRequest(order_id=request.order_id, workflow_id=step.workflow_id)


async def ask(port: StripeActivities, step: PaymentRequest) -> RequestedPayment:
    answer: RequestedPayment = await ActivityEnvironment().run(port.request_payment, step)
    return answer


async def payment_of(installation: Installation, order_id: UUID) -> Payment:
    async with installation.sessions() as session:
        return (await session.execute(select(Payment).where(col(Payment.order_id) == order_id))).scalar_one()


async def made_at_stripe(port: StripeActivities, method: PaymentMethod) -> int:
    """How many payments exist at Stripe."""
    if method is PaymentMethod.CHECKOUT:
        return len((await port.client.v1.checkout.sessions.list_async({"limit": 100})).data)
    return len((await port.client.v1.payment_intents.list_async({"limit": 100})).data)


@pytest.mark.parametrize("method", METHODS)
async def test_asking_again_finds_the_same_payment(
    idle_installation: Installation, port: StripeActivities, method: PaymentMethod
) -> None:
    step = await place(idle_installation, method)
    first = await ask(port, step)
    assert first.facts is not None
    assert first.facts.status in (PaymentStatus.REQUIRES_PAYMENT_METHOD, PaymentStatus.REQUIRES_CONFIRMATION)
    before = await payment_of(idle_installation, step.order_id)
    assert await ask(port, step) == first
    after = await payment_of(idle_installation, step.order_id)
    assert (after.checkout_url, after.client_secret) == (before.checkout_url, before.client_secret)
    assert await made_at_stripe(port, method) == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fault", ["drop_after", "error_after", "error", "drop"])
async def test_a_lost_answer_makes_no_second_payment(
    idle_installation: Installation, port: StripeActivities, method: PaymentMethod, fault: str
) -> None:
    step = await place(idle_installation, method)
    await idle_installation.double.control.add_fault(fault, method="POST", path=PATHS[method])
    with pytest.raises(ApplicationError) as failed:
        await ask(port, step)
    assert not failed.value.non_retryable
    assert (await ask(port, step)).facts is not None
    assert await made_at_stripe(port, method) == 1


@pytest.mark.parametrize("method", METHODS)
async def test_a_stored_500_is_not_repeated_for_ever(
    idle_installation: Installation, port: StripeActivities, method: PaymentMethod
) -> None:
    step = await place(idle_installation, method)
    await idle_installation.double.control.add_fault(
        "error", method="POST", path=PATHS[method], status=500, recorded=True
    )
    with pytest.raises(ApplicationError):
        await ask(port, step)
    assert (await ask(port, step)).facts is not None
    assert await made_at_stripe(port, method) == 1


@pytest.mark.parametrize("method", METHODS)
async def test_a_forgotten_key_does_not_make_a_second_payment(
    idle_installation: Installation, port: StripeActivities, method: PaymentMethod
) -> None:
    step = await place(idle_installation, method)
    await ask(port, step)
    first = await payment_of(idle_installation, step.order_id)
    async with idle_installation.sessions.begin() as session:
        lost = {"checkout_session_id": None, "payment_intent_id": None, "checkout_url": None, "client_secret": None}
        await session.execute(update(Payment).values(created_at=now() - timedelta(hours=30), **lost))
    await idle_installation.double.control.advance_clock(timedelta(hours=30).total_seconds())
    await ask(port, step)
    again = await payment_of(idle_installation, step.order_id)
    assert (again.checkout_session_id, again.payment_intent_id) == (first.checkout_session_id, first.payment_intent_id)
    assert await made_at_stripe(port, method) == 1


async def test_a_request_that_stripe_refuses_is_a_result(
    idle_installation: Installation, port: StripeActivities
) -> None:
    step = await place(idle_installation, PaymentMethod.PAYMENT_INTENT)
    await idle_installation.double.control.add_fault(
        "error", method="POST", path="/v1/payment_intents", status=400, times=None
    )
    refused = await ask(port, step)
    assert refused.refusal is Reason.PAYMENT_REFUSED
    assert refused.facts is None


@pytest.mark.parametrize("method", METHODS)
async def test_cancelling_is_final_and_may_be_repeated(
    idle_installation: Installation, port: StripeActivities, method: PaymentMethod
) -> None:
    step = await place(idle_installation, method)
    await ask(port, step)
    for _ in range(2):
        facts = await port.cancel_payment(OrderPayment(order_id=step.order_id))
        assert facts.status is PaymentStatus.CANCELED


async def test_cancelling_a_paid_payment_tells_that_it_was_paid(
    idle_installation: Installation, port: StripeActivities
) -> None:
    step = await place(idle_installation, PaymentMethod.CHECKOUT)
    await ask(port, step)
    paid = await payment_of(idle_installation, step.order_id)
    await idle_installation.pay({"payment": {"checkout_url": paid.checkout_url}})
    facts = await port.cancel_payment(OrderPayment(order_id=step.order_id))
    assert (facts.status, facts.captured.amount) == (PaymentStatus.SUCCEEDED, 4900)
    assert facts.charge_id is not None


@pytest.mark.parametrize("method", METHODS)
async def test_a_refund_made_at_stripe_is_seen(
    idle_installation: Installation, port: StripeActivities, method: PaymentMethod
) -> None:
    step = await place(idle_installation, method)
    await ask(port, step)
    payment = await payment_of(idle_installation, step.order_id)
    if method is PaymentMethod.CHECKOUT:
        await idle_installation.pay({"payment": {"checkout_url": payment.checkout_url}})
    else:
        assert payment.payment_intent_id is not None
        await port.client.v1.payment_intents.confirm_async(
            payment.payment_intent_id, {"payment_method": "pm_card_visa"}
        )
    paid = await port.read_payment(OrderPayment(order_id=step.order_id))
    assert (paid.captured.amount, paid.refunded_amount) == (4900, 0)
    assert paid.payment_intent_id is not None
    await port.client.v1.refunds.create_async({"payment_intent": paid.payment_intent_id})
    assert (await port.read_payment(OrderPayment(order_id=step.order_id))).refunded_amount == 4900


NO_FUNDS = "4000000000009995"


async def test_declines_are_counted_and_kept(idle_installation: Installation, port: StripeActivities) -> None:
    step = await place(idle_installation, PaymentMethod.CHECKOUT)
    await ask(port, step)
    page = {"payment": {"checkout_url": (await payment_of(idle_installation, step.order_id)).checkout_url}}
    for count in (1, 2, 3):
        await idle_installation.pay(page, NO_FUNDS)
        facts = await port.read_payment(OrderPayment(order_id=step.order_id))
        assert (facts.status, facts.declines) == (PaymentStatus.REQUIRES_PAYMENT_METHOD, count)
    kept = await payment_of(idle_installation, step.order_id)
    assert (kept.status, kept.decline_code) == ("requires_payment_method", "insufficient_funds")
    assert kept.declined_at is not None


async def test_a_bank_that_refuses_to_confirm_is_a_decline(
    idle_installation: Installation, port: StripeActivities
) -> None:
    step = await place(idle_installation, PaymentMethod.CHECKOUT)
    await ask(port, step)
    page = {"payment": {"checkout_url": (await payment_of(idle_installation, step.order_id)).checkout_url}}
    bank = await idle_installation.pay(page, "4000002760003184")
    facts = await port.read_payment(OrderPayment(order_id=step.order_id))
    assert facts.status is PaymentStatus.REQUIRES_ACTION
    assert (await payment_of(idle_installation, step.order_id)).status == "requires_action"
    async with httpx.AsyncClient() as browser:
        await browser.post(bank.headers["location"], data={"outcome": "fail"})
    facts = await port.read_payment(OrderPayment(order_id=step.order_id))
    assert (facts.status, facts.declines) == (PaymentStatus.REQUIRES_PAYMENT_METHOD, 1)


@pytest.mark.parametrize("method", METHODS)
async def test_another_attempt_is_another_payment_made_once(
    idle_installation: Installation, port: StripeActivities, method: PaymentMethod
) -> None:
    step = await place(idle_installation, method)
    await ask(port, step)
    first = await payment_of(idle_installation, step.order_id)
    await port.cancel_payment(OrderPayment(order_id=step.order_id))
    second = step.model_copy(update={"attempt": 2})
    await idle_installation.double.control.add_fault("drop_after", method="POST", path=PATHS[method])
    with pytest.raises(ApplicationError):
        await ask(port, second)
    for _ in range(2):
        assert (await ask(port, second)).facts is not None
    again = await payment_of(idle_installation, step.order_id)
    assert again.attempt == 2
    assert (again.checkout_session_id or again.payment_intent_id) != (
        first.checkout_session_id or first.payment_intent_id
    )
    assert await made_at_stripe(port, method) == 2


@pytest.mark.parametrize(("outcome", "status"), [("succeeded", "succeeded"), ("failed", "canceled")])
async def test_a_bank_payment_is_processing_until_the_bank_has_decided(
    idle_installation: Installation, port: StripeActivities, outcome: str, status: str
) -> None:
    step = await place(idle_installation, PaymentMethod.CHECKOUT)
    await ask(port, step)
    url = (await payment_of(idle_installation, step.order_id)).checkout_url
    assert url is not None
    async with httpx.AsyncClient() as browser:
        await browser.post(url, data={"payment_method": "sepa_debit", "iban": "DE89370400440532013000"})
    facts = await port.read_payment(OrderPayment(order_id=step.order_id))
    assert facts.status is PaymentStatus.PROCESSING
    assert (await payment_of(idle_installation, step.order_id)).status == "processing"
    assert (await port.cancel_payment(OrderPayment(order_id=step.order_id))).status is PaymentStatus.PROCESSING
    assert facts.payment_intent_id is not None
    await idle_installation.double.control.settle(facts.payment_intent_id, outcome)
    # A page that was finished cannot be paid on again: what the bank refused is over.
    assert (await port.read_payment(OrderPayment(order_id=step.order_id))).status == status


@pytest.mark.parametrize("method", METHODS)
async def test_a_customer_who_was_erased_at_stripe_may_buy_again(
    idle_installation: Installation, port: StripeActivities, method: PaymentMethod
) -> None:
    await ask(port, await place(idle_installation, method))
    [customer] = (await port.client.v1.customers.list_async({"limit": 10})).data
    await port.client.v1.customers.delete_async(customer.id)
    async with idle_installation.sessions.begin() as session:
        await session.execute(update(Enrollment).values(status=EnrollmentStatus.CANCELED))
    step = await place(idle_installation, method)
    assert (await ask(port, step)).refusal is None
    assert (await ask(port, step)).refusal is None
    async with idle_installation.sessions() as session:
        assert (await session.execute(select(col(StripeCustomer.customer_id)))).scalar_one() != customer.id


@pytest.mark.parametrize(("amount", "currency"), [("500", "isk"), ("5000", "ugx")])
async def test_money_that_we_do_not_count_is_told_as_stripe_says_it(
    idle_installation: Installation, port: StripeActivities, amount: str, currency: str
) -> None:
    unmatched = UnmatchedPaymentActivities(port.client, idle_installation.sessions)
    paid = await port.client.v1.payment_intents.create_async(
        {"amount": int(amount), "currency": currency, "payment_method": "pm_card_visa", "confirm": True,
         "payment_method_types": ["card"]}
    )  # fmt: skip
    found = await unmatched.find_payment(UnmatchedPayment(payment_intent_id=paid.id))
    assert (found.owner, found.captured, found.has_money) == (PaymentOwner.UNREADABLE, None, True)
    assert found.as_stripe_says == f"{amount} minor units of {currency.upper()}"
    gone = await unmatched.find_payment(UnmatchedPayment(payment_intent_id="pi_nobody_knows"))
    assert gone.owner is PaymentOwner.UNREADABLE
