"""Reading orders, courses and enrollments: who sees what, and at what cost."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.database import Sessions
from models.tables import Course, Lesson, LessonSlot, Order
from models.vocabulary import CourseStatus, PaymentMethod, Role
from routes.parts import Parts
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.certificates_on_record import write_academy
from tests.api.orders_on_record import School, write_order, write_school
from tests.api.recording_temporal import RecordingTemporal, not_found


@pytest.fixture
async def school(sessions: Sessions) -> School:
    await write_academy(sessions)
    return await write_school(sessions)


@contextmanager
def counting(engine: AsyncEngine) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


async def test_an_order_as_its_payer_sees_it(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    order_id = await write_order(sessions, school, school.anna, 1)
    answer = await client.get(f"/v1/orders/{order_id}", headers=as_student(settings, school.anna))
    assert answer.status_code == 200
    order = answer.json()
    assert order["number"] == "O-2026-000001"
    assert order["total"] == "€140.00"
    assert order["quote_reasons"] == ["list price"]
    assert [line["position"] for line in order["lines"]] == [1, 2]
    assert [len(line["slot_ids"]) for line in order["lines"]] == [0, 2]
    assert all(line["enrollment"]["status"] == "pending_payment" for line in order["lines"])
    assert order["payment"] == {
        "status": "requires_payment_method",
        "method": "checkout",
        "amount": 14000,
        "captured_amount": 0,
        "refunded_amount": 0,
        "checkout_url": "https://checkout.test/1",
        "client_secret": None,
        "publishable_key": None,
        "attempt": 1,
        "decline_code": None,
        "declined_at": None,
        "resting_until": None,
    }
    assert order["receipt"] is None
    assert order["workflow"] is None
    assert "example.org" not in answer.text


async def test_slots_are_listed_by_time(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    order_id = await write_order(sessions, school, school.anna, 1)
    slot_ids = (await client.get(f"/v1/orders/{order_id}", headers=as_staff(settings))).json()["lines"][1]["slot_ids"]
    async with sessions() as session:
        slots = [await session.get_one(LessonSlot, UUID(slot_id)) for slot_id in slot_ids]
    assert slots[0].starts_at < slots[1].starts_at


async def test_staff_sees_the_job_but_not_the_link_to_pay(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    order_id = await write_order(sessions, school, school.anna, 1)
    order = (await client.get(f"/v1/orders/{order_id}", headers=as_staff(settings))).json()
    assert order["payment"]["checkout_url"] is None
    assert order["workflow"] == {
        "id": f"order-{order_id}",
        "href": f"http://temporal.test/namespaces/default/workflows/order-{order_id}",
    }


async def test_the_platform_hands_the_link_on(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    order_id = await write_order(sessions, school, school.anna, 1)
    order = (await client.get(f"/v1/orders/{order_id}", headers=as_(settings, "platform", Role.SERVICE))).json()
    assert order["payment"]["checkout_url"] == "https://checkout.test/1"


async def test_the_client_secret_comes_with_its_key_and_ends_with_the_hold(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    order_id = await write_order(sessions, school, school.anna, 1, method=PaymentMethod.PAYMENT_INTENT)
    headers = as_student(settings, school.anna)
    payment = (await client.get(f"/v1/orders/{order_id}", headers=headers)).json()["payment"]
    assert (payment["client_secret"], payment["publishable_key"]) == ("pi_1_secret", "pk_test_1")
    async with sessions.begin() as session:
        await session.execute(update(Order).values(hold_expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    payment = (await client.get(f"/v1/orders/{order_id}", headers=headers)).json()["payment"]
    assert (payment["client_secret"], payment["publishable_key"]) == (None, None)


async def test_a_paid_order_has_a_receipt(
    client: httpx.AsyncClient,
    app: FastAPI,
    settings: Settings,
    sessions: Sessions,
    school: School,
) -> None:
    order_id = await write_order(sessions, school, school.anna, 1, paid=True)
    headers = as_student(settings, school.anna)
    order = (await client.get(f"/v1/orders/{order_id}", headers=headers)).json()
    assert order["status"] == "completed"
    assert order["receipt"] == {"number": "R-2026-000001", "href": f"/v1/orders/{order_id}/receipt.pdf"}

    parts: Parts = app.state.parts
    await parts.files.put("receipts/1.pdf", b"%PDF-1.4", "application/pdf")
    pdf = await client.get(order["receipt"]["href"], headers=headers)
    assert pdf.content == b"%PDF-1.4"
    assert pdf.headers["Content-Type"] == "application/pdf"
    assert pdf.headers["Content-Disposition"] == 'attachment; filename="receipt-R-2026-000001.pdf"'
    assert pdf.headers["ETag"] == f'"{hashlib.sha256(b"%PDF-1.4").hexdigest()}"'
    again = await client.get(order["receipt"]["href"], headers={**headers, "If-None-Match": pdf.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    await parts.files.put("receipts/1.pdf", b"%PDF-1.5", "application/pdf")
    tampered = await client.get(order["receipt"]["href"], headers=headers)
    assert (tampered.status_code, tampered.json()["reason"]) == (500, "internal")
    stranger = await client.get(order["receipt"]["href"], headers=as_student(settings, school.boris))
    assert (stranger.status_code, stranger.json()["reason"]) == (404, "not_found")


async def test_no_receipt_before_payment(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    order_id = await write_order(sessions, school, school.anna, 1)
    answer = await client.get(f"/v1/orders/{order_id}/receipt.pdf", headers=as_student(settings, school.anna))
    assert (answer.status_code, answer.json()["reason"]) == (404, "receipt_not_ready")


async def test_a_strangers_order_looks_like_none(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    order_id = await write_order(sessions, school, school.anna, 1)
    headers = {**as_student(settings, school.boris), "X-Request-Id": "same"}
    cancel = {"reason": "changed_mind"}
    for theirs, nobodys in (
        (
            await client.get(f"/v1/orders/{order_id}", headers=headers),
            await client.get(f"/v1/orders/{uuid4()}", headers=headers),
        ),
        (
            await client.post(f"/v1/orders/{order_id}/cancel", headers=headers, json=cancel),
            await client.post(f"/v1/orders/{uuid4()}/cancel", headers=headers, json=cancel),
        ),
    ):
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.json() == nobodys.json()
    for query in ("", f"?payer_id={school.anna}"):
        listed = await client.get(f"/v1/orders{query}", headers=headers)
        assert (listed.json()["items"], listed.headers["X-Total-Count"]) == ([], "0")


async def test_lists_are_filtered_and_sorted(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    ids = [
        await write_order(sessions, school, payer, number, paid=number == 2)
        for number, payer in enumerate((school.anna, school.boris, school.anna), start=1)
    ]

    async def listed(**asked: object) -> list[UUID]:
        answer = await client.get(
            "/v1/orders", params={k: str(v) for k, v in asked.items()}, headers=as_staff(settings)
        )
        assert answer.status_code == 200, answer.text
        return [UUID(order["id"]) for order in answer.json()["items"]]

    async with sessions() as session:
        second = (await session.get_one(Order, ids[1])).created_at
    assert await listed() == ids[::-1]
    assert await listed(sort="number") == ids
    assert await listed(status="completed") == [ids[1]]
    assert await listed(payer_id=school.anna, sort="created_at") == [ids[0], ids[2]]
    assert await listed(course_id=school.pack) == ids[::-1]
    assert await listed(course_id=uuid4()) == []
    assert await listed(created_from=second.isoformat()) == [ids[2], ids[1]]
    assert await listed(created_to=second.isoformat()) == [ids[0]]
    own = await client.get("/v1/orders", headers=as_student(settings, school.anna))
    assert [UUID(order["id"]) for order in own.json()["items"]] == [ids[2], ids[0]]
    naive = await client.get("/v1/orders?created_from=2026-01-01T00:00:00", headers=as_staff(settings))
    assert naive.status_code == 422


async def test_the_number_of_statements_does_not_grow(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, engine: AsyncEngine
) -> None:
    headers = as_staff(settings)
    cost: list[dict[str, int]] = []
    for numbers in (range(1, 2), range(2, 13)):
        for number in numbers:
            order_id = await write_order(sessions, school, school.anna, number, paid=number % 2 == 0)
        spent = {}
        for path in ("/v1/orders", f"/v1/orders/{order_id}", "/v1/courses", "/v1/enrollments"):
            with counting(engine) as statements:
                assert (await client.get(path, headers=headers)).status_code == 200
            spent[path.removesuffix(str(order_id))] = len(statements)
        cost.append(spent)
    assert cost[0] == cost[1] == {"/v1/orders": 5, "/v1/orders/": 4, "/v1/courses": 2, "/v1/enrollments": 7}


async def test_cancelling_is_passed_on_while_it_can_be(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, recorder: RecordingTemporal
) -> None:
    unpaid = await write_order(sessions, school, school.anna, 1)
    paid = await write_order(sessions, school, school.anna, 2, paid=True)
    headers = as_student(settings, school.anna)
    answer = await client.post(f"/v1/orders/{unpaid}/cancel", headers=headers, json={"reason": "changed_mind"})
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/v1/orders/{unpaid}")
    assert recorder.signals == [(f"order-{unpaid}", "cancel")]
    late = await client.post(f"/v1/orders/{paid}/cancel", headers=headers, json={"reason": "changed_mind"})
    assert (late.status_code, late.json()["reason"]) == (409, "order_not_cancelable")
    recorder.failure = not_found()
    over = await client.post(f"/v1/orders/{unpaid}/cancel", headers=headers, json={"reason": "other"})
    assert (over.status_code, over.json()["reason"]) == (409, "order_not_cancelable")
    free_text = await client.post(f"/v1/orders/{unpaid}/cancel", headers=headers, json={"reason": "Anna is ill"})
    assert free_text.status_code == 422


async def test_students_see_published_courses_only(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Course).where(col(Course.id) == school.course).values(status=CourseStatus.DRAFT))
        session.add(Lesson(course_id=school.pack, position=1, title="One"))
        soon = datetime.now(UTC) + timedelta(days=1)
        for starts_at in (soon + timedelta(days=1), soon, soon - timedelta(days=2)):
            session.add(
                LessonSlot(
                    course_id=school.pack,
                    tutor_id=school.tutor,
                    starts_at=starts_at,
                    ends_at=starts_at + timedelta(hours=1),
                )
            )
    student = as_student(settings, school.anna)
    assert [course["code"] for course in (await client.get("/v1/courses", headers=student)).json()["items"]] == ["PACK"]
    assert (await client.get("/v1/courses?status=draft", headers=student)).json()["items"] == []
    assert (await client.get(f"/v1/courses/{school.course}", headers=student)).status_code == 404
    draft = (await client.get(f"/v1/courses/{school.course}", headers=as_staff(settings))).json()
    assert (draft["status"], draft["seats_left"], draft["price"]) == ("draft", 997, "€50.00")
    pack = (await client.get(f"/v1/courses/{school.pack}", headers=student)).json()
    assert [lesson["title"] for lesson in pack["lessons"]] == ["One"]
    assert [slot["starts_at"] for slot in pack["free_slots"]] == sorted(
        slot["starts_at"] for slot in pack["free_slots"]
    )
    assert len(pack["free_slots"]) == 2


async def test_enrollments_are_seen_by_student_tutor_and_staff(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    order_id = await write_order(sessions, school, school.anna, 1, paid=True)
    everything = (await client.get("/v1/enrollments", headers=as_staff(settings))).json()["items"]
    assert {row["title"] for row in everything} == {"Course", "Pack"}
    assert {row["order_id"] for row in everything} == {str(order_id)}
    course, pack = sorted(everything, key=lambda row: str(row["title"]))
    student = as_student(settings, UUID(course["student_id"]))
    assert (await client.get("/v1/enrollments", headers=student)).json()["items"] == [course]
    assert (await client.get(f"/v1/enrollments/{course['id']}", headers=student)).json() == course
    assert (await client.get(f"/v1/enrollments/{pack['id']}", headers=student)).status_code == 404
    tutor = as_(settings, school.tutor, Role.TUTOR)
    assert (await client.get("/v1/enrollments", headers=tutor)).json()["items"] == [pack]
    assert (await client.get("/v1/enrollments?status=expired", headers=as_staff(settings))).json()["items"] == []


async def test_the_page_after_checkout_tells_the_workflow_and_nobody_else_anything(
    client: httpx.AsyncClient, sessions: Sessions, school: School, recorder: RecordingTemporal
) -> None:
    order_id = await write_order(sessions, school, school.anna, 1)
    genuine = await client.get("/checkout/return", params={"order": str(order_id), "session_id": "cs_1"})
    assert recorder.signals == [(f"order-{order_id}", "payment_changed")]
    for query in ({}, {"order": "x"}, {"order": str(order_id), "session_id": "cs_2"}, {"order": str(uuid4())}):
        page = await client.get("/checkout/return", params=query)
        assert (page.status_code, page.text) == (200, genuine.text)
    assert len(recorder.signals) == 1
    recorder.failure = not_found()
    broken = await client.get("/checkout/return", params={"order": str(order_id), "session_id": "cs_1"})
    assert (broken.status_code, broken.text) == (200, genuine.text)
    assert "being confirmed" in genuine.text
    assert "style-src 'sha256-" in genuine.headers["Content-Security-Policy"]
