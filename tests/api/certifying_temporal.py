"""A Temporal whose workflows of certificates answer as real ones would: their steps write the record."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from temporalio.client import WorkflowUpdateFailedError

from activities.certificate_batches import CertificateBatchActivities
from activities.certificates import CertificateActivities
from models.errors import Reason, refusal
from models.messages.certificates import (
    BatchRequest,
    CertificateAnswer,
    CertificateStart,
    CertificateStep,
    CorrectName,
    IssueCertificates,
    ReinstateCertificate,
    RenewCertificate,
    ResendCertificate,
    RevokeCertificate,
)
from models.tables.columns import now
from models.vocabulary import CertificateGround, CertificateOrigin, CertificateStatus
from tests.api.recording_temporal import RecordingTemporal

_COUNTS_OR_DID = (CertificateStatus.ISSUED, CertificateStatus.EXPIRED)
_STEPS = (RevokeCertificate, ReinstateCertificate, RenewCertificate, CorrectName)


@dataclass
class CertifyingTemporal(RecordingTemporal):
    """Takes the steps of `CertificateWorkflow`, and begins runs over many learners."""

    steps: CertificateActivities | None = None
    batches: CertificateBatchActivities | None = None
    lost: list[UUID] = field(default_factory=list)

    async def execute_update_with_start_workflow(
        self, update: str, argument: object = None, *, start_workflow_operation: Any, **options: Any
    ) -> object:
        """Record the update, take its step, and answer or refuse as the workflow does."""
        await super().execute_update_with_start_workflow(
            update, argument, start_workflow_operation=start_workflow_operation, **options
        )
        start = start_workflow_operation._start_workflow_input
        if update == "begun":
            assert self.batches is not None
            assert isinstance(start.args[0], BatchRequest)
            begun = await self.batches.begin_batch(start.args[0])
            return _refused(begun.refusal, begun.refusal_detail) or begun
        if isinstance(argument, ResendCertificate):
            return CertificateAnswer(certificate_id=argument.certificate_id)
        if isinstance(argument, CertificateStart):
            return await self._issue(argument, start.id)
        assert self.steps is not None
        assert isinstance(argument, _STEPS)
        answer = await self.steps.change_certificate(CertificateStep(wish=argument, moment=now(), workflow_id=start.id))
        return _refused(answer.refusal, answer.refusal_detail) or answer

    async def _issue(self, wish: CertificateStart, workflow_id: str) -> CertificateAnswer:
        assert self.steps is not None
        issued = await self.steps.issue_certificates(
            IssueCertificates(
                enrollment_id=wish.enrollment_id,
                origin=wish.origin or CertificateOrigin.COMPLETION,
                actor=wish.actor,
                moment=now(),
                workflow_id=workflow_id,
            )
        )
        counts = any(each.status in _COUNTS_OR_DID for each in issued.certificates)
        if issued.grounds and not counts and set(issued.grounds) != {CertificateGround.NAME_UNCONFIRMED}:
            raise WorkflowUpdateFailedError(
                refusal(Reason.CERTIFICATE_NOT_ELIGIBLE, f"Not eligible: {', '.join(issued.grounds)}.", *issued.grounds)
            )
        return CertificateAnswer(
            grounds=issued.grounds, certificate_ids=tuple(each.certificate_id for each in issued.certificates)
        )


def _refused(reason: Reason | None, detail: str | None) -> None:
    if reason is not None:
        raise WorkflowUpdateFailedError(refusal(reason, detail or "Refused."))
