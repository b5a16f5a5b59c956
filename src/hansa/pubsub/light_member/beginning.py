"""How a light member begins in a league with a long history: with a snapshot of a followed member.

    the state that a header signs ─▶ a snapshot before it, uncommitted ─▶ what came after it ─▶ root equal

A snapshot is restored within the transaction of the first update, and nothing of it is seen before that is
committed. What it makes, together with the events after it and the records that differ, has the `app_hash` of
a verified header, or all of it comes to nothing. So it needs no header of its own height, which may be older
than the block that is trusted: the tree over all events and the claims are in that `app_hash`, and they grew
out of those of the snapshot. What they are made of is compared piece by piece with the manifest when it
comes.

A member that lies costs the time of a download, which is bounded by what a state of so many events can have.
The events before the snapshot come later, in segments (`hansa.pubsub.ledger.history`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog

from hansa.core.errors import Code, HansaError, Refused
from hansa.pubsub.ledger.commitments.app_hash import RULESET_3, Sections
from hansa.pubsub.ledger.commitments.claims import BUCKETS, CLAIM_SIZE_BYTES
from hansa.pubsub.ledger.commitments.tiles import HASH_SIZE_BYTES
from hansa.pubsub.ledger.history.segment import SEGMENT_EVENTS
from hansa.pubsub.ledger.snapshots.manifest import StateManifest, read_manifest
from hansa.pubsub.ledger.snapshots.restoring import ChunkWrong, Restoration
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.light_member.followed import STATE_SIZE_MAX_BYTES, FollowedMember
from hansa.pubsub.light_member.mirror import wrong

EVENTS_MIN: Final = 2 * SEGMENT_EVENTS
"""So many events are fetched as fast as a snapshot."""
_BUCKET_HEAD_SIZE_BYTES: Final = 6
_BUCKETS_SIZE_MAX_BYTES: Final = BUCKETS * (_BUCKET_HEAD_SIZE_BYTES + HASH_SIZE_BYTES)

InThread = Callable[[Callable[[], bool]], Awaitable[bool]]
"""Does blocking work on the state."""

log = structlog.get_logger("hansa.pubsub")


class Beginning:
    """A snapshot on its way into an empty state.

    Args:
        state: Of the genesis; its connection is used in one thread.
        chain_id: Of the league.
        in_thread: Does blocking work there.
    """

    def __init__(self, state: SqliteState, chain_id: str, in_thread: InThread) -> None:
        self._state = state
        self._chain_id = chain_id
        self._in_thread = in_thread
        self._restoration: Restoration | None = None

    async def restore(
        self, source: FollowedMember, signed: Sections, height: int, events: int
    ) -> Sections | None:
        """Restore a snapshot of a member, uncommitted; what it has, or None when there is none of use.

        Args:
            source: Whose snapshot it is.
            signed: A state that is verified.
            height: Of that state; the snapshot is not newer.
            events: How many that state has.

        Raises:
            Refused: `Code.PROOF_INVALID`: it is none; nothing is changed.
            Unavailable: the member does not answer; nothing is changed.
            Fatal: `Code.DISK_FULL`, `Code.STORE_DAMAGED`.
        """
        if signed.ruleset == RULESET_3:
            return None
        newest = next((one for one in await _heights_of(source) if one <= height), None)
        if newest is None:
            return None
        manifest = self._checked(await source.snapshot_manifest(newest), newest, events)
        log.info(
            "ledger_begins_with_snapshot", endpoint=source.endpoint, height=newest, events=manifest.events
        )
        try:
            await self._in_thread(lambda: self._begin(manifest))
            is_whole = False
            for index in range(len(manifest.chunks)):
                content = await source.snapshot_chunk(newest, index)
                is_whole = await self._in_thread(partial(self._apply, index, content))
            assert is_whole, "the last chunk ends it"
        except BaseException:
            await self._in_thread(self.abandon)
            raise
        return manifest.sections

    def abandon(self) -> bool:
        """Leave the state as it was before. Blocking."""
        if self._restoration is not None:
            self._restoration.abandon()
            self._restoration = None
        return True

    def _checked(self, raw: bytes, height: int, events: int) -> StateManifest:
        """A manifest that may belong to a state which the verified one grew from."""
        try:
            manifest = read_manifest(raw)
        except Refused as error:
            if error.code is Code.RULES_DIFFER:
                raise Refused(Code.UPGRADE_NEEDED, error.message) from error
            raise wrong("the manifest of its snapshot is none") from error
        size_bytes = sum(chunk.size for chunk in manifest.chunks)
        if manifest.chain_id != self._chain_id or manifest.height != height:
            raise wrong("its snapshot is of another ledger, or height")
        if manifest.events > events:
            raise wrong("its snapshot has more events than the state after it")
        if size_bytes > size_max_bytes(events):
            raise wrong(f"its snapshot has {size_bytes:,} bytes, and no state of {events:,} events has")
        return manifest

    def _begin(self, manifest: StateManifest) -> bool:
        self._restoration = Restoration(self._state, manifest, is_committed=False)
        return True

    def _apply(self, index: int, content: bytes) -> bool:
        assert self._restoration is not None, "it was begun"
        try:
            return self._restoration.apply(index, content)
        except ChunkWrong as error:
            raise wrong(f"part {index:,} of its snapshot is another one than it says") from error
        except Refused as error:
            raise wrong(f"its snapshot contradicts itself: {error.message.rstrip('.')}") from error


async def _heights_of(source: FollowedMember) -> tuple[int, ...]:
    """Of a member's snapshots; none of one that gives none, as releases before this one."""
    try:
        return await source.snapshot_heights()
    except HansaError as error:
        log.info("snapshots_not_given", endpoint=source.endpoint, code=error.code, reason=error.message)
        return ()


def size_max_bytes(events: int) -> int:
    """How large a snapshot of a state with so many events may be.

    Each event has one claim at most, and one hash in the tree; the records of the sections have a bound.
    """
    return events * (CLAIM_SIZE_BYTES + 2 * HASH_SIZE_BYTES) + _BUCKETS_SIZE_MAX_BYTES + STATE_SIZE_MAX_BYTES
