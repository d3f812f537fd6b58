"""The letters to learners about a course of theirs: what has opened, and that access ends or has ended."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, exists, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.cart_links import unsubscribe_address
from activities.errand import Addressed, Draft, Skipped, link, page_of
from activities.mail_message import Mailing
from activities.one_line import one_line
from activities.subscriptions import token_of
from models.tables import Academy, Course, CourseModule, Enrollment, Lesson, LessonProgress, LessonRelease, Person
from models.vocabulary import EnrollmentStatus, MailList
from rules.access import is_about

_MOST_LESSONS = 12
# Who has an hour that is to be confirmed yet is active when access has ended.
_MAY_BE_OVER = (EnrollmentStatus.ACTIVE, EnrollmentStatus.COMPLETED, EnrollmentStatus.EXPIRED)


@dataclass(frozen=True)
class OpenLesson:
    """A lesson that has opened and was not begun with, and the mail that tells of it."""

    id: UUID
    title: str
    module: str | None
    mail_key: str


@dataclass(frozen=True)
class LearningFacts:
    """An enrollment, its learner and its course. `lessons` are worth telling, in the order of the course;
    `unsubscribe_token` is the key of the learner's link."""

    recipient: Person
    academy: Academy
    enrollment: Enrollment
    course: Course
    lessons: Sequence[OpenLesson] = ()
    unsubscribe_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class LearningErrand(Addressed[LearningFacts]):
    """One mail about an enrollment."""

    @property
    def course(self) -> str:
        """What is learned."""
        return one_line(self.facts.course.title)

    @property
    def lessons(self) -> list[OpenLesson]:
        """What this mail tells of."""
        return [lesson for lesson in self.facts.lessons if lesson.mail_key == self.occasion]


def learner_of(facts: LearningFacts) -> Collection[UUID]:
    """Whoever learns, also where somebody else has paid."""
    return (facts.enrollment.student_id,)


async def facts_of_access(session: AsyncSession, enrollment_id: UUID, recipient_id: UUID) -> LearningFacts | None:
    """The enrollment for a mail to this person; none if one of the two does not exist."""
    query = (
        select(Person, Academy, Enrollment, Course)
        .select_from(Enrollment)
        .join(Person, col(Person.id) == recipient_id)
        .join(Course, col(Course.id) == col(Enrollment.course_id))
        .join(Academy, true())
        .where(col(Enrollment.id) == enrollment_id)
    )
    found = (await session.execute(query)).one_or_none()
    return None if found is None else LearningFacts(*found)


async def facts_of_releases(session: AsyncSession, enrollment_id: UUID, recipient_id: UUID) -> LearningFacts | None:
    """The enrollment with what has opened, for a mail to this person; none if one of the two does not exist."""
    facts = await facts_of_access(session, enrollment_id, recipient_id)
    if facts is None:
        return None
    return LearningFacts(
        facts.recipient,
        facts.academy,
        facts.enrollment,
        facts.course,
        lessons=await open_lessons(session, enrollment_id),
        unsubscribe_token=await token_of(session, recipient_id, MailList.LEARNING),
    )


async def open_lessons(
    session: AsyncSession, enrollment_id: UUID, mail_key: str | None = None
) -> Sequence[OpenLesson]:  # fmt: skip
    """The lessons of which mails tell (or this mail), as far as they are worth it: part of the course, not begun with,
    and of an enrollment that goes on."""
    is_begun = exists().where(
        col(LessonProgress.enrollment_id) == enrollment_id, col(LessonProgress.lesson_id) == col(Lesson.id)
    )
    query = (
        select(col(Lesson.id), col(Lesson.title), col(CourseModule.title), col(LessonRelease.mail_key))
        .select_from(LessonRelease)
        .join(
            Enrollment,
            and_(
                col(Enrollment.id) == col(LessonRelease.enrollment_id),
                col(Enrollment.status) == EnrollmentStatus.ACTIVE,
            ),
        )
        .join(Lesson, col(Lesson.id) == col(LessonRelease.lesson_id))
        .join(CourseModule, col(CourseModule.id) == col(Lesson.module_id), isouter=True)
        .where(
            col(LessonRelease.enrollment_id) == enrollment_id,
            col(LessonRelease.mail_key) == mail_key if mail_key else col(LessonRelease.mail_key).is_not(None),
            col(Lesson.removed_at).is_(None),
            ~is_begun,
        )
        .order_by(col(Lesson.position))
    )
    return [OpenLesson(id_, title, module, key or "") for id_, title, module, key in await session.execute(query)]


def lessons_released(errand: LearningErrand) -> Draft | Skipped:
    """What has opened, with a link to each lesson where the platform has pages of lessons.

    Not sent where nothing of it is worth telling any more, or no link to unsubscribe can be made.
    """
    lessons = errand.lessons
    if not lessons:
        return Skipped("nothing_to_tell")
    token = errand.facts.unsubscribe_token
    unsubscribe = None if token is None else link(unsubscribe_address(errand.pages.public.url, token))
    if unsubscribe is None:
        return Skipped("no_public_url")
    shown = [
        {
            "title": one_line(lesson.title),
            "module": lesson.module and one_line(lesson.module),
            "url": page_of(errand.pages.lesson, "lesson_id", lesson.id),
        }
        for lesson in lessons[:_MOST_LESSONS]
    ]
    return Draft(
        key="lessons_released.one" if len(lessons) == 1 else "lessons_released.many",
        mailing=Mailing(MailList.LEARNING, unsubscribe),
        values={
            "course": errand.course,
            "lessons": shown,
            "more": str(len(lessons) - _MOST_LESSONS) if len(lessons) > _MOST_LESSONS else None,
            "first_url": shown[0]["url"],
            "unsubscribe_url": unsubscribe,
        },
    )


def access_ending(errand: LearningErrand) -> Draft | Skipped:
    """Until when the course is open. Not sent where the end was moved, has come, or the place has ended before."""
    return _about_the_end(errand, (EnrollmentStatus.ACTIVE, EnrollmentStatus.COMPLETED), is_over=False)


def access_ended(errand: LearningErrand) -> Draft | Skipped:
    """That the course is not open any more. Not sent where its end was moved, or the place has ended in another way."""
    return _about_the_end(errand, _MAY_BE_OVER, is_over=True)


def _about_the_end(errand: LearningErrand, states: Collection[EnrollmentStatus], *, is_over: bool) -> Draft | Skipped:
    enrollment = errand.facts.enrollment
    ends_at: datetime | None = enrollment.access_ends_at
    if enrollment.status not in states:
        return Skipped("enrollment_not_active")
    if ends_at is None or not is_about(ends_at, errand.occasion):
        return Skipped("end_moved")
    if not is_over and errand.moment >= ends_at:
        return Skipped("too_late")
    when, is_completed = errand.words.moment(ends_at), enrollment.completed_at is not None
    return Draft(values={"course": errand.course, "when": when, "is_completed": is_completed})
