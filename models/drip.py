"""When a lesson opens, as data: one rule, or several of which the latest (`all`) or the earliest (`any`) counts.

The kinds are those of Academy of Mine (3.4) and the reference list (10.5). What they come to is in rules/drip.py.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, Field, TypeAdapter

from models.messages.message import Message
from models.moments import WrittenMoment
from models.vocabulary import DripKind, DripUnit, LessonStatus

MAX_DEPTH = 3
MAX_RULES = 10
MAX_AMOUNT = 3650

Score = Annotated[Decimal, Field(ge=0, max_digits=8, decimal_places=2)]


# Far enough from the ends of the calendar that no zone, wait or pause leads beyond them.
FIRST_YEAR, LAST_YEAR = 2000, 2199


def _within_reach(moment: datetime) -> datetime:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"a time of the years {FIRST_YEAR} to {LAST_YEAR}")
    return moment


def _without_zone(moment: datetime) -> datetime:
    if moment.tzinfo is not None:
        raise ValueError("a local time has no zone: it is the learner's")
    return moment.replace(fold=0)


LocalTime = Annotated[datetime, AfterValidator(_without_zone), AfterValidator(_within_reach)]
Moment = Annotated[WrittenMoment, AfterValidator(_within_reach)]


class _Delayed(Message):
    """A rule with a wait. Hours are exact; of days, weeks and months the lesson opens at 06:00 of the learner's day."""

    amount: int = Field(default=0, ge=0, le=MAX_AMOUNT)
    unit: DripUnit = DripUnit.DAYS


class Immediately(Message):
    """Open from the start on."""

    kind: Literal[DripKind.IMMEDIATELY] = DripKind.IMMEDIATELY


class FixedDate(Message):
    """At a time of the learner's clock."""

    kind: Literal[DripKind.FIXED_DATE] = DripKind.FIXED_DATE
    at: LocalTime


class AfterRegistration(_Delayed):
    """So long after the enrollment; its day is day 0."""

    kind: Literal[DripKind.AFTER_REGISTRATION] = DripKind.AFTER_REGISTRATION


class AfterStart(_Delayed):
    """So long after the learner has begun with the course for the first time."""

    kind: Literal[DripKind.AFTER_START] = DripKind.AFTER_START


class AfterCohortStart(_Delayed):
    """So long after the start of the course. In a course without a start it never opens."""

    kind: Literal[DripKind.AFTER_COHORT_START] = DripKind.AFTER_COHORT_START


class AfterMeeting(_Delayed):
    """So long after the end of a meeting of the course. After one that is canceled nothing opens."""

    kind: Literal[DripKind.AFTER_MEETING] = DripKind.AFTER_MEETING
    meeting_id: UUID


class AfterLesson(_Delayed):
    """So long after another lesson is done, or passed, or has brought at least this score."""

    kind: Literal[DripKind.AFTER_LESSON] = DripKind.AFTER_LESSON
    lesson_id: UUID
    outcome: Literal[LessonStatus.COMPLETED, LessonStatus.PASSED] = LessonStatus.COMPLETED
    min_score: Score | None = None


class AfterModule(_Delayed):
    """So long after this part of the lessons of a module is done."""

    kind: Literal[DripKind.AFTER_MODULE] = DripKind.AFTER_MODULE
    module_id: UUID
    percent: int = Field(default=100, ge=1, le=100)


class Manual(Message):
    """When staff releases it."""

    kind: Literal[DripKind.MANUAL] = DripKind.MANUAL


class AllOf(Message):
    """When all of these hold: the latest of them."""

    kind: Literal[DripKind.ALL] = DripKind.ALL
    rules: "tuple[DripRule, ...]" = Field(min_length=1, max_length=MAX_RULES)


class AnyOf(Message):
    """When one of these holds: the earliest of them."""

    kind: Literal[DripKind.ANY] = DripKind.ANY
    rules: "tuple[DripRule, ...]" = Field(min_length=1, max_length=MAX_RULES)


Leaf: TypeAlias = (
    Immediately
    | FixedDate
    | AfterRegistration
    | AfterStart
    | AfterCohortStart
    | AfterMeeting
    | AfterLesson
    | AfterModule
    | Manual
)
DripRule: TypeAlias = Annotated[Leaf | AllOf | AnyOf, Field(discriminator="kind")]

AllOf.model_rebuild()
AnyOf.model_rebuild()


def depth(rule: DripRule) -> int:
    """How deep rules are nested; 1 for a single one."""
    return 1 + max(map(depth, rule.rules)) if isinstance(rule, AllOf | AnyOf) else 1


def leaves(rule: DripRule) -> tuple[Leaf, ...]:
    """The single rules within, in order."""
    if isinstance(rule, AllOf | AnyOf):
        return tuple(leaf for each in rule.rules for leaf in leaves(each))
    return (rule,)


def _not_too_deep(rule: DripRule) -> DripRule:
    if depth(rule) > MAX_DEPTH:
        raise ValueError(f"rules are nested at most {MAX_DEPTH} deep")
    return rule


BoundedRule = Annotated[DripRule, AfterValidator(_not_too_deep)]
_RULE: TypeAdapter[DripRule] = TypeAdapter(BoundedRule)


def read_rule(stored: object) -> DripRule:
    """The rule as it stands in a row (JSON). Raises `pydantic.ValidationError`."""
    return _RULE.validate_python(stored)


def stored_rule(rule: DripRule) -> dict[str, object]:
    """The rule as a row keeps it."""
    return rule.model_dump(mode="json")
