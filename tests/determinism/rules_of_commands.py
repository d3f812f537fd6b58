"""How commands are issued: with time-outs, with a story for operators, and never forgotten."""

import ast
from collections.abc import Iterator, Mapping
from datetime import timedelta

from tests.determinism.lint import Code, Place, rule
from tests.determinism.program import Module

_ACTIVITIES = {"activity", "local activity"}
_LONG = timedelta(seconds=10)


@rule(
    "W008",
    "Nobody sees in the Web UI what the timer is for.",
    instead="`workflow.sleep(…, summary=…)`, or `happened(…, summary=…)` (workflows/waiting.py).",
)
def untold_sleeps(code: Code) -> Iterator[Place]:
    """Timers of asyncio, which cannot say it, and sleeps that do not."""
    for module, call, kind in code.commands:
        dotted = module.dotted(call.func) or ""
        if kind == "timer" and (dotted.startswith("asyncio.") or "summary" not in code.options(module, call)):
            yield module, call, f"`{dotted}`"


@rule(
    "W010",
    "What nobody awaits is never run, or nobody hears how it ended.",
    instead="await it, or keep it: `asyncio.create_task`, `Outbox.post` (workflows/mailing.py).",
)
def dropped_coroutines(code: Code) -> Iterator[Place]:
    """Calls that stand alone and make a coroutine or a handle."""
    assert code.stories is not None
    for module, call in code.walker.dropped:
        yield module, call, f"`{ast.unparse(call.func)}`"


@rule(
    "W011",
    "Without a time-out an attempt whose worker is gone is never tried again.",
    instead="`start_to_close_timeout`, best by a policy of workflows/policies.py.",
)
def no_timeout(code: Code) -> Iterator[Place]:
    """Activities without `start_to_close_timeout`."""
    for module, call, kind in code.commands:
        if kind in _ACTIVITIES and "start_to_close_timeout" not in code.options(module, call):
            yield module, call, f"`{_step(call)}`"


@rule(
    "W012",
    "It may take more than ten seconds, and without heartbeats a killed worker is noticed only when all of its time is "
    "over.",
    instead="`heartbeat_timeout`, as the policies of workflows/policies.py have; activities/heartbeat.py beats.",
)
def no_heartbeat(code: Code) -> Iterator[Place]:
    """Activities that may take long and do not beat."""
    for module, call, kind in code.commands:
        options = code.options(module, call)
        if kind == "activity" and "start_to_close_timeout" in options and "heartbeat_timeout" not in options:
            allowed = _length(*options["start_to_close_timeout"])
            if allowed is None or allowed > _LONG:
                yield module, call, f"`{_step(call)}`"


@rule(
    "W013",
    "An operator sees only that something is done, not what.",
    instead="`summary=` of an activity, `static_summary=` of a child, `timeout_summary=` of a wait with a time-out.",
)
def no_summary(code: Code) -> Iterator[Place]:
    """Activities, children and waits without a word."""
    for module, call, kind in code.commands:
        options = code.options(module, call)
        wanted = "summary" if kind in _ACTIVITIES else "static_summary" if kind == "child" else None
        if kind == "wait" and "timeout" in options:
            wanted = "timeout_summary"
        if wanted is not None and wanted not in options:
            yield module, call, f"`{_step(call)}`"


@rule(
    "W014",
    "When the time is over it raises `TimeoutError`, which would end the workflow.",
    instead="`happened(…)` (workflows/waiting.py), or `except TimeoutError`: time that runs out is an outcome.",
)
def unhandled_timeouts(code: Code) -> Iterator[Place]:
    """Waits with a time-out that nobody catches in the same function."""
    for module, call, kind in code.commands:
        given = code.options(module, call).get("timeout")
        is_none = given is not None and isinstance(given[1], ast.Constant) and given[1].value is None
        if kind == "wait" and given is not None and not is_none and not _is_caught(code, module, call):
            yield module, call, "`wait_condition`"


def _is_caught(code: Code, module: Module, call: ast.Call) -> bool:
    below: ast.AST = call
    for above in code.above(module, call):
        if isinstance(above, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return False
        if isinstance(above, ast.Try) and below in above.body:
            caught = [ast.unparse(each.type) for each in above.handlers if each.type is not None]
            if any("TimeoutError" in each for each in caught):
                return True
        below = above
    return False


@rule(
    "W019",
    "The id of a patch stays in histories for as long as runs sleep: it says one thing, once, and can be searched for.",
    instead="a literal (or a constant) that no other place uses; what is the same twice goes into one method.",
)
def patch_ids(code: Code) -> Iterator[Place]:
    """Ids that are put together, and ids that two places use."""
    places: dict[str, list[tuple[Module, ast.Call]]] = {}
    for module, call, kind in code.commands:
        if kind not in {"patch", "deprecated patch"}:
            continue
        given = call.args[0] if call.args else code.options(module, call).get("id", (module, None))[1]
        text = None if given is None else code.text(module, given)
        if text is None:
            yield module, call, "an id that only a run can tell"
        else:
            places.setdefault(text, []).append((module, call))
    for text, found in places.items():
        yield from ((module, call, f"`{text}` is used {len(found)} times") for module, call in found[1:])


@rule(
    "W021",
    "Only a run can be continued as new: from a handler it fails the workflow task, and from a task it is lost.",
    instead="let the story say that it wants to go on anew, and call it in the method with `@workflow.run`.",
)
def continue_as_new_elsewhere(code: Code) -> Iterator[Place]:
    """Calls of `continue_as_new` that are not in the run itself."""
    for module, call, kind in code.commands:
        if kind != "continue as new":
            continue
        within = next(
            each for each in (*code.above(module, call), module.tree)
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.Module)
        )  # fmt: skip
        decorators = getattr(within, "decorator_list", [])
        if not any(module.dotted(each) == "temporalio.workflow.run" for each in decorators):
            yield module, call, "`continue_as_new`"


@rule(
    "W023",
    "What happens to a child that is there already, or whose parent ends, is nothing to leave to defaults.",
    instead="`id`, `id_reuse_policy` and `parent_close_policy`, written out.",
)
def children_by_default(code: Code) -> Iterator[Place]:
    """Children whose start leaves something open."""
    for module, call, kind in code.commands:
        missing = {"id", "id_reuse_policy", "parent_close_policy"} - code.options(module, call).keys()
        if kind == "child" and missing:
            yield module, call, f"no `{'`, `'.join(sorted(missing))}`"


def _step(call: ast.Call) -> str:
    return ast.unparse(call.args[0]) if call.args else ast.unparse(call.func)


_UNITS = ("weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds")


def _length(module: Module, node: ast.expr) -> timedelta | None:
    """How long a literal `timedelta(…)` is; none if only a run can tell."""
    if not isinstance(node, ast.Call) or module.dotted(node.func) != "datetime.timedelta" or node.args:
        return None
    parts: Mapping[str | None, ast.expr] = {each.arg: each.value for each in node.keywords}
    values = {name: each.value for name, each in parts.items() if isinstance(each, ast.Constant)}
    is_known = len(values) == len(parts) and all(name in _UNITS for name in parts)
    return timedelta(**{str(name): float(str(value)) for name, value in values.items()}) if is_known else None
