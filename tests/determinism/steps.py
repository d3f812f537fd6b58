"""What a workflow can do, in the order of its source: its commands, through all of our functions that it calls.

Which branch is taken only a run can tell, so each is followed. A function that is handed on is taken to be called where
it is handed on.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tests.determinism.program import Class, Function, Module, Program
from tests.determinism.values import Activity, Bound, Instance, Opaque, Scope, Symbol, Text, Value, Values

TO_ITS_END = "workflows.shielding.to_its_end"
_STARTS_ACTIVITY = {
    f"temporalio.workflow.{verb}_{where}activity{how}": "local activity" if where else "activity"
    for verb in ("execute", "start")
    for where in ("", "local_")
    for how in ("", "_method", "_class")
}
_STARTS_CHILD = {f"temporalio.workflow.{verb}_child_workflow": "child" for verb in ("execute", "start")}
_OTHERS = {
    "temporalio.workflow.sleep": "timer",
    "asyncio.sleep": "timer",
    "asyncio.timeout": "timer",
    "asyncio.wait_for": "timer",
    "temporalio.workflow.wait_condition": "wait",
    "temporalio.workflow.continue_as_new": "continue as new",
    "temporalio.workflow.upsert_search_attributes": "search attributes",
    "temporalio.workflow.upsert_memo": "memo",
    "temporalio.workflow.patched": "patch",
    "temporalio.workflow.deprecate_patch": "deprecated patch",
}
COMMANDS: Mapping[str, str] = _STARTS_ACTIVITY | _STARTS_CHILD | _OTHERS
_MAKE_HANDLES = {
    "temporalio.workflow.get_external_workflow_handle",
    "temporalio.workflow.get_external_workflow_handle_for",
    "temporalio.workflow.start_child_workflow",
}
_MAKE_AWAITABLES = {"activity", "local activity", "child", "timer", "wait"}
_HANDLE_COMMANDS = {"signal": "signal", "cancel": "cancel"}
_HANDLERS = ("signal", "update", "query")


@dataclass(eq=False)
class Command:
    """One command. `name` is the activity, child, signal or patch; `owner` is where an activity is written."""

    kind: str
    name: str
    call: ast.Call
    module: Module
    activity: Activity | None = None
    queue: str | None = None


@dataclass(eq=False)
class Block:
    """Steps that belong together.

    `kind` says why: a branch, a loop, a call of a function, `task` (a coroutine that nobody awaits on the spot),
    `shield` (the story that `to_its_end` keeps whole), `lock`, `try`.
    """

    kind: str
    steps: "list[Step]"
    node: ast.AST | None = None
    function: Function | None = None
    module: Module | None = None

    @cached_property
    def commands(self) -> list[Command]:
        """All commands in it, each once for every place where it stands."""
        found: list[Command] = []
        for each in self.steps:
            found += [each] if isinstance(each, Command) else each.commands
        return found


Step = Command | Block


@dataclass
class Story:
    """One workflow: its start with its run, and its handlers by their kind and name."""

    workflow: Class
    name: str
    run: Block
    handlers: dict[tuple[str, str], Block] = field(default_factory=dict)

    @property
    def entries(self) -> Iterator[tuple[str, Block]]:
        """The run and every handler, each in words."""
        yield "run", self.run
        for (kind, name), block in sorted(self.handlers.items()):
            yield f"{kind} {name}", block


class Walker:
    """Walks through the workflows of one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.values = Values(program)
        self.unresolved: list[tuple[Module, ast.Call]] = []
        # Calls that stand alone and make a coroutine, or a handle.
        self.dropped: list[tuple[Module, ast.Call]] = []
        self._expanded: dict[tuple[object, ...], Block] = {}
        self._under_way: list[tuple[object, ...]] = []

    def story(self, workflow: Class) -> Story:
        """All that it can do."""
        methods: dict[str, Function] = {}
        for cls in reversed(self.program.lineage(workflow)):
            methods |= cls.methods
        run: list[Step] = []
        handlers: dict[tuple[str, str], Block] = {}
        for name, method in sorted(methods.items(), key=lambda each: each[0] != "__init__"):
            kind = handler_kind(method)
            if name == "__init__" or method.is_decorated("run"):
                run.append(self._expand(method, workflow))
            elif kind is not None:
                handlers[kind, message_name(method)] = self._expand(method, workflow)
        return Story(workflow, workflow_name(workflow), Block("run", run), handlers)

    @property
    def issuing(self) -> set[Function]:
        """The functions that were come by and can issue commands."""
        return {each.function for each in self._expanded.values() if each.function is not None and each.commands}

    # ---- functions ----

    def _expand(self, function: Function, to: Class | None, given: Mapping[str, Value] | None = None) -> Block:
        """The steps of a call. `given` are arguments that say more than the annotations do."""
        known = {name: value for name, value in (given or {}).items() if value is not None}
        key = (function, to, *sorted(known.items(), key=lambda each: each[0]))
        if key in self._expanded:
            return self._expanded[key]
        block = Block("call", [], function.node, function, function.module)
        if key in self._under_way:
            return block
        self._under_way.append(key)
        scope = self.values.scope_of(function, to)
        scope.names = {**known, **scope.names, **{name: each for name, each in known.items() if _says_more(each)}}
        block.steps = self._body(function.node.body, scope)
        self._under_way.pop()
        return self._expanded.setdefault(key, block)

    def _body(self, statements: Sequence[ast.stmt], scope: Scope) -> list[Step]:
        return [step for statement in statements for step in self._statement(statement, scope)]

    def _statement(self, node: ast.stmt, scope: Scope) -> list[Step]:  # noqa: PLR0911 - one for each kind
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                nested = Function(scope.module, node)
                # It sees what its surroundings see, and is walked through where it is called.
                scope.names[node.name] = Bound(nested, None, tuple(_worth_keeping(scope.names)))
                return []
            case ast.If() | ast.While():
                return self._branches(node, scope)
            case ast.For() | ast.AsyncFor():
                steps = self._visit(node.iter, scope)
                return [*steps, *self._block("for", node.body, scope, node), *self._body(node.orelse, scope)]
            case ast.With() | ast.AsyncWith():
                return self._with(node, scope)
            case ast.Try():
                return self._try(node, scope)
            case ast.Match():
                steps = self._visit(node.subject, scope)
                for case in node.cases:
                    steps += [] if case.guard is None else self._visit(case.guard, scope)
                    steps += self._block("case", case.body, scope, case)
                return steps
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and self._is_dropped(node.value, scope):
            self.dropped.append((scope.module, node.value))
        steps = [step for child in _in_order(node) for step in self._visit(child, scope)]
        self._assign(node, scope)
        return steps

    def _is_dropped(self, node: ast.Call, scope: Scope) -> bool:
        callee = self.values.of(node.func, scope)
        if isinstance(callee, Bound):
            return callee.function.is_async
        if isinstance(callee, Symbol):
            return COMMANDS.get(callee.name) in _MAKE_AWAITABLES
        return self._handle_command(node, scope) is not None

    def _assign(self, node: ast.stmt, scope: Scope) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind(target, value, scope)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                known = None if value is None else self.values.of(value, scope)
                scope.names[name] = known or self.values.annotated(annotation, scope.module)

    def _bind(self, target: ast.expr, value: ast.expr, scope: Scope) -> None:
        match target, value:
            case ast.Name(id=name), _:
                scope.names[name] = self.values.of(value, scope)
            case ast.Tuple(elts=names), ast.Tuple(elts=values) if len(names) == len(values):
                found = [self.values.of(each, scope) for each in values]
                for name, known in zip(names, found, strict=True):
                    if isinstance(name, ast.Name):
                        scope.names[name.id] = known
            case ast.Tuple(elts=names), _:
                scope.names |= {name.id: None for name in names if isinstance(name, ast.Name)}

    def _branches(self, node: ast.If | ast.While, scope: Scope) -> list[Step]:
        if isinstance(node, ast.While):
            steps = [*self._visit(node.test, scope), *self._body(node.body, scope)]
            return [Block("while", steps, node, None, scope.module), *self._body(node.orelse, scope)]
        steps = [*self._visit(node.test, scope), *self._block("if", node.body, scope, node)]
        return [*steps, *self._block("else", node.orelse, scope, node)] if node.orelse else steps

    def _with(self, node: ast.With | ast.AsyncWith, scope: Scope) -> list[Step]:
        before = [step for item in node.items for step in self._visit(item.context_expr, scope)]
        is_lock = any(self.values.of(item.context_expr, scope) == Opaque("asyncio.Lock") for item in node.items)
        return [*before, *self._block("lock" if is_lock else "with", node.body, scope, node)]

    def _try(self, node: ast.Try, scope: Scope) -> list[Step]:
        steps = self._block("try", node.body, scope, node)
        for handler in node.handlers:
            caught = "" if handler.type is None else f" {ast.unparse(handler.type)}"
            steps += self._block(f"except{caught}", handler.body, scope, handler)
        steps += self._body(node.orelse, scope)
        return [*steps, *self._block("finally", node.finalbody, scope, node)] if node.finalbody else steps

    def _block(self, kind: str, body: Sequence[ast.stmt], scope: Scope, node: ast.AST) -> list[Step]:
        return [Block(kind, self._body(body, scope), node, None, scope.module)]

    # ---- expressions ----

    def _visit(self, node: ast.AST, scope: Scope, *, is_awaited: bool = False) -> list[Step]:
        match node:
            case ast.Await(value=inner):
                return self._visit(inner, scope, is_awaited=True)
            case ast.Call():
                return self._call(node, scope, is_awaited=is_awaited)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return [
                    *self._visit(test, scope),
                    Block("if", self._visit(body, scope, is_awaited=is_awaited), node, None, scope.module),
                    Block("else", self._visit(orelse, scope, is_awaited=is_awaited), node, None, scope.module),
                ]
            case ast.Name() | ast.Attribute():
                return self._reference(node, scope)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                inside = [step for child in _in_order(node) for step in self._visit(child, scope)]
                return [Block("for", inside, node, None, scope.module)]
        return [step for child in _in_order(node) for step in self._visit(child, scope)]

    def _reference(self, node: ast.Name | ast.Attribute, scope: Scope) -> list[Step]:
        """A function that is handed on, or a property that is read."""
        steps = self._visit(node.value, scope) if isinstance(node, ast.Attribute) else []
        owner = self.values.of(node.value, scope) if isinstance(node, ast.Attribute) else None
        if isinstance(owner, Instance):
            method = self.program.method(owner.of, node.attr if isinstance(node, ast.Attribute) else "")
            if method is not None and _is_ours(method):
                return [*steps, self._expand(method, owner.of)]
        found = self.values.of(node, scope)
        if isinstance(found, Bound) and owner is None and _is_ours(found.function):
            return [*steps, self._expand(found.function, None, dict(found.names))]
        if isinstance(found, Bound) and isinstance(owner, Module) and _is_ours(found.function):
            return [*steps, self._expand(found.function, None)]
        return steps

    def _call(self, node: ast.Call, scope: Scope, *, is_awaited: bool) -> list[Step]:
        callee = self.values.of(node.func, scope)
        before = self._visit(node.func.value, scope) if isinstance(node.func, ast.Attribute) else []
        if isinstance(callee, Symbol) and callee.name in COMMANDS:
            return [*before, *self._command(COMMANDS[callee.name], node, scope)]
        handle = self._handle_command(node, scope)
        arguments = [step for each in self._arguments(node, scope, handle) for step in self._visit(each, scope)]
        if handle is not None:
            return [*before, *arguments, handle]
        if not isinstance(callee, Bound | Class):
            if callee is None and isinstance(node.func, ast.Attribute):
                self.unresolved.append((scope.module, node))
            return [*before, *arguments]
        if isinstance(callee, Class):
            made = [self.program.method(callee, each) for each in ("__init__", "__post_init__")]
            called = [self._expand(each, callee) for each in made if each is not None and _is_ours(each)]
            return [*before, *arguments, *called]
        if not _is_ours(callee.function):
            return [*before, *arguments]
        if callee.function.name == TO_ITS_END and arguments:
            arguments = [Block("shield", arguments, node, None, scope.module)]
        called = self._expand(callee.function, callee.to, {**dict(callee.names), **self._given(node, callee, scope)})
        is_task = callee.function.is_async and not is_awaited
        return [*before, *arguments, Block("task", [called], node, None, scope.module) if is_task else called]

    def _arguments(self, node: ast.Call, scope: Scope, handle: Command | None) -> list[ast.expr]:
        """But for the message that a handle is sent: nothing is called there."""
        given = [*node.args, *(each.value for each in node.keywords)]
        return given[1:] if handle is not None else given

    def _given(self, node: ast.Call, callee: Bound, scope: Scope) -> dict[str, Value]:
        """Arguments that say more than annotations: steps and names of steps. What is handed on is walked already."""
        names = [each.arg for each in callee.function.parameters]
        names = names[1:] if callee.to is not None else names
        found = dict(zip(names, (self.values.of(each, scope) for each in node.args), strict=False))
        found |= {each.arg: self.values.of(each.value, scope) for each in node.keywords if each.arg is not None}
        return {name: value for name, value in found.items() if _says_more(value)}

    def _command(self, kind: str, node: ast.Call, scope: Scope) -> list[Step]:
        keywords = {each.arg: each.value for each in node.keywords}
        first = self.values.of(node.args[0], scope) if node.args else None
        rest = node.args[1:] if kind in {"activity", "local activity", "child"} else node.args
        steps = [step for each in [*rest, *keywords.values()] for step in self._visit(each, scope)]
        if kind == "wait" and not _has_timeout(node, keywords):
            return steps
        queue = self.values.of(keywords["task_queue"], scope) if "task_queue" in keywords else None
        made = Command("timer" if kind == "wait" else kind, self._name(kind, first, node), node, scope.module)
        made.activity = first if isinstance(first, Activity) else None
        made.queue = queue.value if isinstance(queue, Text) else None
        return [*steps, made]

    def _name(self, kind: str, first: Value, node: ast.Call) -> str:
        match first:
            case Activity(name=name) | Text(value=name) if kind not in {"timer", "wait"}:
                return name
            case Bound(function=function) if kind == "child" and function.owner is not None:
                return workflow_name(function.owner)
        named = kind in {"activity", "local activity", "child", "patch", "deprecated patch"} and node.args
        return ast.unparse(node.args[0]) if named else ""

    def _handle_command(self, node: ast.Call, scope: Scope) -> Command | None:
        """A signal to another workflow, or its cancellation."""
        if not isinstance(node.func, ast.Attribute) or node.func.attr not in _HANDLE_COMMANDS:
            return None
        owner = self.values.of(node.func.value, scope)
        if not isinstance(owner, Opaque) or owner.maker not in _MAKE_HANDLES:
            return None
        message = self.values.of(node.args[0], scope) if node.args else None
        name = ""
        if isinstance(message, Bound) and message.function.owner is not None:
            name = f"{workflow_name(message.function.owner)}.{message_name(message.function)}"
        elif isinstance(message, Text):
            name = message.value
        return Command(_HANDLE_COMMANDS[node.func.attr], name, node, scope.module)


def workflow_name(workflow: Class) -> str:
    """As it is registered."""
    definition = workflow.definition
    given = definition.keywords if isinstance(definition, ast.Call) else []
    named = [each.value.value for each in given if each.arg == "name" and isinstance(each.value, ast.Constant)]
    return str(named[0]) if named else workflow.node.name


def handler_kind(method: Function) -> str | None:
    """`signal`, `update` or `query`; none for other methods."""
    return next((kind for kind in _HANDLERS if method.is_decorated(kind)), None)


def message_name(method: Function) -> str:
    """As it is sent."""
    for kind in _HANDLERS:
        decorator = method.decorator(kind)
        if isinstance(decorator, ast.Call):
            for each in decorator.keywords:
                if each.arg == "name" and isinstance(each.value, ast.Constant):
                    return str(each.value.value)
    return method.node.name


def _has_timeout(node: ast.Call, keywords: Mapping[str | None, ast.expr]) -> bool:
    given = keywords.get("timeout")
    return given is not None and not (isinstance(given, ast.Constant) and given.value is None)


def _says_more(value: Value) -> bool:
    """Than the annotation of a parameter does."""
    return isinstance(value, Activity)


def _is_ours(function: Function) -> bool:
    """Whether it may issue commands: rules and messages never do, and steps are not called but scheduled."""
    return function.module.name.startswith("workflows.")


def _worth_keeping(names: Mapping[str, Value]) -> Iterator[tuple[str, Value]]:
    yield from ((name, value) for name, value in names.items() if value is not None)


def _in_order(node: ast.AST) -> list[ast.AST]:
    """What is evaluated within, in order; what a comprehension goes over comes before what it makes of it."""
    children = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr | ast.keyword | ast.stmt)]
    if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
        parts: list[ast.AST] = []
        for generator in node.generators:
            parts += [generator.iter, *generator.ifs]
        return [*parts, *children]
    if isinstance(node, ast.Lambda):
        return [node.body]
    if isinstance(node, ast.AnnAssign):
        return [] if node.value is None else [node.value]
    if isinstance(node, ast.JoinedStr | ast.FormattedValue):
        return [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]
    return children
