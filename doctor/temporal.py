"""Temporal: there, with our namespace, search attributes, workers, build and schedules."""

from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.service import RPCError, RPCStatusCode

from doctor.examination import Patient, Result, ok, warning, wrong
from models import search
from routes.health import is_polled
from workflows.deployment import DEPLOYMENT, current_build
from workflows.queues import DOCUMENTS_QUEUE, REGISTRAR_QUEUE

_KEPT_AT_LEAST = timedelta(days=7)
_AWAY = wrong("not checked, since Temporal cannot be reached", "Mend that first.")


async def temporal(patient: Patient) -> Result:
    """Whether TEMPORAL_ADDRESS leads to a server that lets us in."""
    try:
        client = await patient.temporal
        told = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    except (RPCError, RuntimeError, OSError):
        return wrong(
            f"cannot be reached at {patient.settings.temporal_address}",
            "Check TEMPORAL_ADDRESS, TEMPORAL_TLS and TEMPORAL_API_KEY, and that the server runs.",
        )
    return ok(f"server {told.server_version}")


async def namespace(patient: Patient) -> Result:
    """Whether the namespace is there, and keeps what has ended for long enough to answer questions."""
    try:
        client = await patient.temporal
        described = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return wrong(
                f"{patient.settings.temporal_namespace} does not exist", "Create it, or set TEMPORAL_NAMESPACE."
            )
        return _AWAY
    except (RuntimeError, OSError):
        return _AWAY
    kept = timedelta(seconds=described.config.workflow_execution_retention_ttl.seconds)
    found = f"{client.namespace}, keeps ended jobs for {kept.days} days"
    if kept < _KEPT_AT_LEAST:
        return warning(found, "Set its retention to as long as support asks questions, 30 days for example.")
    return ok(found)


async def search_attributes(patient: Patient) -> Result:
    """Whether every search attribute is registered, with its type."""
    try:
        client = await patient.temporal
        known = (
            await client.operator_service.list_search_attributes(
                ListSearchAttributesRequest(namespace=client.namespace)
            )
        ).custom_attributes
    except (RPCError, RuntimeError, OSError):
        return _AWAY
    missing = sorted(key.name for key in search.ALL if key.name not in known)
    if missing:
        return wrong(f"missing: {', '.join(missing)}", "Run registrar migrate, or add them by hand.")
    other = [
        f"{key.name} is {IndexedValueType.Name(known[key.name]).removeprefix('INDEXED_VALUE_TYPE_')}"
        for key in search.ALL
        if known[key.name] != int(key.indexed_value_type)
    ]
    if other:
        return wrong(f"of another type: {', '.join(other)}", "Remove them and run registrar migrate.")
    return ok(f"all {len(search.ALL)} are registered")


async def workers(patient: Patient) -> Result:
    """Whether somebody polls for every kind of task."""
    wanted = {
        f"workflows of {REGISTRAR_QUEUE}": (REGISTRAR_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
        f"activities of {REGISTRAR_QUEUE}": (REGISTRAR_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
        f"activities of {DOCUMENTS_QUEUE}": (DOCUMENTS_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    }
    try:
        client = await patient.temporal
        idle = [name for name, (queue, kind) in wanted.items() if not await is_polled(client, queue, kind)]
    except (RPCError, RuntimeError, OSError):
        return _AWAY
    if idle:
        return wrong(f"nobody polls for {', '.join(idle)}", "Start registrar worker, and read its log.")
    return ok("all queues are polled")


async def build(patient: Patient) -> Result:
    """Whether new jobs go to the build that these settings name."""
    try:
        current = await current_build(await patient.temporal, DEPLOYMENT)
    except (RPCError, RuntimeError, OSError):
        return _AWAY
    ours = patient.settings.worker_build_id
    if current is None:
        return wrong("no build is promoted, so no job starts", "Run registrar promote.")
    if current != ours:
        return warning(
            f"new jobs go to {current}, WORKER_BUILD_ID is {ours}", "Run registrar promote, if this is the newer one."
        )
    return ok(f"new jobs go to {current}")


async def schedules(patient: Patient) -> Result:
    """Whether every declared schedule is there and not paused."""
    try:
        client = await patient.temporal
        there = {
            listed.id: listed.schedule is not None and listed.schedule.state.paused
            async for listed in await client.list_schedules()
        }
    except (RPCError, RuntimeError, OSError):
        return _AWAY
    missing = sorted(patient.schedules - there.keys())
    if missing:
        return wrong(
            f"missing: {', '.join(missing)}", "Run registrar promote, which sets the schedules of its release."
        )
    paused = sorted(name for name in patient.schedules if there[name])
    if paused:
        return warning(f"paused: {', '.join(paused)}", "Resume them when what they were paused for is over.")
    return ok(f"all {len(patient.schedules)} are set")
