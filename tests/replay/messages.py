"""All that is said between API, workflows, activities and Temporal, by name and with today's types.

Found from the workflows that the worker runs and from every activity there is: nobody has to add a new one.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from temporalio import activity, workflow

import activities
from worker import WORKFLOWS


@dataclass(frozen=True)
class Said:
    """One thing that can be said: the types of its arguments, how many of them it cannot do without, and its answer."""

    takes: tuple[object, ...]
    needs: int = 0
    answer: object = None


# By kind (`activity`, `workflow`, `signal`, `update`, `query`) and name; a handler's is `OrderWorkflow.cancel`.
Spoken = Mapping[tuple[str, str], Said]


@cache
def spoken() -> Spoken:
    """Everything."""
    found: dict[tuple[str, str], Said] = {}
    for name, step in _steps():
        found["activity", name] = step
    for cls in WORKFLOWS:
        made = workflow._Definition.must_from_class(cls)
        assert made.name is not None
        found["workflow", made.name] = _said(made.run_fn, made.arg_types, made.ret_type)
        for signal, each in made.signals.items():
            found["signal", f"{made.name}.{signal}"] = _said(each.fn, each.arg_types, None)
        for update, told in made.updates.items():
            found["update", f"{made.name}.{update}"] = _said(told.fn, told.arg_types, told.ret_type)
        for query, asked in made.queries.items():
            found["query", f"{made.name}.{query}"] = _said(asked.fn, asked.arg_types, asked.ret_type)
    return found


def _steps() -> list[tuple[str, Said]]:
    found: list[tuple[str, Said]] = []
    for module in pkgutil.iter_modules(activities.__path__, "activities."):
        for _, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if cls.__module__ != module.name:
                continue
            for _, method in inspect.getmembers(cls, inspect.isfunction):
                made = activity._Definition.from_callable(method)
                if made is not None:
                    assert made.name is not None
                    found.append((made.name, _said(method, made.arg_types, made.ret_type)))
    return found


def _said(function: Callable[..., object], takes: Sequence[type] | None, answer: object) -> Said:
    parameters = [each for each in inspect.signature(function).parameters.values() if each.name != "self"]
    needs = sum(each.default is inspect.Parameter.empty for each in parameters)
    return Said(tuple(takes or ()), needs, answer)
