"""Deciding a task: what is said along with it is kept first, then the workflow that waits is told."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client, RPCTimeoutOrCancelledError, WorkflowUpdateFailedError
from temporalio.service import RPCError

from activities.application_record import APPLICATION
from activities.database import Sessions
from activities.task_record import take_note_back, write_note
from models.errors import Reason
from models.messages.tasks import DecideTask, TaskDecided
from models.tables import HumanTask
from routes.application_start import DECISION_REFUSALS
from routes.outages import is_not_found
from routes.problems import ProblemError
from routes.refusals import problem_of

_PATIENCE = timedelta(seconds=5)


@dataclass(frozen=True)
class Remark:
    """Something that is said along with a step. It goes nowhere but to the record."""

    subject_kind: str
    subject_id: UUID
    author: str
    text: str
    occasion: str = ""


@asynccontextmanager
async def kept(sessions: Sessions, remarks: Sequence[Remark]) -> AsyncIterator[None]:
    """Keep what is said before the workflow is asked, and take it back if it refuses.

    None is lost, and none stands for a step that did not count. After `unavailable` it stays, since the step may count;
    repeating the request repeats neither.
    """
    async with sessions.begin() as session:
        new = [remark for remark in remarks if await _write(session, remark)]
    try:
        yield
    except ProblemError as refused:
        if new and refused.reason is not Reason.UNAVAILABLE:
            async with sessions.begin() as session:
                for remark in new:
                    await _take_back(session, remark)
        raise


async def tell_decision(temporal: Client, task: HumanTask, decision: DecideTask) -> None:
    """Have the workflow that waits for the task take the decision. Raises `ProblemError` if it does not."""
    # An application may refuse for what can be mended, such as a verdict that is missing, and an update's answer stays
    # what it was for its id.
    once = None if task.subject_kind == APPLICATION else f"decision-{task.id}-{decision.action}"
    try:
        await temporal.get_workflow_handle(task.workflow_id).execute_update(
            "decide", decision, id=once, result_type=TaskDecided, rpc_timeout=_PATIENCE
        )
    except WorkflowUpdateFailedError as failed:
        raise problem_of(failed, DECISION_REFUSALS) from failed
    except RPCTimeoutOrCancelledError:
        raise ProblemError(Reason.UNAVAILABLE, "No worker has answered; the decision may be repeated.") from None
    except RPCError as error:
        if is_not_found(error):
            raise not_open() from error
        raise


def not_open() -> ProblemError:
    return ProblemError(Reason.TASK_NOT_OPEN, "The task has been decided, or nobody waits for it any more.")


async def _write(session: AsyncSession, remark: Remark) -> bool:
    return await write_note(
        session,
        remark.subject_id,
        author=remark.author,
        text=remark.text,
        subject_kind=remark.subject_kind,
        occasion=remark.occasion,
    )


async def _take_back(session: AsyncSession, remark: Remark) -> None:
    await take_note_back(
        session,
        remark.subject_id,
        author=remark.author,
        text=remark.text,
        subject_kind=remark.subject_kind,
        occasion=remark.occasion,
    )
