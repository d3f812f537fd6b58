"""Yesterday's jobs go on with today's code: every saved history replays, in the sandbox, command for command.

`pytest tests/replay/record.py` saves the histories of the release that is being made.
"""

import asyncio
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from tests.installation import Installation
from worker import WORKFLOWS, sandboxed_runner

SAVED = sorted((Path(__file__).parent / "histories").glob("*/*.json"))


def replayer() -> Replayer:
    return Replayer(workflows=WORKFLOWS, workflow_runner=sandboxed_runner(), data_converter=pydantic_data_converter)


def test_there_are_histories_of_every_workflow_and_ending() -> None:
    endings = {"paid", "free", "cancelled", "refused", "waiting", "confirmed", "declined", "debit_succeeded",
               "debit_failed", "invoice", "approved", "denied"}  # fmt: skip
    others = {"paid_order_cancelled", "unmatched_payment", "document_copy"}
    assert {file.stem for file in SAVED} >= endings | others


@pytest.mark.parametrize("file", SAVED, ids=lambda file: f"{file.parent.name}-{file.stem}")
async def test_saved_history_replays(file: Path) -> None:
    saved = await asyncio.to_thread(file.read_text)
    await replayer().replay_workflow(WorkflowHistory.from_json(file.stem, saved))


async def test_a_history_made_now_replays(installation: Installation) -> None:
    order = (await installation.post_order("spanish-a1")).json()
    await installation.pay(order)
    await installation.order_ends(order["id"])
    handle = installation.temporal.get_workflow_handle(f"order-{order['id']}")
    await replayer().replay_workflow(await handle.fetch_history())
