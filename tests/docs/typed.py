"""The commands of docs/recipes.md, typed into a shell."""

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from models.vocabulary import Role
from routes.tokens import issue_token
from tests.docs.registrar_here import registrar_here
from tests.installation import Installation, Json

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
_SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
FIRST = _BLOCK.findall(PAGE.partition("\n## ")[0])
RECIPES = {title: _BLOCK.findall(text) for title, text in _SECTION.findall(PAGE)}
SECONDS = 60


async def shell(installation: Installation, *blocks: str, order: Json | None = None, **more: str) -> str:
    """Type blocks of the page, one after the other, with more variables if they are named; what they say.

    Stops at the first command that fails.
    """
    async with registrar_here(installation.settings) as registrar:
        return await _typed(installation, order, more, "set -euo pipefail\n", registrar, *blocks)


async def _typed(installation: Installation, order: Json | None, more: Mapping[str, str], *lines: str) -> str:
    token = issue_token(installation.settings, "frida", (Role.STAFF,), timedelta(minutes=5))
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", "/"),
        "API": installation.settings.public_url,
        "STAFF": token,
        "ME": "frida",
        "ORDER": "" if order is None else order["id"],
        "TEMPORAL_ADDRESS": installation.settings.temporal_address,
        **more,
    }
    typed = await asyncio.create_subprocess_exec(
        "bash", "-c", "".join(lines), env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complained = (text.decode() for text in await asyncio.wait_for(typed.communicate(), SECONDS))
    assert typed.returncode == 0, f"{said}\n{complained}"
    return said
