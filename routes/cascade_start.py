"""Starting a cascade, and telling a running one to pause or go on."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client, RPCTimeoutOrCancelledError
from temporalio.common import SearchAttributePair, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.database import Sessions
from activities.starts import is_delivered
from activities.task_record import Remark, write_note
from models import search
from models.errors import Reason
from models.identifiers import cascade_workflow_id
from models.messages.cascades import CascadeOrder, CascadeWish
from models.tables import Note
from models.vocabulary import CascadeStatus, WaitingFor
from routes.outages import is_not_found
from routes.problems import ProblemError
from workflows.cascade import CascadeWorkflow
from workflows.queues import REGISTRAR_QUEUE

_PATIENCE = timedelta(seconds=15)


async def start_cascade(temporal: Client, wish: CascadeWish) -> None:
    """Start it, or find it, and return once it is written down which places end.

    Raises `ProblemError` if no worker answers.
    """
    course = [] if wish.course_id is None else [SearchAttributePair(search.COURSE_ID, [str(wish.course_id)])]
    workflow_id = cascade_workflow_id(wish.cascade_id)
    try:
        await temporal.start_workflow(
            CascadeWorkflow.run,
            wish,
            id=workflow_id,
            task_queue=REGISTRAR_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            # One that was terminated may be started anew: the record says what is left.
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            search_attributes=search.at_start("cascade", CascadeStatus.RUNNING, WaitingFor.NOTHING, *course),
            static_summary=f"Cascade: {wish.kind.value.replace('_', ' ')}",
            static_details=f"Asked for by `{wish.actor}`.",
        )
    except WorkflowAlreadyStartedError:
        return  # it is over, and on record
    handle = temporal.get_workflow_handle_for(CascadeWorkflow.run, workflow_id)
    try:
        _ = await handle.execute_update(CascadeWorkflow.begun, id="begun", rpc_timeout=_PATIENCE)
    except RPCTimeoutOrCancelledError:
        raise ProblemError(Reason.UNAVAILABLE, "No worker has answered; repeat it with the same key.") from None
    except RPCError as error:
        if not is_not_found(error):  # a short one may be over already
            raise


async def keep_reason(sessions: Sessions, cascade_id: UUID, author: str, text: str) -> None:
    """Write down why, once: it is mailed to the students, and never told to Temporal.

    Raises `ProblemError` if another reason is kept already.
    """
    async with sessions.begin() as session:
        await write_note(session, Remark("cascade", cascade_id, author, text), cascade_id)
        kept = (await session.execute(select(col(Note.text)).where(col(Note.id) == cascade_id))).scalar_one()
    if kept != text:
        raise ProblemError(Reason.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used with another reason.")


async def tell_cascade(
    temporal: Client, cascade_id: UUID, signal: Callable[[CascadeWorkflow, CascadeOrder], None], actor: str
) -> None:
    """Pause it or let it go on. Raises `ProblemError` if it is over."""
    handle = temporal.get_workflow_handle_for(CascadeWorkflow.run, cascade_workflow_id(cascade_id))
    if not await is_delivered(handle.signal(signal, CascadeOrder(actor=actor), rpc_timeout=_PATIENCE)):
        raise ProblemError(Reason.CASCADE_NOT_RUNNING, "The cascade is over, or was never started.")
