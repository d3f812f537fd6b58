"""What happens in an order that nobody has fixed."""

import ast
from collections.abc import Iterator

from tests.determinism.lint import Code, Place, rule
from tests.determinism.program import Function
from tests.determinism.steps import Block, Command, Story
from tests.determinism.values import Opaque, Scope, Values

_SETS = {
    "builtins.set",
    "builtins.frozenset",
    "typing.AbstractSet",
    "collections.abc.Set",
    "collections.abc.MutableSet",
    "builtins.set.copy",
} | {
    f"builtins.{kind}.{method}"
    for kind in ("set", "frozenset")
    for method in ("union", "intersection", "difference", "symmetric_difference", "copy")
}
# What comes to the same in whatever order.
_ORDERLESS = {"sorted", "len", "any", "all", "sum", "min", "max", "set", "frozenset", "Counter", "bool"}
_ORDERING = {"list", "tuple", "iter", "enumerate", "zip", "map", "filter", "reversed", "dict"}


@rule(
    "W005",
    "A set has another order in every process.",
    instead="go over `sorted(…)`, or keep a list, a tuple or a dict, which remember theirs.",
)
def set_order(code: Code) -> Iterator[Place]:
    """Loops over sets, and what makes a sequence of one."""
    for function in code.functions:
        sets = _Sets(code.walker.values, function)
        for node in function.nodes:
            for each in _ordered_in(node):
                if sets.is_set(each) and not _is_orderless(code, function, node):
                    yield function.module, each, f"`{ast.unparse(each)}`"


class _Sets:
    """Which expressions of a function are sets."""

    def __init__(self, values: Values, function: Function) -> None:
        self._values = values
        self._scope: Scope = values.scope_of(function, function.owner)
        for node in function.nodes:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    found = values.of(value, self._scope)
                    self._scope.names[name] = Opaque("builtins.set") if self.is_set(value) else found
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                    self._scope.names[name] = values.annotated(annotation, function.module)

    def is_set(self, node: ast.expr) -> bool:
        """Whether it is one, as far as can be told."""
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor(), right=right):
                return self.is_set(left) or self.is_set(right) or _is_keys(left) or _is_keys(right)
            case ast.IfExp(body=body, orelse=orelse):
                return self.is_set(body) or self.is_set(orelse)
            case ast.Attribute() | ast.Name() | ast.Call():
                found = self._values.of(node, self._scope)
                return isinstance(found, Opaque) and found.maker in _SETS
        return False


def _is_keys(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys"


def _ordered_in(node: ast.AST) -> Iterator[ast.expr]:
    """What this node goes over in its order."""
    match node:
        case ast.For(iter=over) | ast.AsyncFor(iter=over):
            yield over
        case ast.ListComp(generators=each) | ast.GeneratorExp(generators=each) | ast.DictComp(generators=each):
            yield from (one.iter for one in each)
        case ast.Call(func=ast.Name(id=name), args=args) if name in _ORDERING:
            yield from args
        case ast.Call(func=ast.Attribute(attr="join"), args=[over]):
            yield over
        case ast.Call(func=ast.Attribute(attr="pop", value=over), args=[]):
            yield over
        case ast.Starred(value=over):
            yield over


def _is_orderless(code: Code, function: Function, node: ast.AST) -> bool:
    """Whether the order is lost again at once: `any(… for each in them)`, `sorted(list(them))`."""
    above = next(code.above(function.module, node), None)
    if isinstance(node, ast.Starred) and isinstance(above, ast.Set):
        return True
    is_comprehension = isinstance(node, ast.GeneratorExp | ast.ListComp | ast.Call)
    return is_comprehension and isinstance(above, ast.Call) and ast.unparse(above.func) in _ORDERLESS


@rule(
    "W007",
    "Local activities side by side need not replay (temporalio/sdk-python issue 1578).",
    instead="one at a time under an `asyncio.Lock` that all of them take, or ordinary activities.",
)
def local_activities_side_by_side(code: Code) -> Iterator[Place]:
    """Local activities that no lock keeps apart, where a handler or a task of its own has some too."""
    for story in code.stories:
        found = list(dict.fromkeys(_local_activities(story)))
        if any(is_aside for _, is_aside, _ in found):
            for command, _, is_locked in found:
                if not is_locked:
                    yield command.module, command.call, f"`{command.name}` in {story.name}"


def _local_activities(story: Story) -> Iterator[tuple[Command, bool, bool]]:
    """Each with whether it runs beside the story, and whether under a lock."""
    seen: set[tuple[int, bool, bool]] = set()

    def within(block: Block, *, is_aside: bool, is_locked: bool) -> Iterator[tuple[Command, bool, bool]]:
        key = (id(block), is_aside, is_locked)
        if key in seen:
            return
        seen.add(key)
        for step in block.steps:
            if isinstance(step, Command):
                if step.kind == "local activity":
                    yield step, is_aside, is_locked
                continue
            # The story that `to_its_end` waits for is a task, but the only one that runs then.
            aside = is_aside or (step.kind == "task" and block.kind != "shield")
            yield from within(step, is_aside=aside, is_locked=is_locked or step.kind == "lock")

    for entry, block in story.entries:
        yield from within(block, is_aside=entry != "run", is_locked=False)
