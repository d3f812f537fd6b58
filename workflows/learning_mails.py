"""The mails to a learner: each is posted once, holds nothing up, and waits for its moment over runs."""

from collections.abc import Iterable
from uuid import UUID

from models.messages.learning import LearningMail
from models.vocabulary import MailTemplate
from workflows.mailing import Outbox, send_marketing_mail

_SUMMARIES = {
    MailTemplate.LESSONS_RELEASED: "Mail that lessons have opened",
    MailTemplate.ACCESS_ENDING: "Mail that access ends soon",
    MailTemplate.ACCESS_ENDED: "Mail that access has ended",
}


class LearningMails:
    """The mails of one enrollment.

    The record names a mail until its ledger has it, so one may be named several times. One that waits until its person
    may get it (rules/marketing.py) is in the ledger already, and only this run knows of it: the next one goes on with
    what is `deferred`.
    """

    def __init__(self, outbox: Outbox, left_over: tuple[LearningMail, ...]) -> None:
        self._outbox = outbox
        self._left_over = left_over
        self._deferred: list[LearningMail] = []
        self._posted: set[LearningMail] = set()
        self._is_leaving = False

    @property
    def deferred(self) -> tuple[LearningMail, ...]:
        """What still waits for its moment after this run has left."""
        return (*self._left_over, *self._deferred)

    def post(self, learner_id: UUID, mails: Iterable[LearningMail]) -> None:
        """Have these sent without waiting for them, along with what the run before has left over."""
        wanted, self._left_over = (*self._left_over, *mails), ()
        for mail in wanted:
            if mail not in self._posted:
                self._posted.add(mail)
                self._outbox.post(self._send(learner_id, mail))

    def leave(self) -> None:
        """Wait for nobody's moment any more: the next run does."""
        self._is_leaving = True

    async def _send(self, learner_id: UUID, mail: LearningMail) -> None:
        report = await send_marketing_mail(
            learner_id,
            mail.template,
            mail.subject_id,
            summary=_SUMMARIES[mail.template],
            occasion=mail.occasion,
            interrupted=lambda: self._is_leaving,
        )
        if report.deferred_until is not None:
            self._deferred.append(mail)
