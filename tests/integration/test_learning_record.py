"""What is told of lessons, hours and meetings: attempts and what counts of them, completion, refunds, refusals."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.database import Sessions
from activities.drips import DripActivities
from activities.orders import OrderActivities
from models.drip import AfterLesson, AfterModule, AfterRegistration, AfterStart, Immediately, Manual
from models.errors import Reason
from models.tables import (
    AuditEntry,
    Certificate,
    CertificateTemplate,
    ClassSession,
    CourseCertificate,
    CourseModule,
    LessonAttempt,
    LessonProgress,
    LessonRecord,
    LessonSlot,
)
from models.vocabulary import (
    AccessRule,
    Attendance,
    CertificateOrigin,
    CompletionRule,
    EnrollmentChange,
    EnrollmentStatus,
    GradeRule,
    Judgement,
    LessonOutcome,
    LessonStatus,
    RefundGround,
    RefundPolicy,
    SlotStatus,
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
    releases_of,
    set_lesson,
    set_place,
    tell,
    telling,
)
from tests.integration.order_steps import seats_add_up, statements_of

HOUR = timedelta(hours=1)


@pytest.fixture
def drips(orders: OrderActivities) -> DripActivities:
    return DripActivities(orders.sessions)


async def graded(drips: DripActivities, *, rule: GradeRule = GradeRule.HIGHEST, attempts: int = 0) -> Place:
    """A place in a course of one lesson of 100 marks, passed with 60, and of one that opens when it is passed."""
    place = await enrolled(drips.sessions, Immediately(), completion_rule=CompletionRule.PASS_ALL)
    [first] = place.lessons
    await set_lesson(drips.sessions, first, total_marks=100, passing_marks=60, grade_rule=rule, max_attempts=attempts)
    return place


# ---- attempts ----


async def test_a_lesson_that_is_done_opens_the_next_and_the_last_completes_the_course(drips: DripActivities) -> None:
    first = uuid4()
    place = await enrolled(drips.sessions, Immediately(), Immediately(), completion_rule=CompletionRule.COMPLETE_ALL)
    first, second = place.lessons
    await set_lesson(drips.sessions, second, drip_rule={"kind": "after_lesson", "lesson_id": str(first)})

    early = await tell(drips, place.id, second, BEGAN + HOUR, is_finished=True)
    assert (early.refusal, early.refusal_moment) == (Reason.LESSON_NOT_OPEN, None)
    assert early.refusal_detail == f"The lesson opens when lesson {first} is completed."
    done = await finish(drips, place.id, first, BEGAN + 2 * HOUR)
    assert (done.opened, done.progress_percent, done.is_course_complete) == ((second,), 50, False)
    assert (done.status, done.attempts, done.attempts_left) == (LessonStatus.COMPLETED, 1, None)

    last = await finish(drips, place.id, second, BEGAN + 3 * HOUR)
    assert (last.progress_percent, last.is_course_complete) == (100, True)
    after = await place_of(drips.sessions, place.id)
    assert (after.status, after.started_at, after.completed_at) == ("completed", BEGAN + 2 * HOUR, BEGAN + 3 * HOUR)
    # Once: looking again, and learning on, changes nothing.
    await finish(drips, place.id, second, BEGAN + DAY)
    assert (await place_of(drips.sessions, place.id)).completed_at == BEGAN + 3 * HOUR
    query = select(func.count()).where(col(AuditEntry.subject_id) == place.id, col(AuditEntry.to_state) == "completed")
    async with drips.sessions() as session:
        assert (await session.execute(query)).scalar_one() == 1


async def test_the_same_attempt_is_written_once(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately(), Immediately())
    step = telling(place.id, place.lessons[0], BEGAN, is_finished=True, time_spent_seconds=60)
    first = await drips.record_lesson(step)
    assert await drips.record_lesson(step) == first
    await tell(drips, place.id, place.lessons[0], BEGAN + HOUR, time_spent_seconds=30)
    assert (await drips.record_lesson(step)).attempts == 1
    other = step.told.model_copy(update={"lesson_id": place.lessons[1]})
    refused = await drips.record_lesson(step.model_copy(update={"told": other}))
    assert refused.refusal is Reason.IDEMPOTENCY_KEY_REUSED
    async with drips.sessions() as session:
        assert (await session.execute(select(func.count()).select_from(LessonAttempt))).scalar_one() == 1
        assert (await session.execute(select(func.count()).select_from(LessonRecord))).scalar_one() == 1


@pytest.mark.parametrize(
    ("rule", "counts"),
    [(GradeRule.HIGHEST, 90), (GradeRule.AVERAGE, 60), (GradeRule.FIRST, 30), (GradeRule.LAST, 60)],
)
async def test_which_of_three_attempts_counts(drips: DripActivities, rule: GradeRule, counts: int) -> None:
    place = await graded(drips, rule=rule, attempts=3)
    [first] = place.lessons
    for number, score in enumerate((30, 90, 60)):
        answer = await finish(drips, place.id, first, BEGAN + number * HOUR, score=score, actor="tutor:7")
    assert (answer.score, answer.attempts, answer.attempts_left) == (Decimal(counts), 3, 0)
    assert answer.status is (LessonStatus.PASSED if counts >= 60 else LessonStatus.FAILED)
    used_up = await tell(drips, place.id, first, BEGAN + DAY, is_finished=True, score=99)
    assert used_up.refusal is Reason.ATTEMPTS_USED_UP


async def test_scores_are_where_they_belong(drips: DripActivities) -> None:
    place = await graded(drips)
    [first] = place.lessons
    assert (await tell(drips, place.id, first, BEGAN, is_finished=True)).refusal is Reason.SCORE_REQUIRED
    assert (await tell(drips, place.id, first, BEGAN, score=101)).refusal is Reason.SCORE_NOT_ALLOWED
    plain = await enrolled(drips.sessions, Immediately(), code="calligraphy")
    assert (await tell(drips, plain.id, plain.lessons[0], BEGAN, score=1)).refusal is Reason.SCORE_NOT_ALLOWED


async def test_a_failed_course_is_completed_when_it_is_passed(drips: DripActivities) -> None:
    place = await graded(drips)
    [first] = place.lessons
    failed = await finish(drips, place.id, first, BEGAN, score=20)
    assert (failed.status, failed.is_course_complete, failed.progress_percent) == (LessonStatus.FAILED, False, 100)
    passed = await finish(drips, place.id, first, BEGAN + HOUR, score=80)
    assert (passed.status, passed.is_course_complete) == (LessonStatus.PASSED, True)


async def test_a_score_and_a_part_of_a_module_open_lessons(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately(), Immediately(), Immediately())
    first, second, third = place.lessons
    module = CourseModule(course_id=sample_id("course", "photography"), position=1, title="One")
    async with drips.sessions.begin() as session:
        session.add(module)
    by_score = AfterLesson(lesson_id=first, min_score=Decimal(80)).model_dump(mode="json")
    by_module = AfterModule(module_id=module.id, percent=50).model_dump(mode="json")
    await set_lesson(drips.sessions, first, total_marks=100, passing_marks=50, module_id=module.id)
    await set_lesson(drips.sessions, second, drip_rule=by_score, module_id=module.id)
    await set_lesson(drips.sessions, third, drip_rule=by_module)
    low = await finish(drips, place.id, first, BEGAN, score=60)
    assert low.opened == (first, third)
    assert (await finish(drips, place.id, first, BEGAN + HOUR, score=85)).opened == (second,)


# ---- progress without an attempt, first start ----


async def test_time_and_position_are_kept_and_the_first_start_counts(drips: DripActivities) -> None:
    place = await enrolled(
        drips.sessions, Immediately(), AfterStart(amount=2), access_rule=AccessRule.DAYS_AFTER_START, access_days=30
    )
    [first, second] = place.lessons
    step = telling(place.id, first, BEGAN + DAY, time_spent_seconds=60, current_position=3, total_content=10)
    answer = await drips.record_lesson(step)
    assert (answer.status, answer.attempts, answer.progress_percent) == (LessonStatus.IN_PROGRESS, 0, 0)
    assert (await drips.record_lesson(step)).step == answer.step
    after = await place_of(drips.sessions, place.id)
    assert (after.started_at, after.access_ends_at) == (BEGAN + DAY, BEGAN + 31 * DAY)
    assert (await advance(drips, place.id, BEGAN + 3 * DAY)).released == 2
    assert second in await releases_of(drips.sessions, place.id)
    finished = await finish(drips, place.id, first, BEGAN + 4 * DAY, time_spent_seconds=40)
    assert finished.status is LessonStatus.COMPLETED
    async with drips.sessions() as session:
        progress = await session.get_one(LessonProgress, (place.id, first))
    assert (progress.time_spent_seconds, progress.current_position, progress.total_content) == (100, 3, 10)


# ---- refusals ----


async def test_what_is_not_open_is_refused_with_its_date(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, AfterRegistration(amount=30, unit="hours"))
    refused = await tell(drips, place.id, place.lessons[0], BEGAN + HOUR, is_finished=True)
    assert (refused.refusal, refused.refusal_moment) == (Reason.LESSON_NOT_OPEN, BEGAN + 30 * HOUR)
    assert refused.step is not None
    # What is due is open, also before anybody has looked.
    due = await finish(drips, place.id, place.lessons[0], BEGAN + 30 * HOUR)
    assert due.opened == (place.lessons[0],)
    assert (await tell(drips, place.id, uuid4(), BEGAN, is_finished=True)).refusal is Reason.NOT_FOUND
    assert (await tell(drips, uuid4(), place.lessons[0], BEGAN)).refusal is Reason.NOT_FOUND


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (EnrollmentStatus.EXPIRED, Reason.ENROLLMENT_EXPIRED),
        (EnrollmentStatus.SUSPENDED, Reason.ENROLLMENT_SUSPENDED),
        (EnrollmentStatus.CANCELED, Reason.ENROLLMENT_NOT_ACTIVE),
    ],
)
@pytest.mark.parametrize("told", [{"is_finished": True}, {"outcome": LessonOutcome.COMPLETED}])
async def test_an_enrollment_that_is_not_learned_in(
    drips: DripActivities, status: EnrollmentStatus, reason: Reason, told: dict[str, object]
) -> None:
    place = await enrolled(drips.sessions, Immediately())
    await set_place(drips.sessions, place.id, status=status)
    assert (await tell(drips, place.id, place.lessons[0], BEGAN, **told)).refusal is reason


async def test_access_that_ends_ends_learning_at_that_moment(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately())
    await set_place(drips.sessions, place.id, access_ends_at=BEGAN + DAY)
    await finish(drips, place.id, place.lessons[0], BEGAN + DAY - HOUR)
    late = await tell(drips, place.id, place.lessons[0], BEGAN + DAY, is_finished=True)
    assert (late.refusal, late.step and late.step.status) == (Reason.ENROLLMENT_EXPIRED, EnrollmentStatus.EXPIRED)
    assert late.refusal_moment == BEGAN + DAY
    refused = await change(drips, place.id, EnrollmentChange.RELEASE, BEGAN + 2 * DAY)
    assert (refused.refusal, refused.refusal_moment) == (Reason.ENROLLMENT_EXPIRED, BEGAN + DAY)


async def test_nothing_is_learned_in_a_pause(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately())
    await changed(drips, place.id, EnrollmentChange.PAUSE, BEGAN, until=BEGAN + DAY)
    refused = await tell(drips, place.id, place.lessons[0], BEGAN + HOUR, is_finished=True)
    assert (refused.refusal, refused.refusal_moment) == (Reason.ENROLLMENT_PAUSED, BEGAN + DAY)
    await finish(drips, place.id, place.lessons[0], BEGAN + DAY)


# ---- completion, judgement, reset, certificates, refunds ----


async def test_a_lesson_that_was_not_held_after_all_is_not_done(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately(), Manual(), Immediately(), completion_rule="complete_all")
    first, closed, third = place.lessons
    await set_lesson(drips.sessions, third, drip_rule={"kind": "after_lesson", "lesson_id": str(first)})
    held = {"outcome": LessonOutcome.COMPLETED, "actor": "tutor:7"}
    not_held = {"outcome": LessonOutcome.CANCELED, "actor": "staff:7", "may_correct": True}
    for lesson, percent in ((first, 33), (closed, 66)):
        assert (await tell(drips, place.id, lesson, BEGAN, **held)).progress_percent == percent
    for lesson, percent in ((first, 33), (closed, 0)):
        for _ in range(2):
            corrected = await tell(drips, place.id, lesson, BEGAN + HOUR, **not_held)
            assert (corrected.outcome, corrected.status, corrected.progress_percent) == (
                LessonOutcome.CANCELED, LessonStatus.IN_PROGRESS, percent,
            )  # fmt: skip
    # What was open stays open, also what nothing but its tutor had opened.
    assert (await releases_of(drips.sessions, place.id)).keys() == set(place.lessons)

    again = await tell(drips, place.id, first, BEGAN + 2 * HOUR, **{**held, **not_held, "outcome": held["outcome"]})
    assert (again.status, again.progress_percent) == (LessonStatus.COMPLETED, 33)
    # An attempt is more than what was said of the lesson.
    await finish(drips, place.id, third, BEGAN + 2 * HOUR)
    assert (await tell(drips, place.id, third, BEGAN + 3 * HOUR, **not_held)).progress_percent == 66
    completed = await finish(drips, place.id, closed, BEGAN + 3 * HOUR)
    assert completed.is_course_complete
    stays = await tell(drips, place.id, first, BEGAN + 4 * HOUR, **not_held)
    assert (stays.status, stays.progress_percent, stays.is_course_complete) == (LessonStatus.COMPLETED, 100, True)


async def test_staff_judges_when_everything_is_done(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately(), completion_rule=CompletionRule.JUDGED)
    assert not (await advance(drips, place.id, BEGAN)).wants_judgement
    done = await finish(drips, place.id, place.lessons[0], BEGAN)
    assert done.step is not None
    assert (done.step.wants_judgement, done.is_course_complete) == (True, False)
    judged = await changed(drips, place.id, EnrollmentChange.JUDGE, BEGAN + HOUR, judgement=Judgement.PASSED)
    assert (judged.status, judged.step and judged.step.wants_judgement) == (EnrollmentStatus.COMPLETED, False)
    plain = await enrolled(drips.sessions, Immediately(), completion_rule=CompletionRule.NA, code="calligraphy")
    refused = await change(drips, plain.id, EnrollmentChange.JUDGE, BEGAN, judgement=Judgement.PASSED)
    assert refused.refusal is Reason.NOT_JUDGED


async def test_a_certificate_is_wanted_until_there_is_one_and_keeps_the_progress(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately(), completion_rule=CompletionRule.COMPLETE_ALL)
    templates = [CertificateTemplate(name=name, title=name) for name in ("plain", "second")]
    async with drips.sessions.begin() as session:
        session.add_all(templates)
        await session.flush()
        for each in templates:
            session.add(CourseCertificate(course_id=sample_id("course", "photography"), template_id=each.id))
    done = await finish(drips, place.id, place.lessons[0], BEGAN)
    assert done.step is not None
    assert done.step.wants_certificate
    assert (await advance(drips, place.id, BEGAN)).wants_certificate
    for each, is_wanted in zip(templates, (True, False), strict=True):
        async with drips.sessions.begin() as session:
            session.add(
                Certificate(
                    enrollment_id=place.id, template_id=each.id, template_version=1, number=f"TEST-{each.name}",
                    code=each.name, facts={}, origin=CertificateOrigin.COMPLETION,
                )
            )  # fmt: skip
        assert (await advance(drips, place.id, BEGAN)).wants_certificate is is_wanted
    refused = await change(drips, place.id, EnrollmentChange.RESET, BEGAN)
    assert refused.refusal is Reason.CERTIFICATE_NOT_REVOKED


async def test_who_has_a_certificate_of_the_learning_platform_gets_no_other_by_completion(
    drips: DripActivities,
) -> None:
    place = await enrolled(drips.sessions, Immediately(), completion_rule=CompletionRule.COMPLETE_ALL)
    template = CertificateTemplate(name="plain", title="Plain")
    async with drips.sessions.begin() as session:
        session.add(template)
        await session.flush()
        session.add(CourseCertificate(course_id=sample_id("course", "photography"), template_id=template.id))
        session.add(Certificate(enrollment_id=place.id))
    done = await finish(drips, place.id, place.lessons[0], BEGAN)
    assert done.step is not None
    assert not done.step.wants_certificate


async def test_a_reset_begins_anew_and_locks_nothing(drips: DripActivities) -> None:
    place = await enrolled(
        drips.sessions, Immediately(), completion_rule=CompletionRule.COMPLETE_ALL, code="thesis-seminar"
    )
    await finish(drips, place.id, place.lessons[0], BEGAN)
    await seats_add_up(drips.sessions)
    reset = await changed(drips, place.id, EnrollmentChange.RESET, BEGAN + HOUR)
    assert (reset.status, reset.step and reset.step.released) == (EnrollmentStatus.ACTIVE, 1)
    await seats_add_up(drips.sessions)
    again = await finish(drips, place.id, place.lessons[0], BEGAN + DAY)
    assert (again.attempts, again.is_course_complete) == (1, True)
    async with drips.sessions() as session:
        assert (await session.execute(select(func.count()).select_from(LessonRecord))).scalar_one() == 1


async def test_the_answer_says_whether_the_money_can_still_go_back(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately(), Immediately(), completion_rule=CompletionRule.COMPLETE_ALL)
    await set_place(drips.sessions, place.id, refund_policy=RefundPolicy.FIRST_LESSON)
    first = await tell(drips, place.id, place.lessons[0], BEGAN, outcome=LessonOutcome.COMPLETED, actor="tutor:7")
    assert (first.is_refund_possible, first.refund_grounds) == (True, (RefundGround.FIRST_LESSON_DONE,))
    # An hour that its tutor has held is done: it counts for the course, too.
    assert (first.status, first.outcome, first.progress_percent) == (LessonStatus.COMPLETED, "completed", 50)
    second = await finish(drips, place.id, place.lessons[1], BEGAN + HOUR)
    assert (second.is_course_complete, second.refund_grounds) == (True, (RefundGround.SECOND_LESSON_DONE,))


# ---- hours and meetings ----


async def a_pack(sessions: Sessions, hours: int = 3) -> tuple[Place, list[UUID]]:
    """A place with booked hours of an hour each, day by day from the enrollment on."""
    place = await enrolled(sessions, code="ukrainian-pack", completion_rule=CompletionRule.COMPLETE_ALL)
    enrollment = await place_of(sessions, place.id)
    slots = [
        LessonSlot(
            course_id=enrollment.course_id, tutor_id=sample_id("person", "olena"), starts_at=BEGAN + day * DAY,
            ends_at=BEGAN + day * DAY + HOUR, status=SlotStatus.BOOKED, student_id=enrollment.student_id,
            order_line_id=enrollment.order_line_id,
        )
        for day in range(1, hours + 1)
    ]  # fmt: skip
    async with sessions.begin() as session:
        session.add_all(slots)
    return place, [slot.id for slot in slots]


async def test_a_pack_is_completed_when_its_hours_are_held(drips: DripActivities) -> None:
    place, [first, second, third] = await a_pack(drips.sessions)
    step = await advance(drips, place.id, BEGAN)
    assert step.wakes_at == BEGAN + 4 * DAY + HOUR
    early = await tell(drips, place.id, first, BEGAN, attendance=Attendance.ATTENDED, actor="tutor:7")
    assert early.refusal is Reason.LESSON_NOT_BEGUN
    came = await tell(drips, place.id, first, BEGAN + DAY + HOUR, attendance=Attendance.LATE, actor="tutor:7")
    assert (came.outcome, came.attendance, came.progress_percent) == (LessonOutcome.COMPLETED, Attendance.LATE, 33)
    missed = await tell(drips, place.id, second, BEGAN + 2 * DAY + HOUR, attendance=Attendance.ABSENT, actor="tutor:7")
    assert (missed.outcome, missed.progress_percent) == (LessonOutcome.STUDENT_NO_SHOW, 66)
    # Nobody says a word about the last one: three days after its end it was held.
    silent = BEGAN + 3 * DAY + HOUR
    assert (await advance(drips, place.id, silent + 71 * HOUR)).wakes_at == silent + 72 * HOUR
    over = await advance(drips, place.id, silent + 72 * HOUR)
    assert (over.status, over.is_completed) == (EnrollmentStatus.COMPLETED, True)
    await advance(drips, place.id, silent + 73 * HOUR)
    async with drips.sessions() as session:
        said = await session.execute(
            select(col(LessonRecord.recorded_by), col(LessonRecord.attendance)).where(
                col(LessonRecord.slot_id) == third
            )
        )
        assert [tuple(row) for row in said] == [("system", "attended")]
    # Staff may still correct what nobody had said.
    fixed = await tell(
        drips, place.id, third, silent + 80 * HOUR, attendance=Attendance.ABSENT, actor="staff:7", may_correct=True
    )
    assert (fixed.refusal, fixed.outcome) == (None, LessonOutcome.STUDENT_NO_SHOW)


async def test_an_hour_that_did_not_take_place_is_free_again_and_not_done(drips: DripActivities) -> None:
    place, [first, *_] = await a_pack(drips.sessions)
    gone = await tell(drips, place.id, first, BEGAN + DAY + HOUR, attendance=Attendance.TUTOR_NO_SHOW, actor="tutor:7")
    assert (gone.outcome, gone.progress_percent) == (LessonOutcome.TUTOR_NO_SHOW, 0)
    async with drips.sessions() as session:
        assert (await session.get_one(LessonSlot, first)).status == SlotStatus.FREE


async def test_meetings_are_progress_where_there_are_no_lessons_and_count_for_refunds(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, code="thesis-seminar", completion_rule=CompletionRule.PASS_ALL)
    course_id = sample_id("course", "thesis-seminar")
    days = (-1, 1, 2, 3)
    meetings = [
        ClassSession(course_id=course_id, title="Meeting", starts_at=BEGAN + n * DAY, ends_at=BEGAN + n * DAY + HOUR)
        for n in days
    ]
    meetings[3].canceled_at = BEGAN
    async with drips.sessions.begin() as session:
        await session.execute(delete(ClassSession).where(col(ClassSession.course_id) == course_id))
        session.add_all(meetings)
    before, first, second, canceled = [meeting.id for meeting in meetings]
    for unknown in (before, canceled):
        refused = await tell(drips, place.id, unknown, BEGAN + HOUR, attendance=Attendance.ATTENDED)
        assert refused.refusal is Reason.NOT_FOUND
    came = await tell(drips, place.id, first, BEGAN + DAY + HOUR, attendance=Attendance.ATTENDED, actor="tutor:7")
    assert (came.progress_percent, came.is_course_complete) == (50, False)
    assert RefundGround.TOO_MUCH_USED in came.refund_grounds  # one of two meetings
    assert (await advance(drips, place.id, BEGAN + 2 * DAY + 74 * HOUR)).is_completed
    async with drips.sessions() as session:
        told = select(col(LessonRecord.meeting_id), col(LessonRecord.recorded_by))
        assert {tuple(row) for row in await session.execute(told)} == {(first, "tutor:7"), (second, "system")}


@pytest.mark.parametrize("count", [2, 30])
async def test_the_statements_of_an_attempt_do_not_grow_with_the_lessons(
    drips: DripActivities, engine: AsyncEngine, count: int
) -> None:
    place = await enrolled(drips.sessions, *[Immediately()] * count)
    await advance(drips, place.id, BEGAN)
    with statements_of(engine) as sent:
        await finish(drips, place.id, place.lessons[0], BEGAN + HOUR)
    assert len(sent) == 20
