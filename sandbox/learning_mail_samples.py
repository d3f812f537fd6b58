"""Mails about a made-up enrollment, to its learner."""

from datetime import datetime, timedelta

from activities.errand import Pages, PublicPages
from activities.learning_letters import LearningErrand, LearningFacts, OpenLesson
from activities.letters import LEARNING_LETTERS, set_letter
from activities.mail_rendering import RenderedMail
from models.tables import Course, Enrollment
from models.vocabulary import CourseKind, EnrollmentStatus, MailTemplate, RefundPolicy
from sandbox.mail_samples import NOW, PUBLIC, a_person, an_academy, an_id, drafted

LESSON_PAGE = "https://academy.test/lessons/{lesson_id}?a=b&c=d"
RELEASES = "r-20260301t0800"


def learning_errand(
    template: MailTemplate, *, locale: str = "en", zone: str = "Europe/Dublin", name: str = "Grace Hopper",
    occasion: str = "", title: str = "Spanish for beginners", lessons: int = 3, module: str | None = "Getting around",
    status: EnrollmentStatus | None = None, ends_at: datetime | None = None, completed_at: datetime | None = None,
    moment: datetime = NOW, page: str | None = LESSON_PAGE, pages: PublicPages = PUBLIC,
) -> LearningErrand:  # fmt: skip
    """An enrollment of which so many lessons have just opened, and whose access ends in a week, or ended just now."""
    reader = a_person(name, locale=locale, zone=zone)
    is_over = template is MailTemplate.ACCESS_ENDED
    course = Course(
        id=an_id(title), code="c", title=title, category="x", kind=CourseKind.SELF_PACED, price_amount=4900,
        currency="EUR",
    )  # fmt: skip
    enrollment = Enrollment(
        id=an_id("enrollment"), order_line_id=an_id("line"), course_id=course.id, student_id=reader.id,
        status=status or (EnrollmentStatus.EXPIRED if is_over else EnrollmentStatus.ACTIVE),
        refund_policy=RefundPolicy.NONE, enrolled_at=NOW - timedelta(days=30), completed_at=completed_at,
        access_ends_at=ends_at or (NOW if is_over else NOW + timedelta(days=7)),
    )  # fmt: skip
    opened = [OpenLesson(an_id(f"lesson {n}"), f"Lesson {n}: {title}", module, RELEASES) for n in range(1, lessons + 1)]
    if template is MailTemplate.LESSONS_RELEASED:
        occasion = occasion or RELEASES
    elif enrollment.access_ends_at is not None:
        occasion = occasion or f"{enrollment.access_ends_at:%Y%m%d%H%M}"
    facts = LearningFacts(
        reader, an_academy(), enrollment, course, opened, unsubscribe_token="k7Wj2mQpX9sVtR4bN8cYhA"  # noqa: S106
    )  # fmt: skip
    return LearningErrand(facts, enrollment.id, occasion, moment, Pages(lesson=page, public=pages))


def write_about_learning(template: MailTemplate, **told: object) -> RenderedMail:
    """A mail to a learner."""
    errand = learning_errand(template, **told)  # type: ignore[arg-type]
    return set_letter(template, errand, drafted(LEARNING_LETTERS[template].write(errand)))
