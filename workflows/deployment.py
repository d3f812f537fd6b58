"""Worker Deployment Versioning: which build new jobs go to. Sleeping jobs stay with the build they began on."""

from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

DEPLOYMENT = "registrar"


async def make_current(
    client: Client, build_id: str, *, deployment: str = DEPLOYMENT, give_up_after: float = 30
) -> None:
    """Send new jobs to this build from now on, once its workers have shown up. Repeating it changes nothing.

    Raises `RPCError` if no worker of the build has polled within `give_up_after` seconds.
    """

    @retry(
        retry=retry_if_exception(_may_pass),
        wait=wait_fixed(0.1),
        stop=stop_after_delay(give_up_after),
        reraise=True,
    )
    async def attempt() -> None:
        if await current_build(client, deployment) == build_id:
            return
        await client.workflow_service.set_worker_deployment_current_version(
            SetWorkerDeploymentCurrentVersionRequest(
                namespace=client.namespace, deployment_name=deployment, build_id=build_id
            )
        )

    await attempt()


async def current_build(client: Client, deployment: str) -> str | None:
    """The build that new jobs go to; none before the first was promoted. Raises `RPCError`."""
    try:
        described = await client.workflow_service.describe_worker_deployment(
            DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=deployment)
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return described.worker_deployment_info.routing_config.current_deployment_version.build_id or None


def _may_pass(error: BaseException) -> bool:
    """The workers have not shown up yet, or the server is busy with the deployment: it cancels what it cannot serve."""
    return isinstance(error, RPCError) and error.status in (
        RPCStatusCode.NOT_FOUND,
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
    )
