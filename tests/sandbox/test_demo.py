"""The two commands of the README, side by side in one folder: the demo plays to its end, `up` stays until Ctrl-C."""

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

REGISTRAR = str(Path(sys.executable).parent / "registrar")
# The parts must be the embedded ones, whatever the machine that runs the tests has set.
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}


async def start(command: str, folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        REGISTRAR,
        command,
        cwd=folder,
        env=ENVIRONMENT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def said(process: asyncio.subprocess.Process, words: str) -> str:
    """Everything it said until these words."""
    assert process.stdout is not None
    heard = ""
    while words not in heard:
        line = await process.stdout.readline()
        assert line, heard
        heard += line.decode()
    return heard


@pytest.mark.timeout(240)
async def test_demo_and_up_side_by_side(tmp_path: Path) -> None:
    up = await start("up", tmp_path)
    try:
        doors = await said(up, "Ctrl-C stops it")
        demo = await start("demo", tmp_path)
        told, _ = await demo.communicate()
        assert demo.returncode == 0, told.decode()
        _look_at_results(tmp_path / "var" / "demo", told.decode())
        # Once more in the same folder, until somebody has seen enough.
        again = await start("demo", tmp_path)
        await said(again, "R-2026-000001 written")
        again.send_signal(signal.SIGINT)
        await again.communicate()
        up.send_signal(signal.SIGINT)
        rest, _ = await up.communicate()
        assert up.returncode == 0, doors + rest.decode()
    finally:
        if up.returncode is None:
            up.kill()
            await up.wait()


def _look_at_results(home: Path, told: str) -> None:
    scenes = json.loads((home / "summary.json").read_text())
    assert len(scenes) >= 6
    completed = [scene for scene in scenes if scene["state"] in {"completed", "refunded"}]
    others = {scene["title"]: scene["state"] for scene in scenes if scene not in completed}
    assert others == {
        "A card declined three times": "cancelled",
        "A course is removed": "done",
        "A tutor applies": "approved",
        "A tutor is rejected by two people": "rejected_hard",
        "A cart is left, and won back by a mail": "recovered",
        "A cart that is bought in time": "ordered",
        "A certificate, checked by anybody": "issued",
        "The sales of the day": "done",
    }
    assert [scene["title"] for scene in scenes if scene["state"] == "refunded"] == ["Refund after the first lesson"]
    assert all(scene["workflow_id"] in told for scene in scenes)
    receipts = sorted((home / "receipts").glob("*.pdf"))
    assert len(receipts) == sum(scene["workflow_id"].startswith("order-") for scene in completed)
    assert all(PdfReader(file).pages for file in receipts)
    # One confirmation each; the asking for an approval, its answer, an invoice, a refund and its notice, the word about
    # the declines. A removed course brings three orders with three mails each, and one about an unpaid order. Two
    # applications bring five and three, two carts a confirmation each, and one of them a reminder. A certificate brings
    # a confirmation of its course, the asking for a name, the certificate, and the word that it is revoked. How many
    # tell of lessons depends on the day of the week.
    about_lessons = re.search(r"with (\d+) mails", told)
    assert about_lessons is not None
    expected = len(completed) + 6 + 3 * 3 + 1 + 5 + 3 + 3 + 4 + int(about_lessons[1])
    assert len(list((home / "mails").glob("*.html"))) == expected
    [certificate] = (home / "certificates").glob("CERT-*.pdf")
    assert "Żółciński" in PdfReader(certificate).pages[0].extract_text()
    [workbook] = (home / "reports").glob("*.xlsx")
    assert load_workbook(workbook, read_only=True).sheetnames[-1] == "About"
    [report] = (home / "reports").glob("*.pdf")
    assert "Sales and refunds by course" in PdfReader(report).pages[0].extract_text()
    records = sorted((home / "records").glob("*.pdf"))
    assert len(records) == 2
    assert all(PdfReader(file).pages for file in records)
    assert "Everything it started has been stopped." in told
