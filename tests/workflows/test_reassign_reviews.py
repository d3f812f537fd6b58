"""Applications that are with absent reviewers are handed over, and who has them now is told once."""

import random
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError

from models.messages.applications import ReassignAbsent, ReassignedReview, ReassignedReviews, ReassignReviews
from models.messages.mail import MailReport, SendMail
from models.vocabulary import MailStatus
from tests.workflows.simulation import Mishaps, Simulation
from workflows.reassign_reviews import ReassignReviewsWorkflow

REVIEWS = (
    ReassignedReview(application_id=UUID(int=1), reviewer_id=UUID(int=11), task_id=UUID(int=21), hand_overs=2),
    ReassignedReview(application_id=UUID(int=2), reviewer_id=UUID(int=12), task_id=UUID(int=22)),
    ReassignedReview(application_id=UUID(int=3), reviewer_id=None, task_id=UUID(int=23)),
    # Nobody is asked at present: whoever has it hears of it with the next task.
    ReassignedReview(application_id=UUID(int=4), reviewer_id=UUID(int=11), task_id=None),
)


class Office:
    """Stands in for the record and the mail server."""

    def __init__(self) -> None:
        self.mail_is_down = False
        self.mails = Counter[tuple[UUID, str, UUID, str]]()

    @activity.defn
    async def reassign_absent(self, step: ReassignAbsent) -> ReassignedReviews:
        return ReassignedReviews(reviews=REVIEWS)

    @activity.defn
    async def send_mail(self, step: SendMail) -> MailReport:
        if self.mail_is_down:
            raise ApplicationError("no mail server", type="smtp_unreachable")
        self.mails[step.recipient_id, step.template, step.subject_id, step.occasion] += 1
        return MailReport(mail_id=UUID(int=0), status=MailStatus.SENT)


@pytest.mark.parametrize("mail_is_down", [False, True])
def test_who_takes_an_application_over_is_told(mail_is_down: bool) -> None:
    office = Office()
    office.mail_is_down = mail_is_down
    simulation = Simulation([office.reassign_absent, office.send_mail], random.Random(1), Mishaps())  # noqa: S311
    run = simulation.start(ReassignReviewsWorkflow.run, ReassignReviews(), "reassign-reviews-1")
    simulation.run_for(timedelta(hours=1))
    assert (run.ended is None) == mail_is_down
    office.mail_is_down = False
    simulation.run_for(timedelta(hours=1))
    assert run.result() == ReassignedReviews(reviews=REVIEWS)
    assert office.mails == Counter(
        (review.reviewer_id, "application_assigned", review.application_id, f"{review.task_id}-{review.hand_overs}")
        for review in REVIEWS
        if review.reviewer_id is not None and review.task_id is not None
    )
