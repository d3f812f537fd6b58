"""What a run of `CertificateWorkflow` has written down: each step is one transaction, at a moment of its clock."""

from uuid import UUID

from temporalio import workflow

from activities.certificate_documents import CertificateDocumentActivities
from activities.certificates import CertificateActivities
from models.messages.certificates import (
    CertificateAnswer,
    CertificatesIssued,
    CertificateStart,
    CertificatesTended,
    CertificateStep,
    CorrectName,
    DecideCorrection,
    IssueCertificates,
    ReinstateCertificate,
    RenderCertificate,
    RenewCertificate,
    RevokeCertificate,
    TendCertificates,
)
from models.messages.tasks import DecideTask
from models.vocabulary import CertificateOrigin, TaskAction
from workflows.policies import DOCUMENTS, RECORD
from workflows.queues import DOCUMENTS_QUEUE

Change = RevokeCertificate | ReinstateCertificate | RenewCertificate | CorrectName


async def issue(wish: CertificateStart, *, takes_name_on_file: bool) -> CertificatesIssued:
    """Issue what is due, or hear what stands between."""
    return await workflow.execute_local_activity_method(
        CertificateActivities.issue_certificates,
        IssueCertificates(
            enrollment_id=wish.enrollment_id,
            origin=wish.origin or CertificateOrigin.COMPLETION,
            actor=wish.actor,
            moment=workflow.now(),
            workflow_id=workflow.info().workflow_id,
            takes_name_on_file=takes_name_on_file,
        ),
        summary="Issue what is due",
        **RECORD,
    )


async def tend(enrollment_id: UUID) -> CertificatesTended:
    """Do what is due, and hear what follows."""
    return await workflow.execute_local_activity_method(
        CertificateActivities.tend_certificates,
        TendCertificates(enrollment_id=enrollment_id, moment=workflow.now(), workflow_id=workflow.info().workflow_id),
        summary="Do what is due, and see what follows",
        **RECORD,
    )


async def change(enrollment_id: UUID, wish: Change) -> CertificateAnswer:
    """Write a change down; the answer may be a refusal."""
    return await workflow.execute_local_activity_method(
        CertificateActivities.change_certificate,
        CertificateStep(
            wish=wish,
            enrollment_id=enrollment_id,
            moment=workflow.now(),
            workflow_id=workflow.info().workflow_id,
        ),
        summary=f"Change a certificate: {wish.kind}",
        **RECORD,
    )


async def settle_correction(wish: CorrectName, decision: DecideTask) -> CertificateAnswer:
    """Write down what a person decided about another name."""
    return await workflow.execute_local_activity_method(
        CertificateActivities.decide_correction,
        DecideCorrection(
            correction_id=wish.correction_id,
            is_approved=decision.action is TaskAction.APPROVE,
            actor=decision.actor,
            moment=workflow.now(),
            workflow_id=workflow.info().workflow_id,
        ),
        summary=f"Another name: {decision.action}",
        **RECORD,
    )


async def render(certificate_id: UUID) -> None:
    """Have the PDF made, where it can be seen to wait."""
    await workflow.execute_activity_method(
        CertificateDocumentActivities.render_certificate,
        RenderCertificate(certificate_id=certificate_id),
        task_queue=DOCUMENTS_QUEUE,
        summary="Render the certificate",
        **DOCUMENTS,
    )
