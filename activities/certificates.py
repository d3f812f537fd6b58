"""The steps of certificates. Each may be repeated: the second time finds the work done."""

from dataclasses import dataclass

from temporalio import activity

from activities.database import Sessions
from models.messages.certificates import (
    CertificateAnswer,
    CertificatesIssued,
    CertificatesTended,
    CertificateStep,
    DecideCorrection,
    IssueCertificates,
    TendCertificates,
)


@dataclass
class CertificateActivities:
    """Steps of the certificates of an enrollment, with its row locked."""

    sessions: Sessions

    @activity.defn
    async def issue_certificates(self, step: IssueCertificates) -> CertificatesIssued:
        """Issue what is due, or say what stands between."""
        raise NotImplementedError

    @activity.defn
    async def tend_certificates(self, step: TendCertificates) -> CertificatesTended:
        """Do what is due, and say what follows."""
        raise NotImplementedError

    @activity.defn
    async def change_certificate(self, step: CertificateStep) -> CertificateAnswer:
        """Revoke, reinstate, renew or correct."""
        raise NotImplementedError

    @activity.defn
    async def decide_correction(self, step: DecideCorrection) -> CertificateAnswer:
        """Write down what somebody decided about another name."""
        raise NotImplementedError
