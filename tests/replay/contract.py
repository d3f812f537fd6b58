"""What a release has promised to understand for good: `contracts/<version>.json`.

All that is said between API, workflows and activities, and what waits in PostgreSQL as JSON: fields, types, bounds and
words. `python -m tests.replay.contract` writes it for the release that is being made; never change an older one.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from pydantic import TypeAdapter
from sqlalchemy import JSON
from sqlmodel import SQLModel

import models.tables
from activities.export_columns import Column
from activities.printed import PrintedDocument
from models.canvas import Canvas
from models.certificate_facts import CertificateFacts
from models.drip import BoundedRule
from models.messages.exports import ExportFilters
from models.messages.learning import CourseChangeRequest
from models.quote import Quote
from tests.replay.messages import Spoken, spoken
from tests.replay.payloads import GONE
from tests.replay.schema import Narrowing, Schema, bare

FOLDER = Path(__file__).parent / "contracts"
WRITE = "python -m tests.replay.contract"

# As which type each JSON column is read. One that no code takes apart again has a plain type.
COLUMNS: Mapping[str, object] = {
    "application_decisions.documents": list[dict[str, object]],
    "certificate_template_versions.canvas": Canvas,
    "certificates.facts": CertificateFacts,
    "check_runs.counts": dict[str, int],
    "course_changes.request": CourseChangeRequest,
    "documents.printed": PrintedDocument,
    "export_chunks.rows": list[object],
    "exports.columns": tuple[Column, ...],
    "exports.filters": ExportFilters,
    "exports.totals": dict[str, object],
    "lessons.drip_rule": BoundedRule,
    "orders.quote": Quote,
}

Contract = Mapping[str, Mapping[str, Schema]]


def json_columns() -> set[str]:
    """The columns that hold JSON, as `table.column`."""
    assert models.tables
    return {
        f"{table.name}.{column.name}"
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, JSON)
    }


def todays() -> Contract:
    """The contract of today's code."""
    return contract_of(spoken(), COLUMNS)


def contract_of(said: Spoken, columns: Mapping[str, object]) -> Contract:
    """Schemas by what is said or kept, how many arguments are needed, and the models that the schemas name."""
    schemas, whole = TypeAdapter.json_schemas(
        [(where, "validation", TypeAdapter(kept)) for where, kept in _types(said, columns)]
    )
    return {
        "said": {where: _bare(schema) for (where, _), schema in sorted(schemas.items())},
        "needs": {f"{kind} {name}": {"arguments": each.needs} for (kind, name), each in sorted(said.items())},
        "models": {name: _bare(schema) for name, schema in sorted(whole.get("$defs", {}).items())},
    }


def released() -> Mapping[str, Contract]:
    """The contracts of all releases that have one, by their version."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))}


def broken(old: Contract, new: Contract) -> Iterator[str]:
    """What `old` promised and `new` does not keep, in words."""
    compared = Narrowing(old["models"], new["models"])
    yield from compared.models()
    for where, schema in sorted(old["said"].items()):
        kind, name, _ = where.split(" ")
        if where in new["said"]:
            yield from compared.of(schema, new["said"][where], where)
        elif (kind, name) not in GONE:
            yield f"{where}: is not said any more, and sleeping jobs may still say it"
    for what, needed in sorted(new["needs"].items()):
        before, after = _count(old["needs"].get(what, needed)), _count(needed)
        if after > before:
            yield f"{what}: cannot do without {after} arguments, and could with {before}"


def _count(needed: Schema) -> int:
    count = needed["arguments"]
    assert isinstance(count, int)
    return count


def _types(said: Spoken, columns: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for (kind, name), each in said.items():
        for number, taken in enumerate(each.takes, start=1):
            yield f"{kind} {name} takes{'' if number == 1 else f'-{number}'}", taken
        if kind != "signal":
            yield f"{kind} {name} answers", each.answer
    for column, kept in columns.items():
        yield f"column {column} holds", kept


def _bare(schema: object) -> Schema:
    kept = bare(schema)
    assert isinstance(kept, dict)
    return kept


def _written(contract: Contract) -> str:
    """A line for each thing, so that a review shows what is new."""
    parts = [
        f" {json.dumps(part)}: {{\n"
        + ",\n".join(f"  {json.dumps(name)}: {json.dumps(schema)}" for name, schema in things.items())
        + "\n }"
        for part, things in contract.items()
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    """Write the contract of the release that is being made, unless it breaks what an older one promised."""
    made = todays()
    file = FOLDER / f"{version('registrar')}.json"
    if file.exists() and file.read_text() != _written(made):
        sys.exit(f"{file.name} is written already. Raise the version first; or delete the file, if it is not released.")
    troubles = [f"{release}: {each}" for release, old in released().items() for each in broken(old, made)]
    if troubles:
        sys.exit("\n".join(["Not written, since this is broken:", *troubles]))
    FOLDER.mkdir(exist_ok=True)
    file.write_text(_written(made))
    print(f"written: {file.name}")


if __name__ == "__main__":
    main()
