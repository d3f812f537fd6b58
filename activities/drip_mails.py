"""Which mails a learner is to get of lessons that opened and of access that ends.

What is wanted is on record until the ledger of mails has it: a step that is lost asks for it again.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.learning_facts import LEARNING, Learning
from models.messages.learning import LearningMail
from models.tables import LessonRelease, Mail
from models.vocabulary import EnrollmentStatus, MailStatus, MailTemplate, ReleaseMails
from rules.access import Notice, due_notice, next_notice
from rules.drip import PlannedLesson
from rules.local_time import at_local

MAILS_AT = time(9)
# Later than this it is no news that access ends, or has ended.
_NEWS_FOR = timedelta(days=7)
_MOST = 50


def tell_at(learning: Learning, planned: PlannedLesson, moment: datetime) -> datetime | None:
    """When the learner is to be told of a lesson that opens at `moment`; none if not at all.

    With the release, but not before 09:00 of their day; with daily mails at the next 09:00. What is open from the very
    beginning is not told: the confirmation of the order has said so.
    """
    mails = ReleaseMails(learning.course.release_mails)
    if mails is ReleaseMails.NONE or _is_open_from_the_beginning(learning, planned):
        return None
    morning = _morning(moment, learning.zone)
    if mails is ReleaseMails.EACH or moment <= morning:
        return max(moment, morning)
    return _morning(moment, learning.zone, days=1)


def _is_open_from_the_beginning(learning: Learning, planned: PlannedLesson) -> bool:
    """Whether the first look since the enrollment opens it. One by a clock that is behind came before it."""
    enrolled_at, looked_at = learning.enrollment.enrolled_at, learning.enrollment.planned_at
    if enrolled_at is None or learning.enrollment.clock_started_at is not None:
        return False
    is_first_look = looked_at is None or looked_at < enrolled_at
    return is_first_look and planned.opens_at is not None and planned.opens_at <= enrolled_at


def _morning(moment: datetime, zone: ZoneInfo, days: int = 0) -> datetime:
    """09:00 of the learner's day, or of one so many days later; a day is not always 24 hours."""
    return at_local(moment.astimezone(zone).date() + timedelta(days=days), MAILS_AT, zone)


async def bundle_news(session: AsyncSession, learning: Learning, moment: datetime) -> None:
    """Give all that is to be told by now one occasion in common, so that it is told in one mail."""
    news = [each for each in learning.releases.values() if each.tell_at is not None and each.tell_at <= moment]
    if not news or learning.status not in LEARNING:
        return
    key = f"r-{moment:%Y%m%d-%H%M%S-%f}"
    ids = [each.lesson_id for each in news]
    await session.execute(
        update(LessonRelease)
        .where(col(LessonRelease.enrollment_id) == learning.enrollment.id, col(LessonRelease.lesson_id).in_(ids))
        .values(mail_key=key, tell_at=None)
        .execution_options(synchronize_session=False)
    )
    for each in news:
        learning.releases[each.lesson_id] = replace(each, tell_at=None, mail_key=key)


async def wanted_mails(session: AsyncSession, learning: Learning, moment: datetime) -> tuple[LearningMail, ...]:
    """The mails that the ledger does not know yet, the oldest first."""
    notice = _notice(learning, moment)
    keys = sorted({each.mail_key for each in learning.releases.values() if each.mail_key is not None})
    if learning.status not in LEARNING:
        keys = []
    wanted = [(MailTemplate.LESSONS_RELEASED, key) for key in keys]
    if notice is not None:
        wanted.append((notice.template, notice.occasion))
    if not wanted:
        return ()
    known = await _known(session, learning, [occasion for _, occasion in wanted], moment)
    return tuple(
        LearningMail(template=template, subject_id=learning.enrollment.id, occasion=occasion)
        for template, occasion in wanted
        if (template, occasion) not in known
    )[:_MOST]


async def _known(
    session: AsyncSession, learning: Learning, occasions: Sequence[str], moment: datetime
) -> set[tuple[str, str]]:
    """What need not be posted. Of what had to wait, and could have gone by now, the job that waited may be gone."""
    is_left = (col(Mail.status) == MailStatus.QUEUED) & (col(Mail.deferred_until) <= moment)
    query = select(col(Mail.template), col(Mail.occasion)).where(
        col(Mail.recipient_id) == learning.enrollment.student_id,
        col(Mail.subject_id) == learning.enrollment.id,
        col(Mail.occasion).in_(occasions),
        is_left.is_not(true()),
    )
    return {(template, occasion) for template, occasion in (await session.execute(query)).all()}


def _notice(learning: Learning, moment: datetime) -> Notice | None:
    ends_at = _told_end(learning, moment)
    if ends_at is None:
        return None
    notice = due_notice(ends_at, learning.warning_days, moment, since=learning.enrollment.enrolled_at)
    return notice if notice is not None and moment - notice.due_at < _NEWS_FOR else None


def next_mail(learning: Learning, moment: datetime) -> datetime | None:
    """When the next mail is due after `moment`."""
    coming = [each.tell_at for each in learning.releases.values() if each.tell_at is not None]
    ends_at = _told_end(learning, moment)
    if ends_at is not None:
        notice_at = next_notice(ends_at, learning.warning_days, moment)
        coming += [] if notice_at is None else [notice_at]
    return min((at for at in coming if at > moment), default=None)


def _told_end(learning: Learning, moment: datetime) -> datetime | None:
    """The end of access that the learner hears of; while the enrollment stands still, it is not certain yet."""
    if learning.status not in (*LEARNING, EnrollmentStatus.EXPIRED) or learning.open_pause(moment) is not None:
        return None
    return learning.enrollment.access_ends_at
