"""Kill the worker while lessons open, are reported, and follow a change of their course: each once, and all of them."""

from collections import Counter
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select
from sqlmodel import col
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from models.drip import AfterLesson, Immediately, stored_rule
from models.identifiers import course_change_workflow_id, drip_workflow_id
from models.messages.learning import (
    CourseChangeOutcome,
    CourseChangeRequest,
    DripStart,
    LessonEdit,
    LessonRecorded,
    RecordLesson,
)
from models.tables import CourseChange, Lesson, LessonAttempt, LessonRelease
from models.vocabulary import ContentChange
from sandbox.sample_academy import sample_id
from tests.chaos.deaths import through_every_death
from tests.eventually import eventually
from tests.installation import Installation
from tests.integration.many_places import write_places
from workflows.course_change import CourseChangeWorkflow
from workflows.drip import DripWorkflow
from workflows.queues import REGISTRAR_QUEUE

STEPS = ("advance_drip", "record_lesson", "replan_page")
PLACES = 5
PHOTOGRAPHY = sample_id("course", "photography")


async def test_lessons_live_through_the_death_of_their_worker(idle_installation: Installation) -> None:
    installation, temporal = idle_installation, idle_installation.temporal
    _, places = await write_places(installation.sessions, PLACES)
    first = Lesson(course_id=PHOTOGRAPHY, position=1, title="One", drip_rule=stored_rule(Immediately()))
    after = stored_rule(AfterLesson(lesson_id=first.id))
    second = Lesson(course_id=PHOTOGRAPHY, position=2, title="Two", drip_rule=after)
    async with installation.sessions.begin() as session:
        await session.execute(delete(Lesson).where(col(Lesson.course_id) == PHOTOGRAPHY))
        session.add_all([first, second])

    async def opened() -> Counter[UUID]:
        query = select(col(LessonRelease.lesson_id))
        async with installation.sessions() as session:
            return Counter((await session.execute(query)).scalars())

    async def follow() -> None:
        for place in places:
            await temporal.start_workflow(
                DripWorkflow.run,
                DripStart(enrollment_id=place),
                id=drip_workflow_id(place),
                task_queue=REGISTRAR_QUEUE,
            )

        async def are_all_open() -> bool:
            return (await opened())[first.id] == PLACES

        await eventually(are_all_open, within=60)

    async def report() -> None:
        told = RecordLesson(
            attempt_id=uuid4(), enrollment_id=places[0], lesson_id=first.id, is_finished=True, actor="staff:7"
        )
        start = WithStartWorkflowOperation(
            DripWorkflow.run,
            DripStart(enrollment_id=places[0]),
            id=drip_workflow_id(places[0]),
            task_queue=REGISTRAR_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        )
        answer: LessonRecorded = await temporal.execute_update_with_start_workflow(
            DripWorkflow.record_lesson, told, start_workflow_operation=start
        )
        assert (answer.attempts, answer.lesson_id) == (1, first.id)

    async def change() -> None:
        edit = LessonEdit(title="Three", drip_rule=Immediately())
        request = CourseChangeRequest(
            change_id=uuid4(), course_id=PHOTOGRAPHY, content=ContentChange.ADD_LESSON, lesson_id=uuid4(), lesson=edit,
            actor="staff:7",
        )  # fmt: skip
        outcome = await temporal.execute_workflow(
            CourseChangeWorkflow.run,
            request,
            id=course_change_workflow_id(request.change_id),
            task_queue=REGISTRAR_QUEUE,
        )
        assert outcome == CourseChangeOutcome(done=PLACES)

        async def is_open_for_all() -> bool:
            return sorted((await opened()).values()) == [1, PLACES, PLACES]

        await eventually(is_open_for_all, within=60)

    plays = (follow, report, change)
    await through_every_death(installation, STEPS, lambda number: plays[number]())
    assert (await opened())[second.id] == 1
    async with installation.sessions() as session:
        attempts = select(func.count()).select_from(LessonAttempt)
        assert (await session.execute(attempts)).scalar_one() == 1
        [made] = (await session.execute(select(CourseChange))).scalars()
        assert (made.status, made.enrollments, made.done, made.refused) == ("done", PLACES, PLACES, 0)
