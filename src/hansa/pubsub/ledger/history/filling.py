"""Segments become rows of the state, each checked as a whole before anything of it is written.

The work is cut into slices of some milliseconds, so that the engine's requests are answered between them. A
slice is written in one transaction together with how far the history is, so a crash leaves a shorter history
and no gap. What is written here makes the state's log long; it is copied beside the blocks meanwhile, and
filling waits for that, so that no slice and no block has to copy it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from hansa.core.batches import contents_root, read_batch
from hansa.core.errors import Code, Refused
from hansa.core.events import committed_event, event_time_ms
from hansa.core.merkle import leaf_hash
from hansa.core.merkle import root as merkle_root
from hansa.pubsub.ledger.commitments.app_hash import event_leaf
from hansa.pubsub.ledger.commitments.tiles import HASH_SIZE_BYTES, TILE_WIDTH, TreeMissing, hashes_of
from hansa.pubsub.ledger.history.segment import HistoryBatch, batches_of
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.storage.compact import stored_content, stored_jws
from hansa.pubsub.ledger.storage.schema import (
    BatchRow,
    BlockRow,
    EventContentRow,
    EventRow,
    MissingRow,
    UsedIdRow,
    insert_sql,
)
from hansa.pubsub.ledger.storage.tree_tables import TreeTables

EVENTS_PER_SLICE: Final = 128
LOG_PAUSE_S: Final = 0.005
"""While the log is copied."""
LOG_PAUSES_MAX: Final = 200
"""Then it goes on: whoever reads the state for long holds up the blocks no more than it does anyway."""
_TILE_SIZE_BYTES: Final = TILE_WIDTH * HASH_SIZE_BYTES


class _Checked(msgspec.Struct, frozen=True):
    """A batch whose events are those that were voted for."""

    batch: HistoryBatch
    issuer: str
    seq: int
    leaves: tuple[bytes, ...]


class HistoryFiller:
    """Fills the history of one state.

    Args:
        state: The ledger's.
    """

    def __init__(self, state: SqliteState) -> None:
        self._state = state
        self._tables = TreeTables(state.connection)
        self._numbers: dict[str, int] = {}

    @property
    def missing(self) -> MissingRow | None:
        """Which events are not here yet; None when all are, or none are needed."""
        is_changing = self._state.connection.in_transaction  # a snapshot is being restored
        return None if self._state.is_empty or is_changing else self._tables.missing()

    def fill(self, raw: bytes) -> Iterator[float]:
        """Add the next segment, slice by slice; how long to pause after each, in seconds.

        Raises:
            Refused: `Code.MALFORMED`: it is not the next one, or not what was voted for; nothing is written.
            Fatal: `Code.DISK_FULL`, `Code.STORE_DAMAGED`.
        """
        missing = self.missing
        if missing is None:
            return
        checked: list[_Checked] = []
        yield from self._check(missing, batches_of(raw), checked)
        if not checked:
            raise _malformed("nothing of it can be checked")
        at = 0
        while at < len(checked):
            end, count = at, 0
            while end < len(checked) and (end == at or count < EVENTS_PER_SLICE):
                count += len(checked[end].leaves)
                end += 1
            self._write(checked[at:end], missing.last_position)
            at = end
            yield from self._log_copied()

    def _log_copied(self) -> Iterator[float]:
        """Wait until a long log is copied, for a while at most."""
        for _ in range(LOG_PAUSES_MAX):
            if not self._state.copy_log_beside():
                break
            yield LOG_PAUSE_S
        yield 0.0

    # -- checking --------------------------------------------------------------------------------------------

    def _check(
        self, missing: MissingRow, batches: Iterable[HistoryBatch], checked: list[_Checked]
    ) -> Iterator[float]:
        """Collect those batches whose first leaf is below a hash that was voted for."""
        position, last = missing
        tile_number, before = divmod(position - 1, TILE_WIDTH)
        tile = bytearray(self._tile(0, tile_number)[: before * HASH_SIZE_BYTES])
        if len(tile) != before * HASH_SIZE_BYTES:
            raise TreeMissing(f"tile {tile_number} of level 0 is missing")
        confirmed_to, collected, since = position - 1, [], 0
        for batch in _between(batches, position, last):
            if batch.first_position != position or batch.end > last + 1:
                raise _malformed("a batch is not where the last one ends")
            one = self._read(batch)
            collected.append(one)
            tile += b"".join(one.leaves)
            while len(tile) >= _TILE_SIZE_BYTES:
                self._compare(tile_number, bytes(tile[:_TILE_SIZE_BYTES]), last)
                del tile[:_TILE_SIZE_BYTES]
                tile_number += 1
                confirmed_to = tile_number * TILE_WIDTH
            position = batch.end
            since += len(one.leaves)
            if since >= EVENTS_PER_SLICE:
                since = 0
                yield 0.0
        if position == last + 1:
            if tile:
                self._compare(tile_number, bytes(tile), last)
            confirmed_to = last
        checked += [one for one in collected if one.batch.first_position <= confirmed_to]

    def _compare(self, number: int, tile: bytes, last: int) -> None:
        """Compare a tile of leaf hashes with what the snapshot says of it."""
        if (number + 1) * TILE_WIDTH <= last:
            above = hashes_of(self._tile(1, number // TILE_WIDTH))
            holds = merkle_root(hashes_of(tile)) == above[number % TILE_WIDTH]
        else:
            common = len(tile) if len(tile) < TILE_WIDTH * HASH_SIZE_BYTES else 0
            holds = common > 0 and self._tile(0, number)[:common] == tile
        if not holds:
            raise _malformed("its events are not those that were voted for")

    def _read(self, batch: HistoryBatch) -> _Checked:
        signed, _ = read_batch(batch.jws)
        is_signed = signed.count == len(batch.contents) and contents_root(batch.contents).hex() == signed.root
        if not is_signed:
            raise _malformed("its events are not those that were signed")
        digest = hashlib.sha256(batch.jws.encode("ascii")).digest()
        leaves = tuple(
            leaf_hash(event_leaf(batch.height, batch.time_ms, index, digest))
            for index in range(len(batch.contents))
        )
        return _Checked(batch, signed.issuer, signed.seq, leaves)

    def _tile(self, level: int, number: int) -> bytes:
        try:
            return self._tables.tile(level, number)
        except TreeMissing:
            return b""

    # -- writing ---------------------------------------------------------------------------------------------

    def _write(self, checked: Sequence[_Checked], last: int) -> None:
        connection = self._state.connection
        first = checked[0].batch.first_position
        end = checked[-1].batch.end
        with self._state.failures():
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(
                    f"{insert_sql('block', BlockRow)} ON CONFLICT DO NOTHING",
                    [
                        BlockRow(one.batch.height, one.batch.time_ms, one.batch.first_position)
                        for one in checked
                    ],
                )
                connection.executemany(
                    insert_sql("batch", BatchRow),
                    [
                        BatchRow(
                            *(one.batch.first_position, len(one.leaves), one.batch.height),
                            *(self._number(one.issuer), one.seq, stored_jws(one.batch.jws)),
                        )
                        for one in checked
                    ],
                )
                used_ids: list[UsedIdRow] = []
                connection.executemany(
                    insert_sql("event", EventRow),
                    [row for one in checked for row in self._event_rows(one, used_ids)],
                )
                connection.executemany(insert_sql("used_id", UsedIdRow), used_ids)
                connection.executemany(
                    insert_sql("event_content", EventContentRow),
                    [
                        EventContentRow(position, stored_content(content))
                        for one in checked
                        for position, content in enumerate(one.batch.contents, one.batch.first_position)
                    ],
                )
                self._write_tiles(first, [leaf for one in checked for leaf in one.leaves], last)
                if end > last:
                    connection.execute("DELETE FROM missing")
                else:
                    connection.execute("UPDATE missing SET first_position = ?", (end,))
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._numbers.clear()
                raise

    def _event_rows(self, one: _Checked, used_ids: list[UsedIdRow]) -> Iterator[EventRow]:
        """The rows of a batch's events; ids that do not follow from the time go to `used_ids`."""
        issuer, first = self._number(one.issuer), one.batch.first_position
        events = [committed_event(content, one.issuer) for content in one.batch.contents]
        later = [event.entity.key for event in events if event.entity.version > 1]
        claims = self._state.claims(one.issuer, later) if later else {}
        for position, event in enumerate(events, first):
            time_ms, key = event_time_ms(event.time), event.entity.key
            entity = position if event.entity.version == 1 else claims[key].first_position
            if event.id.replace("-", "")[:12] != f"{time_ms:012x}":
                used_ids.append(UsedIdRow(bytes.fromhex(event.id.replace("-", "")), issuer, position))
            yield EventRow(position, first, issuer, self._number(event.type), entity, time_ms)

    def _write_tiles(self, first: int, leaves: Sequence[bytes], last: int) -> None:
        """Write the tiles that the leaves are in, but for the last one, which the snapshot had."""
        number, before = divmod(first - 1, TILE_WIDTH)
        hashes = self._tile(0, number)[: before * HASH_SIZE_BYTES] + b"".join(leaves)
        size = TILE_WIDTH * HASH_SIZE_BYTES
        tiles = [
            (0, number + at // size, hashes[at : at + size])
            for at in range(0, len(hashes), size)
            if (number + at // size + 1) * TILE_WIDTH <= last
        ]
        if tiles:
            self._tables.write_tiles(tiles)

    def _number(self, text: str) -> int:
        if text not in self._numbers:
            self._state.connection.execute(
                "INSERT INTO name (text) VALUES (?) ON CONFLICT DO NOTHING", (text,)
            )
            row = self._state.connection.execute("SELECT number FROM name WHERE text = ?", (text,)).fetchone()
            assert row is not None, "the name was written"
            self._numbers[text] = int(row[0])
        return self._numbers[text]


def _between(batches: Iterable[HistoryBatch], first: int, last: int) -> Iterator[HistoryBatch]:
    """The batches that are needed: some may be here since a crash, and some are newer than the snapshot."""
    return (batch for batch in batches if batch.end > first and batch.first_position <= last)


def _malformed(what: str) -> Refused:
    return Refused(Code.MALFORMED, f"The segment of the history is refused: {what}.")
