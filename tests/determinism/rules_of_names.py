"""What workflow code never names: whatever another run of the same history would see differently."""

import ast
from collections.abc import Iterator

from tests.determinism.lint import Code, Place, rule

_CLOCKS = {
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
    "datetime.datetime.fromtimestamp",
    "datetime.date.fromtimestamp",
}
_CHANCE = {
    "uuid.uuid1",
    "uuid.uuid4",
    "uuid.uuid6",
    "uuid.uuid7",
    "os.urandom",
    "builtins.hash",
    "builtins.id",
    "models.identifiers.new_id",
}
_OUTSIDE = (
    "aiohttp",
    "aiosmtplib",
    "asyncpg",
    "http",
    "httpx",
    "importlib.resources",
    "obstore",
    "os",
    "pathlib",
    "psycopg",
    "requests",
    "settings",
    "shutil",
    "smtplib",
    "socket",
    "sqlalchemy",
    "sqlmodel",
    "stripe",
    "subprocess",
    "sys.argv",
    "sys.stdin",
    "tempfile",
    "urllib.request",
    "builtins.input",
    "builtins.open",
    "asyncio.create_subprocess_exec",
    "asyncio.create_subprocess_shell",
    "asyncio.open_connection",
)
_SAID_ASIDE = ("builtins.print", "logging", "sys.stdout", "sys.stderr", "warnings.warn")
_UNORDERED_WAITS = {"asyncio.wait", "asyncio.as_completed"}
_THREADS = (
    "threading",
    "multiprocessing",
    "concurrent.futures",
    "asyncio.to_thread",
    "asyncio.run",
    "asyncio.new_event_loop",
    "asyncio.run_coroutine_threadsafe",
    "queue.Queue",
)


def _under(dotted: str, prefixes: tuple[str, ...]) -> bool:
    return any(dotted == each or dotted.startswith(f"{each}.") for each in prefixes)


@rule(
    "W001",
    "The clock of the worker shows another time when the history is replayed.",
    instead="`workflow.now()`, or a moment that the caller passes.",
)
def wall_clock(code: Code) -> Iterator[Place]:
    """Names of clocks."""
    for module, node, dotted in code.names:
        if dotted in _CLOCKS or _under(dotted, ("time",)):
            yield module, node, f"`{dotted}`"


@rule(
    "W002",
    "Chance falls differently when the history is replayed; `hash` and `id` are other in every process.",
    instead="`workflow.uuid4()`, `workflow.random()`, or an id made from others (`models/identifiers.py`).",
)
def randomness(code: Code) -> Iterator[Place]:
    """Names of what makes random values."""
    for module, node, dotted in code.names:
        if dotted in _CHANCE or _under(dotted, ("random", "secrets", "uuid_utils")):
            yield module, node, f"`{dotted}`"


@rule(
    "W003",
    "Files, networks, databases, processes and the environment are not as they were when the history is replayed.",
    instead="an activity.",
)
def outside_world(code: Code) -> Iterator[Place]:
    """Names of what reaches out."""
    for module, node, dotted in code.names:
        if _under(dotted, _OUTSIDE) and not _under(dotted, ("os.path",)):
            yield module, node, f"`{dotted}`"


@rule(
    "W004",
    "It is said again with every replay.",
    instead="`workflow.logger`, which is silent while it replays.",
)
def logs(code: Code) -> Iterator[Place]:
    """Prints and loggers of other kinds."""
    for module, node, dotted in code.names:
        if _under(dotted, _SAID_ASIDE):
            yield module, node, f"`{dotted}`"


@rule(
    "W006",
    "It goes over a set of tasks, in an order that is another in every process.",
    instead="`workflow.wait`, `workflow.as_completed`, or `asyncio.gather`.",
)
def unordered_waits(code: Code) -> Iterator[Place]:
    """Waits of asyncio whose order is that of a set."""
    for module, node, dotted in code.names:
        if dotted in _UNORDERED_WAITS:
            yield module, node, f"`{dotted}`"


@rule(
    "W009",
    "Threads, processes and other loops run whenever they like.",
    instead="an activity, which may have its executor; within the workflow `asyncio.create_task`.",
)
def threads(code: Code) -> Iterator[Place]:
    """Names of threads, executors and event loops, and methods that hand work to them."""
    for module, node, dotted in code.names:
        if _under(dotted, _THREADS):
            yield module, node, f"`{dotted}`"
    for module, node in code.nodes:
        if isinstance(node, ast.Attribute) and node.attr == "run_in_executor":
            yield module, node, f"`{ast.unparse(node)}`"
