"""Whether every confirmation, receipt and certificate of the last days really went out; what did not, goes out now."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.critical_mail import CriticalMailActivities
    from activities.findings import FindingActivities
    from models.messages.checks import (
        CheckCriticalMail,
        CriticalMailChecked,
        LookOverMail,
        PursueFindings,
        ToPutRight,
    )
    from models.vocabulary import CheckKind
    from workflows.mailing import Outbox
    from workflows.papers_and_mails import make_papers, post_mails
    from workflows.policies import JOBS
    from workflows.round import Round
    from workflows.scheduled import scheduled_at


@workflow.defn(name="CriticalMailWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class CriticalMailWorkflow(Round):
    """One look at the record, as of the moment that it is scheduled for.

    What was never begun it does itself, by the keys that the jobs use. A person is asked about what came back, may not
    have arrived, or is missing still with the next run.
    """

    TITLE = "Mails that people rely on"
    DOES = "Papers and mails of the last days are looked over."

    @workflow.run
    async def run(self, check: CheckCriticalMail) -> CriticalMailChecked:
        """Papers first, since mails bring them; then mails; then people are asked."""
        look = LookOverMail(moment=scheduled_at(), workflow_id=workflow.info().workflow_id)
        papers = await self._look_for_papers(look)
        await make_papers(papers)
        mails = await self._look_for_mails(look.model_copy(update={"papers": papers.found}))
        outbox = Outbox()
        post_mails(mails, outbox)
        await self._ask()
        await outbox.emptied()
        checked = CriticalMailChecked(
            papers=len(papers.document_ids), mails=len(mails.mails), found=papers.found + mails.found
        )
        self._over(f"{checked.papers} papers were made and {checked.mails} mails sent; {checked.found} findings.")
        return checked

    async def _look_for_papers(self, look: LookOverMail) -> ToPutRight:
        return await workflow.execute_activity_method(
            CriticalMailActivities.check_papers, look, summary="Look for papers that are missing", **JOBS
        )

    async def _look_for_mails(self, look: LookOverMail) -> ToPutRight:
        return await workflow.execute_activity_method(
            CriticalMailActivities.check_mails, look, summary="Look for mails that did not go out", **JOBS
        )

    async def _ask(self) -> None:
        await workflow.execute_activity_method(
            FindingActivities.pursue_findings,
            PursueFindings(found_by=CheckKind.CRITICAL_MAIL),
            summary="Ask people about what is left",
            **JOBS,
        )
