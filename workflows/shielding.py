"""Keeping a story whole: a cancelled workflow is told so, and never cut off between two money steps."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from temporalio import workflow

Outcome = TypeVar("Outcome")


async def to_its_end(story: "asyncio.Task[Outcome]", on_cancellation: Callable[[], None] = lambda: None) -> Outcome:
    """The story's outcome, once every handler has answered too. What a cancellation means is the story's to decide."""
    while True:
        try:
            outcome = await asyncio.shield(story)
            await workflow.wait_condition(workflow.all_handlers_finished)
            return outcome
        except asyncio.CancelledError:
            if story.cancelled():
                raise
            on_cancellation()
