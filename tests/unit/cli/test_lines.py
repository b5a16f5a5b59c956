"""Reading JSON Lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from hansa.cli.imports.lines import (
    LINE_SIZE_MAX_BYTES,
    BadLine,
    EntityLine,
    count_lines,
    parse_line,
    read_lines,
)
from hansa.core.errors import Fatal


def parsed(text: str) -> EntityLine | BadLine:
    return parse_line(text.encode(), "file", 7)


def test_a_line_is_an_entity_with_type_and_identifier() -> None:
    line = parsed('{"@type": "Category", "id": "urn:x", "name": "Cloud", "href": "http://else/where"}')
    assert isinstance(line, EntityLine)
    assert (line.type, line.id, line.number) == ("Category", "urn:x", 7)
    assert "href" not in line.body


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('"text"', "not a JSON object"),
        ('{"id": "urn:x"}', "no @type"),
        ('{"@type": 3}', "no @type"),
        ('{"@type": ""}', "no @type"),
        ('{"@type": "Category", "id": 5}', "id is not"),
        ('{"@type": "Category", "id": ""}', "id is not"),
        ('{"@type": "Category", "size": 1e400}', "not JSON"),
        ('{"@type": "Category", "size": 1152921504606846976}', "more digits"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_line_says_where_it_is_and_why(text: str, reason: str) -> None:
    line = parsed(text)
    assert isinstance(line, BadLine)
    assert str(line).startswith("file:7: ")
    assert reason in line.reason


def test_a_line_that_is_not_utf8_is_bad() -> None:
    line = parse_line(b'{"@type": "\xff"}', "file", 1)
    assert isinstance(line, BadLine)
    assert line.code == "malformed"


def test_a_line_without_identifier_gets_the_same_one_each_time() -> None:
    one = parsed('{"@type": "ProductOffering", "name": "Disk", "isBundle": false}')
    same = parsed('{"isBundle": false, "name": "Disk", "@type": "ProductOffering", "id": null}')
    other = parsed('{"@type": "ProductOffering", "name": "Tape", "isBundle": false}')
    assert isinstance(one, EntityLine)
    assert isinstance(same, EntityLine)
    assert isinstance(other, EntityLine)
    assert one.id == same.id != other.id
    assert one.id.startswith("urn:ngsi-ld:product-offering:")
    assert one.body["id"] == one.id


def test_files_are_read_in_order_and_empty_lines_are_skipped_but_counted(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_bytes(
        b'\xef\xbb\xbf{"@type": "Category", "id": "1"}\r\n\r\n{"@type": "Category", "id": "2"}\n'
    )
    second.write_bytes(b'{"@type": "Category", "id": "3"}')
    lines = [(line.id, line.number) for line in read_lines([first, second]) if isinstance(line, EntityLine)]
    assert lines == [("1", 1), ("2", 3), ("3", 1)]
    assert count_lines([first, second]) == 3


def test_a_second_line_with_an_identifier_is_bad_and_names_the_first(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"@type": "Category", "id": "1"}\n{"@type": "Category", "id": "1", "name": "again"}\n')
    _, second = read_lines([file])
    assert isinstance(second, BadLine)
    assert f"{file}:1" in second.reason


def test_an_endless_line_is_bad_and_the_next_one_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"x" * (2 * LINE_SIZE_MAX_BYTES + 10) + b'\n{"@type": "Category", "id": "1"}\n')
    first, second = read_lines([file])
    assert isinstance(first, BadLine)
    assert first.code == "too-large"
    assert isinstance(second, EntityLine)
    assert second.number == 2


def test_a_file_that_is_not_there_ends_the_command_with_a_clear_message(tmp_path: Path) -> None:
    for attempt in (lambda: list(read_lines([tmp_path / "no"])), lambda: count_lines([tmp_path / "no"])):
        with pytest.raises(Fatal, match="cannot be read: No such file"):
            attempt()
