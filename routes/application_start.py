"""Starting a tutor's application, and the messages to its workflow: what every way in which they end means."""

import asyncio
from datetime import timedelta
from typing import Any, Literal

from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from activities.starts import leave_no_start_unread
from models.errors import Reason
from models.identifiers import tutor_application_workflow_id
from models.messages.applications import ApplicationAnswer, ApplicationRef
from models.messages.message import Message
from models.tables import TutorApplication
from routes.problems import ProblemError
from routes.refusals import answered
from workflows.application_listing import SUMMARY, application_attributes, application_details
from workflows.queues import REGISTRAR_QUEUE

START_REFUSALS = (
    Reason.UNKNOWN_PERSON,
    Reason.NOT_FOUND,
    Reason.ALREADY_TUTOR,
    Reason.APPLICATION_EXISTS,
    Reason.REAPPLY_TOO_SOON,
    Reason.TOO_MANY_APPLICATIONS,
)
DECISION_REFUSALS = (
    Reason.TASK_NOT_OPEN,
    Reason.ACTION_NOT_ALLOWED,
    Reason.APPLICATION_NOT_IN_REVIEW,
    Reason.APPLICATION_OVER,
    Reason.TOO_MANY_INFO_ROUNDS,
    Reason.VERDICTS_MISSING,
    Reason.REASONS_REQUIRED,
    Reason.NOT_A_REVIEWER,
    Reason.OWN_APPLICATION,
    Reason.FOUR_EYES_REQUIRED,
)
_REFUSALS = frozenset(
    {
        *START_REFUSALS,
        *DECISION_REFUSALS,
        Reason.APPLICATION_INCOMPLETE,
        Reason.APPLICATION_NOT_EDITABLE,
        Reason.NO_INFO_REQUESTED,
    }
)
_PATIENCE = timedelta(seconds=15)

Update = Literal["submit", "answer", "withdraw", "assign", "judge_document"]


async def start_application(temporal: Client, application: ApplicationRef) -> None:
    """Start the application, and wait for its draft. Raises `ProblemError` if it is refused or takes too long.

    What was refused leaves a closed run, and the same key may try again; so each try is an update of its own: one with
    the id of a refused one would be answered from the closed run. What was begun once is on record, and found there.
    """
    start = _start_operation(application)
    leave_no_start_unread(start)
    async with answered(_REFUSALS, "repeat it with the same key"), asyncio.timeout(_PATIENCE.total_seconds()):
        _ = await temporal.execute_update_with_start_workflow(
            "begin",
            application,
            start_workflow_operation=start,
            result_type=ApplicationAnswer,
            rpc_timeout=_PATIENCE,
        )


async def tell_application(
    temporal: Client, application: TutorApplication, update: Update, argument: Message
) -> ApplicationAnswer:
    """Have the application's workflow do something. Raises `ProblemError` if it is refused or takes too long.

    Each try is an update of its own: what was refused may be mended and asked again, and what was done already answers
    how the application stands.
    """
    handle = temporal.get_workflow_handle(application.workflow_id)
    over = ProblemError(Reason.APPLICATION_OVER, "Nothing waits for the application any more.")
    async with answered(_REFUSALS, "it may be repeated", gone=over):
        answer: ApplicationAnswer = await handle.execute_update(
            update, argument, result_type=ApplicationAnswer, rpc_timeout=_PATIENCE
        )
    return answer


def _start_operation(application: ApplicationRef) -> "WithStartWorkflowOperation[Any, Any]":
    return WithStartWorkflowOperation(
        "TutorApplicationWorkflow",
        application,
        id=tutor_application_workflow_id(application.application_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=application_attributes(),
        static_summary=SUMMARY,
        static_details=application_details(application),
    )
