"""That the benchmark's machinery works, on recorded figures. No stack is brought up, and no time is asserted."""

import ast
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench.comparison import changes, only_in_one, show_changes
from bench.figures import Row, Run
from bench.sizes import FULL, QUICK, Size
from bench.suite import row_module, row_names
from bench.table import cells, markdown, show

ROOT = Path(__file__).parents[2]
RECORDED = Path(__file__).parent / "recorded.json"
_COMMAND = re.compile(r"python -m (bench[\w.]*)((?: --?[\w-]+| [a-z]\w+)*)")
_PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def recorded() -> Run:
    return Run.read(RECORDED)


def slower(run: Run, by: float) -> Run:
    """The same run, Registrar's rounds so many times as long."""

    def slowed(row: Row) -> Row:
        rounds = tuple(each.model_copy(update={"seconds": each.seconds * by}) for each in row.registrar.rounds)
        return row.model_copy(update={"registrar": row.registrar.model_copy(update={"rounds": rounds})})

    return run.model_copy(update={"rows": tuple(map(slowed, run.rows))})


def test_every_row_of_a_run_has_a_floor_that_did_the_same_number_of_pieces(recorded: Run) -> None:
    for row in recorded.rows:
        pieces = {side.name: sum(each.pieces for each in side.rounds) for side in (row.registrar, row.floor)}
        ours, floor = pieces.values()
        # The audit log goes on being written while it is exported.
        assert ours == pytest.approx(floor, rel=0.1), f"{row.name}: {pieces} are not the same work"


def test_every_row_is_in_the_recorded_run_and_every_module_measures(recorded: Run) -> None:
    words = {"sleepers": "sleepers", "orders": "orders", "webhooks": "webhooks", "releases": "releases"}
    words |= {"certificates": "certificates", "mails": "mails", "exports": "export rows"}
    assert set(words) == set(row_names()), "say here how its rows begin, and record a run that has them"
    for module, beginning in words.items():
        assert any(row.name.startswith(beginning) for row in recorded.rows), f"no row of bench/rows/{module}.py"
    rivals = {"orders"}  # needs packages that are not part of every environment
    for name in set(row_names()) - rivals:
        assert callable(row_module(name).measure)


def test_modules_of_rows_say_what_they_measure_beside_what() -> None:
    for name in row_names():
        tree = ast.parse((ROOT / "bench" / "rows" / f"{name}.py").read_text())
        assert ast.get_docstring(tree), f"bench/rows/{name}.py does not say what it measures"
        made = [each for each in ast.walk(tree) if isinstance(each, ast.Call) and getattr(each.func, "id", "") == "Row"]
        assert made, f"bench/rows/{name}.py makes no row"
        assert all({"registrar", "floor"} <= {word.arg for word in row.keywords} for row in made)


def test_the_table_has_a_line_for_each_side(recorded: Run) -> None:
    out = Console(width=250, record=True, file=StringIO())
    show(out, recorded)
    shown = out.export_text()
    for row in recorded.rows:
        assert f"{row.name}: {row.registrar.name}" in shown
        for side in row.sides:
            assert side.name in shown
            assert cells(row, side)[0] in markdown(recorded)


def test_a_ratio_is_registrars_rate_as_a_part_of_the_others(recorded: Run) -> None:
    halved = slower(recorded, 2)
    for row, other in zip(recorded.rows, halved.rows, strict=True):
        assert other.ratio(other.floor) == pytest.approx(row.ratio(row.floor) / 2)
        assert cells(row, row.floor)[2] == f"{row.ratio(row.floor):.2f}"
        assert cells(row, row.registrar)[2] == ""


def test_a_run_compared_with_itself_has_not_changed(recorded: Run) -> None:
    found = list(changes(recorded, recorded))
    assert {each.row for each in found} == set(recorded.by_name)
    assert all(each.ratio == 1 and not each.is_beyond for each in found)
    assert only_in_one(recorded, recorded) == []


def test_what_is_beyond_the_spread_of_the_rounds_is_marked(recorded: Run) -> None:
    rates = [each for each in changes(recorded, slower(recorded, 10)) if each.figure.startswith("rate")]
    assert len(rates) == len(recorded.rows)
    assert all(each.is_beyond and each.ratio == pytest.approx(0.1) for each in rates)


def test_a_row_that_only_one_run_has_is_named(recorded: Run) -> None:
    first, *others = recorded.rows
    fewer = recorded.model_copy(update={"rows": tuple(others)})
    assert only_in_one(recorded, fewer) == [first.name]
    out = Console(width=200, record=True, file=StringIO())
    show_changes(out, recorded, fewer)
    assert f"In one of the runs only: {first.name}" in out.export_text()


def test_what_is_kept_is_read_again(recorded: Run, tmp_path: Path) -> None:
    file = recorded.write(tmp_path / "runs")
    assert Run.read(file) == recorded
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d{4}Z-[\d.]+\.json", file.name)


@pytest.mark.parametrize("size", [QUICK, FULL], ids=lambda size: size.form)
def test_a_form_can_be_scaled(size: Size) -> None:
    assert size.scaled(1) == size
    twice = size.scaled(2)
    assert (twice.orders, twice.rounds, twice.lanes) == (2 * size.orders, size.rounds, size.lanes)
    assert size.scaled(0.001).mails == 1


def documented_commands() -> Iterator[tuple[str, str]]:
    for page in (ROOT / "bench" / "README.md", ROOT / "docs" / "performance.md", ROOT / "Makefile"):
        for found in _COMMAND.finditer(page.read_text()):
            yield page.name, found[1]


def test_commands_that_are_documented_exist() -> None:
    commands = set(documented_commands())
    assert commands
    for page, module in commands:
        found = importlib.util.find_spec(f"{module}.__main__" if module == "bench" else module)
        assert found is not None, f"{page} names python -m {module}, which is not there"


def test_every_program_of_the_benchmark_is_named_in_its_readme() -> None:
    named = {module for _, module in documented_commands()}
    programs = {f"bench.{file.stem}" for file in (ROOT / "bench").glob("*.py") if "typer.run(main)" in file.read_text()}
    assert programs <= named, f"bench/README.md does not say what {', '.join(programs - named)} is for"


def test_what_the_rivals_need_changes_no_version_of_ours() -> None:
    ours = dict(_PINNED.findall((ROOT / "requirements.lock").read_text()))
    theirs = dict(_PINNED.findall((ROOT / "bench" / "requirements.lock").read_text()))
    other = {name: (ours[name], pin) for name, pin in theirs.items() if name in ours and ours[name] != pin}
    assert not other, f"`make lock` has not been run since one of them has changed: {other}"
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["bench"]
    assert {re.split(r"[\[<>=]", each)[0] for each in wanted} <= set(theirs)
