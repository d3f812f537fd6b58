"""The folder of one stack: claimed by whoever runs it, remembering its ports and secrets between runs."""

import fcntl
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from sandbox.ports import free_port

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

    def ports(self) -> dict[str, int]:
        """A free port for each part: last time's if possible, else the usual one, else any."""
        file = self.path / "ports.json"
        last = json.loads(file.read_text()) if file.exists() else {}
        chosen = {name: free_port(last.get(name, preferred)) for name, preferred in PREFERRED_PORTS.items()}
        file.write_text(json.dumps(chosen, indent=2))
        return chosen

    def secrets(self) -> dict[str, str]:
        """The secrets of this stack, made at its first start, so that its tokens and webhooks outlive a restart."""
        file = self.path / "secrets.json"
        if not file.exists():
            file.touch(mode=0o600)
            made = {"jwt": secrets.token_hex(32), "webhook": f"whsec_{secrets.token_hex(24)}"}
            file.write_text(json.dumps(made))
        known: dict[str, str] = json.loads(file.read_text())
        return known

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
