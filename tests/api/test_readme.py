"""The README's commands, run as they are printed, against a live installation."""

import asyncio
import json
import re
import shlex
import sys
from pathlib import Path

from pydantic import SecretStr

from settings import Settings
from tests.installation import Installation

README = Path(__file__).parents[2] / "README.md"


def shell_block() -> str:
    """The one block of the README that is marked as shell commands to run."""
    [block] = re.findall(r"^```bash\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return str(block)


def as_environment(settings: Settings) -> str:
    """The settings as the file that `make up` leaves for other terminals."""
    lines = []
    for name, value in settings:
        if isinstance(value, tuple):
            told = ",".join(secret.get_secret_value() for secret in value)
        else:
            told = value.get_secret_value() if isinstance(value, SecretStr) else value
        if told is not None:
            lines.append(f"export {name.upper()}={shlex.quote(str(told))}")
    return "\n".join(lines) + "\n"


async def test_the_commands_of_the_readme_buy_a_course(installation: Installation, tmp_path: Path) -> None:
    folder = tmp_path / "var" / "up"
    folder.mkdir(parents=True)
    (folder / "environment.sh").write_text(as_environment(installation.settings), encoding="utf-8")
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent, target_is_directory=True)
    # As typed, but stop at the first command that fails.
    script = f"set -euo pipefail\n{shell_block()}"
    shell = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        script,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = (text.decode() for text in await asyncio.wait_for(shell.communicate(), 120))
    assert shell.returncode == 0, f"{said}\n{complained}"
    assert '"total": "\\u20ac44.10"' in said  # with the coupon
    assert "303" in said.splitlines()
    assert '"status": "active"' in said
    assert '"run_status": ' in said
    assert (tmp_path / "receipt.pdf").read_bytes().startswith(b"%PDF")
    order = json.loads((tmp_path / "order.json").read_text(encoding="utf-8"))
    await installation.order_ends(order["id"])
    assert len(installation.mailbox.messages()) == 1
