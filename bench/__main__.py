"""`python -m bench`: everything beside its floor in one table; `python -m bench compare`: two runs side by side."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.comparison import show_changes
from bench.figures import Run
from bench.sizes import FULL, QUICK, Size
from bench.suite import row_names, run
from bench.table import about, console, markdown, show
from sandbox.stack import StackError

RUNS = Path(__file__).parent / "runs"
_OWN_PARTS = ("DATABASE_URL", "TEMPORAL_ADDRESS", "SMTP_URL", "STRIPE_API_KEY", "FILES_URL")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def measure(
    context: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="about two minutes on a quiet machine")] = False,
    row: Annotated[list[str] | None, typer.Option(help="only this one; may be given again")] = None,
    scale: Annotated[float, typer.Option(min=0.01, help="so many times as much of everything")] = 1,
    runs: Annotated[Path, typer.Option(help="where the figures are kept")] = RUNS,
) -> None:
    """Measure, print the table, keep the figures. Fails (exit code 1) if something went wrong; no time is asserted."""
    if context.invoked_subcommand is not None:
        return
    out = console()
    if outside := [name for name in _OWN_PARTS if os.environ.get(name)]:
        out.print(f"The benchmark measures embedded parts only; unset {', '.join(outside)}.", style="red")
        raise typer.Exit(2)
    if unknown := set(row or ()) - set(row_names()):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: the rows are {', '.join(row_names())}")
    code = asyncio.run(_measured(out, (QUICK if quick else FULL).scaled(scale), row or row_names(), runs))
    sys.stdout.flush()
    sys.stderr.flush()
    # Temporal's native threads may outlive the interpreter and crash it; everything else has been closed.
    os._exit(code)


@app.command()
def compare(before: Path, after: Path) -> None:
    """What has changed from one run to another, and whether by more than their rounds differ among themselves."""
    show_changes(console(), Run.read(before), Run.read(after))


@app.command("show")
def show_kept(kept: Path, as_markdown: Annotated[bool, typer.Option("--markdown")] = False) -> None:
    """Print the table of a run that was kept."""
    found = Run.read(kept)
    if as_markdown:
        print(f"{about(found)}\n\n{markdown(found)}")
    else:
        show(console(), found)


async def _measured(out: Console, size: Size, wanted: list[str], runs: Path) -> int:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - we are inside one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    folder = Path(tempfile.mkdtemp(prefix="registrar-bench-"))
    out.print("Bringing up an installation of its own, then loading it …")
    try:
        found = await run(folder, size, wanted, lambda line: out.print(f"  {line}", highlight=False))
    except asyncio.CancelledError:
        out.print("Stopped.")
        return 130
    except StackError as error:
        out.print(f"The installation did not come up: {error}", style="bold red", highlight=False, markup=False)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(out, found)
    out.print(f"Kept as {await asyncio.to_thread(found.write, runs)}.", highlight=False)
    return 1 if found.failures else 0


if __name__ == "__main__":
    app()
