"""Alive, ready, counted; and jobs as operators see them."""

import time
from datetime import UTC, datetime
from typing import cast

import httpx
import pytest
from temporalio.api.common.v1 import ActivityType, WorkflowType
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.api.workflow.v1 import PendingActivityInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeTaskQueueResponse, DescribeWorkflowExecutionResponse
from temporalio.client import Client

from activities.database import Sessions, open_database, sessions_of
from api import create_app
from models.messages.orders import OrderState
from models.vocabulary import ApplicationStatus, OrderStatus, Role
from settings import Settings
from tests.api.applications_on_record import write_application, write_staffroom
from tests.api.callers import as_, as_staff
from tests.api.recording_temporal import RecordingTemporal, unreachable

WORKFLOW = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
ACTIVITY = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY


def polled(seconds_ago: float) -> DescribeTaskQueueResponse:
    poller = PollerInfo()
    poller.last_access_time.FromSeconds(int(time.time() - seconds_ago))
    return DescribeTaskQueueResponse(pollers=[poller])


@pytest.fixture
def workers(recorder: RecordingTemporal) -> RecordingTemporal:
    recorder.queues = {
        ("registrar", WORKFLOW): polled(5),
        ("registrar", ACTIVITY): polled(5),
        ("registrar-documents", ACTIVITY): polled(5),
    }
    return recorder


async def failing_parts(client: httpx.AsyncClient) -> dict[str, str]:
    answer = await client.get("/health/ready")
    body = answer.json()
    assert answer.status_code == (200 if body["ready"] else 503)
    return {part["name"]: part["detail"] for part in body["parts"] if not part["ok"]}


async def test_alive(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_ready_when_everything_is_there(client: httpx.AsyncClient, workers: RecordingTemporal) -> None:
    assert await failing_parts(client) == {}


async def test_not_ready_without_a_worker(client: httpx.AsyncClient, workers: RecordingTemporal) -> None:
    workers.queues[("registrar", WORKFLOW)] = polled(200)
    del workers.queues[("registrar-documents", ACTIVITY)]
    assert await failing_parts(client) == {
        "workflows": "no worker is polling",
        "documents": "no worker is polling",
    }


async def test_not_ready_without_temporal(client: httpx.AsyncClient, workers: RecordingTemporal) -> None:
    workers.failure = unreachable()
    assert await failing_parts(client) == dict.fromkeys(
        ("temporal", "workflows", "activities", "documents"), "unreachable"
    )


async def test_not_ready_without_a_database(settings: Settings, workers: RecordingTemporal) -> None:
    engine = open_database("postgresql+asyncpg://nobody@127.0.0.1:9/none", 1)
    app = create_app(settings, temporal=cast(Client, workers), sessions=sessions_of(engine))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://registrar.test") as client:
        assert await failing_parts(client) == {"database": "unreachable"}
    await engine.dispose()


async def test_what_was_counted(client: httpx.AsyncClient, settings: Settings) -> None:
    await client.get("/v1/orders/0198f3a2-7c1e-7b54-9d10-3f6f0f0c2a11", headers=as_staff(settings))
    await client.get("/v1/orders/nonsense", headers=as_staff(settings))
    await client.get("/anna@example.org")
    await client.request("ANNA", "/v1/orders")
    answer = await client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'registrar_http_requests_total{method="GET",route="/v1/orders/{order_id}",status="404"} 1.0' in lines
    assert 'registrar_http_requests_total{method="GET",route="/v1/orders/{order_id}",status="422"} 1.0' in lines
    assert 'registrar_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in lines
    assert 'registrar_http_requests_total{method="other",route="/v1/orders",status="405"} 1.0' in lines
    assert 'registrar_refusals_total{reason="not_found"} 2.0' in lines
    assert 'registrar_http_request_seconds_count{method="GET",route="/v1/orders/{order_id}"} 2.0' in lines
    assert "anna" not in answer.text.lower()
    assert "0198f3a2" not in answer.text


def run(status: int) -> DescribeWorkflowExecutionResponse:
    info = WorkflowExecutionInfo(type=WorkflowType(name="OrderWorkflow"), status=status)  # type: ignore[arg-type]
    info.start_time.FromDatetime(datetime(2026, 3, 2, tzinfo=UTC))
    failures = [
        Failure(message="anna@example.org", application_failure_info=ApplicationFailureInfo(type="card_declined")),
        Failure(message="anna", application_failure_info=ApplicationFailureInfo(type="Anna Karenina <anna@x>")),
        Failure(message="late", timeout_failure_info={}),  # type: ignore[arg-type]
    ]
    return DescribeWorkflowExecutionResponse(
        workflow_execution_info=info,
        pending_activities=[
            PendingActivityInfo(activity_type=ActivityType(name="read_payment"), attempt=4, last_failure=failure)
            for failure in failures
        ],
    )


@pytest.mark.parametrize(("status", "word"), [(1, "running"), (2, "completed"), (99, "status_99")])
async def test_a_job_tells_its_story(
    client: httpx.AsyncClient, settings: Settings, recorder: RecordingTemporal, status: int, word: str
) -> None:
    recorder.runs["order-1"] = run(status)
    recorder.answers["order-1"] = OrderState(
        status=OrderStatus.PENDING_PAYMENT,
        waiting_for="payment",
        since=datetime(2026, 3, 2, 12, tzinfo=UTC),
        next_action="The payer has to pay.",
    )
    answer = await client.get("/v1/jobs/order-1", headers=as_staff(settings))
    job = answer.json()
    assert (job["run_status"], job["state"], job["waiting_for"]) == (word, "pending_payment", "payment")
    assert job["next_action"] == "The payer has to pay."
    assert job["href"] == "http://temporal.test/namespaces/default/workflows/order-1"
    assert [(step["attempt"], step["last_failure"]) for step in job["pending"]] == [
        (4, "card_declined"),
        (4, "application"),
        (4, "timeout"),
    ]
    assert "anna" not in answer.text.lower()


async def test_a_job_is_shown_without_a_worker_too(
    client: httpx.AsyncClient, settings: Settings, recorder: RecordingTemporal
) -> None:
    recorder.runs["order-1"] = run(1)
    job = (await client.get("/v1/jobs/order-1", headers=as_staff(settings))).json()
    assert (job["run_status"], job["next_action"], job["needs_human"]) == ("running", None, False)
    assert datetime.fromisoformat(job["since"]) == datetime(2026, 3, 2, tzinfo=UTC)


async def test_nobody_reads_what_reviewers_do_with_their_own_application(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, recorder: RecordingTemporal
) -> None:
    room = await write_staffroom(sessions)
    application_id = await write_application(sessions, room.rosa, ApplicationStatus.IN_REVIEW)
    job = f"tutor-application-{application_id}"
    recorder.runs[job] = run(1)
    for caller, status in (
        (as_(settings, room.rosa, Role.STAFF), 404),
        (as_(settings, room.rosa, Role.ADMIN), 404),
        (as_(settings, room.rita, Role.STAFF), 200),
        (as_(settings, "platform", Role.SERVICE), 200),
    ):
        assert (await client.get(f"/v1/jobs/{job}", headers=caller)).status_code == status


async def test_what_is_not_given_is_opened_at_startup(
    settings: Settings, database_url: str, workers: RecordingTemporal
) -> None:
    opening = Settings.model_validate({**settings.model_dump(), "database_url": database_url})
    app = create_app(opening, temporal=cast(Client, workers))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://registrar.test") as client,
    ):
        assert await failing_parts(client) == {}
