"""The preview of mails: every mail in every wording, as it is really set."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from models.vocabulary import MailTemplate
from sandbox.mail_preview import previews, write_previews
from sandbox.mail_samples import LANGUAGES


@pytest.mark.parametrize("template", MailTemplate)
def test_every_mail_can_be_looked_at(template: MailTemplate, tmp_path: Path) -> None:
    index, *files = write_previews(tmp_path / "mails", [template], "de-AT")
    assert files
    for html, text in zip(files[::2], files[1::2], strict=True):
        assert (html.suffix, text.suffix) == (".html", ".txt")
        assert '<html lang="de"' in html.read_text(encoding="utf-8")
        assert text.read_text(encoding="utf-8").startswith("Subject: ")
        shown = index.read_text(encoding="utf-8")
        assert shown.count(f'src="{html.name}"') == 3
        assert f'href="{text.name}"' in shown


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_a_reader_and_each_wording_its_mail(language: str) -> None:
    made = previews([MailTemplate.CART_REMINDER], language)
    assert [each.name for each in made] == ["cart_reminder-1", "cart_reminder-2", "cart_reminder-3"]
    assert len({each.mail.subject for each in made}) == 3
    assert {each.mail.language for each in made} == {language}
    assert ["CART-7QK2M9" in each.mail.text for each in made] == [False, False, True]


def test_the_command_says_what_to_open(tmp_path: Path) -> None:
    arguments = ["mail", "preview", "cart_reminder", "--locale", "ar", "--out", str(tmp_path)]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 0, told.output
    assert {path.name for path in tmp_path.iterdir()} == {
        "index.html",
        *(f"cart_reminder-{number}.{ending}" for number in (1, 2, 3) for ending in ("html", "txt")),
    }
    assert 'dir="rtl"' in (tmp_path / "cart_reminder-1.html").read_text(encoding="utf-8")
    assert CliRunner().invoke(app, ["mail", "preview", "no_such_mail"]).exit_code == 2
