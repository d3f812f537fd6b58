"""Stripe's published test cards, test payment methods and test bank accounts, and how each of them behaves."""

from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True)
class Decline:
    """Why a payment is declined."""

    code: str
    message: str
    decline_code: str | None = None


GENERIC = Decline("card_declined", "Your card was declined.", "generic_decline")
INSUFFICIENT = Decline("card_declined", "Your card has insufficient funds.", "insufficient_funds")
LOST = Decline("card_declined", "Your card was declined.", "lost_card")
STOLEN = Decline("card_declined", "Your card was declined.", "stolen_card")
FRAUDULENT = Decline("card_declined", "Your card was declined.", "fraudulent")
EXPIRED = Decline("expired_card", "Your card has expired.")
WRONG_CVC = Decline("incorrect_cvc", "Your card's security code is incorrect.")
PROCESSING = Decline("processing_error", "An error occurred while processing your card. Try again in a little bit.")
NOT_AUTHENTICATED = Decline(
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    "authentication_required",
)
LIVE_CARD = Decline(
    "card_declined",
    "Your card was declined. Your request was in test mode, but used a non test (live) card. "
    "For a list of valid test cards, visit: https://stripe.com/docs/testing.",
    "test_mode_live_card",
)
BANK_INSUFFICIENT = Decline("payment_method_provider_decline", "The bank account has insufficient funds.")
BANK_FAILED = Decline("payment_intent_payment_attempt_failed", "The payment failed.", "generic_decline")


@dataclass(frozen=True)
class Behaviour:
    """What a payment method does when it is charged.

    ``authentication`` is "always", "unless_saved" (set up for use while the customer is away) or "never".
    ``refund`` is the status its refunds come to. A declined card is refused already when it is attached to a customer,
    except the one whose published purpose is to fail later.
    """

    brand: str = "visa"
    funding: str = "credit"
    decline: Decline | None = None
    authentication: str = "never"
    refund: str = "succeeded"
    disputed: bool = False
    bank: bool = False
    attachable: bool = True


VISA = Behaviour()

CARDS: dict[str, Behaviour] = {
    "4242424242424242": VISA,
    "4000056655665556": Behaviour(funding="debit"),
    "5555555555554444": Behaviour("mastercard"),
    "5200828282828210": Behaviour("mastercard", "debit"),
    "378282246310005": Behaviour("amex"),
    "6011111111111117": Behaviour("discover"),
    "4000000000000002": Behaviour(decline=GENERIC, attachable=False),
    "4000000000009995": Behaviour(decline=INSUFFICIENT, attachable=False),
    "4000000000009987": Behaviour(decline=LOST, attachable=False),
    "4000000000009979": Behaviour(decline=STOLEN, attachable=False),
    "4100000000000019": Behaviour(decline=FRAUDULENT, attachable=False),
    "4000000000000069": Behaviour(decline=EXPIRED, attachable=False),
    "4000000000000127": Behaviour(decline=WRONG_CVC, attachable=False),
    "4000000000000119": Behaviour(decline=PROCESSING, attachable=False),
    "4000000000000341": Behaviour(decline=GENERIC),
    "4000002500003155": Behaviour(authentication="unless_saved"),
    "4000002760003184": Behaviour(authentication="always"),
    "4000000000003220": Behaviour(authentication="always"),
    "4000000000000259": Behaviour(disputed=True),
    "4000000000007726": Behaviour(refund="pending"),
    "4000000000005126": Behaviour(refund="failed"),
}

# The part after ``pm_card_`` (or ``tok_``) of Stripe's named test payment methods.
NAMES: dict[str, str] = {
    "visa": "4242424242424242",
    "visa_debit": "4000056655665556",
    "mastercard": "5555555555554444",
    "mastercard_debit": "5200828282828210",
    "amex": "378282246310005",
    "discover": "6011111111111117",
    "chargeDeclined": "4000000000000002",
    "visa_chargeDeclined": "4000000000000002",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "visa_chargeDeclinedLostCard": "4000000000009987",
    "visa_chargeDeclinedStolenCard": "4000000000009979",
    "radarBlock": "4100000000000019",
    "chargeDeclinedExpiredCard": "4000000000000069",
    "chargeDeclinedIncorrectCvc": "4000000000000127",
    "chargeDeclinedProcessingError": "4000000000000119",
    "chargeCustomerFail": "4000000000000341",
    "authenticationRequired": "4000002760003184",
    "authenticationRequiredOnSetup": "4000002500003155",
    "threeDSecureRequired": "4000000000003220",
    "threeDSecure2Required": "4000000000003220",
    "createDispute": "4000000000000259",
    "pendingRefund": "4000000000007726",
    "refundFail": "4000000000005126",
}

# Bank debits: the test account (IBAN or account number) and how its payment ends once it is settled.
BANKS: dict[str, Decline | None] = {
    "DE89370400440532013000": None,
    "AT611904300234573201": None,
    "DE62370400440532013001": BANK_FAILED,
    "DE35370400440532013002": BANK_FAILED,
    "000123456789": None,
    "000111111116": BANK_FAILED,
    "000222222227": BANK_INSUFFICIENT,
}
BANK_NAMES: dict[str, tuple[str, str]] = {
    "pm_sepaDebit": ("sepa_debit", "DE89370400440532013000"),
    "pm_sepaDebit_success": ("sepa_debit", "DE89370400440532013000"),
    "pm_sepaDebit_failed": ("sepa_debit", "DE62370400440532013001"),
    "pm_usBankAccount": ("us_bank_account", "000123456789"),
    "pm_usBankAccount_success": ("us_bank_account", "000123456789"),
    "pm_usBankAccount_accountClosed": ("us_bank_account", "000111111116"),
    "pm_usBankAccount_insufficientFunds": ("us_bank_account", "000222222227"),
}


def fingerprint(number: str) -> str:
    """The stable name of a card or account that is stored in place of its number."""
    return sha256(number.encode("ascii", "replace")).hexdigest()[:16]


_BEHAVIOURS = {fingerprint(number): behaviour for number, behaviour in CARDS.items()}
_BEHAVIOURS.update({fingerprint(number): Behaviour(decline=decline, bank=True) for number, decline in BANKS.items()})


def behaviour_of(kind: str, mark: str) -> Behaviour:
    """How the payment method with this type and fingerprint behaves; a card that is no test card is declined."""
    known = _BEHAVIOURS.get(mark)
    if known:
        return known
    return Behaviour(decline=LIVE_CARD) if kind == "card" else Behaviour(bank=True)


def brand_of(number: str) -> str:
    """The card network a number belongs to."""
    if number in CARDS:
        return CARDS[number].brand
    first = {"4": "visa", "5": "mastercard", "2": "mastercard", "3": "amex", "6": "discover"}
    return first.get(number[:1], "unknown")


def passes_luhn(number: str) -> bool:
    """Whether the check digit of a card number is right."""
    if not number.isdigit() or not 12 <= len(number) <= 19:
        return False
    doubled = [int(digit) * 2 for digit in number[-2::-2]]
    total = sum(int(digit) for digit in number[-1::-2]) + sum(digit - 9 if digit > 9 else digit for digit in doubled)
    return total % 10 == 0
