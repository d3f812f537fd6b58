"""When each lesson of an enrollment opens, and why not yet (reference list 10.5; Academy of Mine 3.4, 3.5).

One function answers for the workflow, the API, the preview of a change and the mails. Nothing that was open, or done,
locks again. Days, weeks and months open at 06:00 of the learner's day; hours are exact; months keep to their end.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from models.drip import (
    AfterCohortStart,
    AfterLesson,
    AfterMeeting,
    AfterModule,
    AfterRegistration,
    AfterStart,
    AllOf,
    AnyOf,
    DripRule,
    FixedDate,
    Immediately,
    Leaf,
    Manual,
)
from models.vocabulary import DripKind, DripUnit, LessonStatus, ReleaseStatus
from rules.local_time import at_local

OPENS_AT = time(6)
_Delayed = AfterRegistration | AfterStart | AfterCohortStart | AfterMeeting | AfterLesson | AfterModule


@dataclass(frozen=True)
class Pause:
    """A time in which the enrollment stood still; without an end it goes on."""

    paused_at: datetime
    resumed_at: datetime | None


@dataclass(frozen=True)
class LessonToPlan:
    """One lesson as it concerns this enrollment.

    `scores` are those that counted after each finished attempt, in their order. `released_at` and `done_at` are for
    good. A lesson `is_gone` that was removed, or that whoever enrolled this early does not have.
    """

    id: UUID
    rule: DripRule
    module_id: UUID | None = None
    is_preview: bool = False
    is_gone: bool = False
    released_at: datetime | None = None
    released_by: DripKind = DripKind.IMMEDIATELY
    done_at: datetime | None = None
    passed_at: datetime | None = None
    scores: tuple[tuple[datetime, Decimal], ...] = ()


@dataclass(frozen=True)
class EnrollmentToPlan:
    """Everything that the plan depends on; all moments in UTC.

    `begins_at` is when the clock of the enrollment began, `cohort_starts_at` when the course does, if it has a start.
    `meetings` are the ends of the course's meetings, none of one that is canceled. `is_live` is whether lessons may
    still open: an enrollment that is over, or suspended, opens none.
    """

    begins_at: datetime
    zone: ZoneInfo
    lessons: tuple[LessonToPlan, ...]
    is_live: bool = True
    started_at: datetime | None = None
    cohort_starts_at: datetime | None = None
    access_ends_at: datetime | None = None
    meetings: Mapping[UUID, datetime | None] | None = None
    pauses: tuple[Pause, ...] = ()


@dataclass(frozen=True)
class PlannedLesson:
    """When a lesson opens. Without `opens_at` nobody knows yet: `blocked_by` is the rule that has to come true first.

    `reason` is the kind of the rule that decides.
    """

    lesson_id: UUID
    status: ReleaseStatus
    opens_at: datetime | None
    reason: DripKind
    blocked_by: Leaf | None = None


@dataclass(frozen=True)
class _Opening:
    """What a rule comes to: a moment, or none while something has to happen first; a rule about something that is gone
    does not count."""

    at: datetime | None
    leaf: Leaf
    counts: bool = True


def plan(facts: EnrollmentToPlan, moment: datetime, only: Collection[UUID] | None = None) -> tuple[PlannedLesson, ...]:
    """How every lesson of the enrollment, or only these, stand at `moment` (UTC), in their order.

    A lesson that is due is `planned` with an `opens_at` that is not later than `moment`: whoever keeps the record
    releases it (`due`).
    """
    lessons = {lesson.id: lesson for lesson in facts.lessons}
    return tuple(
        _planned(lesson, facts, lessons, moment)
        for lesson in facts.lessons
        if (only is None or lesson.id in only) and (not lesson.is_gone or _is_open(lesson))
    )


def due(planned: Sequence[PlannedLesson], moment: datetime) -> tuple[PlannedLesson, ...]:
    """The lessons that have to be released at `moment`, the earliest first."""
    opening = [each for each in planned if each.status is ReleaseStatus.PLANNED and _is_at(each.opens_at, moment)]
    return tuple(sorted(opening, key=lambda each: each.opens_at or moment))


def next_opening(planned: Sequence[PlannedLesson], moment: datetime) -> datetime | None:
    """When the next lesson opens after `moment`, if that is known."""
    coming = [
        each.opens_at
        for each in planned
        if each.status is ReleaseStatus.PLANNED and each.opens_at is not None and each.opens_at > moment
    ]
    return min(coming, default=None)


def _is_at(opens_at: datetime | None, moment: datetime) -> bool:
    return opens_at is not None and opens_at <= moment


def _is_open(lesson: LessonToPlan) -> bool:
    return lesson.released_at is not None or lesson.done_at is not None


def _planned(
    lesson: LessonToPlan, facts: EnrollmentToPlan, lessons: Mapping[UUID, LessonToPlan], moment: datetime
) -> PlannedLesson:
    if _is_open(lesson):
        opened = [at for at in (lesson.released_at, lesson.done_at) if at is not None]
        return PlannedLesson(lesson.id, ReleaseStatus.RELEASED, min(opened), lesson.released_by)
    opening = _opening(lesson.rule, lesson, facts, lessons)
    at = opening.at
    if at is not None and not lesson.is_preview:
        at = max(at, _earliest(facts))
    if at is not None:
        at = _not_within_a_pause(at, facts.pauses)
    blocked_by = opening.leaf if at is None else None
    ends_at = facts.access_ends_at
    if facts.is_live and _is_paused(facts):
        # Time stands still, also that of access.
        return PlannedLesson(lesson.id, ReleaseStatus.PAUSED, None, opening.leaf.kind, blocked_by)
    if not facts.is_live or (ends_at is not None and (moment >= ends_at or (at is not None and at >= ends_at))):
        return PlannedLesson(lesson.id, ReleaseStatus.SKIPPED, at, opening.leaf.kind, blocked_by)
    return PlannedLesson(lesson.id, ReleaseStatus.PLANNED, at, opening.leaf.kind, blocked_by)


def _earliest(facts: EnrollmentToPlan) -> datetime:
    """Before its clock and its course have begun nothing opens, whatever a rule says."""
    return max(facts.begins_at, facts.cohort_starts_at or facts.begins_at)


def _is_paused(facts: EnrollmentToPlan) -> bool:
    return any(pause.resumed_at is None for pause in facts.pauses)


def _not_within_a_pause(at: datetime, pauses: Sequence[Pause]) -> datetime:
    for pause in sorted(pauses, key=lambda each: each.paused_at):
        if pause.resumed_at is not None and pause.paused_at <= at < pause.resumed_at:
            at = pause.resumed_at
    return at


# ---- rules ----


def _opening(
    rule: DripRule, lesson: LessonToPlan, facts: EnrollmentToPlan, lessons: Mapping[UUID, LessonToPlan]
) -> _Opening:
    if isinstance(rule, AllOf | AnyOf):
        of_all = [_opening(each, lesson, facts, lessons) for each in rule.rules]
        counting = [each for each in of_all if each.counts]
        if not counting:
            return of_all[0]
        return _latest(counting) if isinstance(rule, AllOf) else _first(counting)
    return _of_leaf(rule, lesson, facts, lessons)


def _latest(openings: Sequence[_Opening]) -> _Opening:
    blocking = [each for each in openings if each.at is None]
    return blocking[0] if blocking else max(openings, key=lambda each: _known(each.at))


def _first(openings: Sequence[_Opening]) -> _Opening:
    known = [each for each in openings if each.at is not None]
    return min(known, key=lambda each: _known(each.at)) if known else openings[0]


def _known(at: datetime | None) -> datetime:
    assert at is not None  # noqa: S101 - asked of openings with a moment alone
    return at


def _of_leaf(
    leaf: Leaf, lesson: LessonToPlan, facts: EnrollmentToPlan, lessons: Mapping[UUID, LessonToPlan]
) -> _Opening:
    match leaf:
        case Immediately():
            return _Opening(facts.begins_at, leaf)
        case FixedDate():
            return _Opening(at_local(leaf.at.date(), leaf.at.time(), facts.zone), leaf)
        case Manual():
            return _Opening(None, leaf)
        case AfterLesson():
            return _after_lesson(leaf, facts, lessons.get(leaf.lesson_id))
        case AfterModule():
            return _after_module(leaf, lesson, facts, lessons)
        case AfterRegistration() | AfterStart() | AfterCohortStart() | AfterMeeting():
            return _delayed(_begun(leaf, facts), leaf, facts)


def _begun(
    leaf: AfterRegistration | AfterStart | AfterCohortStart | AfterMeeting, facts: EnrollmentToPlan
) -> datetime | None:
    match leaf:
        case AfterRegistration():
            return facts.begins_at
        case AfterStart():
            return facts.started_at
        case AfterCohortStart():
            return facts.cohort_starts_at
        case AfterMeeting():
            return (facts.meetings or {}).get(leaf.meeting_id)


def _after_lesson(leaf: AfterLesson, facts: EnrollmentToPlan, other: LessonToPlan | None) -> _Opening:
    """A lesson that is gone, and was not done before, is no condition any more (LMS Service R12)."""
    if other is None or (other.is_gone and other.done_at is None):
        return _Opening(facts.begins_at, leaf, counts=False)
    moments = [other.passed_at if leaf.outcome is LessonStatus.PASSED else other.done_at]
    if leaf.min_score is not None:
        moments.append(next((at for at, score in other.scores if score >= leaf.min_score), None))
    reached = [at for at in moments if at is not None]
    return _delayed(max(reached) if len(reached) == len(moments) else None, leaf, facts)


def _after_module(
    leaf: AfterModule, lesson: LessonToPlan, facts: EnrollmentToPlan, lessons: Mapping[UUID, LessonToPlan]
) -> _Opening:
    """A module without (other) lessons is no condition. Free previews never count."""
    others = [
        each
        for each in lessons.values()
        if counted_in_module(leaf, each.module_id, is_preview=each.is_preview)
        and each.id != lesson.id
        and not each.is_gone
    ]
    if not others:
        return _Opening(facts.begins_at, leaf, counts=False)
    done = sorted(each.done_at for each in others if each.done_at is not None)
    wanted = wanted_of_module(leaf, len(others))
    return _delayed(done[wanted - 1] if len(done) >= wanted else None, leaf, facts)


def counted_in_module(leaf: AfterModule, module_id: UUID | None, *, is_preview: bool) -> bool:
    """Whether a lesson of this module counts for the rule."""
    return module_id == leaf.module_id and not is_preview


def wanted_of_module(leaf: AfterModule, lessons: int) -> int:
    """How many of so many lessons have to be done, rounded up."""
    return -(-lessons * leaf.percent // 100)


# ---- the clock ----


def _delayed(anchor: datetime | None, leaf: _Delayed, facts: EnrollmentToPlan) -> _Opening:
    """The wait after what it counts from. A pause within makes it longer by as much as it lasted; what opens in the
    morning then opens on the first morning after that."""
    if anchor is None:
        return _Opening(None, leaf)
    at = _after(anchor, leaf.amount, leaf.unit, facts.zone)
    shifted = _shifted(at, anchor, facts.pauses)
    if shifted > at and leaf.amount and leaf.unit is not DripUnit.HOURS:
        shifted = _morning(shifted, facts.zone)
    return _Opening(shifted, leaf)


def _after(anchor: datetime, amount: int, unit: DripUnit, zone: ZoneInfo) -> datetime:
    if unit is DripUnit.HOURS:
        return anchor + timedelta(hours=amount)
    if amount == 0:
        return anchor
    return at_local(_day_after(anchor.astimezone(zone).date(), amount, unit), OPENS_AT, zone)


@lru_cache(maxsize=4096)
def _day_after(day: date, amount: int, unit: DripUnit) -> date:
    if unit is DripUnit.MONTHS:
        return day + relativedelta(months=amount)
    return day + timedelta(days=7 * amount if unit is DripUnit.WEEKS else amount)


def _shifted(at: datetime, anchor: datetime, pauses: Sequence[Pause]) -> datetime:
    """Later by the time of all pauses within. Time in two of them counts once."""
    counted_until = anchor
    for pause in sorted(pauses, key=lambda each: each.paused_at):
        if pause.resumed_at is None or pause.resumed_at <= counted_until or pause.paused_at >= at:
            continue
        at += pause.resumed_at - max(pause.paused_at, counted_until)
        counted_until = pause.resumed_at
    return at


def _morning(moment: datetime, zone: ZoneInfo) -> datetime:
    """The first 06:00 of the zone that is not before the moment."""
    day = moment.astimezone(zone).date()
    morning = at_local(day, OPENS_AT, zone)
    return morning if morning >= moment else at_local(day + timedelta(days=1), OPENS_AT, zone)
