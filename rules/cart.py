"""A cart that was left: when it counts as abandoned, and whether its owner is reminded (reference list 10.4)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.vocabulary import CartStatus

CUTOFF = timedelta(minutes=30)
DELAYS = (timedelta(hours=1), timedelta(hours=24), timedelta(hours=72))
LOST_AFTER = timedelta(days=30)
REENTRY_AFTER = timedelta(days=7)
QUIET_AFTER_PURCHASE = timedelta(hours=24)
RECOVERED_WITHIN = timedelta(days=5)
LINK_VALID_FOR = timedelta(hours=72)
COUPON_VALID_FOR = timedelta(hours=48)
COUPON_AGAIN_AFTER = timedelta(days=90)

LIVE = frozenset({CartStatus.OPEN, CartStatus.ABANDONED})
# What cannot change any more while this cart lives: no later mail is worth a wake.
FINAL = frozenset({"bought", "complained", "bounced", "cleared", "not_watched"})


@dataclass(frozen=True)
class CartFacts:
    """What is true of a cart and its owner at one moment."""

    status: CartStatus
    is_watched: bool
    is_empty: bool
    # By the same person or address, or any of its courses is theirs.
    is_bought: bool
    # A course of it cannot be bought any more.
    is_sold_out: bool
    # Of rules.marketing.
    refused_because: str | None
    last_purchase_at: datetime | None
    # Set by refunds.
    quiet_until: datetime | None
    has_dispute: bool
    # When another cart of theirs was reminded of first.
    other_reminded_at: datetime | None
    reminded_at: datetime | None
    # An order of theirs with one of its courses waits for an approval, an invoice or a bank.
    is_being_bought: bool = False


def skipped_because(cart: CartFacts, moment: datetime) -> str | None:
    """Why a mail about the cart does not go out now; none if it may."""
    return next((reason for reason, holds in _hindrances(cart, moment) if holds), None)


def _hindrances(cart: CartFacts, moment: datetime) -> Iterator[tuple[str, bool]]:
    """Every reason against a mail, the gravest first, and whether it holds."""
    began, refunded_until, purchase = cart.other_reminded_at, cart.quiet_until, cart.last_purchase_at
    yield "bought", cart.is_bought
    yield "cleared", cart.is_empty or cart.status not in LIVE
    yield "active_again", cart.status is not CartStatus.ABANDONED
    yield "not_watched", not cart.is_watched
    yield "being_bought", cart.is_being_bought
    if cart.refused_because is not None:
        yield cart.refused_because, True
    yield "refunded_lately", cart.has_dispute or (refunded_until is not None and moment < refunded_until)
    yield "bought_lately", purchase is not None and moment < purchase + QUIET_AFTER_PURCHASE
    is_first = cart.reminded_at is None
    yield "reminded_lately", is_first and began is not None and moment < began + REENTRY_AFTER
    yield "sold_out", cart.is_sold_out


def is_watched(is_enabled: bool, tracks_staff: bool, is_staff: bool) -> bool:
    """Whether the cart is watched."""
    return is_enabled and (tracks_staff or not is_staff)


def reminders_due(abandoned_at: datetime, delays: Sequence[timedelta], done: int) -> tuple[datetime, ...]:
    """When the mails are due (UTC) that are left after `done` of them, the first first, however the delays are set."""
    return tuple(abandoned_at + delay for delay in sorted(delays))[done:]


def hastened(wait: timedelta, speed: float) -> timedelta:
    """The wait for a clock that runs `speed` times as fast: 1, but in demonstrations, which cannot wait for hours."""
    return wait if speed == 1 else wait / speed


def is_recovered(clicked_at: datetime | None, ordered_at: datetime) -> bool:
    """Whether an order is owed to a mail: it came within five days of a click."""
    return clicked_at is not None and ordered_at - clicked_at <= RECOVERED_WITHIN
