"""Workflow runs: started together with an update, signaled, and where they are seen."""

from collections.abc import Awaitable
from urllib.parse import quote

from temporalio.service import RPCError

from routes.outages import is_not_found
from settings import Settings


async def is_delivered(signal: Awaitable[None]) -> bool:
    """Whether the workflow still runs, and so was given the signal."""
    try:
        await signal
    except RPCError as error:
        if is_not_found(error):
            return False
        raise
    return True


def web_address(settings: Settings, workflow_id: str) -> str:
    """Where an operator sees the workflow."""
    return settings.job_page_url.replace("{workflow_id}", quote(workflow_id, safe=""))


def query_address(settings: Settings, query: str) -> str:
    """Where an operator sees the workflows that a query of the server's visibility finds."""
    return f"{settings.job_page_url.removesuffix('/{workflow_id}')}?query={quote(query, safe='')}"
