"""What is said about certificates: ids, moments and words. Names and files stay in the record."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from models.errors import Reason
from models.messages.message import Actor, Message, ReasonText, WorkflowId
from models.vocabulary import (
    BatchStatus,
    CertificateGround,
    CertificateOrigin,
    CertificateStatus,
    MailTemplate,
    RevocationReason,
)

MAX_TEMPLATES = 10
MAX_LETTERS = 50


class CorrectName(Message):
    """The argument of the update `correct`. The name and what proves it are on the row `name_corrections`."""

    kind: Literal["correct"] = "correct"
    certificate_id: UUID
    correction_id: UUID
    actor: Actor


class CertificateMail(Message):
    """A mail about a certificate that has not been handed to the ledger yet."""

    template: MailTemplate
    certificate_id: UUID
    occasion: str = Field(default="", pattern=r"^[a-z0-9_:+-]{0,48}$")


class CertificateStart(Message):
    """The input of `CertificateWorkflow`, which owns all certificates of an enrollment.

    With an `origin` it issues what is due; without one it only looks after what there is. All from `asked_at` on is
    what a run hands over to the one that goes on with it.
    """

    enrollment_id: UUID
    origin: CertificateOrigin | None = None
    actor: Actor = "system"
    asked_at: datetime | None = Field(default=None, description="since when it waits for a confirmed name")
    corrections: tuple[CorrectName, ...] = Field(
        default=(), max_length=50, description="wishes for another name that a person has yet to decide"
    )
    student_id: UUID | None = Field(default=None, description="whose certificates they are, where that is known")
    letters: tuple[CertificateMail, ...] = Field(
        default=(), max_length=MAX_LETTERS, description="mails that wait for a PDF"
    )


class IssueCertificates(Message):
    """Issue what the enrollment is due: one certificate by each template of its course."""

    enrollment_id: UUID
    origin: CertificateOrigin = CertificateOrigin.COMPLETION
    actor: Actor
    moment: datetime
    workflow_id: WorkflowId
    takes_name_on_file: bool = Field(
        default=False, description="a person has decided that the name on file is good enough, confirmed or not"
    )


class IssuedCertificate(Message):
    """One certificate as it stands."""

    certificate_id: UUID
    status: CertificateStatus
    is_rendered: bool = False
    is_new: bool = False


class CertificatesIssued(Message):
    """What was issued or is there already; or what stands between."""

    student_id: UUID | None = None
    grounds: tuple[CertificateGround, ...] = Field(default=(), max_length=10)
    certificates: tuple[IssuedCertificate, ...] = Field(default=(), max_length=50)


class TendCertificates(Message):
    """Do what is due at this moment of the workflow's clock: expire what is over, tell its holders."""

    enrollment_id: UUID
    moment: datetime
    workflow_id: WorkflowId


class CertificatesTended(Message):
    """How they stand, and what follows."""

    student_id: UUID | None = Field(default=None, description="none: there is no such enrollment")
    wakes_at: datetime | None = None
    unrendered: tuple[UUID, ...] = Field(default=(), max_length=50)
    mails: tuple[CertificateMail, ...] = Field(default=(), max_length=50)
    status: CertificateStatus | None = Field(default=None, description="of the one that counts, if there is one")
    corrections: tuple[CorrectName, ...] = Field(
        default=(), max_length=50, description="wishes for another name that nobody has decided, and no other job has"
    )


class RenderCertificate(Message):
    """Render the PDF of a certificate from the facts that it was issued with, and keep it."""

    certificate_id: UUID


class RenderedCertificate(Message):
    """The file, by reference."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class RevokeCertificate(Message):
    """The argument of the update `revoke`. Staff's words about it are a note, never here."""

    kind: Literal["revoke"] = "revoke"
    certificate_id: UUID
    reason: RevocationReason
    actor: Actor


class ReinstateCertificate(Message):
    """The argument of the update `reinstate`: it counts again, as if it had never been revoked."""

    kind: Literal["reinstate"] = "reinstate"
    certificate_id: UUID
    actor: Actor


class RenewCertificate(Message):
    """The argument of the update `renew`: a new certificate, linked to the old one."""

    kind: Literal["renew"] = "renew"
    certificate_id: UUID
    actor: Actor


class ResendCertificate(Message):
    """The argument of the update `resend`: mail it once more."""

    certificate_id: UUID
    copy_id: UUID = Field(description="tells a repeat from another copy")
    actor: Actor


class CertificateStep(Message):
    """A change of a certificate that is to be written down."""

    # By their other fields, reinstating and renewing could not be told apart.
    wish: Annotated[
        RevokeCertificate | ReinstateCertificate | RenewCertificate | CorrectName, Field(discriminator="kind")
    ]
    enrollment_id: UUID | None = Field(default=None, description="whose certificate it has to be")
    moment: datetime
    workflow_id: WorkflowId


class DecideCorrection(Message):
    """What somebody decided about another name."""

    correction_id: UUID
    is_approved: bool
    actor: Actor
    moment: datetime
    workflow_id: WorkflowId


class CertificateAnswer(Message):
    """What the updates answer, and what the steps behind them did."""

    certificate_id: UUID | None = Field(default=None, description="the one that is spoken of, or that took its place")
    status: CertificateStatus | None = None
    refusal: Reason | None = None
    refusal_detail: ReasonText | None = None
    grounds: tuple[CertificateGround, ...] = Field(default=(), max_length=10)
    certificate_ids: tuple[UUID, ...] = Field(default=(), max_length=50)
    needs_person: bool = Field(default=False, description="whether somebody has to decide first")


class CertificateOutcome(Message):
    """The result of `CertificateWorkflow`."""

    certificates: int = 0
    grounds: tuple[CertificateGround, ...] = Field(default=(), max_length=10)


class BatchRequest(Message):
    """The input of `CertificateBatchWorkflow`. Whom it is for is written down before it starts to issue."""

    batch_id: UUID
    course_id: UUID
    enrollment_ids: tuple[UUID, ...] = Field(default=(), max_length=10_000, description="none: the whole course")
    enrolled_from: datetime | None = Field(default=None, description="with `enrolled_until`: a cohort of it")
    enrolled_until: datetime | None = None
    actor: Actor


class BatchBegun(Message):
    """How many it is for, or why it is for nobody."""

    batch_id: UUID
    refusal: Reason | None = None
    refusal_detail: ReasonText | None = None
    total: int = 0


class BatchPage(Message):
    """Certify the next learners of a run."""

    batch_id: UUID
    limit: int = Field(default=100, ge=1, le=1000)


class BatchPageDone(Message):
    """How many had their turn; none: there were no more."""

    done: int = 0


class EndBatch(Message):
    """Write the run's end, and its workbook."""

    batch_id: UUID
    is_canceled: bool = False
    workflow_id: WorkflowId


class BatchProgress(Message):
    """The answer of the query `progress`."""

    status: BatchStatus
    total: int = 0
    done: int = 0
