"""The sample academy: it shows everything that can be sold, and loading it again takes nothing from anybody."""

import pytest
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.certificate_samples import shipped_templates
from activities.database import Sessions
from activities.orders import OrderActivities
from activities.subscriptions import unsubscribe
from models.drip import leaves
from models.tables import (
    CartSettings,
    CertificateTemplate,
    ClassSession,
    Consent,
    Coupon,
    Course,
    CourseCertificate,
    LessonSlot,
    Person,
    Reviewer,
    ScreeningMeeting,
    Subscription,
)
from models.tables.columns import now
from models.vocabulary import (
    CompletionRule,
    ConsentMode,
    ConsentSource,
    CostScheme,
    CourseKind,
    DripKind,
    MailList,
    ReleaseMails,
    ScreeningDecision,
    TaskQueue,
    TaxBehavior,
)
from rules.cart import DELAYS
from sandbox.sample_academy import CouponEntry, CourseEntry, load_academy, read_academy, sample_id
from tests.integration.order_steps import all_slots, course, enroll, line, placed, placing, rows_written, slots_of


def test_it_shows_every_kind_of_sale() -> None:
    files = read_academy()
    assert {entry.currency for entry in files.courses} >= {"EUR", "USD", "JPY", "KWD"}
    assert {entry.kind for entry in files.courses} == set(CourseKind)
    assert {entry.cost_scheme for entry in files.courses} >= {CostScheme.STUDENT, CostScheme.ORDER}
    assert {rate.behavior for rate in files.tax_rates} == set(TaxBehavior)
    assert len({entry.time_zone for entry in files.people}) >= 6
    assert any(entry.approver for entry in files.courses)
    assert any(entry.may_pay_by_invoice and entry.billing_address for entry in files.people)
    assert {contact.queue for contact in files.task_contacts} == set(TaskQueue)
    decisions = {screening.decision for entry in files.courses for screening in entry.screenings}
    assert decisions == set(ScreeningDecision)


def test_it_shows_what_tutors_may_have_to_show_and_who_looks_at_it() -> None:
    files = read_academy()
    asked = {(each.requires_certification, each.requires_video) for each in files.subjects if each.is_open}
    assert asked == {(False, False), (False, True), (True, False), (True, True)}
    assert not all(each.is_open for each in files.subjects)
    people = {entry.key for entry in files.people}
    reviewers = {each.person for each in files.reviewers}
    assert len(reviewers) >= 3
    assert reviewers <= people


async def test_who_is_away_stays_away_when_it_is_loaded_again(sessions: Sessions) -> None:
    await load_academy(sessions)
    away = now()
    async with sessions.begin() as session:
        reviewer = await session.get_one(Reviewer, sample_id("person", "noa"))
        reviewer.away_since = reviewer.last_assigned_at = away
    await load_academy(sessions)
    async with sessions() as session:
        reviewer = await session.get_one(Reviewer, sample_id("person", "noa"))
        assert (reviewer.away_since, reviewer.last_assigned_at) == (away, away)


def test_every_restriction_of_a_coupon_has_its_sample() -> None:
    coupons = read_academy().coupons
    shown = {name for coupon in coupons for name in coupon.model_dump(exclude_defaults=True)}
    assert shown == set(CouponEntry.model_fields)


async def test_loading_again_doubles_nothing(sessions: Sessions, engine: AsyncEngine) -> None:
    loaded = await load_academy(sessions)
    before = await rows_written(engine)
    assert await load_academy(sessions) == loaded
    assert await rows_written(engine) == before
    assert loaded["courses"] == before["courses"]
    assert loaded["class sessions"] == before["class_sessions"]


async def test_what_was_sold_survives_loading_again(orders: OrderActivities, sessions: Sessions) -> None:
    slots = [slot.id for slot in await slots_of(sessions, "piano-pack")][:5]
    await enroll(sessions, orders, "piano-pack", slots=slots)
    await placed(orders, placing(line("thesis-seminar"), coupon="WELCOME10"))

    async def sold() -> object:
        async with sessions() as session:
            return (
                (await session.execute(select(col(Course.id), col(Course.seats_taken)).order_by(col(Course.id)))).all(),
                (await session.execute(select(col(Coupon.id), col(Coupon.uses)).order_by(col(Coupon.id)))).all(),
                [(slot.id, slot.status, slot.student_id, slot.order_line_id) for slot in await all_slots(sessions)],
            )

    before = await sold()
    await load_academy(sessions)
    assert await sold() == before


async def test_the_rows_say_what_the_files_say(orders: OrderActivities, sessions: Sessions) -> None:
    async with sessions() as session:
        cohort = await session.get_one(Course, course("python-cohort"))
        meetings = (
            await session.execute(
                select(ClassSession)
                .where(col(ClassSession.course_id) == cohort.id)
                .order_by(col(ClassSession.starts_at))
            )
        ).scalars().all()  # fmt: skip
        assert cohort.starts_at is not None
        assert len(meetings) == 8
        assert meetings[0].starts_at.date() == cohort.starts_at.date()
        assert {(meeting.ends_at - meeting.starts_at).total_seconds() for meeting in meetings} == {90 * 60}
        photography = await session.get_one(Course, course("photography"))
        assert (photography.price_amount, photography.sale_price_amount) == (6900, 4500)
        assert (await session.get_one(Course, course("teacher-training"))).approver_id == sample_id("person", "maya")
        restricted = (await session.execute(select(Coupon).where(col(Coupon.code) == "SPANISH5"))).scalar_one()
        assert restricted.allowed_course_ids == [course("spanish-a1")]
        decided = await session.execute(select(col(ScreeningMeeting.decision), col(ScreeningMeeting.decided_at)))
        assert all((at is None) == (decision == "pending") for decision, at in decided)
        hours = (await session.execute(select(LessonSlot))).scalars().all()
        assert {slot.status for slot in hours} == {"free"}


async def test_it_reminds_of_carts_and_loading_again_undoes_no_no(sessions: Sessions) -> None:
    await load_academy(sessions)
    emile = sample_id("person", "emile")
    async with sessions.begin() as session:
        settings = (await session.execute(select(CartSettings))).scalar_one()
        assert (settings.consent_mode, settings.coupon_percent) == (ConsentMode.OPT_IN, 10)
        assert settings.delays_minutes == [int(delay.total_seconds()) // 60 for delay in DELAYS]
        guest = await session.get_one(Person, sample_id("person", "guest"))
        assert guest.is_guest
        subscription = await session.get_one(Subscription, (emile, MailList.CART))
        assert subscription.consented_at is not None
        await unsubscribe(session, subscription.token, source=ConsentSource.ONE_CLICK)
    await load_academy(sessions)
    async with sessions() as session:
        subscription = await session.get_one(Subscription, (emile, MailList.CART))
        assert subscription.consented_at is None
        said = (await session.execute(select(Consent).where(col(Consent.person_id) == emile))).scalars().all()
        assert [each.is_given for each in sorted(said, key=lambda each: each.created_at)] == [True, False]


def test_every_rule_by_which_lessons_open_has_its_sample() -> None:
    lessons = [lesson for course in read_academy().courses for lesson in course.lessons]
    assert {leaf.kind for lesson in lessons for leaf in leaves(lesson.drip_rule)} | {
        lesson.drip_rule.kind for lesson in lessons
    } == set(DripKind)
    assert {course.completion_rule for course in read_academy().courses} == set(CompletionRule)
    assert {course.release_mails for course in read_academy().courses} == set(ReleaseMails)


def test_lessons_that_wait_for_each_other_are_no_sample() -> None:
    course = next(course for course in read_academy().courses if course.code == "year-of-poems")
    told = course.model_dump() | {"lessons": [{"title": "One", "drip_rule": {"kind": "after_lesson", "lesson": 1}}]}
    with pytest.raises(ValidationError, match="waits for itself"):
        CourseEntry.model_validate(told)


def test_it_shows_certificates_for_good_and_for_a_year() -> None:
    files = read_academy().certificates
    assert {each.name for each in files.template} == set(shipped_templates())
    assert {(each.valid_days, each.grace_days) for each in files.certified} == {(None, 0), (365, 30)}
    people = {entry.key for entry in read_academy().people}
    assert {each.person for each in files.legal_name} < people


async def test_loading_it_again_changes_no_template_choice_or_name(sessions: Sessions) -> None:
    await load_academy(sessions)
    classic = sample_id("certificate_template", "classic")
    grace = sample_id("person", "grace")
    async with sessions.begin() as session:
        person = await session.get_one(Person, grace)
        assert person.legal_name_confirmed_at is not None
        person.legal_name = "Grace Hopper"
        chosen = await session.get_one(CourseCertificate, (sample_id("course", "study-skills"), classic))
        chosen.series = "STUDY"
    await load_academy(sessions)
    async with sessions() as session:
        assert (await session.get_one(Person, grace)).legal_name == "Grace Hopper"
        chosen = await session.get_one(CourseCertificate, (sample_id("course", "study-skills"), classic))
        assert chosen.series == "STUDY"
        assert (await session.get_one(CertificateTemplate, classic)).version == 1
