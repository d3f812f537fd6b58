"""The code that workflows run, found from `worker.WORKFLOWS`."""

from functools import cache

from tests.determinism.program import Class, Module, Program
from tests.determinism.steps import Story, Walker
from worker import WORKFLOWS


@cache
def program() -> Program:
    """Today's code, read once."""
    return Program.of_project()


@cache
def walker() -> Walker:
    """One for all workflows: what they share is walked through once."""
    return Walker(program())


@cache
def stories() -> tuple[Story, ...]:
    """What each workflow can do."""
    return tuple(walker().story(each) for each in classes())


@cache
def modules() -> tuple[Module, ...]:
    """The modules of `workflows/` that a workflow can reach."""
    return tuple(program().reached([each.module.name for each in classes()]))


@cache
def classes() -> tuple[Class, ...]:
    """The workflow classes that the worker runs."""
    found = [program().find(f"{each.__module__}.{each.__qualname__}") for each in WORKFLOWS]
    return tuple(each for each in found if isinstance(each, Class))
