"""The steps of reviewing a tutor's application: taken up, given to a reviewer, judged, decided."""

from dataclasses import dataclass

from temporalio import activity

from activities.database import Sessions
from models.messages.applications import (
    ApplicationStep,
    AssignedReview,
    CheckDecision,
    CheckedApplication,
    OpenedReview,
    ReassignedReviews,
    RecordAssignment,
    RecordDecision,
    RecordedDecision,
    RecordVerdict,
)


@dataclass
class ApplicationReviewActivities:
    """Steps of the reviewers' work. Each may be repeated: the second time finds the work done."""

    sessions: Sessions

    @activity.defn
    async def open_review(self, step: ApplicationStep) -> OpenedReview:
        """Start the reviewers' clock, and give the application to a present reviewer in turn.

        Who reviewed it before goes on with it if present; the applicant never reviews. submitted → in_review if
        somebody is there, else it stays submitted.
        """
        raise NotImplementedError

    @activity.defn
    async def assign_review(self, step: RecordAssignment) -> AssignedReview:
        """Give it to this reviewer, or to nobody; its open task goes with it.

        Refused with `not_a_reviewer`, `own_application`, `application_not_in_review`.
        """
        raise NotImplementedError

    @activity.defn
    async def judge_document(self, step: RecordVerdict) -> CheckedApplication:
        """Write down what a reviewer says of the current version of a document; the last word counts.

        Refused with `not_found`, `application_not_in_review`, `reasons_required`, `not_a_reviewer`, `own_application`.
        """
        raise NotImplementedError

    @activity.defn
    async def check_decision(self, step: CheckDecision) -> CheckedApplication:
        """Ask whether this reviewer may decide this of the application as it stands; writes nothing.

        Refused by rules.tutor_application.may_decide, with `not_a_reviewer` and `own_application`, and a second opinion
        with `four_eyes_required` if it is of who gave the first.
        """
        raise NotImplementedError

    @activity.defn
    async def record_decision(self, step: RecordDecision) -> RecordedDecision:
        """Write down who decided what on the grounds of which documents, and the state that follows, if one does."""
        raise NotImplementedError

    @activity.defn
    async def reassign_absent(self) -> ReassignedReviews:
        """Give what is with reviewers who have been away for two working days to those who are there, in turn."""
        raise NotImplementedError
