"""How the processes log: one line for each record, with the job or request it belongs to, and without personal data.

It is here because all that log may import it: the worker, the API and the steps themselves. What a record may hold is a
closed list of fields; what an exception says is left out, as in histories (`activities.redaction`).
"""

import copy
import logging
import re
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

from pythonjsonlogger.core import LogData
from pythonjsonlogger.json import JsonFormatter
from temporalio import activity, workflow
from temporalio.runtime import LogForwardingConfig, LoggingConfig, TelemetryFilter

from activities.redaction import kind_and_place

LogFormat = Literal["json", "text"]
LogLevel = Literal["debug", "info", "warning", "error"]

# What a record may say beside its message, in this order. Whatever else libraries attach to it is dropped.
FIELDS = (
    "request_id",
    "method",
    "route",
    "status",
    "reason",
    "ms",
    "workflow_id",
    "workflow_type",
    "run_id",
    "activity",
    "attempt",
    "task_queue",
)
# Below a warning they tell what they send and receive, which is personal data.
TALKATIVE = ("alembic", "fontTools", "httpcore", "httpx", "multipart", "PIL", "python_multipart", "stripe")
_QUOTED = re.compile(r"[(<:\n]")

request_under_way: ContextVar[Callable[[], Mapping[str, object]] | None] = ContextVar("request_under_way", default=None)
"""What the request that is being served says of itself: its `request_id` and `route`."""


def configure_logs(form: LogFormat, level: LogLevel) -> None:
    """Log to standard error from now on, and nowhere else; exceptions that end the process too."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Uvicorn's own access log holds addresses and query strings.
    logging.getLogger("uvicorn.access").disabled = True
    # What these append to a message is in the record's fields.
    activity.logger.activity_info_on_message = False
    workflow.logger.workflow_info_on_message = False
    sys.excepthook = _log_uncaught


def core_logs() -> LoggingConfig:
    """What the core of Temporal's library has to say goes into the same log; of itself it writes its own lines.

    Its own fields are left out but for the ids: they quote what workflows raise.
    """
    return LoggingConfig(
        TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(
            logging.getLogger("temporalio"), prepend_target_on_message=False, append_log_fields_to_message=False
        ),
    )


# What would end the line, or move the cursor of who reads it.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class JsonLines(JsonFormatter):
    """Each record as one JSON object: time (UTC), level, logger, message, the fields, and the exception if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return super().format(_without_words(record))

    def add_fields(self, log_data: LogData, record: logging.LogRecord, message_dict: dict[str, object]) -> None:
        """Fill the closed list of fields, and no other."""
        log_data["time"] = _time(record)
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        log_data["message"] = record.message
        log_data.update(fields_of(record))
        if record.exc_info:
            log_data["exception"] = self.formatException(record.exc_info)

    def formatException(self, ei: object) -> str:  # noqa: N802 - the library's name
        """What kind of error it was and where it came from, not what it says."""
        return _told(ei)


class TextLines(logging.Formatter):
    """Each record as one line for people: time (UTC), level, logger, message, the fields, and the exception if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        safe = _without_words(record)
        fields = "".join(f" {name}={value}" for name, value in fields_of(safe).items())
        failure = f" exception={_told(safe.exc_info)}" if safe.exc_info else ""
        line = f"{_time(safe)} {safe.levelname} {safe.name} {safe.getMessage()}{fields}{failure}"
        return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), line)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """What is known of the job or request that the record belongs to, by the names of `FIELDS`."""
    known: dict[str, object] = {}
    if (request := request_under_way.get()) is not None:
        known |= request()
    if activity.in_activity():
        step = activity.info()
        known |= {
            "workflow_id": step.workflow_id,
            "workflow_type": step.workflow_type,
            "run_id": step.workflow_run_id,
            "activity": step.activity_type,
            "attempt": step.attempt,
            "task_queue": step.task_queue,
        }
    elif workflow.in_workflow():
        job = workflow.info()
        known |= {
            "workflow_id": job.workflow_id,
            "workflow_type": job.workflow_type,
            "run_id": job.run_id,
            "attempt": job.attempt,
            "task_queue": job.task_queue,
        }
    of_the_core = getattr(record.__dict__.get("temporal_log"), "fields", {})
    for said in (of_the_core, record.__dict__):
        known |= {name: said[name] for name in FIELDS if name in said}
    return {name: known[name] for name in FIELDS if known.get(name) is not None}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _without_words(record: logging.LogRecord) -> logging.LogRecord:
    """The record as it may be written: exceptions among its arguments give their kind alone, and it is one line."""
    safe = copy.copy(record)
    if isinstance(record.args, tuple):
        safe.args = tuple(_kind(each) for each in record.args)
    elif isinstance(record.args, Mapping):
        safe.args = {name: _kind(each) for name, each in record.args.items()}
    words = safe.getMessage()
    # The event loop quotes tasks and their exceptions.
    safe.msg = _QUOTED.split(words, maxsplit=1)[0] if record.name == "asyncio" else " | ".join(words.split("\n"))
    safe.args = None
    safe.exc_text = None
    safe.stack_info = None
    return safe


def _kind(value: object) -> object:
    return type(value).__qualname__ if isinstance(value, BaseException) else value


def _told(failure: object) -> str:
    error = failure[1] if isinstance(failure, tuple) else None
    return kind_and_place(error) if isinstance(error, BaseException) else "unknown"


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("registrar").critical("the process ends", exc_info=(kind, error, trace))
