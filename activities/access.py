"""Until when a place is open, by the rule of its course, as SQL."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, SQLColumnExpression, case, func
from sqlmodel import col

from models.tables import Course
from models.vocabulary import AccessRule


def access_end(enrolled_at: datetime | SQLColumnExpression[datetime | None]) -> ColumnElement[datetime | None]:
    """When access ends of a place in `Course` that is taken at this moment; none for good, or until it is begun with.

    Days count from the enrollment, or from the start of the course where that is later.
    """
    days = func.make_interval(0, 0, 0, col(Course.access_days))
    return case(
        (col(Course.access_rule) == AccessRule.UNTIL_DATE, col(Course.access_until)),
        (
            col(Course.access_rule) == AccessRule.DAYS_AFTER_ENROLLMENT,
            func.greatest(enrolled_at, col(Course.starts_at)) + days,
        ),
        else_=None,
    )


def access_days_from_start() -> ColumnElement[int | None]:
    """How many days of access are granted with a place in `Course`, from its first start on; none where it lasts by
    another rule. It is kept with the place: a later rule of the course changes nothing about it.
    """
    return case((col(Course.access_rule) == AccessRule.DAYS_AFTER_START, col(Course.access_days)), else_=None)


def access_end_after_start(course: Course, days: int, started_at: datetime) -> datetime:
    """When access of so many days ends of a place that is begun with at this moment. They do not count before the
    course starts.
    """
    return max(started_at, course.starts_at or started_at) + timedelta(days=days)
