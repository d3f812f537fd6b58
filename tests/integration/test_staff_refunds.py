"""What staff grants, on the record: never more than is left, whoever grants at once, and what ends with a place."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update
from sqlmodel import SQLModel, col

from activities.database import Sessions
from activities.holds import expire_places
from activities.lesson_records import LessonToRecord, record_lesson
from activities.orders import OrderActivities
from activities.place_endings import CARTS_QUIET
from activities.refund_record import Told, request_refunds, write_refunds
from activities.refund_requests import RefundRequestActivities
from models.errors import Reason
from models.messages.orders import PlaceOrder, RefundPlaces
from models.messages.refunds import RefundTerms, RefundWish, RequestedRefund, RequestRefund
from models.tables import (
    Academy,
    AuditEntry,
    Certificate,
    Coupon,
    Course,
    Dispute,
    Enrollment,
    LessonRecord,
    Note,
    Order,
    OrderLine,
    Payment,
    Person,
    Refund,
    RefundRequest,
    TaskContact,
)
from models.tables.columns import now
from models.vocabulary import (
    CertificateStatus,
    DisputeStatus,
    EnrollmentStatus,
    LessonOutcome,
    RefundAccess,
    RefundCause,
    RefundGround,
    RefundPolicy,
    RefundShare,
    RefundStatus,
)
from tests.integration.order_steps import (
    LUKASZ,
    completing,
    course,
    enroll,
    enrollments_of,
    line,
    person,
    placed,
    placing,
    seats_add_up,
    set_course,
)
from tests.integration.test_refund_requests import lessons_of, set_place
from tests.integration.written_orders import Sold, write_order

KEPT, REVOKED = RefundAccess.KEPT, RefundAccess.REVOKED


@pytest.fixture
def requests(orders: OrderActivities) -> RefundRequestActivities:
    return RefundRequestActivities(orders.sessions)


def asking(
    place: UUID, terms: RefundTerms | None = None, cause: RefundCause = RefundCause.GOODWILL, actor: str = "staff:7"
) -> RequestRefund:
    wish = RefundWish(request_id=uuid4(), enrollment_id=place, cause=cause, actor=actor, terms=terms)
    return RequestRefund(wish=wish, workflow_id=f"refund-{place}")


def some(amount: int, access: RefundAccess = KEPT) -> RefundTerms:
    return RefundTerms(share=RefundShare.AMOUNT, amount=amount, access=access)


async def carry_out(sessions: Sessions, step: RequestRefund, answer: RequestedRefund) -> None:
    """The money is asked for and has gone back, as Stripe would say; all of it twice."""
    assert answer.order_id is not None
    asked = RefundPlaces(
        order_id=answer.order_id, enrollment_ids=(step.wish.enrollment_id,), reason="requested",
        workflow_id=step.workflow_id, request_id=step.wish.request_id, actor=step.wish.actor,
    )  # fmt: skip
    for _ in range(2):
        async with sessions.begin() as session:
            refunds = await request_refunds(session, asked)
        told = {refund.id: Told(RefundStatus.SUCCEEDED, f"re_{refund.id.hex}") for refund in refunds}
        async with sessions.begin() as session:
            order = await session.get_one(Order, asked.order_id, with_for_update=True)
            await write_refunds(session, order, told, reason="requested", workflow_id=asked.workflow_id)


async def grant(
    requests: RefundRequestActivities, place: UUID, terms: RefundTerms | None = None, **asked: object
) -> RequestedRefund:
    step = asking(place, terms or RefundTerms(), **asked)  # type: ignore[arg-type]
    answer = await requests.request_refund(step)
    assert answer.refusal is None, answer.refusal_detail
    await carry_out(requests.sessions, step, answer)
    return answer


async def add(sessions: Sessions, *rows: SQLModel) -> None:
    async with sessions.begin() as session:
        session.add_all(rows)


async def change(sessions: Sessions, table: type[SQLModel], **values: object) -> None:
    async with sessions.begin() as session:
        await session.execute(update(table).values(**values))


async def place_of(sessions: Sessions, step: PlaceOrder) -> Enrollment:
    [place] = await enrollments_of(sessions, step)
    return place


async def status_of(sessions: Sessions, step: PlaceOrder) -> str:
    async with sessions() as session:
        return (await session.get_one(Order, step.request.order_id)).status


# ---- how much ----


async def test_twenty_members_of_staff_at_once_never_give_more_than_came_in(requests: RefundRequestActivities) -> None:
    written = await write_order(requests.sessions, [Sold("photography", 4500), Sold("spanish-a1", 4900)])
    place = written.place_ids[0]

    async def give() -> RequestedRefund:
        step = asking(place, some(1000))
        answer = await requests.request_refund(step)
        if answer.refusal is None:
            await carry_out(requests.sessions, step, answer)
        return answer

    answers = await asyncio.gather(*(give() for _ in range(20)))
    granted = sorted(answer.amount.amount for answer in answers if answer.amount is not None)
    assert granted == [500, 1000, 1000, 1000, 1000]
    assert {answer.grounds for answer in answers if answer.refusal} == {(RefundGround.NOTHING_PAID,)}
    async with requests.sessions() as session:
        amounts = (
            await session.execute(select(col(Refund.amount)).where(col(Refund.enrollment_id) == place))
        ).scalars()
        assert sorted(amounts) == granted
        payment = (await session.execute(select(Payment))).scalar_one()
        assert (payment.refunded_amount, payment.captured_amount) == (4500, 9400)
        assert (await session.get_one(Enrollment, place)).status == "active"
        assert (await session.get_one(Order, written.order_id)).status == "partially_refunded"


async def test_what_is_promised_and_not_yet_asked_of_stripe_counts(requests: RefundRequestActivities) -> None:
    written = await write_order(requests.sessions, [Sold("photography", 4500)])
    [place] = written.place_ids
    first, second = asking(place, some(3000)), asking(place, some(3000))
    promised = [await requests.request_refund(step) for step in (first, second)]
    assert [answer.amount and answer.amount.amount for answer in promised] == [3000, 1500]


async def test_a_part_that_keeps_the_place_leaves_lessons_and_later_refunds_alone(
    requests: RefundRequestActivities,
) -> None:
    sessions = requests.sessions
    written = await write_order(sessions, [Sold("photography", 4500)])
    [place] = written.place_ids
    await set_place(sessions, place, refund_policy=RefundPolicy.FIRST_LESSON)
    kept = await grant(requests, place, some(1000))
    assert (kept.access, kept.grounds) == (KEPT, (RefundGround.OVERRIDDEN,))
    [first, second] = await lessons_of(sessions, "photography")
    async with sessions.begin() as session:
        told = LessonToRecord(place, first, LessonOutcome.COMPLETED, "tutor:7", may_correct=False)
        assert isinstance(await record_lesson(session, told), LessonRecord)
    rest = asking(place, cause=RefundCause.NOT_AS_EXPECTED, actor="student:7")
    answer = await requests.request_refund(rest)
    assert (answer.amount and answer.amount.amount, answer.access) == (3500, REVOKED)
    async with sessions.begin() as session:
        late = LessonToRecord(place, second, LessonOutcome.COMPLETED, "tutor:7", may_correct=False)
        refused = await record_lesson(session, late)
        assert getattr(refused, "reason", None) is Reason.REFUND_IN_PROGRESS
    assert (await requests.request_refund(asking(place, some(1)))).refusal is Reason.REFUND_IN_PROGRESS
    await carry_out(sessions, rest, answer)
    async with sessions() as session:
        assert (await session.execute(select(func.sum(col(Refund.amount))))).scalar_one() == 4500
        assert (await session.get_one(Order, written.order_id)).status == "refunded"


async def test_staff_pays_back_what_was_not_had(requests: RefundRequestActivities) -> None:
    written = await write_order(requests.sessions, [Sold("photography", 4501)])
    [first, _] = await lessons_of(requests.sessions, "photography")
    async with requests.sessions.begin() as session:
        told = LessonToRecord(written.place_ids[0], first, LessonOutcome.COMPLETED, "tutor:7", may_correct=False)
        await record_lesson(session, told)
    answer = await grant(requests, written.place_ids[0], RefundTerms(share=RefundShare.PRO_RATA))
    assert answer.amount is not None
    assert answer.amount.amount == 2251


# ---- what not even staff can grant ----


async def test_a_disputed_payment_is_not_paid_back_by_anybody(requests: RefundRequestActivities) -> None:
    written = await write_order(requests.sessions, [Sold("photography", 4500)])
    await change(requests.sessions, Payment, payment_intent_id="pi_1")
    dispute = Dispute(
        stripe_dispute_id="dp_1", order_id=written.order_id, payment_intent_id="pi_1", amount=4500, currency="EUR",
        reason="fraudulent", status=DisputeStatus.NEEDS_RESPONSE, opened_at=now(),
    )  # fmt: skip
    await add(requests.sessions, dispute)
    step = asking(written.place_ids[0], RefundTerms())
    refused = await requests.request_refund(step)
    assert (refused.refusal, refused.grounds) == (Reason.REFUND_NOT_ELIGIBLE, (RefundGround.DISPUTE_OPEN,))
    await change(requests.sessions, Dispute, status=DisputeStatus.LOST)
    some_of_it = asking(written.place_ids[0], RefundTerms(access=RefundAccess.KEPT))
    assert (await requests.request_refund(some_of_it)).refusal is Reason.REFUND_NOT_ELIGIBLE
    ended = await requests.request_refund(step)
    assert (ended.refusal, ended.amount and ended.amount.amount) == (None, 0)


async def test_what_was_won_at_the_bank_can_be_paid_back(requests: RefundRequestActivities) -> None:
    written = await write_order(requests.sessions, [Sold("photography", 4500)])
    await change(requests.sessions, Payment, payment_intent_id="pi_1")
    dispute = Dispute(
        stripe_dispute_id="dp_1", order_id=written.order_id, payment_intent_id="pi_1", amount=4500, currency="EUR",
        reason="fraudulent", status=DisputeStatus.WON, opened_at=now(),
    )  # fmt: skip
    await add(requests.sessions, dispute)
    answer = await requests.request_refund(asking(written.place_ids[0], RefundTerms()))
    assert answer.amount is not None
    assert answer.amount.amount == 4500


async def test_a_certificate_is_overridden_with_a_note_alone(requests: RefundRequestActivities) -> None:
    written = await write_order(requests.sessions, [Sold("photography", 4500)])
    [place] = written.place_ids
    await add(requests.sessions, Certificate(enrollment_id=place))
    await set_place(requests.sessions, place, status=EnrollmentStatus.COMPLETED)
    step = asking(place, RefundTerms())
    refused = await requests.request_refund(step)
    assert (refused.refusal, refused.grounds) == (Reason.REFUND_NOT_ELIGIBLE, (RefundGround.CERTIFICATE_ISSUED,))
    assert "note" in (refused.refusal_detail or "")
    note = Note(subject_kind="refund_request", subject_id=step.wish.request_id, author="staff:7", text="A mistake.")
    await add(requests.sessions, note)
    answer = await requests.request_refund(step)
    assert answer.grounds == (RefundGround.OVERRIDDEN, RefundGround.CERTIFICATE_ISSUED)
    await carry_out(requests.sessions, step, answer)
    async with requests.sessions() as session:
        assert (await session.get_one(Enrollment, place)).status == "canceled"
        assert (await session.execute(select(Certificate.status))).scalar_one() == "issued"


# ---- what ends with a place ----


async def test_a_certificate_falls_with_its_place_where_the_academy_wants_it(requests: RefundRequestActivities) -> None:
    await change(requests.sessions, Academy, refund_revokes_certificate=True)
    written = await write_order(requests.sessions, [Sold("photography", 4500), Sold("spanish-a1", 4900)])
    await add(requests.sessions, *(Certificate(enrollment_id=place) for place in written.place_ids))
    step = asking(written.place_ids[0], RefundTerms())
    note = Note(subject_kind="refund_request", subject_id=step.wish.request_id, author="staff:7", text="A mistake.")
    await add(requests.sessions, note)
    await carry_out(requests.sessions, step, await requests.request_refund(step))
    async with requests.sessions() as session:
        query = select(col(Certificate.status)).order_by(col(Certificate.status))
        assert list((await session.execute(query)).scalars()) == ["issued", "revoked"]
        fallen = (await session.execute(select(Certificate).where(col(Certificate.status) == "revoked"))).scalar_one()
        assert (fallen.revocation_reason, fallen.revoked_at is not None) == ("refunded", True)
        told = select(func.count()).where(col(AuditEntry.subject_kind) == "certificate")
        assert (await session.execute(told)).scalar_one() == 1


@pytest.mark.parametrize(
    ("releases", "cause", "uses"),
    [
        (False, RefundCause.CHANGED_MIND, 1),
        (True, RefundCause.CHANGED_MIND, 0),
        (False, RefundCause.TUTOR_BANNED, 0),
        (False, RefundCause.GOODWILL, 0),
    ],
)
async def test_a_coupon_is_free_again_by_policy_or_where_the_academy_ended_it(
    orders: OrderActivities, requests: RefundRequestActivities, releases: bool, cause: RefundCause, uses: int
) -> None:
    await change(orders.sessions, Academy, refund_releases_coupon=releases)
    step = placing(line("spanish-a1"), coupon="WELCOME10")
    await orders.complete_order(completing(step, await placed(orders, step)))
    place = await place_of(orders.sessions, step)
    await grant(requests, place.id, some(100), cause=cause)
    assert await coupon_uses(orders.sessions) == 1
    await grant(requests, place.id, cause=cause)
    assert await status_of(orders.sessions, step) == "refunded"
    assert await coupon_uses(orders.sessions) == uses


async def coupon_uses(sessions: Sessions) -> int:
    async with sessions() as session:
        return (await session.execute(select(Coupon.uses).where(col(Coupon.code) == "WELCOME10"))).scalar_one()


async def test_who_gets_money_back_is_left_in_peace_for_a_month(requests: RefundRequestActivities) -> None:
    written = await write_order(requests.sessions, [Sold("photography", 4500)])
    before = now()
    await grant(requests, written.place_ids[0], some(100))
    async with requests.sessions() as session:
        payer = await session.get_one(Person, person("grace"))
    assert payer.cart_mails_quiet_until is not None
    assert before + CARTS_QUIET <= payer.cart_mails_quiet_until <= now() + CARTS_QUIET
    later = now() + 2 * CARTS_QUIET
    await change(requests.sessions, Person, cart_mails_quiet_until=later)
    await grant(requests, written.place_ids[0])
    async with requests.sessions() as session:
        assert (await session.get_one(Person, person("grace"))).cart_mails_quiet_until == later


async def test_tutor_and_finance_are_named_once_each(requests: RefundRequestActivities) -> None:
    maya, finance = person("maya"), person("finance")
    await set_course(requests.sessions, "photography", tutor_id=maya)
    await change(requests.sessions, TaskContact, remind_id=finance)
    written = await write_order(requests.sessions, [Sold("photography", 4500), Sold("spanish-a1", 4900)])
    first = await requests.request_refund(asking(written.place_ids[0], RefundTerms()))
    assert first.notice_ids == (maya, finance)
    second = await requests.request_refund(asking(written.place_ids[1], RefundTerms()))
    assert second.notice_ids == (finance,)
    await change(requests.sessions, TaskContact, remind_id=maya)
    again = await requests.request_refund(asking(written.place_ids[0], RefundTerms()))
    assert again.refusal is Reason.REFUND_IN_PROGRESS


# ---- who has bought the course twice ----


async def test_a_place_that_a_bundle_brings_as_well_lives_on(
    orders: OrderActivities, requests: RefundRequestActivities
) -> None:
    sessions, code = orders.sessions, "spanish-a1"
    first = await enroll(sessions, orders, code)
    place = await place_of(sessions, first)
    [lesson, *_] = await lessons_of(sessions, code)
    await set_course(sessions, code, starts_at=None)
    async with sessions.begin() as session:
        told = LessonToRecord(place.id, lesson, LessonOutcome.COMPLETED, "tutor:7", may_correct=False)
        assert isinstance(await record_lesson(session, told), LessonRecord)
    second = await enroll(sessions, orders, "language-bundle")
    brought = len(await enrollments_of(sessions, second))
    await grant(requests, place.id)
    async with sessions() as session:
        query = select(Enrollment).where(
            col(Enrollment.course_id) == course(code), col(Enrollment.student_id) == LUKASZ
        )
        by_status = {row.status: row for row in (await session.execute(query)).scalars()}
        lives_on, ended = by_status["active"], by_status["canceled"]
        bought = await session.get_one(OrderLine, lives_on.order_line_id)
        had = select(func.count()).where(col(LessonRecord.enrollment_id) == lives_on.id)
        assert (await session.execute(had)).scalar_one() == 1
    assert (ended.id, bought.order_id, lives_on.share_amount) == (place.id, second.request.order_id, 0)
    assert len(await enrollments_of(sessions, second)) == brought + 1
    assert (await status_of(sessions, first), await status_of(sessions, second)) == ("refunded", "completed")
    await seats_add_up(sessions)
    # The other place can be ended too; then nothing is left of it.
    await grant(requests, lives_on.id, cause=RefundCause.COURSE_REMOVED)
    async with sessions() as session:
        assert {row.status for row in (await session.execute(query)).scalars()} == {"canceled"}
    await seats_add_up(sessions)


async def test_nobody_keeps_a_course_that_nobody_has_paid_for(
    orders: OrderActivities, requests: RefundRequestActivities
) -> None:
    """Ordered again while it was held, it cost nothing: that is no reason to keep it once the money is back."""
    sessions = orders.sessions
    first = await enroll(sessions, orders, "python-cohort")
    await enroll(sessions, orders, "python-cohort")
    await grant(requests, (await place_of(sessions, first)).id)
    async with sessions() as session:
        assert list((await session.execute(select(col(Enrollment.status)))).scalars()) == ["canceled"]
    await seats_add_up(sessions)


async def test_what_is_over_or_was_paid_back_itself_is_no_other_entitlement(
    orders: OrderActivities, requests: RefundRequestActivities
) -> None:
    sessions = orders.sessions
    first, bundle = await enroll(sessions, orders, "spanish-a1"), await enroll(sessions, orders, "language-bundle")
    await grant(requests, (await place_of(sessions, bundle)).id)
    assert await status_of(sessions, bundle) == "refunded"
    again = await enroll(sessions, orders, "spanish-a1")
    await set_course(sessions, "spanish-a1", access_days=1)
    async with sessions.begin() as session:
        before = now() - timedelta(days=2)
        await session.execute(update(Order).where(col(Order.id) == again.request.order_id).values(completed_at=before))
    await grant(requests, (await place_of(sessions, first)).id)
    async with sessions() as session:
        query = select(func.count()).where(col(Enrollment.status) == EnrollmentStatus.ACTIVE)
        assert (await session.execute(query)).scalar_one() == 0


async def test_a_bundle_that_has_ended_within_its_order_is_no_other_entitlement(
    orders: OrderActivities, requests: RefundRequestActivities
) -> None:
    sessions = orders.sessions
    first = await enroll(sessions, orders, "spanish-a1")
    step = placing(line("language-bundle"), line("photography"))
    await orders.complete_order(completing(step, await placed(orders, step)))
    [french, photography] = await enrollments_of(sessions, step)
    await grant(requests, french.id)
    assert await status_of(sessions, step) == "partially_refunded"
    await grant(requests, (await place_of(sessions, first)).id)
    async with sessions() as session:
        query = select(col(Enrollment.id)).where(col(Enrollment.status) == EnrollmentStatus.ACTIVE)
        assert list((await session.execute(query)).scalars()) == [photography.id]


async def test_a_completed_place_ends_without_giving_back_a_seat_it_does_not_hold(
    orders: OrderActivities, requests: RefundRequestActivities
) -> None:
    sessions = orders.sessions
    step = await enroll(sessions, orders, "python-cohort", status=EnrollmentStatus.COMPLETED)
    await set_course(sessions, "python-cohort", seats_taken=0)
    await grant(requests, (await place_of(sessions, step)).id)
    assert (await place_of(sessions, step)).status == "canceled"
    async with sessions() as session:
        assert (await session.get_one(Course, course("python-cohort"))).seats_taken == 0


async def test_a_place_whose_access_has_ended_is_paid_back_and_its_seat_is_not_given_back_twice(
    orders: OrderActivities, requests: RefundRequestActivities
) -> None:
    sessions = orders.sessions
    step = await enroll(sessions, orders, "python-cohort")
    other = await enroll(sessions, orders, "python-cohort", person("grace"))
    place = await place_of(sessions, step)
    await set_place(sessions, place.id, access_ends_at=now() - timedelta(days=1))
    async with sessions.begin() as session:
        await expire_places(session, [place.id], [place.course_id])
    await add(sessions, Certificate(enrollment_id=place.id))
    refused = await requests.request_refund(asking(place.id, RefundTerms()))
    assert refused.grounds == (RefundGround.CERTIFICATE_ISSUED,)
    await change(sessions, Certificate, status=CertificateStatus.EXPIRED)
    await change(sessions, Person, cart_mails_quiet_until=None)
    await grant(requests, place.id)
    assert (await place_of(sessions, step)).status == "canceled"
    assert await status_of(sessions, step) == "refunded"
    async with sessions() as session:
        payer = await session.get_one(Person, LUKASZ)
        assert payer.cart_mails_quiet_until is not None
        assert (await session.get_one(Course, place.course_id)).seats_taken == 1
    await seats_add_up(sessions)
    assert (await place_of(sessions, other)).status == "active"


async def test_a_free_place_ends_without_money(orders: OrderActivities, requests: RefundRequestActivities) -> None:
    step = await enroll(orders.sessions, orders, "study-skills")
    place = await place_of(orders.sessions, step)
    answer = await grant(requests, place.id, cause=RefundCause.COURSE_REMOVED)
    assert (answer.amount and answer.amount.amount, await status_of(orders.sessions, step)) == (0, "refunded")
    async with orders.sessions() as session:
        assert (await session.execute(select(func.count()).select_from(Refund))).scalar_one() == 0
        assert (await session.execute(select(RefundRequest.decided_by))).scalar_one() == "staff:7"
