"""Courses that a learning platform has to open: each place on its own, for as long as it takes."""

from datetime import timedelta

from temporalio.testing import WorkflowEnvironment

from models.vocabulary import OrderStatus, TaskAction, TaskKind, WaitingFor
from tests.workflows.conftest import Begin, ending, lasted
from tests.workflows.order_world import OrderWorld, an_order
from tests.workflows.test_payments import decide
from workflows.order import OrderWorkflow

FOR_EVER = 1_000_000


async def test_the_platform_is_told_while_the_papers_are_on_their_way(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld(total=0, is_provisioned_elsewhere=True, fail_first={"provision": 3})
    handle, _ = await begin(world, an_order())
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    assert sorted(world.did[2:]) == ["mail", "provision", "receipt"]


async def test_a_platform_that_stays_down_for_three_days_costs_the_place(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld(is_provisioned_elsewhere=True, fail_first={"provision": FOR_EVER})
    handle, _ = await begin(world, an_order())
    world.pay()
    await handle.signal(OrderWorkflow.payment_changed)
    await fast_temporal.sleep(timedelta(hours=23))
    assert world.tasks == {}
    await fast_temporal.sleep(timedelta(hours=2))
    [task] = world.tasks.values()
    assert (task.kind, task.subject_kind) == (TaskKind.PROVISIONING_FAILED, "enrollment")
    state = await handle.query(OrderWorkflow.status)
    assert (state.waiting_for, state.needs_human) == (WaitingFor.OPERATOR, True)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.REFUNDED
    assert timedelta(hours=71) < await lasted(handle) < timedelta(hours=73)
    assert sorted(world.mails) == ["order_confirmation", "refund:provisioning_failed"]


async def test_a_person_has_it_tried_again(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld(total=0, is_provisioned_elsewhere=True, fail_first={"provision": FOR_EVER})
    handle, _ = await begin(world, an_order())
    await fast_temporal.sleep(timedelta(hours=25))
    world.fail_first.clear()
    await decide(handle, TaskAction.RETRY)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    assert world.did[-2:] == ["decided", "provision"]
