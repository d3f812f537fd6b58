"""A document is mailed once more, because somebody asked for it."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.documents import DocumentActivities
    from models.messages.documents import RenderDocument, SendCopy
    from models.messages.mail import MailReport
    from models.vocabulary import MailTemplate
    from workflows.mailing import send_mail
    from workflows.policies import DOCUMENTS
    from workflows.queues import DOCUMENTS_QUEUE


@workflow.defn(name="DocumentCopyWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class DocumentCopyWorkflow:
    """One copy, mailed once."""

    @workflow.run
    async def run(self, request: SendCopy) -> MailReport:
        """Make sure that the file is there, byte for byte as it was, and mail it to the payer."""
        await workflow.execute_activity_method(
            DocumentActivities.render_document,
            RenderDocument(document_id=request.document_id),
            task_queue=DOCUMENTS_QUEUE,
            summary="Make sure that the file is there",
            **DOCUMENTS,
        )
        return await send_mail(
            request.payer_id,
            MailTemplate.DOCUMENT_COPY,
            request.document_id,
            occasion=f"copy_{request.copy_id.hex}",
            summary="Mail the copy",
        )
