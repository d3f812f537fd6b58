"""Names on certificates: how they are written, and when another one needs a person."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import Reason
from rules.certificate_name import (
    LONGEST,
    MAX_SLIPS,
    first_and_last,
    needs_person,
    refused_correction,
    written_name,
)
from rules.decision import Refused
from tests.unit.names import NAMES

WORDS = st.text("abcdefghijklmnopqrstuvwxyzłżóäéñ", min_size=4, max_size=12)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_every_script_are_kept(name: str) -> None:
    assert written_name(f"  {name} ") == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("typed", ["", "   ", "123", "...", "nul\0l", "a\u202elive\u202c b", "x" * (LONGEST + 1)])
def test_what_is_no_name_is_refused(typed: str) -> None:
    refused = written_name(typed)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.NAME_INVALID


def test_spaces_and_accents_are_written_one_way() -> None:
    assert written_name("Jose\u0301 \u00a0 Garci\u0301a\n") == "José García"


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Anna Maria Nowak", "Anna Maria", "Nowak"),
        ("王小明", "王小明", None),
        ("Aoife Ní Dhomhnaill", "Aoife Ní", "Dhomhnaill"),
    ],
)
def test_the_surname_is_the_last_word(name: str, first: str, last: str | None) -> None:
    assert first_and_last(name) == (first, last)


@pytest.mark.parametrize(
    ("printed", "wanted", "asks"),
    [
        ("Ana Nowak", "Anna Nowak", False),
        ("Ana Nowak", "Joanna Nowak", False),  # three letters more, and one that is small
        ("Ana Nowak", "Marianna Nowak", True),
        ("Anna Nowak", "Anna Nowack", True),  # one letter, in the surname
        ("Anna Zolcinska", "Anna Żółcińska", True),  # accents are letters of their own
        ("anna nowak", "ANNA NOWAK", False),
        ("Anna Nowak", "Anna Maria Nowak", True),
        ("王小明", "王小朋", True),
        ("Straße", "STRASSE", False),
    ],
)
def test_when_a_person_decides(printed: str, wanted: str, asks: bool) -> None:
    assert needs_person(printed, wanted) is asks


@given(WORDS, WORDS, st.integers(0, MAX_SLIPS))
def test_a_few_letters_in_the_first_name_are_a_slip(first: str, last: str, slips: int) -> None:
    assert not needs_person(f"{first} {last}", f"{first[: len(first) - slips]}{'q' * slips} {last}")


@given(WORDS, WORDS, WORDS)
def test_another_surname_always_needs_a_person(first: str, last: str, other: str) -> None:
    assert needs_person(f"{first} {last}", f"{first} {other}") is (last.casefold() != other.casefold())


@pytest.mark.parametrize(
    ("wanted", "evidence", "corrected", "is_open", "reason"),
    [
        ("Ana Nowak", True, 0, False, Reason.NAME_UNCHANGED),
        ("Anna Nowak", False, 0, True, Reason.CORRECTION_IN_PROGRESS),
        ("Anna Nowak", False, 2, False, Reason.TOO_MANY_CORRECTIONS),
        ("Anna Kowalska", False, 1, False, Reason.EVIDENCE_REQUIRED),
        ("Anna Kowalska", True, 1, False, None),
        ("Anna Nowak", False, 1, False, None),
    ],
)
def test_why_a_certificate_will_not_bear_another_name(
    wanted: str, evidence: bool, corrected: int, is_open: bool, reason: Reason | None
) -> None:
    refused = refused_correction(
        "Ana Nowak", wanted, has_evidence=evidence, corrected_in_a_year=corrected, has_open=is_open
    )
    assert (refused and refused.reason) == reason
