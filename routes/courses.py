"""Courses: what can be bought."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, select
from sqlmodel import col

from models.errors import Reason
from models.money import Money
from models.tables import BundleCourse, ClassSession, Course, Lesson, LessonSlot
from models.tables.columns import now
from models.vocabulary import (
    AccessRule,
    CompletionRule,
    CostScheme,
    CourseKind,
    CourseStatus,
    PeriodUnit,
    RefundPolicy,
    SchedulingType,
    SlotStatus,
)
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, matching, page_of, sorted_page, total_of
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal

router = APIRouter(prefix="/v1/courses", tags=["courses"], route_class=AuthenticatedRoute)

_MAX_FREE_SLOTS = 500
_SORTABLE = {
    "title": col(Course.title),
    "created_at": col(Course.created_at),
    "price_amount": col(Course.price_amount),
    "starts_at": col(Course.starts_at),
}


class CourseQuery(PageQuery):
    """Which courses to list."""

    sort: Literal[
        "title",
        "title:desc",
        "created_at",
        "created_at:desc",
        "price_amount",
        "price_amount:desc",
        "starts_at",
        "starts_at:desc",
    ] = "title"
    kind: CourseKind | None = None
    status: Annotated[CourseStatus | None, Field(description="others than `published` for staff only")] = None
    tutor_id: UUID | None = None


class CourseView(BaseModel):
    """A self-paced course, a cohort with seats, a tutor's pack of lessons, or a bundle of courses."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    id: UUID
    code: str
    title: str
    description: str
    category: str
    kind: CourseKind
    status: CourseStatus
    price_amount: int = Field(description="minor units")
    currency: str
    price: str = Field(description="the price as people write it, in English")
    cost_scheme: CostScheme = Field(description="whether it is charged per `student`, once per `order`, or not at all")
    sale_price_amount: int | None = Field(description="minor units; asked instead of the price while the sale lasts")
    sale_starts_at: datetime | None
    sale_ends_at: datetime | None
    is_approval_required: bool = Field(description="staff lets students in before they pay")
    refund_policy: RefundPolicy
    capacity: int | None = Field(description="seats in all; none means unlimited")
    seats_left: int | None
    starts_at: datetime | None
    enrollment_closes_at: datetime | None
    access_rule: AccessRule = Field(description="how long access lasts")
    access_days: int | None = Field(description="after enrollment or first start, as the rule says")
    access_until: datetime | None = Field(description="where the rule is `until_date`")
    completion_rule: CompletionRule = Field(description="what completes the course")
    credits: int | None = Field(description="study points")
    tutor_id: UUID | None
    lessons_included: int | None = Field(description="how many slots a pack is booked with")
    scheduling_type: SchedulingType | None
    min_weekly_classes: int | None
    max_daily_lessons: int | None
    max_period_value: int | None
    max_period_unit: PeriodUnit | None
    preliminary_meeting_required: bool


class LessonView(BaseModel):
    """One lesson. When it opens for whom is in the plan of their enrollment."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    id: UUID
    position: int
    title: str
    is_preview: bool = Field(description="free for everybody, and never counted as a lesson had")


class ClassSessionView(BaseModel):
    """A meeting at a fixed time."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    id: UUID
    title: str
    starts_at: datetime
    ends_at: datetime
    canceled_at: datetime | None


class BundledCourseView(BaseModel):
    """A course that comes with a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    id: UUID
    code: str
    title: str


class SlotView(BaseModel):
    """A free hour of the tutor."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    id: UUID
    starts_at: datetime
    ends_at: datetime


class CourseDetails(CourseView):
    """A course with its lessons, what it meets at or brings along, and the slots that can be chosen now."""

    lessons: tuple[LessonView, ...]
    class_sessions: tuple[ClassSessionView, ...] = Field(description="of a cohort")
    courses: tuple[BundledCourseView, ...] = Field(description="of a bundle")
    free_slots: tuple[SlotView, ...] = Field(description=f"the next {_MAX_FREE_SLOTS} at most")


_COURSE = CourseView(
    id=UUID("0198f3a0-1111-7000-8000-000000000002"),
    code="SPANISH-1ON1",
    title="Spanish one to one",
    description="Ten hours with a tutor, at the times you choose.",
    category="languages",
    kind=CourseKind.TUTOR_PACK,
    status=CourseStatus.PUBLISHED,
    price_amount=32000,
    currency="EUR",
    price="€320.00",
    cost_scheme=CostScheme.STUDENT,
    sale_price_amount=28000,
    sale_starts_at=datetime(2026, 3, 1, tzinfo=UTC),
    sale_ends_at=datetime(2026, 3, 31, tzinfo=UTC),
    is_approval_required=False,
    refund_policy=RefundPolicy.FIRST_LESSON,
    capacity=None,
    seats_left=None,
    starts_at=None,
    enrollment_closes_at=None,
    access_rule=AccessRule.DAYS_AFTER_ENROLLMENT,
    access_days=180,
    access_until=None,
    completion_rule=CompletionRule.COMPLETE_ALL,
    credits=None,
    tutor_id=UUID("0198f3a0-5555-7000-8000-000000000001"),
    lessons_included=10,
    scheduling_type=SchedulingType.FLEXIBLE,
    min_weekly_classes=None,
    max_daily_lessons=2,
    max_period_value=6,
    max_period_unit=PeriodUnit.MONTHS,
    preliminary_meeting_required=False,
)
_DETAILS = CourseDetails(
    **_COURSE.model_dump(),
    lessons=(
        LessonView(
            id=UUID("0198f3a0-6666-7000-8000-000000000001"),
            position=1,
            title="Getting to know each other",
            is_preview=True,
        ),
    ),
    class_sessions=(),
    courses=(),
    free_slots=(
        SlotView(
            id=UUID("0198f3a0-3333-7000-8000-000000000001"),
            starts_at=datetime(2026, 3, 9, 16, 0, tzinfo=UTC),
            ends_at=datetime(2026, 3, 9, 17, 0, tzinfo=UTC),
        ),
    ),
)


@router.get(
    "",
    summary="List courses",
    responses={
        **answer(HTTPStatus.OK, "One page of courses", example_page(_COURSE), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_courses(
    asked: Annotated[CourseQuery, Query()],
    principal: Annotated[Principal, Depends(require())],
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[CourseView]:
    """Students and tutors see what is published; staff, admin and service see drafts and retired courses too."""
    conditions = [*_visible_to(principal), *_asked_for(asked)]
    page = sorted_page(select(Course).where(*conditions), asked, asked.sort, _SORTABLE, col(Course.id))
    async with connections.sessions() as session:
        total = await total_of(session, select(Course).where(*conditions))
        courses = (await session.execute(page)).scalars().all()
    return page_of(request, response, asked, map(_course_view, courses), total)


@router.get(
    "/{course_id}",
    summary="Read a course",
    responses={
        **answer(HTTPStatus.OK, "The course", _DETAILS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_course(
    course_id: UUID, principal: Annotated[Principal, Depends(require())], connections: TheConnections
) -> CourseDetails:
    """With its lessons; a cohort with its meetings, a bundle with its courses, a tutor's pack with its free slots."""
    lessons = (
        select(Lesson)
        .where(col(Lesson.course_id) == course_id, col(Lesson.removed_at).is_(None))
        .order_by(col(Lesson.position))
    )
    meetings = (
        select(ClassSession).where(col(ClassSession.course_id) == course_id).order_by(col(ClassSession.starts_at))
    )
    bundled = (
        select(Course)
        .join(BundleCourse, col(BundleCourse.course_id) == col(Course.id))
        .where(col(BundleCourse.bundle_id) == course_id)
        .order_by(col(BundleCourse.position))
    )
    free_slots = (
        select(LessonSlot)
        .where(
            col(LessonSlot.course_id) == course_id,
            col(LessonSlot.status) == SlotStatus.FREE,
            col(LessonSlot.starts_at) > now(),
        )
        .order_by(col(LessonSlot.starts_at))
        .limit(_MAX_FREE_SLOTS)
    )
    async with connections.sessions() as session:
        found = await session.execute(select(Course).where(col(Course.id) == course_id, *_visible_to(principal)))
        course = found.scalar_one_or_none()
        if course is None:
            raise ProblemError(Reason.NOT_FOUND, "There is no such course, or it is not published.")
        return CourseDetails(
            **_course_view(course).model_dump(),
            lessons=tuple(map(LessonView.model_validate, (await session.execute(lessons)).scalars())),
            class_sessions=tuple(map(ClassSessionView.model_validate, (await session.execute(meetings)).scalars())),
            courses=tuple(map(BundledCourseView.model_validate, (await session.execute(bundled)).scalars())),
            free_slots=tuple(map(SlotView.model_validate, (await session.execute(free_slots)).scalars())),
        )


def _visible_to(principal: Principal) -> list[ColumnElement[bool]]:
    return [] if principal.is_staff else [col(Course.status) == CourseStatus.PUBLISHED]


def _asked_for(asked: CourseQuery) -> list[ColumnElement[bool]]:
    return matching(
        (col(Course.kind), asked.kind),
        (col(Course.status), asked.status),
        (col(Course.tutor_id), asked.tutor_id),
    )


def _course_view(course: Course) -> CourseView:
    told_otherwise = {"price", "seats_left", "is_approval_required"}
    shown = {name: getattr(course, name) for name in CourseView.model_fields.keys() - told_otherwise}
    return CourseView(
        **shown,
        is_approval_required=course.approver_id is not None,
        price=Money(amount=course.price_amount, currency=course.currency).format(),
        seats_left=None if course.capacity is None else course.capacity - course.seats_taken,
    )
