"""The step that makes the PDF of a certificate from the facts and the template that it was issued with."""

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.certificate_pdf import render_certificate_pdf
from activities.database import Sessions
from activities.files import FileMissingError, FileStore
from models.canvas import Canvas
from models.certificate_facts import CertificateFacts
from models.messages.certificates import RenderCertificate, RenderedCertificate
from models.tables import Certificate, CertificateTemplateVersion

_PDF = "application/pdf"


class CertificateDiffersError(ApplicationError):
    """A lost file cannot be made again as it was: what is printed, or how it is set, has changed since.

    What is on record stays as it is. The file has to come back from a backup.
    """

    def __init__(self) -> None:
        super().__init__(
            "the certificate cannot be made again as it was", type="certificate_differs", non_retryable=True
        )


def certificate_key(certificate_id: UUID) -> str:
    """Where the PDF of a certificate is kept."""
    return f"certificates/{certificate_id}.pdf"


def background_key(digest: str) -> str:
    """Where the image that lies under certificates is kept, by its sha256."""
    return f"certificate-backgrounds/{digest}"


@dataclass
class CertificateDocumentActivities:
    """Steps that set certificates. Setting takes processor time, so it happens in the executor.

    `public_url` is where the API is reached: the page that verifies a certificate is below it.
    """

    sessions: Sessions
    files: FileStore
    executor: Executor
    public_url: str

    @activity.defn
    async def render_certificate(self, step: RenderCertificate) -> RenderedCertificate:
        """Set and store the PDF; a repeat returns the stored file as it is. A file that got lost is made again, byte by
        byte.

        Raises non-retryable `ApplicationError`s: `certificate_unknown` if there is no such certificate, or one without
        facts, and `certificate_differs` (`CertificateDiffersError`).
        """
        async with self.sessions() as session:
            certificate, canvas = await _found(session, step.certificate_id)
            if certificate.file_sha256 is not None and await self._is_there(certificate.id):
                return RenderedCertificate(sha256=certificate.file_sha256)
        try:
            facts, page = CertificateFacts.model_validate(certificate.facts), Canvas.model_validate(canvas)
        except ValidationError:  # which would tell the name of the holder
            raise CertificateDiffersError from None
        background = None
        if page.background is not None:
            digest = page.background.sha256
            background = await self.files.get(background_key(digest), digest=digest)
        address = f"{self.public_url.rstrip('/')}/verify/{certificate.code}"
        pdf = await asyncio.get_running_loop().run_in_executor(
            self.executor, render_certificate_pdf, page, facts, background, address
        )
        if certificate.file_sha256 not in (None, sha256(pdf).hexdigest()):
            raise CertificateDiffersError
        return await self._store(certificate.id, pdf)

    async def _store(self, certificate_id: UUID, pdf: bytes) -> RenderedCertificate:
        """The same facts are the same bytes, so attempts at once write the same file; no row is held meanwhile."""
        stored = await self.files.put(certificate_key(certificate_id), pdf, _PDF)
        async with self.sessions.begin() as session:
            certificate = await session.get_one(Certificate, certificate_id, with_for_update={"key_share": True})
            if certificate.file_sha256 not in (None, stored.sha256):
                raise CertificateDiffersError
            certificate.file_sha256 = stored.sha256
        return RenderedCertificate(sha256=stored.sha256)

    async def _is_there(self, certificate_id: UUID) -> bool:
        try:
            await self.files.size(certificate_key(certificate_id))
        except FileMissingError:
            return False
        return True


async def _found(session: AsyncSession, certificate_id: UUID) -> tuple[Certificate, dict[str, object]]:
    query = (
        select(Certificate, col(CertificateTemplateVersion.canvas))
        .join(
            CertificateTemplateVersion,
            (col(CertificateTemplateVersion.template_id) == col(Certificate.template_id))
            & (col(CertificateTemplateVersion.version) == col(Certificate.template_version)),
        )
        .where(col(Certificate.id) == certificate_id)
    )
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise ApplicationError("there is no such certificate", type="certificate_unknown", non_retryable=True)
    return found[0], found[1]
