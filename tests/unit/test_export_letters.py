"""The mail with a report: what it says, where it leads, and when it is not sent."""

from datetime import timedelta

import pytest

from activities.errand import PublicPages, Skipped
from activities.export_letters import ExportNotDoneError, export_ready, listed_recipients
from activities.export_links import ExportLink, read_link_token, recipient
from activities.signed_links import LinkExpiredError, LinkInvalidError
from models.vocabulary import ExportFormat, ExportReport, ExportStatus
from sandbox.export_mail_samples import export_errand, write_about_export
from sandbox.mail_samples import LANGUAGES, NOW, PUBLIC, an_id

READER = an_id("Grace Hopper")


def plain(text: str) -> str:
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{NO-BREAK SPACE}", " ")


def test_it_says_of_which_days_it_is_and_where_both_files_are() -> None:
    mail = write_about_export(occasion="finance")
    assert mail.subject == "Finance report: Monday, February 16, 2026 to Sunday, February 22, 2026"
    told = plain(mail.text)
    assert "Days: Monday, February 16, 2026 to Sunday, February 22, 2026" in told
    assert "State of the record: Sunday, March 1, 2026" in told
    assert told.index("Download the PDF: ") < told.index("Download the workbook: ")
    assert "The links are yours alone. They work until Sunday, March 8, 2026" in told
    assert mail.html.count('class="button"') == 2


def test_a_report_on_one_day_names_it_once() -> None:
    assert write_about_export(occasion="sales").subject == "Sales report: Saturday, February 28, 2026"


def test_its_links_are_for_the_recipient_alone_for_as_long_as_the_files_are_kept() -> None:
    errand, secret = export_errand(), PUBLIC.link_secret or ""
    for format_ in (ExportFormat.PDF, ExportFormat.XLSX):
        address, _, token = errand.links[format_].rpartition("/")
        assert address == f"{PUBLIC.url}/v1/exports/download"
        wanted = ExportLink(an_id(f"export {format_}"), recipient(READER))
        assert read_link_token(secret, token, NOW + timedelta(days=7, seconds=-1)) == wanted
        with pytest.raises(LinkExpiredError):
            read_link_token(secret, token, NOW + timedelta(days=7))
        with pytest.raises(LinkInvalidError):
            read_link_token(secret[::-1], token, NOW)


def test_without_links_it_says_where_the_files_are() -> None:
    told = write_about_export(pages=PublicPages("https://academy.test", None)).text
    assert "back office" in told
    assert "https://" not in told.split("--")[0]


def test_it_waits_for_a_file_that_is_still_written_and_tells_of_none_that_came_to_nothing() -> None:
    with pytest.raises(ExportNotDoneError):
        export_ready(export_errand(status=ExportStatus.RUNNING))
    assert export_ready(export_errand(status=ExportStatus.FAILED)) == Skipped("export_failed")


def test_it_is_for_those_who_are_listed_now() -> None:
    assert listed_recipients(export_errand().facts) == {READER}
    assert not listed_recipients(export_errand(is_recipient=False).facts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_report_has_a_mail_of_its_own_in_every_language(language: str) -> None:
    reports = (ExportReport.SALES, ExportReport.FINANCE, ExportReport.STATEMENT)
    mails = [write_about_export(locale=language, occasion=report) for report in reports]
    assert len({mail.subject for mail in mails}) == len({mail.text for mail in mails}) == len(reports)
