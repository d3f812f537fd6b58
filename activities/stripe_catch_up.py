"""Reading again what Stripe has told, so that a webhook that never came is caught up on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import stripe
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from temporalio import activity

from activities.database import Sessions
from activities.stripe_books import StripeBooks
from activities.stripe_events import OF_INTEREST, Event, EventDesk, record_events, set_statuses
from activities.stripe_jobs import StripeJobs
from models.messages.reconciliation import CatchUp, CaughtUp
from models.tables import Order, StripeEvent, StripeEventCursor
from models.tables.columns import now
from models.vocabulary import StripeEventStatus

CURSOR = "events"
# Stripe lists events for 30 days (reference 2); a little less, so that none is gone while it is read.
KEPT_FOR = timedelta(days=30) - timedelta(minutes=5)
# So much is read at a time, and done before the cursor moves: a crash repeats that much.
_WINDOW = timedelta(hours=6)
# A webhook that is being taken at this moment is left to itself.
_IN_HAND = timedelta(minutes=5)
_AT_ONCE = 100


@dataclass
class StripeCatchUpActivities:
    """The step of `StripeCatchUpWorkflow`. `is_live` is the mode of the installation, `is_shared` that others take
    payments with the account, too.
    """

    client: stripe.StripeClient
    sessions: Sessions
    is_live: bool = False
    is_shared: bool = False

    @activity.defn
    async def catch_up(self, step: CatchUp) -> CaughtUp:
        """Record every event since the cursor and pass on those that nobody was told of, oldest first.

        The cursor moves once all before it are passed on. Events that were recorded and never passed on are, too.
        """
        until = now()
        since = max(await self._read_until(until) - timedelta(minutes=step.overlap_minutes), until - KEPT_FOR)
        total = CaughtUp(read=0, missed=0, passed_on=await self._pass_on_left_behind(since, until))
        start = since
        while start < until:
            end = min(start + _WINDOW, until)
            # Newest first, and only what is read of them: of a busy day the whole objects fill the memory.
            events = [
                event
                async for page in StripeBooks(self.client).events(start, end, sorted(OF_INTEREST))
                for each in page
                if (event := self._readable(each))
            ][::-1]
            total = _sum(total, await self._take(events))
            await self._move_cursor(end, events[-1].id if events else None)
            start = end
        return total.model_copy(update={"read_until": until})

    async def _take(self, events: Sequence[Event]) -> CaughtUp:
        """Record these, oldest first, and pass on those of which nobody was told."""
        total = CaughtUp(read=len(events), missed=0, passed_on=0)
        for start in range(0, len(events), _AT_ONCE):
            some = events[start : start + _AT_ONCE]
            before = await self._known(some)
            statuses = await record_events(self.sessions, some)
            left = [event for event in some if statuses[event.id] is StripeEventStatus.RECEIVED]
            missed = sum(event.id not in before for event in left)
            total = _sum(total, CaughtUp(read=0, missed=missed, passed_on=await self._pass_on(left)))
        return total

    async def _pass_on(self, events: Sequence[Event]) -> int:
        desk = EventDesk(
            self.sessions, StripeJobs(activity.client(), activity.info().task_queue), is_shared=self.is_shared
        )
        became = {event.id: await desk.pass_on(event) for event in events}
        if became:
            await set_statuses(self.sessions, became)
        return len(became)

    async def _pass_on_left_behind(self, since: datetime, until: datetime) -> int:
        """Events before the span that were recorded, and whose webhook a crash has cut off."""
        query = (
            select(col(StripeEvent.event_id))
            .where(
                col(StripeEvent.status) == StripeEventStatus.RECEIVED,
                col(StripeEvent.received_at) < until - _IN_HAND,
                col(StripeEvent.stripe_created_at) < since,
                col(StripeEvent.stripe_created_at) >= until - KEPT_FOR,
            )
            .order_by(col(StripeEvent.stripe_created_at), col(StripeEvent.event_id))
        )
        async with self.sessions() as session:
            ids = (await session.execute(query)).scalars().all()
        books = StripeBooks(self.client)
        found = [await books.event(event_id) for event_id in ids]
        return await self._pass_on([event for each in found if each and (event := self._readable(each))])

    def _readable(self, told: stripe.Event) -> Event | None:
        """The event as a webhook would have brought it; none if it is of the other mode."""
        try:
            event = Event.model_validate(told.to_dict())
        except ValidationError:
            return None
        return event if event.livemode is self.is_live else None

    async def _known(self, events: Sequence[Event]) -> set[str]:
        query = select(col(StripeEvent.event_id)).where(col(StripeEvent.event_id).in_([event.id for event in events]))
        async with self.sessions() as session:
            return set((await session.execute(query)).scalars())

    async def _read_until(self, moment: datetime) -> datetime:
        """Up to where everything was seen; at first since the first order, before which nothing can be ours."""
        cursor = select(col(StripeEventCursor.read_until)).where(col(StripeEventCursor.name) == CURSOR)
        first = select(func.min(col(Order.created_at)))
        async with self.sessions() as session:
            known = (await session.execute(cursor)).scalar_one_or_none()
            return known or (await session.execute(first)).scalar_one_or_none() or moment

    async def _move_cursor(self, until: datetime, last_event_id: str | None) -> None:
        moved = insert(StripeEventCursor).values(
            name=CURSOR, read_until=until, last_event_id=last_event_id, updated_at=now()
        )
        known = StripeEventCursor
        further = {
            "read_until": func.greatest(col(known.read_until), moved.excluded.read_until),
            "last_event_id": func.coalesce(moved.excluded.last_event_id, col(known.last_event_id)),
            "updated_at": moved.excluded.updated_at,
        }
        async with self.sessions.begin() as session:
            await session.execute(moved.on_conflict_do_update(index_elements=["name"], set_=further))


def _sum(one: CaughtUp, other: CaughtUp) -> CaughtUp:
    return CaughtUp(
        read=one.read + other.read, missed=one.missed + other.missed, passed_on=one.passed_on + other.passed_on
    )
