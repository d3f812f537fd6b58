"""Carts as they stand in the record, and a Temporal that takes their messages, for tests of what the API does."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from temporalio.service import RPCError

from activities.database import Sessions
from models.identifiers import cart_workflow_id
from models.messages.carts import CartAnswer, ChangeCart
from models.messages.orders import OrderRequest
from models.tables import Academy, Cart, CartLine, Order, OrderLine, Payment
from models.tables.columns import now
from models.vocabulary import CartStatus, OrderStatus, PaymentMethod
from tests.api.recording_temporal import RecordingHandle, RecordingTemporal, not_found


async def write_academy(sessions: Sessions) -> UUID:
    """The academy, which settings and prices belong to."""
    academy = Academy(
        name="Academy",
        legal_name="Academy Ltd",
        address="1 Street",
        country="DE",
        email="academy@example.org",
        time_zone="Europe/Berlin",
        locale="en",
    )
    async with sessions.begin() as session:
        session.add(academy)
    return academy.id


async def write_cart(
    sessions: Sessions,
    person_id: UUID,
    *course_ids: UUID,
    status: CartStatus = CartStatus.ABANDONED,
    price: int = 5000,
    at: datetime | None = None,
    **more: Any,
) -> UUID:
    """A cart with these courses, seen at this price each."""
    moment = at or now()
    cart_id = uuid4()
    values = {
        "currency": "EUR",
        "total_amount": price * max(1, len(course_ids)),
        "abandoned_at": None if status is CartStatus.OPEN else moment,
        **more,
    }
    cart = Cart(
        id=cart_id,
        person_id=person_id,
        status=status,
        created_at=moment - timedelta(hours=1),
        changed_at=moment,
        workflow_id=cart_workflow_id(cart_id),
        **values,
    )
    async with sessions.begin() as session:
        session.add(cart)
        await session.flush()
        session.add_all(
            CartLine(cart_id=cart_id, course_id=course_id, position=position, price_amount=price)
            for position, course_id in enumerate(course_ids, start=1)
        )
    return cart_id


async def write_cart_order(sessions: Sessions, request: OrderRequest, address: str, amount: int = 5000) -> None:
    """The order as the step of its workflow writes it: unpaid, with a page to pay on."""
    total = amount * len(request.lines)
    async with sessions.begin() as session:
        session.add(
            Order(
                id=request.order_id,
                number=f"O-{request.order_id.hex[:20]}",
                payer_id=request.payer_id,
                status=OrderStatus.PENDING_PAYMENT,
                payment_method=PaymentMethod.CHECKOUT,
                currency="EUR",
                list_amount=total,
                discount_amount=0,
                total_amount=total,
                quote={
                    "currency": "EUR",
                    "lines": [],
                    "list_amount": total,
                    "discount_amount": 0,
                    "total_amount": total,
                    "reasons": ["list price"],
                },
                request_digest=request.digest,
                hold_expires_at=now() + timedelta(minutes=30),
            )
        )
        await session.flush()
        session.add_all(
            OrderLine(
                order_id=request.order_id,
                position=position,
                course_id=line.course_id,
                student_id=line.student_id,
                title="Course",
                list_amount=amount,
                discount_amount=0,
                total_amount=amount,
            )
            for position, line in enumerate(request.lines, start=1)
        )
        session.add(Payment(order_id=request.order_id, amount=total, currency="EUR", checkout_url=address))


@dataclass
class TakingTemporal(RecordingTemporal):
    """Answers updates as a worker would: `work` is what its steps write. Without `work`, nobody answers."""

    work: Callable[[Any], Awaitable[object]] | None = None
    updates: list[tuple[str, object]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    async def execute_update_with_start_workflow(
        self, _update: object, argument: object, *, start_workflow_operation: Any, **_options: object
    ) -> object:
        """Record the update as (workflow id, argument), and have it done."""
        options = start_workflow_operation._start_workflow_input
        start_workflow_operation._workflow_handle.cancel()
        self.updates.append((options.id, argument))
        if self.failures:
            raise self.failures.pop(0)
        if self.work is None:
            raise TimeoutError
        started = argument if isinstance(argument, ChangeCart) else options.args[0]
        return await self.work(started)

    def get_workflow_handle_for(self, _workflow: object, workflow_id: str) -> "TakingHandle":
        """A handle that takes updates too."""
        return TakingHandle(self, workflow_id)


@dataclass
class TakingHandle(RecordingHandle):
    """A run that may be over: then an update finds nobody."""

    async def execute_update(self, update: Any, *_arguments: object, rpc_timeout: timedelta | None = None) -> object:
        """Record the update, and have it done by the temporal's `work`."""
        assert isinstance(self.temporal, TakingTemporal)
        self.temporal.updates.append((self.workflow_id, update.__name__ if hasattr(update, "__name__") else "update"))
        if self.temporal.work is None:
            raise self._nobody()
        return await self.temporal.work(self.workflow_id)

    async def result(self, **_options: object) -> object:
        """Wait until it is over."""
        assert isinstance(self.temporal, TakingTemporal)
        if self.temporal.work is None:
            raise self._nobody()
        return await self.temporal.work(self.workflow_id)

    def _nobody(self) -> RPCError:
        return self.temporal.failure or not_found()


def written_by(sessions: Sessions) -> Callable[[Any], Awaitable[object]]:
    """What the step of the update `change` does, as far as these tests look at it."""

    async def work(change: Any) -> object:
        assert isinstance(change, ChangeCart)
        async with sessions.begin() as session:
            cart = await session.get(Cart, change.cart_id)
            if cart is None:
                cart = Cart(
                    id=change.cart_id,
                    person_id=change.person_id,
                    changed_at=now(),
                    workflow_id=cart_workflow_id(change.cart_id),
                )
                session.add(cart)
                await session.flush()
            cart.is_staff, cart.coupon_code, cart.changed_at = change.is_staff, change.coupon_code, now()
            session.add_all(
                CartLine(cart_id=cart.id, course_id=each, position=position, price_amount=5000)
                for position, each in enumerate(change.course_ids, start=1)
            )
        return CartAnswer(cart_id=change.cart_id, status=CartStatus.OPEN)

    return work
