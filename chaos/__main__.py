"""`make chaos`: a mixed academy under faults at random, and whether everything is right afterwards."""

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chaos.plan import plan_of, small_plan
from chaos.report import show
from chaos.soak import soak

_OWN_PARTS = ("DATABASE_URL", "TEMPORAL_ADDRESS", "SMTP_URL", "STRIPE_API_KEY", "FILES_URL")
console = Console()
if console.width < 120 and not console.is_terminal:
    console = Console(width=120)


async def _run(seed: int, minutes: float, small: bool, keep: bool) -> int:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - we are inside one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    plan = small_plan(seed) if small else plan_of(seed, minutes * 60)
    length = "--small" if small else f"--minutes {minutes:g}"
    command = f"python -m chaos {length} --seed {seed}"
    folder = Path(tempfile.mkdtemp(prefix="registrar-chaos-"))
    (folder / "plan.json").write_text(json.dumps(plan.as_json(), indent=1))
    console.print(f"Seed {seed}; {command}", highlight=False)
    is_fine = False
    try:
        outcome = await soak(plan, folder, lambda line: console.print(line, highlight=False, markup=False))
        show(console, outcome, command)
        is_fine = not outcome.wrong
    except asyncio.CancelledError:
        console.print("Stopped.")
        return 130
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets its name and a code
        causes = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        for cause in causes:
            console.print(f"Failed: {type(cause).__name__}: {cause}", style="bold red", highlight=False, markup=False)
    finally:
        if is_fine and not keep:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            console.print(f"The plan, the logs and the histories of the jobs that are named are in {folder}")
    return 0 if is_fine else 1


def main(
    minutes: Annotated[float, typer.Option(min=0.1, help="how long people come and things break")] = 5,
    seed: Annotated[int | None, typer.Option(help="whose plan to play; any, and printed, if none is given")] = None,
    small: Annotated[bool, typer.Option(help="one visit of each kind and a few faults, in seconds")] = False,
    keep: Annotated[bool, typer.Option(help="keep the folder although all is right")] = False,
) -> None:
    """Play a mixed academy under faults on a stack of its own, then check every invariant."""
    if outside := [name for name in _OWN_PARTS if os.environ.get(name)]:
        console.print(f"Chaos is for embedded parts only; unset {', '.join(outside)}.", style="red")
        raise typer.Exit(2)
    chosen = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    code = asyncio.run(_run(chosen, minutes, small, keep))
    sys.stdout.flush()
    sys.stderr.flush()
    # Temporal's native threads may outlive the interpreter and crash it; everything else has been closed.
    os._exit(code)


if __name__ == "__main__":
    typer.run(main)
