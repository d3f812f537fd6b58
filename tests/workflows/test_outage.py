"""A day without Stripe: many orders wait, and every one of them ends as it should when Stripe is back."""

import random
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from models.identifiers import order_workflow_id
from models.messages.orders import CancelOrder, OrderOutcome
from models.vocabulary import OrderStatus
from tests.thoroughness import IS_THOROUGH
from tests.workflows.order_world import OrderWorld, Worlds, an_order
from tests.workflows.simulation import Run, Simulation
from workflows.order import OrderWorkflow

STRIPE = frozenset({"request", "read", "cancel"})
EACH = 40 if IS_THOROUGH else 10
ENDINGS = {
    "paid before": OrderStatus.COMPLETED,
    "never paid": OrderStatus.CANCELLED,
    "cancelled meanwhile": OrderStatus.CANCELLED,
    "placed meanwhile, paid": OrderStatus.COMPLETED,
    "placed meanwhile, not paid": OrderStatus.CANCELLED,
}
BEFORE = ("paid before", "never paid", "cancelled meanwhile")


@dataclass
class Customer:
    """An order and how it will go."""

    kind: str
    world: OrderWorld
    order: Run


def test_a_day_without_stripe_loses_nothing() -> None:
    worlds = Worlds()
    simulation = Simulation(worlds.activities, random.Random("a day"))  # noqa: S311 - the same day every time

    def arrive(kind: str, **facts: frozenset[str]) -> Customer:
        world, request = OrderWorld(**facts), an_order()
        worlds.add(world, request)
        order = simulation.start(OrderWorkflow.run, request, order_workflow_id(request.order_id))
        return Customer(kind, world, order)

    customers = [arrive(kind) for kind in BEFORE for _ in range(EACH)]
    simulation.run_for(timedelta(minutes=1))
    for customer in customers:
        customer.world.down = STRIPE
        if customer.kind == "paid before":
            customer.world.pay()
            customer.order.signal(OrderWorkflow.payment_changed)
    customers += [arrive(kind, down=STRIPE) for kind in ENDINGS if kind not in BEFORE for _ in range(EACH)]
    simulation.run_for(timedelta(hours=12))
    for customer in customers:
        if customer.kind == "cancelled meanwhile":
            customer.order.signal(OrderWorkflow.cancel, CancelOrder(actor="student:7", reason="changed_mind"))
    simulation.run_for(timedelta(hours=12))
    so_far = Counter(step for customer in customers for step in customer.world.did)
    assert (so_far["complete"], so_far["release"]) == (0, 0)

    for customer in customers:
        customer.world.down = frozenset()
    for _ in range(12):  # who could not pay yesterday has a quarter of an hour from when it is possible
        simulation.run_for(timedelta(minutes=5))
        for customer in customers:
            if customer.kind == "placed meanwhile, paid" and customer.world.is_open:
                customer.world.pay()
                customer.order.signal(OrderWorkflow.payment_changed)
    simulation.run_for(timedelta(hours=2))

    for customer in customers:
        assert cast(OrderOutcome, customer.order.result()).status is ENDINGS[customer.kind], customer.kind
        did = set(customer.world.did)
        assert ("complete" in did) != ("release" in did)
        assert customer.world.mails == (["order_confirmation"] if "complete" in did else [])
