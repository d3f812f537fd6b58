"""Every way to pay and to be let in, over HTTP on real parts, with what people are told on the way."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from uuid import uuid4

import httpx
import pytest

from models.vocabulary import Role
from sandbox.sample_academy import sample_id
from tests.installation import Installation, Json
from tests.ordering import (
    ASKS_THE_BANK,
    NO_FUNDS,
    confirm_at_the_bank,
    hold_left,
    invoice_order,
    mails,
    order_shows,
    paid,
    pay_by_debit,
    pay_for_nothing,
    until_mailed,
)


async def refusal_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["reason"]


async def asked(
    installation: Installation, path: str, body: Json, by: str = "lukasz", role: Role = Role.STUDENT
) -> tuple[int, str]:
    """The status and reason of a request that is refused."""
    headers = {**installation.caller(by, role), "Idempotency-Key": uuid4().hex}
    return await refusal_of(await installation.http.post(path, json=body, headers=headers))


# ---- cards ----


async def test_a_bank_that_asks_to_confirm(installation: Installation) -> None:
    order = (await installation.post_order("spanish-a1")).json()
    page = await installation.pay(order, ASKS_THE_BANK)
    await order_shows(installation, order["id"], lambda seen: seen["payment"]["status"] == "requires_action")
    await order_shows(
        installation, order["id"], lambda seen: timedelta(hours=23) < hold_left(seen) <= timedelta(days=1)
    )
    job = await installation.job(order["id"])
    assert (job["waiting_for"], job["who_must_act"]) == ("payment", "payer")
    await confirm_at_the_bank(page)
    await installation.order_ends(order["id"])
    assert await mails(installation) == ["order_confirmation"]


async def test_three_declines_and_a_rest(installation: Installation) -> None:
    order = (await installation.post_order("spanish-a1")).json()
    for _ in range(3):
        await installation.pay(order, NO_FUNDS)
    resting = await order_shows(installation, order["id"], lambda seen: seen["payment"]["resting_until"])
    assert resting["payment"]["decline_code"] == "insufficient_funds"
    assert resting["payment"]["checkout_url"] is None
    await until_mailed(installation, "payment_declined")
    cancelled = await installation.http.post(
        f"/v1/orders/{order['id']}/cancel", json={"reason": "payment_trouble"}, headers=installation.caller()
    )
    assert cancelled.status_code == 202
    ended = await installation.order_ends(order["id"], "cancelled")
    assert [line["enrollment"]["status"] for line in ended["lines"]] == ["canceled"]
    money = await installation.double.control.order(order["id"])
    assert (money.charges_succeeded, money.refunds) == (0, 0)


@pytest.mark.parametrize(("outcome", "status"), [("succeeded", "completed"), ("failed", "cancelled")])
async def test_a_bank_debit_keeps_the_place_until_the_bank_answers(
    installation: Installation, outcome: str, status: str
) -> None:
    order = (await installation.post_order("spanish-a1", method="payment_intent")).json()
    intent = await pay_by_debit(installation, order)
    await order_shows(installation, order["id"], lambda seen: seen["payment"]["status"] == "processing")
    await order_shows(
        installation, order["id"], lambda seen: timedelta(days=13) < hold_left(seen) <= timedelta(days=14)
    )
    await until_mailed(installation, "payment_processing")
    # Who wants out now is only refused the money's way: what is with the bank cannot be called back.
    if status == "cancelled":
        await installation.staff_posts(f"/v1/orders/{order['id']}/cancel", {"reason": "course_changed"})
    await installation.double.control.settle(intent, outcome)
    await installation.order_ends(order["id"], status)


# ---- invoices ----


async def test_an_invoice_in_two_parts(installation: Installation) -> None:
    order = await invoice_order(installation)
    assert (order["status"], order["total_amount"], order["payment"]) == ("pending_payment", 240000, None)
    assert order["invoice"]["status"] == "open"
    await until_mailed(installation, "invoice")
    pdf = await installation.http.get(
        f"/v1/orders/{order['id']}/invoice.pdf", headers=installation.caller("finance", Role.STAFF)
    )
    assert pdf.content.startswith(b"%PDF")
    known = {**installation.caller("finance", Role.STAFF), "If-None-Match": pdf.headers["ETag"]}
    assert (await installation.http.get(f"/v1/orders/{order['id']}/invoice.pdf", headers=known)).status_code == 304

    for _ in range(2):  # the same entry, reported twice
        await installation.staff_posts(f"/v1/orders/{order['id']}/mark-paid", paid(100000), key="transfer-1")
    half = await order_shows(installation, order["id"], lambda seen: seen["invoice"]["paid_amount"])
    assert (half["status"], half["invoice"]["paid_amount"]) == ("pending_payment", 100000)
    await installation.staff_posts(f"/v1/orders/{order['id']}/mark-paid", paid(140000), key="transfer-2")
    done = await installation.order_ends(order["id"])
    assert done["invoice"]["status"] == "paid"
    assert [line["enrollment"]["status"] for line in done["lines"]] == ["active"] * 3
    assert sorted(paper["kind"] for paper in done["documents"]) == ["invoice", "receipt"]
    again = await asked(installation, f"/v1/orders/{order['id']}/mark-paid", paid(1), "finance", Role.STAFF)
    assert again == (409, "invoice_not_open")


async def test_money_for_an_invoice_beyond_what_is_owed_waits_for_a_person(installation: Installation) -> None:
    order = await invoice_order(installation)
    path = f"/v1/orders/{order['id']}/mark-paid"
    await installation.staff_posts(path, paid(250000))
    [task] = await installation.tasks(order["id"])
    assert (task["kind"], task["allowed_actions"]) == ("pay_back", ["accept", "dismiss"])
    assert task["reason"].startswith("100.00 EUR")
    job = await installation.job(order["id"])
    assert (job["needs_human"], job["who_must_act"], job["task_id"]) == (True, "operator", task["id"])
    decided = await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "accept"})
    assert (decided.json()["status"], decided.json()["decision"]) == ("done", "accept")
    await installation.order_ends(order["id"])
    decision = f"/v1/tasks/{task['id']}/decision"
    again = await asked(installation, decision, {"action": "accept"}, "finance", Role.STAFF)
    assert again[0] == HTTPStatus.OK
    assert await asked(installation, decision, {"action": "refund"}, "finance", Role.STAFF) == (409, "task_not_open")


async def test_only_staff_says_what_came_in(installation: Installation) -> None:
    order = await invoice_order(installation)
    path = f"/v1/orders/{order['id']}/mark-paid"
    assert await asked(installation, path, paid(240000)) == (403, "role_not_allowed")
    assert await asked(installation, path, paid(0), "finance", Role.STAFF) == (422, "invalid_request")
    tomorrow = paid(240000) | {"received_on": (datetime.now(UTC) + timedelta(days=3)).date().isoformat()}
    assert await asked(installation, path, tomorrow, "finance", Role.STAFF) == (422, "invalid_request")
    nobodys = f"/v1/orders/{uuid4()}/mark-paid"
    assert await asked(installation, nobodys, paid(1), "finance", Role.STAFF) == (404, "not_found")
    card = (await installation.post_order("spanish-a1")).json()
    by_card = f"/v1/orders/{card['id']}/mark-paid"
    assert await asked(installation, by_card, paid(1), "finance", Role.STAFF) == (409, "invoice_not_open")


# ---- approval ----


async def test_a_place_that_is_approved_can_be_paid(installation: Installation) -> None:
    order = (await installation.post_order("teacher-training", by="aoife")).json()
    path = f"/v1/orders/{order['id']}"
    assert [line["enrollment"]["status"] for line in order["lines"]] == ["pending_approval"]
    assert order["payment"]["checkout_url"] is None
    job = await installation.job(order["id"])
    assert (job["waiting_for"], job["who_must_act"]) == ("reviewer", "reviewer")
    await until_mailed(installation, "approval_requested")
    assert await asked(installation, f"{path}/approve", {}, "aoife") == (403, "role_not_allowed")
    assert await asked(installation, f"{path}/approve", {}, "olena", Role.TUTOR) == (404, "not_found")
    approver = {**installation.caller("maya", Role.TUTOR)}
    approved = await installation.http.post(f"{path}/approve", json={}, headers=approver)
    assert (approved.status_code, approved.headers["Location"]) == (202, path)
    payable = await order_shows(
        installation,
        order["id"],
        lambda seen: (
            seen["payment"]["status"] != "canceled" and (seen["lines"][0]["enrollment"]["status"] == "pending_payment")
        ),
    )
    assert payable["status"] == "pending_payment"
    assert await asked(installation, f"{path}/deny", {"reason": "other"}, "maya", Role.TUTOR) == (
        409, "order_not_waiting_for_approval",
    )  # fmt: skip
    await until_mailed(installation, "order_approved")
    await installation.pay(await installation.payable(order["id"], "aoife"))
    await installation.order_ends(order["id"])


async def test_a_place_that_is_denied_is_free_again(installation: Installation) -> None:
    order = (await installation.post_order("teacher-training", by="aoife")).json()
    await installation.staff_posts(f"/v1/orders/{order['id']}/deny", {"reason": "not_eligible"})
    ended = await installation.order_ends(order["id"], "cancelled")
    assert ended["status_reason"] == "denied:not_eligible"
    assert [line["enrollment"]["status"] for line in ended["lines"]] == ["canceled"]
    assert "order_denied" in await mails(installation)
    assert (await installation.double.control.requests("/v1/checkout/sessions")).total == 0


# ---- what is on sale ----


async def test_a_course_shows_what_it_costs_and_what_comes_with_it(installation: Installation) -> None:
    async def shown(code: str) -> Json:
        found = await installation.http.get(f"/v1/courses/{sample_id('course', code)}", headers=installation.caller())
        course: Json = found.raise_for_status().json()
        return course

    photography, bundle, training = (
        await shown("photography"),
        await shown("language-bundle"),
        await shown("teacher-training"),
    )
    assert (photography["price_amount"], photography["sale_price_amount"]) == (6900, 4500)
    assert photography["sale_starts_at"] < datetime.now(UTC).isoformat() < photography["sale_ends_at"]
    assert {course["code"] for course in bundle["courses"]} == {"spanish-a1", "french-a2"}
    assert (bundle["cost_scheme"], (await shown("company-workshop"))["cost_scheme"]) == ("student", "order")
    assert (training["is_approval_required"], photography["is_approval_required"]) == (True, False)


# ---- without a charge ----


async def test_a_bundle_opens_its_courses_which_are_not_charged_twice(installation: Installation) -> None:
    order = (await installation.post_order("language-bundle")).json()
    await installation.pay(order)
    await installation.order_ends(order["id"])
    mine = (await installation.http.get("/v1/enrollments", headers=installation.caller())).json()["items"]
    assert {item["status"] for item in mine} == {"active"}
    assert len(mine) == 2
    again = (await installation.post_order("spanish-a1")).json()
    assert (again["status"], again["total_amount"], again["payment"]) == ("completed", 0, None)


async def test_a_coupon_of_a_hundred_percent_asks_stripe_nothing(installation: Installation) -> None:
    order = (await installation.post_order("spanish-a1", coupon_code="SCHOLAR")).json()
    done = await installation.order_ends(order["id"])
    assert (done["total_amount"], done["payment"]) == (0, None)
    assert (await installation.double.control.requests("/v1/")).total == 0


async def test_a_pack_that_needs_a_screening_meeting(installation: Installation) -> None:
    refused = await installation.post_order("violin-pack", by="lukasz")
    assert refused.status_code in {409, 422}
    assert refused.json()["reason"] in {"screening_required", "slots_missing", "slots_required"}


# ---- taken back ----


async def test_staff_takes_a_paid_order_back(installation: Installation) -> None:
    order = (await installation.post_order("spanish-a1")).json()
    await installation.pay(order)
    await installation.order_ends(order["id"])
    path = f"/v1/orders/{order['id']}/cancel"
    assert await asked(installation, path, {"reason": "changed_mind"}) == (409, "order_not_cancelable")
    for _ in range(2):  # twice is once
        await installation.staff_posts(path, {"reason": "course_changed"})
    await installation.order_becomes(order["id"], "refunded")
    await until_mailed(installation, "refund")
    back = await installation.order(order["id"])
    assert [refund["status"] for refund in back["refunds"]] == ["succeeded"]
    assert sorted(paper["kind"] for paper in back["documents"]) == ["credit_note", "receipt"]
    money = await installation.double.control.order(order["id"])
    assert (money.charges_succeeded, money.refunds) == (1, 1)


async def test_a_document_is_mailed_once_more(installation: Installation) -> None:
    order = (await installation.post_order("spanish-a1")).json()
    await installation.pay(order)
    done = await installation.order_ends(order["id"])
    [receipt] = done["documents"]
    path = f"/v1/documents/{receipt['id']}/send"
    assert await asked(installation, path, {}, "layla") == (404, "not_found")
    for _ in range(2):
        sent = await installation.http.post(path, headers={**installation.caller(), "Idempotency-Key": "one-copy"})
        assert (sent.status_code, sent.json()["document"]) == (202, receipt["number"])
    await until_mailed(installation, "document_copy")
    first, copy = installation.mailbox.messages()
    assert [next(iter(mail.iter_attachments())).get_payload(decode=True)[:4] for mail in (first, copy)] == [b"%PDF"] * 2
    strange = await installation.http.get(f"/v1/documents/{receipt['id']}.pdf", headers=installation.caller("layla"))
    assert strange.status_code == 404


async def test_the_dates_of_a_pack(installation: Installation) -> None:
    pack = await installation.http.get(
        f"/v1/courses/{sample_id('course', 'piano-pack')}", headers=installation.caller("xiaoming")
    )
    slots = [slot["id"] for slot in pack.json()["free_slots"][:5]]
    headers = {**installation.caller("xiaoming"), "Idempotency-Key": uuid4().hex}
    line = {"course_id": str(sample_id("course", "piano-pack")), "slot_ids": slots}
    body = {"lines": [line], "payment_method": "checkout"}
    order = (await installation.http.post("/v1/orders", json=body, headers=headers)).json()
    await installation.pay(order)
    await installation.order_ends(order["id"])
    dates = await installation.http.get(f"/v1/orders/{order['id']}/calendar.ics", headers=headers)
    assert dates.headers["Content-Type"].startswith("text/calendar")
    assert dates.text.count("BEGIN:VEVENT") == 5
    plain = (await installation.post_order("spanish-a1")).json()
    nothing = await installation.http.get(f"/v1/orders/{plain['id']}/calendar.ics", headers=installation.caller())
    assert await refusal_of(nothing) == (404, "not_found")


# ---- money that nobody waits for ----


async def test_a_payment_that_no_order_knows_waits_for_a_person(installation: Installation) -> None:
    await pay_for_nothing(installation)
    [task] = await installation.tasks()
    assert (task["kind"], task["subject_kind"]) == ("unknown_payment", "payment")
    refused = await asked(installation, f"/v1/tasks/{task['id']}/decision", {"action": "retry"}, "finance", Role.STAFF)
    assert refused == (422, "action_not_allowed")
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "refund"})
    handle = installation.temporal.get_workflow_handle(task["workflow_id"])
    assert (await handle.result())["owner"] == "nobody"
    assert await asked(installation, f"/v1/tasks/{task['id']}/decision", {"action": "refund"}) == (
        403,
        "role_not_allowed",
    )


async def test_money_for_an_order_whose_job_broke_waits_for_a_person(installation: Installation) -> None:
    order = (await installation.post_order("spanish-a1", method="payment_intent")).json()
    await installation.temporal.get_workflow_handle(f"order-{order['id']}").terminate("by mistake")
    job = await installation.job(order["id"])
    assert (job["run_status"], job["who_must_act"], job["needs_human"]) == ("terminated", "operator", True)
    assert (job["due_at"], job["task_id"]) == (None, None)
    intent = await pay_by_debit(installation, order)
    await installation.double.control.settle(intent, "succeeded")
    [task] = await installation.tasks(order["id"])
    assert task["kind"] == "unknown_payment"
    assert "reset that job" in task["reason"]


async def test_money_from_a_checkout_page_belongs_to_its_order_though_the_job_has_not_seen_it(
    installation: Installation,
) -> None:
    order = (await installation.post_order("spanish-a1")).json()
    await installation.temporal.get_workflow_handle(f"order-{order['id']}").terminate("by mistake")
    await installation.pay(order)
    [task] = await installation.tasks(order["id"])
    assert task["kind"] == "unknown_payment"
    assert "reset that job" in task["reason"]
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "refund"})
    await installation.temporal.get_workflow_handle(task["workflow_id"]).result()
    [refund] = (await installation.order(order["id"]))["refunds"]
    assert (refund["amount"], refund["status"]) == (order["total_amount"], "succeeded")


async def test_a_moment_outside_of_the_calendar_is_refused(installation: Installation) -> None:
    for moment in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        answer = await installation.http.get(
            "/v1/orders", params={"created_from": moment}, headers=installation.caller()
        )
        assert await refusal_of(answer) == (422, "invalid_request")
