"""What one order and one refund cost: events, statements, calls to Stripe, mails. Counted, not timed, so it is the same
everywhere.

The order is carried by an API and workers in this process, where every statement can be seen. The workers poll as a
build of their own that new orders are sent to, so those of the stack leave this order alone.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import httpx
import uvicorn
from temporalio.client import Client

from api import create_app
from bench.contenders import Registrar
from bench.history import HistoryCost, history_cost
from bench.statements import NamesRequests, StatementCount, StepCost
from sandbox.ports import listen_on
from sandbox.stack import Endpoints
from sandbox.stripe_double import StripeDoubleControl
from settings import Settings
from worker import running_workers
from workflows.deployment import make_current

_BUILD = "benchmark-in-process"


@dataclass(frozen=True)
class JobCost:
    """One order of one course by a student who buys for the first time, or its refund, approved by rule."""

    history: HistoryCost
    steps: dict[str, StepCost]
    stripe_calls: dict[str, int]
    webhooks: int
    mails: int


async def cost_of_one_each(
    settings: Settings, endpoints: Endpoints, client: Client, students: tuple[UUID, UUID]
) -> tuple[JobCost, JobCost]:
    """Carry two orders, pay both back, and count the second of each: the first one warms the pools."""
    assert endpoints.stripe is not None  # noqa: S101 - the benchmark always has the double
    assert endpoints.mailbox is not None  # noqa: S101
    mine = settings.model_copy(update={"worker_build_id": _BUILD, "worker_metrics_address": None})
    async with (
        StripeDoubleControl(endpoints.stripe) as double,
        running_workers(client, mine),
        serving(mine, client) as api,
        Registrar.reached_at(api, client, mine, list(students)) as registrar,
        httpx.AsyncClient(base_url=endpoints.mailbox, trust_env=False) as mailbox,
    ):
        await make_current(client, _BUILD)
        await double.webhooks_settled()
        await double.set_webhook(f"{api}/v1/webhooks/stripe", mine.stripe_webhook_secrets[0].get_secret_value())
        first = await registrar.place(0)
        await registrar.finish(first)
        counted = _Counted(client, double, mailbox)

        async def order() -> str:
            workflow_id = await registrar.place(1)
            await registrar.finish(workflow_id)
            return workflow_id

        order_cost, order_id = await counted.cost_of(order)
        await registrar.pay_back(0, first)
        refund_cost, _ = await counted.cost_of(lambda: registrar.pay_back(1, order_id))
        return order_cost, refund_cost


@dataclass
class _Counted:
    client: Client
    double: StripeDoubleControl
    mailbox: httpx.AsyncClient

    async def cost_of(self, job: Callable[[], Awaitable[str]]) -> tuple[JobCost, str]:
        """What the job asks for, and the id of its workflow."""
        count = StatementCount()
        await self.double.webhooks_settled()
        await self.double.clear_requests()
        delivered, mails = (await self.double.delivery_counts())["delivered"], await _count_mails(self.mailbox)
        with count.counting():
            workflow_id = await job()
            await self.double.webhooks_settled()
        cost = JobCost(
            history=await history_cost(self.client, workflow_id),
            steps=count.steps,
            stripe_calls=_calls_of_ours((await self.double.requests()).by_route),
            webhooks=(await self.double.delivery_counts())["delivered"] - delivered,
            mails=await _count_mails(self.mailbox) - mails,
        )
        return cost, workflow_id


@asynccontextmanager
async def serving(settings: Settings, client: Client) -> AsyncIterator[str]:
    """The API in this process; the address where it listens."""
    listener = listen_on()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = NamesRequests(create_app(settings, temporal=client))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.01)
    try:
        yield address
    finally:
        server.should_exit = True
        await task


async def _count_mails(mailbox: httpx.AsyncClient) -> int:
    return len((await mailbox.get("/api/messages")).raise_for_status().json())


def _calls_of_ours(by_route: dict[str, int]) -> dict[str, int]:
    """Without the control API and the page that the payer sees."""
    return {route: calls for route, calls in sorted(by_route.items()) if " /v1/" in route}
