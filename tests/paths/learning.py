"""Lessons that are released, and courses that change under who learns."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import update
from sqlmodel import col

from models.tables import Enrollment
from models.tables.columns import now
from sandbox.sample_academy import sample_id
from tests.api.test_learning_end_to_end import COLOUR as PAINT
from tests.api.test_learning_end_to_end import COURSE as WATERCOLOUR
from tests.api.test_learning_end_to_end import WATER, enter, prepare
from tests.paths.scene import Scene, path


@path
async def learned(scene: Scene) -> None:
    await prepare(scene.installation)
    room = await enter(scene.installation)
    job = f"drip-{room.path.rsplit('/', 1)[1]}"
    await room.told(WATER, {"finished": True})
    await room.told(PAINT, {"finished": True, "score": 9}, room.platform)
    await room.change({"change": "pause", "until": (now() + timedelta(days=7)).isoformat()})
    await room.change({"change": "resume"})
    await scene.keep("drip_asleep", job)
    await room.change({"change": "suspend"})
    await scene.keep("drip_suspended", job)
    await room.change({"change": "reactivate"})

    at, added = f"/v1/courses/{sample_id('course', WATERCOLOUR)}/changes", {"title": "Framing"}
    for name, body in (
        ("course_changed", {"content": "add_lesson", "lesson": added}),
        ("members_changed", {"members": {"change": "release"}}),
    ):
        change = (await scene.installation.staff_posts(at, body)).json()
        await scene.keep_ended(name, f"course-change-{change['id']}")
    for lesson in await room.lessons():
        if lesson not in (WATER, PAINT):
            await room.told(lesson, {"finished": True})
    await scene.keep("drip_completed", job)


@path
async def lessons_end_with_the_place(scene: Scene) -> None:
    installation = scene.installation
    await prepare(installation)
    gone = (await enter(installation, by="aoife")).path.rsplit("/", 1)[1]
    full = {"cause": "goodwill", "terms": {"share": "full", "access": "revoked"}}
    await installation.staff_posts(f"/v1/enrollments/{gone}/refunds", full)
    await installation.temporal.get_workflow_handle(f"refund-{gone}").result()
    async with installation.sessions.begin() as session:
        ended = update(Enrollment).where(col(Enrollment.id) == UUID(gone))
        await session.execute(ended.values(wakes_at=now() - timedelta(hours=1)))
    await scene.keep_run_of("wake-drips")
    await scene.keep_ended("drip_ended", f"drip-{gone}")
