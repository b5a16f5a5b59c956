"""Logs: JSON lines on stderr (`timestamp`, `level`, `event`, and values), or coloured text on a terminal.

What libraries write through Python's `logging` comes out in the same form. Stack traces show no values of
variables, which may be secrets. A line that cannot be written (the disk that the logs go to is full, the
reader of the pipe is gone) is lost, and whoever wrote it goes on.

A line that a request causes has the identifier of the request. Events of one name are bounded in number, so
that nobody can fill the disk by repeating what is logged; the next line of that name says how many were
left out (`suppressed`). The access log is as long as there are requests: the operator switched it on.
"""

from __future__ import annotations

import contextlib
import logging
import logging.config
import sys
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from hansa.core.clock import Clock
from hansa.core.identifiers import Entropy
from hansa.core.request_id import current_request, request_id
from hansa.node.settings.schema import LogFormat, LogLevel

EVENTS_PER_WINDOW_MAX: Final = 100
WINDOW_S: Final = 10.0
NAMES_MAX: Final = 1024
OTHER_NAMES: Final = "other"
ACCESS_EVENT: Final = "request_answered"
"""Of the access log (`hansa.node.http.access_log`)."""


class FloodBound:
    """Lets `EVENTS_PER_WINDOW_MAX` events of each name through in `WINDOW_S`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}
        """By name: when the window began, and how many events were in it."""

    def admit(self, name: str) -> int | None:
        """How many events of a name were suppressed before this one; None when it is one too many."""
        if name not in self._windows and len(self._windows) >= NAMES_MAX:
            name = OTHER_NAMES
        now_s = self._clock.monotonic()
        began_s, count = self._windows.get(name, (now_s, 0))
        suppressed = 0
        if now_s - began_s >= WINDOW_S:
            suppressed = max(0, count - EVENTS_PER_WINDOW_MAX)
            began_s, count = now_s, 0
        self._windows[name] = (began_s, count + 1)
        assert len(self._windows) <= NAMES_MAX + 1, "the memory is bounded"
        return None if count >= EVENTS_PER_WINDOW_MAX else suppressed

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """A processor: the event, with how many of its name were suppressed before it.

        Raises:
            structlog.DropEvent: There were too many of them.
        """
        name = str(event.get("event"))
        suppressed = 0 if name == ACCESS_EVENT else self.admit(name)
        if suppressed is None:
            raise structlog.DropEvent
        if suppressed:
            event["suppressed"] = suppressed
        return event


class LibraryFloodFilter(logging.Filter):
    """The same for what libraries log, by the name of the logger."""

    def __init__(self, bound: FloodBound) -> None:
        super().__init__()
        self._bound = bound

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written."""
        return self._bound.admit(f"library {record.name}") is not None


class RequestNamer:
    """A processor that adds the identifier of the request that is being answered."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """The event, with `request_id` when a request causes it."""
        scope = current_request.get()
        if scope is not None:
            event.setdefault("request_id", request_id(scope, self._entropy))
        return event


class LossyStream:
    """A stream whose failures end nobody's work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, if that works."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, if that works."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def configure_logs(level: LogLevel, style: LogFormat, clock: Clock, entropy: Entropy) -> None:
    """Set up logging for the process.

    Args:
        level: The lowest that is logged.
        style: `auto` is JSON, but coloured text on a terminal.
        clock: For the bounds on floods.
        entropy: For the identifiers of requests.
    """
    stream: Any = LossyStream(sys.stderr)
    bound = FloodBound(clock)
    is_console = style == "console" or (style == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        RequestNamer(entropy),
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[structlog.typing.Processor] = (
        [_escape_controls, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if is_console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    )
    structlog.configure(
        processors=[bound, *shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [*shared, _name_library],
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"structured": formatter},
            "filters": {"flood": {"()": LibraryFloodFilter, "bound": bound}},
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "formatter": "structured",
                    "filters": ["flood"],
                    "stream": stream,
                }
            },
            "root": {"handlers": ["stderr"], "level": "WARNING"},
        }
    )


def _name_library(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record: Any = event.get("_record")
    if record is not None:
        event["library"] = record.name
    return event


def _escape_controls(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Write control characters in values as escapes: what others send makes no line of the log."""
    return {
        name: ascii(value)
        if isinstance(value, str) and not value.isprintable() and name != "exception"
        else value
        for name, value in event.items()
    }
