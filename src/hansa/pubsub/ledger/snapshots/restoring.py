"""A snapshot of others becomes the state: all of it, or nothing of it.

Everything comes from strangers. What it has to be is known from one hash, `app_hash` of its height, which the
engine has from headers that the validators signed: the manifest proves itself by it, and every section of
records, every tile and every group of buckets is compared with the manifest before anything of it is written.
All is written in one transaction, which is committed with the last chunk; until then the state is what it
was, whatever happens.
"""

from __future__ import annotations

from typing import Final

import apsw

from hansa.core.errors import Code, Fatal, Refused
from hansa.core.merkle import leaf_hash
from hansa.core.merkle import root as merkle_root
from hansa.pubsub.ledger.commitments.app_hash import counted
from hansa.pubsub.ledger.commitments.claims import (
    BUCKETS,
    CLAIM_SIZE_BYTES,
    EMPTY_BUCKET,
    GROUP_SIZE,
    issuer_digest,
)
from hansa.pubsub.ledger.commitments.state_trees import ISSUERS, record_tree
from hansa.pubsub.ledger.commitments.stored import ISSUER
from hansa.pubsub.ledger.commitments.tiles import (
    HASH_SIZE_BYTES,
    TILE_WIDTH,
    TileEdge,
    edge_places,
    hashes_of,
)
from hansa.pubsub.ledger.rules.rulesets import rules_digest
from hansa.pubsub.ledger.snapshots.manifest import StateManifest, counted_of
from hansa.pubsub.ledger.snapshots.stream import BucketItem, RecordItem, StreamReader, TileItem
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.storage.schema import TABLES, HeadRow, MissingRow, insert_sql
from hansa.pubsub.ledger.storage.tree_tables import TreeTables

_EMPTY_GROUP: Final = merkle_root([EMPTY_BUCKET] * GROUP_SIZE)


class ChunkWrong(Exception):
    """A chunk is not the one of the manifest: whoever sent it is to be avoided, and another one asked."""


class Restoration:
    """A snapshot on its way into a state. Its chunks come in their order.

    Args:
        state: Is replaced when all is there.
        manifest: Of the `app_hash` that the validators signed; or of one that they are to have signed before
            the transaction is committed.
        is_committed: Whether the last chunk commits it. Otherwise that is left to an update of the state that
            goes on from it (`SqliteState.staged`).

    Raises:
        Fatal: `Code.DISK_FULL`, `Code.FOLDER_IN_USE`, `Code.STORE_DAMAGED`.
    """

    def __init__(self, state: SqliteState, manifest: StateManifest, *, is_committed: bool = True) -> None:
        self.manifest = manifest
        self._state = state
        self._is_committed = is_committed
        self._connection: apsw.Connection = state.connection
        self._tables = TreeTables(state.connection)
        self._reader = StreamReader(manifest.sections)
        self._next = 0
        self._records: dict[str, bytes] = {}
        """Of the section that is being read."""
        self._issuers: set[bytes] = set()
        """Digests of the issuers."""
        self._time_ms = 0
        self._edge: dict[int, bytes] = {}
        self._above: dict[tuple[int, int], bytes] = {}
        """Roots of full tiles by their place in the level above."""
        self._group = 0
        self._buckets: dict[int, bytes] = {}
        """Of the group of buckets that is being read."""
        with state.failures():
            self._connection.execute("BEGIN IMMEDIATE")
            for table in TABLES:
                self._connection.execute(f"DELETE FROM {table}")  # noqa: S608

    @property
    def next_index(self) -> int:
        """Of the chunk that comes next."""
        return self._next

    def abandon(self) -> None:
        """Leave the state as it was."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._state.reload()

    def apply(self, index: int, content: bytes) -> bool:
        """Write a chunk; whether it was the last one, and the state is that of the snapshot.

        Raises:
            ChunkWrong: It is not the next chunk of the manifest. Nothing is changed.
            Refused: `Code.MALFORMED`: the snapshot is not what its manifest says; it is to be abandoned.
            Fatal: `Code.DISK_FULL`, `Code.STORE_DAMAGED`.
        """
        chunks = self.manifest.chunks
        if index != self._next or not chunks[index].holds(content):
            raise ChunkWrong
        with self._state.failures():
            for item in self._reader.feed(content):
                if isinstance(item, BucketItem):
                    self._add_bucket(item)
                elif isinstance(item, RecordItem):
                    self._add_record(item)
                else:
                    self._add_tile(item)
            self._next += 1
            if self._next < len(chunks):
                return False
            self._reader.finish()
            self._finish()
            self._check()
            if self._is_committed:
                self._connection.execute("COMMIT")
        return True

    def _check(self) -> None:
        """Read what was written as at every start: keys of records, form of everything, and `app_hash`."""
        try:
            self._state.reload()
        except Fatal as error:
            if error.code is not Code.STORE_DAMAGED:
                raise
            raise _contradicts(error.message) from error
        assert self._state.head.app_hash == self.manifest.app_hash, "what was written is what is read"

    # -- records ---------------------------------------------------------------------------------------------

    def _add_record(self, item: RecordItem) -> None:
        self._records[item.key] = item.body
        if not item.is_last:
            return
        tree = record_tree(item.section, self._records)
        if counted(tree.count, tree.root) != self.manifest.sections.content(item.section):
            raise _contradicts(f"the section {item.section}")
        self._tables.write_records(item.section, self._records)
        if item.section == ISSUERS:
            self._add_issuers()
        self._records = {}

    def _add_issuers(self) -> None:
        for number, (did, body) in enumerate(sorted(self._records.items()), 1):
            self._connection.execute("INSERT INTO name (number, text) VALUES (?, ?)", (number, did))
            self._issuers.add(issuer_digest(did))
            self._time_ms = max(self._time_ms, ISSUER.read(body).level_time_ms)

    # -- the tree over the events ----------------------------------------------------------------------------

    def _add_tile(self, item: TileItem) -> None:
        """Write a tile; what is above it comes later."""
        level, number = item.level, item.number
        for at, node in enumerate(hashes_of(item.hashes) if level > 1 else ()):
            below = self._above.pop((level, number * TILE_WIDTH + at), None)
            if below != node:
                raise _contradicts("the tree over the events")
        if len(item.hashes) == TILE_WIDTH * HASH_SIZE_BYTES:
            self._above[level + 1, number] = merkle_root(hashes_of(item.hashes))
        self._tables.write_tiles([(level, number, item.hashes)])
        self._edge[level] = item.hashes

    def _finish_tree(self) -> None:
        events, root = counted_of(self.manifest.sections.content("events"))
        tiles: list[bytes] = []
        for (level, _), count in edge_places(events):
            tiles.append(self._edge.get(level, b"")[: count * HASH_SIZE_BYTES] if count else b"")
        if TileEdge(events, tuple(tiles)).frontier().root() != root:
            raise _contradicts("the tree over the events")

    # -- claims ----------------------------------------------------------------------------------------------

    def _add_bucket(self, item: BucketItem) -> None:
        group = item.number // GROUP_SIZE
        while self._group < group:
            self._finish_group()
        self._buckets[item.number] = item.records

    def _finish_group(self) -> None:
        """Write the buckets of a group that is whole."""
        group, buckets = self._group, self._buckets
        first = group * GROUP_SIZE
        hashes = {number: leaf_hash(records) for number, records in buckets.items()}
        root = _EMPTY_GROUP
        if hashes:
            root = merkle_root([hashes.get(first + at, EMPTY_BUCKET) for at in range(GROUP_SIZE)])
        if root != self.manifest.groups[group]:
            raise _contradicts(f"the claims of group {group}")
        self._tables.write_buckets([(number, hashes[number], records) for number, records in buckets.items()])
        claimants = {
            records[at : at + 32]
            for records in buckets.values()
            for at in range(32, len(records), CLAIM_SIZE_BYTES)
        }
        if not claimants <= self._issuers:
            raise _contradicts("a claim of nobody")
        if hashes:
            self._tables.write_groups([(group, root)])
        self._group, self._buckets = group + 1, {}

    # -- the end ---------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        while self._group < BUCKETS // GROUP_SIZE:
            self._finish_group()
        self._finish_tree()
        manifest = self.manifest
        row = HeadRow(
            height=manifest.height,
            time_ms=self._time_ms,
            events=manifest.events,
            app_hash=manifest.app_hash,
            sections=manifest.sections.encoded(),
            ruleset=rules_digest(manifest.sections.ruleset),
        )
        self._connection.execute(insert_sql("head", HeadRow), row)
        if manifest.events:
            missing = MissingRow(first_position=1, last_position=manifest.events)
            self._connection.execute(insert_sql("missing", MissingRow), missing)


def _contradicts(what: str) -> Refused:
    return Refused(Code.MALFORMED, f"The snapshot is not what was signed: {what}.")
