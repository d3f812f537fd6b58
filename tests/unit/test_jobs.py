"""When a job is stuck, what may be done to each kind, and what a query is kept within."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import ActivityType, RetryPolicy, WorkflowExecution, WorkflowType
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.workflow.v1 import PendingActivityInfo, PendingWorkflowTaskInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from activities.job_listing import InvalidQueryError, quoted, within_ours
from activities.job_reading import job_of
from activities.job_story import OnRecord, story_of
from activities.stuck_jobs import stuck_by
from models.identifiers import job_subject_id
from models.messages.jobs import JobState
from models.tables import HumanTask
from models.vocabulary import FindingKind, TaskKind, WaitingFor
from rules.jobs import JOB_TYPES, SAME_CAUSE, Stuck, is_failing, is_overdue, summed_up, tried_for
from worker import WORKFLOWS
from workflows.policies import DOCUMENTS, MAIL, STRIPE, TASK

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def test_every_workflow_says_what_a_cancellation_means_or_why_there_is_none() -> None:
    assert {each.__name__ for each in WORKFLOWS} <= JOB_TYPES.keys()
    for kind in JOB_TYPES.values():
        assert bool(kind.canceled) != bool(kind.not_canceled)


@pytest.mark.parametrize(
    ("policy", "failures", "expected"),
    [(MAIL, 1, 0), (MAIL, 10, 2175), (STRIPE, 5, 15), (STRIPE, 12, 511 + 2 * 300), (TASK, 40, 961.0)],
)
def test_how_long_a_step_was_tried_follows_from_how_often(policy: dict, failures: int, expected: float) -> None:  # type: ignore[type-arg]
    retry = policy["retry_policy"]
    told = tried_for(failures, retry.initial_interval, retry.backoff_coefficient, retry.maximum_interval)
    assert told.total_seconds() == pytest.approx(expected, abs=30)


@given(st.integers(0, 60), st.integers(1, 600), st.sampled_from([1.0, 1.5, 2.0]), st.integers(600, 3600))
def test_the_more_often_a_step_failed_the_longer_it_was_tried(n: int, first: int, factor: float, longest: int) -> None:
    now, later = (tried_for(each, first * SECOND, factor, longest * SECOND) for each in (n, n + 1))
    assert now <= later <= now + longest * SECOND


def test_a_step_fails_after_an_hour_or_ten_tries_that_took_their_time() -> None:
    assert not is_failing(9, 59 * MINUTE)
    assert is_failing(3, HOUR)
    assert is_failing(10, 15 * MINUTE)
    # The database is tried every thirty seconds: ten tries are an outage of some minutes.
    assert not is_failing(10, 3 * MINUTE)
    for policy in (MAIL, STRIPE, DOCUMENTS):
        retry = policy["retry_policy"]
        for failures in range(60):
            tried = tried_for(failures, retry.initial_interval, retry.backoff_coefficient, retry.maximum_interval)
            assert is_failing(failures, tried) or tried < HOUR


def test_what_people_are_asked_about_is_theirs_to_be_late_with() -> None:
    late = NOW - HOUR - SECOND
    assert is_overdue("OrderWorkflow", "payment", late, NOW)
    assert not is_overdue("OrderWorkflow", "payment", NOW - HOUR, NOW)
    assert not is_overdue("OrderWorkflow", "reviewer", late, NOW)
    assert not is_overdue("OrderWorkflow", "operator", late, NOW)
    assert not is_overdue("DisputeWorkflow", "stripe", late, NOW)
    assert not is_overdue("OrderWorkflow", "payment", None, NOW)


@given(st.lists(st.sampled_from(["smtp", "stripe", "other"]), max_size=100), st.sets(st.sampled_from(["smtp", "x"])))
def test_one_cause_is_one_question(causes: list[str], known: set[str]) -> None:
    stuck = [Stuck(FindingKind.JOB_FAILING, f"job-{n}", cause, "") for n, cause in enumerate(causes)]
    single, outages = summed_up(stuck, lambda kind, cause: cause in known)
    assert sum(outage.count for outage in outages) + len(single) == len(stuck)
    for outage in outages:
        assert outage.count == causes.count(outage.cause)
        assert outage.count > SAME_CAUSE or outage.cause in known
    assert all(causes.count(each.cause) <= SAME_CAUSE and each.cause not in known for each in single)


QUERIES = st.text(alphabet=st.sampled_from("()'\"` ABOR-/*#\\=1\0"), max_size=30)


def _reads(query: str) -> bool:
    """Whether brackets outside of quotes match and nothing is a comment, as the server reads it."""
    depth, quote = 0, None
    for character in query:
        if quote is not None:
            quote = None if character == quote else quote
        elif character in "'\"`":
            quote = character
        else:
            depth += {"(": 1, ")": -1}.get(character, 0)
            if depth < 0:
                return False
    return depth == 0 and quote is None


@given(QUERIES)
def test_no_query_leaves_the_brackets_that_keep_it_within_our_jobs(query: str) -> None:
    try:
        kept = within_ours(query)
    except InvalidQueryError:
        return
    assert kept.startswith("RegistrarJob IS NOT NULL")
    assert _reads(query)
    assert not {"\\", "\0"} & set(query)


@pytest.mark.parametrize("query", ["a) OR (b", "(a", "a'", "a -- b", "a /* b */", "a # b", "a\\'"])
def test_a_query_that_could_say_more_is_refused(query: str) -> None:
    with pytest.raises(InvalidQueryError):
        within_ours(query)


def test_values_are_quoted() -> None:
    assert within_ours("RegistrarState='#(--' OR a=1") == "RegistrarJob IS NOT NULL AND (RegistrarState='#(--' OR a=1)"
    assert within_ours(" ") == "RegistrarJob IS NOT NULL"
    assert (quoted("paid"), quoted(True), quoted(NOW)) == ('"paid"', "true", '"2026-03-09T12:00:00Z"')
    for value in ('a"b', "a'b", "a\\b"):
        with pytest.raises(InvalidQueryError):
            quoted(value)


def described(
    *, attempt: int = 1, policy: RetryPolicy | None = None, tasks: int = 0, status: int = 1
) -> DescribeWorkflowExecutionResponse:
    """A run of an order as the server describes it."""
    info = WorkflowExecutionInfo(
        execution=WorkflowExecution(workflow_id="order-1", run_id="1"),
        type=WorkflowType(name="OrderWorkflow"),
        status=status,  # type: ignore[arg-type]
    )
    info.start_time.FromDatetime(NOW - HOUR)
    step = PendingActivityInfo(activity_id="5", activity_type=ActivityType(name="send_mail"), attempt=attempt)
    step.activity_options.retry_policy.CopyFrom(policy or RetryPolicy())
    if attempt > 1:
        step.last_failure.CopyFrom(Failure(application_failure_info=ApplicationFailureInfo(type="smtp_535")))
        step.next_attempt_schedule_time.FromDatetime(NOW + MINUTE)
    run = DescribeWorkflowExecutionResponse(workflow_execution_info=info, pending_activities=[step])
    if tasks:
        run.pending_workflow_task.CopyFrom(PendingWorkflowTaskInfo(attempt=tasks))
    return run


def test_a_job_is_stuck_for_the_first_reason_that_explains_the_others() -> None:
    slow = RetryPolicy(
        initial_interval=Duration(seconds=5), backoff_coefficient=2, maximum_interval=Duration(seconds=900)
    )
    wedged = stuck_by(job_of("order-1", described(attempt=12, policy=slow, tasks=3)), NOW)
    assert wedged is not None
    assert (wedged.kind, wedged.cause) == (FindingKind.JOB_WEDGED, "OrderWorkflow")
    failing = stuck_by(job_of("order-1", described(attempt=12, policy=slow, tasks=2)), NOW)
    assert failing is not None
    assert (failing.kind, failing.cause) == (FindingKind.JOB_FAILING, "send_mail:smtp_535")
    assert stuck_by(job_of("order-1", described(attempt=5, policy=slow)), NOW) is None
    assert stuck_by(job_of("order-1", described(attempt=12, policy=slow, tasks=3, status=2)), NOW) is None


def test_the_story_of_a_job_says_who_has_to_do_what() -> None:
    told = JobState(
        status="completed",
        waiting_for=WaitingFor.OPERATOR,
        since=NOW - HOUR,
        next_action="Decide the task",
        due_at=NOW + HOUR,
    )
    task = HumanTask(
        kind=TaskKind.REFUND_FAILED,
        subject_kind="order",
        subject_id=job_subject_id("order-1"),
        workflow_id="order-1",
        reason="Stripe refused it",
        allowed_actions=["retry", "dismiss"],
        due_at=NOW,
    )
    story = story_of(job_of("order-1", described(attempt=3, tasks=4), told), OnRecord(task, ("It is late.",)))
    assert story == (
        "OrderWorkflow order-1 runs as completed and waits for an operator, since 2026-03-09 11:00 UTC, until"
        " 2026-03-09 13:00 UTC. Decide the task. Its code cannot go on: it was tried 4 times. Mend the code, or start"
        " the build again on which it runs; then it goes on by itself. The step send_mail has failed 2 times, the last"
        " time with smtp_535; it is tried again at 2026-03-09 12:01 UTC. A person has to decide the task"
        f" {task.id} (refund_failed) by 2026-03-09 12:00 UTC: retry, dismiss. Stripe refused it. The last scan says: It"
        " is late."
    )
    assert "`retry` lets another run go on" in story_of(job_of("order-1", described(status=5)), OnRecord())
    assert story_of(job_of("order-1", described(status=2)), OnRecord()) == "OrderWorkflow order-1 is completed."
