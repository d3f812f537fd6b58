"""What an expression stands for, as far as annotations and assignments tell: a class, a method, an activity, a lock."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.determinism.program import Class, Function, Module, Program


@dataclass(frozen=True)
class Instance:
    """An object of one of our classes."""

    of: Class


@dataclass(frozen=True)
class Bound:
    """A function, or a method with its object."""

    function: Function
    to: Class | None = None
    names: tuple[tuple[str, "Value"], ...] = ()


@dataclass(frozen=True)
class Activity:
    """A step, by the name that it is registered under, and where it is written."""

    name: str
    function: Function


@dataclass(frozen=True)
class Text:
    """A string that is known."""

    value: str


@dataclass(frozen=True)
class Symbol:
    """Something that is not ours, by its full name."""

    name: str


@dataclass(frozen=True)
class Opaque:
    """What a call of something that is not ours has made."""

    maker: str


_WRAPPERS = {"Optional", "Annotated", "Final", "ClassVar", "Awaitable", "Coroutine"}

Value = Instance | Bound | Activity | Text | Symbol | Opaque | Class | Module | None


@dataclass
class Scope:
    """What the names mean at one place."""

    module: Module
    names: dict[str, Value] = field(default_factory=dict)


class Values:
    """Infers them for one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._attributes: dict[tuple[Class, str], Value] = {}

    def of(self, node: ast.AST | None, scope: Scope) -> Value:  # noqa: PLR0911 - one for each kind
        """What the expression stands for; none if that is not known."""
        match node:
            case ast.Constant(value=str() as text):
                return Text(text)
            case ast.Name(id=name):
                return scope.names[name] if name in scope.names else self._named(scope.module, node)
            case ast.Attribute(value=owner, attr=name):
                return self._attribute(self.of(owner, scope), name)
            case ast.Call(func=callee):
                return self.result(self.of(callee, scope))
            case ast.Await(value=inner) | ast.NamedExpr(value=inner):
                return self.of(inner, scope)
            case ast.IfExp(body=first, orelse=second):
                return self.of(first, scope) or self.of(second, scope)
            case ast.BoolOp(values=parts):
                return next((found for part in parts if (found := self.of(part, scope)) is not None), None)
            case ast.List() | ast.Dict() | ast.Set() | ast.Tuple() | ast.ListComp() | ast.DictComp() | ast.SetComp():
                return Opaque(f"builtins.{type(node).__name__.removesuffix('Comp').lower()}")
        return None

    def result(self, callee: Value) -> Value:
        """What a call of it comes to."""
        match callee:
            case Class():
                return Instance(callee)
            case Bound(function=function):
                return self.annotated(function.node.returns, function.module)
            case Symbol(name=name) | Opaque(maker=name):
                return Opaque(name)
        return None

    def annotated(self, node: ast.AST | None, module: Module) -> Value:
        """An object of the class that an annotation names; of the first of ours, where it names several."""
        match node:
            case ast.Constant(value=str() as text):
                return self.annotated(ast.parse(text, mode="eval").body, module)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                either = [found for each in (left, right) if (found := self.annotated(each, module)) is not None]
                return next((each for each in either if isinstance(each, Instance)), either[0] if either else None)
            case ast.Subscript(value=outer, slice=inner):
                return self.annotated(inner if _last(outer) in _WRAPPERS else outer, module)
            case ast.Name() | ast.Attribute():
                dotted = module.dotted(node)
                found = None if dotted is None else self.program.find(dotted)
                return Instance(found) if isinstance(found, Class) else None if dotted is None else Opaque(dotted)
        return None

    def scope_of(self, function: Function, to: Class | None) -> Scope:
        """What its parameters are, by their annotations."""
        names: dict[str, Value] = {
            each.arg: self.annotated(each.annotation, function.module) for each in function.parameters
        }
        if to is not None and function.parameters and not function.is_decorated("staticmethod"):
            names[function.parameters[0].arg] = Instance(to)
        return Scope(function.module, names)

    def attribute(self, cls: Class, name: str) -> Value:
        """What the attribute of its objects is."""
        if (cls, name) not in self._attributes:
            self._attributes[cls, name] = None  # while it is looked for
            self._attributes[cls, name] = self._found(cls, name)
        return self._attributes[cls, name]

    def _named(self, module: Module, node: ast.Name) -> Value:
        dotted = module.dotted(node)
        return None if dotted is None else self._resolved(dotted)

    def _resolved(self, dotted: str) -> Value:
        found = self.program.find(dotted)
        match found:
            case Function():
                return self._as_activity(found) or Bound(found)
            case Class() | Module():
                return found
            case ast.expr():
                home = self.program.module(dotted.rpartition(".")[0])
                return None if home is None else self.of(found, Scope(home))
        return Symbol(dotted)

    def _attribute(self, owner: Value, name: str) -> Value:
        match owner:
            case Symbol(name=before):
                return self._resolved(f"{before}.{name}")
            case Module():
                return self._resolved(f"{owner.name}.{name}")
            case Class():
                method = self.program.method(owner, name)
                return None if method is None else self._as_activity(method) or Bound(method)
            case Instance(of=cls):
                return self.attribute(cls, name)
            case Opaque(maker=maker):
                return Opaque(f"{maker}.{name}")
        return None

    @staticmethod
    def _as_activity(function: Function) -> Activity | None:
        definition = function.decorator("defn")
        if definition is None or function.owner is None:
            return None
        given = definition.keywords if isinstance(definition, ast.Call) else []
        named = [each.value.value for each in given if each.arg == "name" and isinstance(each.value, ast.Constant)]
        return Activity(str(named[0]) if named else function.node.name, function)

    def _found(self, cls: Class, name: str) -> Value:
        method = self.program.method(cls, name)
        if method is not None:
            is_read = method.is_decorated("property") or method.is_decorated("cached_property")
            return self.annotated(method.node.returns, method.module) if is_read else Bound(method, cls)
        for each in self.program.lineage(cls):
            for value in self._assigned(each, cls, name):
                if value is not None:
                    return value
        return None

    def _assigned(self, cls: Class, of: Class, name: str) -> Iterator[Value]:
        """What is assigned to the attribute, by what is said first: in the body of the class, then in its methods."""
        for statement in cls.node.body:
            match statement:
                case ast.AnnAssign(target=ast.Name(id=found), annotation=annotation) if found == name:
                    yield self.annotated(annotation, cls.module)
                case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                    yield self.of(value, Scope(cls.module))
        for method in cls.methods.values():
            scope = self.scope_of(method, of)
            for node in method.nodes:
                match node:
                    case ast.AnnAssign(target=target, annotation=annotation, value=value) if _is_own(target, name):
                        yield self.annotated(annotation, cls.module) or self.of(value, scope)
                    case ast.Assign(targets=targets, value=value):
                        for target in targets:
                            yield from (self.of(each, scope) for each in _paired(target, value, name))


def _last(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _paired(target: ast.expr, value: ast.expr, name: str) -> Iterator[ast.expr]:
    """The value that `self.name` gets by an assignment, also by one of several at once."""
    if _is_own(target, name):
        yield value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        for one, other in zip(target.elts, value.elts, strict=True):
            yield from _paired(one, other, name)


def _is_own(target: ast.expr, name: str) -> bool:
    return isinstance(target, ast.Attribute) and target.attr == name and ast.unparse(target.value) == "self"
