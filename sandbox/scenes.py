"""The scenes of the demo, one for each way a job can go. New jobs add theirs here."""

from collections.abc import Sequence
from datetime import UTC, datetime

import httpx

from models.money import Money
from models.vocabulary import Role
from sandbox.application_scenes import tutor_approved, tutor_rejected
from sandbox.play import Json, Player, Scene
from sandbox.sample_academy import sample_id

VISA = "4242 4242 4242 4242"
DECLINED = "4000 0000 0000 0002"
NO_FUNDS = "4000 0000 0000 9995"
ASKS_THE_BANK = "4000 0027 6000 3184"


async def checkout(player: Player, scene: Scene) -> None:
    player.say("Łukasz orders Spanish A1 with the coupon WELCOME10 and gets a quote and a payment link in one call")
    order = await _placed(player, scene, "lukasz", "spanish-a1", coupon_code="WELCOME10")
    player.say(f"He pays {order['total']} on Stripe's page; his first card is declined")
    await player.pay_on_page(order["payment"]["checkout_url"], DECLINED)
    await player.pay_on_page(order["payment"]["checkout_url"], VISA)
    await _enrolled(player, scene, order, "lukasz")


async def payment_intent(player: Player, scene: Scene) -> None:
    player.say("ليلى orders Islamic finance, priced in Kuwaiti dinars with three decimals")
    order = await _placed(player, scene, "layla", "islamic-finance", method="payment_intent")
    player.say(f"Her browser confirms the PaymentIntent of {order['total']}")
    await player.confirm_intent(order, "pm_card_visa")
    await _enrolled(player, scene, order, "layla")


async def strong_authentication(player: Player, scene: Scene) -> None:
    player.say("Haruka pays by a card whose bank asks her to confirm (3D Secure)")
    order = await _placed(player, scene, "haruka", "spanish-a1")
    page = await player.pay_on_page(order["payment"]["checkout_url"], ASKS_THE_BANK)
    player.say("Until she has confirmed, the order waits for her, for a day at most")
    await player.payment_is(order["id"], "requires_action", "haruka")
    await player.answer_bank(str(page.url), "complete")
    await _enrolled(player, scene, order, "haruka")


async def declined(player: Player, scene: Scene) -> None:
    player.say("Layla's card has no funds; she tries it three times")
    order = await _placed(player, scene, "layla", "spanish-a1")
    url = order["payment"]["checkout_url"]
    for _ in range(3):
        await player.pay_on_page(url, NO_FUNDS)
    resting = await player.payment_rests(order["id"], "layla")
    player.say(
        f"Declined ({resting['payment']['decline_code']}): no more tries before {resting['payment']['resting_until']}"
    )
    player.say("She gives up and cancels; the seat is free again and nothing was charged")
    await player.post(f"/v1/orders/{order['id']}/cancel", {"reason": "payment_trouble"}, "layla")
    done = await player.order_is(order["id"], "cancelled", "layla")
    scene.state = done["status"]


async def invoice(player: Player, scene: Scene) -> None:
    player.say("A company orders a workshop for three of its people and pays by invoice")
    lines = [{"course_id": str(sample_id("course", "company-workshop")), "student_id": str(sample_id("person", key))}
             for key in ("grace", "aoife", "haruka")]  # fmt: skip
    body = {"lines": lines, "payment_method": "invoice", "payer_id": str(sample_id("person", "company"))}
    answer = await player.post("/v1/orders", body, "finance", Role.STAFF)
    order: Json = answer.json()
    scene.workflow_id = f"order-{order['id']}"
    bill = order["invoice"]
    player.say(f"One price for all of them, {order['total']}: invoice {bill['number']}, due {bill['due_on']}")
    await player.mailed(order)
    half = order["total_amount"] // 2
    for amount in (half, order["total_amount"] - half):
        came_in = Money(amount=amount, currency=order["currency"]).format()
        player.say(f"The bank reports {came_in}; finance marks it as paid")
        paid = {"amount": amount, "received_on": datetime.now(UTC).date().isoformat(), "method": "bank_transfer"}
        await player.post(f"/v1/orders/{order['id']}/mark-paid", paid, "finance", Role.STAFF)
    await _enrolled(player, scene, order, "finance", Role.STAFF)


async def approval(player: Player, scene: Scene) -> None:
    player.say("Aoife asks for a place in the teacher training, which somebody has to approve")
    order = await _placed(player, scene, "aoife", "teacher-training")
    await player.mailed(order)
    player.say("Nothing can be paid yet; staff lets her in")
    await player.post(f"/v1/orders/{order['id']}/approve", {}, "finance", Role.STAFF)
    payable = await player.payable(order["id"], "aoife")
    await player.pay_on_page(payable["payment"]["checkout_url"], VISA)
    await _enrolled(player, scene, order, "aoife")


async def pack_with_slots(player: Player, scene: Scene) -> None:
    player.say("王小明 picks five free hours of Maya's piano pack")
    pack = await player.get(f"/v1/courses/{sample_id('course', 'piano-pack')}", "xiaoming")
    slots = [slot["id"] for slot in pack["free_slots"][:5]]
    order = await _placed(player, scene, "xiaoming", "piano-pack", slot_ids=slots)
    player.say(f"He pays {order['total']}; the slots are his")
    await player.pay_on_page(order["payment"]["checkout_url"], VISA)
    await _enrolled(player, scene, order, "xiaoming")


async def free_course(player: Player, scene: Scene) -> None:
    player.say("Grace takes the free course; Stripe is not asked")
    order = await _placed(player, scene, "grace", "study-skills")
    await _enrolled(player, scene, order, "grace")


async def worker_killed(player: Player, scene: Scene) -> None:
    player.say("Aoife orders the Python cohort; the worker is killed (kill -9) right before she pays")
    order = await _placed(player, scene, "aoife", "python-cohort")
    player.kill_worker()
    await player.pay_on_page(order["payment"]["checkout_url"], VISA)
    player.say("The worker comes back and goes on: one charge, one seat, one mail")
    await _enrolled(player, scene, order, "aoife")


async def refused(player: Player, scene: Scene) -> None:
    player.say("Haruka takes the last seat of the thesis seminar; Grace comes a moment later")
    order = await _placed(player, scene, "haruka", "thesis-seminar")
    answer = await player.order("grace", "thesis-seminar")
    problem = answer.json()
    if problem.get("reason") != "course_full":
        raise AssertionError(f"expected the refusal course_full, got {answer.status_code}")
    player.say(f"Refused with {answer.status_code} {problem['reason']}: {problem['detail']}")
    await player.pay_on_page(order["payment"]["checkout_url"], VISA)
    await _enrolled(player, scene, order, "haruka")


async def first_lesson_refund(player: Player, scene: Scene) -> None:
    player.say("Haruka buys the photography course, takes the first lesson, and does not like it")
    order = await _placed(player, scene, "haruka", "photography")
    await player.pay_on_page(order["payment"]["checkout_url"], VISA)
    await _enrolled(player, scene, order, "haruka")
    await _lessons_held(player, order, 1, "haruka")
    answer = await _money_wanted_back(player, order, "haruka")
    refund = answer.raise_for_status().json()
    player.say(f"Approved by rule ({refund['grounds'][0]}): {refund['money']} goes back, with a credit note")
    back = await player.order_is(order["id"], "refunded", "haruka")
    # The confirmation, the refund, and a notice to finance.
    await player.mailed(order, times=3)
    scene.state = back["status"]


async def second_lesson_refund(player: Player, scene: Scene) -> None:
    player.say("Layla takes two lessons of it before she asks")
    order = await _placed(player, scene, "layla", "photography")
    await player.pay_on_page(order["payment"]["checkout_url"], VISA)
    await _enrolled(player, scene, order, "layla")
    await _lessons_held(player, order, 2, "layla")
    answer = await _money_wanted_back(player, order, "layla")
    problem = answer.json()
    if problem.get("reason") != "refund_not_eligible":
        raise AssertionError(f"expected the refusal refund_not_eligible, got {answer.status_code}")
    player.say(f"Refused with {answer.status_code} {problem['reason']}: {problem['detail']}")


async def course_removed(player: Player, scene: Scene) -> None:
    player.say("Aoife, Grace and Haruka have paid for Olena's watercolours; Grace has had an evening of four")
    orders = {student: await _placed(player, scene, student, "watercolour") for student in ("aoife", "grace", "haruka")}
    for student, order in orders.items():
        await player.pay_on_page(order["payment"]["checkout_url"], VISA)
        await player.order_is(order["id"], "completed", student)
    await _lessons_held(player, await player.get(f"/v1/orders/{orders['grace']['id']}", "grace"), 1, "grace")
    unpaid = await _placed(player, scene, "layla", "watercolour")
    body = {
        "kind": "course_removed",
        "course_id": str(sample_id("course", "watercolour")),
        "reason": "The studio closes at the end of the month.",
    }
    preview: Json = (await player.post("/v1/cascades", {**body, "dry_run": True}, "finance", Role.ADMIN)).json()
    back = preview["amounts"][0]["money"]
    player.say(f"The studio closes. A dry run: places end {preview['places']}, {back} would go back")
    cascade: Json = (await player.post("/v1/cascades", body, "finance", Role.ADMIN)).json()
    done = await player.cascade_is_done(cascade["id"], "finance")
    back = done["refunded"][0]["money"]
    player.say(f"Done: {done['ended']} of {done['total']} places have ended, {back} goes back, everybody knows why")
    for student, order in orders.items():
        await player.order_is(order["id"], "partially_refunded" if student == "grace" else "refunded", student)
        # The confirmation, the refund, and a notice to the tutor.
        await player.mailed(order, times=3)
    await player.order_is(unpaid["id"], "cancelled", "layla")
    await player.mailed(unpaid)
    scene.workflow_id, scene.state = f"cascade-{cascade['id']}", done["status"]


async def _lessons_held(player: Player, order: Json, count: int, caller: str) -> None:
    """The first lessons of the order's course were held, as staff records."""
    line = order["lines"][0]
    course = await player.get(f"/v1/courses/{line['course_id']}", caller)
    for lesson in course["lessons"][:count]:
        path = f"/v1/enrollments/{line['enrollment']['id']}/lessons/{lesson['id']}"
        await player.post(path, {"outcome": "completed"}, "finance", Role.STAFF)


async def _money_wanted_back(player: Player, order: Json, caller: str) -> httpx.Response:
    path = f"/v1/enrollments/{order['lines'][0]['enrollment']['id']}/refunds"
    return await player.ask(path, {"cause": "not_as_expected"}, caller)


SCENES = [
    Scene("Enrollment by Checkout, with a coupon and a declined card", checkout),
    Scene("Enrollment by PaymentIntent, in KWD", payment_intent),
    Scene("A bank that asks to confirm", strong_authentication),
    Scene("A card declined three times", declined),
    Scene("A company pays by invoice, in two parts", invoice),
    Scene("A place that has to be approved", approval),
    Scene("Tutor's pack with five slots", pack_with_slots),
    Scene("Free course", free_course),
    Scene("Refund after the first lesson", first_lesson_refund),
    Scene("No refund after the second lesson", second_lesson_refund),
    Scene("A course is removed", course_removed),
    Scene("A tutor applies", tutor_approved),
    Scene("A tutor is rejected by two people", tutor_rejected),
    Scene("Enrollment while the worker is killed", worker_killed),
    Scene("The last seat, wanted twice", refused),
]


async def _placed(
    player: Player,
    scene: Scene,
    caller: str,
    code: str,
    *,
    slot_ids: Sequence[str] = (),
    method: str = "checkout",
    **more: str,
) -> Json:
    answer = await player.order(caller, code, slot_ids=slot_ids, method=method, **more)
    if answer.status_code != 201:
        raise AssertionError(f"the order was answered {answer.status_code}: {answer.text}")
    order: Json = answer.json()
    scene.workflow_id = f"order-{order['id']}"
    scene.state = order["status"]
    return order


async def _enrolled(player: Player, scene: Scene, order: Json, caller: str, role: Role = Role.STUDENT) -> None:
    done = await player.order_is(order["id"], "completed", caller, role)
    scene.state = done["status"]
    scene.to_open = f"receipts/{done['number']}.pdf"
    scene.facts = {
        "order_id": done["id"],
        "number": done["number"],
        "caller": caller,
        "role": role.value,
        "total": done["total"],
        "web_ui": player.link(f"order-{order['id']}"),
    }
    player.say(f"{done['number']} is completed: enrolled, receipt {done['receipt']['number']} written")
