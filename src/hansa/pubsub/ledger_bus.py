"""The `Bus` on a ledger: what all ways of reaching a ledger application have in common.

Publishing is submitting a transaction and checking, after each new block, whether its batch is on the ledger.
The outcome of a submission can be unknown (the engine restarted and lost it, the connection broke, a peer
that was starting dropped it), so while positions are missing the events are submitted again with growing
pauses, as another batch with the next `seq`: its bytes are new, so they are gossiped anew. The ledger accepts
an event once, and what is left of earlier submissions falls out of the mempool. A batch that was overtaken by
a later one of the same issuer can never be committed, so its events are signed and submitted again at once.
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from hansa.core.backoff import Backoff
from hansa.core.batches import BatchSigner
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import decode_event
from hansa.core.limits import Limits
from hansa.core.signal import Signal
from hansa.pubsub.ledger.commitments.governance import SENDER, SenderRecord
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.reading import IssuerBatch, IssuerPositions, content_digest
from hansa.pubsub.ledger.results import SIZE
from hansa.pubsub.ledger.rules.events import check_events, encode_events
from hansa.pubsub.ledger_reads import LedgerReads
from hansa.pubsub.ledger_records import GovernanceKind, Governed

RESUBMIT_MIN_S: Final = 2.0
RESUBMIT_MAX_S: Final = 30.0
SOON_MAX_S: Final = 1.0
"""What may be valid within this time is submitted again, for `SOON_TIMEOUT_S`."""
SOON_TIMEOUT_S: Final = 3.0
SOON_PAUSE_S: Final = 0.1
_PERHAPS_COMMITTED: Final = frozenset({Code.EVENT_DUPLICATE, Code.EVENT_VERSION_BROKEN, Code.BATCH_OUTDATED})
"""Refusals of what was committed before, or overtaken. An event that is older than the entity's last version
is refused as one that does not continue the chain, whether or not it is on the ledger."""


_FIELDS: Final = {"member": "statement", "propose": "proposal", "vote": "vote"}
"""Where a transaction of a kind of governance has its JWS."""


def governance_transaction(kind: GovernanceKind, jws: str) -> bytes:
    """The bytes of a transaction of governance."""
    return f'{{"kind":"{kind}","{_FIELDS[kind]}":"{jws}"}}'.encode("ascii")


class _Submitted(msgspec.Struct, frozen=True):
    """A batch that was submitted."""

    contents: Sequence[bytes]
    issuer: str
    jws: str
    seq: int
    first_seq: int
    """Of the first batch with these events."""
    after: int
    """A position before it."""


class LedgerBus(LedgerReads):
    """A `Bus` that reads a ledger's state and submits transactions to its engine."""

    def __init__(
        self, clock: Clock, limits: Limits, signal: Signal, params: LedgerParams | None = None
    ) -> None:
        super().__init__(clock, limits, signal, params)
        self._seq = 0
        """Of the last batch that was submitted or seen on the ledger."""
        self._submitting = asyncio.Lock()
        """Batches reach the engine in the order of their numbers: one that is overtaken is void."""
        self._committed_seq = 0
        """Of the issuer's last batch on the ledger."""
        self._position = 0
        """Of the ledger's last event, as it was last read."""

    # -- what an implementation provides ---------------------------------------------------------------------

    @abstractmethod
    async def _submit(self, transaction: bytes) -> None:
        """Submit a transaction; one that waits already counts as submitted.

        Raises:
            Refused: the code of the rule that it breaks.
            Unavailable: the outcome is unknown; or it may be valid later (`refused_submission`).
        """

    async def submit(self, transaction: bytes) -> None:
        """Submit a transaction for a member without an engine; it waits for a block.

        Raises:
            Refused: the code of the rule that it breaks.
            Unavailable: the outcome is unknown, or it may be valid later.
        """
        self._check_open()
        await self._submit(transaction)

    # -- publishing ------------------------------------------------------------------------------------------

    async def publish(self, contents: Sequence[bytes], signer: BatchSigner) -> tuple[int, ...]:
        """Commit a batch of the signer's events, all or none; returns their positions. See `Bus.publish`."""
        if not contents:
            return ()
        check_events(contents, self._params)
        expected = tuple(dict.fromkeys(contents))
        if not self._seq:
            await self._positions(expected, signer.issuer)
        deadline_s = self._clock.monotonic() + self._limits.publish_timeout_s
        pauses = Backoff(RESUBMIT_MIN_S, RESUBMIT_MAX_S)
        positions: dict[bytes, int] = {}
        is_submitted = False
        first_seq, after = 0, self._position
        while len(positions) < len(expected):
            missing = [content for content in expected if content not in positions]
            seen = self._signal.count
            refusal: Refused | None = None
            async with self._submitting:
                seq = self._seq = self._seq + 1
                first_seq, jws = first_seq or seq, signer.sign(missing, seq)
                batch = _Submitted(missing, signer.issuer, jws, seq, first_seq, after)
                transaction = encode_events(jws, missing)
                if len(transaction) > self._params.transaction_size_max_bytes:
                    raise SIZE.broken(f"The transaction has {len(transaction)} bytes.")
                try:
                    await self._submit(transaction)
                    is_submitted = True
                except Unavailable as error:
                    # What was submitted before may still be committed: it is not submitted again now.
                    if not is_submitted or error.code is not Code.OVERLOADED:
                        raise
                except Refused as error:
                    refusal = error
            if refusal is not None:
                positions |= await self._refused(refusal, missing, signer.issuer)
                self._check_deadline(deadline_s)
                continue
            until_s = min(self._clock.monotonic() + pauses.next_s(), deadline_s)
            positions |= await self._committed(batch, seen, until_s)
            self._check_deadline(deadline_s)
        assert all(position > 0 for position in positions.values()), "positions count from 1"
        return tuple(positions[content] for content in contents)

    async def _refused(self, refusal: Refused, missing: Sequence[bytes], issuer: str) -> dict[bytes, int]:
        """Positions of events of a batch that was refused since they may be on the ledger.

        Raises:
            Refused: they are not: what was refused stays wrong.
            Unavailable: the ledger here began with a snapshot, and the events before it are not here yet.
        """
        if refusal.code not in _PERHAPS_COMMITTED:
            raise refusal
        known = await self._positions(missing, issuer)
        if known or refusal.code is Code.BATCH_OUTDATED:
            return known
        if await self.missing_events() is not None:
            raise Unavailable(
                Code.UNAVAILABLE, "The events may be on the ledger, whose history is not here yet."
            ) from refusal
        raise refusal  # the same event twice in this batch, or a version that does not follow

    # -- governance ------------------------------------------------------------------------------------------

    async def govern(self, kind: GovernanceKind, did: str, sign: Callable[[int], str]) -> Governed:
        """Commit what a member proposes, votes or states. See `Bus.govern`."""
        deadline_s = self._clock.monotonic() + self._limits.publish_timeout_s
        while True:
            sender = await self._sender(did)
            seq = sender.seq + 1
            jws = sign(seq)
            transaction = governance_transaction(kind, jws)
            digest = hashlib.sha256(transaction).hexdigest()
            sender = await self._until_past(did, seq, transaction, deadline_s)
            if sender.transaction == digest:
                assert sender.seq == seq, "a transaction is committed with its seq"
                return Governed(jws, seq, sender.height)
            assert sender.seq >= seq, "another transaction of the member took its place"

    async def _until_past(self, did: str, seq: int, transaction: bytes, deadline_s: float) -> SenderRecord:
        """Submit a transaction until it, or another one of its sender with its `seq`, is committed."""
        pauses = Backoff(RESUBMIT_MIN_S, RESUBMIT_MAX_S)
        soon_until_s = min(self._clock.monotonic() + SOON_TIMEOUT_S, deadline_s)
        while True:
            seen = self._signal.count
            try:
                await self._submit(transaction)
            except Unavailable as error:
                # As a vote on a proposal that is in a block which is not here yet.
                is_valid_soon = error.code is not Code.UNAVAILABLE and error.retry_after_s <= SOON_MAX_S
                if not is_valid_soon or self._clock.monotonic() >= soon_until_s:
                    raise
                await self._clock.sleep(SOON_PAUSE_S)
                await self.wait_for_block(seen, error.retry_after_s)
                self._check_open()
                continue
            except Refused as refusal:
                # Another transaction of the member with this number is committed, or waits for a block.
                is_busy = refusal.code is Code.BATCH_OUTDATED
                until_s = self._clock.monotonic() + (RESUBMIT_MIN_S if is_busy else 0.0)
                sender = await self._sender_past(did, seq, seen, min(until_s, deadline_s))
                if sender.seq >= seq:
                    return sender
                raise
            until_s = min(self._clock.monotonic() + pauses.next_s(), deadline_s)
            sender = await self._sender_past(did, seq, seen, until_s)
            if sender.seq >= seq:
                return sender
            if self._clock.monotonic() >= deadline_s:
                raise Unavailable(
                    Code.UNAVAILABLE,
                    "It was submitted, and is not on the ledger yet; the league may lack a quorum.",
                )

    async def _sender_past(self, did: str, seq: int, seen: int, until_s: float) -> SenderRecord:
        """The last transaction of a member when it has that number, or as it is when the time is up."""
        while True:
            sender, now_s = await self._sender(did), self._clock.monotonic()
            if sender.seq >= seq or now_s >= until_s:
                return sender
            await self.wait_for_block(seen, until_s - now_s)
            self._check_open()
            seen = self._signal.count

    async def _sender(self, did: str) -> SenderRecord:
        """The last transaction of governance of a member."""
        self._check_open()
        body = await self._read(lambda reader: reader.record("senders", did))
        return SenderRecord(did, 0) if body is None else SENDER.read(body)

    # -- what is on the ledger -------------------------------------------------------------------------------

    async def _committed(self, batch: _Submitted, seen: int, until_s: float) -> dict[bytes, int]:
        """Positions after one of the next blocks; none when it is time to submit again."""
        while True:
            now_s = self._clock.monotonic()
            if now_s >= until_s:
                return {}
            await self.wait_for_block(seen, until_s - now_s)
            self._check_open()
            seen = self._signal.count
            place = await self._read(
                lambda reader: reader.issuer_batch(batch.issuer, batch.seq, batch.jws, batch.after)
            )
            self._note(place)
            if place.first_position is not None:
                return {content: at for at, content in enumerate(batch.contents, place.first_position)}
            if place.seq < batch.first_seq:
                continue  # no batch with any of its events is on the ledger
            known = await self._positions(batch.contents, batch.issuer)
            if known or self._committed_seq >= batch.seq:
                return known

    def _check_deadline(self, deadline_s: float) -> None:
        if self._clock.monotonic() >= deadline_s:
            raise Unavailable(
                Code.UNAVAILABLE, "The events are not on the ledger yet; the league may lack a quorum."
            )

    def _note(self, answer: IssuerBatch | IssuerPositions) -> None:
        """Note how far the ledger and the issuer are."""
        self._committed_seq = answer.seq
        self._seq = max(self._seq, answer.seq)
        self._position = max(self._position, answer.position)

    async def _positions(self, contents: Sequence[bytes], issuer: str) -> dict[bytes, int]:
        """Positions of those of the events that are on the ledger."""
        ids = {content: decode_event(content, issuer).id for content in contents}
        event_ids = tuple(ids.values())
        self._check_open()
        answer = await self._read(lambda reader: reader.positions(issuer, event_ids))
        self._note(answer)
        positions: dict[bytes, int] = {}
        for content in contents:
            committed = answer.events.get(ids[content])
            if committed is None:
                continue
            position, digest = committed
            if digest != content_digest(content):
                raise Refused(Code.EVENT_DUPLICATE, f"Another event has the id {ids[content]}.")
            positions[content] = position
        return positions


def refused_submission(code: Code, message: str, wait_ms: int) -> Refused | Unavailable:
    """The error of a submission that the ledger application refused.

    Args:
        code: Of the rule that it breaks.
        message: Of the ledger application.
        wait_ms: After how many milliseconds it may be valid; 0: never.
    """
    if wait_ms <= 0:
        return Refused(code, message)
    code = Code.EVENT_TIME_WRONG if code is Code.EVENT_TIME_WRONG else Code.OVERLOADED
    return Unavailable(code, message, wait_ms / 1000)
