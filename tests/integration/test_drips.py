"""Following an enrollment on the record: what opens when, told once, frozen by pauses, over with access."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col
from temporalio.exceptions import ApplicationError

from activities.database import Sessions
from activities.drips import DripActivities, late_enrollments
from activities.orders import OrderActivities
from models.drip import AfterLesson, AfterRegistration, Immediately, Manual
from models.errors import Reason
from models.messages.learning import LearningMail
from models.tables import AuditEntry, Mail
from models.tables.columns import now
from models.vocabulary import (
    AccessRule,
    EnrollmentChange,
    EnrollmentStatus,
    MailStatus,
    MailTemplate,
    ReleaseMails,
)
from tests.integration.learning_steps import (
    BEGAN,
    DAY,
    advance,
    change,
    changed,
    enrolled,
    place_of,
    releases_of,
    set_place,
)
from tests.integration.many_places import write_places
from tests.integration.order_steps import seats_add_up, statements_of

WEEK = AfterRegistration(amount=7)
# 06:00 and 09:00 in Berlin, a week later.
OPENS, TOLD = datetime(2026, 3, 9, 5, 0, tzinfo=UTC), datetime(2026, 3, 9, 8, 0, tzinfo=UTC)


@pytest.fixture
def drips(orders: OrderActivities) -> DripActivities:
    return DripActivities(orders.sessions)


async def post(sessions: Sessions, student_id: UUID, mail: LearningMail) -> None:
    """The ledger has the mail."""
    async with sessions.begin() as session:
        session.add(
            Mail(
                recipient_id=student_id,
                template=mail.template,
                subject_id=mail.subject_id,
                occasion=mail.occasion,
                status=MailStatus.QUEUED,
                workflow_id="drip",
            )
        )


async def test_lessons_open_at_six_are_told_at_nine_and_written_once(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately(), WEEK)
    first = await advance(drips, place.id, BEGAN)
    assert (first.released, first.lessons, first.mails, first.wakes_at) == (1, 2, (), OPENS)
    early = await advance(drips, place.id, OPENS - timedelta(seconds=1))
    assert (early.released, early.wakes_at) == (1, OPENS)

    opened = await advance(drips, place.id, OPENS)
    assert (opened.released, opened.mails, opened.wakes_at) == (2, (), TOLD)
    before = await releases_of(drips.sessions, place.id)
    assert await advance(drips, place.id, OPENS) == opened
    told = await advance(drips, place.id, TOLD)
    [mail] = told.mails
    assert (mail.template, mail.subject_id, told.wakes_at) == (MailTemplate.LESSONS_RELEASED, place.id, None)
    # Until the ledger has it, it is wanted again.
    assert (await advance(drips, place.id, TOLD + DAY)).mails == (mail,)
    await post(drips.sessions, told.student_id, mail)
    assert (await advance(drips, place.id, TOLD + DAY)).mails == ()
    # One that had to wait is wanted again once it may go: who waited for it may be gone.
    async with drips.sessions.begin() as session:
        await session.execute(update(Mail).values(deferred_until=TOLD + DAY, deferred_reason="quiet_hours"))
    assert (await advance(drips, place.id, TOLD + DAY / 2)).mails == ()
    assert (await advance(drips, place.id, TOLD + DAY)).mails == (mail,)
    async with drips.sessions.begin() as session:
        await session.execute(update(Mail).values(status=MailStatus.SKIPPED, status_reason="nothing_to_tell"))
    assert (await advance(drips, place.id, TOLD + DAY)).mails == ()
    after = await releases_of(drips.sessions, place.id)
    assert {key: each.id for key, each in after.items()} == {key: each.id for key, each in before.items()}
    assert after[place.lessons[1]].opened_at == OPENS


async def test_a_backdated_start_is_told_in_one_mail(drips: DripActivities) -> None:
    rules = [AfterRegistration(amount=days) for days in range(10)]
    place = await enrolled(drips.sessions, *rules)
    step = await advance(drips, place.id, BEGAN + 20 * DAY)
    assert (step.released, len(step.mails)) == (10, 1)
    told = {each.mail_key for each in (await releases_of(drips.sessions, place.id)).values()}
    assert told == {None, step.mails[0].occasion}


@pytest.mark.parametrize(
    ("mails", "wanted"),
    [(ReleaseMails.EACH, TOLD), (ReleaseMails.DAILY, TOLD), (ReleaseMails.NONE, None)],
)
async def test_how_learners_are_told(drips: DripActivities, mails: ReleaseMails, wanted: datetime | None) -> None:
    place = await enrolled(drips.sessions, WEEK, release_mails=mails)
    assert (await advance(drips, place.id, OPENS)).wakes_at == wanted


async def test_daily_mails_wait_for_the_next_morning(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Manual(), release_mails=ReleaseMails.DAILY)
    noon = TOLD + timedelta(hours=4)
    answer = await changed(drips, place.id, EnrollmentChange.RELEASE, noon)
    assert answer.opened == (place.lessons[0],)
    assert answer.step is not None
    assert answer.step.wakes_at == TOLD + DAY


async def test_what_is_open_from_the_beginning_is_not_told_whichever_clock_is_behind(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately())
    early = await advance(drips, place.id, BEGAN - timedelta(milliseconds=5))
    assert (early.released, early.wakes_at) == (0, BEGAN)
    step = await advance(drips, place.id, BEGAN)
    assert (step.released, step.wakes_at, step.mails) == (1, None, ())


async def test_the_next_morning_is_that_of_the_next_day_where_clocks_are_put_forward(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Manual(), release_mails=ReleaseMails.DAILY)
    # 23:30 of 28 March in Berlin: 24 hours later it is 00:30 of the 30th.
    late = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)
    answer = await changed(drips, place.id, EnrollmentChange.RELEASE, late)
    assert answer.step is not None
    assert answer.step.wakes_at == datetime(2026, 3, 29, 7, 0, tzinfo=UTC)


async def test_access_is_warned_of_and_ends_once(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, WEEK, Manual(), code="python-cohort", capacity=12)
    ends_at = BEGAN + 30 * DAY
    await set_place(drips.sessions, place.id, access_ends_at=ends_at)
    assert (await advance(drips, place.id, TOLD)).wakes_at == ends_at - 7 * DAY
    for moment, template, wakes_at in (
        (ends_at - 7 * DAY, MailTemplate.ACCESS_ENDING, ends_at - DAY),
        (ends_at - DAY, MailTemplate.ACCESS_ENDING, ends_at),
        (ends_at, MailTemplate.ACCESS_ENDED, None),
    ):
        step = await advance(drips, place.id, moment)
        mail = step.mails[-1]
        assert (mail.template, step.wakes_at) == (template, wakes_at)
        await post(drips.sessions, step.student_id, mail)
        again = await advance(drips, place.id, moment)
        assert mail not in again.mails
    assert (step.status, step.is_over) == (EnrollmentStatus.EXPIRED, True)
    await seats_add_up(drips.sessions)
    # More time: it is active again, and its new end is told anew.
    later = ends_at + 60 * DAY
    more = await changed(drips, place.id, EnrollmentChange.SET_ACCESS, ends_at + DAY, access_ends_at=later)
    assert (more.status, more.access_ends_at) == (EnrollmentStatus.ACTIVE, later)
    await seats_add_up(drips.sessions)
    step = await advance(drips, place.id, later - 7 * DAY)
    assert [each.template for each in step.mails if each.template is not MailTemplate.LESSONS_RELEASED] == [
        MailTemplate.ACCESS_ENDING
    ]


async def test_a_pause_freezes_time_and_access(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, WEEK, access_rule=AccessRule.DAYS_AFTER_ENROLLMENT, access_days=20)
    await set_place(drips.sessions, place.id, access_ends_at=BEGAN + 20 * DAY)
    await advance(drips, place.id, BEGAN)
    until = BEGAN + 40 * DAY
    paused = await changed(drips, place.id, EnrollmentChange.PAUSE, BEGAN + DAY, until=until)
    assert (paused.paused_until, paused.step and paused.step.is_paused, paused.step and paused.step.wakes_at) == (
        until, True, until,
    )  # fmt: skip
    asleep = await advance(drips, place.id, BEGAN + 25 * DAY)
    assert (asleep.released, asleep.status, asleep.mails) == (0, EnrollmentStatus.ACTIVE, ())
    again = await change(drips, place.id, EnrollmentChange.PAUSE, BEGAN + 2 * DAY)
    assert again.refusal is Reason.ENROLLMENT_PAUSED
    # Ten days of standing still make everything ten days later.
    resumed = await changed(drips, place.id, EnrollmentChange.RESUME, BEGAN + 11 * DAY)
    assert resumed.access_ends_at == BEGAN + 30 * DAY
    assert resumed.step is not None
    assert resumed.step.wakes_at == OPENS + 10 * DAY
    refused = await change(drips, place.id, EnrollmentChange.RESUME, BEGAN + 12 * DAY)
    assert refused.refusal is Reason.ENROLLMENT_NOT_PAUSED


async def test_a_pause_ends_by_itself(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately(), WEEK)
    await changed(drips, place.id, EnrollmentChange.PAUSE, BEGAN + DAY, until=BEGAN + 3 * DAY)
    step = await advance(drips, place.id, BEGAN + 3 * DAY)
    assert (step.is_paused, step.released) == (False, 1)
    assert step.wakes_at == OPENS + 2 * DAY
    too_long = await change(drips, place.id, EnrollmentChange.PAUSE, BEGAN + 4 * DAY, until=BEGAN + 190 * DAY)
    assert too_long.refusal is Reason.PAUSE_TOO_LONG


async def test_nothing_opens_while_suspended_and_what_was_due_does_afterwards(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately(), WEEK)
    await advance(drips, place.id, BEGAN)
    await changed(drips, place.id, EnrollmentChange.SUSPEND, BEGAN + DAY)
    step = await advance(drips, place.id, OPENS + DAY)
    assert (step.status, step.released, step.is_over) == (EnrollmentStatus.SUSPENDED, 1, True)
    back = await changed(drips, place.id, EnrollmentChange.REACTIVATE, OPENS + 2 * DAY)
    assert back.opened == (place.lessons[1],)


async def test_a_change_is_made_once(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Manual(), AfterLesson(lesson_id=uuid4()))
    change_id = uuid4()
    first = await changed(drips, place.id, EnrollmentChange.RELEASE, BEGAN, change_id=change_id)
    assert await changed(drips, place.id, EnrollmentChange.RELEASE, BEGAN, change_id=change_id) == first
    for word, said in ((EnrollmentChange.SUSPEND, {}), (EnrollmentChange.RELEASE, {"lesson_ids": place.lessons[:1]})):
        other = await change(drips, place.id, word, BEGAN, change_id=change_id, **said)
        assert other.refusal is Reason.IDEMPOTENCY_KEY_REUSED
    count = select(func.count()).where(col(AuditEntry.subject_id) == place.id, col(AuditEntry.reason) == "release")
    async with drips.sessions() as session:
        assert (await session.execute(count)).scalar_one() == 1


async def test_nobody_changes_an_enrollment_of_their_own(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Manual())
    own = f"staff:{(await place_of(drips.sessions, place.id)).student_id}"
    refused = await change(drips, place.id, EnrollmentChange.RELEASE, BEGAN, actor=own)
    assert refused.refusal is Reason.ROLE_NOT_ALLOWED
    assert await releases_of(drips.sessions, place.id) == {}


async def test_moving_the_start_opens_what_is_due_then_and_locks_nothing(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately(), WEEK)
    await advance(drips, place.id, BEGAN)
    moved = await changed(drips, place.id, EnrollmentChange.MOVE_START, BEGAN + DAY, starts_at=BEGAN - 10 * DAY)
    assert moved.opened == (place.lessons[1],)
    later = await changed(drips, place.id, EnrollmentChange.MOVE_START, BEGAN + 2 * DAY, starts_at=BEGAN + 50 * DAY)
    assert later.step is not None
    assert (later.opened, later.step.released) == ((), 2)


async def test_an_end_of_access_that_was_bought_anew_stays(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately())
    await set_place(drips.sessions, place.id, status=EnrollmentStatus.EXPIRED, access_ends_at=BEGAN)
    await enrolled(drips.sessions, Immediately())
    refused = await change(drips, place.id, EnrollmentChange.SET_ACCESS, BEGAN + DAY)
    assert (refused.refusal, refused.status) == (Reason.ALREADY_ENROLLED, EnrollmentStatus.EXPIRED)


async def test_who_was_not_looked_at_in_time_is_found(drips: DripActivities) -> None:
    never = await enrolled(drips.sessions, Immediately())
    assert await late(drips.sessions) == [never.id]
    idle = await advance(drips, never.id, now())
    assert (idle.is_over, idle.status, idle.wakes_at) == (True, EnrollmentStatus.ACTIVE, None)
    # Nothing is due by itself: no job follows it, and none is started for it.
    assert await late(drips.sessions) == []
    await set_place(drips.sessions, never.id, status=EnrollmentStatus.CANCELED, wakes_at=now() - DAY)
    assert await late(drips.sessions) == [never.id]
    over = await advance(drips, never.id, now())
    assert (over.is_over, (await place_of(drips.sessions, never.id)).wakes_at) == (True, None)
    assert await late(drips.sessions) == []


async def late(sessions: Sessions) -> list[UUID]:
    """Those whom the sweep finds, two at a time."""
    found: list[UUID] = []
    after = None
    async with sessions() as session:
        while page := await late_enrollments(session, 2, after):
            after = page[-1][0]
            found += [place.enrollment_id for place, _ in page]
    return found


async def test_the_sweep_goes_on_after_those_that_do_not_answer(drips: DripActivities) -> None:
    _, place_ids = await write_places(drips.sessions, 7)
    since = now() - 9 * DAY
    for number, place_id in enumerate(place_ids):
        late_since = {"wakes_at": since + number // 3 * DAY, "planned_at": since} if number < 4 else {}
        await set_place(drips.sessions, place_id, enrolled_at=since + number // 3 * DAY, **late_since)
    found = await late(drips.sessions)
    assert (sorted(found), sorted(found[:3])) == (sorted(place_ids), sorted(place_ids[:3]))


async def test_many_steps_at_once_open_and_end_once(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, *[WEEK] * 5, code="thesis-seminar")
    await set_place(drips.sessions, place.id, access_ends_at=BEGAN + 30 * DAY)
    steps = await asyncio.gather(*(advance(drips, place.id, TOLD) for _ in range(6)))
    assert {(step.released, step.mails) for step in steps} == {(5, steps[0].mails)}
    assert len(await releases_of(drips.sessions, place.id)) == 5
    steps = await asyncio.gather(*(advance(drips, place.id, BEGAN + 30 * DAY) for _ in range(6)))
    assert {step.status for step in steps} == {EnrollmentStatus.EXPIRED}
    await seats_add_up(drips.sessions)
    ends = select(func.count()).where(col(AuditEntry.subject_id) == place.id, col(AuditEntry.to_state) == "expired")
    async with drips.sessions() as session:
        assert (await session.execute(ends)).scalar_one() == 1


async def test_an_enrollment_that_there_is_not(drips: DripActivities) -> None:
    with pytest.raises(ApplicationError) as failed:
        await advance(drips, uuid4(), BEGAN)
    assert (failed.value.type, failed.value.non_retryable) == (Reason.NOT_FOUND, True)


@pytest.mark.parametrize("count", [1, 40])
async def test_the_statements_of_a_step_do_not_grow_with_the_lessons(
    drips: DripActivities, engine: AsyncEngine, count: int
) -> None:
    place = await enrolled(drips.sessions, *[WEEK] * count)
    with statements_of(engine) as sent:
        await advance(drips, place.id, OPENS)
    assert len(sent) == 7
    with statements_of(engine) as sent:
        await advance(drips, place.id, TOLD)
    assert len(sent) == 8  # with what is told, and the mails that are known
