"""Carts on a simulated clock: reminded as often as agreed, never after the purchase, and over as the record says."""

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from typing import cast
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from temporalio import workflow
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.identifiers import order_workflow_id
from models.messages.mail import MailReport
from models.messages.orders import OrderOutcome
from models.vocabulary import CartStatus, ConsentMode, MailStatus, MailTemplate, OrderStatus, WaitingFor
from rules.cart import DELAYS, LIVE, LOST_AFTER
from rules.marketing import MAX_A_WEEK, ONE_PER, QUIET_FROM, QUIET_UNTIL, WEEK
from tests.thoroughness import parts, plays
from tests.workflows.cart_world import PERSON, CartWorld, Shopping, dying, shopping
from tests.workflows.order_world import OrderWorld, Worlds, an_order
from tests.workflows.simulation import Mishaps, Simulation
from workflows.cart import CartWorkflow
from workflows.mailing import send_marketing_mail
from workflows.order import OrderWorkflow

LOST, ORDERED, RECOVERED, CLEARED, ABANDONED, OPEN = (
    CartStatus.LOST,
    CartStatus.ORDERED,
    CartStatus.RECOVERED,
    CartStatus.CLEARED,
    CartStatus.ABANDONED,
    CartStatus.OPEN,
)


@workflow.defn(name="OtherMarketingWorkflow")
class OtherMarketing:
    """Another job that has something to tell the same person."""

    @workflow.run
    async def run(self, subject_id: UUID) -> MailReport:
        return await send_marketing_mail(PERSON, MailTemplate.CART_REMINDER, subject_id, summary="Another mail")


def occasions(job: Shopping) -> list[str]:
    return [occasion for occasion, _ in job.world.sent()]


def hours_after_start(job: Shopping) -> list[float]:
    return [round((moment - job.simulation.started) / timedelta(hours=1), 1) for _, moment in job.world.sent()]


def until(job: Shopping, moment: datetime) -> None:
    job.simulation.run_for(moment - job.simulation.now)


# ---- the story ----


def test_a_cart_that_is_left_is_reminded_of_three_times_and_lost() -> None:
    job = shopping()
    job.put()
    job.wait(days=30)
    assert (job.run_of(1).ended, occasions(job), hours_after_start(job)) == (None, ["1", "2", "3"], [1.5, 24.5, 72.5])
    job.wait(days=1)
    assert job.outcome() is LOST
    assert job.world.steps_done == {"change": 1, "abandon": 1, "check": 3, "send": 3, "end": 1}


def test_each_change_moves_the_cut_off() -> None:
    job = shopping()
    for _ in range(5):
        job.put()
        job.wait(minutes=29)
    assert job.world.steps_done["abandon"] == 0
    assert job.run_of(1).query(CartWorkflow.status).status == OPEN
    job.wait(minutes=2)
    state = job.run_of(1).query(CartWorkflow.status)
    assert (state.status, state.waiting_for, job.world.steps_done["abandon"]) == (ABANDONED, WaitingFor.TIMER, 1)
    assert state.due_at is not None
    job.wait(minutes=61)
    assert occasions(job) == ["1"]


def test_a_change_opens_it_again_and_the_mails_go_on_with_the_next() -> None:
    job = shopping()
    job.put()
    job.wait(hours=2)
    assert occasions(job) == ["1"]
    job.put()
    assert job.run_of(1).query(CartWorkflow.status).status == OPEN
    job.wait(hours=20)
    assert occasions(job) == ["1"]
    job.wait(hours=6)
    assert occasions(job) == ["1", "2"]
    for _ in range(10):
        job.put()
        job.wait(days=4)
    assert occasions(job) == ["1", "2", "3"]
    job.wait(days=30)
    assert job.outcome() is LOST


@pytest.mark.parametrize("delays", [(), DELAYS[:1], (timedelta(minutes=10), timedelta(days=40))])
def test_as_many_mails_as_the_settings_say_and_none_after_it_is_lost(delays: tuple[timedelta, ...]) -> None:
    job = shopping(CartWorld(delays=delays))
    job.put()
    job.wait(days=60)
    assert job.outcome() is LOST
    assert occasions(job) == ["1"] * bool(delays)


@pytest.mark.parametrize("hours", [0.1, 1, 5, 100])
@pytest.mark.parametrize("told", [True, False])
def test_what_is_bought_is_never_reminded_of_again(hours: float, told: bool) -> None:
    job = shopping()
    job.put()
    job.wait(hours=hours)
    before = occasions(job)
    job.buy(told=told)
    job.wait(minutes=1)
    assert (job.run_of(1).ended is not None) is told
    job.wait(days=31)
    assert job.outcome() is ORDERED
    assert occasions(job) == before


def test_bought_after_a_click_is_recovered() -> None:
    job = shopping()
    job.put()
    job.wait(hours=2)
    job.world.carts[UUID(int=1)].clicked_at = job.simulation.now
    job.wait(days=4)
    job.buy()
    job.wait(minutes=1)
    assert job.outcome() is RECOVERED


def test_the_newest_cart_wins() -> None:
    job = shopping()
    job.put(1)
    job.wait(hours=2)
    job.put(2)
    job.wait(minutes=1)
    assert job.outcome(1) is CLEARED
    job.wait(days=32)
    assert job.outcome(2) is LOST
    # The person was reminded of the first one less than seven days ago.
    assert occasions(job)[:1] == ["1"]
    assert job.world.mails[UUID(int=2), "1"].reason == "reminded_lately"


@pytest.mark.parametrize("hours", [0.1, 1, 3, 14])
def test_no_thanks_ends_it_within_the_call(hours: float) -> None:
    job = shopping()
    job.put()
    job.wait(hours=hours)
    before = occasions(job)
    assert job.clear().status is CLEARED
    assert job.world.carts[UUID(int=1)].is_erased
    job.wait(minutes=1)
    assert job.outcome() is CLEARED
    job.wait(days=40)
    assert occasions(job) == before
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        job.put()
    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == "cart_over"


def test_a_cart_that_is_not_watched_gets_no_mail_and_is_forgotten_in_its_time() -> None:
    job = shopping(CartWorld(is_watched=False))
    job.put()
    job.wait(days=31)
    assert job.outcome() is LOST
    assert job.world.sent() == []


def test_no_thanks_reaches_a_cart_that_was_bought_and_it_stays_bought() -> None:
    job = shopping(CartWorld(is_watched=False))
    job.put()
    job.buy(told=False)
    assert job.clear().status is ORDERED
    job.wait(minutes=1)
    assert job.outcome() is ORDERED


def test_an_emptied_cart_is_over_and_may_be_filled_again() -> None:
    job = shopping()
    job.put()
    assert job.put(courses=0).status is CLEARED
    job.wait(minutes=1)
    assert job.outcome() is CLEARED
    assert job.put().status is OPEN
    job.wait(days=32)
    assert job.outcome() is LOST


def test_a_cart_belongs_to_one_person() -> None:
    job = shopping()
    job.put()
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        job.put(person=UUID(int=99))
    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == "not_found"
    assert job.world.steps_done["change"] == 1


def test_a_cancelled_watch_forgets_the_cart() -> None:
    job = shopping()
    job.put()
    job.wait(hours=2)
    job.run_of(1).cancel()
    job.wait(minutes=1)
    assert job.outcome() is CLEARED
    assert job.world.carts[UUID(int=1)].is_erased


def test_a_signal_that_the_record_does_not_confirm_changes_nothing() -> None:
    job = shopping()
    job.put()
    for hours in (0.1, 1, 3, 30):
        job.wait(hours=hours)
        for signal in (CartWorkflow.ordered, CartWorkflow.superseded, CartWorkflow.unsubscribed):
            job.run_of(1).signal(signal)
        job.wait(minutes=1)
        assert job.run_of(1).ended is None
    job.wait(days=32)
    assert job.outcome() is LOST
    assert occasions(job) == ["1", "2", "3"]
    assert hours_after_start(job) == [1.5, 24.5, 72.5]


def test_an_order_tells_the_carts_it_has_emptied_and_misses_none_that_is_gone() -> None:
    """The order's workflow signals; one of its carts is looked after by nobody any more."""
    request = an_order(payer_id=PERSON)
    orders = Worlds()
    orders.add(OrderWorld(total=0, cart_ids=(UUID(int=1), UUID(int=2))), request)
    job = shopping()
    job.simulation = Simulation([*job.world.steps, *orders.activities], job.simulation.chance)
    job.put()
    job.wait(minutes=5)
    job.world.buy(job.simulation.now)
    order = job.simulation.start(OrderWorkflow.run, request, order_workflow_id(request.order_id))
    job.wait(minutes=5)
    assert cast(OrderOutcome, order.result()).status is OrderStatus.COMPLETED
    assert job.outcome() is ORDERED


def test_a_change_in_the_last_moment_is_not_lost_with_the_cart() -> None:
    """Either it is refused, since the cart is over, or the cart is open, and stays so."""
    answers: set[CartStatus | None] = set()
    for seed in plays(150):
        job = shopping(seed=str(seed))
        job.put()
        job.wait(days=1)
        lost_at = job.world.carts[UUID(int=1)].abandoned_at
        assert lost_at is not None
        until(job, lost_at + LOST_AFTER - timedelta(milliseconds=job.simulation.chance.randrange(6000)))
        answer = None
        with suppress(WorkflowUpdateFailedError):
            answer = job.put().status
        answers.add(answer)
        job.wait(minutes=1)
        assert job.world.carts[UUID(int=1)].status is (answer or LOST), seed
    assert answers == {OPEN, None}


# ---- stop rules ----

Stop = Callable[[CartWorld], object]
STOPS: dict[str, Stop] = {
    "bought": lambda world: setattr(world, "owns_course", True),
    "complained": lambda world: setattr(world, "has_complained", True),
    "unsubscribed": lambda world: setattr(world, "has_withdrawn", True),
    "bounced": lambda world: setattr(world, "has_bounced", True),
    "no_consent": lambda world: setattr(world, "consented", False),
    "refunded_lately": lambda world: setattr(world, "has_dispute", True),
    "sold_out": lambda world: setattr(world, "is_sold_out", True),
    "not_watched": lambda world: setattr(world, "is_watched", False),
}


@pytest.mark.parametrize("reason", STOPS)
@pytest.mark.parametrize("step", ["wake", "write", "connect", "claim"])
def test_no_mail_goes_out_once_there_is_a_reason_against_it(reason: str, step: str) -> None:
    """Whether it shows at wake, or only within the send."""
    job = shopping()
    job.put()
    job.wait(hours=1)

    def stop(at: str) -> None:
        if at == step:
            STOPS[reason](job.world)

    stop("wake")
    job.world.meanwhile = stop
    job.wait(hours=2)
    if step == "connect":
        assert not job.world.sent()
    job.wait(days=32)
    assert job.outcome() is LOST
    assert job.world.sent() == []
    skipped = job.world.skipped()
    assert set(skipped.values()) == {reason}
    # What cannot change any more is written down once; what can is looked at again each time.
    is_final = reason in ("bought", "complained", "bounced", "not_watched")
    assert len(skipped) == (1 if is_final else 3)


@pytest.mark.parametrize("mode", ConsentMode)
def test_whoever_has_not_said_yes_depends_on_the_mode(mode: ConsentMode) -> None:
    job = shopping(CartWorld(mode=mode, consented=False))
    job.put()
    job.wait(days=32)
    assert len(occasions(job)) == (3 if mode is ConsentMode.OFF else 0)


def test_whoever_unsubscribes_gets_nothing_more_and_the_cart_is_lost_in_its_time() -> None:
    job = shopping()
    job.put()
    job.wait(hours=2)
    job.world.has_withdrawn = True
    job.run_of(1).signal(CartWorkflow.unsubscribed)
    job.wait(minutes=1)
    assert job.world.skipped() == {"2": "unsubscribed"}
    job.wait(days=31)
    assert (job.outcome(), occasions(job)) == (LOST, ["1"])
    assert job.world.skipped() == {"2": "unsubscribed", "3": "unsubscribed"}


def test_whoever_unsubscribes_by_mistake_and_comes_back_gets_the_last_mail() -> None:
    job = shopping()
    job.put()
    job.wait(hours=2)
    job.world.has_withdrawn = True
    job.run_of(1).signal(CartWorkflow.unsubscribed)
    job.wait(minutes=10)
    job.world.has_withdrawn = False
    job.wait(days=31)
    assert (job.outcome(), occasions(job)) == (LOST, ["1", "3"])


def test_a_no_before_any_mail_is_due_brings_no_mail_forward() -> None:
    job = shopping()
    job.put()
    job.world.has_withdrawn = True
    job.run_of(1).signal(CartWorkflow.unsubscribed)
    job.wait(minutes=5)
    job.world.has_withdrawn = False
    job.world.is_sold_out = True
    job.wait(minutes=60)
    assert job.world.skipped() == {}


def test_a_no_after_its_time_ends_the_cart_and_does_not_spin() -> None:
    """The last mail is put off over the night in which the cart is lost, and then its owner says no."""
    # It is left at half past ten in the evening there.
    job = shopping(CartWorld(zone=ZoneInfo("Pacific/Kiritimati"), delays=(LOST_AFTER - timedelta(minutes=30),)))
    job.put()
    job.wait(days=30, hours=2)
    job.world.has_withdrawn = True
    job.run_of(1).signal(CartWorkflow.unsubscribed)
    job.wait(days=1)
    assert job.outcome() is LOST


def test_nobody_is_reminded_for_a_day_after_a_purchase() -> None:
    job = shopping()
    job.put(1)
    job.buy()
    job.wait(minutes=1)
    job.put(2)
    job.wait(days=2)
    assert job.world.mails[UUID(int=2), "1"].reason == "bought_lately"
    assert occasions(job) == ["2"]


# ---- the arbiter ----


def test_at_night_a_mail_waits_for_the_morning() -> None:
    job = shopping(CartWorld(zone=ZoneInfo("America/New_York")))
    job.put()
    job.wait(hours=2)
    state = job.run_of(1).query(CartWorkflow.status)
    assert (state.status, occasions(job)) == (ABANDONED, [])
    mail = job.world.mails[UUID(int=1), "1"]
    assert (mail.status, mail.deferred_until) == (MailStatus.QUEUED, datetime.fromisoformat("2026-03-02T13:00Z"))
    job.wait(days=32)
    assert job.outcome() is LOST
    assert hours_after_start(job)[0] == 5


@pytest.mark.parametrize(("eve", "morning"), [("2026-03-28T20:00Z", "06:00"), ("2026-10-24T19:00Z", "07:00")])
def test_the_morning_is_that_of_the_night_when_clocks_are_turned(eve: str, morning: str) -> None:
    job = shopping(CartWorld(zone=ZoneInfo("Europe/Berlin")))
    until(job, datetime.fromisoformat(eve))
    job.put()
    job.wait(hours=16)
    [(occasion, moment)] = job.world.sent()
    assert (occasion, f"{moment:%H:%M}") == ("1", morning)


def test_three_jobs_at_once_are_one_mail_now_and_two_later() -> None:
    """The two others wait, and in the morning the next one goes. What would be more than a day late says so instead."""
    job = shopping()
    job.put()
    until(job, job.simulation.started + timedelta(hours=1.5))
    others = [
        job.simulation.start(OtherMarketing.run, UUID(int=100 + number), f"other-{number}") for number in range(2)
    ]
    job.wait(minutes=5)
    mails = list(job.world.mails.values())
    assert sorted(mail.status for mail in mails) == [MailStatus.QUEUED, MailStatus.QUEUED, MailStatus.SENT]
    assert sum(mail.deferred_until is not None for mail in mails) == 2
    job.wait(hours=24)
    assert len(job.world.sent()) == 2
    job.wait(days=32)
    assert job.outcome() is LOST
    ends = [mail for key, mail in job.world.mails.items() if key[1] in ("", "1")]
    assert sorted((mail.status, mail.reason) for mail in ends) == [
        (MailStatus.SENT, None), (MailStatus.SENT, None), (MailStatus.SKIPPED, "capped"),
    ]  # fmt: skip
    assert all(other.ended is not None for other in others)
    _assert_in_bounds(job)


@pytest.mark.parametrize("what", ["bought", "cleared", "superseded", "unsubscribed"])
def test_a_mail_that_waits_for_its_slot_is_not_left_waiting(what: str) -> None:
    job = shopping(CartWorld(zone=ZoneInfo("America/New_York")))
    job.put()
    job.wait(hours=2)
    assert job.world.mails[UUID(int=1), "1"].status is MailStatus.QUEUED
    match what:
        case "bought":
            job.buy()
        case "cleared":
            job.clear()
        case "superseded":
            job.put(2)
        case _:
            job.world.has_withdrawn = True
            job.run_of(1).signal(CartWorkflow.unsubscribed)
    job.wait(minutes=1)
    mail = job.world.mails[UUID(int=1), "1"]
    assert (mail.status, mail.reason) == (MailStatus.SKIPPED, "cleared" if what == "superseded" else what)
    assert (job.run_of(1).ended is None) is (what == "unsubscribed")
    assert job.world.sent() == []


def test_a_change_lets_a_mail_that_waits_wait_for_the_next_time() -> None:
    job = shopping(CartWorld(zone=ZoneInfo("America/New_York")))
    job.put()
    job.wait(hours=2)
    job.put()
    job.wait(hours=1)
    assert job.world.mails[UUID(int=1), "1"].status is MailStatus.QUEUED
    job.wait(hours=9)
    assert (occasions(job), hours_after_start(job)) == (["1"], [5])


def test_a_mail_server_that_is_down_holds_up_no_change_and_no_end() -> None:
    job = shopping()
    job.put()
    job.world.is_mail_down = True
    job.wait(hours=3)
    assert job.put().status is OPEN
    assert job.run_of(1).query(CartWorkflow.status).status == OPEN
    job.wait(days=2)
    assert job.run_of(1).query(CartWorkflow.status).status == ABANDONED
    job.buy()
    job.wait(hours=1)
    assert job.outcome() is ORDERED
    assert job.world.sent() == []


# ---- another run goes on ----


@pytest.mark.parametrize("is_long", [True, False])
def test_every_build_goes_on_where_the_one_before_was(is_long: bool) -> None:
    """A new build before every wake, or a history that is always too long: nothing is lost, and nothing done twice."""
    job = shopping()
    job.simulation.suggests_continuing = is_long
    job.put()
    first = job.run_of(1)
    for _ in range(60):
        job.simulation.build += 1
        job.wait(hours=13)
    assert job.outcome() is LOST
    assert occasions(job) == ["1", "2", "3"]
    assert hours_after_start(job) == [1.5, 24.5, 72.5]
    [first] = [run for run in [first] if run.ended is not None]
    command = first.ended.continue_as_new_workflow_execution if first.ended else None
    assert command is not None
    assert command.initial_versioning_behavior == 1


def test_a_cart_that_goes_on_while_it_is_open_keeps_its_cut_off() -> None:
    job = shopping()
    job.put()
    job.wait(minutes=20)
    job.put()
    job.wait(minutes=15)
    cutoff_at = job.put().cutoff_at
    job.simulation.build += 1
    run = job.run_of(1)
    # The next change is what shows that there is a newer build.
    answer = job.put()
    job.wait(seconds=20)
    assert run.ended is not None
    assert run.successor is not None
    state = job.run_of(1).query(CartWorkflow.status)
    assert (state.status, state.due_at) == (OPEN, answer.cutoff_at)
    assert answer.cutoff_at != cutoff_at
    job.wait(minutes=25)
    assert job.world.steps_done["abandon"] == 0
    job.wait(minutes=6)
    assert job.world.steps_done["abandon"] == 1


# ---- whatever happens ----


def _assert_in_bounds(job: Shopping) -> None:
    """Caps and quiet hours of all mails of the person."""
    moments = [moment for _, moment in job.world.sent()]
    assert all(after - before >= ONE_PER for before, after in pairwise(moments)), moments
    for moment in moments:
        assert sum(moment - WEEK < each <= moment for each in moments) <= MAX_A_WEEK, moments
        clock = moment.astimezone(job.world.zone).time().replace(tzinfo=None)
        assert QUIET_UNTIL <= clock < QUIET_FROM, moment


RUNS_OF_A_TEST = 25
WISHES = ("change", "change", "new", "buy", "clear", "unsubscribe", "signal", "other", "build", "click")


def _put_unless_over(chance: random.Random, job: Shopping, cart: int) -> None:
    """While the change is on its way, the cart may have come to its end."""
    with suppress(WorkflowUpdateFailedError):
        job.put(cart, courses=chance.choice((0, 1, 1, 1, 1, 1)))


def _live(chance: random.Random, job: Shopping) -> None:
    """A month: carts come and go, other jobs write too, signals are told, late or never."""
    cart = 1
    while job.simulation.now < job.simulation.started + timedelta(days=30):
        row = job.world.carts.get(UUID(int=cart))
        match chance.choice(WISHES):
            case "new":
                cart += 1
                job.put(cart)
            case "change" if row is not None and not job.world.may_change(row):
                with pytest.raises(WorkflowUpdateFailedError):
                    job.put(cart)
                cart += 1
            case "change":
                _put_unless_over(chance, job, cart)
            case "buy":
                job.buy(told=chance.random() < 0.7)
            case "clear" if row is not None:
                if chance.random() < 0.3:
                    job.clear(cart)
            case "unsubscribe":
                job.world.has_withdrawn = chance.random() < 0.3
            case "other":
                name = f"other-{chance.getrandbits(64)}"
                job.simulation.start(OtherMarketing.run, UUID(int=1000 + chance.getrandbits(60)), name)
            case "build":
                job.simulation.build += 1
            case "click" if row is not None:
                row.clicked_at = job.simulation.now
            case "signal" if row is not None:
                told = (CartWorkflow.ordered, CartWorkflow.superseded, CartWorkflow.unsubscribed)
                job.run_of(cart).signal(chance.choice(told))
        job.wait(minutes=chance.choice((1, 3, 29, 30, 31, 59, 61, 600, 1440, 1441, 2 * 1440, 5 * 1440)))


@pytest.mark.parametrize("part", parts(2, 4))
def test_a_month_of_one_persons_mail_whatever_happens(part: int) -> None:
    ends: set[CartStatus] = set()
    for number in range(RUNS_OF_A_TEST):
        seed = f"{part}-{number}"
        chance = random.Random(seed)  # noqa: S311
        zone = ZoneInfo(chance.choice(("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia")))
        mishaps = chance.choice((Mishaps(), Mishaps(answer_lost=0.1), Mishaps(worker_away=0.1), Mishaps(0.1, 0.1)))
        job = shopping(CartWorld(zone=zone), seed, mishaps)
        job.world.meanwhile = dying(chance)
        _live(chance, job)
        job.wait(days=40)
        _assert_in_bounds(job)
        assert len(job.world.sent()) == len({key for key, row in job.world.mails.items() if row.handed_over_at})
        for cart_id, row in job.world.carts.items():
            status = job.outcome(cart_id.int)
            assert status not in LIVE, seed
            assert row.reminders <= len(DELAYS)
            ends.add(row.status)
        queued = [key for key, mail in job.world.mails.items() if mail.status is MailStatus.QUEUED]
        assert queued == [], seed
    assert ends == {LOST, ORDERED, RECOVERED, CLEARED}
