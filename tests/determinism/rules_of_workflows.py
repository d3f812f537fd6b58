"""How workflow classes are made: upgradable, never wedged by a refusal, whole at their end."""

import ast
import sys
from collections.abc import Iterator

from tests.determinism.lint import Code, Place, rule
from tests.determinism.program import Class, Function, Module
from tests.determinism.steps import handler_kind

_FAILURES = ("temporalio.exceptions.", "asyncio.TimeoutError", "builtins.TimeoutError", "asyncio.CancelledError")
_PASSED_THROUGH = "temporalio.workflow.unsafe.imports_passed_through"


@rule(
    "W015",
    "Without it nobody has decided whether a sleeping run stays with its build or moves on.",
    instead="`@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)`, or `VersioningBehavior.AUTO_UPGRADE`.",
)
def no_versioning(code: Code) -> Iterator[Place]:
    """Workflows without a versioning behavior."""
    for each in code.workflows:
        if "versioning_behavior" not in _defined(each):
            yield each.module, each.node, each.node.name


@rule(
    "W016",
    "An exception that Temporal does not know as a failure fails the workflow task for ever: the run is wedged, and "
    "who has called an update never hears.",
    instead="`raise refusal(…)` (models/errors.py) or another `ApplicationError`; or `failure_exception_types`.",
)
def plain_exceptions(code: Code) -> Iterator[Place]:
    """`raise` of anything else. A failed `assert` is a defect, and is meant to stop the run until it is mended."""
    for module in code.modules:
        if all("failure_exception_types" in _defined(each) for each in code.workflows if each.module is module) and any(
            each.module is module for each in code.workflows
        ):
            continue
        for function in module.all_functions:
            for node in function.nodes:
                if isinstance(node, ast.Raise) and not _is_failure(code, function.module, node.exc, node):
                    yield module, node, f"`{ast.unparse(node)}`"


def _is_failure(code: Code, module: Module, raised: ast.expr | None, at: ast.AST) -> bool:
    if raised is None:
        return True
    if isinstance(raised, ast.Name) and _is_caught_as(code, module, raised.id, at):
        return True
    dotted = module.dotted(raised.func if isinstance(raised, ast.Call) else raised)
    if dotted is None:
        return False
    found = code.program.find(dotted)
    if isinstance(found, Class):
        bases = [base for each in code.program.lineage(found) for base in each.node.bases]
        named = [each.module.dotted(base) for each in code.program.lineage(found) for base in each.node.bases]
        return bool(bases) and any(name is not None and name.startswith(_FAILURES) for name in named)
    if isinstance(found, Function):
        answers = [each for each in found.nodes if isinstance(each, ast.Return)]
        return bool(answers) and all(
            each.value is not None and _is_failure(code, found.module, each.value, each) for each in answers
        )
    return dotted.startswith(_FAILURES)


def _is_caught_as(code: Code, module: Module, name: str, at: ast.AST) -> bool:
    return any(isinstance(each, ast.ExceptHandler) and each.name == name for each in code.above(module, at))


@rule(
    "W020",
    "The sandbox would load the module anew for every run: slow, and its classes would not be those of the worker.",
    instead="`with workflow.unsafe.imports_passed_through():` at the top of the file.",
)
def sandboxed_imports(code: Code) -> Iterator[Place]:
    """Imports of ours and of libraries that are not passed through, and imports within functions."""
    homes = {each.module.name for each in code.workflows}
    for module in code.modules:
        for node in module.nodes:
            names = _imports(node)
            if not names:
                continue
            above = list(code.above(module, node))
            is_late = any(isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) for each in above)
            if is_late or (module.name in homes and not any(_passes_through(module, each) for each in above)):
                yield module, node, f"`{', '.join(names)}`"


def _imports(node: ast.AST) -> list[str]:
    """What is imported, but for the standard library and Temporal."""
    match node:
        case ast.Import(names=aliases):
            names = [each.name for each in aliases]
        case ast.ImportFrom(module=str() as module):
            names = [module]
        case _:
            return []
    free = {*sys.stdlib_module_names, "temporalio"}
    return [each for each in names if each.partition(".")[0] not in free]


def _passes_through(module: Module, node: ast.AST) -> bool:
    return isinstance(node, ast.With) and any(
        isinstance(each.context_expr, ast.Call) and module.dotted(each.context_expr.func) == _PASSED_THROUGH
        for each in node.items
    )


@rule(
    "W022",
    "Who called an update that is still under way would hear nothing but that the workflow has ended.",
    instead="`to_its_end(…)` (workflows/shielding.py), or wait for `workflow.all_handlers_finished` before each end.",
)
def unfinished_handlers(code: Code) -> Iterator[Place]:
    """Workflows that have handlers which wait, and end without waiting for them."""
    for story in code.stories:
        methods = [each for cls in code.program.lineage(story.workflow) for each in cls.methods.values()]
        waits = [each for each in methods if each.is_async and handler_kind(each) in {"signal", "update"}]
        if waits and not _waits_for_handlers(code, story.workflow):
            yield story.workflow.module, story.workflow.node, f"{story.name} has `{waits[0].node.name}`"


def _waits_for_handlers(code: Code, workflow: Class) -> bool:
    names = {dotted for module, _, dotted in code.names if module is workflow.module}
    return bool(names & {"workflows.shielding.to_its_end", "temporalio.workflow.all_handlers_finished"})


def _defined(workflow: Class) -> set[str | None]:
    definition = workflow.definition
    return {each.arg for each in definition.keywords} if isinstance(definition, ast.Call) else set()
