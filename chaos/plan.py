"""Who does what, and what breaks when: all of it follows from a seed. Which of two things at the same moment is first,
the machine decides.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum


class Deed(StrEnum):
    """What somebody comes for. Each has its own coroutine in `chaos/deeds.py`."""

    PAID = "paid"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    ABANDONED = "abandoned"
    CANCELLED = "cancelled"
    PAID_WHILE_CANCELLED = "paid_while_cancelled"
    FREE = "free"
    LAST_SEAT = "last_seat"
    INVOICE = "invoice"
    INVOICE_CANCELLED = "invoice_cancelled"
    DEBIT = "debit"
    CART_BOUGHT = "cart_bought"
    CART_LEFT = "cart_left"
    CHANGED_MIND = "changed_mind"
    GOODWILL = "goodwill"
    TAKEN_BACK = "taken_back"
    BANK_RETURNS_REFUND = "bank_returns_refund"
    REFUNDED_AT_STRIPE = "refunded_at_stripe"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    LEARNED = "learned"
    COURSE_REMOVED = "course_removed"
    DESK = "desk"


class Blow(StrEnum):
    """What breaks. Each has its own coroutine in `chaos/blows.py`."""

    KILL_WORKER = "kill_worker"
    KILL_OTHER_WORKER = "kill_other_worker"
    KILL_API = "kill_api"
    CRASH_POSTGRES = "crash_postgres"
    RESTART_POSTGRES = "restart_postgres"
    KILL_TEMPORAL = "kill_temporal"
    STRIPE_REFUSES = "stripe_refuses"
    STRIPE_FAILS_AFTER = "stripe_fails_after"
    STRIPE_REMEMBERS_ITS_ERROR = "stripe_remembers_its_error"
    STRIPE_LOSES_ANSWERS = "stripe_loses_answers"
    STRIPE_CUTS_OFF = "stripe_cuts_off"
    STRIPE_IS_SLOW = "stripe_is_slow"
    STRIPE_LIMITS = "stripe_limits"
    WEBHOOKS_TWICE = "webhooks_twice"
    WEBHOOKS_LATE = "webhooks_late"
    WEBHOOKS_LOST = "webhooks_lost"
    WEBHOOKS_REORDERED = "webhooks_reordered"
    MAIL_REFUSED = "mail_refused"
    MAIL_REJECTED = "mail_rejected"
    MAIL_DROPPED_BEFORE = "mail_dropped_before"
    MAIL_DROPPED_AFTER = "mail_dropped_after"
    OPERATOR_CANCELS = "operator_cancels"
    OPERATOR_RESETS = "operator_resets"
    OPERATOR_TERMINATES = "operator_terminates"


# How often each comes, relative to the others.
DEEDS: Mapping[Deed, int] = {
    Deed.PAID: 14,
    Deed.CONFIRMED: 3,
    Deed.DECLINED: 4,
    Deed.ABANDONED: 4,
    Deed.CANCELLED: 4,
    Deed.PAID_WHILE_CANCELLED: 5,
    Deed.FREE: 3,
    Deed.LAST_SEAT: 4,
    Deed.INVOICE: 4,
    Deed.INVOICE_CANCELLED: 2,
    Deed.DEBIT: 3,
    Deed.CART_BOUGHT: 5,
    Deed.CART_LEFT: 4,
    Deed.CHANGED_MIND: 7,
    Deed.GOODWILL: 4,
    Deed.TAKEN_BACK: 5,
    Deed.BANK_RETURNS_REFUND: 2,
    Deed.REFUNDED_AT_STRIPE: 2,
    Deed.DISPUTE_WON: 2,
    Deed.DISPUTE_LOST: 2,
    Deed.LEARNED: 6,
    Deed.COURSE_REMOVED: 1,
    Deed.DESK: 4,
}
BLOWS: Mapping[Blow, int] = {
    Blow.KILL_WORKER: 5,
    Blow.KILL_OTHER_WORKER: 5,
    Blow.KILL_API: 4,
    Blow.CRASH_POSTGRES: 2,
    Blow.RESTART_POSTGRES: 2,
    Blow.KILL_TEMPORAL: 2,
    Blow.STRIPE_REFUSES: 4,
    Blow.STRIPE_FAILS_AFTER: 4,
    Blow.STRIPE_REMEMBERS_ITS_ERROR: 2,
    Blow.STRIPE_LOSES_ANSWERS: 4,
    Blow.STRIPE_CUTS_OFF: 3,
    Blow.STRIPE_IS_SLOW: 3,
    Blow.STRIPE_LIMITS: 3,
    Blow.WEBHOOKS_TWICE: 3,
    Blow.WEBHOOKS_LATE: 3,
    Blow.WEBHOOKS_LOST: 3,
    Blow.WEBHOOKS_REORDERED: 3,
    Blow.MAIL_REFUSED: 3,
    Blow.MAIL_REJECTED: 3,
    Blow.MAIL_DROPPED_BEFORE: 3,
    Blow.MAIL_DROPPED_AFTER: 3,
    Blow.OPERATOR_CANCELS: 4,
    Blow.OPERATOR_RESETS: 3,
    Blow.OPERATOR_TERMINATES: 1,
}
# A stack that starts again takes a while: what keeps everything down is no test of anything.
_REST: Mapping[Blow, float] = {
    Blow.CRASH_POSTGRES: 8,
    Blow.RESTART_POSTGRES: 8,
    Blow.KILL_TEMPORAL: 10,
    Blow.KILL_API: 5,
    Blow.KILL_WORKER: 5,
    Blow.KILL_OTHER_WORKER: 5,
}
RACERS = 4
MEMBERS = 3
_COUPON_OF_MANY = 0.3


@dataclass(frozen=True)
class Visit:
    """Somebody comes at this second. `people` are numbers of students, `course` tells those of a kind apart; `pick`, in
    [0, 1), decides whatever else there is to decide."""

    at: float
    deed: Deed
    people: tuple[int, ...]
    course: int = 0
    with_coupon: bool = False
    pick: float = 0.0


@dataclass(frozen=True)
class Strike:
    """Something breaks at this second, `lasts` seconds long or `times` often, where that means something."""

    at: float
    blow: Blow
    lasts: float
    times: int
    pick: float


@dataclass(frozen=True)
class Plan:
    """A whole run. `seconds` is how long people come; what they have begun takes as long as it takes. `workers` is the
    number of worker processes, one or two.
    """

    seed: int
    seconds: float
    visits: tuple[Visit, ...]
    strikes: tuple[Strike, ...]
    workers: int = 2

    @property
    def people(self) -> int:
        """How many students come."""
        return 1 + max((number for visit in self.visits for number in visit.people), default=0)

    def courses(self, deed: Deed) -> int:
        """How many courses of its own this deed needs."""
        return sum(visit.deed is deed for visit in self.visits)

    def as_json(self) -> dict[str, object]:
        """For whoever reads what was planned."""
        return asdict(self)


def plan_of(seed: int, seconds: float, *, visits_per_second: float = 0.8, strikes_per_second: float = 0.25) -> Plan:
    """The plan that this seed stands for. The same arguments always give the same plan."""
    chance = random.Random(f"registrar-{seed}-{seconds}-{visits_per_second}-{strikes_per_second}")  # noqa: S311
    visits = _visits(chance, seconds, max(1, round(seconds * visits_per_second)))
    strikes = _strikes(chance, seconds, round(seconds * strikes_per_second))
    return Plan(seed, seconds, visits, strikes)


def small_plan(seed: int) -> Plan:
    """One visit of each kind and a few strikes, for a run of seconds with one worker process."""
    chance = random.Random(f"registrar-small-{seed}")  # noqa: S311 - nothing secret
    seconds = 8.0
    visits, person = [], 0
    for deed in chance.sample(tuple(Deed), len(Deed)):
        visit = _visit(chance, deed, chance.uniform(0, seconds), 0, person)
        visits.append(visit)
        person += len(visit.people)
    kinds = (
        Blow.STRIPE_LOSES_ANSWERS,
        Blow.WEBHOOKS_TWICE,
        Blow.KILL_WORKER,
        Blow.MAIL_DROPPED_AFTER,
        Blow.CRASH_POSTGRES,
        Blow.STRIPE_FAILS_AFTER,
        Blow.WEBHOOKS_REORDERED,
    )
    strikes = [_strike(chance, blow, 1 + place * (seconds - 1) / len(kinds)) for place, blow in enumerate(kinds)]
    return Plan(seed, seconds, _in_order(visits), tuple(strikes), workers=1)


def _visits(chance: random.Random, seconds: float, count: int) -> tuple[Visit, ...]:
    chosen = chance.choices(tuple(DEEDS), tuple(DEEDS.values()), k=count)
    visits, person, courses = [], 0, dict.fromkeys(Deed, 0)
    for deed in chosen:
        visit = _visit(chance, deed, chance.uniform(0, seconds), courses[deed], person)
        courses[deed] += 1
        visits.append(visit)
        person += len(visit.people)
    return _in_order(visits)


def _visit(chance: random.Random, deed: Deed, at: float, course: int, person: int) -> Visit:
    wanted = {Deed.LAST_SEAT: RACERS, Deed.COURSE_REMOVED: MEMBERS, Deed.DESK: 0}.get(deed, 1)
    people = tuple(range(person, person + wanted))
    return Visit(round(at, 2), deed, people, course, chance.random() < _COUPON_OF_MANY, round(chance.random(), 4))


def _in_order(visits: Sequence[Visit]) -> tuple[Visit, ...]:
    return tuple(sorted(visits, key=lambda visit: (visit.at, visit.people, visit.deed)))


def _strikes(chance: random.Random, seconds: float, count: int) -> tuple[Strike, ...]:
    moments = sorted(chance.uniform(0, seconds) for _ in range(count))
    strikes: list[Strike] = []
    free_at = 0.0
    for moment in moments:
        [blow] = chance.choices(tuple(BLOWS), tuple(BLOWS.values()))
        strike = _strike(chance, blow, moment)
        if blow in _REST:
            strike = replace(strike, at=round(max(moment, free_at), 2))
            free_at = strike.at + _REST[blow]
        if strike.at < seconds:
            strikes.append(strike)
    return tuple(sorted(strikes, key=lambda strike: strike.at))


def _strike(chance: random.Random, blow: Blow, at: float) -> Strike:
    lasts, times = chance.uniform(1, 6), chance.randint(1, 6)
    return Strike(round(at, 2), blow, round(lasts, 2), times, round(chance.random(), 4))
