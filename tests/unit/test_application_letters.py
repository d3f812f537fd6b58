"""What each letter about a tutor's application says, and when it is not sent because it is not true any more."""

from datetime import timedelta

import pytest

from activities.errand import Skipped
from activities.letters import APPLICATION_LETTERS
from models.identifiers import hand_over_occasion
from models.vocabulary import ApplicationDocumentKind, ApplicationStatus, MailTemplate, ReviewReason
from rules.tutor_application import Earlier
from sandbox.application_mail_samples import a_rejected_document, application_errand, write_about_application
from sandbox.mail_samples import NOW, an_id

T, S = MailTemplate, ApplicationStatus


def text(template: MailTemplate, **told: object) -> str:
    """The plain text, with every kind of space as a plain one."""
    mail = write_about_application(template, **told)
    return mail.text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{NO-BREAK SPACE}", " ")


def why_skipped(template: MailTemplate, **told: object) -> str:
    written = APPLICATION_LETTERS[template].write(application_errand(template, **told))  # type: ignore[arg-type]
    assert isinstance(written, Skipped), written
    return written.reason


def test_a_draft_is_kept_for_ninety_days_and_the_letter_says_until_when() -> None:
    told = text(T.APPLICATION_DRAFT_REMINDER)
    assert "finish and send it until Saturday, May 23, 2026." in told
    assert "See your application: https://academy.test/applications/00000000-" in told
    assert "you applied to teach at TutorHub Academy" in told


def test_what_was_asked_for_is_told_with_reasons_documents_words_and_a_day() -> None:
    documents = (
        a_rejected_document(ApplicationDocumentKind.IDENTITY, ReviewReason.NAME_DIFFERS),
        a_rejected_document(ApplicationDocumentKind.CERTIFICATION, ReviewReason.DOCUMENT_EXPIRED, "spanish"),
    )
    told = text(
        T.APPLICATION_INFO_REQUESTED,
        occasion="round-1",
        rejected=documents,
        title="Spanish",
        reasons=(ReviewReason.PROFILE_TOO_THIN, ReviewReason.OTHER),
        message="Dear <b>you</b>,\n\nplease say more.\u202e",
    )
    assert (
        """\
What our reviewers found
- Your profile says too little for students to choose you.
- There is another reason.

Documents that we could not accept
- Proof of identity: The name on it is not the name in your account. A proof of the change of name helps.
- Certification: Spanish: It has expired. Please send one that is still valid.

What the reviewer writes to you
Dear <b>you</b>,
please say more.

Please send it by Sunday, March 15, 2026, 12:00 PM (Dublin time).
"""
        in told
    )
    html = write_about_application(T.APPLICATION_INFO_REQUESTED, message="Dear <b>you</b>").html
    assert "Dear &lt;b&gt;you&lt;/b&gt;" in html


def test_nothing_is_told_where_nothing_was_found() -> None:
    told = text(T.APPLICATION_REJECTED, reasons=(), rejected=(), message=None)
    assert "found" not in told
    assert "Documents" not in told
    assert "writes" not in told


@pytest.mark.parametrize(
    ("again", "said"),
    [
        (timedelta(days=90), "You can apply again from Saturday, May 30, 2026."),
        (timedelta(), "You are welcome to apply again right away."),
    ],
)
def test_a_rejection_says_when_to_try_again_and_what_is_kept_until_when(again: timedelta, said: str) -> None:
    told = text(T.APPLICATION_REJECTED, status=S.REJECTED_HARD, reapply_at=NOW + again)
    assert said in told
    assert "3 applications within 12 months are possible." in told
    assert "kept until Monday, March 1, 2027, and erased then" in told
    assert "has been erased" in text(T.APPLICATION_REJECTED, erased_at=NOW)


@pytest.mark.parametrize(
    ("template", "status"),
    [(T.APPLICATION_REJECTED, S.REJECTED_SOFT), (T.APPLICATION_CLOSED, S.WITHDRAWN)],
)
def test_who_has_sent_three_is_not_invited_before_a_fourth_may_be_sent(
    template: MailTemplate, status: ApplicationStatus
) -> None:
    sent = [NOW - timedelta(days=days) for days in (2, 100, 300)]
    applications = [Earlier(S.REJECTED_SOFT, moment, moment) for moment in sent]
    told = text(template, status=status, applications=applications)
    assert "You can apply again from Tuesday, May 5, 2026." in told
    assert "welcome to apply again" not in told
    assert "welcome to apply again" in text(template, status=status, applications=applications[1:])


@pytest.mark.parametrize(
    ("occasion", "status", "said"),
    [
        ("withdrawn", S.WITHDRAWN, "has been withdrawn"),
        ("draft_expired", S.EXPIRED, "We do not keep drafts for ever"),
        ("info_expired", S.EXPIRED, "did not get an answer in time"),
        ("inactive_expired", S.EXPIRED, "we did not manage to decide"),
        ("", S.WITHDRAWN, "has been withdrawn"),
    ],
)
def test_an_end_without_a_decision_says_how_it_came(occasion: str, status: ApplicationStatus, said: str) -> None:
    told = text(T.APPLICATION_CLOSED, occasion=occasion, status=status)
    assert said in told
    assert "welcome to apply again" in told
    assert "has been erased" in text(T.APPLICATION_CLOSED, occasion=occasion, status=status, erase_at=NOW)


def test_a_reviewer_is_told_what_waits_until_when_and_nothing_of_who_applies() -> None:
    task = hand_over_occasion(an_id("review"), 2)
    told = text(T.APPLICATION_ASSIGNED, occasion=task, rounds=2)
    assert "Subjects: Spanish for beginners" in told
    assert "To be decided by: Wednesday, March 4, 2026" in told
    assert "approve · request_info · reject_soft · reject_hard" in told
    assert "(round 2)" in told
    assert "See the job and decide: https://temporal.test/workflows/tutor-application-" in told
    assert "round" not in text(T.APPLICATION_ASSIGNED, occasion=task, rounds=0)
    assert "Was to be decided by" in text(T.APPLICATION_ASSIGNED, occasion=task, moment=NOW + timedelta(days=9))


@pytest.mark.parametrize("occasion", [hand_over_occasion(an_id("another task"), 1), "", "reminder"])
def test_a_review_that_is_over_is_not_asked_for(occasion: str) -> None:
    assert why_skipped(T.APPLICATION_ASSIGNED, occasion=occasion) == "task_done"


@pytest.mark.parametrize("template", [T.APPLICATION_INFO_REQUESTED, T.APPLICATION_INFO_REMINDER])
@pytest.mark.parametrize("occasion", ["round-1", "round-1-2"])
def test_a_round_that_is_over_is_not_asked_about(template: MailTemplate, occasion: str) -> None:
    assert "2026" in text(template, occasion=occasion, rounds=1)
    assert why_skipped(template, occasion=occasion, rounds=2) == "round_over"


_TRUE_IN = {
    T.APPLICATION_DRAFT_REMINDER: {S.DRAFT},
    T.APPLICATION_RECEIVED: {S.SUBMITTED, S.IN_REVIEW, S.INFO_REQUESTED, S.INACTIVE},
    T.APPLICATION_INFO_REQUESTED: {S.INFO_REQUESTED},
    T.APPLICATION_INFO_REMINDER: {S.INFO_REQUESTED},
    T.APPLICATION_LATE: {S.INACTIVE},
    T.APPLICATION_APPROVED: {S.APPROVED},
    T.APPLICATION_REJECTED: {S.REJECTED_SOFT, S.REJECTED_HARD},
    T.APPLICATION_CLOSED: {S.WITHDRAWN, S.EXPIRED},
}


@pytest.mark.parametrize("template", _TRUE_IN)
@pytest.mark.parametrize("status", ApplicationStatus)
def test_what_is_not_so_is_not_said(template: MailTemplate, status: ApplicationStatus) -> None:
    if status in _TRUE_IN[template]:
        assert write_about_application(template, status=status).subject
    else:
        assert why_skipped(template, status=status) == f"application_{status}"


def test_links_are_left_out_where_there_is_no_page() -> None:
    assert "https://" not in text(T.APPLICATION_DRAFT_REMINDER, page=None)
    assert "https://" not in text(
        T.APPLICATION_ASSIGNED, occasion=hand_over_occasion(an_id("review"), 1), job_page=None
    )
