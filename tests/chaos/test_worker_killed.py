"""Kill the worker after the effect of any step and start it again: one charge, one seat, one receipt, one mail."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, select

from models.tables import AuditEntry, Document, Mail
from settings import Settings
from tests.eventually import eventually
from tests.installation import Installation, Json
from worker import running_workers
from workflows.deployment import make_current

STEPS = ("place_order", "request_payment", "read_payment", "complete_order", "render_receipt", "send_mail")


def environment_of(settings: Settings) -> dict[str, str]:
    """The settings as another process reads them."""
    plain = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    reveal = {
        "database_url": settings.database_url.get_secret_value(),
        "stripe_api_key": settings.stripe_api_key.get_secret_value(),
        "stripe_webhook_secrets": ",".join(secret.get_secret_value() for secret in settings.stripe_webhook_secrets),
        "smtp_url": settings.smtp_url.get_secret_value(),
    }
    keep = ("temporal_address", "stripe_api_base", "files_url", "public_url")
    return plain | {
        name.upper(): value for name, value in (reveal | {name: str(getattr(settings, name)) for name in keep}).items()
    }


@asynccontextmanager
async def dying_worker(settings: Settings, step: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker that will kill itself after this step."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.dying_worker", step,
        env=environment_of(settings), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert b"polling" in await process.stdout.readline()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("step", STEPS)
async def test_killed_after(idle_installation: Installation, step: str) -> None:
    installation = idle_installation
    async with dying_worker(installation.settings, step) as process:
        await make_current(installation.temporal, installation.settings.worker_build_id)
        first = asyncio.create_task(installation.post_order("python-cohort", key=f"killed-after-{step}"))
        paying = asyncio.create_task(_pay_when_possible(installation, first))
        assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
        async with running_workers(installation.temporal, installation.settings):
            order = (await first).json()
            await paying
            await _assert_exactly_once(installation, order)


async def _pay_when_possible(installation: Installation, posted: "asyncio.Task[object]") -> None:
    """The payer pays as soon as there is a link, whatever the worker is doing."""
    await asyncio.wait([posted])
    again = await installation.post_order("python-cohort", key=_key_of(posted))
    await installation.pay(again.json())


def _key_of(posted: "asyncio.Task[object]") -> str:
    response = posted.result()
    key: str = response.request.headers["Idempotency-Key"]  # type: ignore[attr-defined]
    return key


async def _assert_exactly_once(installation: Installation, order: Json) -> None:
    done = await installation.order_ends(order["id"])
    money = await installation.double.control.order(order["id"])
    assert (money.payment_intents, money.charges_succeeded, money.charged) == (1, 1, 79000)
    assert [line["enrollment"]["status"] for line in done["lines"]] == ["active"]
    assert len(installation.mailbox.messages()) == 1
    async with installation.sessions() as session:
        assert (await session.execute(select(Mail.status))).scalars().all() == ["sent"]
        assert (await session.execute(select(func.count()).select_from(Document))).scalar_one() == 1
        completions = select(func.count()).select_from(AuditEntry).where(AuditEntry.to_state == "completed")  # type: ignore[arg-type]
        assert (await session.execute(completions)).scalar_one() == 1


async def test_a_graceful_stop_finishes_what_is_under_way(idle_installation: Installation) -> None:
    """SIGTERM in the middle of a slow Stripe call: the call ends, the worker leaves, nothing is done twice."""
    installation = idle_installation
    process = await asyncio.create_subprocess_exec(
        os.path.join(os.path.dirname(sys.executable), "registrar"), "worker", env=environment_of(installation.settings)
    )
    try:
        await make_current(installation.temporal, installation.settings.worker_build_id)
        await installation.double.control.add_fault("delay", path="/v1/checkout/sessions", seconds=2)
        posted = asyncio.create_task(installation.post_order("spanish-a1"))

        async def stripe_is_asked() -> bool:
            return (await installation.double.control.requests("/v1/checkout/sessions")).total > 0

        await eventually(stripe_is_asked)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    async with running_workers(installation.temporal, installation.settings):
        order = (await posted).json()
        assert order["payment"]["checkout_url"] is not None
    asked = await installation.double.control.requests("/v1/checkout/sessions")
    assert asked.by_route["POST /v1/checkout/sessions"] == 1
