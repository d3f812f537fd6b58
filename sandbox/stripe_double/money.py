"""Currencies: which exist, how many decimals they have, the smallest chargeable amount, the text of an amount."""

from decimal import Decimal

ZERO_DECIMAL = frozenset(
    {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"}
)
THREE_DECIMAL = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
_TWO_DECIMAL_CODES = """
aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd btn bwp byn bzd cad cdf chf cny cop crc
cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr isk jmd kes kgs khr kyd
kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mro mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php
pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah ugx usd uyu uzs
wst xcd xcg yer zar zmw
"""
TWO_DECIMAL = frozenset(_TWO_DECIMAL_CODES.split())
CURRENCIES = ZERO_DECIMAL | THREE_DECIMAL | TWO_DECIMAL

# Stripe's published minimum charge amounts; a currency not listed takes any positive amount.
MINIMUM = {
    "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30,
    "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200,
    "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip
MAXIMUM = 99_999_999

SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "inr": "₹", "krw": "₩", "ils": "₪", "vnd": "₫", "ngn": "₦"}


def decimals(currency: str) -> int:
    """How many decimals an amount of this currency is written with."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def format_amount(amount: int, currency: str) -> str:
    """The text a person reads: ``$1,234.50``, ``¥500``, ``KWD 12.340``."""
    places = decimals(currency)
    value = Decimal(abs(amount)).scaleb(-places)
    sign = "-" if amount < 0 else ""
    symbol = SYMBOLS.get(currency) or f"{currency.upper()}\N{NO-BREAK SPACE}"
    return f"{sign}{symbol}{value:,.{places}f}"


def processing_fee(amount: int) -> int:
    """What this account pays for one card payment: 1.5 % and 25 minor units, rounded half up."""
    return (amount * 15 + 500) // 1000 + 25
