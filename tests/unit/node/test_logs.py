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

from hansa.node.logs import configure_logs


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
    configure_logs("info", "json")
    structlog.get_logger("ours").info("something", n=1)
    logging.getLogger("theirs").warning("else")
    ours, theirs = map(msgspec.json.decode, capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["n"], ours["level"]) == ("something", 1, "info")
    assert (theirs["event"], theirs["library"]) == ("else", "theirs")


def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(broken_stderr: TextIO) -> None:
    configure_logs("info", "json")
    for _ in range(100):
        structlog.get_logger("ours").info("x" * 1000)
        logging.getLogger("theirs").error("x" * 1000)
    with pytest.raises((OSError, ValueError)):
        broken_stderr.write("without that care\n")
