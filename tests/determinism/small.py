"""Small workflows for tests, as source: a module `workflows.small` with the usual imports."""

from tests.determinism.program import Class, Module, Program
from tests.determinism.steps import Story, Walker

MODULE = "workflows.small"
_IMPORTS = """
import asyncio
from datetime import timedelta
from temporalio import workflow
from temporalio.common import VersioningBehavior
with workflow.unsafe.imports_passed_through():
    from activities.orders import OrderActivities
    from activities.refunds import RefundActivities
    from activities.mail import MailActivities
    from models.errors import Reason, refusal
    from workflows.policies import MAIL, RECORD, STRIPE
    from workflows.shielding import to_its_end
"""
HEAD = f"{_IMPORTS}\n@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)\n"


def small(source: str, head: str = HEAD) -> Program:
    """The program with this as its only workflow module, beside those of the project."""
    return Program.of_sources({MODULE: head + source})


def module_of(program: Program) -> Module:
    """The small module."""
    found = program.module(MODULE)
    assert found is not None
    return found


def class_of(program: Program) -> Class:
    """The workflow class in it, the first if there are several."""
    return next(each for each in module_of(program).classes.values() if each.definition is not None)


def story_of(source: str) -> Story:
    """What the workflow in it can do."""
    program = small(source)
    return Walker(program).story(class_of(program))
