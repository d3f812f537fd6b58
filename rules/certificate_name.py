"""The name on a certificate: how it is written, and whether somebody has to look at another one (reference list 10.6).

A slip of the pen is corrected at once. A name that differs in more than three letters, or in the surname, may be
somebody else's: a person decides, on evidence.
"""

import unicodedata
from datetime import datetime, timedelta

from rapidfuzz.distance import Levenshtein

from models.errors import Reason
from rules.decision import Refused

LONGEST = 200
MAX_SLIPS = 3
MAX_CORRECTIONS = 2
CORRECTIONS_WITHIN = timedelta(days=365)

# Right-to-left and Indic names are wrong without their marks and joiners.
_INVISIBLE = "\u200c\u200d\u200e\u200f"
_NEVER_IN_NAMES = {"Cc", "Cf", "Cs", "Co", "Cn"}


def written_name(typed: str) -> str | Refused:
    """The name as it is kept: composed (NFC), with single spaces. Refused with `name_invalid` if it is no name.

    Markup is text like any other: it is printed as it stands.
    """
    name = " ".join(unicodedata.normalize("NFC", typed).split())
    if any(unicodedata.category(each) in _NEVER_IN_NAMES and each not in _INVISIBLE for each in name):
        return Refused(Reason.NAME_INVALID, "The name holds characters that cannot be printed.")
    if not any(each.isalpha() for each in name):
        return Refused(Reason.NAME_INVALID, "The name holds no letter.")
    if len(name) > LONGEST:
        return Refused(Reason.NAME_INVALID, f"The name is longer than {LONGEST} characters.")
    return name


def first_and_last(name: str) -> tuple[str, str | None]:
    """The first names and the surname, which is the last word; of a single word there is no surname."""
    first, _, last = name.rpartition(" ")
    return (first, last) if first else (last, None)


def needs_person(printed: str, wanted: str) -> bool:
    """Whether somebody has to decide on the wanted name: its surname is another one, or more than three letters differ.

    Upper and lower case are the same; accents count (Zolcinski is not Żółciński).
    """
    before, after = _compared(printed), _compared(wanted)
    return before.rpartition(" ")[2] != after.rpartition(" ")[2] or Levenshtein.distance(before, after) > MAX_SLIPS


def refused_correction(
    printed: str, wanted: str, *, has_evidence: bool, corrected_in_a_year: int, has_open: bool = False
) -> Refused | None:
    """Why the certificate will not bear the wanted name, if so: `name_unchanged`, `correction_in_progress`,
    `too_many_corrections` or `evidence_required`."""
    if printed == wanted:
        return Refused(Reason.NAME_UNCHANGED, "The certificate bears this name already.")
    if has_open:
        return Refused(Reason.CORRECTION_IN_PROGRESS, "Another name was asked for, and nobody has decided on it yet.")
    if corrected_in_a_year >= MAX_CORRECTIONS:
        return Refused(
            Reason.TOO_MANY_CORRECTIONS, f"The name was corrected {MAX_CORRECTIONS} times in the last 12 months."
        )
    if needs_person(printed, wanted) and not has_evidence:
        return Refused(Reason.EVIDENCE_REQUIRED, "A name that differs this much needs a document that proves it.")
    return None


def corrections_since(moment: datetime) -> datetime:
    """From when on corrections count against the limit."""
    return moment - CORRECTIONS_WITHIN


def _compared(name: str) -> str:
    return unicodedata.normalize("NFC", " ".join(name.split()).casefold())
