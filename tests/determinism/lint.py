"""Rules for workflow code, and what they find. A rule is a function with a permanent id and a sentence.

Workflow code is every module of `workflows/` that a workflow of the worker can reach, and what of `rules/` and
`models/` is named there. A finding is put up with by a comment on its line (`lint: W007 why it is right here`, after a
`#`), which is itself checked.
"""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tests.determinism.program import Class, Function, Module, Program
from tests.determinism.steps import COMMANDS, Story, Walker

Place = tuple[Module, ast.AST, str]
Check = Callable[["Code"], Iterator[Place]]

_SUPPRESSION = re.compile(r"#\s*lint:\s*(?P<id>\S+)\s*(?P<reason>.*)$")


@dataclass(frozen=True)
class Rule:
    """`sentence` says what is not done and why, `instead` what to do."""

    id: str
    sentence: str
    instead: str
    check: Check


@dataclass(frozen=True)
class Finding:
    """One place that a rule does not like."""

    rule: str
    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule} {self.text}"


RULES: dict[str, Rule] = {}


def rule(rule_id: str, sentence: str, *, instead: str) -> Callable[[Check], Check]:
    """Make a rule of a function that finds places, each with a word on what stands there."""

    def made(check: Check) -> Check:
        assert rule_id not in RULES, f"{rule_id} is taken: ids are permanent"
        RULES[rule_id] = Rule(rule_id, sentence, instead, check)
        return check

    return made


@dataclass(eq=False)
class Code:
    """The workflow code of a program."""

    program: Program
    workflows: Sequence[Class]
    walker: Walker
    _parents: dict[Module, dict[ast.AST, ast.AST]] = field(default_factory=dict)

    @cached_property
    def modules(self) -> list[Module]:
        """The modules of `workflows/`."""
        return self.program.reached([each.module.name for each in self.workflows])

    @cached_property
    def stories(self) -> list[Story]:
        """What each workflow can do."""
        return [self.walker.story(each) for each in self.workflows]

    @cached_property
    def pure(self) -> list[Function | Class]:
        """The functions and classes of `rules/` and `models/` that are named in it, there or by one another."""
        found: dict[str, Function | Class] = {}
        waiting: list[tuple[Module, ast.AST]] = [(module, module.tree) for module in self.modules]
        while waiting:
            module, within = waiting.pop()
            for node in ast.walk(within):
                dotted = module.dotted(node)
                named = None if dotted is None else self.program.find(dotted)
                if isinstance(named, Function) and named.owner is not None:
                    named = named.owner
                if (
                    isinstance(named, Function | Class)
                    and named.module.name.startswith(("rules.", "models."))
                    and named.name not in found
                ):
                    found[named.name] = named
                    waiting.append((named.module, named.node))
        return [found[name] for name in sorted(found)]

    @cached_property
    def nodes(self) -> list[tuple[Module, ast.AST]]:
        """Every node of all of it."""
        found = [(module, node) for module in self.modules for node in module.nodes]
        return [*found, *((each.module, node) for each in self.pure for node in ast.walk(each.node))]

    @cached_property
    def functions(self) -> list[Function]:
        """Its functions and methods."""
        found = [each for module in self.modules for each in module.all_functions]
        pure = ([each] if isinstance(each, Function) else each.methods.values() for each in self.pure)
        return [*found, *(each for several in pure for each in several)]

    @cached_property
    def names(self) -> list[tuple[Module, ast.AST, str]]:
        """Every use of a name, in full: `os.path.join`, not the `os` in it."""
        inner = {id(node.value) for _, node in self.nodes if isinstance(node, ast.Attribute)}
        return [
            (module, node, dotted)
            for module, node in self.nodes
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)
            if id(node) not in inner and (dotted := module.dotted(node)) is not None
        ]

    @cached_property
    def commands(self) -> list[tuple[Module, ast.Call, str]]:
        """Every call that issues a command or waits, with its kind."""
        return [
            (module, node, kind)
            for module in self.modules
            for node in module.nodes
            if isinstance(node, ast.Call) and (kind := COMMANDS.get(module.dotted(node.func) or "")) is not None
        ]

    def above(self, module: Module, node: ast.AST) -> Iterator[ast.AST]:
        """What the node stands in, from the nearest outward."""
        if module not in self._parents:
            self._parents[module] = {child: each for each in module.nodes for child in ast.iter_child_nodes(each)}
        parents = self._parents[module]
        while node in parents:
            node = parents[node]
            yield node

    def options(self, module: Module, call: ast.Call) -> dict[str, tuple[Module, ast.expr]]:
        """The keyword arguments, also those of a named policy (`**STRIPE`)."""
        found: dict[str, tuple[Module, ast.expr]] = {}
        for each in call.keywords:
            if each.arg is not None:
                found[each.arg] = (module, each.value)
                continue
            dotted = module.dotted(each.value)
            policy = None if dotted is None else self.program.find(dotted)
            if isinstance(policy, ast.Call) and dotted is not None:
                home = self.program.module(self._home(dotted))
                found |= {of.arg: (home or module, of.value) for of in policy.keywords if of.arg is not None}
        return found

    def text(self, module: Module, node: ast.expr) -> str | None:
        """The string that it is, as a literal or a constant; none if only a run can tell."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        dotted = module.dotted(node)
        found = None if dotted is None else self.program.find(dotted)
        return found.value if isinstance(found, ast.Constant) and isinstance(found.value, str) else None

    def _home(self, dotted: str) -> str:
        """The module that the constant is written in."""
        name, _, last = dotted.rpartition(".")
        module = self.program.module(name)
        if module is not None and last not in module.constants and last in module.imported:
            return self._home(module.imported[last])
        return name


def code_of(program: Program, workflows: Sequence[Class], walker: Walker | None = None) -> Code:
    """The workflow code that these workflows run."""
    return Code(program, workflows, walker or Walker(program))


def findings(code: Code, only: str | None = None) -> list[Finding]:
    """What all rules find, but for what is put up with; and comments that put up with nothing."""
    found: list[Finding] = []
    used: set[tuple[str, int]] = set()
    for each in RULES.values():
        for module, node, what in each.check(code):
            line = getattr(node, "lineno", 1)
            at = _suppressed(module, line, each.id)
            if at is None:
                text = f"{what}: {each.sentence} Instead: {each.instead}"
                found.append(Finding(each.id, module.source.file, line, text))
            else:
                used.add((module.source.file, at))
    modules = {each.source.file: each for each in (*code.modules, *(one.module for one in code.pure))}
    found += [wrong for each in modules.values() for wrong in _wrong_suppressions(each, used)]
    told = sorted(set(found), key=lambda each: (each.file, each.line, each.rule))
    return [each for each in told if only is None or each.rule == only]


def suppressions(module: Module) -> Iterator[tuple[int, str, str]]:
    """Line, id and reason of each comment that puts up with something."""
    for number, line in enumerate(module.lines, start=1):
        if match := _SUPPRESSION.search(line):
            yield number, match["id"], match["reason"].strip()


def _suppressed(module: Module, line: int, rule_id: str) -> int | None:
    """The line of the comment: the same, or the one above if it holds nothing else."""
    for number, known, _ in suppressions(module):
        alone = module.lines[number - 1].lstrip().startswith("#")
        if known == rule_id and (number == line or (alone and number == line - 1)):
            return number
    return None


def _wrong_suppressions(module: Module, used: set[tuple[str, int]]) -> Iterator[Finding]:
    for line, rule_id, reason in suppressions(module):
        where = (module.source.file, line)
        if rule_id not in RULES:
            yield Finding("W000", *where, f"`# lint: {rule_id}`: there is no such rule.")
        elif not reason:
            yield Finding("W000", *where, f"`# lint: {rule_id}`: say why it is all right here.")
        elif where not in used:
            yield Finding("W000", *where, f"`# lint: {rule_id}`: nothing to put up with here. Delete the comment.")
