"""docs/jobs.md has every job, and quotes what the jobs really say."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.vocabulary import WaitingFor
from worker import WORKFLOWS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\|(?: [a-z]+ \|)? `(\w+)` \| \*(.+?)\* \| .+ \|$", re.MULTILINE)
QUOTES = _ROW.findall(PAGE)


def sentences() -> Iterator[str]:
    """What stands between quotation marks in the workflows, with `…` for what is filled in."""
    for file in (ROOT / "workflows").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


SAID = "\n".join(sentences())


def test_every_job_is_there() -> None:
    assert {job.__name__ for job in WORKFLOWS if f"`{job.__name__}`" not in PAGE} == set()


def test_the_tables_are_read() -> None:
    assert len(QUOTES) == len(re.findall(r"^\| .*`\w+` \| \*", PAGE, re.MULTILINE)) > 30
    assert {waits_for for waits_for, _ in QUOTES} == set(WaitingFor)


@pytest.mark.parametrize("quote", [told for _, told in QUOTES])
def test_jobs_say_what_the_page_says(quote: str) -> None:
    """Sentence by sentence, since some are put together."""
    for sentence in re.split(r"(?<=[.;]) (?=[A-Z…])", quote):
        if sentence != "…":
            assert sentence in SAID, f"no job says {sentence!r}"
