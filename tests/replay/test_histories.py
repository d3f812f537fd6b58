"""Yesterday's jobs go on with today's code: every saved history replays, in the sandbox, command for command.

What today's tests make is replayed where it is made (`tests/conftest.py`).

`pytest tests/replay/record.py` saves the histories of the release that is being made. Beside them stand the commands of
each workflow (`fingerprint.py`) and all that is said to it (`contract.py`): docs/determinism.md.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, WorkflowReplayResult

from tests.replay.saved import SAVED, history_of
from worker import WORKFLOWS, sandboxed_runner


@pytest.fixture(scope="module")
async def replayed() -> dict[Path, WorkflowReplayResult]:
    """What became of each history; one replayer prepares the sandboxes for all of them."""
    histories = [await asyncio.to_thread(history_of, file) for file in SAVED]

    async def each() -> AsyncIterator[WorkflowHistory]:
        for history in histories:
            yield history

    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=sandboxed_runner(), data_converter=pydantic_data_converter)
    async with replayer.workflow_replay_iterator(each()) as results:
        return dict(zip(SAVED, [result async for result in results], strict=True))


def test_there_are_histories_of_every_workflow_and_ending() -> None:
    endings = {"paid", "free", "cancelled", "refused", "waiting", "confirmed", "declined", "debit_succeeded",
               "debit_failed", "invoice", "approved", "denied"}  # fmt: skip
    others = {"paid_order_cancelled", "unmatched_payment", "document_copy", "refund_by_rule", "refund_rejected",
              "refund_came_back", "refund_sweep", "dispute_won", "dispute_lost", "cascade", "application_drafted",
              "application_asked", "application_withdrawn", "application_approved", "application_rejected",
              "reassign_reviews", "cart_open", "cart_reminded", "cart_ordered", "cart_cleared", "cart_superseded",
              "cart_lost", "cart_refused", "drip_asleep", "drip_completed", "drip_ended", "course_changed",
              "members_changed", "wake_drips", "certificate_issued", "certificate_corrected", "certificate_batch",
              "certificate_waits_for_a_name", "certificate_expires", "critical_mail", "expiry_sweep",
              "invoice_reminders", "document_retention", "reconcile_nightly", "stripe_events", "stuck_jobs",
              "daily_sales", "finding_asked_about", "finding_decided", "export_of_orders", "export_of_sales",
              "job_action"}  # fmt: skip
    assert {file.stem for file in SAVED} >= endings | others


@pytest.mark.parametrize("file", SAVED, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_saved_history_replays(file: Path, replayed: dict[Path, WorkflowReplayResult]) -> None:
    if (failure := replayed[file].replay_failure) is not None:
        raise failure
