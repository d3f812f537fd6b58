"""Messages to the workflows of certificates: what every way in which they end means for the caller."""

import asyncio
import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError

from activities.starts import is_delivered, leave_no_start_unread
from models.errors import Reason
from models.identifiers import certificate_batch_workflow_id, certificate_workflow_id
from models.listing import BATCH_SUMMARY, CERTIFICATE_SUMMARY, batch_attributes, certificate_attributes
from models.messages.certificates import BatchBegun, BatchRequest, CertificateAnswer, CertificateStart
from models.messages.message import Message
from routes.outages import is_outage
from routes.refusals import PATIENCE, answered, in_any_run, problem_of
from workflows.certificate import CertificateWorkflow
from workflows.certificate_batch import CertificateBatchWorkflow
from workflows.queues import REGISTRAR_QUEUE

Update = Literal["issue", "revoke", "reinstate", "renew", "correct", "resend"]

_SIGNAL_PATIENCE = timedelta(seconds=2)
_REFUSALS = frozenset(
    {
        Reason.NOT_FOUND,
        Reason.CERTIFICATE_NOT_ELIGIBLE,
        Reason.CERTIFICATE_NOT_ISSUED,
        Reason.CERTIFICATE_NOT_REVOKED,
        Reason.CERTIFICATE_NOT_RENEWABLE,
        Reason.NAME_INVALID,
        Reason.NAME_UNCHANGED,
        Reason.EVIDENCE_REQUIRED,
        Reason.CORRECTION_IN_PROGRESS,
        Reason.TOO_MANY_CORRECTIONS,
    }
)
_BATCH_REFUSALS = frozenset({Reason.UNKNOWN_COURSE, Reason.NOT_FOUND, Reason.INVALID_REQUEST})
_CANCEL = "cancel"

_log = logging.getLogger("registrar.api")


async def tell_certificates(temporal: Client, enrollment_id: UUID, update: Update, wish: Message) -> CertificateAnswer:
    """Have the workflow of an enrollment's certificates do something, in its run or a new one.

    Raises `ProblemError` if it is refused or takes too long. Each step may be repeated: the record knows what was done.
    """

    async def ask() -> CertificateAnswer:
        start = _start_operation(enrollment_id)
        leave_no_start_unread(start)
        answer: CertificateAnswer = await temporal.execute_update_with_start_workflow(
            update, wish, start_workflow_operation=start, result_type=CertificateAnswer, rpc_timeout=PATIENCE
        )
        return answer

    return await in_any_run(ask, lambda failed: problem_of(failed, _REFUSALS), "repeat it")


def _start_operation(enrollment_id: UUID) -> WithStartWorkflowOperation[Any, Any]:
    return WithStartWorkflowOperation(
        CertificateWorkflow.run,
        CertificateStart(enrollment_id=enrollment_id),
        id=certificate_workflow_id(enrollment_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=certificate_attributes(enrollment_id),
        static_summary=CERTIFICATE_SUMMARY,
    )


async def tell_name_confirmed(temporal: Client, enrollment_ids: Iterable[UUID]) -> None:
    """Wake the workflows that may wait for a name.

    One that does not hear of it looks again with its next reminder; after the last, when somebody decides its task, or
    the name is confirmed once more.
    """
    try:
        for enrollment_id in enrollment_ids:
            handle = temporal.get_workflow_handle_for(CertificateWorkflow.run, certificate_workflow_id(enrollment_id))
            await is_delivered(handle.signal(CertificateWorkflow.facts_changed, rpc_timeout=_SIGNAL_PATIENCE))
    except (TemporalError, RPCError, OSError) as error:
        if isinstance(error, RPCError) and not is_outage(error):
            raise
        _log.info("name confirmed: no job told, %s", type(error).__qualname__)


async def start_batch(temporal: Client, request: BatchRequest) -> None:
    """Start a run over many learners, or find it, and return once it is written down whom it is for.

    Raises `ProblemError` if it is refused or takes too long. One that was terminated may be started anew: the record
    says who had their turn.
    """
    start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
        CertificateBatchWorkflow.run,
        request,
        id=certificate_batch_workflow_id(request.batch_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=batch_attributes(request.course_id),
        static_summary=BATCH_SUMMARY,
        static_details=f"Asked for by `{request.actor}`.",
    )
    leave_no_start_unread(start)
    async with answered(_BATCH_REFUSALS, "repeat it with the same key"), asyncio.timeout(PATIENCE.total_seconds()):
        _ = await temporal.execute_update_with_start_workflow(
            "begun",
            start_workflow_operation=start,
            result_type=BatchBegun,
            rpc_timeout=PATIENCE,
        )


async def cancel_batch(temporal: Client, batch_id: UUID) -> bool:
    """Give nobody else of the run a turn; false if no workflow follows it."""
    handle = temporal.get_workflow_handle_for(CertificateBatchWorkflow.run, certificate_batch_workflow_id(batch_id))
    return await is_delivered(handle.signal(CertificateBatchWorkflow.cancel, rpc_timeout=PATIENCE))


async def end_lost_batch(temporal: Client, request: BatchRequest) -> None:
    """Have a run that has lost its workflow canceled by another one. Whom it is for is on record."""
    await temporal.start_workflow(
        CertificateBatchWorkflow.run,
        request,
        id=certificate_batch_workflow_id(request.batch_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal=_CANCEL,
        search_attributes=batch_attributes(request.course_id),
        static_summary=BATCH_SUMMARY,
        static_details=f"Canceled for `{request.actor}`: its workflow was lost.",
        rpc_timeout=PATIENCE,
    )
