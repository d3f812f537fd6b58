"""An export, as far as whoever asks for one has to know it."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from models.messages.exports import ExportRequest


@workflow.defn(name="ExportWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class ExportWorkflow:
    """One file."""

    def __init__(self) -> None:
        self._is_to_stop = False

    @workflow.run
    async def run(self, request: ExportRequest) -> None:
        """Write the file."""
        await workflow.wait_condition(lambda: self._is_to_stop)

    @workflow.update(description="Wait until it is written down what was asked for")
    async def begin(self) -> None:
        """Answer who has started it."""

    @workflow.signal(description="Stop: what is under way ends, and there is no file")
    def cancel(self) -> None:
        self._is_to_stop = True

    @workflow.query(description="How far the export is")
    def status(self) -> str:
        return "running"
