"""A document is mailed once more, because somebody asked for it."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.documents import DocumentActivities
    from models.messages.documents import RenderDocument, SendCopy
    from models.messages.jobs import JobState
    from models.messages.mail import MailReport
    from models.vocabulary import MailTemplate, WaitingFor
    from workflows.desk import Desk
    from workflows.mailing import send_mail
    from workflows.policies import DOCUMENTS
    from workflows.queues import DOCUMENTS_QUEUE


@workflow.defn(name="DocumentCopyWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class DocumentCopyWorkflow:
    """One copy, mailed once."""

    @workflow.init
    def __init__(self, request: SendCopy) -> None:
        self._desk = Desk("A copy", "The file is made sure of, then mailed.", listed=("", WaitingFor.NOTHING))

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
        report = await send_mail(
            request.payer_id,
            MailTemplate.DOCUMENT_COPY,
            request.document_id,
            occasion=f"copy_{request.copy_id.hex}",
            summary="Mail the copy",
        )
        self._desk.status = report.status
        self._desk.tell(WaitingFor.NOTHING, f"Over: the mail is {report.status}.", in_passing=True)
        return report

    @workflow.query(description="How far the copy is")
    def status(self) -> JobState:
        return self._desk.state(None)
