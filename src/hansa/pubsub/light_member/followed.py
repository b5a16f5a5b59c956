"""One member that is followed: its answers, within bounds of time and size, and its behavior.

    current    it answers, and is as far as any other
    late       it answers, and others have been ahead of it for longer than `LATE_AFTER_S`
    withholds  it does not give what belongs to a header that it shows, or a transaction that it took is lost
    lies       something that it gave does not hold
    upgraded   it goes on by rules that this release does not have
    silent     it does not answer

A member that lies or withholds is asked again after a pause that grows: what stood between may have been to
blame, as a proxy or a disk. Until it has given something that holds, its behavior stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeVar

import msgspec
import structlog

from hansa.core.backoff import Backoff
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.http import HttpClient, HttpRequest, RequestSigner
from hansa.core.thread_work import SMALL_MAX_BYTES, run_refusable
from hansa.pubsub.ledger.history.segment import (
    SEGMENT_SIZE_MAX_BYTES,
    HistoryBatch,
    decode_segment,
    decompressed,
)
from hansa.pubsub.ledger.reading.parts import StateParts, decode_parts
from hansa.pubsub.ledger.snapshots.manifest import CHUNK_SIZE_MAX_BYTES, MANIFEST_SIZE_MAX_BYTES
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.remote import RemoteMember
from hansa.pubsub.light_member.wire import (
    BATCHES_PATH,
    SNAPSHOTS_PATH,
    STATE_PATH,
    TRANSACTIONS_PATH,
    SubmissionVerdict,
    read_heights,
    read_verdict,
)

TIMEOUT_S: Final = 5.0
"""For one answer: a member that takes longer holds up nobody for longer than that."""
CHUNK_TIMEOUT_S: Final = 60.0
"""For 4 MB at once, which nobody waits for but who begins."""
STATE_SIZE_MAX_BYTES: Final = 67_108_864
VERDICT_SIZE_MAX_BYTES: Final = 4096
SILENT_MIN_S: Final = 1.0
SILENT_MAX_S: Final = 30.0
DISTRUSTED_MIN_S: Final = 30.0
DISTRUSTED_MAX_S: Final = 3600.0
LATE_AFTER_S: Final = 10.0
REASON_LENGTH_MAX_CHARS: Final = 300

T = TypeVar("T")
Behavior = Literal["current", "late", "lies", "silent", "unknown", "upgraded", "withholds"]
_DISTRUSTED: Final[frozenset[Behavior]] = frozenset({"lies", "withholds"})
_STAYING: Final[frozenset[Behavior]] = _DISTRUSTED | {"upgraded"}
"""That a header alone does not change."""
_WRONG: Final = frozenset(
    {Code.PROOF_INVALID, Code.MALFORMED, Code.RETRIEVAL_TOO_LARGE, Code.LEDGER_FORKED, Code.INVALID}
)
"""Codes of what a member gave that does not hold."""

log = structlog.get_logger("hansa.pubsub")


class FollowedStatus(msgspec.Struct, frozen=True):
    """What is known of a member that is followed."""

    endpoint: str
    behavior: Behavior
    """How it does."""
    height: int
    """Of the newest header that it has shown; 0 before the first."""
    reason: str
    """Why it is not `current`; in our words."""
    lies: int
    """How often something that it gave did not hold."""
    withheld: int
    """How often it did not give what it had, or a transaction that it took came to nothing."""


class FollowedMember:
    """One member. It is a `LightProvider`, and never believed.

    Args:
        endpoint: Its origin.
        http: Reaches it.
        clock: For pauses.
        chain_id: Of the league.
        timeout_s: For one answer.
    """

    def __init__(
        self, endpoint: str, http: HttpClient, clock: Clock, chain_id: str, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.endpoint = endpoint
        self._http = http
        self._clock = clock
        self._timeout_s = timeout_s
        self._remote = RemoteMember(endpoint, http, chain_id, timeout_s)
        self._behavior: Behavior = "unknown"
        self._reason = "it has not been asked yet"
        self._height = self._lies = self._withheld = 0
        self._retry_at_s = float("-inf")
        self._submit_again_at_s = float("-inf")
        self._behind_since_s: float | None = None
        self._is_submission_lost = False
        self._submission_pauses = Backoff(DISTRUSTED_MIN_S, DISTRUSTED_MAX_S)
        self._silences = Backoff(SILENT_MIN_S, SILENT_MAX_S)
        self._distrusts = Backoff(DISTRUSTED_MIN_S, DISTRUSTED_MAX_S)

    @property
    def status(self) -> FollowedStatus:
        """What is known of it now."""
        behavior, reason = self._behavior, self._reason
        if behavior == "current" and self._is_submission_lost:
            behavior, reason = "withholds", "it took a transaction that is in no block"
        return FollowedStatus(*(self.endpoint, behavior, self._height, reason, self._lies, self._withheld))

    @property
    def is_distrusted(self) -> bool:
        """Whether what it gave last did not hold, or was not all."""
        return self._behavior in _DISTRUSTED

    @property
    def is_due(self) -> bool:
        """Whether it is worth a request now."""
        return self._clock.monotonic() >= self._retry_at_s

    @property
    def takes_submissions(self) -> bool:
        """Whether a transaction may go through it now."""
        return self.is_due and self._clock.monotonic() >= self._submit_again_at_s

    # -- its behavior ----------------------------------------------------------------------------------------

    def note_height(self, height: int, expected: int) -> None:
        """It has shown a header of a height.

        Args:
            height: Of the header; not verified.
            expected: A height that was verified some time ago.
        """
        self._height = height
        self._silences.reset()
        now_s = self._clock.monotonic()
        if height >= expected:
            self._behind_since_s = None
        elif self._behind_since_s is None:
            self._behind_since_s = now_s
        if self._behavior in _STAYING:
            return  # until a state of it holds
        is_late = self._behind_since_s is not None and now_s - self._behind_since_s > LATE_AFTER_S
        if is_late:
            self._set("late", f"it is at height {height:,}, and others are at {expected:,}")
        else:
            self._set("current", "")

    def note_holds(self) -> None:
        """All that it gave of a state holds."""
        self._distrusts.reset()
        self._retry_at_s = float("-inf")
        self._set("current", "")

    def note_committed(self) -> None:
        """A transaction that it took is on the ledger."""
        self._submit_again_at_s = float("-inf")
        self._submission_pauses.reset()
        self._is_submission_lost = False

    def note_submission_lost(self) -> None:
        """A transaction that it took is in no block."""
        self._withheld += 1
        self._is_submission_lost = True
        log.warning("submission_lost", endpoint=self.endpoint)
        self.note_submission_failed()

    def note_submission_failed(self) -> None:
        """It did not take a transaction, or to no effect; what it shows of the ledger is another matter."""
        self._submit_again_at_s = self._clock.monotonic() + self._submission_pauses.next_s()

    def note_failure(self, error: HansaError) -> None:
        """It did not answer, or what it answered does not hold."""
        now_s = self._clock.monotonic()
        reason = error.message[:REASON_LENGTH_MAX_CHARS]
        if error.code is Code.NOT_FOUND:
            self.note_withholds(reason)
        elif error.code in _WRONG:
            self._lies += 1
            self._retry_at_s = now_s + self._distrusts.next_s()
            self._set("lies", reason)
        else:
            self._retry_at_s = now_s + self._silences.next_s()
            self._set("upgraded" if error.code is Code.UPGRADE_NEEDED else "silent", reason)

    def note_withholds(self, reason: str) -> None:
        """It shows a header, and does not give what belongs to it."""
        self._withheld += 1
        self._retry_at_s = self._clock.monotonic() + self._distrusts.next_s()
        self._set("withholds", reason)

    def _set(self, behavior: Behavior, reason: str) -> None:
        if behavior != self._behavior:
            level = log.info if behavior in {"current", "unknown"} else log.warning
            level("followed_member", endpoint=self.endpoint, behavior=behavior, reason=reason or None)
        self._behavior, self._reason = behavior, reason

    # -- its answers -----------------------------------------------------------------------------------------

    async def light_block(self, height: int | None = None) -> LightBlock:
        """The light block of a height, or the newest. See `LightProvider`."""
        return await self._remote.light_block(height)

    async def light_block_after(self, height: int) -> LightBlock | None:
        """The first light block after a height. See `LightProvider`."""
        return await self._remote.light_block_after(height)

    async def parts(self, tags: str) -> StateParts:
        """Its state in parts; not verified.

        Args:
            tags: Of the sections whose records are not needed.

        Raises:
            Refused: `Code.PROOF_INVALID`: it cannot be read.
            Unavailable: it does not answer.
        """
        raw = await self._remote.body(f"{STATE_PATH}?known={tags}", STATE_SIZE_MAX_BYTES)
        return await _beside_the_loop(raw, decode_parts)

    async def batches_after(self, position: int) -> list[HistoryBatch]:
        """The next batches after a position; not verified.

        Raises:
            Refused: `Code.PROOF_INVALID`: they cannot be read.
            Unavailable: it does not answer.
        """
        raw = await self._remote.body(f"{BATCHES_PATH}?after={position}", SEGMENT_SIZE_MAX_BYTES)
        try:
            return await _beside_the_loop(raw, lambda segment: decode_segment(decompressed(segment)))
        except Refused as error:
            raise Refused(Code.PROOF_INVALID, "Its batches are not in their form.") from error

    async def snapshot_heights(self) -> tuple[int, ...]:
        """Of its snapshots, newest first; none where it has none to give.

        Raises:
            Refused: `Code.PROOF_INVALID`: they cannot be read.
            Unavailable: it does not answer.
        """
        return read_heights(await self._remote.body(SNAPSHOTS_PATH))

    async def snapshot_manifest(self, height: int) -> bytes:
        """The manifest of one of them; not verified.

        Raises:
            Unavailable: it does not answer, or has none any more.
        """
        return await self._remote.body(f"{SNAPSHOTS_PATH}/{height}", MANIFEST_SIZE_MAX_BYTES)

    async def snapshot_chunk(self, height: int, index: int) -> bytes:
        """A chunk of one of them; not verified.

        Raises:
            Unavailable: it does not answer, or has none any more.
        """
        path = f"{SNAPSHOTS_PATH}/{height}/{index}"
        return await self._remote.body(path, CHUNK_SIZE_MAX_BYTES, CHUNK_TIMEOUT_S)

    async def submit(self, transaction: bytes, did: str, signer: RequestSigner) -> SubmissionVerdict:
        """Hand it a transaction.

        Args:
            transaction: Of this member.
            did: Of the member that is asked.
            signer: Proves to it who asks.

        Raises:
            Refused: `Code.PROOF_INVALID`: its verdict cannot be read.
            Unavailable: it does not answer; the outcome is unknown.
        """
        url = f"{self.endpoint}{TRANSACTIONS_PATH}"
        headers = {
            "content-type": "application/json",
            **signer.headers(did, "POST", url, transaction),
        }
        response = await self._http.send(
            HttpRequest("POST", url, headers, transaction, self._timeout_s, VERDICT_SIZE_MAX_BYTES)
        )
        if response.status != 200:
            raise Unavailable(Code.UNAVAILABLE, f"{self.endpoint} answers with status {response.status}.")
        return read_verdict(response.body)


async def _beside_the_loop(raw: bytes, read: Callable[[bytes], T]) -> T:
    """What some bytes are; large ones are read by a thread."""
    if len(raw) <= SMALL_MAX_BYTES:
        return read(raw)
    return await run_refusable(None, lambda: read(raw))
