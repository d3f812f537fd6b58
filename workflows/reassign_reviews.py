"""Reviewers who are away: what is with them goes to those who are there."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from models.messages.applications import ReassignedReviews, ReassignReviews
    from models.vocabulary import MailTemplate
    from workflows.mailing import Outbox, send_mail
    from workflows.policies import TASK


@workflow.defn(name="ReassignReviewsWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class ReassignReviewsWorkflow:
    """One look at the record. The jobs of the applications need not know: who reviews is a fact of the record."""

    @workflow.run
    async def run(self, reassign: ReassignReviews) -> ReassignedReviews:
        """Hand over what has waited for somebody for two working days, and write to who has it now."""
        # By name: mypy 2 mistakes a method without an argument, here and then in other modules.
        reassigned: ReassignedReviews = await workflow.execute_activity(
            "reassign_absent",
            result_type=ReassignedReviews,
            summary="Give what is with absent reviewers to present ones",
            **TASK,
        )
        outbox = Outbox()
        for review in reassigned.reviews:
            if review.reviewer_id is not None:
                outbox.post(
                    send_mail(
                        review.reviewer_id,
                        MailTemplate.APPLICATION_ASSIGNED,
                        review.application_id,
                        occasion="" if review.task_id is None else str(review.task_id),
                        summary="Mail the reviewer who has it now",
                    )
                )
        await outbox.emptied()
        return reassigned
