"""One mail to write: about what, to whom and when; and what comes of it, a draft or a reason not to send it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Generic, Protocol, TypeVar
from urllib.parse import quote, urlsplit
from uuid import UUID

from temporalio.exceptions import ApplicationError

from activities.calendar import CalendarEntry
from activities.mail_message import Mailing
from activities.mail_rendering import Words
from activities.one_line import one_line
from activities.order_facts import BoughtLine, OrderFacts
from models.money import Money
from models.tables import Academy, Document, Person

_LONGEST_LINK = 2048


class MailWithoutSubjectError(ApplicationError):
    """There is no such fact, or it is none of the recipient's business. Trying again does not help."""

    def __init__(self) -> None:
        super().__init__(
            "there is nothing of this kind to tell this person", type="mail_without_subject", non_retryable=True
        )


@dataclass(frozen=True)
class Draft:
    """What the letter says, before it is set: values for its template, and what travels with it.

    `key` begins the names of its title, subject and preheader among the texts; none is the template's name. `mailing`
    is set for marketing mail alone.
    """

    values: Mapping[str, object] = field(default_factory=dict)
    papers: tuple[Document, ...] = ()
    dates: tuple[CalendarEntry, ...] = ()
    key: str | None = None
    mailing: Mailing | None = None


@dataclass(frozen=True)
class Skipped:
    """The fact is not true any more, so nothing is sent. The reason is a word of ours."""

    reason: str


@dataclass(frozen=True)
class PublicPages:
    """Our own pages that need no login: where they are reached, and what signs the links to them."""

    url: str
    link_secret: str | None = field(repr=False)


NO_PUBLIC_PAGES = PublicPages("", None)


@dataclass(frozen=True)
class Pages:
    """Where mails lead to: the platform's pages of an order (`{order_id}`), of an application (`{application_id}`) and
    of a lesson (`{lesson_id}`), and the Web UI of a job (`{workflow_id}`).
    """

    order: str | None = None
    job: str | None = None
    application: str | None = None
    lesson: str | None = None
    public: PublicPages = NO_PUBLIC_PAGES


class Told(Protocol):
    """What a letter tells, as read from the record: whatever it is about, it is read for somebody, by an academy."""

    @property
    def recipient(self) -> Person: ...

    @property
    def academy(self) -> Academy: ...


FactsT_co = TypeVar("FactsT_co", bound=Told, covariant=True)


@dataclass(frozen=True)
class Addressed(Generic[FactsT_co]):
    """One mail to write, whatever it is about: to whom, and what every letter says."""

    facts: FactsT_co
    subject_id: UUID
    occasion: str
    moment: datetime
    pages: Pages

    @property
    def recipient(self) -> Person:
        """Who is written to."""
        return self.facts.recipient

    @cached_property
    def words(self) -> Words:
        """The recipient's."""
        return Words(self.recipient.locale, self.recipient.time_zone)

    @property
    def common(self) -> Mapping[str, object]:
        """What every letter says."""
        return {"name": one_line(self.recipient.full_name), "academy": self.facts.academy, "is_test": False}


@dataclass(frozen=True)
class Errand(Addressed[OrderFacts]):
    """One mail about an order to write."""

    @property
    def order_url(self) -> str | None:
        """The platform's page of the order."""
        return page_of(self.pages.order, "order_id", self.facts.order.id)

    @property
    def pay_url(self) -> str | None:
        """Where to pay: Stripe's page, else that of the order."""
        payment = self.facts.payment
        return (link(payment.checkout_url) if payment is not None else None) or self.order_url

    @property
    def kept_until(self) -> str | None:
        """Until when the places are kept; none if that is over."""
        until = self.facts.order.hold_expires_at
        return self.words.moment(until) if until > self.moment else None

    def amount(self, amount: int) -> str:
        """Minor units of the order's currency."""
        return self.words.money(Money(amount=amount, currency=self.facts.order.currency))

    @property
    def total(self) -> str:
        """What the order costs."""
        return self.amount(self.facts.order.total_amount)

    def student_name(self, student: Person) -> str | None:
        """The student's name; none where it is the payer, who knows."""
        return None if student.id == self.facts.payer.id else one_line(student.full_name)

    def line(self, bought: BoughtLine) -> dict[str, object]:
        """A row of the table of what was ordered."""
        return {
            "title": one_line(bought.line.title),
            "student_name": self.student_name(bought.student),
            "amount": self.amount(bought.line.total_amount),
        }

    @property
    def lines(self) -> list[dict[str, object]]:
        """All rows of that table."""
        return [self.line(bought) for bought in self.facts.lines]

    @property
    def common(self) -> Mapping[str, object]:
        """What every letter about an order says."""
        order = self.facts.order
        return {
            **super().common,
            "order_number": order.number,
            "order_url": self.order_url,
            "is_test": order.is_test,
        }


def page_of(pattern: str | None, name: str, value: object) -> str | None:
    """The page of one thing, where `pattern` says `{name}` for which one; none if there are no such pages."""
    return None if pattern is None else link(pattern.replace(f"{{{name}}}", quote(str(value), safe="")))


def link(url: str | None) -> str | None:
    """The address if it is one of the web that fits into a mail, else none."""
    if url is None or len(url) > _LONGEST_LINK or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in {"https", "http"} and parts.netloc else None
