"""Processor time by program: on a machine that others use as well it says more than the clock."""

from pathlib import Path

import psutil

# What to look for in the command line of a program of the stack, in this order.
_MARKS = (
    ("bench.floor_worker", "floor worker"),
    ("bench.rivals.temporal_worker", "five steps on Temporal"),
    ("bench.rivals.dbos_worker", "DBOS worker"),
    ("bench.rivals.celery_app", "Celery worker"),
    ("sandbox.stripe_double", "Stripe double"),
    ("sandbox.mailbox", "mailbox"),
    ("start-dev", "Temporal"),
    ("registrar worker", "worker"),
    ("registrar api", "API"),
    ("postgres", "PostgreSQL"),
)
_CALLER = "benchmark itself"


class ProcessorClock:
    """Reads how many processor seconds each program of the stack has used."""

    def __init__(self, postgres_data: Path) -> None:
        self._postmaster = int((postgres_data / "postmaster.pid").read_text().splitlines()[0])

    def read(self) -> dict[str, float]:
        """Seconds by program, with all its processes."""
        spent: dict[str, float] = {}
        mine = psutil.Process()
        for process in self._family():
            try:
                name = _CALLER if process.pid == mine.pid else _name_of(process)
                times = process.cpu_times()
                # Servers of PostgreSQL that have ended count through their parent.
                gone = times.children_user + times.children_system if process.pid == self._postmaster else 0.0
                spent[name] = spent.get(name, 0.0) + times.user + times.system + gone
            except psutil.NoSuchProcess:
                continue
        return spent

    def resident(self) -> dict[str, float]:
        """Memory by program, with all its processes: what is resident, in MiB."""
        held: dict[str, float] = {}
        mine = psutil.Process()
        for process in self._family():
            try:
                name = _CALLER if process.pid == mine.pid else _name_of(process)
                held[name] = held.get(name, 0.0) + process.memory_info().rss / 2**20
            except psutil.NoSuchProcess:
                continue
        return held

    def _family(self) -> list[psutil.Process]:
        roots = (psutil.Process(), psutil.Process(self._postmaster))
        return list({child.pid: child for root in roots for child in (root, *root.children(recursive=True))}.values())


def used(before: dict[str, float], after: dict[str, float], pieces: int) -> dict[str, float]:
    """Milliseconds per piece of work by program; those that did next to nothing are left out."""
    spent = {name: (after[name] - before.get(name, 0.0)) * 1000 / pieces for name in after}
    least = sum(spent.values()) / 1000
    return {name: value for name, value in sorted(spent.items(), key=lambda one: -one[1]) if value > least}


def _name_of(process: psutil.Process) -> str:
    command = " ".join(process.cmdline()).replace("/registrar", "/ registrar")
    return next((name for mark, name in _MARKS if mark in command), process.name())
