"""The trees in the tables of the state: read at a start, written with each block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw
import msgspec

from hansa.core.merkle import root as merkle_root
from hansa.pubsub.ledger.commitments.app_hash import Sections, record_sections
from hansa.pubsub.ledger.commitments.claims import (
    BUCKETS,
    EMPTY_BUCKET,
    GROUP_SIZE,
    ClaimsTree,
    bucket_path,
    records_in,
)
from hansa.pubsub.ledger.commitments.state_trees import StateTrees, TreesUpdate
from hansa.pubsub.ledger.commitments.tiles import HASH_SIZE_BYTES, TileEdge, TreeMissing, edge_places
from hansa.pubsub.ledger.storage.schema import RECORD_TABLES, MissingRow, select_sql

BUCKETS_AT_ONCE: Final = 64
"""In one statement, where claims are read in their order."""
_READ_TILE: Final = "SELECT hashes FROM tile WHERE level = ? AND number = ?"
_WRITE_TILE: Final = (
    "INSERT INTO tile (level, number, hashes) VALUES (?, ?, ?)"
    " ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes"
)
_READ_BUCKET: Final = "SELECT records FROM claim_bucket WHERE bucket = ?"
_READ_SOME: Final = "SELECT bucket, records FROM claim_bucket"
_READ_LISTED: Final = (
    "SELECT bucket, records FROM json_each(?) AS listed JOIN claim_bucket ON bucket = listed.value"
)
_READ_BUCKETS: Final = (
    "SELECT bucket, records FROM claim_bucket WHERE bucket >= ? AND bucket < ? ORDER BY bucket"
)
_WRITE_BUCKET: Final = (
    "INSERT INTO claim_bucket (bucket, hash, records) VALUES (?, ?, ?)"
    " ON CONFLICT (bucket) DO UPDATE SET hash = excluded.hash, records = excluded.records"
)
_WRITE_GROUP: Final = "INSERT INTO claim_group (number, hash) VALUES (?, ?) ON CONFLICT (number) DO UPDATE SET hash = excluded.hash"
_WRITE_RECORD: Final = (
    "INSERT INTO record (section, key, body) VALUES (?, ?, ?)"
    " ON CONFLICT (section, key) DO UPDATE SET body = excluded.body"
)
_READ_NEIGHBOURS: Final = "SELECT bucket, hash FROM claim_bucket WHERE bucket >= ? AND bucket < ?"
_EMPTY_GROUP: Final = merkle_root([EMPTY_BUCKET] * GROUP_SIZE)


class TreeTables:
    """Reads and writes trees.

    Args:
        connection: To a state.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def load(self, sections: Sections, size: int) -> StateTrees:
        """The trees of a state with so many events, under the rule set and with the parameters of `sections`.

        Raises:
            TreeMissing: tiles or records that have to be there are not.
        """
        claims = ClaimsTree(dict(self._rows("SELECT bucket, hash FROM claim_bucket")), self.some_buckets)
        records = {name: dict(self.records(name)) for name in record_sections(sections.ruleset)}
        return StateTrees(sections.ruleset, sections.content("parameters"), self._edge(size), claims, records)

    def records(self, section: str) -> list[tuple[str, bytes]]:
        """Key and bytes of every record of a section, in the order of the keys."""
        if section in RECORD_TABLES:
            table, key = RECORD_TABLES[section]
            return self._rows(f"SELECT {key}, body FROM {table} ORDER BY {key}")  # noqa: S608
        return self._rows("SELECT key, body FROM record WHERE section = ? ORDER BY key", (section,))

    def record_page(self, section: str, offset: int, limit: int) -> tuple[list[tuple[str, bytes]], int]:
        """Some records of a section without a table of its own, by key in order, and the number of all."""
        page = self._rows(
            "SELECT key, body FROM record WHERE section = ? ORDER BY key LIMIT ? OFFSET ?",
            (section, limit, offset),
        )
        return page, self._rows("SELECT count(*) FROM record WHERE section = ?", (section,))[0][0]

    def record(self, section: str, key: str) -> bytes | None:
        """A record of such a section."""
        rows = self._rows("SELECT body FROM record WHERE section = ? AND key = ?", (section, key))
        return rows[0][0] if rows else None

    def tile(self, level: int, number: int) -> bytes:
        """The hashes of a tile.

        Raises:
            TreeMissing: there is none.
        """
        row = self._connection.execute(_READ_TILE, (level, number)).fetchone()
        if row is None:
            raise TreeMissing(f"tile {number} of level {level} is missing")
        hashes: bytes = row[0]
        return hashes

    def bucket(self, bucket: int) -> bytes:
        """The records of a bucket."""
        row = self._connection.execute(_READ_BUCKET, (bucket,)).fetchone()
        records: bytes = b"" if row is None else row[0]
        return records

    def some_buckets(self, numbers: Sequence[int]) -> list[tuple[int, bytes]]:
        """Number and records of those of some buckets that are not empty."""
        if len(numbers) == 1:
            return self._rows(f"{_READ_SOME} WHERE bucket = ?", (numbers[0],))
        return self._rows(_READ_LISTED, (msgspec.json.encode(numbers).decode(),))

    def buckets(self, first: int, end: int) -> list[tuple[int, bytes]]:
        """Number and records of the buckets from `first` to before `end`, in order, empty ones left out."""
        return self._rows(_READ_BUCKETS, (first, end))

    def claims_from(self, bucket: int, count: int) -> tuple[list[bytes], int | None]:
        """Claims in the order of their keys, about so many; and where they continue, None at the end."""
        records: list[bytes] = []
        while bucket < BUCKETS and len(records) < count:
            for _, each in self.buckets(bucket, bucket + BUCKETS_AT_ONCE):
                records += records_in(each)
            bucket += BUCKETS_AT_ONCE
        return records, bucket if bucket < BUCKETS else None

    def missing(self) -> MissingRow | None:
        """Which events are not here yet; None when all are."""
        row = self._connection.execute(select_sql("missing", MissingRow)).fetchone()
        return None if row is None else MissingRow._make(row)

    def groups(self) -> list[bytes]:
        """The hashes over each 256 buckets."""
        stored = dict(self._rows("SELECT number, hash FROM claim_group"))
        return [stored.get(number, _EMPTY_GROUP) for number in range(BUCKETS // GROUP_SIZE)]

    def bucket_path(self, bucket: int) -> tuple[bytes, ...]:
        """The path from a bucket to the root of the claims."""
        first = bucket - bucket % GROUP_SIZE
        stored = dict(self._rows(_READ_NEIGHBOURS, (first, first + GROUP_SIZE)))
        neighbours = [stored.get(first + at, EMPTY_BUCKET) for at in range(GROUP_SIZE)]
        return bucket_path(bucket, neighbours, self.groups())

    def write(self, update: TreesUpdate) -> None:
        """Write what a block changes."""
        for name, records in update.records.items():
            self.write_records(name, records)
        tiles = [(*place, hashes) for place, hashes in update.tiles.changed.items()]
        if tiles:
            self.write_tiles(tiles)
        buckets = [
            (bucket, update.claims.hash_of(bucket), records)
            for bucket, records in sorted(update.claims.buckets.items())
        ]
        if buckets:
            self.write_buckets(buckets)
            self.write_groups(tuple(update.claims.groups.items()))

    def write_tiles(self, tiles: Sequence[tuple[int, int, bytes]]) -> None:
        """Write level, number and hashes of tiles."""
        self._connection.executemany(_WRITE_TILE, tiles)

    def write_buckets(self, buckets: Sequence[tuple[int, bytes, bytes]]) -> None:
        """Write number, hash and records of buckets."""
        self._connection.executemany(_WRITE_BUCKET, buckets)

    def write_groups(self, groups: Sequence[tuple[int, bytes]]) -> None:
        """Write the hashes over each 256 buckets."""
        self._connection.executemany(_WRITE_GROUP, groups)

    def write_records(self, section: str, records: Mapping[str, bytes | None]) -> None:
        """Write records of a section; None removes that of a key."""
        changed = [(key, body) for key, body in records.items() if body is not None]
        if section in RECORD_TABLES:
            assert len(changed) == len(records), "records with a table of their own are never removed"
            table, key = RECORD_TABLES[section]
            self._connection.executemany(
                f"INSERT INTO {table} ({key}, body) VALUES (?, ?)"  # noqa: S608
                f" ON CONFLICT ({key}) DO UPDATE SET body = excluded.body",
                changed,
            )
            return
        removed = [(section, key) for key, body in records.items() if body is None]
        if removed:
            self._connection.executemany("DELETE FROM record WHERE section = ? AND key = ?", removed)
        if changed:
            self._connection.executemany(_WRITE_RECORD, [(section, *one) for one in changed])

    def _edge(self, size: int) -> TileEdge:
        tiles: list[bytes] = []
        for (level, number), count in edge_places(size):
            tile = self.tile(level, number) if count else b""
            if len(tile) != count * HASH_SIZE_BYTES:
                raise TreeMissing(f"tile {number} of level {level} has not {count} hashes")
            tiles.append(tile)
        return TileEdge(size, tuple(tiles))

    def _rows(self, sql: str, bindings: tuple[int | str, ...] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, bindings).fetchall()
