"""The decision record as PDF: it says who decided what and on which versions, whatever they are called."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pytest
from pypdf import PdfReader

from activities.decision_record import (
    DecisionRecord,
    JudgedDocument,
    RecordedDecision,
    RecordedDocument,
    RecordedStep,
    Remark,
)
from activities.decision_record_pdf import render_decision_record
from activities.one_line import one_line
from models.vocabulary import ApplicationStatus
from tests.unit.names import NAMES, STEERING

ROOT = Path(__file__).parents[2]
# An hour before the clocks of Berlin go forward.
BEFORE = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
AFTER = BEFORE + timedelta(hours=1)
SHA = "0123456789abcdef" * 4


def a_document(version: int = 1, verdict: str | None = "accepted", reason: str | None = None) -> RecordedDocument:
    return RecordedDocument("certification", "Spanish", version, SHA, verdict, reason)


def a_decision(number: int, action: str, *, by: str = "Noa (staff)", **more: object) -> RecordedDecision:
    said = RecordedDecision(number, AFTER, action, by, (), None, False, (a_document(),), (), ())
    return replace(said, **more)  # type: ignore[arg-type]


def a_record(name: str = "Ελένη", **more: object) -> DecisionRecord:
    """Information was asked for, then a document was overridden with a second opinion."""
    note = Remark(AFTER, f"{name} (staff)", f"Between us:\n{name} knows them.")
    record = DecisionRecord(
        application_id=UUID(int=7),
        academy="TutorHub Academy",
        time_zone="Europe/Berlin",
        applicant=name,
        subjects=("Spanish", "Piano"),
        status=ApplicationStatus.APPROVED,
        rounds=1,
        begun_at=BEFORE,
        submitted_at=BEFORE,
        decided_at=AFTER,
        reapply_at=None,
        erase_at=None,
        erased_at=None,
        as_of=AFTER,
        decisions=(
            a_decision(
                1,
                "request_info",
                reasons=("document_expired",),
                documents=(a_document(1, "rejected", "document_expired"),),
                messages=(Remark(AFTER, "Noa (staff)", "Please send a new one."),),
            ),
            a_decision(2, "approve", is_override=True, documents=(a_document(2, "rejected", "other"),), notes=(note,)),
            a_decision(3, "approve", by=f"{name} (staff)", seconds=2),
        ),
        documents=(
            JudgedDocument(a_document(1, "rejected", "document_expired"), BEFORE, f"{name} (staff)", AFTER, AFTER),
            JudgedDocument(a_document(2, None), AFTER, None, None, None),
        ),
        answers=(Remark(AFTER, "the applicant", "Here it is."),),
        steps=(
            RecordedStep(BEFORE, "the applicant", None, "draft", "begun"),
            RecordedStep(AFTER, "Noa (staff)", "in_review", "approved", "approve"),
        ),
    )
    return replace(record, **more)  # type: ignore[arg-type]


def read(record: DecisionRecord) -> list[str]:
    pages = PdfReader(BytesIO(render_decision_record(record))).pages
    return [re.sub(r"\s+", " ", page.extract_text()) for page in pages]


def test_it_says_who_decided_what_when_and_why() -> None:
    page = " ".join(read(a_record()))
    for words in (
        "Decision record", "TutorHub Academy", str(UUID(int=7)), "Applicant Ελένη", "Subjects Spanish, Piano",
        "State approved", "Rounds of information 1",
        "1. Information requested By Noa (staff)", "Reasons document expired",
        "Message to the applicant by Noa (staff)", "Please send a new one.",
        "2. Approved, although a document was rejected (override)", "Between us: Ελένη knows them.",
        "3. Second opinion on decision 2: Agreed By Ελένη (staff)",
        "Messages of the applicant", "Here it is.",
        "in review → approved", "Noa (staff) approve",
    ):  # fmt: skip
        assert words in page, words


def test_it_names_the_versions_with_their_whole_hashes() -> None:
    page = " ".join(read(a_record()))
    assert "Certification: Spanish, version 1" in page
    assert "Certification: Spanish, version 2" in page
    assert f"sha256 {SHA[:32]} {SHA[32:]}" in page
    assert "rejected document expired Ελένη (staff)" in page
    assert "none yet" in page
    assert "replaced or taken away" in page


def test_moments_are_those_of_the_academy_and_of_utc() -> None:
    page = " ".join(read(a_record()))
    assert "Begun 2026-03-29 01:30:00 CET (2026-03-29 00:30:00 UTC)" in page
    assert "Decided 2026-03-29 03:30:00 CEST (2026-03-29 01:30:00 UTC)" in page


def test_what_was_erased_is_said_to_be() -> None:
    page = " ".join(read(a_record(applicant=None, erased_at=AFTER, status=ApplicationStatus.REJECTED_HARD)))
    assert "Applicant erased" in page
    assert "Erased 2026-03-29" in page


def test_an_application_that_nobody_has_decided_has_a_record_too() -> None:
    page = " ".join(read(a_record(decisions=(), documents=(), answers=(), steps=(), submitted_at=None)))
    for words in ("Nothing has been decided.", "Nothing was shown.", "Nothing is on record."):
        assert words in page


@pytest.mark.parametrize("name", [*NAMES, *STEERING])
def test_whatever_people_are_called_is_text(name: str) -> None:
    pdf = PdfReader(BytesIO(render_decision_record(a_record(name, answers=(Remark(AFTER, name, name),)))))
    shown = " ".join(page.extract_text() for page in pdf.pages)
    assert len(pdf.pages) <= 4
    assert "{{ 7 * 7 }}" in shown or "{{" not in name
    assert "<script>alert(1)</script>" in shown.replace("\n", "") or "script" not in name
    assert not re.search("[\u202e\u202c\u2066\u2069\a]", shown)
    if name.isascii() and len(name) < 60:
        assert one_line(name) in shown


def test_many_decisions_and_long_notes_go_on_over_pages() -> None:
    long = "\n".join(f"Line {number}: " + "word " * 40 for number in range(60))
    many = tuple(
        a_decision(number, "reject_hard", notes=(Remark(AFTER, "Noa (staff)", long),)) for number in range(1, 9)
    )
    pages = read(a_record(decisions=many))
    assert len(pages) > 8
    text = " ".join(pages)
    assert text.count("Line 59:") == 8
    assert "8. Rejected (hard)" in text
    assert f"Page {len(pages)} of {len(pages)}" in pages[-1]
    assert "\N{HORIZONTAL ELLIPSIS}" not in text


def test_fonts_are_embedded() -> None:
    for page in PdfReader(BytesIO(render_decision_record(a_record("ليلى 王小明")))).pages:
        for font in page["/Resources"]["/Font"].values():  # type: ignore[index]
            described = font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
            assert {"/FontFile2", "/FontFile3"} & set(described)


_IN_ANOTHER_PROCESS = """
from hashlib import sha256
from activities.decision_record_pdf import render_decision_record
from tests.unit.test_decision_record_pdf import a_record
print(sha256(render_decision_record(a_record("ليلى (VIP) 王小明"))).hexdigest())
"""


def test_the_same_record_gives_the_same_bytes_everywhere() -> None:
    def elsewhere(**environment: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", _IN_ANOTHER_PROCESS],
            env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    first = elsewhere(PYTHONHASHSEED="1", TZ="Pacific/Kiritimati", LC_ALL="C", SOURCE_DATE_EPOCH="1")
    assert first
    assert first == elsewhere(PYTHONHASHSEED="2", TZ="America/Los_Angeles", LC_ALL="C.UTF-8")
    assert render_decision_record(a_record()) != render_decision_record(a_record(rounds=2))
