"""Learning over HTTP on real parts: what is paid for opens, what is learned opens more, until nothing is left."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import update
from sqlmodel import col

from models.tables import Course, Lesson, LessonSlot
from models.vocabulary import CompletionRule, Role
from sandbox.sample_academy import sample_id
from tests.eventually import eventually
from tests.installation import Installation, Json

COURSE = "watercolour"
WATER, COLOUR, LIGHT, PICTURE = (str(sample_id("lesson", f"{COURSE}:{position}")) for position in range(1, 5))


async def prepare(installation: Installation) -> None:
    """A course in which each lesson opens the next: a graded one by a pass, and the last one by hand."""
    after_water = {"kind": "after_lesson", "lesson_id": WATER}
    after_colour = {"kind": "after_lesson", "lesson_id": COLOUR, "outcome": "passed"}
    graded = {"max_attempts": 2, "total_marks": Decimal(10), "passing_marks": Decimal(6)}
    values: dict[str, dict[str, Any]] = {
        WATER: {"drip_rule": {"kind": "immediately"}},
        COLOUR: {"drip_rule": after_water, **graded},
        LIGHT: {"drip_rule": after_colour},
        PICTURE: {"drip_rule": {"kind": "manual"}},
    }
    async with installation.sessions.begin() as session:
        for lesson_id, changed in values.items():
            await session.execute(update(Lesson).where(col(Lesson.id) == UUID(lesson_id)).values(**changed))
        course = update(Course).where(col(Course.id) == sample_id("course", COURSE))
        await session.execute(course.values(completion_rule=CompletionRule.COMPLETE_ALL))


class Classroom:
    """An enrollment as its student, the platform and staff reach it."""

    def __init__(self, installation: Installation, enrollment_id: str) -> None:
        self.http = installation.http
        self.path = f"/v1/enrollments/{enrollment_id}"
        self.student = installation.caller()
        self.platform = installation.caller("platform", Role.SERVICE)
        self.staff = installation.caller("finance", Role.STAFF)

    async def tell(self, lesson_id: str, body: Json, by: Json | None = None, key: str | None = None) -> httpx.Response:
        headers = {**(by or self.student), "Idempotency-Key": key or uuid4().hex}
        return await self.http.post(f"{self.path}/lessons/{lesson_id}", json=body, headers=headers)

    async def told(self, lesson_id: str, body: Json, by: Json | None = None, key: str | None = None) -> Json:
        return _body(await self.tell(lesson_id, body, by, key))

    async def refused(self, lesson_id: str, body: Json, by: Json | None = None) -> str:
        answer = await self.tell(lesson_id, body, by)
        assert answer.status_code == 409, answer.text
        return str(answer.json()["reason"])

    async def change(self, body: Json, *, dry_run: bool = False) -> Json:
        headers = {**self.staff, "Idempotency-Key": uuid4().hex}
        params = {"dry_run": "true"} if dry_run else {}
        return _body(await self.http.post(f"{self.path}/changes", json=body, headers=headers, params=params))

    async def lessons(self) -> dict[str, Json]:
        plan = _body(await self.http.get(f"{self.path}/plan", headers=self.student))
        return {lesson["lesson_id"]: lesson for lesson in plan["lessons"]}

    async def enrollment(self) -> Json:
        return _body(await self.http.get(self.path, headers=self.student))


def _body(answer: httpx.Response) -> Json:
    assert answer.status_code in {200, 202}, answer.text
    body: Json = answer.json()
    return body


async def enter(installation: Installation, **order_body: Any) -> Classroom:
    """Buy the course, or what is named, and go in."""
    order = (await installation.post_order(COURSE, **order_body)).json()
    await installation.pay(order)
    done = await installation.order_ends(order["id"])
    return Classroom(installation, done["lines"][0]["enrollment"]["id"])


async def test_a_course_is_learned_from_the_first_lesson_to_the_last(installation: Installation) -> None:
    await prepare(installation)
    room = await enter(installation)

    async def has_begun() -> bool:
        return bool((await room.lessons())[WATER]["status"] == "released")

    await eventually(has_begun)
    planned = await room.lessons()
    assert [planned[each]["status"] for each in (WATER, COLOUR, LIGHT, PICTURE)] == ["released"] + ["planned"] * 3
    assert planned[COLOUR]["blocked_by"]["lesson_id"] == WATER
    assert planned[PICTURE]["blocked_by"] == {"kind": "manual"}

    await room.told(WATER, {"time_spent_seconds": 60, "current_position": 1, "total_content": 4})
    assert (await room.enrollment())["started_at"] is not None
    assert await room.refused(COLOUR, {"time_spent_seconds": 1}) == "lesson_not_open"
    first = await room.told(WATER, {"finished": True}, key="water")
    assert (first["opened"], first["progress_percent"], first["is_refund_possible"]) == ([COLOUR], 25, True)
    again = await room.told(WATER, {"finished": True}, key="water")
    assert (again["attempts"], again["opened"], again["progress_percent"]) == (1, [COLOUR], 25)

    failed = await room.told(COLOUR, {"finished": True, "score": 4}, room.platform)
    assert (failed["status"], failed["attempts_left"], failed["opened"]) == ("failed", 1, [])
    passed = await room.told(COLOUR, {"finished": True, "score": 8.5}, room.platform)
    assert (passed["status"], passed["score"], passed["opened"]) == ("passed", 8.5, [LIGHT])
    assert (passed["is_refund_possible"], passed["refund_grounds"]) == (False, ["too_much_used"])
    assert await room.refused(COLOUR, {"finished": True, "score": 10}, room.platform) == "attempts_used_up"

    until = datetime.now(UTC) + timedelta(days=7)
    await room.change({"change": "pause", "until": until.isoformat()})
    assert await room.refused(LIGHT, {"finished": True}) == "enrollment_paused"
    assert datetime.fromisoformat((await room.enrollment())["paused_until"]) == until
    assert (await room.lessons())[PICTURE]["status"] == "paused"
    await room.change({"change": "resume"})
    assert (await room.enrollment())["paused_until"] is None

    release = {"change": "release", "lesson_ids": [PICTURE]}
    tried = await room.change(release, dry_run=True)
    assert [each["status"] for each in tried["lessons"]] == ["released"] * 4
    assert (await room.lessons())[PICTURE]["status"] == "planned"
    assert (await room.change(release))["opened"] == [PICTURE]

    assert not (await room.told(PICTURE, {"finished": True}))["is_course_complete"]
    last = await room.told(LIGHT, {"finished": True})
    assert (last["is_course_complete"], last["progress_percent"]) == (True, 100)
    completed = await room.enrollment()
    assert (completed["status"], completed["completed_at"] is None) == ("completed", False)
    job = _body(await room.http.get(f"/v1/jobs/drip-{completed['id']}", headers=room.staff))
    assert job["state"] == "completed"


async def test_a_lesson_that_is_added_reaches_who_has_completed_the_course(installation: Installation) -> None:
    await prepare(installation)
    room = await enter(installation)
    await room.change({"change": "release"})
    for lesson in (WATER, LIGHT, PICTURE):
        await room.told(lesson, {"finished": True})
    assert (await room.told(COLOUR, {"finished": True, "score": 0}, room.platform))["is_course_complete"]

    path = f"/v1/courses/{sample_id('course', COURSE)}/changes"
    body, headers = {"content": "add_lesson", "lesson": {"title": "Framing"}}, {**room.staff, "Idempotency-Key": "k"}
    impact = _body(await room.http.post(path, params={"dry_run": "true"}, json=body, headers=headers))
    assert (impact["learners"], [each["at_once"] for each in impact["lessons"]]) == (1, [1])
    made = _body(await room.http.post(path, json=body, headers=headers))

    async def is_done() -> bool:
        read = _body(await room.http.get(f"{path}/{made['id']}", headers=room.staff))
        return bool((read["status"], read["done"]) == ("done", 1))

    await eventually(is_done)

    async def takes_a_position() -> bool:
        return (await room.tell(made["id"], {"time_spent_seconds": 1})).status_code == 200

    await eventually(takes_a_position)
    enrollment = await room.enrollment()
    assert (enrollment["status"], enrollment["progress_percent"]) == ("completed", 80)


async def test_hours_of_a_tutor_are_told_as_before(installation: Installation) -> None:
    pack = sample_id("course", "piano-pack")
    found = await installation.http.get(f"/v1/courses/{pack}", headers=installation.caller())
    slots = [slot["id"] for slot in found.json()["free_slots"][::2]][:5]
    room = await enter(installation, lines=[{"course_id": str(pack), "slot_ids": slots}])
    maya = installation.caller("maya", Role.TUTOR)
    async with installation.sessions.begin() as session:
        held = update(LessonSlot).where(col(LessonSlot.id) == UUID(slots[0]))
        yesterday = datetime.now(UTC) - timedelta(days=1)
        await session.execute(held.values(starts_at=yesterday, ends_at=yesterday + timedelta(hours=1)))

    path = f"{room.path}/lessons"
    first = await installation.http.post(f"{path}/{slots[0]}", json={"outcome": "completed"}, headers=maya)
    told = _body(first)
    assert (told["outcome"], told["recorded_by"]) == ("completed", f"tutor:{sample_id('person', 'maya')}")
    assert (told["is_refund_possible"], told["refund_grounds"]) == (True, ["first_lesson_done"])
    assert told["progress_percent"] == 20
    other = await installation.http.post(f"{path}/{slots[0]}", json={"outcome": "canceled"}, headers=maya)
    assert (other.status_code, other.json()["reason"]) == (409, "lesson_already_recorded")
    early = await installation.http.post(f"{path}/{slots[1]}", json={"attendance": "attended"}, headers=maya)
    assert (early.status_code, early.json()["reason"]) == (409, "lesson_not_begun")
    excused = _body(await installation.http.post(f"{path}/{slots[1]}", json={"attendance": "excused"}, headers=maya))
    assert (excused["outcome"], excused["attendance"]) == ("canceled", "excused")
    free = await installation.http.get(f"/v1/courses/{pack}", headers=installation.caller())
    assert slots[1] in [slot["id"] for slot in free.json()["free_slots"]]
