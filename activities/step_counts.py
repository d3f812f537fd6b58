"""What the steps come to, counted: failures by kind, Stripe's errors, mails. The worker's Prometheus page shows it.

Temporal adds the names of the namespace, the task queue and the activity to each count.
"""

import re

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.stripe_errors import AUDIENCES
from models.messages.mail import MailReport

FAILURES = "registrar_activity_failures_total"
STRIPE_ERRORS = "registrar_stripe_errors_total"
MAIL_RESULTS = "registrar_mail_results_total"

_MOST_KINDS = 100
_WORD = re.compile(r"[A-Za-z]\w{0,63}", re.ASCII)


class CountSteps(Interceptor):
    """Counts how steps end. It goes around the redaction, so that it sees no error that is not free of values."""

    def __init__(self) -> None:
        self._kinds: set[str] = set()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - Temporal's name
        return _Counting(next, self._kinds)


class _Counting(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, kinds: set[str]) -> None:
        super().__init__(following)
        self._kinds = kinds

    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002 - Temporal's name
        try:
            result: object = await super().execute_activity(input)
        except ApplicationError as error:
            _add(FAILURES, "Steps that failed, by the type of the error", error=self._kind(error.type))
            if (audience := AUDIENCES.get(error.type or "")) is not None:
                _add(STRIPE_ERRORS, "Errors of Stripe", type=str(error.type), audience=audience.value)
            raise
        if isinstance(result, MailReport):
            _add(MAIL_RESULTS, "Mails by what became of them", status=result.status.value)
        return result

    def _kind(self, word: str | None) -> str:
        """The type of the error; `other` if it is no word, or there have been a hundred already."""
        if word is None or not _WORD.fullmatch(word):
            return "other"
        if word not in self._kinds and len(self._kinds) >= _MOST_KINDS:
            return "other"
        self._kinds.add(word)
        return word


def _add(name: str, says: str, **labels: str) -> None:
    activity.metric_meter().create_counter(name, says).add(1, labels)
