"""Workflow runs: started together with an update, signaled, and as the server describes them."""

from datetime import timedelta
from urllib.parse import quote

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.service import RPCError

from routes.outages import is_not_found
from settings import Settings


async def describe(temporal: Client, workflow_id: str, patience: timedelta) -> DescribeWorkflowExecutionResponse | None:
    """The latest run of a workflow, none if there is none. Needs no worker.

    Asked in the server's own words: the client's `describe` raises on a status newer than itself, such as paused.
    """
    try:
        return await temporal.workflow_service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(
                namespace=temporal.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
            ),
            retry=True,
            timeout=patience,
        )
    except RPCError as error:
        if is_not_found(error):
            return None
        raise


def web_address(settings: Settings, workflow_id: str) -> str:
    """Where an operator sees the workflow."""
    return settings.job_page_url.replace("{workflow_id}", quote(workflow_id, safe=""))
