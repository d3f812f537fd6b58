"""A purchase against a reminder that is being sent: committed before the mail is claimed, it gives no mail."""

import random
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest

from models.identifiers import cart_workflow_id
from models.messages.carts import CartStart
from models.vocabulary import CartStatus, MailStatus
from tests.thoroughness import parts
from tests.workflows.cart_world import PERSON, CartRow, CartWorld
from tests.workflows.simulation import Simulation
from workflows.cart import CartWorkflow

RUNS_OF_A_TEST = 2500
CART = UUID(int=1)
# Where the purchase may commit: before the wake, between two steps of the send, or after it.
MOMENTS = ("before", "write", "connect", "claim", "settle", "after")


def _race(seed: str, *, looks_before_claim: bool = True) -> tuple[str, CartWorld]:
    """The last seconds before a mail: where the purchase was committed, and what came of it."""
    chance = random.Random(seed)  # noqa: S311 - the same race every time
    world = CartWorld(looks_before_claim=looks_before_claim, delays=(timedelta(hours=1),))
    simulation = Simulation(world.steps, chance)
    due = simulation.started + timedelta(seconds=chance.choice((0, 0, 5, 9)))
    abandoned_at = due - timedelta(hours=1)
    world.carts[CART] = CartRow(abandoned_at, CartStatus.ABANDONED, abandoned_at=abandoned_at)
    start = CartStart(cart_id=CART, person_id=PERSON, status=CartStatus.ABANDONED)
    run = simulation.start(CartWorkflow.run, start, cart_workflow_id(CART))
    wanted = chance.choice(MOMENTS)
    happened: list[str] = []

    def commit(where: str) -> None:
        if not happened:
            happened.append(where)
            world.buy(simulation.now)
            if chance.random() < 0.7:
                run.signal(CartWorkflow.ordered)

    world.meanwhile = lambda step: commit(step) if step == wanted else None
    if wanted == "before":
        simulation.after(timedelta(milliseconds=chance.randrange(20_000)), lambda: commit("by the clock"))
    # What follows the race is told elsewhere (test_cart.py); ten thousand races have to be short.
    simulation.run_until(lambda: _is_decided(world) or run.ended is not None)
    commit("after")
    return happened[0], world


def _is_decided(world: CartWorld) -> bool:
    mail = world.mails.get((CART, "1"))
    return mail is not None and mail.status is not MailStatus.QUEUED


@pytest.mark.parametrize("part", parts(1, 4))
def test_a_purchase_that_is_committed_before_the_claim_gives_no_mail(part: int) -> None:
    """2,500 races, or 10,000. What the ledger says is what happened: one mail before the purchase, or none and why."""
    ends = Counter[tuple[str, MailStatus | None]]()
    for number in range(RUNS_OF_A_TEST):
        seed = f"{part}-{number}"
        where, world = _race(seed)
        assert world.wrongs == [], seed
        assert world.carts[CART].status is CartStatus.ORDERED, seed
        mail = world.mails.get((CART, "1"))
        [bought_at] = world.purchases
        if mail is not None and mail.handed_over_at is not None:
            assert mail.status is MailStatus.SENT, seed
            assert mail.handed_over_at <= bought_at, seed
        elif mail is not None:
            assert (mail.status, mail.reason) == (MailStatus.SKIPPED, "bought"), seed
        ends[where, mail.status if mail else None] += 1
    assert min(ends["claim", MailStatus.SKIPPED], ends["settle", MailStatus.SENT]) > 100, ends
    assert ends["by the clock", None] + ends["by the clock", MailStatus.SKIPPED] > 10, ends


def test_without_the_second_look_there_would_be_mails_after_the_purchase() -> None:
    """That the races above can fail."""
    wrongs = Counter(wrong for number in range(100) for wrong in _race(str(number), looks_before_claim=False)[1].wrongs)
    assert wrongs["mail 1 went out after the purchase"] > 10
