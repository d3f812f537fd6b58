"""Keeps personal data out of histories: what an unexpected exception says stays in the worker.

Database and library errors quote the values they choked on. Temporal stores error texts, so the activity reports
only what kind of error it was; the worker's own log has the traceback without the values.
"""

import logging
import re
import traceback

from temporalio import activity
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

_log = logging.getLogger(__name__)

_WORD = re.compile(r"\w{1,64}", re.ASCII)


def kind_and_place(error: BaseException) -> str:
    """What kind of error it was and through which lines it came, innermost first; then the same of what caused it."""
    told: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(told) < 10:
        steps = " < ".join(
            f"{step.filename.rsplit('/', 1)[-1]}:{step.lineno}"
            for step in reversed(traceback.extract_tb(cause.__traceback__)[-6:])
        )
        word = cause.type if isinstance(cause, ApplicationError) else None
        kind = type(cause).__qualname__ + (f"[{word}]" if word and _WORD.fullmatch(word) else "")
        told.append(f"{kind} at {steps}" if steps else kind)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return " <- ".join(told)


class RedactErrors(Interceptor):
    """Replaces every exception that is not an `ApplicationError` of ours by one that holds no values."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - Temporal's name
        return _RedactActivityErrors(next)


class _RedactActivityErrors(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002 - Temporal's name
        try:
            return await super().execute_activity(input)
        except FailureError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, its words stay here
            info = activity.info()
            where = traceback.extract_tb(error.__traceback__)[-1]
            _log.warning(
                "activity failed: %s in %s (%s:%s)",
                type(error).__qualname__,
                info.activity_type,
                where.filename,
                where.lineno,
            )
            raise ApplicationError(
                f"{type(error).__qualname__} in {info.activity_type}", type=type(error).__qualname__
            ) from None
