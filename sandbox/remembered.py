"""What the folder of a stack remembers between runs: its ports and its secrets."""

import json
import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.home import PREFERRED_PORTS
from sandbox.ports import Reservation, reserve


def reserve_ports(home: Path, names: Sequence[str]) -> dict[str, Reservation]:
    """A port for each name: last time's if it is free, else the usual one, else any."""
    file = home / "ports.json"
    last = _read(file)
    reserved: dict[str, Reservation] = {}
    for name in names:
        port = last.get(name)
        reserved[name] = reserve(port if isinstance(port, int) and 0 < port < 65536 else PREFERRED_PORTS[name])
    chosen = {name: reservation.port for name, reservation in reserved.items()}
    _write(file, {**last, **chosen})
    return reserved


def stack_secrets(home: Path) -> dict[str, str]:
    """The secrets of this stack, made at its first start, so that its tokens and webhooks outlive a restart."""
    file = home / "secrets.json"
    known = {name: str(value) for name, value in _read(file).items()}
    made = {
        "jwt": secrets.token_hex(32),
        "webhook": f"whsec_{secrets.token_hex(24)}",
        "link": secrets.token_hex(32),
    } | known
    if made != known:
        _write(file, made)
    return made


def _read(file: Path) -> dict[str, object]:
    try:
        content = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(file: Path, content: Mapping[str, object]) -> None:
    # Whole or not at all, and from the first moment readable for its owner only (that is what mkstemp makes).
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    with os.fdopen(handle, "w") as writing:
        json.dump(content, writing, indent=2)
    Path(temporary).replace(file)
