"""For load balancers and monitoring: alive, ready, and what was counted."""

import asyncio
import time
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.exceptions import TemporalError

from activities.database import Sessions
from routes.documentation import answer, problems
from routes.parts import TheConnections, TheParts
from workflows.queues import DOCUMENTS_QUEUE, REGISTRAR_QUEUE

router = APIRouter(tags=["health"])

_PATIENCE_SECONDS = 2
# The server remembers a poller for minutes after it is gone; a live one asks again within 60 to 70 seconds.
_POLLER_SEEN_WITHIN_SECONDS = 90

PartName = Literal["database", "temporal", "workflows", "activities", "documents"]


class Alive(BaseModel):
    """The process answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Literal["ok"] = "ok"


class PartHealth(BaseModel):
    """One thing the API depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: PartName
    ok: bool
    detail: Literal["unreachable", "too slow", "no worker is polling"] | None = None


class Readiness(BaseModel):
    """Whether an order placed now would be served, and if not, what is missing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ready: bool
    parts: tuple[PartHealth, ...] = Field(description="`database`, `temporal`, and a worker for each kind of task")


_READY = Readiness(
    ready=True,
    parts=tuple(
        PartHealth(name=name, ok=True) for name in ("database", "temporal", "workflows", "activities", "documents")
    ),
)
_NOT_READY = Readiness(
    ready=False,
    parts=(*_READY.parts[:-1], PartHealth(name="documents", ok=False, detail="no worker is polling")),
)


@router.get(
    "/health/live", summary="Alive?", responses={**answer(HTTPStatus.OK, "The process answers", Alive()), **problems()}
)
async def get_live() -> Alive:
    """Restart the process if this does not answer. Asks nobody else."""
    return Alive()


@router.get(
    "/health/ready",
    summary="Ready?",
    responses={
        **problems(),
        **answer(HTTPStatus.OK, "Everything is there", _READY),
        **answer(HTTPStatus.SERVICE_UNAVAILABLE, "Something is missing", _NOT_READY),
    },
)
async def get_ready(connections: TheConnections, response: Response) -> Readiness:
    """Send requests here only if this answers 200. Each part has two seconds to answer."""
    temporal = connections.temporal
    parts = await asyncio.gather(
        _checked("database", _database_answers(connections.sessions)),
        _checked("temporal", _temporal_answers(temporal)),
        _checked("workflows", is_polled(temporal, REGISTRAR_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)),
        _checked("activities", is_polled(temporal, REGISTRAR_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)),
        _checked("documents", is_polled(temporal, DOCUMENTS_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)),
    )
    readiness = Readiness(ready=all(part.ok for part in parts), parts=tuple(parts))
    if not readiness.ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return readiness


@router.get(
    "/metrics",
    summary="Metrics",
    response_class=Response,
    responses={
        200: {
            "description": "The Prometheus text format",
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": 'registrar_refusals_total{reason="course_full"} 3.0',
                }
            },
        },
        **problems(),
    },
)
async def get_metrics(parts: TheParts, connections: TheConnections) -> Response:
    """What this process has counted (requests, webhooks, refusals), and how the work goes: jobs, tasks, mails and more.

    The latter is the same from every process, 15 to 60 seconds old at most, and left out while its source is away.
    """
    exposition = await parts.metrics.exposition(connections.sessions, connections.temporal)
    return Response(exposition, media_type="text/plain; version=0.0.4")


async def _checked(name: PartName, answers: Awaitable[bool]) -> PartHealth:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            found = await answers
    except TimeoutError:
        return PartHealth(name=name, ok=False, detail="too slow")
    except (OSError, SQLAlchemyError, TemporalError):
        return PartHealth(name=name, ok=False, detail="unreachable")
    return PartHealth(name=name, ok=found, detail=None if found else "no worker is polling")


async def _database_answers(sessions: Sessions) -> bool:
    async with sessions() as session:
        await session.execute(text("select 1"))
    return True


async def _temporal_answers(temporal: Client) -> bool:
    await temporal.workflow_service.get_system_info(GetSystemInfoRequest())
    return True


async def is_polled(temporal: Client, queue: str, kind: TaskQueueType.ValueType) -> bool:
    """Whether a worker asks for tasks of this kind now. Raises `RPCError` if Temporal is away."""
    described = await temporal.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(namespace=temporal.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind)
    )
    oldest = time.time() - _POLLER_SEEN_WITHIN_SECONDS
    return any(poller.last_access_time.seconds >= oldest for poller in described.pollers)
