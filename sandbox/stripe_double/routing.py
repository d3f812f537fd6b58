"""Routes of the API: a method, a path, the declared parameters and the function that does it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sandbox.stripe_double.account import Account, Change
from sandbox.stripe_double.params import Spec

Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One request on its way through a handler: the change it makes, its parameters and identifiers."""

    change: Change
    params: Json
    ids: tuple[str, ...]
    publishable: bool = False

    @property
    def account(self) -> Account:
        """The account the request is for."""
        return self.change.account

    def get(self, name: str, default: Any = None) -> Any:
        """A parameter; an empty string counts as not given."""
        value = self.params.get(name)
        return default if value in (None, "") else value


Handler = Callable[[Call], Json]


@dataclass(frozen=True)
class Route:
    """One endpoint. ``publishable`` ones also take a publishable key, as a browser sends it."""

    method: str
    path: str
    handler: Handler
    spec: Spec
    publishable: bool = False


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_size: dict[tuple[str, int], list[tuple[tuple[str, ...], Route]]] = {}
        for route in routes:
            segments = tuple(route.path.strip("/").split("/"))
            self._by_size.setdefault((route.method, len(segments)), []).append((segments, route))

    def match(self, method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
        """The route and the identifiers in the path."""
        parts = path.strip("/").split("/")
        for segments, route in self._by_size.get((method, len(parts)), ()):
            ids = []
            for segment, part in zip(segments, parts, strict=True):
                if segment.startswith("{"):
                    ids.append(part)
                elif segment != part:
                    break
            else:
                return route, tuple(ids)
        return None
