"""`python -m bench.reconciliation`: orders whose webhooks get lost for good, all correct after one sweep, and its cost.

One run brings up a whole stack in a temporary folder. Of its orders every twentieth loses all of its webhooks, of those
of the others one in twenty is lost, and no payer comes back from Stripe's page. Then `ReconciliationWorkflow` looks
once. It fails unless every order is complete afterwards, each paid once, and a second run changes no row.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col
from temporalio.client import Client

from activities.database import open_database, sessions_of
from activities.reconciliation import ReconciliationActivities
from activities.stripe import open_stripe
from bench.contenders import OrderNotCompletedError, Registrar, enlist
from bench.machine import machine
from models.messages.reconciliation import CompareBooks, Reconcile, ReconciliationOutcome
from models.tables import CheckRun, Order, Payment
from models.tables.columns import now
from models.vocabulary import OrderStatus, PaymentStatus
from rules.stripe_fees import FeeLimit
from sandbox.fingerprint import fingerprint
from sandbox.home import claim_home
from sandbox.stack import Stack, StackStep
from sandbox.stripe_double import StripeDoubleControl
from settings import Settings
from workflows.connection import connect
from workflows.queues import REGISTRAR_QUEUE
from workflows.reconciliation import ReconciliationWorkflow

_LOST = 0.05
_LANES = 4
# What the jobs ask for that were told names one object.
_LISTS = tuple(
    f"GET /v1/{name}" for name in ("payment_intents", "refunds", "disputes", "balance_transactions", "payouts")
)
_AT_ONCE = Reconcile(settle_minutes=0, healing_minutes=0)

console = Console()


class WrongBooksError(Exception):
    """After the sweep something is not as it should be."""


async def bench(folder: Path, orders: int) -> dict[str, object]:
    """Measure on a fresh stack. Raises what failed; the stack is gone then, too."""
    async with Stack(claim_home(folder, "stack"), _progress) as stack:
        settings = Settings.model_validate({key.lower(): value for key, value in stack.environment.items()})
        engine = open_database(settings.database_url.get_secret_value(), 5)
        assert stack.endpoints.stripe is not None  # noqa: S101 - no part from outside is used
        assert stack.endpoints.api is not None  # noqa: S101
        try:
            temporal = await connect(settings.temporal_address, settings.temporal_namespace)
            students = await enlist(sessions_of(engine), orders)
            async with (
                Registrar.reached_at(stack.endpoints.api, temporal, settings, students) as registrar,
                StripeDoubleControl(stack.endpoints.stripe) as double,
            ):
                await _sell(registrar, double, orders)
                return await _sweep(temporal, double, engine, settings)
        finally:
            await engine.dispose()


async def _sell(registrar: Registrar, double: StripeDoubleControl, orders: int) -> None:
    """Place and pay them all; some of the webhooks never come, and nobody waits for them."""
    gate = asyncio.Semaphore(_LANES)

    async def paid(numbers: Sequence[int]) -> None:
        async def one(number: int) -> None:
            async with gate:
                await registrar.pay(await registrar.place(number))

        await asyncio.gather(*map(one, numbers))
        await double.webhooks_settled(120)

    wholly_lost = range(0, orders, round(1 / _LOST))
    await double.configure_deliveries(drop_fraction=_LOST, drop_seed=1, drop_for_good=True)
    await paid([number for number in range(orders) if number not in wholly_lost])
    # Last, since after five minutes an order asks Stripe by itself.
    await double.configure_deliveries(drop_fraction=1, drop_for_good=True)
    await paid(wholly_lost)


async def _sweep(
    temporal: Client, double: StripeDoubleControl, engine: AsyncEngine, settings: Settings
) -> dict[str, object]:
    sessions = sessions_of(engine)
    deliveries = await double.delivery_counts()
    stuck = await _settled(engine)
    await double.clear_requests()
    begun = time.monotonic()
    outcome = await _reconcile(temporal, "bench-1")
    swept, asked = time.monotonic() - begun, (await double.requests()).by_route
    begun = time.monotonic()
    while await _count(engine, OrderStatus.PENDING_PAYMENT):
        if time.monotonic() - begun > 300:
            raise WrongBooksError("some orders are not complete")
        await asyncio.sleep(0.2)
    healed = time.monotonic() - begun
    await _check(engine, double)
    # The orders are complete before their drips have begun and their mails are sent.
    await _quiet(engine)
    again = await _reconcile(temporal, "bench-2")
    before = await fingerprint(engine)
    last = await _reconcile(temporal, "bench-3")
    if (again.found, last.found) != (0, 0) or await fingerprint(engine) != before:
        raise WrongBooksError("another run has found or changed something")
    async with sessions() as session:
        counts = (await session.execute(select(col(CheckRun.counts)).order_by(col(CheckRun.created_at)))).scalars()
        looked_at = next(iter(counts))
    return {
        "orders": await _count(engine, OrderStatus.COMPLETED),
        "webhooks": sum(deliveries.values()),
        "webhooks lost": deliveries["failed"],
        "orders left waiting": stuck,
        "found and told": f"{outcome.found}, {outcome.told}",
        "seconds of the sweep": round(swept, 1),
        "seconds until the last was complete": round(healed, 1),
        "requests to Stripe": ", ".join(f"{name} {asked.get(name, 0)}" for name in _LISTS),
        "SQL statements of a comparison": await _statements(engine, settings),
        "looked at": ", ".join(f"{name} {count}" for name, count in looked_at.items()),
    }


async def _reconcile(temporal: Client, name: str) -> ReconciliationOutcome:
    return await temporal.execute_workflow(ReconciliationWorkflow.run, _AT_ONCE, id=name, task_queue=REGISTRAR_QUEUE)


async def _settled(engine: AsyncEngine) -> int:
    """How many orders wait, once those are done whose webhooks came."""
    waiting, seen = -1, 0
    while seen < 10:
        found = await _count(engine, OrderStatus.PENDING_PAYMENT)
        waiting, seen = (found, seen + 1) if found == waiting else (found, 0)
        await asyncio.sleep(1)
    return waiting


async def _quiet(engine: AsyncEngine) -> None:
    """Wait until nothing is written any more."""
    before: dict[str, str | None] = {}
    while (found := await fingerprint(engine)) != before:
        before = found
        await asyncio.sleep(5)


async def _count(engine: AsyncEngine, status: OrderStatus) -> int:
    async with engine.connect() as connection:
        query = select(func.count()).select_from(Order).where(col(Order.status) == status)
        return (await connection.execute(query)).scalar_one()


async def _check(engine: AsyncEngine, double: StripeDoubleControl) -> None:
    """Every order is paid once, with what Stripe has taken for it."""
    async with engine.connect() as connection:
        query = select(col(Payment.order_id), col(Payment.status), col(Payment.captured_amount))
        record = {str(row[0]): (row[1], row[2]) for row in await connection.execute(query)}
    at_stripe = {money.order_id: money for money in await double.orders()}
    for order_id, (status, captured) in record.items():
        money = at_stripe[order_id]
        if (status, captured, money.charges_succeeded) != (PaymentStatus.SUCCEEDED, money.charged, 1):
            raise WrongBooksError(f"{order_id} is {status} with {captured}, and Stripe took {money.charged}")


async def _statements(engine: AsyncEngine, settings: Settings) -> int:
    """What a comparison of all this asks of PostgreSQL, counted in this process."""
    sent: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *told: sent.append(str(told[2])))
    books = ReconciliationActivities(
        open_stripe(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base),
        sessions_of(engine),
        FeeLimit(settings.stripe_fee_percent_max, settings.stripe_fee_fixed_max),
    )
    await books.compare_books(
        CompareBooks(
            scope="recent", looked_from=now() - timedelta(days=1), looked_until=now(), workflow_id="bench-here"
        )
    )
    return len(sent)


def _progress(step: StackStep) -> None:
    if step.state == "failed":
        console.print(f"{step.name} failed: {step.detail}", style="red", highlight=False)


async def _run(orders: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix="registrar-bench-"))
    console.print("Bringing up a stack of its own, then loading it …")
    try:
        told = {**machine(), **await bench(folder, orders)}
    except (WrongBooksError, OrderNotCompletedError, httpx.HTTPError) as error:
        console.print(f"Failed: {error}", style="bold red", highlight=False, markup=False)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name, value in told.items():
        console.print(f"{name}: {value}", highlight=False, markup=False)
    return 0


def main(orders: Annotated[int, typer.Option(min=20, help="how many are sold")] = 1000) -> None:
    """Lose webhooks for good, reconcile once, and print what it took."""
    code = asyncio.run(_run(orders))
    sys.stdout.flush()
    sys.stderr.flush()
    # Temporal's native threads may outlive the interpreter and crash it; everything else has been closed.
    os._exit(code)


if __name__ == "__main__":
    typer.run(main)
