"""Refunds and disputes: every status path, never more than was charged."""

from typing import Any

import pytest
import stripe

from sandbox.stripe_double import ControlError, StripeDouble


async def paid(client: stripe.StripeClient, method: str = "pm_card_visa") -> Any:
    params: Any = {
        "amount": 2000,
        "currency": "eur",
        "payment_method": method,
        "confirm": True,
        "expand": ["latest_charge"],
    }
    return await client.v1.payment_intents.create_async(params)


async def types_of(client: stripe.StripeClient) -> list[str]:
    return [str(event.type) for event in (await client.v1.events.list_async({"limit": 100})).data][::-1]


async def test_partial_refunds_up_to_the_charge_and_not_above(client: stripe.StripeClient) -> None:
    intent = await paid(client)
    first = await client.v1.refunds.create_async(
        {
            "payment_intent": intent.id,
            "amount": 500,
            "reason": "requested_by_customer",
            "metadata": {"refund_id": "r-1"},
        }
    )
    assert (first.status, first.amount, first.charge) == ("succeeded", 500, intent.latest_charge.id)
    money = await client.v1.balance_transactions.retrieve_async(str(first.balance_transaction))
    assert (money.amount, money.fee, money.net, money.type) == (-500, 0, -500, "refund")
    with pytest.raises(stripe.InvalidRequestError, match=r"\(€20.00\) is greater than unrefunded amount .* \(€15.00\)"):
        await client.v1.refunds.create_async({"payment_intent": intent.id, "amount": 2000})
    rest = await client.v1.refunds.create_async({"charge": intent.latest_charge.id})
    assert rest.amount == 1500
    charge = await client.v1.charges.retrieve_async(intent.latest_charge.id)
    assert (charge.amount_refunded, charge.refunded) == (2000, True)
    assert [each.id for each in charge.refunds.data] == [rest.id, first.id]  # type: ignore[union-attr]
    with pytest.raises(stripe.InvalidRequestError) as over:
        await client.v1.refunds.create_async({"payment_intent": intent.id, "amount": 1})
    assert over.value.code == "charge_already_refunded"
    listed = await client.v1.refunds.list_async({"payment_intent": intent.id})
    assert {each.id for each in listed.data} == {first.id, rest.id}
    assert (await types_of(client)).count("charge.refunded") == 2


async def test_a_pending_refund_fails_and_the_money_may_be_refunded_again(
    double: StripeDouble, client: stripe.StripeClient
) -> None:
    intent = await paid(client)
    await double.control.next_refunds("pending")
    refund = await client.v1.refunds.create_async({"payment_intent": intent.id})
    assert refund.status == "pending"
    moved = await double.control.move_refund(refund.id, "failed", "expired_or_canceled_card")
    assert (moved["status"], moved["failure_reason"]) == ("failed", "expired_or_canceled_card")
    assert (await types_of(client))[-3:] == ["charge.refund.updated", "refund.updated", "refund.failed"]
    assert (await client.v1.charges.retrieve_async(intent.latest_charge.id)).amount_refunded == 0
    assert (await client.v1.refunds.create_async({"payment_intent": intent.id})).status == "succeeded"
    with pytest.raises(ControlError, match="cannot go from failed"):
        await double.control.move_refund(refund.id, "succeeded")


async def test_a_refund_that_waits_for_the_customer_can_be_canceled(client: stripe.StripeClient) -> None:
    intent = await paid(client)
    metadata = {"stripe_double_status": "requires_action"}
    refund = await client.v1.refunds.create_async({"payment_intent": intent.id, "metadata": metadata})
    assert (refund.status, refund.balance_transaction) == ("requires_action", None)
    assert (await client.v1.refunds.cancel_async(refund.id)).status == "canceled"
    settled = await client.v1.refunds.create_async({"payment_intent": intent.id})
    with pytest.raises(stripe.InvalidRequestError, match="cannot be canceled"):
        await client.v1.refunds.cancel_async(settled.id)


async def test_test_cards_lead_to_their_refund_status(double: StripeDouble, client: stripe.StripeClient) -> None:
    slow = await paid(client, "pm_card_pendingRefund")
    pending = await client.v1.refunds.create_async({"payment_intent": slow.id})
    assert pending.status == "pending"
    assert (await double.control.move_refund(pending.id, "succeeded"))["status"] == "succeeded"
    assert (await client.v1.refunds.retrieve_async(pending.id)).status == "succeeded"


async def test_an_unpaid_intent_has_nothing_to_refund(client: stripe.StripeClient) -> None:
    intent = await client.v1.payment_intents.create_async({"amount": 2000, "currency": "eur"})
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge"):
        await client.v1.refunds.create_async({"payment_intent": intent.id})
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        await client.v1.refunds.create_async({"charge": "ch_nothing"})
    assert unknown.value.code == "resource_missing"


@pytest.mark.parametrize("outcome", ["won", "lost"])
async def test_a_dispute_is_opened_and_closed(double: StripeDouble, client: stripe.StripeClient, outcome: str) -> None:
    charge = (await paid(client)).latest_charge
    dispute = await double.control.open_dispute(charge.id, reason="product_not_received")
    assert (dispute["status"], dispute["amount"], dispute["reason"]) == ("needs_response", 2000, "product_not_received")
    assert (await client.v1.charges.retrieve_async(charge.id)).disputed
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.refunds.create_async({"charge": charge.id})
    assert refused.value.code == "charge_disputed"
    await double.control.close_dispute(dispute["id"], outcome)
    assert (await client.v1.disputes.retrieve_async(dispute["id"])).status == outcome
    seen = [each for each in await types_of(client) if each.startswith("charge.dispute.")]
    reinstated = ["charge.dispute.funds_reinstated"] if outcome == "won" else []
    assert seen == ["charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed", *reinstated]


async def test_a_refunded_charge_cannot_be_disputed_and_a_dispute_can_be_conceded(
    double: StripeDouble, client: stripe.StripeClient
) -> None:
    refunded = (await paid(client)).latest_charge
    await client.v1.refunds.create_async({"charge": refunded.id})
    with pytest.raises(ControlError, match="refunded in full"):
        await double.control.open_dispute(refunded.id)
    charge = (await paid(client, "pm_card_createDispute")).latest_charge
    dispute = (await client.v1.disputes.list_async({"charge": charge.id})).data[0]
    assert (await client.v1.disputes.close_async(dispute.id)).status == "lost"
