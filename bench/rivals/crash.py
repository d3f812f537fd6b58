"""What survives `kill -9`: the worker is killed while orders are half way, again and again, and then it is counted.

Nothing is taken from anybody's documentation. Finished is an order whose mail went out and is on record; lost is one
for which nothing has moved any more for a while, though its worker runs.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol
from uuid import UUID, uuid4

import httpx
from sqlalchemy import Uuid, any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from bench.contenders import OrderNotCompletedError
from bench.rig import Rig
from bench.rivals.contest import Contest, Rival
from models.tables import Mail, Order
from models.vocabulary import MailStatus, OrderStatus
from sandbox.processes import Supervisor, says
from sandbox.stripe_double import StripeDoubleControl

_SEED = 10
# About as long as an order takes, so that the blow falls anywhere in it.
_LATEST_BLOW_SECONDS = 0.6
_LOOK_EVERY_SECONDS = 0.5
_BACK_WITHIN_SECONDS = 300
_COMES_AGAIN_FOR_SECONDS = 300
_IN_FLIGHT = 4
_MESSAGE_ID = re.compile(rb"^message-id:\s*<([^>]+)>", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Crashed:
    """What became of the orders. `charged_and_lost` are those of the lost ones that were paid for."""

    kills: int
    orders: int
    finished: int
    charged_twice: int
    charged_and_lost: int
    mailed_twice: int
    mails_unknown: int = 0

    def __str__(self) -> str:
        lost = self.orders - self.finished
        paid = f" ({self.charged_and_lost} of them charged)" if lost else ""
        unknown = f", {self.mails_unknown} mails honestly unknown" if self.mails_unknown else ""
        return (
            f"kill -9 ×{self.kills}: {self.finished} of {self.orders} orders finished, {lost} lost{paid}, "
            f"{self.charged_twice} charged twice, {self.mailed_twice} mailed twice{unknown}"
        )


class InDanger(Protocol):
    """An engine whose worker is about to be killed."""

    @property
    def name(self) -> str:
        """That of its side."""

    @property
    def patience_seconds(self) -> float:
        """How long nothing may move before the rest is lost."""

    def begin(self) -> None:
        """Send some orders on their way, and do not wait for them."""

    async def kill(self) -> None:
        """Kill the worker, and return once another one is there."""

    async def finished(self) -> int:
        """How many of those that were begun are through."""

    @property
    def begun(self) -> int:
        """How many were begun."""

    async def count(self, kills: int) -> Crashed:
        """What became of them."""


async def crash_all(dangers: Sequence[InDanger], kills: int) -> dict[str, Crashed]:
    """Each of them so many times, all at the same time, since nothing of it is timed; by their names."""
    counted = await asyncio.gather(*(_crash(danger, kills) for danger in dangers))
    return {danger.name: crashed for danger, crashed in zip(dangers, counted, strict=True)}


async def _crash(danger: InDanger, kills: int) -> Crashed:
    chance = random.Random(_SEED)  # noqa: S311 - for a moment, not for a secret
    for _ in range(kills):
        danger.begin()
        await asyncio.sleep(chance.uniform(0.05, _LATEST_BLOW_SECONDS))
        await danger.kill()
    loop = asyncio.get_running_loop()
    found, moved = -1, loop.time()
    while (now_found := await danger.finished()) < danger.begun and loop.time() - moved < danger.patience_seconds:
        if now_found != found:
            found, moved = now_found, loop.time()
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
    return await danger.count(kills)


async def _killed(supervisor: Supervisor, name: str, log: Path, is_ready: str) -> None:
    before, ready = supervisor.pid(name), says(log, is_ready)
    assert callable(ready)  # noqa: S101 - a pattern would be for the supervisor alone
    supervisor.kill(name)
    async with asyncio.timeout(_BACK_WITHIN_SECONDS):
        while supervisor.pid(name) == before or not await ready():  # noqa: ASYNC110 - nobody is told of a restart
            await asyncio.sleep(0.05)


def _mailed_twice(maildir: Path, among: frozenset[str] | None = None) -> int:
    """How many mails arrived more than once, by their Message-ID; of all, or of those with one of these ids."""
    seen: Counter[str] = Counter()
    for file in (*maildir.glob("new/*"), *maildir.glob("cur/*")):
        if (found := _MESSAGE_ID.search(file.read_bytes())) is not None:
            seen[found[1].decode(errors="replace").partition("@")[0]] += 1
    return sum(count > 1 and (among is None or name in among) for name, count in seen.items())


@dataclass
class RivalInDanger:
    """DBOS, Celery or bare Temporal."""

    rig: Rig
    contest: Contest
    rival: Rival
    # Longer than anything that takes an order up again by itself needs for it.
    patience_seconds: float = 45
    ids: list[str] = field(default_factory=list)
    _beginning: list[asyncio.Future[object]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """That of its side."""
        return self.rival.name

    @property
    def begun(self) -> int:
        """All whose ids were given out."""
        return len(self.ids)

    def begin(self) -> None:
        """As in the race."""
        new = [str(uuid4()) for _ in range(_IN_FLIGHT)]
        self.ids += new
        self._beginning += [asyncio.ensure_future(self.rival.begin(order_id)) for order_id in new]

    async def kill(self) -> None:
        """The whole process group."""
        log = self.rig.home / "logs" / f"{self.rival.program}.log"
        await _killed(self.contest.supervisor, self.rival.program, log, self.rival.is_ready)

    async def finished(self) -> int:
        """Those whose mail is on record."""
        query = "SELECT count(*) FROM orders WHERE mailed_at IS NOT NULL AND id = ANY($1::uuid[])"
        return int(await self.rival.record.fetchval(query, self.ids))

    async def count(self, kills: int) -> Crashed:
        """From the record, the Stripe double and the mailbox."""
        await asyncio.gather(*self._beginning)
        query = "SELECT id::text FROM orders WHERE mailed_at IS NOT NULL AND id = ANY($1::uuid[])"
        done = {row[0] for row in await self.rival.record.fetch(query, self.ids)}
        async with StripeDoubleControl(self.contest.stripe_url) as double:
            money = {each.order_id: each for each in await double.orders() if each.order_id in set(self.ids)}
        return Crashed(
            kills=kills,
            orders=len(self.ids),
            finished=len(done),
            charged_twice=sum(each.charges_succeeded > 1 for each in money.values()),
            charged_and_lost=sum(each.charges_succeeded > 0 for each in money.values() if each.order_id not in done),
            mailed_twice=_mailed_twice(self.rig.maildir, frozenset(self.ids)),
        )


@dataclass
class RegistrarInDanger:
    """Registrar, its worker process killed."""

    rig: Rig
    numbers: Sequence[int]
    patience_seconds: float = 90
    in_flight: ClassVar[int] = _IN_FLIGHT
    name: ClassVar[str] = "Registrar"
    _placing: list[asyncio.Future[str]] = field(default_factory=list)

    @property
    def begun(self) -> int:
        """All that were asked for."""
        return len(self._placing)

    def begin(self) -> None:
        """Place and pay, as a shop does."""
        new = self.numbers[self.begun : self.begun + _IN_FLIGHT]
        self._placing += [asyncio.ensure_future(self._placed_and_paid(number)) for number in new]

    async def _placed_and_paid(self, number: int) -> str:
        # With the same key, as every caller does that has been told to come again.
        placing = retry(
            retry=retry_if_exception_type((OrderNotCompletedError, httpx.HTTPError)),
            wait=wait_fixed(1),
            stop=stop_after_delay(_COMES_AGAIN_FOR_SECONDS),
            reraise=True,
        )(self.rig.registrar.place)
        workflow_id: str = await placing(number)
        await self.rig.registrar.pay(workflow_id)
        return workflow_id

    async def kill(self) -> None:
        """The stack's own worker."""
        await _killed(self.rig.stack.supervisor, "worker", self.rig.home / "logs" / "worker.log", "worker polls")

    async def finished(self) -> int:
        """Those whose workflow is closed: their mail is sent, or its end is known to be unknown."""
        closed = 0
        for workflow_id in self._workflows():
            described = await self.rig.temporal.get_workflow_handle(workflow_id).describe()
            closed += described.close_time is not None
        return closed

    def _workflows(self) -> list[str]:
        return [each.result() for each in self._placing if each.done() and each.exception() is None]

    async def count(self, kills: int) -> Crashed:
        """From the record, the Stripe double and the mailbox."""
        for each in self._placing:
            if not each.done():
                each.cancel()
                self.rig.tell("an order has not been answered yet")
            elif (error := each.exception()) is not None:
                self.rig.tell(f"an order could not be placed and paid: {type(error).__name__}: {error}")
        ids = [UUID(each.removeprefix("order-")) for each in self._workflows()]
        among = col(Order.id) == any_(literal(ids, ARRAY(Uuid)))
        async with self.rig.sessions() as session:
            query = select(col(Order.id)).where(among, col(Order.status) == OrderStatus.COMPLETED)
            done = {str(found) for found in (await session.execute(query)).scalars()}
            unknown = select(func.count()).where(col(Mail.status) == MailStatus.UNKNOWN)
            mails_unknown = (await session.execute(unknown)).scalar_one()
        money = {each.order_id: each for each in await self.rig.double.orders() if each.order_id in set(map(str, ids))}
        return Crashed(
            kills=kills,
            orders=self.begun,
            finished=len(done),
            charged_twice=sum(each.charges_succeeded > 1 for each in money.values()),
            charged_and_lost=sum(each.charges_succeeded > 0 for each in money.values() if each.order_id not in done),
            mailed_twice=_mailed_twice(self.rig.maildir),
            mails_unknown=mails_unknown,
        )
