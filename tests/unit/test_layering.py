"""Who may import whom among the single files at the top, which the import linter cannot see (DESIGN §1)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "settings.py": {
        "models",
        "rules",
        "activities",
        "workflows",
        "routes",
        "api",
        "worker",
        "cli",
        "commands",
        "sandbox",
    },
    "schedules.py": {"routes", "api", "worker", "cli", "commands", "sandbox"},
    "api.py": {"worker", "cli", "commands", "sandbox"},
    "worker.py": {"routes", "api", "cli", "commands", "sandbox"},
}


def imported(file: Path) -> set[str]:
    """The top-level names a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("name", FORBIDDEN)
def test_entry_points_import_downward_only(name: str) -> None:
    assert not imported(ROOT / name) & FORBIDDEN[name]
