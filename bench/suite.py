"""One run: every row on one installation. What fails is said in its row's place; the other rows go on."""

import importlib
import pkgutil
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from bench import rows
from bench.figures import Row, Run
from bench.machine import Busyness, machine
from bench.rig import Rig, rigged
from bench.sizes import Size

# Sleepers first, while nothing else has been started; the rest in the order in which a learner meets it.
_ORDER = ("sleepers", "orders", "webhooks", "releases", "certificates", "mails", "exports")


class Measures(Protocol):
    """A module of `bench/rows`."""

    def measure(self, rig: Rig, size: Size) -> Awaitable[list[Row]]:
        """Its rows."""


def row_names() -> list[str]:
    """Every module of `bench/rows`, in the order in which they are measured; those without a place come last."""
    found = [module.name for module in pkgutil.iter_modules(rows.__path__)]
    return sorted(found, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))


def row_module(name: str) -> Measures:
    """The module that measures these rows. Raises `ImportError` for packages of the extra `bench` that are missing."""
    module: Measures = importlib.import_module(f"bench.rows.{name}")
    return module


async def run(folder: Path, size: Size, wanted: Sequence[str], tell: Callable[[str], None]) -> Run:
    """Measure the wanted rows in a folder that is left to the caller. Raises what keeps the stack from coming up."""
    about, before, began = machine(), Busyness.now(), time.monotonic()
    measured: list[Row] = []
    failures: dict[str, str] = {}
    async with rigged(folder, size.students, tell) as rig:
        for name in wanted:
            started = time.monotonic()
            try:
                measured += await row_module(name).measure(rig, size)
            except Exception as error:  # noqa: BLE001 - one row's failure is told, and is not that of the others
                failures[name] = _said(error)
            tell(f"{name}: {time.monotonic() - started:.0f} s{', failed' if name in failures else ''}")
    return Run(
        form=size.form,
        machine=about,
        before=before,
        after=Busyness.now(),
        seconds=time.monotonic() - began,
        rows=tuple(measured),
        failures=failures,
    )


def _said(error: BaseException) -> str:
    causes = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
    return "; ".join(f"{type(cause).__name__}: {cause}" for cause in causes)
