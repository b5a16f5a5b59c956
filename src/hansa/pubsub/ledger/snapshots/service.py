"""What the engine queries and hands over of snapshots: ABCI's four methods, free of any protocol."""

from __future__ import annotations

import hashlib
from enum import Enum
from pathlib import Path
from typing import Final

import msgspec
from structlog.typing import FilteringBoundLogger

from hansa.core.errors import Code, Refused
from hansa.pubsub.ledger.commitments.app_hash import RULESET_3
from hansa.pubsub.ledger.snapshots.folder import SnapshotFolder, StoredSnapshot
from hansa.pubsub.ledger.snapshots.manifest import FORMAT, StateManifest, read_manifest
from hansa.pubsub.ledger.snapshots.restoring import ChunkWrong, Restoration
from hansa.pubsub.ledger.snapshots.taking import SnapshotTaker
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.state import Head

NEEDS_HISTORY: Final = frozenset({RULESET_3})
"""Rule sets whose verdicts depend on the whole history; a state alone is of no use under them."""


class Offer(Enum):
    """What becomes of an offered snapshot; values are those of ABCI."""

    ACCEPT = 1
    REJECT = 3
    REJECT_FORMAT = 4
    REJECT_SENDER = 5


class Verdict(Enum):
    """What becomes of a chunk; values are those of ABCI."""

    ACCEPT = 1
    RETRY = 3
    REJECT_SNAPSHOT = 5


class Applied(msgspec.Struct, frozen=True):
    """What the engine does after a chunk."""

    verdict: Verdict
    refetch: tuple[int, ...] = ()
    """Chunks that are requested again."""
    rejected_senders: tuple[str, ...] = ()
    """Peers that nothing is taken from any more."""


class SnapshotService:
    """Offers this member's snapshots to others, and takes one of theirs.

    Args:
        state: The ledger's.
        chain_id: Of the league; empty where none is offered and none is taken.
        folder: The snapshots that are stored here.
        taker: Takes them.
        logger: Gets what becomes of those of others.
    """

    def __init__(
        self,
        state: SqliteState,
        chain_id: str,
        folder: SnapshotFolder,
        taker: SnapshotTaker,
        logger: FilteringBoundLogger,
    ) -> None:
        self._state = state
        self._chain_id = chain_id
        self._folder = folder
        self._taker = taker
        self._logger = logger
        self._restoration: Restoration | None = None
        self.restored = 0
        """How often the state became that of a snapshot since the start."""

    def note(self, before: Head, after: Head) -> None:
        """Take a snapshot of the ledger after a block, if one is due."""
        if self._state.ruleset not in NEEDS_HISTORY:
            self._taker.note(before, after)

    def offered(self) -> tuple[StoredSnapshot, ...]:
        """The snapshots that others can have, newest first."""
        return self._folder.list()

    def chunk(self, height: int, format_number: int, index: int) -> bytes | None:
        """A chunk of one of them; None when there is none."""
        snapshot = self._folder.find(height) if format_number == FORMAT else None
        return None if snapshot is None else snapshot.chunk(index)

    def offer(
        self, height: int, format_number: int, chunks: int, digest: bytes, metadata: bytes, app_hash: bytes
    ) -> Offer:
        """Begin to replace the state by a snapshot of others, if it is one.

        Args:
            height: Of the snapshot.
            format_number: Of the snapshot.
            chunks: How many there are.
            digest: SHA-256 of the manifest.
            metadata: The manifest.
            app_hash: After that height, as the validators signed it.

        Raises:
            Fatal: `Code.DISK_FULL`, `Code.STORE_DAMAGED`.
        """
        self.abandon()
        if format_number != FORMAT:
            return Offer.REJECT_FORMAT
        try:
            manifest = self._checked(height, chunks, digest, metadata, app_hash)
        except Refused as refusal:
            is_unknown = refusal.code is Code.RULES_DIFFER
            self._logger.warning("snapshot_refused", height=height, reason=refusal.message)
            return Offer.REJECT if is_unknown else Offer.REJECT_SENDER
        self._restoration = Restoration(self._state, manifest)
        return Offer.ACCEPT

    def _checked(
        self, height: int, chunks: int, digest: bytes, metadata: bytes, app_hash: bytes
    ) -> StateManifest:
        manifest = read_manifest(metadata)
        if manifest.sections.ruleset in NEEDS_HISTORY:
            raise Refused(Code.RULES_DIFFER, "Under the rules of the ledger a state is of no use alone.")
        is_whole = (manifest.height, len(manifest.chunks)) == (height, chunks)
        if not is_whole or hashlib.sha256(metadata).digest() != digest:
            raise Refused(Code.MALFORMED, "The manifest is not that of the snapshot.")
        if manifest.chain_id != self._chain_id:
            raise Refused(Code.MALFORMED, f"The snapshot is of another league, {manifest.chain_id}.")
        if manifest.app_hash != app_hash:
            raise Refused(Code.MALFORMED, "The state is another than the validators signed.")
        return manifest

    def apply(self, index: int, content: bytes, sender: str) -> Applied:
        """Write a chunk of the snapshot that was accepted.

        Raises:
            Fatal: `Code.DISK_FULL`, `Code.STORE_DAMAGED`.
        """
        restoration = self._restoration
        if restoration is None:
            return Applied(Verdict.REJECT_SNAPSHOT)
        if index != restoration.next_index:
            return Applied(Verdict.REJECT_SNAPSHOT)
        try:
            is_last = restoration.apply(index, content)
        except ChunkWrong:
            self._logger.warning("snapshot_chunk_refused", index=index, sender=sender)
            return Applied(Verdict.RETRY, (index,), (sender,) if sender else ())
        except Refused as refusal:
            self._logger.warning("snapshot_refused", index=index, sender=sender, reason=refusal.message)
            self.abandon()
            return Applied(Verdict.REJECT_SNAPSHOT, (), (sender,) if sender else ())
        if is_last:
            self._restoration = None
            self.restored += 1
            head = self._state.head
            self._logger.info("snapshot_restored", height=head.height, events=head.position)
        return Applied(Verdict.ACCEPT)

    def abandon(self) -> None:
        """Leave the state as it was before the snapshot that is being restored, if there is one."""
        if self._restoration is not None:
            self._restoration.abandon()
            self._restoration = None

    def start(self) -> None:
        """Be ready to take snapshots."""
        self._taker.start()

    def close(self) -> None:
        """Take no more of them."""
        self.abandon()
        self._taker.stop()


def snapshot_service(
    state: SqliteState, chain_id: str, folder: Path, logger: FilteringBoundLogger
) -> SnapshotService:
    """The service of a ledger, with its snapshots in a folder; see `SnapshotService`."""
    stored = SnapshotFolder(folder)
    taker = SnapshotTaker(Path(state.path), stored, chain_id, logger)
    return SnapshotService(state, chain_id, stored, taker, logger)
