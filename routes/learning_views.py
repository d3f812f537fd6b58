"""How learning is shown, and asked about: marks as numbers, the plan of an enrollment, moments of our time."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic_core import PydanticCustomError

from activities.plans import EnrollmentPlan, LessonInPlan
from models.drip import AfterLesson, Leaf
from models.moments import Moment
from models.vocabulary import DripKind, EnrollmentStatus, LessonStatus, ReleaseStatus
from rules.grading import attempts_left

Marks = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
_YEARS = range(2000, 2200)


def _of_our_time(moment: datetime) -> datetime:
    if moment.year not in _YEARS:
        raise PydanticCustomError("refused_here", "The moment lies outside of the calendar.")
    return moment


MomentOfOurTime = Annotated[Moment, AfterValidator(_of_our_time)]


class ProgressView(BaseModel):
    """How far a learner is with a lesson: the result that counts of all attempts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: LessonStatus
    score: Marks | None
    attempts: int = Field(description="that are finished")
    time_spent_seconds: int
    current_position: int | None = Field(description="where to go on")
    total_content: int | None = Field(description="of how much")
    started_at: datetime
    done_at: datetime | None
    last_accessed_at: datetime


class PlannedLessonView(BaseModel):
    """A lesson of a learner: when it opens, why then, and how far they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lesson_id: UUID
    position: int
    title: str
    module_id: UUID | None
    is_preview: bool
    is_graded: bool
    status: ReleaseStatus
    opens_at: datetime | None = Field(description="in UTC; none while something has to happen first")
    opens_at_local: datetime | None = Field(description="the same by the learner's clock")
    reason: DripKind = Field(description="the kind of the rule that decides")
    blocked_by: dict[str, Any] | None = Field(
        description="the rule that has to come true first, as staff wrote it; none if `opens_at` is known"
    )
    attempts_left: int | None = Field(description="none: without limit")
    progress: ProgressView | None = Field(description="none before the first step")


class PlanView(BaseModel):
    """What is open for a learner, and what opens when, at a moment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enrollment_id: UUID
    status: EnrollmentStatus
    at: datetime = Field(description="the moment that it is true of")
    time_zone: str = Field(description="the learner's, or the academy's if theirs is not known")
    access_ends_at: datetime | None
    paused_until: datetime | None
    progress_percent: int
    lessons: tuple[PlannedLessonView, ...]


def plan_view(plan: EnrollmentPlan) -> PlanView:
    """The plan as it is shown."""
    return PlanView(
        enrollment_id=plan.enrollment.id,
        status=EnrollmentStatus(plan.enrollment.status),
        at=plan.moment,
        time_zone=plan.zone.key,
        access_ends_at=plan.enrollment.access_ends_at,
        paused_until=plan.paused_until,
        progress_percent=plan.progress_percent,
        lessons=tuple(_lesson_view(each, plan.zone) for each in plan.lessons),
    )


def _lesson_view(each: LessonInPlan, zone: ZoneInfo) -> PlannedLessonView:
    lesson, planned, progress = each.lesson, each.planned, each.progress
    names = ProgressView.model_fields
    return PlannedLessonView(
        lesson_id=lesson.id,
        position=lesson.position,
        title=lesson.title,
        module_id=lesson.module_id,
        is_preview=lesson.is_preview,
        is_graded=lesson.total_marks is not None,
        status=planned.status,
        opens_at=planned.opens_at,
        opens_at_local=None if planned.opens_at is None else planned.opens_at.astimezone(zone),
        reason=planned.reason,
        blocked_by=_shown(planned.blocked_by),
        attempts_left=attempts_left(lesson.max_attempts, 0 if progress is None else progress.attempts),
        progress=None
        if progress is None
        else ProgressView.model_validate({name: getattr(progress, name) for name in names}),
    )


def _shown(rule: Leaf | None) -> dict[str, Any] | None:
    return None if rule is None else rule.model_dump(mode="json", exclude_none=True)


_ZONE = ZoneInfo("Europe/Warsaw")
_LESSONS = (UUID("0198f3a0-3333-7000-8000-000000000001"), UUID("0198f3a0-3333-7000-8000-000000000002"))
_SHOWN = {"module_id": None, "is_preview": False, "is_graded": True, "attempts_left": 2}
PLAN = PlanView(
    enrollment_id=UUID("0198f3a0-4444-7000-8000-000000000001"),
    status=EnrollmentStatus.ACTIVE,
    at=datetime(2026, 3, 9, 17, 2, tzinfo=UTC),
    time_zone=_ZONE.key,
    access_ends_at=datetime(2026, 8, 29, 10, 17, tzinfo=UTC),
    paused_until=None,
    progress_percent=0,
    lessons=(
        PlannedLessonView(
            lesson_id=_LESSONS[0],
            position=1,
            title="Numbers and time",
            status=ReleaseStatus.RELEASED,
            opens_at=datetime(2026, 3, 5, 5, 0, tzinfo=UTC),
            opens_at_local=datetime(2026, 3, 5, 5, 0, tzinfo=UTC).astimezone(_ZONE),
            reason=DripKind.AFTER_REGISTRATION,
            blocked_by=None,
            progress=ProgressView(
                status=LessonStatus.FAILED,
                score=Decimal("3.5"),
                attempts=1,
                time_spent_seconds=1260,
                current_position=40,
                total_content=100,
                started_at=datetime(2026, 3, 5, 19, 4, tzinfo=UTC),
                done_at=datetime(2026, 3, 5, 19, 25, tzinfo=UTC),
                last_accessed_at=datetime(2026, 3, 5, 19, 25, tzinfo=UTC),
            ),
            **_SHOWN,
        ),
        PlannedLessonView(
            lesson_id=_LESSONS[1],
            position=2,
            title="In the café",
            status=ReleaseStatus.PLANNED,
            opens_at=None,
            opens_at_local=None,
            reason=DripKind.AFTER_LESSON,
            blocked_by=_shown(AfterLesson(lesson_id=_LESSONS[0], outcome=LessonStatus.PASSED, amount=1)),
            progress=None,
            **_SHOWN,
        ),
    ),
)
