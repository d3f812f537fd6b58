"""When a letter about a certificate is not sent, and what it leads to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from activities.certificate_letters import certificate_name_needed
from activities.certificate_links import VALID_FOR, read_download_token
from activities.errand import Draft, PublicPages, Skipped
from activities.letters import CERTIFICATE_LETTERS, set_letter
from activities.signed_links import LinkExpiredError
from models.vocabulary import CertificateOrigin, CertificateStatus, EnrollmentStatus, MailTemplate
from sandbox.certificate_mail_samples import certificate_errand, name_errand, write_about_certificate
from sandbox.mail_samples import NOW, PUBLIC

T, S = MailTemplate, CertificateStatus
TRUE_FOR = {
    T.CERTIFICATE_ISSUED: {S.ISSUED},
    T.CERTIFICATE_EXPIRING: {S.ISSUED},
    T.CERTIFICATE_EXPIRED: {S.ISSUED, S.EXPIRED},
    T.CERTIFICATE_REVOKED: {S.REVOKED},
    T.CERTIFICATE_CORRECTION_REJECTED: {S.ISSUED, S.EXPIRED},
}


@pytest.mark.parametrize("status", CertificateStatus)
@pytest.mark.parametrize("template", TRUE_FOR)
def test_what_is_not_true_any_more_is_not_sent(template: MailTemplate, status: CertificateStatus) -> None:
    written = CERTIFICATE_LETTERS[template].write(certificate_errand(template, status=status))
    if status in TRUE_FOR[template]:
        assert isinstance(written, Draft)
    else:
        assert written == Skipped(status.value)


@pytest.mark.parametrize("template", [T.CERTIFICATE_EXPIRING, T.CERTIFICATE_EXPIRED, T.CERTIFICATE_CORRECTION_REJECTED])
def test_nobody_hears_of_the_end_of_one_that_was_followed(template: MailTemplate) -> None:
    errand = certificate_errand(template, is_followed=True)
    assert CERTIFICATE_LETTERS[template].write(errand) == Skipped("superseded")


def test_it_is_not_sent_before_its_file_is_there() -> None:
    errand = certificate_errand(T.CERTIFICATE_ISSUED)
    errand.facts.certificate.file_sha256 = None
    assert CERTIFICATE_LETTERS[T.CERTIFICATE_ISSUED].write(errand) == Skipped("issued")


@pytest.mark.parametrize(
    ("origin", "key"),
    [
        (CertificateOrigin.COMPLETION, "certificate_issued"),
        (CertificateOrigin.EXCEPTION, "certificate_issued.exception"),
        (CertificateOrigin.RENEWAL, "certificate_issued.renewal"),
        (CertificateOrigin.CORRECTION, "certificate_issued.correction"),
    ],
)
def test_it_says_why_there_is_a_new_one(origin: CertificateOrigin, key: str) -> None:
    written = CERTIFICATE_LETTERS[T.CERTIFICATE_ISSUED].write(certificate_errand(T.CERTIFICATE_ISSUED, origin=origin))
    assert isinstance(written, Draft)
    assert written.key == key


def test_an_exception_does_not_say_that_the_course_is_completed() -> None:
    mail = write_about_certificate(T.CERTIFICATE_ISSUED, origin=CertificateOrigin.EXCEPTION)
    assert "here is your certificate" in mail.text
    assert "completed" not in mail.text


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
def test_its_last_day_is_the_academys_wherever_its_holder_is(zone: str) -> None:
    ends_at = datetime(2027, 3, 2, 22, 59, 59, tzinfo=UTC)
    errand = certificate_errand(T.CERTIFICATE_ISSUED, zone=zone, expires_at=ends_at)
    assert errand.facts.academy.time_zone == "Europe/Berlin"
    assert errand.expires_on == "Tuesday, March 2, 2027"
    certificate = errand.facts.certificate
    certificate.renewable_until = ends_at
    expired = CERTIFICATE_LETTERS[T.CERTIFICATE_EXPIRED].write(errand)
    certificate.status, certificate.revoked_at = S.REVOKED, ends_at
    revoked = CERTIFICATE_LETTERS[T.CERTIFICATE_REVOKED].write(errand)
    assert isinstance(expired, Draft)
    assert isinstance(revoked, Draft)
    assert expired.values["renewable_until"] == revoked.values["revoked_on"] == errand.expires_on


@pytest.mark.parametrize("is_test", [True, False])
def test_the_mail_about_a_test_says_so(*, is_test: bool) -> None:
    errand = certificate_errand(T.CERTIFICATE_ISSUED)
    errand.facts.certificate.facts = errand.printed.model_copy(update={"is_test": is_test}).model_dump(mode="json")
    errand = replace(errand)  # what was read of it before is forgotten
    written = CERTIFICATE_LETTERS[T.CERTIFICATE_ISSUED].write(errand)
    assert isinstance(written, Draft)
    text = set_letter(T.CERTIFICATE_ISSUED, errand, written).text
    assert (errand.words.texts["test_note"] in text) == is_test


def test_its_link_is_good_for_thirty_days_and_for_this_certificate() -> None:
    errand = certificate_errand(T.CERTIFICATE_ISSUED)
    assert errand.download_url is not None
    token = errand.download_url.rpartition("/")[2]
    secret = PUBLIC.link_secret or ""
    last = NOW + VALID_FOR - timedelta(seconds=1)
    assert read_download_token(secret, token, last) == errand.facts.certificate.id
    with pytest.raises(LinkExpiredError):
        read_download_token(secret, token, last + timedelta(seconds=1))


def test_without_a_secret_it_leads_to_the_page_alone() -> None:
    errand = certificate_errand(T.CERTIFICATE_ISSUED, pages=PublicPages("https://academy.test", None))
    assert errand.download_url is None
    assert errand.verify_url.startswith("https://academy.test/verify/")


def test_until_when_it_can_be_renewed_is_said_while_it_can() -> None:
    write = CERTIFICATE_LETTERS[T.CERTIFICATE_EXPIRED].write
    errand = certificate_errand(T.CERTIFICATE_EXPIRED)
    open_, over = write(errand), write(replace(errand, moment=NOW + timedelta(days=31)))
    assert isinstance(open_, Draft)
    assert isinstance(over, Draft)
    assert open_.values["renewable_until"]
    assert over.values["renewable_until"] is None


def test_a_name_is_asked_for_while_it_is_missing() -> None:
    first, reminder = (
        certificate_name_needed(name_errand()),
        certificate_name_needed(name_errand(occasion="7d_20260301")),
    )
    assert isinstance(first, Draft)
    assert isinstance(reminder, Draft)
    assert (first.key, reminder.key) == ("certificate_name_needed", "certificate_name_needed.reminder")
    assert certificate_name_needed(name_errand(confirmed_at=NOW)) == Skipped("name_confirmed")
    canceled = name_errand(status=EnrollmentStatus.CANCELED)
    assert certificate_name_needed(canceled) == Skipped("enrollment_canceled")
