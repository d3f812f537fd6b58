"""The application of a tutor as a later build may have changed it."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from models.messages.applications import ApplicationOutcome, ApplicationRef
    from workflows.tutor_application import TutorApplicationWorkflow

_PATCH = "announce-each-chapter"


@workflow.defn(name="TutorApplicationWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class ChangedApplicationWorkflow(TutorApplicationWorkflow):
    """Announces its chapters. Those that a run has behind it stay as they were."""

    @workflow.init
    def __init__(self, application: ApplicationRef) -> None:
        super().__init__(application)

    @workflow.run
    async def run(self, application: ApplicationRef) -> ApplicationOutcome:
        """The same story."""
        return await super().run(application)

    async def _draft(self, created_at: datetime) -> None:
        await self._announce("draft")
        await super()._draft(created_at)

    async def _erase(self) -> bool:
        await self._announce("end")
        return await super()._erase()

    async def _announce(self, chapter: str) -> None:
        if workflow.patched(f"{_PATCH}-{chapter}"):
            await workflow.execute_activity("announce", chapter, start_to_close_timeout=timedelta(seconds=15))
