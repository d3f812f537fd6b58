"""Carts in the record: every step and refusal, repeated and raced, and nothing personal left when one is forgotten."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.cart_coupons import MailedCoupon, begin_cart_coupon, cart_coupon
from activities.cart_pricing import CartOffer, Priced, offer_of
from activities.carts import CartActivities
from activities.database import Sessions
from activities.orders import OrderActivities
from models.errors import Reason
from models.identifiers import cart_coupon_id, cart_order_id
from models.messages.carts import CheckedReminder
from models.tables import Cart, Coupon, Dispute, Enrollment, Order, Person
from models.vocabulary import CartStatus, CouponKind, DisputeStatus, EnrollmentStatus, PaymentMethod
from rules.cart import LIVE
from rules.decision import Refused
from sandbox.sample_academy import sample_id
from tests.integration.cart_steps import (
    Clock,
    abandon,
    abandoned,
    agree,
    cart_of,
    change,
    changing,
    check,
    configure,
    end,
    fill,
    lines_of,
    mails_of,
    set_clock,
    story_of,
)
from tests.integration.order_steps import (
    LUKASZ,
    completing,
    course,
    enroll,
    line,
    person,
    placing,
    set_course,
    slots_of,
    statements_of,
)

pytestmark = pytest.mark.usefixtures("unasked")

LAYLA = person("layla")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch)


@pytest.fixture
async def carts(orders: OrderActivities, clock: Clock) -> CartActivities:
    """The steps of carts, at noon."""
    return CartActivities(orders.sessions)


@pytest.fixture
async def wanted(carts: CartActivities) -> UUID:
    """An abandoned cart of somebody who wants to be reminded."""
    await agree(carts.sessions)
    return await abandoned(carts)


async def the_person(sessions: Sessions, person_id: UUID) -> Person:
    async with sessions() as session:
        return await session.get_one(Person, person_id)


async def test_a_cart_is_written_priced_as_of_now(carts: CartActivities, sessions: Sessions, clock: Clock) -> None:
    cart_id = uuid4()
    changed = await carts.change_cart(changing(cart_id, "spanish-a1", "thesis-seminar", coupon="WELCOME10"))
    assert changed.status is CartStatus.OPEN
    assert changed.cutoff_at == clock.moment + timedelta(minutes=30)
    cart = await cart_of(sessions, cart_id)
    assert (cart.total_amount, cart.currency) == ((4900 + 12000) * 9 // 10, "EUR")
    assert await lines_of(sessions, cart_id) == [(course("spanish-a1"), 4900), (course("thesis-seminar"), 12000)]
    assert await story_of(sessions, cart_id) == [(None, "open")]


async def test_a_change_is_priced_though_an_order_of_the_cart_waits_to_be_paid(
    carts: CartActivities, orders: OrderActivities, sessions: Sessions
) -> None:
    cart_id = await fill(carts)
    step = placing(line("spanish-a1"), coupon="ONCE-MORE")
    async with sessions.begin() as session:
        session.add(Coupon(code="ONCE-MORE", kind=CouponKind.PERCENT_AMOUNT, percent=Decimal(50), usage_limit=1))
    request = step.request.model_copy(update={"order_id": cart_order_id(cart_id, 1)})
    assert (await orders.place_order(step.model_copy(update={"request": request}))).refusal is None
    await carts.change_cart(changing(cart_id, "spanish-a1", "thesis-seminar", coupon="ONCE-MORE"))
    cart = await cart_of(sessions, cart_id)
    assert (cart.total_amount, cart.currency) == ((4900 + 12000) // 2, "EUR")
    assert await lines_of(sessions, cart_id) == [(course("spanish-a1"), 4900), (course("thesis-seminar"), 12000)]


async def test_what_is_in_the_way_of_a_line_is_said_of_the_line(
    carts: CartActivities, orders: OrderActivities, sessions: Sessions, clock: Clock
) -> None:
    async def offer(*codes: str) -> CartOffer:
        cart_id = await fill(carts, *codes)
        async with sessions() as session:
            return await offer_of(session, await session.get_one(Cart, cart_id), clock.moment)

    await enroll(sessions, orders, "french-a2")
    await set_course(sessions, "photography", preliminary_meeting_required=True)
    await set_course(sessions, "thesis-seminar", capacity=1, seats_taken=1)
    mixed = await offer("spanish-a1", "french-a2", "photography", "thesis-seminar", "piano-pack")
    assert [each.refused and each.refused.reason for each in mixed.lines] == [
        None,
        Reason.ALREADY_ENROLLED,
        Reason.SCREENING_REQUIRED,
        Reason.COURSE_FULL,
        Reason.SLOTS_REQUIRED,
    ]
    assert isinstance(mixed.buyable, Priced)
    assert (mixed.course_ids, mixed.buyable.quote.total_amount) == ((course("spanish-a1"),), 4900)
    twice = await offer("spanish-a1", "language-bundle")
    assert isinstance(twice.buyable, Refused)
    assert isinstance(twice.whole, Refused)


@pytest.mark.parametrize(
    ("codes", "coupon", "total"),
    [
        (("spanish-a1", "calligraphy"), None, None),
        (("pottery-draft",), None, None),
        (("piano-pack",), None, 22500),
        (("spanish-a1",), "NO-SUCH-CODE", 4900),
    ],
)
async def test_what_cannot_be_priced_together_is_kept_without_a_total(
    carts: CartActivities, sessions: Sessions, codes: tuple[str, ...], coupon: str | None, total: int | None
) -> None:
    cart_id = uuid4()
    assert (await carts.change_cart(changing(cart_id, *codes, coupon=coupon))).status is CartStatus.OPEN
    cart = await cart_of(sessions, cart_id)
    assert cart.total_amount == total
    assert [row for row, _ in await lines_of(sessions, cart_id)] == [course(code) for code in codes]


async def test_a_repeat_finds_the_work_done_and_a_change_rearms_the_cutoff(
    carts: CartActivities, sessions: Sessions, clock: Clock
) -> None:
    step = changing(uuid4(), "spanish-a1")
    first = await carts.change_cart(step)
    assert await carts.change_cart(step) == first
    clock.goes_on(minutes=20)
    again = await change(carts, step.change.cart_id, "french-a2", "photography")
    assert again.cutoff_at == clock.moment + timedelta(minutes=30)
    assert len(await lines_of(sessions, step.change.cart_id)) == 2
    assert await story_of(sessions, step.change.cart_id) == [(None, "open")]


async def test_refusals(carts: CartActivities, sessions: Sessions) -> None:
    cart_id = await fill(carts)
    assert (await change(carts, cart_id, "french-a2", whose=LAYLA)).refusal is Reason.NOT_FOUND
    assert (await change(carts, uuid4(), "spanish-a1", "no-such")).refusal is Reason.UNKNOWN_COURSE
    assert (await change(carts, uuid4(), "spanish-a1", whose=uuid4())).refusal is Reason.UNKNOWN_PERSON
    await end(carts, cart_id, CartStatus.CLEARED, "no_thanks")
    assert (await change(carts, cart_id, "spanish-a1")).refusal is Reason.CART_OVER
    async with sessions() as session:
        assert (await session.execute(select(func.count()).select_from(Cart))).scalar_one() == 1


async def test_an_emptied_cart_may_be_filled_again(carts: CartActivities, sessions: Sessions) -> None:
    assert (await change(carts, uuid4())).status is CartStatus.CLEARED
    cart_id = await fill(carts)
    for _ in range(2):
        emptied = await change(carts, cart_id)
        assert (emptied.status, emptied.cutoff_at) == (CartStatus.CLEARED, None)
    assert await lines_of(sessions, cart_id) == []
    assert (await change(carts, cart_id, "spanish-a1")).status is CartStatus.OPEN
    assert await story_of(sessions, cart_id) == [(None, "open"), ("open", "cleared"), ("cleared", "open")]
    assert (await cart_of(sessions, cart_id)).ended_at is None


async def test_the_newest_cart_ends_the_older(carts: CartActivities, sessions: Sessions) -> None:
    older = await abandoned(carts)
    changed = await change(carts, uuid4(), "french-a2")
    assert changed.superseded == (older,)
    cart = await cart_of(sessions, older)
    assert (cart.status, cart.status_reason, cart.total_amount) == ("cleared", "superseded", 4900)
    assert await lines_of(sessions, older) == []
    assert (await abandon(carts, older)).status is CartStatus.CLEARED


async def test_of_twenty_at_once_one_is_left(carts: CartActivities, sessions: Sessions) -> None:
    answers = await asyncio.gather(*(change(carts, uuid4(), "spanish-a1") for _ in range(20)))
    assert all(answer.status is CartStatus.OPEN for answer in answers)
    assert sum(len(answer.superseded) for answer in answers) == 19
    async with sessions() as session:
        live = select(func.count()).select_from(Cart).where(col(Cart.status).in_(LIVE))
        assert (await session.execute(live)).scalar_one() == 1


async def test_a_cart_is_abandoned_and_told_when_its_mails_are_due(
    carts: CartActivities, sessions: Sessions, clock: Clock
) -> None:
    cart_id = await fill(carts)
    left_at = clock.goes_on(minutes=30)
    told = await abandon(carts, cart_id)
    assert told.reminders_at == tuple(left_at + timedelta(hours=hours) for hours in (1, 24, 72))
    assert (told.first_reminder, told.lost_at) == (1, left_at + timedelta(days=30))
    clock.goes_on(minutes=5)
    assert await abandon(carts, cart_id) == told
    assert await story_of(sessions, cart_id) == [(None, "open"), ("open", "abandoned")]
    assert (await abandon(carts, uuid4())).status is CartStatus.CLEARED


async def test_a_cart_that_was_left_again_goes_on_with_the_next_mail(
    carts: CartActivities, sessions: Sessions, wanted: UUID, clock: Clock
) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Cart).values(reminders=1))
    assert (await change(carts, wanted, "french-a2")).status is CartStatus.OPEN
    assert await check(carts, wanted, 2) == CheckedReminder(status=CartStatus.OPEN, skipped="active_again")
    assert await mails_of(sessions, wanted) == []
    left_at = clock.goes_on(minutes=30)
    told = await abandon(carts, wanted)
    assert told.first_reminder == 2
    assert told.reminders_at == tuple(left_at + timedelta(hours=hours) for hours in (24, 72))


async def test_settings_say_when_and_whether(carts: CartActivities, sessions: Sessions, clock: Clock) -> None:
    await configure(sessions, cutoff_minutes=10, delays_minutes=[240, 30])
    cart_id = uuid4()
    changed = await carts.change_cart(changing(cart_id, "spanish-a1", is_staff=True))
    assert changed.cutoff_at == clock.moment + timedelta(minutes=10)
    assert (await abandon(carts, cart_id)).reminders_at == ()
    await configure(sessions, tracks_staff=True)
    told = await abandon(carts, cart_id)
    assert told.reminders_at == (clock.moment + timedelta(minutes=30), clock.moment + timedelta(minutes=240))
    await configure(sessions, is_enabled=False)
    assert (await abandon(carts, cart_id)).reminders_at == ()
    assert (await check(carts, cart_id)).skipped == "not_watched"


async def test_a_mail_may_go_out(carts: CartActivities, sessions: Sessions, wanted: UUID) -> None:
    assert await check(carts, wanted, 1) == CheckedReminder(status=CartStatus.ABANDONED)
    assert await check(carts, wanted, 3) == CheckedReminder(status=CartStatus.ABANDONED, is_last=True)
    assert await mails_of(sessions, wanted) == []


async def test_a_skip_is_written_down_once(carts: CartActivities, sessions: Sessions) -> None:
    cart_id = await abandoned(carts)
    for _ in range(2):
        assert await check(carts, cart_id) == CheckedReminder(status=CartStatus.ABANDONED, skipped="no_consent")
    assert await mails_of(sessions, cart_id) == [("1", "skipped", "no_consent")]
    assert (await cart_of(sessions, cart_id)).reminders == 1
    silent = CartActivities(sessions, has_links=False)
    await agree(sessions)
    assert (await check(silent, cart_id, 2)).skipped == "no_link_secret"
    assert (await check(carts, cart_id, 4)).skipped == "not_watched"


async def test_whoever_has_the_course_is_not_asked_to_buy_it(
    carts: CartActivities, orders: OrderActivities, sessions: Sessions, wanted: UUID, clock: Clock
) -> None:
    over = clock.moment - timedelta(days=1)
    await enroll(sessions, orders, "french-a2")
    cart_id = await abandoned(carts, "french-a2", "photography")
    assert (await check(carts, cart_id)).skipped == "bought"
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).values(access_ends_at=over))
    assert (await check(carts, cart_id, 2)).skipped == "bought_lately"


async def test_what_others_have_bought_speaks_against_nobodys_mail(
    carts: CartActivities, orders: OrderActivities, sessions: Sessions, wanted: UUID
) -> None:
    grace, cart_id = sample_id("person", "grace"), await abandoned(carts, "teacher-training", "french-a2")
    await enroll(sessions, orders, "french-a2", student=grace)
    await orders.place_order(placing(line("teacher-training", grace), payer=grace))
    # Who bought has a cart as well.
    await fill(carts, "spanish-a1", whose=grace)
    assert (await check(carts, cart_id)).skipped is None


async def test_a_used_up_pack_may_be_bought_again(
    carts: CartActivities, orders: OrderActivities, sessions: Sessions, clock: Clock
) -> None:
    await agree(sessions)
    hours = [slot.id for slot in await slots_of(sessions, "piano-pack")][:5]
    await enroll(sessions, orders, "piano-pack", slots=hours)
    cart_id = await abandoned(carts, "piano-pack")
    assert (await check(carts, cart_id)).skipped == "bought"
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).values(status=EnrollmentStatus.COMPLETED))
    clock.goes_on(days=2)
    assert (await check(carts, cart_id, 2)).skipped is None


async def test_an_order_in_other_hands_is_waited_for(
    carts: CartActivities, orders: OrderActivities, sessions: Sessions, wanted: UUID
) -> None:
    cart_id = await abandoned(carts, "teacher-training")
    step = placing(line("teacher-training"))
    assert (await orders.place_order(step)).approver_ids
    checked = await check(carts, cart_id)
    assert (checked.skipped, checked.is_last) == ("being_bought", False)
    cart_id = await abandoned(carts, "spanish-a1")
    await orders.place_order(placing(line("spanish-a1"), method=PaymentMethod.CHECKOUT))
    assert (await check(carts, cart_id)).skipped is None
    cart_id = await abandoned(carts, "french-a2")
    await orders.place_order(placing(line("french-a2"), method=PaymentMethod.INVOICE, by="staff:1"))
    assert (await check(carts, cart_id)).skipped == "being_bought"


@pytest.mark.parametrize(
    ("code", "gone"),
    [
        ("spanish-a1", {"status": "retired"}),
        ("language-bundle", {"status": "retired"}),
        ("spanish-a1", {"enrollment_closes_at": "past"}),
        ("spanish-a1", {"access_rule": "until_date", "access_days": None, "access_until": "past"}),
        ("spanish-a1", {"capacity": 1, "seats_taken": 1}),
        ("language-bundle", {"capacity": 1, "seats_taken": 1}),
    ],
)
async def test_nobody_is_invited_to_buy_what_is_gone(
    carts: CartActivities, sessions: Sessions, wanted: UUID, clock: Clock, code: str, gone: dict[str, object]
) -> None:
    cart_id = await abandoned(carts, code, "photography")
    assert (await check(carts, cart_id)).skipped is None
    values = {name: clock.moment if value == "past" else value for name, value in gone.items()}
    await set_course(sessions, "spanish-a1", **values)
    assert (await check(carts, cart_id)).skipped == "sold_out"


async def test_quiet_after_refunds_disputes_and_other_carts(
    carts: CartActivities, orders: OrderActivities, sessions: Sessions, wanted: UUID, clock: Clock
) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Person).values(cart_mails_quiet_until=clock.moment + timedelta(days=1)))
    assert (await check(carts, wanted, 1)).skipped == "refunded_lately"
    clock.goes_on(days=2)
    assert (await check(carts, wanted, 2)).skipped is None
    async with sessions.begin() as session:
        await session.execute(update(Cart).values(reminded_at=clock.moment))
    newer = await abandoned(carts, "french-a2")
    clock.goes_on(days=6)
    assert (await check(carts, newer, 1)).skipped == "reminded_lately"
    clock.goes_on(days=2)
    assert (await check(carts, newer, 2)).skipped is None
    step = placing(line("photography"))
    await orders.place_order(step)
    async with sessions.begin() as session:
        session.add(
            Dispute(
                stripe_dispute_id="dp_1", order_id=step.request.order_id, amount=1, currency="EUR", reason="fraudulent",
                status=DisputeStatus.UNDER_REVIEW, opened_at=clock.moment - timedelta(days=90),
            )
        )  # fmt: skip
    assert (await check(carts, newer, 3)).skipped == "refunded_lately"


async def test_a_purchase_ends_the_carts_of_everybody_it_is_for(
    carts: CartActivities, orders: OrderActivities, sessions: Sessions, clock: Clock
) -> None:
    mine, theirs, other = (
        await fill(carts),
        await abandoned(carts, whose=LAYLA),
        await fill(carts, whose=person("grace")),
    )
    async with sessions.begin() as session:
        clicked = clock.moment - timedelta(days=5)
        await session.execute(update(Cart).where(col(Cart.id) == theirs).values(clicked_at=clicked))
    step = placing(line("photography"), line("photography", LAYLA))
    paid = completing(step, await orders.place_order(step))
    async with sessions.begin() as session:
        await session.execute(update(Order).values(created_at=clock.moment))
    # A bank takes its time: what counts is when it was ordered.
    clock.goes_on(days=6)
    done = await orders.complete_order(paid)
    assert set(done.cart_ids) == {mine, theirs}
    assert set((await orders.complete_order(paid)).cart_ids) == {mine, theirs}
    assert [(await cart_of(sessions, row)).status for row in (mine, theirs, other)] == ["ordered", "recovered", "open"]
    assert (await cart_of(sessions, mine)).order_id == step.request.order_id
    assert await story_of(sessions, mine) == [(None, "open"), ("open", "ordered")]
    assert (await change(carts, mine, "spanish-a1")).refusal is Reason.CART_OVER
    assert (await check(carts, mine)).skipped == "bought"
    assert await end(carts, mine) == CheckedReminder(status=CartStatus.ORDERED, is_last=True)
    assert (await abandon(carts, mine)).status is CartStatus.ORDERED


async def test_money_for_a_cart_that_was_lost_is_told(
    carts: CartActivities, orders: OrderActivities, sessions: Sessions
) -> None:
    lost, unrelated = await abandoned(carts), await abandoned(carts, whose=LAYLA)
    for cart_id in (lost, unrelated):
        await end(carts, cart_id)
    async with sessions.begin() as session:
        await session.execute(update(Cart).values(attempts=2))
    step = placing(line("spanish-a1"), line("spanish-a1", LAYLA))
    request = step.request.model_copy(update={"order_id": cart_order_id(lost, 2)})
    step = step.model_copy(update={"request": request})
    done = await orders.complete_order(completing(step, await orders.place_order(step)))
    assert done.cart_ids == (lost,)
    assert (await cart_of(sessions, lost)).status == "ordered"
    assert (await cart_of(sessions, unrelated)).status == "lost"


async def test_a_lost_cart_forgets_what_was_in_it(
    carts: CartActivities, sessions: Sessions, wanted: UUID, clock: Clock
) -> None:
    assert await end(carts, wanted) == CheckedReminder(status=CartStatus.LOST, is_last=True)
    assert await end(carts, wanted) == CheckedReminder(status=CartStatus.LOST, is_last=True)
    cart = await cart_of(sessions, wanted)
    assert (cart.total_amount, cart.coupon_code, cart.erased_at) == (4900, None, clock.moment)
    assert await lines_of(sessions, wanted) == []
    assert await story_of(sessions, wanted) == [(None, "open"), ("open", "abandoned"), ("abandoned", "lost")]
    assert (await the_person(sessions, LUKASZ)).email.startswith("lukasz")
    assert (await change(carts, wanted, "spanish-a1")).refusal is Reason.CART_OVER


async def test_an_open_cart_is_not_lost(carts: CartActivities) -> None:
    assert await end(carts, await fill(carts)) == CheckedReminder(status=CartStatus.OPEN)


async def test_the_coupon_is_made_once_for_one_person_and_one_use(
    carts: CartActivities, orders: OrderActivities, sessions: Sessions, wanted: UUID, clock: Clock
) -> None:
    await configure(sessions, coupon_percent=15)
    await check(carts, wanted, 2)
    async with sessions() as session:
        assert await cart_coupon(session, wanted, clock.moment) is None
    for _ in range(2):
        await check(carts, wanted, 3)
    clock.goes_on(hours=20)  # until its mail goes out
    async with sessions.begin() as session:
        named = await cart_coupon(session, wanted, clock.moment)
        await begin_cart_coupon(session, wanted, clock.moment)
        await begin_cart_coupon(session, wanted, clock.moment + timedelta(hours=1))
        coupon = await session.get_one(Coupon, cart_coupon_id(wanted))
        assert (coupon.percent, coupon.usage_limit) == (15, 1)
        assert coupon.allowed_emails == ["lukasz.zolcinski@students.test"]
        assert coupon.expires_at == clock.moment + timedelta(hours=48)
        assert named == MailedCoupon(coupon.code, Decimal(15), coupon.expires_at, has_begun=False)
        assert await cart_coupon(session, wanted, clock.moment + timedelta(hours=48)) is None
    theirs = placing(line("photography", LAYLA), payer=LAYLA, coupon=coupon.code)
    assert (await orders.place_order(theirs)).refusal is Reason.COUPON_NOT_YOURS
    async with sessions.begin() as session:
        await session.execute(
            update(Coupon).values(
                created_at=clock.moment - timedelta(days=4), expires_at=clock.moment - timedelta(days=2)
            )
        )
    assert (await orders.place_order(placing(line("photography"), coupon=coupon.code))).refusal is Reason.COUPON_EXPIRED
    newer = await abandoned(carts, "french-a2")
    clock.goes_on(days=31)
    assert (await check(carts, newer, 3)).skipped is None
    async with sessions() as session:
        assert await session.get(Coupon, cart_coupon_id(newer)) is None


async def test_a_coupon_that_was_never_mailed_is_not_one_that_they_had(
    carts: CartActivities, sessions: Sessions, wanted: UUID, clock: Clock
) -> None:
    await configure(sessions, coupon_percent=15)
    await check(carts, wanted, 3)
    newer = await abandoned(carts, "french-a2")
    await check(carts, newer, 3)
    async with sessions() as session:
        assert await session.get(Coupon, cart_coupon_id(newer)) is not None


@pytest.mark.parametrize(("own", "is_made"), [("REGULAR15", False), ("WELCOME10", True), ("LASTYEAR", True)])
async def test_no_coupon_is_made_that_takes_off_no_more_than_theirs(
    carts: CartActivities, sessions: Sessions, own: str, is_made: bool
) -> None:
    await agree(sessions)
    await configure(sessions, coupon_percent=15)
    cart_id = uuid4()
    await carts.change_cart(changing(cart_id, "spanish-a1", coupon=own))
    await abandon(carts, cart_id)
    assert (await check(carts, cart_id, 3)).skipped is None
    async with sessions() as session:
        assert (await session.get(Coupon, cart_coupon_id(cart_id)) is not None) is is_made


async def test_customers_get_no_coupon(
    carts: CartActivities, orders: OrderActivities, sessions: Sessions, clock: Clock
) -> None:
    await enroll(sessions, orders, "photography")
    await agree(sessions)
    await configure(sessions, coupon_percent=15)
    clock.goes_on(days=3)
    cart_id = await abandoned(carts)
    assert (await check(carts, cart_id, 3)).skipped is None
    async with sessions() as session:
        assert await session.get(Coupon, cart_coupon_id(cart_id)) is None


async def test_the_statements_do_not_grow_with_the_cart(carts: CartActivities, engine: AsyncEngine) -> None:
    counts = []
    for codes in (["spanish-a1"], ["spanish-a1", "photography", "watercolour", "thesis-seminar", "study-skills"]):
        await agree(carts.sessions, LAYLA)
        cart_id = await fill(carts, "islamic-finance", whose=LAYLA)
        with statements_of(engine) as sent:
            await change(carts, cart_id, *codes, whose=LAYLA)
            await abandon(carts, cart_id)
            await check(carts, cart_id)
            await end(carts, cart_id)
        counts.append(len(sent))
    assert counts[0] == counts[1]


async def test_places_that_ended_may_be_bought_again(
    carts: CartActivities, orders: OrderActivities, sessions: Sessions, wanted: UUID, clock: Clock
) -> None:
    await enroll(sessions, orders, "french-a2", status=EnrollmentStatus.CANCELED)
    clock.goes_on(days=2)
    assert (await check(carts, await abandoned(carts, "french-a2"))).skipped is None
