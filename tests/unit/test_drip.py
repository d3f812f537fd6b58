"""When lessons open: never early, never locked again, and right in every night in which clocks are turned."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

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
    Manual,
    leaves,
    read_rule,
    stored_rule,
)
from models.identifiers import REGISTRAR_NAMESPACE
from models.messages.learning import ChangeEnrollment
from models.vocabulary import DripKind, DripUnit, EnrollmentChange, LessonStatus, ReleaseStatus
from rules.drip import (
    EnrollmentToPlan,
    LessonToPlan,
    Pause,
    PlannedLesson,
    due,
    next_opening,
    plan,
)

WARSAW, NEW_YORK, LORD_HOWE = (ZoneInfo(n) for n in ("Europe/Warsaw", "America/New_York", "Australia/Lord_Howe"))
BEGIN = datetime(2026, 3, 2, 11, tzinfo=UTC)
DAY = timedelta(days=1)


def an_id(name: object) -> UUID:
    return uuid5(REGISTRAR_NAMESPACE, str(name))


def a_lesson(name: object, rule: DripRule, **known: object) -> LessonToPlan:
    return LessonToPlan(an_id(name), rule, **known)  # type: ignore[arg-type]


def an_enrollment(*lessons: LessonToPlan, zone: ZoneInfo = WARSAW, **known: object) -> EnrollmentToPlan:
    return EnrollmentToPlan(**{"begins_at": BEGIN, "zone": zone, "lessons": lessons, **known})  # type: ignore[arg-type]


def planned(rule: DripRule, *others: LessonToPlan, **known: object) -> PlannedLesson:
    """How a lesson with this rule stands at the beginning."""
    return plan(an_enrollment(a_lesson("asked", rule), *others, **known), BEGIN)[0]  # type: ignore[arg-type]


def opens(rule: DripRule, *others: LessonToPlan, **known: object) -> datetime | None:
    return planned(rule, *others, **known).opens_at


def local(year: int, month: int, day: int, hour: int, minute: int = 0, *, zone: ZoneInfo = WARSAW) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=zone)


# ---- by example ----


@pytest.mark.parametrize(
    ("amount", "unit", "begins", "expected"),
    [
        (0, DripUnit.DAYS, BEGIN, BEGIN),
        (3, DripUnit.DAYS, BEGIN, local(2026, 3, 5, 6)),
        (1, DripUnit.DAYS, local(2026, 3, 2, 23, 59), local(2026, 3, 3, 6)),
        (2, DripUnit.WEEKS, BEGIN, local(2026, 3, 16, 6)),
        (1, DripUnit.MONTHS, local(2026, 1, 31, 12), local(2026, 2, 28, 6)),
        (1, DripUnit.MONTHS, local(2028, 1, 31, 12), local(2028, 2, 29, 6)),
        (13, DripUnit.MONTHS, local(2026, 1, 31, 12), local(2027, 2, 28, 6)),
        (12, DripUnit.MONTHS, local(2028, 2, 29, 12), local(2029, 2, 28, 6)),
        (36, DripUnit.HOURS, BEGIN, BEGIN + timedelta(hours=36)),
    ],
)
def test_a_wait_counts_from_the_enrollment(
    amount: int, unit: DripUnit, begins: datetime, expected: datetime
) -> None:  # fmt: skip
    rule = AfterRegistration(amount=amount, unit=unit)
    assert plan(replace(an_enrollment(a_lesson("asked", rule)), begins_at=begins), begins)[0].opens_at == expected


@pytest.mark.parametrize(
    ("zone", "night"),
    [
        (WARSAW, (2026, 3, 29)), (WARSAW, (2026, 10, 25)),
        (NEW_YORK, (2026, 3, 8)), (NEW_YORK, (2026, 11, 1)),
        (LORD_HOWE, (2026, 10, 4)), (LORD_HOWE, (2026, 4, 5)),
    ],
)  # fmt: skip
def test_days_open_in_the_morning_and_hours_are_exact_over_a_night_in_which_clocks_are_turned(
    zone: ZoneInfo, night: tuple[int, int, int]
) -> None:
    morning = local(*night, 6, zone=zone)
    evening = (morning - DAY).replace(hour=20)
    assert (morning - evening).total_seconds() == 10 * 3600  # on the clock, which is not how long it lasts
    days, hours = AfterRegistration(amount=1), AfterRegistration(amount=10, unit=DripUnit.HOURS)
    facts = an_enrollment(a_lesson(1, days), a_lesson(2, hours), zone=zone, begins_at=evening.astimezone(UTC))
    by_day, by_hour = plan(facts, facts.begins_at)
    assert by_day.opens_at == morning
    assert by_hour.opens_at == evening.astimezone(UTC) + timedelta(hours=10)
    assert by_hour.opens_at != by_day.opens_at


@pytest.mark.parametrize(
    ("zone", "wall", "expected"),
    [
        (WARSAW, "2026-03-29T02:30:30", "2026-03-29T01:00:00+00:00"),  # skipped: the next valid minute
        (WARSAW, "2026-10-25T02:30", "2026-10-25T00:30:00+00:00"),  # twice: the first
        (NEW_YORK, "2026-03-08T02:59", "2026-03-08T07:00:00+00:00"),
        (NEW_YORK, "2026-11-01T01:30", "2026-11-01T05:30:00+00:00"),
        (LORD_HOWE, "2026-10-04T02:15", "2026-10-03T15:30:00+00:00"),
        (LORD_HOWE, "2026-04-05T01:45", "2026-04-04T14:45:00+00:00"),
    ],
)
def test_a_fixed_time_has_one_moment_where_clocks_are_turned(zone: ZoneInfo, wall: str, expected: str) -> None:
    rule = read_rule({"kind": "fixed_date", "at": wall})
    begins = datetime(2026, 1, 1, tzinfo=UTC)
    assert opens(rule, zone=zone, begins_at=begins) == datetime.fromisoformat(expected)


def test_nothing_opens_before_the_enrollment_or_the_course_begins_except_previews() -> None:
    rule, start = FixedDate(at=datetime(2026, 1, 1, 9)), BEGIN + 10 * DAY  # noqa: DTZ001 - of the learner's clock
    assert opens(rule) == BEGIN
    assert opens(rule, cohort_starts_at=start) == start
    assert opens(Immediately(), cohort_starts_at=start) == start
    preview = an_enrollment(a_lesson("asked", Immediately(), is_preview=True), cohort_starts_at=start)
    assert plan(preview, BEGIN)[0].opens_at == BEGIN


def test_what_has_to_happen_first_is_told() -> None:
    first = AfterLesson(lesson_id=an_id("other"), outcome=LessonStatus.PASSED)
    for rule, known in (
        (AfterStart(), {}),
        (AfterCohortStart(), {}),
        (AfterMeeting(meeting_id=an_id("meeting")), {"meetings": {}}),
        (Manual(), {}),
        (first, {}),
    ):
        told = planned(rule, a_lesson("other", Immediately(), done_at=BEGIN), **known)
        assert (told.status, told.opens_at, told.blocked_by) == (ReleaseStatus.PLANNED, None, rule)


def test_a_score_counts_from_when_it_was_first_reached() -> None:
    rule = AfterLesson(lesson_id=an_id("other"), min_score=Decimal(80), amount=2)
    scores = ((BEGIN, Decimal(70)), (BEGIN + DAY, Decimal(85)), (BEGIN + 2 * DAY, Decimal(60)))
    other = a_lesson("other", Immediately(), done_at=BEGIN, scores=scores)
    assert opens(rule, other) == local(2026, 3, 5, 6)
    assert opens(rule, replace(other, scores=scores[:1])) is None


def test_part_of_a_module_is_rounded_up_and_previews_do_not_count() -> None:
    module = an_id("module")
    rule = AfterModule(module_id=module, percent=50)
    others = [
        a_lesson(n, Immediately(), module_id=module, done_at=BEGIN + n * DAY if n < 2 else None) for n in range(3)
    ]
    assert opens(rule, *others) == BEGIN + DAY
    assert opens(rule, *others[:2], replace(others[2], done_at=BEGIN + 2 * DAY)) == BEGIN + DAY
    assert opens(rule, others[0], *others[2:], a_lesson(9, Immediately(), module_id=module)) is None
    preview = a_lesson("free", Immediately(), module_id=module, is_preview=True)
    assert opens(AfterModule(module_id=module), *others[:2], preview) == BEGIN + DAY


def test_what_is_gone_is_no_condition_any_more() -> None:
    rule, gone = AfterLesson(lesson_id=an_id("other")), a_lesson("other", Manual(), is_gone=True)
    assert opens(rule, gone) == BEGIN
    assert opens(AllOf(rules=(rule, AfterRegistration(amount=1))), gone) == local(2026, 3, 3, 6)
    assert opens(AnyOf(rules=(rule, AfterRegistration(amount=1))), gone) == local(2026, 3, 3, 6)
    assert opens(AfterModule(module_id=an_id("empty"))) == BEGIN
    assert plan(an_enrollment(gone), BEGIN) == ()
    assert plan(an_enrollment(replace(gone, done_at=BEGIN)), BEGIN)[0].status is ReleaseStatus.RELEASED


def test_a_pause_makes_hours_longer_by_what_it_lasted_and_days_until_the_next_morning() -> None:
    pause = Pause(BEGIN + DAY, BEGIN + 2 * DAY + timedelta(hours=5))
    hours, days, now = AfterRegistration(amount=48, unit=DripUnit.HOURS), AfterRegistration(amount=2), Immediately()
    assert opens(hours, pauses=(pause,)) == BEGIN + 3 * DAY + timedelta(hours=5)
    assert opens(days, pauses=(pause,)) == local(2026, 3, 6, 6)
    assert opens(now, pauses=(pause,)) == BEGIN
    # A fixed time within waits for the end; what was due before the pause, or at once, has no morning to wait for.
    fixed = FixedDate(at=datetime(2026, 3, 4, 8))  # noqa: DTZ001 - of the learner's clock
    assert opens(fixed, pauses=(pause,)) == pause.resumed_at
    other = a_lesson("other", now, done_at=pause.paused_at + timedelta(hours=1))
    assert opens(AfterLesson(lesson_id=an_id("other")), other, pauses=(pause,)) == pause.resumed_at
    assert opens(hours, pauses=(pause, replace(pause, paused_at=BEGIN))) == BEGIN + 4 * DAY + timedelta(hours=5)


def test_an_enrollment_that_is_paused_or_over_opens_nothing() -> None:
    going_on = (Pause(BEGIN - DAY, None),)
    late = AfterRegistration(amount=5)
    assert planned(late, pauses=going_on).status is ReleaseStatus.PAUSED
    assert planned(late, pauses=going_on, access_ends_at=BEGIN).status is ReleaseStatus.PAUSED
    assert planned(late, pauses=going_on, is_live=False).status is ReleaseStatus.SKIPPED
    assert planned(late, access_ends_at=BEGIN + 4 * DAY).status is ReleaseStatus.SKIPPED
    # The pause leads beyond the end.
    over = (Pause(BEGIN + DAY, BEGIN + 9 * DAY),)
    assert planned(late, pauses=over, access_ends_at=BEGIN + 6 * DAY).status is ReleaseStatus.SKIPPED


# ---- what the model refuses ----


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "fixed_date", "at": "9999-12-31T23:59:59"},
        {"kind": "fixed_date", "at": "0001-01-01T00:00:00"},
        {"kind": "fixed_date", "at": "2026-01-01T00:00:00Z"},
        {"kind": "after_registration", "amount": -1},
        {"kind": "after_registration", "amount": 3651, "unit": "months"},
        {"kind": "after_lesson", "lesson_id": str(an_id(1)), "min_score": "NaN"},
        {"kind": "after_lesson", "lesson_id": str(an_id(1)), "outcome": "failed"},
        {"kind": "after_module", "module_id": str(an_id(1)), "percent": 0},
        {"kind": "all", "rules": []},
        {"kind": "any", "rules": [{"kind": "all", "rules": [{"kind": "any", "rules": [{"kind": "manual"}]}]}]},
        {"kind": "any", "rules": [{"kind": "manual"}] * 11},
        {"kind": "sometime"},
        {},
    ],
)
def test_a_rule_that_cannot_hold_is_no_rule(rule: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        read_rule(rule)


def test_moments_beyond_the_calendar_are_refused_in_a_wish_already() -> None:
    wish = {"change_id": an_id(1), "enrollment_id": an_id(2), "change": EnrollmentChange.MOVE_START, "actor": "staff:7"}
    assert ChangeEnrollment.model_validate({**wish, "starts_at": BEGIN}).starts_at == BEGIN
    for year in (1, 1999, 2200, 9999):
        with pytest.raises(ValidationError):
            ChangeEnrollment.model_validate({**wish, "starts_at": BEGIN.replace(year=year)})


def test_the_longest_wait_of_the_latest_start_still_has_a_date() -> None:
    longest = AfterRegistration(amount=3650, unit=DripUnit.MONTHS)
    at = opens(longest, begins_at=datetime(2199, 12, 31, 23, 59, tzinfo=UTC), zone=ZoneInfo("Pacific/Kiritimati"))
    assert at is not None
    assert at.year > 2500


# ---- properties ----

NAMES = range(5)
ZONES = st.sampled_from(
    [WARSAW, NEW_YORK, LORD_HOWE, *(ZoneInfo(name) for name in ("UTC", "Asia/Kathmandu", "Africa/Casablanca"))]
)
MOMENTS = st.integers(0, 400 * 24).map(lambda hours: BEGIN - 30 * DAY + timedelta(hours=hours))
WAITS = st.fixed_dictionaries({"amount": st.integers(0, 60), "unit": st.sampled_from([DripUnit.HOURS, DripUnit.DAYS])})
LESSONS = st.sampled_from(NAMES).map(an_id)
LEAVES = st.one_of(
    st.just(Immediately()),
    st.just(Manual()),
    st.builds(FixedDate, at=MOMENTS.map(lambda moment: moment.replace(tzinfo=None))),
    WAITS.map(lambda wait: AfterRegistration(**wait)),
    WAITS.map(lambda wait: AfterStart(**wait)),
    WAITS.map(lambda wait: AfterCohortStart(**wait)),
    st.integers(0, 24).map(lambda months: AfterRegistration(amount=months, unit=DripUnit.MONTHS)),
    st.builds(AfterMeeting, meeting_id=LESSONS, amount=st.integers(0, 3)),
    st.builds(
        AfterLesson, lesson_id=LESSONS, amount=st.integers(0, 9),
        outcome=st.sampled_from([LessonStatus.COMPLETED, LessonStatus.PASSED]),
        min_score=st.none() | st.integers(0, 100).map(Decimal),
    ),
    st.builds(AfterModule, module_id=LESSONS, percent=st.integers(1, 100)),
)  # fmt: skip
RULES: st.SearchStrategy[DripRule] = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(AllOf, rules=st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(AnyOf, rules=st.lists(inner, min_size=1, max_size=3).map(tuple))
    ),
    max_leaves=5,
)


@st.composite
def pauses(draw: st.DrawFn) -> tuple[Pause, ...]:
    """Pauses one after the other, all over."""
    moments = sorted(draw(st.lists(MOMENTS, max_size=4)))
    return tuple(Pause(start, end) for start, end in list(pairwise(moments))[::2])


@st.composite
def enrollments(draw: st.DrawFn) -> EnrollmentToPlan:
    def maybe() -> datetime | None:
        return draw(st.none() | MOMENTS)

    lessons = []
    for name in NAMES:
        done = maybe()
        lessons.append(
            LessonToPlan(
                an_id(name), draw(RULES), module_id=draw(st.none() | LESSONS), is_preview=draw(st.booleans()),
                done_at=done, passed_at=done if draw(st.booleans()) else None,
                scores=((done, Decimal(draw(st.integers(0, 100)))),) if done else (),
            )
        )  # fmt: skip
    return EnrollmentToPlan(
        begins_at=draw(MOMENTS), zone=draw(ZONES), lessons=tuple(lessons), started_at=maybe(),
        cohort_starts_at=maybe(), access_ends_at=draw(st.none() | MOMENTS.map(lambda moment: moment + 200 * DAY)),
        meetings=draw(st.dictionaries(LESSONS, MOMENTS)), pauses=draw(pauses()),
    )  # fmt: skip


def released(facts: EnrollmentToPlan, moment: datetime) -> EnrollmentToPlan:
    """The enrollment after whoever keeps the record has released what is due."""
    opening = {each.lesson_id: each for each in due(plan(facts, moment), moment)}
    return replace(
        facts,
        lessons=tuple(
            replace(each, released_at=opening[each.id].opens_at, released_by=opening[each.id].reason)
            if each.id in opening
            else each
            for each in facts.lessons
        ),
    )


def later(moment: datetime | None) -> datetime:
    return moment or datetime.max.replace(tzinfo=UTC)


@given(enrollments(), MOMENTS)
def test_replanning_after_a_release_changes_nothing(facts: EnrollmentToPlan, moment: datetime) -> None:
    before = plan(facts, moment)
    opened = {each.lesson_id for each in due(before, moment)}
    after = plan(released(facts, moment), moment)
    assert due(after, moment) == ()
    assert next_opening(after, moment) == next_opening(before, moment)
    for was, now in zip(before, after, strict=True):
        assert (now.opens_at, now.reason) == (was.opens_at, was.reason)
        assert now.status is (ReleaseStatus.RELEASED if was.lesson_id in opened else was.status)
    assert plan(facts, moment) == before


@given(enrollments(), MOMENTS, st.data())
def test_nothing_locks_again(facts: EnrollmentToPlan, moment: datetime, data: st.DataObject) -> None:
    """Whatever the rules, the clock and the state of the enrollment are made of afterwards."""
    kept = released(facts, moment)
    was_open = {each.lesson_id for each in plan(kept, moment) if each.status is ReleaseStatus.RELEASED}
    changed = data.draw(enrollments())
    rules = [each.rule for each in changed.lessons]
    mixed = replace(
        changed,
        is_live=data.draw(st.booleans()),
        lessons=tuple(
            replace(each, rule=rule, is_gone=data.draw(st.booleans()))
            for each, rule in zip(kept.lessons, rules, strict=True)
        ),
    )
    now = {each.lesson_id: each.status for each in plan(mixed, data.draw(MOMENTS))}
    assert {now[lesson] for lesson in was_open} <= {ReleaseStatus.RELEASED}


@given(enrollments(), MOMENTS, LESSONS, MOMENTS)
def test_what_is_done_more_opens_nothing_later(
    facts: EnrollmentToPlan, moment: datetime, lesson_id: UUID, done_at: datetime
) -> None:
    at = next(each for each in facts.lessons if each.id == lesson_id)
    assume(at.done_at is None)
    done = replace(at, done_at=done_at, passed_at=done_at, scores=((done_at, Decimal(100)),))
    more = replace(facts, lessons=tuple(done if each.id == lesson_id else each for each in facts.lessons))
    for was, now in zip(plan(facts, moment), plan(more, moment), strict=True):
        if was.lesson_id != lesson_id and was.opens_at is not None:
            assert now.opens_at is not None
            assert now.opens_at <= was.opens_at


@given(enrollments(), MOMENTS)
def test_nothing_opens_early(facts: EnrollmentToPlan, moment: datetime) -> None:
    """Not before the enrollment, the course, and for a single rule what it counts from; nor while it stands still."""
    lessons = {each.id: each for each in facts.lessons}
    for each in plan(facts, moment):
        lesson = lessons[each.lesson_id]
        if each.status is ReleaseStatus.RELEASED or each.opens_at is None:
            continue
        if not lesson.is_preview:
            assert each.opens_at >= max(facts.begins_at, facts.cohort_starts_at or facts.begins_at)
        assert not any(p.paused_at <= each.opens_at < later(p.resumed_at) for p in facts.pauses)
        if each.status is ReleaseStatus.PLANNED and facts.access_ends_at is not None:
            assert each.opens_at < facts.access_ends_at
        match lesson.rule:
            case AfterRegistration() as rule if rule.unit is DripUnit.DAYS and rule.amount:
                assert each.opens_at.astimezone(facts.zone).date() >= (
                    facts.begins_at.astimezone(facts.zone).date() + rule.amount * DAY
                )
            case AfterLesson() as rule if (other := lessons[rule.lesson_id]).id != lesson.id:
                assert other.done_at is not None
                assert each.opens_at >= other.done_at


@given(enrollments(), st.lists(LEAVES, min_size=1, max_size=3))
def test_all_is_the_latest_and_any_the_earliest(facts: EnrollmentToPlan, rules: list[DripRule]) -> None:
    def asked(rule: DripRule) -> PlannedLesson:
        lesson = a_lesson("asked", rule)
        return plan(replace(facts, lessons=(lesson, *facts.lessons), access_ends_at=None), facts.begins_at)[0]

    def counts(rule: DripRule) -> bool:
        members = {each.module_id for each in facts.lessons if not each.is_preview}
        return not isinstance(rule, AfterModule) or rule.module_id in members

    assume(all(counts(rule) for rule in rules))
    each_alone = [later(asked(rule).opens_at) for rule in rules]
    assert later(asked(AllOf(rules=tuple(rules))).opens_at) == max(each_alone)
    assert later(asked(AnyOf(rules=tuple(rules))).opens_at) == min(each_alone)
    assert {asked(AnyOf(rules=tuple(rules))).reason} <= {leaf.kind for rule in rules for leaf in leaves(rule)}


@given(st.integers(1, 500), st.integers(0, 499), st.integers(0, 180 * 24), ZONES)
def test_a_pause_shifts_by_exactly_what_it_lasted(hours: int, into: int, lasted: int, zone: ZoneInfo) -> None:
    rule, length = AfterRegistration(amount=hours, unit=DripUnit.HOURS), timedelta(hours=lasted)
    due_at = BEGIN + timedelta(hours=hours)
    paused = BEGIN + timedelta(hours=into % hours)
    assert opens(rule, zone=zone, pauses=(Pause(paused, paused + length),)) == due_at + length
    days = AfterRegistration(amount=hours)
    without, shifted = opens(days, zone=zone), opens(days, zone=zone, pauses=(Pause(paused, paused + length),))
    assert without is not None
    assert shifted is not None
    assert timedelta() <= shifted - without - length < timedelta(hours=25)
    assert shifted.astimezone(zone).hour == 6


@given(RULES, ZONES)
def test_a_rule_is_stored_as_it_is(rule: DripRule, zone: ZoneInfo) -> None:
    try:
        assert read_rule(stored_rule(rule)) == rule
    except ValidationError as refused:
        assert "deep" in str(refused)  # noqa: PT017 - a deep one is refused when it is read
    assert isinstance(planned(rule, zone=zone).reason, DripKind)
