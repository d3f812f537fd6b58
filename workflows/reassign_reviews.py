"""Reviewers who are away: what is with them goes to those who are there."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.application_reviews import ApplicationReviewActivities
    from models.identifiers import hand_over_occasion
    from models.messages.applications import ReassignAbsent, ReassignedReviews, ReassignReviews
    from models.vocabulary import MailTemplate
    from workflows.mailing import Outbox, send_mail
    from workflows.policies import TASK
    from workflows.round import Round


@workflow.defn(name="ReassignReviewsWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class ReassignReviewsWorkflow(Round):
    """One look at the record. The jobs of the applications need not know: who reviews is a fact of the record."""

    TITLE = "Absent reviewers"
    DOES = "What is with them is given away."

    @workflow.run
    async def run(self, reassign: ReassignReviews) -> ReassignedReviews:
        """Hand over what has waited for somebody for two working days, and write to who has it now."""
        reassigned = await workflow.execute_activity_method(
            ApplicationReviewActivities.reassign_absent,
            ReassignAbsent(workflow_id=workflow.info().workflow_id),
            summary="Give what is with absent reviewers to present ones",
            **TASK,
        )
        outbox = Outbox()
        for review in reassigned.reviews:
            # Without a task that is open, who reviews it is told when the next one is.
            if review.reviewer_id is not None and review.task_id is not None:
                outbox.post(
                    send_mail(
                        review.reviewer_id,
                        MailTemplate.APPLICATION_ASSIGNED,
                        review.application_id,
                        occasion=hand_over_occasion(review.task_id, review.hand_overs),
                        summary="Mail the reviewer who has it now",
                    )
                )
        told = f"{len(reassigned.reviews)} applications have somebody else now"
        self._doing(f"{told}; the mails about it go out.")
        await outbox.emptied()
        self._over(f"{told}.")
        return reassigned
