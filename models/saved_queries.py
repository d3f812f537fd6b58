"""Named queries for the Temporal Web UI: what operators look for again and again, in the server's own language.

`GET /v1/saved-queries` answers them as links, docs/operators.md lists them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from models.vocabulary import WaitingFor

_NOW = "<now>"
_RUNNING = 'ExecutionStatus="Running"'
# Their dates pass while somebody is asked, who is reminded by the task, or while a bank takes its time.
CHASED = (WaitingFor.OPERATOR.value, WaitingFor.REVIEWER.value)
DATED_BY_OTHERS = ("DisputeWorkflow",)


def _one_of(words: Iterable[str]) -> str:
    return "({})".format(", ".join(f'"{word}"' for word in words))


_ON_THEIR_OWN = f"RegistrarWaitingFor NOT IN {_one_of(CHASED)} AND WorkflowType NOT IN {_one_of(DATED_BY_OTHERS)}"


@dataclass(frozen=True)
class SavedQuery:
    """A name, what it finds, and the query; `<now>` in it stands for the moment at which it is asked."""

    name: str
    finds: str
    query: str

    def at(self, moment: datetime) -> str:
        """The query as it is asked at a moment."""
        return self.query.replace(_NOW, f"{moment:%Y-%m-%dT%H:%M:%SZ}")


def _running(name: str, finds: str, condition: str) -> SavedQuery:
    return SavedQuery(name, finds, f"{condition} AND {_RUNNING}")


_OVERDUE = _running(
    "overdue",
    "what should have gone on by itself by now, and has not",
    f'RegistrarDueAt < "{_NOW}" AND {_ON_THEIR_OWN}',
)
SAVED_QUERIES = (
    _running("needs_human", "what a person must look at", "RegistrarNeedsHuman=true"),
    _OVERDUE,
    SavedQuery(
        "broken",
        "jobs that broke, which none should",
        'RegistrarJob IS NOT NULL AND ExecutionStatus IN ("Failed", "Terminated", "TimedOut", "Canceled")',
    ),
    _running(
        "wedged",
        "jobs whose code has not gone on for about a minute",
        'TemporalReportedProblems IN ("category=WorkflowTaskFailed")',
    ),
    _running("findings", "what a check has found and asks a person about", 'RegistrarJob="finding"'),
    _running("orders", "orders that are not over", 'RegistrarJob="order"'),
    _running("unpaid", "orders that are not paid yet, by card or by invoice", 'RegistrarWaitingFor="payment"'),
    _running("approvals", "orders that wait for a reviewer", 'RegistrarJob="order" AND RegistrarWaitingFor="reviewer"'),
    _running(
        "at_the_bank",
        "orders that a bank is working on",
        'RegistrarJob="order" AND RegistrarWaitingFor="stripe"',
    ),
    SavedQuery(
        "mail_in_doubt",
        "orders whose mail is unknown or bounced",
        'RegistrarJob="order" AND RegistrarNeedsHuman=true AND ExecutionStatus="Completed"',
    ),
    SavedQuery("unpaid_in_the_end", "orders that ended unpaid", 'RegistrarState IN ("cancelled", "failed")'),
    SavedQuery("refused", "orders that were refused", 'RegistrarJob="order" AND RegistrarState="refused"'),
    _running("unmatched_money", "money that no order waits for", 'RegistrarJob="payment"'),
    _running("disputes", "payments that are disputed", 'RegistrarJob="dispute"'),
    _running(
        "refund_reviews", "refunds that wait for a decision", 'RegistrarJob="refund" AND RegistrarNeedsHuman=true'
    ),
    _running(
        "refunds_on_their_way",
        "refunds that Stripe has not confirmed",
        'RegistrarJob="refund_watch" AND RegistrarWaitingFor="stripe"',
    ),
    _running(
        "cascades", "tutors and courses that are being taken out, also those that are paused", 'RegistrarJob="cascade"'
    ),
    _running(
        "reviews",
        "applications of tutors that reviewers have",
        'RegistrarJob="tutor_application" AND RegistrarWaitingFor="reviewer"',
    ),
    _running(
        "applicants",
        "applications that wait for the applicant",
        'RegistrarJob="tutor_application" AND RegistrarWaitingFor="applicant"',
    ),
    _running(
        "carts", "carts that are left, and may be reminded of", 'RegistrarJob="cart" AND RegistrarState="abandoned"'
    ),
    _running(
        "names",
        "certificates that wait for a name, or for a word about one",
        'RegistrarJob="certificate" AND RegistrarWaitingFor IN ("learner", "operator")',
    ),
    _running("judgements", "courses that have to be judged", 'RegistrarJob="drip" AND RegistrarNeedsHuman=true'),
)


def overdue(moment: datetime) -> str:
    """What should have gone on by itself by that moment, and has not (`rules.jobs.is_overdue`)."""
    return _OVERDUE.at(moment)
