"""What is said about many enrollments that end at once. Ids and words only: why it happens is a note in the record."""

from uuid import UUID

from pydantic import Field

from models.messages.message import Actor, Message, WorkflowId
from models.vocabulary import CascadeKind, CascadeStatus, RefundShare

PAGE = 100


class CascadeCount(Message):
    """How far a cascade is, in places, as the record has it."""

    total: int = 0
    ended: int = Field(default=0, description="the place is over and its money, if any, on its way")
    waiting: int = Field(default=0, description="the place is over; a person has to see to its money")
    left: int = Field(default=0, description="the place is not over yet")

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do, for us or for a person."""
        return not self.left and not self.waiting


class CascadeWish(Message):
    """The input of `CascadeWorkflow`, and what a run hands over to itself when it continues as new."""

    cascade_id: UUID
    kind: CascadeKind
    tutor_id: UUID | None = Field(default=None, description="given where a tutor is gone")
    course_id: UUID | None = Field(default=None, description="given where a course is gone")
    share: RefundShare = RefundShare.PRO_RATA
    actor: Actor
    is_begun: bool = False
    is_paused: bool = False
    is_written_paused: bool = Field(default=False, description="whether the record says so, too")
    last_word: Actor | None = Field(default=None, description="who paused it or let it go on")
    round: int = Field(default=0, description="how often nothing could be done but wait")
    count: CascadeCount = CascadeCount()
    under_way: tuple[UUID, ...] = Field(default=(), description="the enrollments whose refund was last seen running")


class BeginCascade(Message):
    """Take what is gone off sale, and write down which places end."""

    wish: CascadeWish
    workflow_id: WorkflowId


class CascadePage(Message):
    """Ask for the next ids after one, at most `PAGE`."""

    cascade_id: UUID
    after: UUID | None = None


class CascadeIds(Message):
    """Ids in their order, at most `PAGE`."""

    ids: tuple[UUID, ...] = ()


class LookAtPlaces(Message):
    """Ask which of these places need nothing more of us."""

    enrollment_ids: tuple[UUID, ...]


class MarkCascade(Message):
    """Write down that the cascade is paused, goes on, or is done."""

    cascade_id: UUID
    status: CascadeStatus
    actor: Actor
    workflow_id: WorkflowId


class CascadeOrder(Message):
    """The argument of the signals `pause` and `resume`: who wants it."""

    actor: Actor


class CascadeProgress(CascadeCount):
    """The answer of the query `progress`."""

    is_paused: bool = False
