"""A record of any size: what some real orders have written, copied with set-based SQL under other ids.

Which tables grow with orders is seen, not listed: those that have more rows after the orders than before. A copy keeps
every byte of the rows it is of, quotes and printed papers among them: the sizes of tables are those of real ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

# So many copies of an enrollment share a copy of its course.
_LEARNERS_OF_A_COURSE = 500
_CATALOG = ("courses", "lessons")
_PEOPLE = "people"
# Were there before the orders: of them those that the orders are about.
_AROUND = {
    _PEOPLE: "id IN (SELECT payer_id FROM public.orders)",
    "courses": "id IN (SELECT course_id FROM public.order_lines)",
    "lessons": "course_id IN (SELECT course_id FROM public.order_lines)",
}
_SPREAD_DAYS = 730
_TEXTS = ("varchar", "text")
# Unique, but by an index on what is made of it.
_BY_EXPRESSION = "email"
# Words of a closed list that are part of a unique index beside an id.
_WORDS = frozenset({"template", "occasion", "kind", "status", "list", "name", "position"})
_NOT_COPIED = {*_AROUND, "number_series"}
_ID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_FUNCTIONS = (
    "CREATE OR REPLACE FUNCTION copied(old uuid, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS"
    " $$ SELECT md5(old::text || '/' || n)::uuid $$",
    f"""
    CREATE OR REPLACE FUNCTION copied(old text, n bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    DECLARE found text := substring(old FROM '{_ID}');
    BEGIN RETURN coalesce(replace(old, found, md5(found || '/' || n)::uuid::text), old); END $$
    """,
)
_TABLES = text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
_COLUMNS = text(
    """
    SELECT a.attname, t.typname,
           (SELECT k.confrelid::regclass::text FROM pg_constraint k
             WHERE k.contype = 'f' AND k.conrelid = a.attrelid AND k.conkey = ARRAY[a.attnum] LIMIT 1) AS refers_to,
           EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique
             AND a.attnum = ANY (i.indkey::smallint[])) AS is_unique,
           a.attidentity <> '' OR a.attgenerated <> '' AS is_made
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = CAST(:table AS regclass) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
    """
)
_SIZES = text(
    "SELECT pg_relation_size(oid), pg_indexes_size(oid), pg_total_relation_size(oid) FROM pg_class"
    " WHERE oid = CAST(:table AS regclass)"
)


@dataclass(frozen=True)
class TableSize:
    """One table: its rows, and the bytes of rows, of indexes, and of all of it with what is stored out of line."""

    rows: int
    heap: int
    indexes: int
    total: int


async def row_counts(engine: AsyncEngine) -> dict[str, int]:
    """How many rows every table has."""
    async with engine.connect() as connection:
        tables = (await connection.execute(_TABLES)).scalars().all()
        counts = [await connection.execute(text(f"SELECT count(*) FROM {table}")) for table in tables]  # noqa: S608
        return {str(table): int(count.scalar_one()) for table, count in zip(tables, counts, strict=True)}


async def prepare(engine: AsyncEngine, before: dict[str, int]) -> list[str]:
    """Put the rows that the orders have written aside, to be copied. The tables that have grown."""
    after = await row_counts(engine)
    grown = [name for name, count in after.items() if count > before.get(name, 0) and name not in _NOT_COPIED]
    async with engine.begin() as connection:
        for statement in _FUNCTIONS:
            await connection.execute(text(statement))
        await connection.execute(text("CREATE SCHEMA source"))
        for name in (*grown, *_AROUND):
            those = _AROUND.get(name, "true")
            made = f"CREATE TABLE source.{name} AS SELECT * FROM public.{name} WHERE {those}"  # noqa: S608
            await connection.execute(text(made))
    return [*grown, _PEOPLE]


async def copy(engine: AsyncEngine, grown: Sequence[str], first: int, last: int) -> None:
    """The copies with these numbers, of every row that was put aside."""
    async with engine.begin() as connection:
        # Foreign keys are right by construction; to have each looked up would take hours.
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(text("SET LOCAL synchronous_commit = off"))
        there = (first - 1) // _LEARNERS_OF_A_COURSE + 1 if first > 1 else 0
        courses = (there + 1, last // _LEARNERS_OF_A_COURSE + 1)
        for name in _CATALOG:
            await _copy(connection, name, grown, courses)
        for name in grown:
            await _copy(connection, name, grown, (first, last))


async def _copy(connection: AsyncConnection, table: str, grown: Sequence[str], numbers: tuple[int, int]) -> None:
    columns = (await connection.execute(_COLUMNS, {"table": f"public.{table}"})).all()
    course = "n" if table in _CATALOG else f"(n / {_LEARNERS_OF_A_COURSE} + 1)"
    # Of words that hold no id every copy is the same; to look for one in each row takes most of the time.
    telling = {
        str(name)
        for name, kind, *_ in columns
        if kind in _TEXTS and await connection.scalar(text(f"SELECT bool_or({name} ~ '{_ID}') FROM source.{table}"))  # noqa: S608
    }
    made = {
        str(name): _copied(str(name), str(kind), refers_to, is_unique, name in telling, grown, course)
        for name, kind, refers_to, is_unique, is_made in columns
        if not is_made
    }
    statement = (
        f"INSERT INTO public.{table} ({', '.join(made)}) SELECT {', '.join(made.values())}"  # noqa: S608
        f" FROM source.{table} AS old CROSS JOIN generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n"
    )
    await connection.execute(text(statement), {"first": numbers[0], "last": numbers[1]})


def _copied(
    name: str,
    kind: str,
    refers_to: str | None,
    is_unique: bool,
    tells_an_id: bool,
    grown: Sequence[str],
    course: str,
) -> str:
    """How a column of a copy is made of that of the original."""
    column = f"old.{name}"
    if kind == "uuid":
        stays = refers_to is not None and refers_to not in grown and refers_to not in _CATALOG
        return column if stays else f"copied({column}, {course if refers_to in _CATALOG else 'n'})"
    if kind == "timestamptz":
        return f"{column} - (n % {_SPREAD_DAYS}) * interval '1 day'"
    if kind in _TEXTS and (name == _BY_EXPRESSION or (is_unique and name not in _WORDS)):
        return f"n || '-' || {column}"
    return f"copied({column}, n)" if tells_an_id else column


async def analyze(engine: AsyncEngine) -> None:
    """What autovacuum does in its own time: the planner's figures, and the map of what all can see."""
    async with engine.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text("VACUUM ANALYZE"))


async def table_sizes(engine: AsyncEngine, tables: Sequence[str]) -> dict[str, TableSize]:
    """How large the tables are."""
    counts = await row_counts(engine)
    async with engine.connect() as connection:
        found = {}
        for name in tables:
            heap, indexes, total = (await connection.execute(_SIZES, {"table": f"public.{name}"})).one()
            found[name] = TableSize(counts[name], heap, indexes, total)
        return found
