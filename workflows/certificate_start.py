"""Starting the certificate of an enrollment from another job."""

from uuid import UUID

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from models.identifiers import certificate_workflow_id
    from models.listing import CERTIFICATE_SUMMARY, CERTIFICATE_WORKFLOW, certificate_attributes
    from models.messages.certificates import CertificateStart
    from models.vocabulary import CertificateOrigin


async def start_certificate(enrollment_id: UUID) -> None:
    """Have what the enrollment is due by its completion issued. The run outlives the one that started it.

    What was issued stays the only one (models/identifiers.py: `certificate_id_for`), so that starting it again, after
    an earlier run has ended, issues nothing twice.
    """
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
        return
