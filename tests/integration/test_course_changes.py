"""Changes of a course that people learn in: what they would come to, what they write, and who follows, page by page."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text, update
from sqlmodel import col
from temporalio.contrib.pydantic import PydanticPayloadConverter

from activities.course_changes import (
    CourseChangeActivities,
    CourseImpact,
    LessonImpact,
    preview_course_change,
    preview_enrollment_change,
)
from activities.database import Sessions
from activities.drips import DripActivities
from activities.orders import OrderActivities
from activities.plans import EnrollmentPlan, plan_of
from models.drip import AfterLesson, AfterMeeting, AfterRegistration, Immediately, Manual
from models.errors import Reason
from models.identifiers import course_change_workflow_id
from models.messages.learning import (
    ChangeEnrollment,
    CourseChangeRequest,
    CourseEdit,
    EndCourseChange,
    LessonEdit,
    ReplanPage,
)
from models.tables import ClassSession, Course, CourseChange, CourseModule, Enrollment, EnrollmentPause, Lesson
from models.tables.columns import now
from models.vocabulary import (
    AccessRule,
    CompletionRule,
    ContentChange,
    DripKind,
    EnrollmentChange,
    EnrollmentStatus,
    LessonStatus,
    ReleaseStatus,
)
from rules.decision import Refused
from sandbox.sample_academy import sample_id
from tests.eventually import eventually
from tests.integration.learning_steps import BEGAN, CODE, DAY, advance, changing, enrolled, releases_of, teach
from tests.integration.many_places import write_places

COURSE = sample_id("course", CODE)
IN_A_YEAR = AfterRegistration(amount=365)


@pytest.fixture
def changes(orders: OrderActivities) -> CourseChangeActivities:
    return CourseChangeActivities(orders.sessions)


def request(content: ContentChange | None = None, **said: object) -> CourseChangeRequest:
    return CourseChangeRequest.model_validate(
        {"change_id": uuid4(), "course_id": COURSE, "content": content, "actor": "staff:7", **said}
    )


def members(change: EnrollmentChange, **said: object) -> CourseChangeRequest:
    wish = {"change_id": uuid4(), "enrollment_id": uuid4(), "change": change, "actor": "staff:7", **said}
    return request(members=ChangeEnrollment.model_validate(wish))


async def impact_of(sessions: Sessions, wanted: CourseChangeRequest) -> CourseImpact:
    async with sessions() as session:
        impact = await preview_course_change(session, wanted)
        assert not session.dirty
        await session.rollback()
    assert isinstance(impact, CourseImpact), impact
    return impact


async def begun(changes: CourseChangeActivities, wanted: CourseChangeRequest) -> int:
    answer = await changes.begin_course_change(wanted)
    assert answer.refusal is None, answer.refusal_detail
    assert await changes.begin_course_change(wanted) == answer
    return answer.enrollments


async def followed(changes: CourseChangeActivities, wanted: CourseChangeRequest, limit: int) -> list[Sequence[UUID]]:
    """Page by page, each of them twice."""
    pages: list[Sequence[UUID]] = []
    last = None
    while True:
        step = ReplanPage(
            change_id=wanted.change_id, after=last, limit=limit, moment=now(),
            workflow_id=course_change_workflow_id(wanted.change_id),
        )  # fmt: skip
        page = await changes.follow_page(step)
        assert await changes.follow_page(step) == page
        if not page.ids:
            return pages
        pages.append(page.ids)
        last = page.ids[-1]


async def counts_of(sessions: Sessions, wanted: CourseChangeRequest) -> tuple[str, int, int]:
    async with sessions() as session:
        row = await session.get_one(CourseChange, wanted.change_id)
        return row.status, row.done, row.refused


# ---- what it would come to ----


async def test_how_many_learners_a_rule_moves_and_nothing_is_written(changes: CourseChangeActivities) -> None:
    sessions = changes.sessions
    first, second = await teach(sessions, Immediately(), AfterRegistration(amount=30))
    await write_places(sessions, 5)
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).values(enrolled_at=now() - 10 * DAY))
    edits = {
        "earlier": AfterRegistration(amount=20),
        "later": AfterRegistration(amount=40),
        "at_once": AfterRegistration(amount=5),
        "no_more": Manual(),
    }
    for word, rule in edits.items():
        edit = request(ContentChange.EDIT_LESSON, lesson_id=second, lesson=LessonEdit(drip_rule=rule))
        impact = await impact_of(sessions, edit)
        [lesson] = impact.lessons
        assert (impact.learners, lesson.lesson_id) == (5, second)
        told = {"earlier": lesson.earlier, "later": lesson.later, "at_once": lesson.at_once, "no_more": lesson.no_more}
        assert {key: count for key, count in told.items() if count} == {word: 5}
    gone = request(ContentChange.REMOVE_LESSON, lesson_id=second)
    assert await impact_of(sessions, gone) == CourseImpact(5, (LessonImpact(second, no_more=5),))
    added = request(ContentChange.ADD_LESSON, lesson_id=uuid4(), lesson=LessonEdit(title="New"))
    assert [each.at_once for each in (await impact_of(sessions, added)).lessons] == [5]
    # What is open does not move.
    late = request(ContentChange.EDIT_LESSON, lesson_id=first, lesson=LessonEdit(drip_rule=IN_A_YEAR))
    for place_id in (await _places(sessions))[:2]:
        await advance(DripActivities(sessions), place_id, now())
    assert await impact_of(sessions, late) == CourseImpact(5)
    async with sessions() as session:
        assert (await session.execute(select(func.count()).select_from(CourseChange))).scalar_one() == 0
        assert (await session.get_one(Lesson, second)).removed_at is None


async def _places(sessions: Sessions) -> Sequence[UUID]:
    async with sessions() as session:
        query = select(col(Enrollment.id)).where(col(Enrollment.course_id) == COURSE)
        return (await session.execute(query.order_by(col(Enrollment.id)))).scalars().all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (EnrollmentChange.PAUSE, {"until": BEGAN + 20 * DAY}),
        (EnrollmentChange.RELEASE, {}),
        (EnrollmentChange.MOVE_START, {"starts_at": BEGAN - 20 * DAY}),
        (EnrollmentChange.MOVE_START, {"starts_at": BEGAN + 20 * DAY}),
        (EnrollmentChange.RESTART_CLOCK, {}),
        (EnrollmentChange.SET_ACCESS, {"access_ends_at": BEGAN + 8 * DAY}),
        (EnrollmentChange.SUSPEND, {}),
    ],
)
async def test_a_dry_run_shows_what_then_happens(
    changes: CourseChangeActivities, change: EnrollmentChange, said: dict[str, object]
) -> None:
    sessions, moment = changes.sessions, BEGAN + 2 * DAY
    drips = DripActivities(sessions)
    place = await enrolled(sessions, Immediately(), AfterRegistration(amount=7), AfterRegistration(amount=14))
    await advance(drips, place.id, BEGAN)
    step = changing(place.id, change, moment, **said)
    async with sessions() as session:
        previewed = await preview_enrollment_change(session, step.wish, moment)
    assert isinstance(previewed, EnrollmentPlan)
    before = await releases_of(sessions, place.id)
    assert len(before) == 1
    assert (await drips.change_enrollment(step)).refusal is None
    async with sessions() as session:
        planned = await plan_of(session, place.id, moment)
    assert planned is not None
    assert [each.planned for each in planned.lessons] == [each.planned for each in previewed.lessons]
    assert planned.enrollment.status == previewed.enrollment.status


async def test_a_dry_run_says_why_not(changes: CourseChangeActivities) -> None:
    place = await enrolled(changes.sessions, Immediately())
    step = changing(place.id, EnrollmentChange.RESUME, BEGAN)
    async with changes.sessions() as session:
        refused = await preview_enrollment_change(session, step.wish, BEGAN)
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.ENROLLMENT_NOT_PAUSED
        unknown = await preview_course_change(session, request(ContentChange.REMOVE_LESSON, lesson_id=uuid4()))
        assert isinstance(unknown, Refused)


@pytest.mark.parametrize(
    "wanted",
    [
        members(EnrollmentChange.PAUSE, until="2199-01-01T00:00:00Z"),
        members(EnrollmentChange.PAUSE, until=now() + DAY),
        members(EnrollmentChange.RELEASE, lesson_ids=[uuid4()]),
        members(EnrollmentChange.RELEASE),
        members(EnrollmentChange.RESET),
        members(EnrollmentChange.JUDGE, judgement="passed"),
        members(EnrollmentChange.RESUME),
        members(EnrollmentChange.REACTIVATE),
        members(EnrollmentChange.RESTART_CLOCK),
    ],
)
async def test_a_dry_run_for_all_counts_those_who_then_refuse(
    changes: CourseChangeActivities, wanted: CourseChangeRequest
) -> None:
    sessions = changes.sessions
    await teach(sessions, AfterRegistration(amount=30))
    _, place_ids = await write_places(sessions, 3)
    async with sessions.begin() as session:
        of_one = update(Enrollment).where(col(Enrollment.id) == place_ids[0])
        await session.execute(of_one.values(status=EnrollmentStatus.SUSPENDED))
    impact = await impact_of(sessions, wanted)
    await begun(changes, wanted)
    await followed(changes, wanted, 10)
    _, done, refused = await counts_of(sessions, wanted)
    assert (impact.learners, impact.refused) == (done + refused, refused)


async def test_the_plan_of_a_later_date(changes: CourseChangeActivities) -> None:
    place = await enrolled(changes.sessions, Immediately(), AfterRegistration(amount=7), Manual())
    async with changes.sessions() as session:
        later = await plan_of(session, place.id, BEGAN + 8 * DAY, looked_at=BEGAN - DAY)
        late = await plan_of(session, place.id, BEGAN + 8 * DAY, looked_at=BEGAN + DAY)
        now_is_later = await plan_of(session, place.id, BEGAN + 8 * DAY)
        assert await plan_of(session, uuid4(), BEGAN) is None
    opened, planned = ReleaseStatus.RELEASED, ReleaseStatus.PLANNED
    for plan, statuses in (
        (later, [opened, opened, planned]),
        # What should have opened by then, and is not on record, is not shown as open: its job is late.
        (late, [planned, opened, planned]),
        (now_is_later, [planned, planned, planned]),
    ):
        assert plan is not None
        assert [each.planned.status for each in plan.lessons] == statuses
        assert plan.lessons[0].planned.opens_at == BEGAN
        assert plan.lessons[2].planned.reason is DripKind.MANUAL


# ---- what it writes, and who follows ----


async def test_a_lesson_is_added_for_all_or_for_new_learners(changes: CourseChangeActivities) -> None:
    place = await enrolled(changes.sessions, Immediately(), completion_rule=CompletionRule.COMPLETE_ALL)
    drips = DripActivities(changes.sessions)
    await advance(drips, place.id, BEGAN)
    for_all, for_new = (
        request(ContentChange.ADD_LESSON, lesson_id=uuid4(), lesson=LessonEdit(title="New", for_new_learners_only=new))
        for new in (False, True)
    )
    assert await begun(changes, for_all) == 1
    await begun(changes, for_new)
    step = await advance(drips, place.id, BEGAN + DAY)
    assert (step.lessons, step.released) == (2, 2)
    assert for_new.lesson_id not in await releases_of(changes.sessions, place.id)
    # It is new, so that it is told, although it opens from the beginning on.
    assert len(step.mails) == 1


async def test_lessons_are_removed_and_reordered_and_meetings_moved(changes: CourseChangeActivities) -> None:
    sessions = changes.sessions
    place = await enrolled(sessions, Immediately(), Immediately(), Immediately())
    first, second, third = place.lessons
    await begun(changes, request(ContentChange.REMOVE_LESSON, lesson_id=second))
    await begun(changes, request(ContentChange.REORDER_LESSONS, order=(third, first)))
    async with sessions() as session:
        query = select(col(Lesson.id)).where(col(Lesson.course_id) == COURSE).order_by(col(Lesson.position))
        assert (await session.execute(query)).scalars().all() == [third, first, second]
    incomplete = await changes.begin_course_change(request(ContentChange.REORDER_LESSONS, order=(third,)))
    assert incomplete.refusal is Reason.INVALID_REQUEST

    soon = now() + DAY
    meeting = ClassSession(course_id=COURSE, title="Meeting", starts_at=soon, ends_at=soon + timedelta(hours=1))
    over = ClassSession(course_id=COURSE, title="Over", starts_at=BEGAN, ends_at=BEGAN + timedelta(hours=1))
    async with sessions.begin() as session:
        session.add_all([meeting, over])
    moved = {"meeting_starts_at": soon + DAY, "meeting_ends_at": soon + 2 * DAY}
    await begun(changes, request(ContentChange.MOVE_MEETING, meeting_id=meeting.id, **moved))
    past = {"meeting_starts_at": BEGAN, "meeting_ends_at": BEGAN + timedelta(hours=1)}
    backwards = await changes.begin_course_change(request(ContentChange.MOVE_MEETING, meeting_id=meeting.id, **past))
    assert (backwards.refusal, backwards.refusal_detail) == (
        Reason.INVALID_REQUEST, "A meeting is moved to a time that is not over yet.",
    )  # fmt: skip
    await begun(changes, request(ContentChange.CANCEL_MEETING, meeting_id=meeting.id))
    async with sessions() as session:
        kept = await session.get_one(ClassSession, meeting.id)
        assert (kept.starts_at, kept.canceled_at is not None) == (soon + DAY, True)
    late = await changes.begin_course_change(request(ContentChange.CANCEL_MEETING, meeting_id=over.id))
    assert late.refusal is Reason.MEETING_OVER


@pytest.mark.parametrize(
    "edit",
    [
        LessonEdit(drip_rule=AfterLesson(lesson_id=uuid4())),
        LessonEdit(drip_rule=AfterMeeting(meeting_id=uuid4())),
        LessonEdit(module_id=uuid4()),
    ],
)
async def test_rules_about_what_there_is_not_are_refused(changes: CourseChangeActivities, edit: LessonEdit) -> None:
    [first] = await teach(changes.sessions, Immediately())
    refused = await changes.begin_course_change(request(ContentChange.EDIT_LESSON, lesson_id=first, lesson=edit))
    assert refused.refusal is Reason.DRIP_RULE_INVALID
    added = request(ContentChange.ADD_LESSON, lesson=edit.model_copy(update={"title": "New"}))
    assert (await changes.begin_course_change(added)).refusal is Reason.DRIP_RULE_INVALID
    async with changes.sessions() as session:
        kept = await session.get_one(Lesson, first)
        assert (kept.drip_rule, kept.module_id) == ({"kind": "immediately"}, None)
        assert (await session.execute(select(func.count()).select_from(CourseChange))).scalar_one() == 0


def over_the_wire(wanted: CourseChangeRequest) -> CourseChangeRequest:
    """As Temporal brings it, and as the record keeps it."""
    wire = PydanticPayloadConverter()
    read: CourseChangeRequest = wire.from_payloads(wire.to_payloads([wanted]), [CourseChangeRequest])[0]
    assert CourseChangeRequest.model_validate(read.model_dump(mode="json")) == read
    return read


async def test_null_takes_away_what_may_be_missing(changes: CourseChangeActivities) -> None:
    sessions = changes.sessions
    first, second = await teach(sessions, Immediately(), Immediately(), starts_at=BEGAN)
    module = CourseModule(course_id=COURSE, position=7, title="Module")
    async with sessions.begin() as session:
        session.add(module)
    whole = LessonEdit(module_id=module.id, total_marks=Decimal(10), passing_marks=Decimal(6), max_attempts=3)
    await begun(changes, request(ContentChange.EDIT_LESSON, lesson_id=first, lesson=whole))
    asks = LessonEdit(drip_rule=AfterLesson(lesson_id=first, outcome=LessonStatus.PASSED))
    await begun(changes, request(ContentChange.EDIT_LESSON, lesson_id=second, lesson=asks))

    nothing = over_the_wire(request(ContentChange.EDIT_LESSON, lesson_id=first, lesson=LessonEdit(title="New")))
    await begun(changes, nothing)
    async with sessions() as session:
        kept = await session.get_one(Lesson, first)
        assert (kept.title, kept.module_id, kept.total_marks, kept.max_attempts) == ("New", module.id, Decimal(10), 3)

    bare = LessonEdit(module_id=None, total_marks=None, passing_marks=None)
    taken = over_the_wire(request(ContentChange.EDIT_LESSON, lesson_id=first, lesson=bare))
    # Another lesson asks for a result of it.
    assert (await changes.begin_course_change(taken)).refusal is Reason.DRIP_RULE_INVALID
    freed = LessonEdit(drip_rule=Immediately())
    await begun(changes, request(ContentChange.EDIT_LESSON, lesson_id=second, lesson=freed))
    await begun(changes, taken)
    no_start = over_the_wire(request(ContentChange.EDIT_COURSE, course=CourseEdit(starts_at=None)))
    await begun(changes, no_start)
    async with sessions() as session:
        lesson, course = await session.get_one(Lesson, first), await session.get_one(Course, COURSE)
        assert (lesson.title, lesson.module_id, lesson.total_marks, lesson.passing_marks) == ("New", None, None, None)
        assert (lesson.max_attempts, course.starts_at) == (3, None)

    # The key stands for what was taken away, too.
    other = taken.model_copy(update={"lesson": LessonEdit()})
    assert (await changes.begin_course_change(other)).refusal is Reason.IDEMPOTENCY_KEY_REUSED


@pytest.mark.parametrize(
    ("content", "edit"),
    [
        *((ContentChange.EDIT_LESSON, {name: None}) for name in ("title", "drip_rule", "is_preview", "max_attempts")),
        (ContentChange.EDIT_LESSON, {"total_marks": None}),
        (ContentChange.EDIT_COURSE, {"completion_rule": None}),
        (ContentChange.EDIT_COURSE, {"access_rule": None}),
    ],
)
async def test_what_has_to_be_there_is_not_taken_away(
    changes: CourseChangeActivities, content: ContentChange, edit: dict[str, object]
) -> None:
    [first] = await teach(changes.sessions, Immediately())
    marks = LessonEdit(total_marks=Decimal(10), passing_marks=Decimal(6))
    await begun(changes, request(ContentChange.EDIT_LESSON, lesson_id=first, lesson=marks))
    of_lesson = {"lesson_id": first, "lesson": edit} if content is ContentChange.EDIT_LESSON else {"course": edit}
    refused = await changes.begin_course_change(over_the_wire(request(content, **of_lesson)))
    assert refused.refusal is Reason.INVALID_REQUEST


async def test_a_course_is_edited_as_a_whole(changes: CourseChangeActivities) -> None:
    edit = CourseEdit(access_rule=AccessRule.DAYS_AFTER_START)
    assert (await changes.begin_course_change(request(ContentChange.EDIT_COURSE, course=edit))).refusal in (
        Reason.INVALID_REQUEST, None,
    )  # fmt: skip
    until = now() + 30 * DAY
    whole = CourseEdit(access_rule=AccessRule.UNTIL_DATE, access_until=until, completion_rule=CompletionRule.JUDGED)
    past = request(ContentChange.EDIT_COURSE, course=whole.model_copy(update={"access_until": BEGAN}))
    assert (await changes.begin_course_change(past)).refusal is Reason.INVALID_REQUEST
    await begun(changes, request(ContentChange.EDIT_COURSE, course=whole))
    async with changes.sessions() as session:
        course = await session.get_one(Course, COURSE)
        assert (course.access_rule, course.access_days, course.access_until) == ("until_date", None, until)


async def test_all_members_follow_page_by_page_and_are_counted_once(changes: CourseChangeActivities) -> None:
    sessions = changes.sessions
    await teach(sessions, AfterRegistration(amount=300))
    _, place_ids = await write_places(sessions, 7)
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).values(enrolled_at=now() - 10 * DAY))
        of_one = update(Enrollment).where(col(Enrollment.id) == place_ids[0])
        await session.execute(of_one.values(status="suspended"))
    until = now() + 30 * DAY
    wanted = members(EnrollmentChange.PAUSE, until=until)
    impact = await impact_of(sessions, wanted)
    assert (impact.learners, [each.no_more for each in impact.lessons]) == (7, [6])
    assert await begun(changes, wanted) == 7
    pages = await followed(changes, wanted, 3)
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [each for page in pages for each in page] == sorted(place_ids)
    assert await counts_of(sessions, wanted) == ("running", 6, 1)
    # Whom no signal reaches, the sweep finds.
    async with sessions() as session:
        looked_at = select(func.count()).where(col(Enrollment.id).in_(place_ids), col(Enrollment.wakes_at) <= now())
        assert (await session.execute(looked_at)).scalar_one() == 7
    end = EndCourseChange(change_id=wanted.change_id, workflow_id="course-change")
    await changes.end_course_change(end)
    await changes.end_course_change(end.model_copy(update={"is_stopped": True}))
    assert await counts_of(sessions, wanted) == ("done", 6, 1)
    async with sessions() as session:
        for place_id in sorted(place_ids)[1:]:
            planned = await plan_of(session, place_id, now())
            assert planned is not None
            assert planned.paused_until in (until, None)


async def test_access_for_all_reaches_those_whose_access_is_over_and_nobody_who_enrolls_later(
    changes: CourseChangeActivities,
) -> None:
    sessions = changes.sessions
    await teach(sessions, Immediately())
    _, place_ids = await write_places(sessions, 4)
    active, over, late, canceled = place_ids
    values: dict[UUID, dict[str, object]] = {
        active: {"access_ends_at": now() + DAY},
        over: {"status": "expired", "access_ends_at": now() - DAY},
        late: {"enrolled_at": now() + timedelta(minutes=5)},
        canceled: {"status": "canceled"},
    }
    async with sessions.begin() as session:
        for place_id, changed_ in values.items():
            await session.execute(update(Enrollment).where(col(Enrollment.id) == place_id).values(**changed_))
    ends_at = now() + 90 * DAY
    wanted = members(EnrollmentChange.SET_ACCESS, access_ends_at=ends_at)
    impact = await impact_of(sessions, wanted)
    assert (impact.learners, [each.at_once for each in impact.lessons]) == (2, [1])
    assert await begun(changes, wanted) == 2
    assert await followed(changes, wanted, 3) == [sorted([active, over])]
    assert await counts_of(sessions, wanted) == ("running", 2, 0)
    async with sessions() as session:
        stands = {each.id: each for each in (await session.execute(select(Enrollment))).scalars()}
    assert [stands[each].status for each in place_ids] == ["active", "active", "active", "canceled"]
    assert [stands[each].access_ends_at for each in place_ids] == [ends_at, ends_at, None, None]
    paused = members(EnrollmentChange.PAUSE)
    assert (await impact_of(sessions, paused)).learners == 2


async def test_a_page_that_breaks_off_in_the_middle_is_made_once_all_the_same(changes: CourseChangeActivities) -> None:
    sessions = changes.sessions
    _, place_ids = await write_places(sessions, 30)
    wanted = members(EnrollmentChange.PAUSE, until=now() + 30 * DAY)
    await begun(changes, wanted)
    step = ReplanPage(change_id=wanted.change_id, moment=now(), workflow_id=course_change_workflow_id(wanted.change_id))

    async def paused() -> int:
        async with sessions() as other:
            return (await other.execute(select(func.count()).select_from(EnrollmentPause))).scalar_one()

    async with sessions() as session:
        await session.get_one(Enrollment, sorted(place_ids)[14], with_for_update=True)
        page = asyncio.create_task(changes.follow_page(step))

        async def it_waits() -> bool:
            return await paused() == 15 and await _is_waiting(sessions)

        await eventually(it_waits)
        page.cancel()
        await asyncio.gather(page, return_exceptions=True)
    assert page.cancelled()
    assert await counts_of(sessions, wanted) == ("running", 0, 0)
    for _ in range(2):
        followed_page = await changes.follow_page(step)
        assert (len(followed_page.ids), followed_page.done, followed_page.refused) == (30, 30, 0)
        assert await paused() == 30
        assert await counts_of(sessions, wanted) == ("running", 30, 0)


async def _is_waiting(sessions: Sessions) -> bool:
    """Whether a transaction waits for another one."""
    async with sessions() as session:
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return (await session.execute(waiting)).scalar_one() > 0


async def test_a_page_waits_for_who_locks_its_enrollments_one_by_one(changes: CourseChangeActivities) -> None:
    sessions = changes.sessions
    _, place_ids = await write_places(sessions, 3)
    first, second, _ = sorted(place_ids)
    # Its row is the last of the table now: a page that takes them as they lie comes to it with the others locked.
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).where(col(Enrollment.id) == first).values(planned_at=now()))
    edit = request(ContentChange.EDIT_COURSE, course=CourseEdit(completion_rule=CompletionRule.JUDGED))
    await begun(changes, edit)
    async with sessions() as session:
        await session.get_one(Enrollment, first, with_for_update=True)
        page = asyncio.create_task(followed(changes, edit, 3))

        await eventually(lambda: _is_waiting(sessions))
        await session.get_one(Enrollment, second, with_for_update=True)
        await session.commit()
    assert await page == [sorted(place_ids)]


async def test_who_learns_in_a_changed_course_is_looked_at(changes: CourseChangeActivities) -> None:
    sessions = changes.sessions
    [first] = await teach(sessions, AfterRegistration(amount=300))
    await write_places(sessions, 4)
    edit = request(ContentChange.EDIT_LESSON, lesson_id=first, lesson=LessonEdit(drip_rule=Immediately()))
    await begun(changes, edit)
    before = now()
    assert [len(page) for page in await followed(changes, edit, 3)] == [3, 1]
    async with sessions() as session:
        woken = (await session.execute(select(col(Enrollment.wakes_at)))).scalars().all()
    assert all(at is not None and at >= before for at in woken)
    assert await counts_of(sessions, edit) == ("running", 4, 0)
