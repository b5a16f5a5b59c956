"""The engine's output as structured log lines."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import CapturingLogger

from hansa.pubsub.engine import LineRelay, json_relay
from hansa.pubsub.engine.relay import FIELDS_MAX, TEXT_LENGTH_MAX


def relay_to(lines: list[tuple[str, dict[str, Any]]]) -> LineRelay:
    """A relay whose records land in a list, level first."""

    def capture(_: Any, level: str, record: Any) -> Any:
        lines.append((level, dict(record)))
        raise structlog.DropEvent

    return json_relay(structlog.wrap_logger(CapturingLogger(), processors=[capture]))


@pytest.fixture
def lines() -> list[tuple[str, dict[str, Any]]]:
    return []


def test_a_json_line_keeps_level_message_and_fields(lines: list[tuple[str, dict[str, Any]]]) -> None:
    relay_to(lines)(
        '{"_msg":"Started node","level":"info","module":"main","height":7,"ts":"2026-01-01T00:00:00Z"}'
    )
    expected = {"event": "Started node", "module": "main", "height": 7, "said_at": "2026-01-01T00:00:00Z"}
    assert lines == [("info", expected)]


def test_errors_stay_errors(lines: list[tuple[str, dict[str, Any]]]) -> None:
    relay_to(lines)('{"_msg":"dialing failed","level":"error","err":{"code":1}}')
    assert lines == [("error", {"event": "dialing failed", "err": '{"code":1}'})]


def test_a_line_of_structlog_is_understood_too(lines: list[tuple[str, dict[str, Any]]]) -> None:
    relay_to(lines)('{"event":"listening","level":"warning","timestamp":"now"}')
    assert lines == [("warning", {"event": "listening", "said_at": "now"})]


def test_what_is_not_json_is_passed_on_as_text(lines: list[tuple[str, dict[str, Any]]]) -> None:
    relay = relay_to(lines)
    for line in ("panic: \x1b[31mno space\x1b[0m", "[1, 2]", "{broken", "", "   "):
        relay(line)
    assert [record["text"] for _, record in lines] == ["panic: no space", "[1, 2]", "{broken"]


def test_a_field_cannot_replace_what_belongs_to_the_record(lines: list[tuple[str, dict[str, Any]]]) -> None:
    relay_to(lines)('{"_msg":"a","event":"b","said_at":"c","self":"d"}')
    assert lines == [("info", {"event": "a", "event_": "b", "said_at_": "c", "self_": "d"})]


def test_a_record_is_bounded(lines: list[tuple[str, dict[str, Any]]]) -> None:
    many = ",".join(f'"f{n}":"{"x" * 3000}"' for n in range(100))
    relay_to(lines)('{"_msg":"' + "y" * 5000 + '",' + many + "}")
    ((_, record),) = lines
    assert len(record) == FIELDS_MAX + 1
    assert max(len(str(value)) for value in record.values()) == TEXT_LENGTH_MAX


@given(line=st.text())
def test_no_line_breaks_the_relay(line: str) -> None:
    lines: list[tuple[str, dict[str, Any]]] = []
    relay_to(lines)(line)
    assert len(lines) <= 1


@given(
    fields=st.dictionaries(
        st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.none())
    )
)
def test_no_fields_break_the_relay(fields: dict[str, Any]) -> None:
    lines: list[tuple[str, dict[str, Any]]] = []
    relay_to(lines)(msgspec.json.encode(fields).decode())
    assert len(lines) == 1
