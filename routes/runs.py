"""Where workflows are seen in the Web UI."""

from urllib.parse import quote

from settings import Settings


def web_address(settings: Settings, workflow_id: str) -> str:
    """Where an operator sees the workflow."""
    return settings.job_page_url.replace("{workflow_id}", quote(workflow_id, safe=""))


def query_address(settings: Settings, query: str) -> str:
    """Where an operator sees the workflows that a query of the server's visibility finds."""
    return f"{settings.job_page_url.removesuffix('/{workflow_id}')}?query={quote(query, safe='')}"
