"""What a payment, as Stripe tells it, means for the order, and how long each of its states is waited for.

The numbers are those of reference list 10.1: strong customer authentication 24 h with one reminder after 1 h, three
declines in 60 minutes and then 15 minutes of rest, 14 days for a bank.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from models.messages.orders import PaymentFacts
from models.money import Money
from models.vocabulary import PaymentStatus

ACTION_HOLD = timedelta(hours=24)
ACTION_REMINDER = timedelta(hours=1)
DECLINE_WINDOW = timedelta(minutes=60)
DECLINES_IN_A_ROW = 3
REST = timedelta(minutes=15)
ROUNDS = 3
# Checkout Sessions live for 24 h at most, and an order that was approved while its payer slept has to be payable.
APPROVED_HOLD = timedelta(hours=24)
# A webhook that never comes is made up for by asking, at first soon, then ever more rarely.
FIRST_POLL = timedelta(minutes=5)
LONGEST_POLL = timedelta(days=1)


class Verdict(StrEnum):
    PAID = "paid"
    OPEN = "open"
    ACTION_REQUIRED = "action_required"
    DECLINED_TOO_OFTEN = "declined_too_often"
    PROCESSING = "processing"
    CANCELED = "canceled"
    AMOUNT_DIFFERS = "amount_differs"


def judge(payment: PaymentFacts, due: Money) -> Verdict:
    """The verdict on a payment against what is due.

    Money that came in with another amount or currency completes nothing: a person has to look at it. Money that
    went back in full is as good as never paid.
    """
    match payment.status:
        case PaymentStatus.SUCCEEDED if payment.refunded_amount >= payment.captured.amount:
            return Verdict.CANCELED
        case PaymentStatus.SUCCEEDED:
            return Verdict.PAID if payment.captured == due else Verdict.AMOUNT_DIFFERS
        case PaymentStatus.PROCESSING:
            return Verdict.PROCESSING
        case PaymentStatus.CANCELED:
            return Verdict.CANCELED
        case PaymentStatus.REQUIRES_ACTION:
            return Verdict.ACTION_REQUIRED
        case _:
            return Verdict.DECLINED_TOO_OFTEN if payment.declines >= DECLINES_IN_A_ROW else Verdict.OPEN


def declines_that_count(declined_at: Iterable[datetime], moment: datetime) -> int:
    """How many of these declines are recent enough to count at `moment`."""
    return sum(moment - DECLINE_WINDOW < at <= moment for at in declined_at)


def next_poll(waited: timedelta) -> timedelta:
    """How long to wait until the next look at Stripe, after having waited this long in vain."""
    return min(max(2 * waited, FIRST_POLL), LONGEST_POLL)
