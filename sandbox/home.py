"""The folder of one stack: claimed by whoever runs it, so that several stacks run side by side."""

import fcntl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

PREFERRED_PORTS: Mapping[str, int] = {
    "api": 8000,
    "temporal": 7233,
    "temporal_ui": 8233,
    "mailbox": 8025,
    "smtp": 1025,
    "stripe": 12111,
    "worker_metrics": 8001,
}


@dataclass
class Home:
    """A claimed folder. The claim ends with `release`, or with the process."""

    path: Path
    _lock: TextIO

    def release(self) -> None:
        """Let somebody else have the folder."""
        self._lock.close()


def claim_home(parent: Path, name: str) -> Home:
    """The first of `name`, `name-2`, `name-3`, … that no running stack has; several stacks run side by side."""
    number = 1
    while True:
        path = (parent / (name if number == 1 else f"{name}-{number}")).resolve()
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / ".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            number += 1
        else:
            return Home(path, lock)
