"""Any mail, about something made up."""

from collections.abc import Callable, Container
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from activities.letters import (
    APPLICATION_LETTERS,
    CART_LETTERS,
    CERTIFICATE_LETTERS,
    EXPORT_LETTERS,
    LEARNING_LETTERS,
    LETTERS,
    NAME_LETTERS,
    TASK_LETTERS,
    set_letter,
)
from activities.mail_rendering import RenderedMail
from activities.order_facts import OrderFacts
from models.identifiers import hand_over_occasion
from models.vocabulary import (
    MailTemplate,
)
from sandbox.application_mail_samples import write_about_application
from sandbox.cart_mail_samples import a_cart_coupon, write_about_cart
from sandbox.certificate_mail_samples import write_about_certificate, write_about_name
from sandbox.export_mail_samples import write_about_export
from sandbox.learning_mail_samples import write_about_learning
from sandbox.mail_samples import (
    ABOUT_A_REFUND,
    NOW,
    PAGE,
    an_id,
    drafted,
    errand_of,
    facts_for,
    write_about_task,
)


def write(
    template: MailTemplate, facts: OrderFacts | None = None, *, occasion: str = "", subject_id: UUID | None = None,
    page: str | None = PAGE, moment: datetime = NOW, **told: object,
) -> RenderedMail:  # fmt: skip
    """The mail that a letter makes of the facts, or of usual ones."""
    if template not in LETTERS:
        told.pop("is_test", None)
        written = next(write for letters, write in _ABOUT_NO_ORDER if template in letters)
        return written(template, occasion, moment, told)
    facts = facts or facts_for(template, **told)
    if template in ABOUT_A_REFUND:
        occasion = occasion or f"{facts.refunds[0].refund.id.hex}:3:{int(NOW.timestamp()):x}"
    errand = errand_of(facts, occasion=occasion, subject_id=subject_id, page=page, moment=moment)
    return set_letter(template, errand, drafted(LETTERS[template].write(errand)))


def _about_a_task(_: MailTemplate, occasion: str, moment: datetime, told: dict[str, object]) -> RenderedMail:
    known = {name: told[name] for name in ("locale", "zone", "name") if name in told}
    return write_about_task(occasion=occasion, moment=moment, **known)


def _about_an_application(
    template: MailTemplate, occasion: str, moment: datetime, told: dict[str, object]
) -> RenderedMail:
    if template is MailTemplate.APPLICATION_ASSIGNED:
        occasion = occasion or hand_over_occasion(an_id("review"), 1)
    return write_about_application(template, occasion=occasion, moment=moment, **told)


def _about_a_certificate(
    template: MailTemplate, occasion: str, moment: datetime, told: dict[str, object]
) -> RenderedMail:
    return write_about_certificate(template, occasion=occasion, moment=moment, **told)


def _about_a_name(_: MailTemplate, occasion: str, moment: datetime, told: dict[str, object]) -> RenderedMail:
    return write_about_name(occasion=occasion or "ask", moment=moment, **told)


def _about_a_cart(_: MailTemplate, occasion: str, moment: datetime, told: dict[str, object]) -> RenderedMail:
    coupon = a_cart_coupon() if occasion == "3" else None
    return write_about_cart(occasion=occasion or "1", moment=moment, coupon=coupon, **told)


def _about_lessons(template: MailTemplate, occasion: str, moment: datetime, told: dict[str, object]) -> RenderedMail:
    if occasion.isdigit():
        occasion, told["lessons"] = "", int(occasion)
    return write_about_learning(template, occasion=occasion, moment=moment, **told)


def _about_an_export(_: MailTemplate, occasion: str, moment: datetime, told: dict[str, object]) -> RenderedMail:
    return write_about_export(occasion=occasion, moment=moment, **told)


_Write: TypeAlias = Callable[[MailTemplate, str, datetime, dict[str, object]], RenderedMail]
_ABOUT_NO_ORDER: tuple[tuple[Container[MailTemplate], _Write], ...] = (
    (TASK_LETTERS, _about_a_task),
    (APPLICATION_LETTERS, _about_an_application),
    (CERTIFICATE_LETTERS, _about_a_certificate),
    (NAME_LETTERS, _about_a_name),
    (CART_LETTERS, _about_a_cart),
    (LEARNING_LETTERS, _about_lessons),
    (EXPORT_LETTERS, _about_an_export),
)
