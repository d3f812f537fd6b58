"""What is said about an enrollment while it is learned in: ids, moments, words and marks."""

from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Annotated
from uuid import UUID

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from models.drip import BoundedRule, Moment, Score
from models.errors import Reason
from models.messages.message import Actor, Message, ReasonText, WorkflowId
from models.vocabulary import (
    AccessRule,
    Attendance,
    CompletionRule,
    ContentChange,
    EnrollmentChange,
    EnrollmentStatus,
    GradeRule,
    Judgement,
    LessonOutcome,
    LessonStatus,
    MailTemplate,
    RefundGround,
    ReleaseMails,
)

MAX_LESSONS = 1000

Count = Annotated[int, Field(ge=0, le=2_000_000_000)]
Title = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class AdvanceDrip(Message):
    """Do all that is due for an enrollment at this moment of the workflow's clock."""

    enrollment_id: UUID
    moment: datetime
    workflow_id: WorkflowId


class LearningMail(Message):
    """A mail to the learner that has not been handed to the ledger yet."""

    template: MailTemplate
    subject_id: UUID
    occasion: str = Field(pattern=r"^[a-z0-9_:+-]{1,48}$")


class DripStart(Message):
    """The input of `DripWorkflow`. How the enrollment stands is on record: a run that starts afresh needs no more."""

    enrollment_id: UUID
    deferred: tuple[LearningMail, ...] = Field(
        default=(), max_length=1000, description="mails that wait for their moment, of the run before"
    )
    is_certified: bool = Field(default=False, description="whether the run before has started the certificate")


class DripStep(Message):
    """How an enrollment stands after a step, and what follows from it."""

    status: EnrollmentStatus
    student_id: UUID
    wakes_at: datetime | None = Field(default=None, description="when to look again; none: when something happens")
    released: int = Field(default=0, ge=0, description="lessons that are open")
    lessons: int = Field(default=0, ge=0, description="lessons in all")
    mails: tuple[LearningMail, ...] = Field(default=(), max_length=50)
    is_paused: bool = False
    is_over: bool = Field(default=False, description="whether nothing happens any more unless somebody does something")
    is_completed: bool = False
    wants_certificate: bool = Field(default=False, description="completed, and the course certifies it")
    wants_judgement: bool = Field(default=False, description="everything is done, and staff has to judge")


class RecordLesson(Message):
    """The argument of the update `record_lesson`: what became of a lesson, a booked hour or a meeting."""

    attempt_id: UUID = Field(description="tells a repeat from another attempt")
    enrollment_id: UUID
    lesson_id: UUID = Field(description="of a lesson, a booked hour or a meeting")
    outcome: LessonOutcome | None = Field(default=None, description="of an hour or a lesson, as its tutor says")
    attendance: Attendance | None = Field(default=None, description="of an hour or a meeting")
    is_finished: bool = Field(default=False, description="whether an attempt at a lesson has ended")
    score: Score | None = None
    time_spent_seconds: Count = 0
    current_position: Count | None = None
    total_content: Count | None = None
    actor: Actor
    may_correct: bool = False


class WriteLesson(Message):
    """Write it down, at this moment of the workflow's clock."""

    told: RecordLesson
    moment: datetime
    workflow_id: WorkflowId


class LessonRecorded(Message):
    """What the update answers: the lesson as it is on record, and what followed from it."""

    enrollment_id: UUID
    lesson_id: UUID
    refusal: Reason | None = None
    refusal_detail: ReasonText | None = None
    refusal_moment: datetime | None = Field(
        default=None, description="when the lesson opens, the pause ends or access has ended, as the refusal is about"
    )
    status: LessonStatus | None = Field(default=None, description="that counts, of all attempts")
    outcome: LessonOutcome | None = None
    attendance: Attendance | None = None
    score: Decimal | None = None
    attempts: int = 0
    attempts_left: int | None = Field(default=None, description="none: without limit")
    opened: tuple[UUID, ...] = Field(default=(), max_length=MAX_LESSONS, description="lessons that this has opened")
    progress_percent: int = Field(default=0, ge=0, le=100)
    is_course_complete: bool = False
    is_refund_possible: bool = False
    refund_grounds: tuple[RefundGround, ...] = Field(default=(), max_length=20)
    recorded_by: str | None = Field(default=None, max_length=80)
    recorded_at: datetime | None = None
    step: DripStep | None = Field(default=None, description="how the enrollment stands now")


class ChangeEnrollment(Message):
    """The argument of the update `change`: something about an enrollment is different from now on."""

    change_id: UUID = Field(description="tells a repeat from another change")
    enrollment_id: UUID
    change: EnrollmentChange
    until: Moment | None = Field(default=None, description="of `pause`: when it ends by itself")
    lesson_ids: tuple[UUID, ...] = Field(
        default=(), max_length=MAX_LESSONS, description="of `release` and `reset`; none: all of them"
    )
    starts_at: Moment | None = Field(default=None, description="of `move_start`")
    access_ends_at: Moment | None = Field(default=None, description="of `set_access`; none: for good")
    judgement: Judgement | None = Field(default=None, description="of `judge`")
    actor: Actor

    @property
    def digest(self) -> str:
        """Of what is wished, whoever wishes it: tells a repeat from another change with the same id. What is not said
        leaves no trace, so that a field that is added later changes none."""
        wished = self.model_dump_json(exclude={"change_id", "actor"}, exclude_defaults=True)
        return sha256(wished.encode()).hexdigest()


class WriteEnrollmentChange(Message):
    """Write it down, at this moment of the workflow's clock."""

    wish: ChangeEnrollment
    moment: datetime
    workflow_id: WorkflowId


class EnrollmentChanged(Message):
    """What the update answers."""

    enrollment_id: UUID
    refusal: Reason | None = None
    refusal_detail: ReasonText | None = None
    refusal_moment: datetime | None = Field(
        default=None, description="when the pause ends or access has ended, as the refusal is about"
    )
    status: EnrollmentStatus | None = None
    access_ends_at: datetime | None = None
    paused_until: datetime | None = None
    opened: tuple[UUID, ...] = Field(default=(), max_length=MAX_LESSONS)
    step: DripStep | None = Field(default=None, description="how the enrollment stands now")


class Edit(Message):
    """What something is from now on. What is not said stays, and null takes away what may be missing; so what was not
    said is not written out either, and is not said on the other side.
    """

    @model_serializer(mode="wrap")
    def _said(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {name: value for name, value in write(self).items() if name in self.model_fields_set}


class LessonEdit(Edit):
    """What a lesson is from now on. What is not said stays; null takes it out of its module, or takes its marks away.
    A new lesson needs a title.
    """

    title: Title | None = None
    module_id: UUID | None = None
    drip_rule: BoundedRule | None = None
    is_preview: bool | None = None
    is_considered: bool | None = None
    max_attempts: int | None = Field(default=None, ge=0, le=1000)
    grade_rule: GradeRule | None = None
    total_marks: Score | None = None
    passing_marks: Score | None = None
    for_new_learners_only: bool = Field(default=False, description="of `add_lesson`: who is enrolled does not get it")


class CourseEdit(Edit):
    """What a course is from now on. What is not said stays; null takes away the start of a cohort. Access that was
    granted is not changed by it.
    """

    completion_rule: CompletionRule | None = None
    release_mails: ReleaseMails | None = None
    access_rule: AccessRule | None = None
    access_days: int | None = Field(default=None, ge=1, le=36500)
    access_until: Moment | None = None
    starts_at: Moment | None = Field(default=None, description="of a cohort")


class CourseChangeBegun(Message):
    """Whether the change was made, and how many enrollments it concerns."""

    change_id: UUID
    refusal: Reason | None = None
    refusal_detail: ReasonText | None = None
    enrollments: int = 0


class CourseChangeCursor(Message):
    """How far a change has come, for the run that goes on with it."""

    begun: CourseChangeBegun
    after: UUID | None = Field(default=None, description="the last enrollment that is done")
    done: int = 0
    refused: int = 0


class CourseChangeRequest(Message):
    """The input of `CourseChangeWorkflow`: a change of what is taught, or of all enrollments of a course."""

    change_id: UUID
    course_id: UUID
    content: ContentChange | None = None
    lesson_id: UUID | None = Field(default=None, description="of the lesson that is added, edited or removed")
    lesson: LessonEdit | None = None
    order: tuple[UUID, ...] = Field(default=(), max_length=MAX_LESSONS, description="of `reorder_lessons`: all of them")
    meeting_id: UUID | None = None
    meeting_starts_at: Moment | None = None
    meeting_ends_at: Moment | None = None
    course: CourseEdit | None = None
    members: ChangeEnrollment | None = Field(
        default=None, description="instead of `content`: the same for each enrollment (its ids are replaced)"
    )
    actor: Actor
    cursor: CourseChangeCursor | None = Field(default=None, description="of a run that continues another")


class ReplanPage(Message):
    """Bring the next enrollments of a course in line with a change of it."""

    change_id: UUID
    after: UUID | None = Field(default=None, description="the last enrollment that is done")
    limit: int = Field(default=200, ge=1, le=1000)
    moment: datetime
    workflow_id: WorkflowId


class ReplannedPage(Message):
    """How far it has come."""

    last: UUID | None = Field(default=None, description="none: there were no more")
    done: int = 0
    refused: int = 0


class EndCourseChange(Message):
    """Nothing is left to do, or somebody has stopped it."""

    change_id: UUID
    is_stopped: bool = False
    workflow_id: WorkflowId


class CourseChangeOutcome(Message):
    """The result of `CourseChangeWorkflow`."""

    done: int = 0
    refused: int = 0
    is_stopped: bool = False
    refusal: Reason | None = None


class StartDrips(Message):
    """Start the job of each enrollment that was just paid for. One that is there already goes on undisturbed."""

    enrollment_ids: tuple[UUID, ...] = Field(max_length=200)


class LateDrip(Message):
    """Where an enrollment stands among those that wait to be looked at."""

    since: datetime
    enrollment_id: UUID


class WakeDrips(Message):
    """Find enrollments whose job should have looked at them and has not, and wake or start it."""

    limit: int = Field(default=500, ge=1, le=5000)
    after: LateDrip | None = Field(default=None, description="the last one that was reached before")


class DripsWoken(Message):
    """How many there were, of the kind of which there were most."""

    woken: int = 0
    last: LateDrip | None = Field(default=None, description="none: there are no more")


class DripOutcome(Message):
    """The result of `DripWorkflow`."""

    status: EnrollmentStatus
