"""A child's output as structured log lines of this process.

CometBFT and the ledger application write one JSON object a line. What is not JSON (a crash's stack, a
library's complaint) is passed on as text. A child's output is bounded here: length of a line, number of
fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from structlog.typing import FilteringBoundLogger

from hansa.core.bounded_json import UNREADABLE

LineRelay = Callable[[str], None]
"""Takes one line of a child's output, without its end."""

FIELDS_MAX: Final = 32
TEXT_LENGTH_MAX: Final = 2000

LEVELS: Final = {
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "critical": "error",
    "fatal": "error",
}

MESSAGE_KEYS: Final = ("_msg", "event", "msg", "message")
"""Where CometBFT, structlog and others put the sentence."""

TIME_KEYS: Final = ("ts", "timestamp", "time")

COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


def json_relay(logger: FilteringBoundLogger) -> LineRelay:
    """A relay to `logger`, which should be bound to the child's name."""

    def relay(line: str) -> None:
        fields = parse_line(line)
        if fields is None:
            text = COLOURS.sub("", line).strip()
            if text:
                logger.warning("output", text=text[:TEXT_LENGTH_MAX])
            return
        level = LEVELS.get(str(pop_first(fields, ("level", "lvl")) or "info").lower(), "info")
        message = str(pop_first(fields, MESSAGE_KEYS) or "output")
        written_at = pop_first(fields, TIME_KEYS)
        values = {field_name(key): bounded(value) for key, value in list(fields.items())[:FIELDS_MAX]}
        if written_at is not None:
            values["said_at"] = bounded(written_at)
        getattr(logger, level)(message[:TEXT_LENGTH_MAX], **values)

    return relay


def parse_line(line: str) -> dict[str, Any] | None:
    """The fields of a JSON line; None when it is something else."""
    if not line.startswith("{"):
        return None
    try:
        decoded = msgspec.json.decode(line)
    except UNREADABLE:
        return None
    return decoded if isinstance(decoded, dict) else None


def pop_first(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Remove and return the first of these fields that is there."""
    return next((fields.pop(name) for name in names if name in fields), None)


def field_name(key: str) -> str:
    """A key that no parameter of ours has: `event` and `level` belong to the log record itself."""
    name = key.strip("_")[:64] or "field"
    return f"{name}_" if name in {"event", "level", "timestamp", "logger", "said_at", "self"} else name


def bounded(value: Any) -> Any:
    """Numbers and truth values as they are, everything else as bounded text."""
    if isinstance(value, int | float | bool) or value is None:
        return value
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text[:TEXT_LENGTH_MAX]
