"""The rows of an added entity, as one, and the two ways to insert them.

An entity that is added has a row of its own, one of the feed and, where it refers to others, one of
fingerprints. They are one tuple here, `ADDED_ROW`, that becomes three rows in either of two ways. A
transaction that others may have written in before runs an `INSERT` a table (`inserts`). A group that consists
of creates alone, of which SQLite knows nothing yet, is one statement for all of them (`together`): it inserts
into a view, whose triggers write the tables and the counts of the group, and it commits itself when it ends.
So the thread that runs it needs the interpreter once before it and once after, and meanwhile the event loop
goes on: what SQLite does for a create costs the loop nothing.

The view and its triggers are of the writing connection alone, not of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Final

import apsw
import msgspec

from hansa.store.sql import Parameter, insert, placeholders
from hansa.store.sqlite.database.rows import CHANGE_COLUMNS, ENTITY_ROW, INSERT_CHANGE, INSERT_ENTITY

AddedRow = tuple[Parameter, ...]
Run = tuple[str, tuple[Parameter, ...]]
"""A statement with its parameters."""

ADDED_ROW: Final = (*ENTITY_ROW, "seq", "collection", "marks", "counts")
"""The columns: those of the entity; the number of its row of the feed; the number of its collection and its
fingerprints, if it has any; and the counts of a group as JSON, in one of its rows."""
INSERT_ADDED: Final = insert("added", ADDED_ROW)
"""All rows of one entity."""
INSERT_FINGERPRINTS: Final = insert("entity_reference", ("collection", "entity", "marks"))
ROWS_TOGETHER_MAX: Final = 64
"""Entities of one statement: as many statements of different lengths the connection has ready."""

_CHANGE: Final = {
    "seq": "seq", "time": "modified", "entity_id": "id", "type": "type", "operation": "'create'",
    "origin": "origin", "status": "status", "parent": "parent", "is_pending": "pending IS NOT NULL",
}  # fmt: skip
"""Of what of an added row each column of its row of the feed is made."""
assert tuple(_CHANGE) == CHANGE_COLUMNS, "each value has the place of its column"

_PLACES: Final = {name: place for place, name in enumerate(ADDED_ROW)}
_ENTITY_COLUMNS: Final = len(ENTITY_ROW)
_SEQ, _COLLECTION, _FINGERPRINTS = _PLACES["seq"], _PLACES["collection"], _PLACES["marks"]
_TIME, _ID, _TYPE, _ORIGIN, _STATUS, _PARENT, _PENDING = (
    _PLACES[name] for name in ("modified", "id", "type", "origin", "status", "parent", "pending")
)

_NEW_ENTITY: Final = ", ".join(f"NEW.{name}" for name in ENTITY_ROW)
_NEW_CHANGE: Final = ", ".join(
    value if value.startswith("'") else f"NEW.{value}" for value in _CHANGE.values()
)
VIEW: Final = f"""
CREATE TEMP VIEW added AS SELECT {", ".join(f"NULL AS {name}" for name in ADDED_ROW)};
CREATE TEMP TRIGGER added_entity INSTEAD OF INSERT ON added BEGIN
  INSERT INTO entity ({", ".join(ENTITY_ROW)}) VALUES ({_NEW_ENTITY});
  INSERT INTO change ({", ".join(CHANGE_COLUMNS)}) VALUES ({_NEW_CHANGE});
END;
CREATE TEMP TRIGGER added_fingerprints INSTEAD OF INSERT ON added WHEN NEW.marks IS NOT NULL BEGIN
  INSERT INTO entity_reference (collection, entity, marks) VALUES (NEW.collection, NEW.number, NEW.marks);
END;
CREATE TEMP TRIGGER added_counts INSTEAD OF INSERT ON added WHEN NEW.counts IS NOT NULL BEGIN
  INSERT INTO entity_count (type, own, public, status, count)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(NEW.counts)
    WHERE true ON CONFLICT DO UPDATE SET count = excluded.count;
END;
"""  # noqa: S608 - names of ours
"""What `INSERT_ADDED` needs."""


def prepare(connection: apsw.Connection) -> None:
    """Have a writing connection know the view."""
    connection.execute(VIEW)


def inserts(rows: Sequence[AddedRow]) -> tuple[tuple[str, list[tuple[Parameter, ...]]], ...]:
    """The statements that insert added entities table by table, with the parameters of each run."""
    changes: list[tuple[Parameter, ...]] = [
        (
            *(row[_SEQ], row[_TIME], row[_ID], row[_TYPE], "create"),
            *(row[_ORIGIN], row[_STATUS], row[_PARENT], row[_PENDING] is not None),
        )
        for row in rows
    ]
    return (
        (INSERT_ENTITY, [row[:_ENTITY_COLUMNS] for row in rows]),
        (INSERT_CHANGE, changes),
        (
            INSERT_FINGERPRINTS,
            [
                (row[_COLLECTION], row[0], row[_FINGERPRINTS])
                for row in rows
                if row[_FINGERPRINTS] is not None
            ],
        ),
    )


def together(rows: Sequence[AddedRow], counts: Sequence[tuple[Parameter, ...]]) -> list[Run]:
    """The statements, mostly one, that insert all entities of a group and its counts.

    Args:
        rows: Of the entities; at least one.
        counts: The rows of `entity_count` that are other ones from then on.
    """
    first = (*rows[0][:-1], msgspec.json.encode(counts).decode())
    runs: list[Run] = []
    for start in range(0, len(rows), ROWS_TOGETHER_MAX):
        part = rows[start : start + ROWS_TOGETHER_MAX]
        if start == 0:
            part = [first, *part[1:]]
        runs.append((_insert_of(len(part)), tuple(chain.from_iterable(part))))
    return runs


@lru_cache(ROWS_TOGETHER_MAX)
def _insert_of(count: int) -> str:
    row = f"({placeholders(len(ADDED_ROW))})"
    return f"INSERT INTO added VALUES {', '.join([row] * count)}"  # noqa: S608 - placeholders only
