"""Money steps: none is cut off, and none is swallowed."""

import ast
from collections.abc import Iterator
from functools import cache

from tests.determinism.lint import Code, Place, rule
from tests.determinism.program import Function, Module
from tests.determinism.steps import Block, Command, Story
from tests.determinism.values import Bound, Values

_READS = ("retrieve", "list", "search", "next_page", "auto_paging")
_BROAD = {"Exception", "BaseException", ""}


@cache
def money_steps(code: Code) -> set[str]:
    """The activities that move money at Stripe, or have it asked for: those that come to call what is no read there."""
    values = code.walker.values
    calls: dict[Function, set[Function]] = {}
    waiting = [step for module in _activity_modules(code) for step in module.all_functions if step.is_decorated("defn")]
    steps = list(waiting)
    while waiting:
        function = waiting.pop()
        if function not in calls:
            calls[function] = set(_called(values, function))
            waiting += [each for each in calls[function] if _is_port(each.module)]
    moves = {each for each in calls if _moves(each)}
    while more := {each for each, called in calls.items() if called & moves} - moves:
        moves |= more
    return {each.node.name for each in steps if each in moves}


def _activity_modules(code: Code) -> list[Module]:
    named = {target.rpartition(".")[0] for module in code.modules for target in module.imported.values()}
    found = [code.program.module(each) for each in sorted(named) if each.startswith("activities.")]
    return [each for each in found if each is not None and _is_port(each)]


def _is_port(module: Module) -> bool:
    return "stripe" in module.imported


def _moves(function: Function) -> bool:
    """Whether it calls something of the official client that is no read."""
    names = [node.attr for node in function.nodes if isinstance(node, ast.Attribute)]
    return any(each.endswith("_async") and not each.startswith(_READS) for each in names)


def _called(values: Values, function: Function) -> Iterator[Function]:
    """The functions of ours that it calls or hands on."""
    scope = values.scope_of(function, function.owner)
    for node in function.nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                scope.names[name] = values.of(value, scope)
    for node in function.nodes:
        if isinstance(node, ast.Attribute | ast.Name):
            found = values.of(node, scope)
            if isinstance(found, Bound):
                yield found.function


@rule(
    "W017",
    "`except Exception` is not entered when a cancellation comes in a wait, and swallows one that comes in a step: "
    "money is lost either way.",
    instead="catch `ActivityError`; or `except BaseException`, put right what has to be, and `raise`.",
)
def broad_excepts(code: Code) -> Iterator[Place]:
    """Broad handlers around money steps."""
    money = money_steps(code)
    for story in code.stories:
        for block in _blocks(story):
            if block.kind == "try" and isinstance(block.node, ast.Try) and block.module is not None:
                touched = sorted({each.name for each in block.commands if each.name in money})
                for handler in block.node.handlers if touched else []:
                    if _swallows(handler):
                        yield block.module, handler, f"around `{'`, `'.join(touched)}`"


def _swallows(handler: ast.ExceptHandler) -> bool:
    caught = "" if handler.type is None else ast.unparse(handler.type).strip("()")
    named = {each.strip().rpartition(".")[2] for each in caught.split(",")}
    last = handler.body[-1]
    raises_again = isinstance(last, ast.Raise) and (
        last.exc is None or (isinstance(last.exc, ast.Name) and last.exc.id == handler.name)
    )
    return "Exception" in named or (bool(named & _BROAD) and not raises_again)


@rule(
    "W018",
    "A cancellation of the workflow would cut it off in the middle, and nobody would know whether the money has moved.",
    instead="`to_its_end(asyncio.create_task(…), …)` (workflows/shielding.py) around the story.",
)
def unshielded_money(code: Code) -> Iterator[Place]:
    """Money steps that a run comes by outside of `to_its_end`."""
    money = money_steps(code)
    for story in code.stories:
        for command in dict.fromkeys(_unshielded(story.run, set())):
            if command.name in money:
                yield command.module, command.call, f"`{command.name}` in {story.name}"


def _unshielded(block: Block, seen: set[int]) -> Iterator[Command]:
    if id(block) in seen:
        return
    seen.add(id(block))
    for step in block.steps:
        if isinstance(step, Command):
            yield step
        elif step.kind != "shield":
            yield from _unshielded(step, seen)


def _blocks(story: Story) -> Iterator[Block]:
    """All of them, each once."""
    seen: set[int] = set()
    waiting = [block for _, block in story.entries]
    while waiting:
        block = waiting.pop()
        if id(block) not in seen:
            seen.add(id(block))
            yield block
            waiting += [each for each in block.steps if isinstance(each, Block)]
