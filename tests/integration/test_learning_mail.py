"""Mails to learners, from the record to the mailbox: who gets them, what they list, and what stops them at the last."""

from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlmodel import col

from activities.errand import PublicPages
from activities.files import FileStore
from activities.mail import MailActivities, SmtpSettings
from activities.mail_ledger import MailLedger
from activities.orders import OrderActivities
from activities.subscriptions import withdraw
from models.drip import Immediately
from models.messages.mail import MailReport, SendMail
from models.tables import Enrollment, LessonProgress, LessonRelease
from models.vocabulary import ConsentSource, DripKind, EnrollmentStatus, MailList, MailStatus, MailTemplate
from sandbox.mailbox import Mailbox
from tests.integration.learning_steps import BEGAN, Place, teach
from tests.integration.letter_steps import GRACE, arrived, send, text_of
from tests.integration.order_steps import person
from tests.integration.written_orders import Sold, write_order

# Grace has paid; Émile, who has bought nothing and said nothing, learns. It is Monday morning in Montréal.
MORNING = BEGAN + timedelta(hours=4)
EMILE, KEY, RELEASED = person("emile"), "r-20260302t1100", MailTemplate.LESSONS_RELEASED


@pytest.fixture
async def mails(orders: OrderActivities, mailbox: Mailbox, tmp_path: Path) -> MailActivities:
    return MailActivities(
        orders.sessions,
        FileStore((tmp_path / "files").as_uri()),
        SmtpSettings.from_url(mailbox.smtp_url, "TutorHub Academy <academy@registrar.test>", "registrar.test"),
        None,
        lesson_page_url="https://learn.test/lessons/{lesson_id}",
        public_pages=PublicPages("https://registrar.test", None),
        clock=lambda: MORNING,
    )


@pytest.fixture
async def place(mails: MailActivities) -> Place:
    """A course of two lessons that have opened and are to be told, and a third that is told in another mail."""
    lessons = await teach(mails.sessions, Immediately(), Immediately(), Immediately(), code="photography")
    written = await write_order(mails.sessions, [Sold("photography", 4500, student="emile")])
    [enrollment_id] = written.place_ids
    async with mails.sessions.begin() as session:
        for lesson_id, key in zip(lessons, (KEY, KEY, "another"), strict=True):
            session.add(
                LessonRelease(
                    enrollment_id=enrollment_id, lesson_id=lesson_id, opened_at=BEGAN, reason=DripKind.IMMEDIATELY,
                    actor="system", mail_key=key,
                )
            )  # fmt: skip
    return Place(enrollment_id, lessons)


async def begin(mails: MailActivities, place: Place, *numbers: int) -> None:
    async with mails.sessions.begin() as session:
        session.add_all(LessonProgress(enrollment_id=place.id, lesson_id=place.lessons[n]) for n in numbers)


async def told(mails: MailActivities, place: Place) -> MailReport:
    return await send(mails, RELEASED, place.id, to=EMILE, occasion=KEY)


async def test_a_learner_is_told_what_has_opened_though_somebody_else_has_paid(
    mails: MailActivities, mailbox: Mailbox, place: Place
) -> None:
    mail = await arrived(mails, mailbox, RELEASED, place.id, to=EMILE, occasion=KEY)
    text = text_of(mail)
    assert [f"https://learn.test/lessons/{lesson}" in text for lesson in place.lessons] == [True, True, False]
    headers = message_from_bytes(mail.message.as_bytes(), policy=default)
    assert headers["List-Id"] == "<learning.registrar.test>"
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


async def test_only_what_was_not_begun_with_is_worth_telling(
    mails: MailActivities, mailbox: Mailbox, place: Place
) -> None:
    await begin(mails, place, 0)
    text = text_of(await arrived(mails, mailbox, RELEASED, place.id, to=EMILE, occasion=KEY))
    assert [f"https://learn.test/lessons/{lesson}" in text for lesson in place.lessons] == [False, True, False]


@pytest.mark.parametrize("status", [EnrollmentStatus.SUSPENDED, EnrollmentStatus.COMPLETED, EnrollmentStatus.EXPIRED])
async def test_who_does_not_learn_any_more_is_not_told(
    mails: MailActivities, place: Place, status: EnrollmentStatus
) -> None:
    async with mails.sessions.begin() as session:
        await session.execute(update(Enrollment).where(col(Enrollment.id) == place.id).values(status=status))
    report = await told(mails, place)
    assert (report.status, report.reason) == (MailStatus.SKIPPED, "nothing_to_tell")


async def test_a_no_stops_it(mails: MailActivities, place: Place) -> None:
    async with mails.sessions.begin() as session:
        await withdraw(session, EMILE, MailList.LEARNING, source=ConsentSource.ACCOUNT, actor="person:7")
    report = await told(mails, place)
    assert (report.status, report.reason) == (MailStatus.SKIPPED, "unsubscribed")


async def test_what_happens_after_it_was_written_stops_it_too(mails: MailActivities, place: Place) -> None:
    """Between the letter and its claim the learner begins with both lessons."""
    ledger = MailLedger(mails.sessions, MailList.LEARNING, mails.clock)
    asked = SendMail(
        recipient_id=EMILE, template=RELEASED, subject_id=place.id, occasion=KEY, workflow_id=f"drip-{place.id}"
    )  # fmt: skip
    report = await ledger.open(asked)
    assert await ledger.look(report.mail_id) is None
    await begin(mails, place, 0, 1)
    held = await ledger.hand_over(report.mail_id)
    assert isinstance(held, MailReport)
    assert held.reason == "nothing_to_tell"


async def test_at_night_it_waits_for_the_morning_by_the_clock_of_the_mails(mails: MailActivities, place: Place) -> None:
    def at_night() -> datetime:
        return MORNING + timedelta(hours=12)

    report = await told(replace(mails, clock=at_night), place)
    assert report.status is MailStatus.QUEUED
    assert report.deferred_until == MORNING + timedelta(hours=22)


async def test_the_end_of_access_is_told_to_the_learner_and_not_held_up(
    mails: MailActivities, mailbox: Mailbox, place: Place
) -> None:
    ends_at = BEGAN + timedelta(days=7)
    async with mails.sessions.begin() as session:
        await session.execute(update(Enrollment).where(col(Enrollment.id) == place.id).values(access_ends_at=ends_at))
    occasion = f"{ends_at:%Y%m%d%H%M}-7d"
    mail = await arrived(mails, mailbox, MailTemplate.ACCESS_ENDING, place.id, to=EMILE, occasion=occasion)
    assert "List-Unsubscribe" not in message_from_bytes(mail.message.as_bytes(), policy=default)
    moved = await send(mails, MailTemplate.ACCESS_ENDING, place.id, to=EMILE, occasion="202603091101-7d")
    assert (moved.status, moved.reason) == (MailStatus.SKIPPED, "end_moved")
    with pytest.raises(Exception, match="nothing of this kind"):
        await send(mails, MailTemplate.ACCESS_ENDING, place.id, to=GRACE, occasion=occasion)
