"""What a payment, as Stripe tells it, means for the order."""

from enum import StrEnum

from models.messages.orders import PaymentFacts
from models.money import Money
from models.vocabulary import PaymentStatus


class Verdict(StrEnum):
    PAID = "paid"
    OPEN = "open"
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
        case _:
            return Verdict.OPEN
