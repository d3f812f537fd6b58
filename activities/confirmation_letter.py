"""The mail that thanks for a completed order and says what happens next."""

from datetime import datetime

from activities.errand import Draft, Errand, MailWithoutSubjectError, Skipped, link
from activities.one_line import one_line
from activities.order_facts import BoughtLine, Place
from models.vocabulary import EnrollmentStatus, OrderStatus

# More than these make the mail long; the attached calendar has them all.
_MOST_DATES = 12


def order_confirmation(errand: Errand) -> Draft | Skipped:
    """What was bought, how it goes on, the dates, and the receipt."""
    facts, words = errand.facts, errand.words
    if facts.receipt is None:
        raise MailWithoutSubjectError
    if facts.order.status == OrderStatus.REFUNDED:
        return Skipped(f"order_{facts.order.status}")
    ahead = [entry for entry in facts.dates if entry.ends_at > errand.moment]
    return Draft(
        values={
            "lines": [_line(errand, bought) for bought in facts.lines],
            "tax": _tax(errand),
            "total": errand.total if facts.order.total_amount else words.texts["nothing_paid"],
            "receipt_number": facts.receipt.number,
            "dates": [
                {
                    "title": one_line(entry.title),
                    "when": words.span(entry.starts_at, entry.ends_at),
                    "location": None if entry.location is None else one_line(entry.location),
                    "location_url": link(entry.location),
                }
                for entry in ahead[:_MOST_DATES]
            ],
            "more_dates": str(len(ahead) - _MOST_DATES) if len(ahead) > _MOST_DATES else None,
            "city": words.city,
            "has_calendar": bool(facts.dates),
        },
        papers=(facts.receipt,),
        dates=facts.dates,
    )


def _tax(errand: Errand) -> dict[str, str] | None:
    """The tax within the total; prices of lines hold it, too, also where it came on top."""
    order = errand.facts.order
    if order.tax_name is None or order.tax_percent is None:
        return None
    rate = f"{one_line(order.tax_name)} {errand.words.percent(order.tax_percent)}"
    return {"name": errand.words.texts.say("tax_included", tax=rate), "amount": errand.amount(order.tax_amount)}


def _line(errand: Errand, bought: BoughtLine) -> dict[str, object]:
    """A row of the table, and for each course of the line how it goes on."""
    texts = errand.words.texts
    if bought.places or bought.held_titles:
        steps = [_step(errand, bought, place) for place in bought.places]
        steps += [{"course": one_line(title), "news": texts["held_before"]} for title in bought.held_titles]
    else:
        steps = [{"course": None, "news": texts["already_open" if bought.line.already_entitled else "place_gone"]}]
    return {**errand.line(bought), "steps": steps}


def _step(errand: Errand, bought: BoughtLine, place: Place) -> dict[str, str | None]:
    is_part = place.course.id != bought.course.id
    return {
        "course": one_line(place.course.title) if is_part else None,
        "news": _news(errand, place, None if is_part else bought.first_lesson_at),
    }


def _news(errand: Errand, place: Place, first_lesson_at: datetime | None) -> str:
    texts = errand.words.texts
    if place.enrollment.status == EnrollmentStatus.CANCELED:
        return texts["place_paid_back" if place.enrollment.share_amount else "place_gone"]
    starts_at = first_lesson_at or place.course.starts_at
    if starts_at is not None and starts_at > errand.moment:
        return texts.say("starts", when=errand.words.moment(starts_at))
    return texts["open_now"]
