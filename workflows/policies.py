"""Timeouts and retries, one named policy per port. Retries have no end: what cannot be done yet waits, visibly."""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy


class LocalPolicy(TypedDict):
    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy
    local_retry_threshold: timedelta


class Policy(TypedDict):
    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy


_WORKER_IS_GONE = timedelta(seconds=10)


# Short, idempotent, one transaction: as local activities they cost one event instead of three (bench/orders.py).
RECORD = LocalPolicy(
    start_to_close_timeout=timedelta(seconds=15),
    # Each try beyond the threshold costs six events, and a history has room for fifty thousand: months, not days.
    retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(minutes=5)),
    local_retry_threshold=timedelta(seconds=5),
)

# Several places may ask at once, and local activities side by side need not replay (temporalio/sdk-python issue 1578).
TASK = Policy(
    start_to_close_timeout=timedelta(seconds=15),
    heartbeat_timeout=_WORKER_IS_GONE,
    retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=30)),
)

STRIPE = Policy(
    start_to_close_timeout=timedelta(seconds=60),
    heartbeat_timeout=_WORKER_IS_GONE,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5)),
)

# Tried until the workflow says that it has been long enough (rules/provisioning.py).
PLATFORM = Policy(
    start_to_close_timeout=timedelta(seconds=60),
    heartbeat_timeout=_WORKER_IS_GONE,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5)),
)

DOCUMENTS = Policy(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=_WORKER_IS_GONE,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5)),
)

# Many files may go at once.
FILES = Policy(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=_WORKER_IS_GONE,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5)),
)

# Longer than the sum of the SMTP time-outs inside: an attempt has always ended before the next begins.
MAIL = Policy(
    start_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=_WORKER_IS_GONE,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=15)),
)

# A page of a run over many learners: each is a job of its own, which a worker has to take first.
BATCH = Policy(
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=_WORKER_IS_GONE,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)),
)

# The snapshot of an export: its rows, and at most three kinds of sums. The database ends each statement after five
# minutes.
SNAPSHOT = Policy(
    start_to_close_timeout=timedelta(minutes=25),
    heartbeat_timeout=_WORKER_IS_GONE,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5)),
)

# A part of an export takes seconds, where it has a processor to itself; putting a million rows together a minute.
EXPORT = Policy(
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=_WORKER_IS_GONE,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5)),
)

# Starts and wakes other jobs, hundreds at once; each that was reached stays so.
JOBS = Policy(
    start_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=_WORKER_IS_GONE,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5)),
)

# Reads a week of the account at Stripe page by page, which is as long as it is.
BOOKS = Policy(
    start_to_close_timeout=timedelta(hours=1),
    heartbeat_timeout=_WORKER_IS_GONE,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5)),
)
