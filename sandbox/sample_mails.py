"""Any mail, about something made up."""

from datetime import datetime
from uuid import UUID

from activities.letters import (
    APPLICATION_LETTERS,
    CART_LETTERS,
    CERTIFICATE_LETTERS,
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
    if template in TASK_LETTERS:
        known = {name: told[name] for name in ("locale", "zone", "name") if name in told}
        return write_about_task(occasion=occasion, moment=moment, **known)
    if template in APPLICATION_LETTERS:
        told.pop("is_test", None)
        if template is MailTemplate.APPLICATION_ASSIGNED:
            occasion = occasion or hand_over_occasion(an_id("review"), 1)
        return write_about_application(template, occasion=occasion, moment=moment, **told)
    if template in CERTIFICATE_LETTERS:
        told.pop("is_test", None)
        return write_about_certificate(template, occasion=occasion, moment=moment, **told)
    if template in NAME_LETTERS:
        told.pop("is_test", None)
        return write_about_name(occasion=occasion or "ask", moment=moment, **told)
    if template in CART_LETTERS:
        told.pop("is_test", None)
        coupon = a_cart_coupon() if occasion == "3" else None
        return write_about_cart(occasion=occasion or "1", moment=moment, coupon=coupon, **told)
    facts = facts or facts_for(template, **told)
    if template in ABOUT_A_REFUND:
        occasion = occasion or f"{facts.refunds[0].refund.id.hex}:3:{int(NOW.timestamp()):x}"
    errand = errand_of(facts, occasion=occasion, subject_id=subject_id, page=page, moment=moment)
    return set_letter(template, errand, drafted(LETTERS[template].write(errand)))
