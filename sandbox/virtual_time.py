"""A job on a clock of its own: months in seconds, on the record, the steps and the mailbox of a running stack."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from temporalio import activity
from temporalio.client import WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.database import Sessions, open_database, sessions_of
from activities.drips import DripActivities
from activities.errand import PublicPages
from activities.files import FileStore
from activities.mail import MailActivities, SmtpSettings
from activities.tasks import TaskActivities
from models import search
from models.identifiers import drip_workflow_id
from models.messages.learning import DripOutcome, DripStart, LessonRecorded, RecordLesson
from models.tables import Enrollment
from settings import Settings
from workflows.drip import DripWorkflow
from workflows.queues import REGISTRAR_QUEUE
from workflows.registration import add_search_attributes

_SETTLED_WITHIN_SECONDS = 20
_ERRORS_ALONE = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))


@dataclass(frozen=True)
class VirtualTime:
    """The job of one enrollment, on the time-skipping server. Its record is the stack's, its clock is not."""

    environment: WorkflowEnvironment
    sessions: Sessions
    enrollment_id: UUID

    async def now(self) -> datetime:
        """What its clock shows (UTC)."""
        return (await self.environment.get_current_time()).astimezone(UTC)

    async def go_on(self, wait: timedelta) -> datetime:
        """Let time pass, and the job do all that is due meanwhile. Returns what the clock shows then."""
        await self.environment.sleep(wait)
        await self.settled()
        return await self.now()

    async def settled(self) -> None:
        """Have the job, and wait until it has done all that is due by its clock. Raises `TimeoutError`."""
        await self._job()
        moment = await self.now()
        deadline = asyncio.get_running_loop().time() + _SETTLED_WITHIN_SECONDS
        while await self._has_something_due(moment):
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError("the lessons that are due have not opened")
            await asyncio.sleep(0.02)

    async def report(self, told: RecordLesson) -> LessonRecorded:
        """Tell the job what became of a lesson; one that has ended runs again for it."""
        start = WithStartWorkflowOperation(
            DripWorkflow.run,
            DripStart(enrollment_id=self.enrollment_id),
            id=drip_workflow_id(self.enrollment_id),
            task_queue=REGISTRAR_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        recorded: object = await self.environment.client.execute_update_with_start_workflow(
            DripWorkflow.record_lesson, told, start_workflow_operation=start
        )
        assert isinstance(recorded, LessonRecorded)  # noqa: S101 - what the update answers
        return recorded

    async def _job(self) -> WorkflowHandle[DripWorkflow, DripOutcome]:
        return await self.environment.client.start_workflow(
            DripWorkflow.run,
            DripStart(enrollment_id=self.enrollment_id),
            id=drip_workflow_id(self.enrollment_id),
            task_queue=REGISTRAR_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    async def _has_something_due(self, moment: datetime) -> bool:
        async with self.sessions() as session:
            enrollment = await session.get_one(Enrollment, self.enrollment_id)
        wakes_at = enrollment.wakes_at
        return enrollment.planned_at is None or (wakes_at is not None and wakes_at <= moment)


@asynccontextmanager
async def virtual_time(settings: Settings, enrollment_id: UUID) -> AsyncIterator[VirtualTime]:
    """The job of this enrollment with a worker of its own, from now on until the end of the block.

    The steps are told the workflow's time, and mails go out by it too.
    """
    binary = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    engine = open_database(settings.database_url.get_secret_value(), pool_size=4)
    sessions = sessions_of(engine)
    mails = MailActivities(
        sessions,
        FileStore(settings.files_url),
        SmtpSettings.from_url(settings.smtp_url.get_secret_value(), settings.mail_from, settings.mail_domain),
        settings.order_page_url,
        public_pages=PublicPages(settings.public_url, None),
        clock=lambda: activity.info().current_attempt_scheduled_time,
    )
    drips, tasks = DripActivities(sessions), TaskActivities(sessions)
    try:
        async with await WorkflowEnvironment.start_time_skipping(
            data_converter=pydantic_data_converter,
            test_server_existing_path=binary,
            # This server lacks what nobody here needs, and the audience need not read it.
            runtime=Runtime(telemetry=TelemetryConfig(logging=_ERRORS_ALONE)),
        ) as environment:
            await add_search_attributes(environment.client, {key.name for key in search.ALL})
            async with Worker(
                environment.client,
                task_queue=REGISTRAR_QUEUE,
                workflows=[DripWorkflow],
                activities=[
                    drips.advance_drip, drips.record_lesson, drips.change_enrollment, mails.send_mail,
                    tasks.open_task, tasks.close_task,
                ],
            ):  # fmt: skip
                job = VirtualTime(environment, sessions, enrollment_id)
                await job.settled()
                yield job
    finally:
        await engine.dispose()
