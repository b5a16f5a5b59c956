"""Making proofs about the ledger from the tables of its state; each reads a few rows.

`hansa.pubsub.proofs` says what they are, `hansa.pubsub.ledger.commitments.proofs` verifies them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import apsw

from hansa.core.errors import Code, Refused
from hansa.core.identifiers import is_entity_key
from hansa.core.merkle import root, subset_proof
from hansa.pubsub.ledger.commitments import histories
from hansa.pubsub.ledger.commitments.app_hash import COUNT_SIZE_BYTES, SECTIONS, Sections, counted
from hansa.pubsub.ledger.commitments.claims import bucket_of
from hansa.pubsub.ledger.commitments.proofs import holds_consistency, holds_inclusion, proved_records
from hansa.pubsub.ledger.commitments.records import record_leaf
from hansa.pubsub.ledger.commitments.tiles import (
    HASH_SIZE_BYTES,
    TILE_WIDTH,
    TiledTree,
    TreeMissing,
    hashes_of,
)
from hansa.pubsub.ledger.storage.compact import expanded_jws
from hansa.pubsub.ledger.storage.schema import CheckpointRow, HeadRow, select_sql
from hansa.pubsub.ledger.storage.tree_tables import TreeTables
from hansa.pubsub.proofs import (
    ClaimsProof,
    ConsistencyProof,
    HistoryProof,
    HistoryRequest,
    InclusionProof,
    SectionProof,
    ShownRecord,
    StateProofs,
    StoredCheckpoint,
)

RECORDS_SHOWN_MAX: Final = 4096
"""Of members' history, in one proof."""

_HEAD: Final = select_sql("head", HeadRow)
_BATCH_OF: Final = (
    "SELECT batch.first_position, batch.height, block.time_ms, jws FROM event"
    " JOIN batch ON batch.first_position = event.batch JOIN block ON block.height = batch.height"
    " WHERE event.position = ?"
)


_CHECKPOINTS: Final = f"{select_sql('checkpoint', CheckpointRow)} WHERE height > ? ORDER BY height LIMIT ?"


class ProofReader:
    """Makes proofs about the state of one moment: within a read transaction. All methods raise `TreeMissing`.

    Args:
        connection: In the transaction.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._tables = TreeTables(connection)
        self._head = HeadRow._make(connection.execute(_HEAD).fetchall()[0])
        self._sections = Sections.decoded(self._head.sections)

    def inclusion(self, position: int) -> InclusionProof:
        """That an event is on the ledger.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        if not 1 <= position <= self._head.events:
            raise Refused(Code.NOT_FOUND, f"There is no event {position}; the last is {self._head.events}.")
        rows: list[tuple[Any, ...]] = self._connection.execute(_BATCH_OF, (position,)).fetchall()
        if not rows:
            raise TreeMissing(f"event {position} is in no batch")
        first, height, time_ms, stored = rows[0]
        jws = expanded_jws(stored)
        proof = InclusionProof(
            position=position,
            block_height=height,
            block_time_ms=time_ms,
            batch=hashlib.sha256(jws.encode()).hexdigest(),
            index=position - first,
            path=_hex(self._tree().inclusion_proof(position - 1)),
            section=self._section("events"),
        )
        self._expect(holds_inclusion(proof, self._head.app_hash))
        return proof

    def consistency(self, earlier_size: int) -> ConsistencyProof:
        """That an earlier ledger, of so many events, is the beginning of this one.

        Raises:
            Refused: `Code.NOT_FOUND`, when there were never so many.
        """
        if not 1 <= earlier_size <= self._head.events:
            raise Refused(Code.NOT_FOUND, f"The ledger has {self._head.events} events, not {earlier_size}.")
        proof = ConsistencyProof(
            earlier_size=earlier_size,
            earlier_root=TiledTree(earlier_size, self._tables.tile).root().hex(),
            path=_hex(self._tree().consistency_proof(earlier_size)),
            section=self._section("events"),
        )
        self._expect(holds_consistency(proof, self._head.app_hash))
        return proof

    def claims(self, key: str) -> ClaimsProof:
        """Which claims there are on an entity key, and that there are no others.

        Raises:
            Refused: `Code.INVALID`.
        """
        if not is_entity_key(key):
            raise Refused(Code.INVALID, "An entity key is a SHA-256 in hex.")
        bucket = bucket_of(key)
        proof = ClaimsProof(
            key=key,
            bucket=self._tables.bucket(bucket).hex(),
            path=_hex(self._tables.bucket_path(bucket)),
            section=self._section("claims"),
        )
        self._expect(proved_records(proof, self._head.app_hash) is not None)
        return proof

    def leaves(self, after: int, limit: int, check: Callable[[], None]) -> bytes:
        """Leaf hashes of the events after a position, one after another."""
        hashes = bytearray()
        first, end = after, min(self._head.events, after + limit)
        while first < end:
            check()
            number, begin = divmod(first, TILE_WIDTH)
            stop = min(TILE_WIDTH, begin + end - first)
            tile = self._tables.tile(0, number)
            hashes += tile[begin * HASH_SIZE_BYTES : stop * HASH_SIZE_BYTES]
            first += stop - begin
        return bytes(hashes)

    def checkpoints(self, after: int, limit: int) -> tuple[StoredCheckpoint, ...]:
        """Checkpoints of the blocks with events after a height, in order."""
        rows: list[tuple[Any, ...]] = self._connection.execute(_CHECKPOINTS, (after, limit)).fetchall()
        return tuple(
            StoredCheckpoint(height, events, ruleset, _hex(hashes_of(path)))
            for height, events, ruleset, path in rows
        )

    def history(self, request: HistoryRequest) -> HistoryProof | None:
        """Which keys and endpoints members had at which positions; None where the rules remember none.

        Raises:
            Refused: `Code.TOO_LARGE`.
        """
        if histories.SECTION not in SECTIONS[self._sections.ruleset]:
            return None
        records = self._tables.records(histories.SECTION)
        keys = [key for key, _ in records]
        names = (histories.key_name(did, kid) for did, kid in request.keys)
        places = histories.places_of(keys, names, request.member)
        if len(places) > RECORDS_SHOWN_MAX:
            raise Refused(Code.TOO_LARGE, f"There are more than {RECORDS_SHOWN_MAX} records of this member.")
        leaves = [record_leaf(key, body) for key, body in records]
        self._expect(counted(len(leaves), root(leaves)) == self._sections.content(histories.SECTION))
        return HistoryProof(
            size=len(records),
            records=tuple(ShownRecord(at, keys[at], records[at][1].hex()) for at in places),
            path=_hex(subset_proof(leaves, places)),
            section_path=_hex(self._sections.path(histories.SECTION)),
        )

    def together(
        self,
        positions: Sequence[int],
        key: str | None,
        history: HistoryRequest,
        check: Callable[[], None],
    ) -> StateProofs:
        """Proofs about events, about the claims on a key, and about members' history.

        Raises:
            Refused: `Code.NOT_FOUND`, `Code.INVALID`.
        """
        events: list[InclusionProof] = []
        for position in positions:
            check()
            events.append(self.inclusion(position))
        is_requested = history.keys or history.member is not None
        return StateProofs(
            app_hash=self._head.app_hash.hex(),
            ruleset=self._sections.ruleset,
            size=self._head.events,
            root=self._sections.content("events")[COUNT_SIZE_BYTES:].hex(),
            events=tuple(events),
            events_path=_hex(self._sections.path("events")),
            claims=None if key is None else self.claims(key),
            history=self.history(history) if is_requested else None,
        )

    def _expect(self, holds: bool) -> None:
        """Give no proof away that does not hold: the tables contradict each other."""
        if not holds:
            raise TreeMissing("the trees are not those of the application hash")

    def _tree(self) -> TiledTree:
        return TiledTree(self._head.events, self._tables.tile)

    def _section(self, name: str) -> SectionProof:
        return SectionProof(
            self._head.height,
            self._sections.ruleset,
            self._head.app_hash.hex(),
            self._sections.content(name).hex(),
            _hex(self._sections.path(name)),
        )


def _hex(hashes: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(one.hex() for one in hashes)
