"""The documentation names only what exists, and names every setting."""

import base64
import importlib
import inspect
import json
import re
import textwrap
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path

import pytest
from dateutil.relativedelta import relativedelta
from sqlalchemy import text
from standardwebhooks import Webhook
from temporalio import workflow
from temporalio.client import Client
from typer.main import get_command

from activities.database import Sessions
from activities.stripe_events import OF_INTEREST
from cli import app
from models import search, vocabulary
from models.errors import Reason
from models.vocabulary import StripeEventStatus, TaskAction, TaskKind
from routes.order_decisions import DenyReason
from routes.order_requests import CancelReason
from settings import Settings
from worker import WORKFLOWS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PRODUCTION = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")
OPERATORS = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
VOCABULARY = (ROOT / "docs" / "vocabulary.md").read_text(encoding="utf-8")
SETTINGS = {name.upper() for name in Settings.model_fields}
LARGEST_IMAGE = 250_000

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_MAKE = re.compile(r"(?:`|^)make ([a-z]+)", re.MULTILINE)
_REGISTRAR = re.compile(r"(?:`|^|&& |/|\()registrar ([a-z]+)(?: ([a-z]+))?", re.MULTILINE)
_SETTING_ROW = re.compile(r"^\| `([A-Z][A-Z_]+)` \|", re.MULTILINE)
_REASON_KEY = re.compile(r"registrar_refusals_total\{reason=\"(\w+)\"\}")
_CODE = re.compile(r"`([a-z]+(?:_[a-z]+)+)`")
_FILE = re.compile(r"`((?:[a-z_]+/)+(?:[a-z_0-9]+\.(?:py|toml|json|md|LICENSE))?|[a-z_]+\.(?:py|toml|lock))`")
_CONSTANT = re.compile(r"`([A-Z]+(?:_[A-Z]+)+)`")
_WAIT = re.compile(r"^\| [^|]+ \| ([^|]+) \| `((?:rules|workflows)/[a-z_]+)\.py` `([A-Z_]+)` \|$", re.MULTILINE)
_QUERY = re.compile(r"`((?:Registrar|ExecutionStatus|TemporalWorkerDeploymentVersion)[A-Za-z]*[ =<>][^`]+)`")
_ATTRIBUTE = re.compile(r"\bRegistrar[A-Z][A-Za-z]+")

_PACKAGES = (
    "activities", "commands", "doctor", "migrations", "models", "routes", "rules", "sandbox", "tests", "workflows",
)  # fmt: skip
_SOURCE = "".join(
    file.read_text(encoding="utf-8")
    for file in (*ROOT.glob("*.py"), *(file for name in _PACKAGES for file in (ROOT / name).rglob("*.py")))
    if file != Path(__file__)
)
_WORDS = set(re.findall(r"[a-z]+(?:_[a-z]+)+", _SOURCE))
_AT_THE_START_OF_A_LINE = set(re.findall(r"^\w+", _SOURCE, re.MULTILINE))
# Words of other programs.
_NOT_OURS = {
    "activity_type", "btree_gist", "max_prepared_statements", "pg_indexes_size", "pg_relation_size",
    "pg_total_relation_size", "stop_grace_period",
}  # fmt: skip


def statements(page: str) -> list[str]:
    """The SQL that a page tells operators to run."""
    blocks = re.findall(r"^```sql\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [each.strip() for block in blocks for each in block.split(";") if each.strip()]


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    """Each page of the documentation."""
    chosen: Path = request.param
    return chosen


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = _HEADING.findall(_prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_and_images_lead_somewhere(page: Path) -> None:
    for markdown, html in _LINK.findall(_prose(page)):
        address = markdown or html
        if re.match(r"[a-z]+:", address):
            continue
        path, _, anchor = address.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} leads to {address}"
        if anchor:
            assert anchor in _anchors(target), f"{page.name} leads to {address}"


def test_images_are_shown_and_small() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for image in (ROOT / "docs" / "images").iterdir():
        assert image.name in pages, f"nothing shows {image.name}"
        assert image.stat().st_size < LARGEST_IMAGE, image.name


def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(_MAKE.findall(page.read_text(encoding="utf-8"))) <= targets


def test_commands_exist(page: Path) -> None:
    top = get_command(app)
    known = top.list_commands(top.make_context("registrar", [], resilient_parsing=True))  # type: ignore[attr-defined]
    for command, below in _REGISTRAR.findall(page.read_text(encoding="utf-8")):
        assert command in known
        if command == "academy":
            assert below == "load"


def test_the_tables_name_settings_that_exist() -> None:
    assert set(_SETTING_ROW.findall(README)) <= SETTINGS
    assert set(_SETTING_ROW.findall(PRODUCTION)) <= SETTINGS


@pytest.mark.parametrize("setting", sorted(SETTINGS))
def test_every_setting_is_documented(setting: str) -> None:
    rows = set(_SETTING_ROW.findall(README)) | set(_SETTING_ROW.findall(PRODUCTION))
    assert setting in rows


@pytest.mark.parametrize("setting", sorted(_SETTING_ROW.findall(README) + _SETTING_ROW.findall(PRODUCTION)))
def test_the_tables_tell_the_defaults(setting: str) -> None:
    """Where a setting has a plain default, its row shows it."""
    default = Settings.model_fields[setting.lower()].get_default()
    if setting != "WORKER_BUILD_ID" and isinstance(default, str | int | float):
        shown = str(default).lower() if isinstance(default, bool) else f"{default}"
        row = re.search(rf"^\| `{setting}` \|.*$", README + PRODUCTION, re.MULTILINE)
        assert row is not None
        assert f"`{shown}`" in row.group()


def test_reason_codes_and_names_exist(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    assert set(_REASON_KEY.findall(content)) <= set(Reason)
    if page.name == "vocabulary.md":
        return  # full of other systems' words
    assert {word for word in _CODE.findall(content) if not word.startswith("temporal_")} <= _WORDS | _NOT_OURS


@pytest.mark.parametrize("statement", [*statements(OPERATORS), *statements(PRODUCTION)])
async def test_the_statements_run(statement: str, sessions: Sessions) -> None:
    async with sessions() as session:
        assert (await session.execute(text(statement))).all() == []


async def test_the_server_understands_the_saved_queries(real_temporal: Client) -> None:
    queries = {query for content in (OPERATORS, PRODUCTION) for query in _QUERY.findall(content)}
    assert len(queries) > 10
    for query in queries:
        meant = query.replace("<now>", datetime.now(UTC).isoformat())
        async for _ in real_temporal.list_workflows(meant, limit=1):
            break


def test_search_attributes_exist(page: Path) -> None:
    named = set(_ATTRIBUTE.findall(page.read_text(encoding="utf-8")))
    assert named <= {key.name for key in search.ALL}


def test_production_lists_the_search_attributes_the_events_and_the_outcomes() -> None:
    assert {key.name for key in search.ALL} <= set(_ATTRIBUTE.findall(PRODUCTION))
    listed = set(re.findall(r"^([a-z_]+\.[a-z_.]+)$", PRODUCTION, re.MULTILINE))
    assert listed == OF_INTEREST
    outcomes = set(re.findall(r"(?:outcome=|or `)\"(\w+)\"", PRODUCTION))
    assert outcomes <= set(StripeEventStatus) | set(Reason)


def test_constants_exist(page: Path) -> None:
    if page.name == "vocabulary.md":
        return  # full of other systems' words
    named = set(_CONSTANT.findall(page.read_text(encoding="utf-8"))) - SETTINGS
    assert named - _AT_THE_START_OF_A_LINE == set()


def _spoken(value: object) -> list[str]:
    """The ways to say the numbers of this wait; one of them, or all the numbers of a tuple, has to be in its row."""
    match value:
        case timedelta():
            units = {"day": timedelta(days=1), "hour": timedelta(hours=1), "minute": timedelta(minutes=1)}
            counts = {name: value // unit for name, unit in units.items() if value % unit == timedelta()}
            return [f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items()]
        case time():
            return [f"{value.hour}:{value.minute:02d}"]
        case relativedelta():
            return [f"{value.years * 12 + value.months} months"]
        case int():
            return [str(abs(value))]
    raise AssertionError(f"no words for {value!r}")


@pytest.mark.parametrize(("told", "module", "constant"), _WAIT.findall(ARCHITECTURE))
def test_the_table_of_waits_tells_the_numbers_of_the_code(told: str, module: str, constant: str) -> None:
    value = getattr(importlib.import_module(module.replace("/", ".")), constant)
    for each in value if isinstance(value, tuple) else (value,):
        # Of several lengths only the last carries its unit: "2 and 5 days".
        wordings = _spoken(each) if not isinstance(value, tuple) else [words.split()[0] for words in _spoken(each)]
        assert any(re.search(rf"\b{words}\b", told) for words in wordings), f"{constant} is {value!r}, not {told}"


def test_every_wait_of_the_rules_is_in_the_table() -> None:
    told = {constant for _, _, constant in _WAIT.findall(ARCHITECTURE)}
    for name in ("approval", "holds", "invoicing", "payment", "provisioning", "tutor_application"):
        rules = importlib.import_module(f"rules.{name}")
        waits = {key for key, value in vars(rules).items() if key.isupper() and isinstance(value, timedelta | tuple)}
        assert waits <= told, f"rules/{name}.py"


def test_the_vocabulary_has_every_word() -> None:
    lists = [
        words for _, words in inspect.getmembers(vocabulary, inspect.isclass) if words.__module__ == "models.vocabulary"
    ]
    words = {word.value for words in lists if issubclass(words, StrEnum) for word in words}
    own = VOCABULARY + OPERATORS + PRODUCTION
    assert {word for word in words if not re.search(rf"\b{word}\b", own)} == set()


def test_operators_are_told_every_reason_to_cancel_and_to_deny() -> None:
    assert {reason for reason in (*CancelReason, *DenyReason) if f"`{reason}`" not in OPERATORS} == set()


def test_operators_are_told_every_message_task_and_decision() -> None:
    definitions = [workflow._Definition.must_from_class(job) for job in WORKFLOWS]
    names = {name for job in definitions for name in (*job.signals, *job.updates) if name is not None}
    asked = names - {"checkout", "begin"}  # the API's, at the start
    assert {word for word in (*asked, *TaskKind, *TaskAction) if f"`{word}`" not in OPERATORS} == set()


@pytest.mark.parametrize(
    ("place", "sent_by", "names"), [(0, "provisioning", "enrollment_id"), (1, "tutor_profiles", "application_id")]
)
def test_the_learning_platform_can_verify_as_the_page_says(place: int, sent_by: str, names: str) -> None:
    message = re.findall(r"^```json\n(.*?)^```", PRODUCTION, re.MULTILINE | re.DOTALL)[place]
    [example] = re.findall(r"^```python\n(.*?)^```", PRODUCTION, re.MULTILINE | re.DOTALL)
    sender = (ROOT / "activities" / f"{sent_by}.py").read_text(encoding="utf-8")
    told = json.loads(message)
    assert {key for key in (*told, *told["data"]) if f'"{key}": ' not in sender} == set()
    assert f'"{told["type"]}"' in sender

    namespace: dict[str, object] = {}
    secret = f"whsec_{base64.b64encode(bytes(32)).decode()}"
    environment = f"class os:\n    environ = {{'PROVISIONING_SECRET': {secret!r}}}\n"
    exec(f"{environment}def receive(body, headers):\n{textwrap.indent(example, '    ')}    return message", namespace)  # noqa: S102
    receive = namespace["receive"]
    assert callable(receive)
    moment = datetime.now(UTC)
    headers = {
        "webhook-id": told["data"][names],
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(told["data"][names], moment, message),
    }
    assert receive(message.encode(), headers) == told
    assert receive(message.encode() + b" ", headers) == 401


def test_files_exist(page: Path) -> None:
    for named in _FILE.findall(page.read_text(encoding="utf-8")):
        if not named.startswith("var/"):
            assert (ROOT / named).exists(), f"{page.name} names {named}"
