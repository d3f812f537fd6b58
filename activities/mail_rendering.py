"""From what a letter says to a mail: subject, HTML and plain text in the reader's language."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache, partial
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_date, format_time, get_timezone_location
from babel.numbers import format_percent
from css_inline import CSSInliner
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from activities.one_line import one_line
from activities.translations import Texts, texts_for
from models.money import Money
from models.vocabulary import MailTemplate

_UTC = ZoneInfo("UTC")
_LONGEST_WHOLE = 20  # characters that fit on any screen
_APART, _WHOLE = Markup("<bdi>{}</bdi>"), Markup('<bdi class="whole">{}</bdi>')
_BLANK_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True)
class RenderedMail:
    """A mail as written. `language` is the BCP 47 tag of its texts; the subject is one line."""

    subject: str
    html: str
    text: str
    language: str


class Words:
    """Texts, amounts, dates and times as one reader writes them, by BCP 47 tag and IANA zone.

    A zone that nobody knows is read as UTC, which the text then says.
    """

    def __init__(self, locale: str, zone: str) -> None:
        self.texts: Texts = texts_for("mail", locale)
        self._locale = self.texts.locale
        self._zone = _zone_of(zone)

    @property
    def city(self) -> str:
        """Whose clocks are shown."""
        return get_timezone_location(self._zone, locale=self._locale, return_city=True)

    def money(self, money: Money) -> str:
        """The amount, e.g. `€12.34`."""
        return money.format(self._locale)

    def percent(self, percent: Decimal) -> str:
        """A rate, e.g. `19%`."""
        return format_percent(percent / 100, locale=self._locale, decimal_quantization=False)

    def day(self, day: date) -> str:
        """The day with its weekday."""
        return format_date(day, "full", locale=self._locale)

    def day_of(self, moment: datetime) -> str:
        """The day on which the moment falls for the reader."""
        return self.day(moment.astimezone(self._zone).date())

    def moment(self, moment: datetime) -> str:
        """Day, time and whose clock shows it."""
        local = moment.astimezone(self._zone)
        return self.texts.say("when", date=self.day(local.date()), time=self._time(local), city=self.city)

    def span(self, starts_at: datetime, ends_at: datetime) -> str:
        """Day and times of something that begins and ends, without saying whose clock it is."""
        starts, ends = starts_at.astimezone(self._zone), ends_at.astimezone(self._zone)
        return self.texts.say("span", date=self.day(starts.date()), start=self._time(starts), end=self._time(ends))

    def _time(self, local: datetime) -> str:
        return format_time(local, "short", tzinfo=self._zone, locale=self._locale)


def render(template: MailTemplate, words: Words, values: Mapping[str, object]) -> RenderedMail:
    """The mail of a template with what its letter says; every value is shown as text, whatever it looks like."""
    texts = words.texts
    common = {**values, "texts": texts, "direction": "rtl" if texts.right_to_left else "ltr"}
    plain = _environment().get_template(f"{template}.txt.j2").make_module({**common, "say": texts.say})
    subject = one_line(str(vars(plain)["subject"]))
    said = {"say": partial(_say_in_html, texts), "subject": subject}
    html = _environment().get_template(f"{template}.html.j2").render({**common, **said})
    text = _BLANK_LINES.sub("\n\n", f"{plain}".strip()) + "\n"
    return RenderedMail(subject, _inliner().inline(html), text, texts.language)


def _say_in_html(texts: Texts, key: str, /, **values: str) -> Markup:
    """`Texts.say` with each value set apart, so that a name keeps its direction and a number its line."""
    return escape(texts[key]).format(**{name: _set_apart(value) for name, value in values.items()})


def _set_apart(value: str) -> Markup:
    is_whole = len(value) <= _LONGEST_WHOLE and " " not in value
    return (_WHOLE if is_whole else _APART).format(value)


def _zone_of(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return _UTC


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("templates", "mail"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


@lru_cache(maxsize=1)
def _inliner() -> CSSInliner:
    # What depends on the screen cannot be inlined and stays in the head.
    return CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
