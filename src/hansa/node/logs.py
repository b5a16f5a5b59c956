"""Logs: JSON lines on stderr (`timestamp`, `level`, `event`, and values), or coloured text on a terminal.

What libraries write through Python's `logging` comes out in the same form. Stack traces show no values of
variables, which may be secrets. A line that cannot be written (the disk that the logs go to is full, the
reader of the pipe is gone) is lost, and whoever wrote it goes on.
"""

from __future__ import annotations

import contextlib
import logging
import logging.config
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from hansa.node.settings.schema import LogFormat, LogLevel


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


def configure_logs(level: LogLevel, style: LogFormat) -> None:
    """Set up logging for the process.

    Args:
        level: The lowest that is logged.
        style: `auto` is JSON, but coloured text on a terminal.
    """
    stream: Any = LossyStream(sys.stderr)
    is_console = style == "console" or (style == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if is_console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    )
    structlog.configure(
        processors=[*shared, *rendering],
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
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "formatter": "structured", "stream": stream}
            },
            "root": {"handlers": ["stderr"], "level": "WARNING"},
        }
    )


def _name_library(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record: Any = event.get("_record")
    if record is not None:
        event["library"] = record.name
    return event
