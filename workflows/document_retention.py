"""Files whose time is over: of exports, what was shown for another name, workbooks of old checks."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from collections.abc import Awaitable, Callable

    from activities.document_retention import DocumentRetentionActivities
    from models.messages.recurring import DeleteFiles, DocumentsRetained, FilesDeleted, RetainDocuments
    from workflows.policies import FILES
    from workflows.round import Round
    from workflows.scheduled import scheduled_at


@workflow.defn(name="DocumentRetentionWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class DocumentRetentionWorkflow(Round):
    """Deletes what was over at the moment that it is scheduled for. What papers are part of the books, stays."""

    TITLE = "Files whose time is over"
    DOES = "Files are deleted, one kind after the other."

    @workflow.run
    async def run(self, retain: RetainDocuments) -> DocumentsRetained:
        """One kind of files after the other, a page at a time."""
        deleted = DocumentsRetained(
            exports=await _all_pages(self._expire_exports),
            abandoned_exports=await _all_pages(self._clear_exports),
            evidence=await _all_pages(self._erase_evidence),
            workbooks=await _all_pages(self._delete_workbooks),
        )
        self._over(f"{sum(deleted.model_dump().values())} were deleted.")
        return deleted

    async def _expire_exports(self, page: DeleteFiles) -> FilesDeleted:
        return await workflow.execute_activity_method(
            DocumentRetentionActivities.expire_exports, page, summary="Delete the files of old exports", **FILES
        )

    async def _clear_exports(self, page: DeleteFiles) -> FilesDeleted:
        return await workflow.execute_activity_method(
            DocumentRetentionActivities.clear_exports, page, summary="Delete what dead exports have left", **FILES
        )

    async def _erase_evidence(self, page: DeleteFiles) -> FilesDeleted:
        return await workflow.execute_activity_method(
            DocumentRetentionActivities.erase_evidence, page, summary="Erase what was shown for a name", **FILES
        )

    async def _delete_workbooks(self, page: DeleteFiles) -> FilesDeleted:
        return await workflow.execute_activity_method(
            DocumentRetentionActivities.delete_workbooks, page, summary="Delete workbooks of old checks", **FILES
        )


async def _all_pages(delete: Callable[[DeleteFiles], Awaitable[FilesDeleted]]) -> int:
    """What is deleted is not found again, so that each page is the first of what is left."""
    page, deleted = DeleteFiles(moment=scheduled_at(), workflow_id=workflow.info().workflow_id), 0
    while True:
        answer = await delete(page)
        deleted += answer.deleted
        if answer.deleted < page.limit:
            return deleted
