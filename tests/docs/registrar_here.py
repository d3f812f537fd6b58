"""The command `registrar` for a shell, carried out by this process: to start Python for each would take seconds."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from typer.testing import CliRunner

import cli
import settings
from commands import jobs

# Sends its words through a socket, and says and ends as it is told.
_CLIENT = """
import socket, sys
asking = socket.socket(socket.AF_UNIX)
asking.connect(sys.argv[1])
asking.sendall("\\0".join(sys.argv[2:]).encode())
asking.shutdown(socket.SHUT_WR)
code, said, complained = asking.makefile(newline="").read().split("\\0")
sys.stdout.write(said)
sys.stderr.write(complained)
sys.exit(int(code))
"""


@asynccontextmanager
async def registrar_here(of: settings.Settings) -> AsyncIterator[str]:
    """The lines that define it in a shell, with the settings of an installation."""
    secrets = {
        "DATABASE_URL": of.database_url,
        "STRIPE_API_KEY": of.stripe_api_key,
        "SMTP_URL": of.smtp_url,
        "STRIPE_WEBHOOK_SECRETS": of.stripe_webhook_secrets[0],
    }
    left: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words = (await reader.read()).decode().split("\0")
        told = await asyncio.to_thread(CliRunner().invoke, cli.app, words)
        code = left.pop() if left else told.exit_code
        writer.write(f"{code}\0{told.stdout}\0{told.stderr}".encode())
        await writer.drain()
        writer.close()

    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        for name, secret in secrets.items():
            patch.setenv(name, secret.get_secret_value())
        patch.setenv("TEMPORAL_ADDRESS", of.temporal_address)
        patch.setenv("FILES_URL", of.files_url)
        # It ends the process that it is typed in.
        patch.setattr(jobs, "leave", left.append)
        patch.setattr(cli, "_leave", lambda code=0: left.append(code))
        settings.settings.cache_clear()
        socket = Path(folder) / "registrar"
        try:
            async with await asyncio.start_unix_server(answer, socket):
                yield f"registrar() {{ {sys.executable} -Sc '{_CLIENT}' {socket} \"$@\"; }}\n"
        finally:
            settings.settings.cache_clear()
