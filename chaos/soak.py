"""One run: a stack of its own, everybody comes, everything breaks, then nothing breaks any more and all has to come
right.
"""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col
from temporalio.client import Client
from temporalio.service import RPCError

from activities.database import Sessions, open_database, sessions_of
from chaos.academy import open_doors
from chaos.blows import OTHER_WORKER, all_mended, strike
from chaos.deeds import visit
from chaos.invariants import by_invariant
from chaos.outside import Outside, look_outside
from chaos.plan import Plan
from chaos.town import Town
from models.tables import HumanTask, Mail
from sandbox.home import claim_home
from sandbox.maildir import Maildir
from sandbox.processes import Program, Supervisor, says
from sandbox.stack import Stack, StackStep
from schedules import SCHEDULES
from settings import Settings
from workflows.connection import connect
from workflows.schedule_server import apply_schedules

_HEALERS = (
    "stripe-events",
    "refund-sweep",
    "reconcile-recent",
    "wake-drips",
    "expiry-sweep",
    "critical-mail",
    "stuck-jobs",
)
# Half an hour of a cart passes in a second.
_CART_CLOCK_SPEED = "1800"
_CONNECTIONS = 5
_LOOK_EVERY_SECONDS = 3.0
_HEAL_EVERY_SECONDS = 20.0
_HEALING_SECONDS = 60.0
_MORE_DEATHS = 1000
_TO_STRIKE_SECONDS = 30.0
# More at once only wait for each other on a machine that is busy.
_AT_ONCE = 16
Tell = Callable[[str], None]


@dataclass
class Outcome:
    """What has come of a run."""

    plan: Plan
    invariants: dict[str, list[str]]
    jobs: Counter[tuple[str, str]] = field(default_factory=Counter)
    deeds: Counter[tuple[str, str]] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    mails: Counter[str] = field(default_factory=Counter)
    copies: int = 0
    tasks: Counter[tuple[str, str]] = field(default_factory=Counter)
    terminated: int = 0
    drained_in: float = 0.0

    @property
    def wrong(self) -> list[str]:
        """All sentences."""
        return [sentence for sentences in self.invariants.values() for sentence in sentences]


async def soak(plan: Plan, folder: Path, tell: Tell, *, patience: float = 240) -> Outcome:
    """Play the plan on a fresh stack in this folder. Raises what keeps the stack from coming up, or going on.

    `patience`, in seconds, is how long everything may take to come right once nothing breaks any more.
    """
    home = claim_home(folder, "stack")
    own = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRAR_")}
    stack = Stack(home, _progress(tell), environment=own | {"CART_CLOCK_SPEED": _CART_CLOCK_SPEED})
    async with AsyncExitStack() as opened:
        await opened.enter_async_context(stack)
        settings = Settings.model_validate({key.lower(): value for key, value in stack.environment.items()})
        engine = open_database(settings.database_url.get_secret_value(), _CONNECTIONS)
        opened.push_async_callback(engine.dispose)
        sessions = sessions_of(engine)
        temporal = await connect(settings.temporal_address, settings.temporal_namespace)
        await open_doors(sessions, plan)
        if plan.workers > 1:
            await start_other_worker(stack.supervisor, own | stack.environment, home.path / "logs")
        await apply_schedules(temporal, [each for each in SCHEDULES if each.id in _HEALERS], "UTC")
        assert stack.endpoints.stripe is not None  # noqa: S101 - no part from outside is used
        assert stack.endpoints.mailbox is not None  # noqa: S101
        addresses = (stack.endpoints.api, stack.endpoints.stripe, stack.endpoints.mailbox)
        town = await opened.enter_async_context(
            Town.reached(settings, home.path, stack.supervisor, addresses, temporal, sessions, patience / 2)
        )
        run = asyncio.create_task(_run(plan, town, patience, tell))
        gone = asyncio.create_task(stack.failed())
        opened.callback(gone.cancel)
        opened.callback(run.cancel)
        await asyncio.wait({run, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not run.done():
            await gone  # raises why the stack cannot go on
        return await run


async def _run(plan: Plan, town: Town, patience: float, tell: Tell) -> Outcome:
    tell(f"{len(plan.visits)} visits and {len(plan.strikes)} strikes in {plan.seconds:.0f} s …")
    await _play(plan, town, tell)
    tell("Nothing breaks any more; everything comes to rest …")
    outcome = await _come_to_rest(plan, town, patience, tell)
    if outcome.wrong:
        await keep_histories(town.temporal, outcome.wrong, town.home / "histories")
    return outcome


async def start_other_worker(supervisor: Supervisor, environment: dict[str, str], logs: Path) -> None:
    """A second process like that of the stack, so that there is always somebody who could go on."""
    alone = {name: value for name, value in environment.items() if name != "WORKER_METRICS_ADDRESS"}
    command = (str(Path(sys.executable).parent / "registrar"), "worker")
    log = logs / f"{OTHER_WORKER}.log"
    program = Program(
        OTHER_WORKER, command, alone | {"PYTHONUNBUFFERED": "1"}, log, restart="always", give_up_after=_MORE_DEATHS
    )
    await supervisor.start(program, says(log, "worker polls"))


async def _play(plan: Plan, town: Town, tell: Tell) -> None:
    """Everybody comes at their second, and so does what breaks."""
    started = time.monotonic()

    async def at(second: float) -> None:
        await asyncio.sleep(max(0.0, started + second - time.monotonic()))

    room, is_open = asyncio.Semaphore(_AT_ONCE), True

    async def come(number: int) -> None:
        await at(plan.visits[number].at)
        async with room:
            if is_open:
                await visit(town, plan.visits[number])
            else:
                town.ended[plan.visits[number].deed, "came too late"] += 1

    async def breaks(number: int) -> None:
        await at(plan.strikes[number].at)
        await strike(town, plan.strikes[number])

    async with asyncio.TaskGroup() as everything:
        visits = [everything.create_task(come(number)) for number in range(len(plan.visits))]
        strikes = [everything.create_task(breaks(number)) for number in range(len(plan.strikes))]
        if strikes:
            await asyncio.wait(strikes)
        # What was switched on last has to have the time to strike, on a slow machine as well.
        await asyncio.wait(visits, timeout=_TO_STRIKE_SECONDS)
        await all_mended(town)
        is_open = False
        done = sum(task.done() for task in visits)
        tell(f"{done} of {len(visits)} visits are over; the others go on without faults …")


async def _come_to_rest(plan: Plan, town: Town, patience: float, tell: Tell) -> Outcome:
    """Let the recurring jobs heal and look until nothing is wrong, or for as long as patience lasts."""
    started, healed = time.monotonic(), -_HEAL_EVERY_SECONDS
    while True:
        waited = time.monotonic() - started
        try:
            if waited - healed >= _HEAL_EVERY_SECONDS:
                # Stripe would try for days: whatever waits for its next attempt comes now.
                await town.stripe.release_webhooks()
                await heal(town.temporal)
                healed = time.monotonic() - started
            outside = await look_at(town)
            invariants = await by_invariant(town.sessions, outside)
        except (RPCError, SQLAlchemyError, OSError, httpx.TransportError) as error:  # something is still starting
            if waited > patience:
                raise
            tell(f"  not there yet: {type(error).__name__}")
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            continue
        invariants["nobody saw what nobody should see"] = list(town.broken)
        unwell = [sentence for sentences in invariants.values() for sentence in sentences]
        pending = (await town.stripe.delivery_counts())["pending"]
        waited = time.monotonic() - started
        if (unwell == town.broken and not pending) or waited > patience:
            outcome = Outcome(plan, invariants, drained_in=waited, terminated=len(town.terminated))
            outcome.deeds, outcome.struck = town.ended, town.struck
            await _count(outcome, outside, town.sessions)
            return outcome
        first = unwell[0] if unwell else f"{pending} webhooks are on their way"
        tell(f"  after {waited:.0f} s {len(unwell)} sentences, e.g. {first}")
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


async def look_at(town: Town) -> Outside:
    """Everything outside the record, with the mailbox."""
    mails = await asyncio.to_thread(Maildir(town.home / "maildir").mails)
    ids = [mail.header("Message-ID") for mail in mails]
    return await look_outside(town.stripe, town.temporal, terminated=frozenset(town.terminated), message_ids=ids)


async def heal(temporal: Client) -> None:
    """Have each recurring job that heals run once, one after another, as they do in the course of an hour."""
    for schedule_id in _HEALERS:
        handle = temporal.get_schedule_handle(schedule_id)
        before = (await handle.describe()).info.num_actions
        await handle.trigger()
        deadline = time.monotonic() + _HEALING_SECONDS
        while time.monotonic() < deadline:
            info = (await handle.describe()).info
            if info.num_actions > before and not info.running_actions:
                break
            await asyncio.sleep(0.2)


async def _count(outcome: Outcome, outside: Outside, sessions: Sessions) -> None:
    outcome.jobs = Counter((str(job["type"]), str(job["status"])) for job in outside.jobs)
    outcome.copies = sum(int(str(row["copies"])) for row in outside.delivered)
    async with sessions() as session:
        mails = select(col(Mail.status), func.count()).group_by(col(Mail.status))
        outcome.mails = Counter({str(row[0]): int(row[1]) for row in await session.execute(mails)})
        kinds = select(col(HumanTask.kind), col(HumanTask.status), func.count()).group_by(
            col(HumanTask.kind), col(HumanTask.status)
        )
        outcome.tasks = Counter({(str(row[0]), str(row[1])): int(row[2]) for row in await session.execute(kinds)})


async def keep_histories(temporal: Client, sentences: list[str], folder: Path) -> None:
    """Keep the history of every job whose id, or whose subject's id, is in one of the sentences."""
    folder.mkdir(exist_ok=True)
    words = {word.strip(".,:;()") for sentence in sentences for word in sentence.split()}
    async for run in temporal.list_workflows("RegistrarJob IS NOT NULL"):
        if run.id in words or run.id[-36:] in words:
            history = await temporal.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
            (folder / f"{run.id}-{run.run_id}.json").write_text(history.to_json())


def _progress(tell: Tell) -> Callable[[StackStep], None]:
    def show(step: StackStep) -> None:
        if step.state == "failed":
            tell(f"{step.name} failed: {step.detail}")

    return show
