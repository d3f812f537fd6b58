"""Every mail as people get it, about made-up facts: to look at before it is sent to anybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from activities.mail_rendering import RenderedMail
from models.vocabulary import MailTemplate
from sandbox.sample_mails import write

# Mails that come in several wordings; the others have one.
_OCCASIONS = {
    MailTemplate.APPROVAL_REQUESTED: ("", "reminder_1"),
    MailTemplate.INVOICE_REMINDER: ("before_3", "after_1", "after_7"),
    MailTemplate.TASK_REMINDER: ("reminder", "escalation", "second_escalation"),
    MailTemplate.CART_REMINDER: ("1", "2", "3"),
    MailTemplate.LESSONS_RELEASED: ("1", "3", "14"),
    MailTemplate.EXPORT_READY: ("sales", "finance", "statement"),
}
# Who a mail is to, for the names and clocks of its language.
_READER = ("Aoife O'Connor-Ní Dhomhnaill", "Europe/Dublin")
_READERS = {
    "de": ("Jörg Weißmüller", "Europe/Berlin"),
    "pl": ("Łukasz Żółciński", "Europe/Warsaw"),
    "ar": ("ليلى الحسيني", "Asia/Kuwait"),
    "zh": ("王小明", "Asia/Shanghai"),
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Mails</title>
<style>
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
body { margin: 24px; }
h2 { margin: 40px 0 8px; font-size: 18px; }
.sizes { display: flex; flex-wrap: wrap; gap: 16px; }
iframe { border: 1px solid #8888; border-radius: 8px; height: 720px; background: #fff; }
.wide { width: 680px; } .narrow { width: 360px; } .dark { color-scheme: dark; background: #12141c; }
.light { color-scheme: light; }
</style>
</head>
<body>
<h1>Mails</h1>
"""
_SHOWN = (("wide", "light"), ("wide", "dark"), ("narrow", "light"))


@dataclass(frozen=True)
class Preview:
    """One mail as it was written, and the name of its files."""

    name: str
    mail: RenderedMail


def previews(templates: Sequence[MailTemplate], locale: str) -> list[Preview]:
    """The mails of these templates to a reader of this locale, in every wording, set as real ones are."""
    name, zone = _READERS.get(locale.split("-", maxsplit=1)[0].lower(), _READER)
    return [
        Preview(
            "-".join(part for part in (template.value, occasion) if part),
            write(template, occasion=occasion, locale=locale, zone=zone, name=name),
        )
        for template in templates
        for occasion in _OCCASIONS.get(template, ("",))
    ]


def write_previews(folder: Path, templates: Sequence[MailTemplate], locale: str) -> list[Path]:
    """Write each mail as HTML and text, and a page that shows them side by side, which comes first."""
    folder.mkdir(parents=True, exist_ok=True)
    made = previews(templates, locale)
    index = folder / "index.html"
    index.write_text(_PAGE + "".join(_shown(each) for each in made) + "</body>\n</html>\n", encoding="utf-8")
    written = [index]
    for each in made:
        html, text = folder / f"{each.name}.html", folder / f"{each.name}.txt"
        html.write_text(each.mail.html, encoding="utf-8")
        text.write_text(f"Subject: {each.mail.subject}\n\n{each.mail.text}", encoding="utf-8")
        written += [html, text]
    return written


def _shown(preview: Preview) -> str:
    # An embedded page takes the color scheme of the element that embeds it.
    frames = "".join(
        f'<iframe class="{size} {scheme}" src="{preview.name}.html" loading="lazy"'
        f' title="{escape(preview.name)}, {size}, {scheme}"></iframe>'
        for size, scheme in _SHOWN
    )
    return (
        f"<h2>{escape(preview.name)}</h2>\n<p><bdi>{escape(preview.mail.subject)}</bdi> · "
        f'<a href="{preview.name}.txt">text</a></p>\n<div class="sizes">{frames}</div>\n'
    )
