"""Which jobs there are, what an operator may do to each, and when one of them is stuck."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.saved_queries import CHASED, DATED_BY_OTHERS
from models.vocabulary import FindingKind

# A workflow task that fails is tried again at once, then ever more slowly: whatever passes has passed by the third.
WEDGED_ATTEMPTS = 3
# An hour is long for any step; so are ten tries, unless they come as fast as those of the database do.
FAILING_FOR = timedelta(hours=1)
FAILING_ATTEMPTS = 10
FAILING_AT_LEAST = timedelta(minutes=15)
OVERDUE_BY = timedelta(hours=1)
# An outage is one question, not one for every job that it holds up.
SAME_CAUSE = 20

_CLOSED_BY_A_PERSON = "Decide its task instead: only a person can end it."
_MONEY = "It follows money to its end, and nobody may lose sight of that."


@dataclass(frozen=True)
class JobType:
    """What holds for every job of a kind.

    `not_canceled` says why a cancellation makes no sense, or would lose money; without it `canceled` says what one
    does.
    `is_recurring` is one that a schedule starts anew; one that is not watched is never found to be stuck itself.
    """

    canceled: str = ""
    not_canceled: str | None = None
    is_recurring: bool = False
    is_watched: bool = True


def _recurring() -> JobType:
    return JobType(canceled="This run ends where it is; the next one does the rest.", is_recurring=True)


def _never(why: str) -> JobType:
    return JobType(not_canceled=why)


JOB_TYPES: Mapping[str, JobType] = {
    "OrderWorkflow": JobType(canceled="The order is cancelled if it is unpaid; a paid one stays as it is."),
    "OrderCancellationWorkflow": _never(_MONEY),
    "RefundWorkflow": JobType(canceled="The wish is withdrawn if it is in review; what was approved is paid back."),
    "RefundWatchWorkflow": _never(_MONEY),
    "CascadeWorkflow": JobType(canceled="It pauses: nothing new is begun until the signal `resume`."),
    "UnmatchedPaymentWorkflow": _never(_MONEY),
    "DisputeWorkflow": _never(_MONEY),
    "DocumentCopyWorkflow": _never("Skip its mail instead; then it ends."),
    "TutorApplicationWorkflow": JobType(canceled="The application is withdrawn, unless it is being approved."),
    "CartWorkflow": JobType(canceled="The cart is cleared, as by its owner."),
    "CertificateWorkflow": JobType(canceled="What waits for a name is not wanted any more; what is issued stays."),
    "CertificateBatchWorkflow": JobType(canceled="Nobody else gets a turn; what is issued stays."),
    "DripWorkflow": _never("Access is paused or ended with the enrollment, not with its job."),
    "CourseChangeWorkflow": JobType(canceled="It goes no further; those that it has reached keep the change."),
    # The next run of a check begins it again; asking about who asks would never end.
    "FindingWorkflow": JobType(not_canceled=_CLOSED_BY_A_PERSON, is_watched=False),
    "ExportWorkflow": JobType(canceled="No file is made; what was written is thrown away."),
    "JobActionWorkflow": JobType(canceled="No further job is acted on; what was done stays."),
    "RefundSweepWorkflow": _recurring(),
    "ReassignReviewsWorkflow": _recurring(),
    "WakeDripsWorkflow": _recurring(),
    "StuckJobsWorkflow": _recurring(),
    "ReconciliationWorkflow": _recurring(),
    "StripeCatchUpWorkflow": _recurring(),
    "ExpirySweepWorkflow": _recurring(),
    "InvoiceRemindersWorkflow": _recurring(),
    "CriticalMailWorkflow": _recurring(),
    "ScheduledReportWorkflow": _recurring(),
    "DocumentRetentionWorkflow": _recurring(),
}


def is_wedged(task_attempts: int) -> bool:
    """Whether the code of a job cannot go on, after so many tries of its workflow task."""
    return task_attempts >= WEDGED_ATTEMPTS


def is_failing(attempts: int, tried_for: timedelta) -> bool:
    """Whether a step, which has failed so often in that time, will hardly come right by itself."""
    return tried_for >= FAILING_FOR or (attempts >= FAILING_ATTEMPTS and tried_for >= FAILING_AT_LEAST)


def is_overdue(job_type: str, waiting_for: str | None, due_at: datetime | None, moment: datetime) -> bool:
    """Whether a job that still runs should have gone on by itself by now."""
    if due_at is None or waiting_for in CHASED or job_type in DATED_BY_OTHERS:
        return False
    return moment - due_at > OVERDUE_BY


def tried_for(failures: int, first: timedelta, factor: float, longest: timedelta) -> timedelta:
    """For how long a step has been tried at least: the waits that lie between so many failures."""
    total, wait = timedelta(), first
    for done in range(max(0, failures - 1)):
        if wait >= longest:
            return total + longest * (failures - 1 - done)
        total += wait
        wait = min(wait * factor, longest)
    return total


@dataclass(frozen=True)
class Stuck:
    """One job that does not go on. Those with the same `cause` are stuck for the same reason."""

    kind: FindingKind
    workflow_id: str
    cause: str
    reason: str


@dataclass(frozen=True)
class Outage:
    """Many jobs that are stuck for the same reason."""

    kind: FindingKind
    cause: str
    count: int
    example: str


def summed_up(
    stuck: Iterable[Stuck], is_known: Callable[[FindingKind, str], bool] = lambda kind, cause: False
) -> tuple[Sequence[Stuck], Sequence[Outage]]:
    """What to ask about one by one, and what is so frequent that it is one question.

    What `is_known` as an outage stays one until no job is stuck for it any more: it does not fall apart on its way out.
    """
    by_cause: dict[tuple[FindingKind, str], list[Stuck]] = defaultdict(list)
    for each in stuck:
        by_cause[each.kind, each.cause].append(each)
    single: list[Stuck] = []
    outages: list[Outage] = []
    for (kind, cause), those in by_cause.items():
        if len(those) > SAME_CAUSE or is_known(kind, cause):
            outages.append(Outage(kind, cause, len(those), min(each.workflow_id for each in those)))
        else:
            single.extend(those)
    return single, outages
