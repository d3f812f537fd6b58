"""What a job tells people about itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate

from models import search
from models.messages.jobs import JobState
from models.vocabulary import WaitingFor


@dataclass(frozen=True)
class Told:
    """What a job says about itself at one time."""

    waiting_for: WaitingFor
    next_action: str
    due_at: datetime | None = None
    needs_human: bool = False


class Desk:
    """Where a job stands, in words: for the query, the Web UI and the search attributes, always in step.

    `listed` is what the search attributes say from the start (see where the workflow is started); saying it again would
    cost an event.
    """

    def __init__(self, title: str, next_action: str, listed: tuple[str, WaitingFor]) -> None:
        self.title = title
        self.status: str | None = None
        self.told = Told(WaitingFor.NOTHING, next_action)
        self._since = workflow.now()
        self._listed: tuple[str, WaitingFor, bool, datetime | None] = (*listed, False, None)

    @property
    def waiting_for(self) -> WaitingFor:
        """Whose turn it is."""
        return self.told.waiting_for

    def tell(
        self,
        waiting_for: WaitingFor,
        next_action: str,
        *,
        due_at: datetime | None = None,
        needs_human: bool = False,
        in_passing: bool = False,
    ) -> None:
        """Say what happens next. What passes in a moment is not written to the search attributes."""
        self.told, self._since = Told(waiting_for, next_action, due_at, needs_human), workflow.now()
        state = self.status or "refused"
        lines = [f"**{self.title}** · {state}", next_action]
        if due_at is not None:
            lines.append(f"Until {due_at:%Y-%m-%d %H:%M} UTC.")
        workflow.set_current_details("\n\n".join(lines))
        # The short hold of a card payment is over before anybody would search for it.
        listed_due = due_at if due_at is not None and due_at - self._since > timedelta(hours=1) else None
        listed = (str(state), waiting_for, needs_human, listed_due)
        if not in_passing and listed != self._listed:
            due = _changed_due(self._listed[-1], listed_due)
            self._listed = listed
            workflow.upsert_search_attributes(
                [
                    search.STATE.value_set(state),
                    search.WAITING_FOR.value_set(waiting_for),
                    search.NEEDS_HUMAN.value_set(needs_human),
                    *due,
                ]
            )

    def tell_again(self, told: Told) -> None:
        """Say what was said before something came in between."""
        self.tell(told.waiting_for, told.next_action, due_at=told.due_at, needs_human=told.needs_human)

    def state(self, task_id: UUID | None) -> JobState:
        """The answer of the query `status`."""
        return JobState(
            status=self.status,
            waiting_for=self.waiting_for,
            since=self._since,
            next_action=self.told.next_action,
            needs_human=self.told.needs_human or task_id is not None,
            due_at=self.told.due_at,
            task_id=task_id,
        )


def pin(line: str) -> None:
    """Add a line to what the Web UI shows, until the desk says something new. Costs no event."""
    unpin(line)
    workflow.set_current_details(f"{workflow.get_current_details()}\n\n{line}")


def unpin(line: str) -> None:
    """Take the line off again, if it is still there."""
    if line:
        workflow.set_current_details(workflow.get_current_details().replace(f"\n\n{line}", ""))


def _changed_due(before: datetime | None, after: datetime | None) -> list[SearchAttributeUpdate[datetime]]:
    if after is not None:
        return [search.DUE_AT.value_set(after)]
    return [] if before is None else [search.DUE_AT.value_unset()]
