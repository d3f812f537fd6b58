"""What a job tells people about itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate

from models import search
from models.messages.jobs import JobState
from models.vocabulary import WaitingFor

_REFUSED = "refused"
_OF_NO_OTHERS = {WaitingFor.OPERATOR, WaitingFor.NOTHING}


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
    cost an event. A job that wakes too often for that lists no due dates.
    `can_do` is what an operator can do while it waits for others: what operators have to decide says so by itself.
    """

    def __init__(
        self,
        title: str,
        next_action: str,
        listed: tuple[str, WaitingFor],
        *,
        is_with_human: bool = False,
        lists_due: bool = True,
        can_do: str = "",
    ) -> None:
        self.title = title
        self.status: str | None = None
        self.told = Told(WaitingFor.NOTHING, next_action)
        self._since = workflow.now()
        self.can_do = can_do
        # From the first moment on, also of a run that goes on for another. Costs no event.
        self._details = f"**{title}**\n\n{next_action}"
        workflow.set_current_details(self._details)
        self._listed: tuple[str, WaitingFor, bool, datetime | None] = (*listed, is_with_human, None)
        self._lists_due = lists_due

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
        self._details = self._written()
        workflow.set_current_details(self._details)
        if not in_passing:
            self._list()

    def tell_again(self, told: Told) -> None:
        """Say what was said before something came in between."""
        self.tell(told.waiting_for, told.next_action, due_at=told.due_at, needs_human=told.needs_human)

    def restate(self) -> None:
        """Say the same of another state. It has waited since then all the same, and what is pinned stays."""
        pinned = workflow.get_current_details().removeprefix(self._details)
        self._details = self._written()
        workflow.set_current_details(self._details + pinned)
        self._list()

    def _written(self) -> str:
        told = self.told
        lines = [f"**{self.title}** · {self.status or _REFUSED}", told.next_action]
        if told.due_at is not None:
            lines.append(f"Until {told.due_at:%Y-%m-%d %H:%M} UTC.")
        if self.can_do and told.waiting_for not in _OF_NO_OTHERS:
            lines.append(self.can_do)
        return "\n\n".join(lines)

    def _list(self) -> None:
        """Write it to the search attributes, if it is news to them."""
        state, told = self.status or _REFUSED, self.told
        # The short hold of a card payment is over before anybody would search for it.
        is_listed = told.due_at is not None and told.due_at - self._since > timedelta(hours=1)
        listed_due = told.due_at if is_listed and self._lists_due else None
        listed = (str(state), told.waiting_for, told.needs_human, listed_due)
        if listed != self._listed:
            due = _changed_due(self._listed[-1], listed_due)
            self._listed = listed
            workflow.upsert_search_attributes(
                [
                    search.STATE.value_set(state),
                    search.WAITING_FOR.value_set(told.waiting_for),
                    search.NEEDS_HUMAN.value_set(told.needs_human),
                    *due,
                ]
            )

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


def listed_so_far() -> tuple[str, WaitingFor, bool]:
    """State, whom it waits for and whether a person has to act, as this run found its workflow listed.

    A run that continues another finds what that one had listed last.
    """
    listed = workflow.info().typed_search_attributes
    waiting_for = WaitingFor(listed.get(search.WAITING_FOR, WaitingFor.NOTHING.value))
    return listed.get(search.STATE, ""), waiting_for, listed.get(search.NEEDS_HUMAN, False)


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
