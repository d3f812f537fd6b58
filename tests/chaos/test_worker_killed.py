"""Kill the worker after any effect of a purchase: one charge, one seat, one receipt, one mail."""

import asyncio
import os
import random
import sys
from collections import Counter

from sqlalchemy import select
from sqlmodel import col

from models.tables import AuditEntry, Document, Mail
from tests.chaos.deaths import environment_of, through_every_death
from tests.eventually import eventually
from tests.installation import Installation, Json
from tests.thoroughness import IS_THOROUGH
from worker import running_workers
from workflows.deployment import make_current

# A purchase has at least so many effects.
_EFFECTS = 12
_SEED = 10
STUDENTS = ("lukasz", "layla", "xiaoming", "aoife", "grace", "haruka") if IS_THOROUGH else ("lukasz", "layla")
STEPS = [str(number) for number in random.Random(_SEED).sample(range(1, _EFFECTS), len(STUDENTS))]  # noqa: S311


async def test_a_purchase_lives_through_the_death_of_its_worker(idle_installation: Installation) -> None:
    installation = idle_installation

    async def buy(number: int) -> Json:
        """The payer pays as soon as there is a link, whatever the worker is doing."""
        key = f"dies-after-{STEPS[number]}"
        await installation.post_order("python-cohort", by=STUDENTS[number], key=key)
        order: Json = (await installation.post_order("python-cohort", by=STUDENTS[number], key=key)).json()

        async def can_be_paid() -> bool:
            order.update((await installation.post_order("python-cohort", by=STUDENTS[number], key=key)).json())
            return order.get("payment", {}).get("checkout_url") is not None

        await eventually(can_be_paid, within=60)
        await installation.pay(order)
        return await installation.order_ends(order["id"])

    for done in await through_every_death(installation, STEPS, buy):
        money = await installation.double.control.order(done["id"])
        assert (money.payment_intents, money.charges_succeeded, money.charged) == (1, 1, 79000)
        assert [line["enrollment"]["status"] for line in done["lines"]] == ["active"]
    async with installation.sessions() as session:
        mails = Counter((await session.execute(select(col(Mail.status)))).scalars())
        # Whose mail was just being handed over when a worker died can never be known; it is not sent again.
        assert mails["sent"] + mails["unknown"] == mails.total() == len(STEPS)
        assert mails["sent"] <= len(installation.mailbox.messages()) <= len(STEPS)
        receipts = list((await session.execute(select(col(Document.number)))).scalars())
        assert sorted(receipts) == [f"{receipts[0][:-6]}{number:06}" for number in range(1, len(STEPS) + 1)]
        completed = select(col(AuditEntry.subject_id)).where(col(AuditEntry.to_state) == "completed")
        completions = Counter((await session.execute(completed)).scalars())
        assert sorted(completions.values()) == [1] * len(STEPS)


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
