"""The step that sets the PDF of a certificate."""

from concurrent.futures import Executor
from dataclasses import dataclass

from temporalio import activity

from activities.database import Sessions
from activities.files import FileStore
from models.messages.certificates import RenderCertificate, RenderedCertificate


@dataclass
class CertificateDocumentActivities:
    """Steps that set certificates. Setting takes processor time, so it happens in the executor."""

    sessions: Sessions
    files: FileStore
    executor: Executor
    public_url: str

    @activity.defn
    async def render_certificate(self, step: RenderCertificate) -> RenderedCertificate:
        """Set and store the PDF; a repeat returns the stored file as it is."""
        raise NotImplementedError
