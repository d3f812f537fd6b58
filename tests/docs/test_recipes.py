"""The recipes of docs/recipes.md: each fault is put in, the page's own commands are run, and the job goes on."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from sandbox.postgres import EmbeddedPostgres
from sandbox.temporal import EmbeddedTemporal
from schedules import SCHEDULES
from tests.apart import apart_from
from tests.docs.typed import FIRST, RECIPES, shell
from tests.eventually import eventually
from tests.installation import Installation, Json
from tests.ordering import until_mailed
from worker import running_workers
from workflows.deployment import make_current
from workflows.schedule_server import apply_schedules


async def shows(installation: Installation, order: Json, words: str, *blocks: str) -> None:
    """Wait until commands of the page say something."""

    async def is_said() -> bool:
        return words in await shell(installation, *(blocks or FIRST), order=order)

    await eventually(is_said)


def test_every_recipe_is_followed_below() -> None:
    source = "".join(file.read_text(encoding="utf-8") for file in sorted(Path(__file__).parent.glob("test_*.py")))
    assert len(FIRST) == 2
    for title, blocks in RECIPES.items():
        assert blocks, f"{title} has no command"
        used = {int(number) for number in re.findall(rf'RECIPES\["{title}"\]\[(\d)\]', source)}
        assert used == set(range(len(blocks))), title


async def test_a_payment_is_stuck_and_its_mail_unknown(installation: Installation) -> None:
    order = (await installation.post_order("spanish-a1")).json()
    await installation.double.control.pause_webhooks()
    installation.mailbox.faults.add("drop_after_storing", times=1)
    await installation.pay(order)
    assert "The payer has to pay" in await shell(installation, *FIRST, order=order)
    await shell(installation, RECIPES["A payment is stuck"][0], order=order)
    await installation.order_ends(order["id"])

    await shows(installation, order, f"order-{order['id']}", RECIPES["A mail is unknown"][0])
    await shell(installation, RECIPES["A mail is unknown"][1], order=order)
    await until_mailed(installation, "document_copy")


async def test_stripe_is_down_and_then_the_mail_server(installation: Installation) -> None:
    await installation.double.control.add_fault("error", status=503, times=None)
    placing = asyncio.create_task(installation.post_order("spanish-a1"))
    order = {"id": await running_order(installation)}
    await shows(installation, order, "stripe_api_error")
    await installation.double.control.clear_faults()
    assert await shell(installation, RECIPES["Stripe is down"][0]), "the order is not found"
    order = (await placing).json()

    await installation.mailbox.shut()
    await installation.pay(await installation.payable(order["id"], "lukasz"))
    await shows(installation, order, "smtp_unreachable")
    await installation.mailbox.reopen()
    await shell(installation, RECIPES["The mail server is down"][0])
    await installation.order_ends(order["id"])
    assert len(installation.mailbox.messages()) == 1


async def running_order(installation: Installation) -> str:
    """The id of the one order that runs."""
    found: list[str] = []

    async def is_listed() -> bool:
        query = 'RegistrarJob="order" AND ExecutionStatus="Running"'
        found[:] = [run.id async for run in installation.temporal.list_workflows(query)]
        return bool(found)

    await eventually(is_listed)
    return found[0].removeprefix("order-")


@pytest.fixture
async def apart(
    idle_installation: Installation, tmp_path: Path
) -> AsyncIterator[tuple[Installation, EmbeddedTemporal]]:
    """An API on a Temporal server of its own, at which nobody has worked yet."""
    async with apart_from(idle_installation, tmp_path) as alone:
        yield alone


async def test_worker_database_and_temporal_are_down(
    apart: tuple[Installation, EmbeddedTemporal], postgres: EmbeddedPostgres
) -> None:
    installation, server = apart
    assert "no worker is polling" in await shell(installation, RECIPES["The worker is down"][0])
    async with running_workers(installation.temporal, installation.settings):
        await make_current(installation.temporal, installation.settings.worker_build_id)
        order = (await installation.post_order("spanish-a1")).json()
        await asyncio.to_thread(postgres.stop)
        try:
            said = await shell(installation, RECIPES["The database is down"][0])
            assert '"name":"database","ok":false' in said
        finally:
            await asyncio.to_thread(postgres.start)
        await server.restart(kill=True)
        said = await shell(installation, RECIPES["Temporal was restarted"][0])
        assert "SERVING" in said
        assert "Total: 1" in said
        await installation.pay(order)
        await installation.order_ends(order["id"])


async def test_a_refund_does_not_arrive(installation: Installation) -> None:
    control = installation.double.control
    order = (await installation.post_order("spanish-a1")).json()
    await installation.pay(order)
    enrollment_id = (await installation.order_ends(order["id"]))["lines"][0]["enrollment"]["id"]
    await control.next_refunds("pending")
    await installation.staff_posts(f"/v1/enrollments/{enrollment_id}/refunds", {"cause": "no_time"})
    await installation.temporal.get_workflow_handle(f"refund-{enrollment_id}").result()
    look, wake = RECIPES["A refund does not arrive"][0], RECIPES["A refund does not arrive"][1]
    await control.pause_webhooks()
    await shows(installation, order, "On its way", look)
    query = 'WorkflowType="RefundWatchWorkflow" AND ExecutionStatus="Running"'
    [run] = [each async for each in installation.temporal.list_workflows(query)]
    await control.move_refund(run.id.removeprefix("refund-watch-"), "succeeded")
    await shell(installation, look, wake, order=order)
    await shows(installation, order, "Paid back", look)


async def test_a_schedule_did_not_run(installation: Installation) -> None:
    temporal: Client = installation.temporal
    await apply_schedules(temporal, [each for each in SCHEDULES if each.id == "wake-drips"], "UTC")
    schedule = temporal.get_schedule_handle("wake-drips")
    await schedule.pause()
    listed = (await shell(installation, RECIPES["A schedule did not run"][0])).splitlines()
    assert [line.split("\t")[5] for line in listed if line.startswith("wake-drips\t")] == ["paused"]
    await shell(installation, RECIPES["A schedule did not run"][1])

    async def has_run() -> bool:
        told = await schedule.describe()
        return bool(told.info.recent_actions) and not told.schedule.state.paused

    await eventually(has_run)
    await schedule.delete()
