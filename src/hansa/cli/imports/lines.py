"""Reads JSON Lines: an entity a line, with `@type`. An invalid line is a result too: file, number, reason."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.canonical import canonical_json
from hansa.core.errors import Code, Fatal, HansaError
from hansa.core.identifiers import kebab

STANDARD_INPUT: Final = "-"
LINE_SIZE_MAX_BYTES: Final = 4_194_304
TYPE_LENGTH_MAX_CHARS: Final = 100
IDENTIFIER_LENGTH_MAX_CHARS: Final = 2000
COLLECTION: Final = "@collection"
"""Names the collection, where several APIs have a type of the same name: as `TMF908Alarm`."""
_NAMESPACE: Final = uuid.UUID("7f1c3b7e-6a7f-5f0e-9a0d-2f1f0e6b8c11")
"""Of identifiers that are derived from the content of a line."""


class EntityLine(msgspec.Struct, frozen=True):
    """A line with an entity."""

    file: str
    number: int
    """From 1."""
    type: str
    id: str
    body: dict[str, Any]


class BadLine(msgspec.Struct, frozen=True):
    """A line that could not be imported."""

    file: str
    line: int
    reason: str
    code: str = str(Code.INVALID)

    def __str__(self) -> str:
        """As compilers write it, so that editors can open the place."""
        return f"{self.file}:{self.line}: {self.reason}"


def read_lines(files: Sequence[Path]) -> Iterator[EntityLine | BadLine]:
    """The lines of several files in order; empty ones are skipped.

    An identifier may occur once; the second line with it is bad, because lines are imported concurrently and
    the order of two writes to one entity would be undefined.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when a file cannot be read.
    """
    first_lines: dict[str, tuple[str, int]] = {}
    for path in files:
        name = str(path)
        for number, raw in _raw_lines(path):
            line = parse_line(raw, name, number)
            if isinstance(line, EntityLine):
                first = first_lines.setdefault(line.id, (name, number))
                if first != (name, number):
                    yield BadLine(name, number, f"the identifier was on {first[0]}:{first[1]} already")
                    continue
            yield line


def parse_line(raw: bytes, file: str, number: int) -> EntityLine | BadLine:
    """One line. One without `id` gets an identifier derived from its content, the same at every import."""
    if len(raw) > LINE_SIZE_MAX_BYTES:
        return BadLine(file, number, f"longer than {LINE_SIZE_MAX_BYTES:,} bytes", str(Code.TOO_LARGE))
    try:
        body = msgspec.json.decode(raw)
    except UNREADABLE as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else f"not JSON ({_cause_of(error)})"
        return BadLine(file, number, reason, str(Code.MALFORMED))
    if not isinstance(body, dict):
        return BadLine(file, number, "not a JSON object", str(Code.MALFORMED))
    type_name = body.pop(COLLECTION, None) or body.get("@type")
    if not isinstance(type_name, str) or not 0 < len(type_name) <= TYPE_LENGTH_MAX_CHARS:
        return BadLine(file, number, "no @type that says what it is, as ProductOffering")
    body.pop("href", None)
    identifier = body.get("id")
    if identifier is None:
        try:
            identifier = derived_id(type_name, body)
        except HansaError as error:
            return BadLine(file, number, error.message)
        body["id"] = identifier
    if not isinstance(identifier, str) or not 0 < len(identifier) <= IDENTIFIER_LENGTH_MAX_CHARS:
        return BadLine(file, number, "id is not a text that could identify anything")
    return EntityLine(file, number, type_name, identifier, body)


def derived_id(type_name: str, body: dict[str, Any]) -> str:
    """The identifier of an entity that has none: a UUID (version 5) of its canonical content."""
    content = canonical_json({name: value for name, value in body.items() if name != "id"})
    return f"urn:ngsi-ld:{kebab(type_name)}:{uuid.uuid5(_NAMESPACE, content.decode())}"


def count_lines(files: Sequence[Path]) -> int | None:
    """The number of lines that are not empty; None when one of the files can be read only once.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when a file cannot be read.
    """
    if any(not path.is_file() for path in files):
        for path in files:
            if str(path) != STANDARD_INPUT:
                _open(path).close()
        return None
    return sum(1 for path in files for _ in _raw_lines(path))


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines. One that is too long is cut, but stays too long."""
    with _open(path) as stream:
        number = 0
        while raw := stream.readline(LINE_SIZE_MAX_BYTES + 1):
            number += 1
            rest = raw
            while not rest.endswith(b"\n") and (rest := stream.readline(LINE_SIZE_MAX_BYTES)):
                pass
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            if raw.strip():
                yield number, raw if len(raw) > LINE_SIZE_MAX_BYTES else raw.strip()


def _open(path: Path) -> BinaryIO:
    try:
        return sys.stdin.buffer if str(path) == STANDARD_INPUT else path.open("rb")
    except OSError as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{path} cannot be read: {error.strerror}.") from error


def _cause_of(error: Exception) -> str:
    return (
        "nested too deeply"
        if isinstance(error, RecursionError)
        else str(error).removeprefix("JSON is malformed: ")
    )
