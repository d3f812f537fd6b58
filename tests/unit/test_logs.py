"""Log lines say which job or request they belong to, and nothing that somebody is called or has written."""

import asyncio
import json
import logging
from types import SimpleNamespace
from typing import cast

import pytest
from temporalio.bridge.runtime import BufferedLogEntry
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.logs import FIELDS, JsonLines, TextLines, configure_logs, core_logs, request_under_way
from tests.log_lines import log_lines

_log = logging.getLogger("activities.test")
SECRET_WORDS = "Anna Karenina <anna@example.org>"


def caused() -> None:
    """Fail with words in the error, in its cause, and in the value that both are about."""
    try:
        raise KeyError(SECRET_WORDS)
    except KeyError as error:
        raise ApplicationError(f"no {SECRET_WORDS}", type="not_there") from error


async def test_a_step_is_named_in_whatever_it_logs() -> None:
    def step() -> None:
        try:
            caused()
        except ApplicationError as error:
            _log.exception("failed: %s", error, extra={"ms": 3, "person": SECRET_WORDS})

    with log_lines(JsonLines()) as written, log_lines(TextLines()) as text:
        ActivityEnvironment().run(step)
    line = json.loads(written.getvalue())
    info = ActivityEnvironment().info
    assert line["message"] == "failed: ApplicationError"
    assert (line["level"], line["logger"], line["ms"]) == ("error", "activities.test", 3)
    assert (line["workflow_id"], line["run_id"]) == (info.workflow_id, info.workflow_run_id)
    assert (line["activity"], line["attempt"], line["task_queue"]) == (info.activity_type, 1, info.task_queue)
    assert "ApplicationError[not_there] at test_logs.py:" in line["exception"]
    assert " <- KeyError at test_logs.py:" in line["exception"]
    assert set(line) <= {"time", "level", "logger", "message", "exception", *FIELDS}
    assert line["time"].endswith("Z")
    for lines in (written, text):
        assert "Anna" not in lines.getvalue()
        assert lines.getvalue().count("\n") == 1
    assert f"workflow_id={info.workflow_id}" in text.getvalue()


async def test_a_request_is_named_in_whatever_it_logs() -> None:
    with log_lines(JsonLines()) as written:
        token = request_under_way.set(lambda: {"request_id": "abc-1", "route": "/v1/orders/{order_id}"})
        _log.info("first\nsecond")
        request_under_way.reset(token)
        _log.info("after it")
    during, after = map(json.loads, written.getvalue().splitlines())
    assert (during["request_id"], during["route"]) == ("abc-1", "/v1/orders/{order_id}")
    assert during["message"] == "first | second"
    assert "request_id" not in after


async def test_what_the_event_loop_quotes_is_left_out() -> None:
    async def fails() -> None:
        raise ValueError(SECRET_WORDS)

    with log_lines(JsonLines()) as written:
        task = asyncio.ensure_future(fails())
        await asyncio.wait([task])
        context = {"message": "Task exception was never retrieved", "future": task, "exception": task.exception()}
        asyncio.get_running_loop().default_exception_handler(context)
    assert json.loads(written.getvalue())["message"] == "Task exception was never retrieved"
    assert "Anna" not in written.getvalue()
    assert "ValueError at test_logs.py:" in written.getvalue()


def test_processes_log_as_the_settings_say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, levels = list(root.handlers), {name: logging.getLogger(name).level for name in ("", "stripe", "httpx")}
    monkeypatch.setattr("sys.excepthook", None)
    root.handlers.clear()
    try:
        configure_logs("json", "debug")
        _log.debug("heard")
        logging.getLogger("stripe").info("POST details: %s", SECRET_WORDS)
        logging.getLogger("httpx").info("GET https://platform/?mail=%s", SECRET_WORDS)
        try:
            caused()
        except ApplicationError as error:
            import sys  # noqa: PLC0415 - what is patched is looked up late

            sys.excepthook(type(error), error, error.__traceback__)
        heard, end = map(json.loads, capsys.readouterr().err.splitlines())
        configure_logs("text", "warning")
        _log.info("not heard")
        assert capsys.readouterr().err == ""
    finally:
        root.handlers[:] = before
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    assert (heard["message"], heard["level"]) == ("heard", "debug")
    assert (end["message"], end["level"]) == ("the process ends", "critical")
    assert "Anna" not in end["exception"]


def test_the_core_of_temporal_writes_into_the_same_log() -> None:
    entry = SimpleNamespace(
        level=logging.WARNING, target="worker", message="Failing workflow task", time=0.0,
        fields={"run_id": "0198f3a0", "failure": f"Failure {{ message: {SECRET_WORDS!r} }}"},
    )  # fmt: skip
    forwarding = core_logs().forwarding
    assert forwarding is not None
    with log_lines(JsonLines()) as written:
        forwarding._on_logs([cast(BufferedLogEntry, entry)])
    line = json.loads(written.getvalue())
    assert (line["message"], line["run_id"], line["level"]) == ("Failing workflow task", "0198f3a0", "warning")
    assert "Anna" not in written.getvalue()
