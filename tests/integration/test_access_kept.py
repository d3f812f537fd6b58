"""Access lasts as it was granted, prolonged or set: whatever is paused, edited, begun or handed over meanwhile."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select, update
from sqlmodel import col

from activities.course_changes import CourseChangeActivities
from activities.database import Sessions
from activities.drips import DripActivities
from activities.orders import OrderActivities
from activities.plans import plan_of
from activities.refund_facts import enrollment_to_refund
from activities.refund_requests import RefundRequestActivities
from activities.roll_call import RollCall, RollCalled, call_roll
from models.drip import Immediately
from models.errors import Reason
from models.identifiers import course_change_workflow_id
from models.messages.learning import CourseChangeRequest, CourseEdit, ReplanPage
from models.tables import ClassSession, Enrollment, EnrollmentPause, LessonRecord
from models.tables.columns import now
from models.vocabulary import (
    AccessRule,
    Attendance,
    CompletionRule,
    ContentChange,
    EnrollmentChange,
    EnrollmentStatus,
    LessonOutcome,
    ReleaseStatus,
)
from sandbox.sample_academy import sample_id
from tests.integration.learning_steps import (
    BEGAN,
    DAY,
    Place,
    advance,
    change,
    changed,
    enrolled,
    finish,
    place_of,
    set_place,
    teach,
    tell,
)
from tests.integration.many_places import write_places
from tests.integration.order_steps import enroll, enrollments_of, set_course
from tests.integration.test_course_changes import members, request
from tests.integration.test_learning_handed_over import standing
from tests.integration.test_learning_record import a_pack
from tests.integration.test_refund_requests import lessons_of
from tests.integration.test_staff_refunds import grant

HOUR = timedelta(hours=1)
CODE = "spanish-a1"


@pytest.fixture
def drips(orders: OrderActivities) -> DripActivities:
    return DripActivities(orders.sessions)


async def thirty_days(drips: DripActivities) -> Place:
    """A place in a course whose access ends thirty days after the enrollment."""
    place = await enrolled(drips.sessions, Immediately(), access_rule=AccessRule.DAYS_AFTER_ENROLLMENT, access_days=30)
    await set_place(drips.sessions, place.id, access_ends_at=BEGAN + 30 * DAY)
    return place


async def edited(drips: DripActivities, **course: object) -> None:
    edit = request(ContentChange.EDIT_COURSE, course=CourseEdit.model_validate(course))
    assert (await CourseChangeActivities(drips.sessions).begin_course_change(edit)).refusal is None


async def access_end_of(drips: DripActivities, place_id: UUID) -> datetime | None:
    return (await place_of(drips.sessions, place_id)).access_ends_at


# ---- pauses ----


async def test_what_was_held_is_told_in_a_pause_too(drips: DripActivities) -> None:
    place, [first, second, third] = await a_pack(drips.sessions)
    await changed(drips, place.id, EnrollmentChange.PAUSE, BEGAN + HOUR, until=BEGAN + 30 * DAY)
    missed = await tell(
        drips, place.id, first, BEGAN + DAY + HOUR, attendance=Attendance.TUTOR_NO_SHOW, actor="tutor:7"
    )
    assert (missed.refusal, missed.outcome) == (None, LessonOutcome.TUTOR_NO_SHOW)
    off = await tell(drips, place.id, second, BEGAN + 2 * DAY, outcome=LessonOutcome.CANCELED, actor="tutor:7")
    assert (off.refusal, off.outcome) == (None, LessonOutcome.CANCELED)
    step = await advance(drips, place.id, BEGAN + 20 * DAY)
    assert (step.status, step.is_paused) == (EnrollmentStatus.ACTIVE, True)
    async with drips.sessions() as session:
        told = select(col(LessonRecord.slot_id), col(LessonRecord.recorded_by))
        assert {tuple(row) for row in await session.execute(told)} == {
            (first, "tutor:7"), (second, "tutor:7"), (third, "system"),
        }  # fmt: skip


async def test_a_lesson_of_the_course_is_not_had_in_a_pause(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately())
    await changed(drips, place.id, EnrollmentChange.PAUSE, BEGAN, until=BEGAN + DAY)
    for said in ({"outcome": LessonOutcome.COMPLETED}, {"is_finished": True}, {"time_spent_seconds": 5}):
        refused = await tell(drips, place.id, place.lessons[0], BEGAN + HOUR, actor="tutor:7", **said)
        assert refused.refusal is Reason.ENROLLMENT_PAUSED


async def test_days_that_begin_with_an_hour_told_in_a_pause_do_not_pass_in_it(drips: DripActivities) -> None:
    place, [first, *_] = await a_pack(drips.sessions)
    await set_place(drips.sessions, place.id, access_days_from_start=60)
    until = BEGAN + 20 * DAY
    await changed(drips, place.id, EnrollmentChange.PAUSE, BEGAN + DAY + HOUR, until=until)
    told = BEGAN + 2 * DAY
    await tell(drips, place.id, first, told, attendance=Attendance.ATTENDED, actor="tutor:7")
    assert await access_end_of(drips, place.id) == until + 60 * DAY
    await changed(drips, place.id, EnrollmentChange.RESUME, BEGAN + 5 * DAY)
    assert await access_end_of(drips, place.id) == BEGAN + 5 * DAY + 60 * DAY


@pytest.mark.parametrize("rule", [AccessRule.UNLIMITED, AccessRule.UNTIL_DATE])
async def test_a_pause_is_undone_by_as_much_as_it_prolonged(drips: DripActivities, rule: AccessRule) -> None:
    place = await thirty_days(drips)
    await changed(drips, place.id, EnrollmentChange.PAUSE, BEGAN, until=BEGAN + 179 * DAY)
    await edited(drips, access_rule=rule, **({"access_until": now() + DAY} if rule is AccessRule.UNTIL_DATE else {}))
    resumed = await changed(drips, place.id, EnrollmentChange.RESUME, BEGAN + DAY)
    assert resumed.access_ends_at == BEGAN + 31 * DAY


async def test_a_pause_that_did_not_prolong_takes_nothing_away(drips: DripActivities) -> None:
    place = await enrolled(
        drips.sessions, Immediately(), access_rule=AccessRule.UNTIL_DATE, access_until=BEGAN + 100 * DAY
    )
    await set_place(drips.sessions, place.id, access_ends_at=BEGAN + 100 * DAY)
    await changed(drips, place.id, EnrollmentChange.PAUSE, BEGAN, until=BEGAN + 179 * DAY)
    await edited(drips, access_rule=AccessRule.DAYS_AFTER_ENROLLMENT, access_days=365)
    resumed = await changed(drips, place.id, EnrollmentChange.RESUME, BEGAN + DAY)
    assert resumed.access_ends_at == BEGAN + 100 * DAY


async def test_an_end_that_staff_has_set_stays_when_the_pause_ends(drips: DripActivities) -> None:
    place = await thirty_days(drips)
    await changed(drips, place.id, EnrollmentChange.PAUSE, BEGAN, until=BEGAN + 179 * DAY)
    await changed(drips, place.id, EnrollmentChange.SUSPEND, BEGAN + HOUR)
    await changed(drips, place.id, EnrollmentChange.SET_ACCESS, BEGAN + DAY, access_ends_at=BEGAN + 100 * DAY)
    await changed(drips, place.id, EnrollmentChange.REACTIVATE, BEGAN + DAY)
    resumed = await changed(drips, place.id, EnrollmentChange.RESUME, BEGAN + 2 * DAY)
    assert resumed.access_ends_at == BEGAN + 100 * DAY


@pytest.mark.parametrize(
    ("rule", "days", "kept"),
    [(AccessRule.DAYS_AFTER_ENROLLMENT, 60, timedelta(days=70)), (AccessRule.UNLIMITED, None, None)],
)
async def test_a_pause_that_is_handed_over_prolongs_the_new_place(
    orders: OrderActivities, rule: AccessRule, days: int | None, kept: timedelta | None
) -> None:
    sessions, drips = orders.sessions, DripActivities(orders.sessions)
    await set_course(sessions, CODE, starts_at=None, access_rule=AccessRule.DAYS_AFTER_ENROLLMENT, access_days=60)
    [place] = await enrollments_of(sessions, await enroll(sessions, orders, CODE))
    moment = now()
    await advance(drips, place.id, moment)
    await changed(drips, place.id, EnrollmentChange.PAUSE, moment, until=moment + 150 * DAY)
    await enroll(sessions, orders, "language-bundle")
    await set_course(sessions, CODE, access_rule=rule, access_days=days)
    await grant(RefundRequestActivities(sessions), place.id)
    lives_on = await standing(sessions)
    resumed = await changed(drips, lives_on.id, EnrollmentChange.RESUME, moment + 10 * DAY)
    if kept is None:
        assert resumed.access_ends_at is None
    else:
        assert resumed.access_ends_at is not None
        # The other order was complete a moment after the pause had begun.
        assert timedelta() <= resumed.access_ends_at - (moment + kept) < HOUR


# ---- a page of a change of all ----


async def followed_at(
    changes: CourseChangeActivities, wanted: CourseChangeRequest, moment: datetime
) -> tuple[int, int]:
    page = ReplanPage(
        change_id=wanted.change_id, moment=moment, workflow_id=course_change_workflow_id(wanted.change_id)
    )
    reached = await changes.follow_page(page)
    return reached.done, reached.refused


async def test_a_page_that_was_scheduled_before_somebody_paused(drips: DripActivities) -> None:
    changes = CourseChangeActivities(drips.sessions)
    place = await enrolled(drips.sessions, Immediately())
    wanted = members(EnrollmentChange.RESUME)
    assert (await changes.begin_course_change(wanted)).refusal is None
    later = BEGAN + timedelta(seconds=1)
    await changed(drips, place.id, EnrollmentChange.PAUSE, later, until=BEGAN + 30 * DAY)
    assert await followed_at(changes, wanted, BEGAN) == (1, 0)
    async with drips.sessions() as session:
        assert (await session.execute(select(col(EnrollmentPause.resumed_at)))).scalar_one() == later


async def test_what_cannot_be_written_for_one_does_not_stop_the_others(drips: DripActivities) -> None:
    sessions, changes = drips.sessions, CourseChangeActivities(drips.sessions)
    await teach(sessions, Immediately(), access_rule=AccessRule.DAYS_AFTER_ENROLLMENT, access_days=30)
    _, place_ids = await write_places(sessions, 4)
    beyond = datetime(9999, 12, 1, tzinfo=UTC)
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).values(enrolled_at=now() - DAY))
        one = update(Enrollment).where(col(Enrollment.id) == place_ids[1])
        await session.execute(one.values(access_ends_at=beyond))
    wanted = members(EnrollmentChange.PAUSE, until=now() + 90 * DAY)
    assert (await changes.begin_course_change(wanted)).refusal is None
    assert await followed_at(changes, wanted, now()) == (3, 1)


# ---- access that counts from the first start ----


async def from_start(drips: DripActivities) -> Place:
    """A place whose thirty days of access begin with its first lesson."""
    return await enrolled(drips.sessions, Immediately(), access_rule=AccessRule.DAYS_AFTER_START, access_days=30)


async def test_access_for_good_is_not_taken_back_by_the_first_start(drips: DripActivities) -> None:
    place = await from_start(drips)
    await changed(drips, place.id, EnrollmentChange.SET_ACCESS, BEGAN, access_ends_at=None)
    await finish(drips, place.id, place.lessons[0], BEGAN + DAY)
    assert await access_end_of(drips, place.id) is None


async def test_a_later_rule_of_the_course_changes_nothing_that_was_granted(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately())
    await edited(drips, access_rule=AccessRule.DAYS_AFTER_START, access_days=7)
    await finish(drips, place.id, place.lessons[0], BEGAN + DAY)
    assert await access_end_of(drips, place.id) is None


async def test_days_that_were_granted_begin_with_the_first_start_whatever_the_rule_is_then(
    drips: DripActivities,
) -> None:
    place = await from_start(drips)
    await edited(drips, access_rule=AccessRule.UNLIMITED)
    await finish(drips, place.id, place.lessons[0], BEGAN + DAY)
    assert await access_end_of(drips, place.id) == BEGAN + 31 * DAY


async def test_days_from_the_first_start_are_granted_with_the_place_and_handed_over(orders: OrderActivities) -> None:
    sessions, drips = orders.sessions, DripActivities(orders.sessions)
    await set_course(sessions, CODE, starts_at=None, access_rule=AccessRule.DAYS_AFTER_START, access_days=60)
    [place] = await enrollments_of(sessions, await enroll(sessions, orders, CODE))
    assert (place.access_days_from_start, place.access_ends_at) == (60, None)
    await enroll(sessions, orders, "language-bundle")
    await grant(RefundRequestActivities(sessions), place.id)
    lives_on = await standing(sessions)
    assert (lives_on.access_days_from_start, lives_on.access_ends_at) == (60, None)
    moment = now()
    await advance(drips, lives_on.id, moment)
    _, lesson, *_ = await lessons_of(sessions, CODE)
    await finish(drips, lives_on.id, lesson, moment + HOUR, actor="service:lms")
    assert await access_end_of(drips, lives_on.id) == moment + HOUR + 60 * DAY


# ---- the end of access ----


async def one_meeting(sessions: Sessions, rule: CompletionRule = CompletionRule.COMPLETE_ALL) -> tuple[Place, UUID]:
    """A place in a cohort whose access ends with its only meeting."""
    place = await enrolled(sessions, code="thesis-seminar", completion_rule=rule)
    course_id = sample_id("course", "thesis-seminar")
    meeting = ClassSession(course_id=course_id, title="Meeting", starts_at=BEGAN + DAY, ends_at=BEGAN + DAY + HOUR)
    async with sessions.begin() as session:
        await session.execute(delete(ClassSession).where(col(ClassSession.course_id) == course_id))
        session.add(meeting)
    await set_place(sessions, place.id, access_ends_at=meeting.ends_at)
    return place, meeting.id


async def test_a_course_that_ends_with_its_last_meeting_is_completed(drips: DripActivities) -> None:
    place, meeting_id = await one_meeting(drips.sessions)
    step = await advance(drips, place.id, BEGAN + 2 * DAY)
    assert (step.status, step.wakes_at) == (EnrollmentStatus.ACTIVE, BEGAN + DAY + 73 * HOUR)
    paused = await change(drips, place.id, EnrollmentChange.PAUSE, BEGAN + 2 * DAY)
    assert paused.refusal is Reason.ENROLLMENT_EXPIRED
    told = await tell(drips, place.id, meeting_id, BEGAN + 2 * DAY, attendance=Attendance.ATTENDED, actor="tutor:7")
    assert (told.refusal, told.is_course_complete) == (None, True)


async def test_a_meeting_in_a_pause_is_nobodys_until_somebody_speaks(drips: DripActivities) -> None:
    place, meeting_id = await one_meeting(drips.sessions)
    await set_place(drips.sessions, place.id, access_ends_at=None)
    await change(drips, place.id, EnrollmentChange.PAUSE, BEGAN + HOUR, until=BEGAN + 30 * DAY)
    step = await advance(drips, place.id, BEGAN + 6 * DAY)
    assert (step.is_completed, step.wakes_at) == (False, BEGAN + 30 * DAY)
    async with drips.sessions() as session:
        assert (await session.execute(select(func.count()).select_from(LessonRecord))).scalar_one() == 0
        refund = await enrollment_to_refund(session, place.id)
    assert refund is not None
    assert (refund.facts.lessons, refund.facts.lesson_count) == ((), 0)
    told = await tell(drips, place.id, meeting_id, BEGAN + 7 * DAY, attendance=Attendance.ATTENDED, actor="tutor:7")
    assert (told.refusal, told.is_course_complete) == (None, True)


async def test_lessons_are_closed_while_a_meeting_is_to_be_confirmed(drips: DripActivities) -> None:
    place, _ = await one_meeting(drips.sessions)
    [lesson] = await teach(drips.sessions, Immediately(), code="thesis-seminar")
    refused = await tell(drips, place.id, lesson, BEGAN + 2 * DAY, is_finished=True)
    assert (refused.refusal, refused.step and refused.step.status) == (
        Reason.ENROLLMENT_EXPIRED, EnrollmentStatus.ACTIVE,
    )  # fmt: skip
    had = await tell(drips, place.id, lesson, BEGAN + 2 * DAY, outcome=LessonOutcome.COMPLETED, actor="tutor:7")
    assert had.refusal is Reason.ENROLLMENT_EXPIRED
    async with drips.sessions() as session:
        planned = await plan_of(session, place.id, BEGAN + 2 * DAY)
    assert planned is not None
    assert [each.planned.status for each in planned.lessons] == [ReleaseStatus.SKIPPED]
    expired = await advance(drips, place.id, BEGAN + DAY + 73 * HOUR)
    assert (expired.status, expired.is_over) == (EnrollmentStatus.EXPIRED, True)


async def test_what_nobody_spoke_about_completes_before_access_is_over(drips: DripActivities) -> None:
    place, _ = await one_meeting(drips.sessions)
    assert (await advance(drips, place.id, BEGAN + 10 * DAY)).is_completed


async def test_a_place_expires_when_its_last_meeting_is_told_of(drips: DripActivities) -> None:
    place, meeting_id = await one_meeting(drips.sessions, CompletionRule.NA)
    await advance(drips, place.id, BEGAN + 2 * DAY)
    roll = RollCall(sample_id("course", "thesis-seminar"), meeting_id, {place.id: Attendance.ABSENT}, "tutor:7", False)
    async with drips.sessions.begin() as session:
        called = await call_roll(session, roll, BEGAN + 2 * DAY)
    assert isinstance(called, RollCalled)
    assert called.changed == (place.id,)
    step = await advance(drips, place.id, BEGAN + 2 * DAY)
    assert (step.status, step.is_over) == (EnrollmentStatus.EXPIRED, True)


async def test_a_meeting_after_the_end_of_access_is_none_of_the_place(drips: DripActivities) -> None:
    place, _ = await one_meeting(drips.sessions)
    later = ClassSession(
        course_id=sample_id("course", "thesis-seminar"), title="Later", starts_at=BEGAN + DAY, ends_at=BEGAN + 2 * DAY
    )
    async with drips.sessions.begin() as session:
        session.add(later)
    refused = await tell(drips, place.id, later.id, BEGAN + 2 * DAY, attendance=Attendance.ATTENDED, actor="tutor:7")
    assert refused.refusal is Reason.ENROLLMENT_EXPIRED
    roll = RollCall(later.course_id, later.id, {place.id: Attendance.ATTENDED}, "tutor:7", False)
    async with drips.sessions.begin() as session:
        called = await call_roll(session, roll, BEGAN + 2 * DAY)
    assert isinstance(called, RollCalled)
    assert called.refused == {place.id: Reason.ENROLLMENT_EXPIRED}


async def test_a_completed_place_is_not_begun_anew_after_its_access(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately(), completion_rule=CompletionRule.COMPLETE_ALL)
    await set_place(drips.sessions, place.id, access_ends_at=BEGAN + 5 * DAY)
    await finish(drips, place.id, place.lessons[0], BEGAN)
    refused = await change(drips, place.id, EnrollmentChange.RESET, BEGAN + 7 * DAY)
    assert refused.refusal is Reason.ENROLLMENT_EXPIRED
    assert (await place_of(drips.sessions, place.id)).status == EnrollmentStatus.COMPLETED
    await changed(drips, place.id, EnrollmentChange.SET_ACCESS, BEGAN + 7 * DAY, access_ends_at=None)
    await changed(drips, place.id, EnrollmentChange.RESET, BEGAN + 7 * DAY)
    after = await place_of(drips.sessions, place.id)
    assert (after.status, after.completed_at) == (EnrollmentStatus.ACTIVE, None)
