"""What a year of lessons costs in events, on the fast server: few for each opening, and none while it sleeps."""

from collections import Counter
from datetime import timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from models.drip import AfterRegistration
from models.identifiers import drip_workflow_id
from models.listing import DRIP_SUMMARY, drip_attributes
from models.messages.learning import DripOutcome, DripStart, RecordLesson
from models.vocabulary import EnrollmentStatus, MailTemplate
from tests.workflows.drip_world import ENROLLMENT, DripWorld, Place, course, lesson
from worker import sandboxed_runner
from workflows.drip import DripWorkflow
from workflows.queues import REGISTRAR_QUEUE

LESSONS, A_WEEK, WEEKS = 200, 4, 50
# Of these, the server makes as many as it has occasion to.
_TASKS = ("WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED", "WORKFLOW_TASK_COMPLETED")


async def test_events_of_a_year_with_two_hundred_lessons(fast_temporal: WorkflowEnvironment) -> None:
    """Four lessons open each week, and one mail tells of them; then access ends, with two warnings."""
    begins_at = await fast_temporal.get_current_time()
    rules = [AfterRegistration(amount=7 * (number // A_WEEK)) for number in range(LESSONS)]
    ends_at = begins_at + timedelta(days=365)
    place = Place(course(*rules), begins_at=begins_at, access_ends_at=ends_at, last_moment=begins_at)
    world = DripWorld({ENROLLMENT: place})
    start = WithStartWorkflowOperation(
        DripWorkflow.run,
        DripStart(enrollment_id=ENROLLMENT),
        id=drip_workflow_id(ENROLLMENT),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=drip_attributes(ENROLLMENT, ENROLLMENT),
        static_summary=DRIP_SUMMARY,
    )
    async with Worker(
        fast_temporal.client,
        task_queue=REGISTRAR_QUEUE,
        workflows=[DripWorkflow],
        activities=world.steps,  # type: ignore[arg-type]
        workflow_runner=sandboxed_runner(),
    ):
        told = RecordLesson(attempt_id=ENROLLMENT, enrollment_id=ENROLLMENT, lesson_id=lesson(0), actor="student:7")
        await fast_temporal.client.execute_update_with_start_workflow(
            DripWorkflow.record_lesson, told, start_workflow_operation=start
        )
        handle = await start.workflow_handle()
        async with fast_temporal.time_skipping_unlocked():  # type: ignore[attr-defined]
            assert await handle.result() == DripOutcome(status=EnrollmentStatus.EXPIRED)
    assert world.wrongs == []
    assert len(place.released) == LESSONS
    assert len(world.sent(MailTemplate.LESSONS_RELEASED)) == WEEKS - 1
    history = await handle.fetch_history()
    events = Counter(EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in history.events)
    # The mails that a year brings: one a week, two warnings, and the end.
    mails = WEEKS - 1 + 3
    looks = events["MARKER_RECORDED"]
    # One look for each opening, one for each mail that is due at another time, and the report that came with the start.
    assert looks == 1 + (WEEKS - 1) + mails
    rest = {kind: count for kind, count in events.items() if kind not in _TASKS}
    assert rest == {
        "WORKFLOW_EXECUTION_STARTED": 1,
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED": 1,
        "WORKFLOW_EXECUTION_UPDATE_COMPLETED": 1,
        "MARKER_RECORDED": looks,
        "TIMER_STARTED": looks - 1,
        "TIMER_FIRED": looks - 1,
        "ACTIVITY_TASK_SCHEDULED": mails,
        "ACTIVITY_TASK_STARTED": mails,
        "ACTIVITY_TASK_COMPLETED": mails,
        # That access has ended.
        "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES": 1,
        "WORKFLOW_EXECUTION_COMPLETED": 1,
    }
    # One task brings what is due and has it done, one hears what became of a mail.
    assert sum(events[kind] for kind in _TASKS) <= 3 * (looks + mails)
    # Six events for each opening of four lessons, six for each time that a mail is due, six for the mail itself.
    assert sum(events.values()) <= 930, f"{sum(events.values()) / LESSONS:.1f} events per lesson"
