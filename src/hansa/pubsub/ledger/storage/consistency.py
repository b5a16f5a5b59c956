"""Whether the tables of a state agree with each other and with its `app_hash`.

All of it is in one file, so a file that somebody has changed by hand, or that is the mixture of two copies,
is recognized before the ledger goes on with it. At a start the whole of registry, issuers, validators,
misbehavior and parameters is checked, the tree of the claims with a sample of their buckets, the newest
events with the last tiles, and a sample of the others: less than a second of work at a million claims. Small
ledgers are checked as a whole. Other buckets are checked when they are used.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any, Final, NamedTuple

import apsw

from hansa.core.batches import contents_root, read_batch
from hansa.core.errors import HansaError
from hansa.core.events import committed_event, event_time_ms
from hansa.core.merkle import leaf_hash, verify_inclusion
from hansa.core.merkle import root as merkle_root
from hansa.pubsub.ledger.commitments.app_hash import event_leaf, record_sections
from hansa.pubsub.ledger.commitments.claims import (
    CLAIM_SIZE_BYTES,
    bucket_of,
    first_position_of,
    record_of,
)
from hansa.pubsub.ledger.commitments.state_trees import StateTrees
from hansa.pubsub.ledger.commitments.tiles import (
    HASH_SIZE_BYTES,
    TILE_WIDTH,
    TiledTree,
    TreeMissing,
    hashes_of,
)
from hansa.pubsub.ledger.storage.compact import expanded_content
from hansa.pubsub.ledger.storage.schema import HeadRow, MissingRow
from hansa.pubsub.ledger.storage.tree_tables import TreeTables

BUCKETS_CHECKED_MAX: Final = 4096
EVENTS_CHECKED_MAX: Final = 16_384
USED_IDS_CHECKED_MAX: Final = 1024
SAMPLES_MAX: Final = 128
"""Events before the newest, evenly spread, whose batches are checked too."""

_BUCKET_NUMBERS: Final = "SELECT bucket FROM claim_bucket ORDER BY bucket"
_BATCHES: Final = (
    "SELECT batch.first_position, batch.events, batch.height, seq, expanded_jws(jws), name.text, block.time_ms,"
    " block.first_position FROM batch JOIN name ON name.number = batch.issuer"
    " JOIN block ON block.height = batch.height"
    " WHERE batch.first_position >= ? AND batch.first_position <= ? ORDER BY batch.first_position"
)
_BATCH_OF: Final = "SELECT max(first_position) FROM batch WHERE first_position <= ?"
_EVENTS: Final = (
    "SELECT position, event.batch, issuer.text, type.text, time_ms, entity,"
    " expanded_content(content) FROM event JOIN event_content USING (position) JOIN name AS issuer ON issuer.number = event.issuer"
    " JOIN name AS type ON type.number = event.type"
    " WHERE position >= ? AND position < ? ORDER BY position"
)


_USED_IDS: Final = (
    "SELECT used_id.id, event.issuer, used_id.position, content FROM used_id"
    " LEFT JOIN event ON event.position = used_id.position AND event.issuer = used_id.issuer"
    " LEFT JOIN event_content ON event_content.position = event.position"
    " ORDER BY used_id.rowid DESC LIMIT ?"
)
_WRONG_CHECKPOINT: Final = (
    "SELECT height FROM checkpoint LEFT JOIN block USING (height)"
    " WHERE first_position IS NULL OR events < first_position OR events > ? OR length(path) % 32 LIMIT 1"
)


class _Contradiction(Exception):
    """Two parts of the state that do not agree; the message says which."""


class _BatchRow(NamedTuple):
    first_position: int
    events: int
    height: int
    seq: int
    jws: str
    issuer: str
    time_ms: int
    """Of the block."""
    block_first_position: int


class _EventRow(NamedTuple):
    position: int
    batch: int
    issuer: str
    type: str
    time_ms: int
    """Of the event."""
    entity: int
    content: bytes


def find_contradiction(
    connection: apsw.Connection,
    head: HeadRow,
    trees: StateTrees,
    *,
    buckets_max: int = BUCKETS_CHECKED_MAX,
    events_max: int = EVENTS_CHECKED_MAX,
) -> str | None:
    """What of a state does not agree with its `app_hash`, or None.

    Args:
        connection: To the state.
        head: Its head.
        trees: Read from its tables.
        buckets_max: How many buckets of claims are read.
        events_max: How many of the newest events are read, beside a sample of the others.
    """
    checker = _Checker(connection, head, trees)
    try:
        checker.check_hashes()
        checker.check_counts()
        checker.check_claims(buckets_max)
        checker.check_used_ids()
        checker.check_tiles()
        checker.check_checkpoints()
        checker.check_newest(events_max)
        checker.check_sample(events_max)
    except (_Contradiction, TreeMissing) as contradiction:
        return str(contradiction)
    return None


class _Checker:
    """Reads a state for contradictions; every method raises `_Contradiction`."""

    def __init__(self, connection: apsw.Connection, head: HeadRow, trees: StateTrees) -> None:
        self._connection = connection
        self._head = head
        self._trees = trees
        self._tables = TreeTables(connection)
        self._missing = self._tables.missing() or MissingRow(head.events + 1, head.events)
        """Positions from first to last; none as a rule."""

    def _is_missing(self, position: int) -> bool:
        return self._missing.first_position <= position <= self._missing.last_position

    def check_hashes(self) -> None:
        """The hash that was voted for is that of the records."""
        sections = self._trees.sections
        self._expect(sections.app_hash == self._head.app_hash, "app_hash is another than that of the records")
        self._expect(
            sections.encoded() == self._head.sections, "the sections are others than those of the records"
        )
        groups = self._tables.groups()
        self._expect(groups == list(self._trees.claims.groups()), "the groups of claims are others")

    def check_counts(self) -> None:
        """There is a row for every event and every claim."""
        first_missing, last_missing = self._missing
        self._expect(
            0 < first_missing <= last_missing + 1 <= self._head.events + 1,
            "events are missing that cannot be",
        )
        expected = self._head.events if last_missing < self._head.events else first_missing - 1
        if first_missing > last_missing:
            expected = self._head.events
        for table in ("event", "event_content"):
            last = self._number(f"SELECT coalesce(max(position), 0) FROM {table}")  # noqa: S608
            self._expect(last == expected, f"the last row of {table} is not that of the last event")
            here = f"SELECT count(*) FROM {table} WHERE position >= ? AND position <= ?"  # noqa: S608
            ((count,),) = self._rows(here, self._missing)
            self._expect(count == 0, f"{table} has events that are missing")
        size_bytes = self._number("SELECT coalesce(sum(length(records)), 0) FROM claim_bucket")
        self._expect(size_bytes % CLAIM_SIZE_BYTES == 0, "there are parts of claims")
        blocks = self._number("SELECT coalesce(max(height), 0) FROM block")
        batches = self._number(
            "SELECT coalesce((SELECT height FROM batch ORDER BY first_position DESC LIMIT 1), 0)"
        )
        sections = {section for (section,) in self._rows("SELECT DISTINCT section FROM record", ())}
        is_known = sections <= set(record_sections(self._trees.sections.ruleset))
        self._expect(is_known, "there are records of a section that the rules do not have")
        self._expect(blocks == batches <= self._head.height, "the last block is not that of the last batch")

    def check_claims(self, buckets_max: int) -> None:
        """Buckets hold what was committed; a sample, evenly spread."""
        buckets = [bucket for (bucket,) in self._rows(_BUCKET_NUMBERS, ())]
        step = max(1, len(buckets) // max(1, buckets_max))
        for bucket in buckets[::step]:
            self._expect(self._trees.claims.check_bucket(bucket), f"bucket {bucket} of claims is another")

    def check_used_ids(self) -> None:
        """Each is that of its event; a sample of the newest."""
        for event_id, issuer, position, content in self._rows(_USED_IDS, (USED_IDS_CHECKED_MAX,)):
            is_here = content is not None and self._is_of(event_id, expanded_content(content))
            self._expect(is_here and issuer is not None, f"an id of event {position} is not its own")

    def _is_of(self, event_id: bytes, content: bytes) -> bool:
        return f'"id":"{uuid.UUID(bytes=event_id)}"'.encode() in content

    def check_tiles(self) -> None:
        """The last full tile of each level is below the hash that stands for it."""
        level, hashes = 0, self._head.events // TILE_WIDTH
        if any(map(self._is_missing, range((hashes - 1) * TILE_WIDTH + 1, hashes * TILE_WIDTH + 1))):
            level, hashes = 1, hashes // TILE_WIDTH
        while hashes:
            full = self._tables.tile(level, hashes - 1)
            number, at = divmod(hashes - 1, TILE_WIDTH)
            above = hashes_of(self._tables.tile(level + 1, number))
            is_whole = len(full) == TILE_WIDTH * HASH_SIZE_BYTES and at < len(above)
            self._expect(
                is_whole and merkle_root(hashes_of(full)) == above[at],
                f"tile {hashes - 1} of level {level} is another than the hash above it",
            )
            level, hashes = level + 1, hashes // TILE_WIDTH

    def check_checkpoints(self) -> None:
        """Those of blocks that are there; what they show is checked by whoever reads them (`hansa audit`)."""
        rows = self._connection.execute(_WRONG_CHECKPOINT, (self._head.events,)).fetchall()
        if rows:
            raise _Contradiction(f"the checkpoint of height {rows[0][0]} is none of its block")

    def check_newest(self, events_max: int) -> None:
        """The newest events are those that their issuers signed, and whose leaves are in the tree."""
        size = self._head.events
        begin = max(1, size - events_max + 1)
        if self._missing.first_position <= self._missing.last_position:
            begin = max(begin, self._missing.last_position + 1)
        first = self._first_of_batch(begin) if begin <= size else size + 1
        tree, following = TiledTree(size, self._tables.tile), first
        for row in map(_BatchRow._make, self._rows(_BATCHES, (first, size))):
            self._expect(row.first_position == following, f"the event at {following} is in no batch")
            self._check_batch(row, tree)
            following = row.first_position + row.events
        self._expect(following == size + 1, f"the event at {following} is in no batch")

    def check_sample(self, events_max: int) -> None:
        """The same of a sample of the others; and that their leaves are in the tree that was voted for."""
        size = self._head.events
        older = max(0, size - events_max)
        tree, root = TiledTree(size, self._tables.tile), self._trees.edge.frontier().root()
        for position in range(1, older + 1, max(1, older // SAMPLES_MAX)):
            if self._is_missing(position):
                continue
            first = self._first_of_batch(position)
            rows = self._rows(_BATCHES, (first, first))
            batches = [_BatchRow._make(row) for row in rows]
            is_batched = any(position < first + batch.events for batch in batches)
            self._expect(is_batched, f"the event at {position} is in no batch")
            self._check_batch(batches[0], tree)
            path = tree.inclusion_proof(position - 1)
            is_included = verify_inclusion(tree.leaf(position - 1), position - 1, size, path, root)
            self._expect(is_included, f"the tiles over the event at {position} are others")

    def _first_of_batch(self, position: int) -> int:
        """The first position of the batch that has the event at a position."""
        first: int | None = self._rows(_BATCH_OF, (position,))[0][0]
        if first is None:
            raise _Contradiction(f"the event at {position} is in no batch")
        return first

    def _check_batch(self, row: _BatchRow, tree: TiledTree) -> None:
        what = f"the batch at {row.first_position}"
        end = row.first_position + row.events
        events = [_EventRow._make(one) for one in self._rows(_EVENTS, (row.first_position, end))]
        self._expect(len(events) == row.events, f"{what} has not all its events")
        try:
            batch, _ = read_batch(row.jws)
        except HansaError:
            raise _Contradiction(f"{what} is not readable") from None
        contents = [event.content for event in events]
        is_signed = (
            (batch.issuer, batch.seq, batch.count) == (row.issuer, row.seq, row.events)
            and contents_root(contents).hex() == batch.root
        )  # fmt: skip
        self._expect(is_signed, f"{what} is not what its issuer signed")
        self._expect(row.block_first_position <= row.first_position, f"the block of {what} begins after it")
        digest = hashlib.sha256(row.jws.encode()).digest()
        for index, event in enumerate(events):
            leaf = leaf_hash(event_leaf(row.height, row.time_ms, index, digest))
            self._expect(
                tree.leaf(event.position - 1) == leaf, f"the leaf of event {event.position} is another"
            )
            self._check_event(event, row)

    def _check_event(self, row: _EventRow, batch: _BatchRow) -> None:
        event = committed_event(row.content, batch.issuer)
        claim = record_of(self._tables.bucket(bucket_of(event.entity.key)), event.entity.key, batch.issuer)
        is_indexed = (
            (row.batch, row.issuer, row.type) == (batch.first_position, batch.issuer, event.type)
            and row.time_ms == event_time_ms(event.time)
            and claim is not None
            and row.entity == first_position_of(claim)
        )
        self._expect(is_indexed, f"the row of event {row.position} is not that of its content")

    def _expect(self, holds: bool, problem: str) -> None:
        if not holds:
            raise _Contradiction(problem)

    def _number(self, sql: str) -> int:
        return int(self._rows(sql, ())[0][0])

    def _rows(self, sql: str, bindings: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, bindings).fetchall()
