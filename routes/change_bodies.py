"""What may be said when an enrollment, or a course that people learn in already, is changed."""

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, WrapValidator, model_validator
from pydantic_core import PydanticCustomError

from models.drip import AllOf, AnyOf, BoundedRule, DripRule
from models.messages.learning import MAX_LESSONS, ChangeEnrollment, CourseEdit, LessonEdit
from models.vocabulary import AccessRule, ContentChange, EnrollmentChange, Judgement
from routes.learning_views import MomentOfOurTime

_BodyT = TypeVar("_BodyT", bound=BaseModel)

# What belongs to a change: fields it needs, and fields it may have. No other fields are taken.
_OF_ENROLLMENT: Mapping[EnrollmentChange, tuple[set[str], set[str]]] = {
    EnrollmentChange.PAUSE: ({"until"}, set()),
    EnrollmentChange.RESUME: (set(), set()),
    EnrollmentChange.RELEASE: (set(), {"lesson_ids"}),
    EnrollmentChange.RESET: (set(), {"lesson_ids"}),
    EnrollmentChange.RESTART_CLOCK: (set(), set()),
    EnrollmentChange.MOVE_START: ({"starts_at"}, set()),
    EnrollmentChange.SET_ACCESS: ({"access_ends_at"}, set()),
    EnrollmentChange.SUSPEND: (set(), set()),
    EnrollmentChange.REACTIVATE: (set(), set()),
    EnrollmentChange.JUDGE: ({"judgement"}, set()),
}
_OF_COURSE: Mapping[ContentChange, tuple[set[str], set[str]]] = {
    ContentChange.ADD_LESSON: ({"lesson"}, set()),
    ContentChange.EDIT_LESSON: ({"lesson_id", "lesson"}, set()),
    ContentChange.REMOVE_LESSON: ({"lesson_id"}, set()),
    ContentChange.REORDER_LESSONS: ({"order"}, set()),
    ContentChange.MOVE_MEETING: ({"meeting_id", "meeting_starts_at", "meeting_ends_at"}, set()),
    ContentChange.CANCEL_MEETING: ({"meeting_id"}, set()),
    ContentChange.EDIT_COURSE: ({"course"}, set()),
}
_DAYS = (AccessRule.DAYS_AFTER_ENROLLMENT, AccessRule.DAYS_AFTER_START)
_MAY_BE_NULL = "access_ends_at"


def _require_fields(body: _BodyT, about: str, needed: set[str], possible: set[str]) -> _BodyT:
    """Exactly what the change is about has to be said, so that nobody means what is not done."""
    said = body.model_fields_set - {about}
    if said != said & (needed | possible) or not needed <= said:
        fields = ", ".join(f"`{name}`" for name in sorted(needed | possible)) or "nothing else"
        raise PydanticCustomError("refused_here", "With this change goes {fields}.", {"fields": fields})
    if any(getattr(body, name) is None for name in needed - {_MAY_BE_NULL}):
        raise PydanticCustomError("refused_here", "What the change needs cannot be null.")
    return body


class EnrollmentChangeBody(BaseModel):
    """One change, and what belongs to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    change: EnrollmentChange
    until: MomentOfOurTime | None = Field(default=None, description="of `pause`: when it ends by itself")
    lesson_ids: tuple[UUID, ...] = Field(
        default=(), max_length=MAX_LESSONS, description="of `release` and `reset`; none: all of them"
    )
    starts_at: MomentOfOurTime | None = Field(default=None, description="of `move_start`: from when its rules count")
    access_ends_at: MomentOfOurTime | None = Field(default=None, description="of `set_access`; null: for good")
    judgement: Judgement | None = Field(default=None, description="of `judge`")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        return _require_fields(self, "change", *_OF_ENROLLMENT[self.change])

    def wish(self, change_id: UUID, enrollment_id: UUID, actor: str) -> ChangeEnrollment:
        """As the enrollment's job is asked for it."""
        return ChangeEnrollment(**self.model_dump(), change_id=change_id, enrollment_id=enrollment_id, actor=actor)


def _without_unknown(value: Any, parse: ModelWrapValidatorHandler[DripRule]) -> DripRule:
    rule = parse(value)
    if not _is_known(value, rule):
        raise PydanticCustomError("refused_here", "The rule has a field that rules of its kind do not have.")
    return rule


def _is_known(value: Any, rule: DripRule) -> bool:
    """Whether a rule as it was sent has no more fields than were read: rules on record may be of a newer version."""
    if not isinstance(value, dict):
        return True
    if not value.keys() <= type(rule).model_fields.keys():
        return False
    if isinstance(rule, AllOf | AnyOf):
        return all(_is_known(sent, read) for sent, read in zip(value["rules"], rule.rules, strict=True))
    return True


class LessonEditBody(LessonEdit):
    """What a lesson is from now on. What is not said stays; null takes it out of its module, or takes its marks away.
    A new lesson needs a title.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    drip_rule: Annotated[BoundedRule, WrapValidator(_without_unknown)] | None = None


class CourseEditBody(CourseEdit):
    """What a course is from now on. What is not said stays; null takes away the start of a cohort. Access that was
    granted is not changed by it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    access_until: MomentOfOurTime | None = Field(
        default=None, description="of `until_date`: in the future; from then on nobody can enroll"
    )
    starts_at: MomentOfOurTime | None = Field(default=None, description="of a cohort")

    @model_validator(mode="after")
    def _access_whole(self) -> Self:
        if (self.access_days is not None and self.access_rule not in _DAYS) or (
            self.access_until is not None and self.access_rule is not AccessRule.UNTIL_DATE
        ):
            raise PydanticCustomError("refused_here", "Days and dates go with the access rule that they are for.")
        return self


class CourseChangeBody(BaseModel):
    """A change of what is taught, or the same change for every enrollment of the course."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: ContentChange | None = None
    lesson_id: UUID | None = Field(default=None, description="of the lesson that is edited or removed")
    lesson: LessonEditBody | None = None
    order: tuple[UUID, ...] = Field(
        default=(), max_length=MAX_LESSONS, description="of `reorder_lessons`: all of them, each once"
    )
    meeting_id: UUID | None = None
    meeting_starts_at: MomentOfOurTime | None = None
    meeting_ends_at: MomentOfOurTime | None = None
    course: CourseEditBody | None = None
    members: EnrollmentChangeBody | None = Field(default=None, description="instead of `content`")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.content is None:
            return _require_fields(self, "content", {"members"}, set())
        _require_fields(self, "content", *_OF_COURSE[self.content])
        if self.content is ContentChange.ADD_LESSON and (self.lesson is None or self.lesson.title is None):
            raise PydanticCustomError("refused_here", "A new lesson needs a title.")
        if len(set(self.order)) < len(self.order):
            raise PydanticCustomError("refused_here", "A lesson has one place.")
        starts_at, ends_at = self.meeting_starts_at, self.meeting_ends_at
        if starts_at is not None and ends_at is not None and ends_at <= starts_at:
            raise PydanticCustomError("refused_here", "A meeting ends after it starts.")
        return self
