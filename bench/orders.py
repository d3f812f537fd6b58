"""`python -m bench.orders`: orders per second beside the floor of the same server, and what one order costs.

One run brings up a whole stack in a temporary folder, loads it over HTTP, lets a workflow of the same shape with
nothing in it run on the same Temporal server, and takes everything down. `bench/README.md` says how to read it.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from temporalio.client import Client

from bench.check import what_is_wrong
from bench.cost import cost_of_one_each
from bench.history import history_cost
from bench.machine import machine
from bench.processors import used
from bench.report import Measured, Race, as_json, show
from bench.rig import Rig, rigged
from bench.timing import Contender, Timing, in_lanes, measure
from bench.turns import average

_OWN_PARTS = ("DATABASE_URL", "TEMPORAL_ADDRESS", "SMTP_URL", "STRIPE_API_KEY", "FILES_URL")
_WARM_UP = 10
_COUNTED = 2

console = Console()
if console.width < 120 and not console.is_terminal:
    console = Console(width=120)


async def bench(folder: Path, orders: int, lanes: tuple[int, ...], rounds: int) -> Measured:
    """Measure everything on one fresh stack. Raises what failed; the stack is gone then, too."""
    per_round = max(1, orders // rounds)
    needed = _WARM_UP + 2 * per_round * rounds * len(lanes)
    async with rigged(folder, needed + _COUNTED, lambda line: console.print(line, highlight=False)) as rig:
        await _warm_up(rig.registrar, rig.floor)
        next_student = _WARM_UP
        races = []
        for count in lanes:
            races.append(await _race(rig, count, next_student, per_round, rounds))
            next_student += 2 * per_round * rounds
        console.print("Counting what one order and one refund cost …")
        averages = await _average_events(rig.temporal)
        counted: tuple[UUID, UUID] = (rig.students[-2], rig.students[-1])
        cost, refund_cost = await cost_of_one_each(rig.settings, rig.stack.endpoints, rig.temporal, counted)
        lone = await rig.floor.place(0)
        await rig.floor.finish(lone)
        floor_history = await history_cost(rig.temporal, lone)
        wrong = await what_is_wrong(rig.sessions, rig.double, needed + _COUNTED, _COUNTED)
    if wrong:
        raise AssertionError("; ".join(wrong))
    return Measured(per_round * rounds, rounds, races, cost, refund_cost, floor_history, averages)


async def _race(rig: Rig, lanes: int, first: int, per_round: int, rounds: int) -> Race:
    """Rounds in turn, so that whatever else the machine does falls on both."""
    results: dict[str, list[dict[str, Timing]]] = {"registrar": [], "floor": []}
    processor: dict[str, list[dict[str, float]]] = {"registrar": [], "floor": []}
    for number in range(rounds):
        begin = first + 2 * per_round * number
        numbers = range(begin, begin + 2 * per_round)
        contenders: tuple[tuple[str, Contender], ...] = (("registrar", rig.registrar), ("floor", rig.floor))
        for name, contender in contenders:
            # Webhooks that come late must not be paid for by whoever runs next.
            await rig.double.webhooks_settled(60)
            before = rig.clock.read()
            timings = await measure(contender, numbers, lanes)
            await rig.double.webhooks_settled(60)
            processor[name].append(used(before, rig.clock.read(), len(numbers)))
            results[name].append(timings)
            rates = ", ".join(f"{phase} {timing.per_second:.1f}/s" for phase, timing in timings.items())
            console.print(f"  {lanes:>2} lanes, round {number + 1}, {name:<9} {rates}", highlight=False)
    return Race(
        lanes,
        results["registrar"],
        results["floor"],
        average(processor["registrar"]),
        average(processor["floor"]),
    )


async def _warm_up(*contenders: Contender) -> None:
    for contender in contenders:
        _, placed = await in_lanes(range(_WARM_UP), 2, contender.place)
        await in_lanes(placed, 2, contender.finish)


async def _average_events(temporal: Client) -> dict[str, float]:
    """Length of the histories of all runs so far, as Temporal's own list has it."""
    averages = {}
    for name, kind in (("registrar", "OrderWorkflow"), ("floor", "FloorWorkflow")):
        query = f'WorkflowType = "{kind}" AND ExecutionStatus = "Completed"'
        lengths = [run.history_length async for run in temporal.list_workflows(query)]
        averages[name] = sum(lengths) / max(1, len(lengths))
    return averages


async def _run(orders: int, lanes: tuple[int, ...], rounds: int, json_file: Path | None) -> int:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - we are inside one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    about = machine()
    folder = Path(tempfile.mkdtemp(prefix="registrar-bench-"))
    console.print("Bringing up a stack of its own, then loading it …")
    try:
        measured = await bench(folder, orders, lanes, rounds)
    except asyncio.CancelledError:
        console.print("Stopped.")
        return 130
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets its name and a code
        causes = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        for cause in causes:
            console.print(f"Failed: {type(cause).__name__}: {cause}", style="bold red", highlight=False, markup=False)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(console, measured, about)
    if json_file is not None:
        await asyncio.to_thread(json_file.write_text, json.dumps(as_json(measured, about), indent=2))
    return 0


def main(
    orders: Annotated[int, typer.Option(min=1, help="orders per phase and number of lanes")] = 200,
    concurrency: Annotated[list[int], typer.Option(min=1, help="lanes side by side; may be given again")] = [1, 20],  # noqa: B006
    rounds: Annotated[int, typer.Option(min=1, help="turns into which the orders are split")] = 4,
    json_file: Annotated[Path | None, typer.Option("--json", help="write everything there, too")] = None,
) -> None:
    """Measure orders per second beside the floor, and count what one order costs."""
    if outside := [name for name in _OWN_PARTS if os.environ.get(name)]:
        console.print(f"The benchmark measures embedded parts only; unset {', '.join(outside)}.", style="red")
        raise typer.Exit(2)
    code = asyncio.run(_run(orders, tuple(concurrency), rounds, json_file))
    sys.stdout.flush()
    sys.stderr.flush()
    # Temporal's native threads may outlive the interpreter and crash it; everything else has been closed.
    os._exit(code)


if __name__ == "__main__":
    typer.run(main)
