"""Starting the certificate of an enrollment from another job."""

from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from models.identifiers import certificate_workflow_id
    from models.listing import CERTIFICATE_SUMMARY, CERTIFICATE_WORKFLOW, certificate_attributes
    from models.messages.certificates import CertificateStart
    from models.vocabulary import CertificateOrigin
    from workflows.certificate import CertificateWorkflow

_A_MOMENT = timedelta(seconds=10)


async def start_certificate(enrollment_id: UUID) -> None:
    """Have what the enrollment is due by its completion issued. The run outlives the one that started it.

    A run that is there already hears of it: it may be about something else. What was issued stays the only one
    (models/identifiers.py: `certificate_id_for`), so that starting it again, after an earlier run has ended, issues
    nothing twice.
    """
    while not await _is_started(enrollment_id):
        running = workflow.get_external_workflow_handle_for(
            CertificateWorkflow.run, certificate_workflow_id(enrollment_id)
        )
        try:
            await running.signal(CertificateWorkflow.completed)
        except ApplicationError:
            # It has ended meanwhile.
            await workflow.sleep(_A_MOMENT, summary="Start the certificate, or tell it, once more")
        else:
            return


async def _is_started(enrollment_id: UUID) -> bool:
    try:
        await workflow.start_child_workflow(
            CERTIFICATE_WORKFLOW,
            CertificateStart(enrollment_id=enrollment_id, origin=CertificateOrigin.COMPLETION),
            id=certificate_workflow_id(enrollment_id),
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
            search_attributes=certificate_attributes(enrollment_id),
            static_summary=CERTIFICATE_SUMMARY,
        )
    except WorkflowAlreadyStartedError:
        return False
    return True
