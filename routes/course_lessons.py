"""The lessons of a course as those see them who teach it: with their rules, their marks and their modules."""

from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlmodel import col

from models.drip import AfterRegistration, stored_rule
from models.errors import Reason
from models.tables import Course, CourseModule, Lesson
from models.vocabulary import GradeRule, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.learning_views import Marks
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal

router = APIRouter(prefix="/v1/courses", tags=["learning"], route_class=AuthenticatedRoute)


class ModuleView(BaseModel):
    """A part of a course: some of its lessons in a row."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    id: UUID
    position: int
    title: str


class TaughtLessonView(BaseModel):
    """A lesson, when it opens and how it is graded."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    id: UUID
    position: int
    title: str
    module_id: UUID | None
    drip_rule: dict[str, Any] = Field(description="when it opens, by kind")
    is_preview: bool = Field(description="free for everybody, and never counted as a lesson had")
    is_considered: bool = Field(description="whether it counts for completion")
    max_attempts: int = Field(description="0 is without limit")
    grade_rule: GradeRule = Field(description="which of several attempts counts")
    total_marks: Marks | None = Field(description="none of a lesson without a grade")
    passing_marks: Marks | None
    applies_from: datetime | None = Field(description="whoever enrolled before does not have it; none: all do")
    removed_at: datetime | None = Field(description="no longer part of the course; what was learned stays")


class CourseLessonsView(BaseModel):
    """The lessons of a course in their order, those that were removed at the end, and the modules they are in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    course_id: UUID
    modules: tuple[ModuleView, ...]
    lessons: tuple[TaughtLessonView, ...]


_MODULE = ModuleView(id=UUID("0198f3a0-8888-7000-8000-000000000001"), position=1, title="Everyday life")
_LESSONS = CourseLessonsView(
    course_id=UUID("0198f3a0-1111-7000-8000-000000000001"),
    modules=(_MODULE,),
    lessons=(
        TaughtLessonView(
            id=UUID("0198f3a0-3333-7000-8000-000000000001"),
            position=1,
            title="Numbers and time",
            module_id=_MODULE.id,
            drip_rule=stored_rule(AfterRegistration(amount=3)),
            is_preview=False,
            is_considered=True,
            max_attempts=3,
            grade_rule=GradeRule.HIGHEST,
            total_marks=Decimal(10),
            passing_marks=Decimal(6),
            applies_from=None,
            removed_at=None,
        ),
    ),
)


@router.get(
    "/{course_id}/lessons",
    summary="Read the lessons of a course with their rules",
    responses={
        **answer(HTTPStatus.OK, "The lessons", _LESSONS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_course_lessons(
    course_id: UUID,
    principal: Annotated[Principal, Depends(require(Role.TUTOR, Role.STAFF, Role.ADMIN, Role.SERVICE))],
    connections: TheConnections,
) -> CourseLessonsView:
    """Tutors see those of their own courses. When a lesson opens for whom is in the plan of their enrollment."""
    mine = [] if principal.is_staff else [col(Course.tutor_id) == principal.person_id]
    modules = select(CourseModule).where(col(CourseModule.course_id) == course_id).order_by(col(CourseModule.position))
    lessons = (
        select(Lesson)
        .where(col(Lesson.course_id) == course_id)
        .order_by(col(Lesson.removed_at).is_not(None), col(Lesson.position))
    )
    async with connections.sessions() as session:
        if (await session.execute(select(col(Course.id)).where(col(Course.id) == course_id, *mine))).first() is None:
            raise ProblemError(Reason.NOT_FOUND, "There is no such course, or you do not teach it.")
        return CourseLessonsView(
            course_id=course_id,
            modules=tuple(map(ModuleView.model_validate, (await session.execute(modules)).scalars())),
            lessons=tuple(map(TaughtLessonView.model_validate, (await session.execute(lessons)).scalars())),
        )
