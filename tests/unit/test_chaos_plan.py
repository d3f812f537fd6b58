"""What happens in `make chaos` follows from its seed alone."""

import pytest

from chaos.blows import STRIKING
from chaos.deeds import DOING
from chaos.plan import BLOWS, DEEDS, Blow, Deed, plan_of, small_plan


@pytest.mark.parametrize("seed", range(5))
def test_a_seed_is_a_plan(seed: int) -> None:
    assert plan_of(seed, 300) == plan_of(seed, 300)
    assert small_plan(seed) == small_plan(seed)
    assert plan_of(seed, 300) != plan_of(seed + 1, 300)


def test_long_plans_have_everything_and_nobody_comes_twice() -> None:
    plan = plan_of(42, 3600)
    assert {visit.deed for visit in plan.visits} == set(Deed)
    assert {strike.blow for strike in plan.strikes} == set(Blow)
    people = [person for visit in plan.visits for person in visit.people]
    assert sorted(people) == list(range(plan.people))
    assert all(0 <= each.at <= 3600 for each in (*plan.visits, *plan.strikes))
    assert [visit.at for visit in plan.visits] == sorted(visit.at for visit in plan.visits)


def test_a_small_plan_has_every_deed() -> None:
    assert {visit.deed for visit in small_plan(1).visits} == set(Deed)


def test_whatever_can_be_planned_can_be_done() -> None:
    assert DEEDS.keys() == DOING.keys() == set(Deed), "a deed needs a weight and a coroutine"
    assert BLOWS.keys() == STRIKING.keys() == set(Blow), "a blow needs a weight and a coroutine"
