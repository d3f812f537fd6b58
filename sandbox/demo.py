"""`registrar demo` plays the jobs on a fresh stack, through HTTP only; `registrar up` keeps a stack running."""

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from sandbox.cart_scenes import CART_SCENES, CLOCK_SPEED
from sandbox.certificate_scenes import CERTIFICATE_SCENES
from sandbox.home import Home, claim_home
from sandbox.learning_scenes import LEARNING_SCENES
from sandbox.play import Player, Scene
from sandbox.report_scenes import REPORT_SCENES
from sandbox.scenes import SCENES
from sandbox.stack import Stack, StackStep

VAR = Path("var")
_KEPT = {".lock", "ports.json"}


async def play(console: Console) -> int:
    """Play every scene on a fresh stack. Returns the exit code: 0, or 1 after naming the step that failed."""
    home = claim_home(VAR, "demo")
    _empty(home)
    console.print(f"[bold]Registrar demo[/] in {_shown(home.path)}: a fresh stack, every job once.\n")
    player: Player | None = None
    try:
        async with (
            _interruptible(),
            Stack(home, _progress(console), environment=_hastened()) as stack,
            Player.on(stack, console) as player,
        ):
            for scene in (*SCENES, *CART_SCENES, *LEARNING_SCENES, *CERTIFICATE_SCENES, *REPORT_SCENES):
                await player.play(scene)
            await player.collect(home.path)
            _print_ending(console, player.scenes, home.path)
    except (asyncio.CancelledError, KeyboardInterrupt):
        console.print("\n[yellow]Stopped.[/] Everything it started has been stopped.")
        return 130
    except Exception as error:  # noqa: BLE001 - named to the person at the terminal, with the step
        step = player.current if player is not None else "setting up the stack"
        console.print(f"\n[bold red]Failed while {step}[/]\n{error}", highlight=False)
        return 1
    console.print("Everything it started has been stopped.")
    return 0


async def keep_up(console: Console) -> int:
    """Run a stack until Ctrl-C. Its data, URLs and secrets outlive it."""
    home = claim_home(VAR, "up")
    console.print(f"[bold]Registrar[/] in {_shown(home.path)}; what you do here is kept.\n")
    try:
        async with _interruptible(), Stack(home, _progress(console)) as stack:
            console.print(_doors(stack, home))
            await stack.failed()
    except (asyncio.CancelledError, KeyboardInterrupt):
        console.print("\nStopped. `make up` goes on where it was.")
        return 0
    except Exception as error:  # noqa: BLE001 - named to the person at the terminal, with the step
        console.print(f"\n[bold red]The stack cannot go on[/]\n{error}", highlight=False)
        return 1
    return 0


@contextlib.asynccontextmanager
async def _interruptible() -> AsyncIterator[None]:
    """Ctrl-C and SIGTERM cancel the task, so that the stack is taken down in order."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - we are inside one
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _hastened() -> dict[str, str]:
    """The environment of a demo: with the Stripe double, nobody waits half an hour to see a cart abandoned."""
    given = dict(os.environ)
    return given if given.get("STRIPE_API_KEY") else {"CART_CLOCK_SPEED": str(CLOCK_SPEED)} | given


def _empty(home: Home) -> None:
    for entry in home.path.iterdir():
        if entry.name not in _KEPT:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _progress(console: Console) -> Callable[[StackStep], None]:
    marks = {"ready": "[green]ready[/]  ", "skipped": "[yellow]outside[/]", "failed": "[red]failed[/] "}

    def show(step: StackStep) -> None:
        if step.state in marks:
            console.print(
                f"  {marks[step.state]} {step.name:<15} {step.seconds:5.1f} s  {step.detail}", highlight=False
            )

    return show


def _doors(stack: Stack, home: Home) -> Panel:
    endpoints = stack.endpoints
    settings_file = home.path / "environment.sh"
    settings_file.touch(mode=0o600)
    exports = (f"export {name}={shlex.quote(value)}" for name, value in stack.environment.items())
    settings_file.write_text("\n".join(exports) + "\n")
    rows = Table.grid(padding=(0, 2))
    for what, where in (
        ("API docs", endpoints.api_docs),
        ("Temporal Web UI", endpoints.temporal_ui),
        ("Mailbox", endpoints.mailbox),
        ("Stripe double", endpoints.stripe),
        ("Logs", str(_shown(home.path / "logs"))),
        ("A token", f". {_shown(settings_file)} && {_shown(Path(sys.executable).parent / 'registrar')} token lukasz"),
    ):
        if where:
            rows.add_row(what, where)
    return Panel(rows, title="Registrar is up; Ctrl-C stops it", border_style="green", expand=False)


def _print_ending(console: Console, scenes: list[Scene], home: Path) -> None:
    console.print()
    table = Table(title="What happened", title_justify="left")
    for column in ("Job and workflow id", "State", "Seconds", "Open"):
        table.add_column(column, justify="right" if column == "Seconds" else "left", overflow="fold")
    for scene in scenes:
        job = f"{scene.title}\n[dim]{scene.workflow_id or '–'}[/]"
        table.add_row(job, scene.state, f"{scene.seconds:.1f}", scene.to_open or "–")
    console.print(table)
    summary = home / "summary.json"
    summary.write_text(json.dumps([scene.as_json() for scene in scenes], indent=2, ensure_ascii=False))
    found = {"receipts": "receipts", "decision records": "records", "certificates": "certificates"}
    found |= {"reports": "reports", "mails": "mails"}
    shown = ", ".join(f"{what} {_shown(home / folder)}" for what, folder in found.items())
    console.print(f"\nSummary {_shown(summary)}, {shown}.")
    console.print("`make up` keeps such a stack running, with the Web UI, for you to look around.", style="dim")


def _shown(path: Path) -> Path:
    with contextlib.suppress(ValueError):
        return path.relative_to(Path.cwd())
    return path
