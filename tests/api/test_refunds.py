"""Money back over HTTP on real parts: the rule tells, the student asks, a person looks at what the rule leaves open."""

import asyncio
from uuid import UUID, uuid4

import httpx
from sqlalchemy import update
from sqlmodel import col

from models.tables import Course
from models.vocabulary import Role
from sandbox.sample_academy import sample_id
from tests.installation import Installation, Json
from tests.ordering import until_mailed


async def enrolled(installation: Installation, code: str, by: str = "lukasz") -> Json:
    """The enrollment of somebody who has paid for a course."""
    order = (await installation.post_order(code, by=by)).json()
    await installation.pay(order)
    done = await installation.order_ends(order["id"])
    enrollment: Json = done["lines"][0]["enrollment"] | {"order_id": order["id"]}
    return enrollment


async def lessons_of(installation: Installation, code: str) -> list[str]:
    course = await installation.http.get(f"/v1/courses/{sample_id('course', code)}", headers=installation.caller())
    return [lesson["id"] for lesson in course.json()["lessons"]]


async def record(installation: Installation, enrollment: Json, lesson_id: str, outcome: str = "completed") -> Json:
    answer = await installation.staff_posts(
        f"/v1/enrollments/{enrollment['id']}/lessons/{lesson_id}", {"outcome": outcome}
    )
    body: Json = answer.json()
    return body


async def ask(
    installation: Installation, enrollment: Json, by: str = "lukasz", key: str | None = None
) -> httpx.Response:
    headers = {**installation.caller(by), "Idempotency-Key": key or uuid4().hex}
    path = f"/v1/enrollments/{enrollment['id']}/refunds"
    return await installation.http.post(path, json={"cause": "not_as_expected"}, headers=headers)


async def eligibility(installation: Installation, enrollment: Json, by: str = "lukasz") -> Json:
    path = f"/v1/enrollments/{enrollment['id']}/refund-eligibility"
    found = await installation.http.get(path, headers=installation.caller(by))
    body: Json = found.raise_for_status().json()
    return body


async def test_the_money_is_back_after_the_first_lesson_and_not_after_the_second(installation: Installation) -> None:
    first, second = await lessons_of(installation, "photography")
    enrollment = await enrolled(installation, "photography")
    told = await eligibility(installation, enrollment)
    assert (told["is_eligible"], told["grounds"]) == (False, ["no_lesson_done"])
    recorded = await record(installation, enrollment, first)
    assert (recorded["outcome"], recorded["recorded_by"].split(":")[0]) == ("completed", "staff")
    told = await eligibility(installation, enrollment)
    assert (told["is_eligible"], told["decided_by"], told["amount"]) == (True, "rule", 4500)

    answer = await ask(installation, enrollment, key="my-money")
    assert (answer.status_code, answer.json()["status"], answer.json()["amount"]) == (201, "approved", 4500)
    again = await ask(installation, enrollment, key="my-money")
    assert again.json()["id"] == answer.json()["id"]
    await installation.order_becomes(enrollment["order_id"], "refunded")
    await until_mailed(installation, "refund")
    refund = (await installation.http.get(answer.headers["Location"], headers=installation.caller())).json()
    assert (refund["refund_status"], refund["decided_by"], refund["money"]) == ("succeeded", "rule", "€45.00")
    money = await installation.double.control.order(enrollment["order_id"])
    assert (money.charges_succeeded, money.refunds, money.refunded) == (1, 1, 4500)
    headers = installation.caller("finance", Role.STAFF)
    late = await installation.http.post(
        f"/v1/enrollments/{enrollment['id']}/lessons/{second}", json={"outcome": "completed"}, headers=headers
    )
    assert (late.status_code, late.json()["reason"]) == (409, "enrollment_not_active")

    other = await enrolled(installation, "photography", by="aoife")
    for lesson in (first, second):
        await record(installation, other, lesson)
    refused = await ask(installation, other, by="aoife")
    assert (refused.status_code, refused.json()["reason"]) == (409, "refund_not_eligible")
    assert "second_lesson_done" in refused.json()["detail"]


async def test_fifty_who_ask_at_once_get_one_refund(installation: Installation) -> None:
    [first, _] = await lessons_of(installation, "photography")
    enrollment = await enrolled(installation, "photography")
    await record(installation, enrollment, first)
    answers = await asyncio.gather(*(ask(installation, enrollment) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {201, 409}
    assert sum(answer.status_code == 201 for answer in answers) == 1
    await installation.order_becomes(enrollment["order_id"], "refunded")
    await until_mailed(installation, "refund")
    assert (await installation.double.control.order(enrollment["order_id"])).refunds == 1


async def test_a_large_refund_is_reviewed_and_approved(installation: Installation) -> None:
    async with installation.sessions.begin() as session:
        dear = update(Course).where(col(Course.id) == sample_id("course", "spanish-a1")).values(price_amount=20000)
        await session.execute(dear)
    enrollment = await enrolled(installation, "spanish-a1")
    answer = await ask(installation, enrollment)
    assert (answer.json()["status"], answer.json()["grounds"]) == ("in_review", ["within_window", "above_limit"])
    [task] = await installation.tasks(enrollment["id"])
    assert (task["kind"], task["allowed_actions"]) == ("refund_review", ["approve", "reject"])
    job = (await installation.http.get(
        f"/v1/jobs/refund-{enrollment['id']}", headers=installation.caller("finance", Role.STAFF)
    )).json()  # fmt: skip
    assert (job["state"], job["who_must_act"], job["due_at"]) == ("in_review", "operator", task["due_at"])
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "approve"})
    await installation.order_becomes(enrollment["order_id"], "refunded")
    await until_mailed(installation, "refund")
    refund = (await installation.http.get(answer.headers["Location"], headers=installation.caller())).json()
    assert refund["decided_by"] == "staff"


async def test_a_second_refund_in_a_year_is_reviewed_and_may_be_rejected(installation: Installation) -> None:
    for code in ("spanish-a1", "french-a2"):
        enrollment = await enrolled(installation, code)
        answer = await ask(installation, enrollment)
    assert answer.json()["grounds"] == ["within_window", "refunded_before"]
    [task] = await installation.tasks(enrollment["id"])
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "reject"})
    await until_mailed(installation, "refund_rejected")
    refund = (await installation.http.get(answer.headers["Location"], headers=installation.caller())).json()
    assert (refund["status"], refund["refund_status"]) == ("rejected", None)
    assert (await installation.order(enrollment["order_id"]))["status"] == "completed"

    # They may ask again, and somebody is asked again.
    await asyncio.wait_for(installation.temporal.get_workflow_handle(f"refund-{enrollment['id']}").result(), 60)
    assert (await ask(installation, enrollment)).json()["status"] == "in_review"
    [second] = await installation.tasks(enrollment["id"])
    assert second["id"] != task["id"]
    await installation.staff_posts(f"/v1/tasks/{second['id']}/decision", {"action": "approve"})
    await installation.order_becomes(enrollment["order_id"], "refunded")


async def test_a_refund_is_seen_and_asked_for_by_whom_it_concerns(installation: Installation) -> None:
    enrollment = await enrolled(installation, "photography")
    path = f"/v1/enrollments/{enrollment['id']}"
    stranger = installation.caller("layla")
    assert (await installation.http.get(f"{path}/refund-eligibility", headers=stranger)).status_code == 404
    assert (await ask(installation, enrollment, by="layla")).status_code == 404
    [first, _] = await lessons_of(installation, "photography")
    lesson = f"{path}/lessons/{first}"
    body = {"outcome": "completed"}
    student = installation.caller("lukasz")
    assert (await installation.http.post(lesson, json=body, headers=student)).status_code == 403
    tutor = installation.caller("maya", Role.TUTOR)
    assert (await installation.http.post(lesson, json=body, headers=tutor)).status_code == 404
    async with installation.sessions.begin() as session:
        hers = update(Course).where(col(Course.id) == sample_id("course", "photography"))
        await session.execute(hers.values(tutor_id=sample_id("person", "maya")))
    assert (await installation.http.post(lesson, json=body, headers=tutor)).status_code == 200
    other = await installation.http.post(lesson, json={"outcome": "canceled"}, headers=tutor)
    assert (other.status_code, other.json()["reason"]) == (409, "lesson_already_recorded")
    await ask(installation, enrollment)
    for caller, number in ((student, 1), (tutor, 1), (stranger, 0)):
        found = (await installation.http.get("/v1/refunds", headers=caller)).json()
        assert found["total"] == number
    listed = (await installation.http.get("/v1/refunds", params={"status": "approved"}, headers=student)).json()
    assert [UUID(item["enrollment_id"]) for item in listed["items"]] == [UUID(enrollment["id"])]
    await installation.order_becomes(enrollment["order_id"], "refunded")
