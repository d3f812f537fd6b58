"""From facts to a mail: subject, HTML and plain text in the recipient's language. No I/O but the templates."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time, get_timezone_location
from css_inline import CSSInliner
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from activities.one_line import one_line
from activities.translations import Texts, texts_for
from models.money import Money
from models.vocabulary import MailTemplate


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sender(_Facts):
    """The academy as it signs a mail."""

    name: str
    legal_name: str
    address: str = Field(description="lines separated by newlines")
    email: str


class ConfirmedLine(_Facts):
    """One course. `student_name` is none where the recipient is the student."""

    title: str
    student_name: str | None
    price: Money
    starts_at: AwareDatetime | None = Field(description="none if it can be begun at any time")
    time_zone: str = Field(description="the student's IANA zone")


class OrderConfirmation(_Facts):
    """All that the confirmation of an order says. `locale` is the recipient's BCP 47 tag, `moment` is now."""

    name: str
    locale: str
    moment: AwareDatetime
    academy: Sender
    order_number: str
    receipt_number: str
    order_url: str | None
    lines: tuple[ConfirmedLine, ...] = Field(min_length=1)
    total: Money
    is_test: bool


@dataclass(frozen=True)
class RenderedMail:
    """A mail as written. `language` is the BCP 47 tag of its texts; the subject is one line."""

    subject: str
    html: str
    text: str
    language: str


def render_order_confirmation(facts: OrderConfirmation) -> RenderedMail:
    """The mail that thanks for a completed order and says what happens next."""
    texts = texts_for("mail", facts.locale)
    return _render(
        MailTemplate.ORDER_CONFIRMATION,
        texts,
        {
            "name": one_line(facts.name),
            "academy": facts.academy,
            "order_number": facts.order_number,
            "receipt_number": facts.receipt_number,
            "order_url": facts.order_url,
            "lines": [_told(line, facts.moment, texts) for line in facts.lines],
            "total": facts.total.format(texts.locale) if facts.total.amount else texts["nothing_paid"],
            "is_test": facts.is_test,
        },
    )


def _told(line: ConfirmedLine, moment: datetime, texts: Texts) -> dict[str, str | None]:
    ahead = line.starts_at is not None and line.starts_at > moment
    return {
        "title": one_line(line.title),
        "student_name": None if line.student_name is None else one_line(line.student_name),
        "price": line.price.format(texts.locale),
        "starts": _when(line.starts_at, line.time_zone, texts) if line.starts_at is not None and ahead else None,
    }


def _when(moment: datetime, zone_name: str, texts: Texts) -> str:
    zone = ZoneInfo(zone_name)
    local = moment.astimezone(zone)
    return texts.say(
        "when",
        date=format_date(local.date(), "full", locale=texts.locale),
        time=format_time(local, "short", tzinfo=zone, locale=texts.locale),
        city=get_timezone_location(zone, locale=texts.locale, return_city=True),
    )


def _render(template: MailTemplate, texts: Texts, facts: dict[str, object]) -> RenderedMail:
    direction = "rtl" if texts.right_to_left else "ltr"
    plain = _environment().get_template(f"{template}.txt.j2").make_module({**facts, "texts": texts})
    subject = one_line(str(vars(plain)["subject"]))
    html = (
        _environment()
        .get_template(f"{template}.html.j2")
        .render({**facts, "texts": texts, "direction": direction, "subject": subject})
    )
    return RenderedMail(subject, _inliner().inline(html), f"{plain}".strip() + "\n", texts.language)


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
