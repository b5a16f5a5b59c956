"""A file becomes rows: JSON Lines, or CSV in UTF-8. What cannot be read is said with its line."""

from __future__ import annotations

import csv
import io
from typing import Any, Final

import msgspec

from hansa.core.bounded_json import read_object
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.portal.providers.editing.forms.values import cleaned

DELIMITERS: Final = (",", ";", "\t")
COLUMNS_MAX: Final = 60


class ImportRow(msgspec.Struct, frozen=True):
    """One row of a file."""

    line: int
    """Of the file, from 1."""
    record: dict[str, Any] | None = None
    """Of JSON Lines."""
    cells: tuple[str, ...] = ()
    """Of CSV."""
    problem: str = ""
    """Why it cannot be read."""


class ReadTable(msgspec.Struct, frozen=True):
    """What is in a file."""

    columns: tuple[str, ...]
    """Of CSV; empty of JSON Lines."""
    rows: tuple[ImportRow, ...]


def read_table(content: bytes, limits: Limits) -> ReadTable:
    """The rows of a file.

    Raises:
        Refused: `Code.MALFORMED`, when it is not in UTF-8, or no file of these forms; `Code.TOO_LARGE`.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(
            Code.MALFORMED, f"The file is not in UTF-8 (byte {error.start}): save it in that encoding."
        ) from None
    if "\0" in text:
        raise Refused(Code.MALFORMED, "The file has zero bytes: it is no text in UTF-8.")
    is_json = text.lstrip()[:1] == "{"
    table = _json_lines(text, limits) if is_json else _csv(text, limits.import_rows_max)
    if not table.rows:
        raise Refused(Code.MALFORMED, "The file has no rows.")
    return table


def _json_lines(text: str, limits: Limits) -> ReadTable:
    rows: list[ImportRow] = []
    for line, raw in enumerate(text.split("\n"), 1):
        if not raw.strip():
            continue
        _check_count(len(rows), limits.import_rows_max)
        try:
            rows.append(ImportRow(line, read_object(raw.encode(), limits)))
        except Refused as error:
            rows.append(ImportRow(line, problem=error.message))
    return ReadTable((), tuple(rows))


def _csv(text: str, rows_max: int) -> ReadTable:
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: tuple[str, ...] = ()
    rows: list[ImportRow] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = tuple(cleaned(cell).strip()[:200] for cell in cells)
                if len(columns) > COLUMNS_MAX:
                    raise Refused(Code.TOO_LARGE, f"The file has more than {COLUMNS_MAX} columns.")
                continue
            _check_count(len(rows), rows_max)
            rows.append(_csv_row(reader.line_num, cells, len(columns)))
    except csv.Error as error:
        raise Refused(Code.MALFORMED, f"Line {reader.line_num} is no CSV: {error}.") from None
    return ReadTable(columns, tuple(rows))


def _csv_row(line: int, cells: list[str], count: int) -> ImportRow:
    if len(cells) > count:
        return ImportRow(line, problem=f"It has {len(cells)} cells, and there are {count} columns.")
    return ImportRow(line, cells=tuple(map(cleaned, cells)))


def _check_count(count: int, rows_max: int) -> None:
    if count >= rows_max:
        raise Refused(Code.TOO_LARGE, f"The file has more than {rows_max:,} rows: divide it.")
