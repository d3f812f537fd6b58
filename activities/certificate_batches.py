"""The steps of a run that certifies many learners."""

from dataclasses import dataclass

from temporalio import activity

from activities.database import Sessions
from activities.files import FileStore
from models.messages.certificates import BatchBegun, BatchPage, BatchPageDone, BatchRequest, EndBatch


@dataclass
class CertificateBatchActivities:
    """Steps of a run. Each may be repeated: a learner with an outcome is passed over."""

    sessions: Sessions
    files: FileStore

    @activity.defn
    async def begin_batch(self, request: BatchRequest) -> BatchBegun:
        """Write down whom it is for."""
        raise NotImplementedError

    @activity.defn
    async def issue_page(self, page: BatchPage) -> BatchPageDone:
        """Certify the next learners."""
        raise NotImplementedError

    @activity.defn
    async def end_batch(self, step: EndBatch) -> None:
        """Write the end, and the workbook."""
        raise NotImplementedError
