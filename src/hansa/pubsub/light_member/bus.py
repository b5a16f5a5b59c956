"""The bus of a light member: read from the state that was verified, published through others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec

from hansa.core.batches import BatchSigner
from hansa.core.clock import Clock
from hansa.core.errors import Code, Unavailable
from hansa.core.limits import Limits
from hansa.core.signal import Signal
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.reading import OWN_LANE, LedgerReader, ReaderPool, strangers_lane
from hansa.pubsub.ledger.rules.events import EVENTS
from hansa.pubsub.ledger.waiting import WaitingFigures
from hansa.pubsub.ledger_bus import LedgerBus, governance_transaction
from hansa.pubsub.ledger_reads import StrangersReads, ledger_status
from hansa.pubsub.ledger_records import GovernanceKind, Governed, LedgerStatus
from hansa.pubsub.light_member.following import FollowingStatus

SAFETY_POLL_S: Final = 5.0
POLL_S: Final = 0.25
"""Between two looks at a file that another process writes."""

BATCHES: Final = "batches"
"""What all attempts to publish are for: an issuer's batches are committed in order."""

T = TypeVar("T")


class Following(Protocol):
    """What the bus knows of the following."""

    @property
    def status(self) -> FollowingStatus:
        """How it goes."""

    def hurry(self) -> None:
        """Something of this member is about to be on the ledger."""


class TakesTransactions(Protocol):
    """Through whom transactions go (`hansa.pubsub.light_member.submitting`)."""

    async def submit(self, transaction: bytes, key: str, number: int) -> None:
        """Hand on a transaction. See `Submissions.submit`."""

    def note_committed(self, key: str, number: int | None = None) -> None:
        """Something that was submitted is on the ledger. See `Submissions.note_committed`."""


class LightBus(LedgerBus):
    """One light member's bus. Used on one event loop, and closed.

    Args:
        state_file: What was verified (`hansa.pubsub.light_member.following`).
        following: How that goes; None where another process follows, and this one only reads and submits.
        submissions: Through whom transactions go.
        signal: Is notified of every update of the file.
        clock: For time limits and back-off.
        limits: Of publishing, of pages, and of what strangers read.
        params: The league's limits, as far as they are known; read from the ledger later.
    """

    safety_poll_s = SAFETY_POLL_S

    def __init__(
        self,
        state_file: Path,
        following: Following | None,
        submissions: TakesTransactions,
        signal: Signal,
        clock: Clock,
        limits: Limits,
        params: LedgerParams | None = None,
    ) -> None:
        super().__init__(clock, limits, signal, params)
        self._following = following
        self._submissions = submissions
        self._pool = ReaderPool(state_file, clock, OWN_LANE)
        pool = ReaderPool(state_file, clock, strangers_lane(limits))
        self.for_strangers = StrangersReads(self, pool, clock, limits, signal)
        """The same ledger, as strangers read it."""
        self._attempts = 0

    async def ledger(self) -> LedgerStatus:
        """The state of the ledger, as far as it was verified. See `Bus.ledger`."""
        head = await self._read(LedgerReader.head)
        following = self._following.status if self._following is not None else None
        sources = following.sources if following is not None else ()
        status = ledger_status(
            head,
            catching_up=following is not None and following.is_catching_up,
            peers=sum(one.behavior in {"current", "late"} for one in sources),
        )
        if following is None:
            return status
        time = following.trusted.time if following.trusted.height > head.height else status.time
        return msgspec.structs.replace(status, height=max(head.height, following.height), time=time)

    async def waiting(self) -> WaitingFigures:
        """How much waits for a block: at other members' engines, and not known here.

        Raises:
            Unavailable: always.
        """
        raise Unavailable(Code.UNAVAILABLE, "This member has no engine in which transactions wait.")

    async def close(self) -> None:
        """End all follows and close the file for readers."""
        await super().close()
        await self.for_strangers.close()
        self._pool.close()

    async def publish(self, contents: Sequence[bytes], signer: BatchSigner) -> tuple[int, ...]:
        """Commit a batch of the signer's events. See `Bus.publish`."""
        positions = await super().publish(contents, signer)
        self._submissions.note_committed(BATCHES, self._committed_seq)
        return positions

    async def govern(self, kind: GovernanceKind, did: str, sign: Callable[[int], str]) -> Governed:
        """Commit what a member proposes, votes or states. See `Bus.govern`."""
        governed = await super().govern(kind, did, sign)
        self._submissions.note_committed(_key_of(governance_transaction(kind, governed.jws)))
        return governed

    async def wait_for_block(self, seen: int, timeout_s: float | None) -> None:
        """Wait for a notification, or, where another process follows, for a moment."""
        if self._following is None:
            await self._clock.sleep(POLL_S if timeout_s is None else min(timeout_s, POLL_S))
        else:
            await super().wait_for_block(seen, timeout_s)

    async def submit(self, transaction: bytes) -> None:
        """Hand on what another member, or another process of this one, submits. See `LedgerBus.submit`."""
        self._check_open()
        self._attempts += 1
        await self._submissions.submit(transaction, _key_of(transaction), self._attempts)

    async def _submit(self, transaction: bytes) -> None:
        self._attempts += 1
        is_batch = transaction.startswith(EVENTS.prefix)
        key, number = (BATCHES, self._seq) if is_batch else (_key_of(transaction), self._attempts)
        await self._submissions.submit(transaction, key, number)
        if self._following is not None:
            self._following.hurry()

    async def _read(self, work: Callable[[LedgerReader], T]) -> T:
        return await self._pool.run(work)


def _key_of(transaction: bytes) -> str:
    return hashlib.sha256(transaction).hexdigest()
