"""Deciding a task: what is said along with it is kept first, then the workflow that waits is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio.client import Client

from activities.application_record import APPLICANT_MESSAGE, APPLICATION
from activities.database import Sessions
from activities.task_record import TASK, Remark, has_note, take_note_back, write_note
from models.errors import Reason
from models.messages.tasks import DecideTask, TaskDecided
from models.tables import ApplicationDecision, HumanTask, Note
from models.vocabulary import TaskQueue, TaskStatus
from routes.application_start import DECISION_REFUSALS
from routes.problems import ProblemError
from routes.refusals import answered

_PATIENCE = timedelta(seconds=5)
_PAUSE = 0.05


@dataclass(frozen=True)
class Said:
    """What comes along with a decision."""

    note: str | None = None
    message: str | None = None

    def by(self, decision: DecideTask) -> list[Remark]:
        """As remarks about the task that is decided."""
        said = ((TASK, self.note), (APPLICANT_MESSAGE, self.message))
        return [Remark(kind, decision.task_id, decision.actor, text) for kind, text in said if text is not None]


@asynccontextmanager
async def kept(
    sessions: Sessions, remarks: Sequence[Remark], *, decided: DecideTask | None = None
) -> AsyncIterator[None]:
    """Keep what is said before the workflow is asked, and take it back if it refuses.

    None is lost, and none stands for a step that did not count. After `unavailable` it stays, since the step may count;
    repeating the request repeats neither. With a decision, other words to the applicant that the same person has left
    with its task, by a request that nobody answered, make way: those of this request are sent, and no others.
    """
    async with sessions.begin() as session:
        made_way = [] if decided is None else await _make_way(session, decided, remarks)
        new = [remark for remark in remarks if await write_note(session, remark)]
    try:
        yield
    except ProblemError as refused:
        if refused.reason is not Reason.UNAVAILABLE:
            async with sessions.begin() as session:
                for remark in new:
                    await take_note_back(session, remark)
                for remark in made_way:
                    await write_note(session, remark)
        raise


async def decide(sessions: Sessions, temporal: Client, task: HumanTask, decision: DecideTask, said: Said) -> None:
    """Have the workflow that waits for the task take the decision, with what is said along with it.

    The very same decision again, by the same person in the same words, is answered as the first was. Raises
    `ProblemError` if the decision is not taken.
    """
    remarks = said.by(decision)
    if task.status != TaskStatus.OPEN:
        if not await _is_taken(sessions, decision, remarks):
            raise not_open()
        return
    async with kept(sessions, remarks, decided=decision):
        try:
            await tell_decision(temporal, task, decision)
        except ProblemError as refused:
            if refused.reason is not Reason.TASK_NOT_OPEN or not await _is_taken(sessions, decision, remarks):
                raise


async def tell_decision(temporal: Client, task: HumanTask, decision: DecideTask) -> None:
    """Have the workflow that waits for the task take the decision. Raises `ProblemError` if it does not."""
    # An application may refuse for what can be mended, such as a verdict that is missing, and an update's answer stays
    # what it was for its id.
    once = None if task.subject_kind == APPLICATION else f"decision-{task.id}-{decision.action}"
    async with answered(DECISION_REFUSALS, "the decision may be repeated", gone=not_open()):
        await temporal.get_workflow_handle(task.workflow_id).execute_update(
            "decide", decision, id=once, result_type=TaskDecided, rpc_timeout=_PATIENCE
        )


def not_open() -> ProblemError:
    return ProblemError(Reason.TASK_NOT_OPEN, "The task has been decided, or nobody waits for it any more.")


async def _make_way(session: AsyncSession, decision: DecideTask, remarks: Sequence[Remark]) -> list[Remark]:
    """Delete what the same person has said to the applicant with this task in other words; answers what that was."""
    spoken = [remark.text for remark in remarks if remark.subject_kind == APPLICANT_MESSAGE]
    others = (
        delete(Note)
        .where(
            col(Note.subject_kind) == APPLICANT_MESSAGE,
            col(Note.subject_id) == decision.task_id,
            col(Note.author) == decision.actor,
            col(Note.text).not_in(spoken),
        )
        .returning(col(Note.text))
    )
    texts = (await session.execute(others)).scalars().all()
    return [Remark(APPLICANT_MESSAGE, decision.task_id, decision.actor, text) for text in texts]


async def _is_taken(sessions: Sessions, decision: DecideTask, remarks: Sequence[Remark]) -> bool:
    """Whether this is what was decided of the task, sent twice: by the same person, in the same words.

    Who was faster may still be being written down, which takes a moment.
    """
    deadline = time.monotonic() + _PATIENCE.total_seconds()
    while True:
        async with sessions() as session:
            task = await session.get(HumanTask, decision.task_id)
            written = await session.get(ApplicationDecision, decision.task_id)
            is_said = [await has_note(session, remark) for remark in remarks]
        is_decided = task is not None and task.status != TaskStatus.OPEN
        if is_decided and task is not None and (task.decided_by, task.decision) != (decision.actor, decision.action):
            return False
        is_review = task is not None and task.subject_kind == APPLICATION and task.queue == TaskQueue.REVIEW
        if is_decided and (written is not None or not is_review):
            reasons = () if written is None else tuple(written.reasons)
            return reasons == decision.reasons and all(is_said)
        if task is None or time.monotonic() > deadline:
            return False
        await asyncio.sleep(_PAUSE)
