"""What is told of lessons a second time, told wrongly, told otherwise, or graded in another way afterwards."""

from decimal import Decimal

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from activities.certificate_eligibility import standing_of
from activities.course_changes import CourseChangeActivities
from activities.drips import DripActivities
from activities.orders import OrderActivities
from models.drip import AfterLesson, Immediately, Manual
from models.errors import Reason
from models.messages.learning import LessonEdit
from models.tables import (
    AuditEntry,
    CertificateTemplate,
    CourseCertificate,
    LessonProgress,
    LessonRecord,
    Person,
)
from models.vocabulary import (
    CertificateGround,
    CertificateOrigin,
    CompletionRule,
    ContentChange,
    EnrollmentChange,
    EnrollmentStatus,
    GradeRule,
    LessonOutcome,
    LessonStatus,
)
from sandbox.sample_academy import sample_id
from tests.integration.learning_steps import (
    BEGAN,
    DAY,
    Place,
    advance,
    changed,
    changing,
    enrolled,
    finish,
    place_of,
    set_lesson,
    tell,
    telling,
)
from tests.integration.test_course_changes import request
from tests.integration.test_learning_record import HOUR


@pytest.fixture
def drips(orders: OrderActivities) -> DripActivities:
    return DripActivities(orders.sessions)


async def graded(drips: DripActivities) -> Place:
    """A place in a course that is completed when its lesson of 100 marks is passed, with 80; there is one attempt."""
    place = await enrolled(drips.sessions, Immediately(), completion_rule=CompletionRule.PASS_ALL)
    await set_lesson(drips.sessions, place.lessons[0], total_marks=100, passing_marks=80, max_attempts=1)
    return place


async def edit(drips: DripActivities, place: Place, **lesson: object) -> None:
    wanted = request(ContentChange.EDIT_LESSON, lesson_id=place.lessons[0], lesson=LessonEdit.model_validate(lesson))
    assert (await CourseChangeActivities(drips.sessions).begin_course_change(wanted)).refusal is None


# ---- graded in another way ----


async def test_who_has_failed_has_passed_when_less_is_enough(drips: DripActivities) -> None:
    place = await graded(drips)
    failed = await finish(drips, place.id, place.lessons[0], BEGAN, score=60)
    assert (failed.status, failed.is_course_complete) == (LessonStatus.FAILED, False)
    await edit(drips, place, passing_marks=Decimal(50))
    step = await advance(drips, place.id, BEGAN + DAY)
    assert step.is_completed
    async with drips.sessions() as session:
        progress = await session.get_one(LessonProgress, (place.id, place.lessons[0]))
    assert (progress.status, progress.passed_at, progress.done_at) == (LessonStatus.PASSED, BEGAN + DAY, BEGAN)


async def test_another_grade_rule_counts_for_attempts_that_were_made(drips: DripActivities) -> None:
    place = await graded(drips)
    await set_lesson(drips.sessions, place.lessons[0], max_attempts=2, grade_rule=GradeRule.LAST)
    await finish(drips, place.id, place.lessons[0], BEGAN, score=90)
    last = await finish(drips, place.id, place.lessons[0], BEGAN, score=20)
    assert last.is_course_complete  # by the first
    async with drips.sessions() as session:
        progress = await session.get_one(LessonProgress, (place.id, place.lessons[0]))
    assert (progress.status, progress.score) == (LessonStatus.FAILED, 20)
    await edit(drips, place, grade_rule=GradeRule.HIGHEST)
    await advance(drips, place.id, BEGAN + DAY)
    async with drips.sessions() as session:
        progress = await session.get_one(LessonProgress, (place.id, place.lessons[0]))
    assert (progress.status, progress.score, progress.passed_at) == (LessonStatus.PASSED, 90, BEGAN)


# ---- told wrongly, or otherwise ----


async def test_nothing_is_written_of_what_is_refused(drips: DripActivities) -> None:
    place = await graded(drips)
    refused = await tell(
        drips, place.id, place.lessons[0], BEGAN, outcome=LessonOutcome.COMPLETED, score=200, actor="tutor:7"
    )
    assert refused.refusal is Reason.SCORE_NOT_ALLOWED
    async with drips.sessions() as session:
        assert (await session.execute(select(func.count()).select_from(LessonRecord))).scalar_one() == 0


@pytest.mark.parametrize("said", [LessonOutcome.CANCELED, LessonOutcome.TUTOR_NO_SHOW])
async def test_a_lesson_that_is_had_in_the_end_counts_as_had(drips: DripActivities, said: LessonOutcome) -> None:
    place = await enrolled(drips.sessions, Immediately())
    [lesson] = place.lessons
    await tell(drips, place.id, lesson, BEGAN, outcome=said, actor="tutor:7")
    for _ in range(2):
        await finish(drips, place.id, lesson, BEGAN + HOUR, actor="service:lms")
    async with drips.sessions() as session:
        record = (await session.execute(select(LessonRecord))).scalar_one()
        story = select(col(AuditEntry.from_state), col(AuditEntry.to_state), col(AuditEntry.actor)).where(
            col(AuditEntry.subject_id) == record.id, col(AuditEntry.from_state).is_not(None)
        )
        assert [tuple(row) for row in await session.execute(story)] == [(said, "completed", "service:lms")]
    assert (record.outcome, record.recorded_by) == (LessonOutcome.COMPLETED, "service:lms")


async def test_what_became_of_a_lesson_stays_when_it_was_held(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately())
    [lesson] = place.lessons
    await tell(drips, place.id, lesson, BEGAN, outcome=LessonOutcome.STUDENT_NO_SHOW, actor="tutor:7")
    await finish(drips, place.id, lesson, BEGAN + HOUR, actor="service:lms")
    async with drips.sessions() as session:
        record = (await session.execute(select(LessonRecord))).scalar_one()
    assert record.outcome == LessonOutcome.STUDENT_NO_SHOW


# ---- told again, at another moment: the answer of the first time was lost ----


async def test_time_is_counted_once(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately())
    step = telling(place.id, place.lessons[0], BEGAN, time_spent_seconds=60)
    await drips.record_lesson(step)
    await drips.record_lesson(step.model_copy(update={"moment": BEGAN + HOUR}))
    await tell(drips, place.id, place.lessons[0], BEGAN + HOUR, time_spent_seconds=5)
    async with drips.sessions() as session:
        progress = await session.get_one(LessonProgress, (place.id, place.lessons[0]))
    assert progress.time_spent_seconds == 65


async def test_an_attempt_answers_what_it_has_opened(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Immediately(), Manual())
    first, second = place.lessons
    after_first = AfterLesson(lesson_id=first).model_dump(mode="json")
    await set_lesson(drips.sessions, second, drip_rule=after_first)
    await advance(drips, place.id, BEGAN)
    for told in ({"is_finished": True}, {"outcome": LessonOutcome.COMPLETED}):
        step = telling(place.id, first, BEGAN + HOUR, actor="tutor:7", **told)
        assert (await drips.record_lesson(step)).opened == (second,)
        again = await drips.record_lesson(step.model_copy(update={"moment": BEGAN + 2 * HOUR}))
        assert again.opened == (second,)


async def test_a_change_answers_what_it_has_opened(drips: DripActivities) -> None:
    place = await enrolled(drips.sessions, Manual())
    step = changing(place.id, EnrollmentChange.RELEASE, BEGAN)
    first = await drips.change_enrollment(step)
    again = await drips.change_enrollment(step.model_copy(update={"moment": BEGAN + HOUR}))
    assert (first.opened, again.opened) == (tuple(place.lessons), tuple(place.lessons))


# ---- begun anew ----


async def test_nothing_is_certified_of_what_was_reset(drips: DripActivities) -> None:
    """The certificate waits for the name, which is confirmed when nothing of what was learned is left."""
    place = await enrolled(drips.sessions, Immediately(), completion_rule=CompletionRule.COMPLETE_ALL)
    template = CertificateTemplate(name="plain", title="Plain")
    async with drips.sessions.begin() as session:
        session.add(template)
        await session.flush()
        session.add(CourseCertificate(course_id=sample_id("course", "photography"), template_id=template.id))
    await finish(drips, place.id, place.lessons[0], BEGAN)
    reset = await changed(drips, place.id, EnrollmentChange.RESET, BEGAN + HOUR)
    assert reset.status is EnrollmentStatus.ACTIVE
    assert (await place_of(drips.sessions, place.id)).completed_at is None
    async with drips.sessions.begin() as session:
        person = await session.get_one(Person, sample_id("person", "grace"))
        person.legal_name, person.legal_name_confirmed_at = "Grace Hopper", BEGAN + HOUR
    async with drips.sessions() as session:
        standing = await standing_of(session, place.id, CertificateOrigin.COMPLETION)
    assert standing is not None
    assert CertificateGround.NOT_COMPLETED in standing.grounds
    again = await finish(drips, place.id, place.lessons[0], BEGAN + DAY)
    assert again.step is not None
    assert again.step.wants_certificate
    assert (await place_of(drips.sessions, place.id)).completed_at == BEGAN + DAY
