"""Letters about a refund that does not arrive by itself: to be claimed, or come back to the academy."""

from datetime import UTC, datetime

from activities.errand import Draft, Errand, MailWithoutSubjectError, Skipped
from activities.order_facts import MoneyBack
from models.money import Money
from models.vocabulary import RefundStatus
from rules.refund_watch import ACTION_EXPIRES


def refund_action_required(errand: Errand) -> Draft | Skipped:
    """The payer has to tell Stripe where the money should go, and until when.

    The occasion names the refund, the day of the reminder, and since when the money is waiting (seconds, hexadecimal).
    """
    back = _refund(errand)
    if back.refund.status != RefundStatus.REQUIRES_ACTION:
        return Skipped(f"refund_{back.refund.status}")
    since = datetime.fromtimestamp(int(errand.occasion.rpartition(":")[2], 16), UTC)
    return Draft({"amount": _amount(errand, back), "until": errand.words.moment(since + ACTION_EXPIRES)})


def refund_returned(errand: Errand) -> Draft | Skipped:
    """The money could not be credited, or was not claimed; it is still owed. The occasion begins with the refund."""
    back = _refund(errand)
    if back.goes_back:
        return Skipped(f"refund_{back.refund.status}")
    return Draft({"amount": _amount(errand, back), "why": f"refund_returned.{back.refund.status}"})


def _refund(errand: Errand) -> MoneyBack:
    named = errand.occasion.partition(":")[0]
    for back in errand.facts.refunds:
        if back.refund.id.hex == named:
            return back
    raise MailWithoutSubjectError


def _amount(errand: Errand, back: MoneyBack) -> str:
    return errand.words.money(Money(amount=back.refund.amount, currency=back.refund.currency))
