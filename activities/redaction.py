"""Keeps personal data out of histories: what an unexpected exception says stays in the worker.

Database and library errors quote the values they choked on. Temporal stores error texts, so the activity reports
only what kind of error it was; the worker's own log has the traceback without the values.
"""

import logging
import traceback

from temporalio import activity
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

_log = logging.getLogger(__name__)


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
                extra={"workflow_id": info.workflow_id, "attempt": info.attempt},
            )
            raise ApplicationError(
                f"{type(error).__qualname__} in {info.activity_type}", type=type(error).__qualname__
            ) from None
