"""The project's modules as syntax trees, and which name in them stands for what. Nothing is imported or run."""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("workflows", "rules", "models", "activities")

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One module's text, and what its findings call the file."""

    text: str
    file: str


@dataclass(eq=False)
class Function:
    """A function, or a method of `owner`."""

    module: "Module"
    node: AnyFunction
    owner: "Class | None" = None

    @property
    def name(self) -> str:
        """With its module and class, in dots."""
        return f"{self.module.name if self.owner is None else self.owner.name}.{self.node.name}"

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All that it is made of."""
        return list(ast.walk(self.node))

    @property
    def is_async(self) -> bool:
        """Whether a call of it makes a coroutine."""
        return isinstance(self.node, ast.AsyncFunctionDef)

    @property
    def parameters(self) -> list[ast.arg]:
        """By position, then by keyword."""
        arguments = self.node.args
        return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]

    def is_decorated(self, last: str) -> bool:
        """Whether a decorator's last word is that one."""
        return self.decorator(last) is not None

    def decorator(self, last: str) -> ast.expr | None:
        """The decorator with that last word; none if it has no such."""
        for each in self.node.decorator_list:
            named = each.func if isinstance(each, ast.Call) else each
            if isinstance(named, ast.Attribute | ast.Name) and last == (
                named.attr if isinstance(named, ast.Attribute) else named.id
            ):
                return each
        return None


@dataclass(eq=False)
class Class:
    """A class with its own methods."""

    module: "Module"
    node: ast.ClassDef
    methods: dict[str, Function] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """With its module, in dots."""
        return f"{self.module.name}.{self.node.name}"

    @property
    def definition(self) -> ast.expr | None:
        """The decorator `workflow.defn`; none if it is no workflow."""
        for each in self.node.decorator_list:
            named = each.func if isinstance(each, ast.Call) else each
            if self.module.dotted(named) == "temporalio.workflow.defn":
                return each
        return None


@dataclass(eq=False)
class Module:
    """One file."""

    name: str
    source: Source
    tree: ast.Module = field(init=False)
    nodes: list[ast.AST] = field(init=False)
    imported: dict[str, str] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, Class] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.source.text)
        self.nodes = list(ast.walk(self.tree))
        for node in self.nodes:
            self.imported |= _imported(node)
        for statement in _top_level(self.tree.body):
            match statement:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self.functions[statement.name] = Function(self, statement)
                case ast.ClassDef():
                    made = self.classes[statement.name] = Class(self, statement)
                    for each in statement.body:
                        if isinstance(each, AnyFunction):
                            made.methods[each.name] = Function(self, each, made)
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.constants[name] = value
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    self.constants[name] = value

    @cached_property
    def lines(self) -> Sequence[str]:
        """The text, line by line."""
        return self.source.text.splitlines()

    @cached_property
    def _locals(self) -> frozenset[str]:
        """Every name that is given a value somewhere within a function, or is a parameter."""
        stored = {node.id for node in self.nodes if isinstance(node, ast.Name) and not _is_load(node)}
        return frozenset(stored | {node.arg for node in self.nodes if isinstance(node, ast.arg)})

    @property
    def all_functions(self) -> Iterator[Function]:
        """Its functions and the methods of its classes."""
        yield from self.functions.values()
        for each in self.classes.values():
            yield from each.methods.values()

    def dotted(self, node: ast.AST) -> str | None:
        """The name in full (`datetime.datetime.now`, `builtins.open`); none for what only a run can tell."""
        if isinstance(node, ast.Attribute):
            before = self.dotted(node.value)
            return None if before is None else f"{before}.{node.attr}"
        if not isinstance(node, ast.Name):
            return None
        if node.id in self.imported:
            return self.imported[node.id]
        if node.id in self.functions or node.id in self.classes or node.id in self.constants:
            return f"{self.name}.{node.id}"
        return None if node.id in self._locals else f"builtins.{node.id}"


class Program:
    """Modules, read when they are asked for."""

    def __init__(self, read: Callable[[str], Module | None]) -> None:
        self._read = read
        self._modules: dict[str, Module | None] = {}

    @classmethod
    def of_project(cls) -> "Program":
        """Today's code."""
        return cls(_read_project)

    @classmethod
    def of_sources(cls, sources: Mapping[str, str]) -> "Program":
        """A small one for tests: texts by the name of their module. What it lacks is read from the project."""

        def read(name: str) -> Module | None:
            return Module(name, Source(sources[name], f"{name}.py")) if name in sources else _read_project(name)

        return cls(read)

    def module(self, name: str) -> Module | None:
        """The module; none if it is not ours."""
        if name.partition(".")[0] not in PACKAGES:
            return None
        if name not in self._modules:
            self._modules[name] = self._read(name)
        return self._modules[name]

    def find(self, dotted: str) -> Module | Class | Function | ast.expr | None:
        """What stands there under that name, also where it is only passed on; none if it is not ours."""
        parts = dotted.split(".")
        for length in range(len(parts), 0, -1):
            module = self.module(".".join(parts[:length]))
            if module is not None:
                return self._member(module, parts[length:])
        return None

    def _member(self, module: Module, rest: list[str]) -> Module | Class | Function | ast.expr | None:
        if not rest:
            return module
        name, within = rest[0], rest[1:]
        if name in module.classes:
            found = module.classes[name]
            return self.method(found, within[0]) if within else found
        if not within and name in module.functions:
            return module.functions[name]
        if not within and name in module.constants:
            return module.constants[name]
        if name in module.imported:
            return self.find(".".join((module.imported[name], *within)))
        return None

    def lineage(self, cls: Class) -> list[Class]:
        """The class and those of ours it comes from, the nearest first."""
        found = [cls]
        for base in cls.node.bases:
            dotted = cls.module.dotted(base)
            above = None if dotted is None else self.find(dotted)
            if isinstance(above, Class):
                found += [each for each in self.lineage(above) if each not in found]
        return found

    def method(self, cls: Class, name: str) -> Function | None:
        """The method, its own or inherited."""
        return next((each.methods[name] for each in self.lineage(cls) if name in each.methods), None)

    def reached(self, roots: Sequence[str]) -> list[Module]:
        """The modules of the package `workflows` that these import, and that those import, and so on."""
        found: dict[str, Module] = {}
        waiting = list(roots)
        while waiting:
            name = waiting.pop()
            module = self.module(name)
            if module is None or name in found:
                continue
            found[name] = module
            for target in module.imported.values():
                head, _, tail = target.rpartition(".")
                waiting += [each for each in (target, head) if each.startswith("workflows.") and tail]
        return [found[name] for name in sorted(found)]


@cache
def _read_project(name: str) -> Module | None:
    stem = ROOT.joinpath(*name.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return Module(name, Source(path.read_text(), str(path.relative_to(ROOT))))
    return None


def _imported(node: ast.AST) -> dict[str, str]:
    match node:
        case ast.Import(names=names):
            return {
                alias.asname or alias.name.split(".")[0]: alias.name if alias.asname else alias.name.split(".")[0]
                for alias in names
            }
        case ast.ImportFrom(module=str() as module, names=names):
            return {alias.asname or alias.name: f"{module}.{alias.name}" for alias in names}
    return {}


def _top_level(statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Also within `with` (imports that are passed through) and `if`."""
    for statement in statements:
        yield statement
        if isinstance(statement, ast.With | ast.If | ast.Try):
            yield from _top_level(statement.body)


def _is_load(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)
