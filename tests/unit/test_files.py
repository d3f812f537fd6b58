"""Files under keys: written in one step, read back verified, never outside the store."""

import asyncio
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path

import pytest

from activities.files import FileMismatchError, FileMissingError, FileStore, FileStoreAwayError
from models.messages.documents import StoredFile
from routes.outages import is_outage


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore((tmp_path / "made" / "on demand").as_uri())


async def test_reads_what_was_written(store: FileStore) -> None:
    file = await store.put("receipts/one.pdf", b"%PDF-1", "application/pdf")
    assert file == StoredFile(key="receipts/one.pdf", sha256=sha256(b"%PDF-1").hexdigest(), size=6)
    assert await store.get(file) == b"%PDF-1"
    assert await store.get("receipts/one.pdf") == b"%PDF-1"
    assert await store.get("receipts/one.pdf", digest=file.sha256) == b"%PDF-1"
    assert await store.size("receipts/one.pdf") == 6


async def test_writing_again_replaces(store: FileStore) -> None:
    await store.put("a/b", b"old", "text/plain")
    assert await store.put("a/b", b"new", "text/plain") == await store.put("a/b", b"new", "text/plain")
    assert await store.get("a/b") == b"new"


async def test_an_open_file_is_written_from_its_beginning(store: FileStore) -> None:
    data = b"a long scan" * 1_000_000
    with tempfile.SpooledTemporaryFile(max_size=1000) as file:
        file.write(data)
        await store.put_file("scans/one", file, "application/pdf")
        assert await store.get("scans/one", digest=sha256(data).hexdigest()) == data
        with pytest.raises(ValueError, match="key"):
            await store.put_file("../up", file, "application/pdf")


async def test_a_file_is_deleted_once_and_for_all(store: FileStore) -> None:
    await store.put("a/b", b"old", "text/plain")
    for _ in range(2):
        await store.delete("a/b")
    with pytest.raises(FileMissingError):
        await store.size("a/b")
    with pytest.raises(ValueError, match="key"):
        await store.delete("../up")


async def test_a_changed_file_is_noticed(store: FileStore, tmp_path: Path) -> None:
    file = await store.put("a/b", b"right", "text/plain")
    (tmp_path / "made" / "on demand" / "a" / "b").write_bytes(b"wrong")
    with pytest.raises(FileMismatchError) as caught:
        await store.get(file)
    assert caught.value.type == "file_mismatch"
    assert caught.value.non_retryable


@pytest.mark.parametrize("size", [0, 1, 1 << 20, 3_000_001])
async def test_a_large_file_comes_in_pieces_and_a_changed_one_breaks_off_before_its_end(
    store: FileStore, tmp_path: Path, size: int
) -> None:
    data = bytes(index % 251 for index in range(size % 251)) + b"x" * (size - size % 251)
    file, at = await store.put("a/b", data, "text/csv"), tmp_path / "made" / "on demand" / "a" / "b"
    pieces = [piece async for piece in await store.open(file)]
    assert b"".join(pieces) == data
    assert all(len(piece) < 2_500_000 for piece in pieces)
    at.write_bytes(data + b"x")
    with pytest.raises(FileMismatchError):
        await store.open(file)
    if size:
        at.write_bytes(b"y" + data[1:])
        got: list[bytes] = []

        async def read() -> None:
            async for piece in await store.open(file):
                got.append(piece)

        with pytest.raises(FileMismatchError):
            await read()
        assert len(b"".join(got)) < size
    at.unlink()
    with pytest.raises(FileMissingError):
        await store.open(file)


async def test_a_missing_file_may_come_later(store: FileStore) -> None:
    for read in (store.get("no/such"), store.size("no/such")):
        with pytest.raises(FileMissingError) as caught:
            await read
        assert not caught.value.non_retryable


async def test_a_store_that_is_away_is_an_outage(store: FileStore, tmp_path: Path) -> None:
    await store.put("a/b", b"x", "text/plain")
    folder = tmp_path / "made" / "on demand"
    shutil.rmtree(folder)
    folder.write_text("where a folder was")
    with tempfile.SpooledTemporaryFile() as file:
        for step in (
            store.put("a/b", b"x", "text/plain"),
            store.put_file("a/b", file, "text/plain"),
            store.get("a/b"),
            store.size("a/b"),
            store.copy("a/b", "a/c"),
            store.delete("a/b"),
            store.delete_all("a"),
        ):
            with pytest.raises(FileStoreAwayError) as caught:
                await step
            assert is_outage(caught.value)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../up",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        ".hidden",
        "a\\b",
        "a\0b",
        "a b",
        "a%2e",
        "ż",
        "x" * 256,
    ],
)
async def test_unsafe_keys_are_refused(store: FileStore, key: str) -> None:
    attempts = (
        store.put(key, b"", "text/plain"),
        store.get(key),
        store.size(key),
        store.copy(key, "a/b"),
        store.copy("a/b", key),
        store.delete_all(key),
    )
    for attempt in attempts:
        with pytest.raises(ValueError, match="key"):
            await attempt


async def test_nobody_sees_half_a_file(store: FileStore) -> None:
    bodies = [bytes([number]) * 2_000_000 for number in range(6)]
    await store.put("big", bodies[0], "application/octet-stream")

    async def read() -> set[bytes]:
        return {await store.get("big") for _ in range(20)}

    seen, *_ = await asyncio.gather(read(), *(store.put("big", body, "application/octet-stream") for body in bodies))
    assert seen <= set(bodies)


async def test_a_copy_is_a_file_of_its_own(store: FileStore) -> None:
    await store.put("a/one", b"first", "text/plain")
    await store.copy("a/one", "b/two")
    await store.copy("a/one", "b/two")
    await store.put("a/one", b"second", "text/plain")
    assert await store.get("b/two") == b"first"
    with pytest.raises(FileMissingError):
        await store.copy("no/such", "b/three")


@pytest.mark.parametrize("url", ["memory:///", None])
async def test_a_folder_is_deleted_with_everything_below_it_and_no_neighbour(store: FileStore, url: str | None) -> None:
    found = store if url is None else FileStore(url)
    inside = [*(f"a/b/{number}" for number in range(30)), "a/b/c/d"]
    for key in (*inside, "a/bc/d", "b/a/b"):
        await found.put(key, b"x", "text/plain")
    for _ in range(2):
        await found.delete_all("a/b")
    for key in inside:
        with pytest.raises(FileMissingError):
            await found.get(key)
    await found.delete_all("nowhere")
    assert [await found.get(key) for key in ("a/bc/d", "b/a/b")] == [b"x", b"x"]


async def test_a_store_in_memory_keeps_the_media_type() -> None:
    store = FileStore("memory:///")
    assert await store.get(await store.put("a", b"x", "application/pdf")) == b"x"
