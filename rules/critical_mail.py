"""Which mails and papers people rely on, how far back they are looked over, and when one of them is late."""

from datetime import timedelta
from uuid import UUID

from models.vocabulary import MailTemplate

LOOKED_BACK = timedelta(days=7)

# So long the jobs have for a mail or a file before anybody worries.
PATIENCE = timedelta(hours=1)

TEMPLATES = (MailTemplate.ORDER_CONFIRMATION, MailTemplate.REFUND, MailTemplate.CERTIFICATE_ISSUED)

# Of these refunds an order may have several, each with a mail of its own.
_EACH_ON_ITS_OWN = frozenset({"requested", "made_in_stripe"})


def refund_occasion(refund_id: UUID, reason: str) -> str:
    """By which the mail about a refund is known in the ledger: its reason, or itself."""
    return str(refund_id) if reason in _EACH_ON_ITS_OWN else reason


def issued_again(before: int) -> str:
    """By which the mail with a certificate is known that was passed over so often, since it did not count then."""
    return f"again_{before}"
