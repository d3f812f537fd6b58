"""What people typed, made fit for a line of a letter, a header or a document."""

import unicodedata

DIRECTION_MARKS = "\u200e\u200f"  # left-to-right, right-to-left: say which way their neighbours run
JOINERS = "\u200c\u200d"  # Persian and Indic names, and joined emoji, are wrong without them

_STEERING = {"Cc", "Cf", "Cs", "Co", "Cn"}


def one_line(text: str) -> str:
    """The text composed (NFC) and in one line: no controls, nothing that overrides directions, single spaces."""
    spaced = (" " if character.isspace() else character for character in unicodedata.normalize("NFC", text))
    kept = (c for c in spaced if c in DIRECTION_MARKS + JOINERS or unicodedata.category(c) not in _STEERING)
    return " ".join("".join(kept).split())
