"""A place that lives on as that of another order keeps what was learned; the one that ends opens nothing more."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from activities.database import Sessions
from activities.drips import DripActivities
from activities.orders import OrderActivities
from activities.refund_requests import RefundRequestActivities
from models.tables import Enrollment, LessonAttempt
from models.tables.columns import now
from models.vocabulary import EnrollmentChange, EnrollmentStatus, LessonStatus
from tests.integration.learning_steps import advance, changed, finish, place_of, releases_of
from tests.integration.order_steps import LUKASZ, course, enroll, enrollments_of, seats_add_up, set_course
from tests.integration.test_refund_requests import lessons_of
from tests.integration.test_staff_refunds import grant

CODE = "spanish-a1"


async def standing(sessions: Sessions) -> Enrollment:
    """The one place in the course that is not canceled."""
    query = select(Enrollment).where(
        col(Enrollment.course_id) == course(CODE),
        col(Enrollment.student_id) == LUKASZ,
        col(Enrollment.status) != EnrollmentStatus.CANCELED,
    )
    async with sessions() as session:
        return (await session.execute(query)).scalar_one()


async def attempts_of(sessions: Sessions, place_id: UUID) -> list[UUID]:
    query = select(col(LessonAttempt.lesson_id)).where(col(LessonAttempt.enrollment_id) == place_id)
    async with sessions() as session:
        return list((await session.execute(query)).scalars())


async def test_progress_releases_pauses_and_the_clock_move_with_the_place(orders: OrderActivities) -> None:
    sessions, drips = orders.sessions, DripActivities(orders.sessions)
    await set_course(sessions, CODE, starts_at=None)
    [place] = await enrollments_of(sessions, await enroll(sessions, orders, CODE))
    _, lesson, *_ = await lessons_of(sessions, CODE)
    moment = now()
    await advance(drips, place.id, moment)
    done = await finish(drips, place.id, lesson, moment + timedelta(hours=1), actor="service:lms")
    assert done.step is not None
    until = moment + timedelta(days=9)
    await changed(drips, place.id, EnrollmentChange.PAUSE, moment + timedelta(hours=2), until=until)
    before = await releases_of(sessions, place.id)
    await enroll(sessions, orders, "language-bundle")
    await grant(RefundRequestActivities(sessions), place.id)

    ended, lives_on = await place_of(sessions, place.id), await standing(sessions)
    assert ended.status == EnrollmentStatus.CANCELED
    assert ended.wakes_at is not None
    assert ended.wakes_at <= now()
    assert (lives_on.clock_started_at, lives_on.started_at) == (place.enrolled_at, moment + timedelta(hours=1))
    assert set(await releases_of(sessions, lives_on.id)) == set(before)
    assert await attempts_of(sessions, lives_on.id) == [lesson]
    over = await advance(drips, place.id, moment + timedelta(days=20))
    assert (over.is_over, over.released, over.wakes_at, over.mails) == (True, 0, None, ())

    step = await advance(drips, lives_on.id, moment + timedelta(hours=3))
    assert (step.is_paused, step.wakes_at, step.released) == (True, until, done.step.released)
    again = await finish(drips, lives_on.id, lesson, moment + timedelta(days=10), actor="service:lms")
    assert (again.status, again.attempts) == (LessonStatus.COMPLETED, 2)
    await seats_add_up(sessions)
