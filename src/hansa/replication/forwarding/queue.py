"""The queue of writes whose origin could not be reached: durable, bounded, with back-off and an end.

A caller who prefers not to wait (`Prefer: respond-async`) has its write queued, and reads at its monitor what
becomes of it. A write is in one of these states, in the store:

    waiting    it is sent when it is due. Failures double the pause, from `BACKOFF_MIN_S` to
               `queued_write_backoff_max_s`
    done       the origin carried it out; what it wrote is recorded
    refused    the origin refused it, with the reason as one of our codes; or whoever queued it, or the
               organisation, was removed here before it was sent
    expired    it waited for `queued_write_lifetime_s`

Writes to the same path are sent in the order in which they were queued, those of one origin one after the
other, different origins at the same time. The identifier of a queued write follows from its caller and its
idempotency key, so that whoever repeats it finds the one that waits already. An outcome is retained for as
long as a write may wait. Each caller, and all together, have a bound on rows and bytes.

A crash between the origin's answer and its record has the write sent again, under the same key: the origin
does it once.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from hansa.core.access import OPERATOR, Caller
from hansa.core.backoff import backoff_s
from hansa.core.clock import Clock, epoch_ms
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.forwarding import Actor, ForwardedWrite, OriginAnswer, QueuedWrite
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.core.signal import Signal
from hansa.replication.forwarding.exchange import OriginAway
from hansa.replication.forwarding.pseudonyms import Pseudonyms
from hansa.store import Store
from hansa.store.tables.writes import queued_writes
from hansa.store.tables.writes.queued_writes import ALL, QueuedRow

BACKOFF_MIN_S: Final = 1.0
FULL_RETRY_S: Final = 60.0

Deliver = Callable[[str, ForwardedWrite, str, Actor], Awaitable[OriginAnswer]]
"""Sends to an origin, by its DID, a write of a pseudonym, and as whom that one acts."""
IsRemoved = Callable[[str, str], bool]
"""Whether a caller, by the pseudonym for this member, or the organisation (empty: none) was removed here."""


class WriteQueue:
    """The queue of one marketplace.

    Args:
        store: Has the writes.
        deliver: Sends one.
        pseudonyms: Of callers.
        did: This member.
        clock: For what is due.
        entropy: For the jitter of pauses.
        limits: `queued_write…`.
        is_removed: Asked for each write before it is sent; None: nobody is ever removed.
    """

    def __init__(
        self,
        store: Store,
        deliver: Deliver,
        pseudonyms: Pseudonyms,
        did: str,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        is_removed: IsRemoved | None = None,
    ) -> None:
        self._is_removed = is_removed
        self._store = store
        self._deliver = deliver
        self._pseudonyms = pseudonyms
        self._did = did
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._lifetime_ms = int(limits.queued_write_lifetime_s * 1000)
        self._added = Signal(clock)
        self._lanes: set[str] = set()
        self._retry = Retry("write queue", clock, entropy, 0.1, 10.0)

    async def add(self, origin: str, write: ForwardedWrite, caller: Caller) -> QueuedWrite:
        """Queue a write.

        Raises:
            Refused: `Code.IDEMPOTENCY_KEY_REUSED`, when another write of the caller has its key.
            Unavailable: `Code.OVERLOADED`, when the queue is full; what the store raises.
        """
        assert caller.subject is not None, "nobody writes without a token"
        owner = self._pseudonyms.of(self._did, caller.subject)
        subject = self._pseudonyms.of(origin, caller.subject)
        body, limits, now_ms = msgspec.json.encode(write), self._limits, self._now_ms()
        digest = hashlib.sha256(body).digest()
        id = hashlib.sha256(f"{owner}\0{write.key}".encode()).hexdigest()[:32]
        async with self._store.transaction() as tx:
            await queued_writes.remove_expired(tx, now_ms)
            earlier = await queued_writes.by_id(tx, id)
            if earlier is not None:
                if earlier.digest != digest:
                    raise Refused(
                        Code.IDEMPOTENCY_KEY_REUSED,
                        "Another write was queued under this Idempotency-Key; make another key for each write.",
                    )
                return QueuedWrite(id)
            for whose, writes_max, size_max_bytes in (
                (owner, limits.queued_writes_per_caller_max, limits.queued_writes_max_bytes // 4),
                (ALL, limits.queued_writes_max, limits.queued_writes_max_bytes),
            ):
                used = await queued_writes.account(tx, whose)
                if used.writes >= writes_max or used.size_bytes + len(body) > size_max_bytes:
                    raise Unavailable(
                        Code.OVERLOADED, "Too many writes wait for their origins.", FULL_RETRY_S
                    )
            actor = msgspec.json.encode(Actor.of(caller)).decode()
            row = QueuedRow(
                *(id, origin, owner, subject, actor, digest, body, write.method, write.path),
                *("waiting", 0, now_ms, now_ms, now_ms + self._lifetime_ms),
            )
            await queued_writes.add(tx, row)
        self._added.notify()
        return QueuedWrite(id)

    async def monitor(self, id: str, caller: Caller) -> QueuedRow | None:
        """A write of the queue, for the caller whose it is and for operators; None: there is none for it."""
        row = await queued_writes.by_id(self._store, id)
        if row is None or caller.subject is None:
            return None
        is_own = row.owner == self._pseudonyms.of(self._did, caller.subject)
        return row if is_own or OPERATOR in caller.roles else None

    async def run(self) -> None:
        """Send what is due, until cancelled. After it ended it may be called again.

        Raises:
            Fatal: The store is damaged.
        """
        self._lanes.clear()
        async with asyncio.TaskGroup() as tasks:
            while True:
                seen = self._added.count
                for origin in await self._retry(lambda: queued_writes.waiting_origins(self._store)):
                    if origin not in self._lanes:
                        self._lanes.add(origin)
                        tasks.create_task(self._serve(origin))
                await self._added.wait(seen)

    async def _serve(self, origin: str) -> None:
        """Send the writes for one origin until none waits."""
        try:
            while True:
                row = await self._retry(lambda: queued_writes.next_waiting(self._store, origin))
                if row is None:
                    return
                pause_s = (row.due_ms - self._now_ms()) / 1000
                if 0 < pause_s <= self._limits.queued_write_backoff_max_s + 1:  # else the clock was set back
                    seen = self._added.count
                    await self._added.wait(seen, pause_s)
                    continue
                outcome = await self._attempt(row)
                await self._retry(outcome)
        finally:
            self._lanes.discard(origin)
            self._added.notify()  # what was added while the last look was under way

    async def _attempt(self, row: QueuedRow) -> Callable[[], Awaitable[None]]:
        """Send a write once; what records its outcome, to be repeated while the store fails."""
        now_ms = self._now_ms()
        if row.expires_ms <= now_ms:
            reason = "Its origin could not be reached in time."
            return lambda: self._conclude(row, "expired", row.problem or str(Code.UNAVAILABLE), reason)
        write = msgspec.json.decode(row.write, type=ForwardedWrite)
        actor = msgspec.json.decode(row.actor, type=Actor)
        if self._is_removed is not None and self._is_removed(row.owner, actor.organization):
            removed = "Whoever queued it, or the organisation, was removed before it was sent."
            return lambda: self._conclude(row, "refused", str(Code.FORBIDDEN), removed)
        try:
            answer = await self._deliver(row.origin, write, row.subject, actor)
        except OriginAway as error:
            code, message, retry_after_s = str(error.code), error.message, error.retry_after_s
            return lambda: self._postpone(row, code, message, retry_after_s)
        except Refused as error:
            code, message = str(error.code), error.message
            return lambda: self._conclude(row, "refused", code, message)
        return lambda: self._conclude(row, "done", None, None, msgspec.json.encode(answer))

    async def _conclude(
        self,
        row: QueuedRow,
        state: queued_writes.QueuedState,
        problem: str | None,
        reason: str | None,
        answer: bytes | None = None,
    ) -> None:
        expires_ms = self._now_ms() + self._lifetime_ms
        async with self._store.transaction() as tx:
            await queued_writes.conclude(
                tx, row.id, state, expires_ms, problem=problem, reason=reason, answer=answer
            )

    async def _postpone(self, row: QueuedRow, problem: str, reason: str, retry_after_s: float) -> None:
        max_s = self._limits.queued_write_backoff_max_s
        pause_s = backoff_s(row.attempts + 1, BACKOFF_MIN_S, max_s, self._entropy)
        due_ms = self._now_ms() + int(max(pause_s, min(retry_after_s, max_s)) * 1000)
        async with self._store.transaction() as tx:
            await queued_writes.postpone(
                tx, row.id, row.attempts + 1, min(due_ms, row.expires_ms), problem, reason
            )

    def _now_ms(self) -> int:
        return epoch_ms(self._clock)
