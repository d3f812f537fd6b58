"""The receipt as a document: made once, stored, written down, and the same however often it is asked for."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest
from pypdf import PdfReader
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.exceptions import ApplicationError

from activities.database import Sessions
from activities.documents import DocumentActivities
from activities.files import FileStore
from models.messages.documents import RenderReceipt
from models.tables import Document
from sandbox.sample_academy import load_academy
from tests.integration.completed_orders import change_person, complete_order

COURSES = [("spanish-a1", "lukasz"), ("spanish-a1", "layla")]


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
async def documents(sessions: Sessions, tmp_path: Path, executor: ThreadPoolExecutor) -> DocumentActivities:
    await load_academy(sessions)
    return DocumentActivities(sessions, FileStore(tmp_path.as_uri()), executor)


async def test_the_receipt_is_stored_and_written_down(documents: DocumentActivities) -> None:
    _, completed = await complete_order(documents.sessions, courses=COURSES)
    file = await documents.render_receipt(RenderReceipt(receipt_id=completed.receipt_id))
    assert file.key == f"receipts/{completed.receipt_id}.pdf"
    async with documents.sessions() as session:
        receipt = await session.get_one(Document, completed.receipt_id)
    assert (receipt.file_key, receipt.sha256) == (file.key, file.sha256)
    pdf = await documents.files.get(file)
    assert len(pdf) == file.size
    reader = PdfReader(BytesIO(pdf))
    text = "\n".join(page.extract_text() for page in reader.pages)
    assert receipt.number in text
    assert "Łukasz Żółciński" in text
    assert reader.metadata is not None
    assert receipt.number in (reader.metadata.title or "")


async def test_a_repeat_returns_the_file_as_it_is(documents: DocumentActivities) -> None:
    _, completed = await complete_order(documents.sessions, courses=COURSES)
    request = RenderReceipt(receipt_id=completed.receipt_id)
    first = await documents.render_receipt(request)
    await change_person(documents.sessions, "lukasz", full_name="Somebody Else")
    documents.executor.shutdown()  # setting anything would fail now
    assert await documents.render_receipt(request) == first


async def test_two_attempts_at_once_agree(documents: DocumentActivities) -> None:
    _, completed = await complete_order(documents.sessions, courses=COURSES)
    request = RenderReceipt(receipt_id=completed.receipt_id)
    first, second = await asyncio.gather(documents.render_receipt(request), documents.render_receipt(request))
    assert first == second
    await documents.files.get(first)


async def test_an_unknown_receipt_is_refused_for_good(documents: DocumentActivities) -> None:
    with pytest.raises(ApplicationError) as caught:
        await documents.render_receipt(RenderReceipt(receipt_id=uuid4()))
    assert caught.value.non_retryable
    assert caught.value.type == "receipt_unknown"


async def test_the_facts_take_two_statements(documents: DocumentActivities, engine: AsyncEngine) -> None:
    _, completed = await complete_order(documents.sessions, courses=COURSES)
    reads: list[str] = []

    def count(*arguments: object) -> None:
        if str(arguments[2]).startswith("SELECT") and "FOR UPDATE" not in str(arguments[2]):
            reads.append(str(arguments[2]))

    event.listen(engine.sync_engine, "before_cursor_execute", count)
    try:
        await documents.render_receipt(RenderReceipt(receipt_id=completed.receipt_id))
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", count)
    assert len(reads) == 2


async def test_the_event_loop_is_never_blocked(documents: DocumentActivities) -> None:
    _, completed = await complete_order(documents.sessions, courses=COURSES)
    longest, done = 0.0, asyncio.Event()

    async def watch() -> None:
        nonlocal longest
        loop = asyncio.get_running_loop()
        while not done.is_set():
            before = loop.time()
            await asyncio.sleep(0.005)
            longest = max(longest, loop.time() - before)

    watching = asyncio.create_task(watch())
    await documents.render_receipt(RenderReceipt(receipt_id=completed.receipt_id))
    done.set()
    await watching
    assert longest < 0.25
