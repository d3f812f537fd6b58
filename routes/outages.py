"""Which exceptions mean that something we depend on is away for a while, and which mean a defect."""

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from temporalio.client import RPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

# Failed precondition is what the server says of a paused workflow; an operator will resume it. Unknown is a connection
# that was lost under a call, if the client has no time left to try it again.
_TEMPORAL_AWAY = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.ABORTED,
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.UNKNOWN,
    }
)
# The words of the server; its other limit, of updates at once, is exhausted resources and passes.
_USED_UP = "limit on the total number of distinct updates"
# What the server says of an update that was under way when its run closed.
RUN_CLOSED = "AcceptedUpdateCompletedWorkflow"
# SQLSTATE classes: connection, resources, operator intervention (shutting down, starting up).
_DATABASE_AWAY = ("08", "53", "57")


def is_outage(error: BaseException) -> bool:
    """Whether trying again in a moment can help: Temporal, PostgreSQL or the file store cannot be reached."""
    match error:
        case RPCError():
            return error.status in _TEMPORAL_AWAY and not takes_no_more(error)
        case DBAPIError():
            state = getattr(error.orig, "sqlstate", None) or ""
            return error.connection_invalidated or state.startswith(_DATABASE_AWAY)
        case _:
            return isinstance(error, RPCTimeoutOrCancelledError | PoolTimeoutError | OSError)


def is_not_found(error: RPCError) -> bool:
    """Whether Temporal says that the workflow does not run: never started, over, or forgotten."""
    return error.status is RPCStatusCode.NOT_FOUND


def takes_no_more(error: BaseException) -> bool:
    """Whether Temporal says that the workflow has taken as many updates as a run may: that does not pass by itself."""
    return (
        isinstance(error, RPCError)
        and error.status is RPCStatusCode.FAILED_PRECONDITION
        and _USED_UP in error.message.lower()
    )
