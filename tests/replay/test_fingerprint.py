"""A changed order of commands is noticed before a sleeping run meets it."""

import ast

import pytest

from tests.determinism.small import story_of
from tests.determinism.steps import COMMANDS
from tests.determinism.workflow_code import modules, stories, walker
from tests.replay.fingerprint import RENEW, committed, difference, fingerprint, replayed_by, saved_histories, todays

BEFORE = """
class Small:
    @workflow.run
    async def run(self) -> None:
        # first the order
        placed = await workflow.execute_local_activity_method(OrderActivities.place_order, summary="Place it", **RECORD)
        await self._wait()
        if placed.total:
            await workflow.execute_activity_method(MailActivities.send_mail, summary="Mail it", **MAIL)

    async def _wait(self) -> None:
        await workflow.sleep(60, summary="A minute")
"""
_PLACE = BEFORE.splitlines()[5]
_WAIT = "        await self._wait()"
_PATCHED = (
    '        if workflow.patched("a second look"):\n            await workflow.sleep(1, summary="A second")\n' + _WAIT
)

SAME = {
    "a comment": ("# first the order", "# the order comes first"),
    "the name of a variable": ("placed", "what_was_placed"),
    "the name of a method": ("_wait", "_rest"),
    "a summary": ("Place it", "Write it down"),
    "a time": ("sleep(60", "sleep(90"),
    "a step that moved into a method": (_WAIT, '        await workflow.sleep(60, summary="A minute")'),
}
OTHER = {
    "another order": (f"{_PLACE}\n{_WAIT}", f"{_WAIT}\n{_PLACE}"),
    "another activity": ("OrderActivities.place_order", "OrderActivities.complete_order"),
    "one activity more": (_PLACE, f"{_PLACE}\n{_PLACE}"),
    "a timer more": (_WAIT, f"{_WAIT}\n{_WAIT}"),
    "a wait that ends by itself": (
        _WAIT,
        f"{_WAIT}\n        await workflow.wait_condition(lambda: False, timeout=timedelta(days=1))",
    ),
    "remote, not local": ("execute_local_activity_method", "execute_activity_method"),
    "another queue": ("**MAIL", 'task_queue="others", **MAIL'),
    "a branch less": ("if placed.total:", "with open_ended:"),
    "a task of its own": (_WAIT, "        asyncio.create_task(self._wait())"),
    "a child": (_WAIT, '        await workflow.execute_child_workflow("Other", static_summary="Other")'),
    "continue-as-new": (_WAIT, "        workflow.continue_as_new()"),
    "search attributes": (_WAIT, f"{_WAIT}\n        workflow.upsert_search_attributes([])"),
    "a signal to another": (
        _WAIT,
        '        await workflow.get_external_workflow_handle("other").signal("wake")',
    ),
    "a patch": (_WAIT, _PATCHED),
    "a step of a handler": (
        "    @workflow.run",
        "    @workflow.signal\n    async def wake(self) -> None:\n        await self._wait()\n\n    @workflow.run",
    ),
}


def _lines(change: tuple[str, str] | None = None) -> list[str]:
    source = BEFORE if change is None else BEFORE.replace(*change)
    assert change is None or source != BEFORE
    return fingerprint(story_of(source))


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_what_does_not_matter_leaves_it_as_it_is(change: tuple[str, str]) -> None:
    assert _lines(change) == _lines() == [
        "run",
        "  local activity place_order",
        "  timer",
        "  if",
        "    activity send_mail",
    ]  # fmt: skip


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER)
def test_what_a_sleeping_run_would_meet_changes_it(change: tuple[str, str]) -> None:
    assert _lines(change) != _lines()


def test_the_difference_is_told_in_words() -> None:
    swapped = difference("OrderWorkflow", _lines(), _lines(OTHER["another order"]))
    assert "gone" in swapped
    assert "new     timer" in swapped
    assert "No new `workflow.patched` marker" in swapped
    assert "0.7.0/paid" in swapped
    assert "make replay" in swapped
    assert RENEW in swapped
    assert "A new marker was seen: a second look." in difference("Small", _lines(), _lines(OTHER["a patch"]))
    assert "no saved history would notice" in difference("Small", _lines(), _lines(OTHER["a child"]))
    assert difference("Small", _lines(), _lines()) == ""


def test_saved_histories_are_found_by_their_workflow() -> None:
    assert {file.stem for file in saved_histories()["WakeDripsWorkflow"]} == {"wake_drips"}
    assert "0.1.0/paid" in replayed_by("OrderWorkflow")


def test_every_workflow_still_issues_the_commands_that_are_written_down() -> None:
    before, after = committed(), todays()
    told = [difference(each, before.get(each), after.get(each)) for each in sorted(before.keys() | after.keys())]
    if any(told):
        pytest.fail("\n".join(filter(None, told)), pytrace=False)


def test_no_command_is_overlooked() -> None:
    """Every call that issues a command stands in some workflow's fingerprint."""
    seen = {(each.module.name, each.call.lineno) for story in stories() for _, block in story.entries
            for each in block.commands}  # fmt: skip
    missing = [
        f"{module.source.file}:{node.lineno}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and COMMANDS.get(module.dotted(node.func) or "", "wait") != "wait"
        and (module.name, node.lineno) not in seen
    ]
    assert not missing, (
        f"No workflow seems to come here: {', '.join(missing)}. Either nobody calls it (delete it), or what calls it "
        "has to say by an annotation whose method it calls (tests/determinism/values.py reads them)."
    )


def test_every_method_that_issues_commands_is_followed() -> None:
    """A call on something of an unknown class might be one of ours that issues commands."""
    stories()
    issuing = {function.node.name for function in walker().issuing}
    unknown = [
        f"{module.source.file}:{call.lineno}: {ast.unparse(call.func)}"
        for module, call in walker().unresolved
        if isinstance(call.func, ast.Attribute) and call.func.attr in issuing
    ]
    assert not unknown, f"Annotate what these are called on, so that the fingerprint can follow them: {unknown}"
