"""The mailbox: keeps every mail, shows it safely, and fails in every way a mail server can when told to."""

import asyncio
import json
import os
import re
import signal
import smtplib
import sys
from collections.abc import AsyncIterator
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from sandbox.mail_faults import Fault, FaultKind
from sandbox.mailbox import Faults, Mailbox

PICTURE = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Mailbox]:
    async with Mailbox.serve(tmp_path / "maildir") as served:
        yield served


@pytest.fixture
async def http(box: Mailbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=box.http_url) as client:
        yield client


def letter(subject: str = "Your seat is paid", to: str = "lukasz@students.test") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "TutorHub Academy <academy@registrar.test>"
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = "Fri, 20 Nov 2026 09:30:00 +0100"
    message["Message-ID"] = "<1@registrar.test>"
    message.set_content("Hello Łukasz,\nyour seat is paid.\n")
    return message


def rich_letter() -> EmailMessage:
    message = letter("Łódź <b>bold</b> & brave")
    message.add_alternative(
        '<html><head></head><body><img src="cid:logo"><script>alert(1)</script><a href="https://x.test">x</a></body></html>',
        subtype="html",
    )
    html = message.get_payload()[1]
    assert isinstance(html, EmailMessage)
    html.add_related(PICTURE, "image", "svg+xml", cid="<logo>")
    message.add_attachment(b"%PDF-1.4 \x00", maintype="application", subtype="pdf", filename="Quittung ü.pdf")
    return message


async def send(box: Mailbox, *messages: EmailMessage, to: list[str] | None = None) -> dict[str, tuple[int, bytes]]:
    def talk() -> dict[str, tuple[int, bytes]]:
        refused: dict[str, tuple[int, bytes]] = {}
        with smtplib.SMTP("127.0.0.1", box.smtp_port, timeout=10) as server:
            for message in messages:
                refused |= server.send_message(message, to_addrs=to)
        return refused

    return await asyncio.to_thread(talk)


async def test_mails_are_kept_in_a_maildir_the_newest_first(box: Mailbox, tmp_path: Path) -> None:
    await send(box, *(letter(f"number {n}") for n in range(5)), to=["a@students.test", "hidden@students.test"])
    assert [str(message["Subject"]) for message in box.messages()] == [f"number {n}" for n in (4, 3, 2, 1, 0)]
    newest = box.messages()[0]
    assert newest["Message-ID"] == "<1@registrar.test>"
    assert newest["Return-Path"] == "<academy@registrar.test>"
    assert newest.get_all("Delivered-To") == ["a@students.test", "hidden@students.test"]
    assert len(list((tmp_path / "maildir" / "new").iterdir())) == 5
    async with Mailbox.serve(tmp_path / "maildir") as again:
        assert len(again.messages()) == 5
    box.clear()
    assert box.messages() == []


async def test_the_list_shows_subject_recipient_and_date_as_text(box: Mailbox, http: httpx.AsyncClient) -> None:
    assert "No mail yet" in (await http.get("/")).text
    await send(box, rich_letter())
    page = await http.get("/")
    assert "Łódź &lt;b&gt;bold&lt;/b&gt; &amp; brave" in page.text
    assert "to lukasz@students.test" in page.text
    assert 'datetime="2026-11-20T09:30:00+01:00"' in page.text
    assert "1 attached" in page.text
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"]
    unchanged = await http.get("/", headers={"If-None-Match": page.headers["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    await send(box, letter())
    assert (await http.get("/", headers={"If-None-Match": page.headers["ETag"]})).status_code == 200


async def test_a_long_list_has_pages(box: Mailbox, http: httpx.AsyncClient) -> None:
    for number in range(101):
        box._store.add(b"Subject: number %d\r\n\r\n" % number)
    first, second = await http.get("/"), await http.get("/?page=2")
    assert "101 mails" in first.text
    assert "page 1 of 2" in first.text
    assert ("number 100<" in first.text, "number 0<" in first.text) == (True, False)
    assert ("number 100<" in second.text, "number 0<" in second.text) == (False, True)
    assert (await http.get("/?page=nonsense")).status_code == 200
    assert (await http.get("/?page=99")).status_code == 200


async def test_one_mail_is_shown_in_a_frame_that_can_do_nothing(box: Mailbox, http: httpx.AsyncClient) -> None:
    await send(box, rich_letter())
    key = box.mails()[0].key
    page = await http.get(f"/mails/{key}")
    for shown in ("Hello Łukasz", "Quittung ü.pdf", "Message-ID", "academy@registrar.test"):
        assert shown in page.text
    frame = re.search(r"<iframe([^>]*)>", page.text)
    assert frame is not None
    assert "allow-scripts" not in frame[1]
    assert "allow-same-origin" not in frame[1]
    assert 'sandbox="allow-popups' in frame[1]
    html = await http.get(f"/mails/{key}/html")
    policy = html.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-popups" in policy
    assert "script-src" not in policy
    assert "data:image/svg+xml;base64," in html.text
    assert '<base target="_blank">' in html.text


async def test_attachments_are_downloaded_and_never_opened(box: Mailbox, http: httpx.AsyncClient) -> None:
    await send(box, rich_letter())
    key = box.mails()[0].key
    file = await http.get(f"/mails/{key}/attachments/0")
    assert file.content == b"%PDF-1.4 \x00"
    assert file.headers["Content-Type"] == "application/pdf"
    assert file.headers["Content-Disposition"] == "attachment; filename*=UTF-8''Quittung%20%C3%BC.pdf"
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    assert (await http.get(f"/mails/{key}/attachments/1")).status_code == 404
    source = await http.get(f"/mails/{key}/source")
    assert source.text.startswith("Return-Path: <academy@registrar.test>")


async def test_the_json_api_tells_the_same(box: Mailbox, http: httpx.AsyncClient) -> None:
    await send(box, rich_letter())
    [summary] = (await http.get("/api/messages")).json()
    assert summary["headers"] == {
        "Message-ID": "<1@registrar.test>",
        "Date": "Fri, 20 Nov 2026 09:30:00 +0100",
        "From": "TutorHub Academy <academy@registrar.test>",
        "To": "lukasz@students.test",
        "Subject": "Łódź <b>bold</b> & brave",
    }
    assert summary["envelope_to"] == ["lukasz@students.test"]
    assert summary["text"].startswith("Hello Łukasz")
    assert summary["attachments"] == [{"name": "Quittung ü.pdf", "media_type": "application/pdf", "size": 10}]
    one = (await http.get(f"/api/messages/{summary['key']}")).json()
    assert "<script>" in one["html"]
    assert ["Subject", "Łódź <b>bold</b> & brave"] in one["all_headers"]
    missing = await http.get("/api/messages/none")
    assert (missing.status_code, missing.json()) == (404, {"detail": missing.json()["detail"]})
    assert (await http.delete("/api/messages")).status_code == 204
    assert (await http.get("/api/messages")).json() == []


@pytest.mark.parametrize("raw", [b"", b"no header at all", b"Subject: =?utf-8?q?=ff?=\r\nDate: never\r\n\r\n\xff\xfe"])
async def test_even_a_broken_mail_is_shown(box: Mailbox, http: httpx.AsyncClient, raw: bytes) -> None:
    key = box._store.add(raw)
    for path in ("/", f"/mails/{key}", f"/mails/{key}/html", f"/api/messages/{key}"):
        assert (await http.get(path)).status_code == 200, path
    gone = await http.get("/mails/gone")
    assert gone.status_code == 404
    assert "There is no such mail" in gone.text


async def test_the_page_is_whole(box: Mailbox, http: httpx.AsyncClient) -> None:
    class Links(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found += [value for name, value in attrs if name in {"href", "src"} and value and value[0] == "/"]

    await send(box, rich_letter())
    links = Links()
    links.feed((await http.get("/")).text)
    links.feed((await http.get(f"/mails/{box.mails()[0].key}")).text)
    assert len(links.found) > 6
    for link in links.found:
        assert (await http.get(link)).status_code == 200, link


async def test_a_refusal_is_by_recipient_and_so_many_times(box: Mailbox) -> None:
    fault = box.faults.add("reject_recipient", reply="550 5.1.1 Unknown", recipient="Bad@students.test", times=1)
    both = ["good@students.test", "bad@students.test"]
    assert await send(box, letter(), to=both) == {"bad@students.test": (550, b"5.1.1 Unknown")}
    assert await send(box, letter(), to=both) == {}
    assert fault.hits == 1
    assert [message.get_all("Delivered-To") for message in box.messages()] == [both, ["good@students.test"]]


async def test_a_refusal_after_the_content_stores_nothing(box: Mailbox) -> None:
    box.faults.add("reject_data", reply="451 4.3.0 Later", times=2)
    for _ in range(2):
        with pytest.raises(smtplib.SMTPDataError, match="Later"):
            await send(box, letter())
    assert box.messages() == []
    await send(box, letter())
    assert len(box.messages()) == 1


@pytest.mark.parametrize(
    ("kind", "stored"), [("drop_before_data", 0), ("drop_before_storing", 0), ("drop_after_storing", 1)]
)
async def test_a_connection_is_lost(box: Mailbox, kind: FaultKind, stored: int) -> None:
    box.faults.add(kind, times=1)
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        await send(box, letter())
    assert len(box.messages()) == stored
    await send(box, letter())
    assert len(box.messages()) == stored + 1


async def test_connections_are_refused(box: Mailbox) -> None:
    box.faults.add("refuse_connection", times=1)
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        await send(box, letter())
    await send(box, letter())
    await box.shut()
    with pytest.raises(ConnectionRefusedError):
        await send(box, letter())
    await box.reopen()
    await send(box, letter())
    assert len(box.messages()) == 2


async def test_an_answer_comes_late(box: Mailbox) -> None:
    box.faults.add("delay", seconds=0.3, recipient="slow@students.test")
    await send(box, letter())
    assert [fault.hits for fault in box.faults.all()] == [0]
    started = asyncio.get_running_loop().time()
    await send(box, letter(), to=["slow@students.test"])
    assert asyncio.get_running_loop().time() - started > 0.3
    assert [fault.hits for fault in box.faults.all()] == [1]


async def test_faults_can_be_named_at_once_and_are_mended_by_clear(box: Mailbox) -> None:
    box.faults = Faults(reply_to_recipient="450 4.2.1 Later", reply_to_data="550 5.7.1 No", drop_after_storing=True)
    assert [fault.kind for fault in box.faults.all()] == ["reject_recipient", "reject_data", "drop_after_storing"]
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        await send(box, letter())
    box.clear()
    assert await send(box, letter()) == {}


async def test_faults_are_switched_over_http_by_programs_only(box: Mailbox, http: httpx.AsyncClient) -> None:
    made = await http.post("/api/faults", json={"kind": "reject_data", "reply": "550 5.7.1 No", "times": 1})
    assert made.status_code == 201
    with pytest.raises(smtplib.SMTPDataError):
        await send(box, letter())
    assert [(fault["kind"], fault["hits"]) for fault in (await http.get("/api/faults")).json()] == [("reject_data", 1)]
    body = json.dumps({"kind": "delay"})
    assert (await http.post("/api/faults", content=body, headers={"Content-Type": "text/plain"})).status_code == 415
    for wrong in ({"kind": "nonsense"}, {"reply": "550 x"}, {"kind": "delay", "more": 1}, []):
        assert (await http.post("/api/faults", json=wrong)).status_code == 422, wrong
    assert (await http.delete("/api/faults")).status_code == 204
    assert box.faults.all() == []


@pytest.mark.parametrize("reply", ["250 OK", "no", "550", "550 two\r\nlines"])
def test_a_fault_must_be_a_refusal(reply: str) -> None:
    with pytest.raises(ValueError, match="no refusal"):
        Fault("reject_data", reply)


async def test_it_runs_as_a_program(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox.mailbox", "--smtp-port", "0", "--http-port", "0", "--maildir"]
    program = await asyncio.create_subprocess_exec(*command, str(tmp_path / "maildir"), stdout=-1, stderr=-1)
    assert program.stdout is not None
    line = (await asyncio.wait_for(program.stdout.readline(), 20)).decode()
    found = re.fullmatch(r"mailbox listening on smtp://127\.0\.0\.1:(\d+) and (http://127\.0\.0\.1:\d+)\n", line)
    assert found is not None, line
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{found[2]}/api/messages")).json() == []
    taken = await asyncio.create_subprocess_exec(*command[:4], found[1], *command[5:], str(tmp_path / "b"), stderr=-1)
    assert await taken.wait() != 0
    os.kill(program.pid, signal.SIGTERM)
    assert await asyncio.wait_for(program.wait(), 10) == 0
