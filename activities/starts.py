"""Starting a workflow together with its first update."""

import asyncio
from typing import Any

from temporalio.client import WithStartWorkflowOperation


def leave_no_start_unread(start: WithStartWorkflowOperation[Any, Any]) -> None:
    """To be called before an update with this start: the caller asks the update alone how it went.

    A failed start fails the future of its handle too; unread, the event loop would log its text.
    """
    asyncio.create_task(start.workflow_handle()).add_done_callback(_read)


def _read(handle: asyncio.Task[Any]) -> None:
    if not handle.cancelled():
        handle.exception()
