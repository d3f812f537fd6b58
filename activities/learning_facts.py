"""What opening lessons, progress and completion depend on, read from the record for one enrollment or for many.

Read in as many statements whatever their number.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, exists, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.time_zones import zone_of
from models.drip import DripRule, read_rule
from models.tables import (
    Academy,
    Certificate,
    ClassSession,
    Course,
    CourseCertificate,
    Enrollment,
    EnrollmentPause,
    Lesson,
    LessonAttempt,
    LessonProgress,
    LessonRecord,
    LessonRelease,
    LessonSlot,
    Person,
    RefundRequest,
)
from models.vocabulary import (
    AccessRule,
    CertificateStatus,
    CourseKind,
    DripKind,
    EnrollmentStatus,
    GradeRule,
    Judgement,
    LessonOutcome,
    LessonStatus,
    RefundAccess,
    RefundRequestStatus,
    SlotStatus,
)
from rules.completion import LessonResult
from rules.drip import EnrollmentToPlan, LessonToPlan, Pause
from rules.grading import counting_result

LEARNING = (EnrollmentStatus.ACTIVE, EnrollmentStatus.COMPLETED)
_COUNTS_DAYS = (AccessRule.DAYS_AFTER_ENROLLMENT, AccessRule.DAYS_AFTER_START)
# An hour, or a meeting, is done when it was held; who did not come to it has not passed it.
_OF_OUTCOME = {LessonOutcome.COMPLETED: LessonStatus.PASSED, LessonOutcome.STUDENT_NO_SHOW: LessonStatus.FAILED}
NOT_HELD = (LessonOutcome.CANCELED, LessonOutcome.TUTOR_NO_SHOW)


@dataclass(frozen=True)
class Release:
    """That a lesson is open, and how its learner hears of it."""

    lesson_id: UUID
    opened_at: datetime
    written_at: datetime
    reason: DripKind
    tell_at: datetime | None = None
    mail_key: str | None = None


@dataclass(frozen=True)
class StandStill:
    """A pause; without `resumed_at` it goes on until `until`. Access ends later by `prolonged_by` because of it."""

    id: UUID
    paused_at: datetime
    until: datetime
    resumed_at: datetime | None = None
    prolonged_by: timedelta = timedelta()


@dataclass(frozen=True)
class Held:
    """A booked hour or a meeting of an enrollment, and what is recorded of it."""

    id: UUID
    is_hour: bool
    ends_at: datetime
    outcome: LessonOutcome | None = None


@dataclass
class Learning:
    """One enrollment with everything that its learning depends on. Steps keep it in line with what they write.

    `pauses` are in the order of their beginning; `scores` are those that counted after each finished attempt.
    `is_ending` is whether a refund was granted that takes the place away.
    """

    enrollment: Enrollment
    course: Course
    zone: ZoneInfo
    warning_days: Sequence[int]
    lessons: Sequence[Lesson]
    rules: Mapping[UUID, DripRule]
    meetings: Sequence[ClassSession] = ()
    is_certified: bool = False
    certifies: bool = False
    is_ending: bool = False
    releases: dict[UUID, Release] = field(default_factory=dict)
    progress: dict[UUID, LessonProgress] = field(default_factory=dict)
    scores: dict[UUID, tuple[tuple[datetime, Decimal], ...]] = field(default_factory=dict)
    pauses: list[StandStill] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)

    @property
    def status(self) -> EnrollmentStatus:
        return EnrollmentStatus(self.enrollment.status)

    @property
    def judgement(self) -> Judgement | None:
        return self.enrollment.judgement and Judgement(self.enrollment.judgement)

    @property
    def counts_days(self) -> bool:
        """Whether access lasts a number of days, which do not pass during a pause."""
        return AccessRule(self.course.access_rule) in _COUNTS_DAYS

    @property
    def begins_at(self) -> datetime | None:
        return self.enrollment.clock_started_at or self.enrollment.enrolled_at

    def lesson(self, lesson_id: UUID) -> Lesson | None:
        return next((lesson for lesson in self.lessons if lesson.id == lesson_id), None)

    def is_gone(self, lesson: Lesson) -> bool:
        """Whether the lesson was removed, or is only for those who enrolled later."""
        enrolled_at = self.enrollment.enrolled_at
        is_later = lesson.applies_from is not None and enrolled_at is not None and enrolled_at < lesson.applies_from
        return lesson.removed_at is not None or is_later

    def opened_in_steps(self, *moments: datetime) -> tuple[UUID, ...]:
        """The lessons that the steps of these moments have opened: the same when they are repeated."""
        return tuple(each.lesson_id for each in self.releases.values() if each.written_at in moments)

    def open_pause(self, moment: datetime) -> StandStill | None:
        """The pause that goes on at `moment`."""
        return next((pause for pause in self.pauses if pause.resumed_at is None and pause.until > moment), None)

    def open_pause_over(self, moment: datetime) -> StandStill | None:
        """The pause whose end has come by `moment`, and that nobody has ended yet."""
        return next((pause for pause in self.pauses if pause.resumed_at is None and pause.until <= moment), None)

    def silent(self) -> list[Held]:
        """Hours and meetings that nobody has spoken about. A meeting in a pause is nobody's, until somebody does."""
        return [each for each in self.held if each.outcome is None and not self._was_away(each)]

    def _was_away(self, held: Held) -> bool:
        if held.is_hour or held.outcome is not None:
            return False
        return any(each.paused_at <= held.ends_at < (each.resumed_at or each.until) for each in self.pauses)

    def is_access_over(self, moment: datetime) -> bool:
        """Whether nothing is open any more at `moment`."""
        ends_at = self.enrollment.access_ends_at
        return ends_at is not None and ends_at <= moment

    def awaits_confirmation(self) -> bool:
        """Whether an hour, or a meeting, that was over before access was is neither told of nor confirmed yet."""
        ends_at = self.enrollment.access_ends_at
        return any(ends_at is None or each.ends_at <= ends_at for each in self.silent())

    def facts(self, moment: datetime) -> EnrollmentToPlan:
        """What the plan at `moment` depends on. A pause whose end has come by then is over. Wants it begun."""
        assert self.begins_at is not None  # noqa: S101 - the table has a CHECK for it
        return EnrollmentToPlan(
            begins_at=self.begins_at,
            zone=self.zone,
            lessons=tuple(self._to_plan(lesson) for lesson in self.lessons),
            is_live=self.status in LEARNING and not self.is_ending,
            started_at=self.enrollment.started_at,
            cohort_starts_at=self.course.starts_at,
            access_ends_at=self.enrollment.access_ends_at,
            meetings={each.id: None if each.canceled_at else each.ends_at for each in self.meetings},
            pauses=tuple(
                Pause(each.paused_at, each.resumed_at or (each.until if each.until <= moment else None))
                for each in self.pauses
            ),
        )

    def _to_plan(self, lesson: Lesson) -> LessonToPlan:
        release, progress = self.releases.get(lesson.id), self.progress.get(lesson.id)
        done_at = None if progress is None else progress.done_at
        return LessonToPlan(
            id=lesson.id,
            rule=self.rules[lesson.id],
            module_id=lesson.module_id,
            is_preview=lesson.is_preview,
            is_gone=self.is_gone(lesson),
            released_at=None if release is None else release.opened_at,
            released_by=release.reason if release else self.rules[lesson.id].kind,
            done_at=done_at,
            # What has no grade is passed when it is done.
            passed_at=done_at if progress is None or lesson.passing_marks is None else progress.passed_at,
            scores=self.scores.get(lesson.id, ()),
        )

    def results(self) -> tuple[LessonResult, ...]:
        """What completion looks at: a pack's hours (TutorHub R70), a course's lessons, or its meetings if it has none.

        Free previews never count; a meeting that was not held is no condition.
        """
        if self.course.kind == CourseKind.TUTOR_PACK:
            had = [each.outcome for each in self.held if each.is_hour and each.outcome in _OF_OUTCOME]
            missing = max(0, (self.course.lessons_included or 0) - len(had))
            return (*map(_result_of, had), *[_result_of(None)] * missing)
        counting = [lesson for lesson in self.lessons if not self.is_gone(lesson) and not lesson.is_preview]
        if counting:
            return tuple(self._result(lesson) for lesson in counting)
        meetings = (each for each in self.held if each.outcome not in NOT_HELD and not self._was_away(each))
        return tuple(_result_of(each.outcome) for each in meetings)

    def _result(self, lesson: Lesson) -> LessonResult:
        progress = self.progress.get(lesson.id)
        return LessonResult(
            status=None if progress is None else LessonStatus(progress.status),
            is_considered=lesson.is_considered,
            is_graded=lesson.passing_marks is not None,
        )


def _result_of(outcome: LessonOutcome | None) -> LessonResult:
    return LessonResult(None if outcome is None else _OF_OUTCOME[outcome], is_graded=True)


async def learning_of(session: AsyncSession, enrollment_id: UUID, *, lock: bool = False) -> Learning | None:
    """The enrollment; none if there is none. Locked, nobody else writes about it meanwhile."""
    return (await learning_of_many(session, [enrollment_id], lock=lock)).get(enrollment_id)


async def learning_of_many(
    session: AsyncSession,
    enrollment_ids: Collection[UUID],
    *,
    lock: bool = False,
    lesson_ids: Collection[UUID] | None = None,
) -> dict[UUID, Learning]:
    """Those of the enrollments that there are, by id; with `lesson_ids` as if their course had these lessons alone."""
    query = (
        select(
            Enrollment,
            Course,
            col(Person.time_zone),
            col(Academy.time_zone),
            col(Academy.access_warning_days),
            _is_certified(),
            exists().where(col(CourseCertificate.course_id) == col(Course.id)),
            ends_by_refund(),
            exists().where(col(EnrollmentPause.enrollment_id) == col(Enrollment.id)),
        )
        .join(Course, col(Course.id) == col(Enrollment.course_id))
        .join(Person, col(Person.id) == col(Enrollment.student_id))
        .join(Academy, true())
        .where(col(Enrollment.id).in_(enrollment_ids))
        .order_by(col(Enrollment.id))
        .execution_options(populate_existing=True)
    )
    if lock:
        query = query.with_for_update(of=Enrollment)
    rows = (await session.execute(query)).all()
    courses = {course.id: course for _, course, *_ in rows}
    lessons = await _lessons(session, courses, lesson_ids)
    rules = {lesson.id: read_rule(lesson.drip_rule) for of_course in lessons.values() for lesson in of_course}
    meetings = await _meetings(session, courses.values())
    found: dict[UUID, Learning] = {}
    for enrollment, course, theirs, academys, days, is_certified, certifies, is_ending, _ in rows:
        found[enrollment.id] = Learning(
            enrollment=enrollment,
            course=course,
            zone=zone_of(theirs, academys),
            warning_days=days,
            lessons=lessons.get(course.id, ()),
            rules=rules,
            meetings=meetings.get(course.id, ()),
            is_certified=is_certified,
            certifies=certifies,
            is_ending=is_ending,
        )
    if rules:
        await _read_progress(session, found, lesson_ids)
    await _read_held(session, found)
    await _read_pauses(session, found, [enrollment.id for enrollment, *_, has_pauses in rows if has_pauses])
    return found


def _is_certified() -> ColumnElement[bool]:
    """Whether it ever had a certificate by every template of its course, one that was taken back included. One that has
    expired is none any more, once the course is to be completed anew.

    One of the learning platform's, which has no template, stands for all of them.
    """
    is_anew = col(Enrollment.completed_at).is_(None) | (col(Enrollment.completed_at) > col(Certificate.issued_at))
    of_kind = (
        exists()
        .where(
            col(Certificate.enrollment_id) == col(Enrollment.id),
            col(Certificate.template_id).is_(None)
            | (col(Certificate.template_id) == col(CourseCertificate.template_id)),
            ~((col(Certificate.status) == CertificateStatus.EXPIRED) & is_anew),
        )
        .correlate(Enrollment, CourseCertificate)
    )
    return ~exists().where(col(CourseCertificate.course_id) == col(Course.id), ~of_kind)


def ends_by_refund() -> ColumnElement[bool]:
    """Whether a refund was granted that takes the place away."""
    return exists().where(
        col(RefundRequest.enrollment_id) == col(Enrollment.id),
        col(RefundRequest.status) == RefundRequestStatus.APPROVED,
        col(RefundRequest.access) == RefundAccess.REVOKED,
    )


async def _lessons(
    session: AsyncSession, course_ids: Collection[UUID], lesson_ids: Collection[UUID] | None
) -> dict[UUID, list[Lesson]]:
    query = (
        select(Lesson)
        .where(col(Lesson.course_id).in_(course_ids), _is_one_of(Lesson.id, lesson_ids))
        .order_by(col(Lesson.course_id), col(Lesson.position))
        .execution_options(populate_existing=True)
    )
    found = (await session.execute(query)).scalars().all()
    return {course_id: list(each) for course_id, each in groupby(found, lambda lesson: lesson.course_id)}


async def _meetings(session: AsyncSession, courses: Iterable[Course]) -> dict[UUID, list[ClassSession]]:
    with_meetings = [course.id for course in courses if course.kind == CourseKind.COHORT]
    if not with_meetings:
        return {}
    query = (
        select(ClassSession)
        .where(col(ClassSession.course_id).in_(with_meetings))
        .order_by(col(ClassSession.course_id), col(ClassSession.ends_at), col(ClassSession.id))
        .execution_options(populate_existing=True)
    )
    found = (await session.execute(query)).scalars().all()
    return {course_id: list(each) for course_id, each in groupby(found, lambda meeting: meeting.course_id)}


def _is_one_of(lesson_id: UUID, lesson_ids: Collection[UUID] | None) -> ColumnElement[bool]:
    return true() if lesson_ids is None else col(lesson_id).in_(lesson_ids)


async def _read_progress(
    session: AsyncSession, found: Mapping[UUID, Learning], lesson_ids: Collection[UUID] | None
) -> None:
    opened = select(
        col(LessonRelease.enrollment_id),
        col(LessonRelease.lesson_id),
        col(LessonRelease.opened_at),
        col(LessonRelease.created_at),
        col(LessonRelease.reason),
        col(LessonRelease.tell_at),
        col(LessonRelease.mail_key),
    ).where(col(LessonRelease.enrollment_id).in_(found), _is_one_of(LessonRelease.lesson_id, lesson_ids))
    for enrollment_id, lesson_id, opened_at, written_at, reason, tell_at, mail_key in await session.execute(opened):
        release = Release(lesson_id, opened_at, written_at, DripKind(reason), tell_at, mail_key)
        found[enrollment_id].releases[lesson_id] = release
    learned = select(LessonProgress).where(
        col(LessonProgress.enrollment_id).in_(found), _is_one_of(LessonProgress.lesson_id, lesson_ids)
    )
    for progress in (await session.execute(learned.execution_options(populate_existing=True))).scalars():
        found[progress.enrollment_id].progress[progress.lesson_id] = progress
    graded = {
        lesson.id: lesson for each in found.values() for lesson in each.lessons if lesson.passing_marks is not None
    }
    if graded:
        await _read_scores(session, found, graded)


async def _read_scores(session: AsyncSession, found: Mapping[UUID, Learning], graded: Mapping[UUID, Lesson]) -> None:
    tried = (
        select(LessonAttempt)
        .where(col(LessonAttempt.enrollment_id).in_(found), col(LessonAttempt.lesson_id).in_(graded))
        .order_by(col(LessonAttempt.enrollment_id), col(LessonAttempt.lesson_id), col(LessonAttempt.number))
    )
    rows = (await session.execute(tried)).scalars().all()
    for (enrollment_id, lesson_id), attempts in groupby(rows, lambda each: (each.enrollment_id, each.lesson_id)):
        found[enrollment_id].scores[lesson_id] = counted_scores(graded[lesson_id], list(attempts))


def counted_scores(lesson: Lesson, attempts: Sequence[LessonAttempt]) -> tuple[tuple[datetime, Decimal], ...]:
    """The score that counted after each of the attempts, which are in their order."""
    counted: list[tuple[datetime, Decimal]] = []
    for number, attempt in enumerate(attempts, start=1):
        scores = [each.score for each in attempts[:number]]
        result = counting_result(scores, GradeRule(lesson.grade_rule), lesson.passing_marks)
        if result is not None and result.score is not None:
            counted.append((attempt.created_at, result.score))
    return tuple(counted)


async def _read_held(session: AsyncSession, found: Mapping[UUID, Learning]) -> None:
    """The booked hours of packs, and the meetings that cohorts have had since each enrollment, by their ends."""
    packs = [each for each in found.values() if each.course.kind == CourseKind.TUTOR_PACK]
    cohorts = [each for each in found.values() if each.meetings]
    if not packs and not cohorts:
        return
    told = select(
        col(LessonRecord.enrollment_id),
        col(LessonRecord.slot_id),
        col(LessonRecord.meeting_id),
        col(LessonRecord.outcome),
    ).where(col(LessonRecord.enrollment_id).in_(found), col(LessonRecord.lesson_id).is_(None))
    outcomes = {
        (enrollment_id, slot_id or meeting_id): LessonOutcome(outcome)
        for enrollment_id, slot_id, meeting_id, outcome in (await session.execute(told)).all()
    }
    if packs:
        booked = select(col(Enrollment.id), col(LessonSlot.id), col(LessonSlot.ends_at)).where(
            col(LessonSlot.order_line_id) == col(Enrollment.order_line_id),
            col(LessonSlot.course_id) == col(Enrollment.course_id),
            col(LessonSlot.status).in_((SlotStatus.BOOKED, SlotStatus.COMPLETED)),
            col(Enrollment.id).in_([each.enrollment.id for each in packs]),
        )
        for enrollment_id, slot_id, ends_at in (await session.execute(booked.order_by(col(LessonSlot.ends_at)))).all():
            outcome = outcomes.get((enrollment_id, slot_id))
            found[enrollment_id].held.append(Held(slot_id, True, ends_at, outcome))
    for each in cohorts:
        enrolled_at = each.enrollment.enrolled_at
        each.held += [
            Held(meeting.id, False, meeting.ends_at, outcomes.get((each.enrollment.id, meeting.id)))
            for meeting in each.meetings
            if meeting.canceled_at is None and enrolled_at is not None and meeting.ends_at > enrolled_at
        ]


async def _read_pauses(session: AsyncSession, found: Mapping[UUID, Learning], paused: Collection[UUID]) -> None:
    if not paused:
        return
    query = select(EnrollmentPause).where(col(EnrollmentPause.enrollment_id).in_(paused))
    for row in (await session.execute(query.order_by(col(EnrollmentPause.paused_at)))).scalars():
        still = StandStill(row.id, row.paused_at, row.until, row.resumed_at, row.prolonged_by)
        found[row.enrollment_id].pauses.append(still)
