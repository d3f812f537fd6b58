"""A job that comes back by itself, as people see it: what it looks at, and what has come of it."""

from typing import ClassVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from models.messages.jobs import JobState
    from models.vocabulary import WaitingFor
    from workflows.desk import Desk


class Round:
    """What every recurring job tells. It waits for nobody: listing more than its start does would cost an event."""

    TITLE: ClassVar[str]
    DOES: ClassVar[str]

    def __init__(self) -> None:
        self._desk = Desk(self.TITLE, self.DOES, listed=("", WaitingFor.NOTHING))
        self._desk.status = "running"

    def _doing(self, what: str) -> None:
        """Say what it does now."""
        self._desk.tell(WaitingFor.NOTHING, what, in_passing=True)

    def _over(self, told: str) -> None:
        """Say what has come of it."""
        self._desk.status = "done"
        self._doing(f"Over: {told}")

    @workflow.query(description="What it looks at, or what has come of it")
    def status(self) -> JobState:
        return self._desk.state(None)
