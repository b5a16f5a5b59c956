"""Logs come in one form, and a log that cannot be written ends nobody's work."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import TextIO

import msgspec
import pytest
import structlog

from hansa.core.clock import ManualClock
from hansa.node.logs import EVENTS_PER_WINDOW_MAX, NAMES_MAX, WINDOW_S, FloodBound, configure_logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Other tests log as they are used to."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(params=["full disk", "reader gone", "closed"])
def broken_stderr(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[TextIO]:
    """A standard error that takes nothing."""
    if request.param == "reader gone":
        reading, writing = os.pipe()
        os.close(reading)
    else:
        writing = os.open("/dev/full", os.O_WRONLY)
    stream = os.fdopen(writing, "w", buffering=1)
    if request.param == "closed":
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    yield stream
    with contextlib.suppress(OSError):  # that it cannot be written is the point
        stream.close()


def test_ours_and_theirs_are_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json", ManualClock(), os.urandom)
    structlog.get_logger("ours").info("something", n=1)
    logging.getLogger("theirs").warning("else")
    ours, theirs = map(msgspec.json.decode, capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["n"], ours["level"]) == ("something", 1, "info")
    assert (theirs["event"], theirs["library"]) == ("else", "theirs")


def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(broken_stderr: TextIO) -> None:
    configure_logs("info", "json", ManualClock(), os.urandom)
    for _ in range(100):
        structlog.get_logger("ours").info("x" * 1000)
        logging.getLogger("theirs").error("x" * 1000)
    with pytest.raises((OSError, ValueError)):
        broken_stderr.write("without that care\n")


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """The lines so far."""
    return [msgspec.json.decode(line) for line in capsys.readouterr().err.splitlines()]


async def test_a_flood_of_one_event_is_bounded_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock()
    configure_logs("info", "json", clock, os.urandom)
    log = structlog.get_logger()
    for number in range(1000):
        log.warning("request_failed", number=number)
        logging.getLogger("library").warning("odd input %s", number)
    log.warning("other")
    lines = logged(capsys)
    assert sum(line["event"] == "request_failed" for line in lines) == EVENTS_PER_WINDOW_MAX
    assert sum(line.get("library") == "library" for line in lines) == EVENTS_PER_WINDOW_MAX
    assert lines[-1]["event"] == "other"
    await clock.advance(WINDOW_S)
    log.warning("request_failed", number=0)
    (line,) = logged(capsys)
    assert line["suppressed"] == 1000 - EVENTS_PER_WINDOW_MAX


def test_ever_new_names_take_no_more_memory() -> None:
    bound = FloodBound(ManualClock())
    passed = sum(bound.admit(f"name {number}") is not None for number in range(10_000))
    assert passed <= NAMES_MAX + EVENTS_PER_WINDOW_MAX


def test_what_others_send_makes_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    for style in ("console", "json"):
        configure_logs("info", style, ManualClock(), os.urandom)
        structlog.get_logger().warning("odd", path="/a\n2026-01-01 [error] forged\x1b[2J")
        (line,) = capsys.readouterr().err.splitlines()
        assert "\x1b[2J" not in line
        structlog.reset_defaults()
