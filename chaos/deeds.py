"""What people do at the academy: each is told from their side, and answers in a word how it ended for them.

How it ended is for the table alone; whether everything is right is not for them to say (`chaos/invariants.py`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid5

import httpx

from chaos.academy import COUPON, LESSONS, course, lesson
from chaos.plan import Deed, Visit
from chaos.town import (
    ASKS_THE_BANK,
    DISPUTED,
    NO_FUNDS,
    Json,
    NobodyAnswersError,
    RefusedError,
    Town,
    Visitor,
    is_completed,
)
from models.identifiers import REGISTRAR_NAMESPACE
from models.vocabulary import Role
from sandbox.stripe_double import ControlError

_SEE_OTHER = httpx.codes.SEE_OTHER
_AT_STRIPE_SECONDS = 30


async def visit(town: Town, planned: Visit) -> None:
    """Do it, and write down how it ended. Being refused is an end, and so is giving up."""
    try:
        end = await DOING[planned.deed](town, planned)
    except RefusedError as refused:
        end = f"refused: {refused}"
    except (NobodyAnswersError, httpx.TransportError):
        end = "gave up"
    except ControlError:
        end = "too late at Stripe"
    except Exception as error:  # noqa: BLE001 - the others go on, and this one is told at the end
        end = "failed"
        town.broken.append(f"The visit {planned} failed with {type(error).__name__}: {error}.")
    town.ended[planned.deed, end] += 1


def _with(planned: Visit) -> Json:
    return {"coupon_code": COUPON} if planned.with_coupon else {}


def _name(planned: Visit) -> str:
    return "seats" if planned.pick < 0.2 else "yen" if planned.pick < 0.35 and not planned.with_coupon else "open"


async def _paid(town: Town, planned: Visit) -> str:
    return _word(await town.visitor(planned.people[0]).has(_name(planned), **_with(planned)))


async def _confirmed(town: Town, planned: Visit) -> str:
    """The payer's bank wants to be asked first."""
    visitor = town.visitor(planned.people[0])
    order = await visitor.order("open")
    page = await visitor.pays(order, ASKS_THE_BANK)
    async with httpx.AsyncClient(follow_redirects=True, timeout=60, trust_env=False) as browser:
        address = page.url.join(page.headers.get("Location", ""))
        await browser.post(str(address), data={"outcome": "complete" if planned.pick < 0.8 else "fail"})
    return _word(await visitor.until(order["id"], is_completed)) if planned.pick < 0.8 else "left"


async def _declined(town: Town, planned: Visit) -> str:
    visitor = town.visitor(planned.people[0])
    order = await visitor.order("open")
    for _ in range(1 + int(planned.pick * 3)):
        await visitor.pays(order, NO_FUNDS)
    if planned.pick < 0.5:
        await visitor.pays(order)
        return _word(await visitor.until(order["id"], is_completed))
    await visitor.post(f"/v1/orders/{order['id']}/cancel", {"reason": "payment_trouble"})
    return _word(await visitor.until(order["id"], is_completed))


async def _abandoned(town: Town, planned: Visit) -> str:
    return _word(await town.visitor(planned.people[0]).order(_name(planned), **_with(planned)))


async def _cancelled(town: Town, planned: Visit) -> str:
    visitor = town.visitor(planned.people[0])
    order = await visitor.order(_name(planned), **_with(planned))
    await visitor.post(f"/v1/orders/{order['id']}/cancel", {"reason": "changed_mind"})
    return _word(await visitor.until(order["id"], is_completed))


async def _paid_while_cancelled(town: Town, planned: Visit) -> str:
    """In one window it is paid, in another one cancelled."""
    visitor = town.visitor(planned.people[0])
    order = await visitor.order(_name(planned), **_with(planned))

    async def cancels() -> None:
        await asyncio.sleep(planned.pick * 0.3)
        await visitor.post(f"/v1/orders/{order['id']}/cancel", {"reason": "changed_mind"})

    await asyncio.gather(visitor.pays(order), cancels(), return_exceptions=True)
    return _word(await visitor.until(order["id"], is_completed))


async def _free(town: Town, planned: Visit) -> str:
    return _word(await town.visitor(planned.people[0]).has("free"))


async def _last_seat(town: Town, planned: Visit) -> str:
    """All of them want the one seat; whoever gets it pays for it, or changes their mind so that another one gets it."""

    async def races(number: int) -> str:
        visitor = town.visitor(number)
        order = await visitor.order(f"last-{planned.course}")
        if order["status"] == "pending_payment" and planned.pick < 0.3:
            await visitor.post(f"/v1/orders/{order['id']}/cancel", {"reason": "changed_mind"})
            return "changed_mind"
        await visitor.pays(order)
        return _word(await visitor.until(order["id"], is_completed))

    ends = await asyncio.gather(*map(races, planned.people), return_exceptions=True)
    return f"{sum(end == 'completed' for end in ends)} of {len(ends)} got it"


async def _invoice(town: Town, planned: Visit) -> str:
    visitor, staff = town.visitor(planned.people[0]), town.staff()
    order = await visitor.order("open", payment_method="invoice", **_with(planned))
    total = order["total_amount"]
    parts = [total] if planned.pick < 0.5 else [total // 3, total - total // 3]
    for place, part in enumerate(parts):
        day = datetime.now(UTC).date().isoformat()
        body = {"amount": part, "received_on": day, "method": "bank_transfer"}
        await staff.post(f"/v1/orders/{order['id']}/mark-paid", body, key=f"part-{place}")
    return _word(await visitor.until(order["id"], is_completed))


async def _invoice_cancelled(town: Town, planned: Visit) -> str:
    visitor = town.visitor(planned.people[0])
    order = await visitor.order("open", payment_method="invoice")
    await town.staff().post(f"/v1/orders/{order['id']}/cancel", {"reason": "course_changed"})
    return _word(await visitor.until(order["id"], is_completed))


async def _debit(town: Town, planned: Visit) -> str:
    """A bank account is charged, which takes its time and may fail."""
    visitor = town.visitor(planned.people[0])
    order = await visitor.order("open", payment_method="payment_intent")
    payment = order["payment"]
    if not payment or not payment["client_secret"]:
        raise RefusedError(_word(order))
    intent = payment["client_secret"].split("_secret")[0]
    form = {"client_secret": payment["client_secret"], "payment_method": "pm_sepaDebit"}
    await _at_stripe(town, f"/v1/payment_intents/{intent}/confirm", form, payment["publishable_key"], intent)
    await asyncio.sleep(planned.pick * 2)
    await town.stripe.settle(intent, "succeeded" if planned.pick < 0.6 else "failed")
    return _word(await visitor.until(order["id"], is_completed)) if planned.pick < 0.6 else "failed at the bank"


async def _cart_bought(town: Town, planned: Visit) -> str:
    visitor = town.visitor(planned.people[0])
    cart_id = await _fill_cart(visitor, planned)
    placed = await visitor.post(f"/v1/carts/{cart_id}/checkout")
    order = await visitor.until(placed["id"], lambda seen: seen["payment"] and seen["payment"]["checkout_url"])
    await visitor.pays(order)
    return _word(await visitor.until(order["id"], is_completed))


async def _cart_left(town: Town, planned: Visit) -> str:
    """A reminder is wanted, and the clock of carts runs fast."""
    visitor = town.visitor(planned.people[0])
    yes = {"is_subscribed": True, "source": "checkout", "text_version": "2026-01"}
    platform = Visitor(town, "platform", (Role.SERVICE,))
    await platform.put(f"/v1/people/{visitor.subject}/subscriptions/cart", yes)
    await _fill_cart(visitor, planned)
    return "left"


async def _fill_cart(visitor: Visitor, planned: Visit) -> str:
    cart_id = uuid5(REGISTRAR_NAMESPACE, f"chaos-cart:{visitor.town.settings.public_url}:{planned.people[0]}")
    body: Json = {"course_ids": [str(course("open"))]}
    await visitor.put(f"/v1/carts/{cart_id}", body)
    await visitor.put(f"/v1/carts/{cart_id}", body | _with(planned))
    return str(cart_id)


async def _changed_mind(town: Town, planned: Visit) -> str:
    visitor = town.visitor(planned.people[0])
    order = await visitor.has(_name(planned), **_with(planned))
    if not _place(order):
        return _word(order)
    wish = await visitor.post(f"/v1/enrollments/{_place(order)}/refunds", {"cause": "changed_mind"})
    return f"wish {wish.get('status', 'on its way')}"


async def _goodwill(town: Town, planned: Visit) -> str:
    """Some of the money goes back and the place stays, sometimes twice."""
    visitor, staff = town.visitor(planned.people[0]), town.staff()
    order = await visitor.has("open", **_with(planned))
    if not _place(order):
        return _word(order)
    for time_ in range(1 + (planned.pick < 0.4)):
        terms = {"share": "amount", "amount": 300 + 100 * time_, "access": "kept"}
        body = {"cause": "goodwill", "terms": terms}
        await staff.post(f"/v1/enrollments/{_place(order)}/refunds", body, key=f"goodwill-{time_}")
    return "some of it back"


async def _taken_back(town: Town, planned: Visit) -> str:
    visitor = town.visitor(planned.people[0])
    order = await visitor.has(_name(planned), **_with(planned))
    await town.staff().post(f"/v1/orders/{order['id']}/cancel", {"reason": "course_changed"}, key="taken back")
    return _word(await visitor.until(order["id"], lambda seen: seen["status"] == "refunded"))


async def _bank_returns_refund(town: Town, planned: Visit) -> str:
    """The money goes back, and the payer's bank does not take it."""
    end = await _taken_back(town, planned)
    mine = await _orders_of(town, planned)
    for refund in await town.stripe.objects("refund"):
        if refund["metadata"].get("order_id") in mine and refund["status"] == "succeeded":
            await town.stripe.move_refund(refund["id"], "failed", "declined")
            return "came back"
    return end


async def _orders_of(town: Town, planned: Visit) -> set[str]:
    seen = await town.visitor(planned.people[0]).get("/v1/orders")
    return {each["id"] for each in seen["items"]}


async def _refunded_at_stripe(town: Town, planned: Visit) -> str:
    """Somebody of the office uses Stripe's Dashboard instead."""
    order = await town.visitor(planned.people[0]).has("open")
    for intent in await town.stripe.objects("payment_intent"):
        if intent["metadata"].get("order_id") == order["id"] and intent["status"] == "succeeded":
            key = town.settings.stripe_api_key
            assert key is not None  # noqa: S101 - the double has one
            form = {"payment_intent": intent["id"], "amount": "500"}
            await _at_stripe(town, "/v1/refunds", form, key.get_secret_value(), f"dashboard-{intent['id']}")
            return "in the Dashboard"
    return _word(order)


async def _disputed(town: Town, planned: Visit, outcome: str) -> str:
    visitor = town.visitor(planned.people[0])
    order = await visitor.order("open")
    await visitor.pays(order, DISPUTED)
    order = await visitor.until(order["id"], is_completed)
    await asyncio.sleep(2 * planned.pick)
    mine = {
        intent["id"]
        for intent in await town.stripe.objects("payment_intent")
        if intent["metadata"].get("order_id") == order["id"]
    }
    for dispute in await town.stripe.objects("dispute"):
        if dispute["payment_intent"] in mine:
            await town.stripe.close_dispute(dispute["id"], outcome)
            return outcome
    return _word(order)


async def _dispute_won(town: Town, planned: Visit) -> str:
    return await _disputed(town, planned, "won")


async def _dispute_lost(town: Town, planned: Visit) -> str:
    return await _disputed(town, planned, "lost")


async def _learned(town: Town, planned: Visit) -> str:
    """All lessons are learned, which brings a certificate; some have it revoked or want their money back then."""
    visitor = town.visitor(planned.people[0])
    order = await visitor.has("learned", **_with(planned))
    if not _place(order):
        return _word(order)
    for number in range(LESSONS):
        await _tell(visitor, f"/v1/enrollments/{_place(order)}/lessons/{lesson(number)}", {"finished": True})
    if planned.pick < 0.25:
        terms = {"share": "full", "access": "revoked"}
        body = {"cause": "goodwill", "terms": terms}
        await town.staff().post(f"/v1/enrollments/{_place(order)}/refunds", body)
        return "learned, and paid back"
    return "learned"


async def _tell(visitor: Visitor, path: str, body: Json) -> None:
    """Tell of a lesson, again while it has not opened."""
    deadline = time.monotonic() + visitor.town.patience
    while True:
        try:
            await visitor.post(path, body)
        except RefusedError as refused:
            if str(refused) != "lesson_not_open" or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.5)
        else:
            return


async def _course_removed(town: Town, planned: Visit) -> str:
    """A course with people in it, and one who is about to pay, is no longer given."""
    name = f"gone-{planned.course}"
    *members, late = planned.people
    await asyncio.gather(*(town.visitor(number).has(name) for number in members), return_exceptions=True)
    order = await town.visitor(late).order(name)
    gone = {"kind": "course_removed", "course_id": str(course(name)), "reason": "It is no longer given."}
    begun, *_ = await asyncio.gather(
        town.staff(Role.ADMIN).post("/v1/cascades", gone), town.visitor(late).pays(order), return_exceptions=True
    )
    return "removed" if isinstance(begun, dict) else "refused"


async def _desk(town: Town, planned: Visit) -> str:
    """Somebody of the office decides whatever waits, this way or that."""
    staff, decided = town.staff(Role.ADMIN), 0
    for task in (await staff.get("/v1/tasks"))["items"]:
        actions = task["allowed_actions"]
        action = actions[int((planned.pick * 97 + decided * 0.61) % 1 * len(actions))]
        try:
            await staff.post(f"/v1/tasks/{task['id']}/decision", {"action": action}, key=action)
        except RefusedError:  # a second opinion by the same person, or it is over by now
            continue
        decided += 1
    return f"{decided} decided"


def _place(order: Json) -> str:
    enrollment: Any = order["lines"][0]["enrollment"]
    return str(enrollment["id"]) if enrollment else ""


def _word(order: Json) -> str:
    return str(order["status"])


async def _at_stripe(town: Town, path: str, form: Mapping[str, str], api_key: str, key: str) -> None:
    """A call of Stripe's API by somebody else than Registrar, again while it fails."""
    deadline = time.monotonic() + _AT_STRIPE_SECONDS
    headers = {"Authorization": f"Bearer {api_key}", "Idempotency-Key": f"chaos-{key}"}
    async with httpx.AsyncClient(base_url=town.stripe_url, timeout=30, trust_env=False) as browser:
        while time.monotonic() < deadline:
            try:
                answer = await browser.post(path, data=dict(form), headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(0.5)
                continue
            if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR and answer.status_code not in (409, 429):
                return
            await asyncio.sleep(0.5)
    raise NobodyAnswersError(path)


DOING: Mapping[Deed, Callable[[Town, Visit], Awaitable[str]]] = {
    Deed.PAID: _paid,
    Deed.CONFIRMED: _confirmed,
    Deed.DECLINED: _declined,
    Deed.ABANDONED: _abandoned,
    Deed.CANCELLED: _cancelled,
    Deed.PAID_WHILE_CANCELLED: _paid_while_cancelled,
    Deed.FREE: _free,
    Deed.LAST_SEAT: _last_seat,
    Deed.INVOICE: _invoice,
    Deed.INVOICE_CANCELLED: _invoice_cancelled,
    Deed.DEBIT: _debit,
    Deed.CART_BOUGHT: _cart_bought,
    Deed.CART_LEFT: _cart_left,
    Deed.CHANGED_MIND: _changed_mind,
    Deed.GOODWILL: _goodwill,
    Deed.TAKEN_BACK: _taken_back,
    Deed.BANK_RETURNS_REFUND: _bank_returns_refund,
    Deed.REFUNDED_AT_STRIPE: _refunded_at_stripe,
    Deed.DISPUTE_WON: _dispute_won,
    Deed.DISPUTE_LOST: _dispute_lost,
    Deed.LEARNED: _learned,
    Deed.COURSE_REMOVED: _course_removed,
    Deed.DESK: _desk,
}
