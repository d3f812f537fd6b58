"""One paid enrollment over HTTP, on real parts: from the quote to the seat, the receipt and the mail."""

import asyncio
import io
import itertools
import json
from uuid import uuid4

import httpx
import pytest
from pypdf import PdfReader
from sqlalchemy import func, select
from sqlmodel import SQLModel, col
from temporalio.api.enums.v1 import EventType

from activities.logs import JsonLines
from models.tables import Mail, Person
from models.vocabulary import Role
from sandbox.sample_academy import sample_id
from tests.eventually import eventually
from tests.installation import Installation, Json
from tests.log_lines import log_lines

OF_THE_SANDBOX = {"mail.log", "uvicorn.access"}


async def count_rows(installation: Installation) -> dict[str, int]:
    async with installation.sessions() as session:
        return {
            table.name: (await session.execute(select(func.count()).select_from(table))).scalar_one()
            for table in SQLModel.metadata.sorted_tables
        }


async def assert_one_of_each(installation: Installation, order: Json) -> None:
    """One charge, one seat per line, one receipt, one mail."""
    money = await installation.double.control.order(order["id"])
    assert (money.charges_succeeded, money.charged) == (1, order["total_amount"])
    assert [line["enrollment"]["status"] for line in order["lines"]] == ["active"] * len(order["lines"])
    assert order["receipt"] is not None
    assert len(installation.mailbox.messages()) == 1
    assert (await count_rows(installation))["mails"] == 1


async def test_a_student_buys_a_course(installation: Installation) -> None:
    answer = await installation.post_order("spanish-a1", coupon_code="WELCOME10")
    assert answer.status_code == 201, answer.text
    order = answer.json()
    assert answer.headers["Location"].endswith(f"/v1/orders/{order['id']}")
    assert (order["status"], order["list_amount"], order["total_amount"]) == ("pending_payment", 4900, 4410)
    assert order["payment"]["checkout_url"].startswith(installation.double.url)

    paid = await installation.pay(order)
    assert paid.status_code == 303
    back = await installation.http.get(paid.headers["Location"])
    assert back.status_code == 200

    done = await installation.order_ends(order["id"])
    await assert_one_of_each(installation, done)
    receipt = await installation.http.get(f"/v1/orders/{order['id']}/receipt.pdf", headers=installation.caller())
    assert receipt.headers["Content-Type"] == "application/pdf"
    printed = "".join(page.extract_text() for page in PdfReader(io.BytesIO(receipt.content)).pages)
    assert done["number"] in printed
    assert "Żółciński" in printed
    [mail] = installation.mailbox.messages()
    [attached] = list(mail.iter_attachments())
    assert attached.get_payload(decode=True) == receipt.content
    mine = await installation.http.get("/v1/enrollments", headers=installation.caller())
    assert [item["status"] for item in mine.json()["items"]] == ["active"]


async def test_no_personal_data_reaches_temporal_or_the_log(installation: Installation) -> None:
    with log_lines(JsonLines()) as log:
        order = (await installation.post_order("python-cohort", by="aoife")).json()
        await installation.pay(order)
        await installation.order_ends(order["id"])
    async with installation.sessions() as session:
        person = await session.get_one(Person, sample_id("person", "aoife"))
    handle = installation.temporal.get_workflow_handle(f"order-{order['id']}")
    description = await handle.describe()
    # The mail server and the servers' own access logs are not in what the processes write.
    lines = [line for line in map(json.loads, log.getvalue().splitlines()) if line["logger"] not in OF_THE_SANDBOX]
    assert {"/v1/orders", "/v1/webhooks/stripe"} <= {line.get("route") for line in lines}
    everything = (await handle.fetch_history()).to_json() + str(description.raw_description) + json.dumps(lines)
    secrets = [person.email, person.full_name, "O'Connor", *person.full_name.split(), order["payment"]["checkout_url"]]
    assert [secret for secret in secrets if secret in everything] == []


async def test_every_step_tells_the_operator_what_it_is(installation: Installation) -> None:
    order = (await installation.post_order("spanish-a1")).json()
    await installation.pay(order)
    await installation.order_ends(order["id"])
    history = await installation.temporal.get_workflow_handle(f"order-{order['id']}").fetch_history()
    commands = (
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        EventType.EVENT_TYPE_TIMER_STARTED,
        EventType.EVENT_TYPE_MARKER_RECORDED,
    )
    silent = [
        event.event_id
        for event in history.events
        if event.event_type in commands and not event.user_metadata.summary.data
    ]
    assert silent == []


async def test_a_mail_server_that_is_down_delays_the_mail_and_doubles_nothing(installation: Installation) -> None:
    installation.mailbox.faults.add("reject_recipient", times=1)
    order = (await installation.post_order("study-skills")).json()
    done = await installation.order_ends(order["id"])
    assert done["status"] == "completed"
    assert len(installation.mailbox.messages()) == 1


async def test_a_mail_whose_fate_nobody_knows_is_not_sent_again(installation: Installation) -> None:
    installation.mailbox.faults.add("drop_after_storing", times=1)
    order = (await installation.post_order("study-skills")).json()
    await installation.order_ends(order["id"])
    assert len(installation.mailbox.messages()) == 1
    async with installation.sessions() as session:
        assert (await session.execute(select(col(Mail.status)))).scalars().all() == ["unknown"]
    job = await installation.http.get(
        f"/v1/jobs/order-{order['id']}", headers=installation.caller("finance", Role.STAFF)
    )
    assert "unknown" in job.json()["next_action"]


async def test_a_payment_intent_is_confirmed_in_the_browser(installation: Installation) -> None:
    order = (await installation.post_order("calligraphy", by="haruka", method="payment_intent")).json()
    assert (order["currency"], order["total_amount"]) == ("JPY", 9800)
    secret, publishable = order["payment"]["client_secret"], order["payment"]["publishable_key"]
    async with httpx.AsyncClient(base_url=installation.double.url) as browser:
        confirm = f"/v1/payment_intents/{secret.split('_secret')[0]}/confirm"
        auth = {"Authorization": f"Bearer {publishable}"}
        declined = await browser.post(
            confirm, data={"client_secret": secret, "payment_method": "pm_card_chargeDeclined"}, headers=auth
        )
        assert declined.status_code == 402
        taken = await browser.post(
            confirm, data={"client_secret": secret, "payment_method": "pm_card_visa"}, headers=auth
        )
        assert taken.status_code == 200, taken.text
    done = await installation.order_ends(order["id"])
    await assert_one_of_each(installation, done)
    assert done["payment"]["client_secret"] is None


async def test_a_free_course_never_meets_stripe(installation: Installation) -> None:
    order = (await installation.post_order("study-skills", by="grace")).json()
    done = await installation.order_ends(order["id"])
    assert (done["total_amount"], done["payment"]) == (0, None)
    assert (await installation.double.control.requests()).total == 0
    assert len(installation.mailbox.messages()) == 1


async def test_fifty_posts_with_one_key_are_one_order(installation: Installation) -> None:
    key = uuid4().hex
    answers = await asyncio.gather(*(installation.post_order("python-cohort", key=key) for _ in range(50)))
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json()["payment"]["checkout_url"] for answer in answers}) == 1
    order = answers[0].json()
    await installation.pay(order)
    done = await installation.order_ends(order["id"])
    await assert_one_of_each(installation, done)
    written = await count_rows(installation)
    assert (written["orders"], written["payments"], written["enrollments"]) == (1, 1, 1)
    again = await installation.post_order("python-cohort", key=key)
    assert (again.status_code, again.json()["status"]) == (200, "completed")
    other = await installation.post_order("spanish-a1", key=key)
    assert other.json()["reason"] == "idempotency_key_reused"


SPANISH = str(sample_id("course", "spanish-a1"))
EVENT_TYPES = ("payment_intent.created", "payment_intent.succeeded", "charge.succeeded", "checkout.session.completed")


async def test_webhooks_in_every_order_three_times_and_late_end_the_same(installation: Installation) -> None:
    control = installation.double.control
    await control.pause_webhooks()
    permutations = list(itertools.permutations(EVENT_TYPES))
    students = ["lukasz", "layla", "xiaoming", "aoife", "grace", "haruka"]
    courses = ["spanish-a1", "calligraphy", "islamic-finance", "python-cohort"]
    orders: dict[str, tuple[str, ...]] = {}
    for (student, code), permutation in zip(itertools.product(students, courses), permutations, strict=True):
        order = (await installation.post_order(code, by=student)).json()
        assert (await installation.pay(order)).status_code == 303
        orders[order["id"]] = permutation
    by_order: dict[str, dict[str, str]] = {}
    for report in await control.deliveries():
        event = await _event(installation, report.event)
        order_id = (event["data"]["object"].get("metadata") or {}).get("order_id")
        if order_id in orders:
            by_order.setdefault(order_id, {})[event["type"]] = event["id"]
    for order_id, permutation in orders.items():
        in_this_order = [by_order[order_id][kind] for kind in permutation for _ in range(3)]
        await control.release_webhooks(in_this_order)
    endings = await asyncio.gather(*(installation.order_ends(order_id) for order_id in orders))
    assert all(order["status"] == "completed" for order in endings)
    money = {item.order_id: item for item in await control.orders()}
    assert all(money[order_id].charges_succeeded == 1 for order_id in orders)
    written = await count_rows(installation)
    assert (written["documents"], written["mails"]) == (24, 24)
    assert len(installation.mailbox.messages()) == 24


async def _event(installation: Installation, event_id: str) -> Json:
    async with httpx.AsyncClient(
        base_url=installation.double.url, headers={"Authorization": f"Bearer {installation.double.api_key}"}
    ) as stripe:
        found: Json = (await stripe.get(f"/v1/events/{event_id}")).json()
        return found


async def test_the_same_webhook_again_after_the_end_changes_nothing(installation: Installation) -> None:
    order = (await installation.post_order("spanish-a1")).json()
    await installation.pay(order)
    done = await installation.order_ends(order["id"])
    before = await count_rows(installation)
    for report in await installation.double.control.deliveries():
        await installation.double.control.redeliver(report.event)
    await installation.double.control.webhooks_settled()
    assert await count_rows(installation) == before
    await assert_one_of_each(installation, done)


async def test_a_student_cancels_and_the_seat_is_free_again(installation: Installation) -> None:
    first = (await installation.post_order("thesis-seminar")).json()
    assert (await installation.post_order("thesis-seminar", by="grace")).json()["reason"] == "course_full"
    wish = await installation.http.post(
        f"/v1/orders/{first['id']}/cancel", json={"reason": "wrong_course"}, headers=installation.caller()
    )
    assert wish.status_code == 202
    cancelled = await installation.order_ends(first["id"], "cancelled")
    assert cancelled["status_reason"] == "wrong_course"
    assert (await installation.pay(first)).status_code != 303
    assert (await installation.post_order("thesis-seminar", by="grace")).status_code == 201


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lines": [{"course_id": str(uuid4())}]}, "unknown_course"),
        ({"lines": [{"course_id": str(sample_id("course", "pottery-draft"))}]}, "course_not_published"),
        ({"lines": [{"course_id": str(sample_id("course", "spanish-a1")), "price": -1}]}, "invalid_request"),
        ({"total_amount": 1}, "invalid_request"),
        ({"lines": []}, "invalid_request"),
        ({"payment_method": "barter"}, "invalid_request"),
        ({"coupon_code": "NOSUCH"}, "unknown_coupon"),
        ({"lines": [{"course_id": SPANISH, "student_id": str(sample_id("person", "grace"))}]}, "not_yours"),
        ({"is_test": True}, "role_not_allowed"),
    ],
)  # fmt: skip
async def test_refusals_are_problem_documents_and_write_nothing(
    installation: Installation, change: Json, reason: str
) -> None:
    before = await count_rows(installation)
    answer = await installation.post_order("spanish-a1", **change)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["reason"] == reason
    assert 400 <= answer.status_code < 500
    assert await count_rows(installation) == before


async def test_refused_callers(installation: Installation) -> None:
    before = await count_rows(installation)
    tutor = await installation.http.post("/v1/orders", json={}, headers=installation.caller("maya", Role.TUTOR))
    nobody = await installation.http.post("/v1/orders", json={})
    assert (tutor.status_code, tutor.json()["reason"]) == (403, "role_not_allowed")
    assert (nobody.status_code, nobody.json()["reason"]) == (401, "token_missing")
    order = (await installation.post_order("spanish-a1")).json()
    stranger = await installation.http.get(f"/v1/orders/{order['id']}", headers=installation.caller("grace"))
    assert stranger.status_code == 404
    assert (await count_rows(installation))["orders"] == before["orders"] + 1


async def test_an_operator_sees_what_the_order_waits_for(installation: Installation) -> None:
    order = (await installation.post_order("spanish-a1")).json()
    staff = installation.caller("finance", Role.STAFF)
    job = (await installation.http.get(f"/v1/jobs/order-{order['id']}", headers=staff)).json()
    assert (job["state"], job["waiting_for"]) == ("pending_payment", "payment")
    assert "pay" in job["next_action"]

    async def listed() -> bool:
        found = installation.temporal.list_workflows(f'RegistrarOrderId="{order["id"]}" AND RegistrarJob="order"')
        return [run.id async for run in found] == [f"order-{order['id']}"]

    await eventually(listed)
